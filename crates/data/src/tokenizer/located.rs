//! Tokens that know where they lie in the text, the special tokens around them, and tokens beyond the vocabulary.

use tokenizers::{AddedToken, Token};

use super::{Encoding, TextTokenizer, TokenizerError};

/// The tokens of a text, without special tokens.
#[derive(Debug, Clone, Default)]
pub(crate) struct LocatedTokens {
    /// Token ids.
    pub(crate) ids: Vec<u32>,
    /// First byte of each token in the text, and the byte behind its last.
    pub(crate) spans: Vec<(u32, u32)>,
}

/// The special tokens of a tokenizer, as they stand before, between and behind the tokens of one text or two: each with its
/// token type.
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

    /// Where the first text begins.
    pub(crate) fn first_at(&self) -> usize {
        self.before.len()
    }

    /// Where the second text begins, behind a first one of so many tokens.
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
    /// The tokens of a text and where they lie, as `return_offsets_mapping` tells in transformers, but in bytes.
    pub(crate) fn locate(&self, text: &str) -> Result<LocatedTokens, TokenizerError> {
        let places = self.kmers.as_ref().and_then(|kmers| kmers.places(text));
        let encoding = self
            .inner
            .encode(&*self.prepared(text), false)
            .map_err(failed)?;
        // Where the text was cut first, a token lies in one of the pieces, or in several one behind the other.
        let place = |byte: usize| match &places {
            None => byte,
            Some(places) => {
                let piece = places.partition_point(|&(cut, _)| cut <= byte);
                let (cut, at) = places[piece.saturating_sub(1)];
                at + byte - cut
            }
        };
        // Bytes of a character that are tokens of their own stand for the whole character.
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
            let kind = match self.family.has_token_types() {
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

    /// The same tokenizer with more tokens, whose ids follow the largest one; those that it has keep their ids.
    ///
    /// They are special tokens: found in texts as they are spelt, before anything is lower-cased or divided, and saved in
    /// `tokenizer.json`. A model then needs [`TextTokenizer::vocab_size`] rows of embeddings.
    ///
    /// # Errors
    /// [`TokenizerError::Encode`] if the normaliser cannot read a token.
    pub fn with_added_tokens<S: AsRef<str>>(
        mut self,
        tokens: &[S],
    ) -> Result<Self, TokenizerError> {
        let added = tokens
            .iter()
            .map(|token| AddedToken::from(token.as_ref(), true));
        self.inner.add_special_tokens(added).map_err(failed)?;
        // The list of the files it came from lacks them; it is written anew.
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
