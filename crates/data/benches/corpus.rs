//! Text to shards, and beside it the `tokenizers` crate alone on the same lines in memory, on all cores; and from the shards
//! to masked sequences, as training reads them.
//!
//! ```sh
//! cargo bench -p bertkit-data --bench corpus
//! ```
//!
//! By default 2 MiB of made-up words, the frequent ones far more often than the others, and a WordPiece tokenizer that knows
//! half of them. `BENCH_TEXT` names a text file and `BENCH_TOKENIZER` the folder of a tokenizer to use instead.
#![allow(missing_docs, clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::sync::atomic::AtomicBool;

use bertkit_data::pretraining::corpus::{CorpusFormat, CorpusOptions, prepare};
use bertkit_data::pretraining::masking::{MaskVocabulary, Masking};
use bertkit_data::pretraining::sequences::{EpochPlan, Packing, SequenceSettings};
use bertkit_data::tokenizer::{TextTokenizer, TokenizerFamily};
use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use rayon::prelude::*;
use tempfile::TempDir;
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

/// A text and the tokenizer of all measurements.
struct Setup {
    folder: TempDir,
    text: String,
    ours: TextTokenizer,
    bare: Tokenizer,
}

static SETUP: LazyLock<Setup> = LazyLock::new(|| {
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
    let ours = TextTokenizer::from_dir(&tokenizer, TokenizerFamily::Bert).unwrap();
    ours.save(folder.path()).unwrap();
    let bare = Tokenizer::from_file(folder.path().join("tokenizer.json")).unwrap();
    Setup {
        folder,
        text,
        ours,
        bare,
    }
});

/// The lines that hold text.
fn lines() -> Vec<&'static str> {
    let lines = SETUP.text.lines();
    lines.filter(|line| !line.trim().is_empty()).collect()
}

fn main() {
    divan::main();
}

#[divan::bench(sample_count = 10, sample_size = 1)]
fn tokenizers_encode_batch(bencher: Bencher<'_, '_>) {
    bencher
        .counter(BytesCount::new(SETUP.text.len()))
        .with_inputs(lines)
        .bench_local_values(|lines| SETUP.bare.encode_batch(lines, false).unwrap());
}

#[divan::bench(sample_count = 10, sample_size = 1)]
fn tokenizers_encode_batch_fast(bencher: Bencher<'_, '_>) {
    bencher
        .counter(BytesCount::new(SETUP.text.len()))
        .with_inputs(lines)
        .bench_local_values(|lines| SETUP.bare.encode_batch_fast(lines, false).unwrap());
}

#[divan::bench(sample_count = 10, sample_size = 1)]
fn file_to_shards(bencher: Bencher<'_, '_>) {
    let file = SETUP.folder.path().join("corpus.txt");
    fs::write(&file, &SETUP.text).unwrap();
    let options = CorpusOptions {
        format: CorpusFormat::Sentences,
        ..CorpusOptions::default()
    };
    let go_on = AtomicBool::new(false);
    let shards = SETUP.folder.path().join("shards");
    bencher
        .counter(BytesCount::new(SETUP.text.len()))
        .with_inputs(|| {
            let _ = fs::remove_dir_all(&shards);
        })
        .bench_local_values(|()| {
            let file = std::slice::from_ref(&file);
            prepare(file, &options, &SETUP.ours, &shards, &mut |_| {}, &go_on).unwrap()
        });
}

/// An epoch from shards that lie in a folder and are mapped into memory: opened with their checksums, planned, packed across
/// documents to 128 tokens, and masked. Counts tokens, special ones included.
#[divan::bench(sample_count = 20, sample_size = 1)]
fn shards_to_masked_sequences(bencher: Bencher<'_, '_>) {
    let file = [SETUP.folder.path().join("epoch.txt")];
    fs::write(&file[0], &SETUP.text).unwrap();
    let options = CorpusOptions {
        format: CorpusFormat::Sentences,
        ..CorpusOptions::default()
    };
    let go_on = AtomicBool::new(false);
    let shards = SETUP.folder.path().join("mapped");
    let settings = SequenceSettings {
        packing: Packing::Across,
        max_length: 128,
        short_probability: 0.0,
        cls: 2,
        sep: 3,
        type_ids: true,
        double_sep: false,
        static_passes: None,
    };
    let masking = Masking::bert();
    let vocabulary = MaskVocabulary::new(20_000, 4, 0..5);
    let epoch = || {
        let prepared = prepare(&file, &options, &SETUP.ours, &shards, &mut |_| {}, &go_on);
        let corpus = prepared.unwrap().corpus;
        let documents: Vec<u32> = (0..corpus.documents() as u32).collect();
        let plan = EpochPlan::new(&corpus, &documents, &settings, 13, 0).unwrap();
        let make = |index: usize| {
            let sequence = plan.sequence(&corpus, index);
            let masked = masking.mask(&sequence, &vocabulary, 13, plan.pass(), plan.number(index));
            masked.input_ids.len()
        };
        (0..plan.len()).into_par_iter().map(make).sum::<usize>()
    };
    let tokens = epoch();
    bencher.counter(ItemsCount::new(tokens)).bench_local(epoch);
}
