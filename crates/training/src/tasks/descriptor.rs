//! The description of a task for the rest of the program.

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

/// The input of a trained model, which determines how `predict` and `eval` read files and flags.
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
    /// The input of its models.
    pub input: TaskInput,
    /// The suffix of its models' class names in transformers.
    pub class_suffix: &'static str,
    /// The kinds of predictions in its evaluations.
    pub predictions: &'static [PredictionKind],
    /// Whether folds always keep groups together, even without a group column.
    pub always_grouped: bool,
    /// Reads the data of a run, and prepares its model and task.
    pub(crate) prepare: fn(RunContext, &mut dyn Observer) -> Result<FinetuneRun, TrainError>,
    /// Evaluates a finished run on data that it was not trained on.
    pub(crate) evaluate_unseen: fn(&UnseenData<'_>, Progress<'_>) -> Result<(), TrainError>,
    /// Reads an evaluation from a run directory.
    pub(crate) read_stored: fn(&StoredFiles) -> Result<StoredEvaluation, TrainError>,
}

/// Receives rows done and rows in total.
pub(crate) type Progress<'a> = &'a mut dyn FnMut(usize, usize);

/// A finished run, and data that it was not trained on: the fold that its configuration holds out, or another file.
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
    /// Whether whole groups are resampled: those that the fold keeps together.
    pub fn is_grouped(&self) -> bool {
        self.config.data.fold.is_some() && self.config.data.group.is_some()
    }
}
