//! The manifest of a folder of shards.

use serde::{Deserialize, Serialize};

use super::documents::{CorpusFormat, CorpusOptions};
use super::shards::ShardRecord;

/// Version of the layout of shards and manifest; folders of other versions are rebuilt.
pub(super) const VERSION: u32 = 1;

/// What a corpus was made from, and its sizes: `manifest.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    pub(super) version: u32,
    /// SHA-256 of the tokenizer, in hexadecimal.
    pub tokenizer: String,
    /// The largest token id of the tokenizer plus one.
    pub vocab_size: usize,
    /// Whether the tokenizer has words.
    pub has_words: bool,
    /// How the files were read.
    pub options: CorpusOptions,
    /// The files, in order.
    pub sources: Vec<SourceRecord>,
    /// Number of documents kept.
    pub documents: u64,
    /// Number of sentences kept.
    pub sentences: u64,
    /// Number of tokens, without special tokens.
    pub tokens: u64,
    /// Number of tokens that begin a word; 0 if the tokenizer has no words.
    pub words: u64,
    /// Number of unknown tokens.
    pub unknown: u64,
    /// Number of distinct tokens.
    pub distinct_tokens: u64,
    /// The pieces of text that most often became the unknown token, with counts. In corpora with many unknown tokens,
    /// only the first sentences with unknown tokens are counted.
    pub unknown_pieces: Vec<(String, u64)>,
    /// Documents dropped as duplicates.
    pub duplicates: u64,
    /// Documents dropped because they have no tokens.
    pub empty: u64,
    pub(super) shards: Vec<ShardRecord>,
    /// CRC-32 of the file with this field set to eight zeros.
    checksum: String,
}

/// One file of a corpus.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceRecord {
    /// The file.
    pub path: String,
    /// Its size on disk, in bytes.
    pub bytes: u64,
    /// Modification time in nanoseconds since 1970; `None` if the file was modified so shortly before it was read that a
    /// later change may have the same time.
    pub(super) modified: Option<u64>,
    /// SHA-256 of its bytes, in hexadecimal.
    pub sha256: String,
    /// The format, specified or inferred; never `auto`.
    pub format: CorpusFormat,
    /// Number of its documents kept.
    pub documents: u64,
    /// Number of its sentences kept.
    pub sentences: u64,
    /// Number of its tokens kept.
    pub tokens: u64,
}

const NO_CHECKSUM: &str = "00000000";

impl Manifest {
    pub(super) fn new(
        tokenizer: String,
        vocab_size: usize,
        has_words: bool,
        options: CorpusOptions,
    ) -> Self {
        Self {
            version: VERSION,
            tokenizer,
            vocab_size,
            has_words,
            options,
            sources: Vec::new(),
            documents: 0,
            sentences: 0,
            tokens: 0,
            words: 0,
            unknown: 0,
            distinct_tokens: 0,
            unknown_pieces: Vec::new(),
            duplicates: 0,
            empty: 0,
            shards: Vec::new(),
            checksum: NO_CHECKSUM.into(),
        }
    }

    /// Counts a sentence; `starts` states for each token whether it begins a word.
    pub(super) fn count_sentence(&mut self, starts: &[bool]) {
        self.sentences += 1;
        self.tokens += starts.len() as u64;
        if self.has_words {
            self.words += starts.iter().filter(|&&start| start).count() as u64;
        }
    }

    /// The file's content.
    pub(super) fn to_text(&self) -> Result<String, serde_json::Error> {
        let mut sealed = self.clone();
        sealed.checksum = NO_CHECKSUM.into();
        let text = serde_json::to_string_pretty(&sealed)?;
        sealed.checksum = format!("{:08x}", crc32fast::hash(text.as_bytes()));
        Ok(serde_json::to_string_pretty(&sealed)? + "\n")
    }

    /// Parses a manifest; `None` if any byte differs from what was written.
    pub(super) fn from_text(text: &str) -> Option<Self> {
        let manifest: Self = serde_json::from_str(text).ok()?;
        let written = manifest.to_text().ok()?;
        (written == text).then_some(manifest)
    }
}
