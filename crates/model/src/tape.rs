//! Gradient checkpointing: what the backward pass needs to recompute parts of the forward pass.
//!
//! With checkpointing, a part of the model is computed without an autodiff graph and only its input
//! is kept, as a [`Segment`] on a [`Tape`]. [`Tape::backward`] visits the segments in reverse:
//! each is recomputed, now with a graph, and passes the gradient of its output on to its input.
//! By the chain rule these are the gradients of one graph over all segments, while the intermediate
//! results of only one segment exist at a time.

use std::sync::{Mutex, PoisonError};

use burn::tensor::{Gradients, Tensor};

/// Receives gradients in portions. The gradient of a parameter is the sum over all portions.
pub(crate) type TakeGradients<'a> = &'a mut dyn FnMut(Gradients);

/// A part of the forward pass between two tensors at which the autodiff graph is cut.
pub(crate) trait Segment: Send + std::fmt::Debug {
    /// The leaf tensor that everything after this segment was computed from.
    fn output(&self) -> &Tensor<2>;

    /// Given the gradient of [`Self::output`], passes the parameters' gradients to `take` and returns
    /// that of the segment's input, if there is an earlier segment.
    fn backward(self: Box<Self>, gradient: Tensor<2>, take: TakeGradients<'_>)
    -> Option<Tensor<2>>;
}

/// The segments of one forward pass, in the order in which they were computed.
#[derive(Debug, Default)]
pub(crate) struct Tape {
    segments: Mutex<Vec<Box<dyn Segment>>>,
}

impl Tape {
    pub fn record(&self, segments: impl IntoIterator<Item = Box<dyn Segment>>) {
        let mut tape = self.segments.lock().unwrap_or_else(PoisonError::into_inner);
        tape.extend(segments);
    }

    /// The gradients of `loss`, in portions; clears the tape.
    pub fn backward(&self, loss: Tensor<1>, take: TakeGradients<'_>) {
        let mut tape = self.segments.lock().unwrap_or_else(PoisonError::into_inner);
        let segments = std::mem::take(&mut *tape);
        drop(tape);
        let mut gradients = loss.backward();
        let segments: Vec<_> = segments
            .into_iter()
            .map(|segment| {
                let gradient = segment.output().grad_remove(&mut gradients);
                (segment, gradient)
            })
            .collect();
        take(gradients);
        // The gradient of the tensor between the next segment and this one.
        let mut passed: Option<Tensor<2>> = None;
        for (segment, gradient) in segments.into_iter().rev() {
            let gradient = match (gradient, passed.take()) {
                (Some(one), Some(other)) => one + other,
                (Some(one), None) | (None, Some(one)) => one,
                (None, None) => continue,
            };
            passed = segment.backward(gradient, take);
        }
    }
}

/// A leaf tensor with the values of `x`, at which a new graph begins.
pub(crate) fn leaf(x: &Tensor<2>) -> Tensor<2> {
    Tensor::from_inner(x.clone().inner()).require_grad()
}

/// A segment whose graph is kept: the part before the first checkpointed one.
#[derive(Debug)]
pub(crate) struct KeptGraph {
    /// The end of the graph.
    pub graph: Tensor<2>,
    /// The leaf after the cut.
    pub output: Tensor<2>,
}

impl Segment for KeptGraph {
    fn output(&self) -> &Tensor<2> {
        &self.output
    }

    fn backward(
        self: Box<Self>,
        gradient: Tensor<2>,
        take: TakeGradients<'_>,
    ) -> Option<Tensor<2>> {
        take((self.graph * Tensor::from_inner(gradient)).sum().backward());
        None
    }
}
