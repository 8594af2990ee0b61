//! The training loop of a pretraining run: its end, its batches and its stages.

use super::budget::Budget;
use crate::config::flag::{flag, parsed};
use crate::config::range::{at_least, more_than};
use crate::config::setting::{ListItem, settings};
use crate::config::training::MicroBatch;

/// The settings that can end a run; one of them is given.
const ENDS: &[&str] = &["training.steps", "training.budget", "training.epochs"];

settings! {
    /// The training loop: how long, in which batches, and when it evaluates and saves.
    pub struct PretrainingConfig {
        /// Optimizer updates; else `budget`, else `epochs` end the run.
        steps: Option<u64> => {
            .range(at_least(1.0))
            .flag(flag("Training", "steps", "Stop after this many optimizer updates").value("N")
                .conflicts(&["budget", "epochs"]).replaces(ENDS))
        },
        /// Training time, evaluations included: `30m`, `1h30m`, or seconds. The schedule ends when the time does. A run
        /// that is resumed continues with the rest of it; how many updates fit depends on the machine, so that no two
        /// such runs are equal bit for bit.
        budget: Option<Budget> => {
            .range(more_than(0.0))
            .flag(flag("Training", "budget", "Stop after this time, such as 30m or 1h30m; the schedule ends with it")
                .value("TIME").with(parsed::<Budget>).conflicts(&["epochs"]).replaces(ENDS))
        },
        /// Epochs over the corpus, where nothing else ends the run; 1 if nothing is given at all.
        epochs: Option<f64> => {
            .range(more_than(0.0).at_most(1e6).described("more than 0"))
            .flag(flag("Training", "epochs", "Stop after so many passes over the text").value("N")
                .default("1, without [training.steps] and [training.budget]").replaces(ENDS))
        },
        /// Sequences per batch.
        batch_size: usize = 32 => {
            .range(at_least(1.0))
            .flag(flag("Training", "batch-size", "Sequences in a batch").value("SEQUENCES")
                .replaces(&["training.stages[].batch_size"]))
        },
        /// Batches per update.
        gradient_accumulation: usize = 1 => {
            .range(at_least(1.0))
            .flag(flag("Training", "gradient-accumulation", "Batches in an update").value("N")
                .replaces(&["training.stages[].gradient_accumulation"]))
        },
        /// Sequences that go through the model at once: the batch in parts, with the gradients of the whole. The whole
        /// batch if not given. It decides memory, and which units dropout selects.
        micro_batch: Option<MicroBatch> => {
            .flag(flag("Training", "micro-batch", "Sequences that go through the model at once, a batch in parts: less \
                    memory, the same gradients. auto tries how many fit").value("SEQUENCES").with(parsed::<MicroBatch>)
                .default("the whole batch"))
        },
        /// Gradient checkpointing: layers keep their input alone for the backward pass and compute the rest again. Less
        /// memory, more time, the same weights.
        recompute: bool = false => {
            .flag(flag("Training", "recompute", "Let layers keep their input alone for the backward pass, and compute the \
                    rest again: less memory, about a third more time, the same weights").switch(true))
        },
        /// Parts of the run with other lengths or batches, one after the other; one part if empty.
        stages: Vec<StageConfig>,
        /// Validates every so many updates, besides at the end.
        evaluate_steps: Option<u64> => {
            .range(at_least(1.0))
            .flag(flag("Training", "evaluate-steps", "Validate every N updates too").value("N").default("at the end"))
        },
        /// Most sequences to validate on.
        evaluate_sequences: usize = 512 => { .range(at_least(1.0)) },
        /// Writes a checkpoint every so many updates.
        checkpoint_steps: u64 = 1000 => {
            .range(at_least(1.0))
            .flag(flag("Training", "checkpoint-steps", "Write a checkpoint every N updates").value("N"))
        },
        /// Checkpoints that are kept.
        keep_checkpoints: usize = 1 => {
            .range(at_least(1.0))
            .flag(flag("Training", "keep-checkpoints", "How many checkpoints are kept").value("N"))
        },
    }
}

settings! {
    /// A part of the run: `{ share = 0.9, max_length = 128, batch_size = 256 }`.
    pub struct StageConfig {
        /// Its share of the run, in updates or of a budget in time.
        share: Option<f64> => { .range(more_than(0.0).at_most(1.0)) },
        /// Its updates, instead of a share.
        steps: Option<u64> => { .range(at_least(1.0)) },
        /// Longest sequence in tokens; that of `sequences` if not given.
        max_length: Option<usize> => { .range(at_least(8.0)) },
        /// Sequences per batch; that of `training` if not given.
        batch_size: Option<usize> => { .range(at_least(1.0)) },
        /// Batches per update; that of `training` if not given.
        gradient_accumulation: Option<usize> => { .range(at_least(1.0)) },
    }
}

impl ListItem for StageConfig {
    const EMPTY_IS_UNSET: bool = true;
}
