//! Masking: chooses the tokens that a model has to predict and replaces them.
//!
//! A mask is a function of a seed, a pass and the number of the sequence, so it can be drawn at any time and on any
//! thread. With the epoch as the pass, every epoch has new masks (dynamic masking, Liu et al. 2019, §4.1); with
//! [`EpochPlan::pass`](crate::pretraining::sequences::EpochPlan::pass), masks repeat when the sequences do.
//!
//! ```
//! use bertkit_data::pretraining::masking::{MaskVocabulary, Masking};
//! use bertkit_data::pretraining::sequences::Sequence;
//!
//! // [CLS] and [SEP] are 1 and 2, [MASK] is 3, of a vocabulary of 100.
//! let vocabulary = MaskVocabulary::new(100, 3, [0, 1, 2, 3]);
//! let sequence = Sequence {
//!     ids: vec![1, 50, 51, 52, 53, 54, 55, 2],
//!     type_ids: vec![0; 8],
//!     word_starts: vec![true; 8],
//!     special: vec![true, false, false, false, false, false, false, true],
//!     label: None,
//! };
//! let masked = Masking { rate: 0.25, ..Masking::bert() }.mask(&sequence, &vocabulary, 13, 0, 0);
//! assert_eq!(masked.positions.len(), 2);
//! for (&position, &target) in masked.positions.iter().zip(&masked.targets) {
//!     assert_eq!(target, sequence.ids[position as usize]);
//! }
//! ```

mod draw;
mod error;
mod settings;
#[cfg(test)]
mod tests;
mod vocabulary;

pub use self::draw::Masked;
pub use self::error::MaskingError;
pub use self::settings::{MaskUnit, Masking};
pub use self::vocabulary::MaskVocabulary;
