//! Attention within each sequence of a packed batch.

use std::cell::RefCell;

use crate::vectors::vectorised;
use rayon::prelude::*;

use super::Mask;
use super::math::{dot, exp, largest, sum};
use super::memory::{Shared, fresh, written};
use super::products::{View, multiply};
use gemm::Parallelism;

thread_local! {
    /// Buffers for the scores of one sequence and head, and for the backward pass.
    static SCRATCH: RefCell<[Vec<f32>; 3]> = const { RefCell::new([Vec::new(), Vec::new(), Vec::new()]) };
}

/// The row of a dropout mask for a query of a head.
pub(crate) const fn mask_row(query: usize, heads: usize, head: usize) -> u64 {
    (query * heads + head) as u64
}

/// `softmax(q kᵀ / √d)` of one sequence and head into `weights`, `[t, t]`.
///
/// # Safety
/// `qkv` must hold `t` rows of `3 h` from `first`, `h = heads · d`.
unsafe fn attention_weights(
    qkv: &[f32],
    [first, t, h, d, head]: [usize; 5],
    weights: &mut Vec<f32>,
) {
    weights.resize(t * t, 0.0);
    let at = |part: usize| View::of(&qkv[first * 3 * h + part * h + head * d..], 3 * h);
    let factor = 1.0 / (d as f32).sqrt();
    // SAFETY: `t` rows of width `d` from there lie within `qkv`; `weights` has `t · t` elements.
    unsafe {
        multiply(
            [t, t, d],
            weights.as_mut_ptr(),
            t,
            false,
            at(0),
            at(1).transposed(),
            factor,
            Parallelism::None,
        )
    };
    vectorised(
        #[inline(always)]
        || {
            for row in weights.chunks_mut(t) {
                let top = largest(row);
                row.iter_mut().for_each(|x| *x = exp(*x - top));
                let inverse = 1.0 / sum(row);
                row.iter_mut().for_each(|x| *x *= inverse);
            }
        },
    );
}

/// The length of the longest sequence.
///
/// # Panics
/// If `offsets` are not those of concatenated sequences of `tokens` rows in total, or if the heads do
/// not divide the `h` columns evenly: the unsafe code below relies on both.
fn longest(offsets: &[usize], tokens: usize, h: usize, heads: usize) -> usize {
    assert!(
        offsets.is_sorted() && offsets.first() == Some(&0) && offsets.last() == Some(&tokens),
        "sequences one behind the other, of all rows"
    );
    assert_eq!(h % heads, 0, "as many columns for each head");
    let lengths = offsets.windows(2).map(|pair| pair[1] - pair[0]);
    lengths.max().unwrap_or(0)
}

/// Attention within each sequence: `qkv` `[tokens, 3 h]` to `[tokens, h]`. `offsets` has the first row
/// of each sequence, then the total number of rows.
pub(crate) fn attention(
    qkv: &[f32],
    offsets: &[usize],
    h: usize,
    heads: usize,
    mask: Option<Mask>,
) -> Vec<f32> {
    let tokens = qkv.len() / (3 * h);
    assert_eq!(
        qkv.len(),
        tokens * 3 * h,
        "query, key and value of each token"
    );
    let (d, longest) = (h / heads, longest(offsets, tokens, h, heads));
    let mut out = fresh(tokens * h);
    let shared = Shared(out.as_mut_ptr().cast());
    (0..(offsets.len() - 1) * heads)
        .into_par_iter()
        .for_each(|task| {
            let (sequence, head) = (task / heads, task % heads);
            let first = offsets[sequence];
            let t = offsets[sequence + 1] - first;
            if t == 0 {
                return;
            }
            SCRATCH.with_borrow_mut(|[weights, factors, _]| {
                // SAFETY: the assertions say that the rows of every sequence are there.
                unsafe { attention_weights(qkv, [first, t, h, d, head], weights) };
                if let Some(mask) = mask {
                    factors.resize(t, 0.0);
                    vectorised(
                        #[inline(always)]
                        || {
                            for (i, row) in weights.chunks_mut(t).enumerate() {
                                mask.row(mask_row(first + i, heads, head), longest, factors);
                                row.iter_mut().zip(&*factors).for_each(|(w, f)| *w *= f);
                            }
                        },
                    );
                }
                let values = View::of(&qkv[first * 3 * h + 2 * h + head * d..], 3 * h);
                // SAFETY: rows `first..first + t`, columns of this head: this task's alone, within `out`.
                unsafe {
                    let target = shared.at(first * h + head * d);
                    multiply(
                        [t, d, t],
                        target,
                        h,
                        false,
                        View::of(weights, t),
                        values,
                        1.0,
                        Parallelism::None,
                    );
                }
            });
        });
    // SAFETY: the heads of the sequences cover every row and column, and a product that adds to
    // nothing writes each of its elements.
    unsafe { written(out) }
}

/// The gradient of [`attention`] with respect to `qkv`; the attention weights are recomputed.
// Long because the five products of one head share their scratch buffers and views.
pub(crate) fn attention_backward(
    dy: &[f32],
    qkv: &[f32],
    offsets: &[usize],
    h: usize,
    heads: usize,
    mask: Option<Mask>,
) -> Vec<f32> {
    let tokens = dy.len() / h;
    assert_eq!(dy.len(), tokens * h, "one context of each token");
    assert_eq!(
        qkv.len(),
        tokens * 3 * h,
        "query, key and value of each token"
    );
    let (d, longest) = (h / heads, longest(offsets, tokens, h, heads));
    let mut dqkv = fresh(qkv.len());
    let shared = Shared(dqkv.as_mut_ptr().cast());
    (0..(offsets.len() - 1) * heads)
        .into_par_iter()
        .for_each(|task| {
            let (sequence, head) = (task / heads, task % heads);
            let first = offsets[sequence];
            let t = offsets[sequence + 1] - first;
            if t == 0 {
                return;
            }
            SCRATCH.with_borrow_mut(|[weights, factors, dropped]| {
                // SAFETY: the assertions say that the rows of every sequence are there.
                unsafe { attention_weights(qkv, [first, t, h, d, head], weights) };
                factors.resize(t * t, 0.0);
                dropped.resize(t * t, 0.0);
                vectorised(
                    #[inline(always)]
                    || match mask {
                        Some(mask) => {
                            let rows = factors
                                .chunks_mut(t)
                                .zip(dropped.chunks_mut(t))
                                .zip(weights.chunks(t));
                            for (i, ((factors, dropped), weights)) in rows.enumerate() {
                                mask.row(mask_row(first + i, heads, head), longest, factors);
                                for ((p, &w), &f) in dropped.iter_mut().zip(weights).zip(&*factors)
                                {
                                    *p = w * f;
                                }
                            }
                        }
                        None => dropped.copy_from_slice(weights),
                    },
                );
                let part = |part: usize| first * 3 * h + part * h + head * d;
                let view = |p: usize| View::of(&qkv[part(p)..], 3 * h);
                let dy = View::of(&dy[first * h + head * d..], h);
                // SAFETY: rows `first..first + t` and this head's columns of the value part: this task's alone.
                unsafe {
                    let dv = shared.at(part(2));
                    multiply(
                        [t, d, t],
                        dv,
                        3 * h,
                        false,
                        View::of(dropped, t).transposed(),
                        dy,
                        1.0,
                        Parallelism::None,
                    );
                    // The gradient of the dropped weights overwrites them.
                    multiply(
                        [t, t, d],
                        dropped.as_mut_ptr(),
                        t,
                        false,
                        dy,
                        view(2).transposed(),
                        1.0,
                        Parallelism::None,
                    );
                }
                vectorised(
                    #[inline(always)]
                    || {
                        let rows = dropped
                            .chunks_mut(t)
                            .zip(weights.chunks(t))
                            .zip(factors.chunks(t));
                        for ((dp, w), f) in rows {
                            if mask.is_some() {
                                dp.iter_mut().zip(f).for_each(|(dp, f)| *dp *= f);
                            }
                            let mean = dot(dp, w);
                            dp.iter_mut()
                                .zip(w)
                                .for_each(|(dp, w)| *dp = (*dp - mean) * w);
                        }
                    },
                );
                let factor = 1.0 / (d as f32).sqrt();
                let ds = View::of(dropped, t);
                // SAFETY: as for the value part, of the query and of the key part.
                unsafe {
                    multiply(
                        [t, d, t],
                        shared.at(part(0)),
                        3 * h,
                        false,
                        ds,
                        view(1),
                        factor,
                        Parallelism::None,
                    );
                    multiply(
                        [t, d, t],
                        shared.at(part(1)),
                        3 * h,
                        false,
                        ds.transposed(),
                        view(0),
                        factor,
                        Parallelism::None,
                    );
                }
            });
        });
    // SAFETY: as in the forward pass, for each of the three parts.
    unsafe { written(dqkv) }
}
