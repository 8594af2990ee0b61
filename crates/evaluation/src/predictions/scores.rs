//! One number per row.

use serde::{Deserialize, Serialize};

use super::error::{EvaluationError, PoolError, check_count};
use super::kind::TaskKind;
use super::set::{Pool, PredictionSet, joined};

/// One number per row.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ScorePredictions {
    /// The true number of each row.
    pub targets: Vec<f64>,
    /// The predicted number of each row.
    pub predictions: Vec<f64>,
}

impl PredictionSet for ScorePredictions {
    fn kind(&self) -> TaskKind {
        TaskKind::Regression
    }

    fn rows(&self) -> usize {
        self.targets.len()
    }

    fn check(&self) -> Result<(), EvaluationError> {
        check_count("predictions", self.targets.len(), self.predictions.len())
    }

    /// Compares bits, so that NaN equals itself.
    fn same_truth(&self, one: usize, other: usize) -> bool {
        self.targets[one].to_bits() == self.targets[other].to_bits()
    }
}

impl Pool for ScorePredictions {
    fn pool(parts: &[&Self]) -> Result<Self, PoolError> {
        Ok(Self {
            targets: joined(parts.iter().map(|part| &part.targets)),
            predictions: joined(parts.iter().map(|part| &part.predictions)),
        })
    }
}
