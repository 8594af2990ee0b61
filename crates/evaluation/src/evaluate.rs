//! From predictions to a report: every metric of the task, with intervals.

use crate::metric::Metric;
use crate::metrics::scheme::Scheme;
use crate::metrics::{AnswerScore, Evaluator, Outcome, best_no_answer_threshold, evaluator};
use crate::predictions::{AnswerPredictions, ClassPredictions, Predictions, TaskKind};
use crate::report::{
    AnswerReport, BootstrapSummary, ClassReport, ConfusionMatrix, EntityReport, Estimate, Report,
    UNSEEN,
};
use crate::statistics::{BootstrapOptions, Resampler, percentile_interval};
use crate::undefined::Undefined;

/// Computes one metric without an interval, to choose the best checkpoint.
///
/// # Errors
/// [`Undefined`] if the metric does not apply to the task or the predictions do not define it.
///
/// # Panics
/// If [`Predictions::check`] fails.
pub fn score(predictions: &Predictions, metric: Metric) -> Result<f64, Undefined> {
    if let Err(error) = predictions.check() {
        panic!("{error}");
    }
    let task = predictions.task();
    if !metric.applies_to(task) {
        let metric = metric.name();
        return Err(Undefined::NotApplicable { metric, task });
    }
    let metrics = [metric];
    let weights = vec![1.0; predictions.rows()];
    let mut outcome = evaluator(predictions, &metrics).outcome(&weights);
    outcome.metrics.swap_remove(0)
}

/// Computes every metric of the task and of each class, with percentile bootstrap intervals.
///
/// Predictions of one class per row are resampled within each true class, so that each resample has the classes of the
/// data; others are resampled freely. With [`BootstrapOptions::groups`], whole groups are resampled. Resamples on which
/// a metric is undefined are counted and left out of its interval; if they are more than half, there is no interval.
/// The result depends on the seed, not on the number of threads.
///
/// # Panics
/// If [`Predictions::check`] or [`BootstrapOptions::check`] fails.
pub fn evaluate(predictions: &Predictions, options: &BootstrapOptions) -> Report {
    let rows = predictions.rows();
    if let Err(error) = predictions.check().and_then(|()| options.check(rows)) {
        panic!("{error}");
    }
    let task = predictions.task();
    let metrics = Metric::for_task(task);
    let evaluator = evaluator(predictions, metrics);
    let point = evaluator.outcome(&vec![1.0; rows]);
    let intervals = Intervals::find(predictions, options, &*evaluator);

    let estimate = |value: &Result<f64, Undefined>, column| match value {
        Ok(value) => intervals.around(*value, column),
        Err(reason) => Estimate {
            undefined: Some(reason.to_string()),
            ..Estimate::default()
        },
    };
    let values = metrics.iter().zip(&point.metrics).enumerate();
    let metrics_with_intervals =
        values.map(|(column, (&metric, value))| (metric, estimate(value, column)));

    let set = predictions.set();
    let (mut classes, mut support) = (set.classes().to_vec(), set.support());
    let found = evaluator.entity_types();
    if let Some(found) = &found {
        (classes, support) = found
            .types
            .iter()
            .filter(|(scheme, _, _)| *scheme == Scheme::Default)
            .map(|(_, name, support)| (name.clone(), *support))
            .unzip();
    }
    let class_report = |class: usize, support: usize| {
        let of_class = |which: usize| {
            let value = point
                .per_class
                .as_ref()
                .map(|scores| scores[class][which])
                .map_err(Clone::clone);
            estimate(&value, metrics.len() + 3 * class + which)
        };
        ClassReport {
            precision: of_class(0),
            recall: of_class(1),
            f1: of_class(2),
            support,
        }
    };
    let per_class = classes.iter().zip(support).enumerate();
    let per_class =
        per_class.map(|(class, (name, support))| (name.clone(), class_report(class, support)));
    let per_type = |scheme: Scheme| {
        let listed = found.iter().flat_map(|found| &found.types).enumerate();
        listed
            .filter(|(_, (of, _, _))| *of == scheme)
            .map(|(class, (_, name, support))| (name.clone(), class_report(class, *support)))
            .collect()
    };
    let tagged = found.as_ref().filter(|_| task == TaskKind::Entities);
    let entities = tagged.map(|found| EntityReport {
        words: found.words,
        strict: per_type(Scheme::Strict),
        conlleval: per_type(Scheme::Conlleval),
    });

    let mut report = Report {
        task,
        rows,
        positive: None,
        metrics: metrics_with_intervals.collect(),
        per_class: per_class.collect(),
        averaged: None,
        confusion_matrix: None,
        entities,
        answers: None,
        bootstrap: intervals.summary.clone(),
        classes,
    };
    if let Predictions::Classes(p) = predictions {
        let name = |&class: &usize| p.classes[class].clone();
        let positive = p.positive.as_ref().filter(|_| task == TaskKind::Binary);
        report.positive = positive.map(name);
        let averaged = p.averaged.as_ref();
        report.averaged = averaged.map(|classes| classes.iter().map(name).collect());
        report.confusion_matrix = Some(confusion_matrix(p));
    }
    if let Predictions::Answers(p) = predictions {
        report.answers = p.may_be_unanswerable.then(|| answers(p));
    }
    report
}

/// The values on the resamples: a column for each metric, then for each class its precision, recall and F1.
struct Intervals {
    /// By column, then by resample; NaN if undefined.
    columns: Vec<Vec<f64>>,
    confidence: f64,
    /// The reason why no resamples were drawn.
    fixed: Option<&'static str>,
    summary: Option<BootstrapSummary>,
}

impl Intervals {
    fn find(
        predictions: &Predictions,
        options: &BootstrapOptions,
        evaluator: &dyn Evaluator,
    ) -> Self {
        let BootstrapOptions {
            resamples,
            confidence,
            seed,
            ..
        } = *options;
        if resamples == 0 {
            return Self {
                columns: Vec::new(),
                confidence,
                fixed: None,
                summary: None,
            };
        }
        let resampler = Resampler::new(predictions, options);
        let groups = resampler.groups();
        let stratified = groups.is_none() && predictions.set().strata().is_some();
        let summary = Some(BootstrapSummary {
            resamples,
            confidence,
            seed,
            stratified,
            groups,
        });
        let fixed = resampler.fixed();
        if fixed.is_some() {
            return Self {
                columns: Vec::new(),
                confidence,
                fixed,
                summary,
            };
        }
        let found = resampler.map(resamples, |weights| flatten(evaluator.outcome(weights)));
        let width = found.iter().map(Vec::len).max().unwrap_or(0);
        let column = |column: usize| {
            found
                .iter()
                .map(|row| row.get(column).copied().unwrap_or(f64::NAN))
                .collect()
        };
        Self {
            columns: (0..width).map(column).collect(),
            confidence,
            fixed,
            summary,
        }
    }

    /// `value` with its interval, or with the reason why there is none.
    fn around(&self, value: f64, column: usize) -> Estimate {
        let mut estimate = Estimate {
            value: Some(value),
            ..Estimate::default()
        };
        estimate.interval_undefined = self.fixed.map(str::to_owned);
        if let Some(column) = self.columns.get(column) {
            let mut defined: Vec<f64> = column
                .iter()
                .copied()
                .filter(|value| !value.is_nan())
                .collect();
            let undefined = column.len() - defined.len();
            estimate.undefined_resamples = undefined;
            if 2 * undefined > column.len() {
                let reason = format!("undefined on {undefined} of {} resamples", column.len());
                estimate.interval_undefined = Some(reason);
            } else if let Some((low, high)) = percentile_interval(&mut defined, self.confidence) {
                (estimate.low, estimate.high) = (Some(low), Some(high));
            }
        }
        estimate
    }
}

/// The values of one resample: one entry per column of [`Intervals::columns`].
fn flatten(outcome: Outcome) -> Vec<f64> {
    let metrics = outcome
        .metrics
        .into_iter()
        .map(|value| value.unwrap_or(f64::NAN));
    metrics
        .chain(outcome.per_class.into_iter().flatten().flatten())
        .collect()
}

/// Numbers of questions and thresholds, if questions may have no answer.
fn answers(p: &AnswerPredictions) -> AnswerReport {
    let with_answer = p.questions.iter().filter(|q| !q.gold.is_empty()).count();
    let best = |score| {
        best_no_answer_threshold(p, score)
            .ok()
            .map(|best| best.threshold)
    };
    AnswerReport {
        with_answer,
        without_answer: p.questions.len() - with_answer,
        threshold: p.no_answer_threshold,
        best_f1_threshold: best(AnswerScore::F1),
        best_exact_match_threshold: best(AnswerScore::ExactMatch),
    }
}

fn confusion_matrix(p: &ClassPredictions) -> ConfusionMatrix {
    let classes = p.classes.len();
    let mut labels = p.classes.clone();
    if p.labels.iter().any(|&label| label >= classes) {
        labels.push(UNSEEN.to_owned());
    }
    let mut rows = vec![vec![0; classes]; labels.len()];
    for (&label, &predicted) in p.labels.iter().zip(&p.predicted) {
        rows[label.min(classes)][predicted] += 1;
    }
    ConfusionMatrix { labels, rows }
}

#[cfg(test)]
mod tests;
