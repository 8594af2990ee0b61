//! Why a metric has no value.

use crate::predictions::kind::TaskKind;

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
        /// The name of the metric.
        metric: &'static str,
        /// The kind of the predictions.
        task: TaskKind,
    },
    /// The metric is that of a positive class.
    #[error("no class is the positive one")]
    NoPositiveClass,
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
