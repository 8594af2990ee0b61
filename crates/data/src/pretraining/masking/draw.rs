//! Draws masks.

use std::ops::Range;

use super::settings::{MaskUnit, Masking};
use super::vocabulary::MaskVocabulary;
use crate::pretraining::sequences::Sequence;
use crate::random::{KeyedPurpose, Random};

impl Masking {
    /// Masks a sequence. The result depends only on the arguments.
    ///
    /// `pass` and `index` identify the sequence: the epoch and the sequence's index in it.
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

    /// Number of tokens to predict in a sequence of `length` tokens, special tokens included.
    pub(super) fn predictions(&self, length: usize) -> usize {
        let wanted = (length as f64 * self.rate).round_ties_even() as usize;
        wanted
            .min(self.max_predictions.unwrap_or(usize::MAX))
            .max(1)
    }
}

/// A masked sequence and the tokens to predict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Masked {
    /// The input of the model, of the same length as the sequence.
    pub input_ids: Vec<u32>,
    /// Positions to predict: ascending, each once, never a special token. Empty if there is nothing to mask.
    pub positions: Vec<u32>,
    /// The original ids at these positions.
    pub targets: Vec<u32>,
}

/// The positions of all tokens except special tokens.
fn text(sequence: &Sequence) -> Vec<u32> {
    let positions = 0..sequence.ids.len() as u32;
    positions
        .filter(|&position| !sequence.special[position as usize])
        .collect()
}

/// The positions of each word, in order. The remainder of a word after a special token counts as a word.
pub(super) fn words(sequence: &Sequence) -> Vec<Range<u32>> {
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

/// The replacement of a chosen token.
#[derive(Clone, Copy)]
enum Fate {
    Mask,
    Random,
    Stay,
}

/// The state of drawing one mask.
pub(super) struct Draw<'a> {
    pub(super) masking: &'a Masking,
    pub(super) vocabulary: &'a MaskVocabulary,
    pub(super) random: Random,
    pub(super) input_ids: Vec<u32>,
    /// The positions chosen so far.
    pub(super) positions: Vec<u32>,
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
        /// After this many consecutive draws of a masked or overlong word, draw single words instead.
        const PATIENCE: usize = 64;
        let text: usize = words.iter().map(Range::len).sum();
        let mut chosen = vec![false; words.len()];
        // The end of each word, not counting special tokens.
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

    /// Draws a length in words from the geometric distribution truncated at `longest`.
    pub(super) fn span_length(&mut self, probability: f64, longest: usize) -> usize {
        // Avoid logarithms, because their rounding differs between platforms.
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
