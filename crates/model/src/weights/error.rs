//! Why weights could not be read or written.

use std::path::PathBuf;

/// Why weights could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WeightsError {
    /// The folder contains no weights file.
    #[error("no weights in `{}`: there is neither `model.safetensors` nor `pytorch_model.bin`", folder.display())]
    Missing {
        /// The folder.
        folder: PathBuf,
    },
    /// The file could not be read.
    #[error("could not read weights from `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's error.
        #[source]
        source: std::io::Error,
    },
    /// The length of the file differs from what its header describes.
    #[error("`{}` is {found} bytes long, but its header describes {expected} bytes: the file is damaged", path.display())]
    Length {
        /// The file.
        path: PathBuf,
        /// The length that the header describes.
        expected: u64,
        /// The length of the file.
        found: u64,
    },
    /// The file is not a weights file, or its header is damaged.
    #[error("`{}` is not a readable weights file: {reason}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong with the file.
        reason: String,
    },
    /// A tensor that the model needs is missing.
    #[error("`{tensor}` is missing from `{}`", path.display())]
    Absent {
        /// The file.
        path: PathBuf,
        /// Its name in a checkpoint.
        tensor: String,
    },
    /// The shape of a tensor differs from the one in the configuration.
    #[error("`{tensor}` is {found:?} in `{}`, but the configuration makes it {expected:?}", path.display())]
    Shape {
        /// The file.
        path: PathBuf,
        /// Its name in a checkpoint.
        tensor: String,
        /// The shape according to the configuration.
        expected: Vec<usize>,
        /// The shape in the file.
        found: Vec<usize>,
    },
    /// A tensor does not hold floating-point numbers.
    #[error("`{tensor}` holds {found} in `{}`, expected floating-point numbers", path.display())]
    Dtype {
        /// The file.
        path: PathBuf,
        /// Its name in the checkpoint.
        tensor: String,
        /// The type of its elements.
        found: String,
    },
    /// The file could not be written.
    #[error("could not write weights to `{}`", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's error.
        #[source]
        source: std::io::Error,
    },
}

impl WeightsError {
    /// What the user can do about it, if known.
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
