//! One answer a sequence: classes, or numbers.

use burn::module::Module;
use burn::tensor::Tensor;

use super::SectionAttention;
use crate::config::{Activation, EncoderConfig, Family};
use crate::context::Context;
use crate::initialize::Initializer;
use crate::ops::{Linear, dropout};

/// The classification head as each family has it in transformers, so that what is trained here is
/// read there:
///
/// - BERT: dropout → linear, on the pooled first token
/// - RoBERTa: dropout → dense → tanh → dropout → linear, on the bare first token
/// - ELECTRA: the same with GELU. Its paper's own code has dropout → linear only; the two are not
///   interchangeable.
/// - DistilBERT: dense → ReLU → dropout → linear
#[derive(Module, Debug)]
pub struct SequenceHead {
    /// `h` to `h`; BERT's stands in the encoder, as pooler.
    pub dense: Option<Linear>,
    /// `h` to the number of outputs.
    pub classifier: Linear,
    /// How much each section of a document counts, where that is learnt.
    pub sections: Option<SectionAttention>,
    #[module(skip)]
    family: Family,
    #[module(skip)]
    dropout: f64,
}

impl SequenceHead {
    /// Fresh weights for `outputs` classes (or numbers).
    pub fn new(config: &EncoderConfig, outputs: usize, init: &mut Initializer) -> Self {
        let h = config.hidden_size;
        Self {
            dense: (config.family != Family::Bert).then(|| Linear::new(h, h, init)),
            classifier: Linear::new(h, outputs, init),
            sections: None,
            family: config.family,
            dropout: config.classifier_dropout,
        }
    }

    /// What [`crate::Encoder::pool`] gives, or, of documents, [`Self::pool`], `[batch, h]`, to logits `[batch, outputs]`.
    pub fn forward(&self, pooled: Tensor<2>, context: Context<'_>) -> Tensor<2> {
        let activation = match self.family {
            Family::Roberta => Activation::Tanh,
            Family::Electra => Activation::Gelu,
            Family::Distilbert | Family::Bert => Activation::Relu,
        };
        let drop = |x| dropout(x, self.dropout, context);
        let features = match &self.dense {
            Some(dense) => {
                let input = if self.family == Family::Distilbert {
                    pooled
                } else {
                    drop(pooled)
                };
                dense.forward_activated(input, activation, context)
            }
            None => pooled,
        };
        self.classifier.forward(drop(features), context)
    }
}
