//! The process as a whole: threads, memory, signals, child processes and panics.

mod child;
mod memory;
mod panics;
mod signals;

#[cfg(target_os = "linux")]
use std::path::Path;

pub use child::run_again;
pub use memory::{forget_peak_memory, keep_freed_memory};
pub use panics::guarded;
pub use signals::{
    leave_on_interrupt, preparation_begins, remove_on_interrupt, stop_on_interrupt, training_begins,
};

use crate::error::CliError;

/// Disables the device selection layer of Mesa's Vulkan drivers if there is no display.
///
/// The layer looks for a Wayland display and prints an error for each graphics API whose devices are listed. It only sorts
/// devices, and we sort them ourselves.
pub fn quiet_graphics_layer() {
    #[cfg(target_os = "linux")]
    {
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let session = set("XDG_RUNTIME_DIR").is_some_and(|folder| Path::new(&folder).is_dir());
        if !session && set("MESA_VK_DEVICE_SELECT").is_none() {
            // SAFETY: called first in `main`, before any other thread starts.
            unsafe { std::env::set_var("NODEVICE_SELECT", "1") };
        }
    }
}

/// Sets the number of threads for all computation on the CPU; `None` is one for each core.
///
/// # Errors
/// The thread pool could not be started.
pub fn use_threads(number: Option<u16>) -> Result<(), CliError> {
    let builder = rayon::ThreadPoolBuilder::new().num_threads(number.map_or(0, usize::from));
    builder
        .build_global()
        .map_err(|source| CliError::Threads { source })
}
