//! The names of the tasks.

use serde::{Deserialize, Serialize};

/// What a run learns: `task.kind` in the configuration, and in `bertkit.json` beside the weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TaskKind {
    /// One class a text.
    Classification,
    /// Several labels a text.
    MultiLabel,
    /// A number a text.
    Regression,
    /// A tag a word: named entities.
    Ner,
    /// The answer to a question, found in a text.
    Qa,
}

impl TaskKind {
    /// Every task.
    pub const ALL: [Self; 5] = [
        Self::Classification,
        Self::MultiLabel,
        Self::Regression,
        Self::Ner,
        Self::Qa,
    ];
}
