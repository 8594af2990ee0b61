//! What the training loop needs of a task.

use std::ops::Range;
use std::path::PathBuf;

use bertkit_model::{Context, Naming};
use burn::module::Module;
use burn::tensor::Tensor;

use crate::engine::optimizer::GradientSum;
use crate::engine::param_groups::ParamGroup;
use crate::error::TrainError;
use crate::run::directory::RunDirectory;

/// What an evaluation on the validation rows found.
#[derive(Debug, Clone, PartialEq)]
pub struct Validation {
    /// Metrics by name; `None` where undefined. The first is the one that chooses.
    pub metrics: Vec<(String, Option<f64>)>,
    /// The choosing metric, signed so that higher is better; `None` where nothing is to be chosen.
    pub score: Option<f64>,
}

/// One summand of a loss: a mean over its own items, times a factor.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LossTerm {
    /// What `metrics.jsonl` calls it.
    pub name: &'static str,
    /// How much its mean counts.
    pub factor: f64,
}

/// The sums of a loss's summands to the loss that is minimised.
pub type Weigh<'a> = dyn FnMut(Vec<Tensor<1>>) -> Option<Tensor<1>> + 'a;

/// How batches are divided into micro-batches.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Split {
    /// Rows of a micro-batch at most; all of the batch if not given.
    pub most: Option<usize>,
    /// Devices that micro-batches go to by turns, besides the first.
    pub more_devices: usize,
}

impl Split {
    /// How many micro-batches a batch of so many rows has, each with about as many rows as the others.
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

/// A task: what goes through the model together, a loss, metrics, and what is saved in the end.
///
/// The order of training is cut into epochs, these into batches, and these into micro-batches, which go
/// through the model one by one. A micro-batch is a function of pass, number and rows alone,
/// so that it can be made ahead on another thread, and again after an interruption.
pub trait Task: Sync {
    /// What is trained.
    type Model: Module;
    /// The order of one pass.
    type Epoch: Sync;
    /// One micro-batch on the host, ready for the model.
    type Batch: Send + Sync;

    /// The stage that applies behind `step` updates, at that share of the run (0 to 1). A new stage
    /// begins a new pass.
    fn stage(&self, _step: u64, _share: f64) -> usize {
        0
    }

    /// Batches an update in a stage.
    fn accumulation(&self, stage: usize) -> usize;

    /// The order of a pass. Passes are numbered through all stages.
    ///
    /// # Errors
    /// The settings do not fit the data.
    fn epoch(&self, stage: usize, number: u64) -> Result<Self::Epoch, TrainError>;

    /// Batches of a pass.
    fn batches(&self, epoch: &Self::Epoch) -> usize;

    /// Rows of one of them: texts, windows, sequences.
    fn rows(&self, epoch: &Self::Epoch, number: usize) -> usize;

    /// The micro-batch that these of its rows make.
    fn batch(&self, epoch: &Self::Epoch, number: usize, rows: Range<usize>) -> Self::Batch;

    /// Tokens of a micro-batch, special tokens included.
    fn tokens(&self, batch: &Self::Batch) -> usize;

    /// Pairs of tokens that a device looks at which pads to the longest sequence: rows times its square.
    fn attended(&self, batch: &Self::Batch) -> usize;

    /// Where the texts of some micro-batches are found, for messages: "the rows from lines 1, 2".
    fn describe(&self, batches: &[Self::Batch]) -> String;

    /// The summands of the loss.
    fn terms(&self) -> &[LossTerm];

    /// How many items each summand has in a micro-batch (or how much they count together): what the
    /// summed loss is divided by.
    fn weights(&self, batch: &Self::Batch) -> Vec<f64>;

    /// The sum over its items of each summand, `[1]` each. `micro_batch` numbers the micro-batches of
    /// the run: together with the seed it decides whatever is drawn.
    fn loss(
        &self,
        model: &Self::Model,
        batch: &Self::Batch,
        micro_batch: u64,
        context: Context<'_>,
    ) -> Vec<Tensor<1>>;

    /// Adds the gradients of one micro-batch. `weigh` makes the loss of what [`Self::loss`] gives; nothing if it has no
    /// summands. It is called once.
    fn learn(
        &self,
        model: &Self::Model,
        batch: &Self::Batch,
        micro_batch: u64,
        context: Context<'_>,
        weigh: &mut Weigh<'_>,
        gradients: &mut GradientSum,
    ) {
        if let Some(loss) = weigh(self.loss(model, batch, micro_batch, context)) {
            context.backward(loss, |found| gradients.add(model, found));
        }
    }

    /// What applies to the parameter at a path.
    fn param_group(&self, path: &str) -> ParamGroup;

    /// How the parameters are called in checkpoints.
    fn naming(&self) -> Naming;

    /// The number of validation rows; 0 if there are none.
    fn validation_rows(&self) -> usize;

    /// Metrics on the validation rows.
    ///
    /// # Errors
    /// There are no validation rows, or the choosing metric is not one.
    fn validate(&self, model: &Self::Model, context: Context<'_>)
    -> Result<Validation, TrainError>;

    /// Whether [`Self::probe`] is asked behind that update; `last` where it is the run's last one.
    fn probes(&self, _step: u64, _last: bool) -> bool {
        false
    }

    /// What the weights are worth for something else than what they are trained for: metrics by name.
    /// Nothing of the run may depend on it.
    ///
    /// # Errors
    /// It could not be done.
    fn probe(
        &self,
        _model: &Self::Model,
        _directory: &RunDirectory,
    ) -> Result<Vec<(String, Option<f64>)>, TrainError> {
        Ok(Vec::new())
    }

    /// Settles what is chosen once on the validation rows with the final weights (a threshold), and
    /// writes the finished model with all that is needed to use it. Gives back its folder.
    ///
    /// # Errors
    /// Something cannot be written.
    fn export(
        &mut self,
        model: Self::Model,
        directory: &RunDirectory,
        context: Context<'_>,
    ) -> Result<PathBuf, TrainError>;
}
