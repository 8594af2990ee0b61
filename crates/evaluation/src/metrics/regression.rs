//! One number per row.

use crate::predictions::scores::ScorePredictions;
use crate::undefined::Undefined;

use super::outcome::{Evaluator, Outcome, Value, finite, not_finite};

/// How a metric is computed from one number per row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ScoreFormula {
    Pearson,
    Spearman,
    R2,
    Mse,
    Mae,
}

/// Numbers with the precomputed order of targets and predictions.
pub(crate) struct ScoreEvaluator<'a> {
    predictions: &'a ScorePredictions,
    formulas: Vec<ScoreFormula>,
    /// The order of targets and of predictions, or the reason why the numbers cannot be used.
    orders: Result<[Ascending; 2], Undefined>,
}

impl<'a> ScoreEvaluator<'a> {
    pub fn new(predictions: &'a ScorePredictions, formulas: Vec<ScoreFormula>) -> Self {
        let fault = not_finite("target", &predictions.targets, 1)
            .or_else(|| not_finite("prediction", &predictions.predictions, 1));
        let orders = match fault {
            Some(fault) => Err(fault),
            None => Ok([
                Ascending::new(&predictions.targets),
                Ascending::new(&predictions.predictions),
            ]),
        };
        Self {
            predictions,
            formulas,
            orders,
        }
    }

    fn value(
        &self,
        formula: ScoreFormula,
        orders: &[Ascending; 2],
        weights: &[f64],
        total: f64,
    ) -> Value {
        let ScorePredictions {
            targets,
            predictions,
        } = self.predictions;
        let mean_error = |of: fn(f64) -> f64| {
            let rows = targets.iter().zip(predictions).zip(weights);
            rows.filter(|&(_, &weight)| weight > 0.0)
                .map(|((y, p), weight)| weight * of(y - p))
                .sum::<f64>()
                / total
        };
        match formula {
            ScoreFormula::Mse => finite(mean_error(|error| error * error)),
            ScoreFormula::Mae => finite(mean_error(f64::abs)),
            ScoreFormula::R2 => {
                let [spread, _] = varying(targets, &[], weights, total)?;
                let spread = spread.norm.powi(2) * spread.scale.powi(2) / total;
                finite(1.0 - mean_error(|error| error * error) / spread)
            }
            ScoreFormula::Pearson => correlation(targets, predictions, weights, total),
            ScoreFormula::Spearman => {
                let [targets, predictions] = orders.each_ref().map(|order| order.ranks(weights));
                correlation(&targets, &predictions, weights, total)
            }
        }
    }
}

impl Evaluator for ScoreEvaluator<'_> {
    fn outcome(&self, weights: &[f64]) -> Outcome {
        let total: f64 = weights.iter().sum();
        match &self.orders {
            _ if total == 0.0 => Outcome::undefined(self.formulas.len(), &Undefined::NoRows),
            Err(fault) => Outcome::undefined(self.formulas.len(), fault),
            Ok(orders) => Outcome {
                metrics: self
                    .formulas
                    .iter()
                    .map(|&formula| self.value(formula, orders, weights, total))
                    .collect(),
                per_class: Ok(Vec::new()),
            },
        }
    }
}

/// The deviations from the mean of values that are not all equal.
#[derive(Clone, Copy, Default)]
struct Spread {
    mean: f64,
    /// The largest deviation.
    scale: f64,
    /// The norm of the deviations divided by `scale`, so that no square overflows.
    norm: f64,
}

/// The spread of both sides; an empty `y` is skipped.
fn varying(x: &[f64], y: &[f64], weights: &[f64], total: f64) -> Result<[Spread; 2], Undefined> {
    if total < 2.0 {
        return Err(Undefined::OneRow);
    }
    let spread = |values: &[f64], constant: Undefined| {
        let counted = || {
            values
                .iter()
                .zip(weights)
                .filter(|&(_, &weight)| weight > 0.0)
        };
        let Some((&first, _)) = counted().next() else {
            return Ok(Spread::default());
        };
        if counted().all(|(&value, _)| value == first) {
            return Err(constant);
        }
        let mean = finite(counted().map(|(value, weight)| value * weight).sum::<f64>() / total)?;
        let scale = finite(
            counted()
                .map(|(value, _)| (value - mean).abs())
                .fold(0.0, f64::max),
        )?;
        let squares = counted().map(|(value, weight)| weight * ((value - mean) / scale).powi(2));
        Ok(Spread {
            mean,
            scale,
            norm: squares.sum::<f64>().sqrt(),
        })
    };
    Ok([
        spread(x, Undefined::ConstantTargets)?,
        spread(y, Undefined::ConstantPredictions)?,
    ])
}

/// Pearson correlation, from -1 to 1; exactly -1 or 1 for two rows, as in SciPy.
fn correlation(x: &[f64], y: &[f64], weights: &[f64], total: f64) -> Value {
    let [sx, sy] = varying(x, y, weights, total)?;
    let products = x.iter().zip(y).zip(weights).map(|((x, y), weight)| {
        weight * ((x - sx.mean) / sx.scale / sx.norm) * ((y - sy.mean) / sy.scale / sy.norm)
    });
    let r = finite(products.sum::<f64>())?.clamp(-1.0, 1.0);
    Ok(if total == 2.0 { r.round() } else { r })
}

/// Rows sorted by a value, in groups of equal values.
struct Ascending {
    rows: Vec<u32>,
    /// The end of each group in `rows`.
    ends: Vec<usize>,
}

impl Ascending {
    fn new(values: &[f64]) -> Self {
        let mut rows: Vec<u32> = (0..values.len() as u32).collect();
        let value = |row: u32| values[row as usize];
        rows.sort_unstable_by(|&a, &b| value(a).total_cmp(&value(b)));
        let ends = (1..rows.len())
            .filter(|&i| value(rows[i - 1]) != value(rows[i]))
            .chain(Some(rows.len()))
            .collect();
        Self { rows, ends }
    }

    /// The rank of each row, from 1, where row `i` occurs `weights[i]` times; equal values share their mean rank.
    fn ranks(&self, weights: &[f64]) -> Vec<f64> {
        let mut ranks = vec![0.0; self.rows.len()];
        let (mut start, mut below) = (0, 0.0);
        for &end in &self.ends {
            let group = &self.rows[start..end];
            let weight: f64 = group.iter().map(|&row| weights[row as usize]).sum();
            for &row in group {
                ranks[row as usize] = below + (weight + 1.0) / 2.0;
            }
            below += weight;
            start = end;
        }
        ranks
    }
}
