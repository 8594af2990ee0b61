//! The interface of all kinds of predictions.

use super::error::{EvaluationError, PoolError};
use super::kind::TaskKind;

/// Predictions of one kind, with their truth.
pub(crate) trait PredictionSet {
    /// The kind.
    fn kind(&self) -> TaskKind;

    /// Number of rows.
    fn rows(&self) -> usize;

    /// Checks that the parts are consistent.
    fn check(&self) -> Result<(), EvaluationError>;

    /// Whether two rows have the same truth.
    fn same_truth(&self, one: usize, other: usize) -> bool;

    /// The stratum of each row; resamples keep the size of strata. `None` draws rows without strata.
    fn strata(&self) -> Option<Vec<usize>> {
        None
    }

    /// Whether each row is predicted entirely correctly, for kinds with decisions.
    fn right_or_wrong(&self) -> Option<Vec<bool>> {
        None
    }

    /// The classes that the model knows.
    fn classes(&self) -> &[String] {
        &[]
    }

    /// Number of rows of each class.
    fn support(&self) -> Vec<usize> {
        Vec::new()
    }
}

/// Concatenation of predictions for several data sets.
pub(crate) trait Pool: Sized {
    /// All rows, part by part.
    fn pool(parts: &[&Self]) -> Result<Self, PoolError>;
}

/// The items of all parts, part by part.
pub(super) fn joined<'a, T: Clone + 'a>(parts: impl Iterator<Item = &'a Vec<T>>) -> Vec<T> {
    parts.flatten().cloned().collect()
}
