//! Settings of multiple choice: `task.choice`.

use crate::config::setting::settings;
use crate::tasks::settings::TaskSettings;

settings! {
    /// The columns of a multiple-choice table; the label is `data.label`.
    pub struct ChoiceConfig {
        /// Column with the question.
        question: String = "question".into(),
        /// Column with the text that the question is about.
        context: Option<String>,
        /// Columns with the answers, in the order in which labels count them. If empty: all columns that begin with
        /// `answer`, `choice`, `option` or `ending` and end in a number or a single letter, in the order of the table.
        answers: Vec<String>,
    }
}

/// Whether a column's name is that of an answer: `answer_a`, `answerB`, `choice1`, `Option C`, `ending0`. A letter must follow
/// a separator or, after lower case, be a capital: `answers` does not match.
pub(crate) fn names_answer(column: &str) -> bool {
    let column = column.trim();
    let prefixes = ["answer", "choice", "option", "ending"];
    let prefix = prefixes.iter().find(|prefix| {
        let start = column.get(..prefix.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(prefix))
    });
    let Some(prefix) = prefix else { return false };
    let (start, end) = column.split_at(prefix.len());
    let rest = end.trim_start_matches([' ', '_', '-']);
    let number = !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit());
    let letter = rest.len() == 1 && rest.bytes().all(|b| b.is_ascii_alphabetic());
    let separated = rest.len() < end.len();
    let capital =
        rest.bytes().all(|b| b.is_ascii_uppercase()) && start.ends_with(char::is_lowercase);
    number || (letter && (separated || capital))
}

/// The settings of multiple choice.
pub(crate) const SETTINGS: TaskSettings = TaskSettings {
    name: "multiple-choice",
    about: "multiple choice",
    table: Some("choice"),
    own: &[],
    unused: &[
        "data.text",
        "data.text_pair",
        "data.label_separator",
        "data.group_by",
        "data.entities",
        "task.positive",
        "task.averaged",
        "task.documents",
        "task.threshold",
        "task.calibrate",
        "task.class_weights",
        "task.loss",
        "training.sampler",
    ],
    max_length: None,
};

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
            "CHOICES",
            "question",
            "choice_right",
            "option",
            "a",
        ] {
            assert!(!names_answer(name), "{name}");
        }
    }
}
