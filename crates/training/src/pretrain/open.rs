//! The model that a run starts from, and its tokenizer.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use bertkit_data::tokenizer::{TextTokenizer, TokenizerSpec};
use bertkit_model::{EncoderConfig, ModelFolder};

use super::vocabulary;
use crate::config::{FreshModel, PretrainConfig};
use crate::engine::observer::Observer;
use crate::error::{TrainError, setting};
use crate::run::model::{fresh_config, model_folder, tokenizer_family};

/// The model's folder, its configuration, and the tokenizer.
pub(super) struct Opened {
    /// `None` for fresh weights.
    pub folder: Option<ModelFolder>,
    pub encoder: EncoderConfig,
    pub tokenizer: TextTokenizer,
    /// Where the tokenizer comes from, for the summary.
    pub origin: String,
}

/// Where the weights come from.
enum Start<'a> {
    Folder(PathBuf, Box<ModelFolder>),
    Fresh(&'a FreshModel),
}

/// Opens the model's folder, and opens or trains the tokenizer.
///
/// # Errors
/// The folder or the tokenizer cannot be read, or they do not fit each other or the settings.
pub(super) fn open(
    config: &PretrainConfig,
    files: &[PathBuf],
    observer: &mut dyn Observer,
    interrupt: &AtomicBool,
) -> Result<Opened, TrainError> {
    let start = match (&config.model.path, &config.model.fresh) {
        (Some(path), _) => {
            let home = model_folder(path);
            let folder = ModelFolder::open(&home)?;
            Start::Folder(home, Box::new(folder))
        }
        (None, Some(fresh)) => Start::Fresh(fresh),
        (None, None) => {
            return Err(setting(
                "there is no model",
                "give a folder with [model.path=DIR]",
            ));
        }
    };
    let (tokenizer, origin) = open_tokenizer(config, &start, files, observer, interrupt)?;
    let mut encoder = match &start {
        Start::Folder(_, folder) => folder.config.clone(),
        Start::Fresh(fresh) => fresh_config(
            fresh,
            tokenizer.vocab_size(),
            tokenizer.pad_id().map_or(0, |id| id as usize),
        )?,
    };
    if tokenizer.vocab_size() > encoder.vocab_size {
        return Err(setting(
            format!(
                "the tokenizer {origin} has {} tokens, but the model's embedding has {} rows",
                tokenizer.vocab_size(),
                encoder.vocab_size
            ),
            "tokenizer and weights do not belong together; take both from the same checkpoint",
        ));
    }
    let m = &config.model;
    encoder.hidden_dropout = m.hidden_dropout.unwrap_or(encoder.hidden_dropout);
    encoder.attention_dropout = m.attention_dropout.unwrap_or(encoder.attention_dropout);
    encoder.classifier_dropout = m.classifier_dropout.unwrap_or(encoder.classifier_dropout);
    // Labels of a folder belong to another task.
    (encoder.labels, encoder.num_labels, encoder.problem_type) = (None, None, None);
    check_length(config, &encoder)?;
    Ok(Opened {
        folder: match start {
            Start::Folder(_, folder) => Some(*folder),
            Start::Fresh(_) => None,
        },
        encoder,
        tokenizer,
        origin,
    })
}

/// The tokenizer, and where it comes from.
fn open_tokenizer(
    config: &PretrainConfig,
    start: &Start<'_>,
    files: &[PathBuf],
    observer: &mut dyn Observer,
    interrupt: &AtomicBool,
) -> Result<(TextTokenizer, String), TrainError> {
    let given = config.tokenizer.path.as_ref();
    let given: Option<TokenizerSpec> = given
        .map(|path| path.to_string_lossy().parse())
        .transpose()?;
    let family = match start {
        Start::Folder(_, folder) => folder.config.family,
        Start::Fresh(fresh) => fresh.family.descriptor(),
    };
    config
        .objective
        .check_family(family)
        .map_err(|error| setting(error.message, error.hint))?;
    let (spec, home) = match (given, start) {
        (Some(spec), Start::Folder(home, _)) => (spec, Some(home.as_path())),
        (Some(spec), Start::Fresh(_)) => (spec, None),
        (None, Start::Folder(home, _)) => (TokenizerSpec::Dir(home.clone()), Some(home.as_path())),
        (None, Start::Fresh(fresh)) => {
            let tokenizer = vocabulary::train(config, fresh, files, observer, interrupt)?;
            return Ok((tokenizer, "trained on the corpus".into()));
        }
    };
    let tokenizer = spec.load(home, tokenizer_family(family))?;
    Ok((tokenizer, format!("from {spec}")))
}

/// Checks that the model has a position for every token of the longest sequence.
fn check_length(config: &PretrainConfig, encoder: &EncoderConfig) -> Result<(), TrainError> {
    let stages = config.training.stages.iter().filter_map(|s| s.max_length);
    let longest = stages.chain([config.sequences.max_length]).max();
    let longest = longest.unwrap_or(0);
    if longest <= encoder.max_length() {
        return Ok(());
    }
    Err(setting(
        format!(
            "sequences of {longest} tokens are asked for, but the model has positions for {}",
            encoder.max_length()
        ),
        "give fewer with [sequences.max_length], or more `max_position_embeddings`",
    ))
}
