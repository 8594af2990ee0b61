//! A run that is ready to train: estimate, trial and training.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use super::corpus::TemporaryFolder;
use super::run::{Run, RunSettings};
use super::task::GENERATOR_DIR;
use crate::config::{MicroBatch, PretrainConfig};
use crate::engine::observer::{Estimate, EvaluationReport, Observer, Summary};
use crate::engine::profile::Profile;
use crate::engine::schedule::{Length, Schedule};
use crate::engine::trainer::LoopConfig;
use crate::error::TrainError;
use crate::run::checkpoint::RunIdentity;
use crate::run::devices::Devices;
use crate::run::directory::{DirectoryPolicy, RunDirectory};
use crate::run::environment;
use crate::run::setup::{self, RunSetup};

/// The result of a pretraining run.
#[derive(Debug, Clone, PartialEq)]
pub struct PretrainOutcome {
    /// The folder of the encoder, with the heads of its objectives.
    pub model: PathBuf,
    /// The folder of the generator, if there is one.
    pub generator: Option<PathBuf>,
    /// Optimizer updates.
    pub steps: u64,
    /// Seconds of training.
    pub seconds: f64,
    /// The last evaluation, if text was held out.
    pub evaluation: Option<EvaluationReport>,
    /// The time of each part of an update, if it was measured.
    pub profile: Option<Profile>,
}

/// A pretraining run whose corpus, tokenizer and model are ready.
pub struct PreparedPretraining {
    pub(super) config: PretrainConfig,
    pub(super) policy: DirectoryPolicy,
    pub(super) directory: RunDirectory,
    pub(super) devices: Devices,
    pub(super) summary: Summary,
    /// The files of the corpus, and their SHA-256.
    pub(super) files: Vec<(PathBuf, String)>,
    pub(super) identity: RunIdentity,
    pub(super) command: Vec<String>,
    pub(super) profile: bool,
    pub(super) run: Box<dyn Run>,
    pub(super) _temporary: Option<TemporaryFolder>,
}

impl std::fmt::Debug for PreparedPretraining {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PreparedPretraining")
            .field("config", &self.config)
            .field("summary", &self.summary)
            .finish_non_exhaustive()
    }
}

impl PreparedPretraining {
    /// What is known before the first step. With a time budget, `steps` is 0.
    pub fn summary(&self) -> &Summary {
        &self.summary
    }

    /// The resolved configuration.
    pub fn config(&self) -> &PretrainConfig {
        &self.config
    }

    /// The command line, for `environment.json`.
    #[must_use]
    pub fn with_command(self, command: Vec<String>) -> Self {
        Self { command, ..self }
    }

    /// The rows of the largest batch, if `training.micro_batch` is `auto` and still has to be found.
    ///
    /// # Errors
    /// The settings do not fit the data.
    pub fn rows_to_settle(&self) -> Result<Option<usize>, TrainError> {
        match self.config.training.micro_batch {
            Some(MicroBatch::Auto) => self.run.most_rows().map(Some),
            _ => Ok(None),
        }
    }

    /// Sets the micro-batch to this number of rows.
    #[must_use]
    pub fn with_micro_batch(mut self, rows: usize) -> Self {
        self.config.training.micro_batch = Some(MicroBatch::Rows(rows));
        self
    }

    /// Two updates on the micro-batches that need the most memory, on a copy of the model. To be run in a separate
    /// process, because a device may be unusable after running out of memory.
    ///
    /// # Errors
    /// The loss is not finite. Burn panics when a device runs out of memory.
    pub fn try_largest(&self) -> Result<(), TrainError> {
        self.run.try_largest(&self.settings()?)
    }

    /// Sets whether the time of each part of an update is measured: see [`Profile`].
    #[must_use]
    pub fn with_profile(self, profile: bool) -> Self {
        Self { profile, ..self }
    }

    fn settings(&self) -> Result<RunSettings, TrainError> {
        let (c, t) = (&self.config, &self.config.training);
        let length = match t.budget {
            Some(budget) => Length::Seconds(budget.seconds),
            None => Length::Steps(self.summary.steps),
        };
        let tokens_per_sequence =
            self.summary.tokens_per_epoch as f64 / self.summary.train_rows.max(1) as f64;
        Ok(RunSettings {
            loop_config: LoopConfig {
                seed: c.seed,
                micro_batch: t.micro_batch.and_then(MicroBatch::rows),
                epochs: None,
                after_epoch: false,
                evaluate_steps: t.evaluate_steps,
                early_stopping: 0,
                checkpoint_steps: t.checkpoint_steps,
                keep_checkpoints: t.keep_checkpoints,
            },
            placement: self
                .devices
                .placement(c.precision, t.recompute, self.profile)?,
            schedule: Schedule::new(&c.schedule, c.optimizer.learning_rate, length),
            length,
            parameters: self.summary.parameters,
            precision: c.precision,
            optimizer: c.optimizer.clone(),
            tokens_per_update: tokens_per_sequence
                * (t.batch_size * t.gradient_accumulation) as f64,
        })
    }

    /// Expected time and memory, from two timed steps on a copy of the model, after a warm-up step.
    ///
    /// # Errors
    /// The loss is not finite.
    pub fn estimate(&self) -> Result<Estimate, TrainError> {
        setup::settled(self.config.training.micro_batch)?;
        self.run.estimate(&self.settings()?)
    }

    /// Trains to the end and writes the model.
    ///
    /// Setting `interrupt` stops the run after the current step, with a checkpoint.
    ///
    /// # Errors
    /// A file cannot be written, the loss is not finite any more, or the run was interrupted. Files
    /// that are already complete stay.
    pub fn train(
        self,
        observer: &mut dyn Observer,
        interrupt: &AtomicBool,
    ) -> Result<PretrainOutcome, TrainError> {
        setup::settled(self.config.training.micro_batch)?;
        let settings = self.settings()?;
        let files = self.files.iter();
        let files = files.map(|(path, hash)| (path.as_path(), hash.as_str()));
        let setup = RunSetup {
            command: "pretrain",
            identity: self.identity,
            policy: self.policy,
            environment: environment::environment(
                &self.devices,
                self.config.precision,
                self.config.seed,
                files,
                &self.command,
            ),
            config: self.config.to_toml(),
            directory: self.directory,
            summary: self.summary,
        };
        let finished = self.run.train(setup, &settings, observer, interrupt)?;
        let generator = finished.model.with_file_name(GENERATOR_DIR);
        Ok(PretrainOutcome {
            model: finished.model,
            generator: Some(generator).filter(|path| path.is_dir()),
            steps: finished.steps,
            seconds: finished.seconds,
            evaluation: finished.best,
            profile: finished.profile,
        })
    }
}
