//! `tokenizer.json` of new tokenizers: normalizer, pre-tokenizer, template and model, by kind.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::kmers::Kmers;
use super::normalization::{Normalization, replace, sequence};

/// The components of a tokenizer other than its vocabulary.
#[derive(Debug, Clone)]
pub(super) struct Parts {
    pub(super) normalizer: Value,
    pub(super) pre_tokenizer: Value,
    pub(super) decoder: Value,
}

/// Splits text in which spaces are marked by `▁`: before each space and around each punctuation mark and symbol.
///
/// The mark belongs to the text after it, so that there is no separate `▁` token before a bracket.
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

    /// Words with the preceding space as `▁`, as in SentencePiece; for BPE and Unigram.
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

    /// RoBERTa's rules: bytes, with the preceding space of a word as `Ġ`.
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

    /// Single characters; any run of white space becomes one space.
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

    /// The matches of a pattern; other text is dropped.
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

    /// K-mers of a sequence: split here if the stride equals their size, otherwise beforehand by [`Kmers::cut`].
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

/// Pieces and their log probabilities, in the order of their ids.
pub(super) fn unigram(pieces: &[(String, f64)], unknown: Option<usize>) -> Value {
    json!({"type": "Unigram", "unk_id": unknown, "vocab": pieces, "byte_fallback": false})
}

/// `<s> A </s></s> B </s>`, all with token type 0, as in RoBERTa; for byte-level words, RoBERTa's own post-processor.
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
