//! ELECTRA's sequences: sentences of a document, dealt out to one or two segments.

use super::{Sequence, SequenceSettings, length};
use crate::corpus::Corpus;
use crate::random::Random;

/// Consecutive sentences; which of them go to which segment is drawn again when the sequence is made.
#[derive(Debug)]
pub(super) struct Lines {
    /// The first sentence.
    pub(super) first: u64,
    count: u32,
    /// The length aimed at.
    target: u32,
    /// Number of tokens of the sequence, special tokens included.
    pub(super) tokens: u32,
}

/// Sequences of the documents in this order; `segments` gives the numbers that deal out those beginning with a sentence.
pub(super) fn plan(
    corpus: &Corpus,
    documents: &[u32],
    settings: &SequenceSettings,
    random: &mut Random,
    segments: impl Fn(u64) -> Random,
) -> Vec<Lines> {
    const SHORTEST: u64 = 5;
    let longest = settings.max_length as u64;
    let mut sequences = Vec::new();
    let mut target = longest;
    for &document in documents {
        let sentences = corpus.document(document as usize);
        let mut first = sentences.start;
        let mut tokens = 0;
        for sentence in sentences.clone() {
            tokens += length(&corpus.sentence(sentence));
            if tokens < target && sentence + 1 < sentences.end {
                continue;
            }
            let mut lines = Lines {
                first: first as u64,
                count: (sentence + 1 - first) as u32,
                target: target as u32,
                tokens: 0,
            };
            let mut random_segments = segments(lines.first);
            let [a, b] = lines.deal(corpus, settings, &mut random_segments).tokens;
            let specials = if b == 0 { 2 } else { settings.pair_specials() };
            lines.tokens = (a + b) as u32 + specials as u32;
            sequences.push(lines);
            (first, tokens) = (sentence + 1, 0);
            target = if random.chance(settings.short_probability) {
                SHORTEST + random.below(longest - SHORTEST + 1)
            } else {
                longest
            };
        }
    }
    sequences
}

/// Who gets what.
struct Dealt {
    /// Whether a sentence goes to the second segment.
    second: Vec<bool>,
    /// Number of tokens of the two segments when they are cut to fit.
    tokens: [u64; 2],
}

impl Lines {
    fn sentences(&self) -> std::ops::Range<usize> {
        self.first as usize..self.first as usize + self.count as usize
    }

    fn deal(&self, corpus: &Corpus, settings: &SequenceSettings, random: &mut Random) -> Dealt {
        let first_target = if random.chance(0.1) {
            u64::MAX // one segment, as in classification
        } else {
            (u64::from(self.target) - 3) / 2
        };
        let (mut a, mut b) = (0, 0);
        let mut second = Vec::with_capacity(self.count as usize);
        for sentence in self.sentences() {
            let tokens = length(&corpus.sentence(sentence));
            let fits = a == 0 || a + tokens < first_target;
            let to_first = fits || (b == 0 && a < first_target && random.chance(0.5));
            *(if to_first { &mut a } else { &mut b }) += tokens;
            second.push(!to_first);
        }
        let longest = settings.max_length as u64;
        a = a.min(longest - 2);
        b = b.min(longest.saturating_sub(a + settings.pair_specials() as u64));
        Dealt {
            second,
            tokens: [a, b],
        }
    }

    /// Everything behind the first special token.
    pub(super) fn fill(
        &self,
        sequence: &mut Sequence,
        corpus: &Corpus,
        settings: &SequenceSettings,
        mut random: Random,
    ) {
        let dealt = self.deal(corpus, settings, &mut random);
        let push = |sequence: &mut Sequence, of_second: bool, type_id| {
            let mut room = dealt.tokens[usize::from(of_second)];
            for (sentence, &second) in self.sentences().zip(&dealt.second) {
                if second == of_second && room > 0 {
                    let mut places = corpus.sentence(sentence);
                    places.end = places.end.min(places.start + room);
                    room -= length(&places);
                    sequence.push_text(corpus, places, type_id);
                }
            }
        };
        push(sequence, false, 0);
        if dealt.tokens[1] == 0 {
            sequence.push_special(settings.sep, 0);
        } else {
            let type_id = sequence.push_between(settings);
            push(sequence, true, type_id);
            sequence.push_special(settings.sep, type_id);
        }
    }
}
