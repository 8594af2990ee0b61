//! FASTA files.

/// A file is not FASTA.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FastaError {
    /// A line of a FASTA file before the first header.
    #[error(
        "line {line} of `{path}` is no header, expected `>` and a name before the first sequence"
    )]
    NoFastaHeader {
        /// The file.
        path: String,
        /// The line.
        line: u64,
    },
    /// A character that no sequence holds.
    #[error("line {line} of `{path}` holds `{}`, expected letters of nucleotides or amino acids", found.escape_default())]
    SequenceLetter {
        /// The file.
        path: String,
        /// The line.
        line: u64,
        /// The character.
        found: char,
    },
}

impl FastaError {
    /// What the user can do about it, if known.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NoFastaHeader { .. } => "check that the file is FASTA".into(),
            Self::SequenceLetter { .. } => {
                "check that the file is FASTA, and that it was written to its end".into()
            }
        })
    }
}
