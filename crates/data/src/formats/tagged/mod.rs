//! Sentences whose words have tags: columns as in CoNLL's files, JSON Lines with spans or tokens, and CSV with a word a
//! row; and predictions back to them.

mod conll;
mod rows;
mod spans;
mod words;
mod write;

use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{Table, encoding, read_bytes};
use crate::columns::Column;
use crate::error::DataError;
use crate::tagging::{DEFAULT_TYPE, Entity, Repairs, Scheme, Tag, TagSet, UnseenTypes, decode};

pub use self::words::split_words;
pub use self::write::write_tagged;

/// How tagged words are written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TaggedFormat {
    /// A word a line, in columns divided by tabs or white space; blank lines divide sentences. The files of CoNLL, of
    /// BioBERT (bare tags), of GermEval (numbered words, two levels of tags) and of UNER (`.iob2`).
    #[serde(alias = "iob2")]
    Conll,
    /// One JSON object a line: `text` and `entities` (also `spans`, `label`, `labels`), which count characters, or `tokens`
    /// and `tags` (also `ner_tags`, `labels`).
    Jsonl,
    /// A word a row, with a header; a new sentence begins where the column of sentence ids changes.
    Csv,
}

impl FromStr for TaggedFormat {
    type Err = DataError;

    fn from_str(name: &str) -> Result<Self, DataError> {
        match name.to_ascii_lowercase().as_str() {
            "conll" | "iob2" => Ok(Self::Conll),
            "jsonl" | "ndjson" => Ok(Self::Jsonl),
            "csv" => Ok(Self::Csv),
            _ => Err(DataError::UnknownTaggedFormat { found: name.into() }),
        }
    }
}

/// Whether a file must have tags.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TagPolicy {
    /// It must.
    Required,
    /// They are read where they are.
    #[default]
    IfPresent,
    /// They are not looked at.
    Ignore,
}

/// Which of two columns of tags is read, where entities lie within entities (GermEval 2014).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TagLevel {
    /// The third column, of the outermost entities.
    #[default]
    Outer,
    /// The fourth column, of those within.
    Inner,
}

/// What becomes of character spans that share a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OverlapPolicy {
    /// The longest stays (of equals, the first), the others are left out and counted.
    #[default]
    KeepLongest,
    /// The file is refused.
    Refuse,
}

/// How to read tagged words; the default finds out by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaggedOptions {
    /// The format; `None` takes it from the extension (`.csv`, `.jsonl`, `.ndjson`), and everything else for JSON Lines if
    /// it begins with `{`, otherwise for columns.
    pub format: Option<TaggedFormat>,
    /// The words. In columns, a number from 1: by default the second if the first counts the words of each sentence,
    /// otherwise the first. In CSV, by default `word` or `token`. In JSON Lines, the key of the text or of the tokens.
    pub word: Option<Column>,
    /// The tags. In columns, by default the one of `level` if the first column counts words, otherwise the last. In CSV, by
    /// default `tag`, `label` or `ner_tag`. In JSON Lines, the key of the spans or of the tags.
    pub tag: Option<Column>,
    /// In CSV, the id of the sentence, by default `sentence_id`, `sent_id`, `sentence` or `Sentence #`; an empty cell goes
    /// on with the sentence above.
    pub sentence: Option<Column>,
    /// In CSV and JSON Lines, the id of the document, by default `document`, `document_id` or `doc_id`, if there.
    pub document: Option<Column>,
    /// The byte between the fields of CSV; `None` is a comma.
    pub delimiter: Option<u8>,
    /// Whether there must be tags.
    pub tags: TagPolicy,
    /// Which column of tags is read if the first column counts words.
    pub level: TagLevel,
    /// The type of entities whose tags are bare letters.
    pub entity_type: String,
    /// What becomes of character spans that share a word.
    pub overlaps: OverlapPolicy,
}

impl Default for TaggedOptions {
    fn default() -> Self {
        Self {
            format: None,
            word: None,
            tag: None,
            sentence: None,
            document: None,
            delimiter: None,
            tags: TagPolicy::default(),
            level: TagLevel::default(),
            entity_type: DEFAULT_TYPE.into(),
            overlaps: OverlapPolicy::default(),
        }
    }
}

/// A sentence, or another piece of text, as words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaggedSentence {
    /// The text: as it stands in the file, or, where the file has words alone, these with single spaces between.
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
    lines: Vec<u64>,
}

/// A part of a text, in characters (code points), as people and other programs read it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TextSpan {
    /// First character, from 0.
    pub start: usize,
    /// The character behind its last.
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

    /// The sentence with other words in the places of its own: what lies between them, tags and lines stay.
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
    pub format: TaggedFormat,
    /// The sentences, in the order of the file.
    pub sentences: Vec<TaggedSentence>,
    /// Names of the documents, in the order of the file; a document without one is called by its number. Empty if the file
    /// does not tell documents apart.
    pub documents: Vec<String>,
    /// The scheme that the tags follow; `None` without tags, and where entities are given as spans.
    pub scheme: Option<Scheme>,
    /// Whether tags are letters without a type.
    pub bare: bool,
    /// What was put right.
    pub repairs: Repairs,
    layout: Layout,
}

/// What is needed to write the file again.
#[derive(Debug, Clone, PartialEq)]
enum Layout {
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
    /// [`DataError::NoTags`] if there are none, [`DataError::NoEntities`] if all are `O`.
    pub fn tag_set(&self, scheme: Scheme) -> Result<TagSet, DataError> {
        if !self.is_tagged() {
            return Err(DataError::NoTags {
                path: self.name.clone(),
            });
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

/// Reads tagged words from a file.
///
/// The text is UTF-8, with or without a byte order mark; lines end in LF, CR LF or CR. In columns, `-DOCSTART-` and
/// `# newdoc` begin a document, and a line that begins with `#` is a comment, unless it has as many columns as the others
/// and a tag: tweets are full of words like that.
///
/// # Errors
/// A missing or unreadable file, another encoding, an empty file, lines with too few or too many columns, tags that are
/// none, spans outside their text: each names the file and, where there is one, the line.
pub fn read_tagged(path: &Path, options: &TaggedOptions) -> Result<TaggedCorpus, DataError> {
    let (name, bytes) = read_bytes(path)?;
    encoding::check_container(&bytes, &name)?;
    parse(bytes, &name, options)
}

/// Reads tagged words from bytes, such as standard input; `name` is what messages call them.
///
/// # Errors
/// As [`read_tagged`].
pub fn read_tagged_from(
    bytes: Vec<u8>,
    name: &str,
    options: &TaggedOptions,
) -> Result<TaggedCorpus, DataError> {
    parse(bytes, name, options)
}

fn parse(bytes: Vec<u8>, name: &str, options: &TaggedOptions) -> Result<TaggedCorpus, DataError> {
    let text = encoding::decode(bytes, name)?;
    if text.trim().is_empty() {
        return Err(DataError::Empty { path: name.into() });
    }
    let extension = Path::new(name)
        .extension()
        .map(|extension| extension.to_string_lossy().to_ascii_lowercase());
    let format = options.format.unwrap_or(match extension.as_deref() {
        Some("csv") => TaggedFormat::Csv,
        Some("jsonl" | "ndjson") => TaggedFormat::Jsonl,
        _ if text.trim_start().starts_with('{') => TaggedFormat::Jsonl,
        _ => TaggedFormat::Conll,
    });
    let corpus = match format {
        TaggedFormat::Conll => conll::parse(text, name, options)?,
        TaggedFormat::Jsonl => spans::parse(text, name, options)?,
        TaggedFormat::Csv => rows::parse(text, name, options)?,
    };
    if corpus.sentences.is_empty() {
        return Err(DataError::Empty { path: name.into() });
    }
    if options.tags == TagPolicy::Required && !corpus.is_tagged() {
        return Err(DataError::NoTags { path: name.into() });
    }
    Ok(corpus)
}

/// Names of documents, each once, in order of first appearance.
#[derive(Default)]
struct Documents {
    names: Vec<String>,
    known: HashMap<String, usize>,
}

impl Documents {
    /// The index of a name.
    fn index(&mut self, name: &str) -> usize {
        if let Some(&index) = self.known.get(name) {
            return index;
        }
        self.known.insert(name.into(), self.names.len());
        self.names.push(name.into());
        self.names.len() - 1
    }
}

/// Sentences as words and the texts of their tags, before the scheme of the tags is known.
struct Pending<'a> {
    sentence: TaggedSentence,
    tags: Option<Vec<Tag<'a>>>,
}

/// Sentences as they are read, word by word.
#[derive(Default)]
struct Builder<'a> {
    /// The words of the sentence that is open, and their lines.
    words: Vec<(u64, &'a str)>,
    tags: Vec<Tag<'a>>,
    done: Vec<Pending<'a>>,
}

impl<'a> Builder<'a> {
    fn push(&mut self, line: u64, word: &'a str, tag: Option<Tag<'a>>) {
        self.words.push((line, word));
        self.tags.extend(tag);
    }

    /// Ends the sentence, if there is one.
    fn close(&mut self, document: Option<usize>, tagged: bool) {
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

/// Finds out the scheme of all tags and reads the entities they mark. Gives the scheme, if there are tags, and whether they
/// are bare.
fn resolve(
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

#[cfg(test)]
mod tests;
