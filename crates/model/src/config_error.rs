//! Why a `config.json` cannot be used.

use std::path::PathBuf;

/// Far more parameters than any known encoder has: 137 GB in f32.
pub(crate) const MOST_PARAMETERS: u128 = 1 << 35;

/// Why a `config.json` cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file does not exist or cannot be read.
    #[error("could not read the model's configuration `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's error.
        #[source]
        source: std::io::Error,
    },
    /// The file could not be written.
    #[error("could not write the model's configuration `{}`", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's error.
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
        "model family `{found}` in `{}` is not supported; supported are {supported}",
        path.display()
    )]
    UnsupportedFamily {
        /// The file.
        path: PathBuf,
        /// Its `model_type`.
        found: String,
        /// The values of `model_type` that are supported.
        supported: String,
    },
    /// `model_type` is absent, and the weights do not identify the family.
    #[error("`{}` has no `model_type`, and the names of the weights do not tell the family", path.display())]
    UnknownFamily {
        /// The file.
        path: PathBuf,
        /// The values of `model_type` that are supported.
        supported: String,
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
        /// The value in the file.
        found: String,
        /// The values that are allowed.
        expected: String,
    },
    /// The sizes make a model too large for any machine.
    #[error("the sizes in `{}` make {parameters} parameters, expected fewer than {MOST_PARAMETERS}", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The number of weights in embeddings and layers.
        parameters: u64,
    },
}

impl ConfigError {
    /// What the user can do about it, if known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Read { .. } => Some(
                "a model is a folder with `config.json`, `model.safetensors` and a tokenizer, as `save_pretrained` writes it".into(),
            ),
            Self::UnsupportedFamily { supported, .. } | Self::UnknownFamily { supported, .. } => {
                let choices = match supported.rsplit_once(" and ") {
                    Some((others, last)) => format!("{others} or {last}"),
                    None => supported.clone(),
                };
                Some(format!(
                    "choose a checkpoint whose `model_type` is {choices}"
                ))
            }
            Self::Json { .. } => Some("download or copy the model folder again; the file may be cut short".into()),
            Self::Write { .. } => Some("check free space and permissions of that folder".into()),
            Self::MissingKey { .. } | Self::Value { .. } | Self::TooLarge { .. } => {
                Some("correct it there, or take the configuration from where the weights came from".into())
            }
        }
    }
}
