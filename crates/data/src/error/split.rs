//! Splits and folds.

/// Rows cannot be split as requested.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SplitError {
    /// A fraction outside (0, 1).
    #[error("the held-out fraction is {found}, expected more than 0 and less than 1")]
    Fraction {
        /// The given value.
        found: f64,
    },
    /// Too few rows or groups to split.
    #[error("cannot split {found} {what}, expected at least 2")]
    TooFewToSplit {
        /// `rows` or `groups`.
        what: &'static str,
        /// Number of rows or groups.
        found: usize,
    },
    /// Every class has a single row.
    #[error("no class has more than one row, so none can be split")]
    SingleRowClasses,
    /// Fewer than two folds.
    #[error("cross-validation in {found} fold{} was asked for, expected at least 2", if *found == 1 { "" } else { "s" })]
    FoldCount {
        /// The requested number.
        found: usize,
    },
    /// More folds than rows or groups.
    #[error("cannot divide {found} {what} into {folds} folds")]
    TooFewForFolds {
        /// `rows` or `groups`.
        what: &'static str,
        /// Number of rows or groups.
        found: usize,
        /// Requested number of folds.
        folds: usize,
    },
}

impl SplitError {
    /// A suggestion for the user, if there is one.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::SingleRowClasses => {
                "check the label column, or hold out no rows: a held-out fraction of 0".into()
            }
            Self::Fraction { .. } => "0.1 holds out one row in ten".into(),
            Self::TooFewToSplit { what: "groups", .. } => {
                "check the group column: whole groups stay on one side".into()
            }
            Self::TooFewToSplit { .. } => return None,
            Self::FoldCount { .. } => "5 or 10 are usual".into(),
            Self::TooFewForFolds { .. } => "ask for fewer folds".into(),
        })
    }
}
