#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::draw::{Draw, words};
use super::*;
use crate::pretraining::sequences::Sequence;
use crate::random::{KeyedPurpose, Random};
use crate::tokenizer::{TrainOptions, train_tokenizer};

const VOCABULARY: u32 = 1000;
const MASK: u32 = 4;

fn vocabulary() -> MaskVocabulary {
    MaskVocabulary::new(VOCABULARY, MASK, 0..5)
}

/// `[CLS] text [SEP]`, with words of the given numbers of tokens.
fn sequence(words: &[usize]) -> Sequence {
    let mut word_starts = vec![true];
    for &tokens in words {
        word_starts.extend((0..tokens).map(|token| token == 0));
    }
    word_starts.push(true);
    let length = word_starts.len();
    let mut ids: Vec<u32> = (0..length as u32).map(|position| 100 + position).collect();
    let mut special = vec![false; length];
    for (end, id) in [(0, 2), (length - 1, 3)] {
        (ids[end], special[end]) = (id, true);
    }
    Sequence {
        ids,
        type_ids: vec![0; length],
        word_starts,
        special,
        label: None,
    }
}

/// 126 tokens in words of 1 to 4 tokens, and two special tokens.
fn usual() -> Sequence {
    let mut words: Vec<usize> = (0..).map(|word| 1 + word * word % 4).take(84).collect();
    words.truncate(
        words
            .iter()
            .scan(0, |sum, &word| {
                *sum += word;
                (*sum <= 126).then_some(())
            })
            .count(),
    );
    words.resize(words.len() + 126 - words.iter().sum::<usize>(), 1);
    sequence(&words)
}

fn presets() -> [Masking; 7] {
    [
        Masking::bert(),
        Masking::roberta(),
        Masking::whole_word(),
        Masking::span(),
        Masking::cramming(),
        Masking::electra(false, 128),
        Masking::electra(true, 128),
    ]
}

/// Compares with scripts/golden/pretraining_data.py: the sum of length · predictions over all lengths.
#[test]
fn as_many_tokens_are_predicted_as_by_an_independent_program() {
    let sum = |masking: &Masking, longest: usize| -> usize {
        (1..=longest)
            .map(|length| length * masking.predictions(length))
            .sum()
    };
    for (rate, bert, electra_32, electra_128) in [
        (0.15, 6_730_526, 1655, 106_062),
        (0.2, 8_973_878, 2278, 141_456),
        (0.25, 11_217_795, 2875, 176_867),
        (0.3, 13_461_300, 3412, 212_174),
        (0.5, 22_435_329, 5729, 353_665),
    ] {
        let masking = Masking {
            rate,
            ..Masking::bert()
        };
        assert_eq!(sum(&masking, 512), bert, "{rate}");
        for (longest, expected) in [(32, electra_32), (128, electra_128)] {
            let masking = Masking {
                max_predictions: Some(((rate + 0.005) * longest as f64) as usize),
                ..masking.clone()
            };
            assert_eq!(sum(&masking, longest), expected, "{rate}, {longest}");
        }
    }
    let electra = Masking::electra(false, 128);
    assert_eq!(electra.max_predictions, Some(19));
    assert_eq!(Masking::electra(true, 512).max_predictions, Some(130));
    let limited = Masking {
        max_predictions: Some(20),
        rate: 0.5,
        ..Masking::bert()
    };
    assert_eq!(
        [1, 2, 30, 128].map(|length| limited.predictions(length)),
        [1, 1, 15, 20]
    );
}

#[test]
fn measured_ratios_are_those_asked_for() {
    let (sequence, vocabulary) = (usual(), vocabulary());
    for (masking, predictions) in [
        (Masking::bert(), 19.0),
        (Masking::roberta(), 19.0),
        (Masking::whole_word(), 19.0),
        (Masking::span(), 19.0),
        (Masking::cramming(), 32.0),
        (
            Masking {
                mask_share: 0.5,
                random_share: 0.5,
                ..Masking::bert()
            },
            19.0,
        ),
        (
            Masking {
                mask_share: 0.2,
                random_share: 0.0,
                ..Masking::bert()
            },
            19.0,
        ),
        (
            Masking {
                mask_share: 1.0,
                random_share: 0.0,
                ..Masking::span()
            },
            19.0,
        ),
    ] {
        let rounds = 4000;
        let (mut chosen, mut masks, mut others) = (0, 0, 0);
        for index in 0..rounds {
            let masked = masking.mask(&sequence, &vocabulary, 1, 0, index);
            chosen += masked.positions.len();
            for (&position, &target) in masked.positions.iter().zip(&masked.targets) {
                match masked.input_ids[position as usize] {
                    MASK => masks += 1,
                    id if id != target => others += 1,
                    _ => {}
                }
            }
        }
        let chosen = f64::from(chosen as u32);
        let found = chosen / rounds as f64;
        assert!(
            found <= predictions && found > predictions - 0.02,
            "{masking:?}: {found}"
        );
        // The words of a span share a draw, so there are fewer draws and the limits are wider.
        let close = |found: i32, share: f64| (f64::from(found) / chosen - share).abs() < 0.012;
        // A random token is occasionally the mask token or the original token.
        assert!(
            close(masks, masking.mask_share),
            "{masking:?}: {masks} of {chosen}"
        );
        assert!(
            close(others, masking.random_share),
            "{masking:?}: {others} of {chosen}"
        );
    }
}

#[test]
fn electra_draws_with_replacement_and_keeps_what_is_not_masked() {
    let (sequence, vocabulary) = (usual(), vocabulary());
    let masking = Masking::electra(false, 128);
    let rounds = 5000;
    let (mut chosen, mut masks) = (0.0, 0.0);
    for index in 0..rounds {
        let masked = masking.mask(&sequence, &vocabulary, 1, 0, index);
        chosen += masked.positions.len() as f64;
        for (&position, &target) in masked.positions.iter().zip(&masked.targets) {
            let id = masked.input_ids[position as usize];
            assert!(id == MASK || id == target);
            masks += f64::from(u8::from(id == MASK));
        }
    }
    // 19 draws from 126: the expected proportion of tokens never drawn, or never masked, is that of 19 such draws.
    let (n, draws) = (126.0f64, 19);
    let expected_chosen = n * (1.0 - (1.0 - 1.0 / n).powi(draws));
    let expected_masks = n * (1.0 - (1.0 - 0.85 / n).powi(draws));
    let rounds = rounds as f64;
    assert!((chosen / rounds - expected_chosen).abs() < 0.06, "{chosen}");
    assert!((masks / rounds - expected_masks).abs() < 0.1, "{masks}");
}

/// The sum of (found − expected)² / expected.
fn chi_square(counts: &[u32]) -> f64 {
    let expected = f64::from(counts.iter().sum::<u32>()) / counts.len() as f64;
    counts
        .iter()
        .map(|&count| (f64::from(count) - expected).powi(2) / expected)
        .sum()
}

#[test]
fn every_position_is_equally_likely() {
    let vocabulary = vocabulary();
    let words_of_two = sequence(&[2; 63]);
    for masking in presets() {
        let mut counts = [0; 126];
        for index in 0..3000 {
            for position in masking
                .mask(&words_of_two, &vocabulary, 3, 1, index)
                .positions
            {
                counts[position as usize - 1] += 1;
            }
        }
        let found = chi_square(&counts);
        match masking.unit {
            // 125 degrees of freedom: 99.99% of values are below 190; without replacement the variance is smaller.
            MaskUnit::Token => assert!((50.0..190.0).contains(&found), "{masking:?}: {found}"),
            // The two tokens of a word are not independent.
            MaskUnit::WholeWord => assert!(found < 250.0, "{found}"),
            // Spans can begin anywhere but end with the text, so the first words are masked less often.
            MaskUnit::Span { .. } => {
                let found = chi_square(&counts[30..]);
                assert!(found < 2.0 * 96.0 * 4.0, "{found}");
                assert!(counts[0] < counts[60]);
            }
        }
    }
}

#[test]
fn random_tokens_are_any_of_the_vocabulary_or_any_but_special_ones() {
    let sequence = usual();
    let vocabulary = MaskVocabulary::new(50, 7, [0, 7, 8, 30, 49, 50]);
    for random_special in [true, false] {
        let masking = Masking {
            mask_share: 0.0,
            random_share: 1.0,
            random_special,
            ..Masking::bert()
        };
        let mut counts = [0; 50];
        for index in 0..500 {
            let masked = masking.mask(&sequence, &vocabulary, 3, 1, index);
            for position in masked.positions {
                counts[masked.input_ids[position as usize] as usize] += 1;
            }
        }
        let special = [0, 7, 8, 30, 49].map(|id| counts[id]);
        assert_eq!(special == [0; 5], !random_special);
        let drawn: Vec<u32> = counts.into_iter().filter(|&count| count > 0).collect();
        assert_eq!(drawn.len(), if random_special { 50 } else { 45 });
        assert!(chi_square(&drawn) < 95.0);
    }
}

#[test]
fn masks_of_neighbours_are_independent() {
    let (sequence, vocabulary) = (usual(), vocabulary());
    let masking = Masking::bert();
    let positions = |seed, pass, index| -> BTreeSet<u32> {
        masking
            .mask(&sequence, &vocabulary, seed, pass, index)
            .positions
            .into_iter()
            .collect()
    };
    let rounds = 3000;
    let mut shared = [0; 3];
    for index in 0..rounds {
        let here = positions(5, 5, index);
        let neighbours = [
            positions(5, 5, index + 1),
            positions(5, 6, index),
            positions(6, 5, index),
        ];
        for (shared, there) in shared.iter_mut().zip(neighbours) {
            *shared += here.intersection(&there).count();
        }
    }
    let expected = 19.0 * 19.0 / 126.0;
    for shared in shared {
        let found = shared as f64 / rounds as f64;
        assert!(
            (found - expected).abs() < 0.12,
            "{found}, expected {expected}"
        );
    }
}

#[test]
fn span_lengths_are_geometric_and_cut_off() {
    let masking = Masking::span();
    let vocabulary = vocabulary();
    let mut draw = Draw {
        masking: &masking,
        vocabulary: &vocabulary,
        random: Random::keyed(1, KeyedPurpose::Masks, 0, 0),
        input_ids: Vec::new(),
        positions: Vec::new(),
    };
    let rounds = 200_000;
    let mut counts = [0u32; 11];
    for _ in 0..rounds {
        counts[draw.span_length(0.2, 10)] += 1;
    }
    let all: f64 = (0..10).map(|length| 0.2 * 0.8f64.powi(length)).sum();
    for (length, &count) in counts.iter().enumerate().skip(1) {
        let expected = 0.2 * 0.8f64.powi(length as i32 - 1) / all;
        let found = f64::from(count) / f64::from(rounds);
        assert!(
            (found - expected).abs() < 0.004,
            "{length}: {found}, expected {expected}"
        );
    }
    // Joshi et al. 2020, §3.1: a mean of 3.8.
    let mean: f64 = (1..=10)
        .map(|length| length as f64 * f64::from(counts[length]))
        .sum::<f64>();
    assert!((mean / f64::from(rounds) - 3.797).abs() < 0.03);
    for _ in 0..1000 {
        assert_eq!(draw.span_length(1.0, 10), 1);
        assert_eq!(draw.span_length(0.2, 1), 1);
    }
}

#[test]
fn a_span_shares_its_fate_and_stops_at_special_tokens() {
    // Two segments; spans of any length, masked or unchanged.
    let mut sequence = sequence(&[1; 60]);
    (sequence.ids[30], sequence.special[30]) = (3, true);
    let masking = Masking {
        rate: 0.15,
        mask_share: 0.5,
        random_share: 0.0,
        unit: MaskUnit::Span {
            probability: 0.01,
            longest: 1000,
        },
        ..Masking::span()
    };
    let (mut mixed, mut together) = (0, 0);
    for index in 0..500 {
        let masked = masking.mask(&sequence, &vocabulary(), 0, 0, index);
        assert_eq!(masked.positions.len(), 9);
        assert!(!masked.positions.contains(&30));
        let stretches = masked
            .positions
            .windows(2)
            .filter(|pair| pair[0] + 1 == pair[1]);
        for pair in stretches {
            let fates = [pair[0], pair[1]].map(|at| masked.input_ids[at as usize] == MASK);
            if fates[0] == fates[1] {
                together += 1
            } else {
                mixed += 1
            }
        }
    }
    // Adjacent words with different replacements belong to two adjacent spans.
    assert!(together > 50 * mixed, "{together} and {mixed}");
}

/// Resuming a run depends on the stream of random numbers, so these values must not change.
#[test]
fn masks_stay_the_same_between_versions() {
    let sequence = usual();
    let positions = |masking: Masking| masking.mask(&sequence, &vocabulary(), 13, 2, 7).positions;
    assert_eq!(positions(Masking::bert()), PINNED_BERT);
    assert_eq!(positions(Masking::electra(false, 128)), PINNED_ELECTRA);
}

const PINNED_BERT: [u32; 19] = [
    10, 14, 18, 38, 43, 52, 56, 59, 70, 76, 79, 92, 93, 98, 106, 109, 113, 121, 125,
];
const PINNED_ELECTRA: [u32; 17] = [
    6, 9, 10, 14, 32, 34, 37, 42, 58, 77, 79, 90, 91, 99, 105, 107, 125,
];

#[test]
fn the_vocabulary_comes_from_the_tokenizer() {
    let tokenizer = train_tokenizer(
        ["a few words to learn from"].into_iter(),
        &TrainOptions::default(),
    )
    .unwrap();
    let vocabulary = MaskVocabulary::of(&tokenizer).unwrap();
    assert_eq!(vocabulary.size as usize, tokenizer.vocab_size());
    assert_eq!(Some(vocabulary.mask), tokenizer.mask_id());
    assert_eq!(vocabulary.special.len(), 5);
}

#[test]
fn presets_are_right_and_survive_json() {
    for masking in presets() {
        masking.check(true).unwrap();
        let json = serde_json::to_string(&masking).unwrap();
        assert_eq!(serde_json::from_str::<Masking>(&json).unwrap(), masking);
    }
    let json = r#"{"rate": 0.3, "unit": "whole-word"}"#;
    let expected = Masking {
        rate: 0.3,
        ..Masking::whole_word()
    };
    assert_eq!(serde_json::from_str::<Masking>(json).unwrap(), expected);
    assert!(serde_json::from_str::<Masking>(r#"{"ratio": 0.3}"#).is_err());
}

#[test]
fn all_problems_are_told_at_once() {
    let wrong = Masking {
        rate: f64::NAN,
        mask_share: 1.2,
        random_share: -0.1,
        random_special: true,
        unit: MaskUnit::Span {
            probability: 0.0,
            longest: 0,
        },
        with_replacement: true,
        max_predictions: Some(0),
    };
    let told: Vec<String> = wrong
        .check(true)
        .unwrap_err()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        told,
        [
            "`rate` is NaN, expected more than 0 to 1",
            "`mask_share` is 1.2, expected 0 to 1",
            "`random_share` is -0.1, expected 0 to 1",
            "`span.probability` is 0, expected more than 0 to 1",
            "`max_predictions` is 0, expected at least 1",
            "`span.longest` is 0, expected at least 1",
            "`with_replacement` draws single tokens, but the unit is not `token`",
        ]
    );
    let shares = Masking {
        mask_share: 0.8,
        random_share: 0.3,
        ..Masking::bert()
    };
    let problems = shares.check(true).unwrap_err();
    assert_eq!(
        problems,
        [MaskingError::Shares {
            mask: 0.8,
            random: 0.3
        }]
    );
    let thirds = Masking {
        mask_share: 0.7,
        random_share: 0.3,
        ..Masking::bert()
    };
    thirds.check(true).unwrap();
    let problems = Masking::whole_word().check(false).unwrap_err();
    assert_eq!(problems, [MaskingError::NoWords]);
    assert!(problems[0].hint().is_some());
    Masking::span().check(false).unwrap();
}

/// Words of random lengths, with special tokens between some of them, as between documents and segments.
fn sequences() -> impl Strategy<Value = Sequence> {
    let words = prop::collection::vec((1usize..6, prop::bool::weighted(0.1)), 0..60);
    words.prop_map(|words| {
        let lengths: Vec<usize> = words.iter().map(|(tokens, _)| *tokens).collect();
        let mut sequence = sequence(&lengths);
        let mut position = 1;
        for (tokens, separator) in words {
            if separator {
                (sequence.ids[position], sequence.special[position]) = (3, true);
            }
            position += tokens;
        }
        sequence
    })
}

fn maskings() -> impl Strategy<Value = Masking> {
    let unit = prop_oneof![
        Just(MaskUnit::Token),
        Just(MaskUnit::WholeWord),
        (0.05..1.0, 1usize..12).prop_map(|(probability, longest)| MaskUnit::Span {
            probability,
            longest
        }),
    ];
    let most = prop::option::of(1usize..40);
    (
        0.01..1.0,
        0.0..0.7,
        0.0..0.3,
        any::<bool>(),
        unit,
        any::<bool>(),
        most,
    )
        .prop_map(
            |(rate, mask_share, random_share, random_special, unit, replace, max_predictions)| {
                Masking {
                    rate,
                    mask_share,
                    random_share,
                    random_special,
                    unit,
                    with_replacement: replace && unit == MaskUnit::Token,
                    max_predictions,
                }
            },
        )
}

proptest! {
    #[test]
    fn only_text_is_masked_and_targets_are_what_was_there(
        sequence in sequences(),
        masking in maskings(),
        (seed, pass, index) in any::<(u64, u64, u64)>(),
    ) {
        masking.check(true).unwrap();
        let masked = masking.mask(&sequence, &vocabulary(), seed, pass, index);
        prop_assert_eq!(&masked, &masking.mask(&sequence, &vocabulary(), seed, pass, index));
        prop_assert_eq!(masked.input_ids.len(), sequence.ids.len());
        prop_assert_eq!(masked.positions.len(), masked.targets.len());
        prop_assert!(masked.positions.windows(2).all(|pair| pair[0] < pair[1]));
        let mut predicted = vec![false; sequence.ids.len()];
        for (&position, &target) in masked.positions.iter().zip(&masked.targets) {
            let position = position as usize;
            prop_assert!(!sequence.special[position]);
            prop_assert_eq!(target, sequence.ids[position]);
            prop_assert!(masked.input_ids[position] < VOCABULARY);
            predicted[position] = true;
        }
        for (position, predicted) in predicted.iter().enumerate() {
            if !predicted {
                prop_assert_eq!(masked.input_ids[position], sequence.ids[position]);
            }
        }

        let text = sequence.special.iter().filter(|special| !**special).count();
        let budget = masking.predictions(sequence.ids.len());
        prop_assert!(masked.positions.len() <= budget);
        if masking.unit == MaskUnit::Token {
            if masking.with_replacement {
                prop_assert_eq!(masked.positions.is_empty(), text == 0);
            } else {
                prop_assert_eq!(masked.positions.len(), budget.min(text));
            }
        } else {
            // Words are masked as a whole, and no unmasked word would still fit.
            let room = budget - masked.positions.len();
            for word in words(&sequence) {
                let found = word.clone().filter(|&position| predicted[position as usize]).count();
                prop_assert!(found == 0 || found == word.len());
                prop_assert!(found > 0 || word.len() > room);
            }
        }
    }
}
