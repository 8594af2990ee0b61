//! Tokenizer specifications on the command line.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::kmers::Kmers;
use super::{TextTokenizer, TokenizerError, TokenizerFamily, build};

/// A tokenizer given by folder or by rule: `DIR`, `regex:FILE`, `kmer:6`, `kmer:3:stride=3`, `char`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenizerSpec {
    /// The tokenizer in a folder.
    Dir(PathBuf),
    /// Every character is a token; the vocabulary comes from a model.
    Char,
    /// K-mers of a sequence; the vocabulary comes from a model, or is all k-mers of the alphabet.
    Kmer(Kmers),
    /// The matches of the pattern in a file; the vocabulary comes from a model. See [`read_pattern`].
    Regex(PathBuf),
}

impl TokenizerSpec {
    /// Loads the tokenizer; `vocabulary` is the folder of its model, if there is one.
    ///
    /// Rules that need a vocabulary read it from `vocab.txt` in this folder, one token per line, with the special tokens
    /// given by the files next to it. Once saved, the tokenizer is an ordinary tokenizer folder that depends neither on
    /// the rule nor on the model.
    ///
    /// # Errors
    /// As [`TextTokenizer::from_dir`]; a rule that requires a vocabulary, without one; a file without a pattern.
    pub fn load(
        &self,
        vocabulary: Option<&Path>,
        family: TokenizerFamily,
    ) -> Result<TextTokenizer, TokenizerError> {
        let needed = || {
            vocabulary.ok_or_else(|| TokenizerError::NoVocabulary {
                spec: self.to_string(),
            })
        };
        match self {
            Self::Dir(dir) => TextTokenizer::from_dir(dir, family),
            Self::Char => build::characters(needed()?, family),
            Self::Regex(path) => build::pattern(&read_pattern(path)?, needed()?, family),
            Self::Kmer(kmers) => match vocabulary {
                Some(dir) => build::kmers(kmers, dir, family),
                None => build::new_kmers(kmers, family),
            },
        }
    }
}

impl FromStr for TokenizerSpec {
    type Err = TokenizerError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text.split_once(':') {
            _ if text == "char" => Self::Char,
            _ if text == "kmer" => Self::Kmer("".parse()?),
            Some(("kmer", _)) => Self::Kmer(text["kmer".len()..].parse()?),
            Some(("regex", file)) => Self::Regex(file.into()),
            _ => Self::Dir(text.into()),
        })
    }
}

impl fmt::Display for TokenizerSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dir(dir) => write!(f, "{}", dir.display()),
            Self::Char => f.write_str("char"),
            Self::Kmer(kmers) => kmers.fmt(f),
            Self::Regex(path) => write!(f, "regex:{}", path.display()),
        }
    }
}

/// The regular expression in a file: its only line.
///
/// The expression may use the syntax common to Python's `re` and Oniguruma. Groups have no effect: the whole match is the
/// token. Text between matches is dropped, as by `re.findall`; see [`TextTokenizer::dropped`].
///
/// # Errors
/// The file cannot be read, or does not contain exactly one line.
pub fn read_pattern(path: &Path) -> Result<String, TokenizerError> {
    let text = fs::read_to_string(path).map_err(|source| TokenizerError::Read {
        path: path.into(),
        source,
    })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let mut lines = text.lines().filter(|line| !line.is_empty());
    match (lines.next(), lines.next()) {
        (Some(line), None) => Ok(line.to_string()),
        (first, _) => Err(TokenizerError::Content {
            path: path.into(),
            expected: "a pattern",
            message: match first {
                None => "it is empty".into(),
                Some(_) => "it has several lines, and the pattern is one".into(),
            },
        }),
    }
}
