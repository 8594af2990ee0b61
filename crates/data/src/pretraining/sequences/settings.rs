//! Settings of sequence building.

use super::error::SequenceError;
use super::layout::{LONGEST, Layout};
use super::packing::Packing;
use crate::tokenizer::TextTokenizer;

/// How sequences are built.
#[derive(Debug, Clone, PartialEq)]
pub struct SequenceSettings {
    /// How sequences are composed.
    pub packing: Packing,
    /// Maximum sequence length in tokens, special tokens included.
    pub max_length: usize,
    /// Probability of a shorter target length, in [0, 1]: uniform from 2 tokens to the maximum, special tokens not
    /// counted.
    ///
    /// As in the published code, it is drawn once per document for pairs, and with [`Packing::Electra`] the length is
    /// from 5 to `max_length`.
    pub short_probability: f64,
    /// Id of the first token: `[CLS]` or `<s>`.
    pub cls: u32,
    /// Id of the token at the end of a segment, and between documents: `[SEP]` or `</s>`.
    pub sep: u32,
    /// Whether tokens of the second segment have type 1; otherwise all have type 0.
    pub type_ids: bool,
    /// Whether the segments of a pair are separated by two separators instead of one.
    pub double_sep: bool,
    /// BERT's static masking: sequences (and masks, see [`EpochPlan::pass`](super::EpochPlan::pass)) repeat after this
    /// many epochs, in a different order. `None`: every epoch has new ones.
    pub static_passes: Option<u64>,
}

impl SequenceSettings {
    /// Settings with the tokenizer's special tokens and the short-sequence probability of the published code.
    pub fn new(packing: Packing, max_length: usize, tokenizer: &TextTokenizer) -> Self {
        let conventions = tokenizer.family().conventions();
        Self {
            packing,
            max_length,
            short_probability: packing.short_probability(),
            cls: tokenizer.cls_id(),
            sep: tokenizer.sep_id(),
            type_ids: conventions.token_types,
            double_sep: conventions.double_separator,
            static_passes: None,
        }
    }

    /// Checks ranges.
    ///
    /// # Errors
    /// All values that are out of range.
    pub fn check(&self) -> Result<(), Vec<SequenceError>> {
        let mut problems = Vec::new();
        let shortest = self.packing.builder().shortest(&self.layout());
        if !(shortest..=LONGEST).contains(&self.max_length) {
            problems.push(SequenceError::MaxLength {
                found: self.max_length,
                shortest,
            });
        }
        if !(0.0..=1.0).contains(&self.short_probability) {
            problems.push(SequenceError::ShortProbability {
                found: self.short_probability,
            });
        }
        if self.static_passes == Some(0) {
            problems.push(SequenceError::NoPasses);
        }
        if problems.is_empty() {
            Ok(())
        } else {
            Err(problems)
        }
    }

    /// The settings that do not depend on the packing.
    pub(super) fn layout(&self) -> Layout {
        Layout {
            max_length: self.max_length,
            short_probability: self.short_probability,
            cls: self.cls,
            sep: self.sep,
            type_ids: self.type_ids,
            double_sep: self.double_sep,
        }
    }
}
