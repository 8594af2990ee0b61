//! How the data files of a run are read.

use std::path::{Path, PathBuf};

use bertkit_data::columns::Column;
use bertkit_data::relations::{MarkStyle, mark_entities, mark_table, parse_tagged};
use bertkit_data::sources::fasta::{FastaFile, is_fasta, read_fasta};
use bertkit_data::sources::read_relations;
use bertkit_data::sources::{ReadOptions, parse_delimiter, read_table};
use bertkit_data::table::Table;

use crate::config::DataConfig;
use crate::error::{TrainError, setting};
use bertkit_data::sources::Format;

/// The options of a configuration for reading tables.
///
/// # Errors
/// The delimiter, quotation mark or format is invalid.
pub fn read_options(data: &DataConfig) -> Result<ReadOptions, TrainError> {
    let delimiter = data.delimiter.as_deref().map(parse_delimiter).transpose()?;
    let (quote, quoting) = match data.quote.as_deref() {
        None => (None, None),
        Some("none") => (None, Some(false)),
        Some(mark) => match mark.as_bytes() {
            [byte] if byte.is_ascii() => (Some(*byte), Some(true)),
            _ => {
                return Err(setting(
                    format!(
                        "`{mark}` is no quotation mark, expected one ASCII character or `none`"
                    ),
                    "for files without quoting use `[data.quote=none]`",
                ));
            }
        },
    };
    let escape = match data.escape.as_deref().map(str::as_bytes) {
        None => None,
        Some([byte]) if byte.is_ascii() => Some(*byte),
        Some(_) => {
            return Err(setting(
                "`data.escape` is not one ASCII character",
                "give one with [data.escape], such as \\",
            ));
        }
    };
    let format = match data.format {
        None => None,
        Some(Format::Relations) => None,
        Some(format) if format.spec().table.is_some() => Some(format),
        Some(format) => {
            return Err(setting(
                format!("`{format}` is no format of tables with a text in each row"),
                "give csv, tsv or jsonl, or, for tagged words, [task.kind=ner]",
            ));
        }
    };
    Ok(ReadOptions {
        format,
        delimiter,
        quote,
        quoting,
        escape,
        header: data.header,
        ..ReadOptions::default()
    })
}

/// The files in a data path: the path itself, or each of several comma-separated FASTA files.
pub(crate) fn files_of(path: &Path) -> Vec<PathBuf> {
    match fasta_files(path) {
        Some(files) => files.into_iter().map(|file| file.path).collect(),
        None => vec![path.into()],
    }
}

/// Comma-separated FASTA files, each optionally preceded by a class and `=`; `None` for anything else.
fn fasta_files(path: &Path) -> Option<Vec<FastaFile>> {
    if path.is_file() && !is_fasta(path) {
        return None;
    }
    let Ok(files) = path
        .to_str()?
        .split(',')
        .map(str::parse::<FastaFile>)
        .collect::<Result<Vec<_>, _>>();
    files
        .iter()
        .all(|file| is_fasta(&file.path))
        .then_some(files)
}

/// How tables of texts are read, besides their format.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reading {
    /// Sentences and labels, with or without a header: see [`read_relations`].
    pub relations: bool,
    /// How entities are marked in texts: see [`mark_table`].
    pub entities: Option<MarkStyle>,
}

impl Reading {
    /// A table, or the sequences of FASTA files, `lncRNA=a.fa,mRNA=b.fa`, with the columns `text`, `label`, `id` and
    /// `description`.
    ///
    /// # Errors
    /// A file cannot be read, or has another format.
    pub fn table(self, path: &Path, options: &ReadOptions) -> Result<Table, TrainError> {
        Ok(match fasta_files(path) {
            Some(files) => read_fasta(&files)?,
            None if self.relations => read_relations(path, options)?,
            None => read_table(path, options)?,
        })
    }

    /// The table with entities marked in its texts; `None` if they are not to be marked.
    ///
    /// # Errors
    /// There is no such column, or entities cannot be marked.
    pub fn marked(self, table: &Table, text: &Column) -> Result<Option<Table>, TrainError> {
        let marked = |style| Ok(mark_table(table, text, style)?.0);
        self.entities.map(marked).transpose()
    }

    /// A text whose entities, given by tags `<e1>…</e1>`, are marked.
    ///
    /// # Errors
    /// Entities cannot be marked.
    pub fn marked_text(self, text: &str) -> Result<String, TrainError> {
        let Some(style) = self.entities else {
            return Ok(text.into());
        };
        parse_tagged(text)
            .and_then(|(plain, mentions)| mark_entities(&plain, &mentions, style))
            .map_err(|e| {
                setting(
                    format!("the entities of a text cannot be marked: {e}"),
                    "write them as <e1>…</e1> and <e2>…</e2>",
                )
            })
    }
}
