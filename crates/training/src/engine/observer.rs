//! Events of a run, and the trait that receives them.

use std::path::PathBuf;

use serde::Serialize;

/// What is known before the first step.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// Label and text of each line about the data, the task and the model.
    pub lines: Vec<(String, String)>,
    /// Training rows.
    pub train_rows: usize,
    /// Validation rows.
    pub valid_rows: usize,
    /// Trainable parameters.
    pub parameters: usize,
    /// Optimizer updates of the whole run.
    pub steps: u64,
    /// Tokens of the training rows, special tokens included.
    pub tokens_per_epoch: u64,
}

/// Time and memory of a run, extrapolated from two timed steps.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Estimate {
    /// Seconds of training, without evaluations.
    pub seconds: f64,
    /// Tokens per second in the timed steps.
    pub tokens_per_second: f64,
    /// Bytes: weights, gradients and optimizer state, and the working memory seen in the steps.
    pub memory_bytes: u64,
}

/// One optimizer update.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StepReport {
    /// Updates done, this one included.
    pub step: u64,
    /// Updates of the whole run; an estimate under a time budget.
    pub steps: u64,
    /// Epochs done, with the share of the current one.
    pub epoch: f64,
    /// The loss: the weighted sum of the means of its terms.
    pub loss: f64,
    /// The learning rate of the update.
    pub learning_rate: f64,
    /// The global gradient norm before clipping.
    pub gradient_norm: f64,
    /// Tokens seen so far.
    pub tokens: u64,
    /// Tokens in this update.
    pub step_tokens: u64,
    /// Seconds of training so far, without interruptions.
    pub seconds: f64,
}

/// One evaluation on the validation rows.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EvaluationReport {
    /// Updates done.
    pub step: u64,
    /// Epochs done, with the share of the current one.
    pub epoch: f64,
    /// Metrics by name; `None` where undefined. The first one selects the best weights.
    pub metrics: Vec<(String, Option<f64>)>,
    /// Whether this is the best so far.
    pub is_best: bool,
}

/// The result of a probe: how well the weights do after a short fine-tuning.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ProbeReport {
    /// Updates done.
    pub step: u64,
    /// Metrics by name; `None` where undefined. The first is the main one.
    pub metrics: Vec<(String, Option<f64>)>,
}

/// An event of a run.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A message to the user: rows dropped, weights initialised.
    Note(String),
    /// Training begins at this update (0, or that of a checkpoint).
    Started {
        /// The summary of the run.
        summary: Summary,
        /// Updates already done.
        from_step: u64,
    },
    /// An update was done.
    Step(StepReport),
    /// An evaluation begins.
    Evaluating {
        /// Its number of rows.
        rows: usize,
    },
    /// An evaluation was done.
    Evaluated(EvaluationReport),
    /// The state of a long operation: "tokenised 1200 documents".
    Busy(String),
    /// A probe was done.
    Probed(ProbeReport),
    /// A checkpoint was written.
    Checkpoint(PathBuf),
    /// The run stops before its last update; the reason.
    StoppedEarly(String),
    /// The model was written.
    Finished {
        /// Its folder.
        model: PathBuf,
        /// Seconds of training.
        seconds: f64,
    },
}

/// Receives the events of a run.
pub trait Observer {
    /// Handles one event.
    fn event(&mut self, event: &Event);
}

/// Ignores all events.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Observer for Silent {
    fn event(&mut self, _event: &Event) {}
}
