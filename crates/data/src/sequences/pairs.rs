//! Pairs of segments with a label: next sentence, and order of sentences.

use std::ops::Range;

use super::{Packing, Sequence, SequenceError, SequenceSettings, length};
use crate::corpus::Corpus;
use crate::random::Random;

/// Two stretches of the corpus.
#[derive(Debug)]
pub(super) struct Pair {
    first: u64,
    second: u64,
    first_tokens: u32,
    /// The label in the highest bit, which no length reaches.
    second_tokens: u32,
}

const LABEL: u32 = 1 << 31;

/// Pairs of the documents in this order.
///
/// One shorter target a document, not a pair; A is a random prefix of the chunk; B is drawn elsewhere from a chunk of one
/// sentence even for [`Packing::SentenceOrder`]: all as in the code of the papers.
pub(super) fn plan(
    corpus: &Corpus,
    documents: &[u32],
    settings: &SequenceSettings,
    random: &mut Random,
) -> Result<Vec<Pair>, SequenceError> {
    let next_sentence = settings.packing == Packing::NextSentence;
    if let [only] = documents {
        if next_sentence {
            return Err(SequenceError::Single { what: "document" });
        }
        if corpus.document(*only as usize).len() == 1 {
            return Err(SequenceError::Single { what: "sentence" });
        }
    }
    let budget = (settings.max_length - settings.pair_specials()) as u64;
    let mut pairs = Vec::new();
    for (position, &document) in documents.iter().enumerate() {
        let sentences = corpus.document(document as usize);
        let target = settings.target(budget, random);
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
            let mut a = places(corpus, chunk.start..middle);
            let mut b;
            let label;
            if chunk.len() == 1 || (next_sentence && random.chance(0.5)) {
                label = true;
                let wanted = target.saturating_sub(length(&a));
                b = elsewhere(corpus, documents, position, wanted, random);
                chunk.end = middle; // what was not used begins the next chunk
            } else {
                b = places(corpus, middle..chunk.end);
                label = !next_sentence && random.chance(0.5);
                if label {
                    std::mem::swap(&mut a, &mut b);
                }
            }
            trim(&mut a, &mut b, budget, random);
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
    Ok(pairs)
}

/// The places of consecutive sentences, at least one.
fn places(corpus: &Corpus, sentences: Range<usize>) -> Range<u64> {
    corpus.sentence(sentences.start).start..corpus.sentence(sentences.end - 1).end
}

/// Sentences from a random one of a random document on, until they have as many tokens as wanted or the document ends.
///
/// Another document than the one at `position`, unless ten draws find none.
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

/// Takes tokens off the longer one, the second if none is longer, each from the front or the back, until both fit.
fn trim(a: &mut Range<u64>, b: &mut Range<u64>, budget: u64, random: &mut Random) {
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

impl Pair {
    /// Number of tokens, without special ones.
    pub(super) fn tokens(&self) -> usize {
        self.first_tokens as usize + (self.second_tokens & !LABEL) as usize
    }

    /// Everything behind the first special token.
    pub(super) fn fill(
        &self,
        sequence: &mut Sequence,
        corpus: &Corpus,
        settings: &SequenceSettings,
    ) {
        let second_tokens = u64::from(self.second_tokens & !LABEL);
        sequence.push_text(
            corpus,
            self.first..self.first + u64::from(self.first_tokens),
            0,
        );
        let type_id = sequence.push_between(settings);
        sequence.push_text(corpus, self.second..self.second + second_tokens, type_id);
        sequence.push_special(settings.sep, type_id);
        sequence.label = Some(u32::from(self.second_tokens & LABEL != 0));
    }
}
