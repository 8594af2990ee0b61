//! Statistics on how a new tokenizer splits its training words.

use rayon::prelude::*;
use tokenizers::{Decoder, Model};

use tokenizers::pre_tokenizers::byte_level::ByteLevel;

use super::{TokenizerType, Trained};
use crate::tokenizer::TokenizerError;

/// If the vocabulary is at least this many times the number of words checked, each of them should be in it.
const TOKENS_PER_FREQUENT_WORD: usize = 8;

/// Statistics on how the words of the text are split.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Number of words in the text, punctuation marks included; for a pattern tokenizer, the number of matches.
    pub words: u64,
    /// Number of tokens.
    pub tokens: u64,
    /// Number of unknown tokens among them.
    pub unknown: u64,
}

/// Which of the most frequent words are whole tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FrequentWords {
    /// Number of words examined: as many as requested, or all.
    pub checked: usize,
    /// Number of words that are one token.
    pub whole: usize,
    /// Words that are not one token, most frequent first.
    pub split: Vec<SplitWord>,
    /// Whether all of them are expected to be whole: the vocabulary comes from merges, most frequent first, and is at
    /// least eight times as large as the number of words. Unigram may omit a frequent word that consists of two probable
    /// pieces.
    pub expected: bool,
}

/// A word that is not one token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SplitWord {
    /// The word after normalisation, without the mark of the space before it.
    pub word: String,
    /// Number of occurrences.
    pub count: u64,
    /// Its tokens.
    pub tokens: Vec<String>,
}

impl Trained {
    /// Statistics on how the words of the text are split.
    ///
    /// # Errors
    /// [`TokenizerError::Encode`]
    pub fn usage(&self) -> Result<Usage, TokenizerError> {
        let unknown = self.tokenizer.unk_id();
        let parts = self.words.0.par_iter().map(|(word, count)| {
            let ids = self.ids(word)?;
            let unknown = ids.iter().filter(|&&id| Some(id) == unknown).count() as u64;
            Ok(Usage {
                words: *count,
                tokens: count * ids.len() as u64,
                unknown: count * unknown,
            })
        });
        parts.try_reduce(Usage::default, |a, b| {
            Ok(Usage {
                words: a.words + b.words,
                tokens: a.tokens + b.tokens,
                unknown: a.unknown + b.unknown,
            })
        })
    }

    /// Checks which of the `most` most frequent words are whole tokens. A word has at least two characters, one of them a
    /// letter; if words include the space before them, the same word without a space is a different word.
    ///
    /// # Errors
    /// [`TokenizerError::Encode`]
    pub fn frequent_words(&self, most: usize) -> Result<FrequentWords, TokenizerError> {
        let mut found = FrequentWords {
            checked: 0,
            whole: 0,
            split: Vec::new(),
            expected: self.kind.merges()
                && self.tokenizer.vocab_size() >= most.saturating_mul(TOKENS_PER_FREQUENT_WORD),
        };
        for (text, count) in &self.words.0 {
            if found.checked == most {
                break;
            }
            let word = self.spelt(text);
            if word.chars().nth(1).is_none() || !word.contains(char::is_alphabetic) {
                continue;
            }
            found.checked += 1;
            let ids = self.ids(text)?;
            if ids.len() == 1 && Some(ids[0]) != self.tokenizer.unk_id() {
                found.whole += 1;
                continue;
            }
            let tokens = ids.iter().filter_map(|&id| self.tokenizer.token(id));
            found.split.push(SplitWord {
                word,
                count: *count,
                tokens: tokens.map(|token| self.spelt_in_place(&token)).collect(),
            });
        }
        Ok(found)
    }

    fn ids(&self, word: &str) -> Result<Vec<u32>, TokenizerError> {
        let tokens = self.tokenizer.inner().get_model().tokenize(word);
        let tokens = tokens.map_err(|error| TokenizerError::Encode {
            message: error.to_string(),
        })?;
        Ok(tokens.into_iter().map(|token| token.id).collect())
    }

    /// A word in readable form.
    fn spelt(&self, word: &str) -> String {
        let text = self.spelt_in_place(word);
        let text = text.strip_prefix(['▁', ' ']).unwrap_or(&text);
        text.to_string()
    }

    /// Decodes byte-level characters that represent a single byte; other tokens are unchanged.
    fn spelt_in_place(&self, token: &str) -> String {
        match self.kind {
            TokenizerType::ByteBpe => {
                let text = ByteLevel::default().decode_chain(vec![token.to_string()]);
                text.map_or_else(|_| token.to_string(), |text| text.concat())
            }
            _ => token.to_string(),
        }
    }
}
