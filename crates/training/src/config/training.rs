//! The training loop of a fine-tuning run: its length, its batches, and when it evaluates and saves.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// How long, and in which portions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrainingConfig {
    /// Passes over the training rows.
    pub epochs: usize,
    /// Stops after this many optimizer updates, whatever `epochs` says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_steps: Option<u64>,
    /// Rows a batch.
    pub batch_size: usize,
    /// Tokens a batch, instead of rows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch_tokens: Option<usize>,
    /// Batches an update.
    pub gradient_accumulation: usize,
    /// Rows that go through the model at once: the batch in parts, with the gradients of the whole. All of it if not
    /// given. It decides memory, and which units dropout takes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub micro_batch: Option<MicroBatch>,
    /// Whether layers keep their input alone for the backward pass, and compute the rest again: less
    /// memory, more time, the same weights.
    pub recompute: bool,
    /// The order of rows.
    pub sampler: Sampler,
    /// Whether rows of like length are batched together: less padding where a device pads inside
    /// attention, at the price of batches that are less alike. The CPU pads nothing.
    pub bucket_by_length: bool,
    /// Evaluates every so many updates, besides after every epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evaluate_steps: Option<u64>,
    /// The validation metric that decides which weights are kept; the task's main one if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub best_metric: Option<String>,
    /// Stops after this many evaluations without a better one; 0 never stops early.
    pub early_stopping: u32,
    /// Writes a checkpoint every so many updates, besides after every epoch.
    pub checkpoint_steps: u64,
    /// How many checkpoints are kept, the best one not counted.
    pub keep_checkpoints: usize,
    /// Leaves the embeddings as they are.
    pub freeze_embeddings: bool,
    /// Leaves the lowest layers as they are.
    pub freeze_layers: usize,
}

impl Default for TrainingConfig {
    fn default() -> Self {
        Self {
            epochs: 3,
            max_steps: None,
            batch_size: 16,
            batch_tokens: None,
            gradient_accumulation: 1,
            micro_batch: None,
            recompute: false,
            sampler: Sampler::Shuffle,
            bucket_by_length: false,
            evaluate_steps: None,
            best_metric: None,
            early_stopping: 0,
            checkpoint_steps: 500,
            keep_checkpoints: 1,
            freeze_embeddings: false,
            freeze_layers: 0,
        }
    }
}

/// How many rows go through the model at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "MicroBatchForm", into = "MicroBatchForm")]
pub enum MicroBatch {
    /// As many as fit into the device's memory; the one who starts the run tries.
    Auto,
    /// So many at most.
    Rows(usize),
}

#[derive(Serialize, Deserialize)]
#[serde(untagged, expecting = "expected a number of rows, or `auto`")]
enum MicroBatchForm {
    Rows(usize),
    Name(String),
}

impl From<MicroBatch> for MicroBatchForm {
    fn from(value: MicroBatch) -> Self {
        match value {
            MicroBatch::Auto => Self::Name("auto".into()),
            MicroBatch::Rows(rows) => Self::Rows(rows),
        }
    }
}

impl TryFrom<MicroBatchForm> for MicroBatch {
    type Error = String;

    fn try_from(form: MicroBatchForm) -> Result<Self, String> {
        match form {
            MicroBatchForm::Rows(0) => Err("0 rows are too few for a micro-batch".into()),
            MicroBatchForm::Rows(rows) => Ok(Self::Rows(rows)),
            MicroBatchForm::Name(name) => name.parse(),
        }
    }
}

impl FromStr for MicroBatch {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match (text, text.parse::<usize>()) {
            ("auto", _) => Ok(Self::Auto),
            (_, Ok(rows @ 1..)) => Ok(Self::Rows(rows)),
            _ => Err(format!(
                "`{text}` is no micro-batch, expected a number of rows from 1, or `auto`"
            )),
        }
    }
}

impl MicroBatch {
    /// The rows, where they are settled.
    pub fn rows(self) -> Option<usize> {
        match self {
            Self::Auto => None,
            Self::Rows(rows) => Some(rows),
        }
    }
}

/// The order of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sampler {
    /// Each row once an epoch, in an order drawn anew.
    Shuffle,
    /// Each batch holds every class equally often; rows of rarer classes come round again.
    Balanced,
}
