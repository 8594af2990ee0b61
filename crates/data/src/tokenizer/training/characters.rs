//! Selects the characters of a new vocabulary.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::pairs::Vocabulary;

/// The most frequent characters, up to this number, are always kept.
const ALWAYS: usize = 1000;

/// More characters are kept until at most one in this many characters of the text is unknown, as in SentencePiece
/// (0.9995).
const ONE_UNKNOWN_IN: u64 = 2000;

/// The characters of a text, most frequent first.
pub(super) struct Characters(Vec<Character>);

struct Character {
    character: char,
    count: u64,
    /// Whether it occurs within a word, not only at its start.
    within: bool,
}

impl Characters {
    /// Selects the characters to include; in a large text, the rarest become the unknown token.
    pub(super) fn of(words: &[(&str, u64)]) -> Self {
        let mut counts: BTreeMap<char, (u64, bool)> = BTreeMap::new();
        for &(word, count) in words {
            for (at, character) in word.chars().enumerate() {
                let (total, within) = counts.entry(character).or_default();
                *total += count;
                *within |= at > 0;
            }
        }
        let mut ranked: Vec<Character> = counts
            .into_iter()
            .map(|(character, (count, within))| Character {
                character,
                count,
                within,
            })
            .collect();
        ranked.sort_by_key(|found| (Reverse(found.count), found.character));
        let all: u64 = ranked.iter().map(|found| found.count).sum();
        let mut rest = all;
        let needed = ranked.iter().take_while(|found| {
            let more = rest > all / ONE_UNKNOWN_IN;
            rest -= found.count;
            more
        });
        let needed = needed.count();
        ranked.truncate(needed.max(ALWAYS));
        Self(ranked)
    }

    /// The most frequent characters with their counts, at most `most`.
    pub(super) fn most_frequent(&self, most: usize) -> Vec<(char, u64)> {
        let characters = self.0.iter().take(most);
        characters
            .map(|found| (found.character, found.count))
            .collect()
    }

    /// Adds the most frequent characters to a WordPiece vocabulary: each as the start of a word and, if it occurs within
    /// words, with `##`.
    pub(super) fn add_wordpieces(&self, vocabulary: &mut Vocabulary, room: usize) {
        let mut needed = 0;
        let mut kept: Vec<(char, bool)> = self
            .0
            .iter()
            .take_while(|found| {
                needed += 1 + usize::from(found.within);
                needed <= room
            })
            .map(|found| (found.character, found.within))
            .collect();
        kept.sort_unstable();
        for (character, _) in &kept {
            vocabulary.add(&character.to_string());
        }
        for (character, _) in kept.iter().filter(|(_, within)| *within) {
            vocabulary.add(&format!("##{character}"));
        }
    }
}
