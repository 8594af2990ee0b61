//! Decodes bytes to text, or reports what kind of file they are.

use crate::error::{DataError, FileError};

/// Returns an error for archives, spreadsheets and other binary files, recognised by their first bytes.
pub(crate) fn check_container(bytes: &[u8], name: &str) -> Result<(), DataError> {
    let looks_like = match bytes {
        [0x1f, 0x8b, ..] => "a gzip archive",
        [b'P', b'K', 3, 4, ..] => "a ZIP archive or an Excel workbook",
        [0xd0, 0xcf, 0x11, 0xe0, ..] => "an Excel workbook",
        [0x28, 0xb5, 0x2f, 0xfd, ..] => "a Zstandard archive",
        [0xfd, b'7', b'z', b'X', b'Z', ..] => "an XZ archive",
        [b'B', b'Z', b'h', b'1'..=b'9', 0x31, 0x41, 0x59, ..] => "a bzip2 archive",
        [b'P', b'A', b'R', b'1', ..] => "a Parquet file",
        _ => return Ok(()),
    };
    Err(DataError::File(FileError::NotPlainText {
        path: name.into(),
        looks_like,
    }))
}

/// Decodes UTF-8 and drops a byte order mark.
pub(crate) fn decode(bytes: Vec<u8>, name: &str) -> Result<String, DataError> {
    check_container(&bytes, name)?;
    if let Some(encoding) = wide_encoding(&bytes) {
        return Err(DataError::File(FileError::WideEncoding {
            path: name.into(),
            encoding,
        }));
    }
    if let Some(byte) = bytes.iter().position(|&byte| byte == 0) {
        return Err(DataError::File(FileError::NulByte {
            path: name.into(),
            line: line_at(&bytes, byte),
            byte,
        }));
    }
    match String::from_utf8(bytes) {
        Ok(mut text) => {
            if text.starts_with('\u{feff}') {
                text.drain(..'\u{feff}'.len_utf8());
            }
            Ok(text)
        }
        Err(error) => {
            let byte = error.utf8_error().valid_up_to();
            let bytes = error.as_bytes();
            Err(DataError::File(FileError::NotUtf8 {
                path: name.into(),
                line: line_at(bytes, byte),
                byte,
                found: bytes[byte],
                looks_like: single_byte_encoding(bytes),
            }))
        }
    }
}

/// As [`decode`], but the file must contain more than white space.
pub(super) fn text(bytes: Vec<u8>, name: &str) -> Result<String, DataError> {
    let text = decode(bytes, name)?;
    match text.trim().is_empty() {
        true => Err(DataError::File(FileError::Empty { path: name.into() })),
        false => Ok(text),
    }
}

/// Detects UTF-16 or UTF-32 by a byte order mark, or by the positions of zero bytes in mostly Latin text.
pub(crate) fn wide_encoding(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0xff, 0xfe, 0, 0, ..] => return Some("UTF-32LE"),
        [0, 0, 0xfe, 0xff, ..] => return Some("UTF-32BE"),
        [0xff, 0xfe, ..] => return Some("UTF-16LE"),
        [0xfe, 0xff, ..] => return Some("UTF-16BE"),
        _ => {}
    }
    let start = &bytes[..bytes.len().min(4096) / 2 * 2];
    let pairs = start.len() / 2;
    let zeros = |odd: usize| {
        start
            .iter()
            .skip(odd)
            .step_by(2)
            .filter(|&&byte| byte == 0)
            .count()
    };
    match (zeros(0), zeros(1)) {
        (first, second) if pairs >= 2 && second * 10 > pairs * 3 && first * 10 < pairs => {
            Some("UTF-16LE")
        }
        (first, second) if pairs >= 2 && first * 10 > pairs * 3 && second * 10 < pairs => {
            Some("UTF-16BE")
        }
        _ => None,
    }
}

/// Detects Latin-1 or Windows-1252: high bytes are isolated among ASCII, as accented letters of western languages are.
pub(crate) fn single_byte_encoding(bytes: &[u8]) -> Option<&'static str> {
    let high = bytes.iter().filter(|byte| !byte.is_ascii()).count();
    let alone = (0..bytes.len())
        .filter(|&at| {
            !bytes[at].is_ascii()
                && (at == 0 || bytes[at - 1].is_ascii())
                && bytes.get(at + 1).is_none_or(u8::is_ascii)
        })
        .count();
    if alone * 10 < high * 8 {
        return None;
    }
    // Latin-1 has control characters where Windows-1252 has typographic quotes, dashes and the euro sign.
    let typographic = bytes.iter().any(|byte| (0x80..0xa0).contains(byte));
    Some(if typographic {
        "WINDOWS-1252"
    } else {
        "ISO-8859-1"
    })
}

/// Number of line feeds.
pub(crate) fn line_breaks(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|&&byte| byte == b'\n').count() as u64
}

/// Line of the byte at `offset`, from 1.
pub(crate) fn line_at(bytes: &[u8], offset: usize) -> u64 {
    1 + line_breaks(&bytes[..offset])
}
