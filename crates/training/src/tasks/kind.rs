//! The names of the tasks.

use bertkit_data::labels::LabelKind;
use serde::{Deserialize, Serialize};

use super::multiple_choice::config as multiple_choice;
use super::qa::config as qa;
use super::settings::TaskSettings;
use super::tagging::config as tagging;
use super::text::config as text;

/// What a run learns: `task.kind` in the configuration, and in `bertkit.json` next to the weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TaskKind {
    /// One class per text.
    Classification,
    /// Several labels per text.
    MultiLabel,
    /// A number per text.
    Regression,
    /// A tag per word: named entities.
    Ner,
    /// The answer to a question, found in a text.
    Qa,
    /// The correct one of several answers to a question.
    MultipleChoice,
}

impl TaskKind {
    /// Every task.
    pub const ALL: &'static [Self] = &[
        Self::Classification,
        Self::MultiLabel,
        Self::Regression,
        Self::Ner,
        Self::Qa,
        Self::MultipleChoice,
    ];

    /// The kind of labels that texts have; `None` for tasks without such labels.
    pub fn labels(self) -> Option<LabelKind> {
        match self {
            Self::Classification => Some(LabelKind::Classification),
            Self::MultiLabel => Some(LabelKind::MultiLabel),
            Self::Regression => Some(LabelKind::Regression),
            Self::Ner | Self::Qa | Self::MultipleChoice => None,
        }
    }

    /// The settings that only this task has, and those that it does not use.
    pub(crate) fn settings(self) -> &'static TaskSettings {
        match self {
            Self::Classification | Self::MultiLabel | Self::Regression => &text::SETTINGS,
            Self::Ner => &tagging::SETTINGS,
            Self::Qa => &qa::SETTINGS,
            Self::MultipleChoice => &multiple_choice::SETTINGS,
        }
    }
}
