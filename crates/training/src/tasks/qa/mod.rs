//! Extractive question answering: the answer to a question is a span of a text.

mod bioasq;
pub(crate) mod config;
pub(crate) mod evaluate;
mod folds;
pub(crate) mod info;
pub(crate) mod predict;
mod prepare;
pub(crate) mod results;
mod stored;
mod task;

use bertkit_evaluation::TaskKind as PredictionKind;

use super::descriptor::{TaskDescriptor, TaskInput};

/// Extractive question answering.
pub(crate) const TASK: TaskDescriptor = TaskDescriptor {
    input: TaskInput::Questions,
    class_suffix: "ForQuestionAnswering",
    predictions: &[
        PredictionKind::Answers,
        PredictionKind::AnswersOrNone,
        PredictionKind::Factoid,
        PredictionKind::Lists,
    ],
    always_grouped: true,
    prepare: prepare::prepare,
    evaluate_unseen: evaluate::evaluate_unseen,
    read_stored: stored::read,
};
