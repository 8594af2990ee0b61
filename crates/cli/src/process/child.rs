//! Running this program again as a child process.

use std::ffi::OsStr;
use std::io::{self, Read, Seek};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

/// Runs this program again with `arguments`, without input or output, and waits for it. Interrupts it, once, when `stop`
/// returns true. Returns its status and its standard error.
///
/// # Errors
/// The child could not be started or waited for.
pub fn run_again(
    arguments: impl IntoIterator<Item = impl AsRef<OsStr>>,
    stop: &dyn Fn() -> bool,
) -> io::Result<(ExitStatus, String)> {
    const BETWEEN_LOOKS: Duration = Duration::from_millis(50);
    // Use a file instead of a pipe, so that its contents need not be read while the child runs.
    let mut errors = tempfile::tempfile()?;
    let mut command = Command::new(std::env::current_exe()?);
    command.args(arguments);
    command.stdin(Stdio::null()).stdout(Stdio::null());
    command.stderr(errors.try_clone()?);
    set_apart(&mut command);
    let mut child = command.spawn()?;
    let mut interrupted = false;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if stop() && !interrupted {
            interrupted = true;
            interrupt(&child);
        }
        std::thread::sleep(BETWEEN_LOOKS);
    };
    let mut text = String::new();
    errors.rewind()?;
    errors.read_to_string(&mut text)?;
    Ok((status, text))
}

/// Puts a child about to be started in its own process group, so that only [`interrupt`] interrupts it and not also the
/// terminal, and makes it end with this process. Linux only; elsewhere the terminal interrupts it.
fn set_apart(command: &mut Command) {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        use std::os::unix::process::CommandExt;
        command.process_group(0);
        let follow = || match end_with_parent() {
            -1 => Err(std::io::Error::last_os_error()),
            _ => Ok(()),
        };
        // SAFETY: between fork and exec, the closure makes one system call and allocates nothing.
        unsafe { command.pre_exec(follow) };
    }
    #[cfg(not(all(target_os = "linux", target_env = "gnu")))]
    let _ = command;
}

/// Requests SIGINT for the calling process when the thread that started it ends. Returns -1 on failure.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn end_with_parent() -> libc::c_int {
    // SAFETY: this prctl option takes a signal number and accesses no memory.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGINT) }
}

/// Interrupts a child that was [`set_apart`], as Ctrl-C would.
fn interrupt(child: &Child) {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    if let Ok(id) = libc::pid_t::try_from(child.id()) {
        // SAFETY: the child has not been waited for, so its process id has not been reused.
        unsafe { libc::kill(id, libc::SIGINT) };
    }
    #[cfg(not(all(target_os = "linux", target_env = "gnu")))]
    let _ = child;
}
