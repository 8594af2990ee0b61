//! Fresh weights: a function of the seed alone, on every device.

use burn::module::Param;
use burn::tensor::{Device, Tensor, TensorData};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Draws fresh parameters in sequence on one device.
///
/// A whole model is drawn from a normal distribution truncated at two standard deviations, as in BERT's
/// code (`google-research/bert`, `create_initializer`). What is added to trained weights, such as
/// a new head, is drawn without truncation, as in transformers (`_init_weights`).
#[derive(Debug)]
pub struct Initializer {
    device: Device,
    random: ChaCha8Rng,
    standard_deviation: f64,
    /// In standard deviations; numbers beyond it are redrawn.
    cut: f64,
    /// Whether to skip drawing, for parameters that a checkpoint is about to replace.
    placeholder: bool,
}

impl Initializer {
    /// Draws a whole model, with the given standard deviation (`initializer_range`) before truncation.
    pub fn new(device: &Device, seed: u64, standard_deviation: f64) -> Self {
        Self {
            device: device.clone(),
            random: ChaCha8Rng::seed_from_u64(seed),
            standard_deviation,
            cut: 2.0,
            placeholder: false,
        }
    }

    /// Draws parameters that are added to trained weights.
    pub fn added(device: &Device, seed: u64, standard_deviation: f64) -> Self {
        Self {
            cut: f64::INFINITY,
            ..Self::new(device, seed, standard_deviation)
        }
    }

    /// Returns zeros instead of drawing, for weights that are loaded right after.
    pub fn placeholders(device: &Device) -> Self {
        Self {
            placeholder: true,
            ..Self::new(device, 0, 0.0)
        }
    }

    /// The device of the parameters.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// A matrix from the normal distribution.
    pub fn normal(&mut self, shape: [usize; 2]) -> Param<Tensor<2>> {
        if self.placeholder {
            // One number, expanded: sizes are compared with the checkpoint before any memory is allocated for them.
            return Param::from_tensor(Tensor::<2>::zeros([1, 1], &self.device).expand(shape));
        }
        let values = self.normal_values(shape[0] * shape[1]);
        Param::from_data(TensorData::new(values, shape), &self.device)
    }

    /// `n` numbers from the normal distribution.
    pub(crate) fn normal_values(&mut self, n: usize) -> Vec<f32> {
        (0..n)
            .map(|_| (self.standard_normal() * self.standard_deviation) as f32)
            .collect()
    }

    /// A vector of zeros.
    pub fn zeros(&mut self, shape: [usize; 1]) -> Param<Tensor<1>> {
        Param::from_data(
            TensorData::new(vec![0.0_f32; shape[0]], shape),
            &self.device,
        )
    }

    /// A vector of ones.
    pub fn ones(&mut self, shape: [usize; 1]) -> Param<Tensor<1>> {
        Param::from_data(
            TensorData::new(vec![1.0_f32; shape[0]], shape),
            &self.device,
        )
    }

    /// Standard normal, redrawn beyond the cut (Box & Muller 1958).
    fn standard_normal(&mut self) -> f64 {
        loop {
            let u: f64 = 1.0 - unit(self.random.next_u64());
            let v: f64 = unit(self.random.next_u64());
            let z = (-2.0 * u.ln()).sqrt() * (2.0 * std::f64::consts::PI * v).cos();
            if z.abs() <= self.cut {
                return z;
            }
        }
    }
}

/// A number in [0, 1) from 53 random bits.
fn unit(bits: u64) -> f64 {
    (bits >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// 100,000 numbers, and their mean and standard deviation.
    fn drawn(mut init: Initializer) -> (Vec<f32>, f64, f64) {
        let weight = init.normal([200, 500]);
        let values: Vec<f32> = weight.val().into_data().try_into_vec().unwrap();
        let n = values.len() as f64;
        let mean = values.iter().map(|&v| f64::from(v)).sum::<f64>() / n;
        let sd = (values
            .iter()
            .map(|&v| (f64::from(v) - mean).powi(2))
            .sum::<f64>()
            / n)
            .sqrt();
        (values, mean, sd)
    }

    #[test]
    fn fresh_weights_have_the_spread_of_a_normal_cut_at_two_deviations() {
        let draw = |seed| drawn(Initializer::new(&Device::flex(), seed, 0.02));
        let (values, mean, sd) = draw(1);
        assert!(
            mean.abs() < 3e-4 && (sd - 0.02 * 0.8796).abs() < 2e-4,
            "{mean} {sd}"
        );
        assert!(values.iter().all(|v| v.abs() <= 0.04));
        assert_eq!(values, draw(1).0);
        assert_ne!(values, draw(2).0);
    }

    #[test]
    fn what_is_added_to_trained_weights_is_not_cut() {
        let (values, mean, sd) = drawn(Initializer::added(&Device::flex(), 1, 0.02));
        assert!(mean.abs() < 3e-4 && (sd - 0.02).abs() < 2e-4, "{mean} {sd}");
        // 4.55 % of a normal distribution lie beyond two standard deviations.
        let beyond = values.iter().filter(|v| v.abs() > 0.04).count();
        assert!((4_300..4_800).contains(&beyond), "{beyond}");
    }
}
