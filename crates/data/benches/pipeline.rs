//! The data side of pretraining: a corpus in shards to masked sequences, in tokens a second.
//!
//! Each measurement is a whole epoch: its plan, every sequence, and every mask. The corpus is 2 million tokens of 30,000 ids
//! in 4000 documents, held as shards are; sequences have at most 128 tokens.
//!
//! ```sh
//! cargo bench -p bertkit-data --bench pipeline
//! ```
#![allow(missing_docs)]

use std::hint::black_box;
use std::sync::LazyLock;

use bertkit_data::pretraining::corpus::Corpus;
use bertkit_data::pretraining::masking::{MaskVocabulary, Masking};
use bertkit_data::pretraining::sequences::{EpochPlan, Packing, SequenceSettings};
use divan::Bencher;
use divan::counter::ItemsCount;
use rayon::prelude::*;

static CORPUS: LazyLock<Corpus> = LazyLock::new(corpus);

/// Sentences of 5 to 45 tokens, every third of which goes on with a word.
fn corpus() -> Corpus {
    let mut number = 0u32;
    let documents: Vec<Vec<Vec<(u32, bool)>>> = (0..4000)
        .map(|document| {
            let sentence = |sentence: usize| {
                (0..5 + (document * 7 + sentence * 13) % 41)
                    .map(|token| {
                        number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                        (
                            1000 + (number >> 8) % 29_000,
                            token == 0 || !number.is_multiple_of(3),
                        )
                    })
                    .collect()
            };
            (0..20).map(sentence).collect()
        })
        .collect();
    Corpus::from_tokens(&documents, true)
}

fn settings(packing: Packing) -> SequenceSettings {
    SequenceSettings {
        packing,
        max_length: 128,
        short_probability: 0.1,
        cls: 1,
        sep: 2,
        type_ids: true,
        double_sep: false,
        static_passes: None,
    }
}

/// Makes all sequences of an epoch and gives their number of tokens.
fn epoch(
    corpus: &Corpus,
    documents: &[u32],
    settings: &SequenceSettings,
    masking: &Masking,
    parallel: bool,
) -> usize {
    let vocabulary = MaskVocabulary::new(30_000, 4, 0..5);
    let plan = EpochPlan::new(corpus, documents, settings, 13, 0)
        .expect("the corpus has documents, and the settings are in range");
    let make = |index: usize| {
        let sequence = plan.sequence(corpus, index);
        let masked = masking.mask(&sequence, &vocabulary, 13, plan.pass(), plan.number(index));
        black_box(masked.input_ids).len()
    };
    if parallel {
        (0..plan.len()).into_par_iter().map(make).sum()
    } else {
        (0..plan.len()).map(make).sum()
    }
}

fn main() {
    divan::main();
}

/// Times epochs, on all threads or on one.
fn time(bencher: Bencher<'_, '_>, packing: Packing, masking: &Masking, parallel: bool) {
    let documents: Vec<u32> = (0..CORPUS.documents() as u32).collect();
    let settings = settings(packing);
    let tokens = epoch(&CORPUS, &documents, &settings, masking, true);
    bencher
        .counter(ItemsCount::new(tokens))
        .bench_local(|| epoch(&CORPUS, &documents, &settings, masking, parallel));
}

#[divan::bench(args = [false, true], sample_count = 20, sample_size = 1)]
fn across_documents_and_tokens(bencher: Bencher<'_, '_>, parallel: bool) {
    time(bencher, Packing::Across, &Masking::bert(), parallel);
}

#[divan::bench(args = [false, true], sample_count = 20, sample_size = 1)]
fn next_sentence_and_whole_words(bencher: Bencher<'_, '_>, parallel: bool) {
    time(
        bencher,
        Packing::NextSentence,
        &Masking::whole_word(),
        parallel,
    );
}

#[divan::bench(args = [false, true], sample_count = 20, sample_size = 1)]
fn within_documents_and_spans(bencher: Bencher<'_, '_>, parallel: bool) {
    time(bencher, Packing::Within, &Masking::span(), parallel);
}

#[divan::bench(args = [false, true], sample_count = 20, sample_size = 1)]
fn electra(bencher: Bencher<'_, '_>, parallel: bool) {
    time(
        bencher,
        Packing::Electra,
        &Masking::electra(false, 128),
        parallel,
    );
}
