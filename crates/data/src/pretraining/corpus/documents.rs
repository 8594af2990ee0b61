//! Splits text files into documents and sentences.

use std::io::{self, BufRead, Read};
use std::path::Path;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::columns::Column;
use crate::error::{CorpusError, DataError, FileError, TableError};
use crate::place::Place;
use crate::sources::encoding::line_breaks;
use crate::sources::jsonl::table as jsonl;
use crate::sources::stream::{Text, data_error};
use crate::table::{Cell, Table};

/// How a file holds documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CorpusFormat {
    /// JSON Lines or CSV by the extension; otherwise inferred from the text: [`Sentences`](Self::Sentences) if there is a
    /// blank line between lines of text in the first megabyte, else [`Lines`](Self::Lines).
    #[default]
    Auto,
    /// One sentence per line, blank lines between documents; the end of a file also ends a document.
    Sentences,
    /// One document per line.
    Lines,
    /// One JSON object per line; one of its fields holds a document.
    Jsonl,
    /// A table with a header; one column holds a document in each row. Comma-separated, or tab-separated without quoting in
    /// files called `.tsv` or `.tab`.
    Csv,
}

impl CorpusFormat {
    /// The name, as parsed by [`FromStr`].
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Sentences => "sentences",
            Self::Lines => "lines",
            Self::Jsonl => "jsonl",
            Self::Csv => "csv",
        }
    }
}

impl FromStr for CorpusFormat {
    type Err = DataError;

    fn from_str(name: &str) -> Result<Self, DataError> {
        [
            Self::Auto,
            Self::Sentences,
            Self::Lines,
            Self::Jsonl,
            Self::Csv,
        ]
        .into_iter()
        .find(|format| format.name() == name.to_ascii_lowercase())
        .ok_or_else(|| DataError::Corpus(CorpusError::UnknownCorpusFormat { found: name.into() }))
    }
}

/// How text files are split into documents and sentences.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CorpusOptions {
    /// How the files hold documents.
    pub format: CorpusFormat,
    /// The field of JSON objects, or the column of tables (by name, or by position from 1), that holds the text.
    pub field: String,
    /// Whether documents of [`Lines`](CorpusFormat::Lines), [`Jsonl`](CorpusFormat::Jsonl) and
    /// [`Csv`](CorpusFormat::Csv) are split at the ends of sentences, not only at line breaks.
    ///
    /// A sentence ends after `.`, `!`, `?` or `…` and any closing quotes and brackets, if white space follows and then a
    /// letter that is not lower case or an opening quote or bracket; and always after `。`, `！` or `？`. A full stop after a
    /// single capital letter (`J. Smith`) ends no sentence. There is no list of abbreviations: `Dr. Who` is two sentences.
    pub split_sentences: bool,
    /// Whether documents with the text of an earlier one are dropped. Takes up to 40 bytes of memory per document while the
    /// files are read; documents of more than 16 MiB are not compared.
    pub drop_duplicates: bool,
}

impl Default for CorpusOptions {
    fn default() -> Self {
        Self {
            format: CorpusFormat::Auto,
            field: "text".into(),
            split_sentences: true,
            drop_duplicates: false,
        }
    }
}

/// Upper bound of a sentence in bytes: a longer one is split at white space, so that tokenizing takes little memory.
const LONGEST_SENTENCE: usize = 64 << 10;

/// Bytes of a line that are processed at a time.
const LINE_PART: usize = 1 << 20;

/// The content of a file, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event<'a> {
    /// A sentence of at most [`LONGEST_SENTENCE`] bytes, not empty and not only white space.
    Sentence(&'a str),
    /// The end of a document, even if it had no sentences.
    DocumentEnd,
}

/// One file, and how to read it.
pub(super) struct Reader<'a> {
    text: Text,
    name: &'a str,
    options: &'a CorpusOptions,
    format: CorpusFormat,
    delimiter: u8,
}

impl<'a> Reader<'a> {
    /// Infers the format if it is not given.
    ///
    /// # Errors
    /// The beginning of the file cannot be read.
    pub(super) fn new(
        mut text: Text,
        path: &Path,
        name: &'a str,
        options: &'a CorpusOptions,
    ) -> Result<Self, DataError> {
        let kind = kind(path);
        let by_name = match kind.as_str() {
            "jsonl" | "ndjson" => Some(CorpusFormat::Jsonl),
            "csv" | "tsv" | "tab" => Some(CorpusFormat::Csv),
            _ => None,
        };
        let format = match (options.format, by_name) {
            (CorpusFormat::Auto, Some(format)) => format,
            (CorpusFormat::Auto, None) => {
                let start = text.fill_buf().map_err(|error| data_error(error, name))?;
                match has_blank_lines_between(start) {
                    true => CorpusFormat::Sentences,
                    false => CorpusFormat::Lines,
                }
            }
            (format, _) => format,
        };
        Ok(Self {
            text,
            name,
            options,
            format,
            delimiter: match kind.as_str() {
                "tsv" | "tab" => b'\t',
                _ => b',',
            },
        })
    }

    /// The format of the file; never `Auto`.
    pub(super) fn format(&self) -> CorpusFormat {
        self.format
    }

    /// Reads the file to its end.
    ///
    /// # Errors
    /// The file is malformed, or `event` returned an error.
    pub(super) fn read(
        mut self,
        event: &mut dyn FnMut(Event<'_>) -> Result<(), DataError>,
    ) -> Result<(), DataError> {
        match self.format {
            CorpusFormat::Jsonl => self.read_jsonl(event),
            CorpusFormat::Csv => self.read_csv(event),
            CorpusFormat::Lines => self.read_lines(event),
            CorpusFormat::Sentences | CorpusFormat::Auto => self.read_sentences(event),
        }
    }

    fn read_sentences(
        &mut self,
        event: &mut dyn FnMut(Event<'_>) -> Result<(), DataError>,
    ) -> Result<(), DataError> {
        let mut document_open = false;
        let mut line_has_text = false;
        self.line_parts(&mut |part, ends| {
            let mut sentences = 0;
            bounded(part, &mut |sentence| {
                sentences += 1;
                event(Event::Sentence(sentence))
            })?;
            line_has_text |= sentences > 0;
            document_open |= line_has_text;
            if ends {
                if !line_has_text && document_open {
                    document_open = false;
                    event(Event::DocumentEnd)?;
                }
                line_has_text = false;
            }
            Ok(())
        })?;
        match document_open {
            true => event(Event::DocumentEnd),
            false => Ok(()),
        }
    }

    fn read_lines(
        &mut self,
        event: &mut dyn FnMut(Event<'_>) -> Result<(), DataError>,
    ) -> Result<(), DataError> {
        let split = self.options.split_sentences;
        let mut line_has_text = false;
        self.line_parts(&mut |part, ends| {
            line_has_text |= !part.trim().is_empty();
            sentences_of_line(part, split, &mut |sentence| {
                event(Event::Sentence(sentence))
            })?;
            if ends && std::mem::take(&mut line_has_text) {
                event(Event::DocumentEnd)?;
            }
            Ok(())
        })
    }

    /// Passes on each line in parts of bounded length, each with a flag for the last part of a line.
    fn line_parts(
        &mut self,
        part: &mut dyn FnMut(&str, bool) -> Result<(), DataError>,
    ) -> Result<(), DataError> {
        let mut line = Vec::new();
        let mut continued = false;
        loop {
            let wanted = (LINE_PART - line.len()) as u64;
            let read = (&mut self.text)
                .take(wanted)
                .read_until(b'\n', &mut line)
                .map_err(|error| data_error(error, self.name))?;
            if line.ends_with(b"\n") || read == 0 {
                if !line.is_empty() || continued {
                    let text = whole_characters(&line);
                    let text = if continued { text } else { text.trim_start() };
                    part(text.trim_end(), true)?;
                }
                line.clear();
                continued = false;
                if read == 0 {
                    return Ok(());
                }
            } else if line.len() == LINE_PART {
                let text = whole_characters(&line);
                let cut = cut_before(text, text.len());
                let head = &text[..cut];
                part(if continued { head } else { head.trim_start() }, false)?;
                line.drain(..cut);
                continued = true;
            }
        }
    }

    fn read_jsonl(
        &mut self,
        event: &mut dyn FnMut(Event<'_>) -> Result<(), DataError>,
    ) -> Result<(), DataError> {
        let mut content = Vec::new();
        let mut first = true;
        for line in 1.. {
            content.clear();
            let read = self
                .text
                .read_until(b'\n', &mut content)
                .map_err(|error| data_error(error, self.name))?;
            if read == 0 {
                break;
            }
            if content.trim_ascii().is_empty() {
                continue;
            }
            let mut object = jsonl::object(content.trim_ascii_end(), self.name, line)?;
            let field = &self.options.field;
            // Only the first object is required to have the field, to detect a wrong name.
            if std::mem::take(&mut first) && !object.contains_key(field) {
                let columns = object.keys().cloned().collect();
                column(columns, &Column::Name(field.clone()), self.name)?;
            }
            let text = match object.swap_remove(field).map(jsonl::cell) {
                None | Some(Cell::Missing) => String::new(),
                Some(Cell::Text(text)) => text,
                Some(_) => {
                    return Err(DataError::Table(TableError::ListForText {
                        path: self.name.into(),
                        place: Place::line(line),
                        column: field.clone(),
                    }));
                }
            };
            document(&text, self.options.split_sentences, event)?;
        }
        Ok(())
    }

    fn read_csv(
        &mut self,
        event: &mut dyn FnMut(Event<'_>) -> Result<(), DataError>,
    ) -> Result<(), DataError> {
        // At the end of the input, the parser treats an open quote as closed. Append a line that must be parsed as the
        // last record: if a quote is open, the line becomes part of the quoted field and the error is detected.
        const PROBE: &str = "\nend";
        let (name, split) = (self.name, self.options.split_sentences);
        let mut reader = ::csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(self.delimiter)
            .quoting(self.delimiter != b'\t')
            .from_reader((&mut self.text).chain(PROBE.as_bytes()));
        let mut header = None;
        let mut record = ::csv::StringRecord::new();
        let mut next = ::csv::StringRecord::new();
        let mut any = false;
        loop {
            let more = reader
                .read_record(&mut next)
                .map_err(|error| match error.into_kind() {
                    ::csv::ErrorKind::Io(error) => data_error(error, name),
                    other => DataError::File(FileError::Read {
                        path: name.into(),
                        source: io::Error::other(format!("{other:?}")),
                    }),
                })?;
            if !more {
                break;
            }
            std::mem::swap(&mut record, &mut next);
            // The previous record is now in `next`, and it is not the last.
            if std::mem::replace(&mut any, true) {
                match header {
                    None => header = Some((text_column(&next, name, self.options)?, next.len())),
                    Some((column, expected)) => {
                        check_fields(&next, expected, name)?;
                        let text = next.get(column).unwrap_or_default();
                        document(text, split, event)?;
                    }
                }
            }
        }
        match record.iter().eq([PROBE.trim()]) {
            true => Ok(()),
            false => Err(DataError::Table(TableError::UnclosedQuote {
                path: name.into(),
                line: line_of(&record),
            })),
        }
    }
}

fn line_of(record: &::csv::StringRecord) -> u64 {
    record.position().map_or(1, ::csv::Position::line)
}

fn check_fields(
    record: &::csv::StringRecord,
    expected: usize,
    name: &str,
) -> Result<(), DataError> {
    if record.len() == expected {
        return Ok(());
    }
    let within: u64 = record
        .iter()
        .map(|field| line_breaks(field.as_bytes()))
        .sum();
    Err(DataError::Table(TableError::FieldCount {
        path: name.into(),
        line: line_of(record),
        last_line: line_of(record) + within,
        expected,
        found: record.len(),
    }))
}

/// Index of the column with the text, given the header.
fn text_column(
    header: &::csv::StringRecord,
    name: &str,
    options: &CorpusOptions,
) -> Result<usize, DataError> {
    let columns: Vec<String> = header.iter().map(|name| name.trim().to_owned()).collect();
    let at = column(columns.clone(), &options.field.as_str().into(), name)?;
    match columns.iter().rposition(|other| *other == columns[at]) {
        Some(second) if second != at => Err(DataError::Table(TableError::DuplicateColumn {
            path: name.into(),
            name: columns[at].clone(),
            first: at + 1,
            second: second + 1,
        })),
        _ => Ok(at),
    }
}

/// Index of a selected column among these columns.
fn column(columns: Vec<String>, column: &Column, name: &str) -> Result<usize, DataError> {
    let table = Table {
        name: name.into(),
        columns,
        ..Table::default()
    };
    table.column(column)
}

/// The lower-case extension that identifies a file's content: the one before `.gz` or `.zst`, if it is compressed.
pub(super) fn kind(path: &Path) -> String {
    let extension = |path: &Path| {
        let extension = path.extension().unwrap_or_default().to_string_lossy();
        extension.to_ascii_lowercase()
    };
    match extension(path).as_str() {
        "gz" | "zst" => path
            .file_stem()
            .map_or_else(String::new, |stem| extension(Path::new(stem))),
        other => other.to_owned(),
    }
}

/// Whether there is a blank line between lines of text.
fn has_blank_lines_between(start: &[u8]) -> bool {
    let mut lines = start
        .split(|&byte| byte == b'\n')
        .map(|line| !line.trim_ascii().is_empty())
        .skip_while(|has_text| !has_text)
        .skip_while(|has_text| *has_text);
    lines.any(|has_text| has_text)
}

/// The text up to the first incomplete character.
fn whole_characters(bytes: &[u8]) -> &str {
    match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default(),
    }
}

/// Passes on the sentences of a whole document, and its end.
fn document(
    text: &str,
    split: bool,
    event: &mut dyn FnMut(Event<'_>) -> Result<(), DataError>,
) -> Result<(), DataError> {
    for line in text.split(['\n', '\r']) {
        sentences_of_line(line.trim(), split, &mut |sentence| {
            event(Event::Sentence(sentence))
        })?;
    }
    event(Event::DocumentEnd)
}

/// Passes on the sentences of a line.
///
/// White space between two sentences belongs to the second one, so that a byte-level tokenizer sees that it is not the
/// beginning of a text.
fn sentences_of_line(
    line: &str,
    split: bool,
    sentence: &mut dyn FnMut(&str) -> Result<(), DataError>,
) -> Result<(), DataError> {
    let mut rest = line;
    while split && let Some(end) = sentence_end(rest) {
        bounded(&rest[..end], sentence)?;
        rest = &rest[end..];
    }
    bounded(rest, sentence)
}

/// The end of the first sentence, if another one follows: see [`CorpusOptions::split_sentences`].
fn sentence_end(text: &str) -> Option<usize> {
    let mut from = 0;
    loop {
        let mark = from + text[from..].find(['.', '!', '?', '…', '。', '！', '？'])?;
        let wide = text[mark..].starts_with(['。', '！', '？']);
        let rest = text[mark..]
            .trim_start_matches(['.', '!', '?', '…', '。', '！', '？'])
            .trim_start_matches([
                '"', '\'', ')', ']', '}', '»', '”', '’', '」', '』', '）', '】', '》',
            ]);
        let end = text.len() - rest.len();
        let next = rest.trim_start();
        let follows = match next.chars().next() {
            None => return None,
            Some(_) if wide => true,
            Some(_) if next.len() == rest.len() => false,
            Some(first) => {
                (first.is_alphabetic() && !first.is_lowercase())
                    || "\"'([{«“‘„‚「『（【《¿¡".contains(first)
            }
        };
        if follows && !is_initial(&text[..mark], &text[mark..end]) {
            return Some(end);
        }
        from = end;
    }
}

/// Whether a mark is the full stop after a single capital letter.
fn is_initial(before: &str, mark: &str) -> bool {
    let mut letters = before.chars().rev();
    mark == "."
        && letters.next().is_some_and(char::is_uppercase)
        && letters
            .next()
            .is_none_or(|letter| !letter.is_alphanumeric())
}

/// Passes on a sentence, split if it is too long; nothing if it is only white space.
fn bounded(
    sentence: &str,
    give: &mut dyn FnMut(&str) -> Result<(), DataError>,
) -> Result<(), DataError> {
    let mut rest = sentence.trim_end();
    while rest.len() > LONGEST_SENTENCE {
        let (head, tail) = rest.split_at(cut_before(rest, LONGEST_SENTENCE));
        if !head.trim().is_empty() {
            give(head)?;
        }
        rest = tail;
    }
    match rest.trim().is_empty() {
        true => Ok(()),
        false => give(rest),
    }
}

/// Where to split a text so that the first part has at most `limit` bytes: before white space, or else between characters.
fn cut_before(text: &str, limit: usize) -> usize {
    let limit = text.floor_char_boundary(limit);
    match text[..limit].rfind(char::is_whitespace) {
        Some(at) if at > 0 => at,
        _ => limit,
    }
}
