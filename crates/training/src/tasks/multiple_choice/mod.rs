//! Multiple choice: which of several answers to a question is right.
//!
//! A table has the question, optionally a context, a column for each answer, and the label: the number of the right
//! answer, its letter, or its text. Each answer is read together with the question, the head gives each one logit, and a
//! softmax over the answers of a row makes probabilities. Empty answers are left out of the softmax, so rows may have
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
