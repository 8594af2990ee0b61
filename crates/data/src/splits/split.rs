//! The two sides of a split.

use crate::error::{DataError, SplitError};

/// Row indices, ascending; every row is on exactly one side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    /// Training rows; never empty.
    pub train: Vec<usize>,
    /// Rows held out; never empty.
    pub held_out: Vec<usize>,
}

impl Split {
    pub(super) fn new(held_out: &[bool]) -> Self {
        let side = |wanted| {
            (0..held_out.len())
                .filter(|&row| held_out[row] == wanted)
                .collect()
        };
        Self {
            train: side(false),
            held_out: side(true),
        }
    }
}

pub(super) fn check(fraction: f64, what: &'static str, found: usize) -> Result<(), DataError> {
    if !(fraction > 0.0 && fraction < 1.0) {
        return Err(DataError::Split(SplitError::Fraction { found: fraction }));
    }
    if found < 2 {
        return Err(DataError::Split(SplitError::TooFewToSplit { what, found }));
    }
    Ok(())
}
