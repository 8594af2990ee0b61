//! The affine map, with weights laid out as in the checkpoint.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};

use super::{fused, use_fused};
use crate::initialize::Initializer;

/// `y = x Wᵀ + b`.
///
/// The weight is `[out, in]`, as Hugging Face stores it: loading copies bytes, and several
/// projections of the same input (query, key, value) are one matrix, stacked by rows.
#[derive(Module, Debug)]
pub struct Linear {
    /// `[out, in]`.
    pub weight: Param<Tensor<2>>,
    /// `[out]`.
    pub bias: Param<Tensor<1>>,
}

impl Linear {
    /// Weights drawn by `init`, biases 0.
    pub fn new(inputs: usize, outputs: usize, init: &mut Initializer) -> Self {
        Self {
            weight: init.normal([outputs, inputs]),
            bias: init.zeros([outputs]),
        }
    }

    /// `[rows, in]` to `[rows, out]`.
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        if use_fused(&x) {
            return fused::linear(x, self.weight.val(), self.bias.val());
        }
        x.matmul(self.weight.val().transpose()) + self.bias.val().unsqueeze()
    }

    /// The device on which the weights lie.
    pub fn device(&self) -> Device {
        self.weight.device()
    }
}
