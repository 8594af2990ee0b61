//! Any subset of the classes per row.

use serde::{Deserialize, Serialize};

use super::classes::places;
use super::error::{EvaluationError, PoolError, check_count, distinct};
use super::kind::TaskKind;
use super::set::{Pool, PredictionSet};

/// Any subset of the classes per row.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MultiLabelPredictions {
    /// The names of the labels, without duplicates.
    pub classes: Vec<String>,
    /// `[rows, classes]`, row by row: whether the row has the label.
    pub labels: Vec<bool>,
    /// `[rows, classes]`, row by row: larger means more certain; need not be probabilities.
    pub scores: Vec<f64>,
    /// One per class: a label is predicted for rows whose score is at least this.
    pub thresholds: Vec<f64>,
}

impl MultiLabelPredictions {
    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.labels.len() / self.classes.len().max(1)
    }
}

impl PredictionSet for MultiLabelPredictions {
    fn kind(&self) -> TaskKind {
        TaskKind::Multilabel
    }

    fn rows(&self) -> usize {
        Self::rows(self)
    }

    fn check(&self) -> Result<(), EvaluationError> {
        distinct(&self.classes)?;
        let cells = Self::rows(self) * self.classes.len();
        check_count("labels", cells, self.labels.len())?;
        check_count("scores", self.labels.len(), self.scores.len())?;
        check_count("thresholds", self.classes.len(), self.thresholds.len())
    }

    fn same_truth(&self, one: usize, other: usize) -> bool {
        let k = self.classes.len();
        self.labels[one * k..(one + 1) * k] == self.labels[other * k..(other + 1) * k]
    }

    fn right_or_wrong(&self) -> Option<Vec<bool>> {
        let k = self.classes.len().max(1);
        let right = |(labels, scores): (&[bool], &[f64])| {
            let cells = labels.iter().zip(scores).zip(&self.thresholds);
            cells
                .into_iter()
                .all(|((&label, score), at)| label == (score >= at))
        };
        let rows = self.labels.chunks(k).zip(self.scores.chunks(k));
        Some(rows.map(right).collect())
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn support(&self) -> Vec<usize> {
        let mut support = vec![0; self.classes.len()];
        for row in self.labels.chunks(support.len().max(1)) {
            for (count, &label) in support.iter_mut().zip(row) {
                *count += usize::from(label);
            }
        }
        support
    }
}

impl Pool for MultiLabelPredictions {
    /// If the parts have different thresholds, scores are mapped so that all thresholds become 0.5.
    fn pool(parts: &[&Self]) -> Result<Self, PoolError> {
        let Some(head) = parts.first() else {
            return Err(PoolError::Nothing);
        };
        let count = head.classes.len();
        let orders = parts
            .iter()
            .map(|part| places(&head.classes, &part.classes))
            .collect::<Result<Vec<_>, _>>()?;
        let alike = parts.iter().zip(&orders).all(|(part, places)| {
            let thresholds = places.iter().map(|&place| part.thresholds[place]);
            thresholds.eq(head.thresholds.iter().copied())
        });
        let mut all = MultiLabelPredictions {
            classes: head.classes.clone(),
            thresholds: match alike {
                true => head.thresholds.clone(),
                false => vec![0.5; count],
            },
            ..MultiLabelPredictions::default()
        };
        for (part, places) in parts.iter().zip(&orders) {
            for row in part.labels.chunks(count.max(1)) {
                all.labels.extend(places.iter().map(|&place| row[place]));
            }
            for row in part.scores.chunks(count.max(1)) {
                all.scores.extend(places.iter().map(|&place| match alike {
                    true => row[place],
                    false => to_one_half(row[place], part.thresholds[place]),
                }));
            }
        }
        Ok(all)
    }
}

/// Maps a score so that the decision at `threshold` becomes the same decision at 0.5.
fn to_one_half(score: f64, threshold: f64) -> f64 {
    if score >= threshold {
        let above = (score - threshold) / (1.0 - threshold);
        if above > 0.0 { 0.5 + above / 2.0 } else { 0.5 }
    } else {
        // Rounding must not raise the score to the threshold.
        (score / threshold / 2.0).min(0.5_f64.next_down())
    }
}
