//! One tag per word: named entities.

pub(crate) mod config;
mod crf;
pub(crate) mod evaluate;
mod folds;
pub(crate) mod info;
pub(crate) mod predict;
mod prepare;
mod stored;
mod task;

use bertkit_evaluation::TaskKind as PredictionKind;

use super::descriptor::{TaskDescriptor, TaskInput};

/// Named-entity recognition.
pub(crate) const TASK: TaskDescriptor = TaskDescriptor {
    input: TaskInput::Words,
    class_suffix: "ForTokenClassification",
    predictions: &[PredictionKind::Entities],
    always_grouped: false,
    prepare: prepare::prepare,
    evaluate_unseen: evaluate::evaluate_unseen,
    read_stored: stored::read,
};
