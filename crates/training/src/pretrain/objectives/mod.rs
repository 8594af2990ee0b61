//! What pretraining learns: one objective a file.

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod golden;
mod mlm;
mod pairs;
mod rtd;
mod sampling;

use std::path::Path;

use bertkit_model::{Context, Naming};
use burn::module::Module;
use burn::tensor::Tensor;

pub(crate) use mlm::{MaskedLm, score as masked_score};
pub(crate) use pairs::SegmentPairs;
pub(crate) use rtd::ReplacedTokens;

use super::source::MaskedBatch;
use crate::engine::task::LossTerm;
use crate::error::TrainError;

/// An objective: a loss on masked sequences, and what is told of it on held-out ones.
pub(crate) trait Learn: Sync {
    /// What is trained.
    type Model: Module;

    /// The summands of the loss.
    fn terms(&self) -> &[LossTerm];

    /// How many items each summand has in a batch.
    fn counts(&self, batch: &MaskedBatch) -> Vec<f64>;

    /// The sum of each summand over its items, `[1]` each. Whatever is drawn is a function of the seed
    /// and of `micro_batch`.
    fn sums(
        &self,
        model: &Self::Model,
        batch: &MaskedBatch,
        micro_batch: u64,
        context: Context<'_>,
    ) -> Vec<Tensor<1>>;

    /// Metrics on held-out sequences; the first is the one to look at.
    fn metrics(
        &self,
        model: &Self::Model,
        batches: &[MaskedBatch],
        context: Context<'_>,
    ) -> Vec<(String, Option<f64>)>;

    /// How the parameters are called in checkpoints.
    fn naming(&self) -> Naming;

    /// Writes the model that is kept, as transformers reads it.
    fn save(&self, model: &Self::Model, folder: &Path) -> Result<(), TrainError>;

    /// Writes the model that helped to train it, where there is one; gives back whether there is.
    fn save_helper(&self, _model: &Self::Model, _folder: &Path) -> Result<bool, TrainError> {
        Ok(false)
    }
}

/// Sums over items, as a mean of f64.
#[derive(Debug, Default, Clone, Copy)]
struct Mean {
    sum: f64,
    count: f64,
}

impl Mean {
    fn add(&mut self, sum: f64, count: usize) {
        self.sum += sum;
        self.count += count as f64;
    }

    /// `None` of nothing.
    fn value(&self) -> Option<f64> {
        (self.count > 0.0).then(|| self.sum / self.count)
    }
}
