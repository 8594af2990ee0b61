//! The token ids that masking inserts.

use super::error::MaskingError;
use crate::random::Random;
use crate::tokenizer::TextTokenizer;

/// The token ids that masking inserts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MaskVocabulary {
    pub(super) size: u32,
    pub(super) mask: u32,
    /// Ascending, each once, and below `size`.
    pub(super) special: Vec<u32>,
}

impl MaskVocabulary {
    /// A vocabulary of `size` ids with a mask token and special tokens; special ids of `size` or more are ignored.
    pub fn new(size: u32, mask: u32, special: impl IntoIterator<Item = u32>) -> Self {
        let mut special: Vec<u32> = special.into_iter().filter(|&id| id < size).collect();
        special.sort_unstable();
        special.dedup();
        Self {
            size,
            mask,
            special,
        }
    }

    /// The vocabulary of a tokenizer. Special tokens are those with a role (start, separator, unknown, padding, mask).
    ///
    /// # Errors
    /// [`MaskingError::NoMaskToken`].
    pub fn of(tokenizer: &TextTokenizer) -> Result<Self, MaskingError> {
        let mask = tokenizer.mask_id().ok_or(MaskingError::NoMaskToken)?;
        let special = [tokenizer.cls_id(), tokenizer.sep_id(), mask]
            .into_iter()
            .chain(tokenizer.unk_id())
            .chain(tokenizer.pad_id());
        Ok(Self::new(tokenizer.vocab_size() as u32, mask, special))
    }

    /// A random id; a special one only if `special`.
    pub(super) fn random_id(&self, special: bool, random: &mut Random) -> u32 {
        let ordinary = self.size - self.special.len() as u32;
        if special || ordinary == 0 {
            return random.below(u64::from(self.size)) as u32;
        }
        // The id preceded by this many ordinary ids.
        let mut id = random.below(u64::from(ordinary)) as u32;
        for &special in &self.special {
            if special > id {
                break;
            }
            id += 1;
        }
        id
    }
}
