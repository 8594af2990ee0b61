//! Checkpoints on disk: everything that a run is resumed from, bit for bit.
//!
//! The order of rows, dropout and fresh weights are functions of the seed and of the counters in [`Progress`], so no
//! random generator has a state to save.

use std::path::Path;

use bertkit_model::weights::{self, HeadPolicy};
use bertkit_model::{Checkpoint, ModelError, Naming};
use burn::module::Module;

use crate::config::OptimizerConfig;
use crate::engine::optimizer::AdamW;
use crate::engine::store::{Progress, Snapshot};
use crate::error::TrainError;
use crate::run::directory::{RunDirectory, write_atomically};

const STATE: &str = "state.json";
const WEIGHTS: &str = "model.safetensors";
const OPTIMIZER: &str = "optimizer.safetensors";

/// The folder name of the checkpoint after `step` updates.
pub fn name(step: u64) -> String {
    format!("step-{step:08}")
}

fn damaged<'a>(path: &'a Path) -> impl Fn(String) -> TrainError + 'a {
    move |reason| TrainError::Checkpoint {
        path: path.into(),
        reason,
    }
}

/// Writes a checkpoint and points `latest` to it. Returns its name.
///
/// # Errors
/// A file cannot be written; older checkpoints are untouched.
pub(crate) fn save<M: Module>(
    directory: &RunDirectory,
    snapshot: &Snapshot<'_, M>,
    naming: Naming,
) -> Result<String, TrainError> {
    let name = name(snapshot.progress.step);
    directory.replace_folder(&format!("checkpoints/{name}"), |folder| {
        weights::save(snapshot.model, &folder.join(WEIGHTS), naming).map_err(ModelError::from)?;
        snapshot
            .optimizer
            .save(&folder.join(OPTIMIZER))
            .map_err(ModelError::from)?;
        let path = folder.join(STATE);
        let text =
            serde_json::to_string_pretty(snapshot.progress).map_err(|e| TrainError::Write {
                path: path.clone(),
                source: e.into(),
            })?;
        write_atomically(&path, text.as_bytes())
    })?;
    directory.point("latest", &name)?;
    Ok(name)
}

/// The name and the progress of the newest checkpoint; `None` if there is none.
///
/// # Errors
/// The checkpoint is damaged.
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
/// The checkpoint is damaged or belongs to another model.
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

/// Reads the optimizer state of a checkpoint.
///
/// # Errors
/// The checkpoint is damaged.
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
