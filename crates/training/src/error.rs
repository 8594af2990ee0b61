//! Errors of runs, evaluations and predictions.

use std::path::PathBuf;

use bertkit_data::DataError;
use bertkit_data::error::{CorpusError, FileError};
use bertkit_data::tokenizer::TokenizerError;
use bertkit_model::{ConfigError, DeviceError, ModelError, WeightsError};

use crate::config::RunConfigError;

/// An error of a run, an evaluation or a prediction.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] RunConfigError),
    /// The data or the tokenizer.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The tokenizer.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// The model folder.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The device.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// A setting does not fit the data or the model.
    #[error("{message}")]
    Setting {
        /// The mismatch.
        message: String,
        /// How to fix it.
        hint: String,
    },
    /// The run directory is not empty.
    #[error("the run directory `{}` is not empty", path.display())]
    NotEmpty {
        /// The directory.
        path: PathBuf,
        /// Whether a run has begun there that can be resumed.
        resumable: bool,
    },
    /// Another process writes to the directory.
    #[error("`{}` is in use by {}", path.display(), describe_process(*process))]
    InUse {
        /// The directory.
        path: PathBuf,
        /// The id of the process, if known.
        process: Option<u32>,
    },
    /// There is nothing to resume.
    #[error("there is no checkpoint to resume from in `{}`", path.display())]
    NothingToResume {
        /// The directory.
        path: PathBuf,
    },
    /// The run was started with other settings or data.
    #[error("`{}` cannot be resumed: {reason}", path.display())]
    ResumeMismatch {
        /// The directory.
        path: PathBuf,
        /// The difference.
        reason: String,
    },
    /// A checkpoint cannot be read.
    #[error("the checkpoint `{}` cannot be read: {reason}", path.display())]
    Checkpoint {
        /// The checkpoint.
        path: PathBuf,
        /// The reason.
        reason: String,
    },
    /// A file is not the one that was written.
    #[error("`{}` has changed since it was written: its SHA-256 is not the one in `{}`", path.display(), record.display())]
    Changed {
        /// The file.
        path: PathBuf,
        /// The file with the record.
        record: PathBuf,
    },
    /// There is no trained model.
    #[error("`{}` holds no trained model", path.display())]
    NoModel {
        /// The folder.
        path: PathBuf,
    },
    /// Writing failed.
    #[error("could not write `{}`", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's error.
        #[source]
        source: std::io::Error,
    },
    /// Reading failed.
    #[error("could not read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's error.
        #[source]
        source: std::io::Error,
    },
    /// A loss, gradient or weight is not finite.
    #[error("the {what} is {value} at step {step}, in the batch with {place}")]
    NotFinite {
        /// A term of the loss, `gradient norm` or `size of a weight`.
        what: String,
        /// Its value.
        value: f64,
        /// The update that failed.
        step: u64,
        /// Where the texts of the batch come from: "the rows from lines 1, 2 of the training file".
        place: String,
    },
    /// The user pressed Ctrl-C, or the system asked to stop.
    #[error("interrupted at step {step}")]
    Interrupted {
        /// Updates done.
        step: u64,
        /// How to continue the run.
        resume: String,
    },
}

/// A setting that does not fit the data or the model, and what to do about it.
pub(crate) fn setting(message: impl Into<String>, hint: impl Into<String>) -> TrainError {
    TrainError::Setting {
        message: message.into(),
        hint: hint.into(),
    }
}

fn describe_process(id: Option<u32>) -> String {
    match id {
        Some(id) => format!("another process (process id {id})"),
        None => "another process".into(),
    }
}

impl TrainError {
    /// What the user can do about it, if known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Config(error) => error.hint(),
            Self::Data(error) => error.hint(),
            Self::Tokenizer(error) => error.hint(),
            // Weights are written by runs only.
            Self::Model(ModelError::Weights(WeightsError::Write { .. })) => Some(
                "make room, then continue with [option.resume]; what was complete before is untouched".into(),
            ),
            Self::Model(error) => error.hint(),
            Self::Device(error) => error.hint(),
            Self::Setting { hint, .. } => Some(hint.clone()),
            Self::NotEmpty { resumable: true, .. } => Some(
                "continue what is there with [option.resume], replace it with [option.overwrite], or name another directory".into(),
            ),
            Self::NotEmpty { resumable: false, .. } => {
                Some("replace what is there with [option.overwrite], or name another directory".into())
            }
            Self::InUse { .. } => {
                Some("wait until that process has ended, or name another directory with [output]".into())
            }
            Self::NothingToResume { .. } => Some("start the run without [option.resume]".into()),
            Self::ResumeMismatch { .. } => {
                Some("start anew with [option.overwrite], or bring back the settings and the data that the run began with".into())
            }
            Self::Checkpoint { .. } => {
                Some("remove that checkpoint's folder to continue from the one before, or start anew with [option.overwrite]".into())
            }
            Self::Changed { record, .. } => Some(format!(
                "restore it from a copy, or train again; if the change was intended, remove `model` from `{}`",
                record.display()
            )),
            Self::NoModel { .. } => Some(
                "give a run directory that `bertkit finetune` has finished, or a model folder with config.json".into(),
            ),
            Self::Write { .. } => Some("check free space and permissions; what was complete before is untouched".into()),
            Self::NotFinite { .. } => Some(
                "lower the learning rate ([optimizer.learning_rate]), or look at those rows; checkpoints from before are intact".into(),
            ),
            Self::Interrupted { resume, .. } => Some(resume.clone()),
            Self::Read { source, .. } if source.kind() == std::io::ErrorKind::InvalidData => {
                Some("the file is damaged: it is not text in UTF-8; restore it from a copy".into())
            }
            Self::Read { .. } => Some("check that it is there, and its permissions".into()),
        }
    }

    /// The process's exit code: 2 for usage, configuration and data, 130 after Ctrl-C, else 1.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Config(_)
            | Self::Data(_)
            | Self::Tokenizer(_)
            | Self::Model(_)
            | Self::Device(_)
            | Self::Setting { .. }
            | Self::NotEmpty { .. }
            | Self::InUse { .. }
            | Self::NothingToResume { .. }
            | Self::ResumeMismatch { .. }
            | Self::NoModel { .. } => match self {
                Self::Model(
                    ModelError::Weights(WeightsError::Write { .. })
                    | ModelError::Config(ConfigError::Write { .. }),
                )
                | Self::Tokenizer(TokenizerError::Write { .. })
                | Self::Data(
                    DataError::File(FileError::Write { .. })
                    | DataError::Corpus(CorpusError::WriteShards { .. }),
                )
                | Self::Device(DeviceError::Broken { .. }) => 1,
                Self::Data(DataError::Corpus(CorpusError::Interrupted)) => 130,
                _ => 2,
            },
            Self::Interrupted { .. } => 130,
            // A text file of ours that is not UTF-8.
            Self::Read { source, .. } if source.kind() == std::io::ErrorKind::InvalidData => 2,
            _ => 1,
        }
    }
}
