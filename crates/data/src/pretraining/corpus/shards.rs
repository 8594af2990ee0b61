//! Shards: files of token ids, word starts, sentences and documents.
//!
//! A shard is a file without a header; the manifest has its counts and its checksum. All numbers are little-endian:
//!
//! ```text
//! token ids       2 bytes each if the vocabulary has 65,536 tokens at most, else 4
//! word starts     a bit for each token, the lowest bit of a byte first: 1 where the token begins a word
//! sentence ends   4 bytes each: number of tokens of the shard before the sentence's end
//! document ends   4 bytes each: number of sentences of the shard before the document's end
//! ```
//!
//! Each part begins at a multiple of 8 bytes, padded with zeros. A shard ends with a complete sentence; a document may
//! continue in the next shard and is listed in the shard in which it ends.

use std::fs::File;
use std::io::{self, Read, Write};
use std::ops::Range;
use std::path::Path;

use memmap2::Mmap;
use serde::{Deserialize, Serialize};

/// Number of tokens at which a shard is full.
pub(super) const SHARD_TOKENS: u64 = 64 << 20;

/// Number of sentences at which a shard is full; their ends are kept in memory until then.
pub(super) const SHARD_SENTENCES: usize = 8 << 20;

/// Number of bytes per token id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Width {
    Two,
    Four,
}

impl Width {
    pub(super) fn of_vocabulary(size: usize) -> Self {
        if size <= 1 << 16 {
            Self::Two
        } else {
            Self::Four
        }
    }

    fn bytes(self) -> usize {
        match self {
            Self::Two => 2,
            Self::Four => 4,
        }
    }
}

/// The manifest's record of a shard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ShardRecord {
    /// Name of the file in the corpus's folder.
    pub(super) file: String,
    /// CRC-32 of the file (IEEE 802.3), 8 hexadecimal digits.
    pub(super) crc32: String,
    pub(super) tokens: u64,
    pub(super) sentences: u64,
    /// Number of documents that end in this shard.
    pub(super) documents: u64,
}

/// Offsets of the parts of a shard, in bytes.
#[derive(Debug, Clone, Copy)]
struct Layout {
    starts: usize,
    sentences: usize,
    documents: usize,
    end: usize,
}

impl Layout {
    /// Returns `None` if the shard does not fit into the address space.
    fn new(record: &ShardRecord, width: Width) -> Option<Self> {
        let part = |from: usize, number: u64, bytes: usize| {
            let length = usize::try_from(number).ok()?.checked_mul(bytes)?;
            from.checked_add(length)?.checked_next_multiple_of(8)
        };
        let starts = part(0, record.tokens, width.bytes())?;
        let sentences = part(starts, record.tokens.div_ceil(8), 1)?;
        let documents = part(sentences, record.sentences, 4)?;
        let end = part(documents, record.documents, 4)?;
        Some(Self {
            starts,
            sentences,
            documents,
            end,
        })
    }
}

/// Writes one shard.
///
/// Ids are written immediately; the other parts, about a sixteenth of the size, are kept in memory until the end.
pub(super) struct ShardWriter<W> {
    out: W,
    crc: crc32fast::Hasher,
    /// Number of bytes written to `out`; `buffer` holds bytes not written yet.
    written: usize,
    buffer: Vec<u8>,
    width: Width,
    tokens: u64,
    starts: Vec<u8>,
    sentence_ends: Vec<u32>,
    document_ends: Vec<u32>,
}

const BUFFER: usize = 1 << 18;

impl<W: Write> ShardWriter<W> {
    pub(super) fn new(out: W, width: Width) -> Self {
        Self {
            out,
            crc: crc32fast::Hasher::new(),
            written: 0,
            buffer: Vec::new(),
            width,
            tokens: 0,
            starts: Vec::new(),
            sentence_ends: Vec::new(),
            document_ends: Vec::new(),
        }
    }

    /// Whether the next sentence belongs in a new shard.
    pub(super) fn is_full(&self) -> bool {
        self.tokens >= SHARD_TOKENS || self.sentence_ends.len() >= SHARD_SENTENCES
    }

    pub(super) fn sentence(&mut self, ids: &[u32], starts: &[bool]) -> io::Result<()> {
        match self.width {
            Width::Two => {
                for &id in ids {
                    self.buffer.extend((id as u16).to_le_bytes());
                }
            }
            Width::Four => {
                for &id in ids {
                    self.buffer.extend(id.to_le_bytes());
                }
            }
        }
        for &start in starts {
            let bit = self.tokens % 8;
            if bit == 0 {
                self.starts.push(0);
            }
            if let Some(last) = self.starts.last_mut() {
                *last |= u8::from(start) << bit;
            }
            self.tokens += 1;
        }
        // A shard is full long before its token count exceeds 32 bits: a sentence has at most 64 KiB of text.
        self.sentence_ends.push(self.tokens as u32);
        if self.buffer.len() >= BUFFER {
            self.flush()?;
        }
        Ok(())
    }

    pub(super) fn end_document(&mut self) {
        self.document_ends.push(self.sentence_ends.len() as u32);
    }

    fn flush(&mut self) -> io::Result<()> {
        self.crc.update(&self.buffer);
        self.out.write_all(&self.buffer)?;
        self.written += self.buffer.len();
        self.buffer.clear();
        Ok(())
    }

    fn align(&mut self) -> io::Result<()> {
        let length = self.written + self.buffer.len();
        let gap = length.next_multiple_of(8) - length;
        self.buffer.resize(self.buffer.len() + gap, 0);
        self.flush()
    }

    /// Writes the remaining parts; returns the output and the record for the manifest.
    pub(super) fn finish(mut self, file: String) -> io::Result<(W, ShardRecord)> {
        self.align()?;
        let starts = std::mem::take(&mut self.starts);
        self.buffer.extend_from_slice(&starts);
        self.align()?;
        let sentence_ends = std::mem::take(&mut self.sentence_ends);
        let document_ends = std::mem::take(&mut self.document_ends);
        for ends in [&sentence_ends, &document_ends] {
            for part in ends.chunks(BUFFER / 4) {
                self.buffer
                    .extend(part.iter().flat_map(|end| end.to_le_bytes()));
                self.flush()?;
            }
            self.align()?;
        }
        self.out.flush()?;
        let record = ShardRecord {
            file,
            crc32: format!("{:08x}", self.crc.finalize()),
            tokens: self.tokens,
            sentences: sentence_ends.len() as u64,
            documents: document_ends.len() as u64,
        };
        Ok((self.out, record))
    }
}

/// A shard opened for reading.
#[derive(Debug)]
pub(super) struct Shard {
    bytes: Bytes,
    layout: Layout,
    width: Width,
    pub(super) tokens: u64,
    sentences: u64,
    documents: u64,
    /// Indices of its first token, sentence and document in the corpus.
    pub(super) first_token: u64,
    pub(super) first_sentence: u64,
    pub(super) first_document: u64,
}

#[derive(Debug)]
enum Bytes {
    Memory(Vec<u8>),
    Mapped(Mmap),
}

impl Bytes {
    fn get(&self) -> &[u8] {
        match self {
            Self::Memory(bytes) => bytes,
            Self::Mapped(map) => map,
        }
    }
}

/// Why a shard cannot be opened.
#[derive(Debug)]
pub(super) enum ShardError {
    Io(io::Error),
    /// Description of the damage.
    Damaged(String),
}

impl From<io::Error> for ShardError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl Shard {
    pub(super) fn in_memory(
        bytes: Vec<u8>,
        record: &ShardRecord,
        width: Width,
    ) -> Result<Self, ShardError> {
        Self::new(Bytes::Memory(bytes), record, width)
    }

    /// Maps a file after verifying its length and checksum.
    pub(super) fn open(
        path: &Path,
        record: &ShardRecord,
        width: Width,
    ) -> Result<Self, ShardError> {
        let mut file = File::open(path)?;
        let crc32 = checksum(&mut file)?;
        if crc32 != record.crc32 {
            return Err(ShardError::Damaged(format!(
                "its checksum is {crc32}, expected {}",
                record.crc32
            )));
        }
        // SAFETY: the bytes are read as plain numbers, never as references or enums, and every number used as an offset
        // was checked when the shard was opened or is checked on use. Shards are written under a temporary name and
        // renamed when complete, so this program never modifies a mapped one; if another program does, the numbers read
        // are wrong, as with any file modified while it is read.
        let map = unsafe { Mmap::map(&file)? };
        Self::new(Bytes::Mapped(map), record, width)
    }

    fn new(bytes: Bytes, record: &ShardRecord, width: Width) -> Result<Self, ShardError> {
        let found = bytes.get().len();
        let layout = Layout::new(record, width)
            .filter(|layout| layout.end == found)
            .ok_or_else(|| {
                ShardError::Damaged(format!(
                    "it has {found} bytes, which is not what the manifest says"
                ))
            })?;
        let shard = Self {
            bytes,
            layout,
            width,
            tokens: record.tokens,
            sentences: record.sentences,
            documents: record.documents,
            first_token: 0,
            first_sentence: 0,
            first_document: 0,
        };
        let rises = |number: u64, last: u64, exactly: bool, end: &dyn Fn(usize) -> u64| {
            let mut before = 0;
            for at in 0..number as usize {
                let next = end(at);
                if next <= before {
                    return false;
                }
                before = next;
            }
            before == last || (!exactly && before < last)
        };
        let whole = rises(shard.sentences, shard.tokens, true, &|at| {
            shard.sentence_end(at)
        }) && rises(shard.documents, shard.sentences, false, &|at| {
            shard.document_end(at)
        });
        if !whole {
            return Err(ShardError::Damaged(
                "its sentences and documents do not lie one behind the other".into(),
            ));
        }
        Ok(shard)
    }

    /// Sets the indices of the first token, sentence and document; returns those of the next shard.
    pub(super) fn place(&mut self, first: [u64; 3]) -> [u64; 3] {
        [self.first_token, self.first_sentence, self.first_document] = first;
        [
            first[0] + self.tokens,
            first[1] + self.sentences,
            first[2] + self.documents,
        ]
    }

    /// Number of sentences after the last document's end.
    pub(super) fn open_sentences(&self) -> u64 {
        match self.documents {
            0 => self.sentences,
            some => self.sentences - self.document_end(some as usize - 1),
        }
    }

    /// Number of tokens before the end of a sentence of the shard.
    pub(super) fn sentence_end(&self, sentence: usize) -> u64 {
        self.end_at(self.layout.sentences + sentence * 4)
    }

    /// Number of sentences before the end of a document of the shard.
    pub(super) fn document_end(&self, document: usize) -> u64 {
        self.end_at(self.layout.documents + document * 4)
    }

    fn end_at(&self, at: usize) -> u64 {
        let mut bytes = [0; 4];
        bytes.copy_from_slice(&self.bytes.get()[at..at + 4]);
        u32::from_le_bytes(bytes).into()
    }

    /// Appends the ids of a range of the shard's tokens, and whether each begins a word.
    pub(super) fn append(
        &self,
        tokens: Range<usize>,
        ids: &mut Vec<u32>,
        word_starts: &mut Vec<bool>,
    ) {
        let bytes = self.bytes.get();
        let width = self.width.bytes();
        let part = bytes[tokens.start * width..tokens.end * width].chunks_exact(width);
        match self.width {
            Width::Two => ids.extend(part.map(|id| u32::from(u16::from_le_bytes([id[0], id[1]])))),
            Width::Four => {
                ids.extend(part.map(|id| u32::from_le_bytes([id[0], id[1], id[2], id[3]])));
            }
        }
        let starts = &bytes[self.layout.starts..];
        word_starts.extend(tokens.map(|token| starts[token / 8] >> (token % 8) & 1 == 1));
    }
}

/// CRC-32 of the rest of a file. Reads the file, because mapped pages would count toward the memory use of the process.
fn checksum(file: &mut File) -> io::Result<String> {
    let mut crc = crc32fast::Hasher::new();
    let mut buffer = vec![0; BUFFER];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(format!("{:08x}", crc.finalize())),
            Ok(read) => crc.update(&buffer[..read]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
