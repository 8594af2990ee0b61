//! Builds tokenizers from a vocabulary and the parts of a `tokenizer.json`.

use std::collections::BTreeMap;
use std::path::Path;
use std::str::FromStr;

use serde_json::{Map, Value, json};
use tokenizers::Tokenizer;
use tokenizers::utils::SysRegex;

use super::documents::{self, Parts};
use super::family::{Spelling, TokenizerFamily};
use super::files::{
    CONFIG, KMERS, SPECIAL_TOKENS, TOKENIZER, VOCAB_TXT, file_names, read_object, read_text,
};
use super::kmers::Kmers;
use super::normalization::Normalization;
use super::special_tokens::{
    added_tokens, pair_template, special_places, special_tokens, token_text, vocabulary_id,
};
use super::{Source, SpecialIds, TextTokenizer, TokenizerError};

/// The model of a new tokenizer.
pub(super) enum Model<'a> {
    /// WordPiece.
    Wordpiece,
    /// BPE; with `bytes`, over bytes, so that there are no unknown tokens.
    Bpe {
        merges: &'a [(&'a str, &'a str)],
        bytes: bool,
    },
    /// The log probability of each token; 0 for special tokens.
    Unigram { scores: &'a [f64] },
    /// A vocabulary of whole tokens.
    Whole,
}

/// A new tokenizer over `tokens`, whose ids are their positions; [`special_places`] determines the positions of special
/// tokens.
pub(super) fn new(
    parts: Parts,
    model: Model<'_>,
    tokens: &[&str],
    family: TokenizerFamily,
) -> Result<TextTokenizer, TokenizerError> {
    let special = special_tokens(&Map::new(), &Map::new(), family.conventions().spelling);
    let source = Source {
        special_tokens: special,
        ..Source::default()
    };
    assemble(
        Path::new(TOKENIZER),
        parts,
        model,
        &ids_of(tokens),
        family,
        source,
    )
}

/// A character-level tokenizer with the vocabulary of a model's folder.
pub(super) fn characters(
    dir: &Path,
    family: TokenizerFamily,
) -> Result<TextTokenizer, TokenizerError> {
    let parts = Parts::characters(&Normalization::default());
    with_vocab_txt(parts, None, dir, family)
}

/// A regular-expression tokenizer with the vocabulary of a model's folder.
pub(super) fn pattern(
    pattern: &str,
    dir: &Path,
    family: TokenizerFamily,
) -> Result<TextTokenizer, TokenizerError> {
    let parts = Parts::matches(pattern, &Normalization::default());
    check_pattern(pattern)?;
    with_vocab_txt(parts, None, dir, family)
}

/// A k-mer tokenizer with the vocabulary of a model's folder.
pub(super) fn kmers(
    kmers: &Kmers,
    dir: &Path,
    family: TokenizerFamily,
) -> Result<TextTokenizer, TokenizerError> {
    with_vocab_txt(Parts::kmers(kmers), Some(kmers), dir, family)
}

/// A k-mer tokenizer with all k-mers of the alphabet.
pub(super) fn new_kmers(
    kmers: &Kmers,
    family: TokenizerFamily,
) -> Result<TextTokenizer, TokenizerError> {
    let (first, last) = special_places(family);
    let pieces: Vec<String> = kmers.vocabulary().collect();
    let pieces = pieces.iter().map(String::as_str);
    let tokens: Vec<&str> = first
        .iter()
        .copied()
        .chain(pieces)
        .chain(last.iter().copied())
        .collect();
    let mut tokenizer = new(Parts::kmers(kmers), Model::Whole, &tokens, family)?;
    tokenizer.set_kmers(kmers);
    Ok(tokenizer)
}

impl TextTokenizer {
    fn set_kmers(&mut self, kmers: &Kmers) {
        self.source.config.insert(KMERS.into(), kmers.to_json());
        self.kmers = Some(kmers.clone());
    }
}

/// Returns an error if a pattern cannot be used by a tokenizer.
pub(super) fn check_pattern(pattern: &str) -> Result<(), TokenizerError> {
    let failed = |message: String| TokenizerError::Pattern {
        pattern: pattern.into(),
        message,
    };
    let regex = SysRegex::new(pattern).map_err(|error| failed(error.to_string()))?;
    match regex.find_iter("").next() {
        Some(_) => Err(failed("it matches where there is nothing".into())),
        None => Ok(()),
    }
}

/// A whole-word tokenizer with the `vocab.txt` of a folder.
fn with_vocab_txt(
    parts: Parts,
    kmers: Option<&Kmers>,
    dir: &Path,
    family: TokenizerFamily,
) -> Result<TextTokenizer, TokenizerError> {
    let path = dir.join(VOCAB_TXT);
    if !path.is_file() {
        return Err(TokenizerError::NotFound {
            dir: dir.into(),
            found: file_names(dir),
        });
    }
    let text = read_text(&path)?;
    let tokens: Vec<&str> = text.lines().collect();
    let mut config = read_object(&dir.join(CONFIG))?;
    let map = read_object(&dir.join(SPECIAL_TOKENS))?;
    let vocab = ids_of(&tokens);
    let spelling = match vocab.contains_key("<s>") && !vocab.contains_key("[CLS]") {
        true => Spelling::Angles,
        false => Spelling::Brackets,
    };
    let special_tokens = special_tokens(&config, &map, spelling);
    // These settings of WordPiece do not apply here.
    for key in [
        "tokenizer_class",
        "do_lower_case",
        "do_basic_tokenize",
        "strip_accents",
        "tokenize_chinese_chars",
    ] {
        config.shift_remove(key);
    }
    let source = Source {
        special_tokens,
        config,
        ..Source::default()
    };
    let mut tokenizer = assemble(&path, parts, Model::Whole, &vocab, family, source)?;
    if let Some(kmers) = kmers {
        tokenizer.set_kmers(kmers);
    }
    Ok(tokenizer)
}

pub(super) fn ids_of(tokens: &[&str]) -> Map<String, Value> {
    let ids = tokens.iter().enumerate();
    ids.map(|(id, token)| (token.to_string(), id.into()))
        .collect()
}

/// Builds a tokenizer from its parts, model and vocabulary; `path` is used in messages.
pub(super) fn assemble(
    path: &Path,
    parts: Parts,
    model: Model<'_>,
    vocab: &Map<String, Value>,
    family: TokenizerFamily,
    source: Source,
) -> Result<TextTokenizer, TokenizerError> {
    let special = &source.special_tokens;
    let id = |token: &str| vocab.get(token).and_then(Value::as_u64);
    let known: BTreeMap<&'static str, (String, u64)> = special
        .iter()
        .filter_map(|(role, token)| {
            let token = token_text(token)?;
            Some((*role, (token.to_string(), id(token)?)))
        })
        .collect();
    let unknown = known.get("unk_token");
    let unknown_token = unknown.map_or("[UNK]", |(token, _)| token);
    let bytes = matches!(model, Model::Bpe { bytes: true, .. });
    let model = match model {
        Model::Wordpiece => documents::wordpiece(vocab, unknown_token),
        Model::Bpe { merges, bytes } => {
            documents::bpe(vocab, merges, (!bytes).then_some(unknown_token))
        }
        Model::Unigram { scores } => {
            let pieces = vocab.keys().cloned().zip(scores.iter().copied());
            let pieces: Vec<(String, f64)> = pieces.collect();
            documents::unigram(&pieces, unknown.map(|&(_, id)| id as usize))
        }
        Model::Whole => documents::whole_words(vocab, unknown_token),
    };
    let template = match family.conventions().spelling {
        Spelling::Angles => documents::roberta_template(bytes, &known),
        Spelling::Brackets => None,
    };
    let spelling = match known.get("cls_token") {
        Some((token, _)) if token == "<s>" => Spelling::Angles,
        _ => Spelling::Brackets,
    };
    let document = json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": added_tokens(vocab, special, spelling),
        "normalizer": parts.normalizer,
        "pre_tokenizer": parts.pre_tokenizer,
        "post_processor": template,
        "decoder": parts.decoder,
        "model": model,
    });
    let required = ["unk_token", "cls_token", "sep_token", "pad_token"];
    build(path, document, family, source, &required)
}

/// Builds a tokenizer from a document in the format of `tokenizer.json` and checks its special tokens; `path` is used in
/// messages.
pub(super) fn build(
    path: &Path,
    mut document: Value,
    family: TokenizerFamily,
    mut source: Source,
    required: &[&'static str],
) -> Result<TextTokenizer, TokenizerError> {
    let mut ids: BTreeMap<&'static str, u32> = BTreeMap::new();
    for (role, token) in &source.special_tokens {
        let token = token_text(token).unwrap_or_default();
        if let Some(id) = token_id(&document, token) {
            ids.insert(role, id);
        } else if required.contains(role) {
            return Err(TokenizerError::SpecialToken {
                path: path.into(),
                token: token.into(),
                role,
            });
        }
    }
    // Do not save a special token that the vocabulary lacks: transformers would add it with an id beyond the embeddings.
    source
        .special_tokens
        .retain(|role, _| ids.contains_key(role));

    let missing = |role: &'static str| TokenizerError::SpecialToken {
        path: path.into(),
        token: String::new(),
        role,
    };
    let cls = *ids.get("cls_token").ok_or_else(|| missing("cls_token"))?;
    let sep = *ids.get("sep_token").ok_or_else(|| missing("sep_token"))?;
    if document["post_processor"].is_null() {
        let text = |role: &str| {
            source
                .special_tokens
                .get(role)
                .and_then(token_text)
                .unwrap_or_default()
        };
        document["post_processor"] =
            pair_template((text("cls_token"), cls), (text("sep_token"), sep));
    }
    let inner =
        Tokenizer::from_str(&document.to_string()).map_err(|error| TokenizerError::Content {
            path: path.into(),
            expected: "a tokenizer",
            message: error.to_string(),
        })?;
    let largest = inner.get_vocab(true).into_values().max();
    let model_max_length = source
        .config
        .get("model_max_length")
        .and_then(Value::as_u64)
        .filter(|&tokens| tokens < 1_000_000_000) // a larger number says that there is none
        .map(|tokens| tokens as usize);
    let kmers = saved_kmers(path, &source)?;
    Ok(TextTokenizer {
        kmers,
        vocab_size: largest.map_or(0, |id| id as usize + 1),
        special: SpecialIds {
            cls,
            sep,
            unk: ids.get("unk_token").copied(),
            pad: ids.get("pad_token").copied(),
            mask: ids.get("mask_token").copied(),
        },
        inner,
        family,
        model_max_length,
        warnings: Vec::new(),
        source,
    })
}

/// The id of a token in a document in the format of `tokenizer.json`.
fn token_id(document: &Value, token: &str) -> Option<u32> {
    let added = document["added_tokens"].as_array();
    let added = added
        .into_iter()
        .flatten()
        .find(|added| added["content"] == token);
    let id = match added {
        Some(added) => added["id"].as_u64(),
        None => vocabulary_id(&document["model"]["vocab"], token),
    };
    id.and_then(|id| u32::try_from(id).ok())
}

/// The k-mer settings saved in `tokenizer_config.json`, if any.
fn saved_kmers(path: &Path, source: &Source) -> Result<Option<Kmers>, TokenizerError> {
    let Some(saved) = source.config.get(KMERS) else {
        return Ok(None);
    };
    let invalid = || TokenizerError::Content {
        path: path.with_file_name(CONFIG),
        expected: "a list of settings",
        message: format!("`{KMERS}` is `{saved}`, expected size, stride and alphabet"),
    };
    Kmers::from_json(saved).map(Some).ok_or_else(invalid)
}
