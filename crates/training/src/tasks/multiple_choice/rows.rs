//! Encoded rows: the token ids of each answer with its question.

use std::ops::Range;

use bertkit_data::tokenizer::{Encoding, TextTokenizer};

use super::data::ChoiceRow;
use crate::error::TrainError;

/// Token ids of all answers, row after row.
#[derive(Debug, Clone, Default)]
pub(crate) struct EncodedRows {
    /// One for each non-empty answer.
    pub encodings: Vec<Encoding>,
    /// The encodings of each row.
    pub ranges: Vec<Range<usize>>,
    /// The column indices of each row's answers.
    pub places: Vec<Vec<usize>>,
    /// Total tokens of all answers of each row.
    pub lengths: Vec<usize>,
    /// Line of each row in its file.
    pub lines: Vec<u64>,
}

impl EncodedRows {
    /// Encodes rows.
    ///
    /// # Errors
    /// A text cannot be tokenised.
    pub fn new(
        rows: &[ChoiceRow],
        tokenizer: &TextTokenizer,
        max_length: usize,
    ) -> Result<Self, TrainError> {
        let mut encoded = Self::default();
        let mut texts = Vec::new();
        for row in rows {
            let first = texts.len();
            texts.extend(row.texts());
            encoded.ranges.push(first..texts.len());
            encoded.places.push(row.choices().collect());
            encoded.lines.push(row.line);
        }
        let pairs: Vec<(&str, Option<&str>)> = texts
            .iter()
            .map(|(text, answer)| (text.as_str(), Some(answer.as_str())))
            .collect();
        encoded.encodings = tokenizer.encode_batch(&pairs, max_length)?;
        let length = |range: &Range<usize>| -> usize {
            let answers = encoded.encodings[range.clone()].iter();
            answers.map(Encoding::len).sum()
        };
        encoded.lengths = encoded.ranges.iter().map(length).collect();
        Ok(encoded)
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.ranges.len()
    }

    /// Number of rows with a text longer than the model's input.
    pub fn truncated(&self) -> usize {
        let cut = |range: &&Range<usize>| {
            self.encodings[(*range).clone()]
                .iter()
                .any(|encoding| encoding.truncated)
        };
        self.ranges.iter().filter(cut).count()
    }
}

/// Probabilities of each row's answers from the logits of all of them: a softmax over the row.
pub(crate) fn probabilities(rows: &EncodedRows, logits: &[f32]) -> Vec<Vec<f64>> {
    let softmax = |range: &Range<usize>| {
        let row = &logits[range.clone()];
        let top = row.iter().copied().fold(f32::MIN, f32::max);
        let powers: Vec<f64> = row.iter().map(|&x| f64::from(x - top).exp()).collect();
        let sum: f64 = powers.iter().sum();
        powers.into_iter().map(|power| power / sum).collect()
    };
    rows.ranges.iter().map(softmax).collect()
}
