//! Bias and GELU in one pass.

use pulp::Arch;
use rayon::prelude::*;

use super::ROWS;
use super::math::normal;
use super::memory::{fresh, write_each, written};
use super::norm::total;

/// `g(z + b)` with `g(x) = x Φ(x)`, in place: `z` `[rows, width]`, `b` `[width]`.
pub(crate) fn bias_gelu_in_place(z: &mut [f32], bias: &[f32]) {
    let arch = Arch::new();
    let width = bias.len();
    z.par_chunks_mut(width * ROWS).for_each(|rows| {
        arch.dispatch(|| {
            for row in rows.chunks_mut(width) {
                for (z, &b) in row.iter_mut().zip(bias) {
                    let x = *z + b;
                    *z = x * normal(x).0;
                }
            }
        });
    });
}

/// As [`bias_gelu_in_place`], into memory of its own; `z` stays for the backward pass.
pub(crate) fn bias_gelu(z: &[f32], bias: &[f32]) -> Vec<f32> {
    let arch = Arch::new();
    let width = bias.len();
    let mut y = fresh(z.len());
    y.par_chunks_mut(width * ROWS)
        .zip(z.par_chunks(width * ROWS))
        .for_each(|(y, z)| {
            arch.dispatch(|| {
                for (y, z) in y.chunks_mut(width).zip(z.chunks(width)) {
                    let sums = z.iter().zip(bias).map(|(&z, &b)| z + b);
                    write_each(y, sums.map(|x| x * normal(x).0));
                }
            });
        });
    // SAFETY: the pieces of `y` are those of `z`, and each was written throughout.
    unsafe { written(y) }
}

/// The gradients of [`bias_gelu`] with respect to `z`, and to the bias (`[width]`): its sum over rows.
pub(crate) fn bias_gelu_backward(dy: &[f32], z: &[f32], bias: &[f32]) -> (Vec<f32>, Vec<f32>) {
    assert_eq!(dy.len(), z.len(), "a gradient for every element");
    let arch = Arch::new();
    let width = bias.len();
    let mut dz = fresh(z.len());
    let partial: Vec<Vec<f32>> = dz
        .par_chunks_mut(width * ROWS)
        .zip(z.par_chunks(width * ROWS))
        .zip(dy.par_chunks(width * ROWS))
        .map(|((dz, z), dy)| {
            let mut sum = vec![0.0; width];
            arch.dispatch(|| {
                let rows = dz
                    .chunks_mut(width)
                    .zip(z.chunks(width))
                    .zip(dy.chunks(width));
                for ((dz, z), dy) in rows {
                    let values = z.iter().zip(bias).zip(dy);
                    let dz = write_each(
                        dz,
                        values.map(|((&z, &b), &dy)| {
                            let (cdf, density) = normal(z + b);
                            dy * (cdf + (z + b) * density)
                        }),
                    );
                    for (sum, &dz) in sum.iter_mut().zip(&*dz) {
                        *sum += dz;
                    }
                }
            });
            sum
        })
        .collect();
    // SAFETY: the pieces of `dz` are those of `z`, and each was written throughout.
    (unsafe { written(dz) }, total(&partial, width))
}
