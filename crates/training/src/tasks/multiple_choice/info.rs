//! The description written next to the weights of a multiple-choice model.

use serde::{Deserialize, Serialize};

use super::config::ChoiceConfig;
use crate::tasks::kind::TaskKind;

/// How labels name the correct answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum LabelStyle {
    /// By the text of the answer.
    Text,
    /// By the number of the answer's column, from 0.
    FromZero,
    /// By the number of the answer's column, from 1.
    FromOne,
    /// By the letter of the answer's column, from A.
    Letter,
}

impl LabelStyle {
    /// Every style, in the order in which they are tried.
    pub const ALL: [Self; 4] = [Self::Text, Self::FromZero, Self::FromOne, Self::Letter];

    /// A description of the labels for summaries and errors, given `count` answers.
    pub fn describe(self, count: usize) -> String {
        match self {
            Self::Text => "the text of an answer".into(),
            Self::FromZero => format!("a number from 0 to {}", count.saturating_sub(1)),
            Self::FromOne => format!("a number from 1 to {count}"),
            Self::Letter => format!("a letter from A to {}", letter(count.saturating_sub(1))),
        }
    }

    /// The answer that a label names, from 0; `None` if it names none.
    pub fn index(self, label: &str, answers: &[String]) -> Option<usize> {
        let label = label.trim();
        let number = || label.parse::<usize>().ok();
        let index = match self {
            Self::Text => answers.iter().position(|answer| answer.trim() == label),
            Self::FromZero => number(),
            Self::FromOne => number()?.checked_sub(1),
            Self::Letter => {
                let mut letters = label.chars();
                let first = letters.next()?.to_ascii_uppercase();
                let single = letters.next().is_none() && first.is_ascii_uppercase();
                single.then(|| usize::from(first as u8 - b'A'))
            }
        };
        // An empty answer does not count.
        index.filter(|&at| {
            answers
                .get(at)
                .is_some_and(|answer| !answer.trim().is_empty())
        })
    }
}

/// The letter of an index, from A; the number beyond Z.
fn letter(at: usize) -> String {
    match u8::try_from(at) {
        Ok(at) if at < 26 => char::from(b'A' + at).to_string(),
        _ => at.to_string(),
    }
}

/// How a multiple-choice model reads its tables; `bertkit.json` in the model's folder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChoiceInfo {
    /// [`TaskKind::MultipleChoice`].
    pub(crate) task: TaskKind,
    /// Maximum input length in tokens: question, answer and special tokens.
    pub(crate) max_length: usize,
    /// The columns of the training file, with the answer columns resolved.
    pub(crate) columns: ChoiceConfig,
    /// The column with the label.
    pub(crate) label: String,
    /// How labels name the correct answer.
    pub(crate) labels: LabelStyle,
    /// Whether the training file's first row named its columns.
    pub(crate) header: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_numbers_letters_or_texts() {
        let answers = ["red", "blue", "", "green"].map(String::from);
        let index = |style: LabelStyle, label: &str| style.index(label, &answers);
        assert_eq!(index(LabelStyle::FromZero, "0"), Some(0));
        assert_eq!(index(LabelStyle::FromOne, "4"), Some(3));
        assert_eq!(index(LabelStyle::FromOne, "0"), None);
        assert_eq!(index(LabelStyle::Letter, " d "), Some(3));
        assert_eq!(index(LabelStyle::Letter, "E"), None);
        assert_eq!(index(LabelStyle::Text, "blue"), Some(1));
        // The third answer is empty.
        assert_eq!(index(LabelStyle::FromZero, "2"), None);
        assert_eq!(index(LabelStyle::Text, ""), None);
    }
}
