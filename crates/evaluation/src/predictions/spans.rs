//! Named entities as spans of texts.

use serde::{Deserialize, Serialize};

use super::error::{EvaluationError, PoolError, check_count};
use super::kind::TaskKind;
use super::set::{Pool, PredictionSet, joined};

/// One entity of a text.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct EntitySpan {
    /// Where it starts, in any unit (characters, words) that truth and prediction share.
    pub start: usize,
    /// Where it ends, in the same unit.
    pub end: usize,
    /// What it is, such as `Disease`.
    #[serde(rename = "type")]
    pub kind: String,
}

/// The entities of each text, wherever they lie (nested ones too); a row is a text.
///
/// An entity is right if start, end and type are. An entity that is given twice in one text counts once.
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
