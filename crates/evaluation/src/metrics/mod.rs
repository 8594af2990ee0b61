//! The metrics themselves: each a function of predictions and of a weight per row.
//!
//! A bootstrap resample is given as the number of times that it drew each row: scores are sorted once, and each resample
//! costs one pass. Weights are whole numbers in `f64`, exact up to 2^53.
//!
//! Each kind of predictions has one evaluator and one enum of formulas; [`Metric::description`] names the formulas of a
//! metric.

pub(crate) mod answers;
pub(crate) mod class;
pub(crate) mod counts;
pub(crate) mod entities;
pub(crate) mod factoid;
pub(crate) mod multilabel;
mod outcome;
mod ranking;
pub(crate) mod regression;

use crate::metric::{Description, Metric};
use crate::predictions::Predictions;

pub use answers::{AnswerScore, NoAnswerThreshold, best_no_answer_threshold};
pub use factoid::{Candidate, PooledAnswers, pool_snippets, pool_snippets_above};
pub(crate) use outcome::Outcome;

use answers::AnswerEvaluator;
use class::ClassEvaluator;
use entities::EntityEvaluator;
use factoid::QuestionEvaluator;
use multilabel::MultiLabelEvaluator;
use regression::ScoreEvaluator;

/// Predictions prepared for evaluation under many weightings.
pub(crate) enum Evaluator<'a> {
    Class(ClassEvaluator<'a>),
    MultiLabel(MultiLabelEvaluator<'a>),
    Score(ScoreEvaluator<'a>),
    Entity(EntityEvaluator),
    Answer(AnswerEvaluator),
    Question(QuestionEvaluator),
}

impl<'a> Evaluator<'a> {
    /// Sorts what the `metrics` read.
    ///
    /// # Panics
    /// If a metric does not apply to the task, or [`Predictions::check`] fails.
    pub fn new(predictions: &'a Predictions, metrics: &[Metric]) -> Self {
        let entities = || formulas(metrics, |metric| metric.entities);
        match predictions {
            Predictions::Classes(p) => {
                Self::Class(ClassEvaluator::new(p, formulas(metrics, |m| m.classes)))
            }
            Predictions::MultiLabel(p) => {
                Self::MultiLabel(MultiLabelEvaluator::new(p, formulas(metrics, |m| m.labels)))
            }
            Predictions::Scores(p) => {
                Self::Score(ScoreEvaluator::new(p, formulas(metrics, |m| m.numbers)))
            }
            Predictions::Entities(p) => Self::Entity(EntityEvaluator::of_tags(p, entities())),
            Predictions::Spans(p) => Self::Entity(EntityEvaluator::of_spans(p, entities())),
            Predictions::Answers(p) => {
                Self::Answer(AnswerEvaluator::new(p, formulas(metrics, |m| m.answers)))
            }
            Predictions::Factoid(p) => Self::Question(QuestionEvaluator::factoid(
                p,
                formulas(metrics, |m| m.factoid),
            )),
            Predictions::Lists(p) => {
                Self::Question(QuestionEvaluator::lists(p, formulas(metrics, |m| m.lists)))
            }
        }
    }

    /// The evaluator of entities, if it is one.
    pub fn entity(&self) -> Option<&EntityEvaluator> {
        match self {
            Self::Entity(evaluator) => Some(evaluator),
            Self::Class(_)
            | Self::MultiLabel(_)
            | Self::Score(_)
            | Self::Answer(_)
            | Self::Question(_) => None,
        }
    }

    /// Evaluates the predictions with each row counted `weights[row]` times.
    pub fn outcome(&self, weights: &[f64]) -> Outcome {
        match self {
            Self::Class(evaluator) => evaluator.outcome(weights),
            Self::MultiLabel(evaluator) => evaluator.outcome(weights),
            Self::Score(evaluator) => evaluator.outcome(weights),
            Self::Entity(evaluator) => evaluator.outcome(weights),
            Self::Answer(evaluator) => evaluator.outcome(weights),
            Self::Question(evaluator) => evaluator.outcome(weights),
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
