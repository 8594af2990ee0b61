//! What every kind of predictions answers.

use super::error::{EvaluationError, PoolError};
use super::kind::TaskKind;

/// Predictions of some kind, with their truth.
pub(crate) trait PredictionSet {
    /// The kind.
    fn kind(&self) -> TaskKind;

    /// Number of rows.
    fn rows(&self) -> usize;

    /// Whether the parts fit together.
    fn check(&self) -> Result<(), EvaluationError>;

    /// Whether two rows have the same truth.
    fn same_truth(&self, one: usize, other: usize) -> bool;

    /// The stratum of each row that resamples keep the size of; `None` draws rows freely.
    fn strata(&self) -> Option<Vec<usize>> {
        None
    }

    /// Whether each row is decided wholly right, for kinds that decide.
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

/// Predictions of several data sets, taken together.
pub(crate) trait Pool: Sized {
    /// All rows, part after part.
    fn pool(parts: &[&Self]) -> Result<Self, PoolError>;
}

/// The items of all parts, part after part.
pub(super) fn joined<'a, T: Clone + 'a>(parts: impl Iterator<Item = &'a Vec<T>>) -> Vec<T> {
    parts.flatten().cloned().collect()
}
