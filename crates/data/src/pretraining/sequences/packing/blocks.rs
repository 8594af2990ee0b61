//! Fixed-size blocks of the token stream.

use super::running_text::{Chunk, OpenChunk};
use crate::pretraining::corpus::Corpus;
use crate::pretraining::sequences::builder::{Builder, Epoch, Plan, document_range, length};
use crate::pretraining::sequences::error::SequenceError;
use crate::pretraining::sequences::layout::Layout;
use crate::pretraining::sequences::sequence::Sequence;
use crate::random::Random;

/// [`Packing::Blocks`](super::Packing::Blocks).
pub(super) struct Blocks;

impl Builder for Blocks {
    fn name(&self) -> &'static str {
        "blocks"
    }

    fn short_probability(&self) -> f64 {
        0.0
    }

    fn shortest(&self, _layout: &Layout) -> usize {
        3
    }

    fn plan(&self, epoch: &Epoch<'_>, random: &mut Random) -> Result<Box<dyn Plan>, SequenceError> {
        let Epoch {
            corpus,
            documents,
            layout,
            ..
        } = *epoch;
        let budget = layout.max_length as u64 - 1;
        let mut chunks = Vec::new();
        let mut open: Option<OpenChunk> = None;
        for (position, &document) in (0..).zip(documents) {
            let mut range = document_range(corpus, document);
            range.end += 1; // the separator after it
            while !range.is_empty() {
                let current = open.get_or_insert_with(|| {
                    OpenChunk::new(range.start, position, layout.target(budget, random))
                });
                let taken = length(&range).min(current.room());
                current.chunk.tokens += taken as u32;
                range.start += taken;
                if current.room() == 0 {
                    chunks.extend(open.take().map(|full| full.chunk));
                }
            }
        }
        // Drop a last chunk that contains only a separator: it has nothing to learn from.
        let last = open.map(|full| full.chunk);
        chunks.extend(last.filter(|chunk| chunk.has_text(corpus, documents)));
        Ok(Box::new(BlockPlan {
            documents: documents.to_vec(),
            chunks,
        }))
    }
}

#[derive(Debug)]
struct BlockPlan {
    documents: Vec<u32>,
    chunks: Vec<Chunk>,
}

impl Plan for BlockPlan {
    fn len(&self) -> usize {
        self.chunks.len()
    }

    fn tokens(&self, number: usize, _layout: &Layout) -> usize {
        self.chunks[number].tokens as usize + 1
    }

    fn fill(&self, number: usize, sequence: &mut Sequence, corpus: &Corpus, layout: &Layout) {
        self.chunks[number].fill(sequence, corpus, &self.documents, layout);
    }
}
