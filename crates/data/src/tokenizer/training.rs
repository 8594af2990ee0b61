//! A WordPiece vocabulary from text.
//!
//! Merges the most frequent pair of neighbouring pieces again and again (Sennrich et al. 2016, §3.2), over words and with
//! `##` as BERT has them; that is how the trainers in use build WordPiece vocabularies, because Wu et al. 2016 left theirs
//! unpublished. Ties go to the pair whose pieces came first, so that the same text always gives the same vocabulary.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap};

use rayon::prelude::*;
use tokenizers::normalizers::BertNormalizer;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::{
    NormalizedString, Normalizer, OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer,
};

use super::{TextTokenizer, TokenizerError, files};

const SPECIAL: [&str; 5] = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];

/// Characters beyond this many, the rarest, are left to `[UNK]`; so are those of a vocabulary that cannot hold them all.
const MOST_CHARACTERS: usize = 1000;

/// Longer words are `[UNK]` in WordPiece.
const LONGEST_WORD: usize = 100;

/// What to train.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrainOptions {
    /// Tokens to have at most, special tokens included.
    pub vocab_size: usize,
    /// Whether texts are lower-cased and stripped of accents first.
    pub lowercase: bool,
    /// How often a pair of pieces must occur to become one.
    pub min_frequency: u64,
    /// The longest input of the model, in tokens.
    pub max_length: usize,
}

impl Default for TrainOptions {
    /// BERT's: 30,522 tokens, lower-cased, pieces that occur twice, 512 tokens.
    fn default() -> Self {
        Self {
            vocab_size: 30_522,
            lowercase: true,
            min_frequency: 2,
            max_length: 512,
        }
    }
}

/// Trains a WordPiece tokenizer with BERT's rules; `[PAD]`, `[UNK]`, `[CLS]`, `[SEP]` and `[MASK]` are ids 0 to 4.
///
/// The same texts, in any order, give the same tokenizer, token for token. The vocabulary is smaller than asked for if
/// the text has no more pairs that are frequent enough.
///
/// # Errors
/// No words in the texts; a vocabulary that cannot hold a single character besides the special tokens.
pub fn train_wordpiece<'a>(
    texts: impl Iterator<Item = &'a str>,
    options: &TrainOptions,
) -> Result<TextTokenizer, TokenizerError> {
    let least = SPECIAL.len() + 1;
    if options.vocab_size < least {
        return Err(TokenizerError::VocabSize {
            found: options.vocab_size,
            least,
        });
    }
    let words = count_words(texts, options.lowercase)?;
    if words.is_empty() {
        return Err(TokenizerError::NoText);
    }
    let vocabulary = Vocabulary::train(&words, options);
    let tokens: Vec<&str> = vocabulary.tokens.iter().map(String::as_str).collect();
    files::wordpiece(&tokens, options.lowercase, options.max_length)
}

/// How often each word occurs, after BERT's normalisation and division into words; by word.
fn count_words<'a>(
    texts: impl Iterator<Item = &'a str>,
    lowercase: bool,
) -> Result<BTreeMap<String, u64>, TokenizerError> {
    const CHUNK: usize = 4096;
    let normalizer = BertNormalizer::new(true, true, None, lowercase);
    let count = |text: &&str| -> Result<HashMap<String, u64>, TokenizerError> {
        let failed = |error: tokenizers::Error| TokenizerError::Encode {
            message: error.to_string(),
        };
        let mut normalized = NormalizedString::from(*text);
        normalizer.normalize(&mut normalized).map_err(failed)?;
        let mut divided = PreTokenizedString::from(normalized);
        BertPreTokenizer
            .pre_tokenize(&mut divided)
            .map_err(failed)?;
        let mut counts = HashMap::new();
        for (word, _, _) in divided.get_splits(OffsetReferential::Normalized, OffsetType::None) {
            if word.chars().count() <= LONGEST_WORD {
                *counts.entry(word.to_string()).or_default() += 1;
            }
        }
        Ok(counts)
    };
    let mut words: HashMap<String, u64> = HashMap::new();
    let mut texts = texts.peekable();
    while texts.peek().is_some() {
        let chunk: Vec<&str> = texts.by_ref().take(CHUNK).collect();
        let counted: Vec<_> = chunk.par_iter().map(count).collect::<Result<_, _>>()?;
        for (word, count) in counted.into_iter().flatten() {
            *words.entry(word).or_default() += count;
        }
    }
    Ok(words.into_iter().collect())
}

type Pair = (u32, u32);

#[derive(Default)]
struct Vocabulary {
    tokens: Vec<String>,
    ids: HashMap<String, u32>,
}

impl Vocabulary {
    /// The id of a token, which is added if it is new.
    fn id(&mut self, token: &str) -> u32 {
        if let Some(&id) = self.ids.get(token) {
            return id;
        }
        let id = self.tokens.len() as u32;
        self.tokens.push(token.to_string());
        self.ids.insert(token.to_string(), id);
        id
    }

    fn train(counts: &BTreeMap<String, u64>, options: &TrainOptions) -> Self {
        let mut vocabulary = Self::default();
        SPECIAL.iter().for_each(|token| {
            vocabulary.id(token);
        });
        vocabulary.add_characters(counts, options.vocab_size - SPECIAL.len());
        let (mut words, counts): (Vec<Vec<u32>>, Vec<u64>) = counts
            .iter()
            .filter_map(|(word, &count)| Some((vocabulary.pieces(word)?, count)))
            .unzip();

        let mut pairs: HashMap<Pair, u64> = HashMap::new();
        let mut places: HashMap<Pair, Vec<usize>> = HashMap::new();
        for (at, word) in words.iter().enumerate() {
            for pair in word.windows(2).map(|pair| (pair[0], pair[1])) {
                *pairs.entry(pair).or_default() += counts[at];
                places.entry(pair).or_default().push(at);
            }
        }
        let mut queue: BinaryHeap<(u64, Reverse<Pair>)> = pairs
            .iter()
            .map(|(&pair, &count)| (count, Reverse(pair)))
            .collect();

        while vocabulary.tokens.len() < options.vocab_size {
            let Some((count, Reverse(pair))) = queue.pop() else {
                break;
            };
            let now = pairs.get(&pair).copied().unwrap_or(0);
            if now != count {
                // An outdated entry. A count that grew has a newer entry; one that shrank gets it here.
                if now > 0 && now < count {
                    queue.push((now, Reverse(pair)));
                }
                continue;
            }
            if count < options.min_frequency.max(1) {
                break;
            }
            let second = &vocabulary.tokens[pair.1 as usize];
            let second = second.strip_prefix("##").unwrap_or(second);
            let merged = format!("{}{second}", vocabulary.tokens[pair.0 as usize]);
            let merged = vocabulary.id(&merged);

            let mut grown: BTreeSet<Pair> = BTreeSet::new();
            let mut at_places = places.remove(&pair).unwrap_or_default();
            at_places.dedup();
            for at in at_places {
                let word = &mut words[at];
                for old in word.windows(2).map(|pair| (pair[0], pair[1])) {
                    if let Some(total) = pairs.get_mut(&old) {
                        *total -= counts[at];
                    }
                }
                merge(word, pair, merged);
                for new in word.windows(2).map(|pair| (pair[0], pair[1])) {
                    *pairs.entry(new).or_default() += counts[at];
                    if new.0 == merged || new.1 == merged {
                        places.entry(new).or_default().push(at);
                        grown.insert(new);
                    }
                }
            }
            pairs.remove(&pair);
            for pair in grown {
                if let Some(&count) = pairs.get(&pair) {
                    queue.push((count, Reverse(pair)));
                }
            }
        }
        vocabulary
    }

    /// Adds the most frequent characters: each as the start of a word, and, where it occurs within one, with `##`.
    fn add_characters(&mut self, counts: &BTreeMap<String, u64>, room: usize) {
        let mut characters: BTreeMap<char, (u64, bool)> = BTreeMap::new();
        for (word, count) in counts {
            for (at, character) in word.chars().enumerate() {
                let (total, within) = characters.entry(character).or_default();
                *total += count;
                *within |= at > 0;
            }
        }
        let mut ranked: Vec<(char, u64, bool)> = characters
            .into_iter()
            .map(|(c, (total, within))| (c, total, within))
            .collect();
        ranked.sort_by_key(|&(character, total, _)| (Reverse(total), character));
        ranked.truncate(MOST_CHARACTERS);
        let mut needed = 0;
        let mut kept: Vec<(char, bool)> = ranked
            .into_iter()
            .take_while(|&(_, _, within)| {
                needed += 1 + usize::from(within);
                needed <= room
            })
            .map(|(character, _, within)| (character, within))
            .collect();
        kept.sort_unstable();
        for (character, _) in &kept {
            self.id(&character.to_string());
        }
        for (character, _) in kept.iter().filter(|(_, within)| *within) {
            self.id(&format!("##{character}"));
        }
    }

    /// A word as single characters; `None` if one is not in the vocabulary, because then WordPiece gives up on the word.
    fn pieces(&self, word: &str) -> Option<Vec<u32>> {
        let piece = |(at, character): (usize, char)| {
            let token = if at == 0 {
                character.to_string()
            } else {
                format!("##{character}")
            };
            self.ids.get(&token).copied()
        };
        word.chars().enumerate().map(piece).collect()
    }
}

/// Replaces each `pair` in `word` by `merged`, from the left.
fn merge(word: &mut Vec<u32>, pair: Pair, merged: u32) {
    let mut to = 0;
    let mut from = 0;
    while from < word.len() {
        if from + 1 < word.len() && (word[from], word[from + 1]) == pair {
            word[to] = merged;
            from += 2;
        } else {
            word[to] = word[from];
            from += 1;
        }
        to += 1;
    }
    word.truncate(to);
}
