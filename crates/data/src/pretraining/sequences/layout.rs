//! Lengths and special tokens of sequences: the settings that all packings share.

use crate::random::Random;

/// Upper bound of `max_length`, so that lengths fit their fields.
pub(super) const LONGEST: usize = 1 << 30;

/// The fields of [`SequenceSettings`](super::SequenceSettings) that do not depend on the packing.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    pub(super) max_length: usize,
    pub(super) short_probability: f64,
    pub(super) cls: u32,
    pub(super) sep: u32,
    pub(super) type_ids: bool,
    pub(super) double_sep: bool,
}

impl Layout {
    /// Number of special tokens in a pair.
    pub(super) fn pair_specials(&self) -> usize {
        3 + usize::from(self.double_sep)
    }

    /// Draws a target length of at most `budget` tokens.
    pub(super) fn target(&self, budget: u64, random: &mut Random) -> u64 {
        if self.short_probability > 0.0 && random.chance(self.short_probability) {
            let shortest = budget.min(2);
            shortest + random.below(budget - shortest + 1)
        } else {
            budget
        }
    }
}
