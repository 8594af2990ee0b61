//! Models that read the rows of a table: the interface that `predict` and `eval` use for any task.

use std::fmt;
use std::path::{Path, PathBuf};

use bertkit_data::examples::MissingPolicy;
use bertkit_data::perturb::Perturbation;
use bertkit_data::sources::ReadOptions;
use bertkit_data::table::Table;
use bertkit_evaluation::{BootstrapOptions, Report};
use bertkit_model::{DeviceSpec, Precision};
use serde_json::{Value, json};

use super::evaluation::{Perturbed, add_findings};
use crate::config::FoldConfig;
use crate::error::TrainError;

/// Opens the model of a run directory or a model folder.
pub type OpenRowModel = fn(&Path, DeviceSpec) -> Result<Box<dyn RowModel>, TrainError>;

/// A trained model that reads the rows of a table.
pub trait RowModel: fmt::Debug {
    /// Notes about the folder, for the user.
    fn notes(&self) -> &[String];

    /// Whether the training file's first row named its columns.
    fn header(&self) -> bool;

    /// Sets the matmul precision; f32 is the default.
    ///
    /// # Errors
    /// The device does not support it.
    fn set_precision(&mut self, precision: Precision) -> Result<(), TrainError>;

    /// Predicts the rows of a table. `progress` receives the number done.
    ///
    /// # Errors
    /// A column is missing, or a row cannot be used.
    fn predict(
        &self,
        table: &Table,
        progress: &mut dyn FnMut(usize),
    ) -> Result<RowPredictions, TrainError>;

    /// Evaluates the model on a labelled file. `progress` receives rows done and rows in total. If a run directory was opened,
    /// the report is written there as `eval/NAME.json` and the rows as `eval/NAME.predictions.jsonl`.
    ///
    /// # Errors
    /// The file cannot be used, or a report cannot be written.
    fn evaluate(
        &self,
        options: &RowEvalOptions,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<RowEvaluation, TrainError>;
}

/// The columns that predictions add to a table.
#[derive(Debug, Clone, PartialEq)]
pub struct RowPredictions {
    /// Their names.
    pub columns: Vec<String>,
    /// Their values, row by row.
    pub rows: Vec<Vec<Value>>,
    /// Number of rows with a text longer than the model's input.
    pub truncated: usize,
    /// The model's input length in tokens.
    pub max_length: usize,
}

/// What to evaluate on, and how.
#[derive(Debug, Clone)]
pub struct RowEvalOptions {
    /// The labelled file.
    pub data: PathBuf,
    /// How it is read.
    pub read: ReadOptions,
    /// Column with the label; that of training if not given.
    pub label: Option<String>,
    /// Group column: rows that share a value are resampled together.
    pub group: Option<String>,
    /// How rows without a text or label are treated.
    pub missing: MissingPolicy,
    /// Resamples, confidence and seed of the intervals; groups come from `group`.
    pub bootstrap: BootstrapOptions,
    /// Changes to the texts; the model is evaluated again under each. The seed is that of `bootstrap`.
    pub perturbations: Vec<Perturbation>,
    /// The name of the files under `eval/`; the data file's stem if not given.
    pub name: Option<String>,
    /// Evaluates only the rows that this fold of the file holds out; by whole groups if there is a `group`.
    pub fold: Option<FoldConfig>,
}

/// An evaluation on the rows of a table.
#[derive(Debug, Clone)]
pub struct RowEvaluation {
    /// Metrics with intervals.
    pub report: Report,
    /// The effect of each perturbation.
    pub perturbed: Vec<Perturbed>,
    /// Notes for the user.
    pub notes: Vec<String>,
    /// Where report and rows were written, if a run directory was evaluated.
    pub written: Option<(PathBuf, PathBuf)>,
}

impl RowEvaluation {
    /// The report as JSON, with perturbations and notes.
    pub fn to_json(&self) -> Value {
        let mut value = json!(self.report);
        add_findings(&mut value, &self.perturbed, &self.notes);
        value
    }
}
