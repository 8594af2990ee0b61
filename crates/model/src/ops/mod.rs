//! The operations that the encoder is made of.
//!
//! Each has a composed form in plain Burn operations, which is its meaning and runs on every backend,
//! and a fused one for the CPU (`fused`, on the kernels in `kernels`). The device decides.

mod activation;
mod attention;
mod dropout;
mod embedding;
mod fused;
mod kernels;
mod layer_norm;
mod linear;
mod masked_lm;
mod matmul;
mod products;
mod vectors;

pub use activation::activate;
pub use attention::{AttentionPlan, attention};
pub use dropout::dropout;
pub use embedding::{EmbeddingIds, embed};
pub(crate) use kernels::{Mask, mix};
pub use layer_norm::LayerNorm;
pub use linear::Linear;
pub use masked_lm::masked_lm;
pub(crate) use matmul::matmul;
pub use products::LinearProducts;
pub use vectors::{instruction_set, vectorised};

use std::cell::Cell;

use burn::tensor::{DType, Device, Tensor};

use crate::context::Context;
use crate::precision::MatmulPrecision;

thread_local! {
    static FUSED_CALLS: Cell<u64> = const { Cell::new(0) };
}

/// The number of fused operations that this thread has started, for tests that assert that they ran.
pub fn fused_calls() -> u64 {
    FUSED_CALLS.with(Cell::get)
}

/// Whether the fused form of an operation that contains a matrix product applies: the kernels
/// multiply in f32.
fn use_fused_matmul<const D: usize>(x: &Tensor<D>, context: Context<'_>) -> bool {
    context.matmul_precision() == MatmulPrecision::Native && use_fused(x, context)
}

/// Whether the fused form of an operation applies: on the CPU, to f32.
fn use_fused<const D: usize>(x: &Tensor<D>, context: Context<'_>) -> bool {
    let device: Device = x.device();
    let fused = crate::device::is_cpu(&device) && x.dtype() == DType::F32 && !context.is_composed();
    if fused {
        FUSED_CALLS.with(|calls| calls.set(calls.get() + 1));
    }
    fused
}
