//! The matrix products of linear layers on their own, for benchmarks.

use std::hint::black_box;

use super::cpu::kernels;

/// The three matrix products of a linear layer in a training step on the CPU, in f32: the
/// part of a step that fusing operations cannot reduce.
///
/// Shapes: `n` rows, `i` inputs, `o` outputs.
#[derive(Debug)]
pub struct LinearProducts {
    inputs: usize,
    outputs: usize,
    /// `[n, i]`.
    x: Vec<f32>,
    /// `[o, i]`.
    w: Vec<f32>,
    /// `[o]`.
    b: Vec<f32>,
    /// The gradient of the result, `[n, o]`.
    dy: Vec<f32>,
}

impl LinearProducts {
    /// For a layer from `inputs` to `outputs`, over `rows` rows.
    ///
    /// # Panics
    /// One of the sizes is 0.
    pub fn new(rows: usize, inputs: usize, outputs: usize) -> Self {
        assert!(
            rows > 0 && inputs > 0 && outputs > 0,
            "a product of nothing"
        );
        // Ordinary numbers: neither 0 nor subnormal, which are slow.
        let numbers = |n: usize| (0..n).map(|i| (i % 17) as f32 * 0.01 - 0.085).collect();
        Self {
            inputs,
            outputs,
            x: numbers(rows * inputs),
            w: numbers(outputs * inputs),
            b: numbers(outputs),
            dy: numbers(rows * outputs),
        }
    }

    /// Computes `x Wᵀ + b`, `dy W` and `dyᵀ x`, and discards them.
    pub fn run(&self) {
        let (i, o) = (self.inputs, self.outputs);
        black_box(kernels::linear(&self.x, &self.w, &self.b, i));
        black_box(kernels::product_input(&self.dy, &self.w, i, o));
        black_box(kernels::product_weight(&self.dy, &self.x, i, o));
    }

    /// The number of floating-point operations of one [`Self::run`]: `6 n i o`.
    pub fn operations(&self) -> f64 {
        6.0 * self.x.len() as f64 * self.outputs as f64
    }
}
