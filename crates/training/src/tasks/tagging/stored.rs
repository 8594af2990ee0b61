//! Stored evaluations of taggers.

use bertkit_evaluation::{EntityPredictions, Predictions};

use super::evaluate::TagRow;
use crate::error::TrainError;
use crate::tasks::stored::{StoredEvaluation, StoredFiles, StoredRow};

impl From<&TagRow> for StoredRow {
    fn from(row: &TagRow) -> Self {
        Self {
            line: row.line,
            truth: row.gold.join(" "),
            group: row.group.clone(),
        }
    }
}

/// Reads the tags of sentences.
///
/// # Errors
/// A line is not a row.
pub(crate) fn read(files: &StoredFiles) -> Result<StoredEvaluation, TrainError> {
    let rows: Vec<TagRow> = files.rows()?;
    Ok(StoredEvaluation {
        rows: rows.iter().map(StoredRow::from).collect(),
        predictions: Predictions::Entities(entities(rows)),
    })
}

/// The tags of sentences.
fn entities(rows: Vec<TagRow>) -> EntityPredictions {
    let (gold, predicted) = rows
        .into_iter()
        .map(|row| (row.gold, row.predicted))
        .unzip();
    EntityPredictions { gold, predicted }
}
