//! What an objective computes: a loss on a micro-batch, and scores on held-out sequences.

use std::borrow::Cow;
use std::fmt::Debug;

use bertkit_model::Context;
use bertkit_model::heads::MlmHead;
use burn::module::Param;
use burn::tensor::Tensor;

use super::batch::MaskedBatch;

/// The hidden states of one micro-batch that losses read.
///
/// Shapes: `m` masked rows, `b` sequences, `h` hidden.
pub(crate) struct Forward<'a, M> {
    pub model: &'a M,
    pub batch: &'a MaskedBatch,
    pub context: Context<'a>,
    /// The head that predicts masked tokens, and the word embeddings it decodes with.
    pub decoder: (Cow<'a, MlmHead>, Cow<'a, Param<Tensor<2>>>),
    /// `[m, h]`, the masked rows; `None` if nothing is masked.
    pub masked: Option<Tensor<2>>,
    /// `[b, h]`, the first row of every sequence, if it was computed.
    pub first: Option<Tensor<2>>,
}

impl<M> Forward<'_, M> {
    /// A loss over no items: 0, on the graph of the hidden states.
    pub fn zero(&self) -> Tensor<1> {
        let hidden = self.masked.as_ref().or(self.first.as_ref());
        let hidden = hidden.expect("a forward pass computes some rows");
        hidden.clone().sum() * 0.0
    }
}

/// One objective on one kind of model.
pub(crate) trait Loss<M>: Debug + Send + Sync {
    /// The number of items in a micro-batch.
    fn items(&self, batch: &MaskedBatch) -> f64;

    /// The loss summed over the items, `[1]`.
    fn sum(&self, forward: &Forward<'_, M>) -> Tensor<1>;

    /// Empty scores, to be accumulated over held-out micro-batches.
    fn scores(&self) -> Box<dyn Scores<M> + '_>;
}

/// The scores of one objective on held-out sequences.
pub(crate) trait Scores<M> {
    /// Adds a micro-batch, on a device without autodiff.
    fn add(&mut self, forward: &Forward<'_, M>);

    /// The mean loss, and metrics.
    fn report(self: Box<Self>) -> Report;
}

/// What an objective reports for held-out sequences. Values are `None` where undefined.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// The mean loss per item.
    pub loss: Option<f64>,
    /// Metrics of the model that is kept.
    pub metrics: Vec<(String, Option<f64>)>,
    /// Diagnostics of the training signal; shown after the metrics of all objectives.
    pub diagnostics: Vec<(String, Option<f64>)>,
}

/// A mean in f64.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Mean {
    sum: f64,
    count: f64,
}

impl Mean {
    /// Adds the sum of `count` items.
    pub fn add(&mut self, sum: f64, count: usize) {
        self.sum += sum;
        self.count += count as f64;
    }

    /// `None` if there are no items.
    pub fn value(&self) -> Option<f64> {
        (self.count > 0.0).then(|| self.sum / self.count)
    }
}
