//! Errors of reading and checking a configuration.

use std::path::PathBuf;

/// Errors of a configuration.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunConfigError {
    /// The file cannot be read.
    #[error("could not read the configuration `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's error.
        #[source]
        source: std::io::Error,
    },
    /// The file is not TOML, or has unknown keys or values of the wrong type.
    #[error("in the configuration `{}`:\n{message}", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// Line, caret and reason.
        message: String,
    },
    /// An override is not `key=value`.
    #[error("`[option.set] {text}` is not of the form key=value")]
    SetForm {
        /// The text.
        text: String,
    },
    /// An override names a setting that does not exist.
    #[error("unknown key `{key}` in {origin}")]
    UnknownKey {
        /// The key.
        key: String,
        /// The flag.
        origin: String,
        /// The nearest existing key.
        nearest: Option<String>,
    },
    /// The value of an override is invalid.
    #[error("`{key}` cannot be `{value}` (in {origin}): {reason}")]
    SetValue {
        /// The key.
        key: String,
        /// The value.
        value: String,
        /// The flag.
        origin: String,
        /// Which values are valid.
        reason: String,
    },
    /// A recipe that does not exist.
    #[error("there is no recipe `{name}`")]
    Recipe {
        /// The name.
        name: String,
        /// The names of all recipes.
        known: Vec<&'static str>,
    },
    /// Settings that contradict each other or are out of range: all of them.
    #[error("{}", list(problems))]
    Problems {
        /// One sentence per problem.
        problems: Vec<String>,
    },
}

fn list(problems: &[String]) -> String {
    match problems {
        [one] => one.clone(),
        many => {
            let lines: Vec<String> = many.iter().map(|p| format!("\n  - {p}")).collect();
            format!("{} settings need a change:{}", many.len(), lines.concat())
        }
    }
}

impl RunConfigError {
    /// How to correct it, if known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Read { .. } => {
                Some("give the path of a TOML file, such as configs/models/tiny.toml".into())
            }
            Self::SetForm { .. } => {
                Some("write, for example, [option.set=optimizer.learning_rate=3e-5]".into())
            }
            Self::UnknownKey {
                nearest: Some(nearest),
                ..
            } => Some(format!("did you mean `{nearest}`?")),
            Self::UnknownKey { .. } | Self::SetValue { .. } => {
                Some("`[option.dry-run]` prints every key with its value".into())
            }
            Self::Parse { .. } => {
                Some("correct that line; `[option.dry-run]` prints a complete configuration".into())
            }
            Self::Recipe { known, .. } => Some(format!("there are {}", known.join(", "))),
            Self::Problems { .. } => Some(
                "change it in the file of [option.config], by its flag, or with [option.set=KEY=VALUE]".into(),
            ),
        }
    }
}
