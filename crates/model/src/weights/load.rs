//! Loading a checkpoint into a module, with a report of what was missing or unused.

use std::collections::HashMap;

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Bytes, DType, Device, Tensor, TensorData};

use super::checkpoint::Checkpoint;
use super::error::WeightsError;
use crate::device::is_cpu;
use crate::initialize::Initializer;
use crate::naming::Naming;

/// What to do if the checkpoint has no head, or one of another size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeadPolicy {
    /// Loading fails: the head will be used without training.
    Required,
    /// Missing parts of the head are initialised from this seed, to be trained.
    Fresh(u64),
    /// The whole head is initialised from this seed: the checkpoint's head is for another task.
    Discard(u64),
}

/// What was not loaded, by the names in the checkpoint.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LoadReport {
    /// Parameters missing from the checkpoint, initialised instead.
    pub fresh: Vec<String>,
    /// Tensors of the checkpoint that the model does not use.
    pub unused: Vec<String>,
}

/// Replaces every parameter of `module` with the checkpoint's.
///
/// # Errors
/// A required tensor is missing or has another shape, or the file cannot be read.
pub fn load<M: Module>(
    module: M,
    checkpoint: &Checkpoint,
    naming: Naming,
    policy: HeadPolicy,
    standard_deviation: f64,
) -> Result<(M, LoadReport), WeightsError> {
    let mut available: HashMap<String, &str> = HashMap::new();
    for name in checkpoint.names() {
        available.insert(naming.canonical(name), name);
    }
    let seed = match policy {
        HeadPolicy::Fresh(seed) | HeadPolicy::Discard(seed) => seed,
        HeadPolicy::Required => 0,
    };
    let mut loader = Loader {
        checkpoint,
        naming,
        policy,
        seed,
        standard_deviation,
        available,
        used: Vec::new(),
        path: Vec::new(),
        report: LoadReport::default(),
        error: None,
        initializer: None,
    };
    let module = module.map(&mut loader);
    if let Some(error) = loader.error {
        return Err(error);
    }
    let mut report = loader.report;
    report.unused = loader
        .available
        .keys()
        .filter(|name| !loader.used.contains(name) && !naming.is_redundant(name))
        .cloned()
        .collect();
    report.unused.sort();
    Ok((module, report))
}

struct Loader<'a> {
    checkpoint: &'a Checkpoint,
    naming: Naming,
    policy: HeadPolicy,
    seed: u64,
    standard_deviation: f64,
    available: HashMap<String, &'a str>,
    used: Vec<String>,
    path: Vec<String>,
    report: LoadReport,
    error: Option<WeightsError>,
    initializer: Option<Initializer>,
}

impl Loader<'_> {
    /// The values for the parameter at `path`, or `None` if it is to be initialised.
    ///
    /// With `may_map`, the values are mapped memory of the file if possible.
    fn find(
        &mut self,
        path: &str,
        shape: &[usize],
        may_map: bool,
    ) -> Result<Option<Bytes>, WeightsError> {
        let parts = self.naming.parts(path);
        let of_head = path.starts_with("head.");
        if of_head && matches!(self.policy, HeadPolicy::Discard(_)) {
            self.report
                .fresh
                .extend(parts.iter().map(|part| self.naming.full_name(part)));
            self.used.extend(parts);
            return Ok(None);
        }
        let may_be_fresh =
            self.policy != HeadPolicy::Required && (of_head || path.contains("pooler."));
        let mut sources = Vec::with_capacity(parts.len());
        for part in &parts {
            let candidates = std::iter::once(part.as_str()).chain(self.naming.alias(part));
            let mut candidates = candidates.filter(|name| self.available.contains_key(*name));
            // An untied decoder has its own copy of the bias; the head's copy is then unused.
            let used = self.used.iter().map(String::as_str);
            let found = if self.naming.prefers_alias(part, used) {
                candidates.next_back()
            } else {
                candidates.next()
            };
            match found.map(str::to_owned) {
                Some(name) => sources.push(name),
                None if may_be_fresh => {
                    self.report.fresh.push(self.naming.full_name(part));
                    return Ok(None);
                }
                None => {
                    return Err(WeightsError::Absent {
                        path: self.checkpoint.path().into(),
                        tensor: self.naming.full_name(part),
                    });
                }
            }
        }
        let mut expected = shape.to_vec();
        expected[0] /= parts.len();
        for source in &sources {
            let raw = self.available[source];
            let found = self.checkpoint.shape(raw).unwrap_or_default();
            if found != expected {
                if may_be_fresh && of_head {
                    self.report.fresh.push(self.naming.full_name(source));
                    self.used.push(source.clone());
                    return Ok(None);
                }
                return Err(WeightsError::Shape {
                    path: self.checkpoint.path().into(),
                    tensor: raw.into(),
                    expected,
                    found: found.to_vec(),
                });
            }
        }
        if let [source] = sources.as_slice()
            && may_map
            && let Some(bytes) = self.checkpoint.mapped(self.available[source])
        {
            self.used.extend(sources);
            return Ok(Some(bytes));
        }
        let mut values = Vec::with_capacity(shape.iter().product());
        for source in sources {
            self.checkpoint
                .append(self.available[&source], &mut values)?;
            self.used.push(source);
        }
        Ok(Some(Bytes::from_elems(values)))
    }
}

impl ModuleMapper for Loader<'_> {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.into());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if self.error.is_some() {
            return param;
        }
        let path = self.path.join(".");
        let shape = param.shape();
        let (id, tensor, mapper) = param.consume();
        let device: Device = tensor.device();
        // Training writes to all weights, and a GPU has its own memory.
        let may_map = is_cpu(&device) && !device.is_autodiff();
        let values = match self.find(&path, shape.as_slice(), may_map) {
            Ok(Some(values)) => Some(values),
            Ok(None) if D == 2 => {
                let (seed, deviation) = (self.seed, self.standard_deviation);
                let init = self
                    .initializer
                    .get_or_insert_with(|| Initializer::added(&device, seed, deviation));
                let values = init.normal_values(shape.as_slice().iter().product());
                Some(Bytes::from_elems(values))
            }
            Ok(None) => None, // biases 0 and LayerNorm 1, as constructed
            Err(error) => {
                self.error = Some(error);
                None
            }
        };
        let tensor = match values {
            Some(values) => {
                Tensor::from_data(TensorData::from_bytes(values, shape, DType::F32), &device)
            }
            None => tensor,
        };
        let tensor = if device.is_autodiff() {
            tensor.require_grad()
        } else {
            tensor
        };
        Param::from_mapped_value(id, tensor, mapper)
    }
}
