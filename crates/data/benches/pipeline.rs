//! The data side of pretraining: a corpus in shards to masked sequences, in tokens a second.
//!
//! Each measurement is a whole epoch: its plan, every sequence, and every mask. The corpus is 2 million tokens of 30,000 ids
//! in 4000 documents, held as shards are.

#![allow(missing_docs)] // of what criterion's macros write

use std::hint::black_box;

use bertkit_data::corpus::Corpus;
use bertkit_data::corruption::{MaskVocabulary, Masking};
use bertkit_data::sequences::{EpochPlan, Packing, SequenceSettings};
use criterion::{Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use rayon::prelude::*;

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

fn settings(packing: Packing, max_length: usize) -> SequenceSettings {
    SequenceSettings {
        packing,
        max_length,
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

fn pipeline(criterion: &mut Criterion) {
    let corpus = corpus();
    let documents: Vec<u32> = (0..corpus.documents() as u32).collect();
    let mut group = criterion.benchmark_group("pipeline");
    group.sampling_mode(SamplingMode::Flat).sample_size(20);
    for (name, packing, masking) in [
        ("across, tokens", Packing::Across, Masking::bert()),
        (
            "next sentence, whole words",
            Packing::NextSentence,
            Masking::whole_word(),
        ),
        ("within, spans", Packing::Within, Masking::span()),
        ("electra", Packing::Electra, Masking::electra(false, 128)),
    ] {
        let settings = settings(packing, 128);
        let tokens = epoch(&corpus, &documents, &settings, &masking, true);
        group.throughput(Throughput::Elements(tokens as u64));
        for (threads, parallel) in [("one thread", false), ("all threads", true)] {
            group.bench_function(format!("{name}, 128 tokens, {threads}"), |bencher| {
                bencher.iter(|| epoch(&corpus, &documents, &settings, &masking, parallel));
            });
        }
    }
    group.finish();
}

criterion_group!(benches, pipeline);
criterion_main!(benches);
