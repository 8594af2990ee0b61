//! LayerNorm: after a residual connection, after the embeddings, or on its own.

use std::mem::MaybeUninit;

use crate::vectors::vectorised;
use rayon::prelude::*;

use super::math::{dot, sum};
use super::memory::{Shared, fresh, write_each, written};
use super::products::product_then;
use super::{Mask, ROWS};

/// What the backward pass needs from the forward pass.
#[derive(Debug, Clone)]
pub(crate) struct Normalised {
    /// `(s − mean) / deviation`, `[rows, h]`.
    pub values: Vec<f32>,
    /// `1 / deviation` of each row.
    pub inverse: Vec<f32>,
}

/// The gradients of [`linear_norm`] with respect to its product, and of [`norm`].
pub(crate) struct NormGradients {
    /// Of the normalised sum, and so of the residual: `[rows, h]`.
    pub sum: Vec<f32>,
    /// Of `x`, if it differs because of a mask: `[rows, h]`.
    pub x: Option<Vec<f32>>,
    /// Of the bias, the scale and the shift: `[h]` each.
    pub bias: Vec<f32>,
    pub gamma: Vec<f32>,
    pub beta: Vec<f32>,
}

#[inline(always)]
fn add(sum: &mut [f32], row: &[f32]) {
    for (s, &v) in sum.iter_mut().zip(row) {
        *s += v;
    }
}

/// The sum of partial sums, in a fixed order.
pub(super) fn total(partial: &[Vec<f32>], width: usize) -> Vec<f32> {
    let mut sum = vec![0.0; width];
    partial.iter().for_each(|row| add(&mut sum, row));
    sum
}

/// The sum over rows, `[rows, width]` to `[width]`.
pub(crate) fn sum_rows(values: &[f32], width: usize) -> Vec<f32> {
    let partial: Vec<Vec<f32>> = values
        .par_chunks(width * ROWS)
        .map(|rows| {
            let mut sum = vec![0.0; width];
            vectorised(
                #[inline(always)]
                || rows.chunks(width).for_each(|row| add(&mut sum, row)),
            );
            sum
        })
        .collect();
    total(&partial, width)
}

/// Normalises `s` in place, writes `γ s + β` to `y`, and returns `1 / deviation`.
#[inline(always)]
fn normalise(
    s: &mut [f32],
    y: &mut [MaybeUninit<f32>],
    gamma: &[f32],
    beta: &[f32],
    epsilon: f32,
) -> f32 {
    let h = s.len() as f32;
    let mean = sum(s) / h;
    s.iter_mut().for_each(|s| *s -= mean);
    let variance = dot(s, s) / h;
    let inverse = 1.0 / (variance + epsilon).sqrt();
    s.iter_mut().for_each(|s| *s *= inverse);
    write_each(
        y,
        s.iter()
            .zip(gamma.iter().zip(beta))
            .map(|(&s, (&g, &b))| s * g + b),
    );
    inverse
}

/// What is applied between a product and its LayerNorm: nothing, or bias, dropout and residual.
#[derive(Clone, Copy, Default)]
pub(crate) struct Before<'a> {
    /// `[h]`.
    pub bias: Option<&'a [f32]>,
    pub mask: Option<Mask>,
    /// `[rows, h]`.
    pub residual: Option<&'a [f32]>,
}

/// The output buffers of LayerNorm, row by row.
struct NormOutput<'a> {
    y: Shared,
    inverse: Shared,
    scale: [&'a [f32]; 2],
    epsilon: f32,
}

impl NormOutput<'_> {
    /// `LayerNorm(residual + mask · (s + bias))` of the rows from `first`; overwrites `s` with the normalised values.
    ///
    /// # Safety
    /// The rows must lie within the output buffers, and no other thread may access them.
    unsafe fn rows(&self, first: usize, s: &mut [f32], before: Before<'_>) {
        let [gamma, beta] = self.scale;
        let (h, rows) = (gamma.len(), s.len() / gamma.len());
        // SAFETY: the caller vouches for the rows.
        let (y, inverse) = unsafe {
            let y = self.y.at(first * h).cast::<MaybeUninit<f32>>();
            (
                std::slice::from_raw_parts_mut(y, rows * h),
                std::slice::from_raw_parts_mut(self.inverse.at(first), rows),
            )
        };
        let mut factors = vec![0.0; if before.mask.is_some() { h } else { 0 }];
        vectorised(
            #[inline(always)]
            || {
                let rows = y.chunks_mut(h).zip(s.chunks_mut(h)).zip(inverse.iter_mut());
                for (i, ((y, s), inverse)) in rows.enumerate() {
                    let row = first + i;
                    if let Some(bias) = before.bias {
                        add(s, bias);
                    }
                    if let Some(mask) = before.mask {
                        mask.row(row as u64, h, &mut factors);
                        s.iter_mut().zip(&factors).for_each(|(s, f)| *s *= f);
                    }
                    if let Some(residual) = before.residual {
                        add(s, &residual[row * h..(row + 1) * h]);
                    }
                    *inverse = normalise(s, y, gamma, beta, self.epsilon);
                }
            },
        );
    }
}

/// `LayerNorm(residual + mask · (x Wᵀ + bias))`: `x` `[rows, inputs]`, `w` `[h, inputs]`.
pub(crate) fn linear_norm(
    x: &[f32],
    w: &[f32],
    inputs: usize,
    before: Before<'_>,
    scale: [&[f32]; 2],
    epsilon: f32,
) -> (Vec<f32>, Normalised) {
    let (h, rows) = (scale[0].len(), x.len() / inputs);
    if let Some(residual) = before.residual {
        assert_eq!(residual.len(), rows * h, "a residual for every element");
    }
    let mut y = fresh(rows * h);
    let mut inverse = vec![0.0; rows];
    let output = NormOutput {
        y: Shared(y.as_mut_ptr().cast()),
        inverse: Shared(inverse.as_mut_ptr()),
        scale,
        epsilon,
    };
    let values = product_then(x, w, inputs, h, |first, s| {
        // SAFETY: there are as many rows as the product has, and the piece is this call's alone.
        unsafe { output.rows(first, s, before) };
    });
    // SAFETY: the pieces cover all rows, and each was written.
    (unsafe { written(y) }, Normalised { values, inverse })
}

/// `LayerNorm(x)`, `[rows, h]`; the normalised values are written to `x`.
pub(crate) fn norm(x: Vec<f32>, scale: [&[f32]; 2], epsilon: f32) -> (Vec<f32>, Normalised) {
    let h = scale[0].len();
    let mut values = x;
    assert!(values.len().is_multiple_of(h), "whole rows");
    let mut y = fresh(values.len());
    let mut inverse = vec![0.0; values.len() / h];
    let output = NormOutput {
        y: Shared(y.as_mut_ptr().cast()),
        inverse: Shared(inverse.as_mut_ptr()),
        scale,
        epsilon,
    };
    values
        .par_chunks_mut(h * ROWS)
        .enumerate()
        .for_each(|(piece, s)| {
            // SAFETY: there are as many rows as `values` has, and the piece is this call's alone.
            unsafe { output.rows(piece * ROWS, s, Before::default()) };
        });
    // SAFETY: the pieces cover all rows, and each was written.
    (unsafe { written(y) }, Normalised { values, inverse })
}

/// The gradients of [`linear_norm`] with respect to its product, and of [`norm`].
pub(crate) fn norm_backward(
    dy: &[f32],
    normalised: &Normalised,
    gamma: &[f32],
    mask: Option<Mask>,
) -> NormGradients {
    let h = gamma.len();
    assert_eq!(
        dy.len(),
        normalised.values.len(),
        "a gradient for every element"
    );
    let mut ds = fresh(dy.len());
    let mut dx = fresh(if mask.is_some() { dy.len() } else { 0 });
    // Without a mask `dx` is empty: use as many empty pieces as `ds` has.
    let pieces = dy.len().div_ceil(h * ROWS);
    let mut dx_pieces: Vec<&mut [MaybeUninit<f32>]> = dx.chunks_mut(h * ROWS).collect();
    dx_pieces.resize_with(pieces, Default::default);
    let partial: Vec<[Vec<f32>; 3]> = ds
        .par_chunks_mut(h * ROWS)
        .zip(dx_pieces)
        .zip(dy.par_chunks(h * ROWS))
        .enumerate()
        .map(|(piece, ((ds, dx), dy))| {
            let [mut dg, mut db, mut dbias] = [const { Vec::new() }; 3].map(|mut v| {
                v.resize(h, 0.0_f32);
                v
            });
            let mut factors = vec![0.0; if mask.is_some() { h } else { 0 }];
            let mut dx = dx.chunks_mut(h);
            vectorised(
                #[inline(always)]
                || {
                    for (i, (ds, dy)) in ds.chunks_mut(h).zip(dy.chunks(h)).enumerate() {
                        let row = piece * ROWS + i;
                        let n = &normalised.values[row * h..(row + 1) * h];
                        let inverse = normalised.inverse[row];
                        for ((dg, db), (&dy, &n)) in
                            dg.iter_mut().zip(db.iter_mut()).zip(dy.iter().zip(n))
                        {
                            *dg += dy * n;
                            *db += dy;
                        }
                        let ds = write_each(ds, dy.iter().zip(gamma).map(|(dy, g)| dy * g));
                        let mean = sum(ds) / h as f32;
                        let slope = dot(ds, n) / h as f32;
                        for (ds, &n) in ds.iter_mut().zip(n) {
                            *ds = (*ds - mean - n * slope) * inverse;
                        }
                        match (mask, dx.next()) {
                            (Some(mask), Some(dx)) => {
                                mask.row(row as u64, h, &mut factors);
                                let dx =
                                    write_each(dx, ds.iter().zip(&factors).map(|(s, f)| s * f));
                                add(&mut dbias, dx);
                            }
                            _ => add(&mut dbias, ds),
                        }
                    }
                },
            );
            [dg, db, dbias]
        })
        .collect();
    let sums = |i: usize| {
        let mut sum = vec![0.0; h];
        partial.iter().for_each(|three| add(&mut sum, &three[i]));
        sum
    };
    NormGradients {
        // SAFETY: every row of `ds` was written, and of `dx` where there is a mask.
        sum: unsafe { written(ds) },
        x: mask.map(|_| unsafe { written(dx) }),
        gamma: sums(0),
        beta: sums(1),
        bias: sums(2),
    }
}

/// The embedding tables, `[rows, e]` each.
#[derive(Clone, Copy)]
pub(crate) struct Tables<'a> {
    pub word: &'a [f32],
    pub position: &'a [f32],
    /// Empty if the family has none.
    pub token_type: &'a [f32],
}

/// The rows of the tables that are summed for each token: `[tokens]` each.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Ids {
    pub words: Vec<u32>,
    pub positions: Vec<u32>,
    pub types: Vec<u32>,
}

/// `mask · LayerNorm(word + position + type)`: `[tokens, e]`.
///
/// # Panics
/// If an id is not a row of its table.
pub(crate) fn embed_norm(
    tables: Tables<'_>,
    ids: &Ids,
    [gamma, beta]: [&[f32]; 2],
    epsilon: f32,
    mask: Option<Mask>,
) -> (Vec<f32>, Normalised) {
    let e = gamma.len();
    let row_of = |table: &'_ [f32], id: u32| -> std::ops::Range<usize> {
        let start = id as usize * e;
        assert!(start + e <= table.len(), "id {id} is not in its table");
        start..start + e
    };
    let mut sums = fresh(ids.words.len() * e);
    sums.par_chunks_mut(e)
        .with_min_len(16)
        .enumerate()
        .for_each(|(token, sum)| {
            let word = &tables.word[row_of(tables.word, ids.words[token])];
            let position = &tables.position[row_of(tables.position, ids.positions[token])];
            vectorised(
                #[inline(always)]
                || {
                    let sum = write_each(sum, word.iter().zip(position).map(|(w, p)| w + p));
                    if !tables.token_type.is_empty() {
                        let types = tables.token_type;
                        add(sum, &types[row_of(types, ids.types[token])]);
                    }
                },
            );
        });
    // SAFETY: every row was written.
    let sums = unsafe { written(sums) };
    let (mut y, normalised) = norm(sums, [gamma, beta], epsilon);
    if let Some(mask) = mask {
        times_mask(&mut y, e, mask);
    }
    (y, normalised)
}

fn times_mask(values: &mut [f32], width: usize, mask: Mask) {
    values
        .par_chunks_mut(width * ROWS)
        .enumerate()
        .for_each(|(piece, rows)| {
            let mut factors = vec![0.0; width];
            vectorised(
                #[inline(always)]
                || {
                    for (i, row) in rows.chunks_mut(width).enumerate() {
                        mask.row((piece * ROWS + i) as u64, width, &mut factors);
                        row.iter_mut().zip(&factors).for_each(|(v, f)| *v *= f);
                    }
                },
            );
        });
}

/// The gradients of [`embed_norm`]: of the sums (`[tokens, e]`, for [`scatter`]), the scale and the shift.
pub(crate) fn embed_norm_backward(
    dy: &[f32],
    normalised: &Normalised,
    gamma: &[f32],
    mask: Option<Mask>,
) -> [Vec<f32>; 3] {
    let gradients = match mask {
        Some(mask) => {
            let mut dy = dy.to_vec();
            times_mask(&mut dy, gamma.len(), mask);
            norm_backward(&dy, normalised, gamma, None)
        }
        None => norm_backward(dy, normalised, gamma, None),
    };
    [gradients.sum, gradients.gamma, gradients.beta]
}

/// Sums the rows of `rows` (`[tokens, e]`) by id: `[size, e]`, zero where no token has the id.
pub(crate) fn scatter(rows: &[f32], ids: &[u32], size: usize, e: usize) -> Vec<f32> {
    let mut table = vec![0.0; size * e];
    vectorised(
        #[inline(always)]
        || {
            for (row, &id) in rows.chunks(e).zip(ids) {
                add(&mut table[id as usize * e..(id as usize + 1) * e], row);
            }
        },
    );
    table
}
