//! How a question-answering model reads its inputs and chooses answers.

use bertkit_data::qa::{DecodeOptions, FeatureOptions};
use bertkit_data::sources::ReadOptions;
use bertkit_data::sources::questions::QuestionOptions;
use bertkit_data::windows::Stride;
use serde::{Deserialize, Serialize};

use crate::config::QuestionConfig;
use crate::tasks::kind::TaskKind;

/// How a model reads questions and how its answers are chosen; `bertkit.json` in the model's folder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct QuestionInfo {
    /// [`TaskKind::Qa`].
    task: TaskKind,
    /// Maximum input length in tokens: question, part of the text and special tokens.
    pub max_length: usize,
    /// How windows are cut and answers chosen, and the columns of the training file.
    #[serde(flatten)]
    pub settings: QuestionConfig,
    /// How [`QuestionConfig::null_threshold`] was chosen, as a sentence.
    pub null_threshold_origin: String,
    /// Whether the training file's first row named its columns.
    pub header: bool,
}

impl QuestionInfo {
    /// A description with these settings; without a threshold, every question is answered.
    pub fn new(max_length: usize, settings: QuestionConfig, header: bool) -> Self {
        let origin = match settings.null_threshold {
            Some(_) => "as asked for",
            None => "none: every question is answered",
        };
        Self {
            task: TaskKind::Qa,
            max_length,
            settings,
            null_threshold_origin: origin.into(),
            header,
        }
    }

    /// How questions and texts become inputs.
    pub fn features(&self) -> FeatureOptions {
        FeatureOptions {
            max_length: self.max_length,
            max_question_length: self.settings.max_question_length,
            stride: Stride::Step(self.settings.stride),
        }
    }

    /// How scores become answers.
    pub fn decoding(&self) -> DecodeOptions {
        DecodeOptions {
            n_best: self.settings.n_best,
            max_answer_length: self.settings.max_answer_length,
            impossible: self.settings.null_threshold.is_some(),
            max_context: false,
        }
    }
}

/// How questions are read: as in training, unless columns are given.
pub(crate) fn question_options(
    read: ReadOptions,
    settings: &QuestionConfig,
    strict: bool,
) -> QuestionOptions {
    let column = |name: &Option<String>| name.as_deref().map(Into::into);
    QuestionOptions {
        read,
        question: settings.question.as_str().into(),
        context: settings.context.as_str().into(),
        answer: column(&settings.answer),
        start: column(&settings.start),
        id: column(&settings.id),
        strict,
    }
}
