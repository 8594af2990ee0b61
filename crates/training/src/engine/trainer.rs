//! The training loop.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Instant;

use bertkit_model::weights::visit;
use burn::module::Module;

use crate::engine::data_parallel::{DataParallel, DevicePlacement};
use crate::engine::observer::{EvaluationReport, Event, Observer, ProbeReport, StepReport};
use crate::engine::optimizer::AdamW;
use crate::engine::profile::Stopwatch;
use crate::engine::schedule::Schedule;
use crate::engine::step::Update;
use crate::engine::task::{LossTerm, Split, Task};
use crate::error::TrainError;
use crate::run::checkpoint::{self, Progress};
use crate::run::directory::{MetricLine, MetricsFile, RunDirectory};

/// Batches that are made ahead of the step, at least.
const AHEAD: usize = 4;

/// When a run stops, looks and saves.
#[derive(Debug, Clone)]
pub(crate) struct LoopConfig {
    /// The command that continues an interrupted run.
    pub command: &'static str,
    /// Decides dropout.
    pub seed: u64,
    /// Rows that go through the model together, at most; all of a batch if not given.
    pub micro_batch: Option<usize>,
    /// Passes over the data, where they end the run.
    pub epochs: Option<u64>,
    /// Whether every epoch ends with an evaluation and a checkpoint.
    pub after_epoch: bool,
    /// Evaluates every so many updates.
    pub evaluate_steps: Option<u64>,
    /// Stops after this many evaluations without a better one; 0 never stops early.
    pub early_stopping: u32,
    /// Writes a checkpoint every so many updates.
    pub checkpoint_steps: u64,
    /// How many checkpoints are kept, the best one not counted.
    pub keep_checkpoints: usize,
}

/// Everything of a run but the weights, and how far it has come.
pub(crate) struct Trainer<'a, T: Task> {
    pub task: &'a T,
    pub place: DevicePlacement,
    pub loop_config: LoopConfig,
    pub optimizer: AdamW,
    pub schedule: Schedule,
    pub progress: Progress,
    /// Looks where the time goes, if that is asked.
    pub watch: Option<Stopwatch>,
}

/// Who hears of a run while it goes on.
struct Listeners<'a> {
    directory: &'a RunDirectory,
    metrics: MetricsFile,
    observer: &'a mut dyn Observer,
    interrupt: &'a AtomicBool,
    /// When this process began, and what had elapsed before.
    clock: (Instant, f64),
    last: Option<EvaluationReport>,
    best: Option<EvaluationReport>,
}

/// Why a pass stopped.
enum Pause {
    /// It is complete, or another stage begins.
    NextEpoch,
    /// The run has done all its updates, or its time is up.
    Done,
    /// Evaluations have not become better for long enough.
    Stalled,
}

/// A weight that is infinite or no number, if there is one.
fn find_non_finite<M: Module>(model: &M) -> Option<f64> {
    let mut lost = None;
    visit(model, |_, _, values| {
        lost = lost.or(values.into_iter().find(|value| !value.is_finite()));
    });
    lost.map(f64::from)
}

impl<'a, T: Task> Trainer<'a, T> {
    /// A run of `task` in that place, with `progress` behind it.
    pub fn new(
        task: &'a T,
        place: DevicePlacement,
        loop_config: LoopConfig,
        schedule: Schedule,
        optimizer: AdamW,
        progress: Progress,
    ) -> Self {
        let watch = place.profile.then(|| Stopwatch::new(place.device.clone()));
        Self {
            task,
            place,
            loop_config,
            optimizer,
            schedule,
            progress,
            watch,
        }
    }

    /// How batches are divided.
    pub fn split(&self) -> Split {
        Split {
            most: self.loop_config.micro_batch,
            more_devices: self.place.more.len(),
        }
    }

    /// Whether nothing is left to do.
    fn is_done(&self) -> bool {
        let p = &self.progress;
        self.schedule.is_over(p.step, p.elapsed)
            || self
                .loop_config
                .epochs
                .is_some_and(|epochs| p.epoch >= epochs)
    }

    /// The stage that applies now.
    fn stage(&self) -> usize {
        let p = &self.progress;
        self.task
            .stage(p.step, self.schedule.share(p.step, p.elapsed))
    }

    /// Trains to the end, from wherever `progress` stands, and gives back the weights that validated
    /// best (the last ones where nothing is chosen) and that evaluation.
    pub fn run(
        &mut self,
        model: T::Model,
        directory: &RunDirectory,
        observer: &mut dyn Observer,
        interrupt: &AtomicBool,
    ) -> Result<(T::Model, Option<EvaluationReport>), TrainError> {
        std::thread::scope(|scope| {
            let mut workers =
                DataParallel::new(scope, self.task, &self.place, &model, &self.optimizer);
            self.run_with(model, &mut workers, directory, observer, interrupt)
        })
    }

    /// Updates by these micro-batches, one group after the other, outside of any run. `each` hears the seconds of every
    /// update.
    pub fn updates(
        &mut self,
        mut model: T::Model,
        groups: impl Iterator<Item = Vec<T::Batch>>,
        mut each: impl FnMut(&Update, f64),
    ) -> Result<T::Model, TrainError> {
        std::thread::scope(|scope| {
            let mut workers =
                DataParallel::new(scope, self.task, &self.place, &model, &self.optimizer);
            for group in groups {
                let started = Instant::now();
                let (next, update) = self.update(model, &Arc::new(group), &mut workers)?;
                model = next;
                each(&update, started.elapsed().as_secs_f64());
            }
            Ok(model)
        })
    }

    fn run_with(
        &mut self,
        mut model: T::Model,
        workers: &mut DataParallel<'_, T::Batch>,
        directory: &RunDirectory,
        observer: &mut dyn Observer,
        interrupt: &AtomicBool,
    ) -> Result<(T::Model, Option<EvaluationReport>), TrainError> {
        let mut listeners = Listeners {
            directory,
            metrics: directory.metrics(self.progress.step)?,
            observer,
            interrupt,
            clock: (Instant::now(), self.progress.elapsed),
            last: None,
            best: None,
        };
        while !self.is_done() {
            let stage = self.stage();
            if stage != self.progress.stage {
                self.progress.stage = stage;
                if self.progress.batch > 0 {
                    self.progress.epoch += 1;
                    self.progress.batch = 0;
                }
            }
            let epoch = self.task.epoch(stage, self.progress.epoch)?;
            let batches = self.task.batches(&epoch);
            if batches == 0 {
                return Err(TrainError::Setting {
                    message: "there is nothing to train on: a pass over the data has no batch"
                        .into(),
                    hint: "look at the data, and at what is left out of them".into(),
                });
            }
            let (task, first, split) = (self.task, self.progress.batch, self.split());
            let ahead = AHEAD.max(task.accumulation(stage));
            let (next, pause) = std::thread::scope(|scope| {
                let (sender, ready) = sync_channel(ahead);
                let epoch = &epoch;
                scope.spawn(move || {
                    for number in first..batches {
                        // Nobody listens any more: the run has stopped, or a new stage begins.
                        let parts = split.micro_batches(task, epoch, number);
                        if sender.send(parts).is_err() {
                            break;
                        }
                    }
                });
                self.run_epoch(model, batches, &ready, workers, &mut listeners)
            })?;
            model = next;
            match pause {
                Pause::NextEpoch => {}
                Pause::Done => break,
                Pause::Stalled => {
                    let n = self.progress.evaluations_without_better;
                    let reason = format!(
                        "{n} evaluations in a row were not better than that of step {}",
                        self.progress.best.map_or(0, |b| b.0)
                    );
                    listeners.observer.event(&Event::StoppedEarly(reason));
                    break;
                }
            }
        }
        // The best weights: those in memory, or those of the checkpoint that holds them.
        match self.progress.best {
            Some((best, _)) if best != self.progress.step => {
                let name = checkpoint::name(best);
                model = checkpoint::load_model(directory, &name, model, self.task.naming())?;
                Ok((model, listeners.best))
            }
            _ => Ok((model, listeners.last.or(listeners.best))),
        }
    }

    /// Trains on what comes ready, until the epoch, its stage or the run ends.
    fn run_epoch(
        &mut self,
        mut model: T::Model,
        batches: usize,
        ready: &Receiver<Vec<T::Batch>>,
        workers: &mut DataParallel<'_, T::Batch>,
        listeners: &mut Listeners<'_>,
    ) -> Result<(T::Model, Pause), TrainError> {
        let accumulation = self.task.accumulation(self.progress.stage);
        loop {
            let started = Instant::now();
            if let Some(watch) = &mut self.watch {
                watch.profile.between += watch.lap();
            }
            let batches_now: Vec<Vec<T::Batch>> = ready.iter().take(accumulation).collect();
            let number = batches_now.len();
            let group: Arc<Vec<T::Batch>> = Arc::new(batches_now.into_iter().flatten().collect());
            if let Some(watch) = &mut self.watch {
                watch.profile.batches += watch.lap();
            }
            let (next, update) = self.update(model, &group, workers)?;
            model = next;
            if let Some(watch) = &mut self.watch {
                watch.update_ends();
            }
            let p = &mut self.progress;
            p.batch += number;
            p.seconds += started.elapsed().as_secs_f64();
            p.elapsed = listeners.clock.1 + listeners.clock.0.elapsed().as_secs_f64();
            let epoch = p.epoch as f64 + p.batch as f64 / batches as f64;
            let epoch_ends = p.batch >= batches;
            if epoch_ends {
                p.epoch += 1;
                p.batch = 0;
            }
            let (step, rate) = (p.step, update.rate);
            let done = self.is_done();
            self.tell_step(&update, epoch, listeners)?;

            let h = &self.loop_config;
            let ends = (epoch_ends && h.after_epoch) || done;
            let evaluates = ends || h.evaluate_steps.is_some_and(|n| step.is_multiple_of(n));
            let due = step.is_multiple_of(h.checkpoint_steps) || (ends && !done);
            let probes = self.task.probes(step, done);
            let asks = || listeners.interrupt.load(Ordering::Relaxed);
            // Neither chosen nor kept: weights that have left the numbers.
            if (evaluates || due || probes || asks())
                && let Some(value) = find_non_finite(&model)
            {
                return Err(self.not_finite("size of a weight", value, &group));
            }
            drop(group);
            if evaluates {
                self.evaluate(&model, epoch, rate, listeners)?;
            }
            if probes {
                self.probe(&model, epoch, rate, listeners)?;
            }
            let is_best = self.progress.best.is_some_and(|(best, _)| best == step) && !done;
            let stalled = self.loop_config.early_stopping > 0
                && self.progress.evaluations_without_better >= self.loop_config.early_stopping;
            let asked = listeners.interrupt.load(Ordering::Relaxed) && !done && !stalled;
            self.progress.elapsed = listeners.clock.1 + listeners.clock.0.elapsed().as_secs_f64();
            if (due && !stalled) || is_best || asked {
                self.save_checkpoint(&model, listeners)?;
            }
            if asked {
                let resume = format!(
                    "continue with `bertkit {} [option.resume] [output] {}`",
                    self.loop_config.command,
                    listeners.directory.path().display()
                );
                return Err(TrainError::Interrupted { step, resume });
            }
            let pause = if stalled {
                Pause::Stalled
            } else if done || self.is_done() {
                Pause::Done
            } else if epoch_ends || self.stage() != self.progress.stage {
                Pause::NextEpoch
            } else {
                continue;
            };
            return Ok((model, pause));
        }
    }

    fn metric(&self, epoch: f64, rate: f64, split: &str, name: &str) -> MetricLine {
        MetricLine {
            step: self.progress.step,
            epoch,
            tokens: self.progress.tokens,
            split: split.into(),
            name: name.into(),
            value: None,
            lr: rate,
            seconds: self.progress.seconds,
        }
    }

    fn tell_step(
        &self,
        update: &Update,
        epoch: f64,
        listeners: &mut Listeners<'_>,
    ) -> Result<(), TrainError> {
        let terms: &[LossTerm] = match self.task.terms() {
            [_] => &[],
            several => several,
        };
        let parts = terms.iter().zip(&update.terms);
        let numbers = [("loss", update.loss), ("gradient_norm", update.norm)]
            .into_iter()
            .chain(parts.map(|(term, &mean)| (term.name, mean)))
            .chain(
                self.progress
                    .loss_scale
                    .iter()
                    .map(|s| ("loss_scale", s.scale)),
            );
        for (name, value) in numbers {
            listeners.metrics.append(&MetricLine {
                value: Some(value).filter(|value| value.is_finite()),
                ..self.metric(epoch, update.rate, "train", name)
            })?;
        }
        let p = &self.progress;
        listeners.observer.event(&Event::Step(StepReport {
            step: p.step,
            steps: self.schedule.expected_steps(p.step, p.elapsed),
            epoch,
            loss: update.loss,
            learning_rate: update.rate,
            gradient_norm: update.norm,
            tokens: p.tokens,
            step_tokens: update.tokens,
            seconds: p.seconds,
        }));
        Ok(())
    }

    /// Evaluates on the validation rows, if there are any, and notes whether this is the best.
    fn evaluate(
        &mut self,
        model: &T::Model,
        epoch: f64,
        rate: f64,
        listeners: &mut Listeners<'_>,
    ) -> Result<(), TrainError> {
        let rows = self.task.validation_rows();
        if rows == 0 {
            return Ok(());
        }
        listeners.observer.event(&Event::Evaluating { rows });
        let validation = self.task.validate(&model.valid(), self.place.context)?;
        let p = &mut self.progress;
        let better = match (validation.score, p.best) {
            (Some(score), Some((_, best))) => score > best,
            (Some(_), None) => true,
            (None, _) => false,
        };
        if better {
            p.best = validation.score.map(|score| (p.step, score));
            p.evaluations_without_better = 0;
        } else {
            p.evaluations_without_better += 1;
        }
        for (name, value) in &validation.metrics {
            listeners.metrics.append(&MetricLine {
                value: *value,
                ..self.metric(epoch, rate, "valid", name)
            })?;
        }
        let report = EvaluationReport {
            step: self.progress.step,
            epoch,
            metrics: validation.metrics,
            is_best: better,
        };
        listeners.observer.event(&Event::Evaluated(report.clone()));
        if better {
            listeners.best = Some(report.clone());
        }
        listeners.last = Some(report);
        Ok(())
    }

    /// Lets the task say what the weights are worth for something else.
    fn probe(
        &self,
        model: &T::Model,
        epoch: f64,
        rate: f64,
        listeners: &mut Listeners<'_>,
    ) -> Result<(), TrainError> {
        listeners.observer.event(&Event::Busy("probing".into()));
        let metrics = self.task.probe(&model.valid(), listeners.directory)?;
        for (name, value) in &metrics {
            listeners.metrics.append(&MetricLine {
                value: *value,
                ..self.metric(epoch, rate, "probe", name)
            })?;
        }
        listeners.observer.event(&Event::Probed(ProbeReport {
            step: self.progress.step,
            metrics,
        }));
        Ok(())
    }

    fn save_checkpoint(
        &self,
        model: &T::Model,
        listeners: &mut Listeners<'_>,
    ) -> Result<(), TrainError> {
        let directory = listeners.directory;
        let name = checkpoint::save(
            directory,
            model,
            self.task.naming(),
            &self.optimizer,
            &self.progress,
        )?;
        let best = self.progress.best.map(|(step, _)| checkpoint::name(step));
        if best.as_ref() == Some(&name) {
            directory.point("best", &name)?;
        }
        directory.rotate_checkpoints(self.loop_config.keep_checkpoints, &[best])?;
        let path: PathBuf = directory.checkpoint(&name);
        listeners.observer.event(&Event::Checkpoint(path));
        Ok(())
    }
}
