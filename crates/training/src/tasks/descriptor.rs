//! What the rest of the program asks about a task.

use std::path::Path;

use bertkit_evaluation::{BootstrapOptions, TaskKind as PredictionKind};
use bertkit_model::DeviceSpec;

use super::rows::OpenRowModel;
use super::stored::{StoredEvaluation, StoredFiles};
use crate::config::FinetuneConfig;
use crate::engine::observer::Observer;
use crate::error::TrainError;
use crate::run::context::RunContext;
use crate::run::finetune::FinetuneRun;

/// What a trained model reads, which decides how `predict` and `eval` read files and flags.
#[derive(Debug, Clone, Copy)]
pub enum TaskInput {
    /// Texts, or pairs of texts: for a [`Predictor`](crate::Predictor).
    Texts,
    /// Sentences of words: for a [`Tagger`](crate::Tagger).
    Words,
    /// Questions about texts: for a [`QuestionAnswerer`](crate::QuestionAnswerer).
    Questions,
    /// Rows of a table, for the [`RowModel`](crate::RowModel) that this opens from a run directory or a model folder.
    Rows(OpenRowModel),
}

/// A task: one constant for each, in the file `mod.rs` of its folder.
#[derive(Debug)]
pub struct TaskDescriptor {
    /// What its models read.
    pub input: TaskInput,
    /// How the names of its models' classes end in transformers.
    pub class_suffix: &'static str,
    /// The kinds of predictions that its evaluations have.
    pub predictions: &'static [PredictionKind],
    /// Whether folds always keep groups together, without a column that names them.
    pub always_grouped: bool,
    /// Reads the data of a run, and prepares its model and task.
    pub(crate) prepare: fn(RunContext, &mut dyn Observer) -> Result<FinetuneRun, TrainError>,
    /// Evaluates a finished run on what it has not seen.
    pub(crate) evaluate_unseen: fn(&UnseenData<'_>, Progress<'_>) -> Result<(), TrainError>,
    /// Reads an evaluation that was written below a run directory.
    pub(crate) read_stored: fn(&StoredFiles) -> Result<StoredEvaluation, TrainError>,
}

/// Receives rows done and rows in total.
pub(crate) type Progress<'a> = &'a mut dyn FnMut(usize, usize);

/// A finished run, and the data that it has not seen: the fold that its configuration holds out, or another file.
#[derive(Debug)]
pub(crate) struct UnseenData<'a> {
    /// The run directory.
    pub run: &'a Path,
    /// The device to evaluate on.
    pub device: DeviceSpec,
    /// The configuration of the run.
    pub config: &'a FinetuneConfig,
    /// The labelled file.
    pub data: &'a Path,
    /// Resamples, confidence and seed of the intervals.
    pub bootstrap: BootstrapOptions,
    /// The name of the files under `eval/`.
    pub name: &'a str,
}

impl UnseenData<'_> {
    /// Whether whole groups are resampled: those that the fold kept together.
    pub fn is_grouped(&self) -> bool {
        self.config.data.fold.is_some() && self.config.data.group.is_some()
    }
}
