//! Cuts sequences longer than the maximum length into overlapping windows.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::tokenizer::TokenizerError;

/// Distance between windows, in tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stride {
    /// From the start of a window to the start of the next, or less if there is less room: `doc_stride` of BERT, BioBERT
    /// and ELECTRA.
    Step(usize),
    /// Number of tokens shared by adjacent windows: `doc_stride` of transformers' `run_qa.py`.
    Overlap(usize),
}

impl Stride {
    /// Windows of at most `room` tokens over `tokens` tokens; a single empty window if there are no tokens.
    pub(crate) fn windows(
        self,
        tokens: usize,
        room: usize,
    ) -> Result<Vec<Range<usize>>, TokenizerError> {
        let overlap = match self {
            Self::Step(step) => room.saturating_sub(step.max(1)),
            Self::Overlap(overlap) => overlap,
        };
        if tokens <= room {
            return Ok(vec![Range {
                start: 0,
                end: tokens,
            }]);
        }
        if overlap >= room {
            return Err(TokenizerError::Overlap { overlap, room });
        }
        Ok(cut(tokens, room, overlap, |_| true))
    }
}

/// Cuts `length` tokens into windows of at most `size`; each window after the first begins at least `overlap` tokens
/// before the end of the previous one.
///
/// Windows begin and end at positions where `starts` is true, such as the first tokens of words; only what is longer than
/// a window is cut elsewhere. A window may therefore be shorter than `size`, and an overlap longer, or shorter than
/// `overlap` if a word is too long to fit in it. If `starts` is always true, these are the windows of BERT's `run_squad`
/// with a stride of `size - overlap`. Without tokens there are no windows.
///
/// # Panics
/// If `size` is 0, or `overlap` is not less than it.
pub fn cut(
    length: usize,
    size: usize,
    overlap: usize,
    starts: impl Fn(usize) -> bool,
) -> Vec<Range<usize>> {
    assert!(
        overlap < size,
        "windows of {size} tokens cannot share {overlap}"
    );
    let mut windows = Vec::new();
    let (mut start, mut covered) = (0, 0);
    while covered < length {
        let full = (start + size).min(length);
        let end = match full == length {
            true => full,
            false => (start + 1..=full)
                .rev()
                .find(|&at| starts(at))
                .unwrap_or(full),
        };
        if end <= covered {
            // This start is too early for another word to fit.
            start = (start + 1..covered)
                .find(|&at| starts(at))
                .unwrap_or(covered);
            continue;
        }
        windows.push(start..end);
        covered = end;
        if end == length {
            break;
        }
        let back = end.saturating_sub(overlap).max(start + 1);
        start = (start + 1..=back)
            .rev()
            .find(|&at| starts(at))
            .or_else(|| (back..=end).find(|&at| starts(at)))
            .unwrap_or(back);
    }
    windows
}

/// For each token, the index of the window in which it has most context.
///
/// The context of a token is the smaller of the numbers of tokens before and after it in the window, plus a hundredth of
/// the window's length; ties go to the first window (BERT, `run_squad.py`, `_check_is_max_context`).
///
/// The windows must cover all tokens from 0 to the end of the last window, as those of [`cut`] do.
pub fn owners(windows: &[Range<usize>]) -> Vec<usize> {
    let length = windows.iter().map(|window| window.end).max().unwrap_or(0);
    let mut best = vec![(f64::NEG_INFINITY, 0); length];
    for (index, window) in windows.iter().enumerate() {
        for token in window.clone() {
            let context = (token - window.start).min(window.end - 1 - token);
            let score = context as f64 + 0.01 * window.len() as f64;
            if score > best[token].0 {
                best[token] = (score, index);
            }
        }
    }
    best.into_iter().map(|(_, window)| window).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::single_range_in_vec_init)]

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn plain_windows_are_those_of_run_squad() {
        assert_eq!(cut(10, 4, 2, |_| true), [0..4, 2..6, 4..8, 6..10]);
        assert_eq!(cut(9, 4, 2, |_| true), [0..4, 2..6, 4..8, 6..9]);
        assert_eq!(cut(4, 4, 2, |_| true), [0..4]);
        assert!(cut(0, 4, 2, |_| true).is_empty());
        assert_eq!(cut(5, 2, 0, |_| true), [0..2, 2..4, 4..5]);
    }

    #[test]
    fn tokens_belong_to_the_window_where_they_have_most_context() {
        // "bought" from the example in run_squad.py: position 4 in three windows.
        assert_eq!(
            owners(&[0..5, 3..8, 6..11]),
            [0, 0, 0, 0, 1, 1, 1, 2, 2, 2, 2]
        );
        assert!(owners(&[]).is_empty());
    }

    #[test]
    fn windows_keep_words_whole_unless_they_are_longer_than_a_window() {
        // Words of 2, 3, 7 and 1 tokens.
        let starts = |at: usize| [0, 2, 5, 12].contains(&at);
        assert_eq!(cut(13, 5, 1, starts), [0..5, 5..10, 9..13]);
    }

    proptest! {
        #[test]
        fn every_token_is_covered_and_its_owner_holds_it(
            words in prop::collection::vec(1usize..7, 1..40), size in 1usize..12, overlap in 0usize..11,
        ) {
            let overlap = overlap.min(size - 1);
            let mut starts = vec![false; words.iter().sum()];
            let mut at = 0;
            for &word in &words {
                starts[at] = true;
                at += word;
            }
            let windows = cut(at, size, overlap, |token| starts[token]);
            let mut covered = 0;
            for window in &windows {
                prop_assert!(!window.is_empty() && window.len() <= size);
                prop_assert!(window.start <= covered && window.end > covered);
                covered = window.end;
            }
            prop_assert_eq!(covered, at);
            prop_assert!(windows.windows(2).all(|pair| pair[0].start < pair[1].start));
            if words.iter().all(|&word| word <= size) {
                for window in &windows {
                    prop_assert!(starts[window.start]);
                    prop_assert!(window.end == at || starts[window.end]);
                }
            }
            for (token, &owner) in owners(&windows).iter().enumerate() {
                prop_assert!(windows[owner].contains(&token));
            }
        }
    }
}
