//! Prints errors, hints and notes to standard error.

use std::error::Error;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::sync::OnceLock;

use anstyle::{AnsiColor, Style};

use crate::error::CliError;
use crate::placeholders::with_flags;

/// Prints an error with its causes and hint, with settings replaced by flags. Returns the exit code.
///
/// A closed output pipe (`bertkit … | head`) is not an error.
pub fn report(error: &CliError) -> ExitCode {
    if is_closed_pipe(error) {
        return ExitCode::SUCCESS;
    }
    let message = with_flags(&error.to_string());
    let mut text = format!("{} {message}\n", paint("error:", red()));
    let mut last = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let message = inner.to_string();
        if message != last {
            text += &format!("caused by: {}\n", with_flags(&message));
        }
        last = message;
        cause = inner.source();
    }
    if let Some(hint) = error.hint() {
        let hint = with_flags(&hint);
        text += &format!("\n{} {hint}\n", paint("hint:", cyan()));
    }
    stderr(&text);
    ExitCode::from(error.exit_code())
}

/// Splits what a child process of this program printed into its error message and hint.
pub fn parts_of(text: &str) -> (String, Option<String>) {
    let text = text.trim();
    let (message, hint) = match text.split_once("\nhint: ") {
        Some((message, hint)) => (message.trim_end(), Some(hint.to_owned())),
        None => (text, None),
    };
    let message = message.strip_prefix("error: ").unwrap_or(message);
    (message.to_owned(), hint)
}

/// Reports a panic.
pub fn bug(message: &str) {
    stderr(&format!(
        "{} this is a bug in bertkit, please report it with your command and this line: {message}\n",
        paint("error:", red())
    ));
}

/// Prints a note.
pub fn note(text: &str) {
    stderr(&format!("{} {text}\n", paint("note:", cyan())));
}

/// Writes to standard error. Failures are ignored: there is nowhere to report them.
pub fn stderr(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

/// Writes to standard output.
///
/// # Errors
/// The write failed. [`report`] ignores a closed pipe.
pub fn stdout(text: &str) -> Result<(), CliError> {
    let mut out = io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    written.map_err(|source| CliError::Stdout { source })
}

/// Whether standard error is a terminal that can redraw a line.
pub fn stderr_is_terminal() -> bool {
    io::stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// Whether standard error is coloured: it is a terminal and `NO_COLOR` is not set.
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
    matches!(error, CliError::Stdout { source } if is_broken_pipe(source))
}

/// Whether the cause is a closed pipe; table writers wrap the I/O error.
fn is_broken_pipe(error: &io::Error) -> bool {
    let broken = |error: &io::Error| error.kind() == io::ErrorKind::BrokenPipe;
    let mut cause = error.get_ref().map(|inner| inner as &dyn Error);
    while let Some(inner) = cause {
        if inner.downcast_ref::<io::Error>().is_some_and(broken) {
            return true;
        }
        cause = inner.source();
    }
    broken(error)
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
        // Wrapped as by the CSV writer.
        let wrapped = CliError::Stdout {
            source: io::Error::other(io::Error::from(io::ErrorKind::BrokenPipe)),
        };
        assert!(is_closed_pipe(&closed) && is_closed_pipe(&wrapped) && !is_closed_pipe(&full));
        assert_eq!(full.exit_code(), 1);
    }
}
