//! Options for reading tables.

use super::format::Format;
use crate::error::{DataError, FileError};

/// Parses a field delimiter: a name (`tab`, `comma`, `semicolon`, `pipe`, `space`), `\t`, or one ASCII character.
///
/// # Errors
/// [`FileError::UnknownDelimiter`] for anything else, including quotes and line breaks.
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

/// Options for reading a table; by default, the format is inferred from the file's extension.
///
/// All options except `format` apply to CSV and TSV only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadOptions {
    /// The format. `None` infers it from the extension or, if that is ambiguous (`.txt`), from `delimiter`: TSV for a
    /// tab, else CSV.
    pub format: Option<Format>,
    /// The byte between fields; `None` means a comma in CSV and a tab in TSV.
    pub delimiter: Option<u8>,
    /// The byte around quoted fields; `None` means `"`. Setting it enables quoting.
    pub quote: Option<u8>,
    /// Whether quotes are interpreted; `None` means yes in CSV and no in TSV, where stray quotes are common.
    pub quoting: Option<bool>,
    /// Whether two quotes in a quoted field stand for one.
    pub double_quote: bool,
    /// The byte that escapes a quote after it within quoted fields.
    pub escape: Option<u8>,
    /// Whether the first row holds the column names; if not, columns are named `1`, `2`, ….
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
