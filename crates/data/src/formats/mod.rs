//! Files to tables: CSV, TSV and JSON Lines, and predictions back to them.

pub mod bioasq;
mod csv;
pub(crate) mod encoding;
pub mod fasta;
pub(crate) mod jsonl;
pub mod squad;
pub(crate) mod stream;
pub mod tagged;

use std::fs;
use std::io::{self, Read, Write};
use std::path::Path;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::DataError;

/// How a table is written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Fields divided by commas, quoted where they hold a comma, a quote or a line break (RFC 4180).
    Csv,
    /// Fields divided by tabs; quotes are plain characters, and a line is a row.
    Tsv,
    /// One JSON object a line.
    Jsonl,
}

impl Format {
    /// The format that the extension of a file stands for: `csv`, `tsv`, `tab`, `jsonl` or `ndjson`, in any case.
    ///
    /// # Errors
    /// [`DataError::UnknownFormat`] for every other name (`.txt` may be anything).
    pub fn of_path(path: &Path) -> Result<Self, DataError> {
        let extension = path
            .extension()
            .map(|extension| extension.to_string_lossy().to_ascii_lowercase());
        match extension.as_deref() {
            Some("csv") => Ok(Self::Csv),
            Some("tsv" | "tab") => Ok(Self::Tsv),
            Some("jsonl" | "ndjson") => Ok(Self::Jsonl),
            _ => Err(DataError::UnknownFormat {
                path: path.display().to_string(),
                extension,
            }),
        }
    }
}

impl FromStr for Format {
    type Err = DataError;

    fn from_str(name: &str) -> Result<Self, DataError> {
        match name.to_ascii_lowercase().as_str() {
            "csv" => Ok(Self::Csv),
            "tsv" => Ok(Self::Tsv),
            "jsonl" | "ndjson" => Ok(Self::Jsonl),
            _ => Err(DataError::UnknownFormatName { found: name.into() }),
        }
    }
}

/// A field delimiter by name (`tab`, `comma`, `semicolon`, `pipe`, `space`), as `\t`, or as one ASCII character.
///
/// # Errors
/// [`DataError::UnknownDelimiter`] for anything else, quotes and line breaks included.
pub fn parse_delimiter(name: &str) -> Result<u8, DataError> {
    match name {
        "tab" | "\\t" => return Ok(b'\t'),
        "comma" => return Ok(b','),
        "semicolon" => return Ok(b';'),
        "pipe" => return Ok(b'|'),
        "space" => return Ok(b' '),
        _ => {}
    }
    match name.as_bytes() {
        [byte] if byte.is_ascii() && !matches!(byte, b'\n' | b'\r' | b'"' | 0) => Ok(*byte),
        _ => Err(DataError::UnknownDelimiter { found: name.into() }),
    }
}

/// How to read a table; the default takes the format from the file's extension.
///
/// Everything after `format` speaks of CSV and TSV alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadOptions {
    /// The format; `None` takes it from the extension, or, under an extension that says nothing (`.txt`), from
    /// `delimiter`: TSV if that is a tab, else CSV.
    pub format: Option<Format>,
    /// The byte between fields; `None` is a comma in CSV and a tab in TSV.
    pub delimiter: Option<u8>,
    /// The byte around quoted fields; `None` is `"`. Giving one switches quoting on.
    pub quote: Option<u8>,
    /// Whether quotes have a meaning; `None` is yes in CSV and no in TSV, where stray quotes are common.
    pub quoting: Option<bool>,
    /// Whether two quotes in a quoted field stand for one.
    pub double_quote: bool,
    /// A byte that takes the meaning from a quote after it, within quoted fields.
    pub escape: Option<u8>,
    /// Whether the first row names the columns; without, they are called `1`, `2`, ….
    pub header: bool,
    /// Lines that start with this byte are skipped.
    pub comment: Option<u8>,
}

impl Default for ReadOptions {
    fn default() -> Self {
        Self {
            format: None,
            delimiter: None,
            quote: None,
            quoting: None,
            double_quote: true,
            escape: None,
            header: true,
            comment: None,
        }
    }
}

impl ReadOptions {
    fn format_of(&self, path: &Path) -> Result<Format, DataError> {
        match (self.format, Format::of_path(path), self.delimiter) {
            (Some(format), _, _) => Ok(format),
            (None, Ok(format), _) => Ok(format),
            (None, Err(_), Some(b'\t')) => Ok(Format::Tsv),
            (None, Err(_), Some(_)) => Ok(Format::Csv),
            (None, Err(error), None) => Err(error),
        }
    }
}

/// What one field of a table holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cell {
    /// JSON `null`, or a key that the object lacks. Fields of CSV and TSV are never missing, but may be empty.
    Missing,
    /// A text as it stands in the file; JSON numbers, booleans and objects as JSON writes them.
    Text(String),
    /// A JSON array, its elements as under `Text`.
    List(Vec<String>),
}

/// One row of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Line of the file where the row starts, from 1.
    pub line: u64,
    /// One cell for each column of the table.
    pub cells: Vec<Cell>,
}

/// A file, read: named columns, and rows that know their lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// The file it came from, for messages.
    pub name: String,
    /// Names of the columns: the header, trimmed; for JSON Lines, the keys of all objects in order of first appearance.
    pub columns: Vec<String>,
    /// The rows, in the order of the file.
    pub rows: Vec<Row>,
    /// The delimiter, by name, that the header suggests when the one in use did not divide it.
    pub(crate) other_delimiter: Option<&'static str>,
}

/// Reads a table from a file.
///
/// The text is UTF-8, with or without a byte order mark; blank lines are skipped. A file of [BioASQ's](bioasq) that ends in `.json`
/// is the table of its questions for yes or no.
///
/// # Errors
/// A missing or unreadable file, a format that the name does not tell, another encoding, an empty file, rows of unequal
/// length, broken JSON, columns of one name: each names the file and, where there is one, the line.
pub fn read_table(path: &Path, options: &ReadOptions) -> Result<Table, DataError> {
    let (name, bytes) = read_bytes(path)?;
    // A spreadsheet or an archive is named as what it is, whatever its extension.
    encoding::check_container(&bytes, &name)?;
    match options.format_of(path) {
        Ok(format) => parse(bytes, &name, format, options),
        Err(error) => {
            let json = path
                .extension()
                .is_some_and(|ending| ending.eq_ignore_ascii_case("json"));
            if !json {
                return Err(error);
            }
            bioasq::yes_no(&encoding::decode(bytes, &name)?, &name)?.ok_or(error)
        }
    }
}

/// What messages call a file, and its content.
fn read_bytes(path: &Path) -> Result<(String, Vec<u8>), DataError> {
    let name = path.display().to_string();
    if path.is_dir() {
        return Err(DataError::Directory { path: name });
    }
    match fs::read(path) {
        Ok(bytes) => Ok((name, bytes)),
        Err(source) => Err(match source.kind() {
            io::ErrorKind::NotFound => DataError::NotFound { path: name },
            _ => DataError::Read { path: name, source },
        }),
    }
}

/// Reads a table from a stream, such as standard input; `name` is what messages call it.
///
/// # Errors
/// As [`read_table`]; without `options.format` or `options.delimiter`, the extension of `name` must tell the format.
pub fn read_table_from(
    mut reader: impl Read,
    name: &str,
    options: &ReadOptions,
) -> Result<Table, DataError> {
    let format = options.format_of(Path::new(name))?;
    let mut bytes = Vec::new();
    reader
        .read_to_end(&mut bytes)
        .map_err(|source| DataError::Read {
            path: name.into(),
            source,
        })?;
    parse(bytes, name, format, options)
}

fn parse(
    bytes: Vec<u8>,
    name: &str,
    format: Format,
    options: &ReadOptions,
) -> Result<Table, DataError> {
    let text = encoding::decode(bytes, name)?;
    if text.trim().is_empty() {
        return Err(DataError::Empty { path: name.into() });
    }
    match format {
        Format::Csv | Format::Tsv => csv::parse(
            text,
            name,
            &csv::Dialect::new(format, options),
            options.header,
        ),
        Format::Jsonl => jsonl::parse(&text, name),
    }
}

/// Writes a table: a header and rows, or one JSON object a row with the columns as keys.
///
/// A row has one value for each column. In CSV and TSV a `null` is an empty field, a text stands as it is (quoted in CSV
/// where it must be), and lists and objects are written as JSON; a tab or a line break within a TSV field becomes a
/// space, because TSV has no agreed way to write one.
///
/// # Errors
/// [`DataError::Write`] if the writer fails.
pub fn write_table(
    writer: impl Write,
    format: Format,
    columns: &[String],
    rows: impl IntoIterator<Item = Vec<serde_json::Value>>,
) -> Result<(), DataError> {
    let written = match format {
        Format::Csv | Format::Tsv => csv::write(writer, format, columns, rows),
        Format::Jsonl => jsonl::write(writer, columns, rows),
    };
    written.map_err(|source| DataError::Write { source })
}

/// Line of the byte at `offset`, from 1.
fn line_at(bytes: &[u8], offset: usize) -> u64 {
    1 + encoding::line_breaks(&bytes[..offset])
}

#[cfg(test)]
mod tests;
