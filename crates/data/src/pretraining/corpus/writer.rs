//! Writes a tokenized corpus: shards and their manifest.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::batches::{Batch, Mark};
use super::documents::CorpusOptions;
use super::encode::{CorpusTokenizer, Tokens};
use super::folder::{MANIFEST, damaged, unwritable};
use super::manifest::{Manifest, SourceRecord};
use super::shards::{ShardWriter, Width};
use crate::error::{CorpusError, DataError};

/// Number of bytes of text to search for unknown pieces.
const UNKNOWN_SEARCHED: usize = 1 << 20;

/// Number of unknown pieces listed in the manifest.
const UNKNOWN_LISTED: usize = 10;

/// A file being written.
pub(super) trait Output: Write {
    /// Flushes the file to disk.
    fn sync(&mut self) -> io::Result<()>;
}

impl Output for File {
    fn sync(&mut self) -> io::Result<()> {
        self.sync_all()
    }
}

/// Creates a file.
pub(super) type Create<'a> = dyn Fn(&Path) -> io::Result<Box<dyn Output>> + Sync + 'a;

/// Tokenizes batches and writes them.
pub(super) struct Writer<'a> {
    tokenizer: &'a CorpusTokenizer,
    folder: &'a Path,
    create: &'a Create<'a>,
    width: Width,
    manifest: Manifest,
    shard: Option<(PathBuf, ShardWriter<Box<dyn Output>>)>,
    /// Whether each token id has occurred.
    seen: Vec<bool>,
    unknown_pieces: HashMap<String, u64>,
    unknown_searched: usize,
    more_than_words: bool,
    /// Number of sentences with tokens in the current document.
    open_sentences: u64,
    /// Numbers of documents, sentences and tokens before the current file.
    before_source: [u64; 3],
}

impl<'a> Writer<'a> {
    pub(super) fn new(
        tokenizer: &'a CorpusTokenizer,
        options: &CorpusOptions,
        folder: &'a Path,
        create: &'a Create<'a>,
    ) -> Self {
        Self {
            tokenizer,
            folder,
            create,
            width: Width::of_vocabulary(tokenizer.vocab_size),
            manifest: Manifest::new(
                tokenizer.hash.clone(),
                tokenizer.vocab_size,
                tokenizer.has_words,
                options.clone(),
            ),
            shard: None,
            seen: vec![false; tokenizer.vocab_size],
            unknown_pieces: HashMap::new(),
            unknown_searched: 0,
            more_than_words: false,
            open_sentences: 0,
            before_source: [0; 3],
        }
    }

    /// Numbers of documents and tokens written so far.
    pub(super) fn written(&self) -> (u64, u64) {
        (self.manifest.documents, self.manifest.tokens)
    }

    /// Tokenizes and writes a batch.
    pub(super) fn batch(&mut self, batch: &Batch) -> Result<(), DataError> {
        let portions = self.tokenizer.encode(&batch.text, &batch.ends)?;
        let mut marks = batch.marks.iter().peekable();
        let mut sentence = 0;
        for portion in &portions {
            self.more_than_words |= portion.more_than_words;
            let mut from = 0;
            for &length in &portion.lengths {
                while let Some((_, mark)) = marks.next_if(|(at, _)| *at == sentence) {
                    self.mark(mark)?;
                }
                let start = if sentence == 0 {
                    0
                } else {
                    batch.ends[sentence - 1]
                };
                let text = &batch.text[start..batch.ends[sentence]];
                self.sentence(portion, from..from + length, text)?;
                from += length;
                sentence += 1;
            }
        }
        for (_, mark) in marks {
            self.mark(mark)?;
        }
        Ok(())
    }

    fn sentence(
        &mut self,
        tokens: &Tokens,
        range: Range<usize>,
        text: &str,
    ) -> Result<(), DataError> {
        if range.is_empty() {
            return Ok(());
        }
        let (ids, starts) = (&tokens.ids[range.clone()], &tokens.starts[range]);
        self.open_sentences += 1;
        self.manifest.count_sentence(starts);
        let unknown = ids
            .iter()
            .filter(|&&id| Some(id) == self.tokenizer.unknown)
            .count();
        self.manifest.unknown += unknown as u64;
        if unknown > 0 && self.unknown_searched < UNKNOWN_SEARCHED {
            self.unknown_searched += text.len();
            for piece in self.tokenizer.unknown_pieces(text)? {
                *self.unknown_pieces.entry(piece).or_default() += 1;
            }
        }
        for &id in ids {
            if let Some(seen) = self.seen.get_mut(id as usize) {
                *seen = true;
            }
        }
        if self
            .shard
            .as_ref()
            .is_some_and(|(_, shard)| shard.is_full())
        {
            self.end_shard()?;
        }
        let (path, shard) = match &mut self.shard {
            Some(shard) => shard,
            none => {
                let file = format!("shard-{:05}.bin", self.manifest.shards.len());
                let path = self.folder.join(file);
                let out = (self.create)(&path).map_err(unwritable(&path))?;
                none.insert((path, ShardWriter::new(out, self.width)))
            }
        };
        shard.sentence(ids, starts).map_err(unwritable(path))
    }

    fn mark(&mut self, mark: &Mark) -> Result<(), DataError> {
        match mark {
            Mark::Duplicate => self.manifest.duplicates += 1,
            Mark::DocumentEnd => match std::mem::take(&mut self.open_sentences) {
                0 => self.manifest.empty += 1,
                _ => {
                    self.manifest.documents += 1;
                    if let Some((_, shard)) = &mut self.shard {
                        shard.end_document();
                    }
                }
            },
            Mark::SourceEnd(source) => {
                let now = [
                    self.manifest.documents,
                    self.manifest.sentences,
                    self.manifest.tokens,
                ];
                let before = std::mem::replace(&mut self.before_source, now);
                self.manifest.sources.push(SourceRecord {
                    path: source.path.clone(),
                    bytes: source.bytes,
                    modified: source.modified,
                    sha256: source.sha256.clone(),
                    format: source.format,
                    documents: now[0] - before[0],
                    sentences: now[1] - before[1],
                    tokens: now[2] - before[2],
                });
            }
        }
        Ok(())
    }

    fn end_shard(&mut self) -> Result<(), DataError> {
        if let Some((path, shard)) = self.shard.take() {
            let file = path.file_name().unwrap_or_default();
            let (mut out, record) = shard
                .finish(file.to_string_lossy().into_owned())
                .map_err(unwritable(&path))?;
            out.sync().map_err(unwritable(&path))?;
            self.manifest.shards.push(record);
        }
        Ok(())
    }

    /// Finishes the last shard and writes the manifest.
    pub(super) fn finish(mut self) -> Result<Manifest, DataError> {
        self.end_shard()?;
        if self.manifest.tokens == 0 {
            return Err(DataError::Corpus(CorpusError::EmptyCorpus {
                files: self.manifest.sources.len(),
            }));
        }
        if !self.more_than_words {
            return Err(DataError::Corpus(CorpusError::WordList {
                lines: self.manifest.sentences,
            }));
        }
        self.manifest.distinct_tokens = self.seen.iter().filter(|&&seen| seen).count() as u64;
        let mut pieces: Vec<_> = std::mem::take(&mut self.unknown_pieces)
            .into_iter()
            .collect();
        pieces.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        pieces.truncate(UNKNOWN_LISTED);
        self.manifest.unknown_pieces = pieces;
        let path = self.folder.join(MANIFEST);
        let text = self
            .manifest
            .to_text()
            .map_err(|error| unwritable(&path)(error.into()))?;
        (self.create)(&path)
            .and_then(|mut file| {
                file.write_all(text.as_bytes())?;
                file.sync()
            })
            .map_err(unwritable(&path))?;
        // Parse the output to verify it, including the checksum.
        Manifest::from_text(&text)
            .ok_or_else(|| damaged(self.folder, MANIFEST, "it cannot be read back".into()))
    }
}
