//! Dropout masks as a function of a key and a position.

use rayon::prelude::*;

/// Which elements dropout keeps: a function of a key and of the element's position.
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

    /// The factors of row `row`, 0 or `1 / (1 - rate)`: 16 random bits per element, four elements per
    /// counter. Rows of one mask have at most `width` elements.
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

    /// The factors of `rows` rows of `width` elements, row by row.
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

#[cfg(test)]
mod tests {
    use super::*;

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

    /// Power spectrum of a 128 × 128 bit image, relative to its mean: exponentially distributed for
    /// noise, with a peak for a pattern (stripes, a lattice, a repeated tile).
    fn spectrum(picture: &[f64]) -> Vec<f64> {
        const N: usize = 128;
        let turn = |i: usize| std::f64::consts::TAU * (i % N) as f64 / N as f64;
        let waves: Vec<(f64, f64)> = (0..N).map(|i| turn(i).sin_cos()).collect();
        let transform = |cells: &[(f64, f64)]| -> Vec<(f64, f64)> {
            // Transforms each row; the result is transposed.
            let mut out = vec![(0.0, 0.0); N * N];
            for row in 0..N {
                for k in 0..N {
                    let mut sum = (0.0, 0.0);
                    for i in 0..N {
                        let ((re, im), (sin, cos)) = (cells[row * N + i], waves[k * i % N]);
                        sum = (sum.0 + re * cos + im * sin, sum.1 + im * cos - re * sin);
                    }
                    out[k * N + row] = sum;
                }
            }
            out
        };
        let cells: Vec<(f64, f64)> = picture.iter().map(|&v| (v, 0.0)).collect();
        let waves = transform(&transform(&cells));
        let power: Vec<f64> = waves.iter().map(|(re, im)| re * re + im * im).collect();
        let mean = power[1..].iter().sum::<f64>() / (power.len() - 1) as f64;
        power[1..].iter().map(|p| p / mean).collect()
    }

    #[test]
    fn a_picture_of_the_bits_shows_no_pattern() {
        for (key, rate) in [(1, 0.1), (2, 0.1), (u64::MAX, 0.5)] {
            // Rows of one mask; columns of a wide one; the same position under successive keys.
            let rows = Mask::new(key, rate).rows(128, 128);
            let odd = Mask::new(key, rate).rows(128, 131);
            let odd: Vec<f32> = odd
                .chunks(131)
                .flat_map(|row| row[..128].to_vec())
                .collect();
            let wide = Mask::new(key, rate).rows(1, 128 * 128);
            let keys = (0..128).flat_map(|i| Mask::new(key.wrapping_add(i), rate).rows(1, 128));
            for (name, bits) in [
                ("rows", rows),
                ("odd", odd),
                ("wide", wide),
                ("keys", keys.collect()),
            ] {
                let share = bits.iter().filter(|&&v| v == 0.0).count() as f64 / bits.len() as f64;
                let picture: Vec<f64> = bits.iter().map(|&v| f64::from(v == 0.0) - share).collect();
                let peak = spectrum(&picture).into_iter().fold(0.0, f64::max);
                // Among 16,383 exponential variates, a value above 26 has a probability of one in ten million.
                assert!(
                    peak < 26.0,
                    "{name}, key {key}, rate {rate}: a wave of {peak}"
                );
            }
        }
    }

    #[test]
    fn successive_steps_and_sites_drop_independently() {
        use crate::dropout_stream::DropoutStream;
        let (n, rate) = (1 << 16, 0.1);
        let masks: Vec<Vec<bool>> = (0..12)
            .flat_map(|step| {
                let stream = DropoutStream::new(7, step);
                [0, 1].map(|_| Mask::new(stream.next_key(), rate))
            })
            .map(|mask| mask.rows(64, n / 64).iter().map(|&v| v == 0.0).collect())
            .collect();
        for (i, a) in masks.iter().enumerate() {
            for b in &masks[..i] {
                let both = a.iter().zip(b).filter(|(a, b)| **a && **b).count() as f64 / n as f64;
                let deviation = (rate * rate * (1.0 - rate * rate) / n as f64).sqrt();
                assert!((both - rate * rate).abs() < 5.0 * deviation, "{both}");
            }
        }
    }
}
