//! Pairs of segments with a label, as the published code of BERT and ALBERT builds them.

use std::ops::Range;

use crate::pretraining::corpus::Corpus;
use crate::pretraining::sequences::builder::{Epoch, Plan, length};
use crate::pretraining::sequences::error::SequenceError;
use crate::pretraining::sequences::layout::Layout;
use crate::pretraining::sequences::sequence::Sequence;
use crate::random::Random;

/// The probability of a shorter target length.
pub(super) const SHORT_PROBABILITY: f64 = 0.1;

/// The smallest `max_length`: the special tokens and a token in each segment.
pub(super) fn shortest(layout: &Layout) -> usize {
    layout.pair_specials() + 2
}

/// How the two segments of a chunk of several sentences become a labelled pair.
pub(super) trait PairRule {
    /// Returns an error if the documents cannot provide negative pairs.
    fn check(&self, corpus: &Corpus, documents: &[u32]) -> Result<(), SequenceError>;

    /// Whether the second segment is replaced by one of another document; the pair is then labelled 1.
    fn replaces_second(&self, random: &mut Random) -> bool;

    /// Whether the segments are swapped; the pair is then labelled 1.
    fn swaps(&self, random: &mut Random) -> bool;
}

/// Two ranges of the corpus.
#[derive(Debug)]
pub(super) struct Pair {
    first: u64,
    second: u64,
    first_tokens: u32,
    /// The label is stored in the highest bit, which no length uses.
    second_tokens: u32,
}

const LABEL: u32 = 1 << 31;

/// The pairs of an epoch.
#[derive(Debug)]
pub(super) struct Pairs(Vec<Pair>);

impl Pairs {
    /// Builds the pairs of the documents, in the given order.
    ///
    /// As in the published code, the shorter target is drawn once per document, not per pair; the first segment is a
    /// random prefix of the chunk; and a chunk of one sentence always gets a second segment from elsewhere.
    pub(super) fn plan(
        epoch: &Epoch<'_>,
        random: &mut Random,
        rule: &dyn PairRule,
    ) -> Result<Self, SequenceError> {
        let Epoch {
            corpus,
            documents,
            layout,
            ..
        } = *epoch;
        rule.check(corpus, documents)?;
        let budget = (layout.max_length - layout.pair_specials()) as u64;
        let mut pairs = Vec::new();
        for (position, &document) in documents.iter().enumerate() {
            let sentences = corpus.document(document as usize);
            let target = layout.target(budget, random);
            let mut chunk = sentences.start..sentences.start;
            let mut chunk_tokens = 0;
            while chunk.end < sentences.end {
                chunk_tokens += length(&corpus.sentence(chunk.end));
                chunk.end += 1;
                if chunk.end < sentences.end && chunk_tokens < target {
                    continue;
                }
                let middle = match chunk.len() as u64 {
                    1 => chunk.end,
                    several => chunk.start + 1 + random.below(several - 1) as usize,
                };
                let mut a = sentence_range(corpus, chunk.start..middle);
                let mut b;
                let label;
                if chunk.len() == 1 || rule.replaces_second(random) {
                    label = true;
                    let wanted = target.saturating_sub(length(&a));
                    b = elsewhere(corpus, documents, position, wanted, random);
                    chunk.end = middle; // unused sentences begin the next chunk
                } else {
                    b = sentence_range(corpus, middle..chunk.end);
                    label = rule.swaps(random);
                    if label {
                        std::mem::swap(&mut a, &mut b);
                    }
                }
                truncate(&mut a, &mut b, budget, random);
                pairs.push(Pair {
                    first: a.start,
                    second: b.start,
                    first_tokens: length(&a) as u32,
                    second_tokens: length(&b) as u32 | if label { LABEL } else { 0 },
                });
                chunk.start = chunk.end;
                chunk_tokens = 0;
            }
        }
        Ok(Self(pairs))
    }
}

impl Plan for Pairs {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn tokens(&self, number: usize, layout: &Layout) -> usize {
        let pair = &self.0[number];
        let text = pair.first_tokens as usize + (pair.second_tokens & !LABEL) as usize;
        text + layout.pair_specials()
    }

    fn fill(&self, number: usize, sequence: &mut Sequence, corpus: &Corpus, layout: &Layout) {
        let pair = &self.0[number];
        let first = pair.first..pair.first + u64::from(pair.first_tokens);
        let second = pair.second..pair.second + u64::from(pair.second_tokens & !LABEL);
        sequence.push_text(corpus, first, 0);
        let type_id = sequence.push_between(layout);
        sequence.push_text(corpus, second, type_id);
        sequence.push_special(layout.sep, type_id);
        sequence.label = Some(u32::from(pair.second_tokens & LABEL != 0));
    }
}

/// The token range of consecutive sentences, at least one.
fn sentence_range(corpus: &Corpus, sentences: Range<usize>) -> Range<u64> {
    corpus.sentence(sentences.start).start..corpus.sentence(sentences.end - 1).end
}

/// Consecutive sentences of a random document, starting at a random one, until they have the requested number of tokens
/// or the document ends.
///
/// The document is not the one at `position`, unless ten draws find no other.
fn elsewhere(
    corpus: &Corpus,
    documents: &[u32],
    position: usize,
    wanted: u64,
    random: &mut Random,
) -> Range<u64> {
    let mut other = position;
    for _ in 0..10 {
        other = random.below(documents.len() as u64) as usize;
        if other != position {
            break;
        }
    }
    let sentences = corpus.document(documents[other] as usize);
    let first = sentences.start + random.below(sentences.len() as u64) as usize;
    let mut drawn = corpus.sentence(first);
    for sentence in first + 1..sentences.end {
        if length(&drawn) >= wanted {
            break;
        }
        drawn.end = corpus.sentence(sentence).end;
    }
    drawn
}

/// Removes tokens from the longer segment (the second if equal), each from a random end, until both fit.
fn truncate(a: &mut Range<u64>, b: &mut Range<u64>, budget: u64, random: &mut Random) {
    while length(a) + length(b) > budget {
        let longer = if length(a) > length(b) {
            &mut *a
        } else {
            &mut *b
        };
        if random.chance(0.5) {
            longer.start += 1;
        } else {
            longer.end -= 1;
        }
    }
}
