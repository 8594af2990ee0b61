//! Dropout whose masks are a function of a seed and a counter, never of a generator's history.

use std::cell::Cell;

use burn::tensor::{Distribution, Tensor, TensorData};
use rayon::prelude::*;

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

    /// The key of the next mask.
    pub fn next_key(&self) -> u64 {
        let n = self.drawn.get();
        self.drawn.set(n + 1);
        mix(self.seed ^ mix(n.wrapping_add(0x5851_f42d_4c95_7f2d)))
    }
}

/// The finalizer of SplitMix64 (Steele, Lea & Flood 2014) over a golden-ratio step.
const fn mix(x: u64) -> u64 {
    let z = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Sets each element to 0 with probability `rate` and scales the rest by `1 / (1 - rate)`
/// (Srivastava et al. 2014), in training; gives `x` back otherwise. Any shape to the same shape.
pub fn dropout<const D: usize>(x: Tensor<D>, rate: f64, mode: Mode<'_>) -> Tensor<D> {
    let Mode::Training(stream) = mode else {
        return x;
    };
    if rate == 0.0 {
        return x;
    }
    let key = stream.next_key();
    let device = x.device();
    let scale = 1.0 / (1.0 - rate);
    let shape = x.dims();
    let mask = if is_cpu(&device) {
        let values = mask_values(shape.iter().product(), rate, key);
        Tensor::from_data(TensorData::new(values, shape), &device)
    } else {
        device.seed(key);
        Tensor::random(shape, Distribution::Bernoulli(1.0 - rate), &device) * scale
    };
    x * mask
}

/// `n` values, each 0 with probability `rate`, else `1 / (1 - rate)`: a function of `key` alone.
fn mask_values(n: usize, rate: f64, key: u64) -> Vec<f32> {
    const CHUNK: usize = 1 << 14;
    let scale = (1.0 / (1.0 - rate)) as f32;
    // 16 random bits an element decide in steps of 1/65536: the rate is met to within 8e-6.
    let threshold = (rate * 65536.0).round() as u64;
    let mut values = vec![0.0_f32; n];
    values
        .par_chunks_mut(CHUNK)
        .enumerate()
        .for_each(|(chunk, values)| {
            let mut counter = key ^ ((chunk as u64) << 40);
            for four in values.chunks_mut(4) {
                counter = counter.wrapping_add(1);
                let mut bits = mix(counter);
                for value in four {
                    if bits & 0xffff >= threshold {
                        *value = scale;
                    }
                    bits >>= 16;
                }
            }
        });
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_are_a_function_of_the_key() {
        assert_eq!(mask_values(1000, 0.1, 7), mask_values(1000, 0.1, 7));
        assert_ne!(mask_values(1000, 0.1, 7), mask_values(1000, 0.1, 8));
        assert_eq!(mask_values(70_000, 0.3, 7)[..50], mask_values(50, 0.3, 7));
    }

    #[test]
    fn the_rate_is_met_and_neighbours_are_independent() {
        let n = 1 << 20;
        for rate in [0.1, 0.5] {
            let dropped: Vec<bool> = mask_values(n, rate, 3).iter().map(|&v| v == 0.0).collect();
            let share = dropped.iter().filter(|&&d| d).count() as f64 / n as f64;
            let sd = (rate * (1.0 - rate) / n as f64).sqrt();
            assert!((share - rate).abs() < 5.0 * sd, "rate {rate}: {share}");
            for lag in [1, 2, 3, 4, 5, 128, 384] {
                let both = dropped
                    .iter()
                    .zip(&dropped[lag..])
                    .filter(|(a, b)| **a && **b)
                    .count() as f64;
                let share = both / (n - lag) as f64;
                assert!(
                    (share - rate * rate).abs() < 5.0 * rate / (n as f64).sqrt(),
                    "lag {lag}: {share}"
                );
            }
        }
    }

    #[test]
    fn the_masks_of_two_steps_are_independent() {
        let n = 1 << 18;
        let key = |step| DropoutStream::new(1, step).next_key();
        let (a, b) = (mask_values(n, 0.5, key(0)), mask_values(n, 0.5, key(1)));
        let both = a
            .iter()
            .zip(&b)
            .filter(|(a, b)| **a == 0.0 && **b == 0.0)
            .count() as f64;
        assert!((both / n as f64 - 0.25).abs() < 5.0 * 0.5 / (n as f64).sqrt());
    }
}
