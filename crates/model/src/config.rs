//! Reading, checking and writing `config.json`.

use std::path::Path;

use serde_json::{Map, Value, json};

use crate::architecture::Architecture;
use crate::config_error::{ConfigError, MOST_PARAMETERS};
use crate::families::{EncoderConfig, Family, FamilyDescriptor, HeadSpec, model_types};
use crate::spec::{Activation, EncoderSpec};

/// Takes typed values out of the JSON object; the rest becomes `extra`.
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
        let descriptor = family.descriptor();
        let defaults = &descriptor.defaults;
        Self {
            family: descriptor,
            model_type: &descriptor.model_types[0],
            vocab_size,
            hidden_size,
            embedding_size: hidden_size,
            num_hidden_layers,
            num_attention_heads,
            intermediate_size,
            hidden_act: defaults.hidden_act,
            hidden_dropout: defaults.hidden_dropout,
            attention_dropout: defaults.attention_dropout,
            classifier_dropout: defaults
                .classifier_dropout
                .unwrap_or(defaults.hidden_dropout),
            max_position_embeddings: defaults.max_position_embeddings,
            type_vocab_size: defaults.type_vocab_size,
            layer_norm_eps: defaults.layer_norm_eps,
            pad_token_id: defaults.pad_token_id,
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
    /// `guess` returns the family when the file has no `model_type` (files from before 2019); it
    /// usually looks at the names of the weights.
    ///
    /// # Errors
    /// The file cannot be read, is not JSON, belongs to an unsupported family, or holds a value that no
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
        let supported = || model_types("and");
        let (family, model_type) = match map.get("model_type").and_then(Value::as_str) {
            Some(name) => {
                Family::from_model_type(name).ok_or_else(|| ConfigError::UnsupportedFamily {
                    path: path.into(),
                    found: name.into(),
                    supported: supported(),
                })?
            }
            None => {
                let family = guess().ok_or_else(|| ConfigError::UnknownFamily {
                    path: path.into(),
                    supported: supported(),
                })?;
                (family, &family.descriptor().model_types[0])
            }
        };
        let mut config = Self::from_map(family, map, path)?;
        config.model_type = model_type;
        Ok(config)
    }

    fn from_map(
        family: Family,
        mut map: Map<String, Value>,
        path: &Path,
    ) -> Result<Self, ConfigError> {
        map.shift_remove("model_type");
        let mut r = Reader { path, map };
        let FamilyDescriptor { keys, defaults, .. } = family.descriptor();
        let vocab_size = r.count("vocab_size", None)?;
        let hidden_size = r.count(keys.hidden_size, None)?;
        let layers = r.count(keys.num_hidden_layers, None)?;
        let heads = r.count(keys.num_attention_heads, None)?;
        let intermediate = r.count(keys.intermediate_size, None)?;
        let mut config = Self::new(family, vocab_size, hidden_size, layers, heads, intermediate);
        if let Some(key) = keys.embedding_size {
            config.embedding_size = r.count(key, Some(hidden_size))?;
        }
        if let Some(value) = r.take(keys.hidden_act) {
            config.hidden_act =
                value
                    .as_str()
                    .and_then(Activation::from_name)
                    .ok_or_else(|| {
                        r.value_error(keys.hidden_act, &value, "one of gelu, gelu_new, relu, tanh")
                    })?;
        }
        config.hidden_dropout = r.real(keys.hidden_dropout, defaults.hidden_dropout, 0.0, 0.999)?;
        config.attention_dropout = r.real(
            keys.attention_dropout,
            defaults.attention_dropout,
            0.0,
            0.999,
        )?;
        let classifier_dropout = defaults.classifier_dropout.unwrap_or(config.hidden_dropout);
        config.classifier_dropout =
            r.real(keys.classifier_dropout, classifier_dropout, 0.0, 0.999)?;
        config.max_position_embeddings = r.count(
            "max_position_embeddings",
            Some(config.max_position_embeddings),
        )?;
        if let Some(key) = keys.type_vocab_size {
            config.type_vocab_size = r.count(key, Some(config.type_vocab_size))?;
        }
        if let Some(key) = keys.layer_norm_eps {
            config.layer_norm_eps = r.real(key, 1e-12, 0.0, 1.0)?;
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

    /// Checks that the sizes describe a valid encoder; `path` is the file named in the error.
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
        // Sizes that are too large are rejected here, before any memory is allocated.
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
        (self.family.check)(self, path)?;
        if self.max_length() == 0 {
            return fail(
                "max_position_embeddings",
                self.max_position_embeddings,
                format!("more than pad_token_id + 1 = {}", self.pad_token_id + 1),
            );
        }
        Ok(())
    }

    /// The length of the longest sequence in tokens, as limited by the positions.
    pub fn max_length(&self) -> usize {
        self.spec().max_length()
    }

    /// The architecture of the encoder.
    pub fn spec(&self) -> EncoderSpec {
        (self.family.spec)(self)
    }

    /// How the heads are built.
    pub(crate) fn head_spec(&self) -> HeadSpec {
        (self.family.head_spec)(self)
    }

    /// The class in transformers, for `architectures` in `config.json`.
    pub fn class_name(&self, architecture: Architecture) -> String {
        format!(
            "{}{}",
            self.model_type.class_prefix,
            architecture.class_suffix()
        )
    }

    /// The number of classes and where it came from: `id2label` takes precedence over `num_labels`,
    /// because it names the outputs. The second value is a note for the user when the
    /// file contradicts itself or has neither.
    ///
    /// `rows` is the number of outputs of the head's weights, which takes precedence over both.
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

    /// The JSON object that transformers reads, including all other keys that were read.
    pub fn to_json(&self) -> Value {
        let keys = &self.family.keys;
        let mut map = Map::new();
        let mut put = |k: &str, v: Value| {
            map.insert(k.into(), v);
        };
        put("architectures", json!(self.architectures));
        put("model_type", json!(self.model_type.name));
        put("vocab_size", json!(self.vocab_size));
        put(keys.hidden_size, json!(self.hidden_size));
        if let Some(key) = keys.embedding_size {
            put(key, json!(self.embedding_size));
        }
        put(keys.num_hidden_layers, json!(self.num_hidden_layers));
        put(keys.num_attention_heads, json!(self.num_attention_heads));
        put(keys.intermediate_size, json!(self.intermediate_size));
        put(keys.hidden_act, json!(self.hidden_act.name()));
        put(keys.hidden_dropout, json!(self.hidden_dropout));
        put(keys.attention_dropout, json!(self.attention_dropout));
        put(keys.classifier_dropout, json!(self.classifier_dropout));
        if let Some(key) = keys.type_vocab_size {
            put(key, json!(self.type_vocab_size));
        }
        if let Some(key) = keys.layer_norm_eps {
            put(key, json!(self.layer_norm_eps));
        }
        for &(key, value) in keys.fixed {
            put(key, value.into());
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

    /// The number of weights of the encoder without a head, optionally including a pooler.
    pub fn num_parameters(&self, pooler: bool) -> usize {
        self.spec().num_parameters(pooler)
    }
}

/// The class names in order of `id2label`; `None` if the ids are not 0, 1, ….
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
    use crate::spec::Positions;

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
        let error = read(r#"{"model_type":"gpt2"}"#).unwrap_err().to_string();
        for family in Family::ALL {
            assert!(error.contains(family.name()), "{error}");
        }
        assert!(error.contains("gpt2"));
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
    fn roberta_positions_start_after_the_padding_id() {
        let text = MINIMAL.replace("bert", "roberta");
        let config = read(&format!("{text},\"max_position_embeddings\":40}}")).unwrap();
        let first = Positions::Learned { rows: 40, first: 2 };
        assert_eq!(config.spec().embeddings.positions, first);
        assert_eq!(config.max_length(), 38);
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
