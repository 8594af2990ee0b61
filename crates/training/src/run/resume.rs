//! Resuming: the newest checkpoint, and the checks that a run continues with the settings and data it began with.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use toml::Value;

use crate::config::OptimizerConfig;
use crate::engine::optimizer::AdamW;
use crate::engine::param_groups::freeze;
use crate::engine::store::Progress;
use crate::engine::task::Task;
use crate::error::TrainError;
use crate::run::checkpoint::{self, RunIdentity, State};
use crate::run::directory::RunDirectory;
use crate::run::environment;

/// The prefix of the entry in [`RunIdentity::data`] that identifies the tokenizer.
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
    identity: &RunIdentity,
) -> Result<Restored<T::Model>, TrainError> {
    let Some((
        name,
        State {
            progress,
            identity: before,
            ..
        },
    )) = checkpoint::newest(directory)?
    else {
        return Ok((model, None));
    };
    if before.data != identity.data {
        let mut pairs = before.data.iter().zip(&identity.data);
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
/// The caller omits keys that may change.
pub(crate) fn differences(started: &str, now: &str) -> Option<String> {
    let flat = |text: &str| -> BTreeMap<String, String> {
        let mut values = BTreeMap::new();
        // Both are our own serialisations.
        let table: toml::Table = text.parse().unwrap_or_default();
        flatten("", &Value::Table(table), &mut values);
        values
    };
    let (old, new) = (flat(started), flat(now));
    let keys: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let value = |all: &BTreeMap<String, String>, key: &String| {
        all.get(key)
            .map_or_else(|| "not set".to_owned(), String::clone)
    };
    let changed: Vec<String> = keys
        .into_iter()
        .map(|key| (key, value(&old, key), value(&new, key)))
        .filter(|(_, before, now)| before != now)
        .map(|(key, before, now)| format!("`{key}` was {before} and is {now} now"))
        .collect();
    (!changed.is_empty()).then(|| changed.join("; "))
}

/// All values below `key`; entries of a repeated table are numbered from 1: `training.stages[2].steps`.
fn flatten(key: &str, value: &Value, values: &mut BTreeMap<String, String>) {
    match value {
        Value::Table(table) => {
            for (name, value) in table {
                let dot = if key.is_empty() { "" } else { "." };
                flatten(&format!("{key}{dot}{name}"), value, values);
            }
        }
        Value::Array(entries) if entries.iter().any(Value::is_table) => {
            for (i, value) in entries.iter().enumerate() {
                flatten(&format!("{key}[{}]", i + 1), value, values);
            }
        }
        value => {
            values.insert(key.to_owned(), value.to_string());
        }
    }
}

/// Checks that a run may be resumed: `started` are the settings in its `config.toml`, `now` those of this command.
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
    if let Some((_, state)) = checkpoint::newest(directory)?
        && state.identity.differs_from(started)
    {
        return Err(mismatch(
            "its `config.toml` has been edited since the last checkpoint".into(),
        ));
    }
    Ok(())
}

/// Finishes a run that was killed after it had written its model, but before it had removed its checkpoints. Returns the
/// folder of the model, or `None` if there is nothing to finish.
///
/// # Errors
/// Another process writes to the directory, or a checkpoint cannot be removed.
pub fn finish_interrupted(run: &Path) -> Result<Option<PathBuf>, TrainError> {
    let directory = RunDirectory::open(run);
    // The model is written last, and is complete if it is there.
    if !directory.model().is_dir() || !run.join("checkpoints").is_dir() {
        return Ok(None);
    }
    let _lock = directory.lock()?;
    if run.join("environment.json").is_file() {
        environment::record_model(&directory)?;
    }
    directory.remove_checkpoints()?;
    Ok(Some(directory.model()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_entry_of_a_repeated_table_is_compared() {
        let stages = |second: u32| {
            format!(
                "seed = 1\n[[training.stages]]\nsteps = 5\n[[training.stages]]\nsteps = {second}\n"
            )
        };
        assert_eq!(differences(&stages(7), &stages(7)), None);
        assert_eq!(
            differences(&stages(7), &stages(8)).unwrap(),
            "`training.stages[2].steps` was 7 and is 8 now"
        );
        let one = "seed = 1\n[[training.stages]]\nsteps = 12\n";
        assert_eq!(
            differences(one, &stages(7)).unwrap(),
            "`training.stages[1].steps` was 12 and is 5 now; \
             `training.stages[2].steps` was not set and is 7 now"
        );
    }

    #[test]
    fn values_are_shown_as_in_the_file() {
        let old = "a = \"x\"\nb = [1, 2]\nc = 0.25\n[t]\nd = true\n";
        let new = "a = \"y\"\nb = [1]\nc = 0.5\n";
        assert_eq!(
            differences(old, new).unwrap(),
            "`a` was \"x\" and is \"y\" now; `b` was [1, 2] and is [1] now; `c` was 0.25 and is 0.5 now; \
             `t.d` was true and is not set now"
        );
    }

    #[test]
    fn a_finished_run_loses_the_checkpoints_that_a_kill_left() {
        let folder = tempfile::tempdir().unwrap();
        let run = folder.path();
        std::fs::create_dir_all(run.join("checkpoints/step-00000004")).unwrap();
        std::fs::write(run.join("checkpoints/latest"), "step-00000004\n").unwrap();
        assert_eq!(finish_interrupted(run).unwrap(), None);
        std::fs::create_dir(run.join("model")).unwrap();
        assert_eq!(finish_interrupted(run).unwrap(), Some(run.join("model")));
        assert!(!run.join("checkpoints").exists());
        assert_eq!(finish_interrupted(run).unwrap(), None);
    }
}
