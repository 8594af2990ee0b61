//! Sentences as words, with the entities that a file marks in them.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::repairs::Repairs;
use super::scheme::{Entity, Scheme};
use super::tag_set::{TagSet, UnseenTypes};
use super::words::split_words;
use crate::error::{DataError, TagError};
use crate::sources::format::Format;
use crate::table::Table;

/// A sentence, or another piece of text, as words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaggedSentence {
    /// The text as in the file, or, if the file has only words, the words joined by single spaces.
    pub text: String,
    /// Where each word lies in `text`, in bytes. A word may be empty.
    pub words: Vec<Range<usize>>,
    /// The entities, in order, none sharing a word with another; `None` if the file has no tags.
    pub entities: Option<Vec<Entity>>,
    /// Index of its document in [`TaggedCorpus::documents`], if the file tells documents apart.
    pub document: Option<usize>,
    /// Line of the file where it begins, from 1; 0 if it comes from no file.
    pub line: u64,
    /// Line of each word; empty if all are on `line`.
    pub(super) lines: Vec<u64>,
}

/// A part of a text, in characters (code points), as people and other programs read it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TextSpan {
    /// First character, from 0.
    pub start: usize,
    /// One past its last character.
    pub end: usize,
    /// The type of the entity.
    pub label: String,
    /// The characters themselves.
    pub text: String,
}

impl TaggedSentence {
    /// A text without tags, its words as [`split_words`] finds them.
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

    /// Whether it has no words.
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// The word at an index.
    ///
    /// # Panics
    /// If there are not as many words.
    pub fn word(&self, index: usize) -> &str {
        &self.text[self.words[index].clone()]
    }

    /// Line of the file that a word is on.
    pub fn line_of(&self, word: usize) -> u64 {
        self.lines.get(word).copied().unwrap_or(self.line)
    }

    /// The tag of each word, in a scheme of choice; `None` if the file has no tags.
    pub fn tags(&self, scheme: Scheme) -> Option<Vec<String>> {
        let entities = self.entities.as_ref()?;
        Some(scheme.tags(entities, self.len()))
    }

    /// The sentence with each word replaced; the text between words, the tags and the lines stay.
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

    /// Entities as parts of [`TaggedSentence::text`].
    ///
    /// # Panics
    /// If an entity has no word or words that the sentence lacks.
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

/// A file of tagged words, read.
#[derive(Debug, Clone, PartialEq)]
pub struct TaggedCorpus {
    /// The file, for messages.
    pub name: String,
    /// How it is written down.
    pub format: Format,
    /// The sentences, in the order of the file.
    pub sentences: Vec<TaggedSentence>,
    /// Names of the documents, in the order of the file; a document without one is called by its number. Empty if the file
    /// does not tell documents apart.
    pub documents: Vec<String>,
    /// The scheme that the tags follow; `None` without tags, and where entities are given as spans.
    pub scheme: Option<Scheme>,
    /// Whether tags are letters without a type.
    pub bare: bool,
    /// What was corrected.
    pub repairs: Repairs,
    pub(crate) layout: Layout,
}

/// What is needed to write the file again.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Layout {
    /// The text of the file, the character that ends a line, and whether columns are divided by tabs.
    Lines { text: String, end: char, tabs: bool },
    /// The text of the file, and whether each sentence is a text, and no list of tokens.
    Json { text: String, raw: Vec<bool> },
    /// The rows.
    Rows(Table),
}

impl TaggedCorpus {
    /// Whether its words have tags.
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

    /// The tags for a model that learns this file: those of `scheme` for the types of its entities.
    ///
    /// # Errors
    /// [`TagError::NoTags`] if there are none, [`TagError::NoEntities`] if all are `O`.
    pub fn tag_set(&self, scheme: Scheme) -> Result<TagSet, DataError> {
        if !self.is_tagged() {
            return Err(DataError::Tag(TagError::NoTags {
                path: self.name.clone(),
            }));
        }
        TagSet::new(self.entities().map(|entity| entity.kind.as_str()), scheme)
    }

    /// Gives entities whose tags are bare the type of a model that knows only one: `B` and `I` say nothing else. Other files
    /// and other models are left alone.
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

    /// The entities whose type `tags` lacks.
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
