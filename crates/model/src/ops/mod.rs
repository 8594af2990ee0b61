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
mod product;
mod products;
mod vectors;

pub use activation::activate;
pub use attention::{AttentionPlan, attention};
pub use dropout::{DropoutStream, Mode, dropout};
pub use embedding::{EmbeddingIds, embed};
pub use layer_norm::LayerNorm;
pub use linear::Linear;
pub use masked_lm::masked_lm;
pub use product::{ParsePrecisionError, Precision, PrecisionError, Products, with_products};
pub(crate) use product::{product, products};
pub use products::LinearProducts;
pub use vectors::{instruction_set, vectorised};

use burn::tensor::{DType, Device, Tensor};
use std::cell::Cell;

thread_local! {
    static COMPOSED: Cell<bool> = const { Cell::new(false) };
    static FUSED_CALLS: Cell<u64> = const { Cell::new(0) };
}

/// Runs `f` with the composed form of every operation on this thread: the oracle of tests.
pub fn with_composed<R>(f: impl FnOnce() -> R) -> R {
    COMPOSED.with(|composed| {
        let before = composed.replace(true);
        let result = f();
        composed.set(before);
        result
    })
}

/// How many fused operations this thread has begun: for tests that must know that they ran.
pub fn fused_calls() -> u64 {
    FUSED_CALLS.with(Cell::get)
}

/// Whether this thread asked for the composed forms.
fn composed() -> bool {
    COMPOSED.with(Cell::get)
}

/// Whether the fused form of an operation with a matrix product in it applies: the kernels multiply f32.
fn use_fused_product<const D: usize>(x: &Tensor<D>) -> bool {
    product::products() == Products::Plain && use_fused(x)
}

/// Whether the fused form of an operation applies: on the CPU, to f32.
fn use_fused<const D: usize>(x: &Tensor<D>) -> bool {
    let device: Device = x.device();
    let fused = crate::device::is_cpu(&device) && x.dtype() == DType::F32 && !composed();
    if fused {
        FUSED_CALLS.with(|calls| calls.set(calls.get() + 1));
    }
    fused
}
