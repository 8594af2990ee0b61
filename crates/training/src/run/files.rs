//! Files that are complete or absent: atomic writes, and digests.

use std::fs::{self, File};
use std::io::ErrorKind::{InvalidInput, PermissionDenied, Unsupported};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use sha2::{Digest, Sha256};

use crate::error::TrainError;

/// Turns an error of the system into one that names the file it occurred on.
pub(crate) fn write_error(path: &Path) -> impl FnOnce(std::io::Error) -> TrainError + '_ {
    move |source| TrainError::Write {
        path: path.into(),
        source,
    }
}

/// As [`write_error`], for reading.
pub(crate) fn read_error(path: &Path) -> impl FnOnce(std::io::Error) -> TrainError + '_ {
    move |source| TrainError::Read {
        path: path.into(),
        source,
    }
}

/// Writes a file under a temporary name next to it, syncs it and renames it: the file is either complete or unchanged.
///
/// # Errors
/// Writing or renaming failed; the temporary file is removed.
pub fn write_atomically(path: &Path, content: &[u8]) -> Result<(), TrainError> {
    let temporary = temporary_name(path);
    let result = (|| {
        let mut file = File::create(&temporary)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        sync_parent(path)
    })();
    result.map_err(|source| {
        // The first error is the one to report.
        let _ = fs::remove_file(&temporary);
        TrainError::Write {
            path: path.into(),
            source,
        }
    })
}

/// A unique name next to `path`, across processes and calls: `.NAME.PID-N.tmp`.
pub(crate) fn temporary_name(path: &Path) -> PathBuf {
    static CALLS: AtomicU64 = AtomicU64::new(0);
    let call = CALLS.fetch_add(1, Ordering::Relaxed);
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".{}-{call}.tmp", std::process::id()));
    path.with_file_name(name)
}

/// Whether a file name is one that [`temporary_name`] returns (or, in earlier versions, without a number).
pub(crate) fn is_temporary(name: &str) -> bool {
    name.starts_with('.') && name.ends_with(".tmp")
}

/// Syncs the folder of a file, so that its new name survives a power failure.
pub(crate) fn sync_parent(path: &Path) -> std::io::Result<()> {
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    sync_names(parent.unwrap_or(Path::new(".")))
}

/// Syncs the names in a folder, if the system and the file system support it.
fn sync_names(folder: &Path) -> std::io::Result<()> {
    // Other systems cannot open a folder, and do not need to.
    if !cfg!(unix) {
        return Ok(());
    }
    match File::open(folder).and_then(|folder| folder.sync_all()) {
        Err(e) if matches!(e.kind(), InvalidInput | Unsupported | PermissionDenied) => Ok(()),
        synced => synced,
    }
}

/// Syncs all files of a folder, and the folder.
pub(crate) fn sync_folder(folder: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_file() {
            File::open(path)?.sync_all()?;
        }
    }
    sync_names(folder)
}

/// The SHA-256 of a file, in hexadecimal.
///
/// # Errors
/// The file cannot be read.
pub fn sha256(path: &Path) -> Result<String, TrainError> {
    let mut file = File::open(path).map_err(read_error(path))?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer).map_err(read_error(path))? {
            0 => break,
            n => hasher.update(&buffer[..n]),
        }
    }
    Ok(hex(&hasher.finalize()))
}

/// The SHA-256 of a text, in hexadecimal.
pub(crate) fn sha256_of(text: &str) -> String {
    hex(&Sha256::digest(text.as_bytes()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
