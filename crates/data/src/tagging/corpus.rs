//! Sentences as words, with the entities marked in a file.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::repairs::Repairs;
use super::scheme::{Entity, Scheme};
use super::tag_set::{TagSet, UnseenTypes};
use super::words::split_words;
use crate::error::{DataError, TagError};
use crate::sources::format::Format;
use crate::table::Table;

/// A sentence, or another piece of text, split into words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaggedSentence {
    /// The text as in the file or, if the file has only words, the words joined by single spaces.
    pub text: String,
    /// Byte range of each word in `text`. A word may be empty.
    pub words: Vec<Range<usize>>,
    /// The entities in order; no two share a word. `None` if the file has no tags.
    pub entities: Option<Vec<Entity>>,
    /// Index of its document in [`TaggedCorpus::documents`], if the file marks documents.
    pub document: Option<usize>,
    /// Line on which it begins, from 1; 0 if it does not come from a file.
    pub line: u64,
    /// Line of each word; empty if all are on `line`.
    pub(super) lines: Vec<u64>,
}

/// A span of text, in characters (code points), as used for display and by other programs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TextSpan {
    /// First character, from 0.
    pub start: usize,
    /// One past its last character.
    pub end: usize,
    /// The type of the entity.
    pub label: String,
    /// The text of the span.
    pub text: String,
}

impl TaggedSentence {
    /// A text without tags, split into words by [`split_words`].
    pub fn from_text(text: impl Into<String>) -> Self {
        let text = text.into();
        Self {
            words: split_words(&text),
            text,
            entities: None,
            document: None,
            line: 0,
            lines: Vec::new(),
        }
    }

    /// Words without tags.
    pub fn from_words<'a>(words: impl IntoIterator<Item = &'a str>) -> Self {
        let mut text = String::new();
        let mut ranges = Vec::new();
        for word in words {
            if !ranges.is_empty() {
                text.push(' ');
            }
            ranges.push(text.len()..text.len() + word.len());
            text.push_str(word);
        }
        Self {
            text,
            words: ranges,
            entities: None,
            document: None,
            line: 0,
            lines: Vec::new(),
        }
    }

    /// Number of words.
    pub fn len(&self) -> usize {
        self.words.len()
    }

    /// Whether there are no words.
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// The word at an index.
    ///
    /// # Panics
    /// If the index is out of range.
    pub fn word(&self, index: usize) -> &str {
        &self.text[self.words[index].clone()]
    }

    /// The line of a word in the file.
    pub fn line_of(&self, word: usize) -> u64 {
        self.lines.get(word).copied().unwrap_or(self.line)
    }

    /// The tag of each word in the given scheme; `None` if the file has no tags.
    pub fn tags(&self, scheme: Scheme) -> Option<Vec<String>> {
        let entities = self.entities.as_ref()?;
        Some(scheme.tags(entities, self.len()))
    }

    /// Replaces each word of the sentence; the text between words, the tags and the lines are unchanged.
    #[must_use]
    pub fn map_words(&self, mut change: impl FnMut(usize, &str) -> String) -> Self {
        let mut text = String::with_capacity(self.text.len());
        let mut words = Vec::with_capacity(self.len());
        let mut before = 0;
        for (number, word) in self.words.iter().enumerate() {
            text.push_str(&self.text[before..word.start]);
            before = word.end;
            let start = text.len();
            text.push_str(&change(number, &self.text[word.clone()]));
            words.push(start..text.len());
        }
        text.push_str(&self.text[before..]);
        Self {
            text,
            words,
            entities: self.entities.clone(),
            document: self.document,
            line: self.line,
            lines: self.lines.clone(),
        }
    }

    /// Converts entities to spans of [`TaggedSentence::text`].
    ///
    /// # Panics
    /// If an entity is empty or has words outside the sentence.
    pub fn spans(&self, entities: &[Entity]) -> Vec<TextSpan> {
        let mut counted = (0, 0); // bytes and characters
        let mut characters = |to: usize| {
            if to < counted.0 {
                counted = (0, 0);
            }
            counted.1 += self.text[counted.0..to].chars().count();
            counted.0 = to;
            counted.1
        };
        let span = |entity: &Entity| {
            let (from, to) = (
                self.words[entity.start].start,
                self.words[entity.end - 1].end,
            );
            TextSpan {
                start: characters(from),
                end: characters(to),
                label: entity.kind.clone(),
                text: self.text[from..to].to_string(),
            }
        };
        entities.iter().map(span).collect()
    }
}

/// A parsed file of tagged words.
#[derive(Debug, Clone, PartialEq)]
pub struct TaggedCorpus {
    /// The file, for messages.
    pub name: String,
    /// The format of the file.
    pub format: Format,
    /// The sentences, in the order of the file.
    pub sentences: Vec<TaggedSentence>,
    /// Names of the documents, in the order of the file; a document without a name is numbered. Empty if the file does
    /// not mark documents.
    pub documents: Vec<String>,
    /// The tagging scheme; `None` without tags, or if entities are given as spans.
    pub scheme: Option<Scheme>,
    /// Whether tags are bare, that is, letters without a type.
    pub bare: bool,
    /// Corrections made while reading.
    pub repairs: Repairs,
    pub(crate) layout: Layout,
}

/// The data needed to write the file back.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Layout {
    /// The text of the file, the line terminator, and whether columns are separated by tabs.
    Lines { text: String, end: char, tabs: bool },
    /// The text of the file, and for each sentence, whether it is a text rather than a list of tokens.
    Json { text: String, raw: Vec<bool> },
    /// The rows.
    Rows(Table),
}

impl TaggedCorpus {
    /// Whether the words have tags.
    pub fn is_tagged(&self) -> bool {
        self.sentences.iter().any(|s| s.entities.is_some())
    }

    /// Number of words.
    pub fn words(&self) -> usize {
        self.sentences.iter().map(TaggedSentence::len).sum()
    }

    /// All entities, sentence by sentence.
    pub fn entities(&self) -> impl Iterator<Item = &Entity> {
        self.sentences
            .iter()
            .flat_map(|s| s.entities.iter().flatten())
    }

    /// The tag set for training on this file: the tags of `scheme` for the types of its entities.
    ///
    /// # Errors
    /// [`TagError::NoTags`] if there are no tags, [`TagError::NoEntities`] if all are `O`.
    pub fn tag_set(&self, scheme: Scheme) -> Result<TagSet, DataError> {
        if !self.is_tagged() {
            return Err(DataError::Tag(TagError::NoTags {
                path: self.name.clone(),
            }));
        }
        TagSet::new(self.entities().map(|entity| entity.kind.as_str()), scheme)
    }

    /// Sets the type of entities with bare tags to that of a model with a single type, because bare `B` and `I` carry no
    /// type. Other files and models are left unchanged.
    pub fn adopt_type(&mut self, tags: &TagSet) {
        let [kind] = tags.types() else { return };
        if !self.bare {
            return;
        }
        let sentences = self.sentences.iter_mut();
        for entity in sentences.flat_map(|sentence| sentence.entities.iter_mut().flatten()) {
            entity.kind.clone_from(kind);
        }
    }

    /// The entities whose type is not in `tags`.
    pub fn unseen(&self, tags: &TagSet) -> UnseenTypes {
        let mut unseen = UnseenTypes {
            name: self.name.clone(),
            ..UnseenTypes::default()
        };
        for sentence in &self.sentences {
            for entity in sentence.entities.iter().flatten() {
                if !tags.types().contains(&entity.kind) {
                    let line = sentence.line_of(entity.start);
                    unseen
                        .types
                        .entry(entity.kind.clone())
                        .or_insert((0, line))
                        .0 += 1;
                }
            }
        }
        unseen.nearest = unseen.types.keys().next().and_then(|k| tags.nearest(k));
        unseen
    }
}
