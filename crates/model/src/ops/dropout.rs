//! Dropout whose masks are a function of a seed and a counter, never of a generator's history.

use std::cell::Cell;

use burn::tensor::{DType, Device, Int, Tensor, TensorData};

use super::kernels::{Mask, mix};
use crate::device::is_cpu;

/// Whether a forward pass trains (dropout on, masks from the stream) or infers (dropout off).
#[derive(Debug, Clone, Copy)]
pub enum Mode<'a> {
    /// Dropout is on and draws from this stream.
    Training(&'a DropoutStream),
    /// Dropout is off.
    Inference,
}

/// The dropout masks of one forward pass: the same seed and step give the same masks, on any
/// number of threads and after any interruption.
#[derive(Debug)]
pub struct DropoutStream {
    seed: u64,
    drawn: Cell<u64>,
}

impl DropoutStream {
    /// The stream of one micro-batch. `step` numbers the micro-batches of a run from 0.
    pub fn new(seed: u64, step: u64) -> Self {
        Self {
            seed: mix(mix(seed) ^ step),
            drawn: Cell::new(0),
        }
    }

    /// The stream of a part of this forward pass: a function of `part` alone, whatever was drawn before.
    pub fn part(&self, part: u64) -> Self {
        Self {
            seed: mix(self.seed ^ mix(part.wrapping_add(0x9e37_79b9_7f4a_7c15))),
            drawn: Cell::new(0),
        }
    }

    /// The same, from here on: what is drawn from it is drawn from this one too.
    pub(crate) fn as_it_stands(&self) -> Self {
        Self {
            seed: self.seed,
            drawn: self.drawn.clone(),
        }
    }

    /// The key of the next mask.
    pub fn next_key(&self) -> u64 {
        let n = self.drawn.get();
        self.drawn.set(n + 1);
        mix(self.seed ^ mix(n.wrapping_add(0x5851_f42d_4c95_7f2d)))
    }
}

impl Mode<'_> {
    /// The next mask, or none where nothing is dropped.
    pub(super) fn mask(self, rate: f64) -> Option<Mask> {
        match self {
            Self::Training(stream) if rate > 0.0 => Some(Mask::new(stream.next_key(), rate)),
            _ => None,
        }
    }
}

/// Sets each element to 0 with probability `rate` and scales the rest by `1 / (1 - rate)`
/// (Srivastava et al. 2014), in training; gives `x` back otherwise. Any shape to the same shape.
pub fn dropout<const D: usize>(x: Tensor<D>, rate: f64, mode: Mode<'_>) -> Tensor<D> {
    if matches!(mode, Mode::Inference) || rate == 0.0 {
        return x;
    }
    let shape = x.dims();
    let width = shape[D - 1];
    apply(x, rate, mode, |mask| {
        mask.rows(shape.iter().product::<usize>() / width.max(1), width)
    })
}

/// Multiplies `x` by a mask whose factors `rows` lays out on the host; on other devices than the CPU
/// by one that the device draws from the mask's key.
pub(super) fn apply<const D: usize>(
    x: Tensor<D>,
    rate: f64,
    mode: Mode<'_>,
    rows: impl FnOnce(Mask) -> Vec<f32>,
) -> Tensor<D> {
    let Mode::Training(stream) = mode else {
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
        drawn(key, rate, shape, &device)
    };
    x * factors
}

/// The factors of a mask, computed where they are needed, of 32 bits for each key, row and place in the row.
///
/// Burn's own generator has one state for the whole process, which the threads of several devices would take from each other,
/// and its seeding waits for the device. These are whole numbers that wrap, and become one kernel with what they multiply.
fn drawn<const D: usize>(key: u64, rate: f64, shape: [usize; D], device: &Device) -> Tensor<D> {
    let width = shape[D - 1].max(1);
    let rows = shape.iter().product::<usize>() / width;
    let numbers = |n: usize| Tensor::<1, Int>::arange(0..n as i64, (device, DType::I32));
    // The multipliers are those of Ettinger's `lowbias32`; the other two spread what is counted over the 32 bits.
    let scrambled = |x: Tensor<2, Int>| {
        let x = folded(x, 16).mul_scalar(0x7feb_352d_u32 as i32);
        let x = folded(x, 15).mul_scalar(0x846c_a68b_u32 as i32);
        folded(x, 16)
    };
    let row = numbers(rows).reshape([rows, 1]);
    let row = row.mul_scalar(0x9e37_79b9_u32 as i32);
    let row = scrambled(row.bitwise_xor_scalar(key as u32 as i32));
    let place = numbers(width).reshape([1, width]);
    let place = place.mul_scalar(0x85eb_ca77_u32 as i32);
    let place = place.bitwise_xor_scalar((key >> 32) as u32 as i32);
    let bits = scrambled(row + place);
    // As numbers from -2³¹ on, of which the lowest share is dropped.
    let lowest = (f64::from(i32::MIN) + rate * 4_294_967_296.0).round() as i32;
    let kept = bits.greater_equal_elem(lowest).float();
    (kept * (1.0 / (1.0 - rate))).reshape(shape)
}

/// `x ^ (x >> by)`, as numbers without a sign.
fn folded(x: Tensor<2, Int>, by: u32) -> Tensor<2, Int> {
    let low = x.clone().bitwise_right_shift_scalar(by as i32);
    x.bitwise_xor(low.bitwise_and_scalar((u32::MAX >> by) as i32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keys_of_steps_and_of_sites_differ() {
        let keys = |step| {
            let stream = DropoutStream::new(1, step);
            [stream.next_key(), stream.next_key()]
        };
        assert_eq!(keys(0), keys(0));
        let (a, b) = (keys(0), keys(1));
        assert!(a[0] != a[1] && a[0] != b[0] && a[1] != b[1] && a[1] != b[0]);
    }
}
