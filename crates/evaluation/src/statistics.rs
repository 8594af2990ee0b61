//! Bootstrap resampling, percentile intervals, and mean and standard deviation over seeds.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use crate::predictions::{EvaluationError, Predictions};

/// How the intervals of a report are computed: the percentile bootstrap (Efron & Tibshirani 1993, §13.3).
#[derive(Clone, Debug, PartialEq)]
pub struct BootstrapOptions {
    /// Number of resamples; 0 computes no intervals.
    pub resamples: usize,
    /// The confidence level, between 0 and 1.
    pub confidence: f64,
    /// Seed of the resamples; results do not depend on the number of threads.
    pub seed: u64,
    /// Group index of each row, for rows that belong together (such as the sentences of a document). Whole groups are
    /// then drawn, without stratification.
    pub groups: Option<Vec<usize>>,
}

impl Default for BootstrapOptions {
    /// 1,000 resamples, 95%, seed 0, no groups.
    fn default() -> Self {
        Self {
            resamples: 1000,
            confidence: 0.95,
            seed: 0,
            groups: None,
        }
    }
}

impl BootstrapOptions {
    /// Options without intervals.
    pub fn none() -> Self {
        Self {
            resamples: 0,
            ..Self::default()
        }
    }

    /// Checks that the options fit predictions of `rows` rows; [`evaluate`](crate::evaluate) panics if they do not.
    ///
    /// # Errors
    /// [`EvaluationError::Confidence`] outside 0 to 1, [`EvaluationError::Count`] if `groups` has a different length.
    pub fn check(&self, rows: usize) -> Result<(), EvaluationError> {
        let confidence = self.confidence;
        if !(confidence > 0.0 && confidence < 1.0) {
            return Err(EvaluationError::Confidence { confidence });
        }
        match self.groups.as_ref().map(Vec::len) {
            Some(found) if found != rows => Err(EvaluationError::Count {
                what: "group numbers",
                expected: rows,
                found,
            }),
            _ => Ok(()),
        }
    }
}

/// Draws resamples, represented by how often each row is drawn.
pub(crate) struct Resampler {
    rows: usize,
    scheme: Scheme,
    seed: u64,
}

enum Scheme {
    /// Draws from each stratum as many rows as it has.
    Strata(Vec<Vec<u32>>),
    /// Draws as many groups as there are.
    Groups(Vec<Vec<u32>>),
}

impl Resampler {
    /// Draws groups if there are any, else rows within each true class if there are classes, else rows.
    pub fn new(predictions: &Predictions, options: &BootstrapOptions) -> Self {
        let rows = predictions.rows();
        let scheme = match (&options.groups, predictions.set().strata()) {
            (Some(groups), _) => Scheme::Groups(partition(groups.iter().copied())),
            (None, Some(strata)) => Scheme::Strata(partition(strata.into_iter())),
            (None, None) => Scheme::Strata(partition(std::iter::repeat_n(0, rows))),
        };
        Self {
            rows,
            scheme,
            seed: options.seed,
        }
    }

    /// Number of groups, if groups are drawn.
    pub fn groups(&self) -> Option<usize> {
        match &self.scheme {
            Scheme::Groups(groups) => Some(groups.len()),
            Scheme::Strata(_) => None,
        }
    }

    /// The reason why all resamples would be equal, if they would.
    pub fn fixed(&self) -> Option<&'static str> {
        match &self.scheme {
            Scheme::Groups(groups) if groups.len() < 2 => {
                Some("there are fewer than two groups to draw from")
            }
            Scheme::Strata(strata) if strata.iter().all(|stratum| stratum.len() < 2) => {
                Some("there are fewer than two rows to draw from")
            }
            Scheme::Groups(_) | Scheme::Strata(_) => None,
        }
    }

    /// Writes into `weights` how often resample `number` draws each row.
    pub fn draw(&self, number: usize, weights: &mut [f64]) {
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        random.set_stream(number as u64);
        weights.fill(0.0);
        match &self.scheme {
            Scheme::Strata(strata) => {
                for stratum in strata {
                    for _ in 0..stratum.len() {
                        let drawn = random.random_range(0..stratum.len() as u32);
                        weights[stratum[drawn as usize] as usize] += 1.0;
                    }
                }
            }
            Scheme::Groups(groups) => {
                for _ in 0..groups.len() {
                    let drawn = random.random_range(0..groups.len() as u32);
                    for &row in &groups[drawn as usize] {
                        weights[row as usize] += 1.0;
                    }
                }
            }
        }
    }

    /// Applies `compute` to each of `resamples`, given how often each row was drawn; in parallel, results in order.
    pub fn map<T: Send>(&self, resamples: usize, compute: impl Fn(&[f64]) -> T + Sync) -> Vec<T> {
        let weights = || vec![0.0; self.rows];
        let resample = |weights: &mut Vec<f64>, number| {
            self.draw(number, weights);
            compute(weights)
        };
        (0..resamples)
            .into_par_iter()
            .map_init(weights, resample)
            .collect()
    }
}

/// The rows of each key, in the order of the keys.
fn partition(keys: impl Iterator<Item = usize>) -> Vec<Vec<u32>> {
    let mut parts = std::collections::BTreeMap::<usize, Vec<u32>>::new();
    for (row, key) in keys.enumerate() {
        parts.entry(key).or_default().push(row as u32);
    }
    parts.into_values().collect()
}

/// The interval that excludes equal shares of `values` at both ends; sorts `values`. `None` without values.
///
/// Interpolates linearly between two values, as NumPy's `percentile` does.
pub(crate) fn percentile_interval(values: &mut [f64], confidence: f64) -> Option<(f64, f64)> {
    values.sort_unstable_by(f64::total_cmp);
    let last = values.len().checked_sub(1)?;
    let quantile = |share: f64| {
        let position = share * last as f64;
        let below = (position.floor() as usize).min(last);
        let above = (below + 1).min(last);
        values[below] + (values[above] - values[below]) * (position - below as f64)
    };
    let tail = (1.0 - confidence) / 2.0;
    Some((quantile(tail), quantile(1.0 - tail)))
}

/// Mean and spread over runs.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct MeanAndSd {
    /// The arithmetic mean.
    pub mean: f64,
    /// The sample standard deviation (over `count - 1`); `None` for one value.
    pub sd: Option<f64>,
    /// Number of values.
    pub count: usize,
}

/// Mean and standard deviation of a metric over runs with different seeds; `None` without values.
pub fn mean_and_sd(values: &[f64]) -> Option<MeanAndSd> {
    let count = values.len();
    if count == 0 {
        return None;
    }
    let mean = values.iter().sum::<f64>() / count as f64;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    let sd = (count > 1).then(|| (squares / (count as f64 - 1.0)).sqrt());
    Some(MeanAndSd { mean, sd, count })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::predictions::{ClassPredictions, ScorePredictions};

    fn predictions(labels: Vec<usize>) -> Predictions {
        let predicted = vec![0; labels.len()];
        let classes = vec!["a".into(), "b".into()];
        Predictions::Classes(ClassPredictions {
            classes,
            labels,
            predicted,
            probabilities: vec![],
            positive: None,
            averaged: None,
        })
    }

    #[test]
    fn strata_keep_their_size_and_rows_of_unseen_classes_are_one() {
        let labels = vec![0, 1, 1, 7, 0, 0, 1, 2, 9];
        let predictions = predictions(labels.clone());
        let resampler = Resampler::new(&predictions, &BootstrapOptions::default());
        let mut varied = false;
        for weights in resampler.map(50, |weights| weights.to_vec()) {
            let drawn = |of: fn(usize) -> bool| -> f64 {
                labels
                    .iter()
                    .zip(&weights)
                    .filter(|&(&label, _)| of(label))
                    .map(|(_, weight)| weight)
                    .sum()
            };
            assert_eq!(
                [drawn(|l| l == 0), drawn(|l| l == 1), drawn(|l| l > 1)],
                [3.0, 3.0, 3.0]
            );
            varied |= weights.iter().any(|&weight| weight != 1.0);
        }
        assert!(varied);
    }

    #[test]
    fn groups_are_drawn_whole() {
        let groups = vec![4, 4, 1, 4, 1, 8];
        let options = BootstrapOptions {
            groups: Some(groups.clone()),
            ..Default::default()
        };
        let resampler = Resampler::new(&predictions(vec![0, 1, 0, 1, 0, 1]), &options);
        assert_eq!(resampler.groups(), Some(3));
        for weights in resampler.map(50, |weights| weights.to_vec()) {
            let of_group = |group| weights[groups.iter().position(|&g| g == group).unwrap()];
            assert!(
                groups
                    .iter()
                    .zip(&weights)
                    .all(|(&group, &weight)| weight == of_group(group))
            );
            assert_eq!(of_group(4) + of_group(1) + of_group(8), 3.0);
        }
    }

    #[test]
    fn every_row_is_drawn_about_equally_often() {
        let scores = ScorePredictions {
            targets: vec![0.0; 20],
            predictions: vec![0.0; 20],
        };
        let resampler = Resampler::new(&Predictions::Scores(scores), &BootstrapOptions::default());
        let mut sums = vec![0.0; 20];
        for weights in resampler.map(5000, |weights| weights.to_vec()) {
            assert_eq!(weights.iter().sum::<f64>(), 20.0);
            sums.iter_mut()
                .zip(weights)
                .for_each(|(sum, weight)| *sum += weight);
        }
        // The sum has mean 5,000 and standard deviation 69.
        assert!(
            sums.iter().all(|&sum: &f64| (sum - 5000.0).abs() < 350.0),
            "{sums:?}"
        );
    }

    #[test]
    fn resamples_depend_on_the_seed_and_not_on_the_threads() {
        let draws = |seed, threads| {
            let options = BootstrapOptions {
                seed,
                ..Default::default()
            };
            let resampler = Resampler::new(&predictions(vec![0; 30]), &options);
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap();
            pool.install(|| resampler.map(40, |weights| weights.to_vec()))
        };
        assert_eq!(draws(3, 1), draws(3, 4));
        assert_ne!(draws(3, 1), draws(4, 1));
        let one = draws(3, 1);
        assert_ne!(one[0], one[1]);
    }

    #[test]
    fn nothing_varies_with_one_group_or_one_row_in_each_class() {
        let fixed = |labels, groups| {
            let options = BootstrapOptions {
                groups,
                ..Default::default()
            };
            Resampler::new(&predictions(labels), &options)
                .fixed()
                .is_some()
        };
        assert!(fixed(vec![0, 1], None));
        assert!(fixed(vec![], None));
        assert!(fixed(vec![0, 0], Some(vec![5, 5])));
        assert!(!fixed(vec![0, 0, 1], None));
        assert!(!fixed(vec![0, 1], Some(vec![5, 6])));
    }

    #[test]
    fn intervals_interpolate_between_values() {
        let mut values: Vec<f64> = (0..=100).rev().map(f64::from).collect();
        let (low, high) = percentile_interval(&mut values, 0.95).unwrap();
        assert!(
            (low - 2.5).abs() < 1e-9 && (high - 97.5).abs() < 1e-9,
            "{low} {high}"
        );
        assert_eq!(percentile_interval(&mut [3.0], 0.95), Some((3.0, 3.0)));
        assert_eq!(percentile_interval(&mut [], 0.95), None);
    }

    #[test]
    fn check_refuses_percent_and_groups_of_other_rows() {
        let options = BootstrapOptions {
            confidence: 95.0,
            ..Default::default()
        };
        let error = options.check(3).unwrap_err();
        assert_eq!(
            error.to_string(),
            "confidence is `95`, expected a number between 0 and 1, both excluded"
        );
        assert!(error.hint().unwrap().contains("0.95"));
        for confidence in [0.0, 1.0, f64::NAN, -0.1] {
            assert!(
                BootstrapOptions {
                    confidence,
                    ..Default::default()
                }
                .check(3)
                .is_err()
            );
        }
        let options = BootstrapOptions {
            groups: Some(vec![1, 2]),
            ..Default::default()
        };
        assert_eq!(
            options.check(3).unwrap_err().to_string(),
            "expected 3 group numbers, found 2"
        );
        assert_eq!(options.check(2), Ok(()));
    }

    #[test]
    fn spread_over_seeds_is_that_of_a_sample() {
        let spread = mean_and_sd(&[1.0, 2.0, 3.0, 4.0]).unwrap();
        assert_eq!((spread.mean, spread.count), (2.5, 4));
        assert!((spread.sd.unwrap() - (5.0_f64 / 3.0).sqrt()).abs() < 1e-12);
        assert_eq!(
            mean_and_sd(&[7.0]),
            Some(MeanAndSd {
                mean: 7.0,
                sd: None,
                count: 1
            })
        );
        assert_eq!(mean_and_sd(&[]), None);
    }
}
