//! Reads tokenizers from model directories in Hugging Face's layout.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::build::{Model, assemble, build, ids_of};
use super::documents::Parts;
use super::family::{Spelling, TokenizerFamily};
use super::files::{
    CONFIG, MERGES, SPECIAL_TOKENS, TOKENIZER, VOCAB_JSON, VOCAB_TXT, file_names, read_json,
    read_object, read_text,
};
use super::normalization::Normalization;
use super::special_tokens::{added_tokens, special_tokens, token_text, vocabulary_id};
use super::{Source, TextTokenizer, TokenizerError};

impl TextTokenizer {
    /// Reads the tokenizer in a model directory.
    ///
    /// Reads `tokenizer.json` if it exists; else `vocab.txt`, for WordPiece with BERT's normalisation; else `vocab.json`
    /// and `merges.txt`, for RoBERTa's byte-level BPE. `tokenizer_config.json` and `special_tokens_map.json` may set the
    /// special tokens, `do_lower_case`, `strip_accents`, `tokenize_chinese_chars` and `add_prefix_space`; otherwise
    /// transformers' defaults apply (for example, texts are lower-cased). If `tokenizer_config.json` contradicts the
    /// normaliser in `tokenizer.json`, it takes precedence, as in transformers. A special token that the vocabulary lacks
    /// stays unknown, whereas transformers would give it an id beyond the model's embeddings.
    ///
    /// # Errors
    /// None of the files exists; a file cannot be read or is invalid; the vocabulary lacks the tokens that start and end
    /// an input or, for a bare vocabulary, the unknown or padding token.
    pub fn from_dir(dir: &Path, family: TokenizerFamily) -> Result<Self, TokenizerError> {
        let config = read_object(&dir.join(CONFIG))?;
        let map = read_object(&dir.join(SPECIAL_TOKENS))?;
        let has = |name: &str| dir.join(name).is_file();
        if has(TOKENIZER) {
            from_tokenizer_json(&dir.join(TOKENIZER), family, config, &map)
        } else if has(VOCAB_TXT) {
            from_vocab_txt(&dir.join(VOCAB_TXT), family, config, &map)
        } else if has(VOCAB_JSON) && has(MERGES) {
            from_vocab_json(dir, family, config, &map)
        } else if has(VOCAB_JSON) || has(MERGES) {
            let (present, missing) = if has(MERGES) {
                (MERGES, VOCAB_JSON)
            } else {
                (VOCAB_JSON, MERGES)
            };
            Err(TokenizerError::Incomplete {
                dir: dir.into(),
                present,
                missing,
            })
        } else {
            Err(TokenizerError::NotFound {
                dir: dir.into(),
                found: file_names(dir),
            })
        }
    }
}

fn from_tokenizer_json(
    path: &Path,
    family: TokenizerFamily,
    config: Map<String, Value>,
    map: &Map<String, Value>,
) -> Result<TextTokenizer, TokenizerError> {
    let mut document = read_json(path)?;
    if document["normalizer"]["type"] == "BertNormalizer" {
        for (key, part) in [
            ("do_lower_case", "lowercase"),
            ("strip_accents", "strip_accents"),
            ("tokenize_chinese_chars", "handle_chinese_chars"),
        ] {
            if let Some(value) = config.get(key) {
                document["normalizer"][part] = value.clone();
            }
        }
    }
    let take = |document: &mut Value, key: &str| {
        document.get_mut(key).map(Value::take).unwrap_or_default()
    };
    let truncation = take(&mut document, "truncation");
    let padding = take(&mut document, "padding");
    let vocab = &document["model"]["vocab"];
    let spelling = match vocabulary_id(vocab, "<s>") {
        Some(_) if family.conventions().spelling == Spelling::Angles => Spelling::Angles,
        Some(_) if vocabulary_id(vocab, "[CLS]").is_none() => Spelling::Angles,
        _ => Spelling::Brackets,
    };
    let source = Source {
        special_tokens: special_tokens(&config, map, spelling),
        config,
        truncation,
        padding,
    };
    build(path, document, family, source, &["cls_token", "sep_token"])
}

fn from_vocab_txt(
    path: &Path,
    family: TokenizerFamily,
    config: Map<String, Value>,
    map: &Map<String, Value>,
) -> Result<TextTokenizer, TokenizerError> {
    let text = read_text(path)?;
    let tokens: Vec<&str> = text.lines().collect();
    if tokens.is_empty() {
        return Err(TokenizerError::Content {
            path: path.into(),
            expected: "a vocabulary",
            message: "it is empty".into(),
        });
    }
    let setting = |key: &str, default: Value| config.get(key).cloned().unwrap_or(default);
    let lowercase = setting("do_lower_case", true.into());
    let capitals = |token: &&&str| {
        !token.starts_with('[') && token.chars().any(|letter| letter.is_ascii_uppercase())
    };
    let cased = tokens.iter().filter(capitals).count() * 20 > tokens.len();
    let mut warnings = Vec::new();
    if cased && lowercase == Value::Bool(true) && !config.contains_key("do_lower_case") {
        warnings.push(format!(
            "the vocabulary in `{}` has capital letters, but nothing says so: texts are lower-cased; \
             if they should not be, put `{{\"do_lower_case\": false}}` into `{CONFIG}` beside it",
            path.display()
        ));
    }
    let special = special_tokens(&config, map, Spelling::Brackets);
    let parts = Parts {
        normalizer: json!({
            "type": "BertNormalizer",
            "clean_text": true,
            "handle_chinese_chars": setting("tokenize_chinese_chars", true.into()),
            "strip_accents": setting("strip_accents", Value::Null),
            "lowercase": lowercase,
        }),
        ..Parts::wordpiece(&Normalization::default())
    };
    let source = Source {
        special_tokens: special,
        config,
        ..Source::default()
    };
    let vocab = ids_of(&tokens);
    let mut tokenizer = assemble(path, parts, Model::Wordpiece, &vocab, family, source)?;
    tokenizer.warnings = warnings;
    Ok(tokenizer)
}

fn from_vocab_json(
    dir: &Path,
    family: TokenizerFamily,
    config: Map<String, Value>,
    map: &Map<String, Value>,
) -> Result<TextTokenizer, TokenizerError> {
    let path = dir.join(VOCAB_JSON);
    let Value::Object(vocab) = read_json(&path)? else {
        return Err(TokenizerError::Content {
            path,
            expected: "a vocabulary",
            message: "expected an object of tokens and ids".into(),
        });
    };
    let merges_path = dir.join(MERGES);
    let text = read_text(&merges_path)?;
    let mut merges = Vec::new();
    for (line, content) in (1..).zip(text.lines()) {
        if content.is_empty() || content.starts_with("#version") {
            continue;
        }
        match content.split_once(' ') {
            Some((a, b)) if !a.is_empty() && !b.is_empty() && !b.contains(' ') => {
                merges.push(json!([a, b]));
            }
            _ => {
                let found = content.to_string();
                return Err(TokenizerError::Merge {
                    path: merges_path,
                    line,
                    found,
                });
            }
        }
    }
    let special = special_tokens(&config, map, Spelling::Angles);
    let prefix = config
        .get("add_prefix_space")
        .and_then(Value::as_bool)
        .unwrap_or(false);
    let id = |role: &str| -> (String, Value) {
        let token = special.get(role).and_then(token_text).unwrap_or_default();
        (
            token.to_string(),
            vocab.get(token).cloned().unwrap_or_else(|| 0.into()),
        )
    };
    let document = json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": added_tokens(&vocab, &special, Spelling::Angles),
        "normalizer": null,
        "pre_tokenizer": {
            "type": "ByteLevel", "add_prefix_space": prefix, "trim_offsets": true, "use_regex": true,
        },
        "post_processor": {
            "type": "RobertaProcessing",
            "sep": id("sep_token"),
            "cls": id("cls_token"),
            "trim_offsets": true,
            "add_prefix_space": prefix,
        },
        "decoder": {
            "type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true,
        },
        "model": {
            "type": "BPE",
            "dropout": null,
            "unk_token": null,
            "continuing_subword_prefix": "",
            "end_of_word_suffix": "",
            "fuse_unk": false,
            "byte_fallback": false,
            "ignore_merges": false,
            "vocab": vocab,
            "merges": merges,
        },
    });
    let source = Source {
        special_tokens: special,
        config,
        ..Source::default()
    };
    build(
        &path,
        document,
        family,
        source,
        &["unk_token", "cls_token", "sep_token", "pad_token"],
    )
}
