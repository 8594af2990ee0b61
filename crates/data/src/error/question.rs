//! Questions and their answers.

use super::text::short;
use crate::place::Place;

/// A file of questions is malformed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QuestionError {
    /// A file that is not a valid JSON document.
    #[error("`{path}` is not JSON: {message} (line {line}, column {column})")]
    JsonDocument {
        /// The file.
        path: String,
        /// The line.
        line: usize,
        /// Byte position in the line, from 1.
        column: usize,
        /// The parser's message.
        message: String,
    },
    /// A file without questions.
    #[error("`{path}` holds no questions")]
    NoQuestions {
        /// The file.
        path: String,
    },
    /// An answer that does not occur at the given position and cannot be located.
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
        /// The question's row, in formats with one question per row.
        place: Option<Place>,
        /// The answer.
        answer: String,
        /// Number of occurrences of its text in the context.
        occurrences: usize,
    },
}

impl QuestionError {
    /// A suggestion for the user, if there is one.
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
