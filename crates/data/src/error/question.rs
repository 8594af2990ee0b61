//! Questions and their answers.

use super::text::short;
use crate::place::Place;

/// A file of questions is malformed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QuestionError {
    /// A file that should be one JSON document but is not.
    #[error("`{path}` is not JSON: {message} (line {line}, column {column})")]
    JsonDocument {
        /// The file.
        path: String,
        /// The line.
        line: usize,
        /// Where in the line, in bytes from 1.
        column: usize,
        /// What the parser says.
        message: String,
    },
    /// A file without questions.
    #[error("`{path}` holds no questions")]
    NoQuestions {
        /// The file.
        path: String,
    },
    /// An answer that is not where the file says, and cannot be placed.
    #[error("the answer `{}` to question `{question}` in `{path}`{} {}", short(answer), match place {
        Some(place) => format!(" ({place})"),
        None => String::new(),
    }, match occurrences {
        0 => "is not in its context".to_owned(),
        count => format!("is not where the file says, and its context holds it {count} times"),
    })]
    AnswerNotFound {
        /// The file.
        path: String,
        /// The question's id.
        question: String,
        /// The question's row, where a row is a question.
        place: Option<Place>,
        /// The answer.
        answer: String,
        /// How often its text occurs in the context.
        occurrences: usize,
    },
}

impl QuestionError {
    /// What the user can do about it, if known.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::JsonDocument { .. } => {
                "a file that ends in `.json` holds one document in the form of SQuAD or BioASQ; one object a line is JSON Lines, `.jsonl`".into()
            }
            Self::NoQuestions { .. } => "check that it is the file you mean".into(),
            Self::AnswerNotFound { .. } => {
                "correct the answer or its start, or let such answers be left out of training and counted".into()
            }
        })
    }
}
