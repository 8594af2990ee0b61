//! Training in less memory: layers keep their input alone, and compute the rest again.
//!
//! In a scope of [`with_recompute`], the encoder computes each layer without a graph and notes its
//! input. [`backward`] then goes back layer by layer: it computes one again, this time with a graph and
//! with the same dropout, and lets the gradient of its output pass through. By the chain rule these are the
//! gradients of one graph over all layers, and only one layer's intermediate results exist at a time.

use std::cell::{Cell, RefCell};

use burn::module::Module;
use burn::tensor::{Gradients, Int, Tensor};

use crate::encoder::Layer;
use crate::ops::{AttentionPlan, DropoutStream, Mode};
use crate::sequences::Sequences;

thread_local! {
    static ON: Cell<bool> = const { Cell::new(false) };
    static TAPE: RefCell<Vec<Segment>> = const { RefCell::new(Vec::new()) };
}

/// What is gone through again, between two tensors at which the graph is cut.
#[derive(Debug)]
enum Segment {
    /// What lies below the layers, whose graph is kept, and the tensor behind the cut.
    Below(Box<[Tensor<2>; 2]>),
    /// One layer.
    Layer(Box<Again>),
}

/// A layer and what it computed from.
#[derive(Debug)]
struct Again {
    layer: Layer,
    sequences: Sequences,
    rows: Option<Tensor<1, Int>>,
    stream: DropoutStream,
    input: Tensor<2>,
    /// What everything above was computed from.
    output: Tensor<2>,
}

/// Runs `f`, in which encoders that this thread trains keep their layers' inputs alone. Every loss must be
/// taken back by [`backward`].
pub fn with_recompute<R>(on: bool, f: impl FnOnce() -> R) -> R {
    struct Back(bool);
    impl Drop for Back {
        fn drop(&mut self) {
            ON.with(|on| on.set(self.0));
            TAPE.with(|tape| tape.borrow_mut().clear());
        }
    }
    let _back = Back(ON.with(|is| is.replace(on)));
    f()
}

/// Whether this thread is in such a scope.
pub(crate) fn recomputes() -> bool {
    ON.with(Cell::get)
}

/// Whether layers that compute from this are to be computed again, and with which dropout.
pub(crate) fn applies<'a>(hidden: &Tensor<2>, mode: Mode<'a>) -> Option<&'a DropoutStream> {
    match mode {
        Mode::Training(stream) if recomputes() && hidden.device().is_autodiff() => Some(stream),
        _ => None,
    }
}

/// A tensor of the same numbers, at which a graph begins.
fn leaf(x: &Tensor<2>) -> Tensor<2> {
    Tensor::from_inner(x.clone().inner()).require_grad()
}

/// The layers, of which `rows` of the top one are wanted, over what lies below them.
pub(crate) fn forward(
    layers: &[Layer],
    below: Tensor<2>,
    below_learns: bool,
    sequences: &Sequences,
    rows: Option<&Tensor<1, Int>>,
    stream: &DropoutStream,
    mut see: impl FnMut(&Tensor<2>),
) -> Tensor<2> {
    let plan = AttentionPlan::new(sequences, &below.device().inner());
    let mut input = leaf(&below);
    let mut segments = Vec::with_capacity(layers.len() + 1);
    if below_learns {
        segments.push(Segment::Below(Box::new([below, input.clone()])));
    }
    for (i, layer) in layers.iter().enumerate() {
        let rows = rows.filter(|_| i + 1 == layers.len());
        let before = stream.as_it_stands();
        let plain_rows = rows.map(|rows| rows.clone().inner());
        let output = layer.valid().forward(
            input.clone().inner(),
            &plan,
            plain_rows.as_ref(),
            Mode::Training(stream),
        );
        let output = Tensor::from_inner(output).require_grad();
        segments.push(Segment::Layer(Box::new(Again {
            layer: layer.clone(),
            sequences: sequences.clone(),
            rows: rows.cloned(),
            stream: before,
            input,
            output: output.clone(),
        })));
        see(&output);
        input = output;
    }
    TAPE.with(|tape| tape.borrow_mut().extend(segments));
    input
}

/// The gradients of `loss`, handed over in portions: a parameter's gradient is the sum of its own in all of
/// them.
pub fn backward(loss: Tensor<1>, mut take: impl FnMut(Gradients)) {
    let segments = TAPE.with(RefCell::take);
    let mut found = loss.backward();
    let segments: Vec<_> = segments
        .into_iter()
        .map(|segment| {
            let end = match &segment {
                Segment::Below(ends) => &ends[1],
                Segment::Layer(again) => &again.output,
            };
            let gradient = end.grad_remove(&mut found);
            (segment, gradient)
        })
        .collect();
    take(found);
    // The gradient of the tensor between the segment above and this one.
    let mut passed: Option<Tensor<2>> = None;
    for (segment, gradient) in segments.into_iter().rev() {
        let gradient = match (gradient, passed.take()) {
            (Some(one), Some(other)) => one + other,
            (Some(one), None) | (None, Some(one)) => one,
            (None, None) => continue,
        };
        match segment {
            Segment::Below(ends) => {
                let [graph, _] = *ends;
                take((graph * Tensor::from_inner(gradient)).sum().backward());
            }
            Segment::Layer(again) => {
                let Again {
                    layer,
                    sequences,
                    rows,
                    stream,
                    input,
                    ..
                } = *again;
                let input = leaf(&input);
                let plan = AttentionPlan::new(&sequences, &input.device());
                let mode = Mode::Training(&stream);
                let output = layer.forward(input.clone(), &plan, rows.as_ref(), mode);
                let mut found = (output * Tensor::from_inner(gradient)).sum().backward();
                passed = input.grad_remove(&mut found);
                take(found);
            }
        }
    }
}
