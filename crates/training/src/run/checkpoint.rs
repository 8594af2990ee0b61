//! Checkpoints: everything that decides how a run goes on, bit for bit.
//!
//! The order of rows, dropout and fresh weights are functions of the seed and of the counters in
//! [`Progress`], so that no random generator has a state to keep.

use std::path::Path;

use bertkit_model::weights::{self, HeadPolicy};
use bertkit_model::{Checkpoint, ModelError, Naming};
use burn::module::Module;
use serde::{Deserialize, Serialize};

use crate::config::OptimizerConfig;
use crate::engine::loss_scale::LossScale;
use crate::engine::optimizer::AdamW;
use crate::error::TrainError;
use crate::run::directory::{RunDirectory, write_atomically};

/// How far a run has come.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Optimizer updates done.
    pub step: u64,
    /// The number of the present pass over the data, from 0.
    pub epoch: u64,
    /// Micro-batches of the present pass that are done.
    pub batch: usize,
    /// Micro-batches done in all: the counter of dropout.
    pub micro_batches: u64,
    /// Tokens seen.
    pub tokens: u64,
    /// Seconds of training, evaluations and interruptions not counted.
    pub seconds: f64,
    /// The stage of the present pass.
    #[serde(default)]
    pub stage: usize,
    /// Seconds of the run with all that belongs to it, interruptions not counted: what a budget in
    /// time is spent from.
    #[serde(default)]
    pub elapsed: f64,
    /// The best evaluation so far: its checkpoint's step and its score, higher is better.
    pub best: Option<(u64, f64)>,
    /// Evaluations since then.
    pub evaluations_without_better: u32,
    /// The scale of the loss, in f16.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) loss_scale: Option<LossScale>,
    /// SHA-256 of the training and validation files.
    pub data: Vec<String>,
}

const STATE: &str = "state.json";
const WEIGHTS: &str = "model.safetensors";
const OPTIMIZER: &str = "optimizer.safetensors";

/// The name of the checkpoint after so many updates.
pub fn name(step: u64) -> String {
    format!("step-{step:08}")
}

fn damaged<'a>(path: &'a Path) -> impl Fn(String) -> TrainError + 'a {
    move |reason| TrainError::Checkpoint {
        path: path.into(),
        reason,
    }
}

/// Writes a checkpoint and lets `latest` name it.
///
/// # Errors
/// The system refused; older checkpoints are untouched.
pub fn save<M: Module>(
    directory: &RunDirectory,
    model: &M,
    naming: Naming,
    optimizer: &AdamW,
    progress: &Progress,
) -> Result<String, TrainError> {
    let name = name(progress.step);
    directory.replace_folder(&format!("checkpoints/{name}"), |folder| {
        weights::save(model, &folder.join(WEIGHTS), naming).map_err(ModelError::from)?;
        optimizer
            .save(&folder.join(OPTIMIZER))
            .map_err(ModelError::from)?;
        let path = folder.join(STATE);
        let text = serde_json::to_string_pretty(progress).map_err(|e| TrainError::Write {
            path: path.clone(),
            source: e.into(),
        })?;
        write_atomically(&path, text.as_bytes())
    })?;
    directory.point("latest", &name)?;
    Ok(name)
}

/// Reads how far the newest checkpoint has come; `None` if there is none.
///
/// # Errors
/// It is there, but damaged.
pub fn newest(directory: &RunDirectory) -> Result<Option<(String, Progress)>, TrainError> {
    let Some(name) = directory.checkpoints().pop() else {
        return Ok(None);
    };
    let folder = directory.checkpoint(&name);
    let text =
        std::fs::read_to_string(folder.join(STATE)).map_err(|e| damaged(&folder)(e.to_string()))?;
    let progress =
        serde_json::from_str(&text).map_err(|e| damaged(&folder)(format!("{STATE}: {e}")))?;
    Ok(Some((name, progress)))
}

/// Reads the weights of a checkpoint into `model`.
///
/// # Errors
/// They are damaged or of another model.
pub fn load_model<M: Module>(
    directory: &RunDirectory,
    name: &str,
    model: M,
    naming: Naming,
) -> Result<M, TrainError> {
    let folder = directory.checkpoint(name);
    let failed = damaged(&folder);
    let checkpoint =
        Checkpoint::open_safetensors(&folder.join(WEIGHTS)).map_err(|e| failed(e.to_string()))?;
    let loaded = weights::load(model, &checkpoint, naming, HeadPolicy::Required, 0.0);
    loaded
        .map(|(model, _)| model)
        .map_err(|e| failed(e.to_string()))
}

/// Reads the optimizer's history of a checkpoint.
///
/// # Errors
/// It is damaged.
pub fn load_optimizer(
    directory: &RunDirectory,
    name: &str,
    config: &OptimizerConfig,
    updates: u64,
) -> Result<AdamW, TrainError> {
    let folder = directory.checkpoint(name);
    AdamW::load(config, &folder.join(OPTIMIZER), updates)
        .map_err(|e| damaged(&folder)(e.to_string()))
}
