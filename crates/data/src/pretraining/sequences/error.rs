//! Errors of building sequences.

use super::layout::LONGEST;

/// A reason why sequences cannot be built.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SequenceError {
    /// A length outside the supported range.
    #[error("the maximum length is {found} tokens, expected {shortest} to {LONGEST}")]
    MaxLength {
        /// The given value.
        found: usize,
        /// The shortest length that this packing allows.
        shortest: usize,
    },
    /// A value that is not a probability.
    #[error("the probability of a short sequence is {found}, expected 0 to 1")]
    ShortProbability {
        /// The given value.
        found: f64,
    },
    /// Static sequences that repeat after zero epochs.
    #[error("static sequences repeat after 0 epochs, expected at least 1")]
    NoPasses,
    /// No documents.
    #[error("there are no documents to make sequences of")]
    NoDocuments,
    /// Pairs need a second document or sentence to draw from.
    #[error("there is a single {what}, and pairs of segments need another to draw from")]
    Single {
        /// `document` or `sentence`.
        what: &'static str,
    },
}

impl SequenceError {
    /// A suggestion for the user, if there is one.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::MaxLength { .. } => {
                "it counts special tokens; 128 is usual, and 512 the most that most encoders take".into()
            }
            Self::ShortProbability { .. } => "BERT's is 0.1".into(),
            Self::NoPasses => "10 is what BERT was trained with; leave it out for new masks in every epoch".into(),
            Self::NoDocuments => "add text, or hold out less of it".into(),
            Self::Single { .. } => {
                "put blank lines between documents (or one document on each line), or choose sequences without pairs, like `across`"
                    .into()
            }
        })
    }
}
