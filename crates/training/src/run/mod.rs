//! A run on disk: its directory, checkpoints, resuming, devices and the record of its environment.

pub mod checkpoint;
pub mod devices;
pub mod directory;
pub mod environment;
pub mod resume;
pub mod setup;
pub mod store;
