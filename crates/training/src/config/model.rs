//! Where the encoder and its tokenizer come from.

use std::path::PathBuf;

use bertkit_model::Family;
use serde::{Deserialize, Serialize};

/// Where the encoder comes from: a folder, or fresh weights of given sizes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ModelConfig {
    /// A model folder in Hugging Face's layout.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
    /// Sizes of an encoder that starts from fresh weights.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fresh: Option<FreshModel>,
    /// Dropout of the hidden layers instead of the checkpoint's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hidden_dropout: Option<f64>,
    /// Dropout of the attention weights instead of the checkpoint's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attention_dropout: Option<f64>,
    /// Dropout before the head instead of the checkpoint's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub classifier_dropout: Option<f64>,
}

/// Sizes of a fresh encoder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FreshModel {
    /// bert, roberta, electra or distilbert.
    #[serde(default = "bert")]
    pub family: Family,
    /// Number of layers.
    pub num_hidden_layers: usize,
    /// Width.
    pub hidden_size: usize,
    /// Heads a layer.
    pub num_attention_heads: usize,
    /// Width of the feed-forward block.
    pub intermediate_size: usize,
    /// Rows of the position embedding.
    #[serde(default = "positions")]
    pub max_position_embeddings: usize,
    /// Width of the embeddings (ELECTRA); the layers' width if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub embedding_size: Option<usize>,
    /// Standard deviation of the fresh weights; 0.02 if not given, as in BERT. A narrow encoder leaves the level of word
    /// frequencies sooner with 1 / √width.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub initializer_range: Option<f64>,
    /// Dropout of the hidden layers.
    #[serde(default = "tenth")]
    pub hidden_dropout: f64,
    /// Dropout of the attention weights.
    #[serde(default = "tenth")]
    pub attention_dropout: f64,
}

const fn bert() -> Family {
    Family::Bert
}

const fn positions() -> usize {
    512
}

const fn tenth() -> f64 {
    0.1
}

/// The tokenizer of a fresh model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TokenizerConfig {
    /// A folder with a tokenizer, or a rule: char, kmer:K, kmer:K:stride=S, regex:FILE; without it, one is trained from the
    /// training text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
    /// What is trained.
    #[serde(rename = "type")]
    pub kind: TokenizerKind,
    /// At most this many tokens; the text decides what is reached.
    pub vocab_size: usize,
    /// Whether text is lower-cased and accents are stripped.
    pub lowercase: bool,
    /// A pair of pieces is joined if it occurs at least this often.
    pub min_frequency: u64,
}

impl Default for TokenizerConfig {
    fn default() -> Self {
        Self {
            path: None,
            kind: TokenizerKind::Wordpiece,
            vocab_size: 8000,
            lowercase: true,
            min_frequency: 2,
        }
    }
}

/// The kinds of tokenizer that fine-tuning trains on the spot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TokenizerKind {
    /// WordPiece, as BERT's.
    Wordpiece,
}
