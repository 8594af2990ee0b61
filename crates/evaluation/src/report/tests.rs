#![allow(clippy::unwrap_used)]
use super::*;
use crate::{
    Answer, AnswerPredictions, BootstrapOptions, ClassPredictions, EntityPredictions, EntitySpan,
    MultiLabelPredictions, Predictions, ScorePredictions, SpanPredictions, evaluate,
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

fn tags(gold: &[&str], predicted: &[&str]) -> Predictions {
    let sentences = |side: &[&str]| -> Vec<Vec<String>> {
        let words = |tags: &&str| tags.split(' ').map(str::to_owned).collect();
        side.iter().map(words).collect()
    };
    Predictions::Entities(EntityPredictions {
        gold: sentences(gold),
        predicted: sentences(predicted),
    })
}

#[test]
fn a_table_of_entities_shows_the_schemes_side_by_side() {
    let predictions = tags(
        &["B-PER I-PER O B-LOC", "O B-LOC O"],
        &["I-PER I-PER O B-LOC", "O B-PER O"],
    );
    let report = evaluate(&predictions, &BootstrapOptions::none());
    let expected = "\
entities, 2 sentences, 7 words

average   entities   precision  recall  f1
micro     seqeval    0.6667     0.6667  0.6667
micro     strict     0.5000     0.3333  0.4000
micro     conlleval  0.6667     0.6667  0.6667
macro     seqeval    0.7500     0.7500  0.6667
macro     strict     0.5000     0.2500  0.3333
macro     conlleval  0.7500     0.7500  0.6667
weighted  seqeval    0.8333     0.6667  0.6667
weighted  strict     0.6667     0.3333  0.4444
weighted  conlleval  0.8333     0.6667  0.6667

accuracy of tags  0.7143

type  precision  recall  f1      support  f1 strict  f1 conlleval
LOC   1.0000     0.5000  0.6667        2     0.6667        0.6667
PER   0.5000     1.0000  0.6667        1     0.0000        0.6667
";
    assert_eq!(report.table(), expected);
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["task"], "entities");
    assert_eq!(json["entities"]["words"], 7);
    assert_eq!(json["entities"]["strict"]["PER"]["support"], 1);
    assert_eq!(json["metrics"]["f1_micro_strict"]["value"], 0.4);
}

#[test]
fn a_table_of_entities_leaves_out_a_scheme_that_does_not_apply_and_says_why() {
    let predictions = tags(&["S-PER O"], &["S-PER S-PER"]);
    let table = evaluate(&predictions, &BootstrapOptions::default()).table();
    assert!(!table.contains("micro     strict"), "{table}");
    assert!(
        table.contains("strict: undefined: row 0 has the tag `S-PER`, and IOB2 knows B, I and O"),
        "{table}"
    );
    assert!(
        table.contains("seqeval: no intervals: there are fewer than two rows to draw from"),
        "{table}"
    );
    let nothing = evaluate(&tags(&["O O"], &["O O"]), &BootstrapOptions::none()).table();
    assert!(
        nothing.contains("seqeval: undefined: neither truth nor predictions have an entity"),
        "{nothing}"
    );
}

fn spans() -> Predictions {
    let span = |start, end| EntitySpan {
        start,
        end,
        kind: "gene".into(),
    };
    Predictions::Spans(SpanPredictions {
        gold: vec![vec![span(0, 4)], vec![span(2, 5)], vec![]],
        predicted: vec![vec![span(0, 4), span(6, 9)], vec![span(2, 4)], vec![]],
    })
}

fn answers_or_none() -> Predictions {
    let answer = |gold: &[&str], predicted: &str, score| Answer {
        gold: gold.iter().map(|&text| text.to_owned()).collect(),
        predicted: predicted.into(),
        no_answer_score: Some(score),
    };
    Predictions::Answers(AnswerPredictions {
        questions: vec![
            answer(&["Paris"], "Paris", 0.25),
            answer(&["the Seine", "river Seine"], "the river", 0.5),
            answer(&[], "1999", 0.75),
        ],
        may_be_unanswerable: true,
        no_answer_threshold: Some(0.375),
    })
}

#[test]
fn a_table_of_spans_has_one_scheme() {
    let report = evaluate(&spans(), &BootstrapOptions::none());
    let expected = "\
spans, 3 texts

average  precision  recall  f1
micro    0.3333     0.5000  0.4000

type  precision  recall  f1      support
gene  0.3333     0.5000  0.4000        2
";
    assert_eq!(report.table(), expected);
}

#[test]
fn a_table_of_answers_tells_the_thresholds() {
    let report = evaluate(&answers_or_none(), &BootstrapOptions::none());
    let expected = "\
answers_or_none, 3 questions, 1 without an answer

metric                   value
f1                      0.6667
exact_match             0.6667
f1_has_answer           0.5000
exact_match_has_answer  0.5000
f1_no_answer            1.0000
exact_match_no_answer   1.0000
best_f1                 0.8889
best_exact_match        0.6667

no answer above 0.3750

best thresholds for no answer on these questions: 0.5000 (f1), 0.2500 (exact_match)
";
    assert_eq!(report.table(), expected);
}

#[test]
fn averages_over_some_classes_are_told() {
    let Predictions::Classes(mut p) = binary(vec![0, 1, 1], &[0.2, 0.7, 0.9]) else {
        unreachable!()
    };
    p.averaged = Some(vec![1]);
    let report = evaluate(&Predictions::Classes(p), &BootstrapOptions::none());
    assert_eq!(report.averaged, Some(vec!["yes".to_owned()]));
    assert!(report.table().contains("averages over `yes`"));
}

#[test]
fn reports_of_entities_and_answers_read_back_from_json() {
    let entities = tags(
        &["B-PER O", "B-X I-X", "O O"],
        &["B-PER O", "B-X O", "O I-Y"],
    );
    for predictions in [entities, spans(), answers_or_none()] {
        let options = BootstrapOptions {
            resamples: 30,
            ..Default::default()
        };
        let report = evaluate(&predictions, &options);
        let json = serde_json::to_string(&report).unwrap();
        assert_eq!(serde_json::from_str::<Report>(&json).unwrap(), report);
        let json = serde_json::to_string(&predictions).unwrap();
        assert_eq!(
            serde_json::from_str::<Predictions>(&json).unwrap(),
            predictions
        );
        for (metric, estimate) in &report.metrics {
            assert!(estimate.low.is_some(), "{metric}: {estimate:?}");
        }
    }
}
