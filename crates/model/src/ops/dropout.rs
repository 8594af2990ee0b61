//! Dropout.

use std::sync::{Mutex, PoisonError};

use burn::tensor::{Device, Distribution, Tensor, TensorData};

use super::cpu::kernels::Mask;
use crate::context::Context;
use crate::device::is_cpu;

/// In training, sets each element to 0 with probability `rate` and scales the rest by
/// `1 / (1 - rate)` (Srivastava et al. 2014); returns `x` otherwise. Any shape to the same shape.
pub fn dropout<const D: usize>(x: Tensor<D>, rate: f64, context: Context<'_>) -> Tensor<D> {
    if !context.is_training() || rate == 0.0 {
        return x;
    }
    let shape = x.dims();
    let width = shape[D - 1];
    apply(x, rate, context, |mask| {
        mask.rows(shape.iter().product::<usize>() / width.max(1), width)
    })
}

/// Multiplies `x` by a dropout mask. On the CPU, `rows` lays out its factors; other devices draw
/// their own mask, seeded with the mask's key.
pub(super) fn apply<const D: usize>(
    x: Tensor<D>,
    rate: f64,
    context: Context<'_>,
    rows: impl FnOnce(Mask) -> Vec<f32>,
) -> Tensor<D> {
    let Some(stream) = context.dropout() else {
        return x;
    };
    if rate == 0.0 {
        return x;
    }
    let key = stream.next_key();
    let (device, shape) = (x.device(), x.dims());
    let factors = if is_cpu(&device) {
        Tensor::from_data(TensorData::new(rows(Mask::new(key, rate)), shape), &device)
    } else {
        kept(key, rate, shape, &device) * (1.0 / (1.0 - rate))
    };
    x * factors
}

/// The mask of that key for a device's tensor: 1 where an element is kept, 0 where it is dropped.
///
/// Burn's generator has one state for all threads and devices, and a draw reads it when it is
/// computed, not when it is requested: no other thread may seed in between.
fn kept<const D: usize>(key: u64, rate: f64, shape: [usize; D], device: &Device) -> Tensor<D> {
    static DRAWING: Mutex<()> = Mutex::new(());
    let alone = DRAWING.lock().unwrap_or_else(PoisonError::into_inner);
    device.seed(key);
    let mask = Tensor::random(shape, Distribution::Bernoulli(1.0 - rate), device);
    // Seeding submits the queued operations of this thread, the draw included, without waiting for the device.
    device.seed(key);
    drop(alone);
    mask
}
