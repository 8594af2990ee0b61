//! JSON Lines: texts with character spans, or tokens with tags.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::table;
use crate::columns::Column;
use crate::error::{DataError, TableError, TagError, short};
use crate::place::Place;
use crate::sources::format::Format;
use crate::sources::tagged::options::{DOCUMENT, OverlapPolicy, TagPolicy, TaggedOptions};
use crate::tagging::builder::{Documents, Pending, resolve};
use crate::tagging::{Entity, Layout, Repairs, Tag, TaggedCorpus, TaggedSentence};

/// Default keys, tried in order.
const TEXT: [&str; 3] = ["tokens", "words", "text"];
const SPANS: [&str; 4] = ["entities", "spans", "label", "labels"];
const TAGS: [&str; 4] = ["tags", "ner_tags", "labels", "entities"];
const START: [&str; 2] = ["start", "start_offset"];
const END: [&str; 2] = ["end", "end_offset"];
const LABEL: [&str; 4] = ["label", "type", "entity_group", "tag"];

type Object = Map<String, Value>;

/// A line with the context needed for messages.
struct LineRef<'a> {
    name: &'a str,
    line: u64,
}

impl LineRef<'_> {
    fn field(&self, field: &str, expected: &'static str, found: &Value) -> DataError {
        DataError::Tag(TagError::JsonField {
            path: self.name.into(),
            line: self.line,
            field: field.into(),
            expected,
            found: short(&found.to_string()),
        })
    }

    fn missing(&self, part: &'static str, key: &str) -> DataError {
        DataError::Table(TableError::Missing {
            path: self.name.into(),
            place: Place::line(self.line),
            part,
            column: key.into(),
        })
    }
}

/// The value under the selected key, or under the first of the usual keys that exists.
fn find<'a>(
    object: &'a Object,
    chosen: Option<&Column>,
    usual: &[&str],
) -> Option<(String, &'a Value)> {
    let of = |key: &str| {
        let value = object.get(key).filter(|value| !value.is_null())?;
        Some((key.to_string(), value))
    };
    match chosen {
        Some(column) => of(&column.to_string()),
        None => usual.iter().find_map(|key| of(key)),
    }
}

/// The contents of a line.
struct Line {
    sentence: TaggedSentence,
    /// Whether it is a text rather than a list of tokens.
    raw: bool,
    tags: Option<Vec<String>>,
    /// The key under which tags or spans are expected.
    key: String,
}

pub(super) fn parse(
    text: String,
    name: &str,
    options: &TaggedOptions,
) -> Result<TaggedCorpus, DataError> {
    let mut repairs = Repairs::default();
    let mut documents = Documents::default();
    let mut lines = Vec::new();
    for (number, content) in (1..).zip(text.split('\n')) {
        if content.trim().is_empty() {
            continue;
        }
        let object = table::object(content.trim_end().as_bytes(), name, number)?;
        let place = LineRef { name, line: number };
        let mut line = read(&object, &place, options, &mut repairs)?;
        if let Some((key, title)) = find(&object, options.document.as_ref(), &DOCUMENT) {
            let title: Cow<'_, str> = match title {
                Value::String(title) => title.into(),
                Value::Number(number) => number.to_string().into(),
                other => return Err(place.field(&key, "a text or a number", other)),
            };
            line.sentence.document = Some(documents.index(&title));
        }
        lines.push(line);
    }

    // If other lines have tags or spans, a line without them is an error, not a text without entities.
    let has = |line: &&Line| line.tags.is_some() || line.sentence.entities.is_some();
    let known = lines.iter().find(has).map(|line| line.key.clone());
    if let (Some(key), Some(without)) = (known, lines.iter().find(|line| !has(line))) {
        let place = LineRef {
            name,
            line: without.sentence.line,
        };
        return Err(place.missing("tags", &key));
    }

    let raw = lines.iter().map(|line| line.raw).collect();
    let (sentences, tags): (Vec<_>, Vec<_>) = lines
        .into_iter()
        .map(|line| (line.sentence, line.tags))
        .unzip();
    let mut pending = Vec::with_capacity(sentences.len());
    for (sentence, tags) in sentences.into_iter().zip(&tags) {
        let tags = match tags {
            Some(tags) => Some(parse_tags(tags, name, sentence.line)?),
            None => None,
        };
        pending.push(Pending { sentence, tags });
    }
    let (sentences, scheme, bare) = resolve(pending, &options.entity_type, &mut repairs);
    Ok(TaggedCorpus {
        name: name.into(),
        format: Format::Jsonl,
        sentences,
        documents: documents.names,
        scheme,
        bare,
        repairs,
        layout: Layout::Json { text, raw },
    })
}

fn parse_tags<'a>(tags: &'a [String], name: &str, line: u64) -> Result<Vec<Tag<'a>>, DataError> {
    let parse = |tag: &'a String| {
        Tag::parse(tag).ok_or_else(|| {
            DataError::Tag(TagError::UnknownTag {
                path: name.into(),
                line,
                found: tag.clone(),
            })
        })
    };
    tags.iter().map(parse).collect()
}

fn read(
    object: &Object,
    place: &LineRef<'_>,
    options: &TaggedOptions,
    repairs: &mut Repairs,
) -> Result<Line, DataError> {
    let Some((key, content)) = find(object, options.word.as_ref(), &TEXT) else {
        let key = options.word.as_ref().map(Column::to_string);
        return Err(place.missing("text", &key.unwrap_or_else(|| "text".into())));
    };
    let tagged = options.tags != TagPolicy::Ignore;
    let found = |usual: &[&str]| {
        let found = find(object, options.tag.as_ref(), usual).filter(|_| tagged);
        let chosen = options.tag.as_ref().map(Column::to_string);
        let key = found.as_ref().map(|(key, _)| key.clone()).or(chosen);
        (
            key.unwrap_or_else(|| usual[0].into()),
            found.map(|(_, value)| value),
        )
    };
    let mut tags = None;
    let (mut sentence, key) = match content {
        Value::String(text) => {
            let mut sentence = TaggedSentence::from_text(text.as_str());
            let (key, spans) = found(&SPANS);
            if let Some(spans) = spans {
                let spans = read_spans(spans, &key, text, place)?;
                sentence.entities = Some(entities(
                    &sentence,
                    spans,
                    place,
                    options.overlaps,
                    repairs,
                )?);
            }
            (sentence, key)
        }
        Value::Array(tokens) => {
            let words = texts(tokens, &key, place)?;
            let sentence = TaggedSentence::from_words(words.iter().copied());
            let (key, value) = found(&TAGS);
            if let Some(value) = value {
                let Value::Array(values) = value else {
                    return Err(place.field(&key, "a list of tags", value));
                };
                let values = texts(values, &key, place)?;
                if values.len() != words.len() {
                    return Err(DataError::Tag(TagError::TagCount {
                        path: place.name.into(),
                        line: place.line,
                        words: words.len(),
                        tags: values.len(),
                    }));
                }
                tags = Some(values.into_iter().map(str::to_string).collect());
            }
            (sentence, key)
        }
        other => return Err(place.field(&key, "a text or a list of words", other)),
    };
    sentence.line = place.line;
    Ok(Line {
        sentence,
        raw: content.is_string(),
        tags,
        key,
    })
}

/// The strings in a list.
fn texts<'a>(list: &'a [Value], key: &str, place: &LineRef<'_>) -> Result<Vec<&'a str>, DataError> {
    let text = |value: &'a Value| {
        let text = value.as_str();
        text.ok_or_else(|| place.field(key, "a list of texts", value))
    };
    list.iter().map(text).collect()
}

/// A span as in the file.
struct Span {
    /// Character range.
    start: usize,
    end: usize,
    /// Byte range.
    bytes: (usize, usize),
    kind: String,
}

fn read_spans(
    value: &Value,
    key: &str,
    text: &str,
    place: &LineRef<'_>,
) -> Result<Vec<Span>, DataError> {
    let expected = "a list of spans";
    let Value::Array(list) = value else {
        return Err(place.field(key, expected, value));
    };
    // The start of each character, and the end of the text.
    let places: Vec<usize> = text
        .char_indices()
        .map(|(at, _)| at)
        .chain([text.len()])
        .collect();
    let characters = places.len() - 1;
    let read = |value: &Value| {
        let (start, end, kind) = match value {
            Value::Array(parts) if parts.len() == 3 => (parts.first(), parts.get(1), parts.get(2)),
            Value::Object(span) => {
                let of = |keys: &[&str]| keys.iter().find_map(|key| span.get(*key));
                (of(&START), of(&END), of(&LABEL))
            }
            _ => (None, None, None),
        };
        let number = |value: Option<&Value>| value.and_then(Value::as_i64);
        let kind = kind.and_then(Value::as_str).map(str::trim);
        let (Some(start), Some(end), Some(kind)) = (number(start), number(end), kind) else {
            return Err(place.field(key, "spans with a start, an end and a label", value));
        };
        if kind.is_empty() {
            return Err(place.field(key, "spans whose labels are not empty", value));
        }
        let outside = || {
            DataError::Tag(TagError::SpanOutside {
                path: place.name.into(),
                line: place.line,
                start,
                end,
                characters,
            })
        };
        let inside = |at: i64| usize::try_from(at).ok().filter(|&at| at <= characters);
        let (Some(from), Some(to)) = (inside(start), inside(end)) else {
            return Err(outside());
        };
        if from >= to {
            return Err(outside());
        }
        Ok(Span {
            start: from,
            end: to,
            bytes: (places[from], places[to]),
            kind: kind.to_string(),
        })
    };
    list.iter().map(read).collect()
}

/// Converts spans to entities: widens them to whole words and resolves overlaps.
fn entities(
    sentence: &TaggedSentence,
    spans: Vec<Span>,
    place: &LineRef<'_>,
    overlaps: OverlapPolicy,
    repairs: &mut Repairs,
) -> Result<Vec<Entity>, DataError> {
    let words = &sentence.words;
    let mut all: Vec<(Entity, Span)> = Vec::with_capacity(spans.len());
    for span in spans {
        let (from, to) = span.bytes;
        let start = words.partition_point(|word| word.end <= from);
        let end = words.partition_point(|word| word.start < to);
        if start >= end {
            repairs.blank += 1;
            repairs.note(place.line);
            continue;
        }
        if words[start].start < from || words[end - 1].end > to {
            repairs.snapped += 1;
            repairs.note(place.line);
        }
        let kind = span.kind.clone();
        all.push((Entity { start, end, kind }, span));
    }
    // Longest first; sorting is stable, so of equally long spans the first in the file is kept.
    all.sort_by_key(|(entity, span)| {
        (
            std::cmp::Reverse(entity.end - entity.start),
            std::cmp::Reverse(span.end - span.start),
        )
    });
    let mut taken: Vec<Option<usize>> = vec![None; words.len()];
    let mut kept: Vec<usize> = Vec::new();
    for (at, (entity, span)) in all.iter().enumerate() {
        let clash = taken[entity.start..entity.end].iter().find_map(|by| *by);
        match (clash, overlaps) {
            (None, _) => {
                taken[entity.start..entity.end].fill(Some(at));
                kept.push(at);
            }
            (Some(other), OverlapPolicy::Refuse) => {
                let other = &all[other].1;
                let mut both = [(other.start, other.end), (span.start, span.end)];
                both.sort();
                return Err(DataError::Tag(TagError::SpansOverlap {
                    path: place.name.into(),
                    line: place.line,
                    first: both[0],
                    second: both[1],
                }));
            }
            (Some(_), OverlapPolicy::KeepLongest) => {
                repairs.overlapping += 1;
                repairs.note(place.line);
            }
        }
    }
    let mut kept: Vec<Entity> = kept.into_iter().map(|at| all[at].0.clone()).collect();
    kept.sort();
    Ok(kept)
}
