//! Tables: named columns and rows of typed cells.

use std::borrow::Cow;

use serde_json::Value;

use crate::place::{Place, Unit};

/// What one field of a table holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// A null, or a key that a JSON object lacks. Fields of CSV and TSV are never missing, but may be empty.
    Missing,
    /// A text as it is in the file. All fields of CSV and TSV are texts; numbers, booleans and objects of JSON Lines are
    /// read as JSON writes them.
    Text(String),
    /// A whole number, in formats with types.
    Integer(i64),
    /// A floating-point number, in formats with types.
    Float(f64),
    /// A truth value, in formats with types.
    Boolean(bool),
    /// A list, its elements as under `Text`.
    List(Vec<String>),
}

impl Cell {
    /// A text, number or truth value as a text; `None` for a missing value or a list.
    pub fn to_text(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Missing | Self::List(_) => None,
            Self::Text(text) => Some(text.into()),
            Self::Integer(number) => Some(number.to_string().into()),
            Self::Float(number) => Some(float_text(*number).into()),
            Self::Boolean(value) => Some(value.to_string().into()),
        }
    }

    /// The cell as JSON; a number that JSON does not have (`NaN`, infinities) is `null`.
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

/// A number as JSON writes it (`1.0`), or as Rust does where JSON has none (`NaN`).
fn float_text(number: f64) -> String {
    serde_json::Number::from_f64(number).map_or_else(|| number.to_string(), |n| n.to_string())
}

/// One row of a table.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Line of the file where the row starts, or, in formats without lines, the number of the row; from 1.
    pub line: u64,
    /// One cell for each column of the table.
    pub cells: Vec<Cell>,
}

/// A column that the file has but that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnsupportedColumn {
    /// Its name.
    pub name: String,
    /// Its position in the file, from 1.
    pub position: usize,
    /// Its type, for messages.
    pub kind: String,
}

/// The contents of a file: named columns, and rows that know where they are in it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Table {
    /// The file it came from, for messages.
    pub name: String,
    /// Names of the columns: the header, trimmed; for JSON Lines, the keys of all objects in order of first appearance.
    pub columns: Vec<String>,
    /// The rows, in the order of the file.
    pub rows: Vec<Row>,
    /// Columns of types that cannot be read. They are an error only where one is selected.
    pub unsupported: Vec<UnsupportedColumn>,
    /// What [`Row::line`] counts.
    pub unit: Unit,
    /// The delimiter, by name, that the header suggests when the one in use did not split it.
    pub(crate) other_delimiter: Option<&'static str>,
}

impl Table {
    /// Where a row is in the file.
    pub fn place(&self, row: &Row) -> Place {
        Place {
            unit: self.unit,
            number: row.line,
        }
    }
}
