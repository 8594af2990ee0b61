//! How to read a table.

use super::format::Format;
use crate::error::{DataError, FileError};

/// A field delimiter by name (`tab`, `comma`, `semicolon`, `pipe`, `space`), as `\t`, or as one ASCII character.
///
/// # Errors
/// [`FileError::UnknownDelimiter`] for anything else, quotes and line breaks included.
pub fn parse_delimiter(name: &str) -> Result<u8, DataError> {
    match name {
        "tab" | "\\t" => return Ok(b'\t'),
        "comma" => return Ok(b','),
        "semicolon" => return Ok(b';'),
        "pipe" => return Ok(b'|'),
        "space" => return Ok(b' '),
        _ => {}
    }
    match name.as_bytes() {
        [byte] if byte.is_ascii() && !matches!(byte, b'\n' | b'\r' | b'"' | 0) => Ok(*byte),
        _ => Err(DataError::File(FileError::UnknownDelimiter {
            found: name.into(),
        })),
    }
}

/// How to read a table; the default takes the format from the file's extension.
///
/// All options but `format` concern CSV and TSV only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadOptions {
    /// The format; `None` takes it from the extension, or, under an extension that says nothing (`.txt`), from
    /// `delimiter`: TSV if that is a tab, else CSV.
    pub format: Option<Format>,
    /// The byte between fields; `None` is a comma in CSV and a tab in TSV.
    pub delimiter: Option<u8>,
    /// The byte around quoted fields; `None` is `"`. Giving one switches quoting on.
    pub quote: Option<u8>,
    /// Whether quotes have a meaning; `None` is yes in CSV and no in TSV, where stray quotes are common.
    pub quoting: Option<bool>,
    /// Whether two quotes in a quoted field mean one.
    pub double_quote: bool,
    /// A byte that takes the meaning from a quote after it, within quoted fields.
    pub escape: Option<u8>,
    /// Whether the first row names the columns; without, they are called `1`, `2`, ….
    pub header: bool,
    /// Lines that start with this byte are skipped.
    pub comment: Option<u8>,
}

impl Default for ReadOptions {
    fn default() -> Self {
        Self {
            format: None,
            delimiter: None,
            quote: None,
            quoting: None,
            double_quote: true,
            escape: None,
            header: true,
            comment: None,
        }
    }
}
