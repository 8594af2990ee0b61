//! Parity with scikit-learn and SciPy, value by value.
//!
//! `golden/metrics.json` holds inputs and the answers of the reference libraries; `BERTKIT_METRICS_JSON` names another
//! file of the same shape, for instance one made with another seed. `golden/odd_cases.json` holds the edges: equal
//! scores, classes without rows, labels on every row; `golden/make_odd_cases.py` makes it.
//!
//! The probabilities in `metrics.json` are rounded to 12 decimals after they were scored. In the case of coarse logits
//! this makes scores equal that were not, so the area under a curve that it expects is not the area of the numbers it
//! holds (scikit-learn, given these, agrees with us and not with the file). There the test asks that the expected value
//! lie within what rounding can hide. Equal scores are compared strictly in `odd_cases.json`, which is not rounded.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::path::PathBuf;

use bertkit_evaluation::{
    BootstrapOptions, ClassPredictions, Metric, MultiLabelPredictions, Predictions,
    ScorePredictions, evaluate, score,
};
use serde_json::{Map, Value};

const TOLERANCE: f64 = 1e-9;
const AVERAGES: [&str; 4] = ["micro", "macro", "weighted", "samples"];

/// Half a unit of the last decimal of the probabilities in `metrics.json`, less a margin for `f64`.
const ROUNDING: f64 = 4.9e-13;

/// The cases of a section in both files, at least one in each; with a name for messages.
fn cases(section: &str) -> Vec<(String, Value)> {
    let own = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let given = std::env::var_os("BERTKIT_METRICS_JSON").map(PathBuf::from);
    let mut all = Vec::new();
    for path in [
        given.unwrap_or_else(|| own.join("metrics.json")),
        own.join("odd_cases.json"),
    ] {
        let path = path.display().to_string();
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        let cases = serde_json::from_str::<Value>(&text).unwrap()[section]
            .as_array()
            .unwrap()
            .clone();
        assert!(!cases.is_empty(), "{path} has no {section}");
        let named = cases.into_iter().enumerate();
        all.extend(named.map(|(number, case)| (format!("{path}, {section} {number}"), case)));
    }
    all
}

fn numbers(value: &Value) -> Vec<f64> {
    value
        .as_array()
        .unwrap()
        .iter()
        .map(|value| value.as_f64().unwrap())
        .collect()
}

fn matrix(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().flat_map(numbers).collect()
}

fn names(count: usize) -> Vec<String> {
    (0..count).map(|class| format!("class {class}")).collect()
}

/// Compares every expected number or null; returns the keys that no metric is named after.
fn compare(
    case: &str,
    predictions: &Predictions,
    expected: &Map<String, Value>,
) -> BTreeSet<String> {
    let report = evaluate(predictions, &BootstrapOptions::none());
    let check = |metric: Metric, expected: &Value| {
        let estimate = report
            .metric(metric)
            .unwrap_or_else(|| panic!("{case} has no {metric}"));
        assert_eq!(
            score(predictions, metric).ok(),
            estimate.value,
            "{case}: {metric} alone"
        );
        if let (Some(expected), Some((low, high))) = (
            expected.as_f64(),
            hidden_by_rounding(case, predictions, metric),
        ) {
            let range = low - TOLERANCE..=high + TOLERANCE;
            assert!(
                range.contains(&expected),
                "{case}: {metric} is expected to be {expected}, not in {range:?}"
            );
            return;
        }
        match (expected.as_f64(), estimate.value) {
            (Some(expected), Some(found)) => {
                assert!(
                    (expected - found).abs() < TOLERANCE,
                    "{case}: {metric} is {found}, expected {expected}"
                );
            }
            (None, None) => assert!(estimate.undefined.is_some()),
            (expected, found) => {
                panic!("{case}: {metric} is {found:?}, expected {expected:?}")
            }
        }
    };
    let mut other = BTreeSet::new();
    let mut compared = BTreeSet::new();
    for (key, value) in expected {
        let suffix = match key.as_str() {
            "binary" => Some(String::new()),
            average if AVERAGES.contains(&average) => Some(format!("_{average}")),
            _ => None,
        };
        if let Some(suffix) = suffix {
            for (name, value) in value.as_object().unwrap() {
                let metric = format!("{name}{suffix}").parse().unwrap();
                check(metric, value);
                compared.insert(metric);
            }
        } else if let Ok(metric) = key.parse() {
            check(metric, value);
            compared.insert(metric);
        } else {
            other.insert(key.clone());
        }
    }
    if expected.contains_key("binary") {
        check(Metric::Specificity, &expected["per_class"]["recall"][0]);
        compared.insert(Metric::Specificity);
    }
    let reported: BTreeSet<_> = report.metrics.iter().map(|(metric, _)| *metric).collect();
    assert_eq!(compared, reported, "{case}: every metric is compared");
    other
}

/// The least and the greatest value that the unrounded probabilities can have, if rounding made scores equal.
fn hidden_by_rounding(case: &str, predictions: &Predictions, metric: Metric) -> Option<(f64, f64)> {
    let Predictions::Classes(p) = predictions else {
        return None;
    };
    if !matches!(metric, Metric::RocAuc | Metric::AveragePrecision)
        || case.contains("odd_cases.json")
    {
        return None;
    }
    let positive = |row: usize| p.probabilities[2 * row + 1];
    let rows = 0..p.labels.len();
    let tied = |a: usize| {
        rows.clone()
            .any(|b| p.labels[a] != p.labels[b] && positive(a) == positive(b))
    };
    if !rows.clone().any(tied) {
        return None;
    }
    let shifted = |by: f64, apart: f64| {
        let mut p = p.clone();
        for row in rows.clone().filter(|&row| p.labels[row] == 1) {
            p.probabilities[2 * row + 1] += by + apart * row as f64;
        }
        score(&Predictions::Classes(p), metric).ok()
    };
    // At worst a positive comes below the negatives it is tied with, and the positives one after the other, for those
    // that share a score share the precision at the last of them.
    let apart = ROUNDING / 2.0 / rows.len() as f64;
    shifted(-ROUNDING, apart).zip(shifted(ROUNDING, 0.0))
}

#[test]
fn golden_classification_agrees_with_scikit_learn() {
    for (name, case) in &cases("classification") {
        let labels: Vec<usize> = numbers(&case["labels"])
            .iter()
            .map(|&label| label as usize)
            .collect();
        let classes = case["probabilities"][0].as_array().unwrap().len();
        let positive = (classes == 2).then_some(1);
        let probabilities = matrix(&case["probabilities"]);
        let predictions = Predictions::Classes(ClassPredictions::from_probabilities(
            names(classes),
            labels,
            probabilities,
            positive,
        ));
        let expected = case["expected"].as_object().unwrap();
        let other = compare(name, &predictions, expected);
        assert_eq!(
            other.iter().collect::<Vec<_>>(),
            ["confusion_matrix", "per_class"]
        );

        let report = evaluate(&predictions, &BootstrapOptions::none());
        let found = serde_json::to_value(report.confusion_matrix.unwrap().rows).unwrap();
        assert_eq!(found, expected["confusion_matrix"], "{name}");
        for (class, (_, found)) in report.per_class.iter().enumerate() {
            let expected = |name: &str| expected["per_class"][name][class].as_f64().unwrap();
            for (of, found) in [
                ("precision", &found.precision),
                ("recall", &found.recall),
                ("f1", &found.f1),
            ] {
                let (found, expected) = (found.value.unwrap(), expected(of));
                assert!(
                    (found - expected).abs() < TOLERANCE,
                    "{name}: {of} of {class} is {found}"
                );
            }
            assert_eq!(found.support as f64, expected("support"), "{name}");
        }
    }
}

#[test]
fn golden_multilabel_agrees_with_scikit_learn() {
    for (name, case) in &cases("multilabel") {
        let classes = case["labels"][0].as_array().unwrap().len();
        let predictions = Predictions::MultiLabel(MultiLabelPredictions {
            classes: names(classes),
            labels: matrix(&case["labels"])
                .iter()
                .map(|&label| label == 1.0)
                .collect(),
            scores: matrix(&case["scores"]),
            thresholds: vec![case["threshold"].as_f64().unwrap(); classes],
        });
        let other = compare(name, &predictions, case["expected"].as_object().unwrap());
        assert_eq!(other, BTreeSet::new());
    }
}

#[test]
fn golden_regression_agrees_with_scikit_learn_and_scipy() {
    for (name, case) in &cases("regression") {
        let predictions = Predictions::Scores(ScorePredictions {
            targets: numbers(&case["targets"]),
            predictions: numbers(&case["predictions"]),
        });
        let other = compare(name, &predictions, case["expected"].as_object().unwrap());
        assert_eq!(other, BTreeSet::new());
    }
}
