//! Configurations as runs have written them: they are read, and written again byte for byte.

#![allow(clippy::unwrap_used)]

use std::path::Path;

use bertkit_training::Override;
use bertkit_training::config::{Finetune, FinetuneConfig, Pretrain, RunConfig, RunKind};

/// Reads a stored configuration and writes it again.
fn again<K: RunKind>(name: &str) -> (String, String) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/configurations")
        .join(name)
        .with_extension("toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let config = RunConfig::<K>::resolve(Some(&file), &[]).unwrap();
    (config.to_toml(), text)
}

#[test]
fn configurations_are_written_as_they_were() {
    for name in [
        "finetune-flags",
        "finetune-fresh",
        "finetune-ner",
        "finetune-qa",
    ] {
        let (written, stored) = again::<Finetune>(name);
        assert_eq!(written, stored, "{name}");
    }
    for name in ["pretrain-mlm", "pretrain-rtd", "pretrain-sop"] {
        let (written, stored) = again::<Pretrain>(name);
        assert_eq!(written, stored, "{name}");
    }
}

#[test]
fn settings_are_written_as_they_were() {
    let sets = [
        "data.train=rows.csv",
        "output=runs/a",
        "data.max_length=32",
        "training.epochs=1",
        "model.fresh.num_hidden_layers=1",
        "model.fresh.hidden_size=8",
        "model.fresh.num_attention_heads=2",
        "model.fresh.intermediate_size=16",
        "model.fresh.max_position_embeddings=64",
    ];
    let sets: Vec<Override> = sets
        .iter()
        .map(|set| Override::parse(set).unwrap())
        .collect();
    let config = FinetuneConfig::resolve(None, &sets).unwrap();
    let (_, stored) = again::<Finetune>("finetune-fresh");
    assert_eq!(config.to_toml(), stored);
}
