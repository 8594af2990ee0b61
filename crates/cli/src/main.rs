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

use crate::error::CliError;

fn main() -> ExitCode {
    process::keep_freed_memory();
    process::quiet_graphics_layer();
    process::guarded(|| {
        let done = match commands::Cli::try_parse() {
            Ok(cli) => cli.run(),
            Err(error) => match error.print() {
                // Usage errors end with 2; help and version, which are errors to clap, with 0.
                Err(source) if !error.use_stderr() => Err(CliError::Stdout { source }),
                _ => return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2)),
            },
        };
        match done {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => render::report(&error),
        }
    })
}
