//! One answer per question, extracted from a text.

use serde::{Deserialize, Serialize};

use super::error::{EvaluationError, PoolError};
use super::kind::TaskKind;
use super::set::{Pool, PredictionSet, joined};

/// A question with its true answers and the predicted answer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// The true answers, of which the best match counts; empty for a question without an answer.
    pub gold: Vec<String>,
    /// The predicted answer; empty for no answer.
    pub predicted: String,
    /// Score of "no answer": larger means more certain; need not be a probability.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_answer_score: Option<f64>,
}

/// One answer per question, extracted from a text; a row is a question.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AnswerPredictions {
    /// The questions.
    pub questions: Vec<Answer>,
    /// Whether questions may have no answer, as in SQuAD 2.0. If not, as in SQuAD 1.1, each has a true answer.
    pub may_be_unanswerable: bool,
    /// A question whose `no_answer_score` is above this counts as unanswered, regardless of `predicted`; `None` uses
    /// `predicted` unchanged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_answer_threshold: Option<f64>,
}

impl PredictionSet for AnswerPredictions {
    fn kind(&self) -> TaskKind {
        match self.may_be_unanswerable {
            true => TaskKind::AnswersOrNone,
            false => TaskKind::Answers,
        }
    }

    fn rows(&self) -> usize {
        self.questions.len()
    }

    fn check(&self) -> Result<(), EvaluationError> {
        let unanswerable = self.questions.iter().position(|q| q.gold.is_empty());
        match unanswerable {
            Some(row) if !self.may_be_unanswerable => Err(EvaluationError::NoAnswer { row }),
            _ => Ok(()),
        }
    }

    fn same_truth(&self, one: usize, other: usize) -> bool {
        self.questions[one].gold == self.questions[other].gold
    }
}

impl Pool for AnswerPredictions {
    /// If the thresholds differ, answers withheld by the thresholds of their parts are withheld first.
    fn pool(parts: &[&Self]) -> Result<Self, PoolError> {
        let Some(head) = parts.first() else {
            return Err(PoolError::Nothing);
        };
        if let Some(part) = parts.iter().find(|part| part.kind() != head.kind()) {
            return Err(PoolError::Tasks {
                first: head.kind(),
                other: part.kind(),
            });
        }
        let alike = parts
            .iter()
            .all(|part| part.no_answer_threshold == head.no_answer_threshold);
        let mut all = AnswerPredictions {
            questions: joined(parts.iter().map(|part| &part.questions)),
            may_be_unanswerable: head.may_be_unanswerable,
            no_answer_threshold: head.no_answer_threshold.filter(|_| alike),
        };
        if !alike {
            let thresholds = parts
                .iter()
                .flat_map(|part| part.questions.iter().map(|_| part.no_answer_threshold));
            for (question, threshold) in all.questions.iter_mut().zip(thresholds) {
                if let (Some(score), Some(threshold)) = (question.no_answer_score, threshold)
                    && score > threshold
                {
                    question.predicted.clear();
                }
            }
        }
        Ok(all)
    }
}
