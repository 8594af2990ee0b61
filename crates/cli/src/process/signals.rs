//! Ctrl-C and termination signals.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::error::{CliError, INTERRUPTED};
use crate::render;

/// What an interruption must finish first: nothing, files being written, or a training step.
const NOTHING: u8 = 0;
const PREPARATION: u8 = 1;
const TRAINING: u8 = 2;

static STOP: AtomicBool = AtomicBool::new(false);
static WORK: AtomicU8 = AtomicU8::new(NOTHING);
static TEMPORARY: Mutex<Option<PathBuf>> = Mutex::new(None);

/// Handles Ctrl-C and termination signals: they end the process until [`preparation_begins`] or [`training_begins`] is
/// called; after that, the first sets the returned flag and the second ends the process.
///
/// # Errors
/// The handler could not be installed.
pub fn stop_on_interrupt() -> Result<&'static AtomicBool, CliError> {
    handle(|| {
        let work = WORK.load(Ordering::SeqCst);
        if work == NOTHING {
            render::stderr("error: interrupted before the first step; nothing was written\n");
            leave();
        }
        if STOP.swap(true, Ordering::SeqCst) {
            leave();
        }
        render::note(match work {
            PREPARATION => {
                "stopping, and removing what is half written; Ctrl-C again stops at once"
            }
            _ => "finishing this step and writing a checkpoint; Ctrl-C again stops at once",
        });
    })?;
    Ok(&STOP)
}

/// From now on an interruption must not leave partial files.
pub fn preparation_begins() {
    WORK.store(PREPARATION, Ordering::SeqCst);
}

/// From now on an interruption waits for the end of a step and for a checkpoint.
pub fn training_begins() {
    WORK.store(TRAINING, Ordering::SeqCst);
}

/// Makes Ctrl-C and termination signals remove the path given to [`remove_on_interrupt`] and end the process.
///
/// # Errors
/// The handler could not be installed.
pub fn leave_on_interrupt() -> Result<(), CliError> {
    handle(|| leave())
}

/// Sets the file or folder that an interruption removes; `None` clears it.
pub fn remove_on_interrupt(path: Option<&Path>) {
    *TEMPORARY.lock().unwrap_or_else(PoisonError::into_inner) = path.map(Path::to_path_buf);
}

fn handle(action: impl FnMut() + Send + 'static) -> Result<(), CliError> {
    ctrlc::set_handler(action).map_err(|source| CliError::Signals { source })
}

fn leave() -> ! {
    // The lock is held until exit: a file about to be renamed is either removed or complete.
    let temporary = TEMPORARY.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(path) = temporary.as_deref() {
        // Failing to remove it (it may be gone already) changes nothing.
        let _ = match path.is_dir() {
            true => std::fs::remove_dir_all(path),
            false => std::fs::remove_file(path),
        };
    }
    std::process::exit(i32::from(INTERRUPTED))
}
