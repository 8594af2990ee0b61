//! One optimizer update: the gradients of its micro-batches, on one device or several, and the step they lead to.

use std::sync::Arc;

use bertkit_model::weights::to_vec;
use bertkit_model::{Context, TrainingPass};
use burn::tensor::Tensor;

use crate::engine::data_parallel::DataParallel;
use crate::engine::optimizer::GradientSum;
use crate::engine::profile::Stopwatch;
use crate::engine::task::Task;
use crate::engine::trainer::Trainer;
use crate::error::TrainError;

/// The numbers of one update.
#[derive(Debug, Clone)]
pub(crate) struct Update {
    pub loss: f64,
    /// The mean of each summand of the loss, before its factor.
    pub terms: Vec<f64>,
    pub rate: f64,
    pub norm: f64,
    pub tokens: u64,
}

/// The mean of each summand of the loss in some micro-batches, with their numbers in the update.
pub(crate) type Means = Vec<(usize, Vec<f64>)>;

/// What the devices share in an update.
pub(crate) struct Work<B> {
    batches: Arc<Vec<B>>,
    /// What each summand is divided by.
    totals: Vec<f64>,
    seed: u64,
    /// The number of the first micro-batch in the run.
    first: u64,
    scale: Option<f64>,
    devices: usize,
}

impl<B> Work<B> {
    /// The micro-batches of one device, and their numbers in the update.
    fn of(&self, device: usize) -> impl Iterator<Item = (usize, &B)> {
        let all = self.batches.iter().enumerate();
        all.skip(device).step_by(self.devices)
    }

    /// The mean of each summand in each of one device's micro-batches.
    pub fn means(&self, device: usize, values: &[f32]) -> Means {
        let each = values.chunks(self.totals.len());
        let each = each.map(|values| values.iter().map(|&x| f64::from(x)).collect());
        self.of(device).map(|(i, _)| i).zip(each).collect()
    }
}

/// What one device found in its micro-batches.
pub(crate) struct Share {
    pub gradients: GradientSum,
    /// The mean of each summand, a micro-batch behind the other, still on the device.
    pub means: Vec<Tensor<1>>,
}

impl Share {
    /// The means, read at once.
    pub fn read(&mut self) -> Vec<f32> {
        match std::mem::take(&mut self.means) {
            means if means.is_empty() => Vec::new(),
            means => to_vec(Tensor::cat(means, 0)),
        }
    }

    /// The gradients of one device's micro-batches.
    pub fn find<T: Task>(
        task: &T,
        work: &Work<T::Batch>,
        device: usize,
        model: &T::Model,
        context: Context<'_>,
        mut watch: Option<&mut Stopwatch>,
    ) -> Self {
        let mut gradients = work
            .scale
            .map_or_else(GradientSum::default, GradientSum::scaled);
        let mut means = Vec::new();
        for (i, batch) in work.of(device) {
            let number = work.first + i as u64;
            let pass = TrainingPass::new(work.seed, number);
            let context = context.training(&pass);
            let mut weigh = |sums: Vec<Tensor<1>>| {
                let mut loss: Option<Tensor<1>> = None;
                for ((term, sum), total) in task.terms().iter().zip(sums).zip(&work.totals) {
                    let part = sum / *total;
                    means.push(part.clone().inner());
                    let part = match term.factor {
                        1.0 => part,
                        factor => part * factor,
                    };
                    loss = Some(match loss {
                        Some(loss) => loss + part,
                        None => part,
                    });
                }
                if let Some(watch) = &mut watch {
                    watch.phase(|profile| &mut profile.forward);
                }
                match work.scale {
                    Some(scale) => loss.map(|loss| loss * scale),
                    None => loss,
                }
            };
            task.learn(model, batch, number, context, &mut weigh, &mut gradients);
            if let Some(watch) = &mut watch {
                watch.phase(|profile| &mut profile.backward);
            }
        }
        Self { gradients, means }
    }
}

impl<T: Task> Trainer<'_, T> {
    /// One optimizer update over some micro-batches, which go to the devices by turns. Each summand of the loss is
    /// divided by its items in all of them together, so that k micro-batches equal one of k times the size.
    ///
    /// The model goes in and comes out, so that its memory is updated in place.
    pub fn update(
        &mut self,
        model: T::Model,
        batches: &Arc<Vec<T::Batch>>,
        workers: &mut DataParallel<'_, T::Batch>,
    ) -> Result<(T::Model, Update), TrainError> {
        let task = self.task;
        let terms = task.terms();
        let mut totals = vec![0.0; terms.len()];
        let mut tokens = 0;
        for batch in batches.iter() {
            tokens += task.tokens(batch) as u64;
            for (total, weight) in totals.iter_mut().zip(task.weights(batch)) {
                *total += weight;
            }
        }
        // Items that count nothing have nothing to divide by.
        for total in totals.iter_mut().filter(|total| **total <= 0.0) {
            *total = 1.0;
        }
        let work = Arc::new(Work {
            batches: batches.clone(),
            totals,
            seed: self.loop_config.seed,
            first: self.progress.micro_batches,
            scale: self.progress.loss_scale.as_ref().map(|s| s.scale),
            devices: workers.devices(),
        });
        workers.begin(&work);
        let context = self.place.context;
        let share = Share::find(task, &work, 0, &model, context, self.watch.as_mut());
        let mut gradients = share.gradients;
        let of_others = workers.sum(&mut gradients);
        if workers.devices() > 1
            && let Some(watch) = &mut self.watch
        {
            watch.phase(|profile| &mut profile.exchange);
        }
        let (gradients, values) = gradients.measured(share.means);
        let mut means = work.means(0, &values);
        means.extend(of_others);
        // By their number: a sum in another order would be rounded in another way.
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
        let rate = self
            .schedule
            .rate(self.progress.step, self.progress.elapsed);
        workers.step(rate);
        let norm = gradients.norm;
        let model = self
            .optimizer
            .step_by(model, gradients, rate, |path| task.param_group(path));
        workers.wait();
        if let Some(watch) = &mut self.watch {
            watch.phase(|profile| &mut profile.update);
        }
        // In f16, gradients of a finite loss may be too large for the scale: the update is left out.
        let skipped = match &mut self.progress.loss_scale {
            Some(scale) if !norm.is_finite() => scale.overflows(),
            Some(scale) => {
                scale.fits();
                false
            }
            None => false,
        };
        if !norm.is_finite() && !skipped {
            return Err(self.not_finite("gradient norm", norm, batches));
        }
        self.progress.step += 1;
        self.progress.micro_batches += batches.len() as u64;
        self.progress.tokens += tokens;
        let weighed = terms.iter().zip(&sums);
        Ok((
            model,
            Update {
                loss: weighed.map(|(term, mean)| term.factor * mean).sum(),
                terms: sums,
                rate,
                norm,
                tokens,
            },
        ))
    }

    pub(crate) fn not_finite(&self, what: &str, value: f64, batches: &[T::Batch]) -> TrainError {
        TrainError::NotFinite {
            what: what.into(),
            value,
            step: self.progress.step,
            place: self.task.describe(batches),
        }
    }
}
