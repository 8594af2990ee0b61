//! The texts of a pretraining run, and the sequences made of them.

use std::path::PathBuf;

use bertkit_data::pretraining::corpus::{CorpusFormat, CorpusOptions};
use bertkit_data::pretraining::sequences::Packing;
use serde::{Deserialize, Serialize};

/// The texts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CorpusConfig {
    /// Files, folders, and patterns such as `books/**/*.txt`.
    pub paths: Vec<PathBuf>,
    /// auto, sentences, lines, jsonl or csv.
    pub format: CorpusFormat,
    /// The field or column that holds the text.
    pub field: String,
    /// Whether documents are cut into sentences where one seems to end.
    pub split_sentences: bool,
    /// Whether a document whose text came before is left out.
    pub drop_duplicates: bool,
    /// The share of the tokens, in whole documents, that is validated on; 0 is none.
    pub held_out: f64,
    /// Where the tokenised corpus is kept; `shards` in the run directory if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shards: Option<PathBuf>,
}

impl Default for CorpusConfig {
    fn default() -> Self {
        let options = CorpusOptions::default();
        Self {
            paths: Vec::new(),
            format: options.format,
            field: options.field,
            split_sentences: options.split_sentences,
            drop_duplicates: options.drop_duplicates,
            held_out: 0.05,
            shards: None,
        }
    }
}

impl CorpusConfig {
    /// How the files are read.
    pub(crate) fn options(&self) -> CorpusOptions {
        CorpusOptions {
            format: self.format,
            field: self.field.clone(),
            split_sentences: self.split_sentences,
            drop_duplicates: self.drop_duplicates,
        }
    }
}

/// What a sequence is made of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SequencesConfig {
    /// across, within, blocks, next-sentence, sentence-order or electra; what the objective asks for
    /// if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub packing: Option<Packing>,
    /// Tokens of the longest sequence, special tokens included.
    pub max_length: usize,
    /// How often a sequence aims at a shorter length; as often as in the published code if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub short_probability: Option<f64>,
    /// Sequences and masks repeat after so many epochs, as BERT's published code made them once and
    /// for all; new ones in every epoch if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub static_passes: Option<u64>,
}

impl Default for SequencesConfig {
    fn default() -> Self {
        Self {
            packing: None,
            max_length: 128,
            short_probability: None,
            static_passes: None,
        }
    }
}
