//! Sampling replacements from a generator: the argmax of its logits with Gumbel noise.

use bertkit_model::heads::MlmHead;
use bertkit_model::vectors::vectorised;
use bertkit_model::weights::to_vec;
use bertkit_model::{Context, is_cpu};
use burn::module::Param;
use burn::tensor::{Distribution, Int, Tensor, TensorData};
use rayon::prelude::*;

use crate::pretrain::batch::mix;

/// Number of logits in memory at a time.
const LOGITS: usize = 4 << 20;

/// How a generator is sampled.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Sampling {
    /// Divides the logits.
    pub temperature: f64,
    /// Whether the original token is never sampled.
    pub disallow_correct: bool,
}

impl Sampling {
    /// A token for each row of `hidden`, `[m, h]`, drawn from the softmax of its logits: a function of the
    /// logits and the row's key. `words` are the embeddings that the head decodes with; nothing is
    /// differentiated.
    ///
    /// `argmax(logit + g)` with `g = −ln(−ln u)` is a draw from the softmax (Gumbel 1954), as
    /// in `sample_from_softmax` of `google-research/electra`. On devices other than the CPU the noise
    /// comes from the device's generator, seeded with the keys.
    pub fn draw(
        &self,
        head: &MlmHead,
        hidden: Tensor<2>,
        words: &Param<Tensor<2>>,
        correct: &[u32],
        keys: &[u64],
        context: Context<'_>,
    ) -> Vec<u32> {
        let [_, h] = hidden.dims();
        let v = head.bias.dims()[0];
        let device = hidden.device();
        let block = (LOGITS / v).max(1);
        let mut sampled = Vec::with_capacity(correct.len());
        for (i, (correct, keys)) in correct.chunks(block).zip(keys.chunks(block)).enumerate() {
            let first = i * block;
            let rows = hidden.clone().slice([first..first + correct.len(), 0..h]);
            let logits = head.forward(rows, words, context);
            if is_cpu(&device) {
                let logits = to_vec(logits);
                let rows = logits.par_chunks(v).zip(correct).zip(keys);
                sampled.par_extend(
                    rows.map(|((logits, &correct), &key)| self.draw_row(logits, correct, key)),
                );
            } else {
                let key = keys.iter().fold(0, |all, &key| mix(all ^ key));
                sampled.extend(self.draw_on_device(logits, correct, key));
            }
        }
        sampled
    }

    /// The token drawn for one row.
    fn draw_row(&self, logits: &[f32], correct: u32, key: u64) -> u32 {
        /// Columns whose noise is drawn at a time.
        const LANES: usize = 256;
        let scale = (1.0 / self.temperature) as f32;
        let excluded = self.disallow_correct.then_some(correct as usize);
        vectorised(
            #[inline(always)]
            || {
                let mut noisy = [0.0_f32; LANES];
                let (mut best, mut best_value) = (usize::MAX, f32::NEG_INFINITY);
                for (i, logits) in logits.chunks(LANES).enumerate() {
                    let first = i * LANES;
                    for (j, (noisy, &logit)) in noisy.iter_mut().zip(logits).enumerate() {
                        *noisy = logit * scale + gumbel(bits(key, (first + j) as u32));
                    }
                    for (j, &value) in noisy[..logits.len()].iter().enumerate() {
                        if value > best_value && Some(first + j) != excluded {
                            (best, best_value) = (first + j, value);
                        }
                    }
                }
                // No column is largest if no logit is finite; the loss reports it.
                if best == usize::MAX {
                    correct
                } else {
                    best as u32
                }
            },
        )
    }

    fn draw_on_device(&self, logits: Tensor<2>, correct: &[u32], key: u64) -> Vec<u32> {
        let (device, shape) = (logits.device(), logits.dims());
        device.seed(key);
        let uniform = Tensor::random(shape, Distribution::Uniform(1e-9, 1.0), &device);
        let mut noisy = logits * (1.0 / self.temperature) - (-uniform.log()).clamp_min(1e-9).log();
        if self.disallow_correct {
            let n = correct.len();
            let ids: Vec<i32> = correct.iter().map(|&id| id as i32).collect();
            let ids: Tensor<2, Int> = Tensor::from_data(TensorData::new(ids, [n, 1]), &device);
            let low = Tensor::full([n, 1], -1e9, &device);
            noisy = noisy.scatter(1, ids, low, burn::tensor::IndexingUpdateOp::Add);
        }
        let winners: Tensor<1> = noisy.argmax(1).squeeze_dim::<1>(1).float();
        // Ids are well below 2²⁴, where f32 counts exactly.
        to_vec(winners).into_iter().map(|id| id as u32).collect()
    }
}

/// Random bits of a column, in 32-bit operations that vectorise on every instruction set.
#[inline(always)]
fn bits(key: u64, column: u32) -> u32 {
    let step = |x: u32| {
        let x = (x ^ (x >> 16)).wrapping_mul(0x7feb_352d);
        let x = (x ^ (x >> 15)).wrapping_mul(0x846c_a68b);
        x ^ (x >> 16)
    };
    step(step(column.wrapping_add(key as u32)) ^ (key >> 32) as u32)
}

/// `−ln(−ln u)` of a number `u` in (0, 1), from 32 random bits.
///
/// `−ln u` is an exponential variable, computed here from `1 − u`, whose small values (large noise)
/// keep full precision.
#[inline(always)]
fn gumbel(bits: u32) -> f32 {
    const LARGEST: f32 = 1.0 - f32::EPSILON;
    // 2⁻³² steps of (0, 1).
    let v = ((bits as f32 + 0.5) * (1.0 / 4_294_967_296.0)).min(LARGEST);
    let series = v * (1.0 + v * (0.5 + v * (1.0 / 3.0 + v * 0.25)));
    let direct = -ln(1.0 - v);
    -ln(if v < 1.0 / 64.0 { series } else { direct })
}

/// The natural logarithm of a positive normal number, to f32's precision.
#[inline(always)]
fn ln(x: f32) -> f32 {
    let bits = x.to_bits();
    // x = 2^e · m with m in [2/3, 4/3).
    let e = (bits.wrapping_sub(0x3f2a_aaab) as i32) >> 23;
    let m = f32::from_bits(bits.wrapping_sub((e << 23) as u32));
    let s = (m - 1.0) / (m + 1.0);
    let q = s * s;
    let p = 1.0 + q * (1.0 / 3.0 + q * (1.0 / 5.0 + q * (1.0 / 7.0 + q * (1.0 / 9.0))));
    e as f32 * std::f32::consts::LN_2 + 2.0 * s * p
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_is_minus_the_log_of_minus_the_log_of_the_number_drawn() {
        for n in 0..100_000_u64 {
            let bits = bits(mix(7), n as u32);
            let u = 1.0 - (f64::from(bits) + 0.5) / 4_294_967_296.0;
            let expected = -(-u.ln()).ln();
            // 1 − u has 24 digits, so that noise around 0 and below is a few steps off.
            let ours = f64::from(gumbel(bits));
            assert!(
                (ours - expected).abs() < 2e-6 * (1.0 + expected.abs()) + 3e-7 / u,
                "{u}: {ours} {expected}"
            );
        }
        assert!(gumbel(0) > 22.0 && gumbel(u32::MAX).is_finite());
    }

    #[test]
    fn draws_follow_the_softmax() {
        let weights = [0.5_f64, 0.3, 0.15, 0.05];
        let logits: Vec<f32> = weights.iter().map(|w| w.ln() as f32).collect();
        let sampling = Sampling {
            temperature: 1.0,
            disallow_correct: false,
        };
        let n = 200_000;
        let mut counts = [0.0; 4];
        for row in 0..n {
            counts[sampling.draw_row(&logits, 0, mix(row)) as usize] += 1.0;
        }
        // Chi-square with 3 degrees of freedom: 16.3 is exceeded once in a thousand.
        let chi: f64 = counts
            .iter()
            .zip(weights)
            .map(|(count, w)| (count - w * n as f64).powi(2) / (w * n as f64))
            .sum();
        assert!(chi < 16.3, "{counts:?}: {chi}");
    }

    #[test]
    fn draws_on_a_device_follow_the_softmax_of_what_is_allowed() {
        let device = burn::tensor::Device::flex();
        let row = [
            0.5_f64.ln() as f32,
            0.3_f64.ln() as f32,
            0.2_f64.ln() as f32,
        ];
        let n = 4000;
        let logits = || Tensor::from_data(TensorData::new(row.repeat(n), [n, 3]), &device);
        let counts = |disallow_correct| {
            let sampling = Sampling {
                temperature: 1.0,
                disallow_correct,
            };
            let mut counts = [0.0; 3];
            for word in sampling.draw_on_device(logits(), &vec![0; n], 5) {
                counts[word as usize] += 1.0 / n as f64;
            }
            counts
        };
        for (found, expected) in [
            (counts(false), [0.5, 0.3, 0.2]),
            (counts(true), [0.0, 0.6, 0.4]),
        ] {
            for (a, b) in found.iter().zip(expected) {
                assert!((a - b).abs() < 0.04, "{found:?}");
            }
        }
    }

    #[test]
    fn the_correct_token_can_be_excluded_and_the_temperature_sharpens() {
        let logits = [5.0, 0.0, 0.0];
        let strict = Sampling {
            temperature: 1.0,
            disallow_correct: true,
        };
        let cold = Sampling {
            temperature: 0.01,
            disallow_correct: false,
        };
        for row in 0..1000 {
            assert_ne!(strict.draw_row(&logits, 0, mix(row)), 0);
            assert_eq!(cold.draw_row(&logits, 0, mix(row)), 0);
        }
    }
}
