//! Errors, hints and notes as the user sees them, on standard error.

use std::error::Error;
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::OnceLock;

use anstyle::{AnsiColor, Style};
use bertkit_data::DataError;
use bertkit_data::error::{CorpusError, FileError, LabelError, SplitError, TableError};
use bertkit_training::TrainError;

/// Why a command ended without a result.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The configuration, the data, the model, the run.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// A table.
    #[error(transparent)]
    Data(#[from] DataError),
    /// As above, with something better to do about it than the library can know.
    #[error("{source}")]
    Hinted {
        /// What happened.
        #[source]
        source: Box<DataError>,
        /// What to do.
        hint: String,
    },
    /// The command line asks for something that makes no sense.
    #[error("{message}")]
    Usage {
        /// What makes no sense.
        message: String,
        /// What to do.
        hint: String,
    },
    /// A device has no memory left.
    #[error("the device's memory is full{asked}")]
    DeviceMemory {
        /// How much more it was to give, in brackets, where that is known.
        asked: String,
    },
    /// A device gave up in the middle of the work.
    #[error("the device stopped working: {reason}")]
    DeviceFailed {
        /// What its driver said.
        reason: String,
    },
    /// Standard input could not be read.
    #[error("could not read standard input")]
    Stdin {
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Standard input holds a line that cannot be used.
    #[error("line {line} of standard input {problem}")]
    Line {
        /// The line, from 1.
        line: u64,
        /// What is wrong with it.
        problem: String,
        /// What to do.
        hint: String,
    },
    /// Standard output could not be written.
    #[error("could not write to standard output")]
    Stdout {
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A file could not be written.
    #[error("could not write `{}`", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// One of several runs, in a process of its own, did not come to its end.
    #[error("run `{run}`: {message}")]
    Run {
        /// The run.
        run: String,
        /// What its process said.
        message: String,
        /// What to do, in its words.
        hint: String,
        /// Its exit code.
        code: u8,
    },
    /// A process for a run could not be started, or not be watched.
    #[error("could not make run `{run}` in a process of its own")]
    Process {
        /// The run.
        run: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Several runs were interrupted.
    #[error("interrupted with {done} of {runs} runs done")]
    Interrupted {
        /// Finished runs.
        done: usize,
        /// All of them.
        runs: usize,
        /// What goes on with them.
        resume: String,
    },
    /// The threads could not be started.
    #[error("could not start the threads")]
    Threads {
        /// Why.
        #[source]
        source: rayon::ThreadPoolBuildError,
    },
    /// Signals could not be handled.
    #[error("could not prepare for interruptions")]
    Signals {
        /// Why.
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

    /// What the user can do about it, if we know.
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

    /// The process's exit code.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Train(error) => error.exit_code(),
            Self::Run { code, .. } => *code,
            Self::Interrupted { .. } => crate::process::INTERRUPTED,
            Self::DeviceMemory { .. } => crate::micro_batch::MEMORY_FULL,
            Self::Data(DataError::Corpus(CorpusError::WriteShards { .. })) => 1,
            Self::Data(_) | Self::Hinted { .. } | Self::Usage { .. } | Self::Line { .. } => 2,
            _ => 1,
        }
    }
}

/// The hint of the library, in the words of the command line where a flag is the answer.
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

/// Shows the error with its causes and what to do, and says with which code to exit.
///
/// If nobody reads our output any more (`bertkit … | head`), that is no error.
pub fn report(error: &CliError) -> ExitCode {
    if is_closed_pipe(error) {
        return ExitCode::SUCCESS;
    }
    let mut text = format!("{} {error}\n", paint("error:", red()));
    let mut last = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let message = inner.to_string();
        if message != last {
            text += &format!("caused by: {message}\n");
        }
        last = message;
        cause = inner.source();
    }
    if let Some(hint) = error.hint() {
        text += &format!("\n{} {hint}\n", paint("hint:", cyan()));
    }
    stderr(&text);
    ExitCode::from(error.exit_code())
}

/// An error and its hint, of what another process of this program said.
pub fn parts_of(text: &str) -> (String, Option<String>) {
    let text = text.trim();
    let (message, hint) = match text.split_once("\nhint: ") {
        Some((message, hint)) => (message.trim_end(), Some(hint.to_owned())),
        None => (text, None),
    };
    let message = message.strip_prefix("error: ").unwrap_or(message);
    (message.to_owned(), hint)
}

/// Tells of a panic.
pub fn bug(message: &str) {
    stderr(&format!(
        "{} this is a bug in bertkit, please report it with your command and this line: {message}\n",
        paint("error:", red())
    ));
}

/// Tells something that the user should know.
pub fn note(text: &str) {
    stderr(&format!("{} {text}\n", paint("note:", cyan())));
}

/// Writes to standard error; if that is closed, nobody is there to be told.
pub fn stderr(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

/// Writes to standard output.
///
/// # Errors
/// The system could not write; [`report`] takes a closed pipe for no error.
pub fn stdout(text: &str) -> Result<(), CliError> {
    let mut out = io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    written.map_err(|source| CliError::Stdout { source })
}

/// Whether standard error is a terminal that can redraw a line.
pub fn stderr_is_terminal() -> bool {
    io::stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// Whether standard error gets colours: a terminal, and no `NO_COLOR`.
fn coloured() -> bool {
    static COLOURED: OnceLock<bool> = OnceLock::new();
    *COLOURED.get_or_init(|| {
        stderr_is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
    })
}

fn paint(text: &str, style: Style) -> String {
    if coloured() {
        format!("{style}{text}{style:#}")
    } else {
        text.into()
    }
}

fn red() -> Style {
    AnsiColor::Red.on_default().bold()
}

fn cyan() -> Style {
    AnsiColor::Cyan.on_default().bold()
}

fn is_closed_pipe(error: &CliError) -> bool {
    matches!(error, CliError::Stdout { source } if source.kind() == io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_pipe_is_no_error_but_a_full_disk_is() {
        let closed = CliError::Stdout {
            source: io::ErrorKind::BrokenPipe.into(),
        };
        let full = CliError::Stdout {
            source: io::ErrorKind::StorageFull.into(),
        };
        assert!(is_closed_pipe(&closed) && !is_closed_pipe(&full));
        assert_eq!(full.exit_code(), 1);
    }

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
