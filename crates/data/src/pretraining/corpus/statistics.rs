//! Statistics of a corpus.

use std::collections::BTreeMap;

use super::tokenized::Corpus;

/// Sizes of a corpus.
#[derive(Debug, Clone, PartialEq)]
pub struct Statistics {
    /// Number of documents.
    pub documents: u64,
    /// Number of sentences.
    pub sentences: u64,
    /// Number of tokens, without special tokens.
    pub tokens: u64,
    /// Tokens per word, if the tokenizer has words.
    pub tokens_per_word: Option<f64>,
    /// The proportion of unknown tokens, 0 to 1.
    pub unknown_rate: f64,
    /// Number of distinct tokens.
    pub distinct_tokens: u64,
    /// Tokens per document.
    pub document_tokens: Lengths,
    /// Tokens per sentence.
    pub sentence_tokens: Lengths,
}

/// A distribution of lengths.
#[derive(Debug, Clone, PartialEq)]
pub struct Lengths {
    /// The mean.
    pub mean: f64,
    /// The smallest lengths such that at least 0, 5, 25, 50, 75, 95 and 100 % of lengths are not greater.
    pub quantiles: [u64; 7],
    /// Histogram by powers of two: an exclusive upper bound, and the number of lengths below it and not below the
    /// previous bound. The first bound is above the shortest length, the last one above the longest.
    pub histogram: Vec<(u64, u64)>,
}

/// The percentages of [`Lengths::quantiles`].
pub const QUANTILES: [u64; 7] = [0, 5, 25, 50, 75, 95, 100];

impl Statistics {
    /// Computes the statistics of a corpus from its documents and sentences, without reading tokens.
    pub fn of(corpus: &Corpus) -> Self {
        let manifest = corpus.manifest();
        let mut documents = BTreeMap::new();
        let mut sentences = BTreeMap::new();
        for document in 0..corpus.documents() {
            let mut length = 0;
            for sentence in corpus.document(document) {
                let places = corpus.sentence(sentence);
                length += places.end - places.start;
                *sentences.entry(places.end - places.start).or_default() += 1;
            }
            *documents.entry(length).or_default() += 1;
        }
        let ratio = |of: u64, to: u64| of as f64 / to.max(1) as f64;
        Self {
            documents: manifest.documents,
            sentences: manifest.sentences,
            tokens: manifest.tokens,
            tokens_per_word: corpus
                .has_words()
                .then(|| ratio(manifest.tokens, manifest.words)),
            unknown_rate: ratio(manifest.unknown, manifest.tokens),
            distinct_tokens: manifest.distinct_tokens,
            document_tokens: Lengths::of(&documents),
            sentence_tokens: Lengths::of(&sentences),
        }
    }
}

impl Lengths {
    /// Computes a distribution from the number of occurrences of each length.
    fn of(counts: &BTreeMap<u64, u64>) -> Self {
        let number: u64 = counts.values().sum();
        let sum: u64 = counts.iter().map(|(length, count)| length * count).sum();
        let quantile = |percent: u64| {
            let wanted = (number * percent).div_ceil(100).max(1);
            let mut before = 0;
            let found = counts.iter().find(|&(_, count)| {
                before += count;
                before >= wanted
            });
            found.map_or(0, |(&length, _)| length)
        };
        let mut histogram: BTreeMap<u64, u64> = BTreeMap::new();
        for (&length, &count) in counts {
            *histogram
                .entry((length + 1).next_power_of_two())
                .or_default() += count;
        }
        // The histogram includes empty bins.
        if let (Some((&first, _)), Some((&last, _))) =
            (histogram.first_key_value(), histogram.last_key_value())
        {
            let mut bound = first;
            while bound < last {
                histogram.entry(bound).or_default();
                bound *= 2;
            }
        }
        Self {
            mean: sum as f64 / number.max(1) as f64,
            quantiles: QUANTILES.map(quantile),
            histogram: histogram.into_iter().collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_counted_below_powers_of_two() {
        let lengths = Lengths::of(&BTreeMap::from([(1, 2), (3, 1), (4, 4), (40, 1)]));
        assert_eq!(
            lengths.histogram,
            [(2, 2), (4, 1), (8, 4), (16, 0), (32, 0), (64, 1)]
        );
        assert_eq!(lengths.quantiles, [1, 1, 1, 4, 4, 40, 40]);
        assert_eq!(lengths.mean, 61.0 / 8.0);
    }

    #[test]
    fn a_corpus_is_counted_whole() {
        let word = |id| vec![(id, true), (id + 1, false)];
        let corpus = Corpus::from_tokens(&[vec![word(1), word(3)], vec![vec![(5, true)]]], true);
        let statistics = Statistics::of(&corpus);
        assert_eq!(
            (
                statistics.documents,
                statistics.sentences,
                statistics.tokens
            ),
            (2, 3, 5)
        );
        assert_eq!(statistics.tokens_per_word, Some(5.0 / 3.0));
        assert_eq!(
            statistics.document_tokens.histogram,
            [(2, 1), (4, 0), (8, 1)]
        );
        assert_eq!(statistics.sentence_tokens.quantiles, [1, 1, 1, 2, 2, 2, 2]);
    }
}
