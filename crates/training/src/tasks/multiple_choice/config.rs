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
            "question",
            "choice_right",
            "option",
            "a",
        ] {
            assert!(!names_answer(name), "{name}");
        }
    }
}
