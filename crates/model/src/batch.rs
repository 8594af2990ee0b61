//! The input of the encoder: token ids, packed without padding.

use crate::sequences::Sequences;

/// The token ids of several sequences, concatenated, and the position of each sequence.
#[derive(Debug, Clone)]
pub struct Batch {
    /// Token ids, one per row.
    pub input_ids: Vec<u32>,
    /// Segment of each row: 0 for the first text, 1 for the second. Read only where the family has token types.
    pub token_type_ids: Vec<u8>,
    /// The rows of each sequence.
    pub sequences: Sequences,
}

impl Batch {
    /// From ids and the length of each sequence.
    ///
    /// # Panics
    /// The three do not describe the same number of tokens: a bug in the caller.
    pub fn new(input_ids: Vec<u32>, token_type_ids: Vec<u8>, lengths: &[usize]) -> Self {
        let sequences = Sequences::from_lengths(lengths);
        assert_eq!(input_ids.len(), sequences.tokens(), "one id a token");
        assert_eq!(
            token_type_ids.len(),
            sequences.tokens(),
            "one token type a token"
        );
        Self {
            input_ids,
            token_type_ids,
            sequences,
        }
    }

    /// The number of sequences.
    pub fn len(&self) -> usize {
        self.sequences.len()
    }

    /// Whether there is no sequence.
    pub fn is_empty(&self) -> bool {
        self.sequences.is_empty()
    }

    /// The total number of tokens.
    pub fn tokens(&self) -> usize {
        self.sequences.tokens()
    }
}
