//! Parity with seqeval, conlleval, SQuAD's scripts and BioASQ's measures, value by value.
//!
//! `golden/metrics.json` and `golden/text_metrics.json` hold inputs and the answers of the reference programs;
//! `BERTKIT_METRICS_JSON` and `BERTKIT_TEXT_METRICS_JSON` name other files of the same shapes, for instance made with
//! other seeds.
#![allow(clippy::unwrap_used)]

use std::path::PathBuf;

use bertkit_evaluation::{
    Answer, AnswerPredictions, BootstrapOptions, ClassPredictions, ClassReport, EntityPredictions,
    FactoidPredictions, Metric, Predictions, RankedAnswers, Report, evaluate, score,
};
use serde_json::Value;

const TOLERANCE: f64 = 1e-9;

/// The cases of a section, at least one, with a name for messages.
fn cases(file: &str, variable: &str, section: &str) -> Vec<(String, Value)> {
    let own = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let path = std::env::var_os(variable).map_or_else(|| own.join(file), PathBuf::from);
    let path = path.display().to_string();
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let cases = serde_json::from_str::<Value>(&text).unwrap()[section]
        .as_array()
        .unwrap()
        .clone();
    assert!(!cases.is_empty(), "{path} has no {section}");
    let named = cases.into_iter().enumerate();
    named
        .map(|(number, case)| (format!("{path}, {section} {number}"), case))
        .collect()
}

fn common(section: &str) -> Vec<(String, Value)> {
    cases("metrics.json", "BERTKIT_METRICS_JSON", section)
}

fn odd(section: &str) -> Vec<(String, Value)> {
    cases("text_metrics.json", "BERTKIT_TEXT_METRICS_JSON", section)
}

fn close(case: &str, what: &str, found: Option<f64>, expected: f64, tolerance: f64) {
    let found = found.unwrap_or_else(|| panic!("{case}: {what} is undefined, expected {expected}"));
    assert!(
        (found - expected).abs() < tolerance,
        "{case}: {what} is {found}, expected {expected}"
    );
}

fn report(predictions: &Predictions) -> Report {
    let report = evaluate(predictions, &BootstrapOptions::none());
    for (metric, estimate) in &report.metrics {
        let alone = score(predictions, *metric);
        assert_eq!(alone.clone().ok(), estimate.value, "{metric} alone");
        let reason = alone.err().map(|reason| reason.to_string());
        assert_eq!(reason, estimate.undefined, "{metric} alone");
    }
    report
}

fn texts(value: &Value) -> Vec<String> {
    serde_json::from_value(value.clone()).unwrap()
}

/// Compares what one mode of seqeval says, given the suffix of its metrics and the types found.
fn compare_seqeval(
    case: &str,
    report: &Report,
    suffix: &str,
    types: &[(String, ClassReport)],
    expected: &Value,
) {
    let per_type = expected["per_type"].as_object().unwrap();
    for average in ["micro", "macro", "weighted"] {
        for name in ["precision", "recall", "f1"] {
            let metric: Metric = format!("{name}_{average}{suffix}").parse().unwrap();
            let found = report.metric(metric).unwrap().value;
            if per_type.is_empty() {
                // Without entities seqeval warns and gives 0.
                assert_eq!(found, None, "{case}: {metric}");
                continue;
            }
            let expected = expected[average][name].as_f64().unwrap();
            close(case, metric.name(), found, expected, TOLERANCE);
        }
    }
    let names: Vec<_> = types.iter().map(|(name, _)| name).collect();
    assert_eq!(names, per_type.keys().collect::<Vec<_>>(), "{case}");
    for (name, found) in types {
        let expected = &per_type[name];
        let expected_f1 = expected.get("f1").or(expected.get("f1-score")).unwrap();
        for (estimate, expected) in [
            (&found.precision, &expected["precision"]),
            (&found.recall, &expected["recall"]),
            (&found.f1, expected_f1),
        ] {
            let expected = expected.as_f64().unwrap();
            close(case, name, estimate.value, expected, TOLERANCE);
        }
        assert_eq!(
            found.support as u64,
            expected["support"].as_u64().unwrap(),
            "{case}"
        );
    }
}

fn compare_entities(case: &str, value: &Value) -> Report {
    let predictions = Predictions::Entities(EntityPredictions {
        gold: serde_json::from_value(value["gold"].clone()).unwrap(),
        predicted: serde_json::from_value(value["predicted"].clone()).unwrap(),
    });
    let report = report(&predictions);
    let expected = &value["expected"];
    compare_seqeval(case, &report, "", &report.per_class, &expected["default"]);
    let strict = &report.entities.as_ref().unwrap().strict;
    if expected["strict_iob2"].is_null() {
        let refused = report.metric(Metric::F1MicroStrict).unwrap();
        assert!(refused.undefined.as_ref().unwrap().contains("IOB2"));
        assert!(strict.is_empty());
    } else {
        compare_seqeval(case, &report, "_strict", strict, &expected["strict_iob2"]);
    }
    let accuracy = report.metric(Metric::Accuracy).unwrap().value;
    let expected = expected["token_accuracy"].as_f64().unwrap();
    close(case, "accuracy", accuracy, expected, TOLERANCE);
    report
}

#[test]
fn golden_entities_agree_with_seqeval() {
    for (name, case) in &common("entities") {
        compare_entities(name, case);
    }
}

#[test]
fn odd_tags_agree_with_seqeval_and_conlleval() {
    for (name, case) in &odd("entities") {
        let report = compare_entities(name, case);
        let expected = &case["expected"]["conlleval"];
        let count = |of: &str| expected[of].as_f64().unwrap();
        let (gold, predicted, correct) = (count("gold"), count("predicted"), count("correct"));
        for (metric, expected) in [
            (Metric::PrecisionMicroConlleval, correct / predicted),
            (Metric::RecallMicroConlleval, correct / gold),
            (Metric::F1MicroConlleval, 2.0 * correct / (gold + predicted)),
        ] {
            let found = report.metric(metric).unwrap().value;
            close(name, metric.name(), found, expected, TOLERANCE);
        }
        // The script prints percent with two decimals, and leaves out entities without a type.
        let types = &report.entities.as_ref().unwrap().conlleval;
        let types: Vec<_> = types.iter().filter(|(kind, _)| kind != "_").collect();
        let per_type = expected["per_type"].as_object().unwrap();
        assert_eq!(types.len(), per_type.len(), "{name}");
        for (kind, found) in types {
            for (estimate, of) in [
                (&found.precision, "precision"),
                (&found.recall, "recall"),
                (&found.f1, "f1"),
            ] {
                let expected = per_type[kind][of].as_f64().unwrap() / 100.0;
                close(name, kind, estimate.value, expected, 5.1e-5);
            }
        }
    }
}

#[test]
fn golden_answers_agree_with_the_squad_script() {
    for (name, case) in &common("squad") {
        let tolerance = case["tolerance"].as_f64().unwrap();
        let predicted = texts(&case["predictions"]);
        let gold: Vec<Vec<String>> = serde_json::from_value(case["answers"].clone()).unwrap();
        let questions: Vec<Answer> = predicted
            .into_iter()
            .zip(gold)
            .map(|(predicted, gold)| Answer {
                gold,
                predicted,
                no_answer_score: None,
            })
            .collect();
        let compare = |case: &str, questions: Vec<Answer>, expected: &Value| {
            let report = report(&Predictions::Answers(AnswerPredictions {
                questions,
                ..Default::default()
            }));
            for (metric, key) in [(Metric::ExactMatch, "exact_match"), (Metric::F1, "f1")] {
                let percent = report
                    .metric(metric)
                    .unwrap()
                    .value
                    .map(|value| 100.0 * value);
                close(
                    case,
                    key,
                    percent,
                    expected[key].as_f64().unwrap(),
                    tolerance,
                );
            }
        };
        for (row, question) in questions.iter().enumerate() {
            compare(
                &format!("{name}, question {row}"),
                vec![question.clone()],
                &case["per_example"][row],
            );
        }
        compare(name, questions, &case["expected"]);
    }
}

#[test]
fn answers_or_none_agree_with_the_script_of_squad_2() {
    for (name, case) in &odd("squad2") {
        let questions: Vec<Answer> = serde_json::from_value(case["questions"].clone()).unwrap();
        let of = |questions: Vec<Answer>, no_answer_threshold| {
            report(&Predictions::Answers(AnswerPredictions {
                questions,
                may_be_unanswerable: true,
                no_answer_threshold,
            }))
        };
        for (question, raw) in questions.iter().zip(case["raw"].as_array().unwrap()) {
            let report = of(vec![question.clone()], None);
            for (metric, raw) in [(Metric::ExactMatch, &raw[0]), (Metric::F1, &raw[1])] {
                let what = format!("{metric} of {question:?}");
                let found = report.metric(metric).unwrap().value;
                close(name, &what, found, raw.as_f64().unwrap(), TOLERANCE);
            }
        }
        let report = of(questions, case["threshold"].as_f64());
        let expected = |key: &str| case["expected"][key].as_f64().unwrap();
        for (metric, key) in [
            (Metric::ExactMatch, "exact"),
            (Metric::F1, "f1"),
            (Metric::ExactMatchHasAnswer, "HasAns_exact"),
            (Metric::F1HasAnswer, "HasAns_f1"),
            (Metric::ExactMatchNoAnswer, "NoAns_exact"),
            (Metric::F1NoAnswer, "NoAns_f1"),
            (Metric::BestExactMatch, "best_exact"),
            (Metric::BestF1, "best_f1"),
        ] {
            let found = report.metric(metric).unwrap().value;
            close(name, key, found, expected(key) / 100.0, TOLERANCE);
        }
        let answers = report.answers.unwrap();
        let thresholds = [
            answers.best_exact_match_threshold,
            answers.best_f1_threshold,
        ];
        let keys = ["best_exact_thresh", "best_f1_thresh"];
        assert_eq!(thresholds, keys.map(|key| Some(expected(key))), "{name}");
        let totals = [answers.with_answer, answers.without_answer].map(|count| count as f64);
        assert_eq!(
            totals,
            ["HasAns_total", "NoAns_total"].map(expected),
            "{name}"
        );
    }
}

#[test]
fn golden_factoid_answers_agree_with_bioasq() {
    for (name, case) in &common("factoid") {
        let rows =
            |key: &str| -> Vec<Vec<String>> { serde_json::from_value(case[key].clone()).unwrap() };
        let questions = rows("answers").into_iter().zip(rows("ranked"));
        let report = report(&Predictions::Factoid(FactoidPredictions {
            questions: questions
                .map(|(gold, ranked)| RankedAnswers { gold, ranked })
                .collect(),
        }));
        let expected = case["expected"].as_object().unwrap();
        assert_eq!(expected.len(), report.metrics.len());
        for (key, expected) in expected {
            let found = report.metric(key.parse().unwrap()).unwrap().value;
            close(name, key, found, expected.as_f64().unwrap(), TOLERANCE);
        }
    }
}

#[test]
fn averages_over_some_classes_are_those_of_scikit_learn() {
    // precision_recall_fscore_support(labels, predicted, labels=[0, 1], average=...)
    let mut p = ClassPredictions {
        classes: ["up", "down", "none"].map(str::to_owned).to_vec(),
        labels: vec![0, 0, 0, 1, 1, 2, 2, 2, 2, 0],
        predicted: vec![0, 0, 2, 1, 0, 2, 2, 0, 1, 2],
        ..Default::default()
    };
    let of =
        |p: &ClassPredictions, metric| score(&Predictions::Classes(p.clone()), metric).unwrap();
    assert_eq!(of(&p, Metric::F1Micro), of(&p, Metric::Accuracy));
    p.averaged = Some(vec![0, 1]);
    for (metric, expected) in [
        (Metric::PrecisionMicro, 0.5),
        (Metric::RecallMicro, 0.5),
        (Metric::F1Micro, 0.5),
        (Metric::F1Macro, 0.5),
        (Metric::RecallWeighted, 0.5),
        (Metric::Accuracy, 0.5),
    ] {
        let found = Some(of(&p, metric));
        close("some classes", metric.name(), found, expected, TOLERANCE);
    }
    p.predicted[8] = 2;
    for (metric, expected) in [
        (Metric::PrecisionMicro, 0.6),
        (Metric::PrecisionMacro, 0.75),
        (Metric::F1Micro, 6.0 / 11.0),
        (Metric::F1Weighted, (0.5 * 4.0 + 2.0 / 3.0 * 2.0) / 6.0),
        (Metric::Accuracy, 0.6),
    ] {
        let found = Some(of(&p, metric));
        close("some classes", metric.name(), found, expected, TOLERANCE);
    }
}
