//! Stored evaluations of multiple choice.

use bertkit_evaluation::{ChoicePredictions, Predictions};
use serde::{Deserialize, Serialize};

use crate::error::TrainError;
use crate::tasks::stored::{StoredEvaluation, StoredFiles, StoredRow};

/// One row of an evaluation, as in `eval/NAME.predictions.jsonl`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ChoiceResult {
    /// Line of the file.
    pub line: u64,
    /// The index of the correct answer's column, from 0.
    pub label: usize,
    /// The index of the predicted answer's column, from 0.
    pub prediction: usize,
    /// The text of the predicted answer.
    pub answer: String,
    /// The probability of each column's answer; 0 where it is empty.
    pub probabilities: Vec<f64>,
    /// The group, if groups are resampled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
}

impl From<&ChoiceResult> for StoredRow {
    fn from(row: &ChoiceResult) -> Self {
        Self {
            line: row.line,
            truth: row.label.to_string(),
            group: row.group.clone(),
        }
    }
}

/// Reads the answers to multiple-choice questions.
///
/// # Errors
/// A line is not a row.
pub(crate) fn read(files: &StoredFiles) -> Result<StoredEvaluation, TrainError> {
    let rows: Vec<ChoiceResult> = files.rows()?;
    let stored = rows.iter().map(StoredRow::from).collect();
    let (labels, probabilities) = rows
        .into_iter()
        .map(|row| (row.label, row.probabilities))
        .unzip();
    Ok(StoredEvaluation {
        rows: stored,
        predictions: Predictions::Choices(ChoicePredictions {
            labels,
            probabilities,
        }),
    })
}
