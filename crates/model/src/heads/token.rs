//! One tag a token.

use burn::module::Module;
use burn::tensor::Tensor;

use crate::config::{EncoderConfig, Family};
use crate::initialize::Initializer;
use crate::ops::{Linear, Mode, dropout};

/// Dropout → linear on every row (Devlin et al. 2019, §5.3).
#[derive(Module, Debug)]
pub struct TokenHead {
    /// `h` to the number of tags.
    pub classifier: Linear,
    #[module(skip)]
    dropout: f64,
}

impl TokenHead {
    /// Fresh weights for `tags` tags.
    pub fn new(config: &EncoderConfig, tags: usize, init: &mut Initializer) -> Self {
        Self {
            classifier: Linear::new(config.hidden_size, tags, init),
            // DistilBertForTokenClassification uses the model's dropout, not that of its sequence head.
            dropout: match config.family {
                Family::Distilbert => config.hidden_dropout,
                _ => config.classifier_dropout,
            },
        }
    }

    /// `[rows, h]` to logits `[rows, tags]`.
    pub fn forward(&self, hidden: Tensor<2>, mode: Mode<'_>) -> Tensor<2> {
        self.classifier.forward(dropout(hidden, self.dropout, mode))
    }
}
