//! Matrix products.

use std::ops::Range;

use crate::vectors::vectorised;
use gemm::Parallelism;
use rayon::prelude::*;

use super::ROWS;
use super::memory::{Shared, fresh, written};

/// Products with fewer multiplications than this use one thread.
const SMALL: usize = 1 << 19;

/// A matrix for `gemm`: its start and the strides between rows and between columns.
#[derive(Clone, Copy)]
pub(super) struct View {
    start: *const f32,
    row: isize,
    column: isize,
}

impl View {
    pub fn of(values: &[f32], row: usize) -> Self {
        Self {
            start: values.as_ptr(),
            row: row as isize,
            column: 1,
        }
    }

    /// The view from that row.
    ///
    /// # Safety
    /// The row must lie within the memory.
    pub unsafe fn at_row(self, row: usize) -> Self {
        // SAFETY: handed on to the caller.
        let start = unsafe { self.start.offset(row as isize * self.row) };
        Self { start, ..self }
    }

    /// The view from that column.
    ///
    /// # Safety
    /// The column must lie within the memory.
    pub unsafe fn at_column(self, column: usize) -> Self {
        // SAFETY: as above.
        unsafe { self.transposed().at_row(column) }.transposed()
    }

    pub const fn transposed(self) -> Self {
        Self {
            start: self.start,
            row: self.column,
            column: self.row,
        }
    }
}

// SAFETY: a view is only an address; whoever reads through it vouches for it.
unsafe impl Send for View {}
// SAFETY: as above.
unsafe impl Sync for View {}

/// `target ← [target +] factor · a b`, with `a` `[m, k]`, `b` `[k, n]` and `target` `[m, n]` with row
/// stride `stride`. The result does not depend on `parallelism`.
///
/// # Safety
/// Every element that the three shapes and strides reach must be readable (and, for `target`,
/// writable), and no other thread may access `target` meanwhile.
#[allow(clippy::too_many_arguments)]
pub(super) unsafe fn multiply(
    [m, n, k]: [usize; 3],
    target: *mut f32,
    stride: usize,
    add: bool,
    a: View,
    b: View,
    factor: f32,
    parallelism: Parallelism,
) {
    // SAFETY: handed on to the caller.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            target,
            1,
            stride as isize,
            add,
            a.start,
            a.column,
            a.row,
            b.start,
            b.column,
            b.row,
            1.0,
            factor,
            false,
            false,
            false,
            parallelism,
        );
    }
}

/// Calls `work` in parallel with ranges that partition `0..n`, and with the number of threads that
/// each call may use. The ranges depend on `n` alone.
///
/// Several products in parallel, each on one thread, are faster than one product split over threads,
/// and the operation after a product finds its rows still in the cache.
pub(super) fn in_pieces(n: usize, work: impl Fn(Range<usize>, Parallelism) + Sync) {
    // An even number of equal pieces of at most 512 indices, in multiples of ROWS.
    let pieces = 2 * n.div_ceil(1024);
    let length = n.div_ceil(pieces.max(1)).next_multiple_of(ROWS);
    let pieces = n.div_ceil(length.max(1));
    let threads = rayon::current_num_threads();
    if pieces < 2 || threads < 2 {
        // Too few pieces to distribute, but the rows may be long: the product may use several threads.
        let parallelism = match threads {
            1 => Parallelism::None,
            _ => Parallelism::Rayon(threads),
        };
        (0..pieces).for_each(|i| work(i * length..n.min((i + 1) * length), parallelism));
        return;
    }
    let inner = match threads / pieces {
        0 | 1 => Parallelism::None,
        several => Parallelism::Rayon(several),
    };
    (0..pieces)
        .into_par_iter()
        .with_max_len(1)
        .for_each(|i| work(i * length..n.min((i + 1) * length), inner));
}

/// As [`multiply`] with contiguous rows of length `n`, split along the longer side.
///
/// # Safety
/// As for [`multiply`].
pub(super) unsafe fn multiply_in_pieces(
    [m, n, k]: [usize; 3],
    target: *mut f32,
    add: bool,
    a: View,
    b: View,
) {
    let target = Shared(target);
    if m * n * k < SMALL {
        // SAFETY: handed on to the caller.
        unsafe { multiply([m, n, k], target.0, n, add, a, b, 1.0, Parallelism::None) };
    } else if n > 4 * m {
        in_pieces(n, |columns, parallelism| {
            let first = columns.start;
            // SAFETY: the columns of the pieces are apart, and lie within what the caller vouches for.
            unsafe {
                let target = target.at(first);
                let b = b.at_column(first);
                multiply(
                    [m, columns.len(), k],
                    target,
                    n,
                    add,
                    a,
                    b,
                    1.0,
                    parallelism,
                );
            }
        });
    } else {
        in_pieces(m, |rows, parallelism| {
            let first = rows.start;
            // SAFETY: the rows of the pieces are apart, and lie within what the caller vouches for.
            unsafe {
                let target = target.at(first * n);
                let a = a.at_row(first);
                multiply([rows.len(), n, k], target, n, add, a, b, 1.0, parallelism);
            }
        });
    }
}

/// `x Wᵀ`, `x` `[rows, inputs]` and `w` `[outputs, inputs]`, one piece of rows at a time: `then` is called
/// with the index of a piece's first row and its rows of the result, right after their product.
pub(super) fn product_then(
    x: &[f32],
    w: &[f32],
    inputs: usize,
    outputs: usize,
    then: impl Fn(usize, &mut [f32]) + Sync,
) -> Vec<f32> {
    let rows = x.len() / inputs;
    assert_eq!(
        w.len(),
        outputs * inputs,
        "one weight for each input and output"
    );
    let mut y = fresh(rows * outputs);
    let target = Shared(y.as_mut_ptr().cast());
    let (x, w) = (View::of(x, inputs), View::of(w, inputs).transposed());
    in_pieces(rows, |rows, parallelism| {
        // SAFETY: the lengths were checked above; the rows of this piece are its alone, and a product
        // that adds to nothing writes each of them and reads none.
        let piece = unsafe {
            let start = target.at(rows.start * outputs);
            let shape = [rows.len(), outputs, inputs];
            multiply(
                shape,
                start,
                outputs,
                false,
                x.at_row(rows.start),
                w,
                1.0,
                parallelism,
            );
            std::slice::from_raw_parts_mut(start, rows.len() * outputs)
        };
        then(rows.start, piece);
    });
    // SAFETY: the pieces cover all rows.
    unsafe { written(y) }
}

/// `x Wᵀ + b`: `x` `[rows, inputs]`, `w` `[outputs, inputs]`, `b` `[outputs]`.
pub(crate) fn linear(x: &[f32], w: &[f32], b: &[f32], inputs: usize) -> Vec<f32> {
    product_then(x, w, inputs, b.len(), |_, rows| {
        vectorised(
            #[inline(always)]
            || {
                for row in rows.chunks_mut(b.len()) {
                    row.iter_mut().zip(b).for_each(|(y, b)| *y += b);
                }
            },
        );
    })
}

/// `dy W`: the gradient of [`linear`] with respect to `x`.
pub(crate) fn product_input(dy: &[f32], w: &[f32], inputs: usize, outputs: usize) -> Vec<f32> {
    let rows = dy.len() / outputs;
    assert_eq!(
        w.len(),
        outputs * inputs,
        "one weight for each input and output"
    );
    // SAFETY: the views are of that many elements, as was checked.
    unsafe {
        filled(
            [rows, inputs, outputs],
            View::of(dy, outputs),
            View::of(w, inputs),
        )
    }
}

/// `dyᵀ x`: the gradient of [`linear`] with respect to `w`.
pub(crate) fn product_weight(dy: &[f32], x: &[f32], inputs: usize, outputs: usize) -> Vec<f32> {
    let rows = dy.len() / outputs;
    assert_eq!(x.len(), rows * inputs, "as many rows in as out");
    // SAFETY: the views are of that many elements, as was checked.
    unsafe {
        filled(
            [outputs, inputs, rows],
            View::of(dy, outputs).transposed(),
            View::of(x, inputs),
        )
    }
}

/// `a b` in a new buffer, `[m, n]`.
///
/// # Safety
/// `a` must reach `[m, k]` readable elements, `b` `[k, n]`.
unsafe fn filled([m, n, k]: [usize; 3], a: View, b: View) -> Vec<f32> {
    if k == 0 {
        return vec![0.0; m * n];
    }
    let mut target = fresh(m * n);
    // SAFETY: the caller vouches for `a` and `b`; `target` has `m · n` elements, and a product that
    // adds to nothing writes each of them and reads none.
    unsafe {
        multiply_in_pieces([m, n, k], target.as_mut_ptr().cast(), false, a, b);
        written(target)
    }
}

/// `values ← factor · values`.
pub(crate) fn scale(values: &mut [f32], factor: f32) {
    if factor != 1.0 {
        values
            .par_chunks_mut(1 << 14)
            .for_each(|piece| piece.iter_mut().for_each(|v| *v *= factor));
    }
}
