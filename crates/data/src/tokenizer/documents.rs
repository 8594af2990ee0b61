//! `tokenizer.json` of new tokenizers: normaliser, division into words, template and model, by kind.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::kmers::Kmers;
use super::normalization::{Normalization, replace, sequence};

/// The parts of a tokenizer besides its vocabulary.
#[derive(Debug, Clone)]
pub(super) struct Parts {
    pub(super) normalizer: Value,
    pub(super) pre_tokenizer: Value,
    pub(super) decoder: Value,
}

/// Divides text with spaces marked by `▁` before each space and around each punctuation mark and symbol.
///
/// The mark belongs to what follows it, so that `▁` alone is no token before a bracket.
const MARKED_WORDS: &str = r"▁?[^▁\p{P}\p{S}]+|▁?[\p{P}\p{S}]";

impl Parts {
    /// BERT's rules.
    pub(super) fn wordpiece(normalization: &Normalization) -> Self {
        Self {
            normalizer: normalization.bert(),
            pre_tokenizer: json!({"type": "BertPreTokenizer"}),
            decoder: json!({"type": "WordPiece", "prefix": "##", "cleanup": true}),
        }
    }

    /// Words that carry the space before them as `▁`, as SentencePiece has them; for BPE and Unigram.
    pub(super) fn marked_words(normalization: &Normalization) -> Self {
        let metaspace = json!({
            "type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true,
        });
        Self {
            normalizer: normalization.general(true),
            pre_tokenizer: json!({"type": "Sequence", "pretokenizers": [
                metaspace,
                {
                    "type": "Split",
                    "pattern": {"Regex": MARKED_WORDS},
                    "behavior": "Isolated",
                    "invert": false,
                },
            ]}),
            decoder: metaspace,
        }
    }

    /// RoBERTa's rules: bytes, with the space before a word as `Ġ`.
    pub(super) fn byte_level(normalization: &Normalization) -> Self {
        let byte_level = |add_prefix_space: bool| {
            json!({
                "type": "ByteLevel",
                "add_prefix_space": add_prefix_space,
                "trim_offsets": true,
                "use_regex": true,
            })
        };
        Self {
            normalizer: normalization.general(false),
            pre_tokenizer: byte_level(false),
            decoder: byte_level(true),
        }
    }

    /// Every character on its own; white space of any kind and length is one space.
    pub(super) fn characters(normalization: &Normalization) -> Self {
        Self {
            normalizer: normalization.general(true),
            pre_tokenizer: json!({
                "type": "Split",
                "pattern": {"Regex": r"[\s\S]"},
                "behavior": "Isolated",
                "invert": false,
            }),
            decoder: json!({"type": "Fuse"}),
        }
    }

    /// What a pattern matches; the rest is dropped.
    pub(super) fn matches(pattern: &str, normalization: &Normalization) -> Self {
        Self {
            normalizer: normalization.general(false),
            pre_tokenizer: json!({
                "type": "Split",
                "pattern": {"Regex": pattern},
                "behavior": "Removed",
                "invert": true,
            }),
            decoder: json!({"type": "Fuse"}),
        }
    }

    /// Pieces of a sequence: with a stride of their size they are cut here, with another [`Kmers::cut`] comes before.
    pub(super) fn kmers(kmers: &Kmers) -> Self {
        let replaced = kmers.replacements().into_iter();
        let replaced = replaced.map(|(letter, by)| replace(&letter.to_string(), &by.to_string()));
        Self {
            normalizer: sequence(replaced.collect()),
            decoder: Value::Null,
            ..Self::matches(
                &format!(r"\S{{{}}}", kmers.size()),
                &Normalization::default(),
            )
        }
    }
}

/// A vocabulary of whole words.
pub(super) fn whole_words(vocab: &Map<String, Value>, unknown: &str) -> Value {
    json!({"type": "WordLevel", "vocab": vocab, "unk_token": unknown})
}

/// Byte-pair encoding; `unknown` replaces characters that the vocabulary lacks.
pub(super) fn bpe(
    vocab: &Map<String, Value>,
    merges: &[(&str, &str)],
    unknown: Option<&str>,
) -> Value {
    json!({
        "type": "BPE",
        "dropout": null,
        "unk_token": unknown,
        "continuing_subword_prefix": null,
        "end_of_word_suffix": null,
        "fuse_unk": false,
        "byte_fallback": false,
        "ignore_merges": false,
        "vocab": vocab,
        "merges": merges,
    })
}

/// WordPiece.
pub(super) fn wordpiece(vocab: &Map<String, Value>, unknown: &str) -> Value {
    json!({
        "type": "WordPiece",
        "unk_token": unknown,
        "continuing_subword_prefix": "##",
        "max_input_chars_per_word": 100,
        "vocab": vocab,
    })
}

/// Pieces and the logarithms of their probabilities, in the order of their ids.
pub(super) fn unigram(pieces: &[(String, f64)], unknown: Option<usize>) -> Value {
    json!({"type": "Unigram", "unk_id": unknown, "vocab": pieces, "byte_fallback": false})
}

/// `<s> A </s></s> B </s>`, all of token type 0, as RoBERTa has it; with byte-level words by its own processor.
pub(super) fn roberta_template(
    byte_level: bool,
    ids: &BTreeMap<&'static str, (String, u64)>,
) -> Option<Value> {
    let (cls, sep) = (ids.get("cls_token")?, ids.get("sep_token")?);
    if byte_level {
        return Some(json!({
            "type": "RobertaProcessing",
            "sep": sep,
            "cls": cls,
            "trim_offsets": true,
            "add_prefix_space": false,
        }));
    }
    let special = |(token, _): &(String, u64)| json!({"SpecialToken": {"id": token, "type_id": 0}});
    let text = |name: &str| json!({"Sequence": {"id": name, "type_id": 0}});
    let known = |(token, id): &(String, u64)| json!({"id": token, "ids": [id], "tokens": [token]});
    let single = [special(cls), text("A"), special(sep)];
    let pair = [
        special(cls),
        text("A"),
        special(sep),
        special(sep),
        text("B"),
        special(sep),
    ];
    let mut tokens = Map::new();
    for token in [cls, sep] {
        tokens.insert(token.0.clone(), known(token));
    }
    Some(json!({
        "type": "TemplateProcessing", "single": single, "pair": pair, "special_tokens": tokens,
    }))
}
