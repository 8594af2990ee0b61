//! The training loop: epochs, evaluations, checkpoints and early stopping around the optimizer step.

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
use crate::engine::step::{Step, StepInput, Update, not_finite, start_devices};
use crate::engine::store::{MetricLine, Progress, Snapshot, Store};
use crate::engine::task::{LossTerm, Split, Task};
use crate::error::TrainError;

/// Minimum number of batches that are prepared in advance.
const AHEAD: usize = 4;

/// When a run evaluates, saves and stops.
#[derive(Debug, Clone)]
pub(crate) struct LoopConfig {
    /// The seed of dropout.
    pub seed: u64,
    /// Maximum rows of a micro-batch; the whole batch if not given.
    pub micro_batch: Option<usize>,
    /// Maximum number of epochs, if they end the run.
    pub epochs: Option<u64>,
    /// Whether every epoch ends with an evaluation and a checkpoint.
    pub after_epoch: bool,
    /// Evaluates every this many updates.
    pub evaluate_steps: Option<u64>,
    /// Stops after this many evaluations without an improvement; 0 disables early stopping.
    pub early_stopping: u32,
    /// Saves a checkpoint every this many updates.
    pub checkpoint_steps: u64,
    /// The number of checkpoints to keep, in addition to the best.
    pub keep_checkpoints: usize,
}

/// A training run, except for the weights.
pub(crate) struct Trainer<'a, T: Task> {
    pub task: &'a T,
    pub placement: DevicePlacement,
    pub config: LoopConfig,
    pub optimizer: AdamW,
    pub schedule: Schedule,
    pub progress: Progress,
    /// Measures the time of each part of an update, if requested.
    pub watch: Option<Stopwatch>,
}

/// The surroundings of a run in this process.
struct Session<'a, M> {
    store: &'a mut dyn Store<M>,
    observer: &'a mut dyn Observer,
    interrupt: &'a AtomicBool,
    /// When this process started training, and the seconds that had elapsed before.
    clock: (Instant, f64),
    last: Option<EvaluationReport>,
    best: Option<EvaluationReport>,
}

impl<M> Session<'_, M> {
    /// Seconds of the run so far, those of earlier processes included.
    fn elapsed(&self) -> f64 {
        self.clock.1 + self.clock.0.elapsed().as_secs_f64()
    }

    fn interrupted(&self) -> bool {
        self.interrupt.load(Ordering::Relaxed)
    }
}

/// Why training on an epoch ended.
enum Pause {
    /// The epoch is complete, or a new stage begins.
    NextEpoch,
    /// The run has done all its updates, or its time is up.
    Done,
    /// Early stopping.
    Stalled,
}

/// A weight that is infinite or NaN, if there is one.
fn find_non_finite<M: Module>(model: &M) -> Option<f64> {
    let mut found = None;
    visit(model, |_, _, values| {
        found = found.or(values.into_iter().find(|value| !value.is_finite()));
    });
    found.map(f64::from)
}

impl<'a, T: Task> Trainer<'a, T> {
    /// A run of `task` that continues from `progress`.
    pub fn new(
        task: &'a T,
        placement: DevicePlacement,
        config: LoopConfig,
        schedule: Schedule,
        optimizer: AdamW,
        progress: Progress,
    ) -> Self {
        let watch = placement
            .profile
            .then(|| Stopwatch::new(placement.device.clone()));
        Self {
            task,
            placement,
            config,
            optimizer,
            schedule,
            progress,
            watch,
        }
    }

    /// How batches are divided into micro-batches.
    pub fn split(&self) -> Split {
        Split {
            most: self.config.micro_batch,
            more_devices: self.placement.more.len(),
        }
    }

    /// Whether all updates are done.
    fn is_done(&self) -> bool {
        let p = &self.progress;
        self.schedule.is_over(p.step, p.elapsed)
            || self.config.epochs.is_some_and(|epochs| p.epoch >= epochs)
    }

    /// The current stage.
    fn stage(&self) -> usize {
        let p = &self.progress;
        self.task
            .stage(p.step, self.schedule.share(p.step, p.elapsed))
    }

    /// Trains to the end. Returns the weights with the best evaluation and that evaluation; the last ones if the task
    /// selects none.
    ///
    /// # Errors
    /// A number is not finite, the store fails, or the run was interrupted (after a checkpoint).
    pub fn run(
        &mut self,
        model: T::Model,
        store: &mut dyn Store<T::Model>,
        observer: &mut dyn Observer,
        interrupt: &AtomicBool,
    ) -> Result<(T::Model, Option<EvaluationReport>), TrainError> {
        store.open_metrics(self.progress.step)?;
        let mut session = Session {
            store,
            observer,
            interrupt,
            clock: (Instant::now(), self.progress.elapsed),
            last: None,
            best: None,
        };
        std::thread::scope(|scope| {
            let mut devices =
                start_devices(scope, self.task, &self.placement, &model, &self.optimizer);
            self.run_epochs(model, &mut devices, &mut session)
        })
    }

    /// Updates on groups of micro-batches, outside of a run. `each` is called with every update and its seconds.
    ///
    /// # Errors
    /// A number is not finite.
    pub fn updates(
        &mut self,
        mut model: T::Model,
        groups: impl Iterator<Item = Vec<T::Batch>>,
        mut each: impl FnMut(&Update, f64),
    ) -> Result<T::Model, TrainError> {
        std::thread::scope(|scope| {
            let mut devices =
                start_devices(scope, self.task, &self.placement, &model, &self.optimizer);
            for group in groups {
                let started = Instant::now();
                let (next, update) = self.step().run(model, &Arc::new(group), &mut devices)?;
                model = next;
                each(&update, started.elapsed().as_secs_f64());
            }
            Ok(model)
        })
    }

    /// The next update.
    fn step(&mut self) -> Step<'_, T> {
        Step {
            task: self.task,
            context: self.placement.context,
            seed: self.config.seed,
            schedule: &self.schedule,
            optimizer: &mut self.optimizer,
            progress: &mut self.progress,
            watch: self.watch.as_mut(),
        }
    }

    /// Epoch after epoch, until the run ends.
    fn run_epochs(
        &mut self,
        mut model: T::Model,
        devices: &mut DataParallel<'_, StepInput<T::Batch>>,
        session: &mut Session<'_, T::Model>,
    ) -> Result<(T::Model, Option<EvaluationReport>), TrainError> {
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
                        let micro_batches = split.micro_batches(task, epoch, number);
                        // The receiver is gone if the run has stopped or a new stage begins.
                        if sender.send(micro_batches).is_err() {
                            break;
                        }
                    }
                });
                self.run_epoch(model, batches, &ready, devices, session)
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
                    session.observer.event(&Event::StoppedEarly(reason));
                    break;
                }
            }
        }
        // The best weights are in memory, or in a checkpoint.
        match self.progress.best {
            Some((best, _)) if best != self.progress.step => {
                Ok((session.store.load(best, model)?, session.best.take()))
            }
            _ => Ok((model, session.last.take().or(session.best.take()))),
        }
    }

    /// Update after update on the batches that arrive, until the epoch, its stage or the run ends.
    fn run_epoch(
        &mut self,
        mut model: T::Model,
        batches: usize,
        ready: &Receiver<Vec<T::Batch>>,
        devices: &mut DataParallel<'_, StepInput<T::Batch>>,
        session: &mut Session<'_, T::Model>,
    ) -> Result<(T::Model, Pause), TrainError> {
        let accumulation = self.task.accumulation(self.progress.stage);
        loop {
            let started = Instant::now();
            if let Some(watch) = &mut self.watch {
                watch.profile.between += watch.lap();
            }
            let received: Vec<Vec<T::Batch>> = ready.iter().take(accumulation).collect();
            let number = received.len();
            let group: Arc<Vec<T::Batch>> = Arc::new(received.into_iter().flatten().collect());
            if let Some(watch) = &mut self.watch {
                watch.profile.batches += watch.lap();
            }
            let (next, update) = self.step().run(model, &group, devices)?;
            model = next;
            if let Some(watch) = &mut self.watch {
                watch.update_ends();
            }
            let p = &mut self.progress;
            p.batch += number;
            p.seconds += started.elapsed().as_secs_f64();
            p.elapsed = session.elapsed();
            let epoch = p.epoch as f64 + p.batch as f64 / batches as f64;
            let epoch_ends = p.batch >= batches;
            if epoch_ends {
                p.epoch += 1;
                p.batch = 0;
            }
            self.report_step(&update, epoch, session)?;
            let pause = self.after_step(&model, &group, epoch_ends, epoch, update.rate, session)?;
            if let Some(pause) = pause {
                return Ok((model, pause));
            }
        }
    }

    /// Evaluates, probes and saves where this is due after an update. Returns whether the epoch, its stage or the run
    /// ends here.
    fn after_step(
        &mut self,
        model: &T::Model,
        group: &[T::Batch],
        epoch_ends: bool,
        epoch: f64,
        rate: f64,
        session: &mut Session<'_, T::Model>,
    ) -> Result<Option<Pause>, TrainError> {
        let (config, step, done) = (&self.config, self.progress.step, self.is_done());
        let early_stopping = config.early_stopping;
        let ends = (epoch_ends && config.after_epoch) || done;
        let evaluates = ends
            || config
                .evaluate_steps
                .is_some_and(|n| step.is_multiple_of(n));
        let due = step.is_multiple_of(config.checkpoint_steps) || (ends && !done);
        let probes = self.task.probes(step, done);
        // Never evaluate or save non-finite weights.
        if (evaluates || due || probes || session.interrupted())
            && let Some(value) = find_non_finite(model)
        {
            let what = "size of a weight";
            return Err(not_finite(self.task, step, what, value, group));
        }
        if evaluates {
            self.evaluate(model, epoch, rate, session)?;
        }
        if probes {
            self.probe(model, epoch, rate, session)?;
        }
        let is_best = self.progress.best.is_some_and(|(best, _)| best == step) && !done;
        let stalled =
            early_stopping > 0 && self.progress.evaluations_without_better >= early_stopping;
        let interrupted = session.interrupted() && !done && !stalled;
        self.progress.elapsed = session.elapsed();
        if (due && !stalled) || is_best || interrupted {
            self.save_checkpoint(model, session)?;
        }
        if interrupted {
            return Err(TrainError::Interrupted {
                step,
                resume: session.store.how_to_resume(),
            });
        }
        Ok(if stalled {
            Some(Pause::Stalled)
        } else if done || self.is_done() {
            Some(Pause::Done)
        } else if epoch_ends || self.stage() != self.progress.stage {
            Some(Pause::NextEpoch)
        } else {
            None
        })
    }

    fn metric(
        &self,
        epoch: f64,
        rate: f64,
        split: &str,
        name: &str,
        value: Option<f64>,
    ) -> MetricLine {
        MetricLine {
            step: self.progress.step,
            epoch,
            tokens: self.progress.tokens,
            split: split.into(),
            name: name.into(),
            value,
            lr: rate,
            seconds: self.progress.seconds,
        }
    }

    /// Records an update in the metrics and reports it to the observer.
    fn report_step(
        &self,
        update: &Update,
        epoch: f64,
        session: &mut Session<'_, T::Model>,
    ) -> Result<(), TrainError> {
        let terms: &[LossTerm] = match self.task.terms() {
            [_] => &[],
            several => several,
        };
        let parts = terms.iter().zip(&update.terms);
        let scale = self.progress.loss_scale.iter();
        let numbers = [("loss", update.loss), ("gradient_norm", update.norm)]
            .into_iter()
            .chain(parts.map(|(term, &mean)| (term.name, mean)))
            .chain(scale.map(|s| ("loss_scale", s.scale)));
        for (name, value) in numbers {
            let value = Some(value).filter(|value| value.is_finite());
            let line = self.metric(epoch, update.rate, "train", name, value);
            session.store.append(&line)?;
        }
        let p = &self.progress;
        session.observer.event(&Event::Step(StepReport {
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

    /// Evaluates on the validation rows, if there are any, and records whether this is the best evaluation so far.
    fn evaluate(
        &mut self,
        model: &T::Model,
        epoch: f64,
        rate: f64,
        session: &mut Session<'_, T::Model>,
    ) -> Result<(), TrainError> {
        let rows = self.task.validation_rows();
        if rows == 0 {
            return Ok(());
        }
        session.observer.event(&Event::Evaluating { rows });
        let validation = self.task.validate(&model.valid(), self.placement.context)?;
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
            let line = self.metric(epoch, rate, "valid", name, *value);
            session.store.append(&line)?;
        }
        let report = EvaluationReport {
            step: self.progress.step,
            epoch,
            metrics: validation.metrics,
            is_best: better,
        };
        session.observer.event(&Event::Evaluated(report.clone()));
        if better {
            session.best = Some(report.clone());
        }
        session.last = Some(report);
        Ok(())
    }

    /// Runs the task's probe and records its metrics.
    fn probe(
        &self,
        model: &T::Model,
        epoch: f64,
        rate: f64,
        session: &mut Session<'_, T::Model>,
    ) -> Result<(), TrainError> {
        session.observer.event(&Event::Busy("probing".into()));
        let metrics = self.task.probe(&model.valid(), session.store.folder())?;
        for (name, value) in &metrics {
            let line = self.metric(epoch, rate, "probe", name, *value);
            session.store.append(&line)?;
        }
        session.observer.event(&Event::Probed(ProbeReport {
            step: self.progress.step,
            metrics,
        }));
        Ok(())
    }

    fn save_checkpoint(
        &self,
        model: &T::Model,
        session: &mut Session<'_, T::Model>,
    ) -> Result<(), TrainError> {
        let snapshot = Snapshot {
            model,
            optimizer: &self.optimizer,
            progress: &self.progress,
        };
        let path = session
            .store
            .save(&snapshot, self.config.keep_checkpoints)?;
        session.observer.event(&Event::Checkpoint(path));
        Ok(())
    }
}
