//! The tasks that a run can learn, one folder each.
//!
//! [`TaskKind`] names them, and [`TaskKind::descriptor`] is the only place that maps a name to its task.

pub(crate) mod batches;
mod descriptor;
pub(crate) mod evaluation;
pub(crate) mod folds;
pub(crate) mod kind;
pub(crate) mod multiple_choice;
pub(crate) mod qa;
pub(crate) mod rows;
pub(crate) mod settings;
pub(crate) mod stored;
pub(crate) mod tagging;
pub(crate) mod text;

use std::path::Path;

use bertkit_evaluation::TaskKind as PredictionKind;
use serde::Deserialize;

use crate::run::model::model_folder;
use crate::run::trained::DESCRIPTION;
pub(crate) use descriptor::UnseenData;
pub use descriptor::{TaskDescriptor, TaskInput};
pub use kind::TaskKind;

impl TaskKind {
    /// Everything that the rest of the program needs to know about the task.
    pub fn descriptor(self) -> &'static TaskDescriptor {
        match self {
            Self::Classification | Self::MultiLabel | Self::Regression => &text::TASK,
            Self::Ner => &tagging::TASK,
            Self::Qa => &qa::TASK,
            Self::MultipleChoice => &multiple_choice::TASK,
        }
    }
}

/// The task of a configuration; without a `task.kind`, that of texts with labels.
pub(crate) fn of_kind(kind: Option<TaskKind>) -> &'static TaskDescriptor {
    kind.map_or(&text::TASK, TaskKind::descriptor)
}

/// The task whose evaluations have predictions of that kind.
pub(crate) fn of_predictions(predictions: PredictionKind) -> Option<&'static TaskDescriptor> {
    let mut all = TaskKind::ALL.iter().map(|kind| kind.descriptor());
    all.find(|task| task.predictions.contains(&predictions))
}

/// The task of a trained model in a run directory or a model folder, from its description or, without one, from its
/// class. If neither is there, that of texts: a [`Predictor`](crate::Predictor) then reports the error.
pub fn task_of_model(path: &Path) -> &'static TaskDescriptor {
    #[derive(Deserialize)]
    struct Description {
        task: Option<TaskKind>,
    }
    #[derive(Deserialize)]
    struct Class {
        #[serde(default)]
        architectures: Vec<String>,
    }
    let folder = model_folder(path);
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).ok();
    if let Some(text) = read(DESCRIPTION) {
        let description: Option<Description> = serde_json::from_str(&text).ok();
        return of_kind(description.and_then(|description| description.task));
    }
    let class: Option<Class> = read("config.json").and_then(|t| serde_json::from_str(&t).ok());
    let name = class.and_then(|class| class.architectures.into_iter().next());
    let name = name.unwrap_or_default();
    let mut all = TaskKind::ALL.iter().map(|kind| kind.descriptor());
    all.find(|task| name.ends_with(task.class_suffix))
        .unwrap_or(&text::TASK)
}
