//! The run directory: what a run leaves behind, written so that nothing in it is ever half there.

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::config::{FinetuneConfig, PretrainConfig};
use crate::engine::store::MetricLine;
use crate::error::TrainError;

/// What happens to a run directory that is already there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DirectoryPolicy {
    /// It must be empty or absent; a tokenised corpus of an earlier attempt may be there.
    New,
    /// What an earlier run wrote is removed when training begins; other files stay.
    Overwrite,
    /// The newest checkpoint is continued.
    Resume,
    /// Nothing is written at all.
    DryRun,
}

/// The names that a run writes, and that overwriting may therefore remove.
///
/// What shows that they are a run's goes last: an overwriting that was cut short can be repeated.
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

fn write_error(path: &Path) -> impl FnOnce(std::io::Error) -> TrainError + '_ {
    move |source| TrainError::Write {
        path: path.into(),
        source,
    }
}

fn read_error(path: &Path) -> impl FnOnce(std::io::Error) -> TrainError + '_ {
    move |source| TrainError::Read {
        path: path.into(),
        source,
    }
}

/// Writes a file through a temporary one beside it: it is there whole, or as it was.
///
/// # Errors
/// Writing or renaming failed; the temporary file is removed.
pub fn write_atomically(path: &Path, content: &[u8]) -> Result<(), TrainError> {
    let temporary = temporary_name(path);
    let result = (|| {
        let mut file = File::create(&temporary)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    })();
    result.map_err(|source| {
        // The first error is the one to tell.
        let _ = fs::remove_file(&temporary);
        TrainError::Write {
            path: path.into(),
            source,
        }
    })
}

/// Whether this is a tokenised corpus, whole or not: it is made before the run, and checked by itself.
fn is_shards(entry: fs::DirEntry) -> bool {
    let name = entry.file_name();
    let name = name.to_string_lossy();
    name == "shards" || name.starts_with(".shards.")
}

fn temporary_name(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.tmp"))
}

/// The SHA-256 of a file, in hexadecimal.
///
/// # Errors
/// It cannot be read.
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
    Ok(hasher
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect())
}

impl RunDirectory {
    /// Looks at the directory, and touches nothing.
    ///
    /// # Errors
    /// It is not as the policy needs it.
    pub fn check(path: &Path, policy: DirectoryPolicy) -> Result<Self, TrainError> {
        if let Some(file) = path.ancestors().find(|part| part.is_file()) {
            return Err(TrainError::Setting {
                message: format!(
                    "`{}` is a file, expected a directory for the run",
                    file.display()
                ),
                hint: "name another directory with [output]".into(),
            });
        }
        let directory = Self { path: path.into() };
        match policy {
            DirectoryPolicy::New => {
                let empty = match fs::read_dir(path) {
                    Ok(mut entries) => entries.all(|entry| entry.is_ok_and(is_shards)),
                    Err(e) if e.kind() == std::io::ErrorKind::NotFound => true,
                    Err(source) => {
                        return Err(TrainError::Read {
                            path: path.into(),
                            source,
                        });
                    }
                };
                if !empty {
                    return Err(TrainError::NotEmpty { path: path.into() });
                }
            }
            DirectoryPolicy::Resume => {
                if !path.join("config.toml").exists() {
                    return Err(TrainError::NothingToResume { path: path.into() });
                }
            }
            DirectoryPolicy::Overwrite => directory.check_ours()?,
            DirectoryPolicy::DryRun => {}
        }
        Ok(directory)
    }

    /// Refuses to replace files that have a run's names, where no run has been.
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
            let empty = fs::read_dir(&path).is_ok_and(|mut entries| entries.next().is_none());
            path.exists() && !empty
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

    /// Takes away what [`Self::create`] and the first files have put into a directory, and, unless
    /// it `existed` before, the directory itself.
    pub fn abandon(&self, existed: bool) {
        // Whatever cannot be removed either is not there or was not ours.
        for name in ["config.toml", "environment.json"] {
            let _ = fs::remove_file(self.path.join(name));
        }
        let _ = fs::remove_dir(self.path.join("checkpoints"));
        if !existed {
            let _ = fs::remove_dir(&self.path);
        }
    }

    /// Makes the directory ready to write to. Under [`DirectoryPolicy::Overwrite`] what an earlier
    /// run left is removed.
    ///
    /// # Errors
    /// The system refused.
    pub fn create(&self, policy: DirectoryPolicy) -> Result<(), TrainError> {
        fs::create_dir_all(&self.path).map_err(write_error(&self.path))?;
        if policy == DirectoryPolicy::Overwrite {
            for name in OWN {
                let path = self.path.join(name);
                let removed = if path.is_dir() {
                    fs::remove_dir_all(&path)
                } else {
                    fs::remove_file(&path)
                };
                match removed {
                    Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                        return Err(write_error(&path)(e));
                    }
                    _ => {}
                }
            }
        }
        let checkpoints = self.path.join("checkpoints");
        fs::create_dir_all(&checkpoints).map_err(write_error(&checkpoints))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The trained model's folder.
    pub fn model(&self) -> PathBuf {
        self.path.join("model")
    }

    /// Writes a file of that name at the top of the directory.
    ///
    /// # Errors
    /// The system refused.
    pub fn write(&self, name: &str, content: &str) -> Result<(), TrainError> {
        write_atomically(&self.path.join(name), content.as_bytes())
    }

    /// Fills a folder through a temporary one beside it, and puts it in the place of an older one.
    ///
    /// # Errors
    /// `fill` failed or the system refused; the older folder is then still there.
    pub fn replace_folder(
        &self,
        name: &str,
        fill: impl FnOnce(&Path) -> Result<(), TrainError>,
    ) -> Result<PathBuf, TrainError> {
        let target = self.path.join(name);
        let temporary = temporary_name(&target);
        let _ = fs::remove_dir_all(&temporary);
        fs::create_dir_all(&temporary).map_err(write_error(&temporary))?;
        let filled = fill(&temporary).and_then(|()| {
            sync_files(&temporary).map_err(write_error(&target))?;
            if target.exists() {
                fs::remove_dir_all(&target).map_err(write_error(&target))?;
            }
            fs::rename(&temporary, &target).map_err(write_error(&target))
        });
        if filled.is_err() {
            let _ = fs::remove_dir_all(&temporary);
        }
        filled.map(|()| target)
    }

    /// Names of the checkpoints that are there, oldest first.
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

    /// The name that the pointer `latest` or `best` holds.
    pub fn pointer(&self, name: &str) -> Option<String> {
        let text = fs::read_to_string(self.path.join("checkpoints").join(name)).ok()?;
        Some(text.trim().to_owned()).filter(|name| self.checkpoint(name).is_dir())
    }

    /// Lets a pointer name a checkpoint.
    ///
    /// # Errors
    /// The system refused.
    pub fn point(&self, pointer: &str, checkpoint: &str) -> Result<(), TrainError> {
        write_atomically(
            &self.path.join("checkpoints").join(pointer),
            format!("{checkpoint}\n").as_bytes(),
        )
    }

    /// Removes checkpoints but the newest `keep` and those named.
    ///
    /// # Errors
    /// The system refused.
    pub fn rotate_checkpoints(
        &self,
        keep: usize,
        also: &[Option<String>],
    ) -> Result<(), TrainError> {
        let names = self.checkpoints();
        for name in &names[..names.len().saturating_sub(keep)] {
            if !also.iter().flatten().any(|kept| kept == name) {
                let path = self.checkpoint(name);
                // Renamed first: a checkpoint under its own name is always whole.
                let doomed = temporary_name(&path);
                fs::rename(&path, &doomed).map_err(write_error(&path))?;
                fs::remove_dir_all(&doomed).map_err(write_error(&doomed))?;
            }
        }
        Ok(())
    }

    /// Removes what an interrupted write left behind.
    ///
    /// # Errors
    /// The system refused.
    pub fn sweep(&self) -> Result<(), TrainError> {
        for folder in [self.path.clone(), self.path.join("checkpoints")] {
            for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
                let name = entry.file_name().to_string_lossy().into_owned();
                if name.starts_with('.') && name.ends_with(".tmp") {
                    let path = entry.path();
                    let removed = if path.is_dir() {
                        fs::remove_dir_all(&path)
                    } else {
                        fs::remove_file(&path)
                    };
                    removed.map_err(write_error(&path))?;
                }
            }
        }
        Ok(())
    }

    /// Opens `metrics.jsonl` to append to, keeping only lines of up to `step` updates.
    ///
    /// # Errors
    /// The system refused.
    pub fn metrics(&self, step: u64) -> Result<MetricsFile, TrainError> {
        let path = self.path.join("metrics.jsonl");
        let mut kept = String::new();
        if let Ok(file) = File::open(&path) {
            for line in BufReader::new(file).lines().map_while(Result::ok) {
                // A line cut short by a kill is no JSON, and is dropped with the later ones.
                let parsed: Result<MetricLine, _> = serde_json::from_str(&line);
                if parsed.is_ok_and(|metric| metric.step <= step) {
                    kept.push_str(&line);
                    kept.push('\n');
                }
            }
        }
        write_atomically(&path, kept.as_bytes())?;
        let file = OpenOptions::new()
            .append(true)
            .open(&path)
            .map_err(write_error(&path))?;
        Ok(MetricsFile {
            path,
            writer: BufWriter::new(file),
        })
    }
}

fn sync_files(folder: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_file() {
            File::open(path)?.sync_all()?;
        }
    }
    Ok(())
}

/// `metrics.jsonl`, open.
#[derive(Debug)]
pub struct MetricsFile {
    path: PathBuf,
    writer: BufWriter<File>,
}

impl MetricsFile {
    /// Appends a line.
    ///
    /// # Errors
    /// The system refused.
    pub fn append(&mut self, line: &MetricLine) -> Result<(), TrainError> {
        let mut text = serde_json::to_string(line).map_err(|e| TrainError::Write {
            path: self.path.clone(),
            source: e.into(),
        })?;
        text.push('\n');
        self.writer
            .write_all(text.as_bytes())
            .and_then(|()| self.writer.flush())
            .map_err(write_error(&self.path))
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

    #[test]
    fn metrics_behind_the_checkpoint_and_broken_lines_are_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let directory = RunDirectory {
            path: folder.path().into(),
        };
        let line = |step| MetricLine {
            step,
            epoch: 0.5,
            tokens: 1,
            split: "train".into(),
            name: "loss".into(),
            value: Some(1.0),
            lr: 0.1,
            seconds: 1.0,
        };
        let mut metrics = directory.metrics(0).unwrap();
        for step in 1..=4 {
            metrics.append(&line(step)).unwrap();
        }
        let path = folder.path().join("metrics.jsonl");
        let cut = fs::read_to_string(&path).unwrap() + "{\"step\":5,\"ep";
        fs::write(&path, cut).unwrap();
        directory.metrics(3).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 3);
    }
}
