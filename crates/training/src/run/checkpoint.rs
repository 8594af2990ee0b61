//! Checkpoints on disk: everything that a run is resumed from, bit for bit.
//!
//! The order of rows, dropout and fresh weights are functions of the seed and of the counters in [`Progress`], so no
//! random generator has a state to save.

use std::collections::BTreeMap;
use std::path::Path;

use bertkit_model::weights::{self, HeadPolicy};
use bertkit_model::{Checkpoint, ModelError, Naming};
use burn::module::Module;
use serde::{Deserialize, Serialize};

use crate::config::OptimizerConfig;
use crate::engine::optimizer::AdamW;
use crate::engine::store::{Progress, Snapshot};
use crate::error::TrainError;
use crate::run::directory::RunDirectory;
use crate::run::files::{sha256, sha256_of, write_atomically};

const STATE: &str = "state.json";
const WEIGHTS: &str = "model.safetensors";
const OPTIMIZER: &str = "optimizer.safetensors";

/// What must stay the same when a run is resumed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct RunIdentity {
    /// SHA-256 of the training and validation files; for pretraining also the tokenizer.
    pub data: Vec<String>,
    /// Absent in checkpoints of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    settings: Option<SettingsDigest>,
}

/// A digest of the settings that must stay the same.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct SettingsDigest {
    /// The version that wrote it: another one may have other settings, whose digests cannot be compared.
    version: String,
    sha256: String,
}

impl RunIdentity {
    /// Of data files with these digests, and of these settings in TOML.
    pub fn new(data: Vec<String>, settings: &str) -> Self {
        Self {
            data,
            settings: Some(SettingsDigest {
                version: env!("CARGO_PKG_VERSION").into(),
                sha256: sha256_of(settings),
            }),
        }
    }

    /// Whether these settings in TOML are known to be others.
    pub fn differs_from(&self, settings: &str) -> bool {
        self.settings.as_ref().is_some_and(|digest| {
            digest.version == env!("CARGO_PKG_VERSION") && digest.sha256 != sha256_of(settings)
        })
    }
}

/// The content of `state.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct State {
    #[serde(flatten)]
    pub progress: Progress,
    #[serde(flatten)]
    pub identity: RunIdentity,
    /// SHA-256 of the other files of the checkpoint. Empty in checkpoints of earlier versions.
    #[serde(default)]
    files: BTreeMap<String, String>,
}

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
    identity: &RunIdentity,
) -> Result<String, TrainError> {
    let name = name(snapshot.progress.step);
    directory.replace_folder(&format!("checkpoints/{name}"), |folder| {
        weights::save(snapshot.model, &folder.join(WEIGHTS), naming).map_err(ModelError::from)?;
        snapshot
            .optimizer
            .save(&folder.join(OPTIMIZER))
            .map_err(ModelError::from)?;
        let digest = |name: &str| Ok((name.to_owned(), sha256(&folder.join(name))?));
        let state = State {
            progress: snapshot.progress.clone(),
            identity: identity.clone(),
            files: [WEIGHTS, OPTIMIZER]
                .into_iter()
                .map(digest)
                .collect::<Result<_, TrainError>>()?,
        };
        let path = folder.join(STATE);
        let text = serde_json::to_string_pretty(&state).map_err(|e| TrainError::Write {
            path: path.clone(),
            source: e.into(),
        })?;
        write_atomically(&path, text.as_bytes())
    })?;
    directory.point("latest", &name)?;
    Ok(name)
}

/// The name and the state of the newest checkpoint; `None` if there is none.
///
/// # Errors
/// Its `state.json` is damaged.
pub(crate) fn newest(directory: &RunDirectory) -> Result<Option<(String, State)>, TrainError> {
    let Some(name) = directory.checkpoints().pop() else {
        return Ok(None);
    };
    let state = read_state(&directory.checkpoint(&name))?;
    Ok(Some((name, state)))
}

fn read_state(folder: &Path) -> Result<State, TrainError> {
    let text =
        std::fs::read_to_string(folder.join(STATE)).map_err(|e| damaged(folder)(e.to_string()))?;
    serde_json::from_str(&text).map_err(|e| damaged(folder)(format!("{STATE}: {e}")))
}

/// Compares a file of a checkpoint with the digest in `state.json`, if there is one.
fn verify(folder: &Path, file: &str) -> Result<(), TrainError> {
    let state = read_state(folder)?;
    let path = folder.join(file);
    match state.files.get(file).filter(|_| path.is_file()) {
        Some(expected) if *expected != sha256(&path)? => Err(damaged(folder)(format!(
            "`{file}` has changed since it was written (its SHA-256 is not the one in `{STATE}`)"
        ))),
        _ => Ok(()),
    }
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
    verify(&folder, WEIGHTS)?;
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
    verify(&folder, OPTIMIZER)?;
    AdamW::load(config, &folder.join(OPTIMIZER), updates)
        .map_err(|e| damaged(&folder)(e.to_string()))
}
