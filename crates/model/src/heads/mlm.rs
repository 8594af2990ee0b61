//! Prediction of masked words.

use burn::module::{Module, Param};
use burn::tensor::Tensor;

use crate::context::Context;
use crate::families::EncoderConfig;
use crate::initialize::Initializer;
use crate::ops::{LayerNorm, Linear, masked_lm, matmul};
use crate::spec::Activation;

/// Dense, nonlinearity, LayerNorm, then the word table as decoder (Devlin et al. 2019, §3.1).
///
/// The transform outputs the width of the embeddings, so that the word table can be the decoder.
#[derive(Module, Debug)]
pub struct MlmHead {
    /// `h` to `e`.
    pub dense: Linear,
    /// Over `e`.
    pub norm: LayerNorm,
    /// `[vocabulary, e]` where the decoder is not the word embedding itself.
    pub decoder: Option<Param<Tensor<2>>>,
    /// `[vocabulary]`.
    pub bias: Param<Tensor<1>>,
    #[module(skip)]
    activation: Activation,
}

impl MlmHead {
    /// Fresh weights.
    pub fn new(config: &EncoderConfig, init: &mut Initializer) -> Self {
        let (h, e) = (config.hidden_size, config.embedding_size);
        Self {
            dense: Linear::new(h, e, init),
            norm: LayerNorm::new(e, config.layer_norm_eps, init),
            decoder: (!config.tie_word_embeddings).then(|| init.normal([config.vocab_size, e])),
            bias: init.zeros([config.vocab_size]),
            activation: config.head_spec().mlm_activation,
        }
    }

    /// `[rows, h]` to logits `[rows, vocabulary]`. `words` is the word embedding, `[vocabulary, e]`,
    /// read if the decoder is tied to it. Pass the masked rows only: this product dominates the head's cost.
    pub fn forward(
        &self,
        hidden: Tensor<2>,
        words: &Param<Tensor<2>>,
        context: Context<'_>,
    ) -> Tensor<2> {
        let table = self.table(words);
        matmul(self.transform(hidden, context), table.transpose(), context)
            + self.bias.val().unsqueeze()
    }

    /// Cross-entropy of the logits of [`Self::forward`] against `targets`, summed over rows:
    /// `[rows, h]` and `[rows]` to `[1]`. The logits are computed in blocks, never all at once.
    pub fn loss(
        &self,
        hidden: Tensor<2>,
        words: &Param<Tensor<2>>,
        targets: Vec<u32>,
        context: Context<'_>,
    ) -> Tensor<1> {
        let table = self.table(words);
        let hidden = self.transform(hidden, context);
        masked_lm(hidden, table, self.bias.val(), targets, context)
    }

    fn transform(&self, hidden: Tensor<2>, context: Context<'_>) -> Tensor<2> {
        let hidden = self
            .dense
            .forward_activated(hidden, self.activation, context);
        self.norm.forward(hidden, context)
    }

    fn table(&self, words: &Param<Tensor<2>>) -> Tensor<2> {
        self.decoder.as_ref().unwrap_or(words).val()
    }
}
