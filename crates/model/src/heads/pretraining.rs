//! Masked words and sentence pairs, pretrained together.

use burn::module::Module;
use burn::tensor::Tensor;

use super::MlmHead;
use crate::context::Context;
use crate::families::EncoderConfig;
use crate::initialize::Initializer;
use crate::ops::{Linear, dropout};

/// Masked words, and a classifier of sentence pairs: next sentence (Devlin et al. 2019, §3.1) or sentence
/// order (Lan et al. 2020, §3.1).
#[derive(Module, Debug)]
pub struct PretrainingHead {
    /// Masked words.
    pub mlm: MlmHead,
    /// Pooled `[CLS]` to two logits: 0 = in order, 1 = not.
    pub next_sentence: Linear,
    #[module(skip)]
    dropout: f64,
}

impl PretrainingHead {
    /// Fresh weights.
    pub fn new(config: &EncoderConfig, init: &mut Initializer) -> Self {
        Self {
            mlm: MlmHead::new(config, init),
            next_sentence: Linear::new(config.hidden_size, 2, init),
            dropout: config.head_spec().pair_dropout,
        }
    }

    /// `[batch, h]` pooled rows to `[batch, 2]` logits.
    pub fn next_sentence(&self, pooled: Tensor<2>, context: Context<'_>) -> Tensor<2> {
        self.next_sentence
            .forward(dropout(pooled, self.dropout, context), context)
    }
}
