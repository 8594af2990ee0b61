//! Text files to a tokenised corpus: read once, kept in shards, and mapped into memory from there.
//!
//! [`find`] lists the files, [`prepare`] reads and tokenises them into a folder of shards, or finds that the folder holds
//! them already, and [`Corpus`] gives documents, sentences and tokens by number. [`Statistics`] sums a corpus up.

mod documents;
mod encode;
mod manifest;
mod prepare;
mod reading;
mod shards;
mod sources;
mod statistics;
pub(crate) mod text;

use std::ops::Range;

pub use self::documents::{CorpusFormat, CorpusOptions};
pub use self::encode::has_words;
pub use self::manifest::{Manifest, SourceRecord};
pub use self::prepare::{Origin, Prepared, Progress, prepare};
pub use self::reading::read_sentences;
pub use self::sources::{Found, find};
pub use self::statistics::{Lengths, QUANTILES, Statistics};

use self::shards::{Shard, ShardWriter, Width};
use crate::random::{Purpose, Random};

/// Tokenised documents, cut into sentences.
///
/// Documents, sentences and tokens are numbered from 0 in the order of the sources; sentences lie one behind the other,
/// without special tokens in between. A corpus from [`prepare`] is mapped into memory, so it takes hardly any of it however
/// large it is.
#[derive(Debug)]
pub struct Corpus {
    shards: Vec<Shard>,
    manifest: Manifest,
}

impl Corpus {
    /// A corpus in memory: documents of sentences of tokens, each an id and whether it begins a word.
    ///
    /// Sentences without tokens and documents without sentences are left out, as they are when files are read.
    pub fn from_tokens(documents: &[Vec<Vec<(u32, bool)>>], has_words: bool) -> Self {
        let ids = || documents.iter().flatten().flatten().map(|&(id, _)| id);
        let vocab_size = ids().max().map_or(0, |id| id as usize + 1);
        let width = Width::of_vocabulary(vocab_size);
        let mut manifest = Manifest::new(
            String::new(),
            vocab_size,
            has_words,
            CorpusOptions::default(),
        );
        let mut writer = ShardWriter::new(Vec::new(), width);
        for document in documents {
            let mut sentences = 0;
            for sentence in document.iter().filter(|sentence| !sentence.is_empty()) {
                let (ids, starts): (Vec<u32>, Vec<bool>) = sentence
                    .iter()
                    .map(|&(id, start)| (id, start || !has_words))
                    .unzip();
                manifest.count_sentence(&starts);
                writer
                    .sentence(&ids, &starts)
                    .expect("memory takes whatever is written to it");
                sentences += 1;
            }
            if sentences > 0 {
                manifest.documents += 1;
                writer.end_document();
            }
        }
        let (bytes, record) = writer
            .finish(String::new())
            .expect("memory takes whatever is written to it");
        let shard = Shard::in_memory(bytes, &record, width)
            .expect("a shard is as the record that its writer gives says");
        manifest.shards.push(record);
        Self {
            shards: vec![shard],
            manifest,
        }
    }

    /// Shards whose lengths the manifest tells, in order.
    fn new(shards: Vec<Shard>, manifest: Manifest) -> Self {
        Self { shards, manifest }
    }

    /// Number of documents; each has at least one sentence.
    pub fn documents(&self) -> usize {
        self.manifest.documents as usize
    }

    /// Number of sentences; each has at least one token.
    pub fn sentences(&self) -> usize {
        self.manifest.sentences as usize
    }

    /// Number of tokens, without special tokens.
    pub fn tokens(&self) -> u64 {
        self.manifest.tokens
    }

    /// The sentences of a document.
    ///
    /// # Panics
    /// There is no such document.
    pub fn document(&self, document: usize) -> Range<usize> {
        let ends = |document: u64| {
            let shard = self.shard(document, |shard| shard.first_document);
            shard.first_sentence + shard.document_end((document - shard.first_document) as usize)
        };
        assert!(document < self.documents(), "no document {document}");
        let start = match document {
            0 => 0,
            _ => ends(document as u64 - 1),
        };
        start as usize..ends(document as u64) as usize
    }

    /// The places of a sentence's tokens in the corpus.
    ///
    /// # Panics
    /// There is no such sentence.
    pub fn sentence(&self, sentence: usize) -> Range<u64> {
        assert!(sentence < self.sentences(), "no sentence {sentence}");
        let shard = self.shard(sentence as u64, |shard| shard.first_sentence);
        let within = (sentence as u64 - shard.first_sentence) as usize;
        // A shard begins with a sentence.
        let start = match within {
            0 => 0,
            _ => shard.sentence_end(within - 1),
        };
        shard.first_token + start..shard.first_token + shard.sentence_end(within)
    }

    /// Appends the ids of a range of places, and whether each token begins a word.
    ///
    /// Without words ([`Corpus::has_words`]), every token counts as one.
    ///
    /// # Panics
    /// The range ends behind the last token.
    pub fn append(&self, places: Range<u64>, ids: &mut Vec<u32>, word_starts: &mut Vec<bool>) {
        assert!(places.end <= self.tokens(), "no token {}", places.end);
        let mut from = places.start;
        while from < places.end {
            let shard = self.shard(from, |shard| shard.first_token);
            let to = places.end.min(shard.first_token + shard.tokens);
            let within = (from - shard.first_token) as usize..(to - shard.first_token) as usize;
            shard.append(within, ids, word_starts);
            from = to;
        }
    }

    /// The shard that a number lies in, which exists, given what each shard begins with.
    fn shard(&self, number: u64, first: impl Fn(&Shard) -> u64) -> &Shard {
        // Shards that hold no document's end, or nothing at all, begin where the next one does: the last one counts.
        let behind = self.shards.partition_point(|shard| first(shard) <= number);
        &self.shards[behind - 1]
    }

    /// Whether the tokenizer knows words, so that whole words can be masked.
    pub fn has_words(&self) -> bool {
        self.manifest.has_words
    }

    /// What the corpus was made of.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Numbers of the documents to train on and of those held out, both ascending, by seed.
    ///
    /// The documents held out are drawn at random until they have the share `held_out` of all tokens. If the share is more
    /// than 0 and there are two documents, each side has at least one.
    pub fn split(&self, held_out: f64, seed: u64) -> (Vec<u32>, Vec<u32>) {
        let mut documents: Vec<u32> = (0..self.documents() as u32).collect();
        if held_out <= 0.0 || documents.len() < 2 {
            return (documents, Vec::new());
        }
        Random::new(seed, Purpose::Split, 0).shuffle(&mut documents);
        let wanted = self.tokens() as f64 * held_out;
        let (mut taken, mut number) = (0, 0);
        while number < documents.len() - 1 && (number == 0 || (taken as f64) < wanted) {
            taken += self.document_tokens(documents[number] as usize);
            number += 1;
        }
        let mut training = documents.split_off(number);
        training.sort_unstable();
        documents.sort_unstable();
        (training, documents)
    }

    /// Number of tokens of a document.
    fn document_tokens(&self, document: usize) -> u64 {
        let sentences = self.document(document);
        self.sentence(sentences.end - 1).end - self.sentence(sentences.start).start
    }
}

#[cfg(test)]
mod tests;
