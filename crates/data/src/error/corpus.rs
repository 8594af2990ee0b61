//! Text corpora for pretraining.

use std::io;

use super::text::list;

/// A corpus cannot be found, read, tokenized or stored.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CorpusError {
    /// Unknown corpus format.
    #[error(
        "`{found}` is no format of a corpus, expected `auto`, `sentences`, `lines`, `jsonl` or `csv`"
    )]
    UnknownCorpusFormat {
        /// The given name.
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
        /// Names of the files that it contains instead.
        found: Vec<String>,
    },
    /// A malformed pattern.
    #[error("`{pattern}` is no pattern of file names: {message}")]
    Pattern {
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        message: String,
    },
    /// A pattern that matches no file.
    #[error("no file is called like `{pattern}`")]
    NoMatch {
        /// The pattern.
        pattern: String,
    },
    /// The tokenizer could not encode a text.
    #[error("could not tokenise a text of the corpus: {message}")]
    Tokenise {
        /// The tokenizer's message.
        message: String,
    },
    /// The files of a corpus contain no tokens.
    #[error("the corpus is empty: {} with no text in {}", if *files == 1 { "1 file".to_owned() } else { format!("{files} files") }, if *files == 1 { "it" } else { "them" })]
    EmptyCorpus {
        /// Number of files.
        files: usize,
    },
    /// No line of a corpus has more than one word.
    #[error("none of the {lines} lines of the corpus is longer than a word")]
    WordList {
        /// Number of lines.
        lines: u64,
    },
    /// The tokenised corpus could not be written.
    #[error("could not write the tokenised corpus to `{path}`")]
    WriteShards {
        /// The file or folder.
        path: String,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The output folder for the tokenized corpus contains other files.
    #[error("`{path}` is not empty and holds no tokenised corpus alone, found `{found}`")]
    NotShards {
        /// The folder.
        path: String,
        /// One of the unexpected files.
        found: String,
    },
    /// A tokenized corpus that has changed since it was written.
    #[error("`{path}` of the tokenised corpus is damaged: {problem}")]
    DamagedShards {
        /// The file.
        path: String,
        /// The folder that contains it.
        folder: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The user interrupted the command.
    #[error("interrupted while the corpus was read; nothing was written")]
    Interrupted,
}

impl CorpusError {
    /// A suggestion for the user, if there is one.
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
