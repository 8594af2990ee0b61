//! Choosing the decision threshold of a binary classifier.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The quantity that a threshold maximises, or the cost that it minimises.
///
/// It is displayed, parsed and serialised by its name, such as `mcc` or `cost:1,5`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum ThresholdObjective {
    /// F1 of the positive class.
    F1,
    /// Mean recall of both classes. It has the same optimum as Youden's J, which is accepted as another name.
    BalancedAccuracy,
    /// Matthews correlation coefficient.
    Mcc,
    /// Share of rows decided correctly.
    Accuracy,
    /// Minimum cost of wrong decisions; the optimum may be to decide all rows alike.
    Cost {
        /// Cost of a false positive; at least 0.
        false_positive: f64,
        /// Cost of a false negative; at least 0, and not both 0.
        false_negative: f64,
    },
}

impl ThresholdObjective {
    /// All objectives without parameters, that is, all except costs.
    pub const ALL: &'static [Self] = &[Self::F1, Self::BalancedAccuracy, Self::Mcc, Self::Accuracy];

    /// The objective as the end of a sentence: `the best f1`, or the lowest cost.
    pub fn aim(self) -> String {
        match self {
            Self::Cost {
                false_positive,
                false_negative,
            } => format!(
                "the lowest cost ({false_positive} for a false positive, {false_negative} for a false negative)"
            ),
            Self::F1 | Self::BalancedAccuracy | Self::Mcc | Self::Accuracy => {
                format!("the best {self}")
            }
        }
    }

    /// The value if `hits` of `positives` and `alarms` of `negatives` are decided positive.
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
            Self::Cost {
                false_positive,
                false_negative,
            } => {
                // The negative cost, as a share of the maximum cost.
                let cost = alarms * false_positive + misses * false_negative;
                -cost / (negatives * false_positive + positives * false_negative)
            }
        }
    }
}

impl fmt::Display for ThresholdObjective {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::F1 => f.pad("f1"),
            Self::BalancedAccuracy => f.pad("balanced_accuracy"),
            Self::Mcc => f.pad("mcc"),
            Self::Accuracy => f.pad("accuracy"),
            Self::Cost {
                false_positive,
                false_negative,
            } => f.pad(&format!("cost:{false_positive},{false_negative}")),
        }
    }
}

/// An unknown threshold objective.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "unknown threshold objective `{name}`; expected f1, balanced_accuracy (or youden), mcc, accuracy, or the costs of a false positive and a false negative such as cost:1,5"
)]
pub struct UnknownObjective {
    /// The given name.
    pub name: String,
}

impl FromStr for ThresholdObjective {
    type Err = UnknownObjective;

    /// Parses a name, or `cost:` with the costs of a false positive and a false negative.
    ///
    /// # Errors
    /// [`UnknownObjective`] for anything else, costs below 0, and costs that are both 0.
    fn from_str(name: &str) -> Result<Self, UnknownObjective> {
        let unknown = || UnknownObjective {
            name: name.to_owned(),
        };
        if let Some(costs) = name.strip_prefix("cost:") {
            let cost = |text: &str| {
                let cost = text.trim().parse::<f64>().ok();
                cost.filter(|cost| cost.is_finite() && *cost >= 0.0)
            };
            let (positive, negative) = costs.split_once(',').ok_or_else(unknown)?;
            return match (cost(positive), cost(negative)) {
                (Some(false_positive), Some(false_negative))
                    if false_positive + false_negative > 0.0 =>
                {
                    Ok(Self::Cost {
                        false_positive,
                        false_negative,
                    })
                }
                _ => Err(unknown()),
            };
        }
        let named = Self::ALL
            .iter()
            .copied()
            .find(|objective| objective.to_string() == name);
        let named = named.or((name == "youden").then_some(Self::BalancedAccuracy));
        named.ok_or_else(unknown)
    }
}

impl TryFrom<String> for ThresholdObjective {
    type Error = UnknownObjective;

    fn try_from(name: String) -> Result<Self, UnknownObjective> {
        name.parse()
    }
}

impl From<ThresholdObjective> for String {
    fn from(objective: ThresholdObjective) -> Self {
        objective.to_string()
    }
}

/// The best threshold for `objective`; a row is positive if its score is at least the threshold.
///
/// The candidates are the midpoints between neighbouring distinct scores, so each side of the threshold has rows. For
/// costs, the lowest score and the number just above the highest one are candidates too: if one mistake is far cheaper
/// than the other, it is best to decide all rows alike. Ties go to the threshold nearest to 0.5, then to the lower one.
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
    let mut consider = |value: f64, threshold: f64| {
        let nearer = |other: f64| (threshold - 0.5).abs() <= (other - 0.5).abs();
        // Equal fractions may differ in the last bits. Thresholds decrease, so the later of two equally near ones is
        // the lower.
        let better = best
            .is_none_or(|(best, at)| value > best + 1e-12 || value > best - 1e-12 && nearer(at));
        if better {
            best = Some((value, threshold));
        }
    };
    let (highest, lowest) = (scores[order[0]], scores[order[order.len() - 1]]);
    let alike = matches!(objective, ThresholdObjective::Cost { .. }) && lowest < highest;
    if alike {
        let value = objective.value(0.0, 0.0, positives, negatives);
        consider(value, highest.next_up());
    }
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
        consider(value, between(scores[below], scores[above]));
    }
    if alike {
        let value = objective.value(positives, negatives, positives, negatives);
        consider(value, lowest);
    }
    best.map(|(_, threshold)| threshold)
}

/// The midpoint of `low < high`, but never `low` itself, which would then be decided positive.
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
        // At 0.2 and at 0.725 three rows are right; 0.475 is nearer to 0.5, but only two are.
        assert!(
            (best_threshold(&labels, &scores, ThresholdObjective::Accuracy).unwrap() - 0.725).abs()
                < 1e-12
        );
        let scores = [0.125, 0.375, 0.625, 0.875];
        // 0.25 and 0.75 are equally near; the lower wins.
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
        for text in [
            "f2",
            "cost",
            "cost:",
            "cost:1",
            "cost:1,-5",
            "cost:0,0",
            "cost:1,inf",
            "cost:1,2,3",
        ] {
            let error = text.parse::<ThresholdObjective>().unwrap_err().to_string();
            assert!(error.contains(&format!("`{text}`")), "{error}");
        }
        let cost: ThresholdObjective = serde_json::from_str("\"cost:1, 5\"").unwrap();
        assert_eq!(cost.to_string(), "cost:1,5");
        assert_eq!(cost.to_string().parse(), Ok(cost));
        assert_eq!(serde_json::to_string(&cost).unwrap(), "\"cost:1,5\"");
        assert_eq!(
            cost.aim(),
            "the lowest cost (1 for a false positive, 5 for a false negative)"
        );
        assert_eq!(ThresholdObjective::Mcc.aim(), "the best mcc");
    }

    #[test]
    fn a_dear_miss_lowers_the_threshold_and_a_dear_alarm_raises_it() {
        let labels = [false, true, false, true];
        let scores = [0.1, 0.3, 0.65, 0.8];
        let at = |costs: &str| best_threshold(&labels, &scores, costs.parse().unwrap()).unwrap();
        assert!((at("cost:1,5") - 0.2).abs() < 1e-12);
        assert!((at("cost:5,1") - 0.725).abs() < 1e-12);
        // All rows are decided alike.
        let (labels, scores) = ([true, false, false], [0.1, 0.3, 0.6]);
        let at = |costs: &str| best_threshold(&labels, &scores, costs.parse().unwrap()).unwrap();
        assert_eq!(at("cost:1,100"), 0.1);
        assert!(at("cost:100,1") > 0.6);
    }

    proptest! {
        #[test]
        fn no_threshold_costs_less(
            rows in prop::collection::vec((any::<bool>(), 0u8..8), 2..30),
            costs in (0u8..10, 1u8..10),
        ) {
            let labels: Vec<bool> = rows.iter().map(|row| row.0).collect();
            let scores: Vec<f64> = rows.iter().map(|row| f64::from(row.1) / 8.0).collect();
            let (false_positive, false_negative) = (f64::from(costs.0), f64::from(costs.1));
            let cost = |threshold: f64| -> f64 {
                labels
                    .iter()
                    .zip(&scores)
                    .map(|(&label, &score)| match (label, score >= threshold) {
                        (false, true) => false_positive,
                        (true, false) => false_negative,
                        _ => 0.0,
                    })
                    .sum()
            };
            let objective = ThresholdObjective::Cost { false_positive, false_negative };
            if let Some(best) = best_threshold(&labels, &scores, objective) {
                for step in 0..=17 {
                    prop_assert!(cost(best) <= cost(f64::from(step) / 16.0 - 1.0 / 32.0) + 1e-9);
                }
            }
        }
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
