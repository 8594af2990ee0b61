//! Reads and writes tables in all formats that support them.

use std::fs;
use std::io::{self, Read, Write};
use std::path::Path;

use serde_json::Value;

use super::format::Format;
use super::options::ReadOptions;
use super::{encoding, json, names, relations};
use crate::error::{DataError, FileError};
use crate::table::Table;

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

/// Reads a table from a file.
///
/// Text is UTF-8, with or without a byte order mark; blank lines are skipped. A file in BioASQ's format that ends in
/// `.json` is read as the table of its yes/no questions.
///
/// # Errors
/// A missing or unreadable file, an unknown format, an unsupported encoding, an empty file, rows of unequal length,
/// malformed JSON, duplicate column names. Errors name the file and, where applicable, the line.
pub fn read_table(path: &Path, options: &ReadOptions) -> Result<Table, DataError> {
    let (name, bytes) = read_bytes(path)?;
    let unknown = match options.format_of(path) {
        Ok(format) => return (format.table()?.read)(bytes, &name, options),
        Err(unknown) => unknown,
    };
    if let Some(format) = Format::of_signature(&bytes) {
        return (format.table()?.read)(bytes, &name, options);
    }
    // Spreadsheets and archives are reported as such, regardless of their extension.
    encoding::check_container(&bytes, &name)?;
    if names::extension(path).as_deref() != Some(json::EXTENSION) {
        return Err(unknown);
    }
    let text = encoding::decode(bytes, &name)?;
    let document = json::document(&text, &name)?;
    match Format::table_of_document(&document) {
        Some(read) => read(&text, &document, &name),
        None => Err(unknown),
    }
}

/// The name of a file for messages, and its contents.
pub(super) fn read_bytes(path: &Path) -> Result<(String, Vec<u8>), DataError> {
    let name = path.display().to_string();
    if path.is_dir() {
        return Err(DataError::File(FileError::Directory { path: name }));
    }
    match fs::read(path) {
        Ok(bytes) => Ok((name, bytes)),
        Err(source) => Err(match source.kind() {
            io::ErrorKind::NotFound => DataError::File(FileError::NotFound { path: name }),
            _ => DataError::File(FileError::Read { path: name, source }),
        }),
    }
}

/// Reads a table from a stream, such as standard input; `name` is used in messages.
///
/// # Errors
/// As [`read_table`]; without `options.format` or `options.delimiter`, the extension of `name` must identify the format.
pub fn read_table_from(
    mut reader: impl Read,
    name: &str,
    options: &ReadOptions,
) -> Result<Table, DataError> {
    let format = options.format_of(Path::new(name))?;
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes).map_err(|source| {
        DataError::File(FileError::Read {
            path: name.into(),
            source,
        })
    })?;
    (format.table()?.read)(bytes, name, options)
}

/// Reads a file of [relations](Format::Relations): sentences and labels with or without a header, as in BioBERT's files.
/// Training files have a sentence and a label per line; test files have a header and an index, sentence and label per
/// line.
///
/// The first line is a header if one of its fields is `sentence` or `text`. The columns are named `index`, `sentence` and
/// `label` where present; other columns keep their names from the header. Without a header, one column holds sentences,
/// two hold sentence and label, and three hold index, sentence and label. A `.txt` file is read as TSV.
///
/// # Errors
/// As [`read_table`]; more than three columns without a header.
pub fn read_relations(path: &Path, options: &ReadOptions) -> Result<Table, DataError> {
    let known = options.format.is_some() || options.delimiter.is_some();
    let options = ReadOptions {
        header: false,
        format: match Format::of_path(path) {
            Err(_) if !known => Some(Format::Tsv),
            _ => options.format,
        },
        ..options.clone()
    };
    let table = read_table(path, &options)?;
    let format = options.format.or(Format::of_path(path).ok());
    // Formats other than delimited text have column names.
    match format.is_none_or(|format| format.spec().delimited.is_some()) {
        true => relations::name_columns(table),
        false => Ok(table),
    }
}

/// Writes a table: a header and rows, or one JSON object per row with the columns as keys.
///
/// A row has one value for each column. In CSV and TSV, `null` is an empty field, text is written unchanged (quoted in
/// CSV where necessary), and lists and objects are written as JSON; a tab or line break within a TSV field becomes a
/// space, because TSV has no standard way to escape one.
///
/// # Errors
/// [`FileError::Write`] if writing fails; [`FileError::UnknownFormatName`] if the format cannot be written.
pub fn write_table(
    mut writer: impl Write,
    format: Format,
    columns: &[String],
    rows: impl IntoIterator<Item = Vec<Value>>,
) -> Result<(), DataError> {
    let write = format.writer()?;
    write(&mut writer, columns, &mut rows.into_iter())
        .map_err(|source| DataError::File(FileError::Write { source }))
}
