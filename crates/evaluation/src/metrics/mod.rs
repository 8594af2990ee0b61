//! The metrics: each is a function of predictions and of a weight per row.
//!
//! A bootstrap resample is given as the number of times that it drew each row: scores are sorted once, and each resample
//! costs one pass. Weights are whole numbers in `f64`, exact up to 2^53.
//!
//! Each kind of predictions has one evaluator and one enum of formulas; [`Metric::description`] names the formulas of a
//! metric.

pub(crate) mod answers;
pub(crate) mod choices;
pub(crate) mod class;
pub(crate) mod counts;
pub(crate) mod entities;
pub(crate) mod factoid;
pub(crate) mod multilabel;
mod outcome;
mod ranking;
pub(crate) mod regression;
pub(crate) mod scheme;

use crate::metric::{Description, Metric};
use crate::predictions::Predictions;

pub use answers::{AnswerScore, NoAnswerThreshold, best_no_answer_threshold};
pub use factoid::{Candidate, PooledAnswers, pool_snippets, pool_snippets_above};
pub(crate) use outcome::{Evaluator, Outcome};

use answers::AnswerEvaluator;
use choices::ChoiceEvaluator;
use class::ClassEvaluator;
use entities::EntityEvaluator;
use factoid::QuestionEvaluator;
use multilabel::MultiLabelEvaluator;
use regression::ScoreEvaluator;

/// The evaluator of `predictions`, with precomputed data for `metrics`.
///
/// # Panics
/// If a metric does not apply to the task, or [`Predictions::check`] fails.
pub(crate) fn evaluator<'a>(
    predictions: &'a Predictions,
    metrics: &[Metric],
) -> Box<dyn Evaluator + 'a> {
    let entities = || formulas(metrics, |metric| metric.entities);
    match predictions {
        Predictions::Classes(p) => {
            Box::new(ClassEvaluator::new(p, formulas(metrics, |m| m.classes)))
        }
        Predictions::MultiLabel(p) => {
            Box::new(MultiLabelEvaluator::new(p, formulas(metrics, |m| m.labels)))
        }
        Predictions::Scores(p) => {
            Box::new(ScoreEvaluator::new(p, formulas(metrics, |m| m.numbers)))
        }
        Predictions::Entities(p) => Box::new(EntityEvaluator::of_tags(p, entities())),
        Predictions::Spans(p) => Box::new(EntityEvaluator::of_spans(p, entities())),
        Predictions::Answers(p) => {
            Box::new(AnswerEvaluator::new(p, formulas(metrics, |m| m.answers)))
        }
        Predictions::Factoid(p) => Box::new(QuestionEvaluator::factoid(
            p,
            formulas(metrics, |m| m.factoid),
        )),
        Predictions::Lists(p) => {
            Box::new(QuestionEvaluator::lists(p, formulas(metrics, |m| m.lists)))
        }
        Predictions::Choices(p) => {
            Box::new(ChoiceEvaluator::new(p, &formulas(metrics, |m| m.choices)))
        }
    }
}

/// The formulas of `metrics` for one kind of predictions.
fn formulas<F>(metrics: &[Metric], of: impl Fn(Description) -> Option<F>) -> Vec<F> {
    let formula = |&metric: &Metric| match of(metric.description()) {
        Some(formula) => formula,
        None => panic!("`{metric}` does not apply to these predictions"),
    };
    metrics.iter().map(formula).collect()
}

#[cfg(test)]
mod tests;
