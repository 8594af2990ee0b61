//! The kinds of predictions.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The kind of predictions, which determines the applicable metrics: `task` in reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskKind {
    /// One of two classes, one of which is the positive class.
    Binary,
    /// One of several classes, or of two without a positive class.
    Multiclass,
    /// Any subset of the classes.
    Multilabel,
    /// One number.
    Regression,
    /// Named entities, given as the tags of words.
    Entities,
    /// Named entities, given as spans.
    Spans,
    /// One answer per question.
    Answers,
    /// One answer per question, or none.
    AnswersOrNone,
    /// Ranked answers per question.
    Factoid,
    /// A list of answers per question.
    Lists,
    /// One of several answers to a multiple-choice question.
    Choices,
}

impl TaskKind {
    /// All kinds.
    pub const ALL: &'static [Self] = &[
        Self::Binary,
        Self::Multiclass,
        Self::Multilabel,
        Self::Regression,
        Self::Entities,
        Self::Spans,
        Self::Answers,
        Self::AnswersOrNone,
        Self::Factoid,
        Self::Lists,
        Self::Choices,
    ];

    /// The name in reports, in snake case, and the noun for a row.
    const fn descriptor(self) -> (&'static str, &'static str) {
        match self {
            Self::Binary => ("binary", "row"),
            Self::Multiclass => ("multiclass", "row"),
            Self::Multilabel => ("multilabel", "row"),
            Self::Regression => ("regression", "row"),
            Self::Entities => ("entities", "sentence"),
            Self::Spans => ("spans", "text"),
            Self::Answers => ("answers", "question"),
            Self::AnswersOrNone => ("answers_or_none", "question"),
            Self::Factoid => ("factoid", "question"),
            Self::Lists => ("lists", "question"),
            Self::Choices => ("choices", "row"),
        }
    }

    /// The name in reports, in snake case.
    pub const fn name(self) -> &'static str {
        self.descriptor().0
    }

    /// The noun for a row.
    pub(crate) const fn row_noun(self) -> &'static str {
        self.descriptor().1
    }
}

impl fmt::Display for TaskKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
