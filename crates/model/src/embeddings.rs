//! The bottom of the encoder: words, positions and token types added up.

use burn::module::{Module, Param};
use burn::tensor::{Int, Tensor, TensorData};

use crate::batch::Batch;
use crate::config::EncoderConfig;
use crate::initialize::Initializer;
use crate::ops::{LayerNorm, Linear, Mode, dropout, lookup};

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
    pub fn forward(&self, batch: &Batch, mode: Mode<'_>) -> Tensor<2> {
        let device = self.word.device();
        let index = |ids: Vec<i32>| -> Tensor<1, Int> {
            let n = ids.len();
            Tensor::from_data(TensorData::new(ids, [n]), &device)
        };
        let words = index(batch.input_ids.iter().map(|&id| id as i32).collect());
        let positions = batch.sequences.positions(self.position_offset);
        let positions = index(positions.into_iter().map(|p| p as i32).collect());
        let mut sum = lookup(self.word.val(), words) + lookup(self.position.val(), positions);
        if let Some(table) = &self.token_type {
            let types = index(batch.token_type_ids.iter().map(|&t| i32::from(t)).collect());
            sum = sum + lookup(table.val(), types);
        }
        let embedded = dropout(self.norm.forward(sum), self.dropout, mode);
        match &self.projection {
            Some(projection) => projection.forward(embedded),
            None => embedded,
        }
    }
}
