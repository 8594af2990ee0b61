//! Seeded random numbers that do not change with library versions.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// The purpose of random numbers: the same seed gives independent numbers for each purpose.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Purpose {
    Split,
    Batches,
}

/// The same as [`Purpose`], for [`Random::keyed`].
#[derive(Debug, Clone, Copy)]
pub(crate) enum KeyedPurpose {
    /// The order of documents, and the boundaries of sequences.
    Sequences,
    /// The two segments of one sequence.
    Segments,
    /// The order of sequences.
    SequenceOrder,
    /// The masks of one sequence.
    Masks,
    /// The changes to one text.
    Perturbation,
    /// The folds of cross-validation.
    Folds,
}

/// Random numbers that depend only on the seed, the purpose and the round (an epoch, an attempt).
pub(crate) struct Random(ChaCha8Rng);

impl Random {
    pub(crate) fn new(seed: u64, purpose: Purpose, round: u64) -> Self {
        let mut generator = ChaCha8Rng::seed_from_u64(seed);
        generator.set_stream(round.wrapping_mul(2).wrapping_add(purpose as u64));
        Self(generator)
    }

    /// Random numbers for one item (a document, a sequence) of a round. Every combination of arguments has its own
    /// generator, since together they are the key.
    pub(crate) fn keyed(seed: u64, purpose: KeyedPurpose, round: u64, number: u64) -> Self {
        let mut key = [0; 32];
        for (bytes, word) in key
            .chunks_exact_mut(8)
            .zip([seed, purpose as u64, round, number])
        {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
        Self(ChaCha8Rng::from_seed(key))
    }

    /// A number in [0, 1), with 53 random bits.
    pub(crate) fn unit(&mut self) -> f64 {
        const STEP: f64 = 1.0 / (1u64 << 53) as f64;
        (self.0.next_u64() >> 11) as f64 * STEP
    }

    /// Returns true with the given probability.
    pub(crate) fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// A uniformly distributed number below `bound` (Lemire 2019, algorithm 5).
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        let mut product = u128::from(self.0.next_u64()) * u128::from(bound);
        if (product as u64) < bound {
            let threshold = bound.wrapping_neg() % bound;
            while (product as u64) < threshold {
                product = u128::from(self.0.next_u64()) * u128::from(bound);
            }
        }
        (product >> 64) as u64
    }

    /// Shuffles `items` (Fisher and Yates).
    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last as u64 + 1) as usize);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_order_is_equally_likely() {
        let mut counts = std::collections::BTreeMap::new();
        for seed in 0..6000 {
            let mut items = [0, 1, 2];
            Random::new(seed, Purpose::Split, 0).shuffle(&mut items);
            *counts.entry(items).or_insert(0) += 1;
        }
        assert_eq!(counts.len(), 6);
        assert!(
            counts.values().all(|&count| (880..1120).contains(&count)),
            "{counts:?}"
        );
    }

    #[test]
    fn purposes_and_rounds_differ_and_repeat() {
        let first = |purpose, round| Random::new(13, purpose, round).below(u64::MAX);
        assert_eq!(first(Purpose::Split, 0), first(Purpose::Split, 0));
        assert_ne!(first(Purpose::Split, 0), first(Purpose::Batches, 0));
        assert_ne!(first(Purpose::Batches, 0), first(Purpose::Batches, 1));
    }

    #[test]
    fn every_part_of_a_key_counts() {
        let first = |seed, purpose, round, number| {
            Random::keyed(seed, purpose, round, number).below(u64::MAX)
        };
        let mut firsts = std::collections::BTreeSet::new();
        for part in 0..3 {
            for value in 1..50 {
                let mut key = [0; 3];
                key[part] = value;
                let [seed, round, number] = key;
                firsts.insert(first(seed, KeyedPurpose::Masks, round, number));
                firsts.insert(first(seed, KeyedPurpose::Segments, round, number));
            }
        }
        assert_eq!(firsts.len(), 3 * 49 * 2);
    }
}
