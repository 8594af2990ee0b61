//! One optimizer update: the gradients of its micro-batches, on one device or several, and the step they lead to.

use std::thread::ScopedJoinHandle;

use bertkit_model::weights::to_vec;
use bertkit_model::{Computing, DropoutStream, Mode};
use burn::module::Module;
use burn::tensor::{Device, Tensor};

use crate::error::TrainError;
use crate::exchange::sum_over;
use crate::launch::freeze;
use crate::optimizer::{AdamW, GradientSum};
use crate::profile::Stopwatch;
use crate::tasks::{Task, Term};
use crate::trainer::Trainer;

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

/// The same weights on another device, with an optimizer that has seen the same gradients.
#[derive(Debug)]
pub(crate) struct Replica<M> {
    model: M,
    optimizer: AdamW,
}

/// What the devices share in an update.
#[derive(Clone, Copy)]
struct Work<'a, T: Task> {
    task: &'a T,
    batches: &'a [T::Batch],
    terms: &'a [Term],
    /// What each summand is divided by.
    totals: &'a [f64],
    seed: u64,
    /// The number of the first micro-batch in the run.
    first: u64,
    scale: Option<f64>,
    devices: usize,
}

/// What one device found in its micro-batches.
struct Share {
    gradients: GradientSum,
    /// The mean of each summand, a micro-batch behind the other, still on the device.
    means: Vec<Tensor<1>>,
}

impl<T: Task> Work<'_, T> {
    /// The micro-batches of one device, and their numbers in the update.
    fn of(&self, device: usize) -> impl Iterator<Item = (usize, &T::Batch)> {
        let all = self.batches.iter().enumerate();
        all.skip(device).step_by(self.devices)
    }

    /// The gradients of one device's micro-batches.
    fn gradients(
        &self,
        device: usize,
        model: &T::Model,
        mut watch: Option<&mut Stopwatch>,
    ) -> Share {
        let mut gradients = self
            .scale
            .map_or_else(GradientSum::default, GradientSum::scaled);
        let mut means = Vec::new();
        for (i, batch) in self.of(device) {
            let number = self.first + i as u64;
            let stream = DropoutStream::new(self.seed, number);
            let mode = Mode::Training(&stream);
            let mut weigh = |sums: Vec<Tensor<1>>| {
                let mut loss: Option<Tensor<1>> = None;
                for ((term, sum), total) in self.terms.iter().zip(sums).zip(self.totals) {
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
                match self.scale {
                    Some(scale) => loss.map(|loss| loss * scale),
                    None => loss,
                }
            };
            let task = self.task;
            task.learn(model, batch, number, mode, &mut weigh, &mut gradients);
            if let Some(watch) = &mut watch {
                watch.phase(|profile| &mut profile.backward);
            }
        }
        Share { gradients, means }
    }

    /// The mean of each summand in each of one device's micro-batches, read at once.
    fn read(&self, device: usize, means: Vec<Tensor<1>>) -> Vec<(usize, Vec<f64>)> {
        if means.is_empty() {
            return Vec::new();
        }
        let values = to_vec(Tensor::cat(means, 0));
        let each = values.chunks(self.terms.len());
        let each = each.map(|values| values.iter().map(|&x| f64::from(x)).collect());
        self.of(device).map(|(i, _)| i).zip(each).collect()
    }
}

/// What a thread gives back; its panic goes on here.
pub(crate) fn joined<R>(thread: ScopedJoinHandle<'_, R>) -> R {
    thread
        .join()
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

impl<T: Task> Trainer<'_, T> {
    /// Puts the weights, as they are now, on all further devices.
    pub(crate) fn replicate(&mut self, model: &T::Model) {
        let replica = |device: &Device| {
            // A copy is trainable as a whole.
            let copy = model.clone().fork(device);
            Replica {
                model: freeze(copy, |path| self.task.rule(path)),
                optimizer: self.optimizer.clone(),
            }
        };
        self.replicas = self.place.more.iter().map(replica).collect();
    }

    /// One optimizer update over some micro-batches, which go to the devices by turns. Each summand of the loss is
    /// divided by its items in all of them together, so that k micro-batches equal one of k times the size.
    ///
    /// The model goes in and comes out, so that its memory is updated in place.
    pub fn update(
        &mut self,
        model: T::Model,
        batches: &[T::Batch],
    ) -> Result<(T::Model, Update), TrainError> {
        let task = self.task;
        let terms = task.terms();
        let mut totals = vec![0.0; terms.len()];
        let mut tokens = 0;
        for batch in batches {
            tokens += task.tokens(batch) as u64;
            for (total, weight) in totals.iter_mut().zip(task.weights(batch)) {
                *total += weight;
            }
        }
        // Items that count nothing have nothing to divide by.
        for total in totals.iter_mut().filter(|total| **total <= 0.0) {
            *total = 1.0;
        }
        let work = Work {
            task,
            batches,
            terms,
            totals: &totals,
            seed: self.habits.seed,
            first: self.progress.micro_batches,
            scale: self.progress.loss_scale.as_ref().map(|s| s.scale),
            devices: 1 + self.replicas.len(),
        };
        let (found, means) = self.gradients(&model, &work);
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
        let (model, norm) = self.step(model, found, rate);
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

    /// The gradients of all micro-batches, on each device, and the means of the summands in each micro-batch.
    fn gradients(
        &mut self,
        model: &T::Model,
        work: &Work<'_, T>,
    ) -> (Vec<GradientSum>, Vec<(usize, Vec<f64>)>) {
        let watch = self.watch.as_mut();
        if self.replicas.is_empty() {
            let share = work.gradients(0, model, watch);
            return (vec![share.gradients], work.read(0, share.means));
        }
        let way = Computing::here();
        let replicas = std::mem::take(&mut self.replicas);
        let (mut found, mut means) = (Vec::new(), Vec::new());
        std::thread::scope(|scope| {
            let others: Vec<_> = replicas
                .into_iter()
                .enumerate()
                .map(|(i, replica)| {
                    scope.spawn(move || {
                        way.run(|| {
                            let share = work.gradients(i + 1, &replica.model, None);
                            (replica, share.gradients, work.read(i + 1, share.means))
                        })
                    })
                })
                .collect();
            let share = work.gradients(0, model, watch);
            found.push(share.gradients);
            means.extend(work.read(0, share.means));
            for other in others {
                let (replica, gradients, values) = joined(other);
                self.replicas.push(replica);
                found.push(gradients);
                means.extend(values);
            }
        });
        let devices: Vec<Device> = std::iter::once(&self.place.device)
            .chain(&self.place.more)
            .cloned()
            .collect();
        let found = sum_over(found, &devices);
        if let Some(watch) = &mut self.watch {
            watch.phase(|profile| &mut profile.exchange);
        }
        // By their number: a sum in another order would be rounded in another way.
        means.sort_by_key(|(i, _)| *i);
        (found, means)
    }

    /// Moves the weights on every device, each by the sum of all gradients.
    fn step(&mut self, model: T::Model, found: Vec<GradientSum>, rate: f64) -> (T::Model, f64) {
        let task = self.task;
        let mut found = found.into_iter();
        let own = found.next().unwrap_or_default();
        let replicas = std::mem::take(&mut self.replicas);
        let moved = std::thread::scope(|scope| {
            let others: Vec<_> = replicas
                .into_iter()
                .zip(found)
                .map(|(mut replica, gradients)| {
                    scope.spawn(move || {
                        let optimizer = &mut replica.optimizer;
                        let (model, _) =
                            optimizer.step(replica.model, gradients, rate, |path| task.rule(path));
                        Replica { model, ..replica }
                    })
                })
                .collect();
            let moved = self
                .optimizer
                .step(model, own, rate, |path| task.rule(path));
            self.replicas = others.into_iter().map(joined).collect();
            moved
        });
        if let Some(watch) = &mut self.watch {
            watch.phase(|profile| &mut profile.update);
        }
        moved
    }

    pub(crate) fn not_finite(&self, what: &str, value: f64, batches: &[T::Batch]) -> TrainError {
        TrainError::NotFinite {
            what: what.into(),
            value,
            step: self.progress.step,
            place: self.task.place(batches),
        }
    }
}
