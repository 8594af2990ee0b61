//! ELECTRA (Clark et al. 2020).

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

/// As transformers has it: the paper's own code has dropout and a linear layer only, and the two are not interchangeable.
fn head_spec(config: &EncoderConfig) -> HeadSpec {
    HeadSpec {
        sequence_dense: Some(DenseSpec {
            activation: Activation::Gelu,
            input_dropout: true,
        }),
        // modeling_electra has GELU here whatever the configuration says.
        mlm_activation: Activation::Gelu,
        ..bert_heads(config)
    }
}
