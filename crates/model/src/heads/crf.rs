//! Scores of tag transitions.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData};

use crate::weights::{Checkpoint, WeightsError};

/// The transition scores of a linear-chain conditional random field over `k` tags (Lafferty et al. 2001), added to the
/// scores that a head gives each word.
///
/// Stored in a model folder as `crf.start_transitions`, `crf.end_transitions` and `crf.transitions`, the names of pytorch-crf.
/// transformers has no such class: it loads the rest, reports these tensors as unused, and tags each word independently.
#[derive(Module, Debug)]
pub struct Crf {
    /// Score of each tag at the first word, `[k]`.
    pub start_transitions: Param<Tensor<1>>,
    /// Score of each tag at the last word, `[k]`.
    pub end_transitions: Param<Tensor<1>>,
    /// Score of each tag (column) after each tag (row), `[k, k]`.
    pub transitions: Param<Tensor<2>>,
}

impl Crf {
    /// All scores 0: words are tagged independently, as without a CRF.
    pub fn zeros(tags: usize, device: &Device) -> Self {
        Self::from_values(
            vec![0.0; tags],
            vec![0.0; tags],
            vec![0.0; tags * tags],
            device,
        )
    }

    fn from_values(start: Vec<f32>, end: Vec<f32>, between: Vec<f32>, device: &Device) -> Self {
        let tags = start.len();
        let vector = |values| Param::from_data(TensorData::new(values, [tags]), device);
        Self {
            start_transitions: vector(start),
            end_transitions: vector(end),
            transitions: Param::from_data(TensorData::new(between, [tags, tags]), device),
        }
    }

    /// Reads the scores from a checkpoint; `None` if it has none.
    ///
    /// # Errors
    /// They have another number of tags, or cannot be read.
    pub fn read(
        checkpoint: &Checkpoint,
        tags: usize,
        device: &Device,
    ) -> Result<Option<Self>, WeightsError> {
        if checkpoint.shape("crf.transitions").is_none() {
            return Ok(None);
        }
        let values = |name, shape: &[usize]| checkpoint.read_shaped(name, shape);
        Ok(Some(Self::from_values(
            values("crf.start_transitions", &[tags])?,
            values("crf.end_transitions", &[tags])?,
            values("crf.transitions", &[tags, tags])?,
            device,
        )))
    }
}
