//! `bertkit`: pretrain and fine-tune BERT-family encoders, measure how good they are, and predict with them.
//!
//! Start at [`commands`]: one command a file, each with its flags and a `run`. Flags that stand for
//! a key of the configuration are in [`overrides`], progress in [`progress`], errors and how they
//! are shown in [`render`], and what concerns the process (signals, threads, panics) in
//! [`process`]. Results go to standard output, everything else to standard error.
//!
//! Exit codes: 0 all went well; 1 the run failed; 2 the usage, the configuration or the data are
//! wrong; 3 a device's memory is full; 130 interrupted.

mod commands;
mod format;
mod micro_batch;
mod overrides;
mod process;
mod progress;
mod reading;
mod render;
mod writing;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    process::keep_freed_memory();
    process::quiet_graphics_layer();
    process::guarded(|| match commands::Cli::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => render::report(&error),
    })
}
