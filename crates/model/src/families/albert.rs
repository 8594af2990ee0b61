//! ALBERT (Lan et al. 2020): blocks share their parameters in groups, and the tables are narrower than the blocks.

use std::path::Path;

use super::descriptor::{
    ConfigKeys, Defaults, EncoderConfig, FamilyDescriptor, HeadSpec, ModelType, TokenizerStyle,
    bert_heads, bert_spec,
};
use super::names::{BlockNames, EncoderNames, HeadNames, MlmNames, Names};
use crate::architecture::Architecture;
use crate::config_error::ConfigError;
use crate::spec::{Activation, BlockSpec, EncoderSpec};

/// ALBERT.
pub(super) static ALBERT: FamilyDescriptor = FamilyDescriptor {
    model_types: &[ModelType {
        name: "albert",
        class_prefix: "Albert",
    }],
    keys: ConfigKeys {
        embedding_size: Some("embedding_size"),
        classifier_dropout: "classifier_dropout_prob",
        fixed: &[],
        ..ConfigKeys::BERT
    },
    defaults: Defaults {
        hidden_act: Activation::GeluNew,
        hidden_dropout: 0.0,
        attention_dropout: 0.0,
        classifier_dropout: Some(0.1),
        ..Defaults::BERT
    },
    names: Names {
        encoder: EncoderNames {
            prefix: "albert",
            projection: "encoder.embedding_hidden_mapping_in",
            block: |set, group| {
                let (group, within) = (set / group, set % group);
                format!("encoder.albert_layer_groups.{group}.albert_layers.{within}")
            },
            blocks: BlockNames {
                qkv: ["attention.query", "attention.key", "attention.value"],
                attention_output: "attention.dense",
                attention_norm: "attention.LayerNorm",
                intermediate: "ffn",
                output: "ffn_output",
                output_norm: "full_layer_layer_norm",
            },
            pooler: "pooler",
        },
        head: HeadNames {
            mlm: MlmNames {
                dense: "predictions.dense",
                norm: "predictions.LayerNorm",
                decoder: "predictions.decoder.weight",
                bias: "predictions.bias",
                decoder_bias: Some("predictions.decoder.bias"),
                writes_decoder_bias: true,
            },
            pair: "sop_classifier.classifier",
            ..HeadNames::BERT
        },
    },
    heads: &[Architecture::Pretraining],
    poolers: &[
        Architecture::Encoder,
        Architecture::Pretraining,
        Architecture::Sequence,
        Architecture::Choice,
    ],
    check,
    spec,
    head_spec,
    tokenizer: TokenizerStyle::Bert,
};

/// The groups of blocks: `num_hidden_groups` of `inner_group_num` blocks each.
const GROUPS: &str = "num_hidden_groups";
const INNER: &str = "inner_group_num";

/// More blocks in a group than any published model has.
const MOST_IN_GROUP: u64 = 64;

/// A count under a key that only this family has; 1 if it is absent.
fn count(config: &EncoderConfig, key: &str) -> Option<u64> {
    match config.extra.get(key) {
        None => Some(1),
        Some(value) => value.as_u64(),
    }
}

fn check(config: &EncoderConfig, path: &Path) -> Result<(), ConfigError> {
    for (key, most) in [
        (GROUPS, config.num_hidden_layers as u64),
        (INNER, MOST_IN_GROUP),
    ] {
        if !count(config, key).is_some_and(|n| (1..=most).contains(&n)) {
            return Err(ConfigError::Value {
                path: path.into(),
                key,
                found: config.extra[key].to_string(),
                expected: format!("a whole number from 1 to {most}"),
            });
        }
    }
    Ok(())
}

/// Each of `num_hidden_layers` steps applies the blocks of one group in turn; the steps are divided evenly among the
/// groups (`AlbertTransformer` in transformers). The tables are always projected to the width of the blocks. There is no
/// dropout on the feed-forward block's output, unlike in the paper's own code.
fn spec(config: &EncoderConfig) -> EncoderSpec {
    let [groups, inner] = [GROUPS, INNER].map(|key| count(config, key).unwrap_or(1) as usize);
    let mut spec = bert_spec(config);
    spec.embeddings.projection = true;
    spec.group_size = inner;
    let Some(mut block) = spec.blocks.first().copied() else {
        return spec;
    };
    block.mlp.output_dropout = 0.0;
    let mut first_use = vec![None; groups * inner];
    spec.blocks.clear();
    for step in 0..config.num_hidden_layers {
        let group = step * groups / config.num_hidden_layers;
        for first_use in &mut first_use[group * inner..(group + 1) * inner] {
            let shared_with = *first_use;
            first_use.get_or_insert(spec.blocks.len());
            spec.blocks.push(BlockSpec {
                shared_with,
                ..block
            });
        }
    }
    spec
}

/// As in BERT; the classifier of sentence order has dropout on the pooled row.
fn head_spec(config: &EncoderConfig) -> HeadSpec {
    HeadSpec {
        pair_dropout: config.classifier_dropout,
        ..bert_heads(config)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::families::Family;

    fn config(groups: u64, inner: u64) -> EncoderConfig {
        let mut config = EncoderConfig::new(Family::Albert, 100, 8, 4, 2, 16);
        config.extra.insert(GROUPS.into(), json!(groups));
        config.extra.insert(INNER.into(), json!(inner));
        config
    }

    #[test]
    fn steps_are_divided_among_groups_of_blocks() {
        let sets = |groups, inner| config(groups, inner).spec().parameter_sets();
        assert_eq!(sets(1, 1), [0, 0, 0, 0]);
        assert_eq!(sets(2, 2), [0, 1, 0, 1, 2, 3, 2, 3]);
        assert_eq!(sets(4, 1), [0, 1, 2, 3]);
        let depths = config(2, 1).spec().layer_depths();
        assert_eq!(
            (depths.last_use(0), depths.last_use(1), depths.last_use(2)),
            (Some(1), Some(3), None)
        );
    }

    #[test]
    fn groups_must_fit_the_layers() {
        let path = Path::new("config.json");
        assert!(check(&config(4, 1), path).is_ok());
        for (groups, inner) in [(0, 1), (5, 1), (1, 0), (1, 65)] {
            assert!(
                check(&config(groups, inner), path).is_err(),
                "{groups} {inner}"
            );
        }
    }

    #[test]
    fn shared_weights_are_counted_once() {
        // albert-base-v2 has 11,683,584 parameters with its pooler.
        let mut config = EncoderConfig::new(Family::Albert, 30_000, 768, 12, 12, 3072);
        config.embedding_size = 128;
        assert_eq!(config.num_parameters(true), 11_683_584);
    }
}
