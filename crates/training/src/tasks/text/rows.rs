//! Encoded texts with their targets.

use std::ops::Range;

use bertkit_data::documents::Chunks;
use bertkit_data::tokenizer::Encoding;
use bertkit_evaluation::{ClassPredictions, MultiLabelPredictions, Predictions, ScorePredictions};

use super::info::TaskInfo;

/// The targets of rows.
#[derive(Debug, Clone, PartialEq)]
pub enum Targets {
    /// One class per row.
    Classes(Vec<usize>),
    /// `[rows, classes]`, row by row.
    Sets(Vec<bool>),
    /// One number per row.
    Scores(Vec<f64>),
}

impl Targets {
    /// The targets of some rows; `classes` is the width of label sets.
    pub fn select(&self, rows: &[usize], classes: usize) -> Self {
        match self {
            Self::Classes(all) => Self::Classes(rows.iter().map(|&r| all[r]).collect()),
            Self::Sets(all) => Self::Sets(
                rows.iter()
                    .flat_map(|&r| all[r * classes..(r + 1) * classes].to_vec())
                    .collect(),
            ),
            Self::Scores(all) => Self::Scores(rows.iter().map(|&r| all[r]).collect()),
        }
    }

    /// Combines these targets with predictions for the same rows: class probabilities, row by row, or numbers.
    pub fn with_answers(self, info: &TaskInfo, answers: Vec<f64>) -> Predictions {
        match self {
            Self::Classes(labels) => {
                let mut predictions = ClassPredictions::from_probabilities(
                    info.classes.clone(),
                    labels,
                    answers,
                    info.positive,
                );
                if info.positive.is_some()
                    && let Some(&threshold) = info.thresholds.first()
                {
                    predictions.decide_at(threshold);
                }
                if !info.averaged.is_empty() {
                    let chosen = |name: &String| info.averaged.contains(name);
                    let classes = info.classes.iter().enumerate();
                    let classes = classes.filter(|(_, name)| chosen(name));
                    predictions.averaged = Some(classes.map(|(class, _)| class).collect());
                }
                Predictions::Classes(predictions)
            }
            Self::Sets(labels) => Predictions::MultiLabel(MultiLabelPredictions {
                classes: info.classes.clone(),
                labels,
                scores: answers,
                thresholds: info.thresholds.clone(),
            }),
            Self::Scores(targets) => Predictions::Scores(ScorePredictions {
                targets,
                predictions: answers,
            }),
        }
    }
}

/// Token ids and targets of a file's rows.
#[derive(Debug, Clone)]
pub struct Rows {
    /// Token ids of each row; for documents, of all their sections.
    pub encodings: Vec<Encoding>,
    /// The encodings of each row.
    pub ranges: Vec<Range<usize>>,
    /// Tokens of each row.
    pub lengths: Vec<usize>,
    /// Line of each row in its file.
    pub lines: Vec<u64>,
    /// The targets.
    pub targets: Targets,
}

impl Rows {
    /// Rows from encodings, lines and targets.
    pub fn new(encodings: Vec<Encoding>, lines: Vec<u64>, targets: Targets) -> Self {
        Self {
            lengths: encodings.iter().map(Encoding::len).collect(),
            ranges: (0..encodings.len()).map(|row| row..row + 1).collect(),
            encodings,
            lines,
            targets,
        }
    }

    /// Rows of documents, with their lines and targets.
    pub fn of_documents(chunks: Chunks, lines: Vec<u64>, targets: Targets) -> Self {
        Self {
            lengths: chunks.lengths(),
            ranges: (0..chunks.len())
                .map(|document| chunks.of(document))
                .collect(),
            encodings: chunks.encodings,
            lines,
            targets,
        }
    }

    /// The number of rows.
    pub fn len(&self) -> usize {
        self.ranges.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }
}
