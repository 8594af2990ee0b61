//! The training loop of a pretraining run: its end, its batches and its stages.

use serde::{Deserialize, Serialize};

use super::budget::Budget;
use crate::config::MicroBatch;

/// How long, and in which portions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PretrainingConfig {
    /// Optimizer updates; else `budget`, else `epochs` end the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps: Option<u64>,
    /// Time that training may take, evaluations included: `30m`, `1h30m`, or seconds. The schedule
    /// ends when the time does. A run that is resumed goes on with what is left of it; how many
    /// updates it fits in depends on the machine, so that no two such runs are the same bit for bit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget: Option<Budget>,
    /// Passes over the corpus, where nothing else ends the run; 1 if nothing is given at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epochs: Option<f64>,
    /// Sequences a batch.
    pub batch_size: usize,
    /// Batches an update.
    pub gradient_accumulation: usize,
    /// Sequences that go through the model at once: the batch in parts, with the gradients of the whole. All of it if
    /// not given. It decides memory, and which units dropout takes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub micro_batch: Option<MicroBatch>,
    /// Whether layers keep their input alone for the backward pass, and compute the rest again: less
    /// memory, more time, the same weights.
    pub recompute: bool,
    /// Parts of the run with other lengths or batches, one behind the other; one part if empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stages: Vec<StageConfig>,
    /// Validates every so many updates, besides at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evaluate_steps: Option<u64>,
    /// Validates on so many sequences at most.
    pub evaluate_sequences: usize,
    /// Writes a checkpoint every so many updates.
    pub checkpoint_steps: u64,
    /// How many checkpoints are kept.
    pub keep_checkpoints: usize,
}

impl Default for PretrainingConfig {
    fn default() -> Self {
        Self {
            steps: None,
            budget: None,
            epochs: None,
            batch_size: 32,
            gradient_accumulation: 1,
            micro_batch: None,
            recompute: false,
            stages: Vec::new(),
            evaluate_steps: None,
            evaluate_sequences: 512,
            checkpoint_steps: 1000,
            keep_checkpoints: 1,
        }
    }
}

/// A part of the run: `{ share = 0.9, max_length = 128, batch_size = 256 }`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StageConfig {
    /// Its share of the run, in updates or under a budget in time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<f64>,
    /// Its updates, instead of a share.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steps: Option<u64>,
    /// Tokens of the longest sequence; that of `sequences` if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_length: Option<usize>,
    /// Sequences a batch; that of `training` if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch_size: Option<usize>,
    /// Batches an update; as in `training` if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gradient_accumulation: Option<usize>,
}
