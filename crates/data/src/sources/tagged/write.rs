//! Writes predicted tags into a copy of the input file.

use std::io::{self, BufWriter, Write};

use serde_json::{Map, Value, json};

use crate::error::{DataError, FileError};
use crate::sources::format::Format;
use crate::sources::read::write_table;
use crate::table::Cell;
use crate::tagging::{Entity, Layout, TagSet, TaggedCorpus, TaggedSentence, TextSpan};

/// The key or column of predictions.
const PREDICTED: &str = "predicted";

/// Writes a copy of a file of tagged words with predictions: an additional column in CoNLL columns and CSV, an additional
/// key, `predicted`, in JSON Lines. Everything else is preserved: columns, comments, blank lines, line ends (CSV is
/// written with commas and LF). An existing column or key `predicted` is replaced.
///
/// `tags` holds indices into `set`, one per word, for each sentence of the corpus. In JSON Lines, a text gets entities
/// (start, end, label, text) in character positions, and tokens get tags. If the tags of the file are bare, so is the new
/// column. `scores`, also one per word, or `None`, give each entity of a text a `score`: the mean over its words.
///
/// # Errors
/// [`FileError::Write`] if writing fails.
///
/// # Panics
/// If the number of sentences or tags differs from the corpus.
pub fn write_tagged(
    writer: impl Write,
    corpus: &TaggedCorpus,
    set: &TagSet,
    tags: &[Vec<usize>],
    scores: Option<&[Vec<Option<f64>>]>,
) -> Result<(), DataError> {
    assert_eq!(tags.len(), corpus.sentences.len());
    for (sentence, tags) in corpus.sentences.iter().zip(tags) {
        assert_eq!(tags.len(), sentence.len());
    }
    let written = match &corpus.layout {
        Layout::Lines { text, end, tabs } => {
            let names = names(corpus, set, tags);
            write_lines(writer, text, *end, *tabs, names)
        }
        Layout::Json { text, raw } => {
            let predicted = raw.iter().enumerate().map(|(at, raw)| match raw {
                true => {
                    let scores = scores.map(|scores| scores[at].as_slice());
                    entities(&corpus.sentences[at], set, &tags[at], scores)
                }
                false => tags[at]
                    .iter()
                    .map(|&tag| json!(name(corpus, set, tag)))
                    .collect(),
            });
            write_json(writer, text, predicted)
        }
        Layout::Rows(table) => {
            let mut columns = table.columns.clone();
            let at = columns.iter().position(|column| column == PREDICTED);
            if at.is_none() {
                columns.push(PREDICTED.into());
            }
            let rows = table.rows.iter().zip(names(corpus, set, tags));
            let rows = rows.map(|(row, (_, tag))| {
                let mut values: Vec<Value> = row
                    .cells
                    .iter()
                    .map(|cell| match cell {
                        Cell::Text(text) => json!(text),
                        _ => Value::Null,
                    })
                    .collect();
                match at {
                    Some(at) => values[at] = json!(tag),
                    None => values.push(json!(tag)),
                }
                values
            });
            return write_table(writer, Format::Csv, &columns, rows);
        }
    };
    written.map_err(|source| DataError::File(FileError::Write { source }))
}

/// The name of a tag, without its type if the file has bare tags.
fn name<'a>(corpus: &TaggedCorpus, set: &'a TagSet, tag: usize) -> &'a str {
    let name = set.names()[tag].as_str();
    if corpus.bare { &name[..1] } else { name }
}

/// The line of each word and the name of its tag.
fn names<'a>(
    corpus: &'a TaggedCorpus,
    set: &'a TagSet,
    tags: &'a [Vec<usize>],
) -> impl Iterator<Item = (u64, &'a str)> {
    let sentences = corpus.sentences.iter().zip(tags);
    sentences.flat_map(move |(sentence, tags)| {
        let name = move |(word, &tag)| (sentence.line_of(word), name(corpus, set, tag));
        tags.iter().enumerate().map(name)
    })
}

fn write_lines<'a>(
    writer: impl Write,
    text: &str,
    end: char,
    tabs: bool,
    tags: impl Iterator<Item = (u64, &'a str)>,
) -> io::Result<()> {
    let mut writer = BufWriter::new(writer);
    let mut tags = tags.peekable();
    let separator = if tabs { '\t' } else { ' ' };
    for (number, line) in (1..).zip(text.split_inclusive(end)) {
        let content = line.trim_end_matches(['\r', '\n']);
        match tags.next_if(|(line, _)| *line == number) {
            Some((_, tag)) => {
                let content = content.trim_end_matches([' ', '\t']);
                let rest = &line[line.trim_end_matches(['\r', '\n']).len()..];
                write!(writer, "{content}{separator}{tag}{rest}")?;
            }
            None => writer.write_all(line.as_bytes())?,
        }
    }
    writer.flush()
}

fn write_json(
    writer: impl Write,
    text: &str,
    mut predicted: impl Iterator<Item = Value>,
) -> io::Result<()> {
    let mut writer = BufWriter::new(writer);
    for line in text.split_inclusive('\n') {
        let content = line.trim_end();
        if !content.is_empty() {
            let mut object: Map<String, Value> = serde_json::from_str(content)?;
            object.insert(PREDICTED.into(), predicted.next().unwrap_or_default());
            serde_json::to_writer(&mut writer, &object)?;
        }
        writer.write_all(&line.as_bytes()[content.len()..])?;
    }
    writer.flush()
}

/// The entities marked by tags, as spans of the text.
fn entities(
    sentence: &TaggedSentence,
    set: &TagSet,
    tags: &[usize],
    scores: Option<&[Option<f64>]>,
) -> Value {
    let entities = set.entities(tags);
    let spans = sentence.spans(&entities).into_iter().zip(&entities);
    let value = |(span, entity): (TextSpan, &Entity)| {
        let mut value = json!({
            "start": span.start,
            "end": span.end,
            "label": span.label,
            "text": span.text,
        });
        let known = scores.map(|scores| scores[entity.start..entity.end].iter().flatten());
        if let Some(known) = known {
            let (sum, count) =
                known.fold((0.0, 0u32), |(sum, count), score| (sum + score, count + 1));
            if count > 0 {
                value["score"] = json!(sum / f64::from(count));
            }
        }
        value
    };
    spans.map(value).collect()
}
