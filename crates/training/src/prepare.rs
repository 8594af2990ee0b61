//! From a configuration to a fine-tuning run that is ready to train. Nothing is written.

use bertkit_data::tokenizer::TokenizerSpec;
use bertkit_model::{Family, ModelFolder};

use crate::config::FinetuneConfig;
use crate::engine::observer::Observer;
use crate::error::TrainError;
use crate::run::context::RunContext;
use crate::run::devices::Devices;
use crate::run::directory::{DirectoryPolicy, RunDirectory};
use crate::run::finetune::{FinetuneRun, resumable_settings};
use crate::run::model::{check_tokenizer, model_folder, open_tokenizer, tokenizer_family};
use crate::run::resume::check_resumable;
use crate::tasks;

/// Prepares a fine-tuning run: opens the model and its tokenizer, then lets the task read its data and prepare itself.
/// Nothing is written.
///
/// # Errors
/// Anything that would stop the run later, if it can be detected now.
pub fn prepare(
    config: FinetuneConfig,
    policy: DirectoryPolicy,
    observer: &mut dyn Observer,
) -> Result<FinetuneRun, TrainError> {
    config.check()?;
    let devices = Devices::of(&config.device, config.precision)?;
    let output = config.output.clone().unwrap_or_default();
    let directory = RunDirectory::check(&output, policy)?;
    if policy == DirectoryPolicy::Resume {
        compare_with_started(&config, &directory)?;
    }

    // The model's configuration is read before the data, so that a wrong folder is reported at once.
    let folder = config
        .model
        .path
        .as_deref()
        .map(|path| ModelFolder::open(&model_folder(path)))
        .transpose()?;
    let home = config.model.path.as_deref().map(model_folder);
    let loaded_tokenizer = match (&folder, &home, &config.tokenizer.path) {
        (Some(folder), _, Some(path)) => {
            let spec: TokenizerSpec = path.to_string_lossy().parse()?;
            let family = tokenizer_family(folder.config.family);
            let tokenizer = spec.load(home.as_deref(), family)?;
            check_tokenizer(&tokenizer, path, &folder.config)?;
            Some(tokenizer)
        }
        (Some(folder), Some(home), None) => Some(open_tokenizer(home, &folder.config)?),
        (None, _, Some(path)) => {
            let family = config
                .model
                .fresh
                .as_ref()
                .map_or(Family::default(), |fresh| fresh.family);
            let spec: TokenizerSpec = path.to_string_lossy().parse()?;
            Some(spec.load(None, tokenizer_family(family.descriptor()))?)
        }
        _ => None,
    };
    let context = RunContext {
        config,
        policy,
        directory,
        devices,
        folder,
        tokenizer: loaded_tokenizer,
        lines: Vec::new(),
    };
    let task = tasks::of_kind(context.config.task.kind);
    (task.prepare)(context, observer)
}

/// Refuses to resume a run with other settings; device, directory and micro-batch may differ.
fn compare_with_started(
    config: &FinetuneConfig,
    directory: &RunDirectory,
) -> Result<(), TrainError> {
    let started =
        FinetuneConfig::resolve_unchecked(Some(&directory.path().join("config.toml")), &[])?;
    check_resumable(
        directory,
        &resumable_settings(&started),
        &resumable_settings(config),
    )
}
