//! JSON Lines.

use std::collections::HashMap;
use std::io::{self, BufWriter, Write};

use serde_json::Value;

use crate::error::{DataError, TableError};
use crate::table::{Cell, Row, Table};

pub(super) fn parse(text: &str, name: &str) -> Result<Table, DataError> {
    let mut columns: Vec<String> = Vec::new();
    let mut positions: HashMap<String, usize> = HashMap::new();
    let mut rows = Vec::new();
    for (line, content) in (1..).zip(text.split('\n')) {
        let content = content.strip_suffix('\r').unwrap_or(content);
        if content.trim().is_empty() {
            continue;
        }
        let mut cells = vec![Cell::Missing; columns.len()];
        for (key, value) in object(content.as_bytes(), name, line)? {
            let at = *positions.entry(key).or_insert_with_key(|key| {
                columns.push(key.clone());
                cells.push(Cell::Missing);
                columns.len() - 1
            });
            cells[at] = cell(value);
        }
        rows.push(Row { line, cells });
    }
    for row in &mut rows {
        row.cells.resize(columns.len(), Cell::Missing);
    }
    Ok(Table {
        name: name.into(),
        columns,
        rows,
        ..Table::default()
    })
}

/// Parses a line as an object; the line number is used in messages.
pub(crate) fn object(
    content: &[u8],
    name: &str,
    line: u64,
) -> Result<serde_json::Map<String, Value>, DataError> {
    let value: Value = serde_json::from_slice(content).map_err(|error| {
        DataError::Table(TableError::Json {
            path: name.into(),
            line,
            column: error.column(),
            message: without_position(&error),
        })
    })?;
    let found = match value {
        Value::Object(object) => return Ok(object),
        Value::Array(_) => "an array",
        Value::String(_) => "a string",
        Value::Number(_) => "a number",
        Value::Bool(_) => "a boolean",
        Value::Null => "`null`",
    };
    Err(DataError::Table(TableError::JsonNotObject {
        path: name.into(),
        line,
        found,
    }))
}

pub(crate) fn cell(value: Value) -> Cell {
    match value {
        Value::Null => Cell::Missing,
        Value::Array(elements) => Cell::List(elements.into_iter().map(text).collect()),
        other => Cell::Text(text(other)),
    }
}

fn text(value: Value) -> String {
    match value {
        Value::String(text) => text,
        other => other.to_string(),
    }
}

/// The parser's message without ` at line 1 column 7`: our messages use line numbers of the file.
fn without_position(error: &serde_json::Error) -> String {
    let message = error.to_string();
    match message.rfind(" at line ") {
        Some(at) => message[..at].to_string(),
        None => message,
    }
}

pub(super) fn write(
    writer: &mut dyn Write,
    columns: &[String],
    rows: &mut dyn Iterator<Item = Vec<Value>>,
) -> io::Result<()> {
    let mut writer = BufWriter::new(writer);
    for row in rows {
        let object: serde_json::Map<String, Value> = columns.iter().cloned().zip(row).collect();
        serde_json::to_writer(&mut writer, &object)?;
        writer.write_all(b"\n")?;
    }
    writer.flush()
}
