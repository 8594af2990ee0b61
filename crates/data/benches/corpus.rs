//! Text to shards, and beside it the `tokenizers` crate alone on the same lines in memory, on all cores.
//!
//! `cargo bench -p bertkit-data --bench corpus`. By default 2 MiB of made-up words, the frequent ones far more often than the
//! others, and a WordPiece tokenizer that knows half of them. `BENCH_TEXT` names a text file and `BENCH_TOKENIZER` the folder
//! of a tokenizer to use instead.
#![allow(missing_docs, clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use bertkit_data::corpus::{CorpusFormat, CorpusOptions, prepare};
use bertkit_data::tokenizer::{Family, TextTokenizer};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tokenizers::Tokenizer;

/// The `number`th word: letters that look drawn at random, 2 to 11 of them.
fn word(number: u64) -> String {
    let mut state = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let letters = 2 + (state >> 33) % 10;
    (0..letters)
        .map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            char::from(b'a' + ((state >> 40) % 26) as u8)
        })
        .collect()
}

fn made_up_text(bytes: usize) -> String {
    let mut text = String::new();
    let mut state = 13_u64;
    for position in 1.. {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        // Between 0 and 1; its powers let word n come about 1/n as often as the first.
        let place = (state >> 11) as f64 / (1_u64 << 53) as f64;
        text += &word(40_000_f64.powf(place) as u64);
        text.push_str(if position % 20 == 0 { ".\n" } else { " " });
        if text.len() >= bytes && position % 20 == 0 {
            break;
        }
    }
    text
}

fn made_up_tokenizer(folder: &Path) {
    let letters = ('a'..='z').flat_map(|letter| [letter.to_string(), format!("##{letter}")]);
    let tokens: Vec<String> = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "."]
        .into_iter()
        .map(str::to_owned)
        .chain(letters)
        .chain((0..20_000).map(word))
        .collect();
    fs::write(folder.join("vocab.txt"), tokens.join("\n")).unwrap();
}

fn tokenising(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().unwrap();
    let text = std::env::var("BENCH_TEXT").map_or_else(
        |_| made_up_text(2 << 20),
        |path| fs::read_to_string(path).unwrap(),
    );
    let tokenizer = std::env::var("BENCH_TOKENIZER").map_or_else(
        |_| {
            made_up_tokenizer(folder.path());
            folder.path().to_owned()
        },
        PathBuf::from,
    );
    let ours = TextTokenizer::from_dir(&tokenizer, Family::Bert).unwrap();
    ours.save(folder.path()).unwrap();
    let bare = Tokenizer::from_file(folder.path().join("tokenizer.json")).unwrap();
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    let file = folder.path().join("corpus.txt");
    fs::write(&file, &text).unwrap();
    let options = CorpusOptions {
        format: CorpusFormat::Sentences,
        ..CorpusOptions::default()
    };

    let mut group = criterion.benchmark_group(format!(
        "{:.1} MiB of text",
        text.len() as f64 / 1_048_576.0
    ));
    group.sample_size(10);
    group.throughput(Throughput::Bytes(text.len() as u64));
    group.bench_function("tokenizers, encode_batch", |bencher| {
        bencher.iter(|| bare.encode_batch(lines.clone(), false).unwrap());
    });
    group.bench_function("tokenizers, encode_batch_fast", |bencher| {
        bencher.iter(|| bare.encode_batch_fast(lines.clone(), false).unwrap());
    });
    group.bench_function("file to shards", |bencher| {
        let go_on = AtomicBool::new(false);
        let shards = folder.path().join("shards");
        bencher.iter(|| {
            let _ = fs::remove_dir_all(&shards);
            let file = std::slice::from_ref(&file);
            prepare(file, &options, &ours, &shards, &mut |_| {}, &go_on).unwrap()
        });
    });
    group.finish();
}

criterion_group!(benches, tokenising);
criterion_main!(benches);
