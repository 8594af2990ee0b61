//! One score per choice.

use burn::module::Module;
use burn::tensor::Tensor;

use crate::context::Context;
use crate::families::EncoderConfig;
use crate::initialize::Initializer;
use crate::ops::{Linear, dropout};
use crate::spec::Activation;

/// The head of transformers' `*ForMultipleChoice`: one logit per sequence, where a sequence is a question with one of its
/// answers. The task computes the softmax over the answers to a question.
///
/// Dropout and a linear layer on the pooled first token, preceded by a hidden layer in families that have one.
#[derive(Module, Debug)]
pub struct ChoiceHead {
    /// `h` to `h`, where the family has a hidden layer here.
    pub dense: Option<Linear>,
    /// `h` to 1.
    pub classifier: Linear,
    #[module(skip)]
    activation: Option<Activation>,
    #[module(skip)]
    dropout: f64,
}

impl ChoiceHead {
    /// Fresh weights.
    pub fn new(config: &EncoderConfig, init: &mut Initializer) -> Self {
        let (h, spec) = (config.hidden_size, config.head_spec());
        Self {
            dense: spec.choice_dense.map(|_| Linear::new(h, h, init)),
            classifier: Linear::new(h, 1, init),
            activation: spec.choice_dense,
            dropout: spec.choice_dropout,
        }
    }

    /// The result of [`crate::Encoder::pool`], `[sequences, h]`, to logits `[sequences]`.
    pub fn forward(&self, pooled: Tensor<2>, context: Context<'_>) -> Tensor<1> {
        let features = match (&self.dense, self.activation) {
            (Some(dense), Some(activation)) => dense.forward_activated(pooled, activation, context),
            _ => pooled,
        };
        let logits = self
            .classifier
            .forward(dropout(features, self.dropout, context), context);
        logits.squeeze_dim(1)
    }
}
