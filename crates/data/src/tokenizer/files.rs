//! The files of a tokenizer in a model directory: their names, and reading them.

use std::fs;
use std::path::Path;

use serde_json::{Map, Value};

use super::TokenizerError;

pub(super) const TOKENIZER: &str = "tokenizer.json";
pub(super) const CONFIG: &str = "tokenizer_config.json";
pub(super) const SPECIAL_TOKENS: &str = "special_tokens_map.json";
pub(super) const VOCAB_TXT: &str = "vocab.txt";
pub(super) const VOCAB_JSON: &str = "vocab.json";
pub(super) const MERGES: &str = "merges.txt";

/// The key of `tokenizer_config.json` for k-mer settings; only bertkit reads it.
pub(super) const KMERS: &str = "bertkit_kmers";

pub(super) fn read_text(path: &Path) -> Result<String, TokenizerError> {
    let text = fs::read_to_string(path).map_err(|source| TokenizerError::Read {
        path: path.into(),
        source,
    })?;
    Ok(match text.strip_prefix('\u{feff}') {
        Some(rest) => rest.to_string(),
        None => text,
    })
}

pub(super) fn read_json(path: &Path) -> Result<Value, TokenizerError> {
    serde_json::from_str(&read_text(path)?).map_err(|source| TokenizerError::Json {
        path: path.into(),
        source,
    })
}

/// Reads an object from a file that may be absent.
pub(super) fn read_object(path: &Path) -> Result<Map<String, Value>, TokenizerError> {
    if !path.is_file() {
        return Ok(Map::new());
    }
    match read_json(path)? {
        Value::Object(object) => Ok(object),
        _ => Err(TokenizerError::Content {
            path: path.into(),
            expected: "a list of settings",
            message: "expected an object".into(),
        }),
    }
}

/// Some names of files in a directory, for messages.
pub(super) fn file_names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names.truncate(10);
    names
}
