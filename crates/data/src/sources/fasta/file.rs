//! Paths of FASTA files, with optional labels.

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// The extensions of FASTA files.
pub(super) const EXTENSIONS: &[&str] = &["fa", "fasta", "fna", "ffn", "faa", "frn"];

/// A FASTA file and the label of its sequences.
///
/// Written `FILE`, or `LABEL=FILE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FastaFile {
    /// The path; the file may be compressed with gzip or Zstandard.
    pub path: PathBuf,
    /// The class of its sequences. If several files are read, the default is the file name without extensions.
    pub label: Option<String>,
}

impl FromStr for FastaFile {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(match text.split_once('=') {
            Some((label, path)) if !label.trim().is_empty() && is_fasta(Path::new(path)) => Self {
                path: path.into(),
                label: Some(label.trim().into()),
            },
            _ => Self {
                path: text.into(),
                label: None,
            },
        })
    }
}

/// Whether a file has a FASTA extension: `.fa`, `.fasta`, `.fna`, `.ffn`, `.faa` or `.frn`, optionally followed by `.gz`
/// or `.zst`.
pub fn is_fasta(path: &Path) -> bool {
    let name = path.to_string_lossy().to_ascii_lowercase();
    let name = name
        .strip_suffix(".gz")
        .or_else(|| name.strip_suffix(".zst"))
        .unwrap_or(&name);
    let extension = Path::new(name).extension();
    extension.is_some_and(|extension| EXTENSIONS.iter().any(|known| extension == *known))
}
