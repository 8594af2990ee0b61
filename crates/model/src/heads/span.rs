//! The start and end of an answer.

use burn::module::Module;
use burn::tensor::Tensor;

use super::JointSpan;
use crate::context::Context;
use crate::families::EncoderConfig;
use crate::initialize::Initializer;
use crate::ops::{Linear, dropout};

/// Two logits per token: start and end of the answer (Devlin et al. 2019, §4.2).
#[derive(Module, Debug)]
pub struct SpanHead {
    /// `h` to 2.
    pub outputs: Linear,
    /// Scores ends given starts, if requested; the second column of `outputs` is then unused.
    pub joint: Option<JointSpan>,
    #[module(skip)]
    pub(super) dropout: f64,
}

impl SpanHead {
    /// Fresh weights.
    pub fn new(config: &EncoderConfig, init: &mut Initializer) -> Self {
        Self {
            outputs: Linear::new(config.hidden_size, 2, init),
            joint: None,
            dropout: config.head_spec().span_dropout,
        }
    }

    /// `[rows, h]` to start and end logits, `[rows]` each.
    pub fn forward(&self, hidden: Tensor<2>, context: Context<'_>) -> (Tensor<1>, Tensor<1>) {
        let logits = self
            .outputs
            .forward(dropout(hidden, self.dropout, context), context);
        let part = |i: usize| logits.clone().narrow(1, i, 1).squeeze_dim(1);
        (part(0), part(1))
    }
}
