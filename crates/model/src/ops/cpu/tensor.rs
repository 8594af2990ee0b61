//! Tensors of the CPU backend as slices, and gradients of autodiff nodes.

use burn::backend::Backend;
use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::tensor::FloatTensor;
use burn::tensor::{Bytes, DType, Shape};
use burn_dispatch::backends::flex::{FlexTensor, Layout};

/// A tensor of a backend.
pub(super) type Float<B> = FloatTensor<B>;

/// A tensor whose values are contiguous, row by row.
pub(super) struct Contiguous(pub FlexTensor);

impl Contiguous {
    pub fn of(tensor: &FlexTensor) -> Self {
        Self(if tensor.as_slice::<f32>().is_some() {
            tensor.clone()
        } else {
            tensor.to_contiguous()
        })
    }

    pub fn values(&self) -> &[f32] {
        self.0.as_slice::<f32>().expect("made contiguous, and f32")
    }

    pub fn width(&self) -> usize {
        self.0
            .layout()
            .shape()
            .as_slice()
            .last()
            .copied()
            .unwrap_or(1)
    }
}

/// A tensor with these values.
pub(super) fn tensor(values: Vec<f32>, shape: impl Into<Shape>) -> FlexTensor {
    FlexTensor::new(
        Bytes::from_elems(values),
        Layout::contiguous(shape.into()),
        DType::F32,
    )
}

/// A matrix with these values and rows of length `width`.
pub(super) fn rows_of(values: Vec<f32>, width: usize) -> FlexTensor {
    let rows = values.len() / width.max(1);
    tensor(values, [rows, width])
}

/// The ids of the parents that need a gradient.
macro_rules! ids {
    ($parents:expr) => {
        $parents.map(|parent| parent.map(|parent| parent.id))
    };
}

pub(super) use ids;

/// Registers gradients for the parents that need one.
pub(super) fn register<B: Backend, const N: usize>(
    gradients: &mut Gradients,
    parents: [Option<NodeId>; N],
    computed: [Float<B>; N],
) {
    for (parent, gradient) in parents.into_iter().zip(computed) {
        if let Some(parent) = parent {
            gradients.register::<B>(parent, gradient);
        }
    }
}
