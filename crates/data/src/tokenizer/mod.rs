//! Converts texts to token ids, as Hugging Face transformers does.

mod build;
mod documents;
mod error;
mod family;
mod files;
mod kmers;
mod load;
mod located;
mod normalization;
mod save;
mod spec;
mod special_tokens;
mod training;

use std::borrow::Cow;
use std::collections::BTreeMap;

use rayon::prelude::*;
use serde_json::{Map, Value};
use tokenizers::Tokenizer;
use tokenizers::utils::truncation::{
    TruncationDirection, TruncationParams, TruncationStrategy, truncate_encodings,
};

pub use self::error::TokenizerError;
pub use self::family::TokenizerFamily;
pub use self::kmers::Kmers;
pub(crate) use self::located::{LocatedTokens, Reader, Template};
pub use self::normalization::{Normalization, Transliteration, UnicodeForm};
pub(crate) use self::normalization::{SERBIAN, SERBIAN_DIGRAPHS};
pub use self::spec::{TokenizerSpec, read_pattern};
pub use self::training::{
    FrequentWords, Sample, SplitWord, TokenizerTrainer, TokenizerType, TrainOptions, Trained,
    Usage, train_tokenizer,
};

/// The model input for a text or pair of texts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Encoding {
    /// Token ids, special tokens included.
    pub ids: Vec<u32>,
    /// As long as `ids`: 1 for the second text and its last special token if the family uses token types, else 0.
    pub type_ids: Vec<u32>,
    /// Whether tokens were truncated to the maximum length.
    pub truncated: bool,
}

impl Encoding {
    /// Number of tokens, special tokens included.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there are no tokens, not even special ones.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }
}

/// Ids of the special tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct SpecialIds {
    cls: u32,
    sep: u32,
    unk: Option<u32>,
    pad: Option<u32>,
    mask: Option<u32>,
}

/// A tokenizer with the conventions of its encoder family; can be shared between threads.
///
/// Text that spells a special token, such as `[SEP]`, becomes that token, as in transformers.
#[derive(Debug, Clone)]
pub struct TextTokenizer {
    /// Without truncation and padding, which are done here.
    inner: Tokenizer,
    family: TokenizerFamily,
    special: SpecialIds,
    vocab_size: usize,
    model_max_length: Option<usize>,
    warnings: Vec<String>,
    source: Source,
    /// How texts are split into k-mers before `inner` processes them.
    kmers: Option<Kmers>,
}

/// Settings of the original files that are kept when saving.
#[derive(Debug, Clone, Default)]
struct Source {
    /// `tokenizer_config.json`.
    config: Map<String, Value>,
    /// `special_tokens_map.json`, completed from other files: by role, text or description.
    special_tokens: BTreeMap<&'static str, Value>,
    /// `truncation` and `padding` of `tokenizer.json`.
    truncation: Value,
    padding: Value,
}

impl TextTokenizer {
    /// Encodes a text or a pair, truncated to `max_length` tokens, special tokens included.
    ///
    /// A pair that is too long loses tokens at the end of the longer text first, then of both, as with `truncation=True`
    /// in transformers. An empty text becomes special tokens only.
    ///
    /// # Errors
    /// [`TokenizerError::MaxLength`] if `max_length` has no room for the special tokens.
    pub fn encode(
        &self,
        text: &str,
        pair: Option<&str>,
        max_length: usize,
    ) -> Result<Encoding, TokenizerError> {
        let failed = |error: tokenizers::Error| TokenizerError::Encode {
            message: error.to_string(),
        };
        let special = self.special_tokens_added(pair.is_some());
        let room = max_length
            .checked_sub(special)
            .ok_or(TokenizerError::MaxLength {
                max_length,
                special,
            })?;

        let encode = |text: &str| {
            let text = self.prepared(text);
            self.inner.encode_fast(&*text, false).map_err(failed)
        };
        let first = encode(text)?;
        let second = match pair {
            Some(pair) => {
                let mut second = encode(pair)?;
                second.set_type_ids(vec![1; second.len()]);
                Some(second)
            }
            None => None,
        };
        let length = first.len() + second.as_ref().map_or(0, |second| second.len());
        let truncation = TruncationParams {
            direction: TruncationDirection::Right,
            max_length: room,
            strategy: TruncationStrategy::LongestFirst,
            stride: 0,
        };
        let (mut first, mut second) = if length > room {
            truncate_encodings(first, second, &truncation).map_err(failed)?
        } else {
            (first, second)
        };
        // The truncated tokens are kept and would be processed in every combination with those of the other text.
        first.take_overflowing();
        if let Some(second) = &mut second {
            second.take_overflowing();
        }
        let whole = self
            .inner
            .post_process(first, second, true)
            .map_err(failed)?;
        let type_ids = match self.family.conventions().token_types {
            true => whole.get_type_ids().to_vec(),
            false => vec![0; whole.len()],
        };
        Ok(Encoding {
            ids: whole.get_ids().to_vec(),
            type_ids,
            truncated: length > room,
        })
    }

    /// Encodes many texts or pairs on all cores; the results are in the order of the texts.
    ///
    /// # Errors
    /// As [`TextTokenizer::encode`].
    pub fn encode_batch(
        &self,
        texts: &[(&str, Option<&str>)],
        max_length: usize,
    ) -> Result<Vec<Encoding>, TokenizerError> {
        texts
            .par_iter()
            .map(|&(text, pair)| self.encode(text, pair, max_length))
            .collect()
    }

    /// The inner tokenizer, without truncation and padding.
    pub(crate) fn inner(&self) -> &Tokenizer {
        &self.inner
    }

    /// How sequences are split into k-mers before the components in `tokenizer.json` process them.
    pub(crate) fn kmers(&self) -> Option<&Kmers> {
        self.kmers.as_ref()
    }

    /// The text as passed to the components in `tokenizer.json`.
    fn prepared<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match &self.kmers {
            Some(kmers) => kmers.cut(text),
            None => Cow::Borrowed(text),
        }
    }

    /// Number of characters of a text, excluding white space, that are in no token because the tokenizer's pattern does
    /// not match them.
    ///
    /// # Errors
    /// [`TokenizerError::Encode`]
    pub fn dropped(&self, text: &str) -> Result<usize, TokenizerError> {
        let text = self.prepared(text);
        let failed = |error: tokenizers::Error| TokenizerError::Encode {
            message: error.to_string(),
        };
        let encoding = self.inner.encode(&*text, false).map_err(failed)?;
        let mut covered = vec![false; text.len()];
        for &(from, to) in encoding.get_offsets() {
            covered[from..to].fill(true);
        }
        let dropped = |(at, letter): &(usize, char)| !covered[*at] && !letter.is_whitespace();
        Ok(text.char_indices().filter(dropped).count())
    }

    /// Number of special tokens in an encoded text or pair.
    pub fn special_tokens_added(&self, pair: bool) -> usize {
        use tokenizers::PostProcessor;
        self.inner
            .get_post_processor()
            .map_or(0, |processor| processor.added_tokens(pair))
    }

    /// The family of the tokenizer.
    pub fn family(&self) -> TokenizerFamily {
        self.family
    }

    /// The same tokenizer with the conventions of another family; only token types and saved class names differ.
    pub fn with_family(mut self, family: TokenizerFamily) -> Self {
        self.family = family;
        self.source.config.remove("tokenizer_class");
        self
    }

    /// The maximum input length of the model, in tokens, if the tokenizer's files specify it.
    pub fn model_max_length(&self) -> Option<usize> {
        self.model_max_length
    }

    /// Sets the maximum input length of the model, in tokens, as written by [`TextTokenizer::save`].
    pub fn with_model_max_length(mut self, tokens: usize) -> Self {
        self.model_max_length = Some(tokens);
        self
    }

    /// Warnings about the tokenizer's files, for display.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The largest token id plus one, added tokens included: the number of rows of the embedding.
    pub fn vocab_size(&self) -> usize {
        self.vocab_size
    }

    /// The token of an id.
    pub fn token(&self, id: u32) -> Option<String> {
        self.inner.id_to_token(id)
    }

    /// The id of a token.
    pub fn id(&self, token: &str) -> Option<u32> {
        self.inner.token_to_id(token)
    }

    /// Id of the token at the start of every input: `[CLS]` or `<s>`.
    pub fn cls_id(&self) -> u32 {
        self.special.cls
    }

    /// Id of the token at the end of every text: `[SEP]` or `</s>`.
    pub fn sep_id(&self) -> u32 {
        self.special.sep
    }

    /// Id of the unknown token.
    pub fn unk_id(&self) -> Option<u32> {
        self.special.unk
    }

    /// Id of the padding token; unused in this crate.
    pub fn pad_id(&self) -> Option<u32> {
        self.special.pad
    }

    /// Id of the mask token.
    pub fn mask_id(&self) -> Option<u32> {
        self.special.mask
    }
}

#[cfg(test)]
mod tests;
