//! Options for reading tagged words.

use serde::{Deserialize, Serialize};

use crate::columns::Column;
use crate::sources::format::Format;
use crate::tagging::DEFAULT_TYPE;

/// Whether a file must have tags.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TagPolicy {
    /// The file must have tags.
    Required,
    /// Tags are read if there are any.
    #[default]
    IfPresent,
    /// Tags are ignored.
    Ignore,
}

/// Which of two tag columns to read, for nested entities (GermEval 2014).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TagLevel {
    /// The third column, with the outer entities.
    #[default]
    Outer,
    /// The fourth column, with the nested entities.
    Inner,
}

/// How to handle character spans that share a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OverlapPolicy {
    /// Keep the longest (the first, if equal); drop and count the others.
    #[default]
    KeepLongest,
    /// Report an error.
    Refuse,
}

/// Options for reading tagged words; by default, the format is detected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaggedOptions {
    /// The format. `None` infers it from the extension (`.csv`, `.jsonl`, `.ndjson`); other files are JSON Lines if they
    /// begin with `{`, else columns.
    pub format: Option<Format>,
    /// The column of words. In CoNLL columns, a number from 1: by default the second if the first one numbers the words
    /// of each sentence, else the first. In CSV, by default `word` or `token`. In JSON Lines, the key of the text or of
    /// the tokens.
    pub word: Option<Column>,
    /// The column of tags. In CoNLL columns, by default the one for `level` if the first column numbers words, else the
    /// last. In CSV, by default `tag`, `label` or `ner_tag`. In JSON Lines, the key of the spans or of the tags.
    pub tag: Option<Column>,
    /// In CSV, the sentence id, by default `sentence_id`, `sent_id`, `sentence` or `Sentence #`; an empty cell continues
    /// the sentence above.
    pub sentence: Option<Column>,
    /// In CSV and JSON Lines, the document id, by default `document`, `document_id` or `doc_id`, if present.
    pub document: Option<Column>,
    /// The byte between fields of CSV; `None` means a comma.
    pub delimiter: Option<u8>,
    /// Whether tags are required.
    pub tags: TagPolicy,
    /// Which tag column to read if the first column numbers words.
    pub level: TagLevel,
    /// The type of entities with bare tags.
    pub entity_type: String,
    /// How to handle character spans that share a word.
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

/// Default names of the document column or key, in lower case.
pub(crate) const DOCUMENT: [&str; 3] = ["document", "document_id", "doc_id"];
