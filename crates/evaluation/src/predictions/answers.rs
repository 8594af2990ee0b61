//! Answers to questions: one, a ranking, or a list.

use serde::{Deserialize, Serialize};

use super::EvaluationError;

/// A question with its true answers and the answer given.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// The true answers, of which the one that fits best counts; none for a question without an answer.
    pub gold: Vec<String>,
    /// The answer given; empty for none.
    pub predicted: String,
    /// How much speaks for there being no answer: larger is more certain; need not be a probability.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_answer_score: Option<f64>,
}

/// One answer a question, found in a text; a row is a question.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AnswerPredictions {
    /// The questions.
    pub questions: Vec<Answer>,
    /// Whether questions may have no answer, as in SQuAD 2.0. If not, as in SQuAD 1.1, each has a true answer.
    pub may_be_unanswerable: bool,
    /// A question whose `no_answer_score` is above this counts as not answered, whatever `predicted` says; `None`
    /// leaves `predicted` as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_answer_threshold: Option<f64>,
}

impl AnswerPredictions {
    pub(crate) fn check(&self) -> Result<(), EvaluationError> {
        let unanswerable = self.questions.iter().position(|q| q.gold.is_empty());
        match unanswerable {
            Some(row) if !self.may_be_unanswerable => Err(EvaluationError::NoAnswer { row }),
            _ => Ok(()),
        }
    }
}

/// A question with the names of its one answer, and the answers given in order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RankedAnswers {
    /// The names of the true answer: any of them is right.
    pub gold: Vec<String>,
    /// The answers given, the most probable first; the first five count.
    pub ranked: Vec<String>,
}

/// Ranked answers to factoid questions, as in BioASQ; a row is a question.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FactoidPredictions {
    /// The questions.
    pub questions: Vec<RankedAnswers>,
}

/// A question that asks for several things, and the answers given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListAnswer {
    /// The names of each thing that belongs in the list.
    pub gold: Vec<Vec<String>>,
    /// The answers given, in any order.
    pub predicted: Vec<String>,
}

/// Answers to list questions, as in BioASQ; a row is a question.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListPredictions {
    /// The questions.
    pub questions: Vec<ListAnswer>,
}
