//! The text of files, sentence by sentence, for whoever needs neither documents nor tokens.

use std::path::PathBuf;

use super::documents::{CorpusOptions, Event, Reader};
use crate::error::{CorpusError, DataError};
use crate::sources::stream::open;

/// Reads files in their order, as a stream; `sentence` gets each sentence and the bytes read so far, as they lie on the
/// disk.
///
/// Duplicates are not dropped, whatever the options say.
///
/// # Errors
/// A file cannot be read, or is no text; what `sentence` stopped with.
pub fn read_sentences<E: From<DataError>>(
    files: &[PathBuf],
    options: &CorpusOptions,
    sentence: &mut dyn FnMut(&str, u64) -> Result<(), E>,
) -> Result<(), E> {
    let mut before = 0;
    for path in files {
        let name = path.display().to_string();
        let (text, tally) = open(path)?;
        let reader = Reader::new(text, path, &name, options)?;
        let mut stopped = None;
        let read = reader.read(&mut |event| match event {
            Event::DocumentEnd => Ok(()),
            Event::Sentence(text) => sentence(text, before + tally.bytes()).map_err(|error| {
                stopped = Some(error);
                DataError::Corpus(CorpusError::Interrupted)
            }),
        });
        match stopped {
            Some(error) => return Err(error),
            None => read?,
        }
        before += tally.bytes();
    }
    Ok(())
}
