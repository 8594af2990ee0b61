//! DistilBERT (Sanh et al. 2019): BERT without token types and without a pooler.

use serde_json::Value;

use super::descriptor::{
    ConfigKeys, Defaults, DenseSpec, EncoderConfig, FamilyDescriptor, Fixed, HeadSpec, ModelType,
    TokenizerStyle, bert_heads, bert_spec, no_check,
};
use super::names::{BlockNames, EncoderNames, HeadNames, MlmNames, Names};
use crate::spec::Activation;

/// DistilBERT.
pub(super) static DISTILBERT: FamilyDescriptor = FamilyDescriptor {
    model_types: &[ModelType {
        name: "distilbert",
        class_prefix: "DistilBert",
    }],
    keys: ConfigKeys {
        hidden_size: "dim",
        embedding_size: None,
        num_hidden_layers: "n_layers",
        num_attention_heads: "n_heads",
        intermediate_size: "hidden_dim",
        hidden_act: "activation",
        hidden_dropout: "dropout",
        attention_dropout: "attention_dropout",
        classifier_dropout: "seq_classif_dropout",
        type_vocab_size: None,
        layer_norm_eps: None,
        fixed: &[("sinusoidal_pos_embds", Fixed::Bool(false))],
    },
    defaults: Defaults {
        type_vocab_size: 0,
        classifier_dropout: Some(0.2),
        ..Defaults::BERT
    },
    names: Names {
        encoder: EncoderNames {
            prefix: "distilbert",
            block: |set, _| format!("transformer.layer.{set}"),
            blocks: BlockNames {
                qkv: ["attention.q_lin", "attention.k_lin", "attention.v_lin"],
                attention_output: "attention.out_lin",
                attention_norm: "sa_layer_norm",
                intermediate: "ffn.lin1",
                output: "ffn.lin2",
                output_norm: "output_layer_norm",
            },
            ..EncoderNames::BERT
        },
        head: HeadNames {
            mlm: MlmNames {
                dense: "vocab_transform",
                norm: "vocab_layer_norm",
                decoder: "vocab_projector.weight",
                bias: "vocab_projector.bias",
                decoder_bias: None,
                writes_decoder_bias: false,
            },
            sequence_dense: "pre_classifier",
            choice_dense: "pre_classifier",
            ..HeadNames::BERT
        },
    },
    heads: &[],
    poolers: &[],
    check: no_check,
    spec: bert_spec,
    head_spec,
    tokenizer: TokenizerStyle::DistilBert,
};

/// A ReLU layer before the classifier; each head has its own dropout.
fn head_spec(config: &EncoderConfig) -> HeadSpec {
    let span_dropout = config.extra.get("qa_dropout").and_then(Value::as_f64);
    HeadSpec {
        sequence_dense: Some(DenseSpec {
            activation: Activation::Relu,
            input_dropout: false,
        }),
        choice_dense: Some(Activation::Relu),
        // DistilBertForTokenClassification uses the model's dropout, not that of its sequence head.
        token_dropout: config.hidden_dropout,
        span_dropout: span_dropout.unwrap_or(0.1),
        ..bert_heads(config)
    }
}
