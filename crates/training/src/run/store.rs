//! The run directory as the training loop's store: `metrics.jsonl` and `checkpoints/`.

use std::path::{Path, PathBuf};

use bertkit_model::Naming;
use burn::module::Module;

use crate::engine::store::{MetricLine, Snapshot, Store};
use crate::error::TrainError;
use crate::run::checkpoint::{self, RunIdentity};
use crate::run::directory::RunDirectory;
use crate::run::metrics::MetricsFile;

/// Metrics and checkpoints of one run.
#[derive(Debug)]
pub(crate) struct RunStore<'a> {
    directory: &'a RunDirectory,
    /// The names of the parameters in checkpoints.
    naming: Naming,
    /// The command that resumes the run.
    command: &'static str,
    /// Saved in every checkpoint.
    identity: &'a RunIdentity,
    metrics: Option<MetricsFile>,
}

impl<'a> RunStore<'a> {
    /// The store of a run in `directory`, which can be resumed.
    pub fn new(
        directory: &'a RunDirectory,
        naming: Naming,
        command: &'static str,
        identity: &'a RunIdentity,
    ) -> Self {
        Self {
            directory,
            naming,
            command,
            identity,
            metrics: None,
        }
    }
}

impl<M: Module> Store<M> for RunStore<'_> {
    fn open_metrics(&mut self, step: u64) -> Result<(), TrainError> {
        self.metrics = Some(MetricsFile::open(self.directory, step)?);
        Ok(())
    }

    fn append(&mut self, line: &MetricLine) -> Result<(), TrainError> {
        match &mut self.metrics {
            Some(metrics) => metrics.append(line),
            None => Ok(()),
        }
    }

    fn save(&mut self, snapshot: &Snapshot<'_, M>, keep: usize) -> Result<PathBuf, TrainError> {
        let name = checkpoint::save(self.directory, snapshot, self.naming, self.identity)?;
        let best = snapshot
            .progress
            .best
            .map(|(step, _)| checkpoint::name(step));
        if best.as_ref() == Some(&name) {
            self.directory.point("best", &name)?;
        }
        self.directory.rotate_checkpoints(keep, &[best])?;
        Ok(self.directory.checkpoint(&name))
    }

    fn load(&self, step: u64, model: M) -> Result<M, TrainError> {
        checkpoint::load_model(self.directory, &checkpoint::name(step), model, self.naming)
    }

    fn folder(&self) -> &Path {
        self.directory.path()
    }

    fn how_to_resume(&self) -> String {
        format!(
            "continue with `bertkit {} [option.resume] [output] {}`",
            self.command,
            self.directory.path().display()
        )
    }
}
