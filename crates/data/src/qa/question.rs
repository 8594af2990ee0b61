//! Questions about texts, and their answers.

use std::sync::Arc;

use crate::error::list;

/// A gold answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Its text as in the file.
    pub text: String,
    /// Where it begins in the context, in characters from 0. `None` if that is not known: such an answer can be scored with,
    /// but not trained on.
    pub start: Option<usize>,
}

/// A question about a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// Its name in the file; predictions are kept by it.
    pub id: String,
    /// The question.
    pub question: String,
    /// The text; questions about one text share it.
    pub context: Arc<str>,
    /// The answers, any of which is right; none if the text holds no answer, or if nobody gave one.
    pub answers: Vec<Answer>,
    /// Whether the text holds no answer (SQuAD 2.0).
    pub impossible: bool,
    /// Whether the question is labelled, with an answer or as having none.
    pub labelled: bool,
    /// Title of the document that the text is from.
    pub title: Option<String>,
    /// Line in the file, or number of the row, of questions in tables.
    pub line: Option<u64>,
}

/// Answers whose positions were wrong, by the ids of their questions.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AnswerRepairs {
    /// All answers of the file.
    pub answers: usize,
    /// The file says where they begin, and they do.
    pub exact: usize,
    /// The file does not say where they begin, but the text holds them once.
    pub found: usize,
    /// The file says another place than the only one where the text holds them: they were moved there.
    pub moved: Vec<String>,
    /// The text holds them several times, none of which is where the file says.
    pub ambiguous: Vec<String>,
    /// The text does not hold them.
    pub absent: Vec<String>,
    /// Their text is empty, in SQuAD's form; a question with no other answer is taken as one that the text does not answer.
    pub empty: Vec<String>,
    /// Ids that several questions have.
    pub repeated_ids: Vec<String>,
}

impl AnswerRepairs {
    /// A one-line summary; `None` if nothing was wrong.
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
    /// What was wrong with the answers.
    pub repairs: AnswerRepairs,
    /// The questions as BioASQ asks them, whose snippets are the `items`; none in files of other forms.
    pub bioasq: Vec<BioasqQuestion>,
}

/// The type of a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QuestionType {
    /// One thing, under several names.
    Factoid,
    /// Several things, each under several names.
    List,
    /// Yes or no.
    YesNo,
    /// A paragraph.
    Summary,
}

/// A question of a BioASQ file, independent of its snippets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BioasqQuestion {
    /// Its 24 hexadecimal digits; the ids of its snippets begin with them.
    pub id: String,
    /// Its type.
    pub kind: QuestionType,
    /// The question.
    pub body: String,
    /// The names of each thing that answers it; empty where the file does not say.
    pub gold: Vec<Vec<String>>,
}
