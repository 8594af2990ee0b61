//! ELECTRA's sequences: sentences of a document, distributed over one or two segments.

use crate::pretraining::corpus::Corpus;
use crate::pretraining::sequences::builder::{Builder, Epoch, Plan, Segments, length};
use crate::pretraining::sequences::error::SequenceError;
use crate::pretraining::sequences::layout::Layout;
use crate::pretraining::sequences::sequence::Sequence;
use crate::random::Random;

/// The shortest target length, which is also the smallest `max_length`.
const SHORTEST: u64 = 5;

/// [`Packing::Electra`](super::Packing::Electra).
pub(super) struct Electra;

impl Builder for Electra {
    fn name(&self) -> &'static str {
        "electra"
    }

    fn short_probability(&self) -> f64 {
        0.05
    }

    fn shortest(&self, _layout: &Layout) -> usize {
        SHORTEST as usize
    }

    fn plan(&self, epoch: &Epoch<'_>, random: &mut Random) -> Result<Box<dyn Plan>, SequenceError> {
        let Epoch {
            corpus,
            documents,
            layout,
            segments,
        } = *epoch;
        let longest = layout.max_length as u64;
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
                let [a, b] = lines.distribute(corpus, layout, segments).tokens;
                let specials = if b == 0 { 2 } else { layout.pair_specials() };
                lines.tokens = (a + b) as u32 + specials as u32;
                sequences.push(lines);
                (first, tokens) = (sentence + 1, 0);
                target = if random.chance(layout.short_probability) {
                    SHORTEST + random.below(longest - SHORTEST + 1)
                } else {
                    longest
                };
            }
        }
        Ok(Box::new(ElectraPlan {
            segments,
            sequences,
        }))
    }
}

#[derive(Debug)]
struct ElectraPlan {
    segments: Segments,
    sequences: Vec<Lines>,
}

impl Plan for ElectraPlan {
    fn len(&self) -> usize {
        self.sequences.len()
    }

    fn tokens(&self, number: usize, _layout: &Layout) -> usize {
        self.sequences[number].tokens as usize
    }

    fn fill(&self, number: usize, sequence: &mut Sequence, corpus: &Corpus, layout: &Layout) {
        self.sequences[number].fill(sequence, corpus, layout, self.segments);
    }
}

/// Consecutive sentences. Their assignment to segments is drawn again when the sequence is built.
#[derive(Debug)]
pub(super) struct Lines {
    /// The first sentence.
    first: u64,
    count: u32,
    /// The target length.
    target: u32,
    /// Number of tokens of the sequence, special tokens included.
    tokens: u32,
}

/// Sentences assigned to segments.
struct Distributed {
    /// Whether a sentence goes to the second segment.
    second: Vec<bool>,
    /// Number of tokens of the two segments, truncated to fit.
    tokens: [u64; 2],
}

impl Lines {
    fn sentences(&self) -> std::ops::Range<usize> {
        self.first as usize..self.first as usize + self.count as usize
    }

    fn distribute(&self, corpus: &Corpus, layout: &Layout, segments: Segments) -> Distributed {
        let mut random = segments.of(self.first);
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
        let longest = layout.max_length as u64;
        a = a.min(longest - 2);
        b = b.min(longest.saturating_sub(a + layout.pair_specials() as u64));
        Distributed {
            second,
            tokens: [a, b],
        }
    }

    fn fill(&self, sequence: &mut Sequence, corpus: &Corpus, layout: &Layout, segments: Segments) {
        let distributed = self.distribute(corpus, layout, segments);
        let push = |sequence: &mut Sequence, of_second: bool, type_id| {
            let mut room = distributed.tokens[usize::from(of_second)];
            for (sentence, &second) in self.sentences().zip(&distributed.second) {
                if second == of_second && room > 0 {
                    let mut range = corpus.sentence(sentence);
                    range.end = range.end.min(range.start + room);
                    room -= length(&range);
                    sequence.push_text(corpus, range, type_id);
                }
            }
        };
        push(sequence, false, 0);
        if distributed.tokens[1] == 0 {
            sequence.push_special(layout.sep, 0);
        } else {
            let type_id = sequence.push_between(layout);
            push(sequence, true, type_id);
            sequence.push_special(layout.sep, type_id);
        }
    }
}
