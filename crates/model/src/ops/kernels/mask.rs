//! Dropout masks as a function of a key and a place.

use rayon::prelude::*;

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
}
