#![allow(clippy::unwrap_used)]
use super::*;
use crate::{
    BootstrapOptions, ClassPredictions, MultiLabelPredictions, Predictions, ScorePredictions,
    evaluate,
};

fn binary(labels: Vec<usize>, scores: &[f64]) -> Predictions {
    let probabilities = scores.iter().flat_map(|&p| [1.0 - p, p]).collect();
    let classes = vec!["no".into(), "yes".into()];
    Predictions::Classes(ClassPredictions::from_probabilities(
        classes,
        labels,
        probabilities,
        Some(1),
    ))
}

fn scores() -> Predictions {
    Predictions::Scores(ScorePredictions {
        targets: vec![1.0, 2.0, 4.0],
        predictions: vec![1.5, 1.5, 3.0],
    })
}

#[test]
fn json_has_the_documented_shape() {
    let predictions = binary(vec![0, 1, 1, 0], &[0.1, 0.9, 0.4, 0.2]);
    let report = evaluate(
        &predictions,
        &BootstrapOptions {
            resamples: 20,
            seed: 5,
            ..Default::default()
        },
    );
    let json = serde_json::to_value(&report).unwrap();
    let keys: Vec<_> = json.as_object().unwrap().keys().cloned().collect();
    assert_eq!(
        keys,
        [
            "task",
            "rows",
            "classes",
            "positive",
            "metrics",
            "per_class",
            "confusion_matrix",
            "bootstrap"
        ]
    );
    assert_eq!(json["task"], "binary");
    assert_eq!(json["rows"], 4);
    assert_eq!(json["classes"], serde_json::json!(["no", "yes"]));
    assert_eq!(json["positive"], "yes");
    assert_eq!(json["metrics"]["roc_auc"]["value"], 1.0);
    assert_eq!(json["metrics"]["roc_auc"].as_object().unwrap().len(), 3);
    assert_eq!(
        json["metrics"].as_object().unwrap().keys().next().unwrap(),
        "f1"
    );
    assert_eq!(json["per_class"]["yes"]["support"], 2);
    assert_eq!(json["per_class"]["yes"]["recall"]["value"], 0.5);
    assert_eq!(
        json["confusion_matrix"],
        serde_json::json!({"labels": ["no", "yes"], "rows": [[2, 0], [1, 1]]})
    );
    assert_eq!(
        json["bootstrap"],
        serde_json::json!({"resamples": 20, "confidence": 0.95, "seed": 5, "stratified": true})
    );
}

#[test]
fn undefined_metrics_are_null_with_a_reason() {
    let report = evaluate(
        &binary(vec![1, 1], &[0.1, 0.9]),
        &BootstrapOptions::default(),
    );
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(
        json["metrics"]["roc_auc"],
        serde_json::json!({"value": null, "low": null, "high": null, "undefined": "every row is of class `yes`"})
    );
}

#[test]
fn reports_read_back_from_json() {
    let labels = MultiLabelPredictions {
        classes: vec!["a".into(), "b".into()],
        labels: vec![true, false, true, true, false, false],
        scores: vec![0.9, 0.2, 0.4, 0.8, 0.6, 0.1],
        thresholds: vec![0.5, 0.5],
    };
    let groups = Some(vec![0, 0, 1]);
    for predictions in [
        binary(vec![0, 1, 9], &[0.1, 0.9, 0.4]),
        Predictions::MultiLabel(labels),
        scores(),
    ] {
        for groups in [None, groups.clone()] {
            let options = BootstrapOptions {
                resamples: 30,
                groups,
                ..Default::default()
            };
            let report = evaluate(&predictions, &options);
            let json = serde_json::to_string(&report).unwrap();
            assert_eq!(serde_json::from_str::<Report>(&json).unwrap(), report);
        }
        let report = evaluate(&predictions, &BootstrapOptions::none());
        assert_eq!(report.bootstrap, None);
        let json = serde_json::to_string(&report).unwrap();
        assert_eq!(serde_json::from_str::<Report>(&json).unwrap(), report);
    }
}

#[test]
fn a_table_shows_values_intervals_classes_and_confusion() {
    let mut report = evaluate(
        &binary(vec![0, 1, 1, 5], &[0.1, 0.9, 0.4, 0.8]),
        &BootstrapOptions::none(),
    );
    report.metrics.truncate(3);
    let expected = "\
binary, 4 rows, positive class `yes`

metric     value
f1        0.5000
roc_auc   1.0000
accuracy  0.5000

class  precision  recall  f1      support
no     0.5000     1.0000  0.6667        1
yes    0.5000     0.5000  0.5000        2

true \\ predicted  no  yes
no                 1    0
yes                1    1
unseen             0    1
";
    assert_eq!(report.table(), expected);
}

#[test]
fn a_table_names_the_bootstrap_and_reasons_for_what_is_missing() {
    let mut report = evaluate(
        &scores(),
        &BootstrapOptions {
            groups: Some(vec![1; 3]),
            ..Default::default()
        },
    );
    report.metrics.truncate(2);
    report.metrics[1].1 = Estimate {
        undefined: Some("all predictions are equal".into()),
        ..Default::default()
    };
    assert_eq!(
        report.table(),
        "\
regression, 3 rows
95% intervals: percentile bootstrap, 1000 resamples of 1 group, seed 0

metric     value  95% interval
pearson   0.9449  none: there are fewer than two groups to draw from
spearman  undefined: all predictions are equal
"
    );
}

#[test]
fn a_table_leaves_out_a_large_confusion_matrix() {
    let predictions = |classes: usize| {
        Predictions::Classes(ClassPredictions {
            classes: (0..classes).map(|class| format!("class {class}")).collect(),
            labels: vec![0, 1],
            predicted: vec![0, 1],
            probabilities: vec![],
            positive: None,
            averaged: None,
        })
    };
    let table = |classes| evaluate(&predictions(classes), &BootstrapOptions::none()).table();
    assert!(table(12).contains("predicted"));
    assert!(!table(13).contains("predicted"));
}

#[test]
fn small_and_large_numbers_keep_their_digits() {
    let mut report = evaluate(&scores(), &BootstrapOptions::none());
    report.metrics.truncate(1);
    let mut shown = |value| {
        report.metrics[0].1.value = Some(value);
        report
            .table()
            .lines()
            .last()
            .unwrap()
            .split_whitespace()
            .last()
            .unwrap()
            .to_owned()
    };
    assert_eq!(shown(0.0), "0.0000");
    assert_eq!(shown(-0.25), "-0.2500");
    assert_eq!(shown(0.00001234), "1.234e-5");
    assert_eq!(shown(12_345_678.0), "1.235e7");
}
