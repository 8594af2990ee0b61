//! Reading text files into batches of sentences.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::mpsc::SyncSender;

use sha2::{Digest, Sha256};

use super::changes::modified;
use super::documents::{CorpusFormat, CorpusOptions, Event, Reader};
use crate::error::{CorpusError, DataError, FileError};
use crate::sources::stream::{Tally, open};

/// Bytes of text per tokenization batch.
const BATCH: usize = 4 << 20;

/// Documents longer than this many bytes are not checked for duplicates.
const LONGEST_COMPARED: usize = 16 << 20;

/// Reads all files, in order, and sends their sentences in batches.
///
/// # Errors
/// A file cannot be read or is not text; [`CorpusError::Interrupted`] if the receiver is gone.
pub(super) fn read_batches(
    files: &[PathBuf],
    options: &CorpusOptions,
    sender: SyncSender<Batch>,
) -> Result<(), DataError> {
    let mut batches = Batches {
        batch: Batch::default(),
        sender,
        in_document: false,
        pending: None,
        compared: options.drop_duplicates.then(HashSet::new),
        bytes_before: 0,
    };
    for path in files {
        let name = path.display().to_string();
        let modified = modified(&fs::metadata(path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => DataError::File(FileError::NotFound { path: name.clone() }),
            _ => DataError::File(FileError::Read {
                path: name.clone(),
                source,
            }),
        })?);
        let (text, tally) = open(path)?;
        let reader = Reader::new(text, path, &name, options)?;
        let format = reader.format();
        reader.read(&mut |event| batches.event(event, &tally))?;
        batches.end_source(Source {
            path: name.clone(),
            bytes: tally.bytes(),
            modified,
            sha256: tally.sha256(),
            format,
        });
    }
    batches.send()
}

/// Sentences on their way from the reader to the tokenizer.
#[derive(Default)]
pub(super) struct Batch {
    /// The concatenated sentences.
    pub(super) text: String,
    /// The end of each sentence in `text`.
    pub(super) ends: Vec<usize>,
    /// Marks, each with the number of preceding sentences, in order.
    pub(super) marks: Vec<(usize, Mark)>,
    /// Bytes of files read so far.
    pub(super) bytes: u64,
}

impl Batch {
    fn is_full(&self) -> bool {
        self.text.len() >= BATCH || self.ends.len() + self.marks.len() >= BATCH / 16
    }
}

/// Events between sentences.
pub(super) enum Mark {
    DocumentEnd,
    Duplicate,
    SourceEnd(Box<Source>),
}

/// Facts collected while reading a file.
pub(super) struct Source {
    pub(super) path: String,
    pub(super) bytes: u64,
    pub(super) modified: Option<u64>,
    pub(super) sha256: String,
    pub(super) format: CorpusFormat,
}

/// Collects sentences into batches.
struct Batches {
    batch: Batch,
    sender: SyncSender<Batch>,
    in_document: bool,
    /// Start of a document that may be a duplicate: its offset in `text` and the index of its first sentence.
    pending: Option<(usize, usize)>,
    /// Hashes of the documents read so far, if duplicates are dropped.
    compared: Option<HashSet<[u8; 16]>>,
    bytes_before: u64,
}

impl Batches {
    fn event(&mut self, event: Event<'_>, tally: &Tally) -> Result<(), DataError> {
        match event {
            Event::Sentence(sentence) => {
                let batch = &mut self.batch;
                if !std::mem::replace(&mut self.in_document, true) && self.compared.is_some() {
                    self.pending = Some((batch.text.len(), batch.ends.len()));
                }
                batch.text.push_str(sentence);
                batch.ends.push(batch.text.len());
                if let Some((start, _)) = self.pending
                    && batch.text.len() - start > LONGEST_COMPARED
                {
                    self.pending = None;
                }
            }
            Event::DocumentEnd => {
                self.in_document = false;
                let mark = match self.is_duplicate() {
                    true => Mark::Duplicate,
                    false => Mark::DocumentEnd,
                };
                self.batch.marks.push((self.batch.ends.len(), mark));
            }
        }
        if self.pending.is_none() && self.batch.is_full() {
            self.batch.bytes = self.bytes_before + tally.bytes();
            self.send()?;
        }
        Ok(())
    }

    /// Removes the document that ends here if its text has occurred before; returns whether it was removed.
    fn is_duplicate(&mut self) -> bool {
        let (Some(compared), Some((text, sentences))) = (&mut self.compared, self.pending.take())
        else {
            return false;
        };
        let mut hasher = Sha256::new();
        let mut from = text;
        for &to in &self.batch.ends[sentences..] {
            hasher.update(&self.batch.text[from..to]);
            hasher.update("\n");
            from = to;
        }
        let mut hash = [0; 16];
        hash.copy_from_slice(&hasher.finalize()[..16]);
        let new = compared.insert(hash);
        if !new {
            self.batch.text.truncate(text);
            self.batch.ends.truncate(sentences);
        }
        !new
    }

    fn end_source(&mut self, source: Source) {
        self.bytes_before += source.bytes;
        self.batch.bytes = self.bytes_before;
        self.batch
            .marks
            .push((self.batch.ends.len(), Mark::SourceEnd(Box::new(source))));
    }

    fn send(&mut self) -> Result<(), DataError> {
        let batch = std::mem::take(&mut self.batch);
        self.sender
            .send(batch)
            .map_err(|_| DataError::Corpus(CorpusError::Interrupted))
    }
}
