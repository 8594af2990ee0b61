//! Matrix products.

use rayon::prelude::*;

use super::memory::{fresh, written};

/// A matrix for `gemm`: where it starts and the distances between rows and between columns.
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

    pub const fn transposed(self) -> Self {
        Self {
            start: self.start,
            row: self.column,
            column: self.row,
        }
    }
}

/// `target ← [target +] factor · a b`, with `a` `[m, k]`, `b` `[k, n]` and `target` `[m, n]` of rows
/// `stride` apart.
///
/// # Safety
/// Every element that the three shapes and strides reach must lie in memory that may be read (and,
/// of `target`, written), and nobody else may touch `target` meanwhile.
#[allow(clippy::too_many_arguments)]
pub(super) unsafe fn multiply(
    [m, n, k]: [usize; 3],
    target: *mut f32,
    stride: usize,
    add: bool,
    a: View,
    b: View,
    factor: f32,
    parallel: bool,
) {
    let parallelism = if parallel && m * n * k > 1 << 20 {
        gemm::Parallelism::Rayon(0)
    } else {
        gemm::Parallelism::None
    };
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

/// `x Wᵀ`: `x` `[rows, inputs]`, `w` `[outputs, inputs]`.
pub(crate) fn product(x: &[f32], w: &[f32], inputs: usize, outputs: usize) -> Vec<f32> {
    let rows = x.len() / inputs;
    assert_eq!(
        w.len(),
        outputs * inputs,
        "one weight for each input and output"
    );
    // SAFETY: the views are of that many elements, as was checked.
    unsafe {
        filled(
            [rows, outputs, inputs],
            View::of(x, inputs),
            View::of(w, inputs).transposed(),
        )
    }
}

/// `x Wᵀ + b`: `x` `[rows, inputs]`, `w` `[outputs, inputs]`, `b` `[outputs]`.
pub(crate) fn linear(x: &[f32], w: &[f32], b: &[f32], inputs: usize) -> Vec<f32> {
    let (rows, outputs) = (x.len() / inputs, b.len());
    assert_eq!(
        w.len(),
        outputs * inputs,
        "one weight for each input and output"
    );
    let mut y = fresh(rows * outputs);
    if y.is_empty() {
        return Vec::new();
    }
    y.par_chunks_mut(outputs).with_min_len(16).for_each(|row| {
        row.write_copy_of_slice(b);
    });
    // SAFETY: each row was written.
    let mut y = unsafe { written(y) };
    let (x, w) = (View::of(x, inputs), View::of(w, inputs).transposed());
    // SAFETY: the lengths were checked above; `y` is ours alone.
    unsafe {
        multiply(
            [rows, outputs, inputs],
            y.as_mut_ptr(),
            outputs,
            true,
            x,
            w,
            1.0,
            true,
        )
    };
    y
}

/// `dy W`: the gradient of [`product`] with respect to `x`.
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

/// `dyᵀ x`: the gradient of [`product`] with respect to `w`.
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

/// `a b` in memory of its own, `[m, n]`.
///
/// # Safety
/// `a` must reach `[m, k]` elements that may be read, `b` `[k, n]`.
unsafe fn filled([m, n, k]: [usize; 3], a: View, b: View) -> Vec<f32> {
    if k == 0 {
        return vec![0.0; m * n];
    }
    let mut target = fresh(m * n);
    // SAFETY: the caller vouches for `a` and `b`; `target` has `m · n` elements, and a product that
    // adds to nothing writes each of them and reads none.
    unsafe {
        multiply(
            [m, n, k],
            target.as_mut_ptr().cast::<f32>(),
            n,
            false,
            a,
            b,
            1.0,
            true,
        );
        written(target)
    }
}

/// `values ← factor · values`.
pub(crate) fn scale(values: &mut [f32], factor: f32) {
    if factor != 1.0 {
        values
            .par_chunks_mut(super::PIECE)
            .for_each(|piece| piece.iter_mut().for_each(|v| *v *= factor));
    }
}
