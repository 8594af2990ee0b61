//! The keys of dropout masks: a function of seed, step and call order, not of a generator's history.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::ops::mix;

/// The dropout masks of one forward pass. The same seed and step give the same masks on any number
/// of threads and after any interruption.
///
/// Each mask takes the next key, so the calls that draw from one stream must have a fixed order:
/// a stream belongs to one thread at a time.
#[derive(Debug)]
pub struct DropoutStream {
    seed: u64,
    drawn: AtomicU64,
}

impl DropoutStream {
    /// The stream of one micro-batch. `step` numbers the micro-batches of a run from 0.
    pub fn new(seed: u64, step: u64) -> Self {
        Self {
            seed: mix(mix(seed) ^ step),
            drawn: AtomicU64::new(0),
        }
    }

    /// A separate stream for a part of this forward pass: a function of `part` alone, independent of
    /// what has been drawn before.
    pub fn part(&self, part: u64) -> Self {
        Self {
            seed: mix(self.seed ^ mix(part.wrapping_add(0x9e37_79b9_7f4a_7c15))),
            drawn: AtomicU64::new(0),
        }
    }

    /// A copy that continues from the current position and does not advance this stream.
    pub(crate) fn snapshot(&self) -> Self {
        Self {
            seed: self.seed,
            drawn: AtomicU64::new(self.drawn.load(Ordering::Relaxed)),
        }
    }

    /// The key of the next mask.
    pub fn next_key(&self) -> u64 {
        let n = self.drawn.fetch_add(1, Ordering::Relaxed);
        mix(self.seed ^ mix(n.wrapping_add(0x5851_f42d_4c95_7f2d)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keys_of_steps_and_of_sites_differ() {
        let keys = |step| {
            let stream = DropoutStream::new(1, step);
            [stream.next_key(), stream.next_key()]
        };
        assert_eq!(keys(0), keys(0));
        let (a, b) = (keys(0), keys(1));
        assert!(a[0] != a[1] && a[0] != b[0] && a[1] != b[1] && a[1] != b[0]);
    }
}
