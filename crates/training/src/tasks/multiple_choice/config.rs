//! Settings of multiple choice: `task.choice`.

use serde::{Deserialize, Serialize};

/// The columns of a multiple-choice table; the label is `data.label`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ChoiceConfig {
    /// Column with the question.
    pub question: String,
    /// Column with the text that the question is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context: Option<String>,
    /// Columns with the answers, in the order in which labels count them. If empty: all columns that begin with `answer`,
    /// `choice`, `option` or `ending` and end in a number or a single letter, in the order of the table.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub answers: Vec<String>,
}

impl Default for ChoiceConfig {
    fn default() -> Self {
        Self {
            question: "question".into(),
            context: None,
            answers: Vec::new(),
        }
    }
}

/// Whether a column's name is that of an answer: `answer_a`, `choice1`, `Option C`, `ending0`.
pub(crate) fn names_answer(column: &str) -> bool {
    let column = column.trim().to_lowercase();
    let prefixes = ["answer", "choice", "option", "ending"];
    let rest = prefixes
        .iter()
        .find_map(|prefix| column.strip_prefix(prefix));
    let Some(rest) = rest else { return false };
    let rest = rest.trim_start_matches([' ', '_', '-']);
    let number = !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit());
    number || (rest.len() == 1 && rest.bytes().all(|b| b.is_ascii_alphabetic()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_columns_with_a_number_or_a_letter() {
        for name in ["answer_a", "answerB", "choice 1", "Option-C", "ending12"] {
            assert!(names_answer(name), "{name}");
        }
        for name in [
            "answer",
            "answers",
            "question",
            "choice_right",
            "option",
            "a",
        ] {
            assert!(!names_answer(name), "{name}");
        }
    }
}
