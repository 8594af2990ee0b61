//! BERT's two pretraining tasks side by side.

use burn::module::Module;
use burn::tensor::Tensor;

use super::MlmHead;
use crate::config::EncoderConfig;
use crate::context::Context;
use crate::initialize::Initializer;
use crate::ops::Linear;

/// Masked words, and whether the second text follows the first (Devlin et al. 2019, §3.1).
#[derive(Module, Debug)]
pub struct PretrainingHead {
    /// Masked words.
    pub mlm: MlmHead,
    /// Pooled `[CLS]` to two logits: 0 = follows, 1 = random.
    pub next_sentence: Linear,
}

impl PretrainingHead {
    /// Fresh weights.
    pub fn new(config: &EncoderConfig, init: &mut Initializer) -> Self {
        Self {
            mlm: MlmHead::new(config, init),
            next_sentence: Linear::new(config.hidden_size, 2, init),
        }
    }

    /// `[batch, h]` pooled rows to `[batch, 2]` logits.
    pub fn next_sentence(&self, pooled: Tensor<2>, context: Context<'_>) -> Tensor<2> {
        self.next_sentence.forward(pooled, context)
    }
}
