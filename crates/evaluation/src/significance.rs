//! Whether the difference between two models on the same rows is significant.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::distributions::{fair_coin_at_most, normal_two_sided};
use crate::folds::pool;
use crate::metric::Metric;
use crate::metrics::{Evaluator, evaluator};
use crate::predictions::{EvaluationError, PoolError, Predictions};
use crate::report::table::{Table, number};
use crate::statistics::{BootstrapOptions, Resampler, percentile_interval};
use crate::undefined::Undefined;

/// Values closer than this are considered equal: sums in a different order differ in their last bits.
const EQUAL: f64 = 1e-12;

/// Options of a comparison.
#[derive(Clone, Debug, PartialEq)]
pub struct ComparisonOptions {
    /// Resamples, confidence, seed and groups. Groups are resampled and swapped as a whole. The seed also determines
    /// the permutations.
    pub bootstrap: BootstrapOptions,
    /// Number of random permutations; 0 disables the test. If there are at most this many permutations in total, each
    /// is used once and the p-value is exact.
    pub permutations: usize,
}

impl Default for ComparisonOptions {
    /// 1,000 resamples, 95%, seed 0, no groups, 10,000 permutations.
    fn default() -> Self {
        Self {
            bootstrap: BootstrapOptions::default(),
            permutations: 10_000,
        }
    }
}

/// A comparison of two models.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// Number of rows.
    pub rows: usize,
    /// Number of groups, if groups were resampled and swapped as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub groups: Option<usize>,
    /// The confidence level of the intervals.
    pub confidence: f64,
    /// Number of resamples.
    pub resamples: usize,
    /// Number of permutations used.
    pub permutations: usize,
    /// Whether these are all permutations.
    pub exact: bool,
    /// The seed of resamples and permutations.
    pub seed: u64,
    /// One entry per requested metric, in the same order.
    pub metrics: Vec<Difference>,
    /// McNemar's test, for predictions where each row is right or wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mcnemar: Option<McNemar>,
}

/// One metric of two models.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// The metric.
    pub metric: Metric,
    /// Its value for the first model.
    pub a: Option<f64>,
    /// Its value for the second model.
    pub b: Option<f64>,
    /// `b - a`.
    pub difference: Option<f64>,
    /// Lower end of the interval of the difference.
    pub low: Option<f64>,
    /// Upper end of the interval of the difference.
    pub high: Option<f64>,
    /// Two-sided bootstrap p-value: twice the share of resamples on which the difference has the rarer sign or is zero,
    /// at most 1.
    pub p_bootstrap: Option<f64>,
    /// Two-sided permutation p-value: the share of permutations with a difference of at least this size.
    pub p_permutation: Option<f64>,
    /// The reason why there is no value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undefined: Option<String>,
}

/// McNemar's test (1947) on the rows that exactly one of the two models predicts correctly.
///
/// It treats rows as independent, even if the other tests use groups.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct McNemar {
    /// Rows that only the first model predicts correctly.
    pub only_a: u64,
    /// Rows that only the second model predicts correctly.
    pub only_b: u64,
    /// The two-sided binomial test.
    pub p_exact: f64,
    /// Chi-square with continuity correction, `(|b - c| - 1)² / (b + c)` (Edwards 1948); 0 if both are equal.
    pub chi_square: f64,
    /// The upper tail of the chi-square distribution with one degree of freedom.
    pub p_chi_square: f64,
}

/// Why two models cannot be compared.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ComparisonError {
    /// The models have different tasks or classes.
    #[error(transparent)]
    Pool(#[from] PoolError),
    /// The models predicted different numbers of rows.
    #[error("the first predictions have {a} rows, the second {b}")]
    Rows {
        /// Rows of the first.
        a: usize,
        /// Rows of the second.
        b: usize,
    },
    /// The models have different truths for a row.
    #[error("row {row} has another truth in the second predictions than in the first")]
    Truth {
        /// The first such row, counted from 0.
        row: usize,
    },
    /// The predictions or options are inconsistent.
    #[error(transparent)]
    Parts(#[from] EvaluationError),
}

/// McNemar's test from the numbers of rows that only one model predicts correctly.
///
/// ```
/// let test = bertkit_evaluation::mcnemar(3, 12);
/// // scipy.stats.binomtest(3, 15).pvalue
/// assert!((test.p_exact - 0.03515625).abs() < 1e-12);
/// ```
pub fn mcnemar(only_a: u64, only_b: u64) -> McNemar {
    let both = only_a + only_b;
    let p_exact = (2.0 * fair_coin_at_most(only_a.min(only_b), both)).min(1.0);
    let beyond = only_a.abs_diff(only_b).saturating_sub(1) as f64;
    let chi_square = if both == 0 {
        0.0
    } else {
        beyond * beyond / both as f64
    };
    McNemar {
        only_a,
        only_b,
        p_exact,
        chi_square,
        p_chi_square: normal_two_sided(chi_square.sqrt()),
    }
}

/// Compares the predictions of two models for the same rows, in the same order.
///
/// *Bootstrap*: both models are evaluated on the same resamples, drawn as by [`evaluate`](crate::evaluate); the
/// interval is the percentile interval of the difference. *Permutation* (approximate randomisation, Noreen 1989): under
/// the null hypothesis, the two predictions for a row are exchangeable. The p-value is the share of random swaps with a
/// difference at least as large, `(1 + count) / (1 + permutations)`, or exact if there are at most as many permutations
/// as requested. The results do not depend on the number of threads.
///
/// Resamples or permutations on which a metric is undefined are left out; if they are more than half, there is no
/// interval or p-value.
///
/// # Errors
/// [`ComparisonError`] if the predictions are not for the same rows.
pub fn compare(
    a: &Predictions,
    b: &Predictions,
    metrics: &[Metric],
    options: &ComparisonOptions,
) -> Result<Comparison, ComparisonError> {
    for predictions in [a, b] {
        predictions.check()?;
        options.bootstrap.check(predictions.rows())?;
    }
    let rows = a.rows();
    if b.rows() != rows {
        return Err(ComparisonError::Rows {
            a: rows,
            b: b.rows(),
        });
    }
    // The rows of both models as one data set; weights select the model for each row.
    let both = pool(&[a, b])?;
    if let Some(row) = (0..rows).find(|&row| !both.set().same_truth(row, rows + row)) {
        return Err(ComparisonError::Truth { row });
    }
    let task = a.task();
    let known: Vec<Metric> = metrics
        .iter()
        .copied()
        .filter(|metric| metric.applies_to(task))
        .collect();
    let evaluators = [evaluator(a, &known), evaluator(b, &known)];
    let everything = vec![1.0; rows];
    let values = evaluators
        .each_ref()
        .map(|e| e.outcome(&everything).metrics);
    let resampled = resample(a, &evaluators, known.len(), &options.bootstrap);
    let units = units(rows, options.bootstrap.groups.as_deref());
    let permuted = Permuted::new(&both, &known, &units, rows, options);

    let mut found = metrics.iter().map(|&metric| {
        let mut difference = Difference {
            metric,
            a: None,
            b: None,
            difference: None,
            low: None,
            high: None,
            p_bootstrap: None,
            p_permutation: None,
            undefined: None,
        };
        let Some(column) = known.iter().position(|&known| known == metric) else {
            let metric = metric.name();
            let reason = Undefined::NotApplicable { metric, task };
            difference.undefined = Some(reason.to_string());
            return difference;
        };
        let (a, b) = (&values[0][column], &values[1][column]);
        (difference.a, difference.b) = (a.as_ref().ok().copied(), b.as_ref().ok().copied());
        match (a, b) {
            (Ok(a), Ok(b)) => {
                difference.difference = Some(b - a);
                let mut drawn: Vec<f64> = resampled[column].clone();
                if let Some(drawn) = mostly_defined(&mut drawn) {
                    difference.p_bootstrap = Some(bootstrap_p(drawn));
                    let interval = percentile_interval(drawn, options.bootstrap.confidence);
                    (difference.low, difference.high) = interval.unzip();
                }
                difference.p_permutation = permuted.p(column);
            }
            (Err(reason), _) | (_, Err(reason)) => difference.undefined = Some(reason.to_string()),
        }
        difference
    });
    Ok(Comparison {
        rows,
        groups: options.bootstrap.groups.as_ref().map(|_| units.len()),
        confidence: options.bootstrap.confidence,
        resamples: options.bootstrap.resamples,
        permutations: permuted.taken,
        exact: permuted.exact,
        seed: options.bootstrap.seed,
        metrics: found.by_ref().collect(),
        mcnemar: both.set().right_or_wrong().map(|right| {
            let (a, b) = right.split_at(rows);
            let only = |mine: &[bool], other: &[bool]| {
                mine.iter().zip(other).filter(|&(&m, &o)| m && !o).count() as u64
            };
            mcnemar(only(a, b), only(b, a))
        }),
    })
}

/// The differences `b - a` on each resample, by metric; NaN where undefined.
fn resample(
    predictions: &Predictions,
    evaluators: &[Box<dyn Evaluator + '_>; 2],
    metrics: usize,
    options: &BootstrapOptions,
) -> Vec<Vec<f64>> {
    let resampler = Resampler::new(predictions, options);
    if resampler.fixed().is_some() {
        return vec![Vec::new(); metrics];
    }
    let drawn = resampler.map(options.resamples, |weights| {
        let [a, b] = evaluators.each_ref().map(|e| e.outcome(weights).metrics);
        differences(a, b)
    });
    columns(&drawn, metrics)
}

fn differences(a: Vec<Result<f64, Undefined>>, b: Vec<Result<f64, Undefined>>) -> Vec<f64> {
    let pairs = a.into_iter().zip(b);
    pairs
        .map(|(a, b)| b.unwrap_or(f64::NAN) - a.unwrap_or(f64::NAN))
        .collect()
}

fn columns(rows: &[Vec<f64>], width: usize) -> Vec<Vec<f64>> {
    let column = |column: usize| rows.iter().map(|row| row[column]).collect();
    (0..width).map(column).collect()
}

/// Moves the defined values to the front; `None` if there are none or fewer than half.
fn mostly_defined(values: &mut [f64]) -> Option<&mut [f64]> {
    values.sort_unstable_by_key(|value| value.is_nan());
    let defined = values.partition_point(|value| !value.is_nan());
    (defined > 0 && 2 * defined >= values.len()).then(|| &mut values[..defined])
}

fn bootstrap_p(differences: &[f64]) -> f64 {
    let count = |of: fn(f64) -> bool| differences.iter().filter(|&&d| of(d)).count();
    let rarer = count(|d| d <= EQUAL).min(count(|d| d >= -EQUAL));
    (2.0 * (rarer + 1) as f64 / (differences.len() + 1) as f64).min(1.0)
}

/// The rows that are swapped together.
fn units(rows: usize, groups: Option<&[usize]>) -> Vec<Vec<usize>> {
    match groups {
        None => (0..rows).map(|row| vec![row]).collect(),
        Some(groups) => {
            let mut units = std::collections::BTreeMap::<usize, Vec<usize>>::new();
            for (row, &group) in groups.iter().enumerate() {
                units.entry(group).or_default().push(row);
            }
            units.into_values().collect()
        }
    }
}

/// The differences under permutations.
struct Permuted {
    /// The differences without swaps.
    observed: Vec<f64>,
    /// By metric; NaN if undefined.
    columns: Vec<Vec<f64>>,
    taken: usize,
    exact: bool,
}

impl Permuted {
    /// `both` has the rows of the first model, then those of the second.
    fn new(
        both: &Predictions,
        metrics: &[Metric],
        units: &[Vec<usize>],
        rows: usize,
        options: &ComparisonOptions,
    ) -> Self {
        let evaluator = evaluator(both, metrics);
        let difference = |weights: &mut Vec<f64>, swapped: &mut dyn FnMut(usize) -> bool| {
            for (unit, members) in units.iter().enumerate() {
                let (a, b) = if swapped(unit) {
                    (0.0, 1.0)
                } else {
                    (1.0, 0.0)
                };
                for &row in members {
                    (weights[row], weights[rows + row]) = (a, b);
                }
            }
            let a = evaluator.outcome(weights).metrics;
            weights
                .iter_mut()
                .for_each(|weight| *weight = 1.0 - *weight);
            differences(a, evaluator.outcome(weights).metrics)
        };
        let exact = units.len() < 40 && 1_u64 << units.len() <= options.permutations as u64;
        let taken = if exact {
            1 << units.len()
        } else {
            options.permutations
        };
        let drawn: Vec<Vec<f64>> = (0..taken as u64)
            .into_par_iter()
            .map_init(
                || vec![0.0; 2 * rows],
                |weights, number| {
                    if exact {
                        return difference(weights, &mut |unit| number >> unit & 1 == 1);
                    }
                    let mut random = ChaCha8Rng::seed_from_u64(options.bootstrap.seed);
                    // The bootstrap uses the streams from 0.
                    random.set_stream((1 << 63) | number);
                    difference(weights, &mut |_| random.random::<bool>())
                },
            )
            .collect();
        Self {
            observed: difference(&mut vec![0.0; 2 * rows], &mut |_| false),
            columns: columns(&drawn, metrics.len()),
            taken,
            exact,
        }
    }

    fn p(&self, column: usize) -> Option<f64> {
        let size = self.observed[column].abs();
        let mut drawn = self.columns[column].clone();
        let drawn = mostly_defined(&mut drawn)?;
        let count = drawn.iter().filter(|d| d.abs() >= size - EQUAL).count();
        Some(match self.exact {
            true => count as f64 / drawn.len() as f64,
            false => (count + 1) as f64 / (drawn.len() + 1) as f64,
        })
    }
}

impl Comparison {
    /// The comparison as plain text, with the models named `a` and `b`: a table, McNemar's test, and a sentence per
    /// metric. Lines end in `\n`; no colour.
    pub fn table(&self, a: &str, b: &str) -> String {
        let percent = (self.confidence * 1e8).round() / 1e6;
        let mut table = Table::new(&["metric", a, b, "difference"]);
        for name in [
            &format!("{percent}% interval"),
            "p bootstrap",
            "p permutation",
        ] {
            table.head(name.to_owned());
        }
        for row in &self.metrics {
            let mut cells = vec![row.metric.to_string()];
            match &row.undefined {
                Some(reason) => cells.push(format!("undefined: {reason}")),
                None => cells.extend([
                    number(row.a),
                    number(row.b),
                    row.difference.map_or_else(String::new, signed),
                    match (row.low, row.high) {
                        (Some(low), Some(high)) => format!("[{}, {}]", signed(low), signed(high)),
                        _ => "none".to_owned(),
                    },
                    row.p_bootstrap.map_or_else(|| "none".to_owned(), p_value),
                    row.p_permutation.map_or_else(|| "none".to_owned(), p_value),
                ]),
            }
            table.row(cells);
        }
        let mut text = table.render(&[false, true, true, true, false, true, true]);
        if let Some(test) = &self.mcnemar {
            text += &format!(
                "\nMcNemar: {} only {a} has right, {} only {b}; p {} (exact), chi-square {:.2}, p {} (continuity correction)\n",
                test.only_a,
                test.only_b,
                p_value(test.p_exact),
                test.chi_square,
                p_value(test.p_chi_square)
            );
            if self.groups.is_some() {
                text += "It takes rows as independent; the other tests keep groups whole.\n";
            }
        }
        text.push('\n');
        for row in &self.metrics {
            if let Some(sentence) = row.sentence(a, b, self.confidence) {
                text += &format!("{sentence}\n");
            }
        }
        text
    }
}

impl Difference {
    /// A sentence that states which model is better and whether the difference is significant, by the permutation test if
    /// there is one, else by the bootstrap. `None` without a difference or a test.
    ///
    /// The significance level is one minus the confidence: 5% for 0.95.
    pub fn sentence(&self, a: &str, b: &str, confidence: f64) -> Option<String> {
        let (metric, difference) = (self.metric, self.difference?);
        let p = self.p_permutation.or(self.p_bootstrap)?;
        if difference.abs() <= EQUAL {
            return Some(format!("{a} and {b} are equal in {metric}."));
        }
        let (better, worse) = match (difference > 0.0) == metric.higher_is_better() {
            true => (b, a),
            false => (a, b),
        };
        let level = (1.0 - confidence) * 100.0;
        let level = (level * 1e6).round() / 1e6;
        let size = number(Some(difference.abs()));
        // Report the interval as the gain of the better model.
        let gain = |end: f64| signed(end * difference.signum());
        let interval = match (self.low, self.high) {
            (Some(low), Some(high)) if difference > 0.0 => {
                format!(" [{}, {}]", gain(low), gain(high))
            }
            (Some(low), Some(high)) => format!(" [{}, {}]", gain(high), gain(low)),
            _ => String::new(),
        };
        let verdict = if p <= 1.0 - confidence + EQUAL {
            format!("more than chance at the {level}% level (p {})", p_value(p))
        } else {
            let often = match 1.0 / p {
                odds if odds < 1.5 => "more often than not".to_owned(),
                odds => format!("in 1 of {} comparisons of equal models", odds.round()),
            };
            format!(
                "no more than chance at the {level}% level: chance gives one of this size {often} (p {})",
                p_value(p)
            )
        };
        Some(format!(
            "{better} is better than {worse} in {metric} by {size}{interval}, {verdict}."
        ))
    }
}

/// Formats a number with a sign, except for zero.
fn signed(value: f64) -> String {
    let text = number(Some(value));
    if value > 0.0 {
        format!("+{text}")
    } else {
        text
    }
}

/// Four decimals; a smaller value is shown as a bound.
fn p_value(p: f64) -> String {
    if p < 0.0001 {
        "< 0.0001".to_owned()
    } else {
        format!("{p:.4}")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::predictions::{ClassPredictions, MultiLabelPredictions, ScorePredictions};

    fn classes(labels: &[usize], positive: &[f64]) -> Predictions {
        Predictions::Classes(ClassPredictions::from_probabilities(
            vec!["no".into(), "yes".into()],
            labels.to_vec(),
            positive.iter().flat_map(|&p| [1.0 - p, p]).collect(),
            Some(1),
        ))
    }

    /// Twelve rows, few enough for all permutations.
    fn pair() -> (Predictions, Predictions) {
        let labels = [0, 1, 1, 0, 1, 0, 1, 1, 0, 0, 1, 0];
        let a = [
            0.2, 0.4, 0.7, 0.6, 0.3, 0.1, 0.8, 0.45, 0.55, 0.3, 0.9, 0.35,
        ];
        let b = [
            0.1, 0.8, 0.6, 0.4, 0.7, 0.2, 0.9, 0.65, 0.3, 0.52, 0.95, 0.15,
        ];
        (classes(&labels, &a), classes(&labels, &b))
    }

    fn options(permutations: usize) -> ComparisonOptions {
        ComparisonOptions {
            permutations,
            ..ComparisonOptions::default()
        }
    }

    #[test]
    fn mcnemar_agrees_with_scipy_and_statsmodels_formula() {
        // scipy.stats.binomtest(min, b + c).pvalue; scipy.stats.chi2.sf(chi_square, 1)
        let same = |found: McNemar, expected: [f64; 2]| {
            for (found, expected) in [found.p_exact, found.p_chi_square].iter().zip(expected) {
                assert!(
                    (found - expected).abs() < 1e-12,
                    "{found} instead of {expected}"
                );
            }
        };
        same(mcnemar(3, 12), [0.03515625, 0.03886710381241731]);
        same(mcnemar(10, 5), [0.30175781249999994, 0.30169958247834494]);
        same(mcnemar(7, 7), [1.0, 1.0]);
        same(mcnemar(0, 4), [0.125, 0.13361440253771584]);
        same(
            mcnemar(250, 310),
            [0.012590475149380293, 0.012659571362704132],
        );
        same(mcnemar(1, 0), [1.0, 1.0]);
        let equal = mcnemar(0, 0);
        assert_eq!((equal.p_exact, equal.p_chi_square), (1.0, 1.0));
    }

    #[test]
    fn all_permutations_give_the_p_value_of_scipy() {
        let (a, b) = pair();
        let metrics = [
            Metric::Accuracy,
            Metric::F1,
            Metric::RocAuc,
            Metric::LogLoss,
        ];
        let found = compare(&a, &b, &metrics, &options(4096)).unwrap();
        assert!(found.exact && found.permutations == 4096);
        // scipy.stats.permutation_test((a, b), ..., permutation_type="samples", n_resamples=inf) with the metrics of
        // scikit-learn.
        let expected = [0.21875, 0.125, 0.09375, 0.05419921875];
        for (row, expected) in found.metrics.iter().zip(expected) {
            let p = row.p_permutation.unwrap();
            assert!(
                (p - expected).abs() < 1e-12,
                "{}: {p} instead of {expected}",
                row.metric
            );
        }
        let sampled = compare(&a, &b, &metrics, &options(4000)).unwrap();
        assert!(!sampled.exact);
        for (sampled, exact) in sampled.metrics.iter().zip(&found.metrics) {
            let (sampled, exact) = (sampled.p_permutation.unwrap(), exact.p_permutation.unwrap());
            assert!((sampled - exact).abs() < 0.04, "{sampled} {exact}");
        }
    }

    #[test]
    fn equal_models_differ_by_nothing() {
        let (a, _) = pair();
        let found = compare(&a, &a, &[Metric::F1, Metric::Brier], &options(200)).unwrap();
        for row in &found.metrics {
            assert_eq!(row.difference, Some(0.0));
            assert_eq!((row.low, row.high), (Some(0.0), Some(0.0)));
            assert_eq!((row.p_bootstrap, row.p_permutation), (Some(1.0), Some(1.0)));
        }
        assert!(found.table("x", "y").contains("x and y are equal in f1."));
    }

    #[test]
    fn the_order_of_models_turns_the_sign_and_no_more() {
        let (a, b) = pair();
        let one = compare(&a, &b, &[Metric::F1], &options(4096)).unwrap();
        let other = compare(&b, &a, &[Metric::F1], &options(4096)).unwrap();
        let (one, other) = (&one.metrics[0], &other.metrics[0]);
        assert_eq!(one.p_permutation, other.p_permutation);
        assert_eq!(one.p_bootstrap, other.p_bootstrap);
        assert!((one.low.unwrap() + other.high.unwrap()).abs() < 1e-12);
        let text = one.sentence("A", "B", 0.95).unwrap();
        assert!(text.starts_with("B is better than A in f1 by 0."), "{text}");
        let text = other.sentence("B", "A", 0.95).unwrap();
        assert!(text.starts_with("B is better than A in f1 by 0."), "{text}");
    }

    #[test]
    fn a_lower_loss_is_better() {
        let (a, b) = pair();
        let found = compare(&a, &b, &[Metric::LogLoss], &options(100)).unwrap();
        assert!(found.metrics[0].difference.unwrap() < 0.0);
        let text = found.metrics[0].sentence("A", "B", 0.95).unwrap();
        assert!(text.starts_with("B is better than A in log_loss"), "{text}");
    }

    #[test]
    fn groups_are_swapped_and_drawn_whole() {
        let (a, b) = pair();
        let mut options = options(4096);
        options.bootstrap.groups = Some((0..12).map(|row| row / 3).collect());
        let found = compare(&a, &b, &[Metric::Accuracy], &options).unwrap();
        assert_eq!(
            (found.groups, found.permutations, found.exact),
            (Some(4), 16, true)
        );
        // The groups differ by +1, +2, +2 and -1 rows; of their sixteen sign patterns, six are at least as far from
        // zero as +4.
        assert_eq!(found.metrics[0].p_permutation, Some(0.375));
        assert!(found.table("A", "B").contains("independent"));
    }

    #[test]
    fn several_labels_and_numbers_are_compared_too() {
        let labels = |thresholds: [f64; 2], scores: [f64; 6]| {
            Predictions::MultiLabel(MultiLabelPredictions {
                classes: vec!["a".into(), "b".into()],
                labels: vec![true, false, false, true, true, true],
                scores: scores.to_vec(),
                thresholds: thresholds.to_vec(),
            })
        };
        let a = labels([0.5, 0.2], [0.6, 0.1, 0.3, 0.25, 0.9, 0.3]);
        let b = labels([0.4, 0.6], [0.5, 0.1, 0.3, 0.55, 0.3, 0.9]);
        let found = compare(&a, &b, &[Metric::F1Micro], &options(8)).unwrap();
        assert_eq!(found.metrics[0].a, Some(1.0));
        assert_eq!(found.metrics[0].p_permutation, Some(0.5));
        let test = found.mcnemar.unwrap();
        assert_eq!((test.only_a, test.only_b), (2, 0));
        let numbers = |predictions: [f64; 3]| {
            Predictions::Scores(ScorePredictions {
                targets: vec![1.0, 2.0, 4.0],
                predictions: predictions.to_vec(),
            })
        };
        let (a, b) = (numbers([1.0, 2.0, 3.0]), numbers([1.0, 2.0, 5.0]));
        let found = compare(&a, &b, &[Metric::Mae, Metric::F1], &options(8)).unwrap();
        assert_eq!(found.metrics[0].difference, Some(0.0));
        assert!(
            found.metrics[1]
                .undefined
                .as_ref()
                .unwrap()
                .contains("does not apply")
        );
        assert_eq!(found.mcnemar, None);
    }

    #[test]
    fn other_rows_or_truths_are_refused() {
        let a = classes(&[0, 1], &[0.1, 0.2]);
        let failed = |b| {
            let compared = compare(&a, &b, &[Metric::F1], &options(8));
            compared.unwrap_err().to_string()
        };
        assert_eq!(
            failed(classes(&[0], &[0.1])),
            "the first predictions have 2 rows, the second 1"
        );
        assert!(failed(classes(&[0, 0], &[0.1, 0.2])).starts_with("row 1 has another truth"));
        assert!(
            failed(Predictions::Scores(ScorePredictions {
                targets: vec![0.0; 2],
                predictions: vec![0.0; 2],
            }))
            .contains("regression")
        );
    }

    #[test]
    fn differences_do_not_depend_on_the_threads() {
        let (a, b) = pair();
        let found = |threads| {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap();
            pool.install(|| compare(&a, &b, &[Metric::F1, Metric::RocAuc], &options(300)).unwrap())
        };
        assert_eq!(found(1), found(3));
    }
}
