//! Tagged words in CSV, one word per row.

use super::{COMMAS, TABS, table};
use crate::columns::Column;
use crate::error::{DataError, TableError, TagError};
use crate::sources::format::Format;
use crate::sources::options::ReadOptions;
use crate::sources::tagged::options::{DOCUMENT, TagPolicy, TaggedOptions};
use crate::table::{Cell, Table};
use crate::tagging::builder::{Builder, Documents, resolve};
use crate::tagging::{Layout, Repairs, Tag, TaggedCorpus};

/// Default column names, in lower case.
const WORD: [&str; 2] = ["word", "token"];
const TAG: [&str; 4] = ["tag", "label", "ner_tag", "ner"];
const SENTENCE: [&str; 4] = ["sentence_id", "sent_id", "sentence", "sentence #"];

/// The selected column, or the first of the usual names that exists.
fn find(
    table: &Table,
    chosen: Option<&Column>,
    usual: &[&str],
) -> Result<Option<usize>, DataError> {
    if let Some(chosen) = chosen {
        return table.column(chosen).map(Some);
    }
    let is = |name: &str| {
        let names = table.columns.iter();
        names
            .map(|column| column.to_lowercase())
            .position(|column| column == name)
    };
    Ok(usual.iter().find_map(|name| is(name)))
}

/// As [`find`]; if there is no such column, the error names the first of the usual names.
fn need(table: &Table, chosen: Option<&Column>, usual: &[&str]) -> Result<usize, DataError> {
    match find(table, chosen, usual)? {
        Some(column) => Ok(column),
        None => table.column(&usual[0].into()),
    }
}

/// The trimmed text of a cell; all cells of CSV are texts.
fn text(cell: &Cell) -> &str {
    match cell {
        Cell::Text(text) => text.trim(),
        _ => "",
    }
}

pub(super) fn parse(
    content: String,
    name: &str,
    options: &TaggedOptions,
) -> Result<TaggedCorpus, DataError> {
    let read = ReadOptions {
        delimiter: options.delimiter,
        ..ReadOptions::default()
    };
    let defaults = match options.delimiter {
        Some(b'\t') => &TABS,
        _ => &COMMAS,
    };
    let table = table::parse(content, name, defaults, &read)?;
    let word = need(&table, options.word.as_ref(), &WORD)?;
    let sentence = need(&table, options.sentence.as_ref(), &SENTENCE)?;
    let tag = match options.tags {
        TagPolicy::Ignore => None,
        TagPolicy::IfPresent => find(&table, options.tag.as_ref(), &TAG)?,
        TagPolicy::Required => Some(need(&table, options.tag.as_ref(), &TAG)?),
    };
    let title = find(&table, options.document.as_ref(), &DOCUMENT)?;

    let mut documents = Documents::default();
    let mut current = None;
    let mut builder = Builder::default();
    let mut id = "";
    for row in &table.rows {
        let next = text(&row.cells[sentence]);
        let document = title
            .map(|title| text(&row.cells[title]))
            .filter(|title| !title.is_empty())
            .map(|title| documents.index(title))
            .or(current);
        if (!next.is_empty() && next != id) || document != current {
            builder.close(current, tag.is_some());
        }
        if !next.is_empty() {
            id = next;
        }
        current = document;
        let missing = |part, column: usize| {
            DataError::Table(TableError::Missing {
                path: name.into(),
                place: table.place(row),
                part,
                column: table.columns[column].clone(),
            })
        };
        let found = text(&row.cells[word]);
        if found.is_empty() {
            return Err(missing("word", word));
        }
        let tag = match tag {
            Some(tag) if text(&row.cells[tag]).is_empty() => return Err(missing("tag", tag)),
            Some(tag) => {
                let tag = text(&row.cells[tag]);
                Some(Tag::parse(tag).ok_or_else(|| {
                    DataError::Tag(TagError::UnknownTag {
                        path: name.into(),
                        line: row.line,
                        found: tag.into(),
                    })
                })?)
            }
            None => None,
        };
        builder.push(row.line, found, tag);
    }
    builder.close(current, tag.is_some());

    let mut repairs = Repairs::default();
    let (sentences, scheme, bare) = resolve(builder.done, &options.entity_type, &mut repairs);
    Ok(TaggedCorpus {
        name: name.into(),
        format: Format::Csv,
        sentences,
        documents: documents.names,
        scheme,
        bare,
        repairs,
        layout: Layout::Rows(table),
    })
}
