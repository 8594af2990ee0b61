//! How questions are answered (`task.kind = "qa"`).

use serde::{Deserialize, Serialize};

use crate::config::flag::flag;
use crate::config::range::{any_finite, at_least};
use crate::config::setting::{plain_values, settings};
use crate::tasks::settings::TaskSettings;

settings! {
    /// How questions are answered: by a span of a text, which is read in windows. Defaults as BERT's `run_squad.py`.
    pub struct QuestionConfig {
        /// What chooses the end of an answer.
        head: QuestionHead = QuestionHead::Linear,
        /// Tables: column with the question.
        question: String = "question".into() => {
            .flag(flag("Questions", "question", "Of a table of questions, the column with the question").value("COLUMN"))
        },
        /// Tables: column with the text.
        context: String = "context".into() => {
            .flag(flag("Questions", "context", "Of a table of questions, the column with the text").value("COLUMN"))
        },
        /// Tables: column with the answer; `answer` or `answers` if not given.
        answer: Option<String> => {
            .flag(flag("Questions", "answer", "Of a table of questions, the column with the answer, empty where there is \
                    none").value("COLUMN").default("answer or answers"))
        },
        /// Tables: column with the character at which the answer begins, from 0; `start` or `answer_start` if not given.
        start: Option<String> => {
            .flag(flag("Questions", "start", "Of a table of questions, the column with the character at which the answer \
                    begins, from 0").value("COLUMN").default("start or answer_start"))
        },
        /// Tables: column with a name for the question; `id` if not given.
        id: Option<String> => {
            .flag(flag("Questions", "id", "Of a table of questions, the column with a name for each").value("COLUMN")
                .default("id"))
        },
        /// From the start of a window to that of the next, in tokens.
        stride: usize = 128 => {
            .range(at_least(1.0))
            .flag(flag("Questions", "stride", "From the start of a window of a text to that of the next, in tokens")
                .value("TOKENS"))
        },
        /// Longest question in tokens; the rest is truncated.
        max_question_length: usize = 64 => {
            .range(at_least(1.0))
            .flag(flag("Questions", "max-question-length", "Tokens of a question at most; what is more is cut off")
                .value("TOKENS"))
        },
        /// Longest answer in tokens.
        max_answer_length: usize = 30 => {
            .range(at_least(1.0))
            .flag(flag("Questions", "max-answer-length", "Tokens of an answer at most").value("TOKENS"))
        },
        /// Starts and ends that are considered in a window, and answers that are kept.
        n_best: usize = 20 => {
            .range(at_least(1.0))
            .flag(flag("Questions", "n-best", "Starts and ends that are looked at in a window, and answers that are kept")
                .value("N"))
        },
        /// A question has no answer if that scores by more than this above the best answer. If not given, it is chosen
        /// on the validation questions where some have none; otherwise every question is answered.
        null_threshold: Option<f64> => {
            .range(any_finite())
            .flag(flag("Questions", "null-threshold", "A question has no answer if that scores by more than this above the \
                    best one").value("NUMBER").negative()
                .default("what gives the highest F1 on the validation questions, if some have none"))
        },
    }
}

impl QuestionConfig {
    /// Default length of an input in tokens (Devlin et al. 2019).
    pub const MAX_LENGTH: usize = 384;
}

/// What chooses the end of an answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum QuestionHead {
    /// Each token by itself, as for the start (Devlin et al. 2019, §4.2).
    #[default]
    Linear,
    /// Each token together with the start, as in ELECTRA's code; and, where some questions have no answer, a classifier
    /// for those.
    Joint,
}

plain_values!(QuestionHead);

/// The settings of questions.
pub(crate) const SETTINGS: TaskSettings = TaskSettings {
    name: "qa",
    about: "questions",
    table: Some("qa"),
    own: &[],
    unused: &[
        "data.text",
        "data.text_pair",
        "data.label",
        "data.label_separator",
        "data.group",
        "task.positive",
        "task.threshold",
        "task.calibrate",
        "task.class_weights",
        "task.loss",
        "training.sampler",
    ],
    max_length: Some(QuestionConfig::MAX_LENGTH),
};
