//! One score a choice.

use burn::module::Module;
use burn::tensor::Tensor;

use crate::config::{Activation, EncoderConfig, Family};
use crate::context::Context;
use crate::initialize::Initializer;
use crate::ops::{Linear, dropout};

/// The head of transformers' `*ForMultipleChoice`: one logit a sequence, where a sequence is a question with one of its
/// answers. The softmax over the answers to a question is the task's.
///
/// - BERT, RoBERTa: dropout → linear, on the pooled first token
/// - ELECTRA: dense → GELU → dropout → linear, on the first token
/// - DistilBERT: dense → ReLU → dropout → linear, on the first token
#[derive(Module, Debug)]
pub struct ChoiceHead {
    /// `h` to `h`; that of BERT and RoBERTa is the encoder's pooler.
    pub dense: Option<Linear>,
    /// `h` to 1.
    pub classifier: Linear,
    #[module(skip)]
    family: Family,
    #[module(skip)]
    dropout: f64,
}

impl ChoiceHead {
    /// Fresh weights.
    pub fn new(config: &EncoderConfig, init: &mut Initializer) -> Self {
        let h = config.hidden_size;
        let dense = matches!(config.family, Family::Electra | Family::Distilbert);
        let dropout = match config.family {
            Family::Bert | Family::Distilbert => config.classifier_dropout,
            Family::Roberta => config.hidden_dropout,
            // Its sequence summary has dropout of its own.
            Family::Electra => config
                .extra
                .get("summary_last_dropout")
                .and_then(serde_json::Value::as_f64)
                .unwrap_or(0.1),
        };
        Self {
            dense: dense.then(|| Linear::new(h, h, init)),
            classifier: Linear::new(h, 1, init),
            family: config.family,
            dropout,
        }
    }

    /// What [`crate::Encoder::pool`] gives, `[sequences, h]`, to logits `[sequences]`.
    pub fn forward(&self, pooled: Tensor<2>, context: Context<'_>) -> Tensor<1> {
        let activation = match self.family {
            Family::Electra => Activation::Gelu,
            Family::Bert | Family::Roberta | Family::Distilbert => Activation::Relu,
        };
        let features = match &self.dense {
            Some(dense) => dense.forward_activated(pooled, activation, context),
            None => pooled,
        };
        let logits = self
            .classifier
            .forward(dropout(features, self.dropout, context), context);
        logits.squeeze_dim(1)
    }
}
