//! One prediction per text or pair of texts: a class, several labels, or a number.

pub(crate) mod config;
mod data;
mod documents;
pub(crate) mod evaluate;
mod folds;
pub(crate) mod info;
mod labels;
pub(crate) mod predict;
mod prepare;
mod rows;
mod stored;
mod task;

use bertkit_evaluation::TaskKind as PredictionKind;

use super::descriptor::{TaskDescriptor, TaskInput};

/// Classification, multi-label classification and regression.
pub(crate) const TASK: TaskDescriptor = TaskDescriptor {
    input: TaskInput::Texts,
    class_suffix: "ForSequenceClassification",
    predictions: &[
        PredictionKind::Binary,
        PredictionKind::Multiclass,
        PredictionKind::Multilabel,
        PredictionKind::Regression,
    ],
    always_grouped: false,
    prepare: prepare::prepare,
    evaluate_unseen: evaluate::evaluate_unseen,
    read_stored: stored::read,
};
