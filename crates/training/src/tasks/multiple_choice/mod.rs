//! Multiple choice: selecting the correct one of several answers to a question.
//!
//! A table has the question, optionally a context, a column for each answer, and the label: the number of the correct
//! answer, its letter, or its text. Each answer is encoded together with the question, the head outputs one logit for each,
//! and probabilities are a softmax over the answers of a row. Empty answers are left out of the softmax, so rows may have
//! different numbers of answers.

pub(crate) mod config;
mod data;
mod info;
mod predict;
mod prepare;
mod rows;
mod stored;
mod task;

use bertkit_evaluation::TaskKind as PredictionKind;

use super::descriptor::{TaskDescriptor, TaskInput};

/// Multiple choice.
pub(crate) const TASK: TaskDescriptor = TaskDescriptor {
    input: TaskInput::Rows(predict::open),
    class_suffix: "ForMultipleChoice",
    predictions: &[PredictionKind::Choices],
    always_grouped: false,
    prepare: prepare::prepare,
    evaluate_unseen: predict::evaluate_unseen,
    read_stored: stored::read,
};
