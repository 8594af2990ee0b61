//! A fine-tuning run, independent of its task: prepared, then estimated, tried or trained.
//!
//! [`prepare`](crate::prepare()) makes a [`RunContext`](crate::run::context::RunContext); the task reads its data and
//! finishes the context into a [`FinetuneRun`]; [`FinetuneRun::train`] trains it.

use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use bertkit_model::Precision;

use crate::config::{FinetuneConfig, MicroBatch, OptimizerConfig, TrainingConfig};
use crate::engine::data_parallel::DevicePlacement;
use crate::engine::observer::{Estimate, EvaluationReport, Observer, Summary};
use crate::engine::optimizer::AdamW;
use crate::engine::profile::Profile;
use crate::engine::schedule::{Length, Schedule};
use crate::engine::store::Progress;
use crate::engine::task::Task;
use crate::engine::trainer::{LoopConfig, Trainer};
use crate::engine::trial;
use crate::error::TrainError;
use crate::run::checkpoint::RunIdentity;
use crate::run::devices::Devices;
use crate::run::directory::{DirectoryPolicy, RunDirectory};
use crate::run::environment;
use crate::run::resume;
use crate::run::setup::{self, Export, RunSetup};

/// A task that fine-tunes a pretrained encoder.
pub(crate) trait FinetuneTask: Export + fmt::Debug + Send + 'static {
    /// The decision threshold, and how it was chosen.
    fn threshold(&self) -> Option<(f64, String)> {
        None
    }

    /// The temperature that was fitted.
    fn temperature(&self) -> Option<f64> {
        None
    }
}

/// A fine-tuning run with its data, task, tokenizer and model prepared.
#[derive(Debug)]
pub struct FinetuneRun {
    config: FinetuneConfig,
    policy: DirectoryPolicy,
    directory: RunDirectory,
    devices: Devices,
    trainable: Box<dyn Trainable>,
    optimizer: AdamW,
    progress: Progress,
    identity: RunIdentity,
    summary: Summary,
    command: Vec<String>,
    profile: bool,
}

/// A task and the model that learns it.
#[derive(Debug)]
pub(crate) struct TrainableRun<T: Task> {
    pub task: T,
    pub model: T::Model,
}

/// A restored run, and optimizer and progress if there was a checkpoint.
type Restored = (Box<dyn Trainable>, Option<(AdamW, Progress)>);

/// [`TrainableRun`] of any task.
pub(crate) trait Trainable: fmt::Debug + Send {
    /// Rows of the largest batch.
    fn largest_batch(&self) -> Result<usize, TrainError>;

    /// Two updates on the micro-batches that need the most memory, on a copy of the model.
    fn try_largest(
        &self,
        config: &FinetuneConfig,
        placement: DevicePlacement,
        progress: Progress,
        steps: u64,
    ) -> Result<(), TrainError>;

    /// The run at its newest checkpoint, with optimizer and progress; unchanged if there is none.
    fn restore(
        self: Box<Self>,
        directory: &RunDirectory,
        optimizer: &OptimizerConfig,
        identity: &RunIdentity,
    ) -> Result<Restored, TrainError>;

    /// Time and memory, from timed steps on a copy of the model.
    fn estimate(
        &self,
        config: &FinetuneConfig,
        placement: DevicePlacement,
        progress: &Progress,
        summary: &Summary,
    ) -> Result<Estimate, TrainError>;

    /// Trains to the end and exports the model.
    fn train(
        self: Box<Self>,
        setup: RunSetup,
        config: &FinetuneConfig,
        placement: DevicePlacement,
        state: (AdamW, Progress),
        observer: &mut dyn Observer,
        interrupt: &AtomicBool,
    ) -> Result<FinetuneOutcome, TrainError>;
}

/// The result of a fine-tuning run.
#[derive(Debug, Clone, PartialEq)]
pub struct FinetuneOutcome {
    /// The trained model's folder.
    pub model: PathBuf,
    /// Optimizer updates done.
    pub steps: u64,
    /// Seconds of training.
    pub seconds: f64,
    /// The evaluation of the weights that were kept.
    pub best: Option<EvaluationReport>,
    /// The decision threshold of a binary or multi-label task, and how it was chosen.
    pub threshold: Option<(f64, String)>,
    /// The temperature that probabilities are scaled by, if one was fitted.
    pub temperature: Option<f64>,
    /// Where the time went, if it was measured.
    pub profile: Option<Profile>,
}

impl FinetuneRun {
    pub(crate) fn new(
        config: FinetuneConfig,
        policy: DirectoryPolicy,
        directory: RunDirectory,
        devices: Devices,
        trainable: Box<dyn Trainable>,
        summary: Summary,
        data: Vec<String>,
    ) -> Self {
        Self {
            optimizer: AdamW::new(&config.optimizer),
            progress: Progress::default(),
            identity: RunIdentity::new(data, &resumable_settings(&config)),
            config,
            policy,
            directory,
            devices,
            trainable,
            summary,
            command: Vec::new(),
            profile: false,
        }
    }

    /// The summary printed before the first step.
    pub fn summary(&self) -> &Summary {
        &self.summary
    }

    /// The resolved configuration.
    pub fn config(&self) -> &FinetuneConfig {
        &self.config
    }

    /// The command line, for `environment.json`.
    #[must_use]
    pub fn with_command(self, command: Vec<String>) -> Self {
        Self { command, ..self }
    }

    /// The rows of the largest batch if `training.micro_batch` is `auto` and not yet resolved.
    ///
    /// # Errors
    /// The settings do not fit the data.
    pub fn rows_to_settle(&self) -> Result<Option<usize>, TrainError> {
        if self.config.training.micro_batch != Some(MicroBatch::Auto) {
            return Ok(None);
        }
        self.trainable.largest_batch().map(Some)
    }

    /// Sets the micro-batch to `rows` rows.
    #[must_use]
    pub fn with_micro_batch(mut self, rows: usize) -> Self {
        self.config.training.micro_batch = Some(MicroBatch::Rows(rows));
        self
    }

    /// Two updates on the micro-batches that need the most memory, on a copy of the model. Meant for a separate process:
    /// a device that ran out of memory may be unusable afterwards.
    ///
    /// # Errors
    /// The loss is not finite. Burn panics if a device runs out of memory.
    pub fn try_largest(&self) -> Result<(), TrainError> {
        let placement = self.placement(false)?;
        let progress = self.progress.clone();
        self.trainable
            .try_largest(&self.config, placement, progress, self.summary.steps)
    }

    /// The devices and precision of the run.
    fn placement(&self, profile: bool) -> Result<DevicePlacement, TrainError> {
        let (precision, checkpointing) = (self.config.precision, self.config.training.recompute);
        self.devices.placement(precision, checkpointing, profile)
    }

    /// Measures the time of each part of an update: see [`Profile`].
    #[must_use]
    pub fn with_profile(self, profile: bool) -> Self {
        Self { profile, ..self }
    }

    /// Resumes from the newest checkpoint; without one the run starts over, to the same result.
    pub(crate) fn restore(mut self) -> Result<Self, TrainError> {
        let (directory, optimizer) = (&self.directory, &self.config.optimizer);
        let (trainable, state) = self
            .trainable
            .restore(directory, optimizer, &self.identity)?;
        self.trainable = trainable;
        if let Some((optimizer, progress)) = state {
            (self.optimizer, self.progress) = (optimizer, progress);
        }
        Ok(self)
    }

    /// Expected time and memory, from two timed steps on a copy of the model (after one warm-up step).
    ///
    /// # Errors
    /// The loss is not finite.
    pub fn estimate(&mut self) -> Result<Estimate, TrainError> {
        setup::settled(self.config.training.micro_batch)?;
        let placement = self.placement(false)?;
        self.trainable
            .estimate(&self.config, placement, &self.progress, &self.summary)
    }

    /// Trains to the end and writes the model.
    ///
    /// Setting `interrupt` stops the run after the current step, with a checkpoint.
    ///
    /// # Errors
    /// A file cannot be written, the loss is not finite, or the run was interrupted. Complete files stay.
    pub fn train(
        self,
        observer: &mut dyn Observer,
        interrupt: &AtomicBool,
    ) -> Result<FinetuneOutcome, TrainError> {
        setup::settled(self.config.training.micro_batch)?;
        let placement = self.placement(self.profile)?;
        let files = std::iter::once(&self.config.data.train)
            .chain(std::iter::once(&self.config.data.valid))
            .flatten()
            .map(PathBuf::as_path)
            .zip(self.identity.data.iter().map(String::as_str));
        let setup = RunSetup {
            command: "finetune",
            identity: self.identity.clone(),
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
        let (config, state) = (self.config, (self.optimizer, self.progress));
        self.trainable
            .train(setup, &config, placement, state, observer, interrupt)
    }
}

impl<T: FinetuneTask> Trainable for TrainableRun<T> {
    fn largest_batch(&self) -> Result<usize, TrainError> {
        trial::most_rows(&self.task)
    }

    fn try_largest(
        &self,
        config: &FinetuneConfig,
        placement: DevicePlacement,
        progress: Progress,
        steps: u64,
    ) -> Result<(), TrainError> {
        let optimizer = AdamW::new(&config.optimizer);
        let trainer = trainer(&self.task, config, placement, optimizer, progress, steps);
        trial::try_largest(trainer, self.model.clone())
    }

    fn restore(
        self: Box<Self>,
        directory: &RunDirectory,
        optimizer: &OptimizerConfig,
        identity: &RunIdentity,
    ) -> Result<Restored, TrainError> {
        let (model, state) =
            resume::restore(directory, &self.task, self.model, optimizer, identity)?;
        let task = self.task;
        Ok((Box::new(Self { task, model }), state))
    }

    fn estimate(
        &self,
        config: &FinetuneConfig,
        placement: DevicePlacement,
        progress: &Progress,
        summary: &Summary,
    ) -> Result<Estimate, TrainError> {
        let t = &config.training;
        let updates = self
            .task
            .batches(&self.task.epoch(0, 0)?)
            .div_ceil(t.gradient_accumulation);
        let rows_share = match t.batch_tokens {
            Some(_) => 1.0,
            // A step limit ends the run earlier than its epochs.
            None => summary.steps as f64 / ((updates * t.epochs).max(1) as f64),
        };
        let tokens = summary.tokens_per_epoch as f64 * t.epochs as f64 * rows_share.min(1.0);
        let trainer = trainer(
            &self.task,
            config,
            placement,
            AdamW::new(&config.optimizer),
            progress.clone(),
            summary.steps,
        );
        trial::estimate(trainer, self.model.clone(), summary.parameters, |rate| {
            tokens / rate
        })
    }

    fn train(
        self: Box<Self>,
        setup: RunSetup,
        config: &FinetuneConfig,
        placement: DevicePlacement,
        (optimizer, progress): (AdamW, Progress),
        observer: &mut dyn Observer,
        interrupt: &AtomicBool,
    ) -> Result<FinetuneOutcome, TrainError> {
        let steps = setup.summary.steps;
        let mut task = self.task;
        let finished = setup.run(
            &mut task,
            self.model,
            |task| trainer(task, config, placement, optimizer, progress, steps),
            observer,
            interrupt,
        )?;
        Ok(FinetuneOutcome {
            model: finished.model,
            steps: finished.steps,
            seconds: finished.seconds,
            best: finished.best,
            threshold: task.threshold(),
            temperature: task.temperature(),
            profile: finished.profile,
        })
    }
}

/// The settings that must stay the same when a run is resumed.
pub(crate) fn resumable_settings(config: &FinetuneConfig) -> String {
    let mut config = config.clone();
    config.output = None;
    config.device = String::new();
    config.training.recompute = false;
    config.training.micro_batch = None;
    config.to_toml()
}

/// Optimizer updates of the whole run.
pub(crate) fn total_steps<T: Task>(task: &T, t: &TrainingConfig) -> Result<u64, TrainError> {
    let most = t.max_steps.unwrap_or(u64::MAX);
    let mut steps = 0;
    for epoch in 0..t.epochs as u64 {
        if steps >= most {
            break;
        }
        let batches = task.batches(&task.epoch(0, epoch)?);
        steps += batches.div_ceil(t.gradient_accumulation) as u64;
    }
    Ok(steps.min(most))
}

/// The training loop of a run.
fn trainer<'a, T: Task>(
    task: &'a T,
    config: &FinetuneConfig,
    placement: DevicePlacement,
    optimizer: AdamW,
    mut progress: Progress,
    steps: u64,
) -> Trainer<'a, T> {
    let t = &config.training;
    if config.precision == Precision::F16 {
        progress.loss_scale.get_or_insert_default();
    }
    let loop_config = LoopConfig {
        seed: config.seed,
        micro_batch: t.micro_batch.and_then(MicroBatch::rows),
        epochs: Some(t.epochs as u64),
        after_epoch: true,
        evaluate_steps: t.evaluate_steps,
        early_stopping: t.early_stopping,
        checkpoint_steps: t.checkpoint_steps,
        keep_checkpoints: t.keep_checkpoints,
    };
    let schedule = Schedule::new(
        &config.schedule,
        config.optimizer.learning_rate,
        Length::Steps(steps),
    );
    Trainer::new(task, placement, loop_config, schedule, optimizer, progress)
}
