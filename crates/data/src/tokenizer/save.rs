//! Writes tokenizers for bertkit and transformers.

use std::fs;
use std::path::Path;

use serde_json::{Map, Value, json};

use super::family::Kind;
use super::files::{CONFIG, MERGES, SPECIAL_TOKENS, TOKENIZER, VOCAB_JSON, VOCAB_TXT};
use super::special_tokens::token_text;
use super::{TextTokenizer, TokenizerError};

impl TextTokenizer {
    /// Writes the tokenizer to a directory in a form that bertkit and transformers can load. The directory is created if
    /// necessary.
    ///
    /// Writes `tokenizer.json`, `tokenizer_config.json` and `special_tokens_map.json`; also `vocab.txt` for WordPiece and
    /// for whole-word vocabularies, if the ids have no gaps, or `vocab.json` and `merges.txt` for BPE. Settings of the
    /// original files are kept.
    ///
    /// # Errors
    /// [`TokenizerError::Write`], with the file.
    pub fn save(&self, dir: &Path) -> Result<(), TokenizerError> {
        let failed = |path: &Path| {
            let path = path.to_path_buf();
            move |source: std::io::Error| TokenizerError::Write { path, source }
        };
        fs::create_dir_all(dir).map_err(failed(dir))?;
        let write = |name: &str, content: String| {
            let path = dir.join(name);
            fs::write(&path, content).map_err(failed(&path))
        };
        let pretty = |value: &Value| {
            let text = serde_json::to_string_pretty(value);
            text.map(|text| text + "\n")
                .map_err(|error| failed(dir)(error.into()))
        };
        let mut document =
            serde_json::to_value(&self.inner).map_err(|error| failed(dir)(error.into()))?;
        document["truncation"] = self.source.truncation.clone();
        document["padding"] = self.source.padding.clone();

        let map: Map<String, Value> = self
            .source
            .special_tokens
            .iter()
            .map(|(role, token)| (role.to_string(), token.clone()))
            .collect();
        write(TOKENIZER, pretty(&document)?)?;
        write(CONFIG, pretty(&self.config_to_save(&document))?)?;
        write(SPECIAL_TOKENS, pretty(&Value::Object(map))?)?;
        let model = &document["model"];
        match model["type"].as_str() {
            Some("WordPiece" | "WordLevel") => {
                if let Some(lines) = vocab_lines(&model["vocab"]) {
                    write(VOCAB_TXT, lines)?;
                }
            }
            Some("BPE") => {
                write(VOCAB_JSON, pretty(&model["vocab"])?)?;
                write(MERGES, merge_lines(&model["merges"]))?;
            }
            _ => {}
        }
        Ok(())
    }

    fn config_to_save(&self, document: &Value) -> Value {
        let mut config = self.source.config.clone();
        // Custom code and paths of the original tokenizer are not copied.
        if config.remove("auto_map").is_some() {
            config.remove("tokenizer_class");
        }
        for key in [
            "name_or_path",
            "tokenizer_file",
            "vocab_file",
            "merges_file",
            "special_tokens_map_file",
        ] {
            config.remove(key);
        }
        let kind = |part: &str| {
            document[part]["type"]
                .as_str()
                .unwrap_or_default()
                .to_string()
        };
        let wordpiece = kind("model") == "WordPiece"
            && kind("normalizer") == "BertNormalizer"
            && kind("pre_tokenizer") == "BertPreTokenizer";
        let byte_level = kind("model") == "BPE"
            && kind("pre_tokenizer") == "ByteLevel"
            && document["normalizer"].is_null();
        let class = match self.family.conventions().class {
            (class, Kind::Wordpiece) if wordpiece => class,
            (class, Kind::ByteLevelBpe) if byte_level => class,
            // Any other tokenizer is fully described by `tokenizer.json`, which this class reads.
            (_, Kind::Wordpiece | Kind::ByteLevelBpe) => "PreTrainedTokenizerFast",
        };
        config
            .entry("tokenizer_class")
            .or_insert_with(|| class.into());
        if config["tokenizer_class"] == "PreTrainedTokenizerFast"
            && !self.family.conventions().token_types
        {
            // By default, this class returns token types, which some models do not accept.
            let inputs = json!(["input_ids", "attention_mask"]);
            config.entry("model_input_names").or_insert(inputs);
        }
        normalization_settings(&mut config, document, wordpiece, byte_level);
        for (role, token) in &self.source.special_tokens {
            config
                .entry(*role)
                .or_insert_with(|| token_text(token).unwrap_or_default().into());
        }
        if let Some(tokens) = self.model_max_length {
            config.insert("model_max_length".into(), tokens.into());
        }
        config.entry("added_tokens_decoder").or_insert_with(|| {
            let added = document["added_tokens"].as_array().into_iter().flatten();
            let entry = |token: &Value| {
                let mut token = token.as_object()?.clone();
                let id = token.shift_remove("id")?;
                Some((id.to_string(), Value::Object(token)))
            };
            Value::Object(added.filter_map(entry).collect())
        });
        Value::Object(config)
    }
}

/// Copies the settings from which transformers builds normalization and pre-tokenization: it reads them from
/// `tokenizer_config.json`, not from `tokenizer.json`.
fn normalization_settings(
    config: &mut Map<String, Value>,
    document: &Value,
    wordpiece: bool,
    byte_level: bool,
) {
    if wordpiece {
        let normalizer = &document["normalizer"];
        config.insert("do_lower_case".into(), normalizer["lowercase"].clone());
        config.insert("strip_accents".into(), normalizer["strip_accents"].clone());
        config.insert(
            "tokenize_chinese_chars".into(),
            normalizer["handle_chinese_chars"].clone(),
        );
    }
    if byte_level {
        let prefix = document["pre_tokenizer"]["add_prefix_space"].clone();
        config.insert("add_prefix_space".into(), prefix);
    }
}

/// The tokens of a vocabulary ordered by id, one per line, if the ids have no gaps and no token contains a line break.
fn vocab_lines(vocab: &Value) -> Option<String> {
    let vocab = vocab.as_object()?;
    let mut tokens: Vec<Option<&str>> = vec![None; vocab.len()];
    for (token, id) in vocab {
        let slot = tokens.get_mut(usize::try_from(id.as_u64()?).ok()?)?;
        *slot = Some(token)
            .filter(|token| !token.contains(['\n', '\r']))
            .map(String::as_str);
    }
    let tokens: Option<Vec<&str>> = tokens.into_iter().collect();
    Some(tokens?.join("\n") + "\n")
}

fn merge_lines(merges: &Value) -> String {
    let mut lines = String::from("#version: 0.2\n");
    for merge in merges.as_array().into_iter().flatten() {
        if let (Some(a), Some(b)) = (merge[0].as_str(), merge[1].as_str()) {
            lines.push_str(&format!("{a} {b}\n"));
        }
    }
    lines
}
