//! Errors of tokenizers.

use std::io;
use std::path::PathBuf;

/// Why a tokenizer could not be read, written, trained or used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenizerError {
    /// A directory without tokenizer files.
    #[error("`{}` holds no tokenizer: neither `tokenizer.json`, nor `vocab.txt`, nor `vocab.json` with `merges.txt`", dir.display())]
    NotFound {
        /// The directory.
        dir: PathBuf,
        /// Names of some of the files in the directory.
        found: Vec<String>,
    },
    /// One of two required files is missing.
    #[error("`{}` holds `{present}` but not `{missing}`", dir.display())]
    Incomplete {
        /// The directory.
        dir: PathBuf,
        /// The existing file.
        present: &'static str,
        /// The missing file.
        missing: &'static str,
    },
    /// A file that could not be read, or is not UTF-8.
    #[error("could not read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// A file that could not be written.
    #[error("could not write `{}`", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// A file that is not JSON.
    #[error("`{}` is not JSON", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// The parser's error, with its position.
        #[source]
        source: serde_json::Error,
    },
    /// JSON with invalid content.
    #[error("`{}` is not {expected}: {message}", path.display())]
    Content {
        /// The file, or the directory.
        path: PathBuf,
        /// `a tokenizer`, `a vocabulary`, ….
        expected: &'static str,
        /// What is wrong with it.
        message: String,
    },
    /// A line of `merges.txt` that does not have two tokens.
    #[error("line {line} of `{}` is `{found}`, expected two tokens with a space between", path.display())]
    Merge {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The line's content.
        found: String,
    },
    /// A vocabulary without a required special token.
    #[error("the vocabulary in `{}` has no `{token}` (the {role})", path.display())]
    SpecialToken {
        /// The file, or the directory.
        path: PathBuf,
        /// The token.
        token: String,
        /// Its role, as named in `tokenizer_config.json`: `cls_token`, ….
        role: &'static str,
    },
    /// A maximum length with no room for the special tokens.
    #[error("a maximum length of {max_length} tokens has no room for the {special} special tokens")]
    MaxLength {
        /// The requested length.
        max_length: usize,
        /// Number of special tokens.
        special: usize,
    },
    /// An overlap that is not smaller than the window.
    #[error("windows of {room} tokens cannot share {overlap}")]
    Overlap {
        /// The requested overlap.
        overlap: usize,
        /// Number of tokens in a window, excluding special tokens.
        room: usize,
    },
    /// The tokenizer could not encode a text.
    #[error("could not encode the text: {message}")]
    Encode {
        /// The tokenizer's message.
        message: String,
    },
    /// No words to train on.
    #[error("there is no text to train a tokenizer on")]
    NoText,
    /// An invalid tokenizer specification.
    #[error("`{found}` is not {expected}: {message}")]
    Spec {
        /// The given specification.
        found: String,
        /// The expected form.
        expected: &'static str,
        /// What is wrong with it.
        message: String,
    },
    /// A tokenizer specification that requires a vocabulary, without one.
    #[error("`{spec}` needs a vocabulary, and there is no model to take it from")]
    NoVocabulary {
        /// The specification as entered by the user.
        spec: String,
    },
    /// An invalid or unsupported regular expression.
    #[error("`{pattern}` is not a regular expression: {message}")]
    Pattern {
        /// The expression.
        pattern: String,
        /// What is wrong with it.
        message: String,
    },
    /// No text has words that fit in the memory budget.
    #[error("no text fits into {budget} bytes of memory")]
    Memory {
        /// The budget, in bytes.
        budget: u64,
    },
    /// A vocabulary size that is too small.
    #[error("a vocabulary of {found} tokens is too small, expected at least {least}")]
    VocabSize {
        /// The requested size.
        found: usize,
        /// The minimum: the special tokens and one character.
        least: usize,
    },
}

impl TokenizerError {
    /// A suggestion for the user, if there is one.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NotFound { dir, found } if found.is_empty() && !dir.is_dir() => {
                Some(format!("`{}` is not a directory", dir.display()))
            }
            Self::NotFound { found, .. } => {
                let there = match found.is_empty() {
                    true => "it is empty".to_string(),
                    false => format!("it holds {}", found.join(", ")),
                };
                Some(format!(
                    "{there}; copy the tokenizer's files beside the weights"
                ))
            }
            Self::Read { .. } => {
                Some("check the path and its permissions; the file must be UTF-8".into())
            }
            Self::Incomplete { missing, .. } => {
                Some(format!("copy `{missing}` from where the model came from"))
            }
            Self::Json { .. } | Self::Content { .. } => {
                Some("the file may be cut off, or a Git LFS pointer: fetch it again".into())
            }
            Self::SpecialToken { role, .. } => Some(format!(
                "if the token has another name, give it as `{role}` in `tokenizer_config.json`"
            )),
            Self::NoVocabulary { spec } => Some(format!(
                "train a tokenizer first (`bertkit tokenizer train FILES [option.type] {spec} [output=DIR]`), and give `DIR` \
                 instead; or name the model"
            )),
            Self::Pattern { .. } => Some(
                "it is read as Oniguruma reads it, which is nearly how Python's `re` does: try it there".into(),
            ),
            Self::Memory { .. } => Some("allow more".into()),
            Self::VocabSize { least, .. } => Some(format!("ask for {least} tokens or more")),
            Self::NoText => Some("check that the files are not empty".into()),
            Self::Overlap { .. } => Some("use a smaller overlap or a larger maximum length".into()),
            Self::MaxLength { special, .. } => {
                Some(format!("use a maximum length of more than {special}"))
            }
            _ => None,
        }
    }
}
