//! The description of a family, and the configuration of a model that belongs to one.

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::names::Names;
use crate::architecture::Architecture;
use crate::config_error::ConfigError;
use crate::spec::{
    Activation, BlockSpec, EmbeddingSpec, EncoderSpec, MlpSpec, NormPlacement, Positions,
};

/// A value of `model_type` in `config.json`.
#[derive(Debug, PartialEq, Eq)]
pub struct ModelType {
    /// The value.
    pub name: &'static str,
    /// The prefix of its class names in transformers: `Bert` in `BertForMaskedLM`.
    pub class_prefix: &'static str,
}

/// The description of an encoder family.
pub struct FamilyDescriptor {
    /// The values of `model_type`; the first names the family. Others are the same architecture under another name.
    pub model_types: &'static [ModelType],
    /// The keys of `config.json`.
    pub(crate) keys: ConfigKeys,
    /// Values for keys that are absent from `config.json`, and for fresh configurations.
    pub(crate) defaults: Defaults,
    /// The names of the tensors.
    pub(crate) names: Names,
    /// The heads that the family has in transformers, in addition to those that every family has.
    pub(crate) heads: &'static [Architecture],
    /// The classes that have a pooler.
    pub(crate) poolers: &'static [Architecture],
    /// Checks the keys of `config.json` that only this family has.
    pub(crate) check: fn(&EncoderConfig, &Path) -> Result<(), ConfigError>,
    /// The architecture that a configuration describes.
    pub(crate) spec: fn(&EncoderConfig) -> EncoderSpec,
    /// How a configuration's heads are built.
    pub(crate) head_spec: fn(&EncoderConfig) -> HeadSpec,
    /// How its tokenizers build inputs.
    pub tokenizer: TokenizerStyle,
}

impl std::fmt::Debug for FamilyDescriptor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl std::fmt::Display for FamilyDescriptor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl PartialEq for FamilyDescriptor {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl FamilyDescriptor {
    /// The name of the family: its first `model_type`.
    pub const fn name(&self) -> &'static str {
        self.model_types[0].name
    }

    /// Whether transformers has the head for this family, so that it can load the model.
    pub fn has_head(&self, architecture: Architecture) -> bool {
        architecture.is_common() || self.heads.contains(&architecture)
    }

    /// Whether the class has a pooler.
    pub(crate) fn has_pooler(&self, architecture: Architecture) -> bool {
        self.poolers.contains(&architecture)
    }

    /// The usual id of the padding token.
    pub fn pad_token_id(&self) -> usize {
        self.defaults.pad_token_id
    }

    /// Whether the embeddings may differ in width from the blocks.
    pub fn has_embedding_width(&self) -> bool {
        self.keys.embedding_size.is_some()
    }
}

/// What a sequence classifier's outputs mean; `problem_type` in `config.json`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProblemType {
    /// One class per row: softmax.
    SingleLabelClassification,
    /// Any number of classes per row: a sigmoid each.
    MultiLabelClassification,
    /// Real numbers: no activation.
    Regression,
}

/// The configuration of a model: what its `config.json` says.
///
/// Sizes are counts; dropout values are probabilities.
#[derive(Debug, Clone, PartialEq)]
pub struct EncoderConfig {
    /// The family, which decides tensor names, embeddings and heads.
    pub family: &'static FamilyDescriptor,
    /// The `model_type` in the file.
    pub model_type: &'static ModelType,
    /// Rows of the word embedding.
    pub vocab_size: usize,
    /// Width of the layers.
    pub hidden_size: usize,
    /// Width of the embeddings; differs from `hidden_size` only if the family projects them.
    pub embedding_size: usize,
    /// Number of transformer layers (in ALBERT, of layer groups applied in turn).
    pub num_hidden_layers: usize,
    /// Attention heads per layer; divides `hidden_size`.
    pub num_attention_heads: usize,
    /// Width of the feed-forward block.
    pub intermediate_size: usize,
    /// Nonlinearity of the feed-forward block.
    pub hidden_act: Activation,
    /// Dropout after embeddings and after each block.
    pub hidden_dropout: f64,
    /// Dropout on attention weights.
    pub attention_dropout: f64,
    /// Dropout before a task head.
    pub classifier_dropout: f64,
    /// Rows of the position embedding.
    pub max_position_embeddings: usize,
    /// Rows of the token-type embedding; 0 where the family has none.
    pub type_vocab_size: usize,
    /// Added to the variance in LayerNorm.
    pub layer_norm_eps: f64,
    /// The id of the padding token.
    pub pad_token_id: usize,
    /// Standard deviation of fresh weights.
    pub initializer_range: f64,
    /// Whether the masked-LM decoder is the word embedding itself.
    pub tie_word_embeddings: bool,
    /// Class names by id, when the file names them.
    pub labels: Option<Vec<String>>,
    /// `num_labels` as given in the file next to `id2label`.
    pub num_labels: Option<usize>,
    /// What a sequence classifier's outputs mean, if given in the file.
    pub problem_type: Option<ProblemType>,
    /// The class names under `architectures`.
    pub architectures: Vec<String>,
    /// All other keys of the file: read by the family, and written back.
    pub extra: Map<String, Value>,
}

/// The keys of a family in `config.json`; `None` if it has no such key.
#[derive(Debug)]
pub(crate) struct ConfigKeys {
    pub hidden_size: &'static str,
    pub embedding_size: Option<&'static str>,
    pub num_hidden_layers: &'static str,
    pub num_attention_heads: &'static str,
    pub intermediate_size: &'static str,
    pub hidden_act: &'static str,
    pub hidden_dropout: &'static str,
    pub attention_dropout: &'static str,
    pub classifier_dropout: &'static str,
    pub type_vocab_size: Option<&'static str>,
    pub layer_norm_eps: Option<&'static str>,
    /// Keys that are written with a fixed value, and must have it when read.
    pub fixed: &'static [(&'static str, Fixed)],
}

/// The only allowed value of a key.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fixed {
    Bool(bool),
    Text(&'static str),
}

impl From<Fixed> for Value {
    fn from(value: Fixed) -> Self {
        match value {
            Fixed::Bool(value) => value.into(),
            Fixed::Text(value) => value.into(),
        }
    }
}

impl ConfigKeys {
    /// The keys of BERT, which most families share.
    pub const BERT: Self = Self {
        hidden_size: "hidden_size",
        embedding_size: None,
        num_hidden_layers: "num_hidden_layers",
        num_attention_heads: "num_attention_heads",
        intermediate_size: "intermediate_size",
        hidden_act: "hidden_act",
        hidden_dropout: "hidden_dropout_prob",
        attention_dropout: "attention_probs_dropout_prob",
        classifier_dropout: "classifier_dropout",
        type_vocab_size: Some("type_vocab_size"),
        layer_norm_eps: Some("layer_norm_eps"),
        fixed: &[("position_embedding_type", Fixed::Text("absolute"))],
    };
}

/// Published defaults of a family.
#[derive(Debug)]
pub(crate) struct Defaults {
    pub hidden_act: Activation,
    pub hidden_dropout: f64,
    pub attention_dropout: f64,
    pub max_position_embeddings: usize,
    pub type_vocab_size: usize,
    /// For a fresh configuration; 1e-12 for a file without the key.
    pub layer_norm_eps: f64,
    pub pad_token_id: usize,
    /// `None`: that of the hidden states.
    pub classifier_dropout: Option<f64>,
}

impl Defaults {
    /// The defaults of BERT.
    pub const BERT: Self = Self {
        hidden_act: Activation::Gelu,
        hidden_dropout: 0.1,
        attention_dropout: 0.1,
        max_position_embeddings: 512,
        type_vocab_size: 2,
        layer_norm_eps: 1e-12,
        pad_token_id: 0,
        classifier_dropout: None,
    };
}

/// How the heads of a model are built.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HeadSpec {
    /// The hidden layer of the sequence classifier; without one, the classifier reads the pooled row.
    pub sequence_dense: Option<DenseSpec>,
    /// Dropout before the sequence classifier's output layer.
    pub sequence_dropout: f64,
    /// The nonlinearity of the hidden layer of multiple choice; without one, the score is computed from the pooled row.
    pub choice_dense: Option<Activation>,
    /// Dropout before the score of multiple choice.
    pub choice_dropout: f64,
    /// Dropout before the token classifier.
    pub token_dropout: f64,
    /// Dropout before the start and end scores of answers.
    pub span_dropout: f64,
    /// Dropout on the pooled row before the classifier of sentence pairs in pretraining.
    pub pair_dropout: f64,
    /// The nonlinearity of the masked-LM head.
    pub mlm_activation: Activation,
}

/// A hidden layer of a head.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DenseSpec {
    /// Its nonlinearity.
    pub activation: Activation,
    /// Whether dropout is applied to its input.
    pub input_dropout: bool,
}

/// The conventions that the family's tokenizers follow: special tokens, token types, separators, and the tokenizer class
/// in transformers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenizerStyle {
    /// `[CLS] A [SEP] B [SEP]` with token types 0 and 1; `BertTokenizer`.
    Bert,
    /// As BERT; `ElectraTokenizer`.
    Electra,
    /// As BERT without token types; `DistilBertTokenizer`.
    DistilBert,
    /// `<s> A </s></s> B </s>` without token types; `RobertaTokenizer`.
    Roberta,
}

/// No further checks.
pub(crate) fn no_check(_: &EncoderConfig, _: &Path) -> Result<(), ConfigError> {
    Ok(())
}

/// Post-norm blocks without parameter sharing, and learned positions that count from 0: BERT's encoder.
pub(crate) fn bert_spec(config: &EncoderConfig) -> EncoderSpec {
    let block = BlockSpec {
        shared_with: None,
        norm: NormPlacement::Post,
        norm_epsilon: config.layer_norm_eps,
        num_heads: config.num_attention_heads,
        attention_dropout: config.attention_dropout,
        attention_output_dropout: config.hidden_dropout,
        mlp: MlpSpec {
            width: config.intermediate_size,
            activation: config.hidden_act,
            output_dropout: config.hidden_dropout,
        },
    };
    EncoderSpec {
        embeddings: EmbeddingSpec {
            vocab_size: config.vocab_size,
            width: config.embedding_size,
            projection: config.embedding_size != config.hidden_size,
            positions: Positions::Learned {
                rows: config.max_position_embeddings,
                first: 0,
            },
            token_types: config.type_vocab_size,
            norm_epsilon: config.layer_norm_eps,
            dropout: config.hidden_dropout,
        },
        hidden_size: config.hidden_size,
        blocks: vec![block; config.num_hidden_layers],
        group_size: 1,
    }
}

/// Heads without a hidden layer, on the pooled row: those of BERT.
pub(crate) fn bert_heads(config: &EncoderConfig) -> HeadSpec {
    HeadSpec {
        sequence_dense: None,
        sequence_dropout: config.classifier_dropout,
        choice_dense: None,
        choice_dropout: config.classifier_dropout,
        token_dropout: config.classifier_dropout,
        span_dropout: 0.0,
        pair_dropout: 0.0,
        mlm_activation: config.hidden_act,
    }
}
