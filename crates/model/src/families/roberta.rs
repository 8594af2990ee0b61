//! RoBERTa (Liu et al. 2019), and the models that are RoBERTa under another name: XLM-RoBERTa (Conneau et al. 2020) and
//! CamemBERT (Martin et al. 2020).

use super::descriptor::{
    ConfigKeys, Defaults, DenseSpec, EncoderConfig, FamilyDescriptor, HeadSpec, ModelType,
    TokenizerStyle, bert_heads, bert_spec, no_check,
};
use super::names::{EncoderNames, HeadNames, MlmNames, Names};
use crate::architecture::Architecture;
use crate::spec::{Activation, EncoderSpec, Positions};

/// RoBERTa.
pub(super) static ROBERTA: FamilyDescriptor = FamilyDescriptor {
    model_types: &[
        ModelType {
            name: "roberta",
            class_prefix: "Roberta",
        },
        ModelType {
            name: "xlm-roberta",
            class_prefix: "XLMRoberta",
        },
        ModelType {
            name: "camembert",
            class_prefix: "Camembert",
        },
    ],
    keys: ConfigKeys::BERT,
    defaults: Defaults {
        max_position_embeddings: 514,
        type_vocab_size: 1,
        layer_norm_eps: 1e-5,
        pad_token_id: 1,
        ..Defaults::BERT
    },
    names: Names {
        encoder: EncoderNames {
            prefix: "roberta",
            ..EncoderNames::BERT
        },
        head: HeadNames {
            mlm: MlmNames {
                dense: "lm_head.dense",
                norm: "lm_head.layer_norm",
                decoder: "lm_head.decoder.weight",
                bias: "lm_head.bias",
                decoder_bias: Some("lm_head.decoder.bias"),
                writes_decoder_bias: false,
            },
            sequence_output: "classifier.out_proj",
            ..HeadNames::BERT
        },
    },
    heads: &[],
    poolers: &[Architecture::Encoder, Architecture::Choice],
    check: no_check,
    spec,
    head_spec,
    tokenizer: TokenizerStyle::Roberta,
};

/// Positions count from the padding id + 1 (`create_position_ids_from_input_ids` in transformers).
fn spec(config: &EncoderConfig) -> EncoderSpec {
    let mut spec = bert_spec(config);
    spec.embeddings.positions = Positions::Learned {
        rows: config.max_position_embeddings,
        first: config.pad_token_id + 1,
    };
    spec
}

/// The classifier has its own tanh layer on the unpooled first row.
fn head_spec(config: &EncoderConfig) -> HeadSpec {
    HeadSpec {
        sequence_dense: Some(DenseSpec {
            activation: Activation::Tanh,
            input_dropout: true,
        }),
        choice_dropout: config.hidden_dropout,
        // modeling_roberta uses GELU here regardless of the configuration.
        mlm_activation: Activation::Gelu,
        ..bert_heads(config)
    }
}
