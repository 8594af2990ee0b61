//! Text files to documents and sentences.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::DataError;

/// How documents lie in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CorpusFormat {
    /// By the extension JSON Lines or CSV, else by the text: [`Sentences`](Self::Sentences) if a blank line lies between
    /// lines of text within the first megabyte, else [`Lines`](Self::Lines).
    #[default]
    Auto,
    /// A sentence a line, and blank lines between documents; the end of a file ends a document too.
    Sentences,
    /// A document a line.
    Lines,
    /// A JSON object a line, of which one field holds a document.
    Jsonl,
    /// A table with a header, of which one column holds a document in each row: comma-separated, or, in files called
    /// `.tsv` or `.tab`, divided by tabs without quoting.
    Csv,
}

impl CorpusFormat {
    /// The name that [`FromStr`] reads.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Sentences => "sentences",
            Self::Lines => "lines",
            Self::Jsonl => "jsonl",
            Self::Csv => "csv",
        }
    }
}

impl FromStr for CorpusFormat {
    type Err = DataError;

    fn from_str(name: &str) -> Result<Self, DataError> {
        [
            Self::Auto,
            Self::Sentences,
            Self::Lines,
            Self::Jsonl,
            Self::Csv,
        ]
        .into_iter()
        .find(|format| format.name() == name.to_ascii_lowercase())
        .ok_or_else(|| DataError::UnknownCorpusFormat { found: name.into() })
    }
}

/// How text files become documents and sentences.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CorpusOptions {
    /// How documents lie in the files.
    pub format: CorpusFormat,
    /// The field of JSON objects, or the column of tables (by name, or by position from 1), that holds the text.
    pub field: String,
    /// Whether documents of [`Lines`](CorpusFormat::Lines), [`Jsonl`](CorpusFormat::Jsonl) and
    /// [`Csv`](CorpusFormat::Csv) are cut into sentences where one seems to end, and not at line breaks alone.
    ///
    /// A sentence ends behind `.`, `!`, `?` or `…`, with quotes and brackets that close, where white space and then a letter
    /// that is not lower case, a digit or an opening quote or bracket follows; and behind `。`, `！` or `？` wherever they
    /// stand. There is no list of abbreviations: `Dr. Who` is two sentences.
    pub split_sentences: bool,
    /// Whether a document whose text came before is left out. Their hashes take up to 40 bytes a document of memory while
    /// the files are read; documents of more than 64 MiB are not compared.
    pub drop_duplicates: bool,
}

impl Default for CorpusOptions {
    fn default() -> Self {
        Self {
            format: CorpusFormat::Auto,
            field: "text".into(),
            split_sentences: true,
            drop_duplicates: false,
        }
    }
}
