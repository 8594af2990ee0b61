//! Tables: named columns and rows of typed cells.

use std::borrow::Cow;

use serde_json::Value;

use crate::place::{Place, Unit};

/// A field of a table.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// A null, or a key missing from a JSON object. Fields of CSV and TSV are never missing, but may be empty.
    Missing,
    /// Text as in the file. All fields of CSV and TSV are text; numbers, booleans and objects of JSON Lines are kept in
    /// their JSON notation.
    Text(String),
    /// An integer, in typed formats.
    Integer(i64),
    /// A floating-point number, in typed formats.
    Float(f64),
    /// A boolean, in typed formats.
    Boolean(bool),
    /// A list; its elements are as in `Text`.
    List(Vec<String>),
}

impl Cell {
    /// A text, number or boolean as text; `None` for a missing value or a list.
    pub fn to_text(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Missing | Self::List(_) => None,
            Self::Text(text) => Some(text.into()),
            Self::Integer(number) => Some(number.to_string().into()),
            Self::Float(number) => Some(float_text(*number).into()),
            Self::Boolean(value) => Some(value.to_string().into()),
        }
    }

    /// The cell as JSON; a number that JSON cannot represent (`NaN`, infinities) becomes `null`.
    pub fn into_json(self) -> Value {
        match self {
            Self::Missing => Value::Null,
            Self::Text(text) => text.into(),
            Self::Integer(number) => number.into(),
            Self::Float(number) => number.into(),
            Self::Boolean(value) => value.into(),
            Self::List(items) => items.into(),
        }
    }
}

/// Formats a number as JSON does (`1.0`), or as Rust does if JSON cannot represent it (`NaN`).
fn float_text(number: f64) -> String {
    serde_json::Number::from_f64(number).map_or_else(|| number.to_string(), |n| n.to_string())
}

/// One row of a table.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Line on which the row starts or, in formats without lines, the row number; from 1.
    pub line: u64,
    /// One cell for each column of the table.
    pub cells: Vec<Cell>,
}

/// A column of the file that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnsupportedColumn {
    /// Its name.
    pub name: String,
    /// Its position in the file, from 1.
    pub position: usize,
    /// Its type, for messages.
    pub kind: String,
}

/// The contents of a file: named columns, and rows with their positions in the file.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Table {
    /// The file it came from, for messages.
    pub name: String,
    /// Names of the columns: the header, trimmed; for JSON Lines, the keys of all objects in order of first appearance.
    pub columns: Vec<String>,
    /// The rows, in the order of the file.
    pub rows: Vec<Row>,
    /// Columns of unsupported types. Selecting one is an error.
    pub unsupported: Vec<UnsupportedColumn>,
    /// What [`Row::line`] counts.
    pub unit: Unit,
    /// The delimiter, by name, that the header appears to use if the configured one did not split it.
    pub(crate) other_delimiter: Option<&'static str>,
}

impl Table {
    /// Position of a row in the file.
    pub fn place(&self, row: &Row) -> Place {
        Place {
            unit: self.unit,
            number: row.line,
        }
    }
}
