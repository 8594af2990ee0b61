//! Lists of answers, as in BioASQ.

use serde::{Deserialize, Serialize};

use super::error::{EvaluationError, PoolError};
use super::kind::TaskKind;
use super::set::{Pool, PredictionSet, joined};

/// A list question, with its predicted answers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListAnswer {
    /// The names of each true answer.
    pub gold: Vec<Vec<String>>,
    /// The predicted answers, in any order.
    pub predicted: Vec<String>,
}

/// Answers to list questions, as in BioASQ; a row is a question.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListPredictions {
    /// The questions.
    pub questions: Vec<ListAnswer>,
}

impl PredictionSet for ListPredictions {
    fn kind(&self) -> TaskKind {
        TaskKind::Lists
    }

    fn rows(&self) -> usize {
        self.questions.len()
    }

    fn check(&self) -> Result<(), EvaluationError> {
        Ok(())
    }

    fn same_truth(&self, one: usize, other: usize) -> bool {
        self.questions[one].gold == self.questions[other].gold
    }
}

impl Pool for ListPredictions {
    fn pool(parts: &[&Self]) -> Result<Self, PoolError> {
        Ok(Self {
            questions: joined(parts.iter().map(|part| &part.questions)),
        })
    }
}
