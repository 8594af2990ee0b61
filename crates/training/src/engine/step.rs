//! One optimizer update: micro-batches → forward → loss terms → backward → clip → update.

use std::sync::Arc;
use std::thread::Scope;

use bertkit_model::weights::to_vec;
use bertkit_model::{Context, TrainingPass};
use burn::tensor::Tensor;

use crate::engine::data_parallel::{DataParallel, DevicePlacement, Means};
use crate::engine::loss_scale::LossScale;
use crate::engine::optimizer::{AdamW, GradientSum};
use crate::engine::profile::Stopwatch;
use crate::engine::schedule::Schedule;
use crate::engine::store::Progress;
use crate::engine::task::{LossSums, LossTerm, Task};
use crate::error::TrainError;

/// The numbers of one update.
#[derive(Debug, Clone)]
pub(crate) struct Update {
    pub loss: f64,
    /// The mean of each loss term, before its factor.
    pub terms: Vec<f64>,
    /// The learning rate.
    pub rate: f64,
    /// The global gradient norm before clipping.
    pub norm: f64,
    pub tokens: u64,
}

/// What an update needs besides the model and its batches.
pub(crate) struct Step<'a, T: Task> {
    pub task: &'a T,
    pub context: Context<'static>,
    /// The seed of dropout.
    pub seed: u64,
    pub schedule: &'a Schedule,
    pub optimizer: &'a mut AdamW,
    pub progress: &'a mut Progress,
    pub watch: Option<&'a mut Stopwatch>,
}

impl<T: Task> Step<'_, T> {
    /// One optimizer update over the micro-batches of one or more batches, distributed over the devices in turn.
    ///
    /// Each loss term is divided by its items in all micro-batches together, so k micro-batches give the gradients of
    /// one batch of k times the size. The model is passed by value, so that its memory is updated in place.
    ///
    /// # Errors
    /// A loss term or the gradient norm is not finite; no weight has changed then.
    pub fn run(
        mut self,
        model: T::Model,
        batches: &Arc<Vec<T::Batch>>,
        devices: &mut DataParallel<'_, StepInput<T::Batch>>,
    ) -> Result<(T::Model, Update), TrainError> {
        let task = self.task;
        let step = Arc::new(StepInput {
            batches: batches.clone(),
            totals: totals(task, batches),
            seed: self.seed,
            first: self.progress.micro_batches,
            scale: self.progress.loss_scale.as_ref().map(|s| s.scale),
            devices: devices.count(),
        });

        // Forward, loss terms and backward: here on the first device, in other threads on the others.
        devices.start(&step);
        let watch = self.watch.as_deref_mut();
        let first = compute_gradients(task, &step, 0, &model, self.context, watch);
        let mut sum = first.gradients;
        let mut means = devices.all_reduce(&mut sum);
        if devices.count() > 1
            && let Some(watch) = &mut self.watch
        {
            watch.phase(|profile| &mut profile.exchange);
        }

        // One read for the norm and all losses: a device is waited for here and nowhere else.
        let (sum, values) = sum.measured(first.means);
        means.extend(step.means(0, &values));
        let terms = self.mean_terms(means, batches)?;

        // Clip by the global norm, and update.
        let norm = sum.norm;
        let rate = self
            .schedule
            .rate(self.progress.step, self.progress.elapsed);
        devices.update(rate);
        let model = self
            .optimizer
            .step_by(model, sum, rate, |path| task.param_group(path));
        devices.wait();
        if let Some(watch) = &mut self.watch {
            watch.phase(|profile| &mut profile.update);
        }
        if !norm.is_finite()
            && !self
                .progress
                .loss_scale
                .as_mut()
                .is_some_and(LossScale::overflows)
        {
            return Err(self.not_finite("gradient norm", norm, batches));
        }
        if norm.is_finite()
            && let Some(scale) = &mut self.progress.loss_scale
        {
            scale.fits();
        }

        let tokens: u64 = batches.iter().map(|batch| task.tokens(batch) as u64).sum();
        self.progress.step += 1;
        self.progress.micro_batches += batches.len() as u64;
        self.progress.tokens += tokens;
        let factors = task.terms().iter().map(|term| term.factor);
        let loss = factors
            .zip(&terms)
            .map(|(factor, mean)| factor * mean)
            .sum();
        let update = Update {
            loss,
            terms,
            rate,
            norm,
            tokens,
        };
        Ok((model, update))
    }

    /// The mean of each loss term over the update, from those of the micro-batches.
    fn mean_terms(&self, mut means: Means, batches: &[T::Batch]) -> Result<Vec<f64>, TrainError> {
        let terms = self.task.terms();
        // In the order of the micro-batches: a sum in another order rounds differently.
        means.sort_by_key(|(i, _)| *i);
        let mut sums = vec![0.0; terms.len()];
        for (i, values) in means {
            for ((term, value), sum) in terms.iter().zip(values).zip(&mut sums) {
                if !value.is_finite() {
                    return Err(self.not_finite(term.name, value, &batches[i..=i]));
                }
                *sum += value;
            }
        }
        Ok(sums)
    }

    fn not_finite(&self, what: &str, value: f64, batches: &[T::Batch]) -> TrainError {
        not_finite(self.task, self.progress.step, what, value, batches)
    }
}

/// The error for a number that is not finite after `step` updates.
pub(crate) fn not_finite<T: Task>(
    task: &T,
    step: u64,
    what: &str,
    value: f64,
    batches: &[T::Batch],
) -> TrainError {
    TrainError::NotFinite {
        what: what.into(),
        value,
        step,
        place: task.describe(batches),
    }
}

/// The devices of a run, which compute the gradients of [`compute_gradients`].
pub(crate) fn start_devices<'scope, 'env, T: Task>(
    scope: &'scope Scope<'scope, 'env>,
    task: &'env T,
    placement: &DevicePlacement,
    model: &T::Model,
    optimizer: &AdamW,
) -> DataParallel<'scope, StepInput<T::Batch>>
where
    T::Model: 'scope,
    T::Batch: 'scope,
{
    let context = placement.context;
    let compute = move |step: &StepInput<T::Batch>, device, model: &T::Model| {
        let mut found = compute_gradients(task, step, device, model, context, None);
        let means = step.means(device, &found.read());
        (found.gradients, means)
    };
    DataParallel::new(scope, task, placement, model, optimizer, compute)
}

/// The gradients of one device's micro-batches.
fn compute_gradients<T: Task>(
    task: &T,
    step: &StepInput<T::Batch>,
    device: usize,
    model: &T::Model,
    context: Context<'_>,
    mut watch: Option<&mut Stopwatch>,
) -> DeviceGradients {
    let mut gradients = step
        .scale
        .map_or_else(GradientSum::default, GradientSum::scaled);
    let mut means = Vec::new();
    for (i, batch) in step.of(device) {
        let number = step.first + i as u64;
        let pass = TrainingPass::new(step.seed, number);
        let context = context.training(&pass);

        let LossSums { sums, features } = task.loss(model, batch, number, context);
        let (loss, term_means) = combine(task.terms(), sums, &step.totals, step.scale);
        means.extend(term_means);
        if let Some(watch) = &mut watch {
            watch.phase(|profile| &mut profile.forward);
        }

        match (loss, features) {
            (None, _) => {}
            (Some(loss), None) => context.backward(loss, |found| gradients.add(model, found)),
            (Some(loss), Some(features)) => {
                let found = loss.backward();
                let gradient = features.grad(&found).map(to_vec).unwrap_or_default();
                gradients.add(model, found);
                for loss in task.second_pass(model, batch, context, gradient) {
                    context.backward(loss, |found| gradients.add(model, found));
                }
            }
        }
        if let Some(watch) = &mut watch {
            watch.phase(|profile| &mut profile.backward);
        }
    }
    DeviceGradients { gradients, means }
}

/// The loss that is minimised, `[1]`, and the mean of each term without a graph; no loss if there are no terms.
///
/// A term's sum is divided by its total over the update and multiplied by its factor; `scale` multiplies the loss.
fn combine(
    terms: &[LossTerm],
    sums: Vec<Tensor<1>>,
    totals: &[f64],
    scale: Option<f64>,
) -> (Option<Tensor<1>>, Vec<Tensor<1>>) {
    let mut means = Vec::with_capacity(terms.len());
    let mut loss: Option<Tensor<1>> = None;
    for ((term, sum), total) in terms.iter().zip(sums).zip(totals) {
        let mean = sum / *total;
        means.push(mean.clone().inner());
        let weighted = match term.factor {
            1.0 => mean,
            factor => mean * factor,
        };
        loss = Some(match loss {
            Some(loss) => loss + weighted,
            None => weighted,
        });
    }
    if let Some(scale) = scale {
        loss = loss.map(|loss| loss * scale);
    }
    (loss, means)
}

/// The divisor of each loss term: its items in all micro-batches, or 1 if it has none.
fn totals<T: Task>(task: &T, batches: &[T::Batch]) -> Vec<f64> {
    let mut totals = vec![0.0; task.terms().len()];
    for batch in batches {
        for (total, weight) in totals.iter_mut().zip(task.weights(batch)) {
            *total += weight;
        }
    }
    for total in totals.iter_mut().filter(|total| **total <= 0.0) {
        *total = 1.0;
    }
    totals
}

/// The input of one update, shared by all devices.
pub(crate) struct StepInput<B> {
    batches: Arc<Vec<B>>,
    /// The divisor of each loss term.
    totals: Vec<f64>,
    seed: u64,
    /// The number of the first micro-batch in the run.
    first: u64,
    /// The loss scale.
    scale: Option<f64>,
    /// The number of devices.
    devices: usize,
}

impl<B> StepInput<B> {
    /// The micro-batches of one device, with their numbers in the update.
    fn of(&self, device: usize) -> impl Iterator<Item = (usize, &B)> {
        let all = self.batches.iter().enumerate();
        all.skip(device).step_by(self.devices)
    }

    /// The term means of one device, from its values of [`DeviceGradients::means`].
    fn means(&self, device: usize, values: &[f32]) -> Means {
        let each = values.chunks(self.totals.len());
        let each = each.map(|values| values.iter().map(|&x| f64::from(x)).collect());
        self.of(device).map(|(i, _)| i).zip(each).collect()
    }
}

/// The result of the backward passes on one device.
struct DeviceGradients {
    gradients: GradientSum,
    /// The mean of each loss term, micro-batch by micro-batch, still on the device.
    means: Vec<Tensor<1>>,
}

impl DeviceGradients {
    /// The means, in one read.
    fn read(&mut self) -> Vec<f32> {
        match std::mem::take(&mut self.means) {
            means if means.is_empty() => Vec::new(),
            means => to_vec(Tensor::cat(means, 0)),
        }
    }
}
