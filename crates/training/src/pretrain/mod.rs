//! Pretraining: from a configuration and a corpus to an encoder.
//!
//! [`prepare()`] tokenizes the corpus (or reuses the tokenized one), loads or creates tokenizer and model,
//! and checks what can be checked; [`PreparedPretraining::train`] trains.
//!
//! The loss is a sum of [objectives](Objective), each described in a separate file. A run is prepared in
//! `prepare`, its model is selected and loaded in `models`, and `task` connects it to the training loop.

mod batch;
mod corpus;
mod descriptor;
mod loss;
mod model;
mod models;
pub(crate) mod objective_list;
mod objective_sum;
pub(crate) mod objectives;
mod open;
mod prepare;
mod prepared;
mod probe;
mod run;
mod source;
mod stages;
mod summary;
mod task;
mod vocabulary;

pub use self::objective_list::ObjectiveList;
pub use self::objectives::Objective;
pub use self::prepare::prepare;
pub use self::prepared::{PreparedPretraining, PretrainOutcome};
pub use crate::config::PretrainConfig;
pub use crate::config::pretrain::recipes;
