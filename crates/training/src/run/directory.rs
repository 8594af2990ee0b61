//! The run directory: everything that a run writes.

use std::fs;
use std::path::{Path, PathBuf};

use crate::config::{FinetuneConfig, PretrainConfig};
use crate::error::TrainError;
use crate::run::files::{
    is_temporary, sync_folder, sync_parent, temporary_name, write_atomically, write_error,
};
use crate::run::lock::{DirectoryLock, LOCK};

/// How a run treats an existing run directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DirectoryPolicy {
    /// It must be empty or absent, except for a tokenised corpus of an earlier attempt.
    New,
    /// The files of an earlier run are removed when training begins; other files stay.
    Overwrite,
    /// The run continues from its newest checkpoint.
    Resume,
    /// Nothing is written.
    DryRun,
}

/// The names that a run writes, and that overwriting may therefore remove.
///
/// Those that identify the directory as a run's come last, so that an interrupted removal can be repeated.
const OWN: [&str; 8] = [
    "metrics.jsonl",
    "checkpoints",
    "eval",
    "generator",
    "model",
    "report.html",
    "environment.json",
    "config.toml",
];

/// A run directory.
#[derive(Debug, Clone)]
pub struct RunDirectory {
    path: PathBuf,
}

/// Whether a directory entry does not make a run directory "not empty": a tokenised corpus, which is made before the run
/// and validated separately, or what a process leaves if it is killed before its first complete file.
fn is_leftover(entry: &fs::DirEntry) -> bool {
    let name = entry.file_name();
    let name = name.to_string_lossy();
    // The first files of a run and of a cross-validation.
    let first_files = [
        ".config.toml.",
        ".environment.json.",
        ".runs.toml.",
        ".crossval.toml.",
    ];
    match &*name {
        "shards" | LOCK => true,
        "checkpoints" => is_empty(&entry.path()),
        name => {
            let first = first_files.iter().any(|start| name.starts_with(start));
            name.starts_with(".shards.") || (first && is_temporary(name))
        }
    }
}

/// Whether a path is an empty folder.
fn is_empty(path: &Path) -> bool {
    fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none())
}

/// Removes a file or a folder, if there is one.
fn remove(path: &Path) -> Result<(), TrainError> {
    let removed = if path.is_dir() {
        fs::remove_dir_all(path)
    } else {
        fs::remove_file(path)
    };
    match removed {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(write_error(path)(e)),
        _ => Ok(()),
    }
}

impl RunDirectory {
    /// Checks the directory without writing anything.
    ///
    /// # Errors
    /// Another process writes to it, or its content does not fit the policy.
    pub fn check(path: &Path, policy: DirectoryPolicy) -> Result<Self, TrainError> {
        if policy != DirectoryPolicy::DryRun {
            DirectoryLock::check_free(path)?;
        }
        let directory = Self { path: path.into() };
        directory.check_content(policy)?;
        Ok(directory)
    }

    /// A directory as it is, without any check.
    pub(crate) fn open(path: &Path) -> Self {
        Self { path: path.into() }
    }

    /// As [`Self::check`], for the holder of the lock.
    ///
    /// # Errors
    /// The content does not fit the policy.
    pub(crate) fn check_content(&self, policy: DirectoryPolicy) -> Result<(), TrainError> {
        let path = &self.path;
        if let Some(file) = path.ancestors().find(|part| part.is_file()) {
            return Err(TrainError::Setting {
                message: format!(
                    "`{}` is a file, expected a directory for the run",
                    file.display()
                ),
                hint: "name another directory with [output]".into(),
            });
        }
        let begun = path.join("config.toml").exists();
        match policy {
            DirectoryPolicy::New => {
                let empty = match fs::read_dir(path) {
                    Ok(mut entries) => {
                        entries.all(|entry| entry.is_ok_and(|entry| is_leftover(&entry)))
                    }
                    Err(e) if e.kind() == std::io::ErrorKind::NotFound => true,
                    Err(source) => {
                        return Err(TrainError::Read {
                            path: path.into(),
                            source,
                        });
                    }
                };
                if !empty {
                    return Err(TrainError::NotEmpty {
                        path: path.into(),
                        resumable: begun,
                    });
                }
            }
            DirectoryPolicy::Resume if !begun => {
                return Err(TrainError::NothingToResume { path: path.into() });
            }
            DirectoryPolicy::Overwrite => self.check_ours()?,
            DirectoryPolicy::Resume | DirectoryPolicy::DryRun => {}
        }
        Ok(())
    }

    /// Creates the directory if it is absent, and locks it.
    ///
    /// # Errors
    /// Another process writes to it, or it cannot be created.
    pub(crate) fn lock(&self) -> Result<DirectoryLock, TrainError> {
        DirectoryLock::exclusive(&self.path)
    }

    /// Refuses to replace files with the names of a run's in a directory that is not a run's.
    fn check_ours(&self) -> Result<(), TrainError> {
        let config = self.path.join("config.toml");
        let environment = fs::read_to_string(self.path.join("environment.json"));
        let environment = environment.is_ok_and(|text| text.contains("\"bertkit\""));
        if environment
            || FinetuneConfig::resolve_unchecked(Some(&config), &[]).is_ok()
            || PretrainConfig::resolve_unchecked(Some(&config), &[]).is_ok()
        {
            return Ok(());
        }
        let foreign = OWN.iter().find(|name| {
            let path = self.path.join(name);
            // A run that was stopped early enough leaves an empty folder.
            path.exists() && !is_empty(&path)
        });
        foreign.map_or(Ok(()), |name| {
            Err(TrainError::Setting {
                message: format!(
                    "`{}` was not written by a run, and [option.overwrite] would replace its `{name}`",
                    self.path.display()
                ),
                hint: "name another directory with [output], or move that away first".into(),
            })
        })
    }

    /// Undoes [`Self::create`] and removes the first files; also the directory, unless it `existed` before.
    pub fn abandon(&self, existed: bool) {
        // Errors are ignored: these files may be absent, and folders not empty.
        for name in ["config.toml", "environment.json"] {
            let _ = fs::remove_file(self.path.join(name));
        }
        let _ = fs::remove_dir(self.path.join("checkpoints"));
        if !existed {
            let _ = fs::remove_dir(&self.path);
        }
    }

    /// Creates the directory. With [`DirectoryPolicy::Overwrite`] the files of an earlier run are removed.
    ///
    /// # Errors
    /// A file or folder cannot be removed or created.
    pub fn create(&self, policy: DirectoryPolicy) -> Result<(), TrainError> {
        fs::create_dir_all(&self.path).map_err(write_error(&self.path))?;
        if policy == DirectoryPolicy::Overwrite {
            for name in OWN {
                remove(&self.path.join(name))?;
            }
        }
        let checkpoints = self.path.join("checkpoints");
        fs::create_dir_all(&checkpoints).map_err(write_error(&checkpoints))
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The folder of the trained model.
    pub fn model(&self) -> PathBuf {
        self.path.join("model")
    }

    /// Writes a file in the directory.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, name: &str, content: &str) -> Result<(), TrainError> {
        write_atomically(&self.path.join(name), content.as_bytes())
    }

    /// Fills a folder under a temporary name and renames it, replacing an older one. Returns its path.
    ///
    /// # Errors
    /// `fill` failed, or the folder cannot be written or renamed; an older folder is then still there.
    pub fn replace_folder(
        &self,
        name: &str,
        fill: impl FnOnce(&Path) -> Result<(), TrainError>,
    ) -> Result<PathBuf, TrainError> {
        let target = self.path.join(name);
        let temporary = temporary_name(&target);
        fs::create_dir_all(&temporary).map_err(write_error(&temporary))?;
        let filled = fill(&temporary).and_then(|()| {
            sync_folder(&temporary).map_err(write_error(&target))?;
            if target.exists() {
                fs::remove_dir_all(&target).map_err(write_error(&target))?;
            }
            fs::rename(&temporary, &target)
                .and_then(|()| sync_parent(&target))
                .map_err(write_error(&target))
        });
        if filled.is_err() {
            let _ = fs::remove_dir_all(&temporary);
        }
        filled.map(|()| target)
    }

    /// The names of the checkpoints, oldest first.
    pub fn checkpoints(&self) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.path.join("checkpoints"))
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .filter(|name| name.starts_with("step-"))
            .collect();
        names.sort();
        names
    }

    /// The folder of a checkpoint.
    pub fn checkpoint(&self, name: &str) -> PathBuf {
        self.path.join("checkpoints").join(name)
    }

    /// The checkpoint that the pointer `latest` or `best` names.
    pub fn pointer(&self, name: &str) -> Option<String> {
        let text = fs::read_to_string(self.path.join("checkpoints").join(name)).ok()?;
        Some(text.trim().to_owned()).filter(|name| self.checkpoint(name).is_dir())
    }

    /// Sets a pointer to a checkpoint.
    ///
    /// # Errors
    /// The pointer cannot be written.
    pub fn point(&self, pointer: &str, checkpoint: &str) -> Result<(), TrainError> {
        write_atomically(
            &self.path.join("checkpoints").join(pointer),
            format!("{checkpoint}\n").as_bytes(),
        )
    }

    /// Removes all checkpoints except the newest `keep` and those named.
    ///
    /// # Errors
    /// A checkpoint cannot be removed.
    pub fn rotate_checkpoints(
        &self,
        keep: usize,
        also: &[Option<String>],
    ) -> Result<(), TrainError> {
        let names = self.checkpoints();
        for name in &names[..names.len().saturating_sub(keep)] {
            if !also.iter().flatten().any(|kept| kept == name) {
                let path = self.checkpoint(name);
                // Renamed first: a checkpoint under its own name is always complete.
                let doomed = temporary_name(&path);
                fs::rename(&path, &doomed).map_err(write_error(&path))?;
                fs::remove_dir_all(&doomed).map_err(write_error(&doomed))?;
            }
        }
        Ok(())
    }

    /// Removes `checkpoints/`, after the model has been exported.
    ///
    /// # Errors
    /// A checkpoint cannot be removed.
    pub(crate) fn remove_checkpoints(&self) -> Result<(), TrainError> {
        self.rotate_checkpoints(0, &[])?;
        self.sweep()?;
        let checkpoints = self.path.join("checkpoints");
        for pointer in ["latest", "best"] {
            let _ = fs::remove_file(checkpoints.join(pointer));
        }
        let _ = fs::remove_dir(checkpoints);
        Ok(())
    }

    /// Removes the temporary files of an interrupted process.
    ///
    /// # Errors
    /// A file cannot be removed.
    pub fn sweep(&self) -> Result<(), TrainError> {
        for folder in [self.path.clone(), self.path.join("checkpoints")] {
            for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
                if is_temporary(&entry.file_name().to_string_lossy()) {
                    remove(&entry.path())?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_directory_with_anything_in_it_is_not_new() {
        let folder = tempfile::tempdir().unwrap();
        assert!(RunDirectory::check(folder.path(), DirectoryPolicy::New).is_ok());
        fs::write(folder.path().join("thesis.txt"), "x").unwrap();
        assert!(matches!(
            RunDirectory::check(folder.path(), DirectoryPolicy::New),
            Err(TrainError::NotEmpty { .. })
        ));
    }

    #[test]
    fn overwriting_leaves_files_that_no_run_wrote() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["thesis.txt", "config.toml"] {
            fs::write(folder.path().join(name), "seed = 1").unwrap();
        }
        let directory = RunDirectory::check(folder.path(), DirectoryPolicy::Overwrite).unwrap();
        directory.create(DirectoryPolicy::Overwrite).unwrap();
        assert!(folder.path().join("thesis.txt").exists());
        assert!(!folder.path().join("config.toml").exists());
    }

    #[test]
    fn overwriting_refuses_a_folder_that_only_looks_like_a_run() {
        let folder = tempfile::tempdir().unwrap();
        let overwrite = || RunDirectory::check(folder.path(), DirectoryPolicy::Overwrite);
        fs::create_dir(folder.path().join("model")).unwrap();
        assert!(overwrite().is_ok());
        fs::write(folder.path().join("model/weights"), "x").unwrap();
        fs::write(folder.path().join("config.toml"), "port = 80").unwrap();
        assert!(overwrite().unwrap_err().to_string().contains("`model`"));
        fs::write(
            folder.path().join("environment.json"),
            r#"{"bertkit": "0"}"#,
        )
        .unwrap();
        assert!(overwrite().is_ok());
    }

    #[test]
    fn a_beginning_that_failed_leaves_the_folder_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run");
        for existed in [false, true] {
            let directory = RunDirectory { path: path.clone() };
            directory.create(DirectoryPolicy::New).unwrap();
            directory.write("config.toml", "").unwrap();
            directory.abandon(existed);
            assert_eq!(path.exists(), existed);
            assert!(!path.join("checkpoints").exists());
        }
    }

    #[test]
    fn a_folder_that_could_not_be_filled_leaves_the_old_one() {
        let folder = tempfile::tempdir().unwrap();
        let directory = RunDirectory {
            path: folder.path().into(),
        };
        directory
            .replace_folder("model", |path| {
                fs::write(path.join("a"), "old").map_err(write_error(path))
            })
            .unwrap();
        let failed = directory.replace_folder("model", |path| {
            fs::write(path.join("a"), "new").map_err(write_error(path))?;
            Err(TrainError::NoModel { path: path.into() })
        });
        assert!(failed.is_err());
        assert_eq!(
            fs::read_to_string(folder.path().join("model/a")).unwrap(),
            "old"
        );
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
