//! BioBERT's relation files: a sentence and a label per line, with or without a header.

use super::spec::FormatSpec;
use crate::error::{DataError, FileError, TableError};
use crate::table::{Cell, Table};

/// Tables are read through a delimited format: see [`read_relations`](super::read_relations).
pub(super) const SPEC: FormatSpec = FormatSpec {
    name: "relations",
    ..FormatSpec::EMPTY
};

/// Names the columns of a table that was read without a header: from its first row if that is a header, else by the
/// number of columns.
///
/// # Errors
/// More than three columns without a header; a header without rows; two columns with the same name.
pub(super) fn name_columns(mut table: Table) -> Result<Table, DataError> {
    let first: Vec<String> = match table.rows.first() {
        Some(row) => row
            .cells
            .iter()
            .map(|cell| match cell {
                Cell::Text(text) => text.trim().to_string(),
                _ => String::new(),
            })
            .collect(),
        None => Vec::new(),
    };
    let is =
        |field: &String, names: &[&str]| names.iter().any(|name| field.eq_ignore_ascii_case(name));
    let sentence = ["sentence", "text"];
    if first.iter().any(|field| is(field, &sentence)) {
        table.rows.remove(0);
        if table.rows.is_empty() {
            return Err(DataError::Table(TableError::HeaderOnly {
                path: table.name,
            }));
        }
        let usual = |name: String| match name {
            name if is(&name, &sentence) => "sentence".into(),
            name if is(&name, &["label", "class", "relation"]) => "label".into(),
            name if is(&name, &["index", "id", "idx"]) => "index".into(),
            name => name,
        };
        table.columns = first.into_iter().map(usual).collect();
        for (at, name) in table.columns.iter().enumerate() {
            if let Some(first) = table.columns[..at].iter().position(|other| other == name) {
                return Err(DataError::Table(TableError::DuplicateColumn {
                    path: table.name,
                    name: name.clone(),
                    first: first + 1,
                    second: at + 1,
                }));
            }
        }
        return Ok(table);
    }
    let names: &[&str] = match first.len() {
        1 => &["sentence"],
        2 => &["sentence", "label"],
        3 => &["index", "sentence", "label"],
        found => {
            return Err(DataError::File(FileError::Unexpected {
                path: table.name,
                at: "the first line".into(),
                expected: "a header, or sentence and label",
                found: format!("{found} columns without a header"),
            }));
        }
    };
    table.columns = names.iter().map(|name| name.to_string()).collect();
    Ok(table)
}
