//! The labelled files of a run, and how they are read.

use std::path::PathBuf;

use bertkit_data::examples::MissingPolicy;
use bertkit_data::relations::MarkStyle;
use bertkit_data::sources::tagged::TagLevel;
use bertkit_data::sources::{Format, parse_delimiter};
use toml::Value;

use super::flag::{flag, fraction};
use super::range::at_least;
use super::setting::{plain_values, settings};

settings! {
    /// What is read, and how.
    pub struct DataConfig {
        /// Labelled rows to train on.
        train: Option<PathBuf> => {
            .flag(flag("Data", "train", "Labelled rows to learn from: CSV, TSV, JSON Lines or Parquet; or sequences, \
                    LABEL=FILE.fa,LABEL=FILE.fa").value("FILE"))
        },
        /// Labelled rows to select by (best checkpoint, threshold, early stopping).
        valid: Option<PathBuf> => {
            .flag(flag("Data", "valid", "Labelled rows to choose by: best weights, threshold, early stop").value("FILE"))
        },
        /// The share of the training rows held out where no `valid` is given; 0 holds out none.
        valid_fraction: f64 = 0.1 => {
            .range(at_least(0.0).at_most(0.9))
            .flag(flag("Data", "valid-fraction", "Share of the training rows held out where there is no [data.valid]; 0 \
                    holds out none").value("SHARE").with(fraction))
        },
        /// Column with the text: its name or its number, from 1.
        text: String = "text".into() => {
            .flag(flag("Data", "text", "Column with the text: its name, or its number from 1").value("COLUMN"))
        },
        /// Column with the second text of a pair.
        text_pair: Option<String> => {
            .flag(flag("Data", "text-pair", "Column with the second text, for tasks about pairs").value("COLUMN"))
        },
        /// Column with the label.
        label: String = "label".into() => {
            .flag(flag("Data", "label", "Column with the label").value("COLUMN"))
        },
        /// Group column: rows that share a value stay in the same split.
        group: Option<String> => {
            .flag(flag("Data", "group", "Column whose equal values stay on one side of the split: a speaker, a document")
                .value("COLUMN"))
        },
        /// Document column: rows that share a value form one document, such as the notes of a patient.
        group_by: Option<String> => {
            .flag(flag("Data", "group-by", "Column whose equal values make rows one document, such as patient_id; read \
                    in sections, as [task.documents.pool] says").value("COLUMN"))
        },
        /// How the target entities of each text are marked; they are given by the columns start1, end1, type1, start2, …
        /// or by tags `<e1>…</e1>`. Anonymised (`@GENE$`), or with markers (`[E1] … [/E1]`).
        entities: Option<MarkStyle> => {
            .flag(flag("Data", "entities", "Show in texts the entities that they are about, given by the columns start1, \
                    end1, type1, start2, … or by tags <e1>…</e1>: by @TYPE$ in their place, or by markers around them")
                .value("ENTITIES"))
        },
        /// What separates several labels in one cell; makes the task multi-label.
        label_separator: Option<String> => {
            .range(at_least(1.0).described("one or more characters"))
            .flag(flag("Data", "label-separator", "What separates several labels in one cell; makes it a multi-label \
                    task").value("TEXT"))
        },
        /// csv, tsv, jsonl, relations (BioBERT's, with or without a header) or, for tagged words, conll; inferred from
        /// the file's extension if not given.
        format: Option<Format> => {
            .flag(flag("Data", "format", "Format of the file").value("FORMAT").default("by its extension")
                .words(Format::names()))
        },
        /// The character between fields, or its name: comma, tab, semicolon, pipe, space.
        delimiter: Option<String> => {
            .flag(flag("Data", "delimiter", "The character between fields, or its name: comma, tab, semicolon, pipe, \
                    space").value("CHAR").with(delimiter))
        },
        /// The quotation mark; `none` turns quoting off.
        quote: Option<String> => {
            .flag(flag("Data", "quote", "The quotation mark around fields; `none` takes quotes as plain characters")
                .value("CHAR").with(quote))
        },
        /// The escape character before a quotation mark within a quoted field.
        escape: Option<String> => {
            .flag(flag("Data", "escape", "The character that takes the meaning from a quotation mark behind it, such as \
                    \\\\").value("CHAR").with(escape))
        },
        /// Whether the first row names the columns.
        header: bool = true => {
            .flag(flag("Data", "no-header", "The first row is data: columns are called 1, 2, 3, …").switch(false))
        },
        /// Rows without text or label: drop (and count) or refuse.
        missing: MissingPolicy = MissingPolicy::Drop => {
            .flag(flag("Data", "missing", "What happens to rows without a text or a label: left out and counted, or the \
                    file is refused").value("drop|refuse").hide_values())
        },
        /// Longest input in tokens, special tokens included; longer texts are truncated, longer sentences of tagged
        /// words are split into windows.
        max_length: usize = 128 => {
            .range(at_least(4.0))
            .flag(flag("Data", "max-length", "Longest input in tokens, special tokens included; longer texts are cut, \
                    those of questions into windows").value("TOKENS").default("128, of questions 384"))
        },
        /// Tagged words: column with the word.
        word_column: Option<String> => {
            .flag(flag("Data", "word-column", "Of tagged words, the column with the word: its number from 1, or its name")
                .value("COLUMN"))
        },
        /// Tagged words: column with the tag; the last one if not given.
        tag_column: Option<String> => {
            .flag(flag("Data", "tag-column", "Of tagged words, the column with the tag").value("COLUMN")
                .default("the last one"))
        },
        /// Tagged words in CSV: column with the id of the sentence.
        sentence_column: Option<String> => {
            .flag(flag("Data", "sentence-column", "Of tagged words in CSV, the column whose change begins a new \
                    sentence").value("COLUMN").rank(1))
        },
        /// Tagged words: the outer or the inner entities, where a file has both.
        level: Option<TagLevel> => {
            .flag(flag("Data", "level", "Of tagged words with two columns of tags, the outer entities or those within")
                .value("LEVEL"))
        },
        /// Tagged words: the type of entities whose tags are bare letters.
        type_name: Option<String> => {
            .flag(flag("Data", "type-name", "Of tagged words, the type of entities whose tags are bare letters")
                .value("NAME"))
        },
        /// The fold of the training file that is held out; `bertkit crossval` sets it.
        fold: Option<FoldConfig>,
    }
}

settings! {
    /// A fold of a file: rows by class, whole groups where `data.group` names them, whole texts of questions.
    #[derive(Copy, Eq)]
    pub struct FoldConfig {
        /// Which fold is held out, from 1.
        number: usize = 1,
        /// Number of folds.
        of: usize = 5,
        /// Seed of the folds, whatever the seed of the run.
        seed: u64 = 42,
    }
}

impl FoldConfig {
    /// The summary line about the fold.
    pub(crate) fn line(self, held_out: usize, all: usize, items: &str) -> (String, String) {
        let text = format!(
            "{} of {}: {held_out} of {all} {items} are held out, to measure on",
            self.number, self.of
        );
        ("fold".into(), text)
    }
}

plain_values!(MarkStyle, Format, MissingPolicy, TagLevel);

/// A delimiter by name or character.
fn delimiter(text: &str) -> Result<Value, String> {
    match parse_delimiter(text) {
        Ok(_) => Ok(Value::String(text.into())),
        Err(error) => Err(error.to_string()),
    }
}

/// One ASCII character, or `none`.
fn quote(text: &str) -> Result<Value, String> {
    match text.as_bytes() {
        b"none" => Ok(Value::String(text.into())),
        [byte] if byte.is_ascii_graphic() => Ok(Value::String(text.into())),
        _ => Err("expected one ASCII character, or `none`".into()),
    }
}

/// One ASCII character.
fn escape(text: &str) -> Result<Value, String> {
    match text.as_bytes() {
        [byte] if byte.is_ascii_graphic() => Ok(Value::String(text.into())),
        _ => Err("expected one ASCII character".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quotation_mark_is_one_character() {
        assert!(quote("ab").is_err() && quote("").is_err() && quote("none").is_ok());
        assert!(escape("none").is_err() && escape("\\").is_ok());
    }
}
