//! Tokenizing sentences.

use std::borrow::Cow;
use std::collections::HashMap;

use rayon::prelude::*;
use sha2::{Digest, Sha256};
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::{Model, OffsetReferential, OffsetType, PreTokenizer, Tokenizer};

use crate::error::{CorpusError, DataError};
use crate::sources::stream::hexadecimal;
use crate::tokenizer::{Kmers, TextTokenizer};

/// Bytes of text that a thread tokenizes at a time.
const PORTION: usize = 16 << 10;

/// A cache of tokenized words.
type Known = HashMap<Box<str>, Box<[u32]>>;

/// Upper bounds of the cache: number of words, and bytes of a word.
const KNOWN_WORDS: usize = 1 << 15;
const KNOWN_BYTES: usize = 64;

/// The tokens of consecutive sentences.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    pub(super) ids: Vec<u32>,
    /// Whether each token begins a word; true for all if the tokenizer has no words.
    pub(super) starts: Vec<bool>,
    /// Number of tokens of each sentence; may be 0.
    pub(super) lengths: Vec<usize>,
    /// Whether any sentence has more than a few words.
    pub(super) more_than_words: bool,
}

/// A tokenizer that treats special tokens in the text as ordinary text.
pub(super) struct CorpusTokenizer {
    inner: Tokenizer,
    /// How sequences are split into k-mers before `inner` reads them.
    kmers: Option<Kmers>,
    /// Ids of special tokens, which the text must not produce.
    special: Vec<u32>,
    pub(super) unknown: Option<u32>,
    pub(super) vocab_size: usize,
    pub(super) has_words: bool,
    /// SHA-256, in hexadecimal, of everything that decides the tokens of a text.
    pub(super) hash: String,
}

impl CorpusTokenizer {
    pub(super) fn new(tokenizer: &TextTokenizer) -> Result<Self, DataError> {
        let mut inner = tokenizer.inner().clone();
        let kmers = tokenizer.kmers().cloned();
        let mut json = inner.to_string(false).map_err(failed)?;
        if let Some(kmers) = &kmers {
            json += &kmers.to_string();
        }
        inner.set_encode_special_tokens(true);
        let unknown = tokenizer.unk_id();
        let mut special: Vec<u32> = inner
            .get_added_tokens_decoder()
            .into_iter()
            .filter(|(_, token)| token.special)
            .map(|(id, _)| id)
            .chain([tokenizer.cls_id(), tokenizer.sep_id()])
            .chain(tokenizer.pad_id())
            .chain(tokenizer.mask_id())
            .filter(|&id| Some(id) != unknown)
            .collect();
        special.sort_unstable();
        special.dedup();
        Ok(Self {
            has_words: has_words(tokenizer),
            inner,
            kmers,
            special,
            unknown,
            vocab_size: tokenizer.vocab_size(),
            hash: hexadecimal(&Sha256::digest(json)),
        })
    }

    /// Tokenizes sentences on all cores, in order; `ends` are the ends of the sentences in `text`.
    pub(super) fn encode(&self, text: &str, ends: &[usize]) -> Result<Vec<Tokens>, DataError> {
        // Portions depend only on the text, so the result does too.
        let mut portions = Vec::new();
        let (mut first, mut start) = (0, 0);
        for (at, &end) in ends.iter().enumerate() {
            if end - start >= PORTION || at + 1 == ends.len() {
                portions.push((start, first..at + 1));
                (first, start) = (at + 1, end);
            }
        }
        portions
            .into_par_iter()
            .map_init(Known::new, |known, (start, sentences)| {
                let mut tokens = Tokens::default();
                let mut from = start;
                for &to in &ends[sentences] {
                    self.encode_sentence(&text[from..to], known, &mut tokens)?;
                    from = to;
                }
                Ok(tokens)
            })
            .collect()
    }

    fn encode_sentence(
        &self,
        sentence: &str,
        known: &mut Known,
        tokens: &mut Tokens,
    ) -> Result<(), DataError> {
        // The steps of `Tokenizer::encode_fast`, which does not report words.
        let mut pieces = self
            .inner
            .get_added_vocabulary()
            .extract_and_normalize(self.inner.get_normalizer(), &self.cut(sentence));
        if let Some(pre_tokenizer) = self.inner.get_pre_tokenizer() {
            pre_tokenizer.pre_tokenize(&mut pieces).map_err(failed)?;
        }
        let before = tokens.ids.len();
        let mut words = 0;
        for (text, _, added) in pieces.get_splits(OffsetReferential::Normalized, OffsetType::None) {
            let first = tokens.ids.len();
            match added {
                Some(added) => self.put(added.iter().map(|token| token.id), &mut tokens.ids),
                None => match known.get(text) {
                    Some(ids) => tokens.ids.extend_from_slice(ids),
                    None => {
                        let model = self.inner.get_model();
                        let found = model.tokenize(text).map_err(failed)?;
                        self.put(found.iter().map(|token| token.id), &mut tokens.ids);
                        if known.len() < KNOWN_WORDS && text.len() <= KNOWN_BYTES {
                            known.insert(text.into(), tokens.ids[first..].into());
                        }
                    }
                },
            }
            let found = tokens.ids.len() - first;
            words += usize::from(found > 0);
            tokens
                .starts
                .extend((0..found).map(|at| at == 0 || !self.has_words));
        }
        tokens.lengths.push(tokens.ids.len() - before);
        // Hyphens and apostrophes count as words: up to three words without white space may be one word in a word list.
        // Lines of languages without spaces have more.
        tokens.more_than_words |=
            !self.has_words || words > 3 || sentence.trim().contains(char::is_whitespace);
        Ok(())
    }

    /// Appends ids; text that is spelled like a special token becomes the unknown token, or is dropped if there is none.
    fn put(&self, found: impl Iterator<Item = u32>, ids: &mut Vec<u32>) {
        ids.extend(
            found.filter_map(|id| match self.special.binary_search(&id) {
                Err(_) => Some(id),
                Ok(_) => self.unknown,
            }),
        );
    }

    fn cut<'a>(&self, sentence: &'a str) -> Cow<'a, str> {
        match &self.kmers {
            Some(kmers) => kmers.cut(sentence),
            None => Cow::Borrowed(sentence),
        }
    }

    /// The pieces of a sentence that become the unknown token.
    pub(super) fn unknown_pieces(&self, sentence: &str) -> Result<Vec<String>, DataError> {
        let sentence = &*self.cut(sentence);
        let encoding = self.inner.encode(sentence, false).map_err(failed)?;
        Ok(encoding
            .get_ids()
            .iter()
            .zip(encoding.get_offsets())
            .filter(|(id, _)| Some(**id) == self.unknown)
            .filter_map(|(_, &(from, to))| sentence.get(from..to))
            .map(|piece| crate::error::short(piece.trim()))
            .collect())
    }
}

fn failed(error: tokenizers::Error) -> DataError {
    DataError::Corpus(CorpusError::Tokenise {
        message: error.to_string(),
    })
}

/// Whether a corpus made by this tokenizer records word starts ([`Corpus::has_words`](super::Corpus::has_words)).
pub fn has_words(tokenizer: &TextTokenizer) -> bool {
    let inner = tokenizer.inner();
    inner.get_pre_tokenizer().is_some_and(knows_words)
}

/// Whether a pre-tokenizer splits text into words.
///
/// A custom regular expression, as in tokenizers for chemistry and for single characters, is assumed to match tokens, not
/// words, unless it is combined with a byte-level or metaspace stage.
fn knows_words(pre_tokenizer: &PreTokenizerWrapper) -> bool {
    use PreTokenizerWrapper as Kind;
    match pre_tokenizer {
        Kind::BertPreTokenizer(_) | Kind::Whitespace(_) | Kind::WhitespaceSplit(_) => true,
        Kind::ByteLevel(stage) => stage.use_regex,
        Kind::Metaspace(stage) => stage.split,
        Kind::Sequence(stages) => {
            let stages = stages.as_ref();
            let word_stage = stages.iter().any(|stage| match stage {
                Kind::ByteLevel(_) => true,
                Kind::Metaspace(stage) => stage.split,
                _ => false,
            });
            let own_rule = stages
                .iter()
                .any(|stage| matches!(stage, Kind::Split(_) | Kind::FixedLength(_)));
            match own_rule {
                true => word_stage,
                false => stages.iter().any(knows_words),
            }
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::tokenizer::{
        TokenizerFamily, TokenizerSpec, TokenizerType, TrainOptions, train_tokenizer,
    };

    fn encode(tokenizer: &TextTokenizer, sentence: &str) -> (bool, Tokens) {
        let tokenizer = CorpusTokenizer::new(tokenizer).unwrap();
        let mut tokens = Tokens::default();
        tokenizer
            .encode_sentence(sentence, &mut Known::new(), &mut tokens)
            .unwrap();
        (tokenizer.has_words, tokens)
    }

    #[test]
    fn overlapping_pieces_are_cut_and_their_rule_is_part_of_the_hash() {
        let load = |spec: &str| {
            let spec: TokenizerSpec = spec.parse().unwrap();
            spec.load(None, TokenizerFamily::Bert).unwrap()
        };
        let (has_words, tokens) = encode(&load("kmer:2"), "ACGN");
        assert!(!has_words);
        assert_eq!(tokens.ids, [6, 11, 1]); // AC, CG, unknown
        let hash = |spec: &str| CorpusTokenizer::new(&load(spec)).unwrap().hash;
        assert_eq!(hash("kmer:3"), hash("kmer:3:stride=1"));
        assert_ne!(hash("kmer:3"), hash("kmer:3:stride=2"));
        let tokenizer = CorpusTokenizer::new(&load("kmer:2")).unwrap();
        assert_eq!(tokenizer.unknown_pieces("ACGN").unwrap(), ["GN"]);
    }

    #[test]
    fn words_begin_where_spaces_were_marked() {
        for kind in [TokenizerType::Bpe, TokenizerType::Unigram] {
            let options = TrainOptions {
                kind,
                vocab_size: Some(20),
                ..TrainOptions::default()
            };
            let tokenizer = train_tokenizer(["abc def (abc)"].into_iter(), &options).unwrap();
            let (has_words, tokens) = encode(&tokenizer, "def (abc)");
            assert!(has_words);
            let words = tokens.starts.iter().filter(|&&start| start).count();
            assert_eq!(words, 4); // ▁def ▁( abc )
        }
    }
}
