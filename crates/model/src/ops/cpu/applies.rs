//! Whether the fused form of an operation applies.

use std::cell::Cell;

use burn::tensor::{DType, Device, Tensor};

use crate::context::Context;
use crate::device::is_cpu;
use crate::precision::MatmulPrecision;

thread_local! {
    static FUSED_CALLS: Cell<u64> = const { Cell::new(0) };
}

/// The number of fused operations that this thread has started, so that tests can assert that they ran.
pub fn fused_calls() -> u64 {
    FUSED_CALLS.with(Cell::get)
}

/// Whether the fused form of an operation that contains a matrix product applies: the kernels
/// multiply in f32.
pub(crate) fn applies_with_matmul<const D: usize>(x: &Tensor<D>, context: Context<'_>) -> bool {
    context.matmul_precision() == MatmulPrecision::Native && applies(x, context)
}

/// Whether the fused form of an operation applies: on the CPU, in f32.
pub(crate) fn applies<const D: usize>(x: &Tensor<D>, context: Context<'_>) -> bool {
    let device: Device = x.device();
    let fused = is_cpu(&device) && x.dtype() == DType::F32 && !context.is_composed();
    if fused {
        FUSED_CALLS.with(|calls| calls.set(calls.get() + 1));
    }
    fused
}
