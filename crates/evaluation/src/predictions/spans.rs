//! Named entities as spans of texts.

use serde::{Deserialize, Serialize};

use super::error::{EvaluationError, PoolError, check_count};
use super::kind::TaskKind;
use super::set::{Pool, PredictionSet, joined};

/// One entity of a text.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct EntitySpan {
    /// Start, in any unit (characters, words) shared by truth and prediction.
    pub start: usize,
    /// End, in the same unit.
    pub end: usize,
    /// The entity type, such as `Disease`.
    #[serde(rename = "type")]
    pub kind: String,
}

/// The entities of each text, which may be nested or overlap; a row is a text.
///
/// An entity is right if start, end and type match. Duplicates in a text count once.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SpanPredictions {
    /// The true entities of each text, in any order.
    pub gold: Vec<Vec<EntitySpan>>,
    /// The predicted entities of each text, in any order.
    pub predicted: Vec<Vec<EntitySpan>>,
}

impl PredictionSet for SpanPredictions {
    fn kind(&self) -> TaskKind {
        TaskKind::Spans
    }

    fn rows(&self) -> usize {
        self.gold.len()
    }

    fn check(&self) -> Result<(), EvaluationError> {
        check_count("predicted texts", self.gold.len(), self.predicted.len())
    }

    fn same_truth(&self, one: usize, other: usize) -> bool {
        self.gold[one] == self.gold[other]
    }
}

impl Pool for SpanPredictions {
    fn pool(parts: &[&Self]) -> Result<Self, PoolError> {
        Ok(Self {
            gold: joined(parts.iter().map(|part| &part.gold)),
            predicted: joined(parts.iter().map(|part| &part.predicted)),
        })
    }
}
