//! Text corpora for pretraining.

use std::io;

use super::text::list;

/// A corpus cannot be found, read, tokenised or stored.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CorpusError {
    /// Not the name of a corpus's format.
    #[error(
        "`{found}` is no format of a corpus, expected `auto`, `sentences`, `lines`, `jsonl` or `csv`"
    )]
    UnknownCorpusFormat {
        /// What was given.
        found: String,
    },
    /// A folder without text files, or nothing to read at all.
    #[error("`{path}` holds no text file by name{}", match found.as_slice() {
        [] => ": it is empty".to_owned(),
        found => format!(", found {}", list(found, 10)),
    })]
    NoTextFiles {
        /// The folder.
        path: String,
        /// Names of files that it holds instead.
        found: Vec<String>,
    },
    /// A pattern that cannot be understood.
    #[error("`{pattern}` is no pattern of file names: {message}")]
    Pattern {
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        message: String,
    },
    /// A pattern that no file fits.
    #[error("no file is called like `{pattern}`")]
    NoMatch {
        /// The pattern.
        pattern: String,
    },
    /// The tokenizer could not encode a text.
    #[error("could not tokenise a text of the corpus: {message}")]
    Tokenise {
        /// What the tokenizer says.
        message: String,
    },
    /// Nothing in the files of a corpus becomes a token.
    #[error("the corpus is empty: {} with no text in {}", if *files == 1 { "1 file".to_owned() } else { format!("{files} files") }, if *files == 1 { "it" } else { "them" })]
    EmptyCorpus {
        /// How many files there are.
        files: usize,
    },
    /// No line of a corpus holds more than a word.
    #[error("none of the {lines} lines of the corpus is longer than a word")]
    WordList {
        /// How many there are.
        lines: u64,
    },
    /// The tokenised corpus could not be written.
    #[error("could not write the tokenised corpus to `{path}`")]
    WriteShards {
        /// The file or folder.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A folder for the tokenised corpus that holds other things.
    #[error("`{path}` is not empty and holds no tokenised corpus alone, found `{found}`")]
    NotShards {
        /// The folder.
        path: String,
        /// Something that it holds.
        found: String,
    },
    /// A tokenised corpus that is not as it was written.
    #[error("`{path}` of the tokenised corpus is damaged: {problem}")]
    DamagedShards {
        /// The file.
        path: String,
        /// The folder it lies in.
        folder: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The user interrupted the command.
    #[error("interrupted while the corpus was read; nothing was written")]
    Interrupted,
}

impl CorpusError {
    /// What the user can do about it, if known.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NoTextFiles { .. } => {
                "text files end in .txt, .text, .jsonl, .ndjson, .csv or .tsv, or in one of these and .gz or .zst; name others outright, or with a pattern such as 'folder/*'"
                    .into()
            }
            Self::Pattern { .. } => "`*`, `?`, `[abc]` and `**/` have a meaning in patterns".into(),
            Self::NoMatch { .. } => "check the path and the pattern".into(),
            Self::Tokenise { .. } => "check the tokenizer's files".into(),
            Self::EmptyCorpus { .. } => {
                "check that the files were written to their end, and that the field is the one with the text".into()
            }
            Self::WordList { .. } => {
                "this looks like a word list; a corpus holds running text, a sentence or a document a line".into()
            }
            Self::WriteShards { .. } => {
                "check free space and permissions; a token takes 2 to 5 bytes, and nothing half-written is left".into()
            }
            Self::NotShards { .. } => "name a folder that is empty or not there yet".into(),
            Self::DamagedShards { folder, .. } => {
                format!("remove `{folder}` and run again: the corpus is then tokenised anew")
            }
            Self::Interrupted => "run the command again to start from the beginning".into(),
            Self::UnknownCorpusFormat { .. } => return None,
        })
    }
}
