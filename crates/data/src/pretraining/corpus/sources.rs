//! Finds the files of a corpus.

use std::collections::{BTreeSet, HashSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::documents::kind;
use crate::error::{CorpusError, DataError, FileError};

/// The files of a corpus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The files to read, each once, sorted by path.
    pub files: Vec<PathBuf>,
    /// Files in the folders that do not have a text extension, sorted.
    pub passed_over: Vec<PathBuf>,
}

/// Expands paths to a list of files. A path is a file, a folder, or a pattern such as `books/**/*.txt`.
///
/// A file that is named explicitly or matched by a pattern is read regardless of its extension. A folder is searched
/// recursively for files that end in `.txt`, `.text`, `.jsonl`, `.ndjson`, `.csv`, `.tsv` or `.tab`, optionally followed
/// by `.gz` or `.zst`; hidden files and folders, whose names begin with a dot, are skipped.
///
/// # Errors
/// A path does not exist or cannot be read, a pattern is malformed or matches nothing, a folder contains no text file.
pub fn find(paths: &[PathBuf]) -> Result<Found, DataError> {
    let mut files = BTreeSet::new();
    let mut passed_over = BTreeSet::new();
    for path in paths {
        if path.is_dir() {
            add_folder(path, &mut files, &mut passed_over)?;
        } else if path.exists() {
            files.insert(path.clone());
        } else {
            add_matches(path, &mut files, &mut passed_over)?;
        }
    }
    passed_over.retain(|path| !files.contains(path));
    Ok(Found {
        files: files.into_iter().collect(),
        passed_over: passed_over.into_iter().collect(),
    })
}

fn add_matches(
    path: &Path,
    files: &mut BTreeSet<PathBuf>,
    passed_over: &mut BTreeSet<PathBuf>,
) -> Result<(), DataError> {
    let name = path.display().to_string();
    if !name.contains(['*', '?', '[']) {
        return Err(DataError::File(FileError::NotFound { path: name }));
    }
    let options = glob::MatchOptions {
        require_literal_leading_dot: true,
        ..glob::MatchOptions::new()
    };
    let matches = glob::glob_with(&name, options).map_err(|error| {
        DataError::Corpus(CorpusError::Pattern {
            pattern: name.clone(),
            message: error.msg.into(),
        })
    })?;
    let mut any = false;
    for path in matches {
        let path = path.map_err(|error| {
            DataError::File(FileError::Read {
                path: error.path().display().to_string(),
                source: error.into(),
            })
        })?;
        any = true;
        if path.is_dir() {
            // `books/*` may also match folders; a folder without text files is not an error here.
            walk(&path, &mut HashSet::new(), files, passed_over)?;
        } else {
            files.insert(path);
        }
    }
    match any {
        true => Ok(()),
        false => Err(DataError::Corpus(CorpusError::NoMatch { pattern: name })),
    }
}

fn add_folder(
    folder: &Path,
    files: &mut BTreeSet<PathBuf>,
    passed_over: &mut BTreeSet<PathBuf>,
) -> Result<(), DataError> {
    let (mut found, mut others) = (BTreeSet::new(), BTreeSet::new());
    walk(folder, &mut HashSet::new(), &mut found, &mut others)?;
    if found.is_empty() {
        let within = |path: &PathBuf| {
            let path = path.strip_prefix(folder).unwrap_or(path);
            path.display().to_string()
        };
        return Err(DataError::Corpus(CorpusError::NoTextFiles {
            path: folder.display().to_string(),
            found: others.iter().map(within).collect(),
        }));
    }
    files.append(&mut found);
    passed_over.append(&mut others);
    Ok(())
}

/// Searches a folder, unless it was already visited through a link.
fn walk(
    folder: &Path,
    seen: &mut HashSet<PathBuf>,
    files: &mut BTreeSet<PathBuf>,
    passed_over: &mut BTreeSet<PathBuf>,
) -> Result<(), DataError> {
    let unreadable = |source: io::Error| {
        DataError::File(FileError::Read {
            path: folder.display().to_string(),
            source,
        })
    };
    if !seen.insert(fs::canonicalize(folder).map_err(unreadable)?) {
        return Ok(());
    }
    let mut entries = fs::read_dir(folder)
        .and_then(Iterator::collect::<io::Result<Vec<_>>>)
        .map_err(unreadable)?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        if entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        if path.is_dir() {
            walk(&path, seen, files, passed_over)?;
        } else if is_text(&path) {
            files.insert(path);
        } else {
            passed_over.insert(path);
        }
    }
    Ok(())
}

fn is_text(path: &Path) -> bool {
    matches!(
        kind(path).as_str(),
        "txt" | "text" | "jsonl" | "ndjson" | "csv" | "tsv" | "tab"
    )
}
