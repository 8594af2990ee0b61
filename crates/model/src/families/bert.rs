//! BERT (Devlin et al. 2019).

use super::descriptor::{
    ConfigKeys, Defaults, FamilyDescriptor, ModelType, TokenizerStyle, bert_heads, bert_spec,
    no_check,
};
use super::names::{EncoderNames, HeadNames, MlmNames, Names};
use crate::architecture::Architecture;

/// BERT.
pub(super) static BERT: FamilyDescriptor = FamilyDescriptor {
    model_types: &[ModelType {
        name: "bert",
        class_prefix: "Bert",
    }],
    keys: ConfigKeys::BERT,
    defaults: Defaults::BERT,
    names: Names {
        encoder: EncoderNames::BERT,
        head: HeadNames {
            mlm: MlmNames {
                dense: "cls.predictions.transform.dense",
                norm: "cls.predictions.transform.LayerNorm",
                decoder: "cls.predictions.decoder.weight",
                bias: "cls.predictions.bias",
                // Written by transformers before 5 and after: the decoder's bias is the head's.
                decoder_bias: Some("cls.predictions.decoder.bias"),
                writes_decoder_bias: true,
            },
            pair: "cls.seq_relationship",
            sequence_dense: "classifier.dense",
            sequence_output: "classifier",
        },
    },
    heads: &[Architecture::Pretraining],
    poolers: &[
        Architecture::Encoder,
        Architecture::Pretraining,
        Architecture::Sequence,
    ],
    check: no_check,
    spec: bert_spec,
    head_spec: bert_heads,
    tokenizer: TokenizerStyle::Bert,
};
