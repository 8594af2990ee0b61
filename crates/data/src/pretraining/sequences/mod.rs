//! Builds the sequences of an epoch from a corpus: running text, or pairs of segments.
//!
//! An [`EpochPlan`] records in a few bytes which part of the corpus each sequence covers; [`EpochPlan::sequence`]
//! assembles one on demand. Any sequence can be built at any time, so resuming in the middle of an epoch needs only the
//! epoch and the number of sequences already used.
//!
//! The distributions match those of the published code. The sequences themselves differ, because the random numbers do.
//!
//! ```
//! use bertkit_data::pretraining::corpus::Corpus;
//! use bertkit_data::pretraining::sequences::{EpochPlan, Packing, SequenceSettings};
//!
//! # fn main() -> Result<(), bertkit_data::pretraining::sequences::SequenceError> {
//! // Two documents, of two sentences and of one; the ids 1 and 2 are [CLS] and [SEP].
//! let sentence = |ids: &[u32]| ids.iter().map(|&id| (id, true)).collect::<Vec<_>>();
//! let corpus = Corpus::from_tokens(
//!     &[vec![sentence(&[5, 6, 7]), sentence(&[8])], vec![sentence(&[9, 10])]],
//!     true,
//! );
//! let settings = SequenceSettings {
//!     packing: Packing::Within,
//!     max_length: 6,
//!     short_probability: 0.0,
//!     cls: 1,
//!     sep: 2,
//!     type_ids: true,
//!     double_sep: false,
//!     static_passes: None,
//! };
//! let plan = EpochPlan::new(&corpus, &[0, 1], &settings, 13, 0)?;
//! let mut sequences: Vec<Vec<u32>> =
//!     (0..plan.len()).map(|i| plan.sequence(&corpus, i).ids).collect();
//! sequences.sort();
//! assert_eq!(sequences, [vec![1, 5, 6, 7, 8, 2], vec![1, 9, 10, 2]]);
//! # Ok(())
//! # }
//! ```

mod builder;
mod error;
mod layout;
mod packing;
mod plan;
mod sequence;
mod settings;
#[cfg(test)]
mod tests;

pub use self::error::SequenceError;
pub use self::packing::Packing;
pub use self::plan::EpochPlan;
pub use self::sequence::Sequence;
pub use self::settings::SequenceSettings;
