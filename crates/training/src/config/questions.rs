//! How questions are answered (`task.kind = "qa"`).

use serde::{Deserialize, Serialize};

/// How questions are answered: by a part of a text, of which windows are read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct QuestionConfig {
    /// What chooses the end of an answer.
    pub head: QuestionHead,
    /// Of a table: column with the question.
    pub question: String,
    /// Of a table: column with the text.
    pub context: String,
    /// Of a table: column with the answer; `answer` or `answers` if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
    /// Of a table: column with the character at which the answer begins, from 0; `start` or
    /// `answer_start` if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start: Option<String>,
    /// Of a table: column with a name for the question; `id` if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// From the start of a window to that of the next, in tokens.
    pub stride: usize,
    /// Tokens of a question at most; what is more is cut off.
    pub max_question_length: usize,
    /// Tokens of an answer at most.
    pub max_answer_length: usize,
    /// Starts and ends that are looked at in a window, and answers that are kept.
    pub n_best: usize,
    /// A question has no answer if that scores by more than this above the best answer. If it is not
    /// given, it is chosen on the validation questions where some have none; otherwise every question
    /// is answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub null_threshold: Option<f64>,
}

impl QuestionConfig {
    /// Tokens of an input, unless told otherwise (Devlin et al. 2019).
    pub const MAX_LENGTH: usize = 384;
}

impl Default for QuestionConfig {
    /// As BERT's `run_squad.py`.
    fn default() -> Self {
        Self {
            head: QuestionHead::Linear,
            question: "question".into(),
            context: "context".into(),
            answer: None,
            start: None,
            id: None,
            stride: 128,
            max_question_length: 64,
            max_answer_length: 30,
            n_best: 20,
            null_threshold: None,
        }
    }
}

/// What chooses the end of an answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum QuestionHead {
    /// Each token by itself, as it chooses the start (Devlin et al. 2019, §4.2).
    #[default]
    Linear,
    /// Each token together with the start, as ELECTRA's authors do; and, where some questions have no answer, a classifier
    /// that tells them.
    Joint,
}
