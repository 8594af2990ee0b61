//! Trains tokenizers on text.
//!
//! The same texts in any order give the same tokenizer, byte for byte, if they fit in the memory budget; a sample also
//! depends on their order and on the seed.

mod characters;
mod counting;
mod frequent;
mod pairs;
mod unigram;

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use tokenizers::normalizers::NormalizerWrapper;
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::{
    NormalizedString, Normalizer, OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer,
};

pub use self::counting::Sample;
pub use self::frequent::{FrequentWords, SplitWord, Usage};

use self::characters::Characters;
use self::counting::{Counter, WordCounts};
use self::pairs::{Vocabulary, Words, merge_pairs};
use super::build::{self, Model};
use super::documents::Parts;
use super::family::Kind;
use super::kmers::Kmers;
use super::normalization::Normalization;
use super::spec::read_pattern;
use super::special_tokens::special_places;
use super::{TextTokenizer, TokenizerError, TokenizerFamily};

/// Longer words are `[UNK]` in WordPiece; in other tokenizers they are split, for training only.
const LONGEST_WORD: usize = 100;

/// The kinds of tokenizer that can be trained.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenizerType {
    /// WordPiece, trained by merging; pieces within a word begin with `##` (BERT).
    Wordpiece,
    /// Byte-pair encoding of characters (Sennrich et al. 2016); the space before a word is marked by `▁`.
    Bpe,
    /// Byte-pair encoding of bytes (GPT-2, RoBERTa): there are no unknown tokens.
    ByteBpe,
    /// Pieces with probabilities (Kudo 2018); the space before a word is marked by `▁`.
    Unigram,
    /// Every character is a token.
    Char,
    /// All k-mers of an alphabet; needs no text.
    Kmer(Kmers),
    /// The matches of the pattern in a file are tokens.
    Regex(PathBuf),
}

impl TokenizerType {
    /// The family whose special tokens are used by default: RoBERTa for bytes, else BERT.
    pub fn usual_family(&self) -> TokenizerFamily {
        TokenizerFamily::with_kind(match self {
            Self::ByteBpe => Kind::ByteLevelBpe,
            Self::Wordpiece
            | Self::Bpe
            | Self::Unigram
            | Self::Char
            | Self::Kmer(_)
            | Self::Regex(_) => Kind::Wordpiece,
        })
    }

    /// The default maximum number of tokens, special tokens included; `None` means no limit.
    pub fn usual_vocab_size(&self) -> Option<usize> {
        match self {
            Self::Wordpiece => Some(30_522), // BERT
            Self::Bpe | Self::Unigram => Some(32_000),
            Self::ByteBpe => Some(50_265), // RoBERTa
            Self::Char | Self::Kmer(_) | Self::Regex(_) => None,
        }
    }

    fn merges(&self) -> bool {
        matches!(self, Self::Wordpiece | Self::Bpe | Self::ByteBpe)
    }

    /// Whether training can turn frequent words into single tokens.
    pub fn learns_words(&self) -> bool {
        !matches!(self, Self::Char | Self::Kmer(_) | Self::Regex(_))
    }
}

impl FromStr for TokenizerType {
    type Err = TokenizerError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text.split_once(':') {
            Some(("kmer", _)) => Self::Kmer(text["kmer".len()..].parse()?),
            Some(("regex", file)) if !file.is_empty() => Self::Regex(file.into()),
            _ => match text {
                "wordpiece" => Self::Wordpiece,
                "bpe" => Self::Bpe,
                "byte-bpe" => Self::ByteBpe,
                "unigram" => Self::Unigram,
                "char" => Self::Char,
                "kmer" => Self::Kmer("".parse()?),
                _ => {
                    return Err(TokenizerError::Spec {
                        found: text.into(),
                        expected: "a type of tokenizer",
                        message: "there are wordpiece, bpe, byte-bpe, unigram, char, kmer:K and regex:FILE"
                            .into(),
                    });
                }
            },
        })
    }
}

impl fmt::Display for TokenizerType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wordpiece => f.write_str("wordpiece"),
            Self::Bpe => f.write_str("bpe"),
            Self::ByteBpe => f.write_str("byte-bpe"),
            Self::Unigram => f.write_str("unigram"),
            Self::Char => f.write_str("char"),
            Self::Kmer(kmers) => kmers.fmt(f),
            Self::Regex(path) => write!(f, "regex:{}", path.display()),
        }
    }
}

/// Training options.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrainOptions {
    /// The kind of tokenizer.
    pub kind: TokenizerType,
    /// The family that determines the special tokens and their positions.
    pub family: TokenizerFamily,
    /// Maximum number of tokens, special tokens included; `None` means [`TokenizerType::usual_vocab_size`]. K-mer
    /// vocabularies ignore this: the alphabet determines their size.
    pub vocab_size: Option<usize>,
    /// Normalization of texts; k-mers have their own.
    pub normalization: Normalization,
    /// Minimum number of occurrences of a pair to be merged, of a Unigram candidate (at least 2), or of a whole-word
    /// token.
    pub min_frequency: u64,
    /// The maximum input length of the model, in tokens.
    pub max_length: usize,
    /// Approximate memory limit of training in bytes; beyond it, only a sample of the texts is counted.
    pub max_memory: u64,
    /// Seed of the sample; affects nothing else.
    pub seed: u64,
}

impl Default for TrainOptions {
    /// BERT's WordPiece: 30,522 tokens, lower-cased, minimum frequency 2, maximum length 512; 1 GB of memory.
    fn default() -> Self {
        Self {
            kind: TokenizerType::Wordpiece,
            family: TokenizerFamily::default(),
            vocab_size: None,
            normalization: Normalization {
                lowercase: true,
                ..Normalization::default()
            },
            min_frequency: 2,
            max_length: 512,
            max_memory: 1_000_000_000,
            seed: 0,
        }
    }
}

impl TrainOptions {
    /// Memory limit of the word counts in bytes: a measured fraction of the total; the rest is needed for training.
    fn counts_memory(&self) -> u64 {
        match self.kind {
            TokenizerType::Unigram => self.max_memory / 6,
            _ => self.max_memory / 3,
        }
    }

    fn size(&self) -> usize {
        let usual = self.kind.usual_vocab_size().unwrap_or(usize::MAX);
        self.vocab_size.unwrap_or(usual)
    }
}

/// Trains a tokenizer on texts in memory.
///
/// # Errors
/// As [`TokenizerTrainer`].
pub fn train_tokenizer<'a>(
    texts: impl Iterator<Item = &'a str>,
    options: &TrainOptions,
) -> Result<TextTokenizer, TokenizerError> {
    const BATCH: usize = 4096;
    let mut trainer = TokenizerTrainer::new(options)?;
    let mut texts = texts.peekable();
    while texts.peek().is_some() {
        let batch: Vec<&str> = texts.by_ref().take(BATCH).collect();
        trainer.add(&batch)?;
    }
    Ok(trainer.train(&mut |_| ())?.tokenizer)
}

/// Counts the words of a stream of texts, then trains a tokenizer on the counts.
pub struct TokenizerTrainer {
    options: TrainOptions,
    parts: Parts,
    divider: Divider,
    counter: Counter,
}

/// A new tokenizer and its training words.
#[derive(Debug, Clone)]
pub struct Trained {
    /// The tokenizer.
    pub tokenizer: TextTokenizer,
    /// The part of the text that was counted.
    pub sample: Sample,
    kind: TokenizerType,
    words: WordCounts,
}

impl TokenizerTrainer {
    /// Creates a trainer.
    ///
    /// # Errors
    /// A vocabulary too small for the special tokens and one character (for bytes, all bytes); a pattern that cannot be
    /// read or used.
    pub fn new(options: &TrainOptions) -> Result<Self, TokenizerError> {
        let normalization = &options.normalization;
        let mut kmers = None;
        let parts = match &options.kind {
            TokenizerType::Wordpiece => Parts::wordpiece(normalization),
            TokenizerType::Bpe | TokenizerType::Unigram => Parts::marked_words(normalization),
            TokenizerType::ByteBpe => Parts::byte_level(normalization),
            TokenizerType::Char => Parts::characters(normalization),
            TokenizerType::Kmer(pieces) => {
                kmers = Some(pieces.clone());
                Parts::kmers(pieces)
            }
            TokenizerType::Regex(path) => {
                let pattern = read_pattern(path)?;
                build::check_pattern(&pattern)?;
                Parts::matches(&pattern, normalization)
            }
        };
        let (first, last) = special_places(options.family);
        let characters = match options.kind {
            TokenizerType::ByteBpe => 256,
            _ => 1,
        };
        let least = first.len() + last.len() + characters;
        if options.size() < least {
            return Err(TokenizerError::VocabSize {
                found: options.size(),
                least,
            });
        }
        Ok(Self {
            options: options.clone(),
            divider: Divider::new(&parts, kmers)?,
            parts,
            counter: Counter::new(options.counts_memory(), options.seed),
        })
    }

    /// Counts the words of texts, on all cores. A text is sampled as a whole, so prefer lines or sentences to books.
    ///
    /// # Errors
    /// [`TokenizerError::Encode`]
    pub fn add(&mut self, texts: &[&str]) -> Result<(), TokenizerError> {
        let divider = &self.divider;
        self.counter
            .add(texts, |text, word| divider.divide(text, word))
    }

    /// Trains the tokenizer; `progress` is called regularly with the number of tokens.
    ///
    /// The vocabulary is smaller than requested if the text has too few words and pieces that are frequent enough.
    ///
    /// # Errors
    /// The texts have no words, or none that fit in the memory limit.
    pub fn train(self, progress: &mut dyn FnMut(usize)) -> Result<Trained, TokenizerError> {
        let Self {
            options,
            parts,
            divider,
            counter,
        } = self;
        drop(divider);
        let sample = counter.sample();
        let words = counter.finish();
        let tokenizer = match &options.kind {
            TokenizerType::Kmer(kmers) => build::new_kmers(kmers, options.family)?,
            _ if words.0.is_empty() && sample.is_partial() => {
                return Err(TokenizerError::Memory {
                    budget: options.max_memory,
                });
            }
            _ if words.0.is_empty() => return Err(TokenizerError::NoText),
            _ => learn(parts, &words, &options, progress)?,
        };
        Ok(Trained {
            tokenizer: tokenizer.with_model_max_length(options.max_length),
            sample,
            kind: options.kind,
            words,
        })
    }
}

/// Trains a vocabulary on counted words and builds the tokenizer.
fn learn(
    parts: Parts,
    words: &WordCounts,
    options: &TrainOptions,
    progress: &mut dyn FnMut(usize),
) -> Result<TextTokenizer, TokenizerError> {
    let (first, last) = special_places(options.family);
    let mut learner = Learner::new(words, options, first, last);
    let (mut merges, mut scores) = (Vec::new(), None);
    match options.kind {
        TokenizerType::Wordpiece => merges = learner.wordpiece(progress),
        TokenizerType::Bpe | TokenizerType::ByteBpe => merges = learner.bpe(progress),
        TokenizerType::Unigram => scores = Some(learner.unigram(last.len(), progress)),
        TokenizerType::Char | TokenizerType::Regex(_) => learner.whole_words(words),
        TokenizerType::Kmer(_) => {}
    }
    let mut vocabulary = learner.vocabulary;
    for token in last {
        vocabulary.add(token);
    }

    let tokens: Vec<&str> = vocabulary.tokens.iter().map(String::as_str).collect();
    let merges: Vec<(&str, &str)> = merges
        .iter()
        .map(|&(a, b)| (tokens[a as usize], tokens[b as usize]))
        .collect();
    let model = match (&options.kind, &scores) {
        (TokenizerType::Wordpiece, _) => Model::Wordpiece,
        (TokenizerType::Bpe, _) => Model::Bpe {
            merges: &merges,
            bytes: false,
        },
        (TokenizerType::ByteBpe, _) => Model::Bpe {
            merges: &merges,
            bytes: true,
        },
        (_, Some(scores)) => Model::Unigram { scores },
        _ => Model::Whole,
    };
    build::new(parts, model, &tokens, options.family)
}

/// State of training a vocabulary.
struct Learner<'a> {
    options: &'a TrainOptions,
    /// The vocabulary so far; special tokens have the first ids.
    vocabulary: Vocabulary,
    /// Words and their counts, sorted by spelling: ties between pairs are merged in this order.
    sorted: Vec<(&'a str, u64)>,
    /// Maximum vocabulary size, excluding special tokens with the last ids.
    size: usize,
    /// Number of special tokens with the first ids.
    special: usize,
}

impl<'a> Learner<'a> {
    fn new(
        words: &'a WordCounts,
        options: &'a TrainOptions,
        first: &[&str],
        last: &[&str],
    ) -> Self {
        let mut vocabulary = Vocabulary::default();
        for token in first {
            vocabulary.add(token);
        }
        let words = words.0.iter();
        let mut sorted: Vec<(&str, u64)> =
            words.map(|(word, count)| (word.as_str(), *count)).collect();
        sorted.sort_unstable();
        Self {
            options,
            vocabulary,
            sorted,
            size: options.size().saturating_sub(last.len()),
            special: first.len(),
        }
    }

    /// Number of tokens that can still be learned.
    fn room(&self) -> usize {
        self.size - self.special
    }

    /// Merges frequent pairs until the vocabulary is full.
    fn merge(
        &mut self,
        words: Words,
        join: fn(&str, &str) -> String,
        progress: &mut dyn FnMut(usize),
    ) -> Vec<(u32, u32)> {
        let frequency = self.options.min_frequency;
        merge_pairs(
            &mut self.vocabulary,
            words,
            self.size,
            frequency,
            join,
            progress,
        )
    }

    /// Adds characters, at the start of and within words, and their merges.
    fn wordpiece(&mut self, progress: &mut dyn FnMut(usize)) -> Vec<(u32, u32)> {
        let room = self.room();
        Characters::of(&self.sorted).add_wordpieces(&mut self.vocabulary, room);
        let mut divided = Words::default();
        for &(word, count) in &self.sorted {
            if let Some(pieces) = wordpieces(&self.vocabulary, word) {
                divided.push(&pieces, count);
            }
        }
        let join = |a: &str, b: &str| format!("{a}{}", b.strip_prefix("##").unwrap_or(b));
        self.merge(divided, join, progress)
    }

    /// Adds characters or bytes, and their merges.
    fn bpe(&mut self, progress: &mut dyn FnMut(usize)) -> Vec<(u32, u32)> {
        let mut alphabet: Vec<char> = match self.options.kind {
            TokenizerType::ByteBpe => ByteLevel::alphabet().into_iter().collect(),
            _ => {
                let kept = Characters::of(&self.sorted).most_frequent(self.room());
                kept.into_iter().map(|(character, _)| character).collect()
            }
        };
        alphabet.sort_unstable();
        for character in alphabet {
            self.vocabulary.add(character.encode_utf8(&mut [0; 4]));
        }
        let mut divided = Words::default();
        for &(word, count) in &self.sorted {
            let id = |character: char| self.vocabulary.id(character.encode_utf8(&mut [0; 4]));
            for stretch in stretches(word, |character| id(character).is_some()) {
                let pieces: Vec<u32> = stretch.chars().filter_map(id).collect();
                divided.push(&pieces, count);
            }
        }
        self.merge(divided, |a, b| format!("{a}{b}"), progress)
    }

    /// Adds the pieces of a Unigram model. Returns the score of every token, with zeros for special tokens; `last` of
    /// them have the last ids.
    fn unigram(&mut self, last: usize, progress: &mut dyn FnMut(usize)) -> Vec<f64> {
        let characters = Characters::of(&self.sorted).most_frequent(self.room());
        let known: std::collections::HashSet<char> =
            characters.iter().map(|&(character, _)| character).collect();
        let words: Vec<unigram::Word> = self
            .sorted
            .iter()
            .flat_map(|&(word, count)| {
                let stretches = stretches(word, |character| known.contains(&character));
                stretches.map(move |text| unigram::Word {
                    text: text.into(),
                    count,
                })
            })
            .collect();
        let frequency = self.options.min_frequency;
        let pieces = unigram::train(&words, &characters, self.room(), frequency, progress);
        for (piece, _) in &pieces {
            self.vocabulary.add(piece);
        }
        let special = |tokens: usize| std::iter::repeat_n(0.0, tokens);
        let learned = pieces.iter().map(|&(_, score)| score);
        special(self.special)
            .chain(learned)
            .chain(special(last))
            .collect()
    }

    /// Adds whole words, in the order of `words`, until the vocabulary is full.
    fn whole_words(&mut self, words: &WordCounts) {
        let words = words.0.iter();
        for (word, _) in words.filter(|(_, count)| *count >= self.options.min_frequency) {
            if self.vocabulary.len() < self.size {
                self.vocabulary.add(word);
            }
        }
    }
}

/// A word as single characters; `None` if one is not in the vocabulary, because WordPiece then makes the word unknown.
fn wordpieces(vocabulary: &Vocabulary, word: &str) -> Option<Vec<u32>> {
    if word.chars().count() > LONGEST_WORD {
        return None;
    }
    let mut token = String::new();
    let piece = |(at, character): (usize, char)| {
        token.clear();
        if at > 0 {
            token.push_str("##");
        }
        token.push(character);
        vocabulary.id(&token)
    };
    word.chars().enumerate().map(piece).collect()
}

/// The parts of a word between unknown characters, split if they exceed the maximum word length for training.
fn stretches(word: &str, known: impl Fn(char) -> bool) -> impl Iterator<Item = &str> {
    word.split(move |character| !known(character))
        .flat_map(|mut rest| {
            std::iter::from_fn(move || {
                let end = rest
                    .char_indices()
                    .nth(LONGEST_WORD)
                    .map_or(rest.len(), |(at, _)| at);
                let (stretch, after) = rest.split_at(end);
                rest = after;
                (!stretch.is_empty()).then_some(stretch)
            })
        })
}

/// Splits texts into words in the same way as the final tokenizer.
struct Divider {
    normalizer: Option<NormalizerWrapper>,
    pre_tokenizer: PreTokenizerWrapper,
    kmers: Option<Kmers>,
}

impl Divider {
    fn new(parts: &Parts, kmers: Option<Kmers>) -> Result<Self, TokenizerError> {
        let failed = |error: serde_json::Error| TokenizerError::Encode {
            message: error.to_string(),
        };
        Ok(Self {
            normalizer: serde_json::from_value(parts.normalizer.clone()).map_err(failed)?,
            pre_tokenizer: serde_json::from_value(parts.pre_tokenizer.clone()).map_err(failed)?,
            kmers,
        })
    }

    fn divide(&self, text: &str, word: &mut dyn FnMut(&str)) -> Result<(), TokenizerError> {
        let failed = |error: tokenizers::Error| TokenizerError::Encode {
            message: error.to_string(),
        };
        let mut normalized = match &self.kmers {
            Some(kmers) => NormalizedString::from(&*kmers.cut(text)),
            None => NormalizedString::from(text),
        };
        if let Some(normalizer) = &self.normalizer {
            normalizer.normalize(&mut normalized).map_err(failed)?;
        }
        let mut divided = PreTokenizedString::from(normalized);
        self.pre_tokenizer
            .pre_tokenize(&mut divided)
            .map_err(failed)?;
        for (text, _, _) in divided.get_splits(OffsetReferential::Normalized, OffsetType::None) {
            if !text.is_empty() {
                word(text);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
