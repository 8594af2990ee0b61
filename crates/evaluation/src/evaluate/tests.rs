#![allow(clippy::unwrap_used)]
use super::*;
use crate::predictions::ScorePredictions;

fn names(count: usize) -> Vec<String> {
    (0..count).map(|class| format!("class {class}")).collect()
}

/// Better-than-chance predictions for `rows` rows, from a small congruential generator.
fn sample(rows: usize, classes: usize) -> ClassPredictions {
    let mut state = 17_u64;
    let mut uniform = move || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1_u64 << 53) as f64
    };
    let labels: Vec<usize> = (0..rows)
        .map(|_| (uniform() * classes as f64) as usize)
        .collect();
    let mut probabilities = Vec::new();
    for &label in &labels {
        let row: Vec<f64> = (0..classes)
            .map(|class| uniform() + 0.3 * f64::from(u8::from(class == label)))
            .collect();
        let sum: f64 = row.iter().sum();
        probabilities.extend(row.iter().map(|value| value / sum));
    }
    let positive = (classes == 2).then_some(1);
    ClassPredictions::from_probabilities(names(classes), labels, probabilities, positive)
}

fn options(resamples: usize, seed: u64) -> BootstrapOptions {
    BootstrapOptions {
        resamples,
        seed,
        ..Default::default()
    }
}

#[test]
fn score_and_report_agree_on_every_metric() {
    for classes in [2, 4] {
        let predictions = Predictions::Classes(sample(200, classes));
        let report = evaluate(&predictions, &BootstrapOptions::none());
        for (metric, estimate) in &report.metrics {
            assert_eq!(
                score(&predictions, *metric).ok(),
                estimate.value,
                "{metric}"
            );
            assert!(estimate.value.is_some());
        }
    }
}

#[test]
fn intervals_hold_the_value_and_narrow_with_rows() {
    let width = |rows| {
        let report = evaluate(&Predictions::Classes(sample(rows, 2)), &options(400, 1));
        for (metric, estimate) in &report.metrics {
            assert!(
                estimate.low <= estimate.value && estimate.value <= estimate.high,
                "{metric}: {estimate:?}"
            );
        }
        for (_, class) in &report.per_class {
            assert!(class.f1.low < class.f1.value && class.f1.value < class.f1.high);
        }
        let accuracy = report.metric(Metric::Accuracy).unwrap();
        accuracy.high.unwrap() - accuracy.low.unwrap()
    };
    let (few, many) = (width(100), width(1600));
    assert!(many < few / 3.0 && many > few / 5.0, "{few} {many}");
}

#[test]
fn the_interval_of_accuracy_is_near_the_normal_one() {
    let predictions = Predictions::Classes(sample(2000, 2));
    let report = evaluate(&predictions, &options(2000, 1));
    let accuracy = report.metric(Metric::Accuracy).unwrap();
    let p = accuracy.value.unwrap();
    let half = 1.96 * (p * (1.0 - p) / 2000.0).sqrt();
    assert!(
        (accuracy.low.unwrap() - (p - half)).abs() < 0.1 * half,
        "{accuracy:?} ± {half}"
    );
    assert!(
        (accuracy.high.unwrap() - (p + half)).abs() < 0.1 * half,
        "{accuracy:?} ± {half}"
    );
}

#[test]
fn intervals_depend_on_the_seed_and_not_on_the_threads() {
    let predictions = Predictions::Classes(sample(150, 3));
    let on = |threads: usize, seed| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| evaluate(&predictions, &options(200, seed)))
    };
    assert_eq!(on(1, 8), on(5, 8));
    assert_ne!(on(1, 8).metrics, on(1, 9).metrics);
}

#[test]
fn groups_of_identical_rows_widen_the_interval() {
    let once = sample(100, 2);
    let times = 9;
    let repeat = |values: &[usize]| -> Vec<usize> {
        values
            .iter()
            .flat_map(|&value| std::iter::repeat_n(value, times))
            .collect()
    };
    let many = ClassPredictions {
        labels: repeat(&once.labels),
        predicted: repeat(&once.predicted),
        probabilities: vec![],
        ..once
    };
    let predictions = Predictions::Classes(many);
    let width = |groups| {
        let report = evaluate(
            &predictions,
            &BootstrapOptions {
                groups,
                ..options(400, 3)
            },
        );
        let accuracy = report.metric(Metric::Accuracy).unwrap();
        (
            accuracy.high.unwrap() - accuracy.low.unwrap(),
            report.bootstrap.unwrap(),
        )
    };
    let (rows, summary) = width(None);
    assert_eq!((summary.stratified, summary.groups), (true, None));
    let (groups, summary) = width(Some((0..900).map(|row| row / times).collect()));
    assert_eq!((summary.stratified, summary.groups), (false, Some(100)));
    assert!(groups > 2.0 * rows, "{groups} {rows}");
}

#[test]
fn undefined_resamples_are_counted_and_many_take_the_interval_away() {
    // Targets vary in a resample unless the odd row is missing, which has probability (1 - 1/n)^n.
    let predictions = |rows: usize, odd: usize| {
        let targets = (0..rows)
            .map(|row| f64::from(u8::from(row < odd)))
            .collect();
        let predictions = (0..rows).map(|row| row as f64).collect();
        Predictions::Scores(ScorePredictions {
            targets,
            predictions,
        })
    };
    let report = evaluate(&predictions(20, 1), &options(500, 2));
    let pearson = report.metric(Metric::Pearson).unwrap();
    assert!(
        (130..240).contains(&pearson.undefined_resamples),
        "{pearson:?}"
    );
    assert!(pearson.low < pearson.value && pearson.interval_undefined.is_none());
    assert_eq!(report.metric(Metric::Mse).unwrap().undefined_resamples, 0);

    // Two groups, one of which has all the variation: half of the resamples draw one group twice.
    let groups = Some(vec![0, 1, 2, 2, 2]);
    let two = Predictions::Scores(ScorePredictions {
        targets: vec![1.0, 0.0, 0.0, 0.0, 0.0],
        predictions: vec![0.0; 5],
    });
    let report = evaluate(
        &two,
        &BootstrapOptions {
            groups,
            ..options(500, 2)
        },
    );
    assert_eq!(
        report.metric(Metric::Pearson).unwrap().undefined.as_deref(),
        Some("all predictions are equal")
    );

    // Each class is a group, so only 2 of 4 resamples, or 6 of 27, contain all classes.
    let classes = |k: usize| {
        let predictions = Predictions::Classes(sample_of_each(k));
        let groups = Some((0..k).collect());
        let report = evaluate(
            &predictions,
            &BootstrapOptions {
                groups,
                ..options(600, 2)
            },
        );
        report.metric(Metric::RocAucOvrMacro).unwrap().clone()
    };
    let three = classes(3);
    assert!(three.undefined_resamples > 400 && three.low.is_none() && three.value == Some(1.0));
    let reason = format!(
        "undefined on {} of 600 resamples",
        three.undefined_resamples
    );
    assert_eq!(three.interval_undefined, Some(reason));
}

/// One certain and correct row of each class.
fn sample_of_each(classes: usize) -> ClassPredictions {
    let identity = (0..classes * classes)
        .map(|at| f64::from(u8::from(at % (classes + 1) == 0)))
        .collect();
    ClassPredictions::from_probabilities(names(classes), (0..classes).collect(), identity, None)
}

#[test]
fn one_row_has_values_and_no_interval() {
    let predictions = Predictions::Scores(ScorePredictions {
        targets: vec![1.0],
        predictions: vec![3.0],
    });
    let report = evaluate(&predictions, &BootstrapOptions::default());
    let mse = report.metric(Metric::Mse).unwrap();
    assert_eq!(
        (mse.value, mse.low, mse.undefined_resamples),
        (Some(4.0), None, 0)
    );
    assert_eq!(
        mse.interval_undefined.as_deref(),
        Some("there are fewer than two rows to draw from")
    );
}

#[test]
fn unseen_classes_are_a_row_of_the_confusion_matrix() {
    let mut p = sample_of_each(3);
    p.labels[1] = 3;
    p.labels[2] = 17;
    let report = evaluate(&Predictions::Classes(p), &BootstrapOptions::none());
    let matrix = report.confusion_matrix.unwrap();
    assert_eq!(matrix.labels, ["class 0", "class 1", "class 2", "unseen"]);
    assert_eq!(matrix.rows, [[1, 0, 0], [0, 0, 0], [0, 0, 0], [0, 1, 1]]);
    let supports: Vec<_> = report
        .per_class
        .iter()
        .map(|(_, class)| class.support)
        .collect();
    assert_eq!(supports, [1, 0, 0]);
}

#[test]
fn metrics_of_other_tasks_do_not_apply() {
    let predictions = Predictions::Classes(sample(20, 3));
    let error = score(&predictions, Metric::F1).unwrap_err();
    assert_eq!(
        error.to_string(),
        "`f1` does not apply to a multiclass task"
    );
    assert!(
        evaluate(&predictions, &BootstrapOptions::none())
            .metric(Metric::F1)
            .is_none()
    );
}

#[test]
#[should_panic(expected = "expected 20 predicted classes, found 19")]
fn predictions_that_do_not_fit_are_a_bug_of_the_caller() {
    let mut p = sample(20, 3);
    p.predicted.pop();
    evaluate(&Predictions::Classes(p), &BootstrapOptions::none());
}

#[test]
#[should_panic(expected = "confidence is `95`")]
fn options_that_do_not_fit_are_a_bug_of_the_caller() {
    evaluate(
        &Predictions::Classes(sample(20, 3)),
        &BootstrapOptions {
            confidence: 95.0,
            ..Default::default()
        },
    );
}
