//! Dropout whose masks are a function of a seed and a counter, never of a generator's history.

use std::cell::Cell;
use std::sync::{Mutex, PoisonError};

use burn::tensor::{Device, Distribution, Tensor, TensorData};

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
        kept(key, rate, shape, &device) * (1.0 / (1.0 - rate))
    };
    x * factors
}

/// 1 where the mask of that key keeps an element of a device's tensor, 0 where it does not.
///
/// Burn's generator has one state for all threads and devices, and a draw takes from it when it is computed, not when it is
/// asked for: so nobody else may seed in between.
fn kept<const D: usize>(key: u64, rate: f64, shape: [usize; D], device: &Device) -> Tensor<D> {
    static DRAWING: Mutex<()> = Mutex::new(());
    let alone = DRAWING.lock().unwrap_or_else(PoisonError::into_inner);
    device.seed(key);
    let mask = Tensor::random(shape, Distribution::Bernoulli(1.0 - rate), device);
    // Seeding hands over what this thread has asked for, the draw too, and does not wait for the device.
    device.seed(key);
    drop(alone);
    mask
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
