//! FASTA: named sequences of nucleotides or amino acids.

pub(super) mod file;

use std::collections::HashSet;
use std::io::BufRead;
use std::path::Path;

pub use self::file::{FastaFile, is_fasta};
use super::spec::FormatSpec;
use super::stream;
use crate::error::{DataError, FastaError, FileError, LabelError, list};
use crate::table::{Cell, Row, Table};

/// Recognised by the extension, optionally followed by that of gzip or Zstandard.
pub(super) const SPEC: FormatSpec = FormatSpec {
    name: "fasta",
    extensions: file::EXTENSIONS,
    selectable: false,
    sequences: Some(read_fasta),
    ..FormatSpec::EMPTY
};

/// Reads FASTA files as a table with the columns `text`, `label`, `id` and `description`. There is no `label` column for
/// a single file without a label.
///
/// `text` is the sequence in upper case, without line breaks and white space; `id` is its header up to the first white
/// space, and `description` the whole header without `>`. A record without a sequence has an empty text. The line of a
/// row is that of its header in its file. Lines that begin with `;` are comments.
///
/// # Errors
/// A file cannot be read, is empty, does not begin with a header, or contains a character other than letters, `*`, `-`
/// and `.` in a sequence; two files without labels whose names give the same class.
pub fn read_fasta(files: &[FastaFile]) -> Result<Table, DataError> {
    let names: Vec<String> = files
        .iter()
        .map(|file| file.path.display().to_string())
        .collect();
    let labelled = files.len() > 1 || files.iter().any(|file| file.label.is_some());
    let mut implied = HashSet::new();
    let mut columns = vec!["text", "label", "id", "description"];
    columns.retain(|&column| labelled || column != "label");
    let mut rows = Vec::new();
    for (file, name) in files.iter().zip(&names) {
        let label = labelled.then(|| match &file.label {
            Some(label) => label.clone(),
            None => stem(&file.path),
        });
        if let (Some(label), None) = (&label, &file.label)
            && !implied.insert(label.clone())
        {
            return Err(DataError::Label(LabelError::DuplicateClass {
                name: label.clone(),
            }));
        }
        let (text, _) = stream::open(&file.path)?;
        for record in records(text, name)? {
            let cells = [
                Some(record.sequence),
                label.clone(),
                Some(record.header.split_whitespace().next().unwrap_or("").into()),
                Some(record.header),
            ];
            rows.push(Row {
                line: record.line,
                cells: cells.into_iter().flatten().map(Cell::Text).collect(),
            });
        }
    }
    Ok(Table {
        name: match names.as_slice() {
            [name] => name.clone(),
            names => list(names, 3).replace('`', ""),
        },
        columns: columns.into_iter().map(str::to_string).collect(),
        rows,
        ..Table::default()
    })
}

/// The file name up to the first dot.
fn stem(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.split('.').next().unwrap_or_default().to_string()
}

struct Record {
    line: u64,
    header: String,
    sequence: String,
}

fn records(reader: impl BufRead, name: &str) -> Result<Vec<Record>, DataError> {
    let mut records: Vec<Record> = Vec::new();
    for (number, line) in (1..).zip(reader.lines()) {
        let line = line.map_err(|error| stream::data_error(error, name))?;
        let line = line.trim();
        if line.is_empty() || line.starts_with(';') {
            continue;
        }
        if let Some(header) = line.strip_prefix('>') {
            records.push(Record {
                line: number,
                header: header.trim().into(),
                sequence: String::new(),
            });
            continue;
        }
        let Some(record) = records.last_mut() else {
            return Err(DataError::Fasta(FastaError::NoFastaHeader {
                path: name.into(),
                line: number,
            }));
        };
        for letter in line.chars().filter(|letter| !letter.is_whitespace()) {
            if !letter.is_ascii_alphabetic() && !matches!(letter, '*' | '-' | '.') {
                return Err(DataError::Fasta(FastaError::SequenceLetter {
                    path: name.into(),
                    line: number,
                    found: letter,
                }));
            }
            record.sequence.push(letter.to_ascii_uppercase());
        }
    }
    match records.is_empty() {
        true => Err(DataError::File(FileError::Empty { path: name.into() })),
        false => Ok(records),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::fs;
    use std::io::Write;

    use super::*;
    use crate::examples::{Examples, MissingPolicy, Selection};

    fn file(text: &str) -> FastaFile {
        text.parse().unwrap()
    }

    #[test]
    fn records_of_many_lines_are_joined_in_upper_case() {
        let text = ">a first one\nACGT\nacgn\n\n; a comment\n>b\n>c\r\nUU*-\r\n";
        let read = records(text.as_bytes(), "x.fa").unwrap();
        let all: Vec<_> = read
            .iter()
            .map(|record| (record.line, &*record.header, &*record.sequence))
            .collect();
        assert_eq!(
            all,
            [
                (1, "a first one", "ACGTACGN"),
                (6, "b", ""),
                (7, "c", "UU*-")
            ]
        );
    }

    #[test]
    fn what_is_no_fasta_is_refused_with_its_line() {
        let message = |text: &str| records(text.as_bytes(), "x.fa").err().unwrap().to_string();
        assert_eq!(
            message("\nACGT\n"),
            "line 2 of `x.fa` is no header, expected `>` and a name before the first sequence"
        );
        assert_eq!(
            message(">a\nAC7T\n"),
            "line 2 of `x.fa` holds `7`, expected letters of nucleotides or amino acids"
        );
        assert_eq!(message("\n"), "`x.fa` is empty");
    }

    #[test]
    fn files_are_classes_packed_or_not_and_empty_records_have_a_line() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::write(at("lnc.x.fa"), ">a\nAC\n>b\n").unwrap();
        let packed = fs::File::create(at("mrna.fa.gz")).unwrap();
        let mut packed = flate2::write::GzEncoder::new(packed, flate2::Compression::fast());
        packed.write_all(b">c d\nGG\nTT\n").unwrap();
        packed.finish().unwrap();
        let files = [at("lnc.x.fa"), at("mrna.fa.gz")].map(|path| FastaFile { path, label: None });

        let table = read_fasta(&files).unwrap();
        assert_eq!(table.columns, ["text", "label", "id", "description"]);
        let cells = |texts: &[&str]| -> Vec<Cell> {
            texts
                .iter()
                .map(|text| Cell::Text(text.to_string()))
                .collect()
        };
        assert_eq!(table.rows[2].cells, cells(&["GGTT", "mrna", "c", "c d"]));
        let selection = Selection::new("text", "label");
        let examples = Examples::labelled(&table, &selection, MissingPolicy::Drop).unwrap();
        assert_eq!(examples.labels(), ["lnc", "mrna"]);
        assert_eq!(
            examples.dropped_summary().unwrap(),
            "dropped 1 row: no text on line 3"
        );

        let alone = read_fasta(&files[1..]).unwrap();
        assert_eq!(alone.columns, ["text", "id", "description"]);
        let twice = [files[0].clone(), files[0].clone()];
        assert!(matches!(
            read_fasta(&twice),
            Err(DataError::Label(LabelError::DuplicateClass { .. }))
        ));
    }

    #[test]
    fn names_of_files_may_carry_a_label() {
        assert_eq!(file("lnc=a/b.fa.gz").label.as_deref(), Some("lnc"));
        assert_eq!(file("lnc=a/b.fa.gz").path, Path::new("a/b.fa.gz"));
        assert_eq!(file("a/b.FASTA").label, None);
        assert!(is_fasta(Path::new("a/b.FASTA")) && !is_fasta(Path::new("b.gz")));
    }

    #[test]
    fn real_files_hold_as_many_sequences_as_their_authors_say() {
        let Some(dir) = std::env::var_os("BERTKIT_DATA_DIR") else {
            #[allow(clippy::print_stderr)]
            {
                eprintln!("skipped: BERTKIT_DATA_DIR is not set");
            }
            return;
        };
        let dir = Path::new(&dir).join("fasta/deeplnc_cnn");
        for (files, each) in [
            (["Human_LncRNAs.fa", "Human_PCTs.fa"], 500),
            (["test_Mouse_positive.fa", "test_Mouse_negative.fa"], 2430),
        ] {
            let files = files.map(|name| FastaFile {
                path: dir.join(name),
                label: None,
            });
            let table = read_fasta(&files).unwrap();
            assert_eq!(table.rows.len(), 2 * each);
            let label = |row: &Row| row.cells[1].clone();
            let first = table
                .rows
                .iter()
                .filter(|row| label(row) == label(&table.rows[0]));
            assert_eq!(first.count(), each);
        }
    }
}
