//! K-mer tokens of sequences such as DNA.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde_json::{Value, json};

use super::TokenizerError;

/// The letters of DNA.
const DNA: &str = "ACGT";

/// The maximum vocabulary size.
const MOST_TOKENS: usize = 1 << 20;

/// Splits sequences into k-mers of `size` letters, as DNABERT does (Ji et al. 2021, §2.2).
///
/// A k-mer starts at every `stride`-th letter; remaining letters at the end are dropped if they are fewer than `size`.
/// White space separates sequences, so a text that has already been split is unchanged. Letters are converted to upper
/// case if the alphabet has no lower case, and `U` to `T` if the alphabet has only `T`.
///
/// Written as `kmer:6`, `kmer:3:stride=3`, `kmer:6:alphabet=ACGTN`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kmers {
    size: usize,
    stride: usize,
    alphabet: String,
}

impl Kmers {
    /// Letters per k-mer.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Letters from the start of a k-mer to the start of the next.
    pub fn stride(&self) -> usize {
        self.stride
    }

    /// All k-mers of the alphabet, in the alphabet's order.
    pub(crate) fn vocabulary(&self) -> impl Iterator<Item = String> {
        let letters: Vec<char> = self.alphabet.chars().collect();
        let all = letters.len().pow(self.size as u32);
        (0..all).map(move |number| {
            let mut rest = number;
            let mut piece: Vec<char> = (0..self.size)
                .map(|_| {
                    let letter = letters[rest % letters.len()];
                    rest /= letters.len();
                    letter
                })
                .collect();
            piece.reverse();
            piece.into_iter().collect()
        })
    }

    /// Letters that are replaced, with their replacements.
    pub(crate) fn replacements(&self) -> Vec<(char, char)> {
        let has = |letter: char| self.alphabet.contains(letter);
        let mut replaced = Vec::new();
        if !self.alphabet.chars().any(|letter| letter.is_lowercase()) {
            let lower = |letter: &char| letter.is_ascii_uppercase();
            let letters = self.alphabet.chars().filter(lower);
            replaced.extend(letters.map(|letter| (letter.to_ascii_lowercase(), letter)));
            if has('T') && !has('U') {
                replaced.push(('u', 'T'));
            }
        }
        if has('T') && !has('U') {
            replaced.push(('U', 'T'));
        }
        replaced
    }

    /// The k-mers of a text, separated by spaces; the text itself if the tokenizer can split it by a pattern.
    pub(crate) fn cut<'a>(&self, text: &'a str) -> Cow<'a, str> {
        if self.stride == self.size {
            return Cow::Borrowed(text);
        }
        let mut pieces = String::with_capacity(text.len() * (self.size + 1) / self.stride);
        self.for_each(text, |_, piece| {
            if !pieces.is_empty() {
                pieces.push(' ');
            }
            pieces.push_str(piece);
        });
        Cow::Owned(pieces)
    }

    /// Byte offsets of each k-mer in the text returned by [`Kmers::cut`] and in the original text; `None` if both are the
    /// same.
    pub(super) fn places(&self, text: &str) -> Option<Vec<(usize, usize)>> {
        let mut places = Vec::new();
        let mut end = 0;
        if self.stride == self.size {
            return None;
        }
        self.for_each(text, |at, piece| {
            places.push((end, at));
            end += piece.len() + 1;
        });
        if places.is_empty() {
            places.push((0, 0));
        }
        Some(places)
    }

    /// Calls `put` with each k-mer of a text and its byte offset.
    fn for_each<'a>(&self, text: &'a str, mut put: impl FnMut(usize, &'a str)) {
        let mut starts = Vec::new();
        for sequence in text.split_whitespace() {
            let place = sequence.as_ptr() as usize - text.as_ptr() as usize;
            starts.clear();
            starts.extend(sequence.char_indices().map(|(at, _)| at));
            starts.push(sequence.len());
            let mut first = 0;
            while first + self.size < starts.len() {
                let (from, to) = (starts[first], starts[first + self.size]);
                put(place + from, &sequence[from..to]);
                first += self.stride;
            }
        }
    }

    /// Serialises the settings.
    pub(super) fn to_json(&self) -> Value {
        json!({"size": self.size, "stride": self.stride, "alphabet": self.alphabet})
    }

    /// Deserialises the settings; `None` if they are invalid.
    pub(super) fn from_json(value: &Value) -> Option<Self> {
        let number = |key: &str| usize::try_from(value[key].as_u64()?).ok();
        let alphabet = value["alphabet"].as_str()?;
        Self::new(number("size")?, number("stride")?, alphabet).ok()
    }

    fn new(size: usize, stride: usize, alphabet: &str) -> Result<Self, String> {
        if size == 0 || stride == 0 {
            return Err("size and stride are 1 or more".into());
        }
        let mut letters: Vec<char> = alphabet.chars().collect();
        letters.sort_unstable();
        letters.dedup();
        if letters.len() < 2 || letters.len() < alphabet.chars().count() {
            return Err(format!(
                "the alphabet `{alphabet}` is not two or more different letters"
            ));
        }
        if letters.iter().any(|letter| letter.is_whitespace()) {
            return Err("white space is no letter".into());
        }
        let tokens = u32::try_from(size)
            .ok()
            .and_then(|size| letters.len().checked_pow(size));
        if tokens.is_none_or(|tokens| tokens > MOST_TOKENS) {
            return Err(format!(
                "{size} letters out of {} make more than {MOST_TOKENS} pieces",
                letters.len()
            ));
        }
        Ok(Self {
            size,
            stride,
            alphabet: alphabet.to_string(),
        })
    }
}

impl FromStr for Kmers {
    type Err = TokenizerError;

    /// Parses the part after `kmer`: empty for k-mers of 6 letters as in DNABERT, or `:6:stride=3:alphabet=ACGTN`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let failed = |message: String| TokenizerError::Spec {
            found: format!("kmer{text}"),
            expected: "`kmer:K`, `kmer:K:stride=S` or `kmer:K:alphabet=LETTERS`",
            message,
        };
        let number = |text: &str| -> Result<usize, TokenizerError> {
            text.parse()
                .map_err(|_| failed(format!("`{text}` is not a number of letters")))
        };
        let (mut size, mut stride, mut alphabet) = (6, 1, DNA);
        let mut parts = text.split(':').skip(1);
        if let Some(first) = parts.next() {
            size = number(first)?;
        }
        for part in parts {
            match part.split_once('=') {
                Some(("stride", text)) => stride = number(text)?,
                Some(("alphabet", letters)) => alphabet = letters,
                _ => {
                    return Err(failed(format!(
                        "`{part}` is neither a stride nor an alphabet"
                    )));
                }
            }
        }
        Self::new(size, stride, alphabet).map_err(failed)
    }
}

impl fmt::Display for Kmers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "kmer:{}", self.size)?;
        if self.stride != 1 {
            write!(f, ":stride={}", self.stride)?;
        }
        if self.alphabet != DNA {
            write!(f, ":alphabet={}", self.alphabet)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn kmers(text: &str) -> Kmers {
        text.parse().unwrap()
    }

    #[test]
    fn sequences_are_cut_at_every_stride() {
        assert_eq!(kmers(":3").cut("ACGTA"), "ACG CGT GTA");
        assert_eq!(kmers(":3:stride=2").cut("ACGTACG"), "ACG GTA ACG");
        assert_eq!(kmers(":2:stride=3").cut("ACGTACG"), "AC TA");
        assert_eq!(kmers(":3").cut("AC\nACGé "), "ACG CGé");
        assert_eq!(kmers(":3").cut("AC"), "");
        let cut = kmers(":3").cut("ACGTA").into_owned();
        assert_eq!(kmers(":3").cut(&cut), cut);
    }

    #[test]
    fn the_vocabulary_is_every_piece_in_order() {
        let all: Vec<String> = kmers(":2").vocabulary().collect();
        assert_eq!(all.len(), 16);
        assert_eq!(all[..5], ["AA", "AC", "AG", "AT", "CA"]);
        assert_eq!(kmers(":6").vocabulary().count(), 4096);
        assert_eq!(kmers(":2:alphabet=ACGTN").vocabulary().count(), 25);
    }

    #[test]
    fn what_is_written_is_read_back() {
        for text in [
            "kmer:6",
            "kmer:3:stride=3",
            "kmer:4:stride=2:alphabet=ACGTN",
        ] {
            let read = kmers(text.strip_prefix("kmer").unwrap());
            assert_eq!(read.to_string(), text);
            assert_eq!(Kmers::from_json(&read.to_json()), Some(read));
        }
        assert_eq!(kmers("").to_string(), "kmer:6");
    }

    #[test]
    fn impossible_pieces_are_refused_with_a_reason() {
        for (text, reason) in [
            (":0", "size and stride are 1 or more"),
            (":3:stride=0", "size and stride are 1 or more"),
            (":x", "`x` is not a number of letters"),
            (":3:step=2", "`step=2` is neither a stride nor an alphabet"),
            (":11", "11 letters out of 4 make more than 1048576 pieces"),
            (":99", "99 letters out of 4 make more than 1048576 pieces"),
            (
                ":3:alphabet=AAC",
                "the alphabet `AAC` is not two or more different letters",
            ),
        ] {
            let error = text.parse::<Kmers>().unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
    }
}
