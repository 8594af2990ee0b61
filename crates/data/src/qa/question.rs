//! Questions about texts, and their answers.

use std::sync::Arc;

use crate::error::list;

/// A gold answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Its text as in the file.
    pub text: String,
    /// Start in the context, in characters from 0. `None` if unknown: such an answer can be used for evaluation, but not
    /// for training.
    pub start: Option<usize>,
}

/// A question about a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// Its id in the file; predictions are stored under it.
    pub id: String,
    /// The question.
    pub question: String,
    /// The text; questions about the same text share it.
    pub context: Arc<str>,
    /// The accepted answers; empty if the text contains no answer or the question is not labelled.
    pub answers: Vec<Answer>,
    /// Whether the text contains no answer (SQuAD 2.0).
    pub impossible: bool,
    /// Whether the question is labelled, with an answer or as unanswerable.
    pub labelled: bool,
    /// Title of the document that contains the text.
    pub title: Option<String>,
    /// Line or row number, for questions from tables.
    pub line: Option<u64>,
}

/// Corrections of answer positions, by question id.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AnswerRepairs {
    /// Number of answers in the file.
    pub answers: usize,
    /// Number of answers found at the given position.
    pub exact: usize,
    /// Number of answers without a position that occur exactly once in the text.
    pub found: usize,
    /// Answers with a wrong position that occur exactly once in the text: they were moved there.
    pub moved: Vec<String>,
    /// Answers that occur several times in the text, but not at the given position.
    pub ambiguous: Vec<String>,
    /// Answers that do not occur in the text.
    pub absent: Vec<String>,
    /// Answers with an empty text, in SQuAD files; a question without other answers is treated as unanswerable.
    pub empty: Vec<String>,
    /// Ids used by several questions.
    pub repeated_ids: Vec<String>,
}

impl AnswerRepairs {
    /// A one-line summary; `None` if there were no problems.
    pub fn summary(&self) -> Option<String> {
        const SHOWN: usize = 5;
        let mut parts = Vec::new();
        if !self.moved.is_empty() {
            parts.push(format!(
                "{} moved to the only place where the text holds them",
                self.moved.len()
            ));
        }
        for (ids, what) in [
            (&self.ambiguous, "in several places of the text"),
            (&self.absent, "not in the text"),
        ] {
            if !ids.is_empty() {
                let ids = (ids.len(), list(ids, SHOWN));
                parts.push(format!(
                    "{} {what}, so not trained on (question{} {})",
                    ids.0,
                    if ids.0 == 1 { "" } else { "s" },
                    ids.1
                ));
            }
        }
        let wrong = self.moved.len() + self.ambiguous.len() + self.absent.len();
        let placed = (wrong > 0).then(|| {
            format!(
                "{wrong} of {} answers are not where the file says: {}",
                self.answers,
                parts.join("; ")
            )
        });
        let empty = (!self.empty.is_empty()).then(|| {
            let count = self.empty.len();
            format!(
                "{count} answer{} empty, taken as no answer (question{} {})",
                if count == 1 { " is" } else { "s are" },
                if count == 1 { "" } else { "s" },
                list(&self.empty, SHOWN)
            )
        });
        let repeated = (!self.repeated_ids.is_empty()).then(|| {
            format!(
                "several questions have the same id: {}",
                list(&self.repeated_ids, SHOWN)
            )
        });
        let all: Vec<String> = placed.into_iter().chain(empty).chain(repeated).collect();
        (!all.is_empty()).then(|| all.join("; "))
    }
}

/// The questions of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Questions {
    /// The file, for messages.
    pub name: String,
    /// The questions, in the order of the file.
    pub items: Vec<Question>,
    /// Problems found in the answers.
    pub repairs: AnswerRepairs,
    /// The original BioASQ questions whose snippets are in `items`; empty for other formats.
    pub bioasq: Vec<BioasqQuestion>,
}

/// The type of a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QuestionType {
    /// A single thing, which may have several names.
    Factoid,
    /// Several things, each of which may have several names.
    List,
    /// A yes/no question.
    YesNo,
    /// A question answered by a paragraph.
    Summary,
}

/// A question of a BioASQ file, independent of its snippets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BioasqQuestion {
    /// Its 24 hexadecimal digits; the ids of its snippets begin with it.
    pub id: String,
    /// Its type.
    pub kind: QuestionType,
    /// The question.
    pub body: String,
    /// The names of each correct answer; empty if the file has none.
    pub gold: Vec<Vec<String>>,
}
