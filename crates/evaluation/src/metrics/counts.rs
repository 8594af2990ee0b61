//! Precision, recall and F1 from counts.

use crate::metric::Metric;

use super::ClassScores;

/// How precision, recall and F1 are summed up over classes or rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Average {
    /// Of the positive class alone.
    Positive,
    /// Of the pooled counts.
    Micro,
    /// The plain mean over classes.
    Macro,
    /// The mean over classes, weighted by their rows.
    Weighted,
    /// The mean over rows.
    Samples,
}

/// Which of [`ClassScores`] a metric sums up, and how; `None` for the metrics that are not of this kind.
pub(super) fn precision_recall_f1(metric: Metric) -> Option<(usize, Average)> {
    const PRECISION: usize = 0;
    const RECALL: usize = 1;
    const F1: usize = 2;
    Some(match metric {
        Metric::Precision => (PRECISION, Average::Positive),
        Metric::PrecisionMicro => (PRECISION, Average::Micro),
        Metric::PrecisionMacro => (PRECISION, Average::Macro),
        Metric::PrecisionWeighted => (PRECISION, Average::Weighted),
        Metric::PrecisionSamples => (PRECISION, Average::Samples),
        Metric::Recall => (RECALL, Average::Positive),
        Metric::RecallMicro => (RECALL, Average::Micro),
        Metric::RecallMacro => (RECALL, Average::Macro),
        Metric::RecallWeighted => (RECALL, Average::Weighted),
        Metric::RecallSamples => (RECALL, Average::Samples),
        Metric::F1 => (F1, Average::Positive),
        Metric::F1Micro => (F1, Average::Micro),
        Metric::F1Macro => (F1, Average::Macro),
        Metric::F1Weighted => (F1, Average::Weighted),
        Metric::F1Samples => (F1, Average::Samples),
        _ => return None,
    })
}

/// Precision, recall and F1 from the number of hits, of predictions and of true cases.
pub(super) fn scores(hits: f64, predicted: f64, support: f64) -> ClassScores {
    [
        ratio(hits, predicted),
        ratio(hits, support),
        ratio(2.0 * hits, predicted + support),
    ]
}

/// `a / b`, and 0 where `b` is: scikit-learn's `zero_division=0`.
fn ratio(a: f64, b: f64) -> f64 {
    if b == 0.0 { 0.0 } else { a / b }
}

/// The counts of each class.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Counts {
    /// Rows of the class that were predicted so.
    pub hits: Vec<f64>,
    /// Rows predicted to be of the class.
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

    /// Precision, recall and F1 of all classes taken together.
    pub fn micro(&self) -> ClassScores {
        scores(
            self.hits.iter().sum(),
            self.predicted.iter().sum(),
            self.support.iter().sum(),
        )
    }

    /// The mean over classes, weighted by their support; the plain mean if none has any.
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

/// The plain mean; 0 of nothing.
pub(super) fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
    ratio(sum, count)
}
