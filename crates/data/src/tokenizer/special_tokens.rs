//! Special tokens: roles, default spellings, and templates.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::family::{Spelling, TokenizerFamily};

/// A role of a special token, and its default token in BERT's and in RoBERTa's style.
type Role = (&'static str, &'static str, &'static str);

const ROLES: [Role; 5] = [
    ("unk_token", "[UNK]", "<unk>"),
    ("cls_token", "[CLS]", "<s>"),
    ("sep_token", "[SEP]", "</s>"),
    ("pad_token", "[PAD]", "<pad>"),
    ("mask_token", "[MASK]", "<mask>"),
];

/// The special tokens of a new vocabulary: those with the first ids and those with the last.
///
/// `[PAD] [UNK] [CLS] [SEP] [MASK]` first, as in BERT's vocabularies but without the unused tokens in between; or
/// `<s> <pad> </s> <unk>` first and `<mask>` last, as in RoBERTa's.
pub(super) fn special_places(
    family: TokenizerFamily,
) -> (&'static [&'static str], &'static [&'static str]) {
    match family.conventions().spelling {
        Spelling::Brackets => (&["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"], &[]),
        Spelling::Angles => (&["<s>", "<pad>", "</s>", "<unk>"], &["<mask>"]),
    }
}

/// `[CLS] A [SEP] B [SEP]`, with token type 1 from `B` on.
pub(super) fn pair_template((cls, cls_id): (&str, u32), (sep, sep_id): (&str, u32)) -> Value {
    let special = |token: &str, kind: u32| json!({"SpecialToken": {"id": token, "type_id": kind}});
    let text = |name: &str, kind: u32| json!({"Sequence": {"id": name, "type_id": kind}});
    let single = [special(cls, 0), text("A", 0), special(sep, 0)];
    let pair = [
        special(cls, 0),
        text("A", 0),
        special(sep, 0),
        text("B", 1),
        special(sep, 1),
    ];
    let mut tokens = Map::new();
    for (token, id) in [(cls, cls_id), (sep, sep_id)] {
        tokens.insert(
            token.into(),
            json!({"id": token, "ids": [id], "tokens": [token]}),
        );
    }
    json!({"type": "TemplateProcessing", "single": single, "pair": pair, "special_tokens": tokens})
}

/// The special token of every role: as configured, else the default.
pub(super) fn special_tokens(
    config: &Map<String, Value>,
    map: &Map<String, Value>,
    spelling: Spelling,
) -> BTreeMap<&'static str, Value> {
    let configured = |role: &str| {
        [map, config]
            .into_iter()
            .filter_map(|from| from.get(role))
            .find(|v| token_text(v).is_some())
    };
    let mut tokens = BTreeMap::new();
    for (role, brackets, angles) in ROLES {
        let usual = if spelling == Spelling::Angles {
            angles
        } else {
            brackets
        };
        tokens.insert(
            role,
            configured(role).cloned().unwrap_or_else(|| usual.into()),
        );
    }
    for (role, usual) in [("bos_token", "<s>"), ("eos_token", "</s>")] {
        match configured(role) {
            Some(token) => tokens.insert(role, token.clone()),
            None if spelling == Spelling::Angles => tokens.insert(role, usual.into()),
            None => None,
        };
    }
    tokens
}

/// The text of a special token, which is a string or an object with the text as `content`.
pub(super) fn token_text(token: &Value) -> Option<&str> {
    token.as_str().or_else(|| token.get("content")?.as_str())
}

/// The special tokens of a bare vocabulary, by id, for `tokenizer.json`.
pub(super) fn added_tokens(
    vocab: &Map<String, Value>,
    special: &BTreeMap<&'static str, Value>,
    spelling: Spelling,
) -> Value {
    let mut added: BTreeMap<u64, Value> = BTreeMap::new();
    for (role, token) in special {
        let Some(content) = token_text(token) else {
            continue;
        };
        let Some(id) = vocab.get(content).and_then(Value::as_u64) else {
            continue;
        };
        let flag =
            |name: &str, default: bool| token.get(name).and_then(Value::as_bool).unwrap_or(default);
        // RoBERTa's mask token includes the space before it, like a word.
        let lstrip = *role == "mask_token" && spelling == Spelling::Angles;
        added.insert(
            id,
            json!({
                "id": id,
                "content": content,
                "single_word": flag("single_word", false),
                "lstrip": flag("lstrip", lstrip),
                "rstrip": flag("rstrip", false),
                "normalized": flag("normalized", false),
                "special": true,
            }),
        );
    }
    added.into_values().collect()
}

/// The id of a token in a model's vocabulary: an object, or a list of pieces with their scores.
pub(super) fn vocabulary_id(vocab: &Value, token: &str) -> Option<u64> {
    match vocab {
        Value::Array(pieces) => {
            let place = pieces.iter().position(|piece| piece[0] == token);
            place.map(|id| id as u64)
        }
        vocab => vocab.get(token)?.as_u64(),
    }
}
