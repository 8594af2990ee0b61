//! What concerns the process as a whole: signals, threads, memory, panics.

use std::ffi::OsStr;
use std::io::{self, Read, Seek};
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::format::bytes;
use crate::render::{self, CliError};

/// Exit code after Ctrl-C: 128 + SIGINT.
pub const INTERRUPTED: u8 = 130;

/// What an interruption finds: nothing that it must bring to an end, files being written, or training.
const NOTHING: u8 = 0;
const PREPARATION: u8 = 1;
const TRAINING: u8 = 2;

static STOP: AtomicBool = AtomicBool::new(false);
static WORK: AtomicU8 = AtomicU8::new(NOTHING);
static TEMPORARY: Mutex<Option<PathBuf>> = Mutex::new(None);
/// What was panicked with, in the order of time: the first may be the reason of those that follow in other threads, or
/// have been borne by the thread's owner.
static PANICS: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Lets the C library keep what is freed, up to 2 GiB, instead of giving it back at once.
///
/// Each training step allocates and frees the same large buffers. By default, glibc returns them to
/// the kernel, which then clears every page again for the next step. 32 MiB is the largest
/// threshold for buffers with a mapping of their own that glibc accepts.
pub fn keep_freed_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: mallopt sets two numbers of the allocator, before there is another thread; a value
    // that it does not accept changes nothing.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, 32 << 20);
        libc::mallopt(libc::M_TRIM_THRESHOLD, i32::MAX);
    }
}

/// Gives what is free back to the system and begins to look for the peak of this process's memory
/// anew. Whether that could be done.
pub fn forget_peak_memory() -> bool {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: malloc_trim may be called at any time, by any thread.
    unsafe {
        libc::malloc_trim(0);
    }
    // The system's word for it: a 5 resets the peak of the resident memory (man 5 proc_pid_clear_refs).
    cfg!(target_os = "linux") && std::fs::write("/proc/self/clear_refs", "5").is_ok()
}

/// Keeps a layer of Mesa's Vulkan drivers from looking for a Wayland display that cannot be there.
///
/// It would print an error of its own for each graphics API that is asked for its devices. All it
/// does is to sort them, and we sort them ourselves.
pub fn quiet_graphics_layer() {
    #[cfg(target_os = "linux")]
    {
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let session = set("XDG_RUNTIME_DIR").is_some_and(|folder| Path::new(&folder).is_dir());
        if !session && set("MESA_VK_DEVICE_SELECT").is_none() {
            // SAFETY: called first in `main`, before there is another thread.
            unsafe { std::env::set_var("NODEVICE_SELECT", "1") };
        }
    }
}

/// Sets the number of threads for everything that computes on the CPU; all cores without a number.
///
/// # Errors
/// The threads could not be started.
pub fn use_threads(number: Option<u16>) -> Result<(), CliError> {
    let builder = rayon::ThreadPoolBuilder::new().num_threads(number.map_or(0, usize::from));
    builder
        .build_global()
        .map_err(|source| CliError::Threads { source })
}

/// From now on, Ctrl-C or a termination signal ends the process, until [`preparation_begins`] or
/// [`training_begins`]: then it raises the flag, and a second one ends the process.
///
/// # Errors
/// The system does not let us handle signals.
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

/// From now on there are files that an interruption must not leave half written.
pub fn preparation_begins() {
    WORK.store(PREPARATION, Ordering::SeqCst);
}

/// From now on there is a step that an interruption must bring to an end, and a checkpoint to write.
pub fn training_begins() {
    WORK.store(TRAINING, Ordering::SeqCst);
}

/// From now on, Ctrl-C or a termination signal ends the process, and removes what it named as temporary.
///
/// # Errors
/// The system does not let us handle signals.
pub fn leave_on_interrupt() -> Result<(), CliError> {
    handle(|| leave())
}

/// Lets a process that is about to be started be interrupted by [`interrupt`] and not by the terminal, which would do it a
/// second time, and not outlive this one. Other systems than Linux leave it to the terminal.
fn set_apart(command: &mut Command) {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        use std::os::unix::process::CommandExt;
        command.process_group(0);
        let follow = || match end_with_parent() {
            -1 => Err(std::io::Error::last_os_error()),
            _ => Ok(()),
        };
        // SAFETY: between fork and exec it makes one system call and allocates nothing.
        unsafe { command.pre_exec(follow) };
    }
    #[cfg(not(all(target_os = "linux", target_env = "gnu")))]
    let _ = command;
}

/// Asks for an interruption of the calling process when the thread that started it ends. -1 if that failed.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn end_with_parent() -> libc::c_int {
    // SAFETY: this option of prctl takes a signal's number and touches no memory.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGINT) }
}

/// Interrupts a process that was [`set_apart`], as Ctrl-C would.
fn interrupt(child: &Child) {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    if let Ok(id) = libc::pid_t::try_from(child.id()) {
        // SAFETY: the child has not been waited for, so that its number is still its own.
        unsafe { libc::kill(id, libc::SIGINT) };
    }
    #[cfg(not(all(target_os = "linux", target_env = "gnu")))]
    let _ = child;
}

/// Runs this program once more, with nothing to read and nothing to print, until it ends. It is interrupted, once, when
/// `stop` says so. Gives back how it ended, and what it said on standard error.
pub fn run_again(
    arguments: impl IntoIterator<Item = impl AsRef<OsStr>>,
    stop: &dyn Fn() -> bool,
) -> io::Result<(ExitStatus, String)> {
    const BETWEEN_LOOKS: Duration = Duration::from_millis(50);
    // A file, and no pipe: nobody has to read while it runs.
    let mut errors = tempfile::tempfile()?;
    let mut command = Command::new(std::env::current_exe()?);
    command.args(arguments);
    command.stdin(Stdio::null()).stdout(Stdio::null());
    command.stderr(errors.try_clone()?);
    set_apart(&mut command);
    let mut child = command.spawn()?;
    let mut told = false;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if stop() && !told {
            told = true;
            interrupt(&child);
        }
        std::thread::sleep(BETWEEN_LOOKS);
    };
    let mut text = String::new();
    errors.rewind()?;
    errors.read_to_string(&mut text)?;
    Ok((status, text))
}

fn handle(action: impl FnMut() + Send + 'static) -> Result<(), CliError> {
    ctrlc::set_handler(action).map_err(|source| CliError::Signals { source })
}

fn leave() -> ! {
    // Held until the end: a file that is about to be renamed is either removed or complete.
    let temporary = TEMPORARY.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(path) = temporary.as_deref() {
        // It lies where we could write; if it is gone already, so much the better.
        let _ = match path.is_dir() {
            true => std::fs::remove_dir_all(path),
            false => std::fs::remove_file(path),
        };
    }
    std::process::exit(i32::from(INTERRUPTED))
}

/// Names the file or folder that an interruption removes, or, with `None`, says that there is none any more.
pub fn remove_on_interrupt(path: Option<&Path>) {
    *TEMPORARY.lock().unwrap_or_else(PoisonError::into_inner) = path.map(Path::to_path_buf);
}

/// Whether a device's library gave up because its memory is full. Burn has no error for it: what it panics with
/// holds the words of CUDA, Vulkan or its own allocator.
fn is_out_of_memory(message: &str) -> bool {
    let message = message.to_lowercase();
    // The first three as cubecl tells them, the others as drivers do.
    [
        "can't allocate buffer of size",
        "out of device memory",
        "out-of-memory",
        "out of memory",
        "out_of_memory",
        "not enough memory",
    ]
    .iter()
    .any(|words| message.contains(words))
}

/// What a device's driver said when the device stopped working, of what Burn panics with then: its words hold that as the
/// last of several causes.
fn device_failure(message: &str) -> Option<String> {
    const SIGNS: [&str; 6] = [
        "drivererror(",
        "device is poisoned",
        "device was poisoned",
        "failed with status",
        "device is lost",
        "device lost",
    ];
    let lower = message.to_lowercase();
    SIGNS.iter().any(|sign| lower.contains(sign)).then(|| {
        let causes = message.split("Backtrace").next().unwrap_or(message);
        let last = causes.rsplit("Caused by:").next().unwrap_or(causes);
        last.trim().to_owned()
    })
}

/// How much was asked for when the memory was full, where that is told.
fn bytes_asked_for(message: &str) -> Option<u64> {
    let after = |words: &str| message.split_once(words).map(|(_, rest)| rest);
    let rest = after("allocate buffer of size: ").or_else(|| after("memory allocating "))?;
    let digits = rest.split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok()
}

/// Runs the program; a panic is told in one line, with the request to report it, and exits with 1. Where it came of a
/// device, whose memory is full or which stopped working, that is told instead, with what to do.
pub fn guarded(program: impl FnOnce() -> ExitCode) -> ExitCode {
    let default = panic::take_hook();
    let verbose = std::env::var_os("RUST_BACKTRACE").is_some_and(|value| value != "0");
    panic::set_hook(Box::new(move |info| {
        let what = info
            .payload_as_str()
            .unwrap_or("unknown reason")
            .replace('\n', " ");
        let place = info
            .location()
            .map(|l| format!(" ({}:{})", l.file(), l.line()));
        let mut panics = PANICS.lock().unwrap_or_else(PoisonError::into_inner);
        panics.push(format!("{what}{}", place.unwrap_or_default()));
        drop(panics);
        if verbose {
            default(info);
        }
    }));
    match panic::catch_unwind(AssertUnwindSafe(program)) {
        Ok(code) => code,
        Err(_) => {
            let panics =
                std::mem::take(&mut *PANICS.lock().unwrap_or_else(PoisonError::into_inner));
            match device_error(&panics) {
                Some(error) => render::report(&error),
                None => {
                    render::bug(&told(&panics));
                    ExitCode::from(1)
                }
            }
        }
    }
}

/// What a device's library gave up for, if that is why the program panicked.
fn device_error(panics: &[String]) -> Option<CliError> {
    if let Some(message) = panics.iter().find(|message| is_out_of_memory(message)) {
        let asked = bytes_asked_for(message).map_or(String::new(), |n| {
            format!(" ({} more were asked for)", bytes(n))
        });
        return Some(CliError::DeviceMemory { asked });
    }
    let reason = panics.iter().find_map(|message| device_failure(message))?;
    Some(CliError::DeviceFailed { reason })
}

/// The first and the last of some panics.
fn told(panics: &[String]) -> String {
    match panics {
        [] => "unknown reason".into(),
        [one] => one.clone(),
        [first, .., last] => format!("{first}; and at last: {last}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_memory_is_told_from_other_panics_with_what_was_asked_for() {
        let wgpu = "An IO error happened Caused by:   can't allocate buffer of size: 158072832 No backtrace";
        assert!(is_out_of_memory(wgpu));
        assert_eq!(bytes_asked_for(wgpu), Some(158_072_832));
        let cuda = "out of device memory allocating 4096 bytes";
        assert!(is_out_of_memory(cuda));
        assert_eq!(bytes_asked_for(cuda), Some(4096));
        let driver = "CUDA_ERROR_OUT_OF_MEMORY";
        assert!(is_out_of_memory(driver) && bytes_asked_for(driver).is_none());
        assert!(!is_out_of_memory("index out of bounds"));
    }

    #[test]
    fn a_device_that_stops_is_told_in_its_drivers_words() {
        let cuda = "Error while reading data: use `try_into_data` instead to catch the error at runtime: The device is \
                    poisoned Caused by:   Several failures at once Caused by:   cuLaunchKernel failed with status 719 \
                    Backtrace: No backtrace available Asked at: No backtrace available (weights.rs:828)";
        let reason = "cuLaunchKernel failed with status 719";
        assert_eq!(device_failure(cuda).as_deref(), Some(reason));
        let launch = "Error while reading data Caused by:   A launch error happened Caused by:   \
                      DriverError(CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES, \"too many resources\") Backtrace No backtrace available";
        assert!(
            device_failure(launch)
                .unwrap_or_default()
                .starts_with("DriverError(CUDA_ERROR_LAUNCH")
        );
        assert!(device_failure("Parent device is lost").is_some());
        assert!(device_failure("index out of bounds").is_none());
        // A panic that a thread of Burn's bore, before the one that ended the run.
        let panics = ["`Option::unwrap()` on `None`".to_owned(), cuda.to_owned()];
        assert!(matches!(
            device_error(&panics),
            Some(CliError::DeviceFailed { .. })
        ));
        assert!(device_error(&panics[..1]).is_none());
        assert!(
            told(&panics).starts_with("`Option::unwrap()` on `None`; and at last: Error while")
        );
    }
}
