//! Sequences of running text.

use super::{Packing, Sequence, SequenceSettings, document_places, length};
use crate::corpus::Corpus;
use crate::random::Random;

/// A stretch of the documents in the order of the epoch.
#[derive(Debug)]
pub(super) struct Chunk {
    /// Where it begins; the end of the document if it begins with the separator behind it.
    place: u64,
    /// The document it begins in, as a place in the order.
    document: u32,
    /// Number of tokens, separators between documents included.
    pub(super) tokens: u32,
}

/// A chunk that is being filled.
struct Open {
    chunk: Chunk,
    /// The document it has come to, as a place in the order.
    last: u32,
    /// How many tokens it aims at.
    target: u64,
}

impl Open {
    fn new(place: u64, document: u32, target: u64) -> Self {
        let chunk = Chunk {
            place,
            document,
            tokens: 0,
        };
        Self {
            chunk,
            last: document,
            target,
        }
    }

    fn room(&self) -> u64 {
        self.target - u64::from(self.chunk.tokens)
    }
}

/// Chunks of whole sentences, for [`Packing::Across`] and [`Packing::Within`].
pub(super) fn sentences(
    corpus: &Corpus,
    documents: &[u32],
    settings: &SequenceSettings,
    random: &mut Random,
) -> Vec<Chunk> {
    let budget = settings.max_length as u64 - 2;
    let mut chunks = Vec::new();
    let mut open: Option<Open> = None;
    for (position, &document) in (0..).zip(documents) {
        for sentence in corpus.document(document as usize) {
            let mut rest = corpus.sentence(sentence);
            while !rest.is_empty() {
                if let Some(current) = &mut open {
                    let separator = u64::from(current.last != position);
                    if separator + length(&rest) <= current.room() {
                        current.chunk.tokens += (separator + length(&rest)) as u32;
                        current.last = position;
                        break;
                    }
                    chunks.extend(open.take().map(|full| full.chunk));
                }
                let mut fresh = Open::new(rest.start, position, settings.target(budget, random));
                let taken = length(&rest).min(fresh.target);
                fresh.chunk.tokens = taken as u32;
                rest.start += taken;
                open = Some(fresh);
            }
        }
        if settings.packing == Packing::Within {
            chunks.extend(open.take().map(|full| full.chunk));
        }
    }
    chunks.extend(open.map(|full| full.chunk));
    chunks
}

/// Chunks of equal size, for [`Packing::Blocks`].
pub(super) fn blocks(
    corpus: &Corpus,
    documents: &[u32],
    settings: &SequenceSettings,
    random: &mut Random,
) -> Vec<Chunk> {
    let budget = settings.max_length as u64 - 1;
    let mut chunks = Vec::new();
    let mut open: Option<Open> = None;
    for (position, &document) in (0..).zip(documents) {
        let mut places = document_places(corpus, document);
        places.end += 1; // the separator behind it
        while !places.is_empty() {
            let current = open.get_or_insert_with(|| {
                Open::new(places.start, position, settings.target(budget, random))
            });
            let taken = length(&places).min(current.room());
            current.chunk.tokens += taken as u32;
            places.start += taken;
            if current.room() == 0 {
                chunks.extend(open.take().map(|full| full.chunk));
            }
        }
    }
    // A last chunk of nothing but a separator has nothing to learn from.
    chunks.extend(open.map(|full| full.chunk).filter(|chunk| {
        chunk.tokens > 1
            || chunk.place < document_places(corpus, documents[documents.len() - 1]).end
    }));
    chunks
}

impl Chunk {
    /// Everything behind the first special token.
    pub(super) fn fill(
        &self,
        sequence: &mut Sequence,
        corpus: &Corpus,
        documents: &[u32],
        settings: &SequenceSettings,
    ) {
        let mut left = u64::from(self.tokens);
        let mut following = documents[self.document as usize..].iter();
        let mut start = Some(self.place);
        while let Some(&document) = following.next().filter(|_| left > 0) {
            let mut places = document_places(corpus, document);
            places.start = start.take().unwrap_or(places.start);
            places.end = places.end.min(places.start + left);
            left -= length(&places);
            sequence.push_text(corpus, places, 0);
            if left > 0 {
                sequence.push_special(settings.sep, 0);
                left -= 1;
            }
        }
        if settings.packing != Packing::Blocks {
            sequence.push_special(settings.sep, 0);
        }
    }
}
