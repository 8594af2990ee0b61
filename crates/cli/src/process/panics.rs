//! Panics: bugs are reported as such; those of a failing device become errors.

use std::panic::{self, AssertUnwindSafe};
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};

use crate::error::CliError;
use crate::format::bytes;
use crate::render;

/// The messages of all panics, in order. The first may have caused later ones in other threads, or may have been caught by
/// the owner of its thread.
static PANICS: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Runs the program. A panic is reported in one line, as a bug, with exit code 1, unless a device caused it: a full memory
/// or a device that stopped working is reported as such, with a hint.
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
                    render::bug(&summary(&panics));
                    ExitCode::from(1)
                }
            }
        }
    }
}

/// The device error that caused the panics, if there is one.
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

/// Whether a panic reports a full device memory. Burn has no error for it: the message contains the words of CUDA, Vulkan
/// or its own allocator.
fn is_out_of_memory(message: &str) -> bool {
    let message = message.to_lowercase();
    // The first three are messages of cubecl, the others of drivers.
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

/// The driver's message in a panic that reports a failed device: the last of the causes in Burn's message.
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

/// The size of the failed allocation, if the message has it.
fn bytes_asked_for(message: &str) -> Option<u64> {
    let after = |words: &str| message.split_once(words).map(|(_, rest)| rest);
    let rest = after("allocate buffer of size: ").or_else(|| after("memory allocating "))?;
    let digits = rest.split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok()
}

/// The first and the last panic.
fn summary(panics: &[String]) -> String {
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
        // A panic in a thread of Burn's that was caught, before the one that ended the run.
        let panics = ["`Option::unwrap()` on `None`".to_owned(), cuda.to_owned()];
        assert!(matches!(
            device_error(&panics),
            Some(CliError::DeviceFailed { .. })
        ));
        assert!(device_error(&panics[..1]).is_none());
        assert!(
            summary(&panics).starts_with("`Option::unwrap()` on `None`; and at last: Error while")
        );
    }
}
