//! Sequences to masked sequences, for models that are to restore what was there.
//!
//! A mask is a function of a seed, a pass and the number of the sequence, so it is the same whoever makes it and when.
//! With the epoch as the pass, every epoch has its own masks (dynamic masking, Liu et al. 2019, §4.1); with
//! [`EpochPlan::pass`](crate::sequences::EpochPlan::pass), they repeat where the sequences do.
//!
//! ```
//! use bertkit_data::corruption::{MaskVocabulary, Masking};
//! use bertkit_data::sequences::Sequence;
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

#[cfg(test)]
mod tests;

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::random::{KeyedPurpose, Random};
use crate::sequences::Sequence;
use crate::tokenizer::TextTokenizer;

/// What is masked together.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum MaskUnit {
    /// Tokens.
    #[default]
    Token,
    /// All tokens of a word or none; each draws for itself what it becomes, as in BERT's published code.
    ///
    /// Words that would exceed the number of tokens to mask are passed over, so it can be missed by a few, and a short
    /// sequence of long words can have no mask at all.
    WholeWord,
    /// Words that follow each other, masked, replaced or left as they are together (Joshi et al. 2020, §3.1). Where the
    /// tokenizer knows no words, tokens.
    ///
    /// A span is drawn from any token's word on and ends early at a special token, at a masked word and where the next
    /// word would exceed the number of tokens to mask. The published code cuts such a word in two instead,
    /// goes through masked words, and counts without special tokens, rounding up.
    Span {
        /// `p` of the geometric distribution of lengths in words, `p (1 − p)^(length − 1)`, in (0, 1]. 0.2 in the paper.
        probability: f64,
        /// The longest span in words; the distribution is cut off there. 10 in the paper.
        longest: usize,
    },
}

/// How tokens are chosen to be predicted, and what the model sees in their place.
///
/// In a sequence of `n` tokens, special ones included, round(`rate` · `n`) are chosen, but at least one and at most
/// `max_predictions`; halves are rounded to the even number, as in the published code, of which ELECTRA's rounds some
/// halves the other way because it multiplies in single precision. Special tokens are never chosen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Masking {
    /// The share of tokens to predict, in (0, 1].
    pub rate: f64,
    /// The share of these that become the mask token.
    pub mask_share: f64,
    /// The share that become a random token; the rest stays as it is.
    pub random_share: f64,
    /// Whether a random token can be a special one. All tokens of the vocabulary are equally likely either way.
    pub random_special: bool,
    /// What is masked together.
    pub unit: MaskUnit,
    /// Whether a token can be chosen several times, so that fewer are. It becomes a mask token if any of the draws says
    /// so, and is predicted once. For [`MaskUnit::Token`] only.
    pub with_replacement: bool,
    /// Predictions of the longest sequence.
    pub max_predictions: Option<usize>,
}

impl Default for Masking {
    fn default() -> Self {
        Self::bert()
    }
}

impl Masking {
    /// BERT's: 15%, of which 80% become the mask token and 10% any token (Devlin et al. 2019, §3.1).
    ///
    /// The published data were made with at most 20 predictions in 128 tokens, which 15% do not reach.
    pub fn bert() -> Self {
        Self {
            rate: 0.15,
            mask_share: 0.8,
            random_share: 0.1,
            random_special: true,
            unit: MaskUnit::Token,
            with_replacement: false,
            max_predictions: None,
        }
    }

    /// RoBERTa's, and that of GottBERT: as BERT's, but no random special tokens (Liu et al. 2019 and fairseq).
    ///
    /// fairseq rounds the number of predictions up or down at random, and can mask `<s>` and `</s>`.
    pub fn roberta() -> Self {
        Self {
            random_special: false,
            ..Self::bert()
        }
    }

    /// BERT's, of whole words: its later models, and Bioformer.
    pub fn whole_word() -> Self {
        Self {
            unit: MaskUnit::WholeWord,
            ..Self::bert()
        }
    }

    /// SpanBERT's: spans of 1 to 10 words (Joshi et al. 2020, §3.1).
    pub fn span() -> Self {
        Self {
            unit: MaskUnit::Span {
                probability: 0.2,
                longest: 10,
            },
            random_special: false,
            ..Self::bert()
        }
    }

    /// BERT's at 25%, as in Geiping and Goldstein 2023 (cramming).
    pub fn cramming() -> Self {
        Self {
            rate: 0.25,
            ..Self::bert()
        }
    }

    /// ELECTRA's: 15%, or 25% for its large model, drawn with replacement; 85% become the mask token, the rest stays
    /// (Clark et al. 2020 and the published code).
    ///
    /// The published code counts a token that was drawn twice twice in the generator's loss; here it counts once.
    pub fn electra(large: bool, max_length: usize) -> Self {
        let rate = if large { 0.25 } else { 0.15 };
        Self {
            rate,
            mask_share: 0.85,
            random_share: 0.0,
            random_special: true,
            unit: MaskUnit::Token,
            with_replacement: true,
            max_predictions: Some((((rate + 0.005) * max_length as f64) as usize).max(1)),
        }
    }

    /// Checks ranges, and what excludes each other; all problems at once. `has_words` is that of the corpus.
    ///
    /// # Errors
    /// What is wrong.
    pub fn check(&self, has_words: bool) -> Result<(), Vec<MaskingError>> {
        let mut problems = Vec::new();
        let mut range = |name, value: f64, least: &'static str, fits: bool| {
            if !fits {
                problems.push(MaskingError::Range { name, value, least });
            }
        };
        let positive = |value: f64| value > 0.0 && value <= 1.0;
        let share = |value: f64| (0.0..=1.0).contains(&value);
        range("rate", self.rate, "more than 0", positive(self.rate));
        range("mask_share", self.mask_share, "0", share(self.mask_share));
        range(
            "random_share",
            self.random_share,
            "0",
            share(self.random_share),
        );
        if let MaskUnit::Span { probability, .. } = self.unit {
            range(
                "span.probability",
                probability,
                "more than 0",
                positive(probability),
            );
        }
        // Shares of decimals such as 0.7 and 0.3 need not add up to exactly 1.
        if share(self.mask_share)
            && share(self.random_share)
            && self.mask_share + self.random_share > 1.0 + 1e-9
        {
            problems.push(MaskingError::Shares {
                mask: self.mask_share,
                random: self.random_share,
            });
        }
        if self.max_predictions == Some(0) {
            problems.push(MaskingError::Zero {
                name: "max_predictions",
            });
        }
        if matches!(self.unit, MaskUnit::Span { longest: 0, .. }) {
            problems.push(MaskingError::Zero {
                name: "span.longest",
            });
        }
        if self.unit == MaskUnit::WholeWord && !has_words {
            problems.push(MaskingError::NoWords);
        }
        if self.with_replacement && self.unit != MaskUnit::Token {
            problems.push(MaskingError::Replacement);
        }
        if problems.is_empty() {
            Ok(())
        } else {
            Err(problems)
        }
    }

    /// Masks a sequence: a function of the arguments alone.
    ///
    /// `pass` and `index` say whose mask it is: the epoch and the sequence's number in it.
    pub fn mask(
        &self,
        sequence: &Sequence,
        vocabulary: &MaskVocabulary,
        seed: u64,
        pass: u64,
        index: u64,
    ) -> Masked {
        let mut draw = Draw {
            masking: self,
            vocabulary,
            random: Random::keyed(seed, KeyedPurpose::Masks, pass, index),
            input_ids: sequence.ids.clone(),
            positions: Vec::new(),
        };
        let budget = self.predictions(sequence.ids.len());
        match self.unit {
            MaskUnit::Token => draw.tokens(text(sequence), budget),
            MaskUnit::WholeWord => draw.words(words(sequence), budget),
            MaskUnit::Span {
                probability,
                longest,
            } => draw.spans(&words(sequence), budget, probability, longest),
        }
        let Draw {
            input_ids,
            mut positions,
            ..
        } = draw;
        positions.sort_unstable();
        positions.dedup(); // drawn with replacement
        let targets = positions
            .iter()
            .map(|&position| sequence.ids[position as usize])
            .collect();
        Masked {
            input_ids,
            positions,
            targets,
        }
    }

    /// Number of tokens to predict in a sequence of so many, special tokens included.
    fn predictions(&self, length: usize) -> usize {
        let wanted = (length as f64 * self.rate).round_ties_even() as usize;
        wanted
            .min(self.max_predictions.unwrap_or(usize::MAX))
            .max(1)
    }
}

/// What is wrong with a [`Masking`].
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum MaskingError {
    /// Not a share.
    #[error("`{name}` is {value}, expected {least} to 1")]
    Range {
        /// The field.
        name: &'static str,
        /// What was given.
        value: f64,
        /// The lower end, in words.
        least: &'static str,
    },
    /// Together more than everything.
    #[error("`mask_share` and `random_share` are {mask} and {random}, expected at most 1 together")]
    Shares {
        /// The share that becomes the mask token.
        mask: f64,
        /// The share that becomes a random token.
        random: f64,
    },
    /// None, where some are needed.
    #[error("`{name}` is 0, expected at least 1")]
    Zero {
        /// The field.
        name: &'static str,
    },
    /// Whole words of a tokenizer that has none.
    #[error("whole words cannot be masked: the tokenizer does not say where words begin")]
    NoWords,
    /// Words drawn with replacement.
    #[error("`with_replacement` draws single tokens, but the unit is not `token`")]
    Replacement,
    /// A tokenizer that was not made for this.
    #[error("the tokenizer has no mask token")]
    NoMaskToken,
}

impl MaskingError {
    /// What the user can do about it, if we know.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Range { name: "rate", .. } => Some("0.15 masks about one token in seven"),
            Self::Shares { .. } => Some("what is left of 1 stays as it is; BERT's are 0.8 and 0.1"),
            Self::NoWords => Some("choose the unit `token` or `span`"),
            Self::Replacement => Some("drop one of the two"),
            Self::NoMaskToken => {
                Some("add a token `[MASK]` or `<mask>` to it, or choose another tokenizer")
            }
            _ => None,
        }
    }
}

/// The ids that masking puts in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MaskVocabulary {
    size: u32,
    mask: u32,
    /// Ascending, each once, and below `size`.
    special: Vec<u32>,
}

impl MaskVocabulary {
    /// Of `size` ids, of which one is the mask token and some are special; those outside do not count.
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

    /// That of a tokenizer; its special tokens are those with a role (start, separator, unknown, padding, mask).
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

    fn random_id(&self, special: bool, random: &mut Random) -> u32 {
        let ordinary = self.size - self.special.len() as u32;
        if special || ordinary == 0 {
            return random.below(u64::from(self.size)) as u32;
        }
        // The id with so many ordinary ones before it.
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

/// A sequence with some tokens to predict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Masked {
    /// What the model sees: as many ids as the sequence has.
    pub input_ids: Vec<u32>,
    /// Where it has to predict: ascending, each once, never a special token. Empty if there is nothing to mask.
    pub positions: Vec<u32>,
    /// What was at these positions.
    pub targets: Vec<u32>,
}

/// The positions of all tokens but special ones.
fn text(sequence: &Sequence) -> Vec<u32> {
    let positions = 0..sequence.ids.len() as u32;
    positions
        .filter(|&position| !sequence.special[position as usize])
        .collect()
}

/// The positions of each word, in order. What is left of a word behind a special token is one as well.
fn words(sequence: &Sequence) -> Vec<Range<u32>> {
    let mut words: Vec<Range<u32>> = Vec::with_capacity(sequence.ids.len());
    for position in text(sequence) {
        match words.last_mut() {
            Some(word) if word.end == position && !sequence.word_starts[position as usize] => {
                word.end += 1;
            }
            _ => words.push(position..position + 1),
        }
    }
    words
}

/// What a chosen token becomes.
#[derive(Clone, Copy)]
enum Fate {
    Mask,
    Random,
    Stay,
}

/// A mask that is being drawn.
struct Draw<'a> {
    masking: &'a Masking,
    vocabulary: &'a MaskVocabulary,
    random: Random,
    input_ids: Vec<u32>,
    /// Chosen so far.
    positions: Vec<u32>,
}

impl Draw<'_> {
    fn fate(&mut self) -> Fate {
        let drawn = self.random.unit();
        if drawn < self.masking.mask_share {
            Fate::Mask
        } else if drawn < self.masking.mask_share + self.masking.random_share {
            Fate::Random
        } else {
            Fate::Stay
        }
    }

    fn choose(&mut self, position: u32, fate: Fate) {
        let id = &mut self.input_ids[position as usize];
        match fate {
            Fate::Mask => *id = self.vocabulary.mask,
            Fate::Random => {
                let special = self.masking.random_special;
                *id = self.vocabulary.random_id(special, &mut self.random);
            }
            Fate::Stay => {}
        }
        self.positions.push(position);
    }

    fn tokens(&mut self, mut candidates: Vec<u32>, budget: usize) {
        if self.masking.with_replacement {
            for _ in 0..if candidates.is_empty() { 0 } else { budget } {
                let drawn = self.random.below(candidates.len() as u64) as usize;
                let fate = self.fate();
                self.choose(candidates[drawn], fate);
            }
            return;
        }
        for next in 0..budget.min(candidates.len()) {
            let drawn = next + self.random.below((candidates.len() - next) as u64) as usize;
            candidates.swap(next, drawn);
            let fate = self.fate();
            self.choose(candidates[next], fate);
        }
    }

    fn words(&mut self, mut words: Vec<Range<u32>>, budget: usize) {
        for next in 0..words.len() {
            let room = budget - self.positions.len();
            if room == 0 {
                break;
            }
            let drawn = next + self.random.below((words.len() - next) as u64) as usize;
            words.swap(next, drawn);
            if words[next].len() <= room {
                for position in words[next].clone() {
                    let fate = self.fate();
                    self.choose(position, fate);
                }
            }
        }
    }

    fn spans(&mut self, words: &[Range<u32>], budget: usize, probability: f64, longest: usize) {
        /// So many draws in a row that hit a masked word, or one too long, and spans are given up for single words.
        const PATIENCE: usize = 64;
        let text: usize = words.iter().map(Range::len).sum();
        let mut chosen = vec![false; words.len()];
        // Where each word ends, special tokens not counted.
        let ends: Vec<usize> = words
            .iter()
            .scan(0, |end, word| {
                *end += word.len();
                Some(*end)
            })
            .collect();
        let mut misses = 0;
        while self.positions.len() < budget.min(text) && misses < PATIENCE {
            let anchor = self.random.below(text as u64) as usize;
            let first = ends.partition_point(|&end| end <= anchor);
            let span = self.span_length(probability, longest);
            let mut room = budget - self.positions.len();
            let mut last = first;
            while last < words.len()
                && last - first < span
                && !chosen[last]
                && words[last].len() <= room
                && (last == first || words[last].start == words[last - 1].end)
            {
                room -= words[last].len();
                last += 1;
            }
            if last == first {
                misses += 1;
                continue;
            }
            misses = 0;
            let fate = self.fate();
            for word in first..last {
                chosen[word] = true;
                for position in words[word].clone() {
                    self.choose(position, fate);
                }
            }
        }
        if self.positions.len() < budget {
            let left = words.iter().zip(&chosen).filter(|(_, chosen)| !**chosen);
            self.words(left.map(|(word, _)| word.clone()).collect(), budget);
        }
    }

    /// A length in words, of the geometric distribution cut off at the longest.
    fn span_length(&mut self, probability: f64, longest: usize) -> usize {
        // Without logarithms, which platforms round differently.
        let mut beyond = 1.0;
        for _ in 0..longest {
            beyond *= 1.0 - probability;
        }
        let mut left = self.random.unit() * (1.0 - beyond) - probability;
        let (mut length, mut next) = (1, probability);
        while left >= 0.0 && length < longest {
            next *= 1.0 - probability;
            left -= next;
            length += 1;
        }
        length
    }
}
