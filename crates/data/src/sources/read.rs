//! Reads and writes tables in any format that holds them.

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
/// Text is UTF-8, with or without a byte order mark; blank lines are skipped. A file in BioASQ's form that ends in `.json`
/// is read as the table of its yes/no questions.
///
/// # Errors
/// A missing or unreadable file, a format that the name does not tell, another encoding, an empty file, rows of unequal
/// length, broken JSON, columns of one name: each names the file and, where there is one, the line.
pub fn read_table(path: &Path, options: &ReadOptions) -> Result<Table, DataError> {
    let (name, bytes) = read_bytes(path)?;
    let unknown = match options.format_of(path) {
        Ok(format) => return (format.table()?.read)(bytes, &name, options),
        Err(unknown) => unknown,
    };
    if let Some(format) = Format::of_signature(&bytes) {
        return (format.table()?.read)(bytes, &name, options);
    }
    // A spreadsheet or an archive is reported as what it is, whatever its extension.
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

/// The name of a file for messages, and its content.
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
/// As [`read_table`]; without `options.format` or `options.delimiter`, the extension of `name` must tell the format.
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

/// Reads a file of [relations](Format::Relations): sentences and labels with or without a header, as BioBERT's. Training
/// files hold a sentence and a label per line, test files a header and index, sentence and label.
///
/// The first line is a header if one of its fields is `sentence` or `text`. The columns are called `index`, `sentence` and
/// `label`, as far as they are there, and others as the header says. Without a header, one column holds sentences, two hold
/// sentence and label, and three index, sentence and label. A `.txt` is read as TSV.
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
    // Other formats than delimited text name their columns.
    match format.is_none_or(|format| format.spec().delimited.is_some()) {
        true => relations::name_columns(table),
        false => Ok(table),
    }
}

/// Writes a table: a header and rows, or one JSON object per row with the columns as keys.
///
/// A row has one value for each column. In CSV and TSV a `null` is an empty field, a text is written as it is (quoted in CSV
/// where necessary), and lists and objects are written as JSON; a tab or a line break within a TSV field becomes a
/// space, because TSV has no agreed way to write one.
///
/// # Errors
/// [`FileError::Write`] if the writer fails; [`FileError::UnknownFormatName`] if the format cannot be written.
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
