//! Bias and GELU in one pass.

use std::mem::MaybeUninit;

use crate::vectors::vectorised;
use rayon::prelude::*;

use super::ROWS;
use super::math::normal;
use super::memory::{Shared, fresh, write_each, written};
use super::norm::total;
use super::products::product_then;

/// `g(x Wᵀ + b)` with `g(x) = x Φ(x)`: `x` `[rows, inputs]`, `w` `[outputs, inputs]`, `b` `[outputs]`.
pub(crate) fn linear_gelu(x: &[f32], w: &[f32], b: &[f32], inputs: usize) -> Vec<f32> {
    product_then(x, w, inputs, b.len(), |_, rows| {
        vectorised(
            #[inline(always)]
            || {
                for row in rows.chunks_mut(b.len()) {
                    for (z, &b) in row.iter_mut().zip(b) {
                        let x = *z + b;
                        *z = x * normal(x).0;
                    }
                }
            },
        );
    })
}

/// As [`linear_gelu`], but also returns `x Wᵀ`, first, for the backward pass.
pub(crate) fn linear_gelu_kept(
    x: &[f32],
    w: &[f32],
    b: &[f32],
    inputs: usize,
) -> (Vec<f32>, Vec<f32>) {
    let width = b.len();
    let mut y = fresh(x.len() / inputs * width);
    let target = Shared(y.as_mut_ptr().cast());
    let z = product_then(x, w, inputs, width, |first, rows| {
        // SAFETY: the same rows of `y`, which has as many as the product; they are this piece's alone.
        let y = unsafe {
            let start = target.at(first * width).cast::<MaybeUninit<f32>>();
            std::slice::from_raw_parts_mut(start, rows.len())
        };
        vectorised(
            #[inline(always)]
            || {
                for (y, z) in y.chunks_mut(width).zip(rows.chunks(width)) {
                    let sums = z.iter().zip(b).map(|(&z, &b)| z + b);
                    write_each(y, sums.map(|x| x * normal(x).0));
                }
            },
        );
    });
    // SAFETY: the pieces cover all rows, and each was written.
    (z, unsafe { written(y) })
}

/// The gradients of [`linear_gelu`] with respect to `z = x Wᵀ` and to the bias (`[width]`), the latter summed over rows.
pub(crate) fn gelu_backward(dy: &[f32], z: &[f32], bias: &[f32]) -> (Vec<f32>, Vec<f32>) {
    assert_eq!(dy.len(), z.len(), "a gradient for every element");
    let width = bias.len();
    let mut dz = fresh(z.len());
    let partial: Vec<Vec<f32>> = dz
        .par_chunks_mut(width * ROWS)
        .zip(z.par_chunks(width * ROWS))
        .zip(dy.par_chunks(width * ROWS))
        .map(|((dz, z), dy)| {
            let mut sum = vec![0.0; width];
            vectorised(
                #[inline(always)]
                || {
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
                },
            );
            sum
        })
        .collect();
    // SAFETY: the pieces of `dz` are those of `z`, and each was written throughout.
    (unsafe { written(dz) }, total(&partial, width))
}
