//! Files of an evaluation in a run directory.

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::TrainError;
use crate::run::files::{is_temporary, write_atomically, write_error};
use crate::run::lock::DirectoryLock;

/// Writes the files of one evaluation, by name and content, in this order: all of them, or none. Returns their paths.
///
/// Concurrent evaluations with the same name write in turn, so that the files always belong to one of them.
///
/// # Errors
/// A file cannot be written.
pub(crate) fn write_evaluation_files<const N: usize>(
    run: &Path,
    files: [(String, String); N],
) -> Result<[PathBuf; N], TrainError> {
    let folder = run.join("eval");
    fs::create_dir_all(&folder).map_err(write_error(&folder))?;
    let paths = files.each_ref().map(|(name, _)| folder.join(name));
    let lock = DirectoryLock::wait(&folder)?;
    sweep(&folder);
    for (i, (_, content)) in files.iter().enumerate() {
        if let Err(error) = write_atomically(&paths[i], content.as_bytes()) {
            // A part of an evaluation would be misleading.
            for path in &paths[..i] {
                let _ = fs::remove_file(path);
            }
            drop(lock);
            // Only an empty folder is removed.
            let _ = fs::remove_dir(&folder);
            return Err(error);
        }
    }
    Ok(paths)
}

/// Removes the temporary files of killed evaluations; the caller holds the lock, so no other process uses any.
fn sweep(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if is_temporary(&entry.file_name().to_string_lossy()) {
            // One that cannot be removed is harmless.
            let _ = fs::remove_file(entry.path());
        }
    }
}
