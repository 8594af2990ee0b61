//! Errors of masking settings.

/// An invalid [`Masking`](super::Masking) setting.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum MaskingError {
    /// A value outside its range.
    #[error("`{name}` is {value}, expected {least} to 1")]
    Range {
        /// The field.
        name: &'static str,
        /// The given value.
        value: f64,
        /// The lower bound, in words.
        least: &'static str,
    },
    /// Shares whose sum is above 1.
    #[error("`mask_share` and `random_share` are {mask} and {random}, expected at most 1 together")]
    Shares {
        /// The share that becomes the mask token.
        mask: f64,
        /// The share that becomes a random token.
        random: f64,
    },
    /// Zero where at least one is needed.
    #[error("`{name}` is 0, expected at least 1")]
    Zero {
        /// The field.
        name: &'static str,
    },
    /// Whole-word masking with a tokenizer that has no words.
    #[error("whole words cannot be masked: the tokenizer does not say where words begin")]
    NoWords,
    /// Words cannot be drawn with replacement.
    #[error("`with_replacement` draws single tokens, but the unit is not `token`")]
    Replacement,
    /// The tokenizer has no mask token.
    #[error("the tokenizer has no mask token")]
    NoMaskToken,
}

impl MaskingError {
    /// A suggestion for the user, if there is one.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Range { name: "rate", .. } => Some("0.15 masks about one token in seven"),
            Self::Shares { .. } => Some("what is left of 1 stays as it is; BERT's are 0.8 and 0.1"),
            Self::NoWords => Some("choose the unit `token` or `span`"),
            Self::Replacement => Some("drop one of the two"),
            Self::NoMaskToken => {
                Some("add a token `[MASK]` or `<mask>` to it, or choose another tokenizer")
            }
            _ => None,
        }
    }
}
