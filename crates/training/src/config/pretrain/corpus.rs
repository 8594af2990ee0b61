//! The texts of a pretraining run, and the sequences made of them.

use std::path::PathBuf;

use bertkit_data::pretraining::corpus::{CorpusFormat, CorpusOptions};
use bertkit_data::pretraining::sequences::Packing;

use crate::config::flag::{Parse, flag, fraction};
use crate::config::range::at_least;
use crate::config::setting::{plain_values, settings};

settings! {
    /// The texts.
    pub struct CorpusConfig {
        /// Files, folders, and patterns such as `books/**/*.txt`.
        paths: Vec<PathBuf> => {
            .flag(flag("Text", "corpus", "Text files, folders of them, or patterns such as `books/**/*.txt`; also packed \
                    (.gz, .zst)").value("PATHS").parse(Parse::Path).several())
        },
        /// auto, sentences, lines, jsonl or csv.
        format: CorpusFormat = CorpusOptions::default().format => {
            .flag(flag("Text", "format", "How documents lie in the files").value("FORMAT"))
        },
        /// The field or column that holds the text.
        field: String = CorpusOptions::default().field => {
            .flag(flag("Text", "field", "Field of JSON Lines, or column of CSV, with the text").value("FIELD"))
        },
        /// Whether documents are split into sentences where one seems to end.
        split_sentences: bool = CorpusOptions::default().split_sentences => {
            .flag(flag("Text", "no-split-sentences", "End sentences at line breaks alone; else also where `.`, `!` or `?` \
                    seems to end one, unless a line is a sentence").switch(false))
        },
        /// Whether a document is skipped if an earlier one has the same text.
        drop_duplicates: bool = CorpusOptions::default().drop_duplicates => {
            .flag(flag("Text", "drop-duplicates", "Leave out documents whose text came before").switch(true))
        },
        /// The share of the tokens, in whole documents, that is held out for validation; 0 is none.
        held_out: f64 = 0.05 => {
            .range(at_least(0.0).at_most(0.5))
            .flag(flag("Text", "held-out", "Share of the text, in whole documents, that is validated on; 0 holds out none")
                .value("SHARE").with(fraction))
        },
        /// Where the tokenised corpus is kept; `shards` in the run directory if not given.
        shards: Option<PathBuf> => {
            .flag(flag("Text", "shards", "Folder to keep the tokenised text in, or to take it from").value("DIR")
                .default("shards in the run directory"))
        },
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

settings! {
    /// How sequences are made of the texts.
    pub struct SequencesConfig {
        /// How sentences are packed into sequences; as the objectives need it if not given.
        packing: Option<Packing> => {
            .flag(flag("Objective", "packing", "What a sequence is made of").value("PACKING")
                .default("what the objective asks for"))
        },
        /// Longest sequence in tokens, special tokens included.
        max_length: usize = 128 => {
            .range(at_least(8.0))
            .flag(flag("Objective", "max-length", "Longest sequence in tokens, special tokens included").value("TOKENS")
                .replaces(&["training.stages[].max_length"]))
        },
        /// How often a sequence is aimed at a shorter length; as often as in the published code if not given.
        short_probability: Option<f64> => { .range(at_least(0.0).at_most(1.0)) },
        /// Sequences and masks repeat after so many epochs, as BERT's published code made them once and for all; new
        /// ones in every epoch if not given.
        static_passes: Option<u64> => { .range(at_least(1.0)) },
    }
}

plain_values!(CorpusFormat, Packing);
