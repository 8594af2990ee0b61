//! One answer per sequence: classes, or numbers.

use burn::module::Module;
use burn::tensor::Tensor;

use super::SectionAttention;
use crate::context::Context;
use crate::families::{DenseSpec, EncoderConfig};
use crate::initialize::Initializer;
use crate::ops::{Linear, dropout};

/// A classification head as the family has it in transformers, so that transformers can load what is trained
/// here: dropout and a linear layer on the pooled first token, or with a hidden layer between.
#[derive(Module, Debug)]
pub struct SequenceHead {
    /// `h` to `h`, where the family has a hidden layer here.
    pub dense: Option<Linear>,
    /// `h` to the number of outputs.
    pub classifier: Linear,
    /// The attention over a document's chunks, if it is learned.
    pub sections: Option<SectionAttention>,
    #[module(skip)]
    hidden: Option<DenseSpec>,
    #[module(skip)]
    dropout: f64,
}

impl SequenceHead {
    /// Fresh weights for `outputs` classes (or numbers).
    pub fn new(config: &EncoderConfig, outputs: usize, init: &mut Initializer) -> Self {
        let (h, spec) = (config.hidden_size, config.head_spec());
        Self {
            dense: spec.sequence_dense.map(|_| Linear::new(h, h, init)),
            classifier: Linear::new(h, outputs, init),
            sections: None,
            hidden: spec.sequence_dense,
            dropout: spec.sequence_dropout,
        }
    }

    /// The result of [`crate::Encoder::pool`] or, for documents, of [`Self::pool`], `[batch, h]`, to
    /// logits `[batch, outputs]`.
    pub fn forward(&self, pooled: Tensor<2>, context: Context<'_>) -> Tensor<2> {
        let drop = |x| dropout(x, self.dropout, context);
        let features = match (&self.dense, self.hidden) {
            (Some(dense), Some(hidden)) => {
                let input = match hidden.input_dropout {
                    true => drop(pooled),
                    false => pooled,
                };
                dense.forward_activated(input, hidden.activation, context)
            }
            _ => pooled,
        };
        self.classifier.forward(drop(features), context)
    }
}
