//! Errors of evaluating and pooling predictions.

use std::collections::HashSet;

use super::kind::TaskKind;

/// An error in predictions or options that prevents evaluation.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum EvaluationError {
    /// Two corresponding parts differ in length.
    #[error("expected {expected} {what}, found {found}")]
    Count {
        /// What was counted.
        what: &'static str,
        /// The expected number.
        expected: usize,
        /// The number found.
        found: usize,
    },
    /// An index is beyond the classes.
    #[error("{what} is `{index}`, but there are {classes} classes")]
    Class {
        /// What the index refers to.
        what: &'static str,
        /// The index.
        index: usize,
        /// The number of classes.
        classes: usize,
    },
    /// A class is listed twice.
    #[error("class `{class}` is listed twice")]
    DuplicateClass {
        /// Its name.
        class: String,
    },
    /// No class is selected for averages.
    #[error("the classes to average over are none")]
    NothingAveraged,
    /// A sentence has different numbers of predicted and true tags.
    #[error("row {row}: expected {expected} predicted tags, found {found}")]
    Tags {
        /// Index of the first such sentence, from 0.
        row: usize,
        /// The number of true tags.
        expected: usize,
        /// The number of predicted tags.
        found: usize,
    },
    /// A tag is an empty string.
    #[error("row {row}: a tag of word {word} is empty")]
    EmptyTag {
        /// Index of the sentence, from 0.
        row: usize,
        /// Index of the word in the sentence, from 0.
        word: usize,
    },
    /// A question has no true answer although all questions must have one.
    #[error("row {row}: the question has no true answer")]
    NoAnswer {
        /// Index of the first such question, from 0.
        row: usize,
    },
    /// The confidence of an interval is not between 0 and 1.
    #[error("confidence is `{confidence}`, expected a number between 0 and 1, both excluded")]
    Confidence {
        /// The given confidence.
        confidence: f64,
    },
}

impl EvaluationError {
    /// A suggestion for the user, if there is one.
    #[expect(clippy::wildcard_enum_match_arm, reason = "most errors have no hint")]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Confidence { confidence } if (1.0..100.0).contains(confidence) => {
                Some("give the confidence as a fraction, such as 0.95 for 95%")
            }
            Self::NoAnswer { .. } => {
                Some("score questions without an answer by the rules of SQuAD 2.0")
            }
            Self::EmptyTag { .. } => Some("write `O` for a word outside of entities"),
            _ => None,
        }
    }
}

/// Returns an error if a class is listed twice.
pub(super) fn distinct(classes: &[String]) -> Result<(), EvaluationError> {
    let mut seen = HashSet::new();
    match classes.iter().find(|class| !seen.insert(class.as_str())) {
        Some(class) => Err(EvaluationError::DuplicateClass {
            class: class.clone(),
        }),
        None => Ok(()),
    }
}

/// Returns an error if a part has a different number of items than the others.
pub(super) fn check_count(
    what: &'static str,
    expected: usize,
    found: usize,
) -> Result<(), EvaluationError> {
    if expected == found {
        Ok(())
    } else {
        Err(EvaluationError::Count {
            what,
            expected,
            found,
        })
    }
}

/// Why predictions cannot be pooled.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PoolError {
    /// There are no predictions.
    #[error("there are no predictions")]
    Nothing,
    /// The tasks differ.
    #[error("some predictions are of a {first} task and some of a {other} one")]
    Tasks {
        /// The task of the first part.
        first: TaskKind,
        /// The task of another part.
        other: TaskKind,
    },
    /// A class of one model is unknown to another.
    #[error("class `{class}` is known to one model and not to another")]
    Classes {
        /// The class.
        class: String,
    },
    /// The models have different positive classes.
    #[error("the positive class is `{first}` for one model and `{other}` for another")]
    Positive {
        /// The positive class of the first part.
        first: String,
        /// The positive class of another part.
        other: String,
    },
}
