//! The rows that a fold holds out: the same in training and in evaluation.

use bertkit_data::DataError;
use bertkit_data::splits::{self, Split};

use crate::config::FoldConfig;

/// Splits rows by a fold, stratified by class and by whole groups if these are given.
pub(crate) fn divide<S: AsRef<str>>(
    fold: FoldConfig,
    rows: usize,
    classes: Option<&[usize]>,
    groups: Option<&[S]>,
) -> Result<Split, DataError> {
    let mut folds = splits::folds(rows, classes, groups, fold.of, fold.seed)?;
    // `FinetuneConfig::check` ensures a value between 1 and the number of folds.
    Ok(folds.swap_remove(fold.number - 1))
}

/// The items at `places`, which must be ascending.
pub(crate) fn choose<T>(items: Vec<T>, places: &[usize]) -> Vec<T> {
    let mut places = places.iter().copied().peekable();
    let numbered = items.into_iter().enumerate();
    numbered
        .filter(|(at, _)| places.next_if_eq(at).is_some())
        .map(|(_, item)| item)
        .collect()
}
