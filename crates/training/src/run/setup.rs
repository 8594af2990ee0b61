//! What every run does once its task is ready: take up a checkpoint, make the directory, train,
//! write the model.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use burn::module::Module;
use serde_json::Value;

use crate::config::MicroBatch;
use crate::engine::observer::{EvaluationReport, Event, Observer, Summary};
use crate::engine::profile::Profile;
use crate::engine::task::Task;
use crate::engine::trainer::Trainer;
use crate::error::TrainError;
use crate::run::directory::{DirectoryPolicy, RunDirectory};

/// A run directory that is yet to be made, and what is written into it before the first step.
#[derive(Debug)]
pub(crate) struct RunSetup {
    pub policy: DirectoryPolicy,
    pub directory: RunDirectory,
    /// `config.toml`.
    pub config: String,
    /// `environment.json`.
    pub environment: Value,
    pub summary: Summary,
}

/// What a run ended with.
pub(crate) struct RunOutcome {
    pub model: PathBuf,
    pub steps: u64,
    pub seconds: f64,
    pub best: Option<EvaluationReport>,
    pub profile: Option<Profile>,
}

impl RunSetup {
    /// Trains to the end and writes the model; the trainer is made of the task, which settles its
    /// last choices afterwards.
    pub fn run<T: Task>(
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
        if let Err(error) = self.begin() {
            if self.policy != DirectoryPolicy::Resume {
                self.directory.abandon(existed);
            }
            return Err(error);
        }
        let directory = &self.directory;
        let mut trainer = trainer(task);
        let context = trainer.place.context;
        observer.event(&Event::Started {
            summary: self.summary.clone(),
            from_step: trainer.progress.step,
        });
        let (model, best) = trainer.run(model, directory, observer, interrupt)?;
        let (steps, seconds) = (trainer.progress.step, trainer.progress.seconds);
        let profile = trainer.watch.as_ref().map(|watch| watch.profile);

        let folder = task.export(model.valid(), directory, context)?;
        directory.rotate_checkpoints(0, &[])?;
        for pointer in ["latest", "best"] {
            let _ = std::fs::remove_file(directory.path().join("checkpoints").join(pointer));
        }
        let _ = std::fs::remove_dir(directory.path().join("checkpoints"));
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

    /// Makes the directory, and writes into it what is known before the first step.
    fn begin(&self) -> Result<(), TrainError> {
        self.directory.create(self.policy)?;
        self.directory.sweep()?;
        self.directory.write("config.toml", &self.config)?;
        let environment = format!("{:#}\n", self.environment);
        self.directory.write("environment.json", &environment)
    }
}

/// Refuses a micro-batch that is yet to be found.
pub(crate) fn settled(micro_batch: Option<MicroBatch>) -> Result<(), TrainError> {
    if micro_batch == Some(MicroBatch::Auto) {
        return Err(TrainError::Setting {
            message: "the micro-batch is to be found first, by trials".into(),
            hint: "give a number of rows with [training.micro_batch]".into(),
        });
    }
    Ok(())
}
