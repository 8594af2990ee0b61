//! The affine map, with weights laid out as in the checkpoint.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData};

use super::cpu::{self, NormSettings};
use super::{LayerNorm, activate, dropout, matmul};
use crate::context::Context;
use crate::initialize::Initializer;
use crate::spec::Activation;
use crate::weights::{Checkpoint, WeightsError};

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
    /// Weights drawn from `init`, biases 0.
    pub fn new(inputs: usize, outputs: usize, init: &mut Initializer) -> Self {
        Self {
            weight: init.normal([outputs, inputs]),
            bias: init.zeros([outputs]),
        }
    }

    /// A layer from its weight, `[out, in]` row by row, and bias.
    ///
    /// # Panics
    /// If the number of values does not match.
    pub fn from_values(weight: Vec<f32>, bias: Vec<f32>, inputs: usize, device: &Device) -> Self {
        let outputs = bias.len();
        Self {
            weight: Param::from_data(TensorData::new(weight, [outputs, inputs]), device),
            bias: Param::from_data(TensorData::new(bias, [outputs]), device),
        }
    }

    /// Reads the layer called `name` from a checkpoint.
    ///
    /// # Errors
    /// It is missing, has another shape, or cannot be read.
    pub(crate) fn read(
        checkpoint: &Checkpoint,
        name: &str,
        inputs: usize,
        outputs: usize,
        device: &Device,
    ) -> Result<Self, WeightsError> {
        let weight = checkpoint.read_shaped(&format!("{name}.weight"), &[outputs, inputs])?;
        let bias = checkpoint.read_shaped(&format!("{name}.bias"), &[outputs])?;
        Ok(Self::from_values(weight, bias, inputs, device))
    }

    /// `[rows, in]` to `[rows, out]`.
    pub fn forward(&self, x: Tensor<2>, context: Context<'_>) -> Tensor<2> {
        if cpu::applies_with_matmul(&x, context) {
            return cpu::linear(x, self.weight.val(), self.bias.val());
        }
        matmul(x, self.weight.val().transpose(), context) + self.bias.val().unsqueeze()
    }

    /// The affine map followed by a nonlinearity: `[rows, in]` to `[rows, out]`.
    pub fn forward_activated(
        &self,
        x: Tensor<2>,
        kind: Activation,
        context: Context<'_>,
    ) -> Tensor<2> {
        if kind == Activation::Gelu && cpu::applies_with_matmul(&x, context) {
            return cpu::linear_gelu(x, self.weight.val(), self.bias.val());
        }
        activate(self.forward(x, context), kind)
    }

    /// `LayerNorm(residual + dropout(x Wᵀ + b))`, the end of both blocks of a layer: `[rows, in]`
    /// and `[rows, out]` to `[rows, out]`.
    pub fn forward_into_norm(
        &self,
        x: Tensor<2>,
        residual: Tensor<2>,
        norm: &LayerNorm,
        rate: f64,
        context: Context<'_>,
    ) -> Tensor<2> {
        if cpu::applies_with_matmul(&x, context) {
            let settings = NormSettings {
                epsilon: norm.epsilon as f32,
                mask: context.mask(rate),
            };
            return cpu::linear_norm(
                x,
                (self.weight.val(), self.bias.val()),
                residual,
                (norm.weight.val(), norm.bias.val()),
                settings,
            );
        }
        let x = dropout(self.forward(x, context), rate, context);
        norm.forward(residual + x, context)
    }

    /// The device of the weights.
    pub fn device(&self) -> Device {
        self.weight.device()
    }
}
