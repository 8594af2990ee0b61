//! Chunks of running text, and sequences of whole sentences made from them.

use crate::pretraining::corpus::Corpus;
use crate::pretraining::sequences::builder::{Epoch, Plan, document_range, length};
use crate::pretraining::sequences::layout::Layout;
use crate::pretraining::sequences::sequence::Sequence;
use crate::random::Random;

/// A contiguous part of the documents in the order of the epoch.
#[derive(Debug)]
pub(super) struct Chunk {
    /// Start position in the corpus; the end of the document if the chunk begins with the separator after it.
    start: u64,
    /// The document in which it begins, as an index into the order.
    document: u32,
    /// Number of tokens, including separators between documents.
    pub(super) tokens: u32,
}

/// A chunk being filled.
pub(super) struct OpenChunk {
    pub(super) chunk: Chunk,
    /// The current document, as an index into the order.
    last: u32,
    /// The target number of tokens.
    target: u64,
}

impl OpenChunk {
    pub(super) fn new(start: u64, document: u32, target: u64) -> Self {
        let chunk = Chunk {
            start,
            document,
            tokens: 0,
        };
        Self {
            chunk,
            last: document,
            target,
        }
    }

    pub(super) fn room(&self) -> u64 {
        self.target - u64::from(self.chunk.tokens)
    }
}

impl Chunk {
    /// Whether it contains a token of a document, not only a separator.
    pub(super) fn has_text(&self, corpus: &Corpus, documents: &[u32]) -> bool {
        self.tokens > 1
            || self.start < document_range(corpus, documents[self.document as usize]).end
    }

    /// Appends its text and the separators between its documents.
    pub(super) fn fill(
        &self,
        sequence: &mut Sequence,
        corpus: &Corpus,
        documents: &[u32],
        layout: &Layout,
    ) {
        let mut left = u64::from(self.tokens);
        let mut following = documents[self.document as usize..].iter();
        let mut start = Some(self.start);
        while let Some(&document) = following.next().filter(|_| left > 0) {
            let mut range = document_range(corpus, document);
            range.start = start.take().unwrap_or(range.start);
            range.end = range.end.min(range.start + left);
            left -= length(&range);
            sequence.push_text(corpus, range, 0);
            if left > 0 {
                sequence.push_special(layout.sep, 0);
                left -= 1;
            }
        }
    }
}

/// Sequences of whole sentences, each ending with a separator.
#[derive(Debug)]
pub(super) struct Sentences {
    documents: Vec<u32>,
    chunks: Vec<Chunk>,
}

impl Sentences {
    /// Packs the sentences of the documents; `within_documents` ends a sequence where its document ends.
    pub(super) fn plan(epoch: &Epoch<'_>, random: &mut Random, within_documents: bool) -> Self {
        let Epoch {
            corpus,
            documents,
            layout,
            ..
        } = *epoch;
        let budget = layout.max_length as u64 - 2;
        let mut chunks = Vec::new();
        let mut open: Option<OpenChunk> = None;
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
                    let target = layout.target(budget, random);
                    let mut fresh = OpenChunk::new(rest.start, position, target);
                    let taken = length(&rest).min(fresh.target);
                    fresh.chunk.tokens = taken as u32;
                    rest.start += taken;
                    open = Some(fresh);
                }
            }
            if within_documents {
                chunks.extend(open.take().map(|full| full.chunk));
            }
        }
        chunks.extend(open.map(|full| full.chunk));
        Self {
            documents: documents.to_vec(),
            chunks,
        }
    }
}

impl Plan for Sentences {
    fn len(&self) -> usize {
        self.chunks.len()
    }

    fn tokens(&self, number: usize, _layout: &Layout) -> usize {
        self.chunks[number].tokens as usize + 2
    }

    fn fill(&self, number: usize, sequence: &mut Sequence, corpus: &Corpus, layout: &Layout) {
        self.chunks[number].fill(sequence, corpus, &self.documents, layout);
        sequence.push_special(layout.sep, 0);
    }
}
