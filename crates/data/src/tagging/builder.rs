//! Builds sentences word by word while a file is read.

use std::collections::HashMap;

use super::corpus::TaggedSentence;
use super::repairs::Repairs;
use super::scheme::{Scheme, Tag, decode};

/// Names of documents, each once, in order of first appearance.
#[derive(Default)]
pub(crate) struct Documents {
    pub(crate) names: Vec<String>,
    known: HashMap<String, usize>,
}

impl Documents {
    /// The index of a name.
    pub(crate) fn index(&mut self, name: &str) -> usize {
        if let Some(&index) = self.known.get(name) {
            return index;
        }
        self.known.insert(name.into(), self.names.len());
        self.names.push(name.into());
        self.names.len() - 1
    }
}

/// Sentences as words and unparsed tags, before the tagging scheme is known.
pub(crate) struct Pending<'a> {
    pub(crate) sentence: TaggedSentence,
    pub(crate) tags: Option<Vec<Tag<'a>>>,
}

/// Collects sentences word by word.
#[derive(Default)]
pub(crate) struct Builder<'a> {
    /// The words of the current sentence, with their lines.
    pub(crate) words: Vec<(u64, &'a str)>,
    pub(crate) tags: Vec<Tag<'a>>,
    pub(crate) done: Vec<Pending<'a>>,
}

impl<'a> Builder<'a> {
    pub(crate) fn push(&mut self, line: u64, word: &'a str, tag: Option<Tag<'a>>) {
        self.words.push((line, word));
        self.tags.extend(tag);
    }

    /// Ends the current sentence, if there is one.
    pub(crate) fn close(&mut self, document: Option<usize>, tagged: bool) {
        let Some(&(line, _)) = self.words.first() else {
            return;
        };
        let mut sentence = TaggedSentence::from_words(self.words.iter().map(|(_, word)| *word));
        sentence.line = line;
        sentence.lines = self.words.drain(..).map(|(line, _)| line).collect();
        sentence.document = document;
        let tags = std::mem::take(&mut self.tags);
        self.done.push(Pending {
            sentence,
            tags: tagged.then_some(tags),
        });
    }
}

/// Detects the scheme of all tags and decodes their entities. Returns the scheme, if there are tags, and whether they are
/// bare.
pub(crate) fn resolve(
    pending: Vec<Pending<'_>>,
    entity_type: &str,
    repairs: &mut Repairs,
) -> (Vec<TaggedSentence>, Option<Scheme>, bool) {
    let tagged = pending.iter().any(|one| one.tags.is_some());
    let mut sentences = Vec::with_capacity(pending.len());
    let mut tags = Vec::with_capacity(pending.len());
    for one in pending {
        sentences.push(one.sentence);
        tags.push(one.tags);
    }
    let all: Vec<Vec<Tag<'_>>> = tags
        .iter_mut()
        .map(|tags| tags.as_mut().map(std::mem::take).unwrap_or_default())
        .collect();
    let scheme = Scheme::detect(&all);
    let bare = all.iter().flatten().any(|tag| tag.is_bare());
    for (at, sentence) in sentences.iter_mut().enumerate() {
        if tags[at].is_some() {
            let line = |word| sentence.line_of(word);
            let entities = decode(&all[at], scheme, entity_type, line, repairs);
            sentence.entities = Some(entities);
        }
    }
    (sentences, tagged.then_some(scheme), bare)
}
