//! A run with its model, independent of the kind of model.

use std::sync::atomic::AtomicBool;

use bertkit_model::Precision;

use super::model::PretrainModel;
use super::task::PretrainTask;
use crate::config::OptimizerConfig;
use crate::engine::data_parallel::DevicePlacement;
use crate::engine::observer::{Estimate, Observer};
use crate::engine::optimizer::AdamW;
use crate::engine::schedule::{Length, Schedule};
use crate::engine::store::Progress;
use crate::engine::trainer::{LoopConfig, Trainer};
use crate::engine::trial;
use crate::error::TrainError;
use crate::run::setup::{RunOutcome, RunSetup};

/// A task with its model.
pub(super) trait Run {
    /// The rows of the largest batch.
    fn most_rows(&self) -> Result<usize, TrainError>;

    /// Two updates on the micro-batches that need the most memory.
    fn try_largest(&self, settings: &RunSettings) -> Result<(), TrainError>;

    /// Expected time and memory.
    fn estimate(&self, settings: &RunSettings) -> Result<Estimate, TrainError>;

    /// Trains to the end.
    fn train(
        self: Box<Self>,
        setup: RunSetup,
        settings: &RunSettings,
        observer: &mut dyn Observer,
        interrupt: &AtomicBool,
    ) -> Result<RunOutcome, TrainError>;
}

/// The settings of the training loop, independent of the model.
pub(super) struct RunSettings {
    pub loop_config: LoopConfig,
    pub placement: DevicePlacement,
    pub schedule: Schedule,
    pub length: Length,
    pub parameters: usize,
    pub precision: Precision,
    pub optimizer: OptimizerConfig,
    pub tokens_per_update: f64,
}

/// A task with its model, optimizer and progress.
pub(super) struct TrainableRun<M: PretrainModel> {
    pub task: PretrainTask<M>,
    pub model: M,
    pub optimizer: AdamW,
    pub progress: Progress,
}

fn trainer<'a, M: PretrainModel>(
    task: &'a PretrainTask<M>,
    settings: &RunSettings,
    optimizer: AdamW,
    mut progress: Progress,
) -> Trainer<'a, PretrainTask<M>> {
    if settings.precision == Precision::F16 {
        progress.loss_scale.get_or_insert_default();
    }
    Trainer::new(
        task,
        settings.placement.clone(),
        settings.loop_config.clone(),
        settings.schedule.clone(),
        optimizer,
        progress,
    )
}

impl<M: PretrainModel> Run for TrainableRun<M> {
    fn most_rows(&self) -> Result<usize, TrainError> {
        trial::most_rows(&self.task)
    }

    fn try_largest(&self, settings: &RunSettings) -> Result<(), TrainError> {
        let fresh = AdamW::new(&settings.optimizer);
        let trainer = trainer(&self.task, settings, fresh, self.progress.clone());
        trial::try_largest(trainer, self.model.clone())
    }

    fn estimate(&self, settings: &RunSettings) -> Result<Estimate, TrainError> {
        let fresh = AdamW::new(&settings.optimizer);
        let trainer = trainer(&self.task, settings, fresh, self.progress.clone());
        let seconds = |rate: f64| match settings.length {
            Length::Steps(steps) => steps as f64 * settings.tokens_per_update / rate,
            Length::Seconds(seconds) => seconds,
        };
        trial::estimate(trainer, self.model.clone(), settings.parameters, seconds)
    }

    fn train(
        self: Box<Self>,
        setup: RunSetup,
        settings: &RunSettings,
        observer: &mut dyn Observer,
        interrupt: &AtomicBool,
    ) -> Result<RunOutcome, TrainError> {
        let Self {
            mut task,
            model,
            optimizer,
            progress,
        } = *self;
        setup.run(
            &mut task,
            model,
            |task| trainer(task, settings, optimizer, progress),
            observer,
            interrupt,
        )
    }
}
