//! `bertkit`: pretrain and fine-tune BERT-family encoders, measure how good they are, and predict with them.
//!
//! Start at [`commands`]: one command per file, each with its flags and a `run`. Flags that set a key of the configuration
//! are in [`settings`], errors in [`error`], how they are printed in [`render`], progress in [`progress`], and signals,
//! threads and panics in [`process`]. Results go to standard output, everything else to standard error.
//!
//! Exit codes: 0 success; 1 the run failed; 2 wrong usage, configuration or data; 3 the memory of a device is full;
//! 130 interrupted.

mod commands;
mod error;
mod format;
mod micro_batch;
mod placeholders;
mod process;
mod progress;
mod reading;
mod render;
mod settings;
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
