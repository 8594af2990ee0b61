//! What a run learns: one task a file.

mod crf;
pub(crate) mod questions;
mod sequence;
mod tags;

use bertkit_evaluation::{Metric, Predictions, score};
use bertkit_model::Batch;

use crate::engine::task::Validation;
use crate::run::setup::Export;
pub use questions::{QuestionInfo, QuestionRows, QuestionTask, WindowsBatch};
pub use sequence::{
    Answer, DocumentInfo, Rows, RowsBatch, SequenceTask, Targets, TaskInfo, decide,
    inference_batches,
};
pub(crate) use sequence::{document_logits, pack};

pub use tags::{TagBatch, TagColumns, TagInfo, TagTask, TagTaskName};
pub(crate) use tags::{TaggedRows, decode, word_logits};

/// Rows times the square of the longest.
pub(crate) fn attended(batch: &Batch) -> usize {
    batch.len() * batch.sequences.longest().pow(2)
}

impl Validation {
    /// Every metric of the task, and the mean loss; `choosing` chooses, or, if it is `None`, the loss.
    fn new(predictions: &Predictions, loss: f64, choosing: Option<Metric>) -> Self {
        let mut metrics: Vec<(String, Option<f64>)> = Metric::for_task(predictions.task())
            .iter()
            .map(|&metric| (metric.to_string(), score(predictions, metric).ok()))
            .collect();
        metrics.push(("loss".into(), Some(loss).filter(|loss| loss.is_finite())));
        let name = choosing.map_or("loss".to_owned(), |metric| metric.to_string());
        let place = metrics.iter().position(|(known, _)| *known == name);
        let chosen = metrics.remove(place.unwrap_or(0));
        let sign = if choosing.is_some_and(Metric::higher_is_better) {
            1.0
        } else {
            -1.0
        };
        let score = chosen.1.map(|value| sign * value);
        metrics.insert(0, chosen);
        Self { metrics, score }
    }
}

/// A task that starts from a pretrained encoder and answers questions of its own.
pub(crate) trait FineTuned: Export {
    /// The decision threshold that was settled, and how it was chosen.
    fn threshold(&self) -> Option<(f64, String)> {
        None
    }

    /// The temperature that was fitted.
    fn temperature(&self) -> Option<f64> {
        None
    }
}
