//! Opening, decoding and recognising files.

use std::io;

/// A file cannot be opened, decoded or recognised, or its content has an unexpected shape.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// The file does not exist.
    #[error("`{path}` does not exist")]
    NotFound {
        /// The file.
        path: String,
    },
    /// A directory was given instead of a file.
    #[error("`{path}` is a directory, expected a file")]
    Directory {
        /// The path.
        path: String,
    },
    /// The operating system could not read the file.
    #[error("could not read `{path}`")]
    Read {
        /// The file or stream.
        path: String,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The operating system could not write.
    #[error("could not write the table")]
    Write {
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The file name does not identify the format.
    #[error("could not tell the format of `{path}` from its name, expected {expected}")]
    UnknownFormat {
        /// The file.
        path: String,
        /// Its extension, without the dot.
        extension: Option<String>,
        /// The recognised extensions.
        expected: String,
    },
    /// Unknown delimiter.
    #[error(
        "`{found}` is no delimiter, expected `tab`, `comma`, `semicolon`, `pipe`, `space` or one ASCII character"
    )]
    UnknownDelimiter {
        /// The given value.
        found: String,
    },
    /// Unknown format name.
    #[error("`{found}` is no format, expected {expected}")]
    UnknownFormatName {
        /// The given name.
        found: String,
        /// The accepted names.
        expected: String,
    },
    /// A damaged compressed file.
    #[error("could not unpack `{path}` ({packing})")]
    Unpack {
        /// The file.
        path: String,
        /// `gzip` or `Zstandard`.
        packing: &'static str,
        /// What is wrong with it.
        #[source]
        source: io::Error,
    },
    /// A file with the extension of a compressed file that is not compressed.
    #[error("`{path}` is no {expected} file, though its name says so")]
    NotPacked {
        /// The file.
        path: String,
        /// `gzip` or `Zstandard`.
        expected: &'static str,
    },
    /// A container file instead of text.
    #[error("`{path}` is {looks_like}, expected plain text")]
    NotPlainText {
        /// The file.
        path: String,
        /// File type inferred from its first bytes.
        looks_like: &'static str,
    },
    /// An encoding with two or four bytes per character.
    #[error("`{path}` is {encoding}, expected UTF-8 (line 1, byte offset 0)")]
    WideEncoding {
        /// The file.
        path: String,
        /// `UTF-16LE`, `UTF-16BE`, `UTF-32LE` or `UTF-32BE`.
        encoding: &'static str,
    },
    /// A NUL byte in a text.
    #[error("line {line} of `{path}` holds a NUL byte (byte offset {byte}), expected text")]
    NulByte {
        /// The file.
        path: String,
        /// Line of the byte.
        line: u64,
        /// Offset of the byte from the start of the file.
        byte: usize,
    },
    /// Bytes that are not UTF-8.
    #[error("line {line} of `{path}` is not UTF-8: byte 0x{found:02x} at byte offset {byte}{}", match looks_like {
        Some(encoding) => format!(" (it looks like {encoding})"),
        None => String::new(),
    })]
    NotUtf8 {
        /// The file.
        path: String,
        /// Line of the first such byte.
        line: u64,
        /// Offset of the first such byte from the start of the file.
        byte: usize,
        /// The byte.
        found: u8,
        /// The likely encoding, if recognised.
        looks_like: Option<&'static str>,
    },
    /// A damaged file in a binary format.
    #[error("could not read `{path}` as {format}: {message}")]
    Damaged {
        /// The file.
        path: String,
        /// The format.
        format: &'static str,
        /// The message of the format's reader.
        message: String,
    },
    /// A file that is empty or contains only white space.
    #[error("`{path}` is empty")]
    Empty {
        /// The file.
        path: String,
    },
    /// A value that is not allowed at this place in the file.
    #[error("{at} of `{path}` is {found}, expected {expected}")]
    Unexpected {
        /// The file.
        path: String,
        /// Where in the file: `data[0].paragraphs[2]`, or a column and a line.
        at: String,
        /// The expected value.
        expected: &'static str,
        /// The value found, truncated.
        found: String,
    },
}

impl FileError {
    /// A suggestion for the user, if there is one.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NotFound { .. } => {
                "check the path; one without a leading slash starts in the current directory".into()
            }
            Self::Directory { .. } => "name a file in that directory".into(),
            Self::Read { .. } => "check the permissions of the file".into(),
            Self::Write { .. } => "check free space and permissions".into(),
            Self::Unpack { .. } => {
                "the file may be cut off or damaged: fetch or pack it again".into()
            }
            Self::Damaged { .. } => {
                "the file may be cut off or damaged: fetch or write it again".into()
            }
            Self::NotPacked { .. } => "correct its name, or fetch it again".into(),
            Self::Empty { .. } => {
                "check that it was written to its end, and that it is the file you mean".into()
            }
            Self::UnknownFormat { extension, .. } => match extension.as_deref() {
                Some("json") => {
                    "if it holds one JSON object a line, say so: format `jsonl`; a JSON array has to be written as one object a line first"
                        .into()
                }
                Some("gz" | "zip" | "bz2" | "xz" | "zst" | "xlsx" | "xls" | "ods") => {
                    "unpack it or export it as CSV or JSON Lines first".into()
                }
                _ => "say the format (`csv`, `tsv` or `jsonl`) or the delimiter".into(),
            },
            Self::NotPlainText { .. } => "unpack it or export it as CSV or JSON Lines first".into(),
            Self::WideEncoding { path, encoding } => convert(encoding, path),
            Self::NulByte { path, .. } => format!(
                "if the file is text, remove the NUL bytes: tr -d '\\000' < {path} > clean"
            ),
            Self::NotUtf8 { path, looks_like, .. } => match looks_like {
                Some(encoding) => convert(encoding, path),
                None => format!(
                    "find out its encoding (try `file -i {path}`), then convert it: iconv -f ENCODING -t UTF-8 {path} > {}",
                    converted(path)
                ),
            },
            Self::Unexpected { .. } => "correct it there, or choose other columns or another file".into(),
            Self::UnknownDelimiter { .. } | Self::UnknownFormatName { .. } => return None,
        })
    }
}

/// The suggested name for a converted copy of a file: `a.csv` → `a.utf8.csv`.
fn converted(path: &str) -> String {
    match path.rsplit_once('.') {
        Some((stem, extension)) if !extension.contains('/') => format!("{stem}.utf8.{extension}"),
        _ => format!("{path}.utf8"),
    }
}

fn convert(encoding: &str, path: &str) -> String {
    format!(
        "convert it: iconv -f {encoding} -t UTF-8 {path} > {}",
        converted(path)
    )
}
