//! A run on disk: its directory, checkpoints, resuming, devices and the record of its environment; and a fine-tuning run
//! from its context to its outcome.

pub mod checkpoint;
pub mod context;
pub mod devices;
pub mod directory;
pub mod environment;
pub mod evaluations;
pub mod files;
pub mod finetune;
pub mod lock;
pub mod metrics;
pub mod model;
pub mod resume;
pub mod selection;
pub mod setup;
pub mod store;
pub mod summary;
pub mod tables;
pub mod trained;
