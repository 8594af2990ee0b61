//! Calibration of probabilities: how to measure it, and temperature scaling.

use serde::{Deserialize, Serialize};

use crate::predictions::{ClassPredictions, MultiLabelPredictions, Predictions, TaskKind};
use crate::report::table::number;
use crate::undefined::Undefined;

/// The usual number of bins (Guo et al. 2017, §2).
pub const CALIBRATION_BINS: usize = 15;

/// The range of temperatures that [`fit_temperature`] searches.
const TEMPERATURES: (f64, f64) = (0.05, 20.0);

/// Deviation of predicted probabilities from observed frequencies.
///
/// Each case is a predicted probability and whether the event occurred. With two classes, the probability is that of the
/// positive class; with more, that of the most probable class (Guo et al. 2017); with several labels, each pair of row
/// and label is a case. Rows of unseen classes are left out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// Number of cases.
    pub cases: usize,
    /// Expected calibration error with bins of equal width (Naeini et al. 2015).
    pub expected_error: f64,
    /// Expected calibration error with bins of equal mass, by probability (Nguyen & O'Connor 2015).
    pub expected_error_equal_mass: f64,
    /// Maximum calibration error over the bins of equal width.
    pub maximum_error: f64,
    /// Mean predicted probability.
    pub confidence: f64,
    /// Share of the cases in which the event occurred.
    pub accuracy: f64,
    /// Decomposition of the squared error of the binned probabilities.
    pub decomposition: Decomposition,
    /// The bins of equal width, including empty ones.
    pub bins: Vec<ReliabilityBin>,
}

/// Murphy's decomposition (1973) over the bins of equal width: squared error = reliability - resolution + uncertainty,
/// exact if the probabilities in each bin are equal.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Decomposition {
    /// Mean squared distance between predicted and observed; lower is better.
    pub reliability: f64,
    /// Mean squared distance between the observed frequency of a bin and the overall one; higher is better.
    pub resolution: f64,
    /// The variance of the observed events, which does not depend on the model.
    pub uncertainty: f64,
}

/// The cases with a probability above `low` (or equal to it, if it is 0) and up to `high`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReliabilityBin {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// Number of cases.
    pub cases: usize,
    /// Mean predicted probability; `None` without cases.
    pub confidence: Option<f64>,
    /// Share of the cases in which the event occurred; `None` without cases.
    pub accuracy: Option<f64>,
}

/// Compares predicted probabilities with observed frequencies in `bins` bins.
///
/// # Errors
/// [`Undefined`] for a task without probabilities, or without any case.
///
/// # Panics
/// If `bins` is 0 or [`Predictions::check`] fails.
pub fn calibration(predictions: &Predictions, bins: usize) -> Result<Calibration, Undefined> {
    assert!(bins > 0, "calibration takes at least one bin");
    let mut cases = cases(predictions)?;
    let total = cases.len() as f64;
    let mut found: Vec<Vec<(f64, bool)>> = vec![Vec::new(); bins];
    for &case in &cases {
        // The first bin whose upper end reaches the probability, found by comparison because a product would round.
        let guess = ((case.0 * bins as f64).ceil() as usize).clamp(1, bins) - 1;
        let up = (guess + 1 < bins && case.0 > edge(guess + 1, bins)) as usize;
        let down = (guess > 0 && case.0 <= edge(guess, bins)) as usize;
        found[guess + up - down].push(case);
    }
    let (confidence, accuracy) = means(&cases);
    let weighted = |of: &dyn Fn(f64, f64) -> f64| {
        let filled = found.iter().filter(|bin| !bin.is_empty());
        let terms = filled.map(|bin| {
            let (confidence, accuracy) = means(bin);
            bin.len() as f64 / total * of(confidence, accuracy)
        });
        terms.sum::<f64>()
    };
    let distances = found
        .iter()
        .filter(|bin| !bin.is_empty())
        .map(|bin| distance(bin));
    let maximum_error = distances.fold(0.0, f64::max);
    let expected_error = weighted(&|confidence, accuracy| (confidence - accuracy).abs());
    let decomposition = Decomposition {
        reliability: weighted(&|confidence, accuracy| (confidence - accuracy).powi(2)),
        resolution: weighted(&|_, seen| (seen - accuracy).powi(2)),
        uncertainty: accuracy * (1.0 - accuracy),
    };
    let bins_found = found.iter().enumerate().map(|(bin, members)| {
        let filled = !members.is_empty();
        let (confidence, accuracy) = means(members);
        ReliabilityBin {
            low: edge(bin, bins),
            high: edge(bin + 1, bins),
            cases: members.len(),
            confidence: filled.then_some(confidence),
            accuracy: filled.then_some(accuracy),
        }
    });
    let bins_found = bins_found.collect();
    // The sort is stable: equal probabilities keep the order of their rows.
    cases.sort_by(|a, b| a.0.total_cmp(&b.0));
    Ok(Calibration {
        cases: cases.len(),
        expected_error,
        expected_error_equal_mass: equal_mass(&cases, bins),
        maximum_error,
        confidence,
        accuracy,
        decomposition,
        bins: bins_found,
    })
}

/// The lower end of bin `number` of equal width.
fn edge(number: usize, bins: usize) -> f64 {
    number as f64 / bins as f64
}

/// Mean probability and observed frequency.
fn means(cases: &[(f64, bool)]) -> (f64, f64) {
    let count = cases.len() as f64;
    let stated: f64 = cases.iter().map(|case| case.0).sum();
    let seen = cases.iter().filter(|case| case.1).count() as f64;
    (stated / count, seen / count)
}

fn distance(cases: &[(f64, bool)]) -> f64 {
    let (confidence, accuracy) = means(cases);
    (confidence - accuracy).abs()
}

/// Splits sorted cases into `bins` parts; if the number is not divisible, the first parts have one case more.
fn equal_mass(cases: &[(f64, bool)], bins: usize) -> f64 {
    let (least, longer) = (cases.len() / bins, cases.len() % bins);
    let mut rest = cases;
    let mut sum = 0.0;
    for bin in 0..bins {
        let (part, behind) = rest.split_at(least + usize::from(bin < longer));
        if !part.is_empty() {
            sum += part.len() as f64 * distance(part);
        }
        rest = behind;
    }
    sum / cases.len() as f64
}

/// Predicted probabilities and whether the event occurred; at least one.
fn cases(predictions: &Predictions) -> Result<Vec<(f64, bool)>, Undefined> {
    if let Err(error) = predictions.check() {
        panic!("{error}");
    }
    let found: Vec<(f64, bool)> = if let Predictions::Classes(p) = predictions {
        if p.probabilities.is_empty() {
            return Err(match p.labels.is_empty() {
                true => Undefined::NoRows,
                false => Undefined::NoProbabilities,
            });
        }
        let binary = p.positive.filter(|_| p.task() == TaskKind::Binary);
        known(p)
            .map(|(row, label)| {
                let class = binary.unwrap_or_else(|| top(row));
                (row[class], label == class)
            })
            .collect()
    } else if let Predictions::MultiLabel(p) = predictions {
        p.scores
            .iter()
            .copied()
            .zip(p.labels.iter().copied())
            .collect()
    } else {
        return Err(Undefined::NoProbabilities);
    };
    if found.is_empty() {
        return Err(match predictions.rows() {
            0 => Undefined::NoRows,
            _ => Undefined::NoKnownClass,
        });
    }
    if let Some(row) = found.iter().position(|case| !(0.0..=1.0).contains(&case.0)) {
        return Err(Undefined::NotFinite {
            what: "probability outside 0 to 1, or one",
            row,
        });
    }
    Ok(found)
}

/// The probabilities and the label of each row of a known class.
fn known(p: &ClassPredictions) -> impl Iterator<Item = (&[f64], usize)> {
    let classes = p.classes.len();
    let rows = p.probabilities.chunks(classes.max(1));
    rows.zip(p.labels.iter().copied())
        .filter(move |&(_, label)| label < classes)
}

fn top(row: &[f64]) -> usize {
    (1..row.len()).fold(
        0,
        |best, class| if row[class] > row[best] { class } else { best },
    )
}

impl Calibration {
    /// The errors as one line, with a line break.
    pub fn summary(&self) -> String {
        format!(
            "calibration: expected error {} ({} bins of equal width), {} (of equal mass), largest {}\n",
            number(Some(self.expected_error)),
            self.bins.len(),
            number(Some(self.expected_error_equal_mass)),
            number(Some(self.maximum_error))
        )
    }
}

/// How the probabilities of a row are related.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbabilityKind {
    /// This many classes that exclude each other: their probabilities add up to one.
    Exclusive(usize),
    /// Independent labels.
    Independent,
}

/// Fits the temperature that maximises the likelihood of these rows; apply it to other rows with [`apply_temperature`].
///
/// Temperature scaling divides the logits (Guo et al. 2017, §4.2): it changes no ranking and no most probable class.
/// The mean negative log-likelihood is convex in `1 / T`, so the optimum is found to machine precision within 0.05 to
/// 20. An end of that range is returned if a model is always right or worse than chance. `None` for tasks without
/// probabilities, or if no row has a known class and finite probabilities.
///
/// # Panics
/// If [`Predictions::check`] fails.
pub fn fit_temperature(predictions: &Predictions) -> Option<f64> {
    if let Err(error) = predictions.check() {
        panic!("{error}");
    }
    // The logits of each case, row after row, the true class first.
    let mut logits = Vec::new();
    let width = if let Predictions::Classes(p) = predictions {
        for (row, label) in known(p).filter(|(row, _)| row.iter().all(|p| p.is_finite())) {
            let others = row.iter().enumerate().filter(|&(class, _)| class != label);
            logits.push(logarithm(row[label]));
            logits.extend(others.map(|(_, &probability)| logarithm(probability)));
        }
        p.classes.len()
    } else if let Predictions::MultiLabel(MultiLabelPredictions { labels, scores, .. }) =
        predictions
    {
        let cells = labels
            .iter()
            .zip(scores)
            .filter(|(_, score)| score.is_finite());
        for (&label, &score) in cells {
            let (yes, no) = (logarithm(score), logarithm(1.0 - score));
            logits.extend(if label { [yes, no] } else { [no, yes] });
        }
        2
    } else {
        return None;
    };
    if logits.is_empty() || width < 2 {
        return None;
    }
    // The derivative of the negative log-likelihood in 1 / T, which increases.
    let slope = |inverse: f64| -> f64 {
        let rows = logits.chunks(width);
        rows.map(|row| {
            let top = row.iter().copied().fold(f64::MIN, f64::max);
            let powers = row.iter().map(|z| ((z - top) * inverse).exp());
            let (sum, mean) = powers.zip(row).fold((0.0, 0.0), |(sum, mean), (power, z)| {
                (sum + power, mean + power * z)
            });
            mean / sum - row[0]
        })
        .sum()
    };
    let (mut low, mut high) = (1.0 / TEMPERATURES.1, 1.0 / TEMPERATURES.0);
    if slope(low) >= 0.0 {
        return Some(TEMPERATURES.1);
    }
    if slope(high) <= 0.0 {
        return Some(TEMPERATURES.0);
    }
    for _ in 0..60 {
        let middle = low + (high - low) / 2.0;
        if slope(middle) < 0.0 {
            low = middle;
        } else {
            high = middle;
        }
    }
    Some(2.0 / (low + high))
}

/// The logarithm with a floor, so that a probability rounded to zero stays finite.
fn logarithm(probability: f64) -> f64 {
    probability.max(1e-300).ln()
}

/// Rescales probabilities, row after row, as if their logits had been divided by `temperature`.
///
/// ```
/// use bertkit_evaluation::{ProbabilityKind, apply_temperature};
///
/// let mut probabilities = [0.8, 0.2];
/// apply_temperature(&mut probabilities, ProbabilityKind::Exclusive(2), 2.0);
/// // Odds of 4 become odds of 2.
/// assert!((probabilities[0] - 2.0 / 3.0).abs() < 1e-12);
/// ```
///
/// # Panics
/// If `temperature` is not above 0.
pub fn apply_temperature(probabilities: &mut [f64], kind: ProbabilityKind, temperature: f64) {
    assert!(temperature > 0.0, "a temperature is above 0");
    if temperature == 1.0 {
        return;
    }
    match kind {
        ProbabilityKind::Exclusive(classes) => {
            for row in probabilities.chunks_mut(classes.max(1)) {
                scale(row, temperature);
            }
        }
        ProbabilityKind::Independent => {
            for cell in probabilities {
                let mut row = [*cell, 1.0 - *cell];
                scale(&mut row, temperature);
                *cell = row[0];
            }
        }
    }
}

fn scale(row: &mut [f64], temperature: f64) {
    let top = row.iter().copied().fold(0.0, f64::max);
    let top = logarithm(top);
    let mut sum = 0.0;
    for p in row.iter_mut() {
        *p = match *p > 0.0 {
            true => ((logarithm(*p) - top) / temperature).exp(),
            // A probability of 0 or NaN is left unchanged.
            false => *p,
        };
        sum += *p;
    }
    if sum > 0.0 {
        row.iter_mut().for_each(|p| *p /= sum);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::{Metric, score};
    use proptest::prelude::*;

    fn classes(count: usize, labels: Vec<usize>, probabilities: Vec<f64>) -> Predictions {
        Predictions::Classes(ClassPredictions::from_probabilities(
            (0..count).map(|class| format!("c{class}")).collect(),
            labels,
            probabilities,
            (count == 2).then_some(1),
        ))
    }

    #[test]
    fn a_bin_holds_its_upper_end_and_not_its_lower() {
        let p = [0.0, 0.2, 0.4, 0.6, 0.8, 1.0];
        let p = classes(
            2,
            vec![0; 6],
            p.iter().flat_map(|&p| [1.0 - p, p]).collect(),
        );
        let found = calibration(&p, 5).unwrap();
        let cases: Vec<usize> = found.bins.iter().map(|bin| bin.cases).collect();
        assert_eq!(cases, [2, 1, 1, 1, 1]);
        assert_eq!(found.maximum_error, 1.0);
        assert_eq!(found.accuracy, 0.0);
        assert!((found.expected_error - 0.5).abs() < 1e-12);
    }

    #[test]
    fn two_classes_are_read_by_the_positive_one_and_more_by_the_most_probable() {
        let p = classes(2, vec![1, 0], vec![0.9, 0.1, 0.9, 0.1]);
        let found = calibration(&p, 1).unwrap();
        assert!((found.confidence - 0.1).abs() < 1e-12 && found.accuracy == 0.5);
        let p = classes(
            3,
            vec![0, 2, 7],
            vec![0.7, 0.2, 0.1, 0.1, 0.5, 0.4, 1.0, 0.0, 0.0],
        );
        let found = calibration(&p, 1).unwrap();
        assert_eq!((found.cases, found.accuracy), (2, 0.5));
        assert!((found.confidence - 0.6).abs() < 1e-12);
        let d = found.decomposition;
        assert!((d.reliability - 0.01).abs() < 1e-12 && d.resolution == 0.0);
        assert_eq!(d.uncertainty, 0.25);
    }

    #[test]
    fn there_is_nothing_to_calibrate_without_probabilities() {
        let none = |p: &Predictions| calibration(p, 15).unwrap_err();
        assert_eq!(none(&classes(2, vec![], vec![])), Undefined::NoRows);
        let Predictions::Classes(mut p) = classes(2, vec![1], vec![0.5, 0.5]) else {
            panic!("made of classes");
        };
        p.probabilities.clear();
        assert_eq!(none(&Predictions::Classes(p)), Undefined::NoProbabilities);
        assert_eq!(
            none(&classes(2, vec![5], vec![0.5, 0.5])),
            Undefined::NoKnownClass
        );
        assert!(calibration(&classes(2, vec![1], vec![f64::NAN, 0.5]), 15).is_ok());
        assert!(calibration(&classes(2, vec![1], vec![0.5, f64::NAN]), 15).is_err());
    }

    #[test]
    fn the_temperature_is_where_more_data_say_the_truth_lies() {
        // Predicted odds are 9 : 1, observed ones 3 : 1: the square root.
        let labels = vec![1, 1, 1, 0];
        let p = classes(2, labels, [0.1, 0.9].repeat(4));
        let found = fit_temperature(&p).unwrap();
        assert!((found - 2.0).abs() < 1e-9, "{found}");
        let labels = Predictions::MultiLabel(MultiLabelPredictions {
            classes: vec!["a".into()],
            labels: vec![true, true, true, false],
            scores: vec![0.9; 4],
            thresholds: vec![0.5],
        });
        assert!((fit_temperature(&labels).unwrap() - 2.0).abs() < 1e-9);
        assert_eq!(
            fit_temperature(&classes(2, vec![1], vec![0.1, 0.9])),
            Some(0.05)
        );
        assert_eq!(
            fit_temperature(&classes(2, vec![0], vec![0.1, 0.9])),
            Some(20.0)
        );
        assert_eq!(fit_temperature(&classes(2, vec![], vec![])), None);
    }

    #[test]
    fn certain_rows_stay_numbers() {
        let mut p = [1.0, 0.0, 0.0, 0.3, 0.7, 0.0];
        apply_temperature(&mut p, ProbabilityKind::Exclusive(3), 3.0);
        assert_eq!(p[..3], [1.0, 0.0, 0.0]);
        assert!((p[3] + p[4] - 1.0).abs() < 1e-12 && p[5] == 0.0);
        let mut p = [1.0, 0.0, 0.5];
        apply_temperature(&mut p, ProbabilityKind::Independent, 3.0);
        assert_eq!(p, [1.0, 0.0, 0.5]);
    }

    proptest! {
        #[test]
        fn no_temperature_does_better_and_no_decision_changes(
            rows in prop::collection::vec((0usize..3, prop::array::uniform3(0.01..1.0_f64)), 2..30),
            other in 0.06..19.0_f64,
        ) {
            let labels: Vec<usize> = rows.iter().map(|row| row.0).collect();
            let probabilities: Vec<f64> = rows
                .iter()
                .flat_map(|(_, p)| p.map(|x| x / p.iter().sum::<f64>()))
                .collect();
            let at = |temperature: f64| {
                let mut scaled = probabilities.clone();
                apply_temperature(&mut scaled, ProbabilityKind::Exclusive(3), temperature);
                let Predictions::Classes(p) = classes(3, labels.clone(), scaled) else {
                    unreachable!("made of classes")
                };
                (p.predicted.clone(), score(&Predictions::Classes(p), Metric::LogLoss).unwrap())
            };
            let best = fit_temperature(&classes(3, labels.clone(), probabilities.clone())).unwrap();
            prop_assert!(at(best).1 <= at(other).1 + 1e-9, "{best} against {other}");
            prop_assert_eq!(at(best).0, at(1.0).0);
        }
    }
}
