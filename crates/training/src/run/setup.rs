//! A run from start to end: create the directory, train, export the model, remove the checkpoints.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use bertkit_model::Context;
use burn::module::Module;
use serde_json::Value;

use crate::config::MicroBatch;
use crate::engine::observer::{EvaluationReport, Event, Observer, Summary};
use crate::engine::profile::Profile;
use crate::engine::task::Task;
use crate::engine::trainer::Trainer;
use crate::error::TrainError;
use crate::run::checkpoint::{self, RunIdentity};
use crate::run::directory::{DirectoryPolicy, RunDirectory};
use crate::run::environment;
use crate::run::store::RunStore;

/// A task whose trained model can be exported.
pub(crate) trait Export: Task {
    /// Makes the final choices on the validation rows (such as a threshold) and writes the model with everything that is
    /// needed to use it. Returns its folder.
    ///
    /// # Errors
    /// A file cannot be written.
    fn export(
        &mut self,
        model: Self::Model,
        directory: &RunDirectory,
        context: Context<'_>,
    ) -> Result<PathBuf, TrainError>;
}

/// A run directory before it is created, and what is written into it before the first step.
#[derive(Debug)]
pub(crate) struct RunSetup {
    /// The command that resumes the run.
    pub command: &'static str,
    pub policy: DirectoryPolicy,
    pub directory: RunDirectory,
    /// What must stay the same when the run is resumed.
    pub identity: RunIdentity,
    /// `config.toml`.
    pub config: String,
    /// `environment.json`.
    pub environment: Value,
    pub summary: Summary,
}

/// The result of a run.
pub(crate) struct RunOutcome {
    pub model: PathBuf,
    pub steps: u64,
    pub seconds: f64,
    pub best: Option<EvaluationReport>,
    pub profile: Option<Profile>,
}

impl RunSetup {
    /// Trains to the end and exports the model. `trainer` creates the trainer from the task, which the export then needs
    /// mutably.
    ///
    /// # Errors
    /// The directory cannot be written, training failed or was interrupted.
    pub fn run<T: Export>(
        self,
        task: &mut T,
        model: T::Model,
        trainer: impl FnOnce(&T) -> Trainer<'_, T>,
        observer: &mut dyn Observer,
        interrupt: &AtomicBool,
    ) -> Result<RunOutcome, TrainError> {
        if self.policy == DirectoryPolicy::DryRun {
            return Err(TrainError::Setting {
                message: "a dry run does not train".into(),
                hint: "leave [option.dry-run] out".into(),
            });
        }
        let existed = self.directory.path().exists();
        let _lock = self.directory.lock()?;
        let mut trainer = trainer(task);
        self.check_again(trainer.progress.step)?;
        if let Err(error) = self.begin() {
            if self.policy != DirectoryPolicy::Resume {
                self.directory.abandon(existed);
            }
            return Err(error);
        }
        let directory = &self.directory;
        let context = trainer.placement.context;
        observer.event(&Event::Started {
            summary: self.summary.clone(),
            from_step: trainer.progress.step,
        });
        let mut store = RunStore::new(directory, task.naming(), self.command, &self.identity);
        let (model, best) = trainer.run(model, &mut store, observer, interrupt)?;
        let (steps, seconds) = (trainer.progress.step, trainer.progress.seconds);
        let profile = trainer.watch.as_ref().map(|watch| watch.profile);

        let folder = task.export(model.valid(), directory, context)?;
        environment::record_model(directory)?;
        directory.remove_checkpoints()?;
        observer.event(&Event::Finished {
            model: folder.clone(),
            seconds,
        });
        Ok(RunOutcome {
            model: folder,
            steps,
            seconds,
            best,
            profile,
        })
    }

    /// Checks the directory again, now that no other process can write to it: another run may have started and ended there
    /// since the first check.
    fn check_again(&self, step: u64) -> Result<(), TrainError> {
        self.directory.check_content(self.policy)?;
        if self.policy == DirectoryPolicy::Resume {
            let newest = checkpoint::newest(&self.directory)?;
            if newest.map_or(0, |(_, state)| state.progress.step) != step
                || self.directory.model().is_dir()
            {
                return Err(TrainError::ResumeMismatch {
                    path: self.directory.path().into(),
                    reason: "another process has continued the run in the meantime".into(),
                });
            }
        }
        Ok(())
    }

    /// Creates the directory and writes what is known before the first step.
    fn begin(&self) -> Result<(), TrainError> {
        self.directory.create(self.policy)?;
        self.directory.sweep()?;
        self.directory.write("config.toml", &self.config)?;
        let environment = format!("{:#}\n", self.environment);
        self.directory.write("environment.json", &environment)
    }
}

/// Checks that the micro-batch is known.
///
/// # Errors
/// It is `auto`, and no trials have been made.
pub(crate) fn settled(micro_batch: Option<MicroBatch>) -> Result<(), TrainError> {
    if micro_batch == Some(MicroBatch::Auto) {
        return Err(TrainError::Setting {
            message: "the micro-batch is to be found first, by trials".into(),
            hint: "give a number of rows with [training.micro_batch]".into(),
        });
    }
    Ok(())
}
