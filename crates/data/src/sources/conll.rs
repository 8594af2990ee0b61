//! CoNLL files: one word per line, in columns.

use super::format::Format;
use super::spec::{FormatSpec, TaggedFormat};
use super::tagged::options::{TagLevel, TagPolicy, TaggedOptions};
use crate::columns::Column;
use crate::error::{DataError, FileError, TableError, TagError};
use crate::place::Place;
use crate::tagging::builder::{Builder, Documents, resolve};
use crate::tagging::{Layout, Repairs, Tag, TaggedCorpus};

pub(super) const SPEC: FormatSpec = FormatSpec {
    name: "conll",
    aliases: &["iob2"],
    tagged: Some(TaggedFormat {
        read: parse,
        by_extension: false,
        sniff: None,
    }),
    ..FormatSpec::EMPTY
};

/// The cells of a line.
fn cells(line: &str, tabs: bool) -> Vec<&str> {
    if !tabs {
        return line.split_ascii_whitespace().collect();
    }
    let mut cells: Vec<&str> = line
        .split('\t')
        .map(|cell| cell.trim_matches(' '))
        .collect();
    while cells.len() > 1 && cells.last().is_some_and(|cell| cell.is_empty()) {
        cells.pop();
    }
    cells
}

/// The kind of a line, before the columns are known.
enum Line<'a> {
    Blank,
    /// `-DOCSTART-`, or a comment that begins a document, with its name, if any.
    Document(Option<&'a str>),
    /// A line that begins with `#`.
    Hash,
    Word,
}

fn kind(line: &str) -> Line<'_> {
    if line.trim().is_empty() {
        return Line::Blank;
    }
    if line.starts_with("-DOCSTART-") {
        return Line::Document(None);
    }
    let Some(comment) = line.strip_prefix('#') else {
        return Line::Word;
    };
    match comment.trim_start().strip_prefix("newdoc") {
        // `# newdoc` and `# newdoc id = NAME`
        Some(rest) if comment.starts_with(' ') && (rest.is_empty() || rest.starts_with(' ')) => {
            let name = rest.trim().strip_prefix("id").map(str::trim_start);
            let name = name.and_then(|name| name.strip_prefix('=')).map(str::trim);
            Line::Document(name.filter(|name| !name.is_empty()))
        }
        _ => Line::Hash,
    }
}

/// The line terminator of the text.
fn line_end(text: &str) -> char {
    match text.contains('\n') || !text.contains('\r') {
        true => '\n',
        false => '\r',
    }
}

/// Whether the first column numbers the words of each sentence from 1 (or 0), as in `4`, `4-5` and `4.1`.
fn is_numbered(lines: &[&str], tabs: bool) -> bool {
    let mut expects_first = true;
    let mut goes_on = false;
    for line in lines {
        match kind(line) {
            Line::Blank => expects_first = true,
            Line::Word => {
                let cells = cells(line, tabs);
                let digits =
                    |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
                let first = cells.first().copied().unwrap_or_default();
                let number = first.split(['-', '.']).next().unwrap_or_default();
                let counts = cells.len() > 1
                    && first.split(['-', '.']).all(digits)
                    && (!expects_first || matches!(number, "0" | "1"));
                if !counts {
                    return false;
                }
                goes_on |= !expects_first;
                expects_first = false;
            }
            Line::Document(_) | Line::Hash => {}
        }
    }
    goes_on
}

/// The columns of words and tags.
struct Shape {
    tabs: bool,
    columns: usize,
    numbered: bool,
    word: usize,
    tag: Option<usize>,
}

impl Shape {
    fn new(lines: &[&str], name: &str, options: &TaggedOptions) -> Result<Self, DataError> {
        let words = || lines.iter().filter(|line| matches!(kind(line), Line::Word));
        let hashes = || lines.iter().filter(|line| matches!(kind(line), Line::Hash));
        // If all words begin with `#`, use the first of these lines as the example.
        let Some(example) = words().next().or_else(|| hashes().next()) else {
            return Err(DataError::File(FileError::Empty { path: name.into() }));
        };
        let tabs = example.trim_end().contains('\t');
        let columns = cells(example, tabs).len();
        let numbered = is_numbered(lines, tabs);
        let index = |column: &Column| match column {
            Column::Number(number) if (1..=columns).contains(number) => Ok(number - 1),
            other => Err(DataError::Table(TableError::UnknownColumn {
                path: name.into(),
                column: other.to_string(),
                columns: (1..=columns).map(|number| number.to_string()).collect(),
                nearest: None,
                other_delimiter: None,
            })),
        };
        let word = match &options.word {
            Some(column) => index(column)?,
            None => usize::from(numbered),
        };
        let tag = match (&options.tag, options.tags) {
            (_, TagPolicy::Ignore) => None,
            (Some(column), _) => Some(index(column)?),
            (None, policy) => {
                let level = match options.level {
                    TagLevel::Outer => 2,
                    TagLevel::Inner => 3,
                };
                // The share of words with a tag in this column, in thousandths.
                let share = |column: usize| {
                    let (mut all, mut tags) = (0, 0);
                    for line in words() {
                        all += 1;
                        let cells = cells(line, tabs);
                        tags += usize::from(
                            cells
                                .get(column)
                                .is_some_and(|cell| Tag::parse(cell).is_some()),
                        );
                    }
                    1000 * tags / all.max(1)
                };
                let last = columns - 1;
                let candidates = [numbered.then_some(level), Some(last)];
                let mut candidates = candidates
                    .into_iter()
                    .flatten()
                    .filter(|&column| column < columns && column > word);
                let first = candidates.clone().next();
                match candidates.find(|&column| share(column) >= 500) {
                    Some(column) => Some(column),
                    // A column with only a few tags is still taken to be a tag column with errors.
                    None => first.filter(|&column| {
                        policy == TagPolicy::Required
                            || share(column) > 0
                            || words().next().is_none()
                    }),
                }
            }
        };
        Ok(Self {
            tabs,
            columns,
            numbered,
            word,
            tag,
        })
    }

    /// Whether a line that begins with `#` is a word rather than a comment.
    fn is_word(&self, cells: &[&str]) -> bool {
        cells.len() == self.columns
            && !self.numbered
            && self.tag.is_none_or(|tag| Tag::parse(cells[tag]).is_some())
    }
}

pub(super) fn parse(
    text: String,
    name: &str,
    options: &TaggedOptions,
) -> Result<TaggedCorpus, DataError> {
    let end = line_end(&text);
    let lines: Vec<&str> = text
        .split(end)
        .map(|line| line.strip_suffix('\r').unwrap_or(line))
        .collect();
    let shape = Shape::new(&lines, name, options)?;

    let mut documents = Documents::default();
    let mut current = None;
    let tagged = shape.tag.is_some();
    let mut builder = Builder::default();
    for (number, line) in (1..).zip(&lines) {
        match kind(line) {
            Line::Blank => {
                builder.close(current, tagged);
                continue;
            }
            Line::Document(title) => {
                builder.close(current, tagged);
                let number = (documents.names.len() + 1).to_string();
                current = Some(documents.index(title.unwrap_or(&number)));
                continue;
            }
            Line::Hash => {
                let cells = cells(line, shape.tabs);
                let header = builder.words.is_empty();
                let comment = header || line[1..].is_empty() || line[1..].starts_with([' ', '\t']);
                if !shape.is_word(&cells) && comment {
                    continue;
                }
            }
            Line::Word => {}
        }
        let cells = cells(line, shape.tabs);
        if cells.len() != shape.columns {
            return Err(DataError::Tag(TagError::ColumnCount {
                path: name.into(),
                line: number,
                expected: shape.columns,
                found: cells.len(),
            }));
        }
        if cells[shape.word].is_empty() {
            return Err(DataError::Table(TableError::Missing {
                path: name.into(),
                place: Place::line(number),
                part: "word",
                column: (shape.word + 1).to_string(),
            }));
        }
        let tag = match shape.tag {
            Some(column) => Some(Tag::parse(cells[column]).ok_or_else(|| {
                DataError::Tag(TagError::UnknownTag {
                    path: name.into(),
                    line: number,
                    found: cells[column].into(),
                })
            })?),
            None => None,
        };
        builder.push(number, cells[shape.word], tag);
    }
    builder.close(current, tagged);

    let mut repairs = Repairs::default();
    let (sentences, scheme, bare) = resolve(builder.done, &options.entity_type, &mut repairs);
    let tabs = shape.tabs;
    Ok(TaggedCorpus {
        name: name.into(),
        format: Format::Conll,
        sentences,
        documents: documents.names,
        scheme,
        bare,
        repairs,
        layout: Layout::Lines { text, end, tabs },
    })
}
