//! Documents longer than the maximum length, split into chunks that the model processes separately.
//!
//! A document is a row, or all rows of a group, such as the notes of a patient. [`documents`] collects them; [`Chunks`]
//! holds their chunks.
//!
//! ```
//! use bertkit_data::documents::{Chunks, Chunking, documents};
//! use bertkit_data::examples::{Examples, MissingPolicy, Selection};
//! use bertkit_data::sources::{ReadOptions, read_table_from};
//! use bertkit_data::windows::Stride;
//! use bertkit_data::tokenizer::{TrainOptions, train_tokenizer};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let file = "patient,text,label\np,a b c d,1\nq,e,0\np,a,1\n";
//! let table = read_table_from(file.as_bytes(), "notes.csv", &ReadOptions::default())?;
//! let selection = Selection { group: Some("patient".into()), ..Selection::new("text", "label") };
//! let examples = Examples::labelled(&table, &selection, MissingPolicy::Refuse)?;
//! let tokenizer = train_tokenizer(["a b c d e"].into_iter(), &TrainOptions::default())?;
//!
//! let documents = documents(&examples, true)?;
//! assert_eq!(documents[0].rows, [0, 2]);
//! let chunking = Chunking::Windows(Stride::Overlap(0));
//! let texts: Vec<Vec<&str>> = documents
//!     .iter()
//!     .map(|document| document.rows.iter().map(|&row| examples.rows[row].text.as_str()).collect())
//!     .collect();
//! let name = |at: usize| documents[at].key.clone();
//! let chunks = Chunks::new(&texts, name, &tokenizer, chunking, 5)?;
//! assert_eq!(chunks.of(0), 0..3); // three tokens a window: "a b c", "d" and, from the other row, "a"
//! # Ok(())
//! # }
//! ```

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::error::{DataError, LabelError, list};
use crate::examples::{Examples, RawExample};
use crate::tokenizer::{Encoding, Reader, Template, TextTokenizer, TokenizerError};
use crate::windows::Stride;

/// How a document is split into chunks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Chunking {
    /// Windows of the maximum length over each row's tokens.
    Windows(Stride),
    /// Lines that are not blank; a line longer than the maximum length is split into windows (AD-BERT splits notes at line
    /// breaks).
    Lines(Stride),
}

/// Rows that form one document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// What the rows have in common: the group, or the line number of a row that is its own document.
    pub key: String,
    /// Row indices into the examples, ascending; all rows have the same label.
    pub rows: Vec<usize>,
}

/// The documents of examples, in order of their first rows: every row, or, if `grouped`, all rows of a group.
///
/// Only the first text of each row is used. Each row without a group is its own document.
///
/// # Errors
/// [`LabelError::MixedLabels`] if the rows of a group have different labels. Equal numbers, and the labels of a
/// multi-label task in a different order, are considered the same.
pub fn documents(examples: &Examples, grouped: bool) -> Result<Vec<Document>, DataError> {
    let mut documents: Vec<Document> = Vec::new();
    let mut known: HashMap<&str, usize> = HashMap::new();
    for (at, row) in examples.rows.iter().enumerate() {
        let group = row.group.as_deref().filter(|_| grouped);
        if let Some(&document) = group.and_then(|group| known.get(group)) {
            let document: &mut Document = &mut documents[document];
            let first = &examples.rows[document.rows[0]];
            if !same_label(first, row, examples.label_separator.as_deref()) {
                let label = |row: &RawExample| row.label.clone().unwrap_or_default();
                return Err(DataError::Label(LabelError::MixedLabels {
                    path: examples.name.clone(),
                    group: document.key.clone(),
                    unit: examples.unit,
                    first_line: first.line,
                    first: label(first),
                    line: row.line,
                    found: label(row),
                }));
            }
            document.rows.push(at);
            continue;
        }
        if let Some(group) = group {
            known.insert(group, documents.len());
        }
        documents.push(Document {
            key: group.map_or_else(|| row.line.to_string(), str::to_string),
            rows: vec![at],
        });
    }
    Ok(documents)
}

fn same_label(a: &RawExample, b: &RawExample, separator: Option<&str>) -> bool {
    let (Some(a), Some(b)) = (&a.label, &b.label) else {
        return a.label == b.label;
    };
    let number = |text: &str| text.parse::<f64>().ok();
    match separator.filter(|separator| !separator.is_empty()) {
        _ if a == b => true,
        Some(separator) => {
            let set = |text: &str| -> BTreeSet<String> {
                let labels = text.split(separator).map(|label| label.trim().to_string());
                labels.filter(|label| !label.is_empty()).collect()
            };
            set(a) == set(b)
        }
        None => number(a).is_some() && number(a) == number(b),
    }
}

/// The chunks of many documents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunks {
    /// The chunks of all documents, document by document.
    pub encodings: Vec<Encoding>,
    ranges: Vec<Range<usize>>,
    empty: Vec<String>,
}

impl Chunks {
    /// Splits documents, each a list of texts, into chunks of at most `max_length` tokens, special tokens included, on
    /// all cores. `name` returns the name of a document for messages.
    ///
    /// Every document has at least one chunk; a document without tokens has one chunk of special tokens only: see
    /// [`Chunks::empty_summary`].
    ///
    /// # Errors
    /// [`TokenizerError::MaxLength`] if only special tokens fit; [`TokenizerError::Overlap`] if the overlap of windows is
    /// not smaller than their size; [`TokenizerError::Encode`].
    pub fn new<T: AsRef<str> + Sync>(
        documents: &[Vec<T>],
        name: impl Fn(usize) -> String,
        tokenizer: &TextTokenizer,
        chunking: Chunking,
        max_length: usize,
    ) -> Result<Self, TokenizerError> {
        let template = tokenizer.template(false)?;
        let special = template.len();
        let room = room(max_length, special)?;
        let per_document = documents
            .par_iter()
            .map_init(
                || Reader::new(tokenizer),
                |reader, texts| {
                    let mut found = Vec::new();
                    for text in texts {
                        found.extend(divide(text.as_ref(), reader, &template, chunking, room)?);
                    }
                    if found.is_empty() {
                        found.push(template.encoding(&[], &[]));
                    }
                    // Texts without tokens add nothing to a document that has some.
                    if found.iter().any(|chunk| chunk.len() > special) {
                        found.retain(|chunk| chunk.len() > special);
                    } else {
                        found.truncate(1);
                    }
                    Ok(found)
                },
            )
            .collect::<Result<Vec<_>, TokenizerError>>()?;
        let mut chunks = Self {
            encodings: Vec::with_capacity(per_document.iter().map(Vec::len).sum()),
            ranges: Vec::with_capacity(documents.len()),
            empty: Vec::new(),
        };
        for (at, found) in per_document.into_iter().enumerate() {
            if found.iter().all(|chunk| chunk.len() <= special) {
                chunks.empty.push(name(at));
            }
            let first = chunks.encodings.len();
            chunks.encodings.extend(found);
            chunks.ranges.push(first..chunks.encodings.len());
        }
        Ok(chunks)
    }

    /// Number of documents.
    pub fn len(&self) -> usize {
        self.ranges.len()
    }

    /// Whether there are no documents.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// The chunks of a document, as indices into [`Chunks::encodings`].
    pub fn of(&self, document: usize) -> Range<usize> {
        self.ranges[document].clone()
    }

    /// Number of tokens of each document, over all its chunks.
    pub fn lengths(&self) -> Vec<usize> {
        let length = |range: &Range<usize>| {
            let chunks = &self.encodings[range.clone()];
            chunks.iter().map(Encoding::len).sum()
        };
        self.ranges.iter().map(length).collect()
    }

    /// A one-line summary of documents without tokens: ``2 documents hold no token: `a`, `b` ``.
    pub fn empty_summary(&self) -> Option<String> {
        let (count, names) = (self.empty.len(), list(&self.empty, 5));
        match count {
            0 => None,
            1 => Some(format!("1 document holds no token: {names}")),
            _ => Some(format!("{count} documents hold no token: {names}")),
        }
    }
}

/// The chunks of a text, each of at most `max_length` tokens, special tokens included; at least one.
#[cfg(test)]
fn chunks_of(
    text: &str,
    tokenizer: &TextTokenizer,
    policy: Chunking,
    max_length: usize,
) -> Result<Vec<Encoding>, TokenizerError> {
    let template = tokenizer.template(false)?;
    let room = room(max_length, template.len())?;
    divide(text, &mut Reader::new(tokenizer), &template, policy, room)
}

/// Number of tokens that fit in a chunk besides the special tokens.
fn room(max_length: usize, special: usize) -> Result<usize, TokenizerError> {
    max_length
        .checked_sub(special)
        .filter(|&room| room > 0)
        .ok_or(TokenizerError::MaxLength {
            max_length,
            special,
        })
}

/// The chunks of a text; at least one.
fn divide(
    text: &str,
    reader: &mut Reader<'_>,
    template: &Template,
    policy: Chunking,
    room: usize,
) -> Result<Vec<Encoding>, TokenizerError> {
    let (parts, stride): (Vec<&str>, Stride) = match policy {
        Chunking::Windows(stride) => (vec![text], stride),
        Chunking::Lines(stride) => {
            let lines = text.split(['\n', '\r']);
            (
                lines.filter(|line| !line.trim().is_empty()).collect(),
                stride,
            )
        }
    };
    let mut chunks = Vec::new();
    for part in parts {
        let ids = reader.ids(part)?;
        for window in stride.windows(ids.len(), room)? {
            chunks.push(template.encoding(&ids[window], &[]));
        }
    }
    if chunks.is_empty() {
        chunks.push(template.encoding(&[], &[]));
    }
    Ok(chunks)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::examples::{MissingPolicy, Selection};
    use crate::sources::{ReadOptions, read_table_from};
    use crate::tokenizer::{TokenizerFamily, TokenizerSpec, TrainOptions, train_tokenizer};

    fn examples(text: &str) -> Examples {
        let table = read_table_from(text.as_bytes(), "n.csv", &ReadOptions::default()).unwrap();
        let selection = Selection {
            group: Some("patient".into()),
            ..Selection::new("text", "label")
        };
        Examples::labelled(&table, &selection, MissingPolicy::Drop).unwrap()
    }

    fn tokenizer() -> TextTokenizer {
        train_tokenizer(["a b c d e"].into_iter(), &TrainOptions::default()).unwrap()
    }

    fn letters(tokenizer: &TextTokenizer, sections: &[Encoding]) -> Vec<String> {
        let letters = |section: &Encoding| {
            let inner = &section.ids[1..section.len() - 1];
            inner
                .iter()
                .map(|&id| tokenizer.token(id).unwrap())
                .collect()
        };
        sections.iter().map(letters).collect()
    }

    #[test]
    fn groups_are_documents_with_one_label() {
        let notes = examples("patient,text,label\np,a,1\nq,b,0\np,c,1.0\n");
        let found = documents(&notes, true).unwrap();
        let keys: Vec<_> = found
            .iter()
            .map(|d| (d.key.as_str(), d.rows.as_slice()))
            .collect();
        assert_eq!(keys, [("p", &[0, 2][..]), ("q", &[1])]);
        assert_eq!(documents(&notes, false).unwrap().len(), 3);
        let mixed = examples("patient,text,label\np,a,1\nq,b,0\np,c,0\n");
        let error = documents(&mixed, true).unwrap_err();
        assert_eq!(
            error.to_string(),
            "`p` is labelled `1` on line 2 of `n.csv` and `0` on line 4"
        );
    }

    #[test]
    fn sections_are_windows_or_lines() {
        let tokenizer = tokenizer();
        let cut = |text: &str, policy| {
            letters(&tokenizer, &chunks_of(text, &tokenizer, policy, 5).unwrap())
        };
        let windows = |stride| cut("a b c d e a", Chunking::Windows(stride));
        assert_eq!(windows(Stride::Overlap(0)), ["abc", "dea"]);
        assert_eq!(windows(Stride::Overlap(1)), ["abc", "cde", "ea"]);
        assert_eq!(windows(Stride::Step(1)), ["abc", "bcd", "cde", "dea"]);
        assert_eq!(windows(Stride::Step(9)), ["abc", "dea"]);
        let lines = Chunking::Lines(Stride::Overlap(0));
        assert_eq!(cut("a b\r\n \n\nc d e a\n", lines), ["ab", "cde", "a"]);
        assert_eq!(cut(" \n", lines), [""]);
        let refuse = |stride, max_length| {
            chunks_of(
                "a b c d e a",
                &tokenizer,
                Chunking::Windows(stride),
                max_length,
            )
        };
        assert!(matches!(
            refuse(Stride::Overlap(3), 5),
            Err(TokenizerError::Overlap {
                overlap: 3,
                room: 3
            })
        ));
        assert!(matches!(
            refuse(Stride::Overlap(0), 2),
            Err(TokenizerError::MaxLength {
                max_length: 2,
                special: 2
            })
        ));
    }

    #[test]
    fn a_transcript_of_16000_nucleotides_is_covered() {
        let spec: TokenizerSpec = "kmer:6".parse().unwrap();
        let tokenizer = spec.load(None, TokenizerFamily::Bert).unwrap();
        let text: String = (0..16_000)
            .map(|at| ['A', 'C', 'G', 'T'][at * 7 % 11 % 4])
            .collect();
        let found = chunks_of(
            &text,
            &tokenizer,
            Chunking::Windows(Stride::Overlap(0)),
            512,
        )
        .unwrap();
        assert_eq!(found.len(), 15_995_usize.div_ceil(510));
        let tokens: usize = found.iter().map(|section| section.len() - 2).sum();
        assert_eq!(tokens, 15_995);
    }

    #[test]
    fn documents_without_a_token_have_one_section_and_are_counted() {
        let texts = [["\u{1}", "\u{1}"], ["\u{1}", "b"]].map(Vec::from);
        let policy = Chunking::Windows(Stride::Overlap(0));
        let bags =
            Chunks::new(&texts, |at| ["p", "q"][at].into(), &tokenizer(), policy, 8).unwrap();
        assert_eq!((bags.of(0), bags.of(1)), (0..1, 1..2));
        assert_eq!(bags.lengths(), [2, 3]);
        assert_eq!(
            bags.empty_summary().unwrap(),
            "1 document holds no token: `p`"
        );
    }
}
