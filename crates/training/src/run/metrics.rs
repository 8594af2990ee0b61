//! `metrics.jsonl`: one line per metric value.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::PathBuf;

use crate::engine::store::MetricLine;
use crate::error::TrainError;
use crate::run::directory::RunDirectory;
use crate::run::files::{write_atomically, write_error};

/// `metrics.jsonl`, open for appending.
#[derive(Debug)]
pub(crate) struct MetricsFile {
    path: PathBuf,
    writer: BufWriter<File>,
}

impl MetricsFile {
    /// Opens the file of a run, keeping only the lines of up to `step` updates.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn open(directory: &RunDirectory, step: u64) -> Result<Self, TrainError> {
        let path = directory.path().join("metrics.jsonl");
        let mut kept = String::new();
        if let Ok(file) = File::open(&path) {
            for line in BufReader::new(file).lines().map_while(Result::ok) {
                // A line that was cut short by a kill does not parse, and is dropped like the later ones.
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
        Ok(Self {
            path,
            writer: BufWriter::new(file),
        })
    }

    /// Appends a line.
    ///
    /// # Errors
    /// The file cannot be written.
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
    use crate::run::directory::DirectoryPolicy;

    #[test]
    fn metrics_behind_the_checkpoint_and_broken_lines_are_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let directory = RunDirectory::check(folder.path(), DirectoryPolicy::New).unwrap();
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
        let mut metrics = MetricsFile::open(&directory, 0).unwrap();
        for step in 1..=4 {
            metrics.append(&line(step)).unwrap();
        }
        let path = folder.path().join("metrics.jsonl");
        let cut = std::fs::read_to_string(&path).unwrap() + "{\"step\":5,\"ep";
        std::fs::write(&path, cut).unwrap();
        MetricsFile::open(&directory, 3).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 3);
    }
}
