//! The interface of packings: defaults, the plan of an epoch, and the sequences of that plan.

use std::fmt::Debug;
use std::ops::Range;

use super::error::SequenceError;
use super::layout::Layout;
use super::sequence::Sequence;

use crate::pretraining::corpus::Corpus;
use crate::random::{KeyedPurpose, Random};

/// One way to build sequences: the descriptor of a [`Packing`](super::Packing).
pub(super) trait Builder: Sync {
    /// The name in configurations.
    fn name(&self) -> &'static str;

    /// The probability of a shorter target length in the published code.
    fn short_probability(&self) -> f64;

    /// The smallest supported `max_length`.
    fn shortest(&self, layout: &Layout) -> usize;

    /// Divides the documents of an epoch into sequences, in the given order.
    ///
    /// # Errors
    /// [`SequenceError::Single`] if there is only one document or sentence to draw pairs from.
    fn plan(&self, epoch: &Epoch<'_>, random: &mut Random) -> Result<Box<dyn Plan>, SequenceError>;
}

/// The inputs of a plan.
#[derive(Clone, Copy)]
pub(super) struct Epoch<'a> {
    pub(super) corpus: &'a Corpus,
    /// The documents in random order; at least one.
    pub(super) documents: &'a [u32],
    pub(super) layout: &'a Layout,
    pub(super) segments: Segments,
}

/// The random numbers that divide one sequence into segments.
#[derive(Debug, Clone, Copy)]
pub(super) struct Segments {
    pub(super) seed: u64,
    pub(super) pass: u64,
}

impl Segments {
    /// The random numbers of the sequence that begins with sentence `first`.
    pub(super) fn of(self, first: u64) -> Random {
        Random::keyed(self.seed, KeyedPurpose::Segments, self.pass, first)
    }
}

/// The sequences of an epoch, in the order in which they were built.
pub(super) trait Plan: Debug + Send + Sync {
    /// Number of sequences.
    fn len(&self) -> usize;

    /// Number of tokens of a sequence, special tokens included.
    fn tokens(&self, number: usize, layout: &Layout) -> usize;

    /// Appends everything after the first special token.
    fn fill(&self, number: usize, sequence: &mut Sequence, corpus: &Corpus, layout: &Layout);
}

/// The range of a document's tokens in the corpus.
pub(super) fn document_range(corpus: &Corpus, document: u32) -> Range<u64> {
    let sentences = corpus.document(document as usize);
    corpus.sentence(sentences.start).start..corpus.sentence(sentences.end - 1).end
}

pub(super) fn length(range: &Range<u64>) -> u64 {
    range.end - range.start
}
