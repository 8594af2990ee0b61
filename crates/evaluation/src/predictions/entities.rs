//! Named entities: as the tags of words, or as spans.

use serde::{Deserialize, Serialize};

use super::EvaluationError;

/// The tags of the words of each sentence; a row is a sentence.
///
/// A tag is `O`, or a prefix and a type such as `B-Disease`, or a bare prefix: with `B`, `I` and `O` alone every entity
/// is of the type `_`. The tags are scored as they are, invalid sequences included, for the three ways of reading
/// entities off them differ in just that.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EntityPredictions {
    /// `[sentences, words]`: the true tags.
    pub gold: Vec<Vec<String>>,
    /// `[sentences, words]`: the predicted tags, one for each true one.
    pub predicted: Vec<Vec<String>>,
}

impl EntityPredictions {
    pub(super) fn check(&self) -> Result<(), EvaluationError> {
        count_rows("predicted sentences", self.gold.len(), self.predicted.len())?;
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

impl SpanPredictions {
    pub(super) fn check(&self) -> Result<(), EvaluationError> {
        count_rows("predicted texts", self.gold.len(), self.predicted.len())
    }
}

fn count_rows(what: &'static str, expected: usize, found: usize) -> Result<(), EvaluationError> {
    if expected == found {
        Ok(())
    } else {
        Err(EvaluationError::Count {
            what,
            expected,
            found,
        })
    }
}
