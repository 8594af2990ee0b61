//! Tables: named columns and rows of cells.

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
