//! Resuming: the newest checkpoint, and the checks that a run continues under the settings and data it began with.

use crate::config::OptimizerConfig;
use crate::engine::optimizer::AdamW;
use crate::engine::param_groups::freeze;
use crate::engine::store::Progress;
use crate::engine::task::Task;
use crate::error::TrainError;
use crate::run::checkpoint;
use crate::run::directory::RunDirectory;

/// The prefix of the entry in [`Progress::data`] that identifies the tokenizer.
pub(crate) const TOKENIZER: &str = "tokenizer ";

/// The model, with optimizer and progress if there was a checkpoint.
type Restored<M> = (M, Option<(AdamW, Progress)>);

/// Loads weights, optimizer and progress of the newest checkpoint. Without a checkpoint the model is returned as it is,
/// and the run starts over with the same result.
///
/// # Errors
/// The data or the tokenizer have changed since the run began, or the checkpoint is damaged.
pub(crate) fn restore<T: Task>(
    directory: &RunDirectory,
    task: &T,
    model: T::Model,
    optimizer: &OptimizerConfig,
    data: &[String],
) -> Result<Restored<T::Model>, TrainError> {
    let Some((name, progress)) = checkpoint::newest(directory)? else {
        return Ok((model, None));
    };
    if progress.data != data {
        let mut pairs = progress.data.iter().zip(data);
        let what = match pairs.find(|(before, now)| before != now) {
            Some((_, now)) if now.starts_with(TOKENIZER) => "the tokenizer has changed",
            _ => "the data files have changed",
        };
        return Err(TrainError::ResumeMismatch {
            path: directory.path().into(),
            reason: format!("{what} since the run began"),
        });
    }
    let model = checkpoint::load_model(directory, &name, model, task.naming())?;
    // Loading makes every parameter trainable again.
    let model = freeze(model, |path| task.param_group(path));
    let skipped = progress.loss_scale.as_ref().map_or(0, |s| s.skipped);
    let updates = progress.step - skipped;
    let optimizer = checkpoint::load_optimizer(directory, &name, optimizer, updates)?;
    Ok((model, Some((optimizer, progress))))
}

/// The settings that differ between two configurations in TOML, as sentences; `None` if they are equal.
///
/// The caller leaves out the keys that may change.
pub(crate) fn differences(started: &str, now: &str) -> Option<String> {
    let flat = |text: &str| -> Vec<(String, String)> {
        text.lines()
            .scan(String::new(), |table, line| {
                if line.starts_with('[') {
                    *table = line.trim_matches(['[', ']']).to_owned() + ".";
                }
                Some(
                    line.split_once(" = ")
                        .map(|(k, v)| (format!("{table}{k}"), v.to_owned())),
                )
            })
            .flatten()
            .collect()
    };
    let (old, new) = (flat(started), flat(now));
    let value = |all: &[(String, String)], key: &str| {
        all.iter()
            .find(|(k, _)| k == key)
            .map_or_else(|| "not set".to_owned(), |(_, v)| v.clone())
    };
    let mut keys: Vec<&String> = old.iter().chain(&new).map(|(key, _)| key).collect();
    keys.sort();
    keys.dedup();
    let changed: Vec<String> = keys
        .into_iter()
        .map(|key| (key, value(&old, key), value(&new, key)))
        .filter(|(_, before, now)| before != now)
        .map(|(key, before, now)| format!("`{key}` was {before} and is {now} now"))
        .collect();
    (!changed.is_empty()).then(|| changed.join("; "))
}

/// Checks that a run may be resumed.
///
/// # Errors
/// Its settings differ from those it began with, or it is finished.
pub(crate) fn check_resumable(
    directory: &RunDirectory,
    started: &str,
    now: &str,
) -> Result<(), TrainError> {
    let mismatch = |reason: String| TrainError::ResumeMismatch {
        path: directory.path().into(),
        reason,
    };
    if let Some(changed) = differences(started, now) {
        return Err(mismatch(changed));
    }
    if directory.model().is_dir() {
        return Err(mismatch(format!(
            "the run is finished, its model is {}",
            directory.model().display()
        )));
    }
    Ok(())
}
