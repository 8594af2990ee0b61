//! What the training loop needs from a task: batches, loss terms, parameter groups and validation metrics.

use std::ops::Range;
use std::path::Path;

use bertkit_model::{Context, Naming};
use burn::module::Module;
use burn::tensor::Tensor;

use crate::engine::param_groups::ParamGroup;
use crate::error::TrainError;

/// The result of an evaluation on the validation rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Validation {
    /// Metrics by name; `None` where undefined. The first one selects the best weights.
    pub metrics: Vec<(String, Option<f64>)>,
    /// The selecting metric, signed so that higher is better; `None` if no weights are to be selected.
    pub score: Option<f64>,
}

/// One term of a loss: a mean over its own items, times a factor.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LossTerm {
    /// Its name in `metrics.jsonl`.
    pub name: &'static str,
    /// The weight of its mean in the total loss.
    pub factor: f64,
}

/// The loss of one micro-batch, before its terms are divided by their number of items and combined.
#[derive(Debug)]
pub struct LossSums {
    /// The sum of each term over its items, `[1]` each, in the order of [`Task::terms`].
    pub sums: Vec<Tensor<1>>,
    /// `[n, h]`, the leaf that the sums were computed from, if the encoder ran without a graph.
    ///
    /// The gradient at this leaf goes to [`Task::second_pass`], which carries it on to the encoder's parameters.
    pub features: Option<Tensor<2>>,
}

impl From<Vec<Tensor<1>>> for LossSums {
    /// Sums on one graph, down to the parameters.
    fn from(sums: Vec<Tensor<1>>) -> Self {
        Self {
            sums,
            features: None,
        }
    }
}

/// How batches are divided into micro-batches.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Split {
    /// Maximum rows of a micro-batch; the whole batch if not given.
    pub most: Option<usize>,
    /// Devices besides the first that take micro-batches in turn.
    pub more_devices: usize,
}

impl Split {
    /// The number of micro-batches of a batch with this many rows; their sizes differ by at most one row.
    pub fn parts(self, rows: usize) -> usize {
        let needed = self.most.map_or(1, |most| rows.div_ceil(most.max(1)));
        needed.max((1 + self.more_devices).min(rows)).max(1)
    }

    /// The micro-batches of one batch.
    pub fn micro_batches<T: Task>(
        self,
        task: &T,
        epoch: &T::Epoch,
        number: usize,
    ) -> Vec<T::Batch> {
        let rows = task.rows(epoch, number);
        let parts = self.parts(rows);
        let part = |i: usize| i * rows / parts..(i + 1) * rows / parts;
        (0..parts)
            .map(|i| task.batch(epoch, number, part(i)))
            .collect()
    }
}

/// What is trained: the batches, their loss, and the metrics on the validation rows.
///
/// Training is a sequence of epochs; an epoch has batches, and a batch has micro-batches, each of which goes through the
/// model in one forward pass. A micro-batch is a function of epoch, batch number and rows alone, so that another thread
/// can prepare it in advance, and a resumed run can prepare it again.
pub trait Task: Sync {
    /// The model that is trained.
    type Model: Module;
    /// The order of the rows in one epoch.
    type Epoch: Sync;
    /// One micro-batch in the host's memory, ready for the model.
    type Batch: Send + Sync;

    /// The stage after `step` updates and this share of the run (0 to 1). A new stage starts a new epoch.
    fn stage(&self, _step: u64, _share: f64) -> usize {
        0
    }

    /// Batches per update in a stage.
    fn accumulation(&self, stage: usize) -> usize;

    /// The order of an epoch. Epochs are numbered across all stages.
    ///
    /// # Errors
    /// The settings do not fit the data.
    fn epoch(&self, stage: usize, number: u64) -> Result<Self::Epoch, TrainError>;

    /// The number of batches in an epoch.
    fn batches(&self, epoch: &Self::Epoch) -> usize;

    /// The number of rows (texts, windows or sequences) in batch `number`.
    fn rows(&self, epoch: &Self::Epoch, number: usize) -> usize;

    /// The micro-batch made of these rows of batch `number`.
    fn batch(&self, epoch: &Self::Epoch, number: usize, rows: Range<usize>) -> Self::Batch;

    /// Tokens of a micro-batch, special tokens included.
    fn tokens(&self, batch: &Self::Batch) -> usize;

    /// Token pairs that attention computes on a device that pads: rows times the square of the longest.
    fn attended(&self, batch: &Self::Batch) -> usize;

    /// Where the texts of some micro-batches come from, for messages: "the rows from lines 1, 2 of the training file".
    fn describe(&self, batches: &[Self::Batch]) -> String;

    /// The terms of the loss.
    fn terms(&self) -> &[LossTerm];

    /// The number of items (or their total weight) of each term in a micro-batch: the divisor of its sum.
    fn weights(&self, batch: &Self::Batch) -> Vec<f64>;

    /// The forward pass and the loss of one micro-batch.
    ///
    /// `micro_batch` numbers the micro-batches of the run; together with the seed it keys all random draws.
    fn loss(
        &self,
        model: &Self::Model,
        batch: &Self::Batch,
        micro_batch: u64,
        context: Context<'_>,
    ) -> LossSums;

    /// After a loss on detached features ([`LossSums::features`]): further losses, computed one at a time, whose
    /// gradients are those of the encoder. `gradient` is the loss's gradient at the features, row by row.
    fn second_pass<'a>(
        &'a self,
        _model: &'a Self::Model,
        _batch: &'a Self::Batch,
        _context: Context<'a>,
        _gradient: Vec<f32>,
    ) -> Box<dyn Iterator<Item = Tensor<1>> + 'a> {
        Box::new(std::iter::empty())
    }

    /// The group of the parameter at a path.
    fn param_group(&self, path: &str) -> ParamGroup;

    /// The names of the parameters in checkpoints.
    fn naming(&self) -> Naming;

    /// The number of validation rows; 0 if there are none.
    fn validation_rows(&self) -> usize;

    /// Metrics on the validation rows.
    ///
    /// # Errors
    /// There are no validation rows, or the selecting metric is not one of the task's.
    fn validate(&self, model: &Self::Model, context: Context<'_>)
    -> Result<Validation, TrainError>;

    /// Whether [`Self::probe`] runs after this update; `last` is true for the last update of the run.
    fn probes(&self, _step: u64, _last: bool) -> bool {
        false
    }

    /// Metrics of the weights on another task, such as a short fine-tuning. `folder` is for temporary files. Nothing in
    /// the run may depend on the result.
    ///
    /// # Errors
    /// The probe failed.
    fn probe(
        &self,
        _model: &Self::Model,
        _folder: &Path,
    ) -> Result<Vec<(String, Option<f64>)>, TrainError> {
        Ok(Vec::new())
    }
}
