//! Reading tensors from safetensors files and PyTorch pickles.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use burn::tensor::Bytes;
use half::{bf16, f16};
use pytorch_reader::PytorchReader;
use safetensors::Dtype;
use safetensors::tensor::Metadata;

use super::error::WeightsError;
use super::mapped::MappedFile;
use crate::families::Family;
use crate::naming::guess_family;

/// One tensor of a checkpoint: its shape and where it is stored.
#[derive(Debug, Clone)]
struct Entry {
    shape: Vec<usize>,
    source: Source,
}

#[derive(Debug, Clone)]
enum Source {
    /// Byte range in the safetensors file with that index.
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
    /// The same file, memory-mapped if the system supports it.
    map: Option<MappedFile>,
}

/// An opened checkpoint. Tensors are read one at a time, on request.
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
    /// `pytorch_model.bin` (zip, or the pickle stream of PyTorch before 1.6; no code in it is executed).
    ///
    /// # Errors
    /// There is no such file, or it is damaged.
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

    /// The path of the file, for error messages.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The names of all tensors, in no particular order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    /// The family whose prefix the tensor names have.
    pub fn guess_family(&self) -> Option<Family> {
        guess_family(self.names())
    }

    /// The shape of a tensor, if the checkpoint has it.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.entries.get(name).map(|entry| entry.shape.as_slice())
    }

    /// The number of outputs of the classification head in the checkpoint, if it has one.
    pub fn classifier_outputs(&self) -> Option<usize> {
        ["classifier.weight", "classifier.out_proj.weight"]
            .iter()
            .find_map(|name| self.shape(name)?.first().copied())
    }

    /// The values of a tensor as f32, row by row.
    ///
    /// # Errors
    /// The tensor is missing or does not hold floating-point numbers, or the file cannot be read.
    pub fn read(&self, name: &str) -> Result<Vec<f32>, WeightsError> {
        let mut values = Vec::new();
        self.append(name, &mut values)?;
        Ok(values)
    }

    /// As [`Self::read`], for a tensor that must have shape `shape`.
    ///
    /// # Errors
    /// The shape differs, or as for [`Self::read`].
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

    /// The memory of an f32 tensor that is read from its file on first access, if the file is mapped
    /// and the tensor is aligned.
    pub(super) fn mapped(&self, name: &str) -> Option<Bytes> {
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

    /// Appends the values of a tensor as f32, row by row.
    pub(super) fn append(&self, name: &str, values: &mut Vec<f32>) -> Result<(), WeightsError> {
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
                // Every read seeks first, so a reader that panicked leaves no invalid state.
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

    /// Appends little-endian values of another type, converted to f32.
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
