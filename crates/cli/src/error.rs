//! The error type of the command line, with its hints and exit codes.

use std::io;
use std::path::PathBuf;

use bertkit_data::DataError;
use bertkit_data::error::{CorpusError, FileError, LabelError, SplitError, TableError};
use bertkit_training::TrainError;

/// Exit code when the memory of a device is full.
pub const MEMORY_FULL: u8 = 3;

/// Exit code after an interruption: 128 + SIGINT.
pub const INTERRUPTED: u8 = 130;

/// The reason why a command ended without a result.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// An error of the configuration, the data, the model or the run.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// A data file could not be used.
    #[error(transparent)]
    Data(#[from] DataError),
    /// As `Data`, with a hint that the library cannot give.
    #[error("{source}")]
    Hinted {
        /// What happened.
        #[source]
        source: Box<DataError>,
        /// A suggestion for the user.
        hint: String,
    },
    /// Conflicting or impossible arguments.
    #[error("{message}")]
    Usage {
        /// What is wrong.
        message: String,
        /// A suggestion for the user.
        hint: String,
    },
    /// The device ran out of memory.
    #[error("the device's memory is full{asked}")]
    DeviceMemory {
        /// The size of the failed allocation in parentheses, if known; else empty.
        asked: String,
    },
    /// The device failed during the run.
    #[error("the device stopped working: {reason}")]
    DeviceFailed {
        /// The driver's message.
        reason: String,
    },
    /// Standard input could not be read.
    #[error("could not read standard input")]
    Stdin {
        /// The system error.
        #[source]
        source: io::Error,
    },
    /// A line of standard input could not be used.
    #[error("line {line} of standard input {problem}")]
    Line {
        /// The line number, from 1.
        line: u64,
        /// What is wrong with it.
        problem: String,
        /// A suggestion for the user.
        hint: String,
    },
    /// Standard output could not be written.
    #[error("could not write to standard output")]
    Stdout {
        /// The system error.
        #[source]
        source: io::Error,
    },
    /// A file could not be written.
    #[error("could not write `{}`", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The system error.
        #[source]
        source: io::Error,
    },
    /// A run in a child process failed.
    #[error("run `{run}`: {message}")]
    Run {
        /// The run.
        run: String,
        /// The child's error message.
        message: String,
        /// The child's hint.
        hint: String,
        /// The child's exit code.
        code: u8,
    },
    /// The child process for a run could not be started or waited for.
    #[error("could not make run `{run}` in a process of its own")]
    Process {
        /// The run.
        run: String,
        /// The system error.
        #[source]
        source: io::Error,
    },
    /// A series of runs was interrupted.
    #[error("interrupted with {done} of {runs} runs done")]
    Interrupted {
        /// The number of finished runs.
        done: usize,
        /// The total number of runs.
        runs: usize,
        /// How to continue.
        resume: String,
    },
    /// The thread pool could not be started.
    #[error("could not start the threads")]
    Threads {
        /// The cause.
        #[source]
        source: rayon::ThreadPoolBuildError,
    },
    /// The signal handler could not be installed.
    #[error("could not prepare for interruptions")]
    Signals {
        /// The cause.
        #[source]
        source: ctrlc::Error,
    },
}

impl CliError {
    /// A usage error.
    pub fn usage(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Usage {
            message: message.into(),
            hint: hint.into(),
        }
    }

    /// A suggestion for the user, if there is one.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Train(TrainError::Data(error)) | Self::Data(error) => data_hint(error),
            Self::Train(error) => error.hint(),
            Self::Hinted { hint, .. } | Self::Usage { hint, .. } | Self::Line { hint, .. } => {
                Some(hint.clone())
            }
            Self::Write { .. } => {
                Some("check that the folder exists, free space and permissions".into())
            }
            Self::Run { hint, .. } => Some(hint.clone()),
            Self::Interrupted { resume, .. } => Some(resume.clone()),
            Self::Process { .. } => Some(
                "make one run at a time, without --parallel, and give --micro-batch a number".into(),
            ),
            Self::DeviceMemory { .. } => Some(
                "in training, add --micro-batch auto, which puts batches through in parts that fit and keeps the updates, or --recompute, or lower --max-length; or take a device with more memory, or --device cpu"
                    .into(),
            ),
            Self::DeviceFailed { .. } => Some(
                "look at the system's log (dmesg, nvidia-smi) for its reason, or take another device with --device; training goes on from its last checkpoint with --resume"
                    .into(),
            ),
            Self::Threads { .. } => Some("ask for fewer with --threads N".into()),
            Self::Stdin { .. } => Some("pipe texts in, or name a table with --input FILE".into()),
            Self::Stdout { .. } => Some("check the free space where the output goes".into()),
            Self::Signals { .. } => None,
        }
    }

    /// The exit code of the process.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Train(error) => error.exit_code(),
            Self::Run { code, .. } => *code,
            Self::Interrupted { .. } => INTERRUPTED,
            Self::DeviceMemory { .. } => MEMORY_FULL,
            Self::Data(DataError::Corpus(CorpusError::WriteShards { .. })) => 1,
            Self::Data(_) | Self::Hinted { .. } | Self::Usage { .. } | Self::Line { .. } => 2,
            _ => 1,
        }
    }
}

/// The library's hint, or one that names a flag if a flag helps.
fn data_hint(error: &DataError) -> Option<String> {
    match error {
        DataError::File(FileError::UnknownFormat { extension, .. })
            if !matches!(
                extension.as_deref(),
                Some("json" | "gz" | "zip" | "bz2" | "xz" | "zst")
            ) && !matches!(extension.as_deref(), Some("xlsx" | "xls" | "ods")) =>
        {
            Some("say the format: --format csv, --format tsv or --format jsonl".into())
        }
        DataError::Table(TableError::HeaderOnly { .. }) => {
            Some("if its only line is data, add --no-header".into())
        }
        DataError::Table(TableError::UnknownColumn {
            other_delimiter: Some(name),
            ..
        }) => Some(format!(
            "the fields seem to be divided by another delimiter: try --delimiter {name}"
        )),
        DataError::Table(TableError::UnclosedQuote { .. }) => Some(
            "close or double the quote, or, if quotes are plain characters here, add --quote none"
                .into(),
        ),
        DataError::Table(TableError::Missing { .. }) => {
            Some("fill it in, or leave such rows out: --missing drop".into())
        }
        DataError::Split(SplitError::SingleRowClasses) => {
            Some("check the label column, or hold out no rows: --valid-fraction 0".into())
        }
        DataError::Label(LabelError::NotANumber { .. }) => {
            Some("correct the label, or make it a classification: --task classification".into())
        }
        _ => error.hint(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hints_name_the_flag_that_helps() {
        let error = CliError::Data(DataError::Table(TableError::HeaderOnly {
            path: "a.csv".into(),
        }));
        assert!(
            error
                .hint()
                .is_some_and(|hint| hint.contains("--no-header"))
        );
        assert_eq!(error.exit_code(), 2);
        let packed = DataError::File(FileError::UnknownFormat {
            path: "a.gz".into(),
            extension: Some("gz".into()),
            expected: "`.csv`".into(),
        });
        assert!(
            CliError::Data(packed)
                .hint()
                .is_some_and(|hint| hint.contains("unpack"))
        );
    }
}
