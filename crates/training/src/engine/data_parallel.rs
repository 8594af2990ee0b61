//! Several devices that train the same weights, each with a share of the micro-batches.
//!
//! The first device belongs to the thread of the loop. Each of the others has a thread of its own for the whole run, with
//! its own copy of the weights and of the optimizer: tensors of a device never leave the thread that made them, since GPU
//! backends order their work by thread. What passes between threads are numbers in the host's memory, or nothing but
//! NCCL's own traffic.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{Scope, ScopedJoinHandle};

use bertkit_model::weights::to_vec;
use bertkit_model::{Context, has_nccl, is_cuda};
use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::distributed::{ReduceOperation, all_reduce};
use burn::tensor::{Device, Tensor, TensorData};
use rayon::prelude::*;

use crate::engine::optimizer::{AdamW, GradientSum};
use crate::engine::param_groups::freeze;
use crate::engine::step::{Means, Share, Work};
use crate::engine::task::Task;

/// Where a training loop computes.
#[derive(Debug, Clone)]
pub(crate) struct DevicePlacement {
    /// The device of the weights that are evaluated and kept.
    pub device: Device,
    /// Where the same weights learn from other micro-batches.
    pub more: Vec<Device>,
    /// How the models are computed.
    pub context: Context<'static>,
    /// Whether the time of each part is measured.
    pub profile: bool,
}

impl DevicePlacement {
    /// All devices, the first one first.
    pub fn devices(&self) -> impl Iterator<Item = &Device> {
        std::iter::once(&self.device).chain(&self.more)
    }
}

/// Elements that travel together: enough to fill a bus, and little beside the gradients themselves.
const BUCKET: usize = 1 << 24;

/// Parameters by path, with their elements.
type Sizes = Vec<(String, usize)>;

/// Whether these devices sum up among themselves, through NCCL; else the host's memory lies between them.
pub(crate) fn is_collective(devices: &[Device]) -> bool {
    devices.len() > 1 && devices.iter().all(is_cuda) && has_nccl()
}

/// What the loop asks of another device.
enum Command<B> {
    /// The gradients of its micro-batches.
    Gradients(Arc<Work<B>>),
    /// Its gradients of these parameters, to be summed up with those of the others.
    Sum(Arc<Sizes>),
    /// The sum over all devices of what was asked for last, where it went through the host.
    Summed(Arc<Vec<f32>>),
    /// To move the weights at that rate.
    Step(f64),
}

/// What another device answers.
enum Answer {
    Gradients(Sizes, Means),
    /// Its part of a sum, where it goes through the host.
    Part(Vec<f32>),
    /// What was asked is done.
    Done,
}

/// Another device, as the loop sees it.
struct Worker<'scope, B> {
    orders: Sender<Command<B>>,
    answers: Receiver<Answer>,
    thread: Option<ScopedJoinHandle<'scope, ()>>,
}

impl<B> Worker<'_, B> {
    fn ask(&mut self, order: Command<B>) {
        if self.orders.send(order).is_err() {
            self.gone();
        }
    }

    fn answer(&mut self) -> Answer {
        match self.answers.recv() {
            Ok(answer) => answer,
            Err(_) => self.gone(),
        }
    }

    /// The thread has ended although it was not told to: its panic goes on here.
    fn gone(&mut self) -> ! {
        match self.thread.take().map(ScopedJoinHandle::join) {
            Some(Err(panic)) => std::panic::resume_unwind(panic),
            _ => unreachable!("a device's thread ends when nothing more can be asked of it"),
        }
    }
}

/// The devices of a run besides the first.
pub(crate) struct DataParallel<'scope, B> {
    members: Vec<Worker<'scope, B>>,
    /// All devices, the first one too.
    devices: Vec<Device>,
    /// Whether they sum up among themselves.
    collective: bool,
}

impl<'scope, B: Send + Sync + 'scope> DataParallel<'scope, B> {
    /// Brings the weights, as they are now, and the optimizer to each of the devices.
    pub fn new<'env, T: Task<Batch = B>>(
        scope: &'scope Scope<'scope, 'env>,
        task: &'env T,
        place: &DevicePlacement,
        model: &T::Model,
        optimizer: &AdamW,
    ) -> Self
    where
        T::Model: 'scope,
    {
        let context = place.context;
        let devices = place.devices().map(|device| device.clone().inner());
        let devices: Vec<Device> = devices.collect();
        let collective = is_collective(&devices);
        // In the host's memory, from which the other threads make tensors of their own.
        let weights = match place.more.is_empty() {
            true => Arc::default(),
            false => Arc::new(values_of(model)),
        };
        let member = |(number, device): (usize, &Device)| {
            let (orders, asked) = channel();
            let (answer, answers) = channel();
            let (model, optimizer) = (model.clone(), optimizer.clone());
            let weights = weights.clone();
            let (device, devices) = (device.clone().autodiff(), devices.clone());
            let thread = scope.spawn(move || {
                let model = on_device(model, &weights, &device);
                // A copy is trainable as a whole.
                let model = freeze(model, |path| task.param_group(path));
                let replica = Replica {
                    task,
                    number,
                    devices,
                    collective,
                    context,
                    model,
                    optimizer,
                };
                drop(weights);
                replica.work(&asked, &answer);
            });
            Worker {
                orders,
                answers,
                thread: Some(thread),
            }
        };
        let members = devices.iter().enumerate().skip(1).map(member).collect();
        Self {
            members,
            devices,
            collective,
        }
    }
}

impl<B: Send + Sync> DataParallel<'_, B> {
    /// How many devices there are, the first one too.
    pub fn devices(&self) -> usize {
        self.devices.len()
    }

    /// Lets the other devices begin with their micro-batches.
    pub fn begin(&mut self, work: &Arc<Work<B>>) {
        for member in &mut self.members {
            member.ask(Command::Gradients(work.clone()));
        }
    }

    /// The first device's gradients, to their sum over all devices; the others have it then too. Gives back what the
    /// others found of the loss.
    ///
    /// Parameters that no device has a gradient of have none afterwards; where some have one, the others count as 0.
    pub fn sum(&mut self, gradients: &mut GradientSum) -> Means {
        if self.members.is_empty() {
            return Means::new();
        }
        let mut sizes: Sizes = gradients.sizes().collect();
        let mut means = Means::new();
        for member in &mut self.members {
            if let Answer::Gradients(found, values) = member.answer() {
                sizes.extend(found);
                means.extend(values);
            }
        }
        sizes.sort();
        sizes.dedup();
        for bucket in buckets(&sizes) {
            let bucket = Arc::new(bucket);
            for member in &mut self.members {
                member.ask(Command::Sum(bucket.clone()));
            }
            let flat = flatten(gradients, &bucket, &self.devices[0]);
            let sum = if self.collective {
                let sum = all_reduce(flat, ReduceOperation::Sum, self.devices.clone()).resolve();
                for member in &mut self.members {
                    member.answer();
                }
                sum
            } else {
                // In the order of the devices, so that the sum does not depend on which is faster.
                let mut sum = to_vec(flat);
                for member in &mut self.members {
                    if let Answer::Part(part) = member.answer() {
                        sum.par_iter_mut().zip(part).for_each(|(sum, x)| *sum += x);
                    }
                }
                let sum = Arc::new(sum);
                for member in &mut self.members {
                    member.ask(Command::Summed(sum.clone()));
                }
                place(&sum, &self.devices[0])
            };
            spread(gradients, &bucket, sum);
        }
        means
    }

    /// Lets the other devices move their weights.
    pub fn step(&mut self, rate: f64) {
        for member in &mut self.members {
            member.ask(Command::Step(rate));
        }
    }

    /// Waits until they have.
    pub fn wait(&mut self) {
        for member in &mut self.members {
            member.answer();
        }
    }
}

/// Parameters in groups that travel together.
fn buckets(sizes: &[(String, usize)]) -> Vec<Sizes> {
    let mut buckets: Vec<Sizes> = Vec::new();
    let mut elements = usize::MAX;
    for (path, n) in sizes {
        if elements.saturating_add(*n) > BUCKET {
            buckets.push(Vec::new());
            elements = 0;
        }
        elements += n;
        if let Some(bucket) = buckets.last_mut() {
            bucket.push((path.clone(), *n));
        }
    }
    buckets
}

/// The gradients of some parameters, one behind the other; 0 where there is none.
fn flatten(gradients: &mut GradientSum, bucket: &Sizes, device: &Device) -> Tensor<1> {
    let parts = bucket.iter().map(|(path, n)| {
        let gradient = gradients.take(path);
        gradient.unwrap_or_else(|| Tensor::zeros([*n], device))
    });
    Tensor::cat(parts.collect(), 0)
}

/// The reverse of [`flatten`].
fn spread(gradients: &mut GradientSum, bucket: &Sizes, flat: Tensor<1>) {
    let mut start = 0;
    for (path, n) in bucket {
        gradients.put(path.clone(), flat.clone().narrow(0, start, *n));
        start += n;
    }
}

fn place(values: &[f32], device: &Device) -> Tensor<1> {
    Tensor::from_data(TensorData::new(values.to_vec(), [values.len()]), device)
}

/// The numbers of all parameters, in the order in which a module is gone through.
fn values_of<M: Module>(model: &M) -> Vec<Vec<f32>> {
    let mut values = Vec::new();
    bertkit_model::weights::visit(model, |_, _, of_one| values.push(of_one));
    values
}

/// A module whose parameters are made anew, of these numbers, on a device.
fn on_device<M: Module>(model: M, values: &[Vec<f32>], device: &Device) -> M {
    struct Mapper<'a> {
        values: std::slice::Iter<'a, Vec<f32>>,
        device: &'a Device,
    }
    impl ModuleMapper for Mapper<'_> {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            let (id, tensor, mapper) = param.consume();
            let values = self.values.next().cloned().unwrap_or_default();
            let data = TensorData::new(values, tensor.shape());
            let tensor = Tensor::from_data(data, self.device).require_grad();
            Param::from_mapped_value(id, tensor, mapper)
        }
    }
    model.map(&mut Mapper {
        values: values.iter(),
        device,
    })
}

/// The same weights on another device, with an optimizer that has seen the same gradients.
struct Replica<'a, T: Task> {
    task: &'a T,
    /// Its number among the devices.
    number: usize,
    devices: Vec<Device>,
    /// Whether they sum up among themselves.
    collective: bool,
    context: Context<'static>,
    model: T::Model,
    optimizer: AdamW,
}

impl<T: Task> Replica<'_, T> {
    /// Does what it is asked until nothing more can come, or nobody listens.
    fn work(mut self, asked: &Receiver<Command<T::Batch>>, answer: &Sender<Answer>) {
        let mut gradients = GradientSum::default();
        let mut bucket = Arc::new(Sizes::new());
        for order in asked {
            let device = &self.devices[self.number];
            let done = match order {
                Command::Gradients(work) => {
                    let (task, model, number) = (self.task, &self.model, self.number);
                    let mut share = Share::find(task, &work, number, model, self.context, None);
                    let means = work.means(self.number, &share.read());
                    gradients = share.gradients;
                    Answer::Gradients(gradients.sizes().collect(), means)
                }
                Command::Sum(sizes) => {
                    bucket = sizes;
                    let flat = flatten(&mut gradients, &bucket, device);
                    if self.collective {
                        let all = self.devices.clone();
                        let sum = all_reduce(flat, ReduceOperation::Sum, all).resolve();
                        spread(&mut gradients, &bucket, sum);
                        Answer::Done
                    } else {
                        Answer::Part(to_vec(flat))
                    }
                }
                Command::Summed(sum) => {
                    spread(&mut gradients, &bucket, place(&sum, device));
                    continue;
                }
                Command::Step(rate) => {
                    let (task, found) = (self.task, std::mem::take(&mut gradients));
                    let rule = |path: &str| task.param_group(path);
                    (self.model, _) = self.optimizer.step(self.model, found, rate, rule);
                    Answer::Done
                }
            };
            if answer.send(done).is_err() {
                break;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_hold_everything_once_and_in_order() {
        let sizes: Sizes = [1, BUCKET - 1, 1, 3 * BUCKET, 5]
            .iter()
            .enumerate()
            .map(|(i, &n)| (format!("p{i}"), n))
            .collect();
        let found = buckets(&sizes);
        let lengths: Vec<usize> = found.iter().map(Vec::len).collect();
        assert_eq!(lengths, [2, 1, 1, 1]);
        assert_eq!(found.concat(), sizes);
    }

    #[test]
    fn what_is_flattened_is_spread_again_with_zeros_for_what_is_missing() {
        let device = Device::flex();
        let mut gradients = GradientSum::default();
        gradients.put("b".into(), place(&[1.0, 2.0], &device));
        let bucket = vec![("a".to_owned(), 1), ("b".to_owned(), 2)];
        let flat = flatten(&mut gradients, &bucket, &device);
        assert_eq!(to_vec(flat.clone()), [0.0, 1.0, 2.0]);
        spread(&mut gradients, &bucket, flat + 1.0);
        assert_eq!(gradients.take("a").map(to_vec), Some(vec![1.0]));
        assert_eq!(gradients.take("b").map(to_vec), Some(vec![2.0, 3.0]));
    }
}
