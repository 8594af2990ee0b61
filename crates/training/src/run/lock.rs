//! A lock on a run directory, so that two processes never write to it at once.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::TrainError;
use crate::run::files::write_error;

/// The lock file in a run directory. It contains the process id of its holder.
pub(crate) const LOCK: &str = ".lock";

const ATTEMPTS: usize = 5;
const BETWEEN_ATTEMPTS: Duration = Duration::from_millis(10);

/// How a directory is locked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Access {
    /// By one process alone.
    Exclusive,
    /// By any number of processes that share the directory.
    Shared,
}

/// A held lock; released, and its file removed, when dropped.
///
/// The operating system releases the lock of a process that ends in any way, so a killed run does not block the next one.
#[derive(Debug)]
pub struct DirectoryLock {
    /// `None` on a file system without locks.
    file: Option<File>,
    path: PathBuf,
    access: Access,
    /// The directory, if this lock created it.
    created: Option<PathBuf>,
}

impl DirectoryLock {
    /// Creates a directory if it is absent, and locks it for this process alone.
    ///
    /// # Errors
    /// Another process holds a lock ([`TrainError::InUse`]), or the directory cannot be written.
    pub(crate) fn exclusive(directory: &Path) -> Result<Self, TrainError> {
        Self::acquire(directory, Access::Exclusive)
    }

    /// Locks an existing directory together with other processes that share it.
    ///
    /// # Errors
    /// Another process has an exclusive lock ([`TrainError::InUse`]), or the lock file cannot be written.
    pub(crate) fn shared(directory: &Path) -> Result<Self, TrainError> {
        Self::acquire(directory, Access::Shared)
    }

    /// As [`Self::exclusive`], but waits for other processes.
    ///
    /// # Errors
    /// The directory cannot be written.
    pub(crate) fn wait(directory: &Path) -> Result<Self, TrainError> {
        loop {
            match Self::exclusive(directory) {
                Err(TrainError::InUse { .. }) => std::thread::sleep(BETWEEN_ATTEMPTS),
                locked => return locked,
            }
        }
    }

    /// Lets other processes share the directory from now on.
    ///
    /// # Errors
    /// The lock cannot be changed.
    pub(crate) fn share(mut self) -> Result<Self, TrainError> {
        if let Some(file) = &self.file {
            file.unlock()
                .and_then(|()| file.lock_shared())
                .map_err(write_error(&self.path))?;
        }
        self.access = Access::Shared;
        Ok(self)
    }

    /// Checks that no process holds an exclusive lock, without writing anything.
    ///
    /// # Errors
    /// One does ([`TrainError::InUse`]).
    pub(crate) fn check_free(directory: &Path) -> Result<(), TrainError> {
        let Ok(mut file) = File::open(directory.join(LOCK)) else {
            return Ok(());
        };
        match file.try_lock_shared() {
            Err(TryLockError::WouldBlock) => Err(in_use(directory, &mut file)),
            _ => Ok(()),
        }
    }

    fn acquire(directory: &Path, access: Access) -> Result<Self, TrainError> {
        let path = directory.join(LOCK);
        let failed = |source| TrainError::Write {
            path: path.clone(),
            source,
        };
        let created = (!directory.exists()).then(|| directory.to_path_buf());
        std::fs::create_dir_all(directory).map_err(|source| TrainError::Write {
            path: directory.into(),
            source,
        })?;
        let mut attempts = 0;
        loop {
            let mut file = OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .open(&path)
                .map_err(failed)?;
            let locked = match access {
                Access::Exclusive => file.try_lock(),
                Access::Shared => file.try_lock_shared(),
            };
            match locked {
                // The holder before us may have removed the file after we opened it.
                Ok(()) if !is_at(&file, &path) => continue,
                Ok(()) => {
                    let id = std::process::id().to_string();
                    // Only messages need it: on a full disk, the files of the run fail first.
                    let _ = file
                        .set_len(0)
                        .and_then(|()| file.rewind())
                        .and_then(|()| file.write_all(id.as_bytes()));
                    return Ok(Self {
                        file: Some(file),
                        path,
                        access,
                        created,
                    });
                }
                // A process in `check_free` has the lock for a moment.
                Err(TryLockError::WouldBlock) if attempts < ATTEMPTS => {
                    attempts += 1;
                    std::thread::sleep(BETWEEN_ATTEMPTS);
                }
                Err(TryLockError::WouldBlock) => return Err(in_use(directory, &mut file)),
                Err(TryLockError::Error(e)) if e.kind() == ErrorKind::Unsupported => {
                    return Ok(Self {
                        file: None,
                        path,
                        access,
                        created,
                    });
                }
                Err(TryLockError::Error(source)) => return Err(failed(source)),
            }
        }
    }
}

impl Drop for DirectoryLock {
    fn drop(&mut self) {
        // While another process shares the lock, its file stays: the last one removes it.
        let last = match (&self.file, self.access) {
            (Some(file), Access::Shared) => file.try_lock().is_ok(),
            (Some(_), Access::Exclusive) | (None, _) => true,
        };
        if last {
            // A file that stays behind is harmless.
            let _ = std::fs::remove_file(&self.path);
            // Only an empty directory is removed: one left by a run that failed at its start.
            if let Some(directory) = &self.created {
                let _ = std::fs::remove_dir(directory);
            }
        }
    }
}

fn in_use(directory: &Path, file: &mut File) -> TrainError {
    let mut text = String::new();
    // A holder that has just started may not have written its id yet.
    let id = match file.read_to_string(&mut text) {
        Ok(_) => text.trim().parse().ok(),
        Err(_) => None,
    };
    TrainError::InUse {
        path: directory.into(),
        process: id,
    }
}

/// Whether an open file is still the one at its path.
#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    match (file.metadata(), std::fs::metadata(path)) {
        (Ok(open), Ok(there)) => open.dev() == there.dev() && open.ino() == there.ino(),
        _ => false,
    }
}

/// Elsewhere an open file cannot be removed.
#[cfg(not(unix))]
fn is_at(_file: &File, _path: &Path) -> bool {
    true
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_held_lock_refuses_others_and_names_the_process() {
        let folder = tempfile::tempdir().unwrap();
        let lock = DirectoryLock::exclusive(folder.path()).unwrap();
        let own = Some(std::process::id());
        for refused in [
            DirectoryLock::exclusive(folder.path()).map(drop),
            DirectoryLock::shared(folder.path()).map(drop),
            DirectoryLock::check_free(folder.path()),
        ] {
            let error = refused.unwrap_err();
            assert_eq!(error.exit_code(), 2);
            assert!(matches!(error, TrainError::InUse { process, .. } if process == own));
        }
        drop(lock);
        assert!(!folder.path().join(LOCK).exists());
        DirectoryLock::exclusive(folder.path()).unwrap();
    }

    #[test]
    fn shared_locks_exclude_an_exclusive_one_until_the_last_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let first = DirectoryLock::shared(folder.path()).unwrap();
        let second = DirectoryLock::shared(folder.path()).unwrap();
        DirectoryLock::check_free(folder.path()).unwrap();
        drop(first);
        assert!(DirectoryLock::exclusive(folder.path()).is_err());
        drop(second);
        DirectoryLock::exclusive(folder.path()).unwrap();
    }

    #[test]
    fn a_file_without_a_holder_does_not_block() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(LOCK), "4711").unwrap();
        DirectoryLock::check_free(folder.path()).unwrap();
        DirectoryLock::exclusive(folder.path()).unwrap();
    }
}
