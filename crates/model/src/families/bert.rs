//! BERT (Devlin et al. 2019).

use super::descriptor::{
    ConfigKeys, Defaults, FamilyDescriptor, ModelType, TokenizerStyle, bert_heads, bert_spec,
    no_check,
};
use super::names::{EncoderNames, HeadNames, Names};
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
        head: HeadNames::BERT,
    },
    heads: &[Architecture::Pretraining],
    poolers: &[
        Architecture::Encoder,
        Architecture::Pretraining,
        Architecture::Sequence,
        Architecture::Choice,
    ],
    check: no_check,
    spec: bert_spec,
    head_spec: bert_heads,
    tokenizer: TokenizerStyle::Bert,
};
