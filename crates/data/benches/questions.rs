//! Questions and texts to windows of tokens, in questions a second, and scores to answers, in windows a second.
//!
//! Texts have 120 made-up words and five questions each, as SQuAD's paragraphs; the tokenizer knows half of the words.
//!
//! ```sh
//! cargo bench -p bertkit-data --bench questions
//! ```
#![allow(missing_docs, clippy::unwrap_used)]

use std::hint::black_box;
use std::sync::{Arc, LazyLock};

use bertkit_data::qa::{Answer, Question};
use bertkit_data::qa::{DecodeOptions, FeatureOptions, Features, WindowScores};
use bertkit_data::tokenizer::{TextTokenizer, TrainOptions, train_tokenizer};
use divan::Bencher;
use divan::counter::ItemsCount;
use rayon::prelude::*;

/// Words of 2 to 9 letters that look drawn at random.
fn word(number: u64) -> String {
    let mut state = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (0..2 + (state >> 33) % 8)
        .map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            char::from(b'a' + ((state >> 40) % 26) as u8)
        })
        .collect()
}

static TOKENIZER: LazyLock<TextTokenizer> = LazyLock::new(|| {
    let words: Vec<String> = (0..4000).map(|number| word(2 * number)).collect();
    let options = TrainOptions {
        vocab_size: Some(8000),
        ..TrainOptions::default()
    };
    train_tokenizer(words.iter().map(String::as_str), &options).unwrap()
});

static QUESTIONS: LazyLock<Vec<Question>> = LazyLock::new(|| {
    let words = |from: u64, count: u64| -> String {
        let words: Vec<String> = (from..from + count)
            .map(|at| word(at * at * 7 % 8000))
            .collect();
        words.join(" ")
    };
    (0..2000)
        .flat_map(|text| {
            let context: Arc<str> = words(text * 31, 120).into();
            (0..5).map(move |number| Question {
                id: format!("{text}-{number}"),
                question: words(text * 17 + number, 10),
                answers: vec![Answer {
                    text: context[..2].to_string(),
                    start: Some(0),
                }],
                context: context.clone(),
                impossible: false,
                labelled: true,
                title: None,
                line: None,
            })
        })
        .collect()
});

fn main() {
    divan::main();
}

fn features() -> Features {
    Features::new(&QUESTIONS, &TOKENIZER, &FeatureOptions::default()).unwrap()
}

#[divan::bench(sample_count = 10, sample_size = 1)]
fn featurise(bencher: Bencher<'_, '_>) {
    let _ = features();
    bencher
        .counter(ItemsCount::new(QUESTIONS.len()))
        .bench_local(|| black_box(features()).windows().len());
}

#[divan::bench(sample_count = 10, sample_size = 1)]
fn featurise_and_pack_in_batches_of_32(bencher: Bencher<'_, '_>) {
    let windows = features().windows().len();
    let rows: Vec<usize> = (0..windows).collect();
    bencher.counter(ItemsCount::new(windows)).bench_local(|| {
        let features = features();
        let tokens = rows.par_chunks(32).map(|rows| features.pack(rows).tokens());
        tokens.sum::<usize>()
    });
}

#[divan::bench(sample_count = 10, sample_size = 1)]
fn decode(bencher: Bencher<'_, '_>) {
    let features = features();
    let scores: Vec<f32> = (0..384_u32)
        .map(|at| (at.wrapping_mul(2_654_435_761) >> 16) as f32 / 4096.0)
        .collect();
    bencher
        .counter(ItemsCount::new(features.windows().len()))
        .bench_local(|| {
            let answers = QUESTIONS.par_iter().enumerate().map(|(at, question)| {
                let windows: Vec<WindowScores<'_>> = features
                    .of_question(at)
                    .map(|_| WindowScores::Tokens {
                        start: &scores,
                        end: &scores,
                    })
                    .collect();
                let options = DecodeOptions::default();
                features
                    .decode(question, at, &windows, &options)
                    .n_best
                    .len()
            });
            answers.sum::<usize>()
        });
}
