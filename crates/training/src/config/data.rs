//! The labelled files of a run, and how they are read.

use std::fmt;
use std::path::PathBuf;

use bertkit_data::examples::MissingPolicy;
use bertkit_data::formats::Format;
use bertkit_data::formats::tagged::{TagLevel, TaggedFormat};
use bertkit_data::relations::MarkStyle;
use serde::{Deserialize, Serialize};

/// What is read, and how.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DataConfig {
    /// Labelled rows to learn from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub train: Option<PathBuf>,
    /// Labelled rows to choose by (best checkpoint, threshold, early stop).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub valid: Option<PathBuf>,
    /// The share of the training rows held out where no `valid` is given; 0 holds out none.
    pub valid_fraction: f64,
    /// Column with the text: its name or its number, from 1.
    pub text: String,
    /// Column with the second text of a pair.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text_pair: Option<String>,
    /// Column with the label.
    pub label: String,
    /// Column whose equal values stay on one side of the split.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Column whose equal values make rows one document: the notes of a patient.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group_by: Option<String>,
    /// How texts show the entities that they are about, given by the columns start1, end1, type1, start2, … or by tags
    /// `<e1>…</e1>`: anonymised (`@GENE$`) or markers (`[E1] … [/E1]`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entities: Option<MarkStyle>,
    /// What separates several labels in one cell; makes the task multi-label.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label_separator: Option<String>,
    /// csv, tsv, jsonl, relations (BioBERT's, with or without a header) or, for tagged words, conll; by the file's extension if
    /// not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<FileFormat>,
    /// The character between fields, or its name: comma, tab, semicolon, pipe, space.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delimiter: Option<String>,
    /// The quotation mark; `none` switches quoting off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quote: Option<String>,
    /// The character that takes the meaning from a quotation mark behind it, within quoted fields.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub escape: Option<String>,
    /// Whether the first row names the columns.
    pub header: bool,
    /// What happens to rows without text or label: drop (with a count) or refuse.
    pub missing: MissingPolicy,
    /// Longest input, in tokens, special tokens included; longer texts are cut, longer sentences of
    /// tagged words into windows.
    pub max_length: usize,
    /// Of tagged words: column with the word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub word_column: Option<String>,
    /// Of tagged words: column with the tag.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag_column: Option<String>,
    /// Of tagged words in CSV: column with the id of the sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sentence_column: Option<String>,
    /// Of tagged words: the outer entities or those within, where a file has both.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub level: Option<TagLevel>,
    /// Of tagged words: the type of entities whose tags are bare letters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub type_name: Option<String>,
    /// Which fold of the training file is held out altogether; `bertkit crossval` sets it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fold: Option<FoldConfig>,
}

impl Default for DataConfig {
    fn default() -> Self {
        Self {
            train: None,
            valid: None,
            valid_fraction: 0.1,
            text: "text".into(),
            text_pair: None,
            label: "label".into(),
            group: None,
            group_by: None,
            entities: None,
            label_separator: None,
            format: None,
            delimiter: None,
            quote: None,
            escape: None,
            header: true,
            missing: MissingPolicy::Drop,
            max_length: 128,
            word_column: None,
            tag_column: None,
            sentence_column: None,
            level: None,
            type_name: None,
            fold: None,
        }
    }
}

/// A fold of a file: rows by class, whole groups where `data.group` names them, whole texts of questions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FoldConfig {
    /// Which one is held out, from 1.
    pub number: usize,
    /// How many there are.
    pub of: usize,
    /// Decides the folds, whatever the seed of the run.
    pub seed: u64,
}

impl FoldConfig {
    /// What a run tells of its fold.
    pub(crate) fn line(self, held_out: usize, all: usize, items: &str) -> (String, String) {
        let text = format!(
            "{} of {}: {held_out} of {all} {items} are held out, to measure on",
            self.number, self.of
        );
        ("fold".into(), text)
    }
}

impl Default for FoldConfig {
    /// The first of five.
    fn default() -> Self {
        Self {
            number: 1,
            of: 5,
            seed: 42,
        }
    }
}

/// How a file is written down, whatever it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FileFormat {
    /// Fields divided by commas.
    Csv,
    /// Fields divided by tabs.
    Tsv,
    /// One JSON object a line.
    #[serde(alias = "ndjson")]
    Jsonl,
    /// A word a line, in columns.
    #[serde(alias = "iob2")]
    Conll,
    /// Sentences and labels, with or without a header, as BioBERT's files of relations.
    Relations,
}

impl FileFormat {
    /// As a format of tables.
    pub fn table(self) -> Option<Format> {
        match self {
            Self::Csv => Some(Format::Csv),
            Self::Tsv => Some(Format::Tsv),
            Self::Jsonl => Some(Format::Jsonl),
            Self::Conll | Self::Relations => None,
        }
    }

    /// As a format of tagged words: a word a line, with tabs between columns, is `tsv` too.
    pub fn tagged(self) -> TaggedFormat {
        match self {
            Self::Csv => TaggedFormat::Csv,
            Self::Jsonl => TaggedFormat::Jsonl,
            Self::Tsv | Self::Conll | Self::Relations => TaggedFormat::Conll,
        }
    }
}

impl fmt::Display for FileFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Csv => "csv",
            Self::Tsv => "tsv",
            Self::Jsonl => "jsonl",
            Self::Conll => "conll",
            Self::Relations => "relations",
        })
    }
}
