//! Tagged words: CoNLL columns, JSON Lines with spans or tokens, and CSV with one word per row.

pub(crate) mod options;
mod write;

use std::path::Path;

pub use self::options::{OverlapPolicy, TagLevel, TagPolicy, TaggedOptions};
pub use self::write::write_tagged;
use super::encoding;
use super::format::Format;
use super::read::read_bytes;
use crate::error::{DataError, FileError, TagError};
use crate::tagging::TaggedCorpus;

/// Reads tagged words from a file.
///
/// The text is UTF-8, with or without a byte order mark; lines end in LF, CR LF or CR. In columns, `-DOCSTART-` and
/// `# newdoc` begin a document, and a line that begins with `#` is a comment unless it has as many columns as the other
/// lines and a tag: such words are common in tweets.
///
/// # Errors
/// A missing or unreadable file, an unsupported encoding, an empty file, lines with too few or too many columns, invalid
/// tags, spans outside their text. Errors name the file and, where applicable, the line.
pub fn read_tagged(path: &Path, options: &TaggedOptions) -> Result<TaggedCorpus, DataError> {
    let (name, bytes) = read_bytes(path)?;
    encoding::check_container(&bytes, &name)?;
    parse(bytes, &name, options)
}

/// Reads tagged words from bytes, such as standard input; `name` is used in messages.
///
/// # Errors
/// As [`read_tagged`].
pub fn read_tagged_from(
    bytes: Vec<u8>,
    name: &str,
    options: &TaggedOptions,
) -> Result<TaggedCorpus, DataError> {
    parse(bytes, name, options)
}

fn parse(bytes: Vec<u8>, name: &str, options: &TaggedOptions) -> Result<TaggedCorpus, DataError> {
    let text = encoding::text(bytes, name)?;
    let format = match options.format {
        Some(format) => format,
        None => Format::of_tagged(name, &text),
    };
    let tagged = format.spec().tagged.ok_or_else(|| {
        DataError::Tag(TagError::UnknownTaggedFormat {
            found: format.to_string(),
            expected: Format::tagged_names(),
        })
    })?;
    let corpus = (tagged.read)(text, name, options)?;
    if corpus.sentences.is_empty() {
        return Err(DataError::File(FileError::Empty { path: name.into() }));
    }
    if options.tags == TagPolicy::Required && !corpus.is_tagged() {
        return Err(DataError::Tag(TagError::NoTags { path: name.into() }));
    }
    Ok(corpus)
}

#[cfg(test)]
mod tests;
