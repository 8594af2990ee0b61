//! Counts the words of a stream of texts within a memory budget.

use std::cmp::Reverse;
use std::collections::HashMap;

use rayon::prelude::*;

use super::super::TokenizerError;

/// Memory per distinct word in addition to its bytes: map entry, allocation and count.
const WORD_OVERHEAD: u64 = 64;

/// Number of texts counted by one task before its counts are merged.
const CHUNK: usize = 256;

type Counts = HashMap<String, u64>;

/// Word counts of the texts so far, or of a sample of them.
///
/// A text's level is drawn from the seed and its index: 0 with probability 1/2, 1 with 1/4, and so on. Counts are kept by
/// level; when they exceed the budget, the lowest level is dropped, and with it half of the texts. The remaining texts
/// are a uniform sample, independent of their position: a reservoir of counts instead of texts, with its size given in
/// bytes. The sample depends only on the texts, the seed and the budget.
pub(super) struct Counter {
    levels: Vec<Counts>,
    /// Number of texts of each level.
    texts: Vec<u64>,
    /// Levels below this one have been dropped.
    lowest: usize,
    /// Number of texts so far.
    read: u64,
    bytes: Vec<u64>,
    budget: u64,
    seed: u64,
}

/// The part of the text that was counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// Number of texts read.
    pub read: u64,
    /// Number of texts counted: all of them, or as many as fit in memory.
    pub kept: u64,
}

impl Sample {
    /// Whether some texts were dropped to save memory.
    pub fn is_partial(&self) -> bool {
        self.kept < self.read
    }
}

/// Number of occurrences of each word, most frequent first; ties are sorted by spelling.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WordCounts(pub(super) Vec<(String, u64)>);

impl Counter {
    /// `budget` is the maximum size of the counts in bytes.
    pub(super) fn new(budget: u64, seed: u64) -> Self {
        const LEVELS: usize = 65;
        Self {
            levels: vec![Counts::new(); LEVELS],
            texts: vec![0; LEVELS],
            bytes: vec![0; LEVELS],
            lowest: 0,
            read: 0,
            budget,
            seed,
        }
    }

    /// Counts the words that `divide` finds in each text.
    pub(super) fn add<F>(&mut self, texts: &[&str], divide: F) -> Result<(), TokenizerError>
    where
        F: Fn(&str, &mut dyn FnMut(&str)) -> Result<(), TokenizerError> + Sync,
    {
        let chosen: Vec<(usize, &str)> = texts
            .iter()
            .zip(self.read..)
            .map(|(&text, number)| (level(self.seed, number), text))
            .filter(|&(level, _)| level >= self.lowest)
            .collect();
        self.read += texts.len() as u64;
        let counted: Vec<Vec<(usize, Counts)>> = chosen
            .par_chunks(CHUNK)
            .map(|texts| {
                let mut counts: Vec<(usize, Counts)> = Vec::new();
                for &(level, text) in texts {
                    let place = counts.iter().position(|&(known, _)| known == level);
                    let place = place.unwrap_or_else(|| {
                        counts.push((level, Counts::new()));
                        counts.len() - 1
                    });
                    let counts = &mut counts[place].1;
                    divide(text, &mut |word| match counts.get_mut(word) {
                        Some(count) => *count += 1,
                        None => {
                            counts.insert(word.to_string(), 1);
                        }
                    })?;
                }
                Ok(counts)
            })
            .collect::<Result<_, TokenizerError>>()?;
        for &(level, _) in &chosen {
            self.texts[level] += 1;
        }
        for (level, counts) in counted.into_iter().flatten() {
            for (word, count) in counts {
                let bytes = word.len() as u64 + WORD_OVERHEAD;
                let known = self.levels[level].entry(word).or_default();
                if *known == 0 {
                    self.bytes[level] += bytes;
                }
                *known += count;
            }
        }
        while self.bytes.iter().sum::<u64>() > self.budget {
            self.levels[self.lowest] = Counts::new();
            self.bytes[self.lowest] = 0;
            self.texts[self.lowest] = 0;
            self.lowest += 1;
        }
        Ok(())
    }

    pub(super) fn sample(&self) -> Sample {
        Sample {
            read: self.read,
            kept: self.texts.iter().sum(),
        }
    }

    pub(super) fn finish(self) -> WordCounts {
        let mut all = Counts::new();
        for counts in self.levels {
            if all.is_empty() {
                all = counts;
                continue;
            }
            for (word, count) in counts {
                *all.entry(word).or_default() += count;
            }
        }
        let mut words: Vec<(String, u64)> = all.into_iter().collect();
        words.par_sort_unstable_by(|a, b| (Reverse(a.1), &a.0).cmp(&(Reverse(b.1), &b.0)));
        WordCounts(words)
    }
}

/// The level of a text: the number of leading zeros in a hash of seed and index (SplitMix64).
fn level(seed: u64, number: u64) -> usize {
    let mix = |value: u64| {
        let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        value ^ (value >> 31)
    };
    mix(mix(seed) ^ number).leading_zeros() as usize
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn words(text: &str, word: &mut dyn FnMut(&str)) -> Result<(), TokenizerError> {
        text.split(' ').for_each(word);
        Ok(())
    }

    fn count(texts: &[String], budget: u64, seed: u64, batch: usize) -> (Sample, WordCounts) {
        let mut counter = Counter::new(budget, seed);
        for batch in texts.chunks(batch) {
            let batch: Vec<&str> = batch.iter().map(String::as_str).collect();
            counter.add(&batch, words).unwrap();
            assert!(counter.bytes.iter().sum::<u64>() <= budget);
        }
        (counter.sample(), counter.finish())
    }

    #[test]
    fn within_the_budget_every_word_counts() {
        let texts: Vec<String> = (0..1000).map(|n| format!("w{} the", n % 7)).collect();
        let (sample, counts) = count(&texts, 1 << 20, 1, 64);
        assert_eq!((sample.read, sample.kept), (1000, 1000));
        assert!(!sample.is_partial());
        assert_eq!(counts.0[0], ("the".into(), 1000));
        assert_eq!(counts.0.len(), 8);
        assert_eq!(counts.0.iter().map(|(_, count)| count).sum::<u64>(), 2000);
        assert_eq!(counts.0[1], ("w0".into(), 143));
    }

    #[test]
    fn beyond_it_a_sample_counts_which_depends_on_the_seed_and_not_on_batches() {
        let texts: Vec<String> = (0..20_000).map(|n| format!("w{n} the")).collect();
        let (sample, counts) = count(&texts, 400_000, 1, 100);
        assert!(sample.is_partial());
        assert!((2000..8000).contains(&sample.kept), "{sample:?}");
        assert_eq!(counts.0[0], ("the".into(), sample.kept));
        assert_eq!(counts.0.len() as u64, sample.kept + 1);
        // The two halves of the texts are sampled equally.
        let early = counts.0.iter().filter_map(|(word, _)| {
            let number: u64 = word.strip_prefix('w')?.parse().ok()?;
            Some(number < 10_000)
        });
        let early = early.filter(|&early| early).count() as f64 / sample.kept as f64;
        assert!((0.45..0.55).contains(&early), "{early}");
        for batch in [7, 20_000] {
            assert_eq!(count(&texts, 400_000, 1, batch), (sample, counts.clone()));
        }
        assert_ne!(count(&texts, 400_000, 2, 100).1, counts);
    }
}
