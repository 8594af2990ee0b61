//! Complete configurations of published systems, from `configs/pretrain`.
//!
//! Peculiarities of published code (no bias correction, a learning rate that steps down at the end of
//! the warm-up, positions drawn with replacement) are ordinary settings; a recipe is a file with the
//! settings of a system.
//!
//! ```
//! use bertkit_training::pretrain::{Objective, PretrainConfig, recipes};
//!
//! # fn main() -> Result<(), bertkit_training::RunConfigError> {
//! assert!(recipes::names().any(|name| name == "electra-small"));
//! let config = PretrainConfig::resolve_recipe("electra-small", &[])?;
//! assert_eq!(config.objective.weight(Objective::ReplacedTokens), 50.0);
//! # Ok(())
//! # }
//! ```

/// Declares all recipes; each is named after its file.
macro_rules! recipes {
    ($($name:literal),* $(,)?) => {
        &[$((
            $name,
            include_str!(concat!("../../../../../configs/pretrain/", $name, ".toml")),
        )),*]
    };
}

const RECIPES: &[(&str, &str)] = recipes![
    "bert-original",
    "electra-small",
    "electra-base",
    "roberta",
    "gottbert",
    "bioformer-8l",
    "bioformer-16l",
    "well-read-tiny",
    "well-read-mini",
    "well-read-small",
    "well-read-medium",
    "biobert-continue",
    "ad-bert-continue",
    "tunbert",
    "cramming",
];

/// The TOML of a recipe.
pub fn recipe(name: &str) -> Option<&'static str> {
    let (_, text) = RECIPES.iter().find(|(known, _)| *known == name)?;
    Some(text)
}

/// The names of all recipes.
pub fn names() -> impl Iterator<Item = &'static str> {
    RECIPES.iter().map(|(name, _)| *name)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::path::Path;

    use bertkit_model::TokenizerStyle;
    use toml::{Table, Value};

    use super::*;
    use crate::config::{Override, RunConfigError};
    use crate::pretrain::{Objective, PretrainConfig};

    /// The settings that a recipe leaves to the user.
    fn sets(text: &str) -> Vec<Override> {
        let mut sets = vec![
            Override::flag(
                "corpus.paths",
                Value::Array(vec!["texts".into()]),
                "--corpus",
            ),
            Override::flag("output", "runs/a", "--output"),
            Override::flag("tokenizer.path", "tok", "--tokenizer"),
        ];
        if !text.contains("[model.fresh]") {
            sets.push(Override::flag("model.path", "checkpoint", "--model"));
        }
        sets
    }

    #[test]
    fn the_table_has_every_file_of_the_folder() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs/pretrain");
        let mut files: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
            .collect();
        files.sort();
        let mut known: Vec<&str> = names().collect();
        known.sort_unstable();
        assert_eq!(files, known);
    }

    #[test]
    fn every_recipe_is_sound_and_complete() {
        fn missing(resolved: &Table, written: &Table, path: &str, found: &mut Vec<String>) {
            for (key, value) in resolved {
                let path = format!("{path}.{key}");
                match (value, written.get(key)) {
                    (_, None) => found.push(path),
                    (Value::Table(inner), Some(Value::Table(written))) => {
                        missing(inner, written, &path, found);
                    }
                    _ => {}
                }
            }
        }
        for name in names() {
            let text = recipe(name).unwrap();
            let config = PretrainConfig::resolve_recipe(name, &sets(text)).unwrap();
            config
                .check()
                .unwrap_or_else(|error| panic!("{name}: {error}"));
            // Settings that the user gives, such as the output, are not part of a recipe.
            let mut resolved = config.to_toml().parse::<Table>().unwrap();
            for key in ["output", "device", "precision", "probe"] {
                resolved.remove(key);
            }
            // A run trains a WordPiece tokenizer, unlike RoBERTa's or that of a checkpoint.
            match &config.model.fresh {
                Some(fresh) if fresh.family.descriptor().tokenizer != TokenizerStyle::Roberta => {
                    resolved["tokenizer"].as_table_mut().unwrap().remove("path");
                }
                _ => {
                    resolved.remove("tokenizer");
                }
            }
            resolved["training"]
                .as_table_mut()
                .unwrap()
                .remove("recompute");
            if !config.objective.contains(Objective::ReplacedTokens) {
                resolved.remove("generator");
            }
            if config.model.path.is_some() {
                resolved.remove("model");
            }
            resolved["corpus"].as_table_mut().unwrap().remove("paths");
            // Objectives that a recipe does not name have weight 0.
            let objectives = resolved["objective"].as_table_mut().unwrap();
            objectives.retain(|_, weight| weight.as_float() != Some(0.0));
            let mut found = Vec::new();
            missing(&resolved, &text.parse().unwrap(), "", &mut found);
            assert!(found.is_empty(), "{name} leaves out {found:?}");
        }
    }

    #[test]
    fn every_recipe_says_what_it_is_and_how_it_is_run() {
        for name in names() {
            let text = recipe(name).unwrap();
            assert!(text.starts_with("# "), "{name}");
            let command = format!("--recipe {name}");
            assert!(text.contains(&command), "{name} does not say `{command}`");
            assert!(
                text.contains("# Needs "),
                "{name} does not say what it needs"
            );
        }
    }

    #[test]
    fn an_unknown_recipe_names_those_that_exist() {
        let error = PretrainConfig::resolve_recipe("elektra", &[]).unwrap_err();
        assert!(matches!(error, RunConfigError::Recipe { .. }), "{error}");
        assert!(error.hint().unwrap().contains("electra-small"));
    }
}
