//! Converts tables to examples: column selection, and the policy for rows with missing values.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::columns::Column;
use crate::error::{DataError, TableError};
use crate::place::{Place, Unit};
use crate::table::{Cell, Row, Table};

/// Separates the labels of a row if the label column holds JSON lists and no separator was given.
const LIST_SEPARATOR: &str = "\u{1f}";

/// The columns of a table to use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    /// The text.
    pub text: Column,
    /// A second text, for text-pair tasks.
    pub text_pair: Option<Column>,
    /// The label or labels.
    pub label: Option<Column>,
    /// The group; rows that share a value stay in the same split: a speaker, a document, a patient.
    pub group: Option<Column>,
    /// The separator between labels in a cell; makes this a multi-label task.
    pub label_separator: Option<String>,
}

impl Selection {
    /// Selects a text and a label column only.
    pub fn new(text: impl Into<Column>, label: impl Into<Column>) -> Self {
        Self {
            text: text.into(),
            text_pair: None,
            label: Some(label.into()),
            group: None,
            label_separator: None,
        }
    }
}

/// How to handle rows without a text, label or group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MissingPolicy {
    /// Drop the row and count it.
    Drop,
    /// Report an error.
    #[default]
    Refuse,
}

/// A part of a row that can be missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The text.
    Text,
    /// The second text.
    TextPair,
    /// The label.
    Label,
    /// The group.
    Group,
}

impl Part {
    fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::TextPair => "second text",
            Self::Label => "label",
            Self::Group => "group",
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// A row that was dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dropped {
    /// Its line in the file, or the number of its row in a format without lines, from 1.
    pub line: u64,
    /// The missing part (the first one, if several are missing).
    pub part: Part,
}

/// One row as in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawExample {
    /// Its line in the file, or the number of its row in a format without lines, from 1.
    pub line: u64,
    /// The text, unmodified.
    pub text: String,
    /// The second text, if one was selected.
    pub text_pair: Option<String>,
    /// The label cell, trimmed; with a separator, it may contain several labels or none.
    pub label: Option<String>,
    /// The group, trimmed.
    pub group: Option<String>,
}

/// The usable rows of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Examples {
    /// The file they came from, for messages.
    pub name: String,
    /// What [`RawExample::line`] counts.
    pub unit: Unit,
    /// The rows, in the order of the file.
    pub rows: Vec<RawExample>,
    /// The rows left out, in the order of the file.
    pub dropped: Vec<Dropped>,
    /// The separator between labels in a cell: the selected one or, if the label column holds JSON lists, a character
    /// that occurs in no label. `None` if a cell is a single label.
    pub label_separator: Option<String>,
}

impl Examples {
    /// Examples for training or evaluation: each has all selected parts.
    ///
    /// A text, label or group is missing if its cell is absent, empty or white space. With a label separator or JSON
    /// lists as labels, an empty cell is a row without labels, and only a JSON `null` or an absent key is missing.
    ///
    /// # Errors
    /// Unknown columns; a row with a missing part, under [`MissingPolicy::Refuse`]; no complete row; a list instead of a
    /// single text.
    pub fn labelled(
        table: &Table,
        selection: &Selection,
        policy: MissingPolicy,
    ) -> Result<Self, DataError> {
        Self::select(table, selection, Some(policy))
    }

    /// Examples for prediction: every row of the table, in order.
    ///
    /// A missing text becomes an empty one; labels and groups are included where present.
    ///
    /// # Errors
    /// Unknown columns; a list instead of a single text.
    pub fn unlabelled(table: &Table, selection: &Selection) -> Result<Self, DataError> {
        Self::select(table, selection, None)
    }

    fn select(
        table: &Table,
        selection: &Selection,
        policy: Option<MissingPolicy>,
    ) -> Result<Self, DataError> {
        let columns = Columns::find(table, selection)?;
        let mut examples = Self {
            name: table.name.clone(),
            unit: table.unit,
            rows: Vec::with_capacity(table.rows.len()),
            dropped: Vec::new(),
            label_separator: columns.separator().map(str::to_string),
        };
        for row in &table.rows {
            let mut example = columns.example(table, row)?;
            let missing = columns.missing(&example);
            match (policy, missing) {
                (Some(MissingPolicy::Refuse), Some((part, at))) => {
                    return Err(DataError::Table(TableError::Missing {
                        path: table.name.clone(),
                        place: table.place(row),
                        part: part.name(),
                        column: table.columns[at].clone(),
                    }));
                }
                (Some(MissingPolicy::Drop), Some((part, _))) => {
                    examples.dropped.push(Dropped {
                        line: row.line,
                        part,
                    });
                }
                (None, _) => {
                    if columns.label_is_missing(&example) {
                        example.label = None;
                    }
                    examples.rows.push(example);
                }
                (Some(_), None) => examples.rows.push(example),
            }
        }
        if examples.rows.is_empty() {
            let summary = examples
                .dropped_summary()
                .unwrap_or_else(|| "it has no rows".into());
            return Err(DataError::Table(TableError::NoExamples {
                path: table.name.clone(),
                summary,
            }));
        }
        Ok(examples)
    }

    /// Position of a row in the file.
    pub fn place(&self, row: &RawExample) -> Place {
        Place {
            unit: self.unit,
            number: row.line,
        }
    }

    /// The label cells of the rows that have one.
    pub fn labels(&self) -> Vec<&str> {
        self.rows
            .iter()
            .filter_map(|row| row.label.as_deref())
            .collect()
    }

    /// A one-line summary of dropped rows: ``dropped 3 rows: no label on lines 4, 9; no text on line 12``.
    pub fn dropped_summary(&self) -> Option<String> {
        const SHOWN: usize = 5;
        let mut reasons = Vec::new();
        for part in [Part::Text, Part::TextPair, Part::Label, Part::Group] {
            let lines: Vec<String> = self
                .dropped
                .iter()
                .filter(|dropped| dropped.part == part)
                .map(|dropped| dropped.line.to_string())
                .collect();
            if lines.is_empty() {
                continue;
            }
            let more = match lines.len().saturating_sub(SHOWN) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            reasons.push(format!(
                "no {part} {} {}{more}",
                match (self.unit, lines.len()) {
                    (Unit::Line, 1) => "on line",
                    (Unit::Line, _) => "on lines",
                    (Unit::Row, 1) => "in row",
                    (Unit::Row, _) => "in rows",
                },
                lines[..lines.len().min(SHOWN)].join(", "),
            ));
        }
        let rows = self.dropped.len();
        (rows > 0).then(|| {
            format!(
                "dropped {rows} row{}: {}",
                if rows == 1 { "" } else { "s" },
                reasons.join("; ")
            )
        })
    }
}

/// Indices of the selected columns of a table.
struct Columns<'a> {
    text: usize,
    text_pair: Option<usize>,
    label: Option<usize>,
    group: Option<usize>,
    /// Whether any label cell holds a list.
    lists: bool,
    /// The selected separator.
    separator: Option<&'a str>,
}

impl<'a> Columns<'a> {
    fn find(table: &Table, selection: &'a Selection) -> Result<Self, DataError> {
        let find = |column: &Option<Column>| column.as_ref().map(|c| table.column(c)).transpose();
        let text = table.column(&selection.text)?;
        let text_pair = find(&selection.text_pair)?;
        let label = find(&selection.label)?;
        let group = find(&selection.group)?;
        let lists = label.is_some_and(|at| {
            table
                .rows
                .iter()
                .any(|row| matches!(row.cells[at], Cell::List(_)))
        });
        Ok(Self {
            text,
            text_pair,
            label,
            group,
            lists,
            separator: selection.label_separator.as_deref(),
        })
    }

    /// The separator between labels in a cell.
    fn separator(&self) -> Option<&str> {
        match self.lists {
            true => Some(LIST_SEPARATOR),
            false => self.separator,
        }
    }

    /// Reads a row as an example, even if parts are missing.
    fn example(&self, table: &Table, row: &Row) -> Result<RawExample, DataError> {
        let text = |at: usize| match &row.cells[at] {
            Cell::Text(text) => Ok(text.clone()),
            Cell::List(_) => Err(DataError::Table(TableError::ListForText {
                path: table.name.clone(),
                place: table.place(row),
                column: table.columns[at].clone(),
            })),
            other => Ok(other.to_text().unwrap_or_default().into_owned()),
        };
        Ok(RawExample {
            line: row.line,
            text: text(self.text)?,
            text_pair: self.text_pair.map(text).transpose()?,
            label: self
                .label
                .and_then(|at| label_of(&row.cells[at], self.lists, self.separator)),
            group: match self.group {
                Some(at) => Some(text(at)?.trim().to_string()).filter(|group| !group.is_empty()),
                None => None,
            },
        })
    }

    fn label_is_missing(&self, example: &RawExample) -> bool {
        match &example.label {
            None => true,
            Some(label) => self.separator().is_none() && label.is_empty(),
        }
    }

    /// The first missing part of an example, and its column.
    fn missing(&self, example: &RawExample) -> Option<(Part, usize)> {
        let blank = |text: &str| text.trim().is_empty();
        if blank(&example.text) {
            return Some((Part::Text, self.text));
        }
        if let Some(at) = self.text_pair
            && example.text_pair.as_deref().is_some_and(blank)
        {
            return Some((Part::TextPair, at));
        }
        if let Some(at) = self.label
            && self.label_is_missing(example)
        {
            return Some((Part::Label, at));
        }
        let group = self.group.filter(|_| example.group.is_none())?;
        Some((Part::Group, group))
    }
}

/// The label cell as one string; labels are joined by [`LIST_SEPARATOR`] if any row of the column holds a list.
fn label_of(cell: &Cell, lists: bool, given: Option<&str>) -> Option<String> {
    match (cell, given) {
        (Cell::Missing, _) => None,
        (Cell::List(labels), _) => Some(labels.join(LIST_SEPARATOR)),
        (Cell::Text(text), Some(separator)) if lists && !separator.is_empty() => Some(
            text.split(separator)
                .collect::<Vec<_>>()
                .join(LIST_SEPARATOR),
        ),
        (Cell::Text(text), _) => Some(text.trim().to_string()),
        (other, _) => other.to_text().map(|text| text.into_owned()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::sources::{Format, ReadOptions, read_table_from};

    fn table(format: Format, text: &str) -> Table {
        let options = ReadOptions {
            format: Some(format),
            ..Default::default()
        };
        read_table_from(text.as_bytes(), "t", &options).unwrap()
    }

    const GAPS: &str = "text,label\ngood,pos\n,neg\nbad, \nfine, pos \n  ,neg\n";

    #[test]
    fn rows_that_lack_something_are_dropped_and_counted() {
        let table = table(Format::Csv, GAPS);
        let examples = Examples::labelled(
            &table,
            &Selection::new("text", "label"),
            MissingPolicy::Drop,
        )
        .unwrap();
        assert_eq!(examples.labels(), ["pos", "pos"]);
        assert_eq!(
            examples.dropped_summary().unwrap(),
            "dropped 3 rows: no text on lines 3, 6; no label on line 4"
        );
    }

    #[test]
    fn rows_that_lack_something_are_refused_with_their_line() {
        let table = table(Format::Csv, GAPS);
        let error = Examples::labelled(
            &table,
            &Selection::new("text", "label"),
            MissingPolicy::Refuse,
        )
        .unwrap_err();
        assert_eq!(
            error.to_string(),
            "line 3 of `t` has no text (column `text`)"
        );
    }

    #[test]
    fn prediction_keeps_every_row() {
        let table = table(Format::Csv, GAPS);
        let examples = Examples::unlabelled(&table, &Selection::new("text", "label")).unwrap();
        assert_eq!(examples.rows.len(), 5);
        assert_eq!(examples.rows[1].text, "");
        assert_eq!(examples.rows[2].label, None);
    }

    #[test]
    fn an_empty_cell_is_no_labels_under_a_separator_and_null_is_missing() {
        let lines = r#"{"text": "a", "label": ["x", "y"]}
{"text": "b", "label": []}
{"text": "c", "label": null}
{"text": "d", "label": "y|z"}
"#;
        let table = table(Format::Jsonl, lines);
        let mut selection = Selection::new("text", "label");
        selection.label_separator = Some("|".into());
        let examples = Examples::labelled(&table, &selection, MissingPolicy::Drop).unwrap();
        assert_eq!(examples.labels(), ["x\u{1f}y", "", "y\u{1f}z"]);
        assert_eq!(examples.label_separator.as_deref(), Some("\u{1f}"));
        assert_eq!(
            examples.dropped,
            [Dropped {
                line: 3,
                part: Part::Label
            }]
        );
    }

    #[test]
    fn a_file_without_a_usable_row_is_refused() {
        let table = table(Format::Csv, "text,label\nx,\ny,\n");
        let error = Examples::labelled(
            &table,
            &Selection::new("text", "label"),
            MissingPolicy::Drop,
        )
        .unwrap_err();
        assert_eq!(
            error.to_string(),
            "no row of `t` can be used: dropped 2 rows: no label on lines 2, 3"
        );
    }

    #[test]
    fn a_list_is_no_text() {
        let table = table(Format::Jsonl, r#"{"text": ["a"], "label": "x"}"#);
        let error = Examples::unlabelled(&table, &Selection::new("text", "label")).unwrap_err();
        assert!(matches!(
            error,
            DataError::Table(TableError::ListForText { place, .. }) if place.number == 1
        ));
    }
}
