//! Weights in Hugging Face's layout: reading, with a report of what was and was not there, and
//! writing.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Bytes, DType, Device, Tensor, TensorData};
use half::{bf16, f16};
use pytorch_reader::PytorchReader;
use safetensors::Dtype;
use safetensors::tensor::Metadata;

use crate::config::Family;
use crate::device::is_cpu;
use crate::initialize::Initializer;
use crate::mapped::MappedFile;
use crate::names::{Naming, canonical, guess_family};

/// Why weights could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WeightsError {
    /// The folder holds no file with weights.
    #[error("no weights in `{}`: there is neither `model.safetensors` nor `pytorch_model.bin`", folder.display())]
    Missing {
        /// The folder.
        folder: PathBuf,
    },
    /// The system refused to read.
    #[error("could not read weights from `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The file ends too early, or is longer than its own header says.
    #[error("`{}` is {found} bytes long, but its header describes {expected} bytes: the file is damaged", path.display())]
    Length {
        /// The file.
        path: PathBuf,
        /// What the header adds up to.
        expected: u64,
        /// What is there.
        found: u64,
    },
    /// The file's header makes no sense.
    #[error("`{}` is not a readable weights file: {reason}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A tensor that the encoder needs is not there.
    #[error("`{tensor}` is missing from `{}`", path.display())]
    Absent {
        /// The file.
        path: PathBuf,
        /// Its name in a checkpoint.
        tensor: String,
    },
    /// A tensor has another shape than the configuration says.
    #[error("`{tensor}` is {found:?} in `{}`, but the configuration makes it {expected:?}", path.display())]
    Shape {
        /// The file.
        path: PathBuf,
        /// Its name in a checkpoint.
        tensor: String,
        /// The shape that the configuration leads to.
        expected: Vec<usize>,
        /// The shape in the file.
        found: Vec<usize>,
    },
    /// A tensor's numbers are of a kind that weights do not have.
    #[error("`{tensor}` holds {found} in `{}`, expected floating-point numbers", path.display())]
    Dtype {
        /// The file.
        path: PathBuf,
        /// Its name in the checkpoint.
        tensor: String,
        /// The type of its elements.
        found: String,
    },
    /// The system refused to write.
    #[error("could not write weights to `{}`", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
}

impl WeightsError {
    /// What the user can do about it, if we know.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Missing { .. } => {
                Some("a model folder holds the weights as `save_pretrained` of transformers writes them".into())
            }
            Self::Length { .. } | Self::Format { .. } => {
                Some("download or copy the file again; it may be cut short, or a Git LFS pointer".into())
            }
            Self::Shape { tensor, .. } if tensor.contains("word_embeddings") => {
                Some("set `vocab_size` in config.json to the number of rows of the word embedding".into())
            }
            Self::Shape { .. } | Self::Absent { .. } => {
                Some("config.json and the weights do not belong together; take both from the same checkpoint".into())
            }
            Self::Write { .. } => Some("check free space and permissions of that folder".into()),
            Self::Read { .. } => Some("it has to be a file that you may read".into()),
            Self::Dtype { .. } => Some("convert the weights to float32 first".into()),
        }
    }
}

/// One tensor of a checkpoint: where it lies and what shape it has.
#[derive(Debug, Clone)]
struct Entry {
    shape: Vec<usize>,
    source: Source,
}

#[derive(Debug, Clone)]
enum Source {
    /// Byte range in the safetensors file with that number.
    Safetensors {
        file: usize,
        start: u64,
        end: u64,
        dtype: Dtype,
    },
    /// Name in the pickle.
    Pickle(String),
}

/// An opened safetensors file.
struct WeightFile {
    path: PathBuf,
    file: Mutex<File>,
    /// The same in memory, where the system maps files.
    map: Option<MappedFile>,
}

/// An opened checkpoint. Tensors are read one at a time, when asked for.
pub struct Checkpoint {
    path: PathBuf,
    files: Vec<WeightFile>,
    pickle: Option<PytorchReader>,
    entries: HashMap<String, Entry>,
}

impl std::fmt::Debug for Checkpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Checkpoint")
            .field("path", &self.path)
            .field("tensors", &self.entries.len())
            .finish()
    }
}

impl Checkpoint {
    /// Opens the weights of a model folder: `model.safetensors`, its sharded form, or
    /// `pytorch_model.bin` (zip, or the pickle stream of PyTorch before 1.6; no code in it is run).
    ///
    /// # Errors
    /// None of them is there, or the one that is there is damaged.
    pub fn open(folder: &Path) -> Result<Self, WeightsError> {
        let single = folder.join("model.safetensors");
        let index = folder.join("model.safetensors.index.json");
        let pickle = folder.join("pytorch_model.bin");
        if single.exists() {
            let mut checkpoint = Self::empty(single.clone());
            checkpoint.add_safetensors(&single)?;
            Ok(checkpoint)
        } else if index.exists() {
            let mut checkpoint = Self::empty(index.clone());
            for file in shards(&index)? {
                checkpoint.add_safetensors(&folder.join(file))?;
            }
            Ok(checkpoint)
        } else if pickle.exists() {
            Self::open_pickle(&pickle)
        } else {
            Err(WeightsError::Missing {
                folder: folder.into(),
            })
        }
    }

    fn empty(path: PathBuf) -> Self {
        Self {
            path,
            files: Vec::new(),
            pickle: None,
            entries: HashMap::new(),
        }
    }

    /// Opens one safetensors file.
    ///
    /// # Errors
    /// It cannot be read or is damaged.
    pub fn open_safetensors(path: &Path) -> Result<Self, WeightsError> {
        let mut checkpoint = Self::empty(path.into());
        checkpoint.add_safetensors(path)?;
        Ok(checkpoint)
    }

    fn add_safetensors(&mut self, path: &Path) -> Result<(), WeightsError> {
        let read = |source| WeightsError::Read {
            path: path.into(),
            source,
        };
        let format = |reason: String| WeightsError::Format {
            path: path.into(),
            reason,
        };
        let mut file = File::open(path).map_err(read)?;
        let found = file.metadata().map_err(read)?.len();
        let mut size = [0; 8];
        if found < 8 {
            return Err(format(format!("{found} bytes cannot hold a header")));
        }
        file.read_exact(&mut size).map_err(read)?;
        let header = u64::from_le_bytes(size);
        if header > 100_000_000 || header + 8 > found {
            return Err(format(format!(
                "its header claims {header} bytes, the file has {found}"
            )));
        }
        let mut text = vec![0; header as usize];
        file.read_exact(&mut text).map_err(read)?;
        let metadata: Metadata =
            serde_json::from_slice(&text).map_err(|e| format(format!("its header: {e}")))?;
        let expected = 8 + header + metadata.data_len() as u64;
        if expected != found {
            return Err(WeightsError::Length {
                path: path.into(),
                expected,
                found,
            });
        }
        let number = self.files.len();
        for (name, info) in metadata.tensors() {
            let source = Source::Safetensors {
                file: number,
                start: 8 + header + info.data_offsets.0 as u64,
                end: 8 + header + info.data_offsets.1 as u64,
                dtype: info.dtype,
            };
            self.entries.insert(
                name,
                Entry {
                    shape: info.shape.clone(),
                    source,
                },
            );
        }
        self.files.push(WeightFile {
            path: path.into(),
            map: MappedFile::new(&file).ok(),
            file: Mutex::new(file),
        });
        Ok(())
    }

    fn open_pickle(path: &Path) -> Result<Self, WeightsError> {
        if let Err(source) = File::open(path) {
            return Err(WeightsError::Read {
                path: path.into(),
                source,
            });
        }
        let open = |key: Option<&str>| match key {
            None => PytorchReader::new(path),
            Some(key) => PytorchReader::with_top_level_key(path, key),
        };
        let mut reader = open(None).map_err(|e| WeightsError::Format {
            path: path.into(),
            reason: e.to_string(),
        })?;
        for key in ["state_dict", "model"] {
            let nested = reader
                .tensors()
                .keys()
                .all(|name| name.starts_with(&format!("{key}.")));
            if nested && let Ok(inner) = open(Some(key)) {
                reader = inner;
            }
        }
        let mut checkpoint = Self::empty(path.into());
        for (name, tensor) in reader.tensors() {
            let source = Source::Pickle(name.clone());
            checkpoint.entries.insert(
                name.clone(),
                Entry {
                    shape: tensor.shape().to_vec(),
                    source,
                },
            );
        }
        checkpoint.pickle = Some(reader);
        Ok(checkpoint)
    }

    /// The file that errors name.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The names of all tensors, in no order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    /// The family whose prefix the names carry.
    pub fn guess_family(&self) -> Option<Family> {
        guess_family(self.names())
    }

    /// The shape of a tensor, if it is there.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.entries.get(name).map(|entry| entry.shape.as_slice())
    }

    /// The number of outputs of the classification head in the checkpoint, if it has one.
    pub fn classifier_outputs(&self) -> Option<usize> {
        ["classifier.weight", "classifier.out_proj.weight"]
            .iter()
            .find_map(|name| self.shape(name)?.first().copied())
    }

    /// The numbers of a tensor as f32, row by row.
    ///
    /// # Errors
    /// It is not there, is not made of floating-point numbers, or the file cannot be read.
    pub fn read(&self, name: &str) -> Result<Vec<f32>, WeightsError> {
        let mut values = Vec::new();
        self.append(name, &mut values)?;
        Ok(values)
    }

    /// The same of a tensor that must have that shape.
    ///
    /// # Errors
    /// It has another shape, and as [`Self::read`].
    pub fn read_shaped(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, WeightsError> {
        match self.shape(name) {
            Some(found) if found != shape => Err(WeightsError::Shape {
                path: self.path().into(),
                tensor: name.into(),
                expected: shape.to_vec(),
                found: found.to_vec(),
            }),
            _ => self.read(name),
        }
    }

    /// A tensor of f32 that stays in its file until it is read, if it lies there as memory wants it.
    fn mapped(&self, name: &str) -> Option<Bytes> {
        let Source::Safetensors {
            file,
            start,
            end,
            dtype: Dtype::F32,
        } = &self.entries.get(name)?.source
        else {
            return None;
        };
        if cfg!(target_endian = "big") {
            return None;
        }
        let range = usize::try_from(*start).ok()?..usize::try_from(*end).ok()?;
        self.files[*file].map.as_ref()?.take(range)
    }

    fn append(&self, name: &str, values: &mut Vec<f32>) -> Result<(), WeightsError> {
        let entry = self.entries.get(name).ok_or_else(|| WeightsError::Absent {
            path: self.path.clone(),
            tensor: name.into(),
        })?;
        match &entry.source {
            Source::Safetensors {
                file,
                start,
                end,
                dtype,
            } => {
                let WeightFile { path, file, .. } = &self.files[*file];
                let failed = |source| WeightsError::Read {
                    path: path.clone(),
                    source,
                };
                // A reader that panicked between seek and read leaves no state that matters.
                let mut file = file
                    .lock()
                    .unwrap_or_else(std::sync::PoisonError::into_inner);
                file.seek(SeekFrom::Start(*start)).map_err(failed)?;
                let bytes = (end - start) as usize;
                if *dtype == Dtype::F32 {
                    let old = values.len();
                    values.resize(old + bytes / 4, 0.0);
                    file.read_exact(bytemuck::cast_slice_mut(&mut values[old..]))
                        .map_err(failed)?;
                    if cfg!(target_endian = "big") {
                        for value in &mut values[old..] {
                            *value = f32::from_bits(u32::from_le(value.to_bits()));
                        }
                    }
                } else {
                    let mut raw = vec![0; bytes];
                    file.read_exact(&mut raw).map_err(failed)?;
                    self.widen(name, &format!("{dtype:?}"), &raw, values)?;
                }
            }
            Source::Pickle(key) => {
                let tensor = self.pickle.as_ref().and_then(|reader| reader.get(key));
                let tensor = tensor.ok_or_else(|| WeightsError::Absent {
                    path: self.path.clone(),
                    tensor: name.into(),
                })?;
                let raw: Vec<u8> = tensor.read().map_err(|e| WeightsError::Format {
                    path: self.path.clone(),
                    reason: format!("`{name}`: {e}"),
                })?;
                self.widen(name, &format!("{:?}", tensor.dtype()), &raw, values)?;
            }
        }
        Ok(())
    }

    fn widen(
        &self,
        name: &str,
        dtype: &str,
        raw: &[u8],
        values: &mut Vec<f32>,
    ) -> Result<(), WeightsError> {
        fn each<const N: usize>(raw: &[u8], values: &mut Vec<f32>, f: impl Fn([u8; N]) -> f32) {
            values.extend(raw.as_chunks::<N>().0.iter().map(|&chunk| f(chunk)));
        }
        match dtype {
            "F32" => each(raw, values, f32::from_le_bytes),
            "F64" => each(raw, values, |b| f64::from_le_bytes(b) as f32),
            "F16" => each(raw, values, |b| f16::from_le_bytes(b).to_f32()),
            "BF16" => each(raw, values, |b| bf16::from_le_bytes(b).to_f32()),
            other => {
                return Err(WeightsError::Dtype {
                    path: self.path.clone(),
                    tensor: name.into(),
                    found: other.into(),
                });
            }
        }
        Ok(())
    }
}

fn shards(index: &Path) -> Result<Vec<String>, WeightsError> {
    let text = std::fs::read_to_string(index).map_err(|source| WeightsError::Read {
        path: index.into(),
        source,
    })?;
    let format = |reason: String| WeightsError::Format {
        path: index.into(),
        reason,
    };
    let value: serde_json::Value =
        serde_json::from_str(&text).map_err(|e| format(e.to_string()))?;
    let map = value["weight_map"]
        .as_object()
        .ok_or_else(|| format("`weight_map` is missing".into()))?;
    let mut files: Vec<String> = map
        .values()
        .filter_map(|v| v.as_str().map(str::to_owned))
        .collect();
    files.sort();
    files.dedup();
    Ok(files)
}

/// What to do when the checkpoint lacks the head, or has one of another size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeadPolicy {
    /// It is an error: the head is what will be used.
    Required,
    /// The head starts fresh where it must, drawn from this seed: it will be trained.
    Fresh(u64),
    /// The head starts fresh whatever the checkpoint has: it answered another question.
    Discard(u64),
}

/// What loading found. Names are those of the checkpoint.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LoadReport {
    /// Parameters that started fresh, because the checkpoint has none for them.
    pub fresh: Vec<String>,
    /// Tensors of the checkpoint that the model has no place for.
    pub unused: Vec<String>,
}

/// Replaces every parameter of `module` by the checkpoint's.
///
/// # Errors
/// A tensor that must be there is absent or has another shape, or the file cannot be read.
pub fn load<M: Module>(
    module: M,
    checkpoint: &Checkpoint,
    naming: Naming,
    policy: HeadPolicy,
    standard_deviation: f64,
) -> Result<(M, LoadReport), WeightsError> {
    let mut available: HashMap<String, &str> = HashMap::new();
    for name in checkpoint.names() {
        available.insert(canonical(name, naming.family), name);
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
        .filter(|name| !loader.used.contains(name) && !Naming::is_redundant(name))
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
    /// The numbers for the parameter at `path`, or `None` where it starts fresh.
    ///
    /// With `lasting`, memory that stays in the file where that is possible.
    fn find(
        &mut self,
        path: &str,
        shape: &[usize],
        lasting: bool,
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
            let candidates =
                std::iter::once(part.as_str()).chain(self.naming.aliases(part).iter().copied());
            let mut candidates = candidates.filter(|name| self.available.contains_key(*name));
            // An untied decoder has its bias beside it; a head's bias of another name is then unused.
            let found = if self.path_has_untied_decoder(part) {
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
                        path: self.checkpoint.path.clone(),
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
                    path: self.checkpoint.path.clone(),
                    tensor: raw.into(),
                    expected,
                    found: found.to_vec(),
                });
            }
        }
        if let [source] = sources.as_slice()
            && lasting
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

    fn path_has_untied_decoder(&self, part: &str) -> bool {
        part == "cls.predictions.bias"
            && self
                .used
                .iter()
                .any(|name| name == "cls.predictions.decoder.weight")
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
        // What is trained is written to throughout, and a GPU has its own memory.
        let lasting = is_cpu(&device) && !device.is_autodiff();
        let values = match self.find(&path, shape.as_slice(), lasting) {
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

/// One tensor on its way to a file.
struct Outgoing {
    shape: Vec<usize>,
    values: Vec<f32>,
}

impl safetensors::View for &Outgoing {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        bytemuck::cast_slice(&self.values).into()
    }

    fn data_len(&self) -> usize {
        self.values.len() * 4
    }
}

/// Writes the parameters of `module` to `path` as safetensors, under the names of transformers.
///
/// # Errors
/// The file cannot be written; what is there then is not complete, so write to a temporary name.
pub fn save<M: Module>(module: &M, path: &Path, naming: Naming) -> Result<(), WeightsError> {
    let mut tensors: Vec<(String, Outgoing)> = Vec::new();
    visit(module, |path, shape, values| {
        let parts = naming.parts(path);
        let rows = shape[0] / parts.len();
        let length = values.len() / parts.len();
        for (i, part) in parts.iter().enumerate() {
            let mut shape = shape.to_vec();
            shape[0] = rows;
            let values = values[i * length..(i + 1) * length].to_vec();
            if part == "cls.predictions.bias"
                && tensors
                    .iter()
                    .any(|(n, _)| n == "cls.predictions.decoder.weight")
            {
                let copy = Outgoing {
                    shape: shape.clone(),
                    values: values.clone(),
                };
                tensors.push(("cls.predictions.decoder.bias".into(), copy));
            }
            tensors.push((naming.full_name(part), Outgoing { shape, values }));
        }
    });
    let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    let views = tensors.iter().map(|(name, tensor)| (name.as_str(), tensor));
    write_safetensors(views, metadata, path)
}

/// Writes named tensors to a file with the permissions that any new file gets.
///
/// # Errors
/// The file cannot be written.
pub fn write_safetensors<'a, V: safetensors::View>(
    tensors: impl IntoIterator<Item = (&'a str, V)>,
    metadata: HashMap<String, String>,
    path: &Path,
) -> Result<(), WeightsError> {
    let failed = |source| WeightsError::Write {
        path: path.into(),
        source,
    };
    // The library makes files that only their owner can read.
    let permissions = File::create(path)
        .and_then(|file| file.metadata())
        .map_err(failed)?
        .permissions();
    safetensors::serialize_to_file(tensors, Some(metadata), path).map_err(|e| {
        failed(match e {
            safetensors::SafeTensorError::IoError(source) => source,
            other => std::io::Error::other(other.to_string()),
        })
    })?;
    std::fs::set_permissions(path, permissions).map_err(failed)
}

/// Shows every parameter to `see`: its path in our modules, its shape, and its numbers row by row.
pub fn visit<M: Module>(module: &M, see: impl FnMut(&str, &[usize], Vec<f32>)) {
    struct Visitor<F> {
        path: Vec<String>,
        see: F,
    }
    impl<F: FnMut(&str, &[usize], Vec<f32>)> ModuleVisitor for Visitor<F> {
        fn enter_module(&mut self, name: &str, _container: &str) {
            self.path.push(name.into());
        }
        fn exit_module(&mut self, _name: &str, _container: &str) {
            self.path.pop();
        }
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let shape = param.shape();
            let values = to_vec(param.val());
            (self.see)(&self.path.join("."), shape.as_slice(), values);
        }
    }
    module.visit(&mut Visitor {
        path: Vec::new(),
        see,
    });
}

/// The numbers of a float tensor on the host, row by row.
///
/// # Panics
/// The device stopped working.
pub fn to_vec<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor
        .inner()
        .into_data()
        .try_into_vec_as()
        .expect("a float tensor converts to f32")
}
