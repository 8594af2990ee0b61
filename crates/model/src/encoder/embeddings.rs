//! The bottom of the encoder: words, positions and token types added up.

use burn::module::{Module, Param};
use burn::tensor::Tensor;

use crate::batch::Batch;
use crate::config::EncoderConfig;
use crate::context::Context;
use crate::initialize::Initializer;
use crate::ops::{EmbeddingIds, LayerNorm, Linear, embed};

/// Word + position + token-type embeddings, LayerNorm and dropout (Devlin et al. 2019, §3), and
/// the projection to the layers' width where that differs (Clark et al. 2020, §3.2).
///
/// Shapes: `e` embedding size, `h` hidden size.
#[derive(Module, Debug)]
pub struct Embeddings {
    /// `[vocabulary, e]`.
    pub word: Param<Tensor<2>>,
    /// `[positions, e]`.
    pub position: Param<Tensor<2>>,
    /// `[types, e]`; DistilBERT has none.
    pub token_type: Option<Param<Tensor<2>>>,
    /// Over `e`.
    pub norm: LayerNorm,
    /// `e` to `h`, where they differ.
    pub projection: Option<Linear>,
    #[module(skip)]
    dropout: f64,
    #[module(skip)]
    position_offset: usize,
}

impl Embeddings {
    /// The same with more words, whose rows are drawn by `init`.
    #[must_use]
    pub fn with_more_words(mut self, words: usize, init: &mut Initializer) -> Self {
        let [_, e] = self.word.dims();
        let rows = Tensor::cat(vec![self.word.val(), init.normal([words, e]).val()], 0);
        self.word = Param::from_tensor(rows.detach());
        self
    }

    /// Fresh tables of the configured sizes.
    pub fn new(config: &EncoderConfig, init: &mut Initializer) -> Self {
        let (e, h) = (config.embedding_size, config.hidden_size);
        Self {
            word: init.normal([config.vocab_size, e]),
            position: init.normal([config.max_position_embeddings, e]),
            token_type: (config.type_vocab_size > 0)
                .then(|| init.normal([config.type_vocab_size, e])),
            norm: LayerNorm::new(e, config.layer_norm_eps, init),
            projection: (e != h).then(|| Linear::new(e, h, init)),
            dropout: config.hidden_dropout,
            position_offset: config.position_offset(),
        }
    }

    /// The batch's ids to `[tokens, h]`.
    pub fn forward(&self, batch: &Batch, context: Context<'_>) -> Tensor<2> {
        let embedded = self.embedded(batch, context);
        match &self.projection {
            Some(projection) => projection.forward(embedded, context),
            None => embedded,
        }
    }

    /// The batch's ids to `[tokens, e]`: all of it but the projection.
    pub fn embedded(&self, batch: &Batch, context: Context<'_>) -> Tensor<2> {
        let ids = EmbeddingIds {
            words: batch.input_ids.clone(),
            positions: batch.sequences.positions(self.position_offset),
            types: batch.token_type_ids.iter().map(|&t| t.into()).collect(),
        };
        embed(
            self.word.val(),
            self.position.val(),
            self.token_type.as_ref().map(Param::val),
            ids,
            &self.norm,
            self.dropout,
            context,
        )
    }
}
