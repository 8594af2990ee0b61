//! ELECTRA (Clark et al. 2020).

use serde_json::Value;

use super::descriptor::{
    ConfigKeys, Defaults, DenseSpec, EncoderConfig, FamilyDescriptor, HeadSpec, ModelType,
    TokenizerStyle, bert_heads, bert_spec, no_check,
};
use super::names::{EncoderNames, HeadNames, MlmNames, Names};
use crate::architecture::Architecture;
use crate::spec::Activation;

/// ELECTRA.
pub(super) static ELECTRA: FamilyDescriptor = FamilyDescriptor {
    model_types: &[ModelType {
        name: "electra",
        class_prefix: "Electra",
    }],
    keys: ConfigKeys {
        embedding_size: Some("embedding_size"),
        ..ConfigKeys::BERT
    },
    defaults: Defaults::BERT,
    names: Names {
        encoder: EncoderNames {
            prefix: "electra",
            ..EncoderNames::BERT
        },
        head: HeadNames {
            mlm: MlmNames {
                dense: "generator_predictions.dense",
                norm: "generator_predictions.LayerNorm",
                decoder: "generator_lm_head.weight",
                bias: "generator_lm_head.bias",
                decoder_bias: None,
                writes_decoder_bias: false,
            },
            sequence_output: "classifier.out_proj",
            choice_dense: "sequence_summary.summary",
            ..HeadNames::BERT
        },
    },
    heads: &[
        Architecture::Discriminator,
        Architecture::GeneratorAndDiscriminator,
    ],
    poolers: &[],
    check: no_check,
    spec: bert_spec,
    head_spec,
    tokenizer: TokenizerStyle::Electra,
};

/// As in transformers: the paper's own code has dropout and a linear layer only, and the two are not interchangeable.
fn head_spec(config: &EncoderConfig) -> HeadSpec {
    // The sequence summary of multiple choice has its own dropout.
    let summary_dropout = config.extra.get("summary_last_dropout");
    let summary_dropout = summary_dropout.and_then(Value::as_f64);
    HeadSpec {
        sequence_dense: Some(DenseSpec {
            activation: Activation::Gelu,
            input_dropout: true,
        }),
        choice_dense: Some(Activation::Gelu),
        choice_dropout: summary_dropout.unwrap_or(0.1),
        // modeling_electra uses GELU here regardless of the configuration.
        mlm_activation: Activation::Gelu,
        ..bert_heads(config)
    }
}
