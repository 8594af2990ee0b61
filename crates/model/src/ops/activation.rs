//! The nonlinearities of the feed-forward block and of the heads.

use burn::tensor::{Tensor, activation};

use crate::spec::Activation;

/// `x Φ(x)` with the exact error function, any shape to the same shape.
///
/// Composed from `erf`, because the backward pass of Burn 0.22's own GELU is the tanh
/// approximation on its GPU backends while its forward pass is exact.
fn gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    let cdf = (x.clone() * std::f64::consts::FRAC_1_SQRT_2).erf() * 0.5 + 0.5;
    x * cdf
}

/// `x/2 (1 + tanh(√(2/π) (x + 0.044715 x³)))`: `gelu_new` of transformers.
fn gelu_tanh<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    let cube = x.clone() * x.clone() * x.clone();
    let inner = (x.clone() + cube * 0.044_715) * (2.0 / std::f64::consts::PI).sqrt();
    x * (inner.tanh() * 0.5 + 0.5)
}

/// Applies the named nonlinearity, any shape to the same shape.
pub fn activate<const D: usize>(x: Tensor<D>, kind: Activation) -> Tensor<D> {
    match kind {
        Activation::Gelu => gelu(x),
        Activation::GeluNew => gelu_tanh(x),
        Activation::Relu => activation::relu(x),
        Activation::Tanh => x.tanh(),
    }
}
