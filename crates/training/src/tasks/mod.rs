//! What a run learns: one task a file.

mod sequence;

use std::path::Path;

use bertkit_model::{Batch, Head, Mode, Model};
use burn::tensor::Tensor;

use crate::error::TrainError;
pub(crate) use sequence::pack;
pub use sequence::{
    Answer, Rows, SequenceTask, Targets, TaskInfo, decide, inference_batches, probabilities,
};

/// What an evaluation on the validation rows found.
#[derive(Debug, Clone, PartialEq)]
pub struct Validation {
    /// Metrics by name; `None` where undefined. The first is the one that chooses.
    pub metrics: Vec<(String, Option<f64>)>,
    /// The choosing metric, signed so that higher is better; `None` where it is undefined.
    pub score: Option<f64>,
}

/// A task: featurised rows, a loss on top of a head, metrics, and what is saved beside the weights.
pub trait Task {
    /// The head that answers.
    type Head: Head;

    /// Tokens of each training row.
    fn lengths(&self) -> &[usize];

    /// The class of each training row, where rows have one: for the balanced sampler.
    fn classes(&self) -> Option<&[usize]>;

    /// Training rows, packed.
    fn batch(&self, rows: &[usize]) -> Batch;

    /// Lines of the training file where rows stand, for messages.
    fn lines(&self, rows: &[usize]) -> Vec<u64>;

    /// How much training rows count together: what the summed loss is divided by.
    fn weight(&self, rows: &[usize]) -> f64;

    /// The summed loss of training rows, `[1]`.
    fn loss(
        &self,
        model: &Model<Self::Head>,
        batch: &Batch,
        rows: &[usize],
        mode: Mode<'_>,
    ) -> Tensor<1>;

    /// The number of validation rows; 0 if there are none.
    fn validation_rows(&self) -> usize;

    /// Metrics on the validation rows.
    ///
    /// # Errors
    /// There are no validation rows, or the choosing metric is not one.
    fn validate(&self, model: &Model<Self::Head>) -> Result<Validation, TrainError>;

    /// Settles what is chosen once on the validation rows with the final weights (a threshold), and
    /// writes the finished model with all that is needed to use it.
    ///
    /// # Errors
    /// Something cannot be written.
    fn export(&mut self, model: Model<Self::Head>, folder: &Path) -> Result<(), TrainError>;
}
