#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;

use serde_json::json;

use super::*;
use crate::error::{DataError, FileError, TableError};
use crate::table::{Cell, Row, Table};

fn read(format: Format, bytes: &[u8]) -> Result<Table, DataError> {
    let options = ReadOptions {
        format: Some(format),
        ..Default::default()
    };
    read_table_from(bytes, "in.csv", &options)
}

fn rows(table: &Table) -> Vec<(u64, Vec<&str>)> {
    fn text(cell: &Cell) -> &str {
        match cell {
            Cell::Text(text) => text,
            _ => panic!("{cell:?} is not a text"),
        }
    }
    table
        .rows
        .iter()
        .map(|row| (row.line, row.cells.iter().map(text).collect()))
        .collect()
}

fn message(error: DataError) -> String {
    match error.hint() {
        Some(hint) => format!("{error}\nhint: {hint}"),
        None => error.to_string(),
    }
}

#[test]
fn csv_fields_may_hold_delimiters_quotes_and_line_breaks() {
    let file = "text,label\n\"a, \"\"b\"\"\r\nc\",x\n\n\"\",y\n";
    let table = read(Format::Csv, file.as_bytes()).unwrap();
    assert_eq!(table.columns, ["text", "label"]);
    assert_eq!(
        rows(&table),
        [(2, vec!["a, \"b\"\r\nc", "x"]), (5, vec!["", "y"])]
    );
}

#[test]
fn a_byte_order_mark_carriage_returns_and_spaces_in_the_header_are_no_part_of_names() {
    let table = read(Format::Csv, b"\xef\xbb\xbftext, label\r\na,x\r\n").unwrap();
    assert_eq!(table.columns, ["text", "label"]);
    assert_eq!(rows(&table), [(2, vec!["a", "x"])]);
}

#[test]
fn tsv_takes_quotes_as_they_are() {
    let table = read(
        Format::Tsv,
        "label\ttext\r\nham\t\"so what\r\nspam\tit's 5\" long\r\n".as_bytes(),
    );
    let table = table.unwrap();
    assert_eq!(
        rows(&table),
        [
            (2, vec!["ham", "\"so what"]),
            (3, vec!["spam", "it's 5\" long"])
        ]
    );
}

#[test]
fn tsv_with_old_line_ends_is_read() {
    let table = read(Format::Tsv, b"a\tb\r1\t2\r").unwrap();
    assert_eq!(rows(&table), [(2, vec!["1", "2"])]);
}

#[test]
fn comments_and_blank_lines_are_skipped_and_lines_still_counted() {
    for format in [Format::Csv, Format::Tsv] {
        let options = ReadOptions {
            format: Some(format),
            delimiter: Some(b';'),
            comment: Some(b'#'),
            ..Default::default()
        };
        let table =
            read_table_from("# made\n\na;b\n# more\n\n1;2\n".as_bytes(), "in", &options).unwrap();
        assert_eq!(rows(&table), [(6, vec!["1", "2"])], "{format:?}");
    }
}

#[test]
fn without_a_header_columns_have_numbers() {
    let options = ReadOptions {
        header: false,
        ..Default::default()
    };
    let table = read_table_from("a,b\nc,d".as_bytes(), "in.csv", &options).unwrap();
    assert_eq!(table.columns, ["1", "2"]);
    assert_eq!(rows(&table), [(1, vec!["a", "b"]), (2, vec!["c", "d"])]);
}

#[test]
fn dialects_can_be_chosen() {
    let options = ReadOptions {
        delimiter: Some(b'|'),
        quote: Some(b'\''),
        double_quote: false,
        escape: Some(b'\\'),
        ..Default::default()
    };
    let table = read_table_from(
        r"a|b
'x\'|y'|z"
            .as_bytes(),
        "in.txt",
        &options,
    )
    .unwrap();
    assert_eq!(rows(&table), [(2, vec!["x'|y", "z"])]);
    assert_eq!(parse_delimiter("\\t").unwrap(), b'\t');
    assert_eq!(parse_delimiter("semicolon").unwrap(), b';');
    assert_eq!(parse_delimiter(",").unwrap(), b',');
    assert!(parse_delimiter("colon").is_err());
}

#[test]
fn rows_of_another_length_are_refused_with_their_line() {
    let error = read(Format::Csv, b"a,b\n\n1,2\n1,2,3\n").unwrap_err();
    assert_eq!(
        message(error),
        "line 4 of `in.csv` has 3 fields, expected 2\n\
         hint: put quotes around fields that hold the delimiter, or check the delimiter"
    );
    let error = read(Format::Csv, b"a,b,c\n1,\"2\n3,4\n5\",6\n8\n").unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("line 5 of `in.csv` has 1 field, expected 3"),
        "{error}"
    );
    let error = read(Format::Csv, b"a,b\n1,\"2\n3,4\n5\",6\n").unwrap_err();
    assert_eq!(
        message(error),
        "the row on lines 2 to 4 of `in.csv` has 3 fields, expected 2\n\
         hint: a quote opened on line 2 may be a plain character of the text: double it, or switch quoting off"
    );
}

#[test]
fn a_quote_never_closed_is_reported_where_its_row_starts() {
    let error = read(Format::Csv, b"a,b\n1,2\n3,\"4\n5,6\n7,8\n").unwrap_err();
    assert_eq!(
        error.to_string(),
        "a quote opened in the row on line 3 of `in.csv` is never closed"
    );
    let error = read(Format::Csv, b"a,b\n1,\"2\n").unwrap_err();
    assert!(
        matches!(
            error,
            DataError::Table(TableError::UnclosedQuote { line: 2, .. })
        ),
        "{error:?}"
    );
    assert!(read(Format::Csv, b"a,b\n1,\"2\"").is_ok());
}

#[test]
fn other_encodings_are_named_with_line_offset_and_remedy() {
    let error = read(Format::Csv, b"a,b\ncaf\xe9,1\n").unwrap_err();
    assert_eq!(
        message(error),
        "line 2 of `in.csv` is not UTF-8: byte 0xe9 at byte offset 7 (it looks like ISO-8859-1)\n\
         hint: convert it: iconv -f ISO-8859-1 -t UTF-8 in.csv > in.utf8.csv"
    );
    let error = read(Format::Csv, b"a,b\n\x93hi\x94,1\n").unwrap_err();
    assert!(error.to_string().contains("WINDOWS-1252"), "{error}");
    let error = read(Format::Csv, "a,b\nтекст,1\n".as_bytes()).map(|_| ());
    assert!(error.is_ok());
    let koi8 = [
        b"a,b\n".as_slice(),
        &[0xd4, 0xc5, 0xcb, 0xd3, 0xd4],
        b",1\n",
    ]
    .concat();
    let error = read(Format::Csv, &koi8).unwrap_err();
    assert!(
        matches!(
            error,
            DataError::File(FileError::NotUtf8 {
                looks_like: None,
                line: 2,
                byte: 4,
                ..
            })
        ),
        "{error:?}"
    );
}

#[test]
fn utf_16_is_recognised_with_and_without_its_mark() {
    let text = "text,label\nwhat a film,good\n";
    let little: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let big: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
    let found = |bytes: &[u8]| match read(Format::Csv, bytes) {
        Err(DataError::File(FileError::WideEncoding { encoding, .. })) => encoding,
        other => panic!("{other:?}"),
    };
    assert_eq!(found(&little), "UTF-16LE");
    assert_eq!(found(&big), "UTF-16BE");
    assert_eq!(
        found(&[&[0xff, 0xfe], little.as_slice()].concat()),
        "UTF-16LE"
    );
    assert_eq!(found(&[&[0xfe, 0xff], big.as_slice()].concat()), "UTF-16BE");
}

#[test]
fn nul_bytes_and_archives_are_refused() {
    let error = read(Format::Csv, b"text,label\nwhat\0a film,good\n").unwrap_err();
    assert!(
        matches!(
            error,
            DataError::File(FileError::NulByte {
                line: 2,
                byte: 15,
                ..
            })
        ),
        "{error:?}"
    );
    let error = read(Format::Csv, b"PK\x03\x04rest").unwrap_err();
    assert_eq!(
        error.to_string(),
        "`in.csv` is a ZIP archive or an Excel workbook, expected plain text"
    );
}

#[test]
fn files_without_rows_are_refused() {
    for format in [Format::Csv, Format::Tsv, Format::Jsonl] {
        for bytes in ["", "\n\r\n \n", "\u{feff}"] {
            let error = read(format, bytes.as_bytes()).unwrap_err();
            assert_eq!(error.to_string(), "`in.csv` is empty");
        }
    }
    for format in [Format::Csv, Format::Tsv] {
        let error = read(format, b"text,label\n").unwrap_err();
        assert_eq!(error.to_string(), "`in.csv` holds a header and no rows");
    }
}

#[test]
fn two_columns_of_one_name_are_refused() {
    let error = read(Format::Csv, b"text,label,text\n1,2,3\n").unwrap_err();
    assert_eq!(
        error.to_string(),
        "columns 1 and 3 of `in.csv` are both called `text`"
    );
    assert!(read(Format::Csv, b",label,\n1,2,3\n").is_ok());
}

#[test]
fn json_lines_keep_keys_in_order_of_appearance() {
    let lines = "{\"text\": \"a\", \"n\": 1.50}\r\n\n{\"label\": [\"x\", 2], \"text\": null, \"n\": true}\n";
    let table = read(Format::Jsonl, lines.as_bytes()).unwrap();
    assert_eq!(table.columns, ["text", "n", "label"]);
    let text = |text: &str| Cell::Text(text.into());
    assert_eq!(
        table.rows[0],
        Row {
            line: 1,
            cells: vec![text("a"), text("1.5"), Cell::Missing]
        }
    );
    let list = Cell::List(vec!["x".into(), "2".into()]);
    assert_eq!(
        table.rows[1],
        Row {
            line: 3,
            cells: vec![Cell::Missing, text("true"), list]
        }
    );
}

#[test]
fn a_broken_json_line_is_named() {
    let error = read(Format::Jsonl, b"{\"text\": \"a\"}\n{\"text\": }\n").unwrap_err();
    assert_eq!(
        error.to_string(),
        "line 2 of `in.csv` is not JSON: expected value (column 10)"
    );
    let error = read(Format::Jsonl, b"[{\"text\": \"a\"}]\n").unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("line 1 of `in.csv` is an array"),
        "{error}"
    );
}

#[test]
fn formats_are_told_by_extension_or_delimiter() {
    let of = |name: &str| Format::of_path(Path::new(name));
    assert_eq!(of("a.CSV").unwrap(), Format::Csv);
    assert_eq!(of("a.tsv").unwrap(), Format::Tsv);
    assert_eq!(of("a.ndjson").unwrap(), Format::Jsonl);
    let error = of("a.txt").unwrap_err();
    assert!(
        error.hint().unwrap().starts_with("say the format"),
        "{error:?}"
    );
    let options = ReadOptions {
        delimiter: Some(b'\t'),
        ..Default::default()
    };
    let table = read_table_from("a\tb\n\"1\t2\n".as_bytes(), "a.txt", &options).unwrap();
    assert_eq!(rows(&table), [(2, vec!["\"1", "2"])]);
}

#[test]
fn missing_files_and_directories_are_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let read = |path: &Path| read_table(path, &ReadOptions::default()).unwrap_err();
    assert!(matches!(
        read(&dir.path().join("none.csv")),
        DataError::File(FileError::NotFound { .. })
    ));
    assert!(matches!(
        read(dir.path()),
        DataError::File(FileError::Directory { .. })
    ));
    let file = dir.path().join("in.csv");
    fs::write(&file, "a,b\n1,2\n").unwrap();
    assert_eq!(
        read_table(&file, &ReadOptions::default())
            .unwrap()
            .rows
            .len(),
        1
    );
}

#[test]
fn texts_of_no_and_of_a_million_characters_are_read() {
    let long = "word ".repeat(200_000);
    let file = format!("text,label\n\"{long}\",x\n,y\n");
    let table = read(Format::Csv, file.as_bytes()).unwrap();
    assert_eq!(
        rows(&table),
        [(2, vec![long.as_str(), "x"]), (3, vec!["", "y"])]
    );
}

#[test]
fn what_is_written_can_be_read_again() {
    let columns = ["text".to_string(), "label".into(), "score".into()];
    let values = || {
        vec![
            vec![json!("a, \"b\"\nc"), json!("x"), json!(0.1)],
            vec![json!("ä\tö"), json!(null), json!(2)],
        ]
    };
    for format in [Format::Csv, Format::Tsv, Format::Jsonl] {
        let mut bytes = Vec::new();
        write_table(&mut bytes, format, &columns, values()).unwrap();
        let table = read(format, &bytes).unwrap();
        assert_eq!(table.columns, columns);
        let first = match format {
            Format::Tsv => "a, \"b\" c",
            _ => "a, \"b\"\nc",
        };
        let text = |text: &str| Cell::Text(text.into());
        assert_eq!(
            table.rows[0].cells,
            [text(first), text("x"), text("0.1")],
            "{format:?}"
        );
        let empty = if format == Format::Jsonl {
            Cell::Missing
        } else {
            text("")
        };
        assert_eq!(table.rows[1].cells[1..], [empty, text("2")], "{format:?}");
    }
}

proptest::proptest! {
    #[test]
    fn every_csv_text_survives_writing_and_reading(
        texts in proptest::collection::vec("[a-z\",;#'é \n\t\r]{0,12}", 1..20),
    ) {
        let columns = ["text".to_string(), "number".into()];
        let values = texts.iter().enumerate().map(|(n, text)| vec![json!(text), json!(n)]);
        let mut bytes = Vec::new();
        write_table(&mut bytes, Format::Csv, &columns, values).unwrap();
        let table = read(Format::Csv, &bytes).unwrap();
        let mut line = 2;
        for ((found, row), text) in rows(&table).into_iter().zip(&table.rows).zip(&texts) {
            proptest::prop_assert_eq!(found.1[0], text);
            proptest::prop_assert_eq!(row.line, line);
            line += 1 + text.matches('\n').count() as u64;
        }
    }
}
