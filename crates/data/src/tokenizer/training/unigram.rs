//! A Unigram vocabulary (Kudo 2018, §3.2): many candidate pieces, then expectation maximisation and pruning in turn.
//!
//! As SentencePiece does it, over words with counts. Work is split into a fixed number of parts that are summed in a
//! fixed order, and ties are broken by spelling, so that the same words always give the same vocabulary. One difference:
//! a single character that the estimate would drop keeps a count of one half, instead of being added at the end with the
//! lowest score.

use std::cmp::Ordering;

use rayon::prelude::*;
use rustc_hash::FxHashMap;

/// Maximum number of characters of a piece, as in SentencePiece.
const LONGEST_PIECE: usize = 16;

/// Maximum number of initial candidates, as in SentencePiece.
const MOST_SEEDS: usize = 1_000_000;

/// The proportion of pieces kept by a round of pruning, as in SentencePiece.
const SHRINKING: f64 = 0.75;

/// Number of estimates between rounds of pruning, as in SentencePiece.
const ESTIMATES: usize = 2;

/// Pieces with a lower expected count are dropped, as in SentencePiece.
const LEAST_EXPECTED: f64 = 0.5;

/// Number of parallel partial sums; fixed, so that results do not depend on the number of threads.
const PARTS: usize = 8;

/// A piece and its log probability.
pub(super) type Scored = (String, f64);

/// A word whose characters are all in the vocabulary, and its count.
pub(super) struct Word {
    pub(super) text: String,
    pub(super) count: u64,
}

/// The best pieces, at most `size`, including all single characters; most probable first.
///
/// `characters` holds all characters of the words. `progress` receives the number of pieces after each round.
pub(super) fn train(
    words: &[Word],
    characters: &[(char, u64)],
    size: usize,
    min_frequency: u64,
    progress: &mut dyn FnMut(usize),
) -> Vec<Scored> {
    // Keep 10% more than requested, because the final selection is by probability.
    let wanted = size + size / 10;
    let mut pieces = seeds(words, characters, min_frequency);
    loop {
        for _ in 0..ESTIMATES {
            let expected = expected_counts(words, &pieces);
            pieces = estimate(pieces, &expected);
        }
        progress(pieces.len());
        if pieces.len() <= wanted {
            break;
        }
        pieces = prune(words, pieces, wanted);
    }
    let (mut kept, mut longer): (Vec<Scored>, Vec<Scored>) = pieces
        .into_iter()
        .partition(|(piece, _)| is_character(piece));
    longer.sort_by(most_probable);
    longer.truncate(size.saturating_sub(kept.len()));
    kept.append(&mut longer);
    kept.sort_by(most_probable);
    kept
}

fn most_probable(a: &Scored, b: &Scored) -> Ordering {
    b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0))
}

fn is_character(piece: &str) -> bool {
    piece.chars().nth(1).is_none()
}

/// Characters, and substrings that occur often enough, scored by frequency times length.
///
/// A substring that is always followed by the same character is replaced by the longer one, as a suffix array does.
fn seeds(words: &[Word], characters: &[(char, u64)], min_frequency: u64) -> Vec<Scored> {
    let least = min_frequency.max(2);
    let starts: Vec<Vec<usize>> = words
        .iter()
        .map(|word| {
            let starts = word.text.char_indices().map(|(at, _)| at);
            starts.chain([word.text.len()]).collect()
        })
        .collect();
    let substrings = |length: usize| {
        words.iter().zip(&starts).flat_map(move |(word, starts)| {
            let ranges = starts.iter().zip(starts.iter().skip(length));
            let of = ranges.map(|(&from, &to)| &word.text[from..to]);
            of.map(|text| (text, word.count))
        })
    };
    let mut found: Vec<(&str, u64)> = Vec::new();
    // Substrings that are one character shorter, and whether a longer one occurs as often.
    let mut shorter: FxHashMap<&str, (u64, bool)> = FxHashMap::default();
    for (text, count) in substrings(1) {
        shorter.entry(text).or_default().0 += count;
    }
    for length in 2..=LONGEST_PIECE + 1 {
        let mut longer: FxHashMap<&str, (u64, bool)> = FxHashMap::default();
        for (text, count) in substrings(length) {
            let first = text.chars().next().map_or(0, char::len_utf8);
            let last = text.chars().next_back().map_or(0, char::len_utf8);
            // A substring can be frequent only if its own substrings are.
            let frequent = |part: &str| shorter.contains_key(part);
            if frequent(&text[..text.len() - last]) && frequent(&text[first..]) {
                longer.entry(text).or_default().0 += count;
            }
        }
        longer.retain(|_, (count, _)| *count >= least);
        for (text, &(count, _)) in &longer {
            let last = text.chars().next_back().map_or(0, char::len_utf8);
            if let Some((total, repeated)) = shorter.get_mut(&text[..text.len() - last]) {
                *repeated |= *total == count;
            }
        }
        if length > 2 {
            let kept = shorter.iter().filter(|(_, (_, repeated))| !repeated);
            found.extend(kept.map(|(&text, &(count, _))| (text, count)));
        }
        if longer.is_empty() {
            break;
        }
        shorter = longer;
    }
    let score = |&(text, count): &(&str, u64)| count as u128 * text.chars().count() as u128;
    found.par_sort_unstable_by(|a, b| score(b).cmp(&score(a)).then_with(|| a.0.cmp(b.0)));
    found.truncate(MOST_SEEDS);

    let mut pieces: Vec<Scored> = characters
        .iter()
        .map(|&(character, count)| (character.to_string(), count as f64))
        .collect();
    pieces.extend(
        found
            .iter()
            .map(|found| (found.0.to_string(), score(found) as f64)),
    );
    let sum: f64 = pieces.iter().map(|(_, score)| score).sum();
    for (_, score) in &mut pieces {
        *score = score.ln() - sum.ln();
    }
    pieces
}

/// New probabilities with the sparse prior of SentencePiece (the digamma function instead of the logarithm).
fn estimate(pieces: Vec<Scored>, expected: &[f64]) -> Vec<Scored> {
    let mut kept: Vec<Scored> = pieces
        .into_iter()
        .zip(expected)
        .filter_map(|((piece, _), &expected)| match expected < LEAST_EXPECTED {
            true if is_character(&piece) => Some((piece, LEAST_EXPECTED)),
            true => None,
            false => Some((piece, expected)),
        })
        .collect();
    let sum: f64 = kept.iter().map(|(_, expected)| expected).sum();
    let sum = digamma(sum);
    for (_, score) in &mut kept {
        *score = digamma(*score) - sum;
    }
    kept
}

/// The derivative of the log-gamma function for `x` > 0: its recurrence up to 7, then its expansion in 1/x².
fn digamma(mut x: f64) -> f64 {
    let mut below = 0.0;
    while x < 7.0 {
        below += 1.0 / x;
        x += 1.0;
    }
    let inverse = 1.0 / (x * x);
    let series = inverse
        * (1.0 / 12.0 - inverse * (1.0 / 120.0 - inverse * (1.0 / 252.0 - inverse / 240.0)));
    x.ln() - 0.5 / x - series - below
}

/// The expected count of each piece, over all segmentations of each word.
fn expected_counts(words: &[Word], pieces: &[Scored]) -> Vec<f64> {
    let trie = Trie::new(pieces);
    let parts: Vec<Vec<f64>> = words
        .par_chunks(words.len().div_ceil(PARTS).max(1))
        .map(|words| {
            let mut expected = vec![0.0; pieces.len()];
            let mut lattice = Lattice::default();
            for word in words {
                lattice.fill(&trie, &word.text);
                lattice.add_expected(pieces, word.count as f64, &mut expected);
            }
            expected
        })
        .collect();
    add_up(parts, pieces.len())
}

fn add_up(parts: Vec<Vec<f64>>, length: usize) -> Vec<f64> {
    parts.into_iter().fold(vec![0.0; length], |mut sum, part| {
        sum.iter_mut()
            .zip(part)
            .for_each(|(sum, part)| *sum += part);
        sum
    })
}

/// Keeps all single characters, and the pieces whose removal would reduce the likelihood most.
///
/// The cost is SentencePiece's: as if every occurrence of the piece in the best segmentations were replaced by the
/// piece's own second-best segmentation.
fn prune(words: &[Word], pieces: Vec<Scored>, wanted: usize) -> Vec<Scored> {
    let trie = Trie::new(&pieces);
    let parts: Vec<Vec<f64>> = words
        .par_chunks(words.len().div_ceil(PARTS).max(1))
        .map(|words| {
            let mut used = vec![0.0; pieces.len()];
            let mut lattice = Lattice::default();
            for word in words {
                lattice.fill(&trie, &word.text);
                for piece in lattice.best(&pieces, None).unwrap_or_default() {
                    used[piece as usize] += word.count as f64;
                }
            }
            used
        })
        .collect();
    let used = add_up(parts, pieces.len());
    let all: f64 = used.iter().sum();
    let total_words: f64 = words.iter().map(|word| word.count as f64).sum();

    // `None` if the piece is always kept.
    let costs: Vec<Option<f64>> = pieces
        .par_iter()
        .enumerate()
        .map_init(Lattice::default, |lattice, (id, (piece, _))| {
            if is_character(piece) {
                return None;
            }
            if used[id] == 0.0 {
                return Some(f64::NEG_INFINITY);
            }
            lattice.fill(&trie, piece);
            let instead = lattice.best(&pieces, Some(id as u32))?;
            let before = used[id].ln() - all.ln();
            let all = (all + used[id] * (instead.len() as f64 - 1.0)).ln();
            let after: f64 = instead
                .iter()
                .map(|&piece| (used[piece as usize] + used[id]).ln() - all)
                .sum();
            Some(used[id] / total_words * (before - after))
        })
        .collect();
    let target = wanted.max((pieces.len() as f64 * SHRINKING) as usize);
    let certain = costs.iter().filter(|cost| cost.is_none()).count();
    let mut ranked: Vec<(usize, f64)> = costs
        .iter()
        .enumerate()
        .filter_map(|(id, cost)| Some((id, (*cost)?)))
        .filter(|(_, cost)| *cost > f64::NEG_INFINITY)
        .collect();
    ranked.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    ranked.truncate(target.saturating_sub(certain));
    let mut kept: Vec<bool> = costs.iter().map(Option::is_none).collect();
    for (id, _) in ranked {
        kept[id] = true;
    }
    let mut kept = kept.into_iter();
    let mut pieces = pieces;
    pieces.retain(|_| kept.next() == Some(true));
    pieces
}

/// A trie of the pieces by character.
struct Trie {
    /// Maps a node and a character to a node; the root is 0.
    edges: FxHashMap<u64, u32>,
    /// The piece that ends at a node.
    ends: Vec<Option<u32>>,
}

impl Trie {
    fn new(pieces: &[Scored]) -> Self {
        let mut trie = Self {
            edges: FxHashMap::default(),
            ends: vec![None],
        };
        for ((piece, _), id) in pieces.iter().zip(0..) {
            let mut node = 0;
            for character in piece.chars() {
                let next = trie.ends.len() as u32;
                node = *trie
                    .edges
                    .entry(Self::edge(node, character))
                    .or_insert(next);
                if node == next {
                    trie.ends.push(None);
                }
            }
            trie.ends[node as usize] = Some(id);
        }
        trie
    }

    fn edge(node: u32, character: char) -> u64 {
        u64::from(node) << 32 | u64::from(u32::from(character))
    }
}

/// The pieces that can occur in segmentations of a word, grouped by end position.
#[derive(Default)]
struct Lattice {
    characters: Vec<char>,
    /// The start and index of each piece; those that end after character `e` are at `ends[e]..ends[e + 1]`.
    pieces: Vec<(u32, u32)>,
    ends: Vec<usize>,
    /// Start, end and piece, in the order in which they were found.
    found: Vec<(u32, u32, u32)>,
    forward: Vec<f64>,
    backward: Vec<f64>,
}

impl Lattice {
    fn fill(&mut self, trie: &Trie, text: &str) {
        self.characters.clear();
        self.characters.extend(text.chars());
        self.found.clear();
        let length = self.characters.len();
        for start in 0..length {
            let mut node = 0;
            for end in start..length {
                match trie.edges.get(&Trie::edge(node, self.characters[end])) {
                    Some(&next) => node = next,
                    None => break,
                }
                if let Some(piece) = trie.ends[node as usize] {
                    self.found.push((start as u32, end as u32 + 1, piece));
                }
            }
        }
        // Sort by end and, for equal ends, by start: the order in which they were found.
        self.ends.clear();
        self.ends.resize(length + 2, 0);
        for &(_, end, _) in &self.found {
            self.ends[end as usize + 1] += 1;
        }
        for end in 1..self.ends.len() {
            self.ends[end] += self.ends[end - 1];
        }
        self.pieces.clear();
        self.pieces.resize(self.found.len(), (0, 0));
        let mut next = self.ends.clone();
        for &(start, end, piece) in &self.found {
            self.pieces[next[end as usize]] = (start, piece);
            next[end as usize] += 1;
        }
    }

    fn ending_at(&self, end: usize) -> &[(u32, u32)] {
        &self.pieces[self.ends[end]..self.ends[end + 1]]
    }

    /// Adds `count` times the posterior probability of each piece, given the word.
    fn add_expected(&mut self, pieces: &[Scored], count: f64, expected: &mut [f64]) {
        let length = self.characters.len();
        let mut forward = std::mem::take(&mut self.forward);
        let mut backward = std::mem::take(&mut self.backward);
        forward.clear();
        forward.resize(length + 1, f64::NEG_INFINITY);
        backward.clear();
        backward.resize(length + 1, f64::NEG_INFINITY);
        forward[0] = 0.0;
        backward[length] = 0.0;
        for end in 1..=length {
            for &(start, piece) in self.ending_at(end) {
                let path = forward[start as usize] + pieces[piece as usize].1;
                forward[end] = log_add(forward[end], path);
            }
        }
        for end in (1..=length).rev() {
            for &(start, piece) in self.ending_at(end) {
                let path = backward[end] + pieces[piece as usize].1;
                backward[start as usize] = log_add(backward[start as usize], path);
            }
        }
        let all = forward[length];
        if all > f64::NEG_INFINITY {
            for (end, after) in backward.iter().enumerate().skip(1) {
                for &(start, piece) in self.ending_at(end) {
                    let path = forward[start as usize] + pieces[piece as usize].1 + after;
                    expected[piece as usize] += count * (path - all).exp();
                }
            }
        }
        self.forward = forward;
        self.backward = backward;
    }

    /// The most probable segmentation, optionally without one of the pieces; `None` if there is none.
    fn best(&self, pieces: &[Scored], without: Option<u32>) -> Option<Vec<u32>> {
        let length = self.characters.len();
        let mut best: Vec<Option<(f64, u32, u32)>> = vec![None; length + 1];
        best[0] = Some((0.0, 0, 0));
        for end in 1..=length {
            for &(start, piece) in self.ending_at(end) {
                let Some((before, ..)) = best[start as usize] else {
                    continue;
                };
                let score = before + pieces[piece as usize].1;
                if Some(piece) != without && best[end].is_none_or(|(known, ..)| score > known) {
                    best[end] = Some((score, start, piece));
                }
            }
        }
        let mut division = Vec::new();
        let mut end = length;
        while end > 0 {
            let (_, start, piece) = best[end]?;
            division.push(piece);
            end = start as usize;
        }
        division.reverse();
        Some(division)
    }
}

/// ln(eᵃ + eᵇ).
fn log_add(a: f64, b: f64) -> f64 {
    let (low, high) = if a < b { (a, b) } else { (b, a) };
    match low == f64::NEG_INFINITY {
        true => high,
        false => high + (low - high).exp().ln_1p(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn digamma_has_its_known_values() {
        // Abramowitz and Stegun 1964, table 6.1.
        for (x, known) in [
            (1.0, -0.577_215_664_9),
            (1.5, 0.036_489_974_0),
            (2.0, 0.422_784_335_1),
            (0.5, -1.963_510_026_0),
        ] {
            assert!((digamma(x) - known).abs() < 1e-9, "{x}: {}", digamma(x));
        }
    }

    #[test]
    fn expected_counts_are_those_of_all_divisions() {
        // "ab" is a+b with probability 0.4 · 0.3 = 0.12, or ab with 0.2.
        let pieces: Vec<Scored> = [("a", 0.4_f64), ("b", 0.3), ("ab", 0.2), ("c", 0.1)]
            .map(|(piece, p)| (piece.to_string(), p.ln()))
            .into();
        let words = [
            Word {
                text: "ab".into(),
                count: 8,
            },
            Word {
                text: "cab".into(),
                count: 1,
            },
        ];
        let expected = expected_counts(&words, &pieces);
        let apart = 9.0 * 0.12 / 0.32;
        let together = 9.0 * 0.2 / 0.32;
        for (found, known) in expected.iter().zip([apart, apart, together, 1.0]) {
            assert!((found - known).abs() < 1e-9, "{expected:?}");
        }
    }

    #[test]
    fn substrings_that_only_occur_within_a_longer_one_are_no_candidates() {
        let words = [
            Word {
                text: "hello".into(),
                count: 3,
            },
            Word {
                text: "help".into(),
                count: 2,
            },
        ];
        let characters = [('h', 5), ('e', 5), ('l', 8), ('o', 3), ('p', 2)];
        let found = seeds(&words, &characters, 1);
        let found: Vec<&str> = found.iter().map(|(piece, _)| piece.as_str()).collect();
        assert_eq!(found[..5], ["h", "e", "l", "o", "p"]);
        let mut longer = found[5..].to_vec();
        longer.sort_unstable();
        assert_eq!(
            longer,
            [
                "el", "ello", "elp", "hel", "hello", "help", "llo", "lo", "lp"
            ]
        );
    }
}
