//! What a run learns: one task a file.

mod crf;
pub(crate) mod questions;
mod sequence;
mod tags;

use std::ops::Range;
use std::path::PathBuf;

use bertkit_evaluation::{Metric, Predictions, score};
use bertkit_model::{Batch, Context, Naming};
use burn::module::Module;
use burn::tensor::Tensor;

use crate::error::TrainError;
use crate::optimizer::{GradientSum, ParameterRule};
use crate::run_dir::RunDirectory;
pub use questions::{QuestionInfo, QuestionRows, QuestionTask, WindowsBatch};
pub use sequence::{
    Answer, DocumentInfo, Rows, RowsBatch, SequenceTask, Targets, TaskInfo, decide,
    inference_batches,
};
pub(crate) use sequence::{document_logits, pack};

pub use tags::{TagBatch, TagColumns, TagInfo, TagTask, TagTaskName};
pub(crate) use tags::{TaggedRows, decode, word_logits};

/// Rows times the square of the longest.
pub(crate) fn attended(batch: &Batch) -> usize {
    batch.len() * batch.sequences.longest().pow(2)
}

/// What an evaluation on the validation rows found.
#[derive(Debug, Clone, PartialEq)]
pub struct Validation {
    /// Metrics by name; `None` where undefined. The first is the one that chooses.
    pub metrics: Vec<(String, Option<f64>)>,
    /// The choosing metric, signed so that higher is better; `None` where nothing is to be chosen.
    pub score: Option<f64>,
}

impl Validation {
    /// Every metric of the task, and the mean loss; `choosing` chooses, or, if it is `None`, the loss.
    fn new(predictions: &Predictions, loss: f64, choosing: Option<Metric>) -> Self {
        let mut metrics: Vec<(String, Option<f64>)> = Metric::for_task(predictions.task())
            .iter()
            .map(|&metric| (metric.to_string(), score(predictions, metric).ok()))
            .collect();
        metrics.push(("loss".into(), Some(loss).filter(|loss| loss.is_finite())));
        let name = choosing.map_or("loss".to_owned(), |metric| metric.to_string());
        let place = metrics.iter().position(|(known, _)| *known == name);
        let chosen = metrics.remove(place.unwrap_or(0));
        let sign = if choosing.is_some_and(Metric::higher_is_better) {
            1.0
        } else {
            -1.0
        };
        let score = chosen.1.map(|value| sign * value);
        metrics.insert(0, chosen);
        Self { metrics, score }
    }
}

/// A task that starts from a pretrained encoder and answers questions of its own.
pub(crate) trait FineTuned: Task {
    /// The decision threshold that was settled, and how it was chosen.
    fn threshold(&self) -> Option<(f64, String)> {
        None
    }

    /// The temperature that was fitted.
    fn temperature(&self) -> Option<f64> {
        None
    }
}

/// One summand of a loss: a mean over its own items, times a factor.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Term {
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
    pub fn micro_batches<T: Task>(self, task: &T, pass: &T::Pass, number: usize) -> Vec<T::Batch> {
        let rows = task.rows(pass, number);
        let parts = self.parts(rows);
        let part = |i: usize| i * rows / parts..(i + 1) * rows / parts;
        (0..parts)
            .map(|i| task.batch(pass, number, part(i)))
            .collect()
    }
}

/// A task: what goes through the model together, a loss, metrics, and what is saved in the end.
///
/// The order of training is cut into passes, these into batches, and these into micro-batches, which go
/// through the model one by one. A micro-batch is a function of pass, number and rows alone,
/// so that it can be made ahead on another thread, and again after an interruption.
pub trait Task: Sync {
    /// What is trained.
    type Model: Module;
    /// The order of one pass.
    type Pass: Sync;
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
    fn pass(&self, stage: usize, number: u64) -> Result<Self::Pass, TrainError>;

    /// Batches of a pass.
    fn batches(&self, pass: &Self::Pass) -> usize;

    /// Rows of one of them: texts, windows, sequences.
    fn rows(&self, pass: &Self::Pass, number: usize) -> usize;

    /// The micro-batch that these of its rows make.
    fn batch(&self, pass: &Self::Pass, number: usize, rows: Range<usize>) -> Self::Batch;

    /// Tokens of a micro-batch, special tokens included.
    fn tokens(&self, batch: &Self::Batch) -> usize;

    /// Pairs of tokens that a device looks at which pads to the longest sequence: rows times its square.
    fn attended(&self, batch: &Self::Batch) -> usize;

    /// Where the texts of some micro-batches are found, for messages: "the rows from lines 1, 2".
    fn place(&self, batches: &[Self::Batch]) -> String;

    /// The summands of the loss.
    fn terms(&self) -> &[Term];

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
    fn rule(&self, path: &str) -> ParameterRule;

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
