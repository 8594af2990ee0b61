//! One of several answers per row; the number of answers may differ between rows.

use serde::{Deserialize, Serialize};

use super::error::{EvaluationError, PoolError, check_count};
use super::kind::TaskKind;
use super::set::{Pool, PredictionSet, joined};

/// One choice per row, as in multiple-choice questions. Choices of different rows are unrelated, so there are no classes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ChoicePredictions {
    /// Index of the right choice of each row, from 0.
    pub labels: Vec<usize>,
    /// The probability of each choice of each row.
    pub probabilities: Vec<Vec<f64>>,
}

impl ChoicePredictions {
    /// The most probable choice of a row; ties go to the first. NaN is never chosen.
    pub fn predicted(&self, row: usize) -> usize {
        let row = &self.probabilities[row];
        (1..row.len()).fold(0, |best, choice| {
            let better = row[choice] > row[best] || row[best].is_nan();
            if better { choice } else { best }
        })
    }
}

impl PredictionSet for ChoicePredictions {
    fn kind(&self) -> TaskKind {
        TaskKind::Choices
    }

    fn rows(&self) -> usize {
        self.labels.len()
    }

    fn check(&self) -> Result<(), EvaluationError> {
        check_count(
            "rows of probabilities",
            self.labels.len(),
            self.probabilities.len(),
        )?;
        let mut rows = self.labels.iter().zip(&self.probabilities);
        match rows.find(|(label, row)| **label >= row.len()) {
            Some((&index, row)) => Err(EvaluationError::Class {
                what: "right choice",
                index,
                classes: row.len(),
            }),
            None => Ok(()),
        }
    }

    fn same_truth(&self, one: usize, other: usize) -> bool {
        self.labels[one] == self.labels[other]
            && self.probabilities[one].len() == self.probabilities[other].len()
    }

    fn right_or_wrong(&self) -> Option<Vec<bool>> {
        let rows = self.labels.iter().enumerate();
        Some(
            rows.map(|(row, &label)| self.predicted(row) == label)
                .collect(),
        )
    }
}

impl Pool for ChoicePredictions {
    fn pool(parts: &[&Self]) -> Result<Self, PoolError> {
        Ok(Self {
            labels: joined(parts.iter().map(|part| &part.labels)),
            probabilities: joined(parts.iter().map(|part| &part.probabilities)),
        })
    }
}
