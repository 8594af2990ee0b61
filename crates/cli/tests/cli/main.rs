//! The command line as a user meets it: output, files, exit codes and messages of every command.
//!
//! All of these tests are one binary, so that the program is linked once. `cargo test -p bertkit --test cli ner::` runs one
//! module of it; `SNAPSHOTS=overwrite cargo test -p bertkit --test cli` rewrites the pages in `snapshots/`.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod bad_input;
mod bench;
mod choice;
mod compare;
mod corpus;
mod crossval;
mod devices;
mod documents;
mod harness;
mod ner;
mod parquet;
mod pretrain;
mod questions;
mod relations;
mod resume;
mod run_directory;
mod tokenizer;
mod usage;
