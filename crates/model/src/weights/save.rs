//! Writing the parameters of a module as safetensors.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fs::File;
use std::path::Path;

use burn::module::Module;
use safetensors::Dtype;

use super::error::WeightsError;
use super::visit::visit;
use crate::naming::Naming;

/// A tensor to be written.
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

/// Writes the parameters of `module` to `path` as safetensors, with the names of transformers.
///
/// # Errors
/// The file cannot be written; it may be left incomplete, so write to a temporary name first.
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
            let written = tensors.iter().map(|(name, _)| name.as_str());
            if let Some(name) = naming.written_copy(part, written) {
                let copy = Outgoing {
                    shape: shape.clone(),
                    values: values.clone(),
                };
                tensors.push((name.into(), copy));
            }
            tensors.push((naming.full_name(part), Outgoing { shape, values }));
        }
    });
    let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    let views = tensors.iter().map(|(name, tensor)| (name.as_str(), tensor));
    write_safetensors(views, metadata, path)
}

/// Writes named tensors to a file with the default permissions of new files.
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
    // The library creates files that only their owner can read.
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
