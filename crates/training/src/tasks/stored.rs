//! An evaluation read from a run directory, converted back to predictions.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use bertkit_evaluation::{Predictions, Report};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::error::{TrainError, setting};

/// The part of a data row that an evaluation records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRow {
    /// Line of the file.
    pub line: u64,
    /// The truth: a label, the tags of a sentence separated by spaces, or a question's name and answers.
    pub truth: String,
    /// Its group, if groups are resampled.
    pub group: Option<String>,
}

/// An evaluation as `bertkit eval` writes it to a run directory.
#[derive(Debug, Clone)]
pub struct StoredEvaluation {
    /// The rows, in the order of the data file.
    pub rows: Vec<StoredRow>,
    /// Predictions and truth, with the decisions of that evaluation.
    pub predictions: Predictions,
}

impl StoredEvaluation {
    /// A group number for each row; equal groups have equal numbers. `None` unless each row has a group.
    pub fn groups(&self) -> Option<Vec<usize>> {
        let mut numbers = HashMap::new();
        let number = |row: &StoredRow| {
            let next = numbers.len();
            Some(*numbers.entry(row.group.clone()?).or_insert(next))
        };
        self.rows.iter().map(number).collect()
    }
}

/// The two files of a stored evaluation.
pub(crate) struct StoredFiles {
    /// `eval/NAME.json`.
    pub report_path: PathBuf,
    /// `eval/NAME.predictions.jsonl`.
    pub rows_path: PathBuf,
    /// The report.
    pub report: Report,
    /// Fields of the report file that [`Report`] does not have.
    extra: Map<String, Value>,
    /// The text of the rows.
    rows: String,
}

#[derive(Deserialize)]
struct ReportFile {
    #[serde(flatten)]
    report: Report,
    #[serde(flatten)]
    extra: Map<String, Value>,
}

impl StoredFiles {
    /// Reads both files.
    ///
    /// # Errors
    /// One of them cannot be read, or the report is not one.
    pub fn read(report_path: PathBuf, rows_path: PathBuf) -> Result<Self, TrainError> {
        let ReportFile { report, extra } = serde_json::from_str(&read(&report_path)?)
            .map_err(|error| unusable(&report_path, error))?;
        let rows = read(&rows_path)?;
        Ok(Self {
            report_path,
            rows_path,
            report,
            extra,
            rows,
        })
    }

    /// A field that a task adds to its reports; `None` if absent.
    ///
    /// # Errors
    /// It has another type.
    pub fn field<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, TrainError> {
        let value = self.extra.get(name).cloned().unwrap_or(Value::Null);
        serde_json::from_value(value).map_err(|error| unusable(&self.report_path, error))
    }

    /// The rows.
    ///
    /// # Errors
    /// A line is not a row.
    pub fn rows<R: DeserializeOwned>(&self) -> Result<Vec<R>, TrainError> {
        let parsed = |(line, text): (usize, &str)| {
            serde_json::from_str(text).map_err(|error| self.wrong(line, error))
        };
        self.rows.lines().enumerate().map(parsed).collect()
    }

    /// The error for a row, with its line; `row` counts from 0.
    pub fn wrong(&self, row: usize, what: impl std::fmt::Display) -> TrainError {
        unusable(&self.rows_path, format!("line {}: {what}", row + 1))
    }

    /// The error for an evaluation whose rows lack data that its metrics need.
    pub fn incomplete(&self) -> TrainError {
        setting(
            format!(
                "`{}` is an evaluation of a {} task, whose rows do not hold all that its scores need",
                self.report_path.display(),
                self.report.task
            ),
            "compare evaluations of classes, labels, numbers, entities or single answers",
        )
    }
}

/// The error for a file that was not written by `bertkit eval`.
pub(crate) fn unusable(path: &Path, what: impl std::fmt::Display) -> TrainError {
    setting(
        format!("`{}` cannot be used: {what}", path.display()),
        "make it anew with `bertkit eval`",
    )
}

fn read(path: &Path) -> Result<String, TrainError> {
    std::fs::read_to_string(path).map_err(|source| TrainError::Read {
        path: PathBuf::from(path),
        source,
    })
}
