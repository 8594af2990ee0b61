//! The rows that a fold holds out.

use bertkit_data::DataError;
use bertkit_data::examples::Examples;
use bertkit_data::splits::Split;

use super::rows::Targets;
use crate::config::FoldConfig;
use crate::tasks::folds::divide;

/// Splits the rows of a table, or documents: stratified by class if each has one, and by whole groups if `grouped`.
pub(crate) fn of_rows(
    fold: FoldConfig,
    examples: &Examples,
    targets: &Targets,
    grouped: bool,
) -> Result<Split, DataError> {
    let classes = match targets {
        Targets::Classes(classes) => Some(classes.as_slice()),
        _ => None,
    };
    let rows = examples.rows.iter();
    let groups: Option<Vec<&str>> = grouped.then(|| {
        rows.map(|r| r.group.as_deref().unwrap_or_default())
            .collect()
    });
    divide(fold, examples.rows.len(), classes, groups.as_deref())
}
