//! The training loop of a fine-tuning run: its length, its batches, and when it evaluates and saves.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::flag::{flag, parsed};
use super::range::at_least;
use super::setting::{plain_values, settings};

/// The maximum number of epochs: more are a typing error.
const MOST_EPOCHS: f64 = 100_000.0;

settings! {
    /// The training loop: how long, in which batches, and when it evaluates and saves.
    pub struct TrainingConfig {
        /// Epochs over the training rows.
        epochs: usize = 3 => {
            .range(at_least(1.0).at_most(MOST_EPOCHS))
            .flag(flag("Training", "epochs", "Passes over the training rows").value("N"))
        },
        /// Stops after this many optimizer updates, whatever `epochs` says.
        max_steps: Option<u64> => {
            .range(at_least(1.0))
            .flag(flag("Training", "max-steps", "Stop after this many optimizer updates, whatever [training.epochs] says")
                .value("N"))
        },
        /// Rows per batch.
        batch_size: usize = 16 => {
            .range(at_least(1.0))
            .flag(flag("Training", "batch-size", "Rows in a batch").value("ROWS").conflicts(&["batch-tokens"])
                .replaces(&["training.batch_tokens"]))
        },
        /// Tokens per batch, instead of rows.
        batch_tokens: Option<usize> => {
            .range(at_least(1.0))
            .flag(flag("Training", "batch-tokens", "Tokens in a batch, instead of rows").value("TOKENS"))
        },
        /// Batches per update.
        gradient_accumulation: usize = 1 => {
            .range(at_least(1.0))
            .flag(flag("Training", "gradient-accumulation", "Batches in an update").value("N"))
        },
        /// Rows that go through the model at once: the batch in parts, with the gradients of the whole. The whole batch
        /// if not given. It decides memory, and which units dropout selects.
        micro_batch: Option<MicroBatch> => {
            .flag(flag("Training", "micro-batch", "Rows that go through the model at once, a batch in parts: less memory, \
                    the same gradients. auto tries how many fit").value("ROWS").with(parsed::<MicroBatch>)
                .default("the whole batch"))
        },
        /// Gradient checkpointing: layers keep their input alone for the backward pass and compute the rest again. Less
        /// memory, more time, the same weights.
        recompute: bool = false => {
            .flag(flag("Training", "recompute", "Let layers keep their input alone for the backward pass, and compute the \
                    rest again: less memory, about a third more time, the same weights").switch(true))
        },
        /// The order of rows.
        sampler: Sampler = Sampler::Shuffle => {
            .flag(flag("Training", "sampler", "Order of rows: drawn anew each epoch, or every class equally often in each \
                    batch").value("SAMPLER"))
        },
        /// Whether rows of similar length are batched together: less padding on devices that pad, at the price of less
        /// random batches. The CPU pads nothing.
        bucket_by_length: bool = false => {
            .flag(flag("Training", "bucket-by-length", "Batch rows of like length together: less padding on devices that \
                    pad, which the CPU does not").switch(true))
        },
        /// Evaluates every so many updates, besides after every epoch.
        evaluate_steps: Option<u64> => {
            .range(at_least(1.0))
            .flag(flag("Training", "evaluate-steps", "Evaluate every N updates too").value("N")
                .default("after every epoch"))
        },
        /// The validation metric that selects the weights to keep; the task's main metric if not given.
        best_metric: Option<String> => {
            .flag(flag("Training", "best-metric", "Validation metric that decides which weights are kept, such as f1")
                .value("METRIC").default("the task's"))
        },
        /// Stops after this many evaluations without improvement; 0 never stops early.
        early_stopping: u32 = 0 => {
            .flag(flag("Training", "early-stopping", "Stop after N evaluations without a better one; 0 never stops early")
                .value("N"))
        },
        /// Writes a checkpoint every so many updates, besides after every epoch.
        checkpoint_steps: u64 = 500 => {
            .range(at_least(1.0))
            .flag(flag("Training", "checkpoint-steps", "Write a checkpoint every N updates, besides after every epoch")
                .value("N"))
        },
        /// Checkpoints that are kept, the best one not counted.
        keep_checkpoints: usize = 1 => { .range(at_least(1.0)) },
        /// Whether the embeddings are frozen.
        freeze_embeddings: bool = false => {
            .flag(flag("Model", "freeze-embeddings", "Leave the embeddings as they are").switch(true))
        },
        /// Number of lowest layers that are frozen.
        freeze_layers: usize = 0 => {
            .flag(flag("Model", "freeze-layers", "Leave the lowest N layers as they are").value("N"))
        },
    }
}

/// How many rows go through the model at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "MicroBatchForm", into = "MicroBatchForm")]
pub enum MicroBatch {
    /// As many as fit into the device's memory, found by trial before the run.
    Auto,
    /// At most this many.
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
    /// The number of rows, unless it is still to be determined.
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
    /// Each row once per epoch, in a new random order.
    Shuffle,
    /// Every class equally often in each batch; rows of rarer classes are repeated.
    Balanced,
}

plain_values!(MicroBatch, Sampler);
