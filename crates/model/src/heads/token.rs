//! One tag per token.

use burn::module::Module;
use burn::tensor::Tensor;

use super::Crf;
use crate::context::Context;
use crate::families::EncoderConfig;
use crate::initialize::Initializer;
use crate::ops::{Linear, dropout};

/// Dropout → linear on every row (Devlin et al. 2019, §5.3).
#[derive(Module, Debug)]
pub struct TokenHead {
    /// `h` to the number of tags.
    pub classifier: Linear,
    /// Scores of tag transitions, if the words of a sentence are tagged jointly.
    pub crf: Option<Crf>,
    #[module(skip)]
    dropout: f64,
}

impl TokenHead {
    /// Fresh weights for `tags` tags, without a CRF.
    pub fn new(config: &EncoderConfig, tags: usize, init: &mut Initializer) -> Self {
        Self {
            classifier: Linear::new(config.hidden_size, tags, init),
            crf: None,
            dropout: config.head_spec().token_dropout,
        }
    }

    /// `[rows, h]` to logits `[rows, tags]`.
    pub fn forward(&self, hidden: Tensor<2>, context: Context<'_>) -> Tensor<2> {
        self.classifier
            .forward(dropout(hidden, self.dropout, context), context)
    }
}
