//! The interface of evaluators, and their results.

use super::scheme::EntityTypes;
use crate::undefined::Undefined;

/// Predictions prepared for evaluation under many weightings.
pub(crate) trait Evaluator: Sync {
    /// Evaluates the predictions with each row counted `weights[row]` times.
    fn outcome(&self, weights: &[f64]) -> Outcome;

    /// The types of entities; `None` for other predictions.
    fn entity_types(&self) -> Option<EntityTypes> {
        None
    }
}

/// A metric's value, or the reason why it is undefined.
pub(crate) type Value = Result<f64, Undefined>;

/// The precision, recall and F1 of one class.
pub(crate) type ClassScores = [f64; 3];

/// The values under one set of weights.
pub(crate) struct Outcome {
    /// One value per metric, in the order of the evaluator's formulas.
    pub metrics: Vec<Value>,
    /// One entry per class, or per entity type within each scheme; empty for other tasks. NaN means undefined.
    pub per_class: Result<Vec<ClassScores>, Undefined>,
}

impl Outcome {
    /// All metrics are undefined, for the same reason.
    pub fn undefined(metrics: usize, reason: &Undefined) -> Self {
        Self {
            metrics: vec![Err(reason.clone()); metrics],
            per_class: Err(reason.clone()),
        }
    }
}

/// `value`, unless it is not finite.
pub(super) fn finite(value: f64) -> Value {
    if value.is_finite() {
        Ok(value)
    } else {
        Err(Undefined::TooLarge)
    }
}

/// The first row of a `[rows, columns]` matrix with a number that is not finite.
pub(super) fn not_finite(what: &'static str, values: &[f64], columns: usize) -> Option<Undefined> {
    let index = values.iter().position(|value| !value.is_finite())?;
    Some(Undefined::NotFinite {
        what,
        row: index / columns.max(1),
    })
}
