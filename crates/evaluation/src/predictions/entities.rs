//! Named entities as the tags of words.

use serde::{Deserialize, Serialize};

use super::error::{EvaluationError, PoolError, check_count};
use super::kind::TaskKind;
use super::set::{Pool, PredictionSet, joined};

/// The tags of the words of each sentence; a row is a sentence.
///
/// A tag is `O`, a prefix and a type such as `B-Disease`, or a bare prefix: if all tags are `B`, `I` or `O`, every entity
/// has the type `_`. Tags are scored unchanged, including invalid sequences, because the three schemes differ in how they
/// treat these.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EntityPredictions {
    /// `[sentences, words]`: the true tags.
    pub gold: Vec<Vec<String>>,
    /// `[sentences, words]`: the predicted tags, as many as true ones.
    pub predicted: Vec<Vec<String>>,
}

impl PredictionSet for EntityPredictions {
    fn kind(&self) -> TaskKind {
        TaskKind::Entities
    }

    fn rows(&self) -> usize {
        self.gold.len()
    }

    fn same_truth(&self, one: usize, other: usize) -> bool {
        self.gold[one] == self.gold[other]
    }

    fn check(&self) -> Result<(), EvaluationError> {
        check_count("predicted sentences", self.gold.len(), self.predicted.len())?;
        for (row, (gold, predicted)) in self.gold.iter().zip(&self.predicted).enumerate() {
            if gold.len() != predicted.len() {
                return Err(EvaluationError::Tags {
                    row,
                    expected: gold.len(),
                    found: predicted.len(),
                });
            }
            if let Some(word) =
                (0..gold.len()).find(|&word| gold[word].is_empty() || predicted[word].is_empty())
            {
                return Err(EvaluationError::EmptyTag { row, word });
            }
        }
        Ok(())
    }
}

impl Pool for EntityPredictions {
    fn pool(parts: &[&Self]) -> Result<Self, PoolError> {
        Ok(Self {
            gold: joined(parts.iter().map(|part| &part.gold)),
            predicted: joined(parts.iter().map(|part| &part.predicted)),
        })
    }
}
