//! The data side of named-entity recognition: sentences to windows of tokens and targets, in sentences a second.
//!
//! 20,000 sentences of 18 words, as long as those of WNUT-17, out of 6000 made-up words whose frequencies follow Zipf's law;
//! the tokenizers are trained on them. On all threads.
//!
//! ```sh
//! cargo bench -p bertkit-data --bench tagging
//! ```
#![allow(missing_docs)]

use std::hint::black_box;
use std::sync::LazyLock;

use bertkit_data::sources::tagged::{TaggedOptions, read_tagged_from};
use bertkit_data::tagging::Scheme;
use bertkit_data::tagging::TaggedCorpus;
use bertkit_data::tagging::alignment::{LabelledTokens, TagWindowOptions, tag_windows};
use bertkit_data::tokenizer::{TextTokenizer, TokenizerType, TrainOptions, train_tokenizer};
use divan::Bencher;
use divan::counter::ItemsCount;

const SENTENCES: usize = 20_000;

/// A file in columns.
static FILE: LazyLock<Vec<u8>> = LazyLock::new(file);
static CORPUS: LazyLock<TaggedCorpus> = LazyLock::new(|| read(FILE.clone()));

fn file() -> Vec<u8> {
    const SYLLABLES: [&str; 12] = [
        "ba", "ke", "li", "mo", "nu", "ra", "se", "ti", "vo", "yu", "st", "an",
    ];
    let mut number = 1u64;
    let mut next = move |below: usize| {
        number = number
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (number >> 33) as usize % below
    };
    let words: Vec<String> = (0..6000)
        .map(|rank| {
            let syllables = 1 + rank.min(2000) / 800 + next(2);
            (0..syllables).map(|_| SYLLABLES[next(12)]).collect()
        })
        .collect();
    let mut text = String::new();
    for _ in 0..SENTENCES {
        for _ in 0..18 {
            let rank = (6000f64.powf(next(1_000_000) as f64 / 1e6)) as usize - 1;
            let tag = [
                "O", "O", "O", "O", "O", "O", "O", "O", "B-person", "I-group",
            ][next(10)];
            text.push_str(&words[rank]);
            text.push('\t');
            text.push_str(tag);
            text.push('\n');
        }
        text.push('\n');
    }
    text.into_bytes()
}

fn read(bytes: Vec<u8>) -> TaggedCorpus {
    read_tagged_from(bytes, "bench.conll", &TaggedOptions::default())
        .expect("the file is made with tags")
}

fn tokenizer(kind: TokenizerType) -> TextTokenizer {
    let options = TrainOptions {
        family: kind.usual_family(),
        vocab_size: Some(4000),
        kind,
        ..TrainOptions::default()
    };
    train_tokenizer(CORPUS.sentences.iter().map(|s| s.text.as_str()), &options)
        .expect("the corpus has words")
}

fn main() {
    divan::main();
}

fn featurise(bencher: Bencher<'_, '_>, kind: TokenizerType, max_length: usize) {
    let tokenizer = tokenizer(kind);
    let tags = CORPUS.tag_set(Scheme::Bio).expect("the corpus has tags");
    let options = TagWindowOptions {
        max_length,
        overlap: max_length / 4,
        labelled: LabelledTokens::First,
    };
    bencher.counter(ItemsCount::new(SENTENCES)).bench_local(|| {
        let windows = tag_windows(&CORPUS.sentences, Some(&tags), &tokenizer, &options);
        black_box(windows).map(|windows| windows.windows.len())
    });
}

/// Windows of 16 tokens cut nearly every sentence, those of 128 none.
#[divan::bench(args = [16, 128], sample_count = 20, sample_size = 1)]
fn wordpiece(bencher: Bencher<'_, '_>, max_length: usize) {
    featurise(bencher, TokenizerType::Wordpiece, max_length);
}

#[divan::bench(args = [128], sample_count = 20, sample_size = 1)]
fn byte_level(bencher: Bencher<'_, '_>, max_length: usize) {
    featurise(bencher, TokenizerType::ByteBpe, max_length);
}

#[divan::bench(args = [128], sample_count = 20, sample_size = 1)]
fn unigram(bencher: Bencher<'_, '_>, max_length: usize) {
    featurise(bencher, TokenizerType::Unigram, max_length);
}

#[divan::bench(sample_count = 20, sample_size = 1)]
fn read_columns(bencher: Bencher<'_, '_>) {
    bencher
        .counter(ItemsCount::new(SENTENCES))
        .bench_local(|| read(black_box(FILE.clone())).sentences.len());
}
