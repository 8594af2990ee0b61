#![allow(clippy::unwrap_used)]

use std::fs;
use std::sync::Arc;

use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::characters::Characters;
use crate::tokenizer::{
    TextTokenizer, TokenizerError, TokenizerFamily, TrainOptions, train_tokenizer,
};
use crate::windows::Stride;

fn question(text: &str, context: &Arc<str>, answer: Option<(&str, Option<usize>)>) -> Question {
    Question {
        id: text.into(),
        question: text.into(),
        context: context.clone(),
        answers: answer
            .map(|(text, start)| Answer {
                text: text.into(),
                start,
            })
            .into_iter()
            .collect(),
        impossible: answer.is_none(),
        labelled: true,
        title: None,
        line: None,
    }
}

fn letters() -> TextTokenizer {
    train_tokenizer(["a b c d e f g h ?"].into_iter(), &TrainOptions::default()).unwrap()
}

fn usize_of(value: &Value) -> usize {
    value.as_u64().unwrap() as usize
}

fn numbers(value: &Value) -> Vec<f64> {
    value
        .as_array()
        .unwrap()
        .iter()
        .map(|n| n.as_f64().unwrap())
        .collect()
}

fn assert_prediction(prediction: &Prediction, expected: &Value, what: &str) {
    assert_eq!(
        prediction.n_best.len(),
        usize_of(&expected["kept"]),
        "{what}"
    );
    let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-5, "{what}: {a} and {b}");
    close(prediction.null_score, expected["null"].as_f64().unwrap());
    if let Some(difference) = expected["difference"].as_f64() {
        close(prediction.score_difference(), difference);
    }
    for (found, expected) in prediction
        .n_best
        .iter()
        .zip(expected["n_best"].as_array().unwrap())
    {
        assert_eq!(found.text, expected[0].as_str().unwrap(), "{what}");
        assert_eq!(
            (found.start, found.end),
            (usize_of(&expected[1]), usize_of(&expected[2])),
            "{what}"
        );
        close(found.probability, expected[3].as_f64().unwrap());
    }
}

// Long because it compares one recorded case stage by stage.
#[test]
fn windows_targets_and_answers_are_those_of_run_qa() {
    let golden: Value =
        serde_json::from_str(include_str!("../../tests/golden/questions.json")).unwrap();
    let contexts: Vec<Arc<str>> = golden["contexts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|text| text.as_str().unwrap().into())
        .collect();
    for case in golden["cases"].as_array().unwrap() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(
            dir.path().join("tokenizer.json"),
            case["tokenizer"].to_string(),
        )
        .unwrap();
        let family = match case["name"].as_str().unwrap() {
            "roberta" => TokenizerFamily::Roberta,
            _ => TokenizerFamily::Bert,
        };
        let tokenizer = TextTokenizer::from_dir(dir.path(), family).unwrap();
        let expected = case["questions"].as_array().unwrap();
        let questions: Vec<Question> = expected
            .iter()
            .map(|expected| {
                let answer = expected["answer"].as_str();
                let start = expected["start"].as_u64().map(|start| start as usize);
                question(
                    expected["question"].as_str().unwrap(),
                    &contexts[usize_of(&expected["context"])],
                    answer.map(|text| (text, start)),
                )
            })
            .collect();
        let options = FeatureOptions {
            max_length: usize_of(&case["max_length"]),
            stride: Stride::Overlap(usize_of(&case["overlap"])),
            ..FeatureOptions::default()
        };
        let features = Features::new(&questions, &tokenizer, &options).unwrap();
        assert_eq!(features.contexts.len(), contexts.len());
        for (index, expected) in expected.iter().enumerate() {
            let what = format!("{} {index}", case["name"]);
            let range = features.of_question(index);
            let windows = expected["windows"].as_array().unwrap();
            assert_eq!(range.len(), windows.len(), "{what}");
            let mut scores: Vec<[Vec<f32>; 2]> = Vec::new();
            let context = &questions[index].context;
            let characters = Characters::new(context);
            for (window, expected) in range.zip(windows) {
                let encoding = features.encoding(window);
                let ids = |key: &str| -> Vec<u32> {
                    numbers(&expected[key])
                        .iter()
                        .map(|&id| id as u32)
                        .collect()
                };
                assert_eq!(encoding.ids, ids("ids"), "{what}");
                assert_eq!(encoding.type_ids, ids("type_ids"), "{what}");
                assert_eq!(features.lengths()[window], encoding.len());
                assert_eq!(
                    features.context_positions(window).start,
                    usize_of(&expected["first"])
                );
                let offsets: Vec<Vec<f64>> = expected["offsets"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(numbers)
                    .collect();
                let spans: Vec<Vec<f64>> = features
                    .spans(window)
                    .iter()
                    .map(|&(from, to)| {
                        [from, to]
                            .map(|byte| characters.character(byte as usize) as f64)
                            .to_vec()
                    })
                    .collect();
                assert_eq!(spans, offsets, "{what}");
                let target = &expected["target"];
                assert_eq!(
                    features.windows()[window].target,
                    Some((usize_of(&target[0]), usize_of(&target[1]))),
                    "{what}"
                );
                let of = |at: usize| {
                    numbers(&expected["scores"][at])
                        .iter()
                        .map(|&s| s as f32)
                        .collect()
                };
                scores.push([of(0), of(1)]);
            }
            let scores: Vec<WindowScores<'_>> = scores
                .iter()
                .map(|[start, end]| WindowScores::Tokens { start, end })
                .collect();
            for (key, impossible, max_context) in [
                ("plain", false, false),
                ("impossible", true, false),
                ("max_context", true, true),
            ] {
                let options = DecodeOptions {
                    n_best: usize_of(&golden["n_best"]),
                    max_answer_length: usize_of(&golden["longest"]),
                    impossible,
                    max_context,
                };
                let prediction = features.decode(&questions[index], index, &scores, &options);
                assert_prediction(&prediction, &expected[key], &format!("{what} {key}"));
            }
        }
    }
}

#[test]
fn long_questions_are_cut_and_counted() {
    let context: Arc<str> = "a b c d".into();
    let questions = [
        question("a b c d e f?", &context, Some(("c d", Some(4)))),
        question("a?", &context, Some(("c", None))),
    ];
    let options = FeatureOptions {
        max_length: 9,
        max_question_length: 3,
        stride: Stride::Step(2),
    };
    let features = Features::new(&questions, &letters(), &options).unwrap();
    assert_eq!(features.shortened(), 1);
    let targets: Vec<_> = features
        .windows()
        .iter()
        .map(|window| window.target)
        .collect();
    // The first window has room for three tokens of the text; "c d" is in the second. The position of the last answer is
    // unknown.
    assert_eq!(targets, [Some((0, 0)), Some((5, 6)), None]);
    let batch = features.pack(&[1, 0]);
    assert_eq!(batch.lengths, [8, 9]);
    assert_eq!(batch.input_ids[..8], features.encoding(1).ids);
    assert_eq!(batch.token_type_ids[..8], [0, 0, 0, 0, 0, 1, 1, 1]);
}

#[test]
fn questions_that_leave_no_room_are_refused() {
    let context: Arc<str> = "a b c d a b c d".into();
    let questions = [question("a b c", &context, None)];
    let of = |max_length, stride| {
        let options = FeatureOptions {
            max_length,
            max_question_length: 64,
            stride,
        };
        Features::new(&questions, &letters(), &options)
    };
    assert!(matches!(
        of(6, Stride::Step(128)),
        Err(TokenizerError::MaxLength { special: 6, .. })
    ));
    assert!(matches!(
        of(9, Stride::Overlap(3)),
        Err(TokenizerError::Overlap {
            overlap: 3,
            room: 3
        })
    ));
    assert_eq!(of(9, Stride::Step(128)).unwrap().windows().len(), 3);
}

#[test]
fn a_head_may_propose_whole_answers() {
    let context: Arc<str> = "a b c".into();
    let questions = [question("a", &context, None)];
    let features = Features::new(&questions, &letters(), &FeatureOptions::default()).unwrap();
    let span = |start, end, score| SpanScore {
        start,
        end,
        start_score: score,
        end_score: 0.5,
    };
    let spans = [
        span(3, 4, 1.0),
        span(5, 5, 2.0),
        span(5, 4, 9.0),
        span(0, 3, 9.0),
    ];
    let scores = [WindowScores::Spans {
        spans: &spans,
        null: 2.75,
        odds: false,
    }];
    let options = DecodeOptions {
        impossible: true,
        ..DecodeOptions::default()
    };
    let prediction = features.decode(&questions[0], 0, &scores, &options);
    let texts: Vec<_> = prediction
        .n_best
        .iter()
        .map(|best| best.text.as_str())
        .collect();
    assert_eq!(texts, ["", "c", "a b"]);
    assert_eq!(prediction.score_difference(), 0.25);
    assert_eq!(prediction.text(None), "c");
    assert_eq!(
        (prediction.text(Some(0.2)), prediction.text(Some(0.3))),
        ("", "c")
    );
    // With log odds, the score difference does not depend on the answer's score.
    let scores = [WindowScores::Spans {
        spans: &spans,
        null: -0.5,
        odds: true,
    }];
    let prediction = features.decode(&questions[0], 0, &scores, &options);
    assert_eq!(prediction.score_difference(), -0.5);
    assert_eq!(
        (prediction.text(Some(-0.6)), prediction.text(Some(0.0))),
        ("", "c")
    );
}

#[test]
fn an_empty_text_has_a_window_and_no_answer() {
    let context: Arc<str> = "\u{1}".into();
    let questions = [question("a", &context, None)];
    let features = Features::new(&questions, &letters(), &FeatureOptions::default()).unwrap();
    let scores = [1.0; 4];
    let window = WindowScores::Tokens {
        start: &scores,
        end: &scores,
    };
    let prediction = features.decode(&questions[0], 0, &[window], &DecodeOptions::default());
    assert_eq!((prediction.text(None), prediction.null_score), ("", 2.0));
    assert_eq!(prediction.score_difference(), f64::INFINITY);
}

proptest! {
    #[test]
    fn the_answer_that_is_learnt_is_the_answer_that_is_read(
        words in prop::collection::vec("[a-h]{1,3}|é|語|😀", 1..60), from in 0usize..60, length in 1usize..4,
        max_length in 12usize..40, step in 1usize..12,
    ) {
        let context: Arc<str> = words.join(" ").into();
        let from = from % words.len();
        let to = (from + length).min(words.len());
        let start = words[..from].iter().map(|word| word.chars().count() + 1).sum();
        let answer = words[from..to].join(" ");
        let questions = [question("a b?", &context, Some((&answer, Some(start))))];
        let options = FeatureOptions { max_length, max_question_length: 64, stride: Stride::Step(step) };
        let features = Features::new(&questions, &letters(), &options).unwrap();
        let mut covered = 0;
        for (index, window) in features.windows().iter().enumerate() {
            prop_assert!(window.tokens.start <= covered);
            covered = window.tokens.end;
            let (first, last) = window.target.unwrap();
            if first == 0 {
                continue;
            }
            let offset = features.context_positions(index).start;
            let spans = features.spans(index);
            let text = &context[spans[first - offset].0 as usize..spans[last - offset].1 as usize];
            prop_assert_eq!(text, &answer);
        }
        prop_assert_eq!(covered, features.contexts[0].ids.len());
    }
}
