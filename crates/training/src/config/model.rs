//! Where the encoder and its tokenizer come from.

use std::path::PathBuf;

use bertkit_data::tokenizer::TokenizerSpec;
use bertkit_model::{Family, Precision};
use serde::{Deserialize, Serialize};
use toml::Value;

use super::flag::flag;
use super::range::at_least;
use super::setting::{plain_values, settings};

settings! {
    /// Where the encoder comes from: a folder, or fresh weights of given sizes.
    pub struct ModelConfig {
        /// A model folder in Hugging Face's layout.
        path: Option<PathBuf> => {
            .flag(flag("Model", "model", "Model folder in Hugging Face's layout to start from; without one, [option.config] \
                    gives the sizes of a fresh model").value("DIR").only("finetune").replaces(&["model.fresh"]))
            .flag(flag("Model", "model", "Model folder, or directory of a run, to continue from; without one, [option.config] \
                    gives the sizes of a fresh model").value("DIR").only("pretrain").replaces(&["model.fresh"]))
        },
        /// Sizes of an encoder that starts from fresh weights.
        fresh: Option<FreshModel>,
        /// Dropout of the hidden layers, instead of the checkpoint's.
        hidden_dropout: Option<f64> => { .range(at_least(0.0).less_than(1.0)) },
        /// Dropout of the attention weights, instead of the checkpoint's.
        attention_dropout: Option<f64> => { .range(at_least(0.0).less_than(1.0)) },
        /// Dropout before the head, instead of the checkpoint's.
        classifier_dropout: Option<f64> => { .range(at_least(0.0).less_than(1.0)) },
    }
}

settings! {
    /// Sizes of a fresh encoder.
    pub struct FreshModel without default {
        /// bert, roberta, electra, distilbert or albert.
        #[serde(default)]
        family: Family => { .default("bert") },
        /// Number of layers.
        num_hidden_layers: usize,
        /// Width.
        hidden_size: usize,
        /// Attention heads per layer.
        num_attention_heads: usize,
        /// Width of the feed-forward block.
        intermediate_size: usize,
        /// Rows of the position embedding.
        #[serde(default = "positions")]
        max_position_embeddings: usize => { .default(512) },
        /// Width of the embeddings (ELECTRA, ALBERT); that of the layers if not given.
        embedding_size: Option<usize>,
        /// Standard deviation of the fresh weights; 0.02 if not given, as in BERT. A narrow encoder leaves the plateau
        /// of word frequencies sooner with 1 / √width.
        initializer_range: Option<f64>,
        /// Dropout of the hidden layers.
        #[serde(default = "tenth")]
        hidden_dropout: f64 => { .range(at_least(0.0).less_than(1.0)).default(0.1) },
        /// Dropout of the attention weights.
        #[serde(default = "tenth")]
        attention_dropout: f64 => { .range(at_least(0.0).less_than(1.0)).default(0.1) },
    }
}

const fn positions() -> usize {
    512
}

const fn tenth() -> f64 {
    0.1
}

settings! {
    /// The tokenizer, or the one to train where none is given.
    pub struct TokenizerConfig {
        /// A folder with a tokenizer, or a rule: char, kmer:K, kmer:K:stride=S, regex:FILE; without it, that of the
        /// model, or one trained on the training text for a fresh model.
        path: Option<PathBuf> => {
            .flag(flag("Model", "tokenizer", "A folder with a tokenizer, or a rule: char, kmer:K, kmer:K:stride=S, regex:FILE").value("DIR").only("finetune")
                .default("the model's; trained on the training text for a fresh one"))
            .flag(flag("Model", "tokenizer", "A folder with a tokenizer, or a rule: char, kmer:K, kmer:K:stride=S, regex:FILE").value("DIR").only("pretrain").with(tokenizer)
                .default("the model's; trained on the text for a fresh one"))
        },
        /// The kind of tokenizer to train.
        kind as "type": TokenizerKind = TokenizerKind::Wordpiece,
        /// The largest vocabulary to train; the text decides what is reached.
        vocab_size: usize = 8000 => {
            .flag(flag("Model", "vocab-size", "Tokens at most, where a tokenizer is trained on the text").value("N").only("pretrain").conflicts(&["tokenizer", "model"]))
        },
        /// Whether text is lower-cased and accents are stripped.
        lowercase: bool = true,
        /// A pair of word pieces is merged if it occurs at least this often.
        min_frequency: u64 = 2,
    }
}

/// The kinds of tokenizer that fine-tuning trains on the spot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TokenizerKind {
    /// WordPiece, as BERT's.
    Wordpiece,
}

plain_values!(TokenizerKind, Family, Precision);

fn tokenizer(text: &str) -> Result<Value, String> {
    let spec = text.parse::<TokenizerSpec>().map_err(|e| e.to_string())?;
    Ok(Value::String(spec.to_string()))
}
