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
    /// A character that is not allowed in sequences.
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
    /// A suggestion for the user, if there is one.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NoFastaHeader { .. } => "check that the file is FASTA".into(),
            Self::SequenceLetter { .. } => {
                "check that the file is FASTA, and that it was written to its end".into()
            }
        })
    }
}
