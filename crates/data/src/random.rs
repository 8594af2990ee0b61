//! Seeded randomness whose results stay the same when libraries change.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// What the numbers are for: the same seed gives independent numbers for each.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Purpose {
    Split,
    Batches,
}

/// Random numbers that depend on the seed, the purpose and the round (an epoch, an attempt) alone.
pub(crate) struct Random(ChaCha8Rng);

impl Random {
    pub(crate) fn new(seed: u64, purpose: Purpose, round: u64) -> Self {
        let mut generator = ChaCha8Rng::seed_from_u64(seed);
        generator.set_stream(round.wrapping_mul(2).wrapping_add(purpose as u64));
        Self(generator)
    }

    /// A number below `bound`, each as likely as any other (Lemire 2019, algorithm 5).
    fn below(&mut self, bound: u64) -> u64 {
        let mut product = u128::from(self.0.next_u64()) * u128::from(bound);
        if (product as u64) < bound {
            let threshold = bound.wrapping_neg() % bound;
            while (product as u64) < threshold {
                product = u128::from(self.0.next_u64()) * u128::from(bound);
            }
        }
        (product >> 64) as u64
    }

    /// Puts `items` in random order (Fisher and Yates).
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
}
