//! Layer normalisation.

use burn::module::{Module, Param};
use burn::tensor::Tensor;

use super::cpu::{self, NormSettings};
use crate::context::Context;
use crate::initialize::Initializer;

/// Normalises each row to mean 0 and variance 1, then scales and shifts (Ba et al. 2016).
#[derive(Module, Debug)]
pub struct LayerNorm {
    /// The scale, `[h]`.
    pub weight: Param<Tensor<1>>,
    /// The shift, `[h]`.
    pub bias: Param<Tensor<1>>,
    /// Added to the variance.
    #[module(skip)]
    pub epsilon: f64,
}

impl LayerNorm {
    /// Scale 1, shift 0.
    pub fn new(width: usize, epsilon: f64, init: &mut Initializer) -> Self {
        Self {
            weight: init.ones([width]),
            bias: init.zeros([width]),
            epsilon,
        }
    }

    /// `[rows, h]` to the same shape.
    pub fn forward(&self, x: Tensor<2>, context: Context<'_>) -> Tensor<2> {
        if cpu::applies(&x, context) {
            let settings = NormSettings {
                epsilon: self.epsilon as f32,
                mask: None,
            };
            return cpu::norm(x, self.weight.val(), self.bias.val(), settings);
        }
        let centred = x.clone() - x.mean_dim(1);
        let variance = (centred.clone() * centred.clone()).mean_dim(1);
        let normal = centred / (variance + self.epsilon).sqrt();
        normal * self.weight.val().unsqueeze() + self.bias.val().unsqueeze()
    }
}
