//! Tokenizing text files into a folder of shards, or reusing the folder if it is up to date.

use std::collections::HashSet;
use std::fs::{self, File};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;
use std::time::Duration;

use super::batches::{Batch, read_batches};
use super::changes::is_unchanged;
use super::documents::CorpusOptions;
use super::encode::CorpusTokenizer;
use super::folder::{
    Claim, MANIFEST, damaged, is_ours, names, not_shards, open_shards, other_version, temporary,
};
use super::manifest::{Manifest, VERSION};
use super::tokenized::Corpus;
use super::writer::{Create, Writer};
use crate::error::{CorpusError, DataError, FileError};
use crate::tokenizer::TextTokenizer;

/// Progress of [`prepare`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Bytes of the files read so far, as stored on disk.
    pub bytes: u64,
    /// Bytes of all files.
    pub total_bytes: u64,
    /// Documents so far.
    pub documents: u64,
    /// Tokens so far.
    pub tokens: u64,
}

/// Whether a corpus was reused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The folder already contained it.
    Reused,
    /// The files were read and tokenized.
    Built {
        /// The difference from the corpus previously in the folder, if there was one.
        because: Option<String>,
    },
}

/// A tokenized corpus, and whether it was reused.
#[derive(Debug)]
pub struct Prepared {
    /// The corpus.
    pub corpus: Corpus,
    /// Whether it was reused.
    pub origin: Origin,
}

/// Tokenizes files into `folder`, or opens its contents if they were made from the same files, options and tokenizer.
///
/// Files are streamed once, in order: memory does not grow with their size. The corpus contains no special tokens; text
/// that spells one, such as `[MASK]`, stays text. The result does not depend on the number of threads.
/// A file is unchanged if its path, length and modification time match the manifest; if only the time differs, the
/// SHA-256 hashes are compared. If anything has changed, everything is tokenized again. The output is written to a
/// sibling folder, `.NAME.tmp`, and renamed when complete; the old content is kept until then. If another process is
/// preparing the same folder, this one waits.
/// waits.
///
/// A file cannot be read or is not text; there is no text, or none longer than a word (unless the tokenizer has no
/// words); the folder contains other files, is damaged or cannot be written; `interrupt` became true.
pub fn prepare(
    files: &[PathBuf],
    options: &CorpusOptions,
    tokenizer: &TextTokenizer,
    folder: &Path,
    progress: &mut dyn FnMut(Progress),
    interrupt: &AtomicBool,
) -> Result<Prepared, DataError> {
    let tokenizer = CorpusTokenizer::new(tokenizer)?;
    let work = Work {
        files,
        options,
        tokenizer: &tokenizer,
        interrupt,
        create: &|path| Ok(Box::new(File::create(path)?)),
    };
    work.prepare(folder, progress)
}

/// The inputs of a tokenization run.
struct Work<'a> {
    files: &'a [PathBuf],
    options: &'a CorpusOptions,
    tokenizer: &'a CorpusTokenizer,
    interrupt: &'a AtomicBool,
    create: &'a Create<'a>,
}

impl Work<'_> {
    fn prepare(
        &self,
        folder: &Path,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Prepared, DataError> {
        let temporary = temporary(folder);
        loop {
            let because = match self.look(folder)? {
                ControlFlow::Break(manifest) => {
                    return Ok(Prepared {
                        corpus: open_shards(folder, manifest)?,
                        origin: Origin::Reused,
                    });
                }
                ControlFlow::Continue(because) => because,
            };
            let Some(claim) = Claim::new(&temporary)? else {
                if self.interrupt.load(Ordering::Relaxed) {
                    return Err(DataError::Corpus(CorpusError::Interrupted));
                }
                thread::sleep(Duration::from_millis(100));
                continue;
            };
            let manifest = self.build(&temporary, progress)?;
            claim.release(folder)?;
            return Ok(Prepared {
                corpus: open_shards(folder, manifest)?,
                origin: Origin::Built { because },
            });
        }
    }

    /// Returns the manifest if the folder contains the requested corpus, else the reason to build it.
    fn look(&self, folder: &Path) -> Result<ControlFlow<Manifest, Option<String>>, DataError> {
        let path = folder.join(MANIFEST);
        let names = names(folder)?;
        if let Some(found) = names.iter().find(|name| !is_ours(name)) {
            return Err(not_shards(folder, found));
        }
        if !names.iter().any(|name| name == MANIFEST) {
            return match names.first() {
                Some(found) => Err(not_shards(folder, found)),
                None => Ok(ControlFlow::Continue(None)),
            };
        }
        let bytes = fs::read(&path).map_err(|source| {
            DataError::File(FileError::Read {
                path: path.display().to_string(),
                source,
            })
        })?;
        let text = String::from_utf8_lossy(&bytes);
        match Manifest::from_text(&text) {
            Some(manifest) if manifest.version == VERSION => {
                Ok(match self.difference(&manifest)? {
                    None => ControlFlow::Break(manifest),
                    because => ControlFlow::Continue(because),
                })
            }
            _ if other_version(&text) => Ok(ControlFlow::Continue(Some(
                "another version of bertkit wrote it".into(),
            ))),
            _ => Err(damaged(
                folder,
                MANIFEST,
                "it is not as it was written".into(),
            )),
        }
    }

    /// The first difference between the manifest and the request.
    fn difference(&self, manifest: &Manifest) -> Result<Option<String>, DataError> {
        if manifest.tokenizer != self.tokenizer.hash {
            return Ok(Some("the tokenizer has changed".into()));
        }
        if manifest.options != *self.options {
            return Ok(Some("the files are to be read in another way".into()));
        }
        let paths: Vec<String> = self
            .files
            .iter()
            .map(|path| path.display().to_string())
            .collect();
        let known: HashSet<&str> = manifest.sources.iter().map(|s| s.path.as_str()).collect();
        if let Some(path) = paths.iter().find(|path| !known.contains(path.as_str())) {
            return Ok(Some(format!("`{path}` is new")));
        }
        let asked: HashSet<&str> = paths.iter().map(String::as_str).collect();
        if let Some(source) = manifest.sources.iter().find(|s| !asked.contains(&*s.path)) {
            return Ok(Some(format!("`{}` is no longer asked for", source.path)));
        }
        let in_order = manifest.sources.iter().map(|source| &source.path);
        if !paths.iter().eq(in_order) {
            return Ok(Some("the files come in another order".into()));
        }
        for (path, source) in self.files.iter().zip(&manifest.sources) {
            if !is_unchanged(path, source)? {
                return Ok(Some(format!("`{}` has changed", source.path)));
            }
        }
        Ok(None)
    }

    /// Writes shards and manifest into an existing folder that is empty except for the lock.
    fn build(
        &self,
        folder: &Path,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Manifest, DataError> {
        let total_bytes = self
            .files
            .iter()
            .map(|path| fs::metadata(path).map_or(0, |metadata| metadata.len()))
            .sum();
        let mut writer = Writer::new(self.tokenizer, self.options, folder, self.create);
        // One batch is tokenized while the next one waits and a third is read.
        let (sender, batches) = sync_channel(1);
        let read = thread::scope(|scope| {
            let reader = scope.spawn(move || read_batches(self.files, self.options, sender));
            let written = self.write(&mut writer, batches, total_bytes, progress);
            match (reader.join(), written) {
                (Err(panic), _) => std::panic::resume_unwind(panic),
                // A writer error also stops the reader, so report the writer's error.
                (Ok(_), Err(error)) => Err(error),
                (Ok(read), Ok(())) => read,
            }
        });
        read?;
        writer.finish()
    }

    /// Writes batches until there are no more. Dropping the receiver on an error stops the reader.
    fn write(
        &self,
        writer: &mut Writer<'_>,
        batches: Receiver<Batch>,
        total_bytes: u64,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(), DataError> {
        for batch in batches {
            if self.interrupt.load(Ordering::Relaxed) {
                return Err(DataError::Corpus(CorpusError::Interrupted));
            }
            writer.batch(&batch)?;
            let (documents, tokens) = writer.written();
            progress(Progress {
                bytes: batch.bytes,
                total_bytes,
                documents,
                tokens,
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
