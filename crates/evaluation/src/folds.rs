//! Summaries of several runs: folds of a cross-validation, or seeds.

use serde::{Deserialize, Serialize};

use crate::distributions::student_reach;
use crate::metric::Metric;
use crate::predictions::{PoolError, Predictions};
use crate::report::Report;
use crate::statistics::mean_and_sd;

/// Mean, spread and interval over runs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunsEstimate {
    /// The arithmetic mean.
    pub mean: f64,
    /// The sample standard deviation (over `count - 1`); `None` for one run.
    pub sd: Option<f64>,
    /// Lower end of the interval of the mean; `None` for one run.
    pub low: Option<f64>,
    /// Upper end of the interval of the mean; `None` for one run.
    pub high: Option<f64>,
    /// Number of runs.
    pub count: usize,
}

/// Mean, standard deviation and interval of a number over runs; `None` without values.
///
/// The interval is Student's, `mean ± t · sd / √count`, with `confidence` between 0 and 1. It treats the values as
/// independent. Folds share training rows, so for folds it is somewhat too narrow (Bengio & Grandvalet 2004). The
/// interval of [`pool`]ed predictions does not have this problem, but reflects only one training run per row.
///
/// ```
/// let f1 = bertkit_evaluation::across_values(&[0.80, 0.84, 0.82], 0.95).expect("there are values");
/// assert!((f1.mean - 0.82).abs() < 1e-12 && (f1.sd.unwrap() - 0.02).abs() < 1e-12);
/// assert!(f1.low.unwrap() < 0.78 && f1.high.unwrap() > 0.86);
/// ```
///
/// # Panics
/// If `confidence` is not between 0 and 1.
pub fn across_values(values: &[f64], confidence: f64) -> Option<RunsEstimate> {
    assert!(
        confidence > 0.0 && confidence < 1.0,
        "confidence is a share between 0 and 1"
    );
    let spread = mean_and_sd(values)?;
    let reach = spread.sd.map(|sd| {
        let count = spread.count as f64;
        student_reach(confidence, count - 1.0) * sd / count.sqrt()
    });
    Some(RunsEstimate {
        mean: spread.mean,
        sd: spread.sd,
        low: reach.map(|reach| spread.mean - reach),
        high: reach.map(|reach| spread.mean + reach),
        count: spread.count,
    })
}

/// [`across_values`] of each metric of the first report, over the reports that define it.
///
/// A metric that no report defines is left out; a metric that some do not define has a smaller `count`.
///
/// # Panics
/// If `confidence` is not between 0 and 1.
pub fn across_runs(reports: &[Report], confidence: f64) -> Vec<(Metric, RunsEstimate)> {
    let metrics = reports.first().map_or(&[][..], |report| &report.metrics);
    let values = |metric| {
        let defined = reports
            .iter()
            .filter_map(|report| report.metric(metric)?.value);
        defined.collect::<Vec<f64>>()
    };
    metrics
        .iter()
        .filter_map(|&(metric, _)| Some((metric, across_values(&values(metric), confidence)?)))
        .collect()
}

/// Concatenates several predictions, so that out-of-fold predictions become those of one data set.
///
/// Classes may be in different orders; the order of the first part is used. Each part keeps its decisions. If parts of
/// several labels decide at different thresholds, scores are mapped so that all decide at 0.5: those below a threshold
/// `t` to `s / 2t`, those above to `1/2 + (s - t) / (2 - 2t)`. This keeps the order within a part, and needs scores and
/// thresholds from 0 to 1. Answers that differing thresholds withhold are withheld first. Probabilities are dropped if
/// a part has none. The averaged classes are those of the first part.
///
/// # Errors
/// [`PoolError`] if the parts do not have the same task and classes.
///
/// # Panics
/// If [`Predictions::check`] fails for a part.
pub fn pool(parts: &[&Predictions]) -> Result<Predictions, PoolError> {
    let first = *parts.first().ok_or(PoolError::Nothing)?;
    for part in parts {
        if let Err(error) = part.check() {
            panic!("{error}");
        }
    }
    first.pool(parts)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::predictions::{
        AnswerPredictions, ClassPredictions, EntityPredictions, MultiLabelPredictions,
        ScorePredictions,
    };
    use crate::{BootstrapOptions, evaluate, score};

    fn classes(names: [&str; 2], labels: &[usize], positive: &[f64]) -> Predictions {
        let mut p = ClassPredictions::from_probabilities(
            names.map(String::from).to_vec(),
            labels.to_vec(),
            positive.iter().flat_map(|&p| [1.0 - p, p]).collect(),
            Some(1),
        );
        p.decide_at(0.3);
        Predictions::Classes(p)
    }

    #[test]
    fn the_interval_of_a_mean_is_students() {
        let found = across_values(&[1.0, 2.0, 3.0, 4.0], 0.95).unwrap();
        // scipy.stats.t.interval(0.95, 3, 2.5, scipy.stats.sem([1, 2, 3, 4]))
        assert!((found.low.unwrap() - 0.445739743239121).abs() < 1e-9);
        assert!((found.high.unwrap() - 4.554260256760879).abs() < 1e-9);
        let one = across_values(&[7.0], 0.95).unwrap();
        assert_eq!((one.mean, one.sd, one.low, one.count), (7.0, None, None, 1));
        assert_eq!(across_values(&[], 0.95), None);
    }

    #[test]
    fn runs_are_averaged_where_a_metric_is_defined() {
        let none = BootstrapOptions::none();
        let a = evaluate(&classes(["n", "y"], &[0, 1], &[0.1, 0.8]), &none);
        let b = evaluate(&classes(["n", "y"], &[1, 1], &[0.1, 0.8]), &none);
        let found = across_runs(&[a, b], 0.95);
        let of = |metric| found.iter().find(|(m, _)| *m == metric).unwrap().1;
        assert_eq!(
            (of(Metric::Accuracy).mean, of(Metric::Accuracy).count),
            (0.75, 2)
        );
        // One class has no area under the curve.
        assert_eq!(
            (of(Metric::RocAuc).mean, of(Metric::RocAuc).count),
            (1.0, 1)
        );
        assert_eq!(across_runs(&[], 0.95), []);
    }

    #[test]
    fn pooled_rows_keep_their_decisions_whatever_the_order_of_classes() {
        let a = classes(["n", "y"], &[0, 1, 9], &[0.1, 0.35, 0.2]);
        let Predictions::Classes(mut other) = classes(["n", "y"], &[1, 0], &[0.31, 0.6]) else {
            panic!("made of classes");
        };
        other.classes.reverse();
        other.positive = Some(0);
        other.labels = vec![0, 1];
        other.predicted = vec![0, 0];
        other.probabilities = vec![0.31, 0.69, 0.6, 0.4];
        let Predictions::Classes(all) = pool(&[&a, &Predictions::Classes(other)]).unwrap() else {
            panic!("made of classes");
        };
        assert_eq!(all.labels, [0, 1, 2, 1, 0]);
        assert_eq!(all.predicted, [0, 1, 0, 1, 1]);
        assert_eq!(all.probabilities[6..], [0.69, 0.31, 0.4, 0.6]);
    }

    #[test]
    fn labels_decided_at_other_thresholds_stay_decided() {
        let part = |threshold: f64, scores: [f64; 4]| {
            Predictions::MultiLabel(MultiLabelPredictions {
                classes: vec!["a".into()],
                labels: vec![true, true, false, false],
                scores: scores.to_vec(),
                thresholds: vec![threshold],
            })
        };
        let (a, b) = (
            part(0.2, [0.3, 0.2, 0.1, 0.25]),
            part(1.0, [1.0, 0.99, 0.0, 0.5]),
        );
        let all = pool(&[&a, &b]).unwrap();
        let f1 = |p: &Predictions| score(p, Metric::SubsetAccuracy).unwrap();
        assert_eq!(f1(&all), (f1(&a) + f1(&b)) / 2.0);
        let same = pool(&[&a, &a]).unwrap();
        let Predictions::MultiLabel(same) = same else {
            panic!("made of labels");
        };
        assert_eq!((same.thresholds, same.scores[4]), (vec![0.2], 0.3));
    }

    #[test]
    fn texts_and_questions_are_pooled_with_what_was_decided() {
        let tags = |gold: &str, predicted: &str| {
            let words = |tags: &str| vec![tags.split(' ').map(String::from).collect()];
            Predictions::Entities(EntityPredictions {
                gold: words(gold),
                predicted: words(predicted),
            })
        };
        let all = pool(&[&tags("B-X O", "B-X O"), &tags("O B-Y", "O O")]).unwrap();
        assert_eq!((all.rows(), score(&all, Metric::RecallMicro)), (2, Ok(0.5)));
        let answers = |predicted: &str, threshold| {
            Predictions::Answers(AnswerPredictions {
                questions: vec![crate::Answer {
                    gold: vec![],
                    predicted: predicted.into(),
                    no_answer_score: Some(0.5),
                }],
                may_be_unanswerable: true,
                no_answer_threshold: threshold,
            })
        };
        let (given, taken_back) = (answers("one", None), answers("two", Some(0.25)));
        let all = pool(&[&given, &taken_back]).unwrap();
        assert_eq!(score(&all, Metric::ExactMatch), Ok(0.5));
        assert!(pool(&[&given, &tags("O", "O")]).is_err());
    }

    #[test]
    fn other_tasks_classes_and_positives_are_refused() {
        let a = classes(["n", "y"], &[0], &[0.1]);
        let numbers = Predictions::Scores(ScorePredictions::default());
        let failed = |parts: &[&Predictions]| pool(parts).unwrap_err().to_string();
        assert_eq!(failed(&[]), "there are no predictions");
        assert!(failed(&[&a, &numbers]).contains("regression"));
        assert!(failed(&[&numbers, &a]).contains("binary"));
        assert!(failed(&[&a, &classes(["n", "z"], &[0], &[0.1])]).contains("`z`"));
        let Predictions::Classes(mut other) = a.clone() else {
            panic!("made of classes");
        };
        other.positive = Some(0);
        assert!(failed(&[&a, &Predictions::Classes(other)]).contains("`y` for one model and `n`"));
    }
}
