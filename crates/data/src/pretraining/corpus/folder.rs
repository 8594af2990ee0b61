//! The folder of a tokenized corpus: its lock, its files and its errors.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::manifest::{Manifest, VERSION};
use super::shards::{Shard, ShardError, Width};
use super::tokenized::Corpus;
use crate::error::{CorpusError, DataError, FileError};

pub(super) const MANIFEST: &str = "manifest.json";
const LOCK: &str = "lock";

/// Exclusive use of the temporary folder until dropped.
pub(super) struct Claim<'a> {
    temporary: &'a Path,
    lock: Option<File>,
}

impl<'a> Claim<'a> {
    /// Returns `None` while another process holds the lock.
    pub(super) fn new(temporary: &'a Path) -> Result<Option<Self>, DataError> {
        let path = temporary.join(LOCK);
        fs::create_dir_all(temporary).map_err(unwritable(temporary))?;
        let lock = match File::create(&path) {
            Ok(lock) => lock,
            // The other process has just finished and renamed the folder.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unwritable(&path)(error)),
        };
        match lock.try_lock() {
            Err(fs::TryLockError::WouldBlock) => return Ok(None),
            // Some file systems, such as some network drives, do not support locks; assume that no other process uses the
            // folder.
            Err(fs::TryLockError::Error(_)) | Ok(()) => {}
        }
        if !path.exists() {
            return Ok(None);
        }
        let claim = Self {
            temporary,
            lock: Some(lock),
        };
        // Left over from a process that was killed.
        for name in names(temporary)? {
            if name != LOCK {
                let path = temporary.join(name);
                fs::remove_file(&path).map_err(unwritable(&path))?;
            }
        }
        Ok(Some(claim))
    }

    /// Renames the complete folder to its final name.
    pub(super) fn release(mut self, folder: &Path) -> Result<(), DataError> {
        let lock = self.temporary.join(LOCK);
        fs::remove_file(&lock).map_err(unwritable(&lock))?;
        if folder.exists() {
            fs::remove_dir_all(folder).map_err(unwritable(folder))?;
        }
        fs::rename(self.temporary, folder).map_err(unwritable(folder))?;
        self.lock = None;
        // Make the rename durable; not every system can sync folders.
        if let Some(parent) = folder.parent()
            && let Ok(parent) = File::open(parent)
        {
            let _ = parent.sync_all();
        }
        Ok(())
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        if self.lock.is_some() {
            // The next process removes what could not be removed here.
            let _ = fs::remove_dir_all(self.temporary);
        }
    }
}

/// Opens all shards and verifies them.
pub(super) fn open_shards(folder: &Path, manifest: Manifest) -> Result<Corpus, DataError> {
    let width = Width::of_vocabulary(manifest.vocab_size);
    let mut first = [0; 3];
    let mut open_sentences = 0;
    let mut shards = Vec::new();
    for record in &manifest.shards {
        let path = folder.join(&record.file);
        let mut shard = Shard::open(&path, record, width).map_err(|error| match error {
            ShardError::Io(error) if error.kind() == io::ErrorKind::NotFound => {
                damaged(folder, &record.file, "it is not there".into())
            }
            ShardError::Io(source) => DataError::File(FileError::Read {
                path: name(&path),
                source,
            }),
            ShardError::Damaged(problem) => damaged(folder, &record.file, problem),
        })?;
        first = shard.place(first);
        open_sentences = shard.open_sentences();
        shards.push(shard);
    }
    if first != [manifest.tokens, manifest.sentences, manifest.documents] || open_sentences > 0 {
        return Err(damaged(
            folder,
            MANIFEST,
            "its counts are not those of the shards".into(),
        ));
    }
    Ok(Corpus::new(shards, manifest))
}

/// Names of the files in a folder, in order; none if it does not exist.
pub(super) fn names(folder: &Path) -> Result<Vec<String>, DataError> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
            return Err(not_shards(folder, "a file"));
        }
        Err(source) => {
            return Err(DataError::File(FileError::Read {
                path: name(folder),
                source,
            }));
        }
    };
    let mut names = entries
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect::<io::Result<Vec<_>>>()
        .map_err(|source| {
            DataError::File(FileError::Read {
                path: name(folder),
                source,
            })
        })?;
    names.sort();
    Ok(names)
}

/// Whether a file in a corpus folder has a name that this crate writes.
pub(super) fn is_ours(name: &str) -> bool {
    let shard = name
        .strip_prefix("shard-")
        .and_then(|name| name.strip_suffix(".bin"));
    name == MANIFEST || shard.is_some_and(|number| number.bytes().all(|b| b.is_ascii_digit()))
}

/// Whether a manifest has another layout version.
pub(super) fn other_version(text: &str) -> bool {
    serde_json::from_str::<serde_json::Value>(text)
        .ok()
        .and_then(|manifest| manifest["version"].as_u64())
        .is_some_and(|version| version != u64::from(VERSION))
}

/// The folder that is filled first and then renamed.
pub(super) fn temporary(folder: &Path) -> PathBuf {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    folder.with_file_name(format!(".{name}.tmp"))
}

fn name(path: &Path) -> String {
    path.display().to_string()
}

pub(super) fn unwritable(path: &Path) -> impl Fn(io::Error) -> DataError {
    let path = name(path);
    move |source| {
        DataError::Corpus(CorpusError::WriteShards {
            path: path.clone(),
            source,
        })
    }
}

pub(super) fn not_shards(folder: &Path, found: &str) -> DataError {
    DataError::Corpus(CorpusError::NotShards {
        path: name(folder),
        found: found.into(),
    })
}

pub(super) fn damaged(folder: &Path, file: &str, problem: String) -> DataError {
    DataError::Corpus(CorpusError::DamagedShards {
        path: name(&folder.join(file)),
        folder: name(folder),
        problem,
    })
}
