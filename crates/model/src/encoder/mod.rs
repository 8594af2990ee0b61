//! The encoder: embeddings → layers → pooler, on packed rows.

mod block;
mod checkpointed;
mod embeddings;

use burn::module::Module;
use burn::tensor::{Int, Tensor};

use crate::batch::Batch;
use crate::context::Context;
use crate::initialize::Initializer;
use crate::ops::{AttentionPlan, Linear};
use crate::sequences::index;
use crate::spec::EncoderSpec;
use checkpointed::Recording;

pub use block::Block;
pub use embeddings::Embeddings;

/// An encoder: embeddings, blocks and, in some architectures, a pooler.
#[derive(Module, Debug)]
pub struct Encoder {
    /// Ids to rows.
    pub embeddings: Embeddings,
    /// The parameter sets of the blocks, in the order of their first use.
    pub layers: Vec<Block>,
    /// `tanh(W h[CLS] + b)`, where the architecture has one.
    pub pooler: Option<Linear>,
    /// The parameter set of each block, from the bottom to the top.
    #[module(skip)]
    pub(crate) order: Vec<usize>,
}

impl Encoder {
    /// Fresh weights. `pooler` says whether the architecture reads the pooled first token.
    pub fn new(spec: &EncoderSpec, pooler: bool, init: &mut Initializer) -> Self {
        let h = spec.hidden_size;
        let own = spec.blocks.iter().filter(|b| b.shared_with.is_none());
        Self {
            embeddings: Embeddings::new(spec, init),
            layers: own.map(|block| Block::new(block, h, init)).collect(),
            pooler: pooler.then(|| Linear::new(h, h, init)),
            order: spec.parameter_sets(),
        }
    }

    /// A packed batch to the top block's rows, `[tokens, h]`.
    pub fn forward(&self, batch: &Batch, context: Context<'_>) -> Tensor<2> {
        self.run(batch, None, context, |_| {})
    }

    /// The given rows of [`Self::forward`], `[rows, h]`.
    ///
    /// After its attention, the top block computes these rows only. With dropout, that block's masks
    /// are drawn for this number of rows.
    pub fn forward_rows(&self, batch: &Batch, rows: &[usize], context: Context<'_>) -> Tensor<2> {
        let rows = rows.iter().map(|&row| row as i32).collect();
        let rows = index(rows, &self.embeddings.word.device());
        self.run(batch, Some(&rows), context, |_| {})
    }

    /// The top block's first row of each sequence, `[batch, h]`.
    ///
    /// # Panics
    /// A sequence is empty: it has no first token.
    pub fn forward_first(&self, batch: &Batch, context: Context<'_>) -> Tensor<2> {
        self.forward_rows(batch, &batch.sequences.first_rows(), context)
    }

    /// The embeddings and the output of each block, `[tokens, h]` each.
    pub fn hidden_states(&self, batch: &Batch, context: Context<'_>) -> Vec<Tensor<2>> {
        let mut states = Vec::with_capacity(self.order.len() + 1);
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
        let blocks: Vec<&Block> = self.order.iter().map(|&set| &self.layers[set]).collect();
        let mut hidden = self.embeddings.forward(batch, context);
        see(&hidden);
        if let Some(recording) = Recording::of(&hidden, context)
            && !blocks.is_empty()
        {
            let learn = self.embeddings.word.val().is_require_grad();
            return recording.forward(&blocks, hidden, learn, &batch.sequences, rows, see);
        }
        let plan = AttentionPlan::new(&batch.sequences, &hidden.device(), context);
        let top = blocks.len().wrapping_sub(1);
        for (i, block) in blocks.iter().enumerate() {
            hidden = block.forward(hidden, &plan, rows.filter(|_| i == top), context);
            see(&hidden);
        }
        match rows {
            Some(rows) if blocks.is_empty() => hidden.select(0, rows.clone()),
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
