#![allow(clippy::unwrap_used)]
use proptest::prelude::*;

use super::outcome::Value;
use super::*;
use crate::predictions::{
    Answer, AnswerPredictions, ChoicePredictions, ClassPredictions, EntityPredictions, EntitySpan,
    FactoidPredictions, ListAnswer, ListPredictions, MultiLabelPredictions, RankedAnswers,
    ScorePredictions, SpanPredictions,
};
use crate::score;
use crate::statistics::{BootstrapOptions, Resampler};

fn names(count: usize) -> Vec<String> {
    (0..count).map(|class| format!("class {class}")).collect()
}

/// Rows with a class (the largest index is an unseen class) and coarse probabilities, so that many are equal.
fn class_predictions(classes: usize) -> impl Strategy<Value = Predictions> {
    let row = (
        0..=classes,
        prop::collection::vec(1u8..6, classes),
        0..classes,
        any::<bool>(),
    );
    prop::collection::vec(row, 1..25).prop_map(move |rows| {
        let mut probabilities = Vec::new();
        for (_, parts, _, _) in &rows {
            let sum: f64 = parts.iter().map(|&part| f64::from(part)).sum();
            probabilities.extend(parts.iter().map(|&part| f64::from(part) / sum));
        }
        let labels = rows.iter().map(|row| row.0).collect();
        let positive = (classes == 2).then_some(1);
        let mut p =
            ClassPredictions::from_probabilities(names(classes), labels, probabilities, positive);
        for (predicted, row) in p.predicted.iter_mut().zip(&rows) {
            // Some rows are decided against their probabilities.
            *predicted = if row.3 { row.2 } else { *predicted };
        }
        Predictions::Classes(p)
    })
}

fn multilabel_predictions() -> impl Strategy<Value = Predictions> {
    let row = prop::collection::vec((any::<bool>(), 0u8..6), 3);
    prop::collection::vec(row, 1..15).prop_map(|rows| {
        let cells = || rows.iter().flatten();
        Predictions::MultiLabel(MultiLabelPredictions {
            classes: names(3),
            labels: cells().map(|cell| cell.0).collect(),
            scores: cells().map(|cell| f64::from(cell.1) / 5.0).collect(),
            thresholds: vec![0.5, 0.2, 0.7],
        })
    })
}

fn score_predictions() -> impl Strategy<Value = Predictions> {
    prop::collection::vec((-3i8..4, -3i8..4), 1..20).prop_map(|rows| {
        Predictions::Scores(ScorePredictions {
            targets: rows.iter().map(|row| f64::from(row.0)).collect(),
            predictions: rows.iter().map(|row| f64::from(row.1) / 7.0).collect(),
        })
    })
}

fn entity_predictions() -> impl Strategy<Value = Predictions> {
    let tag = prop::sample::select(vec!["O", "O", "B-A", "I-A", "B-B", "I-B", "B", "I"]);
    let word = (tag.clone(), tag);
    let sentences = prop::collection::vec(prop::collection::vec(word, 0..7), 1..10);
    sentences.prop_map(|sentences| {
        let side = |of: fn(&(&str, &str)) -> String| {
            let tags = sentences.iter().map(|words| words.iter().map(of).collect());
            tags.collect()
        };
        Predictions::Entities(EntityPredictions {
            gold: side(|word| word.0.to_owned()),
            predicted: side(|word| word.1.to_owned()),
        })
    })
}

fn span_predictions() -> impl Strategy<Value = Predictions> {
    let span = (0usize..3, 3usize..5, 0usize..3).prop_map(|(start, end, kind)| EntitySpan {
        start,
        end,
        kind: kind.to_string(),
    });
    let spans = prop::collection::vec(span, 0..4);
    prop::collection::vec((spans.clone(), spans), 1..8).prop_map(|texts| {
        let (gold, predicted) = texts.into_iter().unzip();
        Predictions::Spans(SpanPredictions { gold, predicted })
    })
}

fn texts() -> impl Strategy<Value = Vec<String>> {
    let text = prop::sample::select(vec!["x", "y", "x y", "the x", "", "a"]);
    prop::collection::vec(text.prop_map(str::to_owned), 0..4)
}

fn answer_predictions() -> impl Strategy<Value = Predictions> {
    let question = (texts(), texts(), -3i8..4);
    let rows = prop::collection::vec(question, 1..12);
    (rows, any::<bool>()).prop_map(|(rows, threshold)| {
        let questions = rows.into_iter().map(|(gold, predicted, score)| Answer {
            gold,
            predicted: predicted.concat(),
            no_answer_score: Some(f64::from(score)),
        });
        Predictions::Answers(AnswerPredictions {
            questions: questions.collect(),
            may_be_unanswerable: true,
            no_answer_threshold: threshold.then_some(1.0),
        })
    })
}

fn factoid_predictions() -> impl Strategy<Value = Predictions> {
    prop::collection::vec((texts(), texts()), 1..12).prop_map(|rows| {
        let questions = rows
            .into_iter()
            .map(|(gold, ranked)| RankedAnswers { gold, ranked });
        Predictions::Factoid(FactoidPredictions {
            questions: questions.collect(),
        })
    })
}

fn list_predictions() -> impl Strategy<Value = Predictions> {
    let gold = prop::collection::vec(texts(), 0..4);
    prop::collection::vec((gold, texts()), 1..12).prop_map(|rows| {
        let questions = rows
            .into_iter()
            .map(|(gold, predicted)| ListAnswer { gold, predicted });
        Predictions::Lists(ListPredictions {
            questions: questions.collect(),
        })
    })
}

fn any_predictions() -> impl Strategy<Value = Predictions> {
    prop_oneof![
        class_predictions(2),
        class_predictions(4),
        multilabel_predictions(),
        score_predictions(),
        entity_predictions(),
        span_predictions(),
        answer_predictions(),
        factoid_predictions(),
        list_predictions(),
    ]
}

/// The predictions with each row repeated by its weight.
fn materialised(predictions: &Predictions, weights: &[f64]) -> Predictions {
    fn repeat<T: Clone>(values: &[T], weights: &[f64]) -> Vec<T> {
        let width = values.len() / weights.len();
        let rows = values.chunks(width.max(1)).zip(weights);
        rows.flat_map(|(row, &weight)| std::iter::repeat_n(row, weight as usize).flatten().cloned())
            .collect()
    }
    match predictions {
        Predictions::Classes(p) => Predictions::Classes(ClassPredictions {
            labels: repeat(&p.labels, weights),
            predicted: repeat(&p.predicted, weights),
            probabilities: repeat(&p.probabilities, weights),
            ..p.clone()
        }),
        Predictions::MultiLabel(p) => Predictions::MultiLabel(MultiLabelPredictions {
            labels: repeat(&p.labels, weights),
            scores: repeat(&p.scores, weights),
            ..p.clone()
        }),
        Predictions::Scores(p) => Predictions::Scores(ScorePredictions {
            targets: repeat(&p.targets, weights),
            predictions: repeat(&p.predictions, weights),
        }),
        Predictions::Entities(p) => Predictions::Entities(EntityPredictions {
            gold: repeat(&p.gold, weights),
            predicted: repeat(&p.predicted, weights),
        }),
        Predictions::Spans(p) => Predictions::Spans(SpanPredictions {
            gold: repeat(&p.gold, weights),
            predicted: repeat(&p.predicted, weights),
        }),
        Predictions::Answers(p) => Predictions::Answers(AnswerPredictions {
            questions: repeat(&p.questions, weights),
            ..p.clone()
        }),
        Predictions::Factoid(p) => Predictions::Factoid(FactoidPredictions {
            questions: repeat(&p.questions, weights),
        }),
        Predictions::Lists(p) => Predictions::Lists(ListPredictions {
            questions: repeat(&p.questions, weights),
        }),
        Predictions::Choices(p) => Predictions::Choices(ChoicePredictions {
            labels: repeat(&p.labels, weights),
            probabilities: repeat(&p.probabilities, weights),
        }),
    }
}

fn close(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Ok(a), Ok(b)) => (a - b).abs() <= 1e-9,
        (a, b) => a == b,
    }
}

/// The probability that a positive outscores a negative, counted pair by pair.
fn pairs(labels: &[bool], scores: &[f64]) -> Option<f64> {
    let (mut wins, mut count) = (0.0, 0.0);
    for (i, _) in labels.iter().enumerate().filter(|&(_, &label)| label) {
        for (j, _) in labels.iter().enumerate().filter(|&(_, &label)| !label) {
            count += 1.0;
            wins += if scores[i] > scores[j] { 1.0 } else { 0.0 }
                + if scores[i] == scores[j] { 0.5 } else { 0.0 };
        }
    }
    (count > 0.0).then_some(wins / count)
}

fn binary(labels: &[bool], scores: &[f64]) -> Predictions {
    Predictions::Classes(ClassPredictions::from_probabilities(
        names(2),
        labels.iter().map(|&label| usize::from(label)).collect(),
        scores.iter().flat_map(|&p| [1.0 - p, p]).collect(),
        Some(1),
    ))
}

proptest! {
    #[test]
    fn weights_give_what_the_rows_they_stand_for_give(
        predictions in any_predictions(), seed in any::<u64>(), grouped in any::<bool>()
    ) {
        let rows = predictions.rows();
        let groups = grouped.then(|| (0..rows).map(|row| row % 4).collect());
        let options = BootstrapOptions { seed, groups, ..Default::default() };
        let metrics = Metric::for_task(predictions.task());
        let evaluator = evaluator(&predictions, metrics);
        for weights in Resampler::new(&predictions, &options).map(3, |weights| weights.to_vec()) {
            let resample = materialised(&predictions, &weights);
            let direct = super::evaluator(&resample, metrics).outcome(&vec![1.0; resample.rows()]);
            let weighted = evaluator.outcome(&weights);
            for ((metric, a), b) in metrics.iter().zip(&weighted.metrics).zip(&direct.metrics) {
                prop_assert!(close(a, b), "{metric}: {a:?} weighted, {b:?} direct");
            }
            let (mut a, b) = (weighted.per_class.unwrap().concat(), direct.per_class.unwrap().concat());
            // An entity type that does not occur in the resample.
            a.retain(|value| !value.is_nan());
            prop_assert!(a.len() == b.len() && a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-12));
        }
    }

    #[test]
    fn every_value_is_finite_and_in_range(predictions in any_predictions()) {
        for &metric in Metric::for_task(predictions.task()) {
            let Ok(value) = score(&predictions, metric) else { continue };
            #[expect(clippy::wildcard_enum_match_arm, reason = "most metrics are shares")]
            let range = match metric {
                Metric::Mcc | Metric::CohenKappa | Metric::Pearson | Metric::Spearman => -1.0..=1.0,
                Metric::Brier => 0.0..=2.0,
                Metric::LogLoss | Metric::Mse | Metric::Mae => 0.0..=100.0,
                Metric::R2 => -1e6..=1.0,
                _ => 0.0..=1.0,
            };
            prop_assert!(range.contains(&value) || range.contains(&(value - 1e-12)), "{metric} is {value}");
        }
    }

    #[test]
    fn roc_auc_counts_pairs(rows in prop::collection::vec((any::<bool>(), 0u8..9), 1..30)) {
        let labels: Vec<bool> = rows.iter().map(|row| row.0).collect();
        let scores: Vec<f64> = rows.iter().map(|row| f64::from(row.1) / 8.0).collect();
        let area = score(&binary(&labels, &scores), Metric::RocAuc).ok();
        prop_assert_eq!(area.is_some(), pairs(&labels, &scores).is_some());
        if let (Some(a), Some(b)) = (area, pairs(&labels, &scores)) {
            prop_assert!((a - b).abs() < 1e-12);
        }
    }

    #[test]
    fn areas_over_classes_are_means_of_pair_counts(predictions in class_predictions(3)) {
        let Predictions::Classes(p) = &predictions else { unreachable!() };
        let of = |class: usize, rows: &dyn Fn(usize) -> bool| {
            let rows: Vec<usize> = (0..p.labels.len()).filter(|&row| p.labels[row] < 3 && rows(p.labels[row])).collect();
            let labels: Vec<bool> = rows.iter().map(|&row| p.labels[row] == class).collect();
            let scores: Vec<f64> = rows.iter().map(|&row| p.probabilities[row * 3 + class]).collect();
            pairs(&labels, &scores)
        };
        let ovr: Option<Vec<f64>> = (0..3).map(|class| of(class, &|_| true)).collect();
        let ordered = (0..3).flat_map(|a| (0..3).filter(move |&b| b != a).map(move |b| (a, b)));
        let ovo: Option<Vec<f64>> = ordered.map(|(a, b)| of(a, &|label| label == a || label == b)).collect();
        for (metric, areas) in [(Metric::RocAucOvrMacro, ovr), (Metric::RocAucOvoMacro, ovo)] {
            let mean = areas.map(|areas| areas.iter().sum::<f64>() / areas.len() as f64);
            let value = score(&predictions, metric).ok();
            let present = (0..3).all(|class| p.labels.contains(&class));
            prop_assert_eq!(value.is_some(), present);
            if let Some(value) = value {
                prop_assert!((value - mean.unwrap()).abs() < 1e-12);
            }
        }
    }

    #[test]
    fn rankings_ignore_a_monotone_change_of_scores(rows in prop::collection::vec((any::<bool>(), 0u8..9), 2..30)) {
        let labels: Vec<bool> = rows.iter().map(|row| row.0).collect();
        let scores: Vec<f64> = rows.iter().map(|row| f64::from(row.1) / 8.0).collect();
        let changed: Vec<f64> = scores.iter().map(|score| score.powi(3) / 2.0 + 0.1).collect();
        for metric in [Metric::RocAuc, Metric::AveragePrecision] {
            let (a, b) = (score(&binary(&labels, &scores), metric), score(&binary(&labels, &changed), metric));
            prop_assert_eq!(a, b);
        }
        let numbers = |predictions: &[f64]| Predictions::Scores(ScorePredictions {
            targets: rows.iter().map(|row| f64::from(u8::from(row.0)) + f64::from(row.1 % 4)).collect(),
            predictions: predictions.to_vec(),
        });
        let (a, b) = (score(&numbers(&scores), Metric::Spearman), score(&numbers(&changed), Metric::Spearman));
        prop_assert_eq!(a, b);
    }

    #[test]
    fn two_classes_swap_with_the_positive_class(rows in prop::collection::vec((any::<bool>(), 0u8..9), 2..30)) {
        let labels: Vec<bool> = rows.iter().map(|row| row.0).collect();
        let scores: Vec<f64> = rows.iter().map(|row| f64::from(row.1) / 8.0).collect();
        let Predictions::Classes(mut p) = binary(&labels, &scores) else { unreachable!() };
        let area = score(&Predictions::Classes(p.clone()), Metric::RocAuc);
        p.positive = Some(0);
        prop_assert!(close(&area, &score(&Predictions::Classes(p), Metric::RocAuc)));
    }
}

#[test]
fn perfect_predictions_are_best_possible() {
    let labels = [true, false, true, false, false];
    let scores: Vec<f64> = labels
        .iter()
        .map(|&label| f64::from(u8::from(label)))
        .collect();
    let multiclass = (0..16).map(|at| f64::from(u8::from(at % 5 == 0))).collect();
    let multiclass =
        ClassPredictions::from_probabilities(names(4), vec![0, 1, 2, 3], multiclass, None);
    let multilabel = MultiLabelPredictions {
        classes: names(2),
        labels: vec![true, false, false, true],
        scores: vec![0.9, 0.1, 0.1, 0.9],
        thresholds: vec![0.5; 2],
    };
    let numbers = ScorePredictions {
        targets: vec![1.0, 3.0, 2.0],
        predictions: vec![1.0, 3.0, 2.0],
    };
    for predictions in [
        binary(&labels, &scores),
        Predictions::Classes(multiclass),
        Predictions::MultiLabel(multilabel),
        Predictions::Scores(numbers),
    ] {
        for &metric in Metric::for_task(predictions.task()) {
            let best = if metric.higher_is_better() { 1.0 } else { 0.0 };
            let value = score(&predictions, metric).unwrap();
            assert!((value - best).abs() < 1e-12, "{metric} is {value}");
        }
    }
}

#[test]
fn a_class_never_seen_is_wrong_and_a_false_positive() {
    let Predictions::Classes(mut p) = binary(&[true, false, true], &[0.9, 0.2, 0.8]) else {
        unreachable!()
    };
    let before = |metric| score(&binary(&[true, false], &[0.9, 0.2]), metric).unwrap();
    p.labels[2] = 2;
    let of = |metric| score(&Predictions::Classes(p.clone()), metric).unwrap();
    assert_eq!(of(Metric::Accuracy), 2.0 / 3.0);
    assert_eq!(of(Metric::Precision), 0.5);
    for metric in [
        Metric::Recall,
        Metric::BalancedAccuracy,
        Metric::RocAuc,
        Metric::AveragePrecision,
        Metric::LogLoss,
        Metric::Brier,
    ] {
        assert_eq!(of(metric), before(metric), "{metric}");
    }
    assert_eq!(of(Metric::RecallMicro), 1.0);
    assert_eq!(of(Metric::PrecisionMicro), 2.0 / 3.0);
}

#[test]
fn probabilities_of_zero_and_one_have_a_finite_log_loss() {
    let wrong = score(&binary(&[true], &[0.0]), Metric::LogLoss).unwrap();
    assert!((wrong - 36.043_653_389_117_15).abs() < 1e-9, "{wrong}");
}

// Long because it is a table: one assertion per reason.
#[test]
fn each_reason_is_told() {
    let reason =
        |predictions: Predictions, metric| score(&predictions, metric).unwrap_err().to_string();
    let classes = |change: fn(&mut ClassPredictions)| {
        let Predictions::Classes(mut p) = binary(&[true, false, true], &[0.9, 0.2, 0.8]) else {
            unreachable!()
        };
        change(&mut p);
        Predictions::Classes(p)
    };
    let empty = || {
        classes(|p| {
            p.labels.clear();
            p.predicted.clear();
            p.probabilities.clear();
        })
    };
    assert_eq!(reason(empty(), Metric::Accuracy), "there are no rows");
    assert_eq!(
        reason(classes(|_| {}), Metric::Mse),
        "`mse` does not apply to a binary task"
    );
    for metric in [
        Metric::RocAuc,
        Metric::LogLoss,
        Metric::Brier,
        Metric::AveragePrecision,
    ] {
        assert_eq!(
            reason(classes(|p| p.probabilities.clear()), metric),
            "the predictions carry no probabilities"
        );
        let message = reason(classes(|p| p.probabilities[3] = f64::NAN), metric);
        assert_eq!(
            message,
            "row 1 has a probability that is not a finite number"
        );
        let message = reason(classes(|p| p.labels.fill(5)), metric);
        assert_eq!(message, "no row is of a class that the model knows");
    }
    assert_eq!(
        reason(classes(|p| p.labels.fill(5)), Metric::BalancedAccuracy),
        "no row is of a class that the model knows"
    );
    assert_eq!(
        reason(classes(|p| p.labels.fill(0)), Metric::RocAuc),
        "every row is of class `class 0`"
    );
    assert_eq!(
        reason(classes(|p| p.labels.fill(1)), Metric::AveragePrecision),
        "every row is of class `class 1`"
    );
    let agreed = classes(|p| {
        p.labels.fill(1);
        p.predicted.fill(1);
    });
    assert_eq!(
        reason(agreed, Metric::CohenKappa),
        "every row is of class `class 1` and predicted so"
    );

    let several = |classes: usize| {
        let probabilities = vec![1.0 / classes as f64; classes * 2];
        Predictions::Classes(ClassPredictions::from_probabilities(
            names(classes),
            vec![0, 0],
            probabilities,
            None,
        ))
    };
    for metric in [
        Metric::RocAucOvrMacro,
        Metric::RocAucOvrWeighted,
        Metric::RocAucOvoMacro,
        Metric::RocAucOvoWeighted,
    ] {
        assert_eq!(reason(several(3), metric), "no row is of class `class 1`");
        assert_eq!(
            reason(several(1), metric),
            "a model of 1 class has nothing to tell apart"
        );
    }

    let labels = |labels: [bool; 4]| {
        Predictions::MultiLabel(MultiLabelPredictions {
            classes: names(2),
            labels: labels.to_vec(),
            scores: vec![0.1, 0.2, 0.3, 0.4],
            thresholds: vec![0.5; 2],
        })
    };
    let first_always = || labels([true, false, true, true]);
    assert_eq!(
        reason(first_always(), Metric::RocAucMacro),
        "every row has label `class 0`"
    );
    assert_eq!(
        reason(first_always(), Metric::RocAucWeighted),
        "every row has label `class 0`"
    );
    let second_never = || labels([true, false, false, false]);
    assert_eq!(
        reason(second_never(), Metric::RocAucMacro),
        "no row has label `class 1`"
    );
    assert_eq!(score(&second_never(), Metric::RocAucWeighted), Ok(0.0));
    assert_eq!(
        score(&second_never(), Metric::AveragePrecisionMacro),
        Ok(0.25)
    );
    for metric in [
        Metric::RocAucMicro,
        Metric::RocAucMacro,
        Metric::RocAucWeighted,
        Metric::AveragePrecisionMicro,
        Metric::AveragePrecisionMacro,
        Metric::AveragePrecisionWeighted,
    ] {
        assert_eq!(reason(labels([false; 4]), metric), "no row has any label");
    }
    assert_eq!(
        reason(labels([true; 4]), Metric::RocAucMicro),
        "every row has every label"
    );
    let Predictions::MultiLabel(mut p) = second_never() else {
        unreachable!()
    };
    p.scores[2] = f64::INFINITY;
    assert_eq!(
        reason(Predictions::MultiLabel(p), Metric::F1Micro),
        "row 1 has a score that is not a finite number"
    );

    let numbers = |targets: &[f64], predictions: &[f64]| {
        Predictions::Scores(ScorePredictions {
            targets: targets.to_vec(),
            predictions: predictions.to_vec(),
        })
    };
    for metric in [Metric::Pearson, Metric::Spearman, Metric::R2] {
        assert_eq!(
            reason(numbers(&[1.0], &[2.0]), metric),
            "there is one row, and it takes two"
        );
        assert_eq!(
            reason(numbers(&[1.0, 1.0], &[2.0, 3.0]), metric),
            "all targets are equal"
        );
    }
    for metric in [Metric::Pearson, Metric::Spearman] {
        assert_eq!(
            reason(numbers(&[1.0, 2.0], &[3.0, 3.0]), metric),
            "all predictions are equal"
        );
    }
    for metric in [Metric::Mse, Metric::Pearson] {
        let message = reason(numbers(&[1.0, f64::NAN], &[2.0, 3.0]), metric);
        assert_eq!(message, "row 1 has a target that is not a finite number");
        let message = reason(numbers(&[1.0, 2.0], &[f64::INFINITY, 3.0]), metric);
        assert_eq!(
            message,
            "row 0 has a prediction that is not a finite number"
        );
    }
    assert_eq!(
        reason(numbers(&[1e200, 1.0], &[1.0, 1.0]), Metric::Mse),
        "the values are too large to compute with"
    );
}

#[test]
fn correlation_bears_very_large_and_very_small_numbers() {
    let (x, y) = ([1.0, 2.0, 4.0, 3.0], [0.5, 0.1, 0.9, 0.7]);
    let of = |scale: f64| {
        let targets = x.map(|x| x * scale).to_vec();
        score(
            &Predictions::Scores(ScorePredictions {
                targets,
                predictions: y.to_vec(),
            }),
            Metric::Pearson,
        )
        .unwrap()
    };
    for scale in [1e-200, 1e200] {
        assert!((of(scale) - of(1.0)).abs() < 1e-12);
    }
}
