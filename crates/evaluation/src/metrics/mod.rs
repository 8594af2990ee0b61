//! The metrics themselves: each a function of predictions and of a weight per row.
//!
//! Every computation takes weights, so that the bootstrap can stand for a resample by how often it drew each row:
//! scores are sorted once, and a resample costs one pass. Weights are whole numbers in `f64`, exact up to 2^53.

mod answers;
mod class;
mod counts;
mod entities;
mod factoid;
mod multilabel;
mod ranking;
mod regression;

use crate::metric::Metric;
use crate::predictions::{Predictions, TaskKind};

pub use answers::{AnswerScore, NoAnswerThreshold, best_no_answer_threshold};
pub(crate) use entities::Scheme;
pub use factoid::{Candidate, PooledAnswers, pool_snippets, pool_snippets_above};

use answers::AnswerEvaluator;
use class::ClassEvaluator;
use entities::EntityEvaluator;
use factoid::QuestionEvaluator;
use multilabel::MultiLabelEvaluator;
use regression::ScoreEvaluator;

/// Why a metric has no value on some predictions.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Undefined {
    /// There is nothing to evaluate.
    #[error("there are no rows")]
    NoRows,
    /// The metric is not one of the task's.
    #[error("`{metric}` does not apply to a {task} task")]
    NotApplicable {
        /// The metric asked for.
        metric: Metric,
        /// The kind of the predictions.
        task: TaskKind,
    },
    /// The metric reads probabilities and there are none.
    #[error("the predictions carry no probabilities")]
    NoProbabilities,
    /// The model, or the data, gave infinity or not-a-number.
    #[error("row {row} has a {what} that is not a finite number")]
    NotFinite {
        /// What is not finite.
        what: &'static str,
        /// The first such row, counted from 0.
        row: usize,
    },
    /// No row belongs to a class that the model knows.
    #[error("no row is of a class that the model knows")]
    NoKnownClass,
    /// Telling classes apart needs two of them.
    #[error("a model of {classes} class has nothing to tell apart")]
    TooFewClasses {
        /// The number of classes.
        classes: usize,
    },
    /// Telling classes apart needs rows of both.
    #[error("every row is of class `{class}`")]
    OneClass {
        /// The class of every row.
        class: String,
    },
    /// Telling each class from the rest needs rows of each.
    #[error("no row is of class `{class}`")]
    ClassWithoutRows {
        /// The first class without rows.
        class: String,
    },
    /// Chance alone explains complete agreement on one class.
    #[error("every row is of class `{class}` and predicted so")]
    CertainAgreement {
        /// The class of every row and prediction.
        class: String,
    },
    /// Telling rows with a label from rows without needs both.
    #[error("{} row has label `{class}`", if *everywhere { "every" } else { "no" })]
    ConstantLabel {
        /// The label.
        class: String,
        /// True if every row has it, false if none.
        everywhere: bool,
    },
    /// Telling labels that apply from labels that do not needs both.
    #[error("{}", if *everywhere { "every row has every label" } else { "no row has any label" })]
    ConstantLabels {
        /// True if every row has every label, false if none has any.
        everywhere: bool,
    },
    /// A spread needs more rows.
    #[error("there is one row, and it takes two")]
    OneRow,
    /// The targets do not vary.
    #[error("all targets are equal")]
    ConstantTargets,
    /// The predictions do not vary.
    #[error("all predictions are equal")]
    ConstantPredictions,
    /// Scores of entities need some.
    #[error("neither truth nor predictions have an entity")]
    NoEntities,
    /// Strict scores read IOB2 and nothing else.
    #[error("row {row} has the tag `{tag}`, and IOB2 knows B, I and O")]
    NotIob2 {
        /// The tag.
        tag: String,
        /// The first such row, counted from 0.
        row: usize,
    },
    /// There are no words with tags.
    #[error("there are no words")]
    NoWords,
    /// The metric is over some of the questions, and there are no such.
    #[error("no question is {} an answer", if *answerable { "with" } else { "without" })]
    NoQuestions {
        /// True for questions that have an answer.
        answerable: bool,
    },
    /// A threshold for no answer needs a score to compare.
    #[error("the predictions carry no scores for no answer")]
    NoAnswerScores,
    /// The result is beyond what `f64` holds.
    #[error("the values are too large to compute with")]
    TooLarge,
}

/// A metric's value, or why there is none.
pub(crate) type Value = Result<f64, Undefined>;

/// The precision, recall and F1 of one class.
pub(crate) type ClassScores = [f64; 3];

/// What one set of weights gives.
pub(crate) struct Outcome {
    /// A value for each metric, in the order asked for.
    pub metrics: Vec<Value>,
    /// One entry per class, or per type of entity within each scheme; empty for other tasks. What is not a number is
    /// not defined.
    pub per_class: Result<Vec<ClassScores>, Undefined>,
}

/// Predictions made ready to evaluate under many weightings.
pub(crate) enum Evaluator<'a> {
    Class(ClassEvaluator<'a>),
    MultiLabel(MultiLabelEvaluator<'a>),
    Score(ScoreEvaluator<'a>),
    Entity(EntityEvaluator<'a>),
    Answer(AnswerEvaluator<'a>),
    Question(QuestionEvaluator<'a>),
}

impl<'a> Evaluator<'a> {
    /// Sorts what the `metrics` read. All of them must apply to the task, and the predictions must fit together.
    pub fn new(predictions: &'a Predictions, metrics: &'a [Metric]) -> Self {
        match predictions {
            Predictions::Classes(p) => Self::Class(ClassEvaluator::new(p, metrics)),
            Predictions::MultiLabel(p) => Self::MultiLabel(MultiLabelEvaluator::new(p, metrics)),
            Predictions::Scores(p) => Self::Score(ScoreEvaluator::new(p, metrics)),
            Predictions::Entities(p) => Self::Entity(EntityEvaluator::of_tags(p, metrics)),
            Predictions::Spans(p) => Self::Entity(EntityEvaluator::of_spans(p, metrics)),
            Predictions::Answers(p) => Self::Answer(AnswerEvaluator::new(p, metrics)),
            Predictions::Factoid(p) => Self::Question(QuestionEvaluator::factoid(p, metrics)),
            Predictions::Lists(p) => Self::Question(QuestionEvaluator::lists(p, metrics)),
        }
    }

    /// Evaluates rows that count `weights[row]` times each.
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

impl Outcome {
    /// Nothing is defined, for one reason.
    fn undefined(metrics: &[Metric], reason: &Undefined) -> Self {
        Self {
            metrics: vec![Err(reason.clone()); metrics.len()],
            per_class: Err(reason.clone()),
        }
    }
}

/// `value`, unless it left the range of `f64`.
fn finite(value: f64) -> Value {
    if value.is_finite() {
        Ok(value)
    } else {
        Err(Undefined::TooLarge)
    }
}

/// The first row of a `[rows, columns]` matrix that holds a number that is not finite.
fn not_finite(what: &'static str, values: &[f64], columns: usize) -> Option<Undefined> {
    let index = values.iter().position(|value| !value.is_finite())?;
    Some(Undefined::NotFinite {
        what,
        row: index / columns.max(1),
    })
}

#[cfg(test)]
mod tests;
