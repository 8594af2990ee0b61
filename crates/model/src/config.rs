//! The description of an encoder: what `config.json` says, checked.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// The families of encoders that bertkit reads, trains and writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    /// Devlin et al. 2019.
    Bert,
    /// Liu et al. 2019; positions count from the padding id + 1.
    Roberta,
    /// Clark et al. 2020; embeddings may be narrower than the layers.
    Electra,
    /// Sanh et al. 2019; no token types and no pooler.
    Distilbert,
}

impl Family {
    /// Every family, in the order in which messages list them.
    pub const ALL: [Self; 4] = [Self::Bert, Self::Roberta, Self::Electra, Self::Distilbert];

    /// The name that `config.json` uses as `model_type`, and most tensor names as prefix.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bert => "bert",
            Self::Roberta => "roberta",
            Self::Electra => "electra",
            Self::Distilbert => "distilbert",
        }
    }

    /// The family with that `model_type`, if bertkit knows it.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|family| family.name() == name)
    }
}

impl std::fmt::Display for Family {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// The nonlinearity between the two matrices of the feed-forward block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// `x Φ(x)` with the exact error function.
    Gelu,
    /// The tanh approximation of GELU, as in the original BERT code.
    GeluNew,
    /// `max(x, 0)`.
    Relu,
    /// Hyperbolic tangent.
    Tanh,
}

impl Activation {
    fn from_name(name: &str) -> Option<Self> {
        match name {
            "gelu" | "gelu_python" => Some(Self::Gelu),
            "gelu_new" | "gelu_pytorch_tanh" | "gelu_fast" => Some(Self::GeluNew),
            "relu" => Some(Self::Relu),
            "tanh" => Some(Self::Tanh),
            _ => None,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Gelu => "gelu",
            Self::GeluNew => "gelu_new",
            Self::Relu => "relu",
            Self::Tanh => "tanh",
        }
    }
}

/// What a sequence classifier's outputs mean; `problem_type` in `config.json`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProblemType {
    /// One class a row: softmax.
    SingleLabelClassification,
    /// Any number of classes a row: a sigmoid each.
    MultiLabelClassification,
    /// Real numbers: no activation.
    Regression,
}

/// An encoder's shape, as Hugging Face's `config.json` describes it.
///
/// Sizes are counts; dropout values are probabilities.
#[derive(Debug, Clone, PartialEq)]
pub struct EncoderConfig {
    /// Which family's tensor names, embeddings and heads apply.
    pub family: Family,
    /// Rows of the word embedding.
    pub vocab_size: usize,
    /// Width of the layers.
    pub hidden_size: usize,
    /// Width of the embeddings; other than `hidden_size` only for ELECTRA, which then projects.
    pub embedding_size: usize,
    /// Number of transformer layers.
    pub num_hidden_layers: usize,
    /// Attention heads a layer; divides `hidden_size`.
    pub num_attention_heads: usize,
    /// Width of the feed-forward block.
    pub intermediate_size: usize,
    /// Nonlinearity of the feed-forward block.
    pub hidden_act: Activation,
    /// Dropout after embeddings and after each block.
    pub hidden_dropout: f64,
    /// Dropout on attention weights.
    pub attention_dropout: f64,
    /// Dropout before a task head.
    pub classifier_dropout: f64,
    /// Rows of the position embedding.
    pub max_position_embeddings: usize,
    /// Rows of the token-type embedding; 0 where the family has none.
    pub type_vocab_size: usize,
    /// Added to the variance in LayerNorm.
    pub layer_norm_eps: f64,
    /// The id of the padding token.
    pub pad_token_id: usize,
    /// Standard deviation of fresh weights.
    pub initializer_range: f64,
    /// Whether the masked-LM decoder is the word embedding itself.
    pub tie_word_embeddings: bool,
    /// Class names by id, when the file names them.
    pub labels: Option<Vec<String>>,
    /// `num_labels` as the file states it beside `id2label`.
    pub num_labels: Option<usize>,
    /// What a sequence classifier's outputs mean, when the file says so.
    pub problem_type: Option<ProblemType>,
    /// The class names under `architectures`.
    pub architectures: Vec<String>,
    /// Everything else in the file, kept so that it is written back.
    pub extra: Map<String, Value>,
}

/// More parameters than any encoder has, by far: 137 GB in f32.
const MOST_PARAMETERS: u128 = 1 << 35;

/// Why a `config.json` cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file is not there or cannot be read.
    #[error("could not read the model's configuration `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The file could not be written.
    #[error("could not write the model's configuration `{}`", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The file is not JSON.
    #[error("`{}` is not readable JSON", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// Where and why.
        #[source]
        source: serde_json::Error,
    },
    /// The model belongs to a family that bertkit does not know.
    #[error(
        "model family `{found}` in `{}` is not supported; supported are bert, roberta, electra and distilbert",
        path.display()
    )]
    UnsupportedFamily {
        /// The file.
        path: PathBuf,
        /// Its `model_type`.
        found: String,
    },
    /// `model_type` is absent, and nothing else tells the family.
    #[error("`{}` has no `model_type`, and the names of the weights do not tell the family", path.display())]
    UnknownFamily {
        /// The file.
        path: PathBuf,
    },
    /// A key is absent.
    #[error("`{key}` is missing from `{}`", path.display())]
    MissingKey {
        /// The file.
        path: PathBuf,
        /// The key.
        key: &'static str,
    },
    /// A value is out of its range, or of the wrong type.
    #[error("`{key}` is `{found}` in `{}`, expected {expected}", path.display())]
    Value {
        /// The file.
        path: PathBuf,
        /// The key.
        key: &'static str,
        /// What stands there.
        found: String,
        /// What may stand there.
        expected: String,
    },
    /// Sizes that multiply to more than any machine holds.
    #[error("the sizes in `{}` make {parameters} parameters, expected fewer than {MOST_PARAMETERS}", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Matrices of embeddings and layers alone.
        parameters: u64,
    },
}

impl ConfigError {
    /// What the user can do about it, if we know.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Read { .. } => Some(
                "a model is a folder with `config.json`, `model.safetensors` and a tokenizer, as `save_pretrained` writes it".into(),
            ),
            Self::UnsupportedFamily { .. } | Self::UnknownFamily { .. } => Some(
                "choose a checkpoint whose `model_type` is bert, roberta, electra or distilbert".into(),
            ),
            Self::Json { .. } => Some("download or copy the model folder again; the file may be cut short".into()),
            Self::Write { .. } => Some("check free space and permissions of that folder".into()),
            Self::MissingKey { .. } | Self::Value { .. } | Self::TooLarge { .. } => {
                Some("correct it there, or take the configuration from where the weights came from".into())
            }
        }
    }
}

/// Reads typed values out of the JSON object and takes them away, so that the rest is `extra`.
struct Reader<'a> {
    path: &'a Path,
    map: Map<String, Value>,
}

impl Reader<'_> {
    fn value_error(&self, key: &'static str, found: &Value, expected: &str) -> ConfigError {
        ConfigError::Value {
            path: self.path.into(),
            key,
            found: found.to_string(),
            expected: expected.into(),
        }
    }

    fn take(&mut self, key: &'static str) -> Option<Value> {
        self.map.shift_remove(key).filter(|value| !value.is_null())
    }

    fn count(&mut self, key: &'static str, default: Option<usize>) -> Result<usize, ConfigError> {
        match self.take(key) {
            Some(value) => match value.as_u64() {
                Some(n) if n < 1 << 32 => Ok(n as usize),
                _ => Err(self.value_error(key, &value, "a whole number, 0 or more")),
            },
            None => default.ok_or(ConfigError::MissingKey {
                path: self.path.into(),
                key,
            }),
        }
    }

    fn real(
        &mut self,
        key: &'static str,
        default: f64,
        low: f64,
        high: f64,
    ) -> Result<f64, ConfigError> {
        match self.take(key) {
            Some(value) => match value.as_f64() {
                Some(x) if (low..=high).contains(&x) => Ok(x),
                _ => Err(self.value_error(key, &value, &format!("a number from {low} to {high}"))),
            },
            None => Ok(default),
        }
    }
}

impl EncoderConfig {
    /// A fresh configuration of a family at the given sizes, with the family's published defaults.
    pub fn new(
        family: Family,
        vocab_size: usize,
        hidden_size: usize,
        num_hidden_layers: usize,
        num_attention_heads: usize,
        intermediate_size: usize,
    ) -> Self {
        Self {
            family,
            vocab_size,
            hidden_size,
            embedding_size: hidden_size,
            num_hidden_layers,
            num_attention_heads,
            intermediate_size,
            hidden_act: Activation::Gelu,
            hidden_dropout: 0.1,
            attention_dropout: 0.1,
            classifier_dropout: if family == Family::Distilbert {
                0.2
            } else {
                0.1
            },
            max_position_embeddings: if family == Family::Roberta { 514 } else { 512 },
            type_vocab_size: match family {
                Family::Bert | Family::Electra => 2,
                Family::Roberta => 1,
                Family::Distilbert => 0,
            },
            layer_norm_eps: if family == Family::Roberta {
                1e-5
            } else {
                1e-12
            },
            pad_token_id: usize::from(family == Family::Roberta),
            initializer_range: 0.02,
            tie_word_embeddings: true,
            labels: None,
            num_labels: None,
            problem_type: None,
            architectures: Vec::new(),
            extra: Map::new(),
        }
    }

    /// Reads and checks `config.json`.
    ///
    /// `guess` is asked for the family when the file has no `model_type` (files of before 2019);
    /// it usually looks at the names of the weights.
    ///
    /// # Errors
    /// The file cannot be read, is no JSON, belongs to another family, or holds a value that no
    /// encoder can have.
    pub fn read(path: &Path, guess: impl FnOnce() -> Option<Family>) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read {
            path: path.into(),
            source,
        })?;
        let map: Map<String, Value> =
            serde_json::from_str(&text).map_err(|source| ConfigError::Json {
                path: path.into(),
                source,
            })?;
        let family = match map.get("model_type").and_then(Value::as_str) {
            Some(name) => {
                Family::from_name(name).ok_or_else(|| ConfigError::UnsupportedFamily {
                    path: path.into(),
                    found: name.into(),
                })?
            }
            None => guess().ok_or_else(|| ConfigError::UnknownFamily { path: path.into() })?,
        };
        Self::from_map(family, map, path)
    }

    fn from_map(
        family: Family,
        mut map: Map<String, Value>,
        path: &Path,
    ) -> Result<Self, ConfigError> {
        map.shift_remove("model_type");
        let mut r = Reader { path, map };
        let distil = family == Family::Distilbert;
        let key =
            |bert: &'static str, distilbert: &'static str| if distil { distilbert } else { bert };

        let vocab_size = r.count("vocab_size", None)?;
        let hidden_size = r.count(key("hidden_size", "dim"), None)?;
        let layers = r.count(key("num_hidden_layers", "n_layers"), None)?;
        let heads = r.count(key("num_attention_heads", "n_heads"), None)?;
        let intermediate = r.count(key("intermediate_size", "hidden_dim"), None)?;
        let mut config = Self::new(family, vocab_size, hidden_size, layers, heads, intermediate);
        if family == Family::Electra {
            config.embedding_size = r.count("embedding_size", Some(hidden_size))?;
        }
        let act = key("hidden_act", "activation");
        if let Some(value) = r.take(act) {
            config.hidden_act = value
                .as_str()
                .and_then(Activation::from_name)
                .ok_or_else(|| r.value_error(act, &value, "one of gelu, gelu_new, relu, tanh"))?;
        }
        config.hidden_dropout = r.real(key("hidden_dropout_prob", "dropout"), 0.1, 0.0, 0.999)?;
        config.attention_dropout = r.real(
            key("attention_probs_dropout_prob", "attention_dropout"),
            0.1,
            0.0,
            0.999,
        )?;
        config.classifier_dropout = if distil {
            r.real("seq_classif_dropout", 0.2, 0.0, 0.999)?
        } else {
            r.real("classifier_dropout", config.hidden_dropout, 0.0, 0.999)?
        };
        config.max_position_embeddings = r.count(
            "max_position_embeddings",
            Some(config.max_position_embeddings),
        )?;
        if !distil {
            config.type_vocab_size = r.count("type_vocab_size", Some(config.type_vocab_size))?;
            config.layer_norm_eps = r.real("layer_norm_eps", 1e-12, 0.0, 1.0)?;
        }
        config.pad_token_id = r.count("pad_token_id", Some(config.pad_token_id))?;
        config.initializer_range = r.real("initializer_range", 0.02, 0.0, 10.0)?;
        if let Some(value) = r.take("tie_word_embeddings") {
            config.tie_word_embeddings = value.as_bool().unwrap_or(true);
        }
        if let Some(value) = r.take("position_embedding_type")
            && value.as_str() != Some("absolute")
        {
            return Err(r.value_error("position_embedding_type", &value, "`absolute`"));
        }
        config.num_labels = match r.take("num_labels") {
            Some(value) => Some(
                value
                    .as_u64()
                    .ok_or_else(|| r.value_error("num_labels", &value, "a whole number"))?
                    as usize,
            ),
            None => None,
        };
        r.take("label2id");
        if let Some(value) = r.take("id2label") {
            config.labels = Some(read_labels(&value).ok_or_else(|| {
                r.value_error(
                    "id2label",
                    &value,
                    "an object from the ids 0, 1, … to names",
                )
            })?);
        }
        if let Some(value) = r.take("problem_type") {
            config.problem_type = Some(serde_json::from_value(value.clone()).map_err(|_| {
                r.value_error(
                    "problem_type",
                    &value,
                    "single_label_classification, multi_label_classification or regression",
                )
            })?);
        }
        if let Some(value) = r.take("architectures") {
            config.architectures = serde_json::from_value(value).unwrap_or_default();
        }
        config.extra = r.map;
        config.check(path)?;
        Ok(config)
    }

    /// Checks that the sizes can make an encoder; `path` is named in the error.
    ///
    /// # Errors
    /// A size is 0, the heads do not divide the width, or the padding id lies outside the vocabulary.
    pub fn check(&self, path: &Path) -> Result<(), ConfigError> {
        let fail = |key: &'static str, found: usize, expected: String| {
            Err(ConfigError::Value {
                path: path.into(),
                key,
                found: found.to_string(),
                expected,
            })
        };
        for (key, n) in [
            ("vocab_size", self.vocab_size),
            ("hidden_size", self.hidden_size),
            ("embedding_size", self.embedding_size),
            ("num_hidden_layers", self.num_hidden_layers),
            ("num_attention_heads", self.num_attention_heads),
            ("intermediate_size", self.intermediate_size),
            ("max_position_embeddings", self.max_position_embeddings),
        ] {
            if n == 0 {
                return fail(key, n, "1 or more".into());
            }
        }
        if !self.hidden_size.is_multiple_of(self.num_attention_heads) {
            return fail(
                "num_attention_heads",
                self.num_attention_heads,
                format!("a divisor of the width {}", self.hidden_size),
            );
        }
        if self.pad_token_id >= self.vocab_size {
            return fail(
                "pad_token_id",
                self.pad_token_id,
                format!("an id below vocab_size = {}", self.vocab_size),
            );
        }
        // Sizes that no machine holds are told here, where memory is not yet asked for.
        let n = |size: usize| size as u128;
        let rows = n(self.vocab_size) + n(self.max_position_embeddings) + n(self.type_vocab_size);
        let matrices = 4 * n(self.hidden_size) + 2 * n(self.intermediate_size);
        let parameters = rows * n(self.embedding_size)
            + n(self.num_hidden_layers) * n(self.hidden_size) * matrices;
        if parameters > MOST_PARAMETERS {
            return Err(ConfigError::TooLarge {
                path: path.into(),
                parameters: u64::try_from(parameters).unwrap_or(u64::MAX),
            });
        }
        if self.max_length() == 0 {
            return fail(
                "max_position_embeddings",
                self.max_position_embeddings,
                format!("more than pad_token_id + 1 = {}", self.pad_token_id + 1),
            );
        }
        Ok(())
    }

    /// The longest sequence, in tokens, for which there are positions.
    pub fn max_length(&self) -> usize {
        self.max_position_embeddings
            .saturating_sub(self.position_offset())
    }

    /// The row of the position embedding that the first token takes.
    ///
    /// RoBERTa counts from the padding id + 1 (`create_position_ids_from_input_ids` in transformers).
    pub fn position_offset(&self) -> usize {
        match self.family {
            Family::Roberta => self.pad_token_id + 1,
            _ => 0,
        }
    }

    /// The number of classes and where it came from: `id2label` is believed over `num_labels`,
    /// because it is what names the outputs. The second value is a sentence for the user when the
    /// file contradicts itself or says nothing.
    ///
    /// `rows` is the number of outputs that the head's weights have, which decides over both.
    pub fn resolve_labels(&self, rows: Option<usize>) -> (Vec<String>, Option<String>) {
        let fresh = |n: usize| (0..n).map(|i| format!("LABEL_{i}")).collect::<Vec<_>>();
        match (&self.labels, self.num_labels, rows) {
            (Some(labels), _, Some(n)) if labels.len() != n => (
                fresh(n),
                Some(format!(
                    "id2label names {} classes, but the weights have {n} outputs: the weights were believed, and the classes are called LABEL_0 …",
                    labels.len()
                )),
            ),
            (Some(labels), Some(n), _) if labels.len() != n => (
                labels.clone(),
                Some(format!(
                    "num_labels is {n}, but id2label names {} classes: id2label was believed",
                    labels.len()
                )),
            ),
            (Some(labels), _, _) => (labels.clone(), None),
            (None, Some(stated), Some(n)) if stated != n => (
                fresh(n),
                Some(format!(
                    "num_labels is {stated}, but the weights have {n} outputs: the weights were believed"
                )),
            ),
            (None, stated, rows) => {
                let n = rows.or(stated).unwrap_or(2);
                (
                    fresh(n),
                    Some(format!(
                        "id2label is missing: the {n} classes are called LABEL_0 …"
                    )),
                )
            }
        }
    }

    /// The JSON object that transformers reads, with every key that was read and not understood.
    pub fn to_json(&self) -> Value {
        let distil = self.family == Family::Distilbert;
        let key =
            |bert: &'static str, distilbert: &'static str| if distil { distilbert } else { bert };
        let mut map = Map::new();
        let mut put = |k: &str, v: Value| {
            map.insert(k.into(), v);
        };
        put("architectures", json!(self.architectures));
        put("model_type", json!(self.family.name()));
        put("vocab_size", json!(self.vocab_size));
        put(key("hidden_size", "dim"), json!(self.hidden_size));
        if self.family == Family::Electra {
            put("embedding_size", json!(self.embedding_size));
        }
        put(
            key("num_hidden_layers", "n_layers"),
            json!(self.num_hidden_layers),
        );
        put(
            key("num_attention_heads", "n_heads"),
            json!(self.num_attention_heads),
        );
        put(
            key("intermediate_size", "hidden_dim"),
            json!(self.intermediate_size),
        );
        put(
            key("hidden_act", "activation"),
            json!(self.hidden_act.name()),
        );
        put(
            key("hidden_dropout_prob", "dropout"),
            json!(self.hidden_dropout),
        );
        put(
            key("attention_probs_dropout_prob", "attention_dropout"),
            json!(self.attention_dropout),
        );
        if distil {
            put("seq_classif_dropout", json!(self.classifier_dropout));
            put("sinusoidal_pos_embds", json!(false));
        } else {
            put("classifier_dropout", json!(self.classifier_dropout));
            put("type_vocab_size", json!(self.type_vocab_size));
            put("layer_norm_eps", json!(self.layer_norm_eps));
            put("position_embedding_type", json!("absolute"));
        }
        put(
            "max_position_embeddings",
            json!(self.max_position_embeddings),
        );
        put("pad_token_id", json!(self.pad_token_id));
        put("initializer_range", json!(self.initializer_range));
        put("tie_word_embeddings", json!(self.tie_word_embeddings));
        if let Some(labels) = &self.labels {
            let id2label: Map<String, Value> = labels
                .iter()
                .enumerate()
                .map(|(i, l)| (i.to_string(), json!(l)))
                .collect();
            let label2id: Map<String, Value> = labels
                .iter()
                .enumerate()
                .map(|(i, l)| (l.clone(), json!(i)))
                .collect();
            put("id2label", Value::Object(id2label));
            put("label2id", Value::Object(label2id));
        }
        if let Some(problem) = self.problem_type {
            put("problem_type", json!(problem));
        }
        for (k, v) in &self.extra {
            if !map.contains_key(k) && !matches!(k.as_str(), "torch_dtype" | "dtype") {
                map.insert(k.clone(), v.clone());
            }
        }
        map.insert("dtype".into(), json!("float32"));
        Value::Object(map)
    }

    /// Writes `config.json`.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), ConfigError> {
        let mut text = format!("{:#}", self.to_json());
        text.push('\n');
        std::fs::write(path, text).map_err(|source| ConfigError::Write {
            path: path.into(),
            source,
        })
    }

    /// The number of weights of the encoder without a head, the pooler included if asked for.
    pub fn num_parameters(&self, pooler: bool) -> usize {
        let (e, h, f) = (
            self.embedding_size,
            self.hidden_size,
            self.intermediate_size,
        );
        let embeddings =
            (self.vocab_size + self.max_position_embeddings + self.type_vocab_size) * e + 2 * e;
        let projection = if e == h { 0 } else { e * h + h };
        let layer = 4 * (h * h + h) + 2 * h * f + f + h + 4 * h;
        let pooler = if pooler { h * h + h } else { 0 };
        embeddings + projection + self.num_hidden_layers * layer + pooler
    }
}

/// Names by id from `id2label`; `None` if the ids are not 0, 1, ….
fn read_labels(value: &Value) -> Option<Vec<String>> {
    let map = value.as_object()?;
    let mut labels = vec![None; map.len()];
    for (id, name) in map {
        let id: usize = id.parse().ok()?;
        *labels.get_mut(id)? = Some(name.as_str()?.to_owned());
    }
    labels.into_iter().collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn read(text: &str) -> Result<EncoderConfig, ConfigError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        std::fs::write(&path, text).unwrap();
        EncoderConfig::read(&path, || None)
    }

    const MINIMAL: &str = r#"{"model_type":"bert","vocab_size":10,"hidden_size":8,"num_hidden_layers":1,
        "num_attention_heads":2,"intermediate_size":16"#;

    #[test]
    fn unknown_keys_survive_a_round_trip() {
        let config = read(&format!("{MINIMAL},\"house_key\":[1,2]}}")).unwrap();
        assert_eq!(config.to_json()["house_key"], json!([1, 2]));
        assert_eq!(config.to_json()["hidden_size"], 8);
    }

    #[test]
    fn an_unsupported_family_is_refused_with_the_list_of_supported_ones() {
        let error = read(r#"{"model_type":"albert"}"#).unwrap_err().to_string();
        for family in Family::ALL {
            assert!(error.contains(family.name()), "{error}");
        }
        assert!(error.contains("albert"));
    }

    #[test]
    fn heads_must_divide_the_width() {
        let text = MINIMAL.replace("\"num_attention_heads\":2", "\"num_attention_heads\":3");
        let error = read(&format!("{text}}}")).unwrap_err().to_string();
        assert!(
            error.contains("num_attention_heads") && error.contains("divisor of the width 8"),
            "{error}"
        );
    }

    #[test]
    fn roberta_positions_start_behind_the_padding_id() {
        let text = MINIMAL.replace("bert", "roberta");
        let config = read(&format!("{text},\"max_position_embeddings\":40}}")).unwrap();
        assert_eq!((config.position_offset(), config.max_length()), (2, 38));
    }

    #[test]
    fn contradicting_label_counts_say_which_was_believed() {
        let labels = r#","id2label":{"0":"a","1":"b","2":"c"},"num_labels":2}"#;
        let config = read(&format!("{MINIMAL}{labels}")).unwrap();
        let (names, note) = config.resolve_labels(None);
        assert_eq!(names, ["a", "b", "c"]);
        assert!(note.unwrap().contains("id2label was believed"));
        let (names, note) = config.resolve_labels(Some(4));
        assert_eq!(names.len(), 4);
        assert!(note.unwrap().contains("weights were believed"));
    }

    #[test]
    fn parameter_counts_are_those_of_published_models() {
        let base = EncoderConfig::new(Family::Bert, 30522, 768, 12, 12, 3072);
        assert_eq!(base.num_parameters(true), 109_482_240);
        let tiny = EncoderConfig::new(Family::Bert, 30522, 128, 2, 2, 512);
        assert_eq!(tiny.num_parameters(true), 4_385_920);
    }
}
