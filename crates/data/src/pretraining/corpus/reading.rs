//! Reads files sentence by sentence, without tokenizing.

use std::path::PathBuf;

use super::documents::{CorpusOptions, Event, Reader};
use crate::error::{CorpusError, DataError};
use crate::sources::stream::open;

/// Streams files in order; `sentence` receives each sentence and the number of bytes read from disk so far.
///
/// Duplicates are always kept, regardless of the options.
///
/// # Errors
/// A file cannot be read or is not text, or `sentence` returned an error.
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
