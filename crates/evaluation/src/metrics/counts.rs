//! Precision, recall and F1 from counts.

use super::outcome::ClassScores;

/// One of [`ClassScores`], by index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Score {
    Precision = 0,
    Recall = 1,
    F1 = 2,
}

/// How a score is averaged over classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Average {
    /// From the pooled counts.
    Micro,
    /// The mean over classes.
    Macro,
    /// The mean over classes, weighted by their rows.
    Weighted,
}

/// Precision, recall and F1 from the numbers of hits, predictions and true cases.
pub(super) fn scores(hits: f64, predicted: f64, support: f64) -> ClassScores {
    [
        ratio(hits, predicted),
        ratio(hits, support),
        ratio(2.0 * hits, predicted + support),
    ]
}

/// `a / b`, or 0 if `b` is 0: scikit-learn's `zero_division=0`.
fn ratio(a: f64, b: f64) -> f64 {
    if b == 0.0 { 0.0 } else { a / b }
}

/// The counts of each class.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Counts {
    /// Rows of the class that are predicted correctly.
    pub hits: Vec<f64>,
    /// Rows predicted as the class.
    pub predicted: Vec<f64>,
    /// Rows of the class.
    pub support: Vec<f64>,
}

impl Counts {
    pub fn zero(classes: usize) -> Self {
        Self {
            hits: vec![0.0; classes],
            predicted: vec![0.0; classes],
            support: vec![0.0; classes],
        }
    }

    /// The counts of some of the classes.
    pub fn select(&self, classes: &[usize]) -> Self {
        let of = |counts: &[f64]| classes.iter().map(|&class| counts[class]).collect();
        Self {
            hits: of(&self.hits),
            predicted: of(&self.predicted),
            support: of(&self.support),
        }
    }

    /// Whether neither truth nor prediction has the class.
    pub fn is_empty(&self, class: usize) -> bool {
        self.predicted[class] == 0.0 && self.support[class] == 0.0
    }

    /// Precision, recall and F1 of each class.
    pub fn per_class(&self) -> Vec<ClassScores> {
        let classes = 0..self.hits.len();
        classes
            .map(|c| scores(self.hits[c], self.predicted[c], self.support[c]))
            .collect()
    }

    /// A score averaged over classes, given the scores of each class.
    pub fn average(&self, scores: &[ClassScores], score: Score, average: Average) -> f64 {
        let values = scores.iter().map(|of_class| of_class[score as usize]);
        match average {
            Average::Micro => self.micro()[score as usize],
            Average::Macro => mean(values),
            Average::Weighted => self.weighted(values),
        }
    }

    /// Precision, recall and F1 of the pooled counts.
    pub fn micro(&self) -> ClassScores {
        scores(
            self.hits.iter().sum(),
            self.predicted.iter().sum(),
            self.support.iter().sum(),
        )
    }

    /// The mean over classes, weighted by their support; the plain mean if the support is 0.
    pub fn weighted(&self, values: impl Iterator<Item = f64> + Clone) -> f64 {
        let total: f64 = self.support.iter().sum();
        if total == 0.0 {
            return mean(values);
        }
        values
            .zip(&self.support)
            .map(|(value, support)| value * support)
            .sum::<f64>()
            / total
    }
}

/// The mean; 0 without values.
pub(super) fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
    ratio(sum, count)
}
