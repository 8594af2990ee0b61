//! Rows and columns of tables.

use super::mention::MentionError;
use super::text::{list, short};
use crate::place::Place;

/// A table is malformed, or lacks a requested column or value.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TableError {
    /// A header without rows.
    #[error("`{path}` holds a header and no rows")]
    HeaderOnly {
        /// The file.
        path: String,
    },
    /// A row with too few or too many fields.
    #[error("{} of `{path}` has {found} field{}, expected {expected}", match last_line {
        last if last > line => format!("the row on lines {line} to {last}"),
        _ => format!("line {line}"),
    }, if *found == 1 { "" } else { "s" })]
    FieldCount {
        /// The file.
        path: String,
        /// Line where the row starts.
        line: u64,
        /// Line where the row ends: later than `line` if a quoted field holds line breaks.
        last_line: u64,
        /// Number of fields in the first row.
        expected: usize,
        /// Number of fields in this row.
        found: usize,
    },
    /// A quoted field that is never closed.
    #[error("a quote opened in the row on line {line} of `{path}` is never closed")]
    UnclosedQuote {
        /// The file.
        path: String,
        /// Line where the row starts.
        line: u64,
    },
    /// A line that is not JSON.
    #[error("line {line} of `{path}` is not JSON: {message} (column {column})")]
    Json {
        /// The file.
        path: String,
        /// The line.
        line: u64,
        /// Byte position in the line, from 1.
        column: usize,
        /// The parser's message.
        message: String,
    },
    /// A line of JSON that is not an object.
    #[error("line {line} of `{path}` is {found}, expected a JSON object")]
    JsonNotObject {
        /// The file.
        path: String,
        /// The line.
        line: u64,
        /// The type found.
        found: &'static str,
    },
    /// Two columns with the same name.
    #[error(
        "columns {first} and {second} of `{path}` are both called `{}`",
        short(name)
    )]
    DuplicateColumn {
        /// The file.
        path: String,
        /// Their name.
        name: String,
        /// Position of the first, from 1.
        first: usize,
        /// Position of the second, from 1.
        second: usize,
    },
    /// A column that does not exist.
    #[error("`{path}` has no column `{column}`, found {}", list(columns, 20))]
    UnknownColumn {
        /// The file.
        path: String,
        /// The requested column.
        column: String,
        /// The existing columns.
        columns: Vec<String>,
        /// The most similar name, if any is similar enough.
        nearest: Option<String>,
        /// The delimiter that the file appears to use instead, by name.
        other_delimiter: Option<&'static str>,
    },
    /// A row without a required text, label or group.
    #[error("{place} of `{path}` has no {part} (column `{column}`)")]
    Missing {
        /// The file.
        path: String,
        /// The row.
        place: Place,
        /// The missing part: `text`, `label`, ….
        part: &'static str,
        /// The column that should hold it.
        column: String,
    },
    /// A list instead of a single text.
    #[error("column `{column}` of {place} of `{path}` is a list, expected a text")]
    ListForText {
        /// The file.
        path: String,
        /// The row.
        place: Place,
        /// The column.
        column: String,
    },
    /// A column of a type that cannot be read.
    #[error("column `{column}` of `{path}` is of type {kind}, expected text, numbers or booleans")]
    UnsupportedColumn {
        /// The file.
        path: String,
        /// The column.
        column: String,
        /// Its type.
        kind: String,
    },
    /// A table with columns but no rows.
    #[error("`{path}` holds no rows")]
    NoRows {
        /// The file.
        path: String,
    },
    /// All rows were dropped.
    #[error("no row of `{path}` can be used: {summary}")]
    NoExamples {
        /// The file.
        path: String,
        /// Summary of the dropped rows.
        summary: String,
    },
    /// Entities that cannot be marked in the text.
    #[error("could not mark the entities {} of `{path}`", place.at())]
    Mentions {
        /// The file.
        path: String,
        /// The row.
        place: Place,
        /// The cause.
        #[source]
        source: MentionError,
    },
}

impl TableError {
    /// A suggestion for the user, if there is one.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::HeaderOnly { .. } => "if its only line is data, say that the file has no header".into(),
            Self::FieldCount { line, last_line, .. } if last_line > line => format!(
                "a quote opened on line {line} may be a plain character of the text: double it, or switch quoting off"
            ),
            Self::FieldCount { expected, found, .. } if found > expected => {
                "put quotes around fields that hold the delimiter, or check the delimiter".into()
            }
            Self::FieldCount { .. } => {
                "check the delimiter, and for line breaks inside a field without quotes".into()
            }
            Self::UnclosedQuote { .. } => {
                "close or double the quote, or switch quoting off if quotes are plain characters here".into()
            }
            Self::Json { .. } => "JSON Lines holds one complete object on each line".into(),
            Self::JsonNotObject { .. } => {
                "JSON Lines holds one object on each line, like {\"text\": \"…\", \"label\": \"…\"}".into()
            }
            Self::DuplicateColumn { .. } => "rename one of them in the header".into(),
            Self::UnknownColumn { other_delimiter: Some(name), .. } => {
                format!("the fields seem to be divided by another delimiter: try `{name}`")
            }
            Self::UnknownColumn { nearest: Some(nearest), .. } => format!("did you mean `{nearest}`?"),
            Self::UnknownColumn { columns, .. } if columns.first().is_some_and(|name| name == "1") => {
                "without a header, columns are chosen by position from 1".into()
            }
            Self::UnknownColumn { .. } => {
                "columns can be chosen by name or by position from 1; if the first line is data, say that the file has no header"
                    .into()
            }
            Self::Missing { .. } => "fill it in, or drop such rows".into(),
            Self::ListForText { .. } => "choose a column that holds texts".into(),
            Self::UnsupportedColumn { .. } => {
                "choose another column, or convert it before the file is written".into()
            }
            Self::NoRows { .. } => "check that it is the file you mean".into(),
            Self::NoExamples { .. } => "check which columns hold the text and the label".into(),
            Self::Mentions { .. } => {
                "positions count characters (code points, not bytes) from 0, and end behind the last".into()
            }
        })
    }
}
