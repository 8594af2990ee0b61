//! Reasons why a metric is undefined.

use crate::predictions::kind::TaskKind;

/// The reason why a metric is undefined on some predictions.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Undefined {
    /// There is nothing to evaluate.
    #[error("there are no rows")]
    NoRows,
    /// The metric does not apply to the task.
    #[error("`{metric}` does not apply to a {task} task")]
    NotApplicable {
        /// The name of the metric.
        metric: &'static str,
        /// The kind of the predictions.
        task: TaskKind,
    },
    /// The metric requires a positive class.
    #[error("no class is the positive one")]
    NoPositiveClass,
    /// The metric requires probabilities.
    #[error("the predictions carry no probabilities")]
    NoProbabilities,
    /// The model or the data contain infinity or NaN.
    #[error("row {row} has a {what} that is not a finite number")]
    NotFinite {
        /// The name of the value that is not finite.
        what: &'static str,
        /// Index of the first such row, from 0.
        row: usize,
    },
    /// No row belongs to a known class.
    #[error("no row is of a class that the model knows")]
    NoKnownClass,
    /// Distinguishing classes requires at least two.
    #[error("a model of {classes} class has nothing to tell apart")]
    TooFewClasses {
        /// The number of classes.
        classes: usize,
    },
    /// The metric requires rows of both classes.
    #[error("every row is of class `{class}`")]
    OneClass {
        /// The class of every row.
        class: String,
    },
    /// The metric requires rows of every class.
    #[error("no row is of class `{class}`")]
    ClassWithoutRows {
        /// The first class without rows.
        class: String,
    },
    /// The expected chance agreement is complete, because there is only one class.
    #[error("every row is of class `{class}` and predicted so")]
    CertainAgreement {
        /// The class of every row and prediction.
        class: String,
    },
    /// The metric requires rows with and without the label.
    #[error("{} row has label `{class}`", if *everywhere { "every" } else { "no" })]
    ConstantLabel {
        /// The label.
        class: String,
        /// True if every row has it, false if none.
        everywhere: bool,
    },
    /// The metric requires labels that apply and labels that do not.
    #[error("{}", if *everywhere { "every row has every label" } else { "no row has any label" })]
    ConstantLabels {
        /// True if every row has every label, false if none has any.
        everywhere: bool,
    },
    /// A measure of spread requires more rows.
    #[error("there is one row, and it takes two")]
    OneRow,
    /// The targets do not vary.
    #[error("all targets are equal")]
    ConstantTargets,
    /// The predictions do not vary.
    #[error("all predictions are equal")]
    ConstantPredictions,
    /// Entity scores require at least one entity.
    #[error("neither truth nor predictions have an entity")]
    NoEntities,
    /// Strict scores require IOB2 tags.
    #[error("row {row} has the tag `{tag}`, and IOB2 knows B, I and O")]
    NotIob2 {
        /// The tag.
        tag: String,
        /// Index of the first such row, from 0.
        row: usize,
    },
    /// There are no words with tags.
    #[error("there are no words")]
    NoWords,
    /// The metric is averaged over a subset of the questions that is empty.
    #[error("no question is {} an answer", if *answerable { "with" } else { "without" })]
    NoQuestions {
        /// True for questions that have an answer.
        answerable: bool,
    },
    /// A threshold for no answer requires scores.
    #[error("the predictions carry no scores for no answer")]
    NoAnswerScores,
    /// The result exceeds the range of `f64`.
    #[error("the values are too large to compute with")]
    TooLarge,
}
