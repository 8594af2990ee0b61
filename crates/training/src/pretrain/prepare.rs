//! From a configuration to a run that can be trained.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use bertkit_data::pretraining::corpus::{self, Corpus};
use bertkit_data::pretraining::masking::{MaskVocabulary, Masking, MaskingError};
use bertkit_data::pretraining::sequences::SequenceSettings;

use super::batch::MaskedBatch;
use super::corpus::{find_files, open_corpus};
use super::models::Builder;
use super::open::{Opened, open};
use super::prepared::PreparedPretraining;
use super::source::{Source, sequence_error, sequence_settings};
use super::stages::stages;
use super::summary::{Facts, describe_corpus};
use crate::config::PretrainConfig;
use crate::config::pretrain::PretrainingConfig;
use crate::engine::observer::{Event, Observer, Summary};
use crate::engine::schedule::Length;
use crate::error::{TrainError, setting};
use crate::run::checkpoint::RunIdentity;
use crate::run::devices::{self, Devices};
use crate::run::directory::{DirectoryPolicy, RunDirectory};
use crate::run::resume::{self, check_resumable};

/// Tokenizes the corpus, and loads or creates tokenizer and model. Writes nothing except the tokenized
/// corpus; a dry run writes nothing.
///
/// Setting `interrupt` stops the tokenizing.
///
/// # Errors
/// Everything that would stop the run later, as far as it can be checked in advance.
pub fn prepare(
    config: PretrainConfig,
    policy: DirectoryPolicy,
    observer: &mut dyn Observer,
    interrupt: &AtomicBool,
) -> Result<PreparedPretraining, TrainError> {
    config.check()?;
    let devices = Devices::of(&config.device, config.precision)?;
    let output = config.output.clone().unwrap_or_default();
    let directory = RunDirectory::check(&output, policy)?;
    if policy == DirectoryPolicy::Resume {
        compare_with_started(&config, &directory)?;
    }
    // Read before the corpus, so that a wrong folder is reported at once.
    let texts = find_files(&config, observer)?;
    let opened = open(&config, &texts, observer, interrupt)?;
    for warning in opened.tokenizer.warnings() {
        observer.event(&Event::Note(warning.clone()));
    }
    let plan = SequencePlan::new(&config, &opened)?;
    let tokenizer = &opened.tokenizer;
    let (corpus, temporary) = open_corpus(&config, policy, &texts, tokenizer, observer, interrupt)?;
    let (source, validation, facts) = plan.batches(&config, corpus, observer)?;
    let files = source_files(&source.corpus);
    let data = data_record(&source.corpus, &files);
    let identity = RunIdentity::new(data, &resumable_settings(&config));
    let mut lines = describe_corpus(&config, &source, &facts);
    lines.push((
        "tokenizer".into(),
        format!(
            "{} tokens, {}",
            opened.tokenizer.vocab_size(),
            opened.origin
        ),
    ));
    let builder = Builder {
        config: &config,
        directory: &directory,
        policy,
        source,
        validation,
        identity: &identity,
        device: devices.training(),
    };
    let (run, parameters) = builder.build(opened, &mut lines)?;
    lines.push(("device".into(), devices.describe()));
    lines.extend(devices::precision_line(&devices, config.precision));
    lines.push(("length".into(), facts.describe_length(&config)));
    let steps = match facts.length {
        Length::Steps(steps) => steps,
        Length::Seconds(_) => 0,
    };
    let summary = Summary {
        lines,
        train_rows: facts.sequences,
        valid_rows: facts.validation,
        parameters,
        steps,
        tokens_per_epoch: facts.tokens,
    };
    Ok(PreparedPretraining {
        config,
        policy,
        directory,
        devices,
        summary,
        files,
        identity,
        command: Vec::new(),
        profile: false,
        run,
        _temporary: temporary,
    })
}

/// How sequences are built and masked, checked against the tokenizer.
struct SequencePlan {
    settings: SequenceSettings,
    masking: Masking,
    vocabulary: MaskVocabulary,
}

impl SequencePlan {
    fn new(config: &PretrainConfig, opened: &Opened) -> Result<Self, TrainError> {
        let vocabulary = MaskVocabulary::of(&opened.tokenizer).map_err(|e| masking_error(&e))?;
        let masking = config.masking.over(&config.objective.masking());
        if let Err(mut problems) = masking.check(corpus::has_words(&opened.tokenizer)) {
            return Err(masking_error(&problems.swap_remove(0)));
        }
        let settings = sequence_settings(config, &opened.tokenizer);
        settings
            .check()
            .map_err(|mut problems| sequence_error(problems.swap_remove(0)))?;
        Ok(Self {
            settings,
            masking,
            vocabulary,
        })
    }

    /// Training batches of a corpus, validation batches, and their sizes.
    fn batches(
        self,
        config: &PretrainConfig,
        corpus: Corpus,
        observer: &mut dyn Observer,
    ) -> Result<(Source, Vec<MaskedBatch>, Facts), TrainError> {
        let (training, held_out) = corpus.split(config.corpus.held_out, config.seed);
        if config.corpus.held_out > 0.0 && held_out.is_empty() {
            observer.event(&Event::Note(
                "the corpus is a single document, so that none is held out to validate on".into(),
            ));
        }
        let t = &config.training;
        let mut source = Source {
            corpus,
            training,
            held_out,
            stages: stages(t, &self.settings, Length::Steps(u64::MAX)),
            masking: self.masking,
            vocabulary: self.vocabulary,
            seed: config.seed,
        };
        let first = source.epoch(0, 0)?;
        let updates = first.batches().div_ceil(source.stages[0].accumulation);
        let length = run_length(t, updates);
        source.stages = stages(t, &self.settings, length);
        let validation = source.validation(t.evaluate_sequences)?;
        let facts = Facts {
            updates,
            sequences: first.sequences(),
            tokens: first.tokens(),
            validation: validation.iter().map(|batch| batch.batch.len()).sum(),
            length,
        };
        Ok((source, validation, facts))
    }
}

/// The length of a run whose epochs have this many updates.
fn run_length(training: &PretrainingConfig, updates: usize) -> Length {
    match (training.steps, training.budget, training.epochs) {
        (Some(steps), _, _) => Length::Steps(steps),
        (None, Some(budget), _) => Length::Seconds(budget.seconds),
        (None, None, epochs) => {
            let steps = (epochs.unwrap_or(1.0) * updates as f64).ceil();
            Length::Steps((steps as u64).max(1))
        }
    }
}

/// The files of the corpus, and their SHA-256.
fn source_files(corpus: &Corpus) -> Vec<(PathBuf, String)> {
    let sources = corpus.manifest().sources.iter();
    sources
        .map(|record| (PathBuf::from(&record.path), record.sha256.clone()))
        .collect()
}

/// What a checkpoint records about the data, so that a resumed run can compare.
fn data_record(corpus: &Corpus, files: &[(PathBuf, String)]) -> Vec<String> {
    let mut data: Vec<String> = files.iter().map(|(_, hash)| hash.clone()).collect();
    let tokenizer = &corpus.manifest().tokenizer;
    data.push(format!("{}{tokenizer}", resume::TOKENIZER));
    data.push(format!(
        "{} documents, {} sentences, {} tokens",
        corpus.documents(),
        corpus.sentences(),
        corpus.tokens()
    ));
    data
}

fn masking_error(error: &MaskingError) -> TrainError {
    setting(error.to_string(), error.hint().unwrap_or_default())
}

/// Checks that a run is resumed with the settings it began with, except device, directory and shards.
fn compare_with_started(
    config: &PretrainConfig,
    directory: &RunDirectory,
) -> Result<(), TrainError> {
    let path = directory.path().join("config.toml");
    let started = PretrainConfig::resolve_unchecked(Some(&path), &[])?;
    check_resumable(
        directory,
        &resumable_settings(&started),
        &resumable_settings(config),
    )
}

/// The settings that must stay the same when a run is resumed.
fn resumable_settings(config: &PretrainConfig) -> String {
    let mut config = config.clone();
    config.output = None;
    config.device = String::new();
    config.corpus.shards = None;
    config.training.recompute = false;
    config.training.micro_batch = None;
    config.to_toml()
}
