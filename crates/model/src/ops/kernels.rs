//! The arithmetic of the fused operations on the CPU: slices in, slices out.
//!
//! Elementwise loops are compiled once per instruction set (AVX-512, AVX2 with FMA, NEON, plain) and
//! chosen at run time by `pulp`; matrix products come from `gemm`, which chooses likewise. Work is
//! cut into pieces of fixed size, so that results do not depend on the number of threads.

use std::cell::RefCell;

use pulp::Arch;
use rayon::prelude::*;

use crate::sequences::Sequences;

/// Elements that one thread takes at a time.
const PIECE: usize = 1 << 14;
/// Rows whose partial sums are added up together in reductions over rows.
const ROWS: usize = 64;

/// Which elements dropout keeps: a function of a key and of the element's place.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Mask {
    key: u64,
    threshold: u16,
    scale: f32,
}

/// The finalizer of SplitMix64 (Steele, Lea & Flood 2014) over a golden-ratio step.
pub(crate) const fn mix(x: u64) -> u64 {
    let z = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl Mask {
    /// Drops with probability `rate`, in steps of 1/65536, and scales the rest by `1 / (1 - rate)`.
    pub fn new(key: u64, rate: f64) -> Self {
        let threshold = (rate * 65536.0).round().min(65535.0) as u16;
        Self {
            key,
            threshold,
            scale: (1.0 / (1.0 - rate)) as f32,
        }
    }

    /// The factors of row `row`, 0 or `1 / (1 - rate)`: 16 random bits an element, four elements a
    /// counter. All rows of one mask have at most `width` elements.
    #[inline(always)]
    pub fn row(self, row: u64, width: usize, out: &mut [f32]) {
        let first = row.wrapping_mul(width.div_ceil(4) as u64);
        for (group, four) in out.chunks_mut(4).enumerate() {
            let counter = first.wrapping_add(group as u64);
            let bits = mix(self.key ^ counter.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            for (lane, value) in four.iter_mut().enumerate() {
                let keep = (bits >> (16 * lane)) as u16 >= self.threshold;
                *value = if keep { self.scale } else { 0.0 };
            }
        }
    }

    /// The factors of `rows` rows of `width` elements, one behind the other.
    pub fn rows(self, rows: usize, width: usize) -> Vec<f32> {
        let mut values = vec![0.0; rows * width];
        if width > 0 {
            values
                .par_chunks_mut(width)
                .enumerate()
                .for_each(|(row, out)| self.row(row as u64, width, out));
        }
        values
    }
}

/// `e^x` to within 2e-7 relative, for |x| up to 87 (Cephes, `expf`).
#[inline(always)]
fn exp(x: f32) -> f32 {
    const ROUND: f32 = 12_582_912.0; // 1.5 · 2^23: adding it rounds to whole numbers
    let x = x.clamp(-87.0, 88.0);
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = x - n * 0.693_359_4 + n * 2.121_944_4e-4;
    let p = 1.987_569_2e-4;
    let p = p * r + 1.398_2e-3;
    let p = p * r + 8.333_452e-3;
    let p = p * r + 4.166_579_6e-2;
    let p = p * r + 1.666_666_5e-1;
    let p = p * r + 5.0e-1;
    let power = f32::from_bits((shifted.to_bits() << 23).wrapping_add(0x3f80_0000));
    (p * r * r + r + 1.0) * power
}

/// The normal distribution's cumulative function and density at `x`, to within 1e-7
/// (Abramowitz & Stegun 1964, 7.1.26; both share one exponential).
#[inline(always)]
fn normal(x: f32) -> (f32, f32) {
    let z = x.abs() * std::f32::consts::FRAC_1_SQRT_2;
    let t = 1.0 / (1.0 + 0.327_591_1 * z);
    let e = exp(-0.5 * x * x);
    let p = 1.061_405_4;
    let p = p * t - 1.453_152_1;
    let p = p * t + 1.421_413_8;
    let p = p * t - 0.284_496_72;
    let p = p * t + 0.254_829_6;
    let tail = 0.5 * p * t * e;
    let cdf = if x < 0.0 { tail } else { 1.0 - tail };
    (cdf, e * 0.398_942_3)
}

/// `x Φ(x)`.
pub(crate) fn gelu(x: &[f32]) -> Vec<f32> {
    let arch = Arch::new();
    let mut y = vec![0.0; x.len()];
    y.par_chunks_mut(PIECE)
        .zip(x.par_chunks(PIECE))
        .for_each(|(y, x)| {
            arch.dispatch(|| {
                for (y, &x) in y.iter_mut().zip(x) {
                    *y = x * normal(x).0;
                }
            });
        });
    y
}

/// The gradient of [`gelu`] with respect to `x`, given that of its result.
pub(crate) fn gelu_backward(dy: &[f32], x: &[f32]) -> Vec<f32> {
    let arch = Arch::new();
    let mut dx = vec![0.0; x.len()];
    dx.par_chunks_mut(PIECE)
        .zip(x.par_chunks(PIECE))
        .zip(dy.par_chunks(PIECE))
        .for_each(|((dx, x), dy)| {
            arch.dispatch(|| {
                for ((dx, &x), &dy) in dx.iter_mut().zip(x).zip(dy) {
                    let (cdf, density) = normal(x);
                    *dx = dy * (cdf + x * density);
                }
            });
        });
    dx
}

/// A matrix for `gemm`: where it starts and the distances between rows and between columns.
#[derive(Clone, Copy)]
struct View {
    start: *const f32,
    row: isize,
    column: isize,
}

impl View {
    fn of(values: &[f32], row: usize) -> Self {
        Self {
            start: values.as_ptr(),
            row: row as isize,
            column: 1,
        }
    }

    const fn transposed(self) -> Self {
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
unsafe fn multiply(
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

/// `x Wᵀ + b`: `x` `[rows, inputs]`, `w` `[outputs, inputs]`, `b` `[outputs]`.
pub(crate) fn linear(x: &[f32], w: &[f32], b: &[f32], inputs: usize) -> Vec<f32> {
    let (rows, outputs) = (x.len() / inputs, b.len());
    assert_eq!(
        w.len(),
        outputs * inputs,
        "one weight for each input and output"
    );
    let mut y = vec![0.0; rows * outputs];
    if y.is_empty() {
        return y;
    }
    y.par_chunks_mut(outputs)
        .with_min_len(16)
        .for_each(|row| row.copy_from_slice(b));
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

/// `dy W`: the gradient of [`linear`] with respect to `x`.
pub(crate) fn linear_backward_input(
    dy: &[f32],
    w: &[f32],
    inputs: usize,
    outputs: usize,
) -> Vec<f32> {
    let rows = dy.len() / outputs;
    assert_eq!(
        w.len(),
        outputs * inputs,
        "one weight for each input and output"
    );
    let mut dx = vec![0.0; rows * inputs];
    // SAFETY: the lengths were checked above; `dx` is ours alone.
    unsafe {
        multiply(
            [rows, inputs, outputs],
            dx.as_mut_ptr(),
            inputs,
            false,
            View::of(dy, outputs),
            View::of(w, inputs),
            1.0,
            true,
        );
    }
    dx
}

/// `dyᵀ x`: the gradient of [`linear`] with respect to `w`.
pub(crate) fn linear_backward_weight(
    dy: &[f32],
    x: &[f32],
    inputs: usize,
    outputs: usize,
) -> Vec<f32> {
    let rows = dy.len() / outputs;
    assert_eq!(x.len(), rows * inputs, "as many rows in as out");
    let mut dw = vec![0.0; outputs * inputs];
    // SAFETY: the lengths were checked above; `dw` is ours alone.
    unsafe {
        multiply(
            [outputs, inputs, rows],
            dw.as_mut_ptr(),
            inputs,
            false,
            View::of(dy, outputs).transposed(),
            View::of(x, inputs),
            1.0,
            true,
        );
    }
    dw
}

/// The sum over rows, `[rows, width]` to `[width]`.
pub(crate) fn sum_rows(values: &[f32], width: usize) -> Vec<f32> {
    let arch = Arch::new();
    let partial: Vec<Vec<f32>> = values
        .par_chunks(width * ROWS)
        .map(|rows| {
            let mut sum = vec![0.0; width];
            arch.dispatch(|| rows.chunks(width).for_each(|row| add(&mut sum, row)));
            sum
        })
        .collect();
    total(&partial, width)
}

#[inline(always)]
fn add(sum: &mut [f32], row: &[f32]) {
    for (s, &v) in sum.iter_mut().zip(row) {
        *s += v;
    }
}

fn total(partial: &[Vec<f32>], width: usize) -> Vec<f32> {
    let mut sum = vec![0.0; width];
    partial.iter().for_each(|row| add(&mut sum, row));
    sum
}

/// What [`add_norm_backward`] needs of the forward pass.
#[derive(Debug, Clone)]
pub(crate) struct Normalised {
    /// `(s − mean) / deviation`, `[rows, h]`.
    pub values: Vec<f32>,
    /// `1 / deviation` of each row.
    pub inverse: Vec<f32>,
}

/// `LayerNorm(residual + mask · x)`, `[rows, h]` each.
pub(crate) fn add_norm(
    x: &[f32],
    residual: &[f32],
    gamma: &[f32],
    beta: &[f32],
    epsilon: f32,
    mask: Option<Mask>,
) -> (Vec<f32>, Normalised) {
    let h = gamma.len();
    let rows = x.len() / h;
    let arch = Arch::new();
    let mut y = vec![0.0; x.len()];
    let mut values = vec![0.0; x.len()];
    let mut inverse = vec![0.0; rows];
    y.par_chunks_mut(h)
        .zip(values.par_chunks_mut(h))
        .zip(inverse.par_iter_mut())
        .zip(x.par_chunks(h).zip(residual.par_chunks(h)))
        .enumerate()
        .with_min_len(8)
        .for_each(|(row, (((y, s), inverse), (x, residual)))| {
            arch.dispatch(|| {
                match mask {
                    Some(mask) => {
                        mask.row(row as u64, h, s);
                        for ((s, &x), &r) in s.iter_mut().zip(x).zip(residual) {
                            *s = r + x * *s;
                        }
                    }
                    None => {
                        for ((s, &x), &r) in s.iter_mut().zip(x).zip(residual) {
                            *s = r + x;
                        }
                    }
                }
                let mean = sum(s) / h as f32;
                s.iter_mut().for_each(|s| *s -= mean);
                let variance = dot(s, s) / h as f32;
                *inverse = 1.0 / (variance + epsilon).sqrt();
                for ((y, s), (&g, &b)) in y.iter_mut().zip(s).zip(gamma.iter().zip(beta)) {
                    *s *= *inverse;
                    *y = *s * g + b;
                }
            });
        });
    (y, Normalised { values, inverse })
}

/// The gradients of [`add_norm`]: with respect to `x`, `residual`, `gamma` and `beta`.
pub(crate) fn add_norm_backward(
    dy: &[f32],
    normalised: &Normalised,
    gamma: &[f32],
    mask: Option<Mask>,
) -> [Vec<f32>; 4] {
    let h = gamma.len();
    let arch = Arch::new();
    let mut dx = vec![0.0; dy.len()];
    let mut dr = vec![0.0; dy.len()];
    let partial: Vec<(Vec<f32>, Vec<f32>)> = dx
        .par_chunks_mut(h * ROWS)
        .zip(dr.par_chunks_mut(h * ROWS))
        .zip(dy.par_chunks(h * ROWS))
        .enumerate()
        .map(|(piece, ((dx, dr), dy))| {
            let (mut dg, mut db) = (vec![0.0; h], vec![0.0; h]);
            for (i, ((dx, dr), dy)) in dx
                .chunks_mut(h)
                .zip(dr.chunks_mut(h))
                .zip(dy.chunks(h))
                .enumerate()
            {
                let row = piece * ROWS + i;
                let n = &normalised.values[row * h..(row + 1) * h];
                let inverse = normalised.inverse[row];
                arch.dispatch(|| {
                    for ((dg, db), (&dy, &n)) in
                        dg.iter_mut().zip(db.iter_mut()).zip(dy.iter().zip(n))
                    {
                        *dg += dy * n;
                        *db += dy;
                    }
                    for ((dr, &dy), &g) in dr.iter_mut().zip(dy).zip(gamma) {
                        *dr = dy * g;
                    }
                    let mean = sum(dr) / h as f32;
                    let slope = dot(dr, n) / h as f32;
                    for (dr, &n) in dr.iter_mut().zip(n) {
                        *dr = (*dr - mean - n * slope) * inverse;
                    }
                    match mask {
                        Some(mask) => {
                            mask.row(row as u64, h, dx);
                            for (dx, &dr) in dx.iter_mut().zip(&*dr) {
                                *dx *= dr;
                            }
                        }
                        None => dx.copy_from_slice(dr),
                    }
                });
            }
            (dg, db)
        })
        .collect();
    let (dg, db): (Vec<_>, Vec<_>) = partial.into_iter().unzip();
    [dx, dr, total(&dg, h), total(&db, h)]
}

/// In 16 lanes, so that it vectorises; the order is always the same.
#[inline(always)]
fn sum(values: &[f32]) -> f32 {
    let mut lanes = [0.0_f32; 16];
    let (whole, rest) = values.as_chunks::<16>();
    for chunk in whole {
        for (lane, &v) in lanes.iter_mut().zip(chunk) {
            *lane += v;
        }
    }
    lanes.iter().sum::<f32>() + rest.iter().sum::<f32>()
}

#[inline(always)]
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0.0_f32; 16];
    let ((whole_a, rest_a), (whole_b, rest_b)) = (a.as_chunks::<16>(), b.as_chunks::<16>());
    for (a, b) in whole_a.iter().zip(whole_b) {
        for (lane, (&a, &b)) in lanes.iter_mut().zip(a.iter().zip(b)) {
            *lane += a * b;
        }
    }
    lanes.iter().sum::<f32>() + rest_a.iter().zip(rest_b).map(|(a, b)| a * b).sum::<f32>()
}

#[inline(always)]
fn largest(values: &[f32]) -> f32 {
    let mut lanes = [f32::MIN; 16];
    let (whole, rest) = values.as_chunks::<16>();
    for chunk in whole {
        for (lane, &v) in lanes.iter_mut().zip(chunk) {
            *lane = if v > *lane { v } else { *lane };
        }
    }
    lanes
        .iter()
        .chain(rest)
        .fold(f32::MIN, |a, &b| if b > a { b } else { a })
}

/// Memory that several threads write at places of their own.
#[derive(Clone, Copy)]
struct Shared(*mut f32);

// SAFETY: every use writes only to the rows and columns of its own sequence and head.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

impl Shared {
    /// The address of an element.
    ///
    /// # Safety
    /// `offset` must lie within the allocation.
    unsafe fn at(self, offset: usize) -> *mut f32 {
        // SAFETY: handed on to the caller.
        unsafe { self.0.add(offset) }
    }
}

thread_local! {
    /// Scores of one sequence and head, and what the backward pass needs beside them.
    static SCRATCH: RefCell<[Vec<f32>; 3]> = const { RefCell::new([Vec::new(), Vec::new(), Vec::new()]) };
}

/// The row of a dropout mask that belongs to a query of a head.
pub(crate) const fn mask_row(query: usize, heads: usize, head: usize) -> u64 {
    (query * heads + head) as u64
}

/// `softmax(q kᵀ / √d)` of one sequence and head into `weights`, `[t, t]`.
///
/// # Safety
/// `qkv` must hold `t` rows of `3 h` from `first`, `h = heads · d`.
unsafe fn attention_weights(
    arch: Arch,
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
            false,
        )
    };
    arch.dispatch(|| {
        for row in weights.chunks_mut(t) {
            let top = largest(row);
            row.iter_mut().for_each(|x| *x = exp(*x - top));
            let inverse = 1.0 / sum(row);
            row.iter_mut().for_each(|x| *x *= inverse);
        }
    });
}

/// Attention within each sequence: `qkv` `[tokens, 3 h]` to `[tokens, h]`.
pub(crate) fn attention(
    qkv: &[f32],
    sequences: &Sequences,
    h: usize,
    heads: usize,
    mask: Option<Mask>,
) -> Vec<f32> {
    assert_eq!(
        qkv.len(),
        sequences.tokens() * 3 * h,
        "query, key and value of each token"
    );
    let (d, longest, arch) = (h / heads, sequences.longest(), Arch::new());
    let mut out = vec![0.0; sequences.tokens() * h];
    let shared = Shared(out.as_mut_ptr());
    (0..sequences.len() * heads)
        .into_par_iter()
        .for_each(|task| {
            let (sequence, head) = (task / heads, task % heads);
            let (first, t) = (sequences.offsets()[sequence], sequences.length(sequence));
            if t == 0 {
                return;
            }
            SCRATCH.with_borrow_mut(|[weights, factors, _]| {
                // SAFETY: the assertion above says that the rows of every sequence are there.
                unsafe { attention_weights(arch, qkv, [first, t, h, d, head], weights) };
                if let Some(mask) = mask {
                    factors.resize(t, 0.0);
                    arch.dispatch(|| {
                        for (i, row) in weights.chunks_mut(t).enumerate() {
                            mask.row(mask_row(first + i, heads, head), longest, factors);
                            row.iter_mut().zip(&*factors).for_each(|(w, f)| *w *= f);
                        }
                    });
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
                        false,
                    );
                }
            });
        });
    out
}

/// The gradient of [`attention`] with respect to `qkv`; the weights are computed again.
pub(crate) fn attention_backward(
    dy: &[f32],
    qkv: &[f32],
    sequences: &Sequences,
    h: usize,
    heads: usize,
    mask: Option<Mask>,
) -> Vec<f32> {
    assert_eq!(
        qkv.len(),
        sequences.tokens() * 3 * h,
        "query, key and value of each token"
    );
    assert_eq!(
        dy.len(),
        sequences.tokens() * h,
        "one context of each token"
    );
    let (d, longest, arch) = (h / heads, sequences.longest(), Arch::new());
    let mut dqkv = vec![0.0; qkv.len()];
    let shared = Shared(dqkv.as_mut_ptr());
    (0..sequences.len() * heads)
        .into_par_iter()
        .for_each(|task| {
            let (sequence, head) = (task / heads, task % heads);
            let (first, t) = (sequences.offsets()[sequence], sequences.length(sequence));
            if t == 0 {
                return;
            }
            SCRATCH.with_borrow_mut(|[weights, factors, dropped]| {
                // SAFETY: the first assertion says that the rows of every sequence are there.
                unsafe { attention_weights(arch, qkv, [first, t, h, d, head], weights) };
                factors.resize(t * t, 0.0);
                dropped.resize(t * t, 0.0);
                arch.dispatch(|| match mask {
                    Some(mask) => {
                        let rows = factors
                            .chunks_mut(t)
                            .zip(dropped.chunks_mut(t))
                            .zip(weights.chunks(t));
                        for (i, ((factors, dropped), weights)) in rows.enumerate() {
                            mask.row(mask_row(first + i, heads, head), longest, factors);
                            for ((p, &w), &f) in dropped.iter_mut().zip(weights).zip(&*factors) {
                                *p = w * f;
                            }
                        }
                    }
                    None => dropped.copy_from_slice(weights),
                });
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
                        false,
                    );
                    // The gradient of the dropped weights takes their place.
                    multiply(
                        [t, t, d],
                        dropped.as_mut_ptr(),
                        t,
                        false,
                        dy,
                        view(2).transposed(),
                        1.0,
                        false,
                    );
                }
                arch.dispatch(|| {
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
                });
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
                        false,
                    );
                    multiply(
                        [t, d, t],
                        shared.at(part(1)),
                        3 * h,
                        false,
                        ds.transposed(),
                        view(0),
                        factor,
                        false,
                    );
                }
            });
        });
    dqkv
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exponential_is_accurate_to_single_precision() {
        for i in -8700..=8800 {
            let x = i as f32 / 100.0;
            let exact = f64::from(x).exp();
            assert!((f64::from(exp(x)) - exact).abs() <= 3e-7 * exact, "{x}");
        }
    }

    #[test]
    fn the_normal_distribution_is_accurate_in_both_tails() {
        // Φ(-1), Φ(0), Φ(1), Φ(2), Φ(-3)
        for (x, exact) in [
            (-1.0, 0.158_655_25),
            (0.0, 0.5),
            (1.0, 0.841_344_7),
            (2.0, 0.977_249_9),
            (-3.0, 0.001_349_898),
        ] {
            assert!((normal(x).0 - exact).abs() < 2e-7, "{x}");
        }
        assert!((normal(0.0).1 - 0.398_942_3).abs() < 1e-7);
        assert!(normal(-80.0).0 == 0.0 || normal(-80.0).0 < 1e-30);
    }

    #[test]
    fn masks_are_a_function_of_key_and_place() {
        let mask = |key| Mask::new(key, 0.1);
        assert_eq!(mask(7).rows(10, 33), mask(7).rows(10, 33));
        assert_ne!(mask(7).rows(10, 33), mask(8).rows(10, 33));
        assert_eq!(mask(7).rows(40, 33)[..330], mask(7).rows(10, 33));
    }

    #[test]
    fn the_rate_is_met_and_neighbours_rows_and_keys_are_independent() {
        let (rows, width) = (2048, 512);
        let n = rows * width;
        for rate in [0.1, 0.5] {
            let dropped = |key| -> Vec<bool> {
                Mask::new(key, rate)
                    .rows(rows, width)
                    .iter()
                    .map(|&v| v == 0.0)
                    .collect()
            };
            let (a, b) = (dropped(3), dropped(4));
            let share = a.iter().filter(|&&d| d).count() as f64 / n as f64;
            assert!(
                (share - rate).abs() < 5.0 * (rate * (1.0 - rate) / n as f64).sqrt(),
                "rate {rate}: {share}"
            );
            let together = |a: &[bool], b: &[bool]| {
                let both = a.iter().zip(b).filter(|(a, b)| **a && **b).count() as f64;
                both / a.len().min(b.len()) as f64
            };
            let tolerance = 5.0 * rate / (n as f64).sqrt();
            for lag in [1, 2, 3, 4, 5, 128, 512, 1024] {
                let share = together(&a, &a[lag..]);
                assert!(
                    (share - rate * rate).abs() < tolerance,
                    "lag {lag}: {share}"
                );
            }
            assert!(
                (together(&a, &b) - rate * rate).abs() < tolerance,
                "two keys"
            );
        }
    }
}
