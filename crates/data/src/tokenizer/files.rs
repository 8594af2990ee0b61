//! Tokenizers from and to the files of Hugging Face transformers.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::str::FromStr;

use serde_json::{Map, Value, json};
use tokenizers::Tokenizer;
use tokenizers::utils::SysRegex;

use super::documents::{self, Parts};
use super::kmers::Kmers;
use super::normalization::Normalization;
use super::{Family, Source, SpecialIds, TextTokenizer, TokenizerError};

const TOKENIZER: &str = "tokenizer.json";
const CONFIG: &str = "tokenizer_config.json";
const SPECIAL_TOKENS: &str = "special_tokens_map.json";
const VOCAB_TXT: &str = "vocab.txt";
const VOCAB_JSON: &str = "vocab.json";
const MERGES: &str = "merges.txt";

/// The key of `tokenizer_config.json` that says how sequences are cut before anything else; ours alone.
const KMERS: &str = "bertkit_kmers";

/// A role of a special token, and its usual token in vocabularies of BERT's and of RoBERTa's style.
type Role = (&'static str, &'static str, &'static str);

const ROLES: [Role; 5] = [
    ("unk_token", "[UNK]", "<unk>"),
    ("cls_token", "[CLS]", "<s>"),
    ("sep_token", "[SEP]", "</s>"),
    ("pad_token", "[PAD]", "<pad>"),
    ("mask_token", "[MASK]", "<mask>"),
];

/// How special tokens are spelt, unless the files say otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Spelling {
    Brackets,
    Angles,
}

impl Spelling {
    fn of(family: Family) -> Self {
        match family {
            Family::Roberta => Self::Angles,
            Family::Bert | Family::Electra | Family::Distilbert => Self::Brackets,
        }
    }
}

/// The special tokens of a new vocabulary: those of the first ids, and those of the last.
///
/// `[PAD] [UNK] [CLS] [SEP] [MASK]` first, as BERT's vocabularies have them without the unused tokens between; or
/// `<s> <pad> </s> <unk>` first and `<mask>` last, as RoBERTa's have them.
pub(super) fn special_places(family: Family) -> (&'static [&'static str], &'static [&'static str]) {
    match Spelling::of(family) {
        Spelling::Brackets => (&["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"], &[]),
        Spelling::Angles => (&["<s>", "<pad>", "</s>", "<unk>"], &["<mask>"]),
    }
}

/// The model of a new tokenizer.
pub(super) enum Model<'a> {
    /// Pieces of words.
    Wordpiece,
    /// Merges; `bytes` where they are of bytes, so that nothing is unknown.
    Bpe {
        merges: &'a [(&'a str, &'a str)],
        bytes: bool,
    },
    /// The logarithm of each token's probability; 0 for special tokens.
    Unigram { scores: &'a [f64] },
    /// Every token for itself.
    Whole,
}

impl TextTokenizer {
    /// Reads the tokenizer in a model directory.
    ///
    /// That is `tokenizer.json` if it is there; else `vocab.txt`, for WordPiece with BERT's normalisation; else
    /// `vocab.json` and `merges.txt`, for RoBERTa's byte-level BPE. `tokenizer_config.json` and
    /// `special_tokens_map.json` may tell the special tokens, `do_lower_case`, `strip_accents`,
    /// `tokenize_chinese_chars` and `add_prefix_space`; where they do not, transformers' defaults hold (texts are
    /// lower-cased, for one). Where `tokenizer_config.json` contradicts the normaliser in `tokenizer.json`, it wins, as
    /// in transformers. A special token that the vocabulary lacks stays unknown, where transformers would give it an id
    /// beyond the model's embeddings.
    ///
    /// # Errors
    /// None of the files is there; a file cannot be read or is not what it should be; the vocabulary lacks the tokens
    /// that start and end an input, or, beside a bare vocabulary, the unknown or padding token.
    pub fn from_dir(dir: &Path, family: Family) -> Result<Self, TokenizerError> {
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

    /// Writes the tokenizer to a directory, which is made if need be, so that it loads here and in transformers.
    ///
    /// `tokenizer.json`, `tokenizer_config.json` and `special_tokens_map.json`; also `vocab.txt` for WordPiece and for
    /// tokens that stand for themselves, if the ids have no gaps, or `vocab.json` and `merges.txt` for BPE. Settings it was read with are kept.
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
        // Code and paths of where the tokenizer came from mean nothing here.
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
        let class = match self.family {
            Family::Bert if wordpiece => "BertTokenizer",
            Family::Electra if wordpiece => "ElectraTokenizer",
            Family::Distilbert if wordpiece => "DistilBertTokenizer",
            Family::Roberta if byte_level => "RobertaTokenizer",
            // Anything else is what `tokenizer.json` says, which this class takes as it is.
            _ => "PreTrainedTokenizerFast",
        };
        config
            .entry("tokenizer_class")
            .or_insert_with(|| class.into());
        if config["tokenizer_class"] == "PreTrainedTokenizerFast" && !self.family.has_token_types()
        {
            // It would give token types, and some models take none.
            let inputs = json!(["input_ids", "attention_mask"]);
            config.entry("model_input_names").or_insert(inputs);
        }
        if wordpiece {
            // transformers builds the normaliser from these, not from `tokenizer.json`.
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

fn from_tokenizer_json(
    path: &Path,
    family: Family,
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
        Some(_) if family == Family::Roberta => Spelling::Angles,
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
    family: Family,
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

/// A new tokenizer over `tokens`, whose ids are their positions; special tokens are where [`special_places`] says.
pub(super) fn new(
    parts: Parts,
    model: Model<'_>,
    tokens: &[&str],
    family: Family,
) -> Result<TextTokenizer, TokenizerError> {
    let special = special_tokens(&Map::new(), &Map::new(), Spelling::of(family));
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

/// Every character a token, with the vocabulary of a model's folder.
pub(super) fn characters(dir: &Path, family: Family) -> Result<TextTokenizer, TokenizerError> {
    let parts = Parts::characters(&Normalization::default());
    with_vocab_txt(parts, None, dir, family)
}

/// Whatever a pattern matches, with the vocabulary of a model's folder.
pub(super) fn pattern(
    pattern: &str,
    dir: &Path,
    family: Family,
) -> Result<TextTokenizer, TokenizerError> {
    let parts = Parts::matches(pattern, &Normalization::default());
    check_pattern(pattern)?;
    with_vocab_txt(parts, None, dir, family)
}

/// Pieces of a sequence, with the vocabulary of a model's folder.
pub(super) fn kmers(
    kmers: &Kmers,
    dir: &Path,
    family: Family,
) -> Result<TextTokenizer, TokenizerError> {
    with_vocab_txt(Parts::kmers(kmers), Some(kmers), dir, family)
}

/// Pieces of a sequence, with every piece that the alphabet allows.
pub(super) fn new_kmers(kmers: &Kmers, family: Family) -> Result<TextTokenizer, TokenizerError> {
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

/// Whether a tokenizer can use a pattern.
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

/// The tokens of `vocab.txt` in a folder as words of their own.
fn with_vocab_txt(
    parts: Parts,
    kmers: Option<&Kmers>,
    dir: &Path,
    family: Family,
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
    // What these say of WordPiece does not hold here.
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

fn ids_of(tokens: &[&str]) -> Map<String, Value> {
    let ids = tokens.iter().enumerate();
    ids.map(|(id, token)| (token.to_string(), id.into()))
        .collect()
}

/// The tokenizer of parts, model and vocabulary; `path` is for messages.
fn assemble(
    path: &Path,
    parts: Parts,
    model: Model<'_>,
    vocab: &Map<String, Value>,
    family: Family,
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
    let template = match Spelling::of(family) {
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

fn from_vocab_json(
    dir: &Path,
    family: Family,
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

/// The tokenizer of a document in the form of `tokenizer.json`, its special tokens checked; `path` is for messages.
fn build(
    path: &Path,
    mut document: Value,
    family: Family,
    mut source: Source,
    required: &[&'static str],
) -> Result<TextTokenizer, TokenizerError> {
    let known = |document: &Value, token: &str| {
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
    };
    let mut ids: BTreeMap<&'static str, u32> = BTreeMap::new();
    for (role, token) in &source.special_tokens {
        let token = token_text(token).unwrap_or_default();
        if let Some(id) = known(&document, token) {
            ids.insert(role, id);
        } else if required.contains(role) {
            return Err(TokenizerError::SpecialToken {
                path: path.into(),
                token: token.into(),
                role,
            });
        }
    }
    // A token that the vocabulary lacks is not written down again: transformers would add it, beyond the embeddings.
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
    let kmers = match source.config.get(KMERS) {
        None => None,
        Some(saved) => match Kmers::from_json(saved) {
            Some(kmers) => Some(kmers),
            None => {
                return Err(TokenizerError::Content {
                    path: path.with_file_name(CONFIG),
                    expected: "a list of settings",
                    message: format!("`{KMERS}` is `{saved}`, expected size, stride and alphabet"),
                });
            }
        },
    };
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

/// `[CLS] A [SEP] B [SEP]`, with token type 1 from `B` on.
fn pair_template((cls, cls_id): (&str, u32), (sep, sep_id): (&str, u32)) -> Value {
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

/// The special token of every role: as configured, else as usual.
fn special_tokens(
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

/// A special token is a text, or a description with its text as `content`.
fn token_text(token: &Value) -> Option<&str> {
    token.as_str().or_else(|| token.get("content")?.as_str())
}

/// The special tokens of a bare vocabulary, by id, for `tokenizer.json`.
fn added_tokens(
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
        // RoBERTa's mask takes the space before it along, as a word would.
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
fn vocabulary_id(vocab: &Value, token: &str) -> Option<u64> {
    match vocab {
        Value::Array(pieces) => {
            let place = pieces.iter().position(|piece| piece[0] == token);
            place.map(|id| id as u64)
        }
        vocab => vocab.get(token)?.as_u64(),
    }
}

/// The tokens of a vocabulary by id, one a line, if the ids have no gaps and no token a line break.
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

fn read_text(path: &Path) -> Result<String, TokenizerError> {
    let text = fs::read_to_string(path).map_err(|source| TokenizerError::Read {
        path: path.into(),
        source,
    })?;
    Ok(match text.strip_prefix('\u{feff}') {
        Some(rest) => rest.to_string(),
        None => text,
    })
}

fn read_json(path: &Path) -> Result<Value, TokenizerError> {
    serde_json::from_str(&read_text(path)?).map_err(|source| TokenizerError::Json {
        path: path.into(),
        source,
    })
}

/// The object in a file that may be absent.
fn read_object(path: &Path) -> Result<Map<String, Value>, TokenizerError> {
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
fn file_names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names.truncate(10);
    names
}
