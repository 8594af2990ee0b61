//! One class per row.

use serde::{Deserialize, Serialize};

use super::error::{EvaluationError, PoolError, check_count, distinct};
use super::kind::TaskKind;
use super::set::{Pool, PredictionSet};

/// One class per row.
///
/// A label of `classes.len()` or more is an *unseen class*, one that the model was not trained on. Such a row is always
/// wrong: it counts in accuracy, as a false positive of the predicted class, and as one additional true class (all such
/// rows together) in Matthews' and Cohen's coefficients and in the confusion matrix. As it belongs to no known class, it
/// does not affect recall, including balanced accuracy, and is left out of the metrics of probabilities (log loss, Brier,
/// areas under curves).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ClassPredictions {
    /// The names of the classes that the model knows, without duplicates.
    pub classes: Vec<String>,
    /// The true class of each row: an index into `classes`, or beyond it for an unseen class.
    pub labels: Vec<usize>,
    /// The predicted class of each row; may differ from the most probable class, for example with a tuned threshold.
    pub predicted: Vec<usize>,
    /// `[rows, classes]`, row by row; empty if the model has no probabilities.
    pub probabilities: Vec<f64>,
    /// The positive class of two; `None` treats two classes like more than two. Does not affect other numbers of classes.
    pub positive: Option<usize>,
    /// The classes included in `micro`, `macro` and `weighted` averages, without duplicates, as scikit-learn's `labels`;
    /// `None` means all. ChemProt, for instance, excludes the class for no relation. Does not affect other metrics.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub averaged: Option<Vec<usize>>,
}

impl ClassPredictions {
    /// Predicts the most probable class of each row; ties go to the first.
    ///
    /// `probabilities` is `[rows, classes]`, row by row.
    pub fn from_probabilities(
        classes: Vec<String>,
        labels: Vec<usize>,
        probabilities: Vec<f64>,
        positive: Option<usize>,
    ) -> Self {
        let predicted = probabilities
            .chunks(classes.len().max(1))
            .map(most_probable)
            .collect();
        Self {
            classes,
            labels,
            predicted,
            probabilities,
            positive,
            averaged: None,
        }
    }

    /// Predicts the positive class of a binary task for rows whose probability is at least `threshold`.
    ///
    /// # Panics
    /// If there are not two classes, one of them positive, with probabilities for every row.
    pub fn decide_at(&mut self, threshold: f64) {
        let (2, Some(positive)) = (self.classes.len(), self.positive) else {
            panic!("a threshold needs two classes, one of them positive");
        };
        assert_eq!(
            self.probabilities.len(),
            self.labels.len() * 2,
            "a threshold needs two probabilities a row"
        );
        self.predicted = self
            .probabilities
            .chunks(2)
            .map(|p| {
                if p[positive] >= threshold {
                    positive
                } else {
                    1 - positive
                }
            })
            .collect();
    }

    /// Binary for two classes with a positive one, else multiclass.
    pub fn task(&self) -> TaskKind {
        match (self.classes.len(), self.positive) {
            (2, Some(_)) => TaskKind::Binary,
            _ => TaskKind::Multiclass,
        }
    }
}

/// The first of the largest; `NaN` is never chosen.
fn most_probable(row: &[f64]) -> usize {
    let mut best = 0;
    for (class, &probability) in row.iter().enumerate() {
        if probability > row[best] || row[best].is_nan() && !probability.is_nan() {
            best = class;
        }
    }
    best
}

impl PredictionSet for ClassPredictions {
    fn kind(&self) -> TaskKind {
        self.task()
    }

    fn rows(&self) -> usize {
        self.labels.len()
    }

    fn check(&self) -> Result<(), EvaluationError> {
        let (rows, classes) = (self.labels.len(), self.classes.len());
        distinct(&self.classes)?;
        check_count("predicted classes", rows, self.predicted.len())?;
        if !self.probabilities.is_empty() {
            check_count("probabilities", rows * classes, self.probabilities.len())?;
        }
        let known = |what, index: usize| {
            if index < classes {
                Ok(())
            } else {
                Err(EvaluationError::Class {
                    what,
                    index,
                    classes,
                })
            }
        };
        self.positive
            .map_or(Ok(()), |positive| known("positive class", positive))?;
        if let Some(averaged) = &self.averaged {
            averaged
                .iter()
                .try_for_each(|&class| known("averaged class", class))?;
            let names: Vec<_> = averaged.iter().map(|&c| self.classes[c].clone()).collect();
            distinct(&names)?;
            if averaged.is_empty() {
                return Err(EvaluationError::NothingAveraged);
            }
        }
        self.predicted
            .iter()
            .try_for_each(|&class| known("predicted class", class))
    }

    /// All unseen classes are treated as the same.
    fn same_truth(&self, one: usize, other: usize) -> bool {
        self.labels[one] == self.labels[other]
    }

    /// The true classes; rows of unseen classes form one stratum.
    fn strata(&self) -> Option<Vec<usize>> {
        let unseen = self.classes.len();
        Some(self.labels.iter().map(|&label| label.min(unseen)).collect())
    }

    fn right_or_wrong(&self) -> Option<Vec<bool>> {
        let pairs = self.labels.iter().zip(&self.predicted);
        Some(pairs.map(|(label, predicted)| label == predicted).collect())
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn support(&self) -> Vec<usize> {
        let mut support = vec![0; self.classes.len()];
        for &label in &self.labels {
            if let Some(count) = support.get_mut(label) {
                *count += 1;
            }
        }
        support
    }
}

impl Pool for ClassPredictions {
    /// Classes are in the order of the first part; predictions are kept; probabilities are dropped if a part has none.
    fn pool(parts: &[&Self]) -> Result<Self, PoolError> {
        let Some(head) = parts.first() else {
            return Err(PoolError::Nothing);
        };
        let count = head.classes.len();
        let mut all = ClassPredictions {
            classes: head.classes.clone(),
            positive: head.positive,
            averaged: head.averaged.clone(),
            ..ClassPredictions::default()
        };
        let probabilities = parts.iter().all(|part| !part.probabilities.is_empty());
        for part in parts {
            let places = places(&head.classes, &part.classes)?;
            let name = |p: &ClassPredictions| {
                let positive = p.positive.and_then(|positive| p.classes.get(positive));
                positive.cloned().unwrap_or_else(|| "none".into())
            };
            if name(head) != name(part) {
                return Err(PoolError::Positive {
                    first: name(head),
                    other: name(part),
                });
            }
            let here = |class: usize| places.iter().position(|&place| place == class);
            let seen = part
                .labels
                .iter()
                .map(|&label| here(label).unwrap_or(count));
            all.labels.extend(seen);
            all.predicted
                .extend(part.predicted.iter().filter_map(|&class| here(class)));
            if probabilities {
                for row in part.probabilities.chunks(count.max(1)) {
                    all.probabilities
                        .extend(places.iter().map(|&place| row[place]));
                }
            }
        }
        Ok(all)
    }
}

/// The index of each of `classes` in `others`, which must contain the same classes in any order.
pub(super) fn places(classes: &[String], others: &[String]) -> Result<Vec<usize>, PoolError> {
    let unknown = |class: &String| PoolError::Classes {
        class: class.clone(),
    };
    if let Some(class) = others.iter().find(|class| !classes.contains(class)) {
        return Err(unknown(class));
    }
    let place = |class: &String| {
        let found = others.iter().position(|other| other == class);
        found.ok_or_else(|| unknown(class))
    };
    classes.iter().map(place).collect()
}
