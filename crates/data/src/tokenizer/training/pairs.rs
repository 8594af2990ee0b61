//! Merges the most frequent pair of adjacent pieces repeatedly: shared by WordPiece and BPE training.
//!
//! Sennrich et al. 2016, §3.2, with counts and positions updated incrementally. Ties go to the pair whose pieces were
//! added first, so that the same words always give the same merges.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use rustc_hash::{FxHashMap, FxHashSet};

/// Two pieces, by id.
pub(super) type Pair = (u32, u32);

/// Tokens by id, and back.
#[derive(Default)]
pub(super) struct Vocabulary {
    pub(super) tokens: Vec<String>,
    ids: FxHashMap<String, u32>,
}

impl Vocabulary {
    /// The id of a token; the token is added if it is new.
    pub(super) fn add(&mut self, token: &str) -> u32 {
        if let Some(&id) = self.ids.get(token) {
            return id;
        }
        let id = self.tokens.len() as u32;
        self.tokens.push(token.to_string());
        self.ids.insert(token.to_string(), id);
        id
    }

    /// The id of an existing token.
    pub(super) fn id(&self, token: &str) -> Option<u32> {
        self.ids.get(token).copied()
    }

    pub(super) fn len(&self) -> usize {
        self.tokens.len()
    }
}

/// Words as consecutive pieces, with the count of each word. Merging shortens words in place.
#[derive(Default)]
pub(super) struct Words {
    pieces: Vec<u32>,
    /// Where each word starts in `pieces`.
    starts: Vec<usize>,
    lengths: Vec<u32>,
    counts: Vec<u64>,
}

impl Words {
    /// Adds a word; a word with a single piece has no pairs and is skipped.
    pub(super) fn push(&mut self, pieces: &[u32], count: u64) {
        if pieces.len() > 1 {
            self.starts.push(self.pieces.len());
            self.lengths.push(pieces.len() as u32);
            self.counts.push(count);
            self.pieces.extend_from_slice(pieces);
        }
    }

    fn word(&self, at: usize) -> &[u32] {
        &self.pieces[self.starts[at]..][..self.lengths[at] as usize]
    }

    fn pairs(&self, at: usize) -> impl Iterator<Item = Pair> {
        self.word(at).windows(2).map(|pair| (pair[0], pair[1]))
    }

    /// Replaces each `pair` in a word by `merged`, from the left.
    fn merge(&mut self, at: usize, pair: Pair, merged: u32) {
        let start = self.starts[at];
        let length = self.lengths[at] as usize;
        let word = &mut self.pieces[start..start + length];
        let (mut to, mut from) = (0, 0);
        while from < length {
            if from + 1 < length && (word[from], word[from + 1]) == pair {
                word[to] = merged;
                from += 2;
            } else {
                word[to] = word[from];
                from += 1;
            }
            to += 1;
        }
        self.lengths[at] = to as u32;
    }
}

/// Adds merged tokens to `vocabulary` until it has `size` tokens, and returns the merges in order.
///
/// `join` spells the merged token of two pieces. `progress` receives the number of tokens after each merge.
pub(super) fn merge_pairs(
    vocabulary: &mut Vocabulary,
    mut words: Words,
    size: usize,
    min_frequency: u64,
    join: impl Fn(&str, &str) -> String,
    progress: &mut dyn FnMut(usize),
) -> Vec<Pair> {
    let mut totals: FxHashMap<Pair, u64> = FxHashMap::default();
    let mut places: FxHashMap<Pair, Vec<u32>> = FxHashMap::default();
    for at in 0..words.counts.len() {
        for pair in words.pairs(at) {
            *totals.entry(pair).or_default() += words.counts[at];
            let places = places.entry(pair).or_default();
            if places.last() != Some(&(at as u32)) {
                places.push(at as u32);
            }
        }
    }
    let mut queue: BinaryHeap<(u64, Reverse<Pair>)> = totals
        .iter()
        .map(|(&pair, &total)| (total, Reverse(pair)))
        .collect();

    let mut merges = Vec::new();
    let mut grown: FxHashSet<Pair> = FxHashSet::default();
    while vocabulary.len() < size {
        let Some((total, Reverse(pair))) = queue.pop() else {
            break;
        };
        let now = totals.get(&pair).copied().unwrap_or(0);
        if now != total {
            // An outdated entry. If the total has grown, a newer entry exists; if it has shrunk, push one here.
            if now > 0 && now < total {
                queue.push((now, Reverse(pair)));
            }
            continue;
        }
        if total < min_frequency.max(1) {
            break;
        }
        let merged = join(
            &vocabulary.tokens[pair.0 as usize],
            &vocabulary.tokens[pair.1 as usize],
        );
        let merged = vocabulary.add(&merged);
        merges.push(pair);

        let mut at_places = places.remove(&pair).unwrap_or_default();
        at_places.sort_unstable();
        at_places.dedup();
        for at in at_places {
            let at = at as usize;
            let count = words.counts[at];
            for old in words.pairs(at) {
                if let Some(total) = totals.get_mut(&old) {
                    *total -= count;
                }
            }
            words.merge(at, pair, merged);
            for new in words.pairs(at) {
                *totals.entry(new).or_default() += count;
                if new.0 == merged || new.1 == merged {
                    places.entry(new).or_default().push(at as u32);
                    grown.insert(new);
                }
            }
        }
        totals.remove(&pair);
        for pair in grown.drain() {
            if let Some(&total) = totals.get(&pair) {
                queue.push((total, Reverse(pair)));
            }
        }
        progress(vocabulary.len());
    }
    merges
}
