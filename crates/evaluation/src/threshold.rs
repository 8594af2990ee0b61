//! Where to put the decision threshold of a binary classifier.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What a threshold is to maximise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ThresholdObjective {
    /// F1 of the positive class.
    F1,
    /// Mean of the recalls of both classes; the same thresholds as Youden's J, under which name it is read as well.
    #[serde(alias = "youden")]
    BalancedAccuracy,
    /// Matthews correlation coefficient.
    Mcc,
    /// Share of rows decided correctly.
    Accuracy,
}

impl ThresholdObjective {
    /// Every objective.
    pub const ALL: &'static [Self] = &[Self::F1, Self::BalancedAccuracy, Self::Mcc, Self::Accuracy];

    /// The name in configurations.
    pub const fn name(self) -> &'static str {
        match self {
            Self::F1 => "f1",
            Self::BalancedAccuracy => "balanced_accuracy",
            Self::Mcc => "mcc",
            Self::Accuracy => "accuracy",
        }
    }

    /// The value for the rows decided positive: `hits` of `positives` and `alarms` of `negatives`.
    fn value(self, hits: f64, alarms: f64, positives: f64, negatives: f64) -> f64 {
        let (misses, rejections) = (positives - hits, negatives - alarms);
        match self {
            Self::F1 => 2.0 * hits / (2.0 * hits + alarms + misses),
            Self::BalancedAccuracy => {
                (hits * negatives + rejections * positives) / (2.0 * positives * negatives)
            }
            Self::Accuracy => (hits + rejections) / (positives + negatives),
            Self::Mcc => {
                let decided = (hits + alarms) * (misses + rejections);
                (hits * rejections - alarms * misses) / (decided * positives * negatives).sqrt()
            }
        }
    }
}

impl fmt::Display for ThresholdObjective {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A name that is no threshold objective's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "unknown threshold objective `{name}`; expected f1, balanced_accuracy (or youden), mcc or accuracy"
)]
pub struct UnknownObjective {
    /// The name as given.
    pub name: String,
}

impl FromStr for ThresholdObjective {
    type Err = UnknownObjective;

    fn from_str(name: &str) -> Result<Self, UnknownObjective> {
        let named = Self::ALL
            .iter()
            .copied()
            .find(|objective| objective.name() == name);
        let named = named.or((name == "youden").then_some(Self::BalancedAccuracy));
        named.ok_or_else(|| UnknownObjective {
            name: name.to_owned(),
        })
    }
}

/// The threshold that does best on `objective` when a row is positive where its score is at least the threshold.
///
/// Tried are the midpoints between neighbouring distinct scores, so each side of the threshold has rows. Of thresholds
/// that do equally well it takes the one nearest 0.5, the usual one for probabilities, and of two as near the lower.
/// `None` unless both classes have rows, two scores differ and all are finite.
///
/// # Panics
/// If `labels` and `scores` differ in length.
///
/// ```
/// use bertkit_evaluation::{ThresholdObjective, best_threshold};
///
/// let labels = [false, false, true, true];
/// let scores = [0.1, 0.2, 0.4, 0.7];
/// let threshold = best_threshold(&labels, &scores, ThresholdObjective::F1).expect("both classes have rows");
/// assert!((threshold - 0.3).abs() < 1e-12);
/// ```
pub fn best_threshold(
    labels: &[bool],
    scores: &[f64],
    objective: ThresholdObjective,
) -> Option<f64> {
    assert_eq!(
        labels.len(),
        scores.len(),
        "a threshold needs one score per label"
    );
    let positives = labels.iter().filter(|&&label| label).count();
    if positives == 0 || positives == labels.len() || scores.iter().any(|score| !score.is_finite())
    {
        return None;
    }
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_unstable_by(|&a, &b| scores[b].total_cmp(&scores[a]));
    let (positives, negatives) = (positives as f64, (labels.len() - positives) as f64);

    let mut best: Option<(f64, f64)> = None;
    let (mut hits, mut alarms) = (0.0, 0.0);
    for pair in order.windows(2) {
        let [above, below] = [pair[0], pair[1]];
        *(if labels[above] {
            &mut hits
        } else {
            &mut alarms
        }) += 1.0;
        if scores[above] == scores[below] {
            continue;
        }
        let value = objective.value(hits, alarms, positives, negatives);
        let threshold = between(scores[below], scores[above]);
        let nearer = |other: f64| (threshold - 0.5).abs() <= (other - 0.5).abs();
        // Equal fractions may differ in the last bits. Thresholds fall, so the later of two as near is the lower.
        let better = best
            .is_none_or(|(best, at)| value > best + 1e-12 || value > best - 1e-12 && nearer(at));
        if better {
            best = Some((value, threshold));
        }
    }
    best.map(|(_, threshold)| threshold)
}

/// The midpoint of `low < high`, but never `low` itself, which would be decided positive with it.
fn between(low: f64, high: f64) -> f64 {
    let middle = low / 2.0 + high / 2.0;
    if middle > low { middle } else { high }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::{ClassPredictions, Metric, Predictions, score};
    use proptest::prelude::*;

    #[test]
    fn equal_thresholds_are_settled_by_nearness_to_one_half() {
        let labels = [false, true, false, true];
        let scores = [0.1, 0.3, 0.65, 0.8];
        // At 0.2 and at 0.725 three rows are right; 0.475 is nearer to one half, but only two are.
        assert!(
            (best_threshold(&labels, &scores, ThresholdObjective::Accuracy).unwrap() - 0.725).abs()
                < 1e-12
        );
        let scores = [0.125, 0.375, 0.625, 0.875];
        // 0.25 and 0.75 are as near; the lower wins.
        assert_eq!(
            best_threshold(&labels, &scores, ThresholdObjective::Accuracy),
            Some(0.25)
        );
    }

    #[test]
    fn there_is_no_threshold_for_one_class_or_one_score() {
        let f1 = ThresholdObjective::F1;
        assert_eq!(best_threshold(&[true, true], &[0.1, 0.2], f1), None);
        assert_eq!(best_threshold(&[false, false], &[0.1, 0.2], f1), None);
        assert_eq!(best_threshold(&[false, true], &[0.2, 0.2], f1), None);
        assert_eq!(best_threshold(&[false, true], &[0.2, f64::NAN], f1), None);
        assert_eq!(best_threshold(&[], &[], f1), None);
    }

    #[test]
    fn neighbouring_floats_are_still_told_apart() {
        let low = 0.3_f64;
        let high = low.next_up();
        let threshold =
            best_threshold(&[false, true], &[low, high], ThresholdObjective::Mcc).unwrap();
        assert!(low < threshold && threshold <= high);
    }

    #[test]
    fn objectives_read_back_from_their_names() {
        for &objective in ThresholdObjective::ALL {
            assert_eq!(objective.to_string().parse(), Ok(objective));
            assert_eq!(
                serde_json::to_string(&objective).unwrap(),
                format!("\"{objective}\"")
            );
        }
        assert_eq!("youden".parse(), Ok(ThresholdObjective::BalancedAccuracy));
        let youden: ThresholdObjective = serde_json::from_str("\"youden\"").unwrap();
        assert_eq!(youden, ThresholdObjective::BalancedAccuracy);
        assert!(
            "f2".parse::<ThresholdObjective>()
                .unwrap_err()
                .to_string()
                .contains("`f2`")
        );
    }

    proptest! {
        #[test]
        fn no_threshold_does_better(rows in prop::collection::vec((any::<bool>(), 0u8..8), 2..30)) {
            let labels: Vec<bool> = rows.iter().map(|row| row.0).collect();
            let scores: Vec<f64> = rows.iter().map(|row| f64::from(row.1) / 8.0).collect();
            for (objective, metric) in [
                (ThresholdObjective::F1, Metric::F1),
                (ThresholdObjective::BalancedAccuracy, Metric::BalancedAccuracy),
                (ThresholdObjective::Mcc, Metric::Mcc),
                (ThresholdObjective::Accuracy, Metric::Accuracy),
            ] {
                let at = |threshold: f64| {
                    let mut p = ClassPredictions {
                        classes: vec!["no".into(), "yes".into()],
                        labels: labels.iter().map(|&label| usize::from(label)).collect(),
                        predicted: vec![0; labels.len()],
                        probabilities: scores.iter().flat_map(|&p| [1.0 - p, p]).collect(),
                        positive: Some(1),
                        averaged: None,
                    };
                    p.decide_at(threshold);
                    score(&Predictions::Classes(p), metric).unwrap()
                };
                let Some(best) = best_threshold(&labels, &scores, objective) else { continue };
                let (low, high) = scores.iter().fold((1.0_f64, 0.0_f64), |(l, h), &s| (l.min(s), h.max(s)));
                for step in 0..16 {
                    let other = f64::from(step) / 16.0 + 1.0 / 32.0;
                    if low < other && other <= high {
                        prop_assert!(at(best) >= at(other) - 1e-12, "{objective}: {best} against {other}");
                    }
                }
            }
        }
    }
}
