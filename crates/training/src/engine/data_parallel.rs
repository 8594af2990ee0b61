//! Data parallelism: several devices train the same weights, each on a share of the micro-batches.
//!
//! The first device belongs to the thread of the training loop. Each of the others has one thread for the whole run, with
//! a copy of the weights and of the optimizer. Tensors never leave the thread that made them, because GPU backends order
//! their work by thread; threads exchange numbers in the host's memory, or gradients through NCCL.

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
use crate::engine::task::Task;

/// The devices of a training loop.
#[derive(Debug, Clone)]
pub(crate) struct DevicePlacement {
    /// The device whose weights are evaluated and saved.
    pub device: Device,
    /// Further devices, which train copies of the same weights on other micro-batches.
    pub more: Vec<Device>,
    /// How the models are computed.
    pub context: Context<'static>,
    /// Whether the time of each part of an update is measured.
    pub profile: bool,
}

impl DevicePlacement {
    /// All devices, the first one first.
    pub fn devices(&self) -> impl Iterator<Item = &Device> {
        std::iter::once(&self.device).chain(&self.more)
    }
}

/// Elements exchanged at once: enough to use the full bandwidth, but small compared with the gradients themselves.
const BUCKET: usize = 1 << 24;

/// The mean of each loss term in some micro-batches, with their numbers in the update.
pub(crate) type Means = Vec<(usize, Vec<f64>)>;

/// Parameter paths and their number of elements.
type Sizes = Vec<(String, usize)>;

/// Whether gradients of these devices are summed by NCCL; otherwise they are summed in the host's memory.
pub(crate) fn is_collective(devices: &[Device]) -> bool {
    devices.len() > 1 && devices.iter().all(is_cuda) && has_nccl()
}

/// A command to the thread of another device; `I` is the input of an update.
enum Command<I> {
    /// Compute the gradients of its micro-batches.
    Gradients(Arc<I>),
    /// Sum its gradients of these parameters with those of the other devices.
    Sum(Arc<Sizes>),
    /// Take this sum over all devices, if it was computed in the host's memory.
    Summed(Arc<Vec<f32>>),
    /// Update the weights at this learning rate.
    Update(f64),
}

/// The reply of a device's thread.
enum Reply {
    Gradients(Sizes, Means),
    /// Its summand, if the sum is computed in the host's memory.
    Part(Vec<f32>),
    /// The command is done.
    Done,
}

/// The thread of another device.
struct Worker<'scope, I> {
    commands: Sender<Command<I>>,
    replies: Receiver<Reply>,
    thread: Option<ScopedJoinHandle<'scope, ()>>,
}

impl<I> Worker<'_, I> {
    fn send(&mut self, command: Command<I>) {
        if self.commands.send(command).is_err() {
            self.gone();
        }
    }

    fn reply(&mut self) -> Reply {
        match self.replies.recv() {
            Ok(reply) => reply,
            Err(_) => self.gone(),
        }
    }

    /// The thread has ended early: resumes its panic.
    fn gone(&mut self) -> ! {
        match self.thread.take().map(ScopedJoinHandle::join) {
            Some(Err(panic)) => std::panic::resume_unwind(panic),
            _ => unreachable!("a device's thread ends when its channel closes"),
        }
    }
}

/// All devices of a run, and the threads of those besides the first.
pub(crate) struct DataParallel<'scope, I> {
    workers: Vec<Worker<'scope, I>>,
    /// All devices, including the first.
    devices: Vec<Device>,
    /// Whether NCCL sums gradients.
    collective: bool,
}

impl<'scope, I: Send + Sync + 'scope> DataParallel<'scope, I> {
    /// Starts a thread for each device besides the first, with copies of the weights and the optimizer. `compute` gives the
    /// gradients and the means of the loss terms on one of the devices.
    pub fn new<'env, T: Task>(
        scope: &'scope Scope<'scope, 'env>,
        task: &'env T,
        placement: &DevicePlacement,
        model: &T::Model,
        optimizer: &AdamW,
        compute: impl Fn(&I, usize, &T::Model) -> (GradientSum, Means) + Clone + Send + 'scope,
    ) -> Self
    where
        T::Model: 'scope,
    {
        let devices = placement.devices().map(|device| device.clone().inner());
        let devices: Vec<Device> = devices.collect();
        let collective = is_collective(&devices);
        // The other threads make their tensors from these numbers in the host's memory.
        let weights = match placement.more.is_empty() {
            true => Arc::default(),
            false => Arc::new(values_of(model)),
        };
        let worker = |(number, device): (usize, &Device)| {
            let (commands, received) = channel();
            let (reply, replies) = channel();
            let (model, optimizer, compute) = (model.clone(), optimizer.clone(), compute.clone());
            let weights = weights.clone();
            let (device, devices) = (device.clone().autodiff(), devices.clone());
            let thread = scope.spawn(move || {
                let model = on_device(model, &weights, &device);
                // Copying made every parameter trainable again.
                let model = freeze(model, |path| task.param_group(path));
                let replica = Replica {
                    task,
                    number,
                    devices,
                    collective,
                    compute,
                    model,
                    optimizer,
                };
                drop(weights);
                replica.work(&received, &reply);
            });
            Worker {
                commands,
                replies,
                thread: Some(thread),
            }
        };
        let workers = devices.iter().enumerate().skip(1).map(worker).collect();
        Self {
            workers,
            devices,
            collective,
        }
    }
}

impl<I: Send + Sync> DataParallel<'_, I> {
    /// The number of devices, including the first.
    pub fn count(&self) -> usize {
        self.devices.len()
    }

    /// Starts the forward and backward passes of the other devices.
    pub fn start(&mut self, step: &Arc<I>) {
        for worker in &mut self.workers {
            worker.send(Command::Gradients(step.clone()));
        }
    }

    /// Replaces the gradients of every device by their sum over all devices. Returns the loss terms of the others.
    ///
    /// A parameter without a gradient on any device keeps none; if only some devices have one, the others count as 0.
    pub fn all_reduce(&mut self, gradients: &mut GradientSum) -> Means {
        if self.workers.is_empty() {
            return Means::new();
        }
        let mut sizes: Sizes = gradients.sizes().collect();
        let mut means = Means::new();
        for worker in &mut self.workers {
            if let Reply::Gradients(found, values) = worker.reply() {
                sizes.extend(found);
                means.extend(values);
            }
        }
        sizes.sort();
        sizes.dedup();
        for bucket in buckets(&sizes) {
            let bucket = Arc::new(bucket);
            for worker in &mut self.workers {
                worker.send(Command::Sum(bucket.clone()));
            }
            let flat = flatten(gradients, &bucket, &self.devices[0]);
            let sum = if self.collective {
                let sum = all_reduce(flat, ReduceOperation::Sum, self.devices.clone()).resolve();
                for worker in &mut self.workers {
                    worker.reply();
                }
                sum
            } else {
                // In the order of the devices, so that the sum does not depend on their speed.
                let mut sum = to_vec(flat);
                for worker in &mut self.workers {
                    if let Reply::Part(part) = worker.reply() {
                        sum.par_iter_mut().zip(part).for_each(|(sum, x)| *sum += x);
                    }
                }
                let sum = Arc::new(sum);
                for worker in &mut self.workers {
                    worker.send(Command::Summed(sum.clone()));
                }
                place(&sum, &self.devices[0])
            };
            spread(gradients, &bucket, sum);
        }
        means
    }

    /// Starts the update of the weights on the other devices.
    pub fn update(&mut self, rate: f64) {
        for worker in &mut self.workers {
            worker.send(Command::Update(rate));
        }
    }

    /// Waits for the updates of the other devices.
    pub fn wait(&mut self) {
        for worker in &mut self.workers {
            worker.reply();
        }
    }
}

/// Parameters in groups that are exchanged at once.
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

/// The gradients of some parameters in one vector; 0 where there is none.
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

/// The numbers of all parameters, in the order of the module's visitor.
fn values_of<M: Module>(model: &M) -> Vec<Vec<f32>> {
    let mut values = Vec::new();
    bertkit_model::weights::visit(model, |_, _, of_one| values.push(of_one));
    values
}

/// A module with new parameters on a device, made from these numbers.
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

/// A copy of weights and optimizer on another device.
struct Replica<'a, T: Task, C> {
    task: &'a T,
    /// The index of its device.
    number: usize,
    devices: Vec<Device>,
    /// Whether NCCL sums gradients.
    collective: bool,
    compute: C,
    model: T::Model,
    optimizer: AdamW,
}

impl<T: Task, C> Replica<'_, T, C> {
    /// Executes commands until the channel closes.
    fn work<I>(mut self, received: &Receiver<Command<I>>, reply: &Sender<Reply>)
    where
        C: Fn(&I, usize, &T::Model) -> (GradientSum, Means),
    {
        let mut gradients = GradientSum::default();
        let mut bucket = Arc::new(Sizes::new());
        for command in received {
            let device = &self.devices[self.number];
            let done = match command {
                Command::Gradients(step) => {
                    let (found, means) = (self.compute)(&step, self.number, &self.model);
                    gradients = found;
                    Reply::Gradients(gradients.sizes().collect(), means)
                }
                Command::Sum(sizes) => {
                    bucket = sizes;
                    let flat = flatten(&mut gradients, &bucket, device);
                    if self.collective {
                        let all = self.devices.clone();
                        let sum = all_reduce(flat, ReduceOperation::Sum, all).resolve();
                        spread(&mut gradients, &bucket, sum);
                        Reply::Done
                    } else {
                        Reply::Part(to_vec(flat))
                    }
                }
                Command::Summed(sum) => {
                    spread(&mut gradients, &bucket, place(&sum, device));
                    continue;
                }
                Command::Update(rate) => {
                    let (task, found) = (self.task, std::mem::take(&mut gradients));
                    let groups = |path: &str| task.param_group(path);
                    (self.model, _) = self.optimizer.step(self.model, found, rate, groups);
                    Reply::Done
                }
            };
            if reply.send(done).is_err() {
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
