//! The training loop.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use bertkit_data::batches::{BatchPolicy, balanced, plan};
use bertkit_model::weights::{to_vec, visit};
use bertkit_model::{DropoutStream, Mode, Model, Naming};
use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::Tensor;

use crate::checkpoint::{self, Progress};
use crate::config::{RunConfig, Sampler};
use crate::error::TrainError;
use crate::observer::{EvaluationReport, Event, Observer, StepReport};
use crate::optimizer::{AdamW, GradientSum, ParameterRule, rule};
use crate::run_dir::{MetricLine, MetricsFile, RunDirectory};
use crate::schedule::Schedule;
use crate::tasks::Task;

/// The numbers of one update.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Update {
    pub loss: f64,
    pub rate: f64,
    pub norm: f64,
    pub tokens: u64,
}

/// Everything of a run but the weights, and how far it has come.
pub(crate) struct Trainer<'a, T: Task> {
    pub task: &'a T,
    pub config: &'a RunConfig,
    pub optimizer: AdamW,
    pub schedule: Schedule,
    pub progress: Progress,
    pub naming: Naming,
    /// Layers of the encoder.
    pub layers: usize,
}

/// The micro-batches of one epoch: a function of the configuration and the data.
pub(crate) fn epoch_batches<T: Task>(
    task: &T,
    config: &RunConfig,
    epoch: u64,
) -> Result<Vec<Vec<usize>>, TrainError> {
    let t = &config.training;
    match (t.sampler, task.classes()) {
        (Sampler::Balanced, Some(classes)) => {
            Ok(balanced(classes, t.batch_size, config.seed, epoch)?)
        }
        (Sampler::Balanced, None) => Err(TrainError::Setting {
            message: "the balanced sampler needs one class a row".into(),
            hint: "use `--sampler shuffle` for this task".into(),
        }),
        (Sampler::Shuffle, _) => {
            let policy = t
                .batch_tokens
                .map_or(BatchPolicy::Rows(t.batch_size), BatchPolicy::Tokens);
            Ok(plan(
                task.lengths(),
                policy,
                t.bucket_by_length,
                Some((config.seed, epoch)),
            ))
        }
    }
}

/// Optimizer updates of the whole run.
pub(crate) fn total_steps<T: Task>(task: &T, config: &RunConfig) -> Result<u64, TrainError> {
    let accumulation = config.training.gradient_accumulation;
    let most = config.training.max_steps.unwrap_or(u64::MAX);
    let mut steps = 0;
    for epoch in 0..config.training.epochs as u64 {
        if steps >= most {
            break;
        }
        steps += epoch_batches(task, config, epoch)?
            .len()
            .div_ceil(accumulation) as u64;
    }
    Ok(steps.min(most))
}

/// Lets the parameters that the configuration freezes take no part in the backward pass.
pub(crate) fn freeze<M: Module>(model: M, rules: impl Fn(&str) -> ParameterRule) -> M {
    struct Mapper<R> {
        path: Vec<String>,
        rules: R,
    }
    impl<R: Fn(&str) -> ParameterRule> ModuleMapper for Mapper<R> {
        fn enter_module(&mut self, name: &str, _container: &str) {
            self.path.push(name.into());
        }
        fn exit_module(&mut self, _name: &str, _container: &str) {
            self.path.pop();
        }
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            let frozen = (self.rules)(&self.path.join(".")).rate_factor == 0.0;
            if frozen {
                param.set_require_grad(false)
            } else {
                param
            }
        }
    }
    model.map(&mut Mapper {
        path: Vec::new(),
        rules,
    })
}

/// Which rule applies to the parameter at a path, under a configuration.
pub(crate) fn rules(config: &RunConfig, layers: usize) -> impl Fn(&str) -> ParameterRule + use<> {
    let (decay, embeddings, frozen) = (
        config.optimizer.layer_decay,
        config.training.freeze_embeddings,
        config.training.freeze_layers,
    );
    move |path| rule(path, layers, decay, embeddings, frozen)
}

/// A weight that is infinite or no number, if there is one.
fn lost_number<M: Module>(model: &M) -> Option<f64> {
    let mut lost = None;
    visit(model, |_, _, values| {
        lost = lost.or(values.into_iter().find(|value| !value.is_finite()));
    });
    lost.map(f64::from)
}

impl<T: Task> Trainer<'_, T> {
    /// One optimizer update over some micro-batches. The summed losses are divided by the weight of
    /// all of them together, so that k micro-batches equal one of k times the size.
    ///
    /// The model goes in and comes out, so that its memory is updated in place.
    pub fn update(
        &mut self,
        model: Model<T::Head>,
        batches: &[Vec<usize>],
    ) -> Result<(Model<T::Head>, Update), TrainError> {
        let weight: f64 = batches.iter().map(|rows| self.task.weight(rows)).sum();
        // Rows of classes that count nothing have nothing to divide by.
        let weight = if weight > 0.0 { weight } else { 1.0 };
        let mut gradients = GradientSum::default();
        let (mut loss, mut tokens) = (0.0, 0);
        for rows in batches {
            let stream = DropoutStream::new(self.config.seed, self.progress.micro_batches);
            let batch = self.task.batch(rows);
            let share = self
                .task
                .loss(&model, &batch, rows, Mode::Training(&stream))
                / weight;
            let value = f64::from(to_vec(share.clone())[0]);
            if !value.is_finite() {
                return Err(self.not_finite("loss", value, rows));
            }
            loss += value;
            tokens += batch.tokens() as u64;
            gradients.add(&model, share.backward());
            self.progress.micro_batches += 1;
        }
        let rate = self.schedule.rate(self.progress.step);
        let (model, norm) =
            self.optimizer
                .step(model, gradients, rate, rules(self.config, self.layers));
        if !norm.is_finite() {
            return Err(self.not_finite("gradient norm", norm, &batches.concat()));
        }
        self.progress.step += 1;
        self.progress.batch += batches.len();
        self.progress.tokens += tokens;
        Ok((
            model,
            Update {
                loss,
                rate,
                norm,
                tokens,
            },
        ))
    }

    fn not_finite(&self, what: &'static str, value: f64, rows: &[usize]) -> TrainError {
        const SHOWN: usize = 32;
        let mut lines = self.task.lines(rows);
        lines.sort_unstable();
        let mut text = lines
            .iter()
            .take(SHOWN)
            .map(u64::to_string)
            .collect::<Vec<_>>()
            .join(", ");
        if lines.len() > SHOWN {
            text.push_str(&format!(" and {} more", lines.len() - SHOWN));
        }
        TrainError::NotFinite {
            what,
            value,
            step: self.progress.step,
            lines: text,
        }
    }

    /// Trains to the end, from wherever `progress` stands, and gives back the weights that validated
    /// best (the last ones without validation rows) and that evaluation.
    pub fn run(
        &mut self,
        mut model: Model<T::Head>,
        directory: &RunDirectory,
        observer: &mut dyn Observer,
        interrupt: &AtomicBool,
    ) -> Result<(Model<T::Head>, Option<EvaluationReport>), TrainError> {
        let steps = self.schedule.steps();
        let t = &self.config.training;
        let mut metrics = directory.metrics(self.progress.step)?;
        let mut last_evaluation = None;
        let mut best_evaluation = None;
        let mut stopped = false;
        'epochs: while self.progress.epoch < t.epochs as u64 {
            let batches = epoch_batches(self.task, self.config, self.progress.epoch)?;
            while self.progress.batch < batches.len() {
                if self.progress.step >= steps {
                    break 'epochs;
                }
                let started = Instant::now();
                let end = batches
                    .len()
                    .min(self.progress.batch + t.gradient_accumulation);
                let group = &batches[self.progress.batch..end];
                let (next, update) = self.update(model, group)?;
                model = next;
                self.progress.seconds += started.elapsed().as_secs_f64();
                let epoch =
                    self.progress.epoch as f64 + self.progress.batch as f64 / batches.len() as f64;
                self.tell_step(update, steps, epoch, &mut metrics, observer)?;

                let step = self.progress.step;
                if self.progress.batch == batches.len() {
                    self.progress.epoch += 1;
                    self.progress.batch = 0;
                }
                let ends = self.progress.batch == 0 || step == steps;
                let evaluates = ends || t.evaluate_steps.is_some_and(|n| step.is_multiple_of(n));
                let due = step.is_multiple_of(t.checkpoint_steps) || (ends && step < steps);
                // Neither chosen nor kept: weights that have left the numbers.
                if (evaluates || due || interrupt.load(Ordering::Relaxed))
                    && let Some(value) = lost_number(&model)
                {
                    return Err(self.not_finite("size of a weight", value, &group.concat()));
                }
                if evaluates {
                    last_evaluation = self.evaluate(&model, epoch, &mut metrics, observer)?;
                    if let Some(report) = last_evaluation.as_ref().filter(|report| report.is_best) {
                        best_evaluation = Some(report.clone());
                    }
                }
                let is_best =
                    self.progress.best.is_some_and(|(best, _)| best == step) && step < steps;
                stopped = t.early_stopping > 0
                    && self.progress.evaluations_without_better >= t.early_stopping;
                let asked = interrupt.load(Ordering::Relaxed) && step < steps && !stopped;
                if (due && !stopped) || is_best || asked {
                    self.save_checkpoint(&model, directory, observer)?;
                }
                if asked {
                    let resume = format!(
                        "continue with `bertkit finetune --resume --output {}`",
                        directory.path().display()
                    );
                    return Err(TrainError::Interrupted { step, resume });
                }
                if stopped || self.progress.batch == 0 {
                    break;
                }
            }
            if stopped {
                let n = self.progress.evaluations_without_better;
                let reason = format!(
                    "{n} evaluations in a row were not better than that of step {}",
                    self.progress.best.map_or(0, |b| b.0)
                );
                observer.event(&Event::StoppedEarly(reason));
                break;
            }
        }
        // The best weights: those in memory, or those of the checkpoint that holds them.
        match self.progress.best {
            Some((best, _)) if best != self.progress.step => {
                model =
                    checkpoint::load_model(directory, &checkpoint::name(best), model, self.naming)?;
                Ok((model, best_evaluation))
            }
            _ => Ok((model, last_evaluation.or(best_evaluation))),
        }
    }

    fn tell_step(
        &self,
        update: Update,
        steps: u64,
        epoch: f64,
        metrics: &mut MetricsFile,
        observer: &mut dyn Observer,
    ) -> Result<(), TrainError> {
        let p = &self.progress;
        for (name, value) in [("loss", update.loss), ("gradient_norm", update.norm)] {
            metrics.append(&MetricLine {
                step: p.step,
                epoch,
                tokens: p.tokens,
                split: "train".into(),
                name: name.into(),
                value: Some(value),
                lr: update.rate,
                seconds: p.seconds,
            })?;
        }
        observer.event(&Event::Step(StepReport {
            step: p.step,
            steps,
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
        model: &Model<T::Head>,
        epoch: f64,
        metrics: &mut MetricsFile,
        observer: &mut dyn Observer,
    ) -> Result<Option<EvaluationReport>, TrainError> {
        let rows = self.task.validation_rows();
        if rows == 0 {
            return Ok(None);
        }
        observer.event(&Event::Evaluating { rows });
        let validation = self.task.validate(&model.valid())?;
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
            metrics.append(&MetricLine {
                step: p.step,
                epoch,
                tokens: p.tokens,
                split: "valid".into(),
                name: name.clone(),
                value: *value,
                lr: self.schedule.rate(p.step.saturating_sub(1)),
                seconds: p.seconds,
            })?;
        }
        let report = EvaluationReport {
            step: p.step,
            epoch,
            metrics: validation.metrics,
            is_best: better,
        };
        observer.event(&Event::Evaluated(report.clone()));
        Ok(Some(report))
    }

    fn save_checkpoint(
        &self,
        model: &Model<T::Head>,
        directory: &RunDirectory,
        observer: &mut dyn Observer,
    ) -> Result<(), TrainError> {
        let name = checkpoint::save(
            directory,
            model,
            self.naming,
            &self.optimizer,
            &self.progress,
        )?;
        let best = self.progress.best.map(|(step, _)| checkpoint::name(step));
        if best.as_ref() == Some(&name) {
            directory.point("best", &name)?;
        }
        directory.rotate_checkpoints(self.config.training.keep_checkpoints, &[best])?;
        let path: PathBuf = directory.checkpoint(&name);
        observer.event(&Event::Checkpoint(path));
        Ok(())
    }
}
