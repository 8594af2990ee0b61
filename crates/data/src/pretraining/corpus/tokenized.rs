//! A tokenized corpus: documents, sentences and tokens by number.

use std::ops::Range;

use super::documents::CorpusOptions;
use super::manifest::Manifest;
use super::shards::{Shard, ShardWriter, Width};
use crate::random::{Purpose, Random};

/// Tokenized documents, split into sentences.
///
/// Documents, sentences and tokens are numbered from 0 in the order of the sources; sentences are contiguous, without
/// special tokens. A corpus from [`prepare`](super::prepare) is memory-mapped, so even a large one uses little memory.
#[derive(Debug)]
pub struct Corpus {
    shards: Vec<Shard>,
    manifest: Manifest,
}

impl Corpus {
    /// A corpus in memory: documents of sentences of tokens, each an id and whether it begins a word.
    ///
    /// Sentences without tokens and documents without sentences are skipped, as when files are read.
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

    /// A corpus of shards, in order; the manifest holds their counts.
    pub(super) fn new(shards: Vec<Shard>, manifest: Manifest) -> Self {
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

    /// The token range of a sentence.
    ///
    /// # Panics
    /// There is no such sentence.
    pub fn sentence(&self, sentence: usize) -> Range<u64> {
        assert!(sentence < self.sentences(), "no sentence {sentence}");
        let shard = self.shard(sentence as u64, |shard| shard.first_sentence);
        let within = (sentence as u64 - shard.first_sentence) as usize;
        // A shard begins with a new sentence.
        let start = match within {
            0 => 0,
            _ => shard.sentence_end(within - 1),
        };
        shard.first_token + start..shard.first_token + shard.sentence_end(within)
    }

    /// Appends the ids of a token range, and whether each token begins a word.
    ///
    /// If the tokenizer has no words ([`Corpus::has_words`]), every token counts as one.
    ///
    /// # Panics
    /// The range ends after the last token.
    pub fn append(&self, range: Range<u64>, ids: &mut Vec<u32>, word_starts: &mut Vec<bool>) {
        assert!(range.end <= self.tokens(), "no token {}", range.end);
        let mut from = range.start;
        while from < range.end {
            let shard = self.shard(from, |shard| shard.first_token);
            let to = range.end.min(shard.first_token + shard.tokens);
            let within = (from - shard.first_token) as usize..(to - shard.first_token) as usize;
            shard.append(within, ids, word_starts);
            from = to;
        }
    }

    /// The shard that contains an index, given the first index of each shard. The index must exist.
    fn shard(&self, number: u64, first: impl Fn(&Shard) -> u64) -> &Shard {
        // Shards in which no document ends have the same first index as the next shard: take the last.
        let after = self.shards.partition_point(|shard| first(shard) <= number);
        &self.shards[after - 1]
    }

    /// Whether the tokenizer has words, so that whole words can be masked.
    pub fn has_words(&self) -> bool {
        self.manifest.has_words
    }

    /// The inputs and sizes of the corpus.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Splits the documents into training and held-out documents, both ascending.
    ///
    /// Held-out documents are drawn at random with `seed` until they contain the proportion `held_out` of all tokens. If
    /// `held_out` is above 0 and there are at least two documents, each side has at least one.
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
    pub(super) fn document_tokens(&self, document: usize) -> u64 {
        let sentences = self.document(document);
        self.sentence(sentences.end - 1).end - self.sentence(sentences.start).start
    }
}
