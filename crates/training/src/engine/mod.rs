//! The training engine: tensors, optimizer steps and the loop around them.
//!
//! It knows no task and no directory layout: a [`task::Task`] supplies batches, losses and metrics, and a
//! [`store::Store`] keeps metrics and checkpoints.

pub mod data_parallel;
pub mod loss_scale;
pub mod observer;
pub mod optimizer;
pub mod param_groups;
pub mod profile;
pub mod schedule;
pub mod step;
pub mod store;
pub mod task;
pub mod trainer;
pub mod trial;
