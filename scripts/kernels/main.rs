//! Every kernel of the fused operations over many random shapes, compared with plain loops in f64: for
//! sanitizers and emulators, under which the tensor library itself would take too long to build or to run.
//!
//! `kernels [ROUNDS]`, 40 by default; built and run by `scripts/sanitize-kernels.sh` and `scripts/check-instruction-sets.sh`.
//! Every round runs on 1, 3 and 8 threads, whose results must be the same to the last bit.
#![allow(dead_code, unused_imports, unreachable_pub)]

#[path = "../../crates/model/src/ops/cpu/kernels/mod.rs"]
mod kernels;
#[cfg(feature = "mapped")]
#[path = "../../crates/model/src/weights/mapped.rs"]
mod mapped;
#[path = "../../crates/model/src/vectors.rs"]
mod vectors;

use kernels::{Before, Ids, Mask, Tables, mask_row};
use rayon::ThreadPool;
use vectors::vectorised;

/// SplitMix64 (Steele, Lea & Flood 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From `low` to `high`, both included; an end now and then, for the edges.
    fn between(&mut self, low: usize, high: usize) -> usize {
        match self.next() % 8 {
            0 => low,
            1 => high,
            _ => low + (self.next() % (high - low + 1) as u64) as usize,
        }
    }

    /// `n` numbers from `-scale` to `scale`.
    fn numbers(&mut self, n: usize, scale: f32) -> Vec<f32> {
        (0..n)
            .map(|_| ((self.next() >> 40) as f32 / (1 << 23) as f32 - 1.0) * scale)
            .collect()
    }

    /// Rows with a deviation of at least 1: the gradient of LayerNorm is divided by it.
    fn rows(&mut self, rows: usize, width: usize) -> Vec<f32> {
        let mut values = self.numbers(rows * width, 1.0);
        for (i, value) in values.iter_mut().enumerate() {
            *value += if i % width % 2 == 0 { 3.0 } else { -3.0 };
        }
        values
    }

    fn ids(&mut self, n: usize, size: usize) -> Vec<u32> {
        (0..n).map(|_| self.between(0, size - 1) as u32).collect()
    }

    /// A mask, or none in one of three cases.
    fn mask(&mut self) -> (Option<Mask>, f64) {
        let rate = [0.0, 0.1, 0.5][(self.next() % 3) as usize];
        ((rate > 0.0).then(|| Mask::new(self.next(), rate)), rate)
    }
}

/// Fails unless every number of `found` is within 1e-4 of `expected`, relative to the largest.
fn agree(what: &str, found: &[f32], expected: &[f64]) {
    assert_eq!(found.len(), expected.len(), "{what}: as many numbers");
    let largest = expected.iter().fold(1.0_f64, |a, b| a.max(b.abs()));
    for (i, (&a, &b)) in found.iter().zip(expected).enumerate() {
        let difference = (f64::from(a) - b).abs();
        assert!(
            difference <= 1e-4 * largest,
            "{what}: number {i} is {a}, expected {b}; the largest is {largest}"
        );
    }
}

fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&v| f64::from(v)).collect()
}

/// `a b`, `[m, k]` and `[k, n]`, each read through a function of row and column.
fn product(
    [m, n, k]: [usize; 3],
    a: impl Fn(usize, usize) -> f64,
    b: impl Fn(usize, usize) -> f64,
) -> Vec<f64> {
    let mut c = Vec::with_capacity(m * n);
    for i in 0..m {
        for j in 0..n {
            c.push((0..k).map(|l| a(i, l) * b(l, j)).sum());
        }
    }
    c
}

fn column_sums(values: &[f64], width: usize) -> Vec<f64> {
    let mut sum = vec![0.0; width];
    for (i, v) in values.iter().enumerate() {
        sum[i % width] += v;
    }
    sum
}

/// The normal distribution's cumulative function and density (Abramowitz & Stegun 1964, 26.2.11).
fn normal(x: f64) -> (f64, f64) {
    let density = (-0.5 * x * x).exp() / std::f64::consts::TAU.sqrt();
    if x.abs() > 8.0 {
        return (if x > 0.0 { 1.0 } else { 0.0 }, density);
    }
    let (mut term, mut sum) = (x, x);
    for n in 1..200 {
        term *= x * x / f64::from(2 * n + 1);
        sum += term;
    }
    (0.5 + density * sum, density)
}

/// The kernels in f32, one result behind the other, and what plain loops make of the same numbers.
type Case = (Vec<Vec<f32>>, Vec<Vec<f64>>);

fn linear([rows, inputs, outputs]: [usize; 3], random: &mut Random, pool: &ThreadPool) -> Case {
    let x = random.numbers(rows * inputs, 1.0);
    let w = random.numbers(outputs * inputs, 1.0);
    let b = random.numbers(outputs, 1.0);
    let dy = random.numbers(rows * outputs, 1.0);
    let mut scaled = dy.clone();
    let found = pool.install(|| {
        kernels::scale(&mut scaled, 1.7);
        let (z, y) = kernels::linear_gelu_kept(&x, &w, &b, inputs);
        let (dz, db) = kernels::gelu_backward(&dy, &z, &b);
        vec![
            kernels::linear(&x, &w, &b, inputs),
            kernels::product_input(&dy, &w, inputs, outputs),
            kernels::product_weight(&dy, &x, inputs, outputs),
            kernels::sum_rows(&dy, outputs),
            kernels::linear_gelu(&x, &w, &b, inputs),
            y,
            z,
            dz,
            db,
            scaled,
        ]
    });
    let (x, w, b, dy) = (wide(&x), wide(&w), wide(&b), wide(&dy));
    let z = product(
        [rows, outputs, inputs],
        |i, l| x[i * inputs + l],
        |l, j| w[j * inputs + l],
    );
    let sums: Vec<f64> = z
        .iter()
        .enumerate()
        .map(|(i, z)| z + b[i % outputs])
        .collect();
    let gelu: Vec<f64> = sums.iter().map(|&x| x * normal(x).0).collect();
    let dz: Vec<f64> = sums
        .iter()
        .zip(&dy)
        .map(|(&x, dy)| dy * (normal(x).0 + x * normal(x).1))
        .collect();
    let db = column_sums(&dz, outputs);
    let expected = vec![
        sums,
        product(
            [rows, inputs, outputs],
            |i, l| dy[i * outputs + l],
            |l, j| w[l * inputs + j],
        ),
        product(
            [outputs, inputs, rows],
            |i, l| dy[l * outputs + i],
            |l, j| x[l * inputs + j],
        ),
        column_sums(&dy, outputs),
        gelu.clone(),
        gelu,
        z,
        dz,
        db,
        dy.iter().map(|v| v * f64::from(1.7_f32)).collect(),
    ];
    (found, expected)
}

/// LayerNorm of rows: `y`, the normalised rows, and `1 / deviation`.
fn plain_norm(s: &[f64], gamma: &[f32], beta: &[f32], epsilon: f64) -> [Vec<f64>; 3] {
    let h = gamma.len();
    let [mut y, mut normalised, mut inverses] = [const { Vec::new() }; 3];
    for row in s.chunks(h) {
        let mean = row.iter().sum::<f64>() / h as f64;
        let variance = row.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / h as f64;
        let inverse = 1.0 / (variance + epsilon).sqrt();
        for (j, v) in row.iter().enumerate() {
            let n = (v - mean) * inverse;
            normalised.push(n);
            y.push(n * f64::from(gamma[j]) + f64::from(beta[j]));
        }
        inverses.push(inverse);
    }
    [y, normalised, inverses]
}

/// The gradients of LayerNorm with respect to its input, scale and shift, by the Jacobian of each row.
fn plain_norm_backward(dy: &[f64], n: &[f64], inverse: &[f64], gamma: &[f32]) -> [Vec<f64>; 3] {
    let h = gamma.len();
    let mut ds = vec![0.0; dy.len()];
    for (row, inverse) in inverse.iter().enumerate() {
        let at = row * h;
        for i in 0..h {
            for j in 0..h {
                let identity = if i == j { 1.0 } else { 0.0 };
                let slope = identity - (1.0 + n[at + i] * n[at + j]) / h as f64;
                ds[at + j] += dy[at + i] * f64::from(gamma[i]) * slope * inverse;
            }
        }
    }
    let products: Vec<f64> = dy.iter().zip(n).map(|(a, b)| a * b).collect();
    [ds, column_sums(&products, h), column_sums(dy, h)]
}

/// The factors of a mask over whole rows, 1 where there is none.
fn factors(mask: Option<Mask>, rows: usize, width: usize) -> Vec<f64> {
    mask.map_or_else(
        || vec![1.0; rows * width],
        |mask| wide(&mask.rows(rows, width)),
    )
}

fn norm([rows, inputs, h]: [usize; 3], random: &mut Random, pool: &ThreadPool) -> Case {
    const EPSILON: f32 = 1e-3;
    let x = random.numbers(rows * inputs, 0.2 / (inputs as f32).sqrt());
    let w = random.numbers(h * inputs, 1.0);
    let [bias, gamma, beta] = [0.1, 2.0, 2.0].map(|scale| random.numbers(h, scale));
    let residual = random.rows(rows, h);
    let dy = random.numbers(rows * h, 1.0);
    let (mask, _) = random.mask();
    let before = Before {
        bias: Some(&bias),
        mask,
        residual: Some(&residual),
    };
    let scale = [&gamma[..], &beta[..]];
    let (found, kept) = pool.install(|| {
        let (y, kept) = kernels::linear_norm(&x, &w, inputs, before, scale, EPSILON);
        let (alone, alone_kept) = kernels::norm(residual.clone(), scale, EPSILON);
        let back = kernels::norm_backward(&dy, &kept, &gamma, mask);
        let dx = back.x.unwrap_or_else(|| back.sum.clone());
        let found = vec![
            y,
            kept.values.clone(),
            kept.inverse.clone(),
            alone,
            alone_kept.values,
            alone_kept.inverse,
            back.sum,
            back.gamma,
            back.beta,
            dx,
            back.bias,
        ];
        (found, kept)
    });
    let factors = factors(mask, rows, h);
    let products = product(
        [rows, h, inputs],
        |i, l| f64::from(x[i * inputs + l]),
        |l, j| f64::from(w[j * inputs + l]),
    );
    let residual = wide(&residual);
    let sums: Vec<f64> = (0..rows * h)
        .map(|i| (products[i] + f64::from(bias[i % h])) * factors[i] + residual[i])
        .collect();
    let epsilon = f64::from(EPSILON);
    let mut expected = plain_norm(&sums, &gamma, &beta, epsilon).to_vec();
    expected.extend(plain_norm(&residual, &gamma, &beta, epsilon));
    let back = plain_norm_backward(
        &wide(&dy),
        &wide(&kept.values),
        &wide(&kept.inverse),
        &gamma,
    );
    let dx: Vec<f64> = back[0].iter().zip(&factors).map(|(a, b)| a * b).collect();
    expected.extend(back);
    let dbias = column_sums(&dx, h);
    expected.extend([dx, dbias]);
    (found, expected)
}

fn embeddings([tokens, words, e]: [usize; 3], random: &mut Random, pool: &ThreadPool) -> Case {
    const EPSILON: f32 = 1e-3;
    const POSITIONS: usize = 40;
    let types = random.between(0, 2);
    let word = random.rows(words, e);
    let [position, token_type] = [POSITIONS, types].map(|n| random.numbers(n * e, 0.1));
    let [gamma, beta] = [random.numbers(e, 2.0), random.numbers(e, 2.0)];
    let ids = Ids {
        words: random.ids(tokens, words),
        positions: random.ids(tokens, POSITIONS),
        types: random.ids(if types > 0 { tokens } else { 0 }, types.max(1)),
    };
    let dy = random.numbers(tokens * e, 1.0);
    let (mask, _) = random.mask();
    let tables = Tables {
        word: &word,
        position: &position,
        token_type: &token_type,
    };
    let (found, kept) = pool.install(|| {
        let (y, kept) = kernels::embed_norm(tables, &ids, [&gamma, &beta], EPSILON, mask);
        let [sums, dg, db] = kernels::embed_norm_backward(&dy, &kept, &gamma, mask);
        let table = kernels::scatter(&sums, &ids.words, words, e);
        (vec![y, sums, dg, db, table], kept)
    });
    let factors = factors(mask, tokens, e);
    let row = |table: &[f32], id: u32, j: usize| f64::from(table[id as usize * e + j]);
    let sums: Vec<f64> = (0..tokens * e)
        .map(|i| {
            let (token, j) = (i / e, i % e);
            let kind = match types {
                0 => 0.0,
                _ => row(&token_type, ids.types[token], j),
            };
            row(&word, ids.words[token], j) + row(&position, ids.positions[token], j) + kind
        })
        .collect();
    let [mut y, ..] = plain_norm(&sums, &gamma, &beta, f64::from(EPSILON));
    y.iter_mut().zip(&factors).for_each(|(y, f)| *y *= f);
    let dy: Vec<f64> = dy
        .iter()
        .zip(&factors)
        .map(|(dy, f)| f64::from(*dy) * f)
        .collect();
    let [ds, dg, db] = plain_norm_backward(&dy, &wide(&kept.values), &wide(&kept.inverse), &gamma);
    let mut table = vec![0.0; words * e];
    for (i, ds) in ds.iter().enumerate() {
        table[ids.words[i / e] as usize * e + i % e] += ds;
    }
    (found, vec![y, ds, dg, db, table])
}

fn attention(
    lengths: &[usize],
    [heads, d]: [usize; 2],
    random: &mut Random,
    pool: &ThreadPool,
) -> Case {
    let mut offsets = vec![0];
    for length in lengths {
        offsets.push(offsets[offsets.len() - 1] + length);
    }
    let (tokens, h) = (offsets[lengths.len()], heads * d);
    let qkv = random.numbers(tokens * 3 * h, 1.5);
    let dy = random.numbers(tokens * h, 1.0);
    let (mask, _) = random.mask();
    let found = pool.install(|| {
        vec![
            kernels::attention(&qkv, &offsets, h, heads, mask),
            kernels::attention_backward(&dy, &qkv, &offsets, h, heads, mask),
        ]
    });
    let longest = lengths.iter().copied().max().unwrap_or(0);
    let (mut y, mut dqkv) = (vec![0.0; tokens * h], vec![0.0; tokens * 3 * h]);
    let factor = 1.0 / (d as f64).sqrt();
    for (sequence, &t) in lengths.iter().enumerate() {
        for head in 0..heads {
            let place = |part: usize, i: usize, j: usize| {
                (offsets[sequence] + i) * 3 * h + part * h + head * d + j
            };
            let at = |part: usize, i: usize, j: usize| f64::from(qkv[place(part, i, j)]);
            for i in 0..t {
                let query = offsets[sequence] + i;
                let scores: Vec<f64> = (0..t)
                    .map(|k| factor * (0..d).map(|j| at(0, i, j) * at(1, k, j)).sum::<f64>())
                    .collect();
                let total: f64 = scores.iter().map(|s| s.exp()).sum();
                let weights: Vec<f64> = scores.iter().map(|s| s.exp() / total).collect();
                let mut kept = vec![1.0; t];
                if let Some(mask) = mask {
                    mask.row(mask_row(query, heads, head), longest, &mut kept);
                }
                let kept = wide(&kept);
                let out = |j: usize| query * h + head * d + j;
                let mut slopes = vec![0.0; t];
                for k in 0..t {
                    for j in 0..d {
                        let dy = f64::from(dy[out(j)]);
                        y[out(j)] += weights[k] * kept[k] * at(2, k, j);
                        dqkv[place(2, k, j)] += weights[k] * kept[k] * dy;
                        slopes[k] += kept[k] * dy * at(2, k, j);
                    }
                }
                let mean: f64 = slopes.iter().zip(&weights).map(|(s, w)| s * w).sum();
                for k in 0..t {
                    let score = (slopes[k] - mean) * weights[k] * factor;
                    for j in 0..d {
                        dqkv[place(0, i, j)] += score * at(1, k, j);
                        dqkv[place(1, k, j)] += score * at(0, i, j);
                    }
                }
            }
        }
    }
    (found, vec![y, dqkv])
}

fn masked_lm([m, v, e]: [usize; 3], random: &mut Random, pool: &ThreadPool) -> Case {
    let hidden = random.numbers(m * e, 1.0);
    let table = random.numbers(v * e, 1.0);
    let bias = random.numbers(v, 1.0);
    let targets = random.ids(m, v);
    let found = pool.install(|| {
        let bare = kernels::masked_lm(&hidden, &table, &bias, &targets, false);
        assert!(bare.gradients.is_none(), "none were asked for");
        let whole = kernels::masked_lm(&hidden, &table, &bias, &targets, true);
        let mut found = vec![vec![bare.loss as f32, whole.loss as f32]];
        found.extend(whole.gradients.into_iter().flatten());
        found
    });
    let (mut loss, mut dh, mut dt, mut db) =
        (0.0, vec![0.0; m * e], vec![0.0; v * e], vec![0.0; v]);
    for (i, &target) in targets.iter().enumerate() {
        let logits: Vec<f64> = (0..v)
            .map(|w| {
                let sum: f64 = (0..e)
                    .map(|j| f64::from(hidden[i * e + j]) * f64::from(table[w * e + j]))
                    .sum();
                sum + f64::from(bias[w])
            })
            .collect();
        let top = logits.iter().copied().fold(f64::MIN, f64::max);
        let total: f64 = logits.iter().map(|z| (z - top).exp()).sum();
        loss += total.ln() + top - logits[target as usize];
        for (w, z) in logits.iter().enumerate() {
            let hit = if w == target as usize { 1.0 } else { 0.0 };
            let slope = (z - top).exp() / total - hit;
            db[w] += slope;
            for j in 0..e {
                dh[i * e + j] += slope * f64::from(table[w * e + j]);
                dt[w * e + j] += slope * f64::from(hidden[i * e + j]);
            }
        }
    }
    (found, vec![vec![loss, loss], dh, dt, db])
}

/// Runs one case on each number of threads from the same random numbers.
fn check(
    what: &str,
    random: &mut Random,
    pools: &[ThreadPool],
    case: impl Fn(&mut Random, &ThreadPool) -> Case,
) {
    let seed = random.next();
    let (found, expected) = case(&mut Random(seed), &pools[0]);
    assert_eq!(found.len(), expected.len(), "{what}: as many results");
    for (i, (found, expected)) in found.iter().zip(&expected).enumerate() {
        agree(&format!("{what}, result {i}"), found, expected);
    }
    for pool in &pools[1..] {
        let (again, _) = case(&mut Random(seed), pool);
        let threads = pool.current_num_threads();
        assert!(found == again, "{what}: other numbers on {threads} threads");
    }
}

/// A part of a mapped file: read, written and handed to another thread, without a change of the file.
#[cfg(feature = "mapped")]
fn mapped_parts(random: &mut Random) -> std::io::Result<()> {
    use std::io::Write;
    let path = std::env::temp_dir().join(format!("bertkit-kernels-{}", std::process::id()));
    let bytes: Vec<u8> = (0..40_000).map(|_| random.next() as u8).collect();
    std::fs::File::create(&path)?.write_all(&bytes)?;
    let map = mapped::MappedFile::new(&std::fs::File::open(&path)?)?;
    let mut parts = Vec::new();
    for _ in 0..200 {
        let start = random.between(0, 9_990) * 4;
        let end = start + random.between(0, 300) * 4;
        if let Some(part) = map.take(start..end) {
            assert_eq!(part[..], bytes[start..end], "the bytes of the file");
            parts.push((start, part));
        }
    }
    assert!(parts.len() > 10, "some parts are apart");
    drop(map);
    let work = parts.into_iter().map(|(start, mut part)| {
        let expected: Vec<u8> = bytes[start..start + part.len()]
            .iter()
            .map(|b| !b)
            .collect();
        std::thread::spawn(move || {
            part.iter_mut().for_each(|b| *b = !*b);
            assert_eq!(part[..], expected[..], "what was written");
        })
    });
    let work: Vec<_> = work.collect();
    for thread in work {
        assert!(thread.join().is_ok(), "a thread ended early");
    }
    assert_eq!(std::fs::read(&path)?, bytes, "the file is as it was");
    std::fs::remove_file(&path)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let rounds: u64 = match std::env::args().nth(1) {
        Some(rounds) => rounds.parse()?,
        None => 40,
    };
    let pool = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    let pools = [pool(1)?, pool(3)?, pool(8)?];
    let random = &mut Random(13);

    // One row, one column, several pieces of rows, of columns, rows so long that a product splits itself.
    for shape in [
        [1, 1, 1],
        [1, 130, 1],
        [1, 1, 130],
        [130, 1, 1],
        [1100, 33, 20],
        [40, 70, 1100],
        [20, 260, 300],
    ] {
        check(&format!("linear {shape:?}"), random, &pools, |r, p| {
            linear(shape, r, p)
        });
    }
    for shape in [
        [1, 1, 1],
        [1, 130, 130],
        [130, 1, 1],
        [1100, 20, 33],
        [20, 400, 130],
    ] {
        check(&format!("norm {shape:?}"), random, &pools, |r, p| {
            norm(shape, r, p)
        });
    }
    // No row at all, a word alone, so many words that the rows are taken in several blocks.
    for shape in [
        [0, 7, 5],
        [1, 1, 1],
        [40, 1, 130],
        [33, 1500, 40],
        [45, 400_000, 1],
    ] {
        check(&format!("masked_lm {shape:?}"), random, &pools, |r, p| {
            masked_lm(shape, r, p)
        });
    }
    for (lengths, shape) in [
        (&[][..], [1, 1]),
        (&[0], [2, 3]),
        (&[1], [1, 128]),
        (&[0, 1, 0, 0, 200, 0], [2, 32]),
        (&[1; 40], [3, 1]),
    ] {
        let what = format!("attention {lengths:?} {shape:?}");
        check(&what, random, &pools, |r, p| {
            attention(lengths, shape, r, p)
        });
    }
    for _ in 0..rounds {
        let shape = [
            random.between(1, 140),
            random.between(1, 130),
            random.between(1, 130),
        ];
        check(&format!("linear {shape:?}"), random, &pools, |r, p| {
            linear(shape, r, p)
        });
        check(&format!("norm {shape:?}"), random, &pools, |r, p| {
            norm(shape, r, p)
        });
        check(&format!("embeddings {shape:?}"), random, &pools, |r, p| {
            embeddings(shape, r, p)
        });
        let shape = [
            random.between(0, 60),
            random.between(1, 300),
            random.between(1, 130),
        ];
        check(&format!("masked_lm {shape:?}"), random, &pools, |r, p| {
            masked_lm(shape, r, p)
        });
        let lengths: Vec<usize> = (0..random.between(0, 6))
            .map(|_| random.between(0, 40))
            .collect();
        let shape = [random.between(1, 4), random.between(1, 128)];
        let what = format!("attention {lengths:?} {shape:?}");
        check(&what, random, &pools, |r, p| {
            attention(&lengths, shape, r, p)
        });
    }
    #[cfg(feature = "mapped")]
    mapped_parts(random)?;
    let set = format!("{:?}", pulp::Arch::new());
    let set = set.split('(').next().unwrap_or_default();
    println!("all kernels agree with plain loops: {rounds} rounds, instruction set {set}");
    Ok(())
}
