//! Masking settings, including those of published models.

use serde::{Deserialize, Serialize};

use super::error::MaskingError;

/// The unit of masking.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum MaskUnit {
    /// Single tokens.
    #[default]
    Token,
    /// All tokens of a word or none; the replacement of each token is drawn separately, as in BERT's published code.
    ///
    /// Words that would exceed the number of tokens to mask are skipped, so slightly fewer tokens may be masked, and a
    /// short sequence of long words may have no mask at all.
    WholeWord,
    /// Consecutive words, masked, replaced or kept together (Joshi et al. 2020, §3.1). Tokens, if the tokenizer has no
    /// words.
    ///
    /// A span starts at the word of a random token and ends early at a special token, at a masked word and where the
    /// next word would exceed the number of tokens to mask. The published code instead splits such a word, continues
    /// through masked words, and excludes special tokens from the count, rounding up.
    Span {
        /// `p` of the geometric distribution of lengths in words, `p (1 − p)^(length − 1)`, in (0, 1]. 0.2 in the paper.
        probability: f64,
        /// The longest span in words, where the distribution is truncated. 10 in the paper.
        longest: usize,
    },
}

/// How tokens are chosen to be predicted, and what the model sees in their place.
///
/// In a sequence of `n` tokens, special ones included, round(`rate` · `n`) are chosen, but at least one and at most
/// `max_predictions`; halves are rounded to even, as in the published code (ELECTRA's rounds some halves the other way,
/// because it multiplies in single precision). Special tokens are never chosen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Masking {
    /// The share of tokens to predict, in (0, 1].
    pub rate: f64,
    /// The share of these that become the mask token.
    pub mask_share: f64,
    /// The share that become a random token; the rest is kept.
    pub random_share: f64,
    /// Whether a random token can be a special one. All tokens of the vocabulary are equally likely either way.
    pub random_special: bool,
    /// The unit of masking.
    pub unit: MaskUnit,
    /// Whether a token can be chosen several times, so that fewer tokens are masked. It becomes a mask token if any of
    /// its draws does, and is predicted once. For [`MaskUnit::Token`] only.
    pub with_replacement: bool,
    /// Upper bound of the predictions in a sequence.
    pub max_predictions: Option<usize>,
}

impl Default for Masking {
    fn default() -> Self {
        Self::bert()
    }
}

impl Masking {
    /// BERT's: 15%, of which 80% become the mask token and 10% any token (Devlin et al. 2019, §3.1).
    ///
    /// The published data had at most 20 predictions in 128 tokens, a limit that 15% does not reach.
    pub fn bert() -> Self {
        Self {
            rate: 0.15,
            mask_share: 0.8,
            random_share: 0.1,
            random_special: true,
            unit: MaskUnit::Token,
            with_replacement: false,
            max_predictions: None,
        }
    }

    /// RoBERTa's and GottBERT's: as BERT's, but random tokens are never special tokens (Liu et al. 2019 and fairseq).
    ///
    /// fairseq rounds the number of predictions up or down at random, and can mask `<s>` and `</s>`.
    pub fn roberta() -> Self {
        Self {
            random_special: false,
            ..Self::bert()
        }
    }

    /// BERT's later whole-word models, and Bioformer: whole words.
    pub fn whole_word() -> Self {
        Self {
            unit: MaskUnit::WholeWord,
            ..Self::bert()
        }
    }

    /// SpanBERT's: spans of 1 to 10 words (Joshi et al. 2020, §3.1).
    pub fn span() -> Self {
        Self {
            unit: MaskUnit::Span {
                probability: 0.2,
                longest: 10,
            },
            random_special: false,
            ..Self::bert()
        }
    }

    /// BERT's at 25%, as in Geiping and Goldstein 2023 (cramming).
    pub fn cramming() -> Self {
        Self {
            rate: 0.25,
            ..Self::bert()
        }
    }

    /// ELECTRA's: 15%, or 25% for its large model, drawn with replacement; 85% become the mask token, the rest is kept
    /// (Clark et al. 2020 and the published code).
    ///
    /// In the published code a token that is drawn twice counts twice in the generator's loss; here it counts once.
    pub fn electra(large: bool, max_length: usize) -> Self {
        let rate = if large { 0.25 } else { 0.15 };
        Self {
            rate,
            mask_share: 0.85,
            random_share: 0.0,
            random_special: true,
            unit: MaskUnit::Token,
            with_replacement: true,
            max_predictions: Some((((rate + 0.005) * max_length as f64) as usize).max(1)),
        }
    }

    /// Checks ranges and conflicting settings. `has_words` states whether the corpus has words.
    ///
    /// # Errors
    /// All problems found.
    pub fn check(&self, has_words: bool) -> Result<(), Vec<MaskingError>> {
        let mut problems = Vec::new();
        let mut range = |name, value: f64, least: &'static str, fits: bool| {
            if !fits {
                problems.push(MaskingError::Range { name, value, least });
            }
        };
        let positive = |value: f64| value > 0.0 && value <= 1.0;
        let share = |value: f64| (0.0..=1.0).contains(&value);
        range("rate", self.rate, "more than 0", positive(self.rate));
        range("mask_share", self.mask_share, "0", share(self.mask_share));
        range(
            "random_share",
            self.random_share,
            "0",
            share(self.random_share),
        );
        if let MaskUnit::Span { probability, .. } = self.unit {
            range(
                "span.probability",
                probability,
                "more than 0",
                positive(probability),
            );
        }
        // Decimal shares such as 0.7 and 0.3 need not add up to exactly 1.
        if share(self.mask_share)
            && share(self.random_share)
            && self.mask_share + self.random_share > 1.0 + 1e-9
        {
            problems.push(MaskingError::Shares {
                mask: self.mask_share,
                random: self.random_share,
            });
        }
        if self.max_predictions == Some(0) {
            problems.push(MaskingError::Zero {
                name: "max_predictions",
            });
        }
        if matches!(self.unit, MaskUnit::Span { longest: 0, .. }) {
            problems.push(MaskingError::Zero {
                name: "span.longest",
            });
        }
        if self.unit == MaskUnit::WholeWord && !has_words {
            problems.push(MaskingError::NoWords);
        }
        if self.with_replacement && self.unit != MaskUnit::Token {
            problems.push(MaskingError::Replacement);
        }
        if problems.is_empty() {
            Ok(())
        } else {
            Err(problems)
        }
    }
}
