//! Delimited text.

use std::collections::HashMap;
use std::io::{self, Write};

use serde_json::Value;

use crate::error::{DataError, FileError, TableError};
use crate::sources::options::ReadOptions;
use crate::sources::spec::Delimited;
use crate::table::{Cell, Row, Table};

/// [`ReadOptions`] with all defaults filled in.
struct Dialect {
    delimiter: u8,
    quote: Option<u8>,
    double_quote: bool,
    escape: Option<u8>,
    comment: Option<u8>,
}

impl Dialect {
    fn new(defaults: &Delimited, options: &ReadOptions) -> Self {
        let quoting = match (options.quoting, options.quote) {
            (Some(quoting), _) => quoting,
            (None, quote) => quote.is_some() || defaults.quoting,
        };
        Self {
            delimiter: options.delimiter.unwrap_or(defaults.delimiter),
            quote: quoting.then(|| options.quote.unwrap_or(b'"')),
            double_quote: options.double_quote,
            escape: options.escape,
            comment: options.comment,
        }
    }
}

struct Record {
    line: u64,
    last_line: u64,
    fields: Vec<String>,
}

pub(crate) fn parse(
    text: String,
    name: &str,
    defaults: &Delimited,
    options: &ReadOptions,
) -> Result<Table, DataError> {
    let dialect = &Dialect::new(defaults, options);
    let records = match dialect.quote {
        Some(quote) => quoted_records(text, name, dialect, quote)?,
        None => plain_records(&text, dialect),
    };
    let mut records = records.into_iter().peekable();
    let Some(first) = records.peek() else {
        return Err(DataError::File(FileError::Empty { path: name.into() })); // nothing but comments
    };
    let expected = first.fields.len();
    let other_delimiter = match first.fields.as_slice() {
        [only] => other_delimiter(only, dialect.delimiter),
        _ => None,
    };
    let columns: Vec<String> = if options.header {
        let names = records
            .next()
            .map(|record| record.fields)
            .unwrap_or_default();
        names.iter().map(|name| name.trim().to_string()).collect()
    } else {
        (1..=expected)
            .map(|position| position.to_string())
            .collect()
    };
    let mut seen = HashMap::new();
    for (at, column) in columns
        .iter()
        .enumerate()
        .filter(|(_, column)| !column.is_empty())
    {
        if let Some(first) = seen.insert(column, at) {
            return Err(DataError::Table(TableError::DuplicateColumn {
                path: name.into(),
                name: column.clone(),
                first: first + 1,
                second: at + 1,
            }));
        }
    }
    let rows = records
        .map(|record| {
            let found = record.fields.len();
            if found != expected {
                return Err(DataError::Table(TableError::FieldCount {
                    path: name.into(),
                    line: record.line,
                    last_line: record.last_line,
                    expected,
                    found,
                }));
            }
            let cells = record.fields.into_iter().map(Cell::Text).collect();
            Ok(Row {
                line: record.line,
                cells,
            })
        })
        .collect::<Result<Vec<_>, _>>()?;
    if rows.is_empty() {
        return Err(DataError::Table(TableError::HeaderOnly {
            path: name.into(),
        }));
    }
    Ok(Table {
        name: name.into(),
        columns,
        rows,
        other_delimiter,
        ..Table::default()
    })
}

/// A delimiter that appears to separate the names in a header that was read as one column.
fn other_delimiter(header: &str, delimiter: u8) -> Option<&'static str> {
    [
        (b'\t', "tab"),
        (b';', "semicolon"),
        (b'|', "pipe"),
        (b',', "comma"),
    ]
    .into_iter()
    .find(|&(byte, _)| byte != delimiter && header.as_bytes().contains(&byte))
    .map(|(_, name)| name)
}

/// Every line is a record, and quotes are ordinary characters. Lines end in LF or CR LF, or in CR if there is no LF at
/// all.
fn plain_records(text: &str, dialect: &Dialect) -> Vec<Record> {
    let end = if text.contains('\n') || !text.contains('\r') {
        '\n'
    } else {
        '\r'
    };
    let mut records = Vec::new();
    for (line, content) in (1..).zip(text.split(end)) {
        let content = content.strip_suffix('\r').unwrap_or(content);
        let comment = dialect.comment.is_some() && content.bytes().next() == dialect.comment;
        if content.is_empty() || comment {
            continue;
        }
        let fields = content
            .split(char::from(dialect.delimiter))
            .map(str::to_string)
            .collect();
        records.push(Record {
            line,
            last_line: line,
            fields,
        });
    }
    records
}

fn quoted_records(
    text: String,
    name: &str,
    dialect: &Dialect,
    quote: u8,
) -> Result<Vec<Record>, DataError> {
    // At the end of the input, the parser treats an open quote as closed. Append a line that must be parsed as the last
    // record: if a quote is open, the line becomes part of the quoted field and the error is detected.
    let special = [
        Some(dialect.delimiter),
        Some(quote),
        dialect.escape,
        dialect.comment,
    ];
    let probe = [b'e', b'n', b'd', b'.', b'x']
        .into_iter()
        .find(|byte| !special.contains(&Some(*byte)));
    let probe = char::from(probe.unwrap_or(b'z')); // four special bytes cannot be all five
    let mut text = text;
    let length = text.len();
    text.push('\n');
    text.push(probe);
    let bytes = text.as_bytes();

    let mut reader = ::csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(dialect.delimiter)
        .quote(quote)
        .double_quote(dialect.double_quote)
        .escape(dialect.escape)
        .comment(dialect.comment)
        .from_reader(bytes);

    let mut records = Vec::new();
    let mut record = ::csv::StringRecord::new();
    let (mut line, mut counted) = (1, 0);
    let mut advance = |to: usize| {
        line += bytes[counted..to]
            .iter()
            .filter(|&&byte| byte == b'\n')
            .count() as u64;
        counted = to;
        line
    };
    loop {
        let from = reader.position().byte() as usize;
        match reader.read_record(&mut record) {
            Ok(true) => {}
            Ok(false) => break,
            Err(error) => {
                return Err(DataError::File(FileError::Read {
                    path: name.into(),
                    source: io::Error::other(error),
                }));
            }
        }
        // The parser's position is before the blank lines and comments skipped to reach the record.
        let start = skip_ignored(bytes, from, dialect.comment);
        let end = reader.position().byte() as usize;
        let line = advance(start.min(bytes.len()));
        let content_end = bytes[..end].trim_ascii_end().len().max(start);
        records.push(Record {
            line,
            last_line: advance(content_end),
            fields: record.iter().map(str::to_string).collect(),
        });
        advance(end);
        if start > length {
            break;
        }
    }
    match records.pop() {
        Some(last) if last.fields.len() == 1 && last.fields[0].chars().eq([probe]) => Ok(records),
        Some(last) => Err(DataError::Table(TableError::UnclosedQuote {
            path: name.into(),
            line: last.line,
        })),
        None => Ok(records),
    }
}

/// First byte at or after `at` that belongs to a record.
fn skip_ignored(bytes: &[u8], mut at: usize, comment: Option<u8>) -> usize {
    while at < bytes.len() {
        if matches!(bytes[at], b'\n' | b'\r') {
            at += 1;
        } else if comment == Some(bytes[at]) {
            at += bytes[at..]
                .iter()
                .position(|&byte| byte == b'\n')
                .unwrap_or(bytes.len() - at);
        } else {
            break;
        }
    }
    at
}

pub(super) fn write(
    writer: &mut dyn Write,
    format: &Delimited,
    columns: &[String],
    rows: &mut dyn Iterator<Item = Vec<Value>>,
) -> io::Result<()> {
    let mut writer = ::csv::WriterBuilder::new()
        .delimiter(format.delimiter)
        .quote_style(if format.quoting {
            ::csv::QuoteStyle::Necessary
        } else {
            ::csv::QuoteStyle::Never
        })
        .from_writer(writer);
    let one_line = |text: String| {
        if format.quoting {
            text
        } else {
            text.replace(['\t', '\n', '\r'], " ")
        }
    };
    let field = |value: Value| match value {
        Value::Null => String::new(),
        Value::String(text) => one_line(text),
        other => other.to_string(), // JSON escapes tabs and line breaks
    };
    let columns = columns.iter().map(|column| one_line(column.clone()));
    writer.write_record(columns).map_err(system_error)?;
    for row in rows {
        let row = row.into_iter().map(field);
        writer.write_record(row).map_err(system_error)?;
    }
    writer.flush()
}

/// Unwraps the I/O error inside a CSV error to preserve its kind, because a closed pipe is not a failure.
fn system_error(error: ::csv::Error) -> io::Error {
    match error.into_kind() {
        ::csv::ErrorKind::Io(error) => error,
        other => io::Error::other(format!("{other:?}")),
    }
}
