//! What a run tells whoever watches it.

use std::path::PathBuf;

use serde::Serialize;

/// What is known before the first step.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// Sentences about the data, the task and the model, in the order in which they were settled.
    pub lines: Vec<(String, String)>,
    /// Rows to train on.
    pub train_rows: usize,
    /// Rows to choose by.
    pub valid_rows: usize,
    /// Trainable weights.
    pub parameters: usize,
    /// Optimizer updates of the whole run.
    pub steps: u64,
    /// Tokens of the training rows, special tokens included.
    pub tokens_per_epoch: u64,
}

/// What two timed steps lead one to expect.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Estimate {
    /// Seconds of training, evaluation not counted.
    pub seconds: f64,
    /// Tokens a second in the timed steps.
    pub tokens_per_second: f64,
    /// Bytes: weights, gradients and optimizer state, and the working memory seen in the steps.
    pub memory_bytes: u64,
}

/// One optimizer update.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StepReport {
    /// Updates done, this one included.
    pub step: u64,
    /// Updates of the whole run; under a budget in time, as far as can be told by now.
    pub steps: u64,
    /// Passes over the data, with the share of the present one.
    pub epoch: f64,
    /// Mean loss of the update's labelled items.
    pub loss: f64,
    /// The learning rate that the update used.
    pub learning_rate: f64,
    /// Length of the gradient before clipping.
    pub gradient_norm: f64,
    /// Tokens seen so far.
    pub tokens: u64,
    /// Tokens in this update.
    pub step_tokens: u64,
    /// Seconds of training so far, interruptions not counted.
    pub seconds: f64,
}

/// One evaluation on the validation rows.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EvaluationReport {
    /// Updates done.
    pub step: u64,
    /// Passes over the data.
    pub epoch: f64,
    /// Metrics by name; `None` where undefined. The first is the one that chooses.
    pub metrics: Vec<(String, Option<f64>)>,
    /// Whether this is the best so far.
    pub is_best: bool,
}

/// What a probe found: how good the weights are as the beginning of a fine-tuning.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ProbeReport {
    /// Updates done.
    pub step: u64,
    /// Metrics by name; `None` where undefined. The first is the main one.
    pub metrics: Vec<(String, Option<f64>)>,
}

/// What happens during a run, as it happens.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// Something that the user should know: rows dropped, weights that started fresh.
    Note(String),
    /// Training begins, at this update (0, or where a checkpoint left off).
    Started {
        /// What is known.
        summary: Summary,
        /// Updates already done.
        from_step: u64,
    },
    /// An update was done.
    Step(StepReport),
    /// Evaluation begins on so many rows.
    Evaluating {
        /// Rows.
        rows: usize,
    },
    /// An evaluation was done.
    Evaluated(EvaluationReport),
    /// Something that takes a while goes on: "tokenised 1200 documents".
    Busy(String),
    /// A probe was done.
    Probed(ProbeReport),
    /// A checkpoint was written.
    Checkpoint(PathBuf),
    /// The run stops before its last update, for this reason.
    StoppedEarly(String),
    /// The model was written.
    Finished {
        /// Where it lies.
        model: PathBuf,
        /// Seconds of training.
        seconds: f64,
    },
}

/// Whoever watches: a terminal, a test.
pub trait Observer {
    /// Takes note.
    fn event(&mut self, event: &Event);
}

/// Watches nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Observer for Silent {
    fn event(&mut self, _event: &Event) {}
}
