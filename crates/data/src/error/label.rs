//! Labels and classes.

use super::text::short;
use crate::place::{Place, Unit};

/// Labels do not fit the task.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LabelError {
    /// A label that is not a number, in a regression task.
    #[error(
        "the label {} of `{path}` is `{}`, expected a number",
        place.at(),
        short(found)
    )]
    NotANumber {
        /// The file.
        path: String,
        /// The row.
        place: Place,
        /// The label.
        found: String,
    },
    /// There are no labels.
    #[error("there are no labels")]
    NoLabels,
    /// All rows have the same label.
    #[error(
        "all {rows} rows have the label `{}`, expected at least two different labels",
        short(label)
    )]
    OneLabel {
        /// The label.
        label: String,
        /// Number of rows.
        rows: usize,
    },
    /// Two classes with the same name.
    #[error("the class `{name}` is listed twice")]
    DuplicateClass {
        /// The name.
        name: String,
    },
    /// A class with an empty name.
    #[error("class {position} has an empty name")]
    UnnamedClass {
        /// Its position, from 1.
        position: usize,
    },
    /// A balanced batch must hold a row of every class.
    #[error("a batch of {rows} rows cannot hold every one of {classes} classes")]
    BatchTooSmall {
        /// Number of rows in a batch.
        rows: usize,
        /// Number of classes that have rows.
        classes: usize,
    },
    /// Rows of the same group with different labels.
    #[error(
        "`{}` is labelled `{}` {} of `{path}` and `{}` {}",
        short(group),
        short(first),
        unit.at(*first_line),
        short(found),
        unit.at(*line)
    )]
    MixedLabels {
        /// The file.
        path: String,
        /// The name of the group.
        group: String,
        /// What line numbers count.
        unit: Unit,
        /// The group's first row.
        first_line: u64,
        /// The label of the first row.
        first: String,
        /// A row with a different label.
        line: u64,
        /// Its label.
        found: String,
    },
}

impl LabelError {
    /// A suggestion for the user, if there is one.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NotANumber { .. } => "correct the label, or make it a classification task".into(),
            Self::OneLabel { .. } => {
                "check the label column, and that the file was not filtered by label".into()
            }
            Self::NoLabels => "check the label column".into(),
            Self::DuplicateClass { .. } | Self::UnnamedClass { .. } => {
                "give each class a name of its own".into()
            }
            Self::BatchTooSmall { classes, .. } => {
                format!("use batches of at least {classes} rows")
            }
            Self::MixedLabels { .. } => {
                "all rows of a group are one case with one label: correct them, or group by another column".into()
            }
        })
    }
}
