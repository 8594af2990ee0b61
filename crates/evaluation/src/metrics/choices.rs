//! One of several answers per row.

use crate::predictions::choices::ChoicePredictions;
use crate::undefined::Undefined;

use super::outcome::{Evaluator, Outcome};

/// How a metric is computed from one choice per row: a mean over rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ChoiceFormula {
    /// The share of rows whose most probable choice is right.
    Accuracy,
    /// The mean negative logarithm of the right choice's probability, clipped to `[ε, 1 - ε]`.
    LogLoss,
}

/// The value of each row, for each formula.
pub(crate) struct ChoiceEvaluator {
    columns: Vec<Result<Vec<f64>, Undefined>>,
}

impl ChoiceEvaluator {
    pub fn new(predictions: &ChoicePredictions, formulas: &[ChoiceFormula]) -> Self {
        let rows = || predictions.labels.iter().enumerate();
        let not_finite = predictions
            .probabilities
            .iter()
            .position(|row| row.iter().any(|p| !p.is_finite()));
        let column = |formula: &ChoiceFormula| match (formula, not_finite) {
            (ChoiceFormula::Accuracy, _) => Ok(rows()
                .map(|(row, &label)| f64::from(predictions.predicted(row) == label))
                .collect()),
            (ChoiceFormula::LogLoss, Some(row)) => Err(Undefined::NotFinite {
                what: "probability",
                row,
            }),
            (ChoiceFormula::LogLoss, None) => Ok(rows()
                .map(|(row, &label)| {
                    let p = predictions.probabilities[row][label];
                    -p.clamp(f64::EPSILON, 1.0 - f64::EPSILON).ln()
                })
                .collect()),
        };
        Self {
            columns: formulas.iter().map(column).collect(),
        }
    }
}

impl Evaluator for ChoiceEvaluator {
    fn outcome(&self, weights: &[f64]) -> Outcome {
        let total: f64 = weights.iter().sum();
        if total == 0.0 {
            return Outcome::undefined(self.columns.len(), &Undefined::NoRows);
        }
        let mean = |column: &Result<Vec<f64>, Undefined>| {
            let column = column.as_ref().map_err(Clone::clone)?;
            let sum: f64 = column
                .iter()
                .zip(weights)
                .map(|(x, weight)| x * weight)
                .sum();
            Ok(sum / total)
        };
        Outcome {
            metrics: self.columns.iter().map(mean).collect(),
            per_class: Ok(Vec::new()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use crate::{BootstrapOptions, ChoicePredictions, Metric, Predictions, evaluate, pool, score};

    fn choices(labels: &[usize], probabilities: &[&[f64]]) -> Predictions {
        Predictions::Choices(ChoicePredictions {
            labels: labels.to_vec(),
            probabilities: probabilities.iter().map(|row| row.to_vec()).collect(),
        })
    }

    #[test]
    fn rows_may_have_different_numbers_of_choices() {
        let p = choices(&[1, 0, 2], &[&[0.25, 0.75], &[0.4, 0.6], &[0.1, 0.1, 0.8]]);
        assert_eq!(score(&p, Metric::Accuracy), Ok(2.0 / 3.0));
        let loss = -(0.75_f64.ln() + 0.4_f64.ln() + 0.8_f64.ln()) / 3.0;
        assert!((score(&p, Metric::LogLoss).unwrap() - loss).abs() < 1e-12);
        let report = evaluate(&p, &BootstrapOptions::default());
        let accuracy = report.metric(Metric::Accuracy).unwrap();
        assert!(accuracy.low <= accuracy.value && accuracy.value <= accuracy.high);
        assert!(report.table().starts_with("choices, 3 rows"));
        assert_eq!(pool(&[&p, &p]).unwrap().rows(), 6);
        let error = choices(&[2], &[&[0.5, 0.5]]).check().unwrap_err();
        assert_eq!(
            error.to_string(),
            "right choice is `2`, but there are 2 classes"
        );
    }
}
