//! AdamW over all parameters of a model, with global-norm clipping.

use std::collections::HashMap;
use std::path::Path;

use bertkit_model::vectors::vectorised;
use bertkit_model::weights::{to_vec, write_safetensors};
use bertkit_model::{Checkpoint, WeightsError, is_cpu};
use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Gradients, Tensor, TensorData};
use rayon::prelude::*;

use crate::config::OptimizerConfig;
use crate::engine::param_groups::ParamGroup;

/// Elements that one thread updates, or sums, at a time. Fixed, so that results do not depend on the number of threads.
const CHUNK: usize = 1 << 12;
/// Elements that are skipped together as long as none of them has had a gradient: about one row of an embedding. A
/// divisor of [`CHUNK`].
const STRETCH: usize = 1 << 8;

/// Gradients of one update by parameter path, summed over its micro-batches.
#[derive(Debug, Default)]
pub struct GradientSum {
    sums: HashMap<String, Tensor<1>>,
    /// The loss scale, if there is one.
    scale: Option<f64>,
}

impl GradientSum {
    /// Gradients of losses multiplied by `scale`, which the optimizer divides by it.
    pub fn scaled(scale: f64) -> Self {
        Self {
            scale: Some(scale),
            ..Self::default()
        }
    }

    /// Parameters with a gradient, and its number of elements.
    pub(crate) fn sizes(&self) -> impl Iterator<Item = (String, usize)> + '_ {
        let each = self.sums.iter();
        each.map(|(path, gradient)| (path.clone(), gradient.shape().num_elements()))
    }

    /// Removes and returns the gradient of one parameter.
    pub(crate) fn take(&mut self, path: &str) -> Option<Tensor<1>> {
        self.sums.remove(path)
    }

    /// Sets the gradient of one parameter.
    pub(crate) fn put(&mut self, path: String, gradient: Tensor<1>) {
        self.sums.insert(path, gradient);
    }

    /// The gradients with their global norm, and the values of `also`, tensors that the host needs too. Every read waits
    /// for the device, so everything is read at once.
    pub(crate) fn measured(self, also: Vec<Tensor<1>>) -> (Measured, Vec<f32>) {
        let mut measured = Measured {
            host: HashMap::new(),
            device: HashMap::new(),
            norm: 0.0,
            inverse: self.scale.map_or(1.0, f64::recip),
        };
        let mut paths: Vec<String> = self.sums.keys().cloned().collect();
        paths.sort();
        let mut sums = self.sums;
        let wanted: usize = also.iter().map(|x| x.shape().num_elements()).sum();
        let (mut square, mut read) = (0.0, also);
        for path in paths {
            let Some(gradient) = sums.remove(&path) else {
                continue;
            };
            if is_cpu(&gradient.device()) {
                let values = gradient.inner().into_data();
                square += values.as_slice().map_or(f64::NAN, sum_of_squares);
                measured.host.insert(path, values);
            } else {
                read.extend(partial_squares(gradient.clone()));
                measured.device.insert(path, gradient);
            }
        }
        let mut values = match read.is_empty() {
            true => Vec::new(),
            false => to_vec(Tensor::cat(read, 0)),
        };
        square += values.drain(wanted..).map(f64::from).sum::<f64>();
        measured.norm = square.sqrt() * measured.inverse;
        (measured, values)
    }

    /// Adds the gradients of the parameters of `model` after a backward pass.
    pub fn add<M: Module>(&mut self, model: &M, gradients: Gradients) {
        struct Visitor<'a> {
            path: Vec<String>,
            gradients: Gradients,
            sums: &'a mut HashMap<String, Tensor<1>>,
        }
        impl ModuleVisitor for Visitor<'_> {
            fn enter_module(&mut self, name: &str, _container: &str) {
                self.path.push(name.into());
            }
            fn exit_module(&mut self, _name: &str, _container: &str) {
                self.path.pop();
            }
            fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
                let Some(gradient) = param.val().grad_remove(&mut self.gradients) else {
                    return;
                };
                let n = gradient.shape().num_elements();
                let gradient = gradient.reshape([n]);
                let path = self.path.join(".");
                let sum = match self.sums.remove(&path) {
                    Some(sum) => sum + gradient,
                    None => gradient,
                };
                self.sums.insert(path, sum);
            }
        }
        model.visit(&mut Visitor {
            path: Vec::new(),
            gradients,
            sums: &mut self.sums,
        });
    }
}

/// Gradients whose global norm is known.
#[derive(Debug)]
pub(crate) struct Measured {
    host: HashMap<String, TensorData>,
    device: HashMap<String, Tensor<1>>,
    /// The global norm before clipping, without the loss scale.
    pub norm: f64,
    /// The inverse of the loss scale.
    inverse: f64,
}

/// The first and second moment of one parameter.
#[derive(Debug, Clone)]
enum Moments {
    /// In the CPU's memory, updated in place.
    Host(HostMoments),
    /// On another device.
    Device(Box<[Tensor<1>; 2]>),
}

/// Moments in the CPU's memory, and which stretches of them are not all zero: rows of the word embedding without a
/// gradient so far take neither time nor memory.
#[derive(Debug, Clone)]
struct HostMoments {
    first: Vec<f32>,
    second: Vec<f32>,
    live: Vec<bool>,
}

impl HostMoments {
    fn zeros(n: usize) -> Self {
        Self {
            first: vec![0.0; n],
            second: vec![0.0; n],
            live: vec![false; n.div_ceil(STRETCH)],
        }
    }

    fn new(first: Vec<f32>, second: Vec<f32>) -> Self {
        let live = first
            .chunks(STRETCH)
            .zip(second.chunks(STRETCH))
            .map(|(m, v)| m.iter().chain(v).any(|&x| x != 0.0))
            .collect();
        Self {
            first,
            second,
            live,
        }
    }
}

/// AdamW with decoupled weight decay (Loshchilov & Hutter 2019, algorithm 2), in the order of operations of
/// `torch.optim.AdamW`; without bias correction, in that of `google-research/bert`.
#[derive(Debug, Clone)]
pub struct AdamW {
    config: OptimizerConfig,
    updates: u64,
    moments: HashMap<String, Moments>,
}

impl AdamW {
    /// A new optimizer, without moments.
    pub fn new(config: &OptimizerConfig) -> Self {
        Self {
            config: config.clone(),
            updates: 0,
            moments: HashMap::new(),
        }
    }

    /// Updates every parameter of `model` that has a gradient. Returns the global gradient norm before clipping
    /// (`torch.nn.utils.clip_grad_norm_`).
    ///
    /// `groups` gives the group of the parameter at a path. If the norm is not finite, nothing changes.
    pub fn step<M: Module>(
        &mut self,
        model: M,
        gradients: GradientSum,
        rate: f64,
        groups: impl Fn(&str) -> ParamGroup,
    ) -> (M, f64) {
        let (measured, _) = gradients.measured(Vec::new());
        let norm = measured.norm;
        (self.step_by(model, measured, rate, groups), norm)
    }

    /// As [`Self::step`], with gradients whose norm is known.
    pub(crate) fn step_by<M: Module>(
        &mut self,
        model: M,
        gradients: Measured,
        rate: f64,
        groups: impl Fn(&str) -> ParamGroup,
    ) -> M {
        let norm = gradients.norm;
        if !norm.is_finite() {
            return model;
        }
        let max = self.config.max_grad_norm;
        let clip = if max > 0.0 {
            (max / (norm + 1e-6)).min(1.0)
        } else {
            1.0
        };
        self.updates += 1;
        let mut mapper = Mapper {
            path: Vec::new(),
            optimizer: self,
            host: gradients.host,
            device: gradients.device,
            rate,
            clip: clip * gradients.inverse,
            groups,
        };
        model.map(&mut mapper)
    }

    fn coefficients(&self, rate: f64, clip: f64, group: ParamGroup) -> Coefficients {
        let c = &self.config;
        let t = self.updates.min(i32::MAX as u64) as i32;
        let rate = rate * group.rate_factor;
        // Without bias correction, as `AdamWeightDecayOptimizer` of google-research/bert.
        let (first, second) = if c.bias_correction {
            (1.0 - c.beta1.powi(t), (1.0 - c.beta2.powi(t)).sqrt())
        } else {
            (1.0, 1.0)
        };
        Coefficients {
            clip: clip as f32,
            keep: if group.decays {
                (1.0 - rate * c.weight_decay) as f32
            } else {
                1.0
            },
            beta1: c.beta1 as f32,
            beta2: c.beta2 as f32,
            step: (rate / first) as f32,
            root: second as f32,
            epsilon: c.epsilon as f32,
        }
    }

    /// Writes the moments as safetensors: `PATH.m`, `PATH.v` and the number of updates.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), WeightsError> {
        let mut tensors: Vec<(String, Vec<f32>)> = Vec::with_capacity(2 * self.moments.len());
        for (name, moments) in &self.moments {
            let (m, v) = match moments {
                Moments::Host(host) => (host.first.clone(), host.second.clone()),
                Moments::Device(both) => (to_vec(both[0].clone()), to_vec(both[1].clone())),
            };
            tensors.push((format!("{name}.m"), m));
            tensors.push((format!("{name}.v"), v));
        }
        let metadata = HashMap::from([("updates".to_owned(), self.updates.to_string())]);
        let views = tensors.iter().map(|(name, values)| {
            (
                name.as_str(),
                Flat {
                    shape: [values.len()],
                    values,
                },
            )
        });
        write_safetensors(views, metadata, path)
    }

    /// Reads the moments. `updates` is recorded in the checkpoint's `state.json`.
    ///
    /// # Errors
    /// The file is damaged.
    pub fn load(config: &OptimizerConfig, path: &Path, updates: u64) -> Result<Self, WeightsError> {
        let checkpoint = Checkpoint::open_safetensors(path)?;
        let mut moments = HashMap::new();
        let mut names: Vec<&str> = checkpoint
            .names()
            .filter_map(|name| name.strip_suffix(".m"))
            .collect();
        names.sort_unstable();
        for name in names {
            let m = checkpoint.read(&format!("{name}.m"))?;
            let v = checkpoint.read(&format!("{name}.v"))?;
            moments.insert(name.to_owned(), Moments::Host(HostMoments::new(m, v)));
        }
        Ok(Self {
            config: config.clone(),
            updates,
            moments,
        })
    }

    /// Updates done.
    pub fn updates(&self) -> u64 {
        self.updates
    }
}

/// A vector as a safetensors view.
struct Flat<'a> {
    shape: [usize; 1],
    values: &'a [f32],
}

impl safetensors::View for Flat<'_> {
    fn dtype(&self) -> safetensors::Dtype {
        safetensors::Dtype::F32
    }
    fn shape(&self) -> &[usize] {
        &self.shape
    }
    fn data(&self) -> std::borrow::Cow<'_, [u8]> {
        bytemuck::cast_slice(self.values).into()
    }
    fn data_len(&self) -> usize {
        self.values.len() * 4
    }
}

#[derive(Debug, Clone, Copy)]
struct Coefficients {
    clip: f32,
    keep: f32,
    beta1: f32,
    beta2: f32,
    step: f32,
    root: f32,
    epsilon: f32,
}

impl Coefficients {
    fn update_host(&self, p: &mut [f32], g: &[f32], moments: &mut HostMoments) {
        let c = *self;
        p.par_chunks_mut(CHUNK)
            .zip(g.par_chunks(CHUNK))
            .zip(moments.first.par_chunks_mut(CHUNK))
            .zip(moments.second.par_chunks_mut(CHUNK))
            .zip(moments.live.par_chunks_mut(CHUNK / STRETCH))
            .for_each(|((((p, g), m), v), live)| {
                vectorised(
                    #[inline(always)]
                    || {
                        let stretches = p
                            .chunks_mut(STRETCH)
                            .zip(g.chunks(STRETCH))
                            .zip(m.chunks_mut(STRETCH).zip(v.chunks_mut(STRETCH)))
                            .zip(live.iter_mut());
                        for (((p, g), (m, v)), live) in stretches {
                            // Whether any bit but the sign is set, without a branch per element.
                            *live =
                                *live || g.iter().fold(0, |bits, g| bits | g.to_bits()) << 1 != 0;
                            if !*live {
                                // Gradient and moments are 0: only the decay is left of the formula below.
                                if c.keep != 1.0 {
                                    p.iter_mut().for_each(|p| *p *= c.keep);
                                }
                                continue;
                            }
                            for (((p, g), m), v) in p.iter_mut().zip(g).zip(m).zip(v) {
                                let g = g * c.clip;
                                *m += (g - *m) * (1.0 - c.beta1);
                                *v = *v * c.beta2 + (1.0 - c.beta2) * g * g;
                                *p = *p * c.keep - c.step * *m / (v.sqrt() / c.root + c.epsilon);
                            }
                        }
                    },
                );
            });
    }

    fn update_device(
        &self,
        p: Tensor<1>,
        g: Tensor<1>,
        m: Tensor<1>,
        v: Tensor<1>,
    ) -> [Tensor<1>; 3] {
        let g = g * self.clip;
        let m = m.clone() + (g.clone() - m) * (1.0 - self.beta1);
        let v = v * self.beta2 + g.clone() * g * (1.0 - self.beta2);
        let p =
            p * self.keep - m.clone() * self.step / (v.clone().sqrt() / self.root + self.epsilon);
        [p, m, v]
    }
}

struct Mapper<'a, R> {
    path: Vec<String>,
    optimizer: &'a mut AdamW,
    host: HashMap<String, TensorData>,
    device: HashMap<String, Tensor<1>>,
    rate: f64,
    clip: f64,
    groups: R,
}

impl<R: Fn(&str) -> ParamGroup> ModuleMapper for Mapper<'_, R> {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.into());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let path = self.path.join(".");
        let group = (self.groups)(&path);
        if group.rate_factor == 0.0 {
            return param;
        }
        let coefficients = self.optimizer.coefficients(self.rate, self.clip, group);
        let shape = param.shape();
        let device = param.device();
        let n = shape.num_elements();
        if let Some(gradient) = self.host.remove(&path) {
            let (id, tensor, mapper) = param.consume();
            // This is the only reference to the tensor, so its data are not copied.
            let mut data = tensor.inner().into_data();
            let moments = self
                .optimizer
                .moments
                .entry(path)
                .or_insert_with(|| Moments::Host(HostMoments::zeros(n)));
            if let (Moments::Host(moments), Ok(values), Ok(gradient)) = (
                moments,
                data.as_mut_slice::<f32>(),
                gradient.as_slice::<f32>(),
            ) {
                coefficients.update_host(values, gradient, moments);
            }
            let tensor = Tensor::from_data(data, &device).require_grad();
            Param::from_mapped_value(id, tensor, mapper)
        } else if let Some(gradient) = self.device.remove(&path) {
            let (id, tensor, mapper) = param.consume();
            let plain = device.clone().inner();
            let place = |values: Vec<f32>| Tensor::from_data(TensorData::new(values, [n]), &plain);
            let (m, v) = match self.optimizer.moments.remove(&path) {
                Some(Moments::Device(both)) => (*both).into(),
                Some(Moments::Host(host)) => (place(host.first), place(host.second)),
                None => (Tensor::zeros([n], &plain), Tensor::zeros([n], &plain)),
            };
            let [p, m, v] = coefficients.update_device(tensor.inner().reshape([n]), gradient, m, v);
            self.optimizer
                .moments
                .insert(path, Moments::Device(Box::new([m, v])));
            let tensor = Tensor::from_inner(p.reshape(shape)).require_grad();
            Param::from_mapped_value(id, tensor, mapper)
        } else {
            param
        }
    }
}

/// Sums of squares of groups of elements, on the gradient's device. Summing millions of squares in f32 would lose the
/// small ones; the groups are summed in f64.
fn partial_squares(gradient: Tensor<1>) -> Vec<Tensor<1>> {
    const GROUP: usize = 1024;
    let n = gradient.shape().num_elements();
    let whole = n - n % GROUP;
    let mut sums = Vec::with_capacity(2);
    if whole > 0 {
        let groups = gradient.clone().narrow(0, 0, whole);
        let groups = groups.reshape([whole / GROUP, GROUP]);
        let groups: Tensor<2> = (groups.clone() * groups).sum_dim(1);
        sums.push(groups.reshape([whole / GROUP]));
    }
    if whole < n {
        let rest = gradient.narrow(0, whole, n - whole);
        sums.push((rest.clone() * rest).sum());
    }
    sums
}

/// The sum of squares in f64, chunk by chunk in a fixed order.
fn sum_of_squares(values: &[f32]) -> f64 {
    let sums: Vec<f64> = values
        .par_chunks(CHUNK)
        .map(|chunk| {
            vectorised(
                #[inline(always)]
                || {
                    let mut lanes = [0.0_f64; 16];
                    for part in chunk.chunks(16) {
                        for (lane, &x) in lanes.iter_mut().zip(part) {
                            *lane += f64::from(x) * f64::from(x);
                        }
                    }
                    lanes.iter().sum()
                },
            )
        })
        .collect();
    sums.iter().sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::param_groups::param_group;
    use bertkit_model::LayerDepths;

    #[test]
    fn squares_in_groups_are_those_of_all_elements() {
        for n in [1, 1023, 1024, 5000] {
            let values: Vec<f32> = (0..n).map(|i| i as f32 / n as f32).collect();
            let exact: f64 = values.iter().map(|&x| f64::from(x).powi(2)).sum();
            let gradient =
                Tensor::from_data(TensorData::new(values, [n]), &burn::tensor::Device::flex());
            let parts = to_vec(Tensor::cat(partial_squares(gradient), 0));
            let sum: f64 = parts.into_iter().map(f64::from).sum();
            assert!((sum - exact).abs() <= 1e-6 * exact, "{n}: {sum} {exact}");
        }
    }

    #[test]
    fn without_bias_correction_the_first_updates_are_those_of_the_reference() {
        // By hand, for a gradient of 2 twice, rate 0.1, decay 0.01, betas 0.9 and 0.999, epsilon 0:
        // m = 0.2, v = 0.004: 1 − 0.1 (0.2 / √0.004 + 0.01) = 0.6827722
        // m = 0.38, v = 0.007996: 0.6827722 − 0.1 (0.38 / √0.007996 + 0.00682772) = 0.2571303
        // With bias correction, each update is the rate: 1 − 0.1 (1 + 0.01) = 0.899, and so on.
        for (bias_correction, expected) in [
            (false, [0.682_772_2, 0.257_130_3]),
            (true, [0.899, 0.798_101]),
        ] {
            let config = OptimizerConfig {
                epsilon: 1e-30,
                bias_correction,
                ..OptimizerConfig::default()
            };
            let mut optimizer = AdamW::new(&config);
            let (mut p, mut moments) = ([1.0_f32], HostMoments::zeros(1));
            for expected in expected {
                optimizer.updates += 1;
                let group = param_group(
                    "encoder.layers.0.qkv.weight",
                    &LayerDepths::unshared(1),
                    1.0,
                    false,
                    0,
                );
                let c = optimizer.coefficients(0.1, 1.0, group);
                c.update_host(&mut p, &[2.0], &mut moments);
                assert!((p[0] - expected).abs() < 1e-5, "{} {expected}", p[0]);
            }
        }
    }
}
