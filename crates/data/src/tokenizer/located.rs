//! Tokens with their positions in the text, special-token templates, and tokens added to a vocabulary.

use rustc_hash::FxHashMap;
use tokenizers::{AddedToken, NormalizerWrapper, PreTokenizerWrapper, Token};

use super::{Encoding, TextTokenizer, TokenizerError};

/// The tokens of a text, without special tokens.
#[derive(Debug, Clone, Default)]
pub(crate) struct LocatedTokens {
    /// Token ids.
    pub(crate) ids: Vec<u32>,
    /// Byte range of each token in the text: first, and one past the last.
    pub(crate) spans: Vec<(u32, u32)>,
}

/// Maximum number of words cached by a [`Reader`], and maximum length of a cached word in bytes.
const KNOWN_WORDS: usize = 1 << 15;
const KNOWN_BYTES: usize = 64;

/// Tokenizes texts one at a time and caches their words, so that a repeated word costs only a look-up.
///
/// The tokens are those of [`TextTokenizer::locate`]. Text between white space is cached if the tokenizer processes it
/// independently of its context, as BERT's do; other tokenizers process every text in full.
pub(crate) struct Reader<'a> {
    tokenizer: &'a TextTokenizer,
    by_words: bool,
    known: FxHashMap<Box<str>, LocatedTokens>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(tokenizer: &'a TextTokenizer) -> Self {
        Self {
            by_words: tokenizer.reads_by_words(),
            tokenizer,
            known: FxHashMap::default(),
        }
    }

    /// As [`TextTokenizer::locate`].
    pub(crate) fn locate(&mut self, text: &str) -> Result<LocatedTokens, TokenizerError> {
        if !self.by_words {
            return self.tokenizer.locate(text);
        }
        let mut tokens = LocatedTokens::default();
        self.for_each(text, |at, word| {
            tokens.ids.extend_from_slice(&word.ids);
            let moved = |&(from, to): &(u32, u32)| (from + at, to + at);
            tokens.spans.extend(word.spans.iter().map(moved));
        })?;
        Ok(tokens)
    }

    /// As [`TextTokenizer::ids`].
    pub(crate) fn ids(&mut self, text: &str) -> Result<Vec<u32>, TokenizerError> {
        if !self.by_words {
            return self.tokenizer.ids(text);
        }
        let mut ids = Vec::new();
        self.for_each(text, |_, word| ids.extend_from_slice(&word.ids))?;
        Ok(ids)
    }

    /// Calls the closure with each word of a text and its byte offset.
    fn for_each(
        &mut self,
        text: &str,
        mut put: impl FnMut(u32, &LocatedTokens),
    ) -> Result<(), TokenizerError> {
        for word in text.split([' ', '\n', '\t', '\r']) {
            if word.is_empty() {
                continue;
            }
            let at = (word.as_ptr() as usize - text.as_ptr() as usize) as u32;
            if let Some(tokens) = self.known.get(word) {
                put(at, tokens);
                continue;
            }
            let tokens = self.tokenizer.locate(word)?;
            put(at, &tokens);
            if word.len() <= KNOWN_BYTES && self.known.len() < KNOWN_WORDS {
                self.known.insert(word.into(), tokens);
            }
        }
        Ok(())
    }
}

/// The special tokens before, between and after the tokens of one or two texts, each with its token type.
#[derive(Debug, Clone, Default)]
pub(crate) struct Template {
    before: Vec<(u32, u32)>,
    between: Vec<(u32, u32)>,
    behind: Vec<(u32, u32)>,
    /// Token type of the second text.
    second: u32,
}

impl Template {
    /// Number of special tokens.
    pub(crate) fn len(&self) -> usize {
        self.before.len() + self.between.len() + self.behind.len()
    }

    /// Position of the first token of the first text.
    pub(crate) fn first_at(&self) -> usize {
        self.before.len()
    }

    /// Position of the first token of the second text, given the number of tokens of the first.
    pub(crate) fn second_at(&self, first: usize) -> usize {
        self.before.len() + first + self.between.len()
    }

    /// Appends the ids and token types of a text, or a pair.
    pub(crate) fn put(
        &self,
        first: &[u32],
        second: &[u32],
        ids: &mut Vec<u32>,
        type_ids: &mut Vec<u32>,
    ) {
        let parts = [
            (&self.before, first, 0),
            (&self.between, second, self.second),
            (&self.behind, &[][..], 0),
        ];
        for (special, text, kind) in parts {
            ids.extend(special.iter().map(|(id, _)| id));
            type_ids.extend(special.iter().map(|(_, kind)| kind));
            ids.extend_from_slice(text);
            type_ids.extend(std::iter::repeat_n(kind, text.len()));
        }
    }

    /// A text with its special tokens.
    pub(crate) fn encoding(&self, first: &[u32], second: &[u32]) -> Encoding {
        let length = self.len() + first.len() + second.len();
        let mut encoding = Encoding {
            ids: Vec::with_capacity(length),
            type_ids: Vec::with_capacity(length),
            truncated: false,
        };
        self.put(first, second, &mut encoding.ids, &mut encoding.type_ids);
        encoding
    }
}

impl TextTokenizer {
    /// The tokens of a text and their positions, as `return_offsets_mapping` returns in transformers, but in bytes.
    pub(crate) fn locate(&self, text: &str) -> Result<LocatedTokens, TokenizerError> {
        let places = self.kmers.as_ref().and_then(|kmers| kmers.places(text));
        let encoding = self
            .inner
            .encode(&*self.prepared(text), false)
            .map_err(failed)?;
        // If the text was split first, a token is within one piece or spans consecutive ones.
        let place = |byte: usize| match &places {
            None => byte,
            Some(places) => {
                let piece = places.partition_point(|&(cut, _)| cut <= byte);
                let (cut, at) = places[piece.saturating_sub(1)];
                at + byte - cut
            }
        };
        // A token for some bytes of a character covers the whole character.
        let span = |&(from, to): &(usize, usize)| {
            let (from, to) = match from < to {
                true => (place(from), place(to - 1) + 1),
                false => (place(from), place(from)),
            };
            let from = (0..=from.min(text.len())).rev();
            let from = from.take(4).find(|&at| text.is_char_boundary(at));
            let to = (to..text.len()).find(|&at| text.is_char_boundary(at));
            (from.unwrap_or(0) as u32, to.unwrap_or(text.len()) as u32)
        };
        Ok(LocatedTokens {
            ids: encoding.get_ids().to_vec(),
            spans: encoding.get_offsets().iter().map(span).collect(),
        })
    }

    /// Whether text between white space is tokenized independently of its context.
    fn reads_by_words(&self) -> bool {
        let inner = &self.inner;
        let pre_tokenizer = matches!(
            inner.get_pre_tokenizer(),
            Some(PreTokenizerWrapper::BertPreTokenizer(_))
        );
        let normalizer = matches!(
            inner.get_normalizer(),
            None | Some(NormalizerWrapper::BertNormalizer(_))
        );
        let added = inner.get_added_vocabulary().get_added_tokens_decoder();
        let alone = |token: &AddedToken| {
            !token.lstrip && !token.rstrip && !token.content.contains(char::is_whitespace)
        };
        self.kmers.is_none() && pre_tokenizer && normalizer && added.values().all(alone)
    }

    /// The token ids of a text, without special tokens.
    pub(crate) fn ids(&self, text: &str) -> Result<Vec<u32>, TokenizerError> {
        let encoding = self.inner.encode_fast(&*self.prepared(text), false);
        Ok(encoding.map_err(failed)?.get_ids().to_vec())
    }

    /// The special tokens around a text, or a pair of texts.
    pub(crate) fn template(&self, pair: bool) -> Result<Template, TokenizerError> {
        let text = || {
            let token = Token::new(self.special.sep, String::new(), (0, 0));
            tokenizers::Encoding::from_tokens(vec![token], 0)
        };
        let whole = self
            .inner
            .post_process(text(), pair.then(text), true)
            .map_err(failed)?;
        let mut template = Template::default();
        let mut seen = 0;
        let sequences = whole.get_sequence_ids();
        for (at, (&id, &kind)) in whole.get_ids().iter().zip(whole.get_type_ids()).enumerate() {
            let kind = match self.family.conventions().token_types {
                true => kind,
                false => 0,
            };
            match (sequences.get(at).copied().flatten(), seen) {
                (Some(1), _) => {
                    template.second = kind;
                    seen = 2;
                }
                (Some(_), _) => seen = 1,
                (None, 0) => template.before.push((id, kind)),
                (None, 1) if pair => template.between.push((id, kind)),
                (None, _) => template.behind.push((id, kind)),
            }
        }
        Ok(template)
    }

    /// Adds tokens to the tokenizer; their ids follow the largest one, and existing tokens keep their ids.
    ///
    /// They are special tokens: matched exactly in texts before lower-casing and splitting, and saved in
    /// `tokenizer.json`. A model then needs [`TextTokenizer::vocab_size`] rows of embeddings.
    ///
    /// # Errors
    /// [`TokenizerError::Encode`] if the normaliser fails on a token.
    pub fn with_added_tokens<S: AsRef<str>>(
        mut self,
        tokens: &[S],
    ) -> Result<Self, TokenizerError> {
        let added = tokens
            .iter()
            .map(|token| AddedToken::from(token.as_ref(), true));
        self.inner.add_special_tokens(added).map_err(failed)?;
        // The original list lacks them; it is written again.
        self.source.config.shift_remove("added_tokens_decoder");
        let largest = self.inner.get_vocab(true).into_values().max();
        self.vocab_size = largest.map_or(0, |id| id as usize + 1);
        Ok(self)
    }
}

fn failed(error: tokenizers::Error) -> TokenizerError {
    TokenizerError::Encode {
        message: error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;
    use crate::tokenizer::{TokenizerFamily, TokenizerSpec, TrainOptions, train_tokenizer};

    proptest! {
        #[test]
        fn remembered_words_become_the_tokens_of_the_whole_text(
            parts in prop::collection::vec(
                prop_oneof![
                    "[ \\t\\n\\r]{1,2}", "[a-eA-E]{1,5}", "[.,!-]", "\\PC{1,3}",
                    Just("é\u{301}".to_string()), Just("[SEP]".to_string()), Just("\u{a0}\u{1}\u{200b}".to_string()),
                    Just("\u{301}".to_string()), Just("語語".to_string()),
                ],
                0..40,
            ),
        ) {
            let text = parts.concat();
            let tokenizer = train_tokenizer(["abc bcd cde é 語 . ,"].into_iter(), &TrainOptions::default()).unwrap();
            let mut reader = Reader::new(&tokenizer);
            assert!(reader.by_words);
            let whole = tokenizer.locate(&text).unwrap();
            for _ in 0..2 {
                let words = reader.locate(&text).unwrap();
                prop_assert_eq!(&words.ids, &whole.ids);
                prop_assert_eq!(&words.spans, &whole.spans);
            }
            prop_assert_eq!(reader.ids(&text).unwrap(), whole.ids);
        }
    }

    #[test]
    fn tokens_of_overlapping_pieces_know_where_they_lie() {
        let spec: TokenizerSpec = "kmer:3:stride=1".parse().unwrap();
        let tokenizer = spec.load(None, TokenizerFamily::Bert).unwrap();
        let mut reader = Reader::new(&tokenizer);
        assert!(!reader.by_words);
        let tokens = reader.locate("ACGT  TTTA").unwrap();
        assert_eq!(tokens.spans, [(0, 3), (1, 4), (6, 9), (7, 10)]);
        assert_eq!(tokens.ids, reader.ids("ACGT TTTA").unwrap());
    }
}
