//! How to read tagged words.

use serde::{Deserialize, Serialize};

use crate::columns::Column;
use crate::sources::format::Format;
use crate::tagging::DEFAULT_TYPE;

/// Whether a file must have tags.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TagPolicy {
    /// It must have tags.
    Required,
    /// Tags are read if there are any.
    #[default]
    IfPresent,
    /// Tags are ignored.
    Ignore,
}

/// Which of two tag columns is read, for nested entities (GermEval 2014).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TagLevel {
    /// The third column, of the outermost entities.
    #[default]
    Outer,
    /// The fourth column, of the nested entities.
    Inner,
}

/// What happens to character spans that share a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OverlapPolicy {
    /// The longest stays (of equals, the first), the others are left out and counted.
    #[default]
    KeepLongest,
    /// Refuse the file.
    Refuse,
}

/// How to read tagged words; by default the format is detected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaggedOptions {
    /// The format; `None` takes it from the extension (`.csv`, `.jsonl`, `.ndjson`), and everything else for JSON Lines if
    /// it begins with `{`, otherwise for columns.
    pub format: Option<Format>,
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
    /// What happens to character spans that share a word.
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

/// The usual names of the document column, or key, in lower case.
pub(crate) const DOCUMENT: [&str; 3] = ["document", "document_id", "doc_id"];
