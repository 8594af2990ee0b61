//! The cross-entropy over a whole vocabulary, without storing a probability for each row and word.

use crate::vectors::vectorised;
use rayon::prelude::*;

use super::math::{exp, largest, sum};
use super::memory::{fresh, written};
use super::norm::sum_rows;
use super::products::{View, multiply_in_pieces};

/// The number of logits in memory at a time: 32 MB.
const LOGITS: usize = 8 << 20;

/// The summed loss and, if requested, its gradients.
pub(crate) struct MaskedLm {
    /// `−Σ log p(target)`.
    pub loss: f64,
    /// Gradients of `hidden` `[m, e]`, `table` `[v, e]` and `bias` `[v]`.
    pub gradients: Option<[Vec<f32>; 3]>,
}

/// Cross-entropy of `softmax(hidden tableᵀ + bias)` against `targets`: `hidden` `[m, e]`, `table`
/// `[v, e]`, `bias` `[v]`, `targets` `[m]`.
///
/// Computed one block of rows at a time: logits, softmax and the logits' gradients share one
/// buffer. The gradients are those of the sum, so the backward pass only scales them.
///
/// # Panics
/// If a target is not in the vocabulary.
pub(crate) fn masked_lm(
    hidden: &[f32],
    table: &[f32],
    bias: &[f32],
    targets: &[u32],
    wants_gradients: bool,
) -> MaskedLm {
    let (m, v) = (targets.len(), bias.len());
    let e = table.len() / v.max(1);
    assert_eq!(hidden.len(), m * e, "one hidden row for each target");
    assert!(
        targets.iter().all(|&t| (t as usize) < v),
        "targets are words of the vocabulary"
    );
    let block = (LOGITS / v.max(1)).max(16).min(m.max(1));
    let mut logits = fresh(block * v);
    let mut d_hidden = fresh(if wants_gradients { m * e } else { 0 });
    let mut d_table = fresh(if wants_gradients && m > 0 { v * e } else { 0 });
    let mut d_bias = vec![0.0; if wants_gradients { v } else { 0 }];
    let mut loss = 0.0;
    for (number, targets) in targets.chunks(block).enumerate() {
        let first = number * block;
        let rows = targets.len();
        let hidden = &hidden[first * e..(first + rows) * e];
        // SAFETY: `hidden` has `rows · e` elements, `table` `v · e`, `logits` at least `rows · v`; a
        // product that adds to nothing writes each of them and reads none.
        let logits = unsafe {
            multiply_in_pieces(
                [rows, v, e],
                logits.as_mut_ptr().cast(),
                false,
                View::of(hidden, e),
                View::of(table, e).transposed(),
            );
            std::slice::from_raw_parts_mut(logits.as_mut_ptr().cast::<f32>(), rows * v)
        };
        let losses: Vec<f64> = logits
            .par_chunks_mut(v)
            .zip(targets)
            .map(|(row, &target)| {
                let target = target as usize;
                vectorised(
                    #[inline(always)]
                    || {
                        row.iter_mut().zip(bias).for_each(|(x, b)| *x += b);
                        let top = largest(row);
                        let aimed = row[target];
                        row.iter_mut().for_each(|x| *x = exp(*x - top));
                        let total = sum(row);
                        if wants_gradients {
                            let inverse = 1.0 / total;
                            row.iter_mut().for_each(|x| *x *= inverse);
                            row[target] -= 1.0;
                        }
                        f64::from(total).ln() - f64::from(aimed - top)
                    },
                )
            })
            .collect();
        loss += losses.iter().sum::<f64>();
        if wants_gradients {
            d_bias
                .iter_mut()
                .zip(sum_rows(logits, v))
                .for_each(|(sum, part)| *sum += part);
            // SAFETY: `logits` holds `rows · v` elements; rows `first..first + rows` of `d_hidden` and
            // all of `d_table` are ours alone, and the first product writes what the others add to.
            unsafe {
                multiply_in_pieces(
                    [rows, e, v],
                    d_hidden.as_mut_ptr().cast::<f32>().add(first * e),
                    false,
                    View::of(logits, v),
                    View::of(table, e),
                );
                multiply_in_pieces(
                    [v, e, rows],
                    d_table.as_mut_ptr().cast(),
                    number > 0,
                    View::of(logits, v).transposed(),
                    View::of(hidden, e),
                );
            }
        }
    }
    // SAFETY: with at least one target each row of both was written; without any, `d_hidden` is empty.
    let gradients = wants_gradients.then(|| unsafe {
        let table = if m > 0 {
            written(d_table)
        } else {
            vec![0.0; v * e]
        };
        [written(d_hidden), table, d_bias]
    });
    MaskedLm { loss, gradients }
}
