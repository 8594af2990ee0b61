//! The bottom of the encoder: word, position and token-type embeddings.

use burn::module::{Module, Param};
use burn::tensor::Tensor;

use crate::batch::Batch;
use crate::context::Context;
use crate::initialize::Initializer;
use crate::ops::{EmbeddingIds, LayerNorm, Linear, embed};
use crate::spec::{EncoderSpec, Positions};

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
    first_position: usize,
}

impl Embeddings {
    /// The same with additional rows for new words, initialised by `init`.
    #[must_use]
    pub fn with_more_words(mut self, words: usize, init: &mut Initializer) -> Self {
        let [_, e] = self.word.dims();
        let rows = Tensor::cat(vec![self.word.val(), init.normal([words, e]).val()], 0);
        self.word = Param::from_tensor(rows.detach());
        self
    }

    /// Fresh tables.
    pub fn new(spec: &EncoderSpec, init: &mut Initializer) -> Self {
        let tables = &spec.embeddings;
        let (e, h) = (tables.width, spec.hidden_size);
        let Positions::Learned { rows, first } = tables.positions;
        Self {
            word: init.normal([tables.vocab_size, e]),
            position: init.normal([rows, e]),
            token_type: (tables.token_types > 0).then(|| init.normal([tables.token_types, e])),
            norm: LayerNorm::new(e, tables.norm_epsilon, init),
            projection: tables.projection.then(|| Linear::new(e, h, init)),
            dropout: tables.dropout,
            first_position: first,
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

    /// The batch's ids to `[tokens, e]`: everything except the projection.
    pub fn embedded(&self, batch: &Batch, context: Context<'_>) -> Tensor<2> {
        let ids = EmbeddingIds {
            words: batch.input_ids.clone(),
            positions: batch.sequences.positions(self.first_position),
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
