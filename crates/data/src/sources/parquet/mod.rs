//! Apache Parquet: typed columns; nested columns are not supported.
//!
//! Columns of lists, structs, maps and bytes are [unsupported](Table::unsupported), which is an error only if one is
//! selected. Dates and times are read as ISO 8601 text, decimals as text. Positions in messages are row numbers from 1,
//! because the file has no lines.

mod column;
mod zstd;

use std::panic;
use std::sync::Arc;

use bytes::Bytes;
use parquet::basic::Compression;
use parquet::column::reader::get_column_reader;
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::file::serialized_reader::SerializedPageReader;
use parquet::schema::types::ColumnDescPtr;

use self::column::{Kind, cells, nested};
use self::zstd::ZstdPages;
use super::spec::{FormatSpec, TableFormat};
use crate::error::{DataError, FileError, TableError};
use crate::place::Unit;
use crate::table::{Cell, Row, Table, UnsupportedColumn};

pub(super) const SPEC: FormatSpec = FormatSpec {
    name: "parquet",
    extensions: &["parquet"],
    signature: Some(b"PAR1"),
    table: Some(TableFormat {
        // The `parquet` crate panics on some damaged files.
        read: |bytes, name, _| {
            panic::catch_unwind(|| read(bytes, name))
                .unwrap_or_else(|_| Err(damaged(name, "its contents contradict each other")))
        },
        write: None,
    }),
    ..FormatSpec::EMPTY
};

/// A supported column.
struct Column {
    name: String,
    /// Its index among the leaves of the schema.
    leaf: usize,
    descriptor: ColumnDescPtr,
    kind: Kind,
}

/// Reads a file as a table.
///
/// # Errors
/// An empty or damaged file; an unsupported compression; two columns with the same name; no rows; no supported column.
fn read(bytes: Vec<u8>, name: &str) -> Result<Table, DataError> {
    if bytes.is_empty() {
        return Err(DataError::File(FileError::Empty { path: name.into() }));
    }
    let damaged = |error: ParquetError| damaged(name, &message(&error));
    let bytes = Arc::new(Bytes::from(bytes));
    let file = SerializedFileReader::new(bytes.as_ref().clone()).map_err(damaged)?;
    let metadata = file.metadata();
    let (columns, unsupported) = columns(metadata);
    check(&columns, &unsupported, metadata, name)?;

    let mut rows: Vec<Row> = Vec::new();
    for group in metadata.row_groups() {
        let mut read = Vec::with_capacity(columns.len());
        for column in &columns {
            let chunk = group.column(column.leaf);
            let found = chunk_cells(&bytes, chunk, (rows.len(), group.num_rows()), column, name)?;
            read.push(found.into_iter());
        }
        loop {
            let cells: Vec<Cell> = read.iter_mut().filter_map(Iterator::next).collect();
            if cells.len() < columns.len() {
                break;
            }
            let line = rows.len() as u64 + 1;
            rows.push(Row { line, cells });
        }
    }
    if rows.is_empty() {
        return Err(DataError::Table(TableError::NoRows { path: name.into() }));
    }
    Ok(Table {
        name: name.into(),
        columns: columns.into_iter().map(|column| column.name).collect(),
        rows,
        unsupported,
        unit: Unit::Row,
        ..Table::default()
    })
}

/// The columns of a file: supported and unsupported ones.
fn columns(metadata: &ParquetMetaData) -> (Vec<Column>, Vec<UnsupportedColumn>) {
    let schema = metadata.file_metadata().schema_descr();
    let (mut known, mut unsupported) = (Vec::new(), Vec::new());
    let mut leaf = 0;
    for (at, field) in schema.root_schema().get_fields().iter().enumerate() {
        let first = leaf;
        while leaf < schema.num_columns() && schema.get_column_root_idx(leaf) == at {
            leaf += 1;
        }
        let name = field.name().to_string();
        let kind = match nested(field) {
            Some(kind) => Err(kind),
            None => Kind::of(&schema.column(first)),
        };
        match kind {
            Ok(kind) => known.push(Column {
                name,
                leaf: first,
                descriptor: schema.column(first),
                kind,
            }),
            Err(kind) => unsupported.push(UnsupportedColumn {
                name,
                position: at + 1,
                kind,
            }),
        }
    }
    (known, unsupported)
}

/// Returns an error for a file from which no column can be read.
fn check(
    columns: &[Column],
    unsupported: &[UnsupportedColumn],
    metadata: &ParquetMetaData,
    name: &str,
) -> Result<(), DataError> {
    if let ([], Some(first)) = (columns, unsupported.first()) {
        return Err(DataError::Table(TableError::UnsupportedColumn {
            path: name.into(),
            column: first.name.clone(),
            kind: first.kind.clone(),
        }));
    }
    for (at, column) in columns.iter().enumerate() {
        let earlier = columns[..at]
            .iter()
            .position(|other| other.name == column.name);
        if let Some(first) = earlier {
            let position = |index: usize| columns[index].leaf + 1;
            return Err(DataError::Table(TableError::DuplicateColumn {
                path: name.into(),
                name: column.name.clone(),
                first: position(first),
                second: position(at),
            }));
        }
    }
    let chunks = metadata
        .row_groups()
        .iter()
        .flat_map(|group| group.columns());
    for chunk in chunks {
        // The reader panics on negative numbers.
        let numbers = [
            chunk.dictionary_page_offset().unwrap_or(0),
            chunk.data_page_offset(),
            chunk.compressed_size(),
        ];
        if numbers.iter().any(|number| *number < 0) {
            return Err(damaged(name, "a column chunk has a negative place or size"));
        }
        if matches!(
            chunk.compression(),
            Compression::BROTLI(_) | Compression::LZO
        ) {
            return Err(DataError::File(FileError::Unexpected {
                path: name.into(),
                at: "the compression".into(),
                expected: "none, snappy, gzip, zstd or lz4",
                found: format!("{:?}", chunk.compression_codec()).to_lowercase(),
            }));
        }
    }
    Ok(())
}

/// The cells of a column in a row group, given the number of rows in the file before the group and in the group.
fn chunk_cells(
    bytes: &Arc<Bytes>,
    chunk: &ColumnChunkMetaData,
    (before, rows): (usize, i64),
    column: &Column,
    name: &str,
) -> Result<Vec<Cell>, DataError> {
    let read = || -> Result<Vec<Cell>, ParquetError> {
        let rows = usize::try_from(rows)?;
        let reader = match chunk.compression() {
            Compression::ZSTD(_) => {
                let raw = ZstdPages::new(bytes.clone(), chunk, rows)?;
                get_column_reader(column.descriptor.clone(), Box::new(raw))
            }
            _ => {
                let pages = SerializedPageReader::new(bytes.clone(), chunk, rows, None)?;
                get_column_reader(column.descriptor.clone(), Box::new(pages))
            }
        };
        let cells = cells(
            reader,
            column.kind,
            column.descriptor.max_def_level(),
            before,
            rows,
        )?;
        match cells.len() == rows {
            true => Ok(cells),
            false => Err(ParquetError::General(format!(
                "{} of {rows} values are there",
                cells.len()
            ))),
        }
    };
    read().map_err(|error| {
        let message = format!("column `{}`: {}", column.name, message(&error));
        damaged(name, &message)
    })
}

/// The text of an error without its kind.
fn message(error: &ParquetError) -> String {
    match error {
        ParquetError::General(message)
        | ParquetError::NYI(message)
        | ParquetError::EOF(message) => message.clone(),
        other => other.to_string(),
    }
}

fn damaged(name: &str, message: &str) -> DataError {
    DataError::File(FileError::Damaged {
        path: name.into(),
        format: "Parquet",
        message: message.into(),
    })
}

#[cfg(test)]
mod tests;
