//! How a forward pass is computed: its argument besides the inputs.

use burn::tensor::{Gradients, Tensor};

use crate::dropout_stream::DropoutStream;
use crate::ops::Mask;
use crate::precision::MatmulPrecision;
use crate::tape::Tape;

/// The state of one training pass, forward and backward: the dropout keys drawn so far and, with
/// gradient checkpointing, what the backward pass recomputes.
#[derive(Debug)]
pub struct TrainingPass {
    dropout: DropoutStream,
    tape: Tape,
}

impl TrainingPass {
    /// The pass of one micro-batch. `step` numbers the micro-batches of a run from 0; together with
    /// the seed it determines all dropout masks.
    pub fn new(seed: u64, step: u64) -> Self {
        Self {
            dropout: DropoutStream::new(seed, step),
            tape: Tape::default(),
        }
    }
}

/// How to compute: train or evaluate, in which precision, with which form of the operations.
///
/// The default evaluates (no dropout) in the device's own f32. A run builds one base context, which
/// is `Copy` and may be sent to other threads, and derives the context of each micro-batch from it:
///
/// ```
/// use bertkit_model::{Context, TrainingPass};
///
/// let base = Context::default().with_gradient_checkpointing(true);
/// let pass = TrainingPass::new(42, 0);
/// assert!(!base.is_training() && base.training(&pass).is_training());
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct Context<'a> {
    matmul_precision: MatmulPrecision,
    gradient_checkpointing: bool,
    composed: bool,
    training: Option<Training<'a>>,
}

#[derive(Debug, Clone, Copy)]
struct Training<'a> {
    dropout: &'a DropoutStream,
    tape: Option<&'a Tape>,
}

impl<'a> Context<'a> {
    /// With the matrix products of linear layers, attention and the masked-LM decoder computed in
    /// that precision. Backward passes use the precision of their forward pass.
    #[must_use]
    pub fn with_matmul_precision(self, matmul_precision: MatmulPrecision) -> Self {
        Self {
            matmul_precision,
            ..self
        }
    }

    /// With or without gradient checkpointing: encoder layers keep only their inputs and are
    /// recomputed by [`Self::backward`], which must then be used for every loss.
    #[must_use]
    pub fn with_gradient_checkpointing(self, gradient_checkpointing: bool) -> Self {
        Self {
            gradient_checkpointing,
            ..self
        }
    }

    /// With the composed form of every operation, even if a fused one exists: the reference for tests.
    #[must_use]
    pub fn with_composed_operations(self) -> Self {
        Self {
            composed: true,
            ..self
        }
    }

    /// The same for training in `pass`.
    #[must_use]
    pub fn training<'b>(self, pass: &'b TrainingPass) -> Context<'b> {
        Context {
            training: Some(Training {
                dropout: &pass.dropout,
                tape: Some(&pass.tape),
            }),
            ..self.evaluation()
        }
    }

    /// The same for evaluation: dropout is off.
    #[must_use]
    pub fn evaluation<'b>(self) -> Context<'b> {
        Context {
            matmul_precision: self.matmul_precision,
            gradient_checkpointing: self.gradient_checkpointing,
            composed: self.composed,
            training: None,
        }
    }

    /// In training, the same with dropout masks from another stream; unchanged in evaluation.
    #[must_use]
    pub fn with_dropout<'b>(self, dropout: &'b DropoutStream) -> Context<'b>
    where
        'a: 'b,
    {
        Context {
            training: self.training.map(|training| Training {
                dropout,
                tape: training.tape,
            }),
            ..self.evaluation()
        }
    }

    /// In training, a separate dropout stream for a part of the pass: see [`DropoutStream::part`].
    pub fn dropout_part(&self, part: u64) -> Option<DropoutStream> {
        self.training.map(|training| training.dropout.part(part))
    }

    /// Whether dropout is on.
    pub fn is_training(&self) -> bool {
        self.training.is_some()
    }

    /// How matrix products are computed.
    pub fn matmul_precision(&self) -> MatmulPrecision {
        self.matmul_precision
    }

    /// The gradients of `loss`, in portions: the gradient of a parameter is the sum over all of them.
    ///
    /// Without gradient checkpointing there is one portion, that of the loss's own graph.
    pub fn backward(&self, loss: Tensor<1>, mut take: impl FnMut(Gradients)) {
        match self.tape() {
            Some(tape) => tape.backward(loss, &mut take),
            None => take(loss.backward()),
        }
    }

    /// The same for training with these dropout masks, without recording: used to recompute a
    /// checkpointed layer.
    pub(crate) fn recomputing<'b>(self, dropout: &'b DropoutStream) -> Context<'b> {
        Context {
            training: Some(Training {
                dropout,
                tape: None,
            }),
            ..self.evaluation()
        }
    }

    /// Whether every operation uses its composed form.
    pub(crate) fn is_composed(&self) -> bool {
        self.composed
    }

    /// The stream of dropout masks, in training.
    pub(crate) fn dropout(&self) -> Option<&'a DropoutStream> {
        self.training.map(|training| training.dropout)
    }

    /// The next dropout mask, or `None` if nothing is dropped.
    pub(crate) fn mask(&self, rate: f64) -> Option<Mask> {
        let stream = self.dropout().filter(|_| rate > 0.0)?;
        Some(Mask::new(stream.next_key(), rate))
    }

    /// Where checkpointed layers are recorded, in training with gradient checkpointing.
    pub(crate) fn tape(&self) -> Option<&'a Tape> {
        let training = self.training.filter(|_| self.gradient_checkpointing)?;
        training.tape
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_context_may_be_sent_to_another_thread() {
        let base = Context::default()
            .with_matmul_precision(MatmulPrecision::Split)
            .with_gradient_checkpointing(true);
        let there = std::thread::spawn(move || {
            let pass = TrainingPass::new(1, 0);
            let context = base.training(&pass);
            (context.matmul_precision(), context.tape().is_some())
        });
        assert!(
            there
                .join()
                .is_ok_and(|there| there == (MatmulPrecision::Split, true))
        );
    }

    #[test]
    fn another_dropout_stream_keeps_the_tape_and_changes_nothing_in_evaluation() {
        let pass = TrainingPass::new(1, 0);
        let stream = DropoutStream::new(2, 0);
        let base = Context::default().with_gradient_checkpointing(true);
        let context = base.training(&pass).with_dropout(&stream);
        assert!(
            context
                .tape()
                .is_some_and(|tape| std::ptr::eq(tape, &pass.tape))
        );
        assert!(
            context
                .dropout()
                .is_some_and(|other| std::ptr::eq(other, &stream))
        );
        assert!(!base.with_dropout(&stream).is_training() && base.dropout_part(1).is_none());
    }
}
