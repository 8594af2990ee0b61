//! Where the training loop keeps what outlives the process: metrics and checkpoints.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::engine::loss_scale::LossScale;
use crate::engine::optimizer::AdamW;
use crate::error::TrainError;

/// How far a run has come: all counters that the next update depends on.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Optimizer updates done.
    pub step: u64,
    /// The number of the current epoch, from 0.
    pub epoch: u64,
    /// Batches of the current epoch that are done.
    pub batch: usize,
    /// Micro-batches done in the whole run: the counter of dropout.
    pub micro_batches: u64,
    /// Tokens seen.
    pub tokens: u64,
    /// Seconds of training, without evaluations and interruptions.
    pub seconds: f64,
    /// The stage of the current epoch.
    #[serde(default)]
    pub stage: usize,
    /// Seconds of the run including evaluations, without interruptions: what a time budget is compared with.
    #[serde(default)]
    pub elapsed: f64,
    /// The step and the score of the best evaluation so far; higher is better.
    pub best: Option<(u64, f64)>,
    /// Evaluations since the best one.
    pub evaluations_without_better: u32,
    /// The loss scale, in f16.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) loss_scale: Option<LossScale>,
}

/// One line of `metrics.jsonl`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MetricLine {
    /// Updates done.
    pub step: u64,
    /// Epochs done, with the share of the current one.
    pub epoch: f64,
    /// Tokens seen.
    pub tokens: u64,
    /// `train`, `valid` or `probe`.
    pub split: String,
    /// The metric's name.
    pub name: String,
    /// Its value; `null` where undefined.
    pub value: Option<f64>,
    /// The learning rate of the last update.
    pub lr: f64,
    /// Seconds of training.
    pub seconds: f64,
}

/// The complete state needed to resume a run, bit for bit.
pub(crate) struct Snapshot<'a, M> {
    pub model: &'a M,
    pub optimizer: &'a AdamW,
    pub progress: &'a Progress,
}

/// Keeps metrics and checkpoints of a run of model `M`.
pub(crate) trait Store<M> {
    /// Prepares to append metrics after `step` updates; later lines of an interrupted attempt are dropped.
    fn open_metrics(&mut self, step: u64) -> Result<(), TrainError>;

    /// Appends a line to the metrics.
    fn append(&mut self, line: &MetricLine) -> Result<(), TrainError>;

    /// Saves a checkpoint and removes older ones, except the newest `keep` and the best. Returns where it is.
    fn save(&mut self, snapshot: &Snapshot<'_, M>, keep: usize) -> Result<PathBuf, TrainError>;

    /// The weights of the checkpoint after `step` updates, read into `model`.
    fn load(&self, step: u64, model: M) -> Result<M, TrainError>;

    /// A folder for temporary files.
    fn folder(&self) -> &Path;

    /// What the user can do to continue an interrupted run.
    fn how_to_resume(&self) -> String;
}
