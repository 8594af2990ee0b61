//! A sequence of tokens, before masking.

use std::ops::Range;

use super::layout::Layout;
use crate::pretraining::corpus::Corpus;

/// The input of a model before masking. All vectors have the same length.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sequence {
    /// Token ids, special tokens included.
    pub ids: Vec<u32>,
    /// 1 for the second segment and its final special token if token types are used, else 0.
    pub type_ids: Vec<u32>,
    /// Whether a token begins a word. A word whose first tokens were cut off has no beginning.
    pub word_starts: Vec<bool>,
    /// Whether a token was inserted rather than taken from the text.
    pub special: Vec<bool>,
    /// The label of a pair, for packings that build labelled pairs.
    pub label: Option<u32>,
}

impl Sequence {
    pub(super) fn with_capacity(length: usize) -> Self {
        Self {
            ids: Vec::with_capacity(length),
            type_ids: Vec::with_capacity(length),
            word_starts: Vec::with_capacity(length),
            special: Vec::with_capacity(length),
            label: None,
        }
    }

    pub(super) fn push_special(&mut self, id: u32, type_id: u32) {
        self.ids.push(id);
        self.type_ids.push(type_id);
        self.word_starts.push(true);
        self.special.push(true);
    }

    /// Appends the corpus tokens in `range`.
    pub(super) fn push_text(&mut self, corpus: &Corpus, range: Range<u64>, type_id: u32) {
        corpus.append(range, &mut self.ids, &mut self.word_starts);
        self.type_ids.resize(self.ids.len(), type_id);
        self.special.resize(self.ids.len(), false);
    }

    /// Appends the separators between two segments; returns the type id of the second segment.
    pub(super) fn push_between(&mut self, layout: &Layout) -> u32 {
        self.push_special(layout.sep, 0);
        if layout.double_sep {
            self.push_special(layout.sep, 0);
        }
        u32::from(layout.type_ids)
    }
}
