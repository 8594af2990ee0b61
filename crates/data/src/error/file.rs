//! Opening, decoding and recognising files.

use std::io;

/// A file cannot be opened, decoded or recognised, or its content has an unexpected shape.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// The file is not there.
    #[error("`{path}` does not exist")]
    NotFound {
        /// The file.
        path: String,
    },
    /// A directory, where a file belongs.
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
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The operating system could not write.
    #[error("could not write the table")]
    Write {
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The name of the file does not say what is in it.
    #[error("could not tell the format of `{path}` from its name, expected {expected}")]
    UnknownFormat {
        /// The file.
        path: String,
        /// Its extension, without the dot.
        extension: Option<String>,
        /// The extensions that tell.
        expected: String,
    },
    /// Not the name of a delimiter.
    #[error(
        "`{found}` is no delimiter, expected `tab`, `comma`, `semicolon`, `pipe`, `space` or one ASCII character"
    )]
    UnknownDelimiter {
        /// What was given.
        found: String,
    },
    /// Not the name of a format.
    #[error("`{found}` is no format, expected {expected}")]
    UnknownFormatName {
        /// What was given.
        found: String,
        /// The names of those that can be used.
        expected: String,
    },
    /// A packed file that is damaged.
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
    /// A file whose name says that it is packed.
    #[error("`{path}` is no {expected} file, though its name says so")]
    NotPacked {
        /// The file.
        path: String,
        /// `gzip` or `Zstandard`.
        expected: &'static str,
    },
    /// Not text, but a container of some kind.
    #[error("`{path}` is {looks_like}, expected plain text")]
    NotPlainText {
        /// The file.
        path: String,
        /// What its first bytes say it is.
        looks_like: &'static str,
    },
    /// Two or four bytes a character.
    #[error("`{path}` is {encoding}, expected UTF-8 (line 1, byte offset 0)")]
    WideEncoding {
        /// The file.
        path: String,
        /// `UTF-16LE`, `UTF-16BE`, `UTF-32LE` or `UTF-32BE`.
        encoding: &'static str,
    },
    /// A byte 0 among the text.
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
        /// A guess at the encoding.
        looks_like: Option<&'static str>,
    },
    /// A file in a binary format that is damaged.
    #[error("could not read `{path}` as {format}: {message}")]
    Damaged {
        /// The file.
        path: String,
        /// The format.
        format: &'static str,
        /// What the reader of the format says.
        message: String,
    },
    /// No bytes, or only white space.
    #[error("`{path}` is empty")]
    Empty {
        /// The file.
        path: String,
    },
    /// Something else than a file of this kind holds at that place.
    #[error("{at} of `{path}` is {found}, expected {expected}")]
    Unexpected {
        /// The file.
        path: String,
        /// Where in the file: `data[0].paragraphs[2]`, or a column and a line.
        at: String,
        /// What should be there.
        expected: &'static str,
        /// What is there, cut short.
        found: String,
    },
}

impl FileError {
    /// What the user can do about it, if known.
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

/// The name that a converted copy of a file might have: `a.csv` → `a.utf8.csv`.
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
