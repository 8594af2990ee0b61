#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

use super::*;
use crate::examples::{Examples, MissingPolicy, Selection};
use crate::sources::{Format, ReadOptions, read_table, read_table_from};

/// A file written by pyarrow; see `scripts/golden/make_parquet.py`.
fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/parquet/{name}.parquet"))
}

fn table(name: &str) -> Table {
    read_table(&golden(name), &ReadOptions::default()).unwrap()
}

fn column(table: &Table, name: &str) -> Vec<Cell> {
    let at = table.column(&name.into()).unwrap();
    table.rows.iter().map(|row| row.cells[at].clone()).collect()
}

fn texts(values: [&str; 5]) -> Vec<Cell> {
    let cell = |text: &str| match text {
        "-" => Cell::Missing,
        text => Cell::Text(text.into()),
    };
    values.into_iter().map(cell).collect()
}

#[test]
fn columns_keep_their_types_and_nulls() {
    let table = table("types");
    assert_eq!(column(&table, "text"), texts(["ä b", "-", "", "x\ny", "z"]));
    assert_eq!(column(&table, "category"), texts(["a", "b", "-", "a", "a"]));
    let int = Cell::Integer;
    assert_eq!(column(&table, "label")[2..4], [int(1), Cell::Missing]);
    assert_eq!(
        column(&table, "tiny")[..3],
        [int(-1), int(2), Cell::Missing]
    );
    assert_eq!(
        column(&table, "unsigned")[0],
        Cell::Text(u64::MAX.to_string())
    );
    assert_eq!(column(&table, "unsigned")[1], int(1));
    assert_eq!(column(&table, "unsigned32")[0], int(u32::MAX.into()));
    assert_eq!(
        column(&table, "flag")[..3],
        [Cell::Boolean(true), Cell::Boolean(false), Cell::Missing]
    );
    let float = Cell::Float;
    assert_eq!(
        column(&table, "double")[..3],
        [float(0.5), float(1.0), Cell::Missing]
    );
    assert!(matches!(column(&table, "double")[3], Cell::Float(number) if number.is_nan()));
    assert_eq!(column(&table, "float")[..2], [float(0.1), float(1.0)]);
    assert_eq!(column(&table, "half")[..2], [float(0.5), float(1.0)]);
    let lines: Vec<u64> = table.rows.iter().map(|row| row.line).collect();
    assert_eq!(lines, [1, 2, 3, 4, 5]);
}

#[test]
fn dates_times_and_decimals_are_texts() {
    let table = table("types");
    for (name, values) in [
        ("date", ["1969-12-31", "-", "2024-02-29", "-", "-"]),
        (
            "local",
            [
                "2020-01-31T12:34:56.500",
                "-",
                "2020-01-31T12:34:56",
                "-",
                "-",
            ],
        ),
        ("utc", ["2020-01-31T12:34:56.500Z", "-", "-", "-", "-"]),
        (
            "nanos",
            [
                "1970-01-01T00:00:00.000000001",
                "-",
                "1969-12-31T23:59:59.999999999",
                "1970-01-01T00:00:00",
                "-",
            ],
        ),
        ("time", ["01:02:03", "-", "01:02:03.000400", "-", "-"]),
        ("money", ["-1.50", "-", "123.45", "-", "-"]),
    ] {
        assert_eq!(column(&table, name), texts(values), "{name}");
    }
    let legacy = super::tests::table("int96");
    assert_eq!(
        column(&legacy, "when"),
        [Cell::Text("2020-01-31T12:34:56.500".into())]
    );
}

#[test]
fn columns_that_cannot_be_read_are_an_error_only_if_selected() {
    let table = table("types");
    let unsupported = table.unsupported.iter();
    let unsupported: Vec<_> = unsupported
        .map(|u| (u.name.as_str(), u.kind.as_str()))
        .collect();
    assert_eq!(
        unsupported,
        [
            ("list", "list"),
            ("struct", "struct"),
            ("map", "map"),
            ("bytes", "binary"),
            ("fixed", "binary")
        ]
    );
    let message = |name: &str| table.column(&name.into()).unwrap_err().to_string();
    assert!(message("struct").starts_with("column `struct` of `"));
    assert!(message("bytes").ends_with("is of type binary, expected text, numbers or booleans"));
    // Positions refer to the columns of the file.
    assert_eq!(table.column(&"22".into()).unwrap(), table.columns.len() - 1);
    assert!(message("17").contains("`list`"));
    let alone = read_table(&golden("only-lists"), &ReadOptions::default()).unwrap_err();
    assert!(alone.to_string().contains("column `list` of"), "{alone}");
}

#[test]
fn every_compression_but_brotli_is_read() {
    let plain = table("none");
    assert_eq!(
        (plain.rows.len(), plain.columns.as_slice()),
        (60, ["text".into(), "label".into()].as_slice())
    );
    for name in ["snappy", "gzip", "zstd", "lz4", "snappy-v2", "zstd-v2"] {
        assert_eq!(table(name).rows, plain.rows, "{name}");
    }
    let error = read_table(&golden("brotli"), &ReadOptions::default()).unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("is brotli, expected none, snappy, gzip, zstd or lz4"),
        "{error}"
    );
}

#[test]
fn numbers_are_labels_and_missing_values_name_their_row() {
    let table = table("none");
    let selection = Selection::new("text", "label");
    let examples = Examples::labelled(&table, &selection, MissingPolicy::Drop).unwrap();
    assert_eq!(examples.labels()[..3], ["0", "1", "3"]);
    assert!(
        examples
            .dropped_summary()
            .unwrap()
            .starts_with("dropped 20 rows: no text in rows 3, 6, ")
    );
    let error = Examples::labelled(&table, &selection, MissingPolicy::Refuse).unwrap_err();
    assert!(error.to_string().starts_with("row 3 of "), "{error}");
    assert!(
        error.to_string().ends_with("has no text (column `text`)"),
        "{error}"
    );
}

#[test]
fn a_file_is_recognised_by_its_first_bytes_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data.bin");
    fs::copy(golden("snappy"), &path).unwrap();
    assert_eq!(
        read_table(&path, &ReadOptions::default())
            .unwrap()
            .rows
            .len(),
        60
    );
    let options = ReadOptions {
        format: Some(Format::Csv),
        ..ReadOptions::default()
    };
    let error = read_table(&path, &options).unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("is a Parquet file, expected plain text"),
        "{error}"
    );
}

fn parse(bytes: &[u8]) -> Result<Table, DataError> {
    read_table_from(bytes, "x.parquet", &ReadOptions::default())
}

#[test]
fn damaged_files_are_refused() {
    let message = |bytes: &[u8]| parse(bytes).unwrap_err().to_string();
    assert_eq!(message(b""), "`x.parquet` is empty");
    assert!(message(b"text,label\na,1\n").starts_with("could not read `x.parquet` as Parquet: "));
    assert_eq!(
        message(&fs::read(golden("no-rows")).unwrap()),
        "`x.parquet` holds no rows"
    );
    for name in ["types", "zstd", "snappy-v2"] {
        let whole = fs::read(golden(name)).unwrap();
        for length in 0..whole.len() {
            assert!(
                parse(&whole[..length]).is_err(),
                "{name} cut to {length} bytes"
            );
        }
    }
}

#[test]
fn no_damage_brings_the_reader_down() {
    for name in ["none", "snappy", "zstd", "zstd-v2", "gzip", "lz4"] {
        let whole = fs::read(golden(name)).unwrap();
        for at in 0..whole.len() {
            for flip in [0x01, 0xff] {
                let mut bytes = whole.clone();
                bytes[at] ^= flip;
                let _ = parse(&bytes); // text may change, but nothing panics
            }
        }
    }
}
