//! The encoder: embeddings → layers → pooler, on packed rows.

mod checkpointed;
mod embeddings;
mod layer;

use burn::module::Module;
use burn::tensor::{Int, Tensor};

use crate::batch::Batch;
use crate::config::EncoderConfig;
use crate::context::Context;
use crate::initialize::Initializer;
use crate::ops::{AttentionPlan, Linear};
use crate::sequences::index;
use checkpointed::Recording;

pub use embeddings::Embeddings;
pub use layer::Layer;

/// A BERT-family encoder.
#[derive(Module, Debug)]
pub struct Encoder {
    /// Ids to rows.
    pub embeddings: Embeddings,
    /// From the bottom to the top.
    pub layers: Vec<Layer>,
    /// `tanh(W h[CLS] + b)`, where the architecture has one.
    pub pooler: Option<Linear>,
}

impl Encoder {
    /// Fresh weights. `pooler` says whether the architecture reads the pooled first token.
    pub fn new(config: &EncoderConfig, pooler: bool, init: &mut Initializer) -> Self {
        let h = config.hidden_size;
        Self {
            embeddings: Embeddings::new(config, init),
            layers: (0..config.num_hidden_layers)
                .map(|_| Layer::new(config, init))
                .collect(),
            pooler: pooler.then(|| Linear::new(h, h, init)),
        }
    }

    /// A packed batch to the top layer's rows, `[tokens, h]`.
    pub fn forward(&self, batch: &Batch, context: Context<'_>) -> Tensor<2> {
        self.run(batch, None, context, |_| {})
    }

    /// The given rows of [`Self::forward`], `[rows, h]`.
    ///
    /// After its attention, the top layer computes these rows only. With dropout, that layer's masks
    /// are drawn for this number of rows.
    pub fn forward_rows(&self, batch: &Batch, rows: &[usize], context: Context<'_>) -> Tensor<2> {
        let rows = rows.iter().map(|&row| row as i32).collect();
        let rows = index(rows, &self.embeddings.word.device());
        self.run(batch, Some(&rows), context, |_| {})
    }

    /// The top layer's first row of each sequence, `[batch, h]`.
    ///
    /// # Panics
    /// A sequence is empty: it has no first token.
    pub fn forward_first(&self, batch: &Batch, context: Context<'_>) -> Tensor<2> {
        self.forward_rows(batch, &batch.sequences.first_rows(), context)
    }

    /// The embeddings and the output of each layer, `[tokens, h]` each.
    pub fn hidden_states(&self, batch: &Batch, context: Context<'_>) -> Vec<Tensor<2>> {
        let mut states = Vec::with_capacity(self.layers.len() + 1);
        self.run(batch, None, context, |hidden| states.push(hidden.clone()));
        states
    }

    fn run(
        &self,
        batch: &Batch,
        rows: Option<&Tensor<1, Int>>,
        context: Context<'_>,
        mut see: impl FnMut(&Tensor<2>),
    ) -> Tensor<2> {
        let mut hidden = self.embeddings.forward(batch, context);
        see(&hidden);
        if let Some(recording) = Recording::of(&hidden, context)
            && !self.layers.is_empty()
        {
            let learn = self.embeddings.word.val().is_require_grad();
            let sequences = &batch.sequences;
            return recording.forward(&self.layers, hidden, learn, sequences, rows, see);
        }
        let plan = AttentionPlan::new(&batch.sequences, &hidden.device(), context);
        let top = self.layers.len().wrapping_sub(1);
        for (i, layer) in self.layers.iter().enumerate() {
            hidden = layer.forward(hidden, &plan, rows.filter(|_| i == top), context);
            see(&hidden);
        }
        match rows {
            Some(rows) if self.layers.is_empty() => hidden.select(0, rows.clone()),
            _ => hidden,
        }
    }

    /// The sequence representation given each sequence's first row, `[batch, h]`: the pooled row, or
    /// the row itself where there is no pooler.
    pub fn pool(&self, first: Tensor<2>, context: Context<'_>) -> Tensor<2> {
        match &self.pooler {
            Some(pooler) => pooler.forward(first, context).tanh(),
            None => first,
        }
    }
}
