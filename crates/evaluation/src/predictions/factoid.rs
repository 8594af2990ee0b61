//! Ranked answers to factoid questions, as in BioASQ.

use serde::{Deserialize, Serialize};

use super::error::{EvaluationError, PoolError};
use super::kind::TaskKind;
use super::set::{Pool, PredictionSet, joined};

/// A question with the names of its single answer, and the ranked predicted answers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RankedAnswers {
    /// The accepted names of the true answer.
    pub gold: Vec<String>,
    /// The predicted answers, most probable first; only the first five count.
    pub ranked: Vec<String>,
}

/// Ranked answers to factoid questions, as in BioASQ; a row is a question.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FactoidPredictions {
    /// The questions.
    pub questions: Vec<RankedAnswers>,
}

impl PredictionSet for FactoidPredictions {
    fn kind(&self) -> TaskKind {
        TaskKind::Factoid
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

impl Pool for FactoidPredictions {
    fn pool(parts: &[&Self]) -> Result<Self, PoolError> {
        Ok(Self {
            questions: joined(parts.iter().map(|part| &part.questions)),
        })
    }
}
