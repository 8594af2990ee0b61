//! Pretraining: from a configuration and a corpus to an encoder.
//!
//! [`prepare`] tokenises the corpus (or finds it tokenised), brings tokenizer and model and checks what
//! can be checked; [`PreparedPretraining::train`] trains.

mod objectives;
mod probe;
mod source;
mod task;
mod vocabulary;

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use bertkit_data::pretraining::corpus::{self, Corpus, Origin};
use bertkit_data::pretraining::masking::{MaskVocabulary, MaskingError};
use bertkit_data::tokenizer::{TextTokenizer, TokenizerSpec};
use bertkit_model::{
    DiscriminatorModel, Electra, EncoderConfig, Family, HeadPolicy, LoadReport, MlmModel, Model,
    ModelError, ModelFolder, Precision, PretrainingModel,
};
use burn::module::Module;
use burn::tensor::Device;

pub(crate) use self::objectives::masked_score;
use self::objectives::{Learn, MaskedLm, ReplacedTokens, SegmentPairs};
use self::probe::Probe;
use self::source::{Source, sequence_error, sequence_settings, stages};
use self::task::{HELPER, PretrainTask};
use crate::config::MicroBatch;
pub use crate::config::PretrainConfig;
use crate::config::pretrain::Tied;
pub use crate::config::pretrain::recipes;
use crate::engine::data_parallel::DevicePlacement;
use crate::engine::observer::{Estimate, EvaluationReport, Event, Observer, Summary};
use crate::engine::optimizer::AdamW;
use crate::engine::profile::Profile;
use crate::engine::schedule::{Length, Schedule};
use crate::engine::store::Progress;
use crate::engine::trainer::{LoopConfig, Trainer};
use crate::engine::trial;
use crate::error::TrainError;
use crate::run::devices::{self, Devices};
use crate::run::directory::{DirectoryPolicy, RunDirectory};
use crate::run::environment;
use crate::run::model::{fresh_config, model_folder, shorten, tokenizer_family};
use crate::run::resume::{self, check_resumable};
use crate::run::setup::{self, RunSetup};

/// What a pretraining run ended with.
#[derive(Debug, Clone, PartialEq)]
pub struct PretrainOutcome {
    /// The encoder's folder, with the head of its objective.
    pub model: PathBuf,
    /// The generator's folder, where there was one.
    pub generator: Option<PathBuf>,
    /// Optimizer updates done.
    pub steps: u64,
    /// Seconds of training.
    pub seconds: f64,
    /// The last evaluation, if there was held-out text.
    pub evaluation: Option<EvaluationReport>,
    /// Where the time went, if that was asked.
    pub profile: Option<Profile>,
}

/// A pretraining run whose corpus, tokenizer and model are settled.
pub struct PreparedPretraining {
    config: PretrainConfig,
    policy: DirectoryPolicy,
    directory: RunDirectory,
    devices: Devices,
    summary: Summary,
    /// The files of the corpus, and their SHA-256.
    files: Vec<(PathBuf, String)>,
    command: Vec<String>,
    profile: bool,
    run: Box<dyn Run>,
    _temporary: Option<TemporaryFolder>,
}

impl std::fmt::Debug for PreparedPretraining {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PreparedPretraining")
            .field("config", &self.config)
            .field("summary", &self.summary)
            .finish_non_exhaustive()
    }
}

/// A folder that goes when this does.
struct TemporaryFolder(PathBuf);

impl Drop for TemporaryFolder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn setting(message: impl Into<String>, hint: impl Into<String>) -> TrainError {
    TrainError::Setting {
        message: message.into(),
        hint: hint.into(),
    }
}

fn masking_error(error: &MaskingError) -> TrainError {
    setting(error.to_string(), error.hint().unwrap_or_default())
}

/// A task with its model, whatever the objective.
trait Run {
    fn most_rows(&self) -> Result<usize, TrainError>;

    fn try_largest(&self, frame: &Frame) -> Result<(), TrainError>;

    fn estimate(&self, frame: &Frame) -> Result<Estimate, TrainError>;

    fn train(
        self: Box<Self>,
        setup: RunSetup,
        frame: &Frame,
        observer: &mut dyn Observer,
        interrupt: &AtomicBool,
    ) -> Result<setup::RunOutcome, TrainError>;
}

/// What decides the loop around any task.
struct Frame {
    loop_config: LoopConfig,
    placement: DevicePlacement,
    schedule: Schedule,
    length: Length,
    parameters: usize,
    precision: Precision,
    optimizer: crate::config::OptimizerConfig,
    tokens_per_update: f64,
}

struct TrainableRun<L: Learn> {
    task: PretrainTask<L>,
    model: L::Model,
    optimizer: AdamW,
    progress: Progress,
}

fn trainer<'a, L: Learn>(
    task: &'a PretrainTask<L>,
    frame: &Frame,
    optimizer: AdamW,
    mut progress: Progress,
) -> Trainer<'a, PretrainTask<L>> {
    if frame.precision == Precision::F16 {
        progress.loss_scale.get_or_insert_default();
    }
    let (placement, loop_config) = (frame.placement.clone(), frame.loop_config.clone());
    Trainer::new(
        task,
        placement,
        loop_config,
        frame.schedule.clone(),
        optimizer,
        progress,
    )
}

impl<L: Learn> Run for TrainableRun<L> {
    fn most_rows(&self) -> Result<usize, TrainError> {
        trial::most_rows(&self.task)
    }

    fn try_largest(&self, frame: &Frame) -> Result<(), TrainError> {
        let fresh = AdamW::new(&frame.optimizer);
        let trainer = trainer(&self.task, frame, fresh, self.progress.clone());
        trial::try_largest(trainer, self.model.clone())
    }

    fn estimate(&self, frame: &Frame) -> Result<Estimate, TrainError> {
        let fresh = AdamW::new(&frame.optimizer);
        let trainer = trainer(&self.task, frame, fresh, self.progress.clone());
        let whole = |rate: f64| match frame.length {
            Length::Steps(steps) => steps as f64 * frame.tokens_per_update / rate,
            Length::Seconds(seconds) => seconds,
        };
        trial::estimate(trainer, self.model.clone(), frame.parameters, whole)
    }

    fn train(
        self: Box<Self>,
        setup: RunSetup,
        frame: &Frame,
        observer: &mut dyn Observer,
        interrupt: &AtomicBool,
    ) -> Result<setup::RunOutcome, TrainError> {
        let Self {
            mut task,
            model,
            optimizer,
            progress,
        } = *self;
        setup.run(
            &mut task,
            model,
            |task| trainer(task, frame, optimizer, progress),
            observer,
            interrupt,
        )
    }
}

/// The model's folder, its configuration, and the tokenizer.
struct Opened {
    folder: Option<ModelFolder>,
    encoder: EncoderConfig,
    tokenizer: TextTokenizer,
    /// Where the tokenizer comes from.
    origin: String,
}

fn open(
    config: &PretrainConfig,
    files: &[PathBuf],
    observer: &mut dyn Observer,
    interrupt: &AtomicBool,
) -> Result<Opened, TrainError> {
    let folder = config
        .model
        .path
        .as_deref()
        .map(|path| ModelFolder::open(&model_folder(path)))
        .transpose()?;
    let fresh = config.model.fresh.as_ref();
    let family = match (&folder, fresh) {
        (Some(folder), _) => folder.config.family,
        (None, Some(fresh)) => fresh.family,
        (None, None) => {
            return Err(setting(
                "there is no model",
                "give a folder with [model.path=DIR]",
            ));
        }
    };
    let home = config.model.path.as_deref().map(model_folder);
    let given = match (&config.tokenizer.path, &home) {
        (Some(path), _) => Some(path.to_string_lossy().parse()?),
        (None, Some(home)) => Some(TokenizerSpec::Dir(home.clone())),
        (None, None) => None,
    };
    check_family(config, family)?;
    let (tokenizer, origin) = match (given, fresh) {
        (Some(spec), _) => {
            let tokenizer = spec.load(home.as_deref(), tokenizer_family(family))?;
            (tokenizer, format!("from {spec}"))
        }
        (None, Some(fresh)) => {
            let tokenizer = vocabulary::train(config, fresh, files, observer, interrupt)?;
            (tokenizer, "trained on the corpus".into())
        }
        (None, None) => unreachable!("told above"),
    };
    let mut encoder = match (&folder, fresh) {
        (Some(folder), _) => folder.config.clone(),
        (None, Some(fresh)) => fresh_config(
            fresh,
            tokenizer.vocab_size(),
            tokenizer.pad_id().map_or(0, |id| id as usize),
        )?,
        (None, None) => unreachable!("told above"),
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
    // They name the classes of another task.
    (encoder.labels, encoder.num_labels, encoder.problem_type) = (None, None, None);
    let longest = config.training.stages.iter().filter_map(|s| s.max_length);
    let longest = longest
        .chain([config.sequences.max_length])
        .max()
        .unwrap_or(0);
    if longest > encoder.max_length() {
        return Err(setting(
            format!(
                "sequences of {longest} tokens are asked for, but the model has positions for {}",
                encoder.max_length()
            ),
            "give fewer with [sequences.max_length], or more `max_position_embeddings`",
        ));
    }
    Ok(Opened {
        folder,
        encoder,
        tokenizer,
        origin,
    })
}

/// Heads that the family has.
fn check_family(config: &PretrainConfig, family: Family) -> Result<(), TrainError> {
    let o = &config.objective;
    if o.rtd > 0.0 && family != Family::Electra {
        return Err(setting(
            format!("replaced-token detection makes an electra, but the model is a {family}"),
            "start from an electra, or from fresh weights with `model.fresh.family = \"electra\"`",
        ));
    }
    let pairs = o.next_sentence > 0.0 || o.sentence_order > 0.0;
    if pairs && family != Family::Bert {
        return Err(setting(
            format!("pairs of segments need the head of BERT, but the model is a {family}"),
            "use a model of the family bert, or `[objective=mlm]`",
        ));
    }
    Ok(())
}

/// The files of the corpus.
fn find_files(
    config: &PretrainConfig,
    observer: &mut dyn Observer,
) -> Result<Vec<PathBuf>, TrainError> {
    let found = corpus::find(&config.corpus.paths)?;
    let passed_over = match found.passed_over.as_slice() {
        [] => None,
        [file] => Some(format!("`{}`, which is", file.display())),
        files => Some(format!("{} files in the folders, which are", files.len())),
    };
    if let Some(files) = passed_over {
        observer.event(&Event::Note(format!(
            "not read: {files} no text by name; name it outright to read it"
        )));
    }
    Ok(found.files)
}

/// The tokenised corpus, and the folder it was put in for the time being.
fn open_corpus(
    config: &PretrainConfig,
    policy: DirectoryPolicy,
    files: &[PathBuf],
    tokenizer: &TextTokenizer,
    observer: &mut dyn Observer,
    interrupt: &AtomicBool,
) -> Result<(Corpus, Option<TemporaryFolder>), TrainError> {
    let output = config.output.clone().unwrap_or_default();
    let shards = match &config.corpus.shards {
        Some(shards) => shards.clone(),
        None => output.join("shards"),
    };
    // A dry run leaves nothing behind.
    let mut temporary = None;
    let shards = if policy == DirectoryPolicy::DryRun && !shards.exists() {
        let name = output.file_name().unwrap_or_default().to_string_lossy();
        let name = format!(".{name}.dry-run-{}", std::process::id());
        let mut parents = output.ancestors().skip(1);
        let folder = match parents.find(|parent| parent.is_dir()) {
            Some(parent) => parent.join(name),
            None => name.into(),
        };
        temporary = Some(TemporaryFolder(folder.clone()));
        folder.join("shards")
    } else {
        shards
    };
    let parents: Vec<&Path> = shards.ancestors().skip(1).collect();
    let missing = parents.iter().take_while(|parent| !parent.exists());
    let missing: Vec<&Path> = missing.copied().filter(|p| *p != Path::new("")).collect();
    if let Some(parent) = missing.first() {
        std::fs::create_dir_all(parent).map_err(|source| TrainError::Write {
            path: (*parent).into(),
            source,
        })?;
    }
    let prepared = corpus::prepare(
        files,
        &config.corpus.options(),
        tokenizer,
        &shards,
        &mut |p| {
            observer.event(&Event::Busy(format!(
                "tokenising: {} % of the text, {} documents, {} tokens",
                p.bytes * 100 / p.total_bytes.max(1),
                p.documents,
                p.tokens
            )));
        },
        interrupt,
    );
    if prepared.is_err() {
        // Those that we made are empty again, unless somebody else wrote into them.
        for folder in missing {
            let _ = std::fs::remove_dir(folder);
        }
    }
    let prepared = prepared?;
    if let Origin::Built {
        because: Some(because),
    } = &prepared.origin
    {
        observer.event(&Event::Note(format!("tokenised anew: {because}")));
    }
    Ok((prepared.corpus, temporary))
}

/// Tokenises the corpus, and brings tokenizer and model. Besides the tokenised corpus, nothing is
/// written; a dry run writes nothing.
///
/// Setting `interrupt` stops the tokenising.
///
/// # Errors
/// Anything that would stop the run later, as far as it can be seen now.
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
    // The model's configuration before the corpus: a wrong folder is told at once.
    let texts = find_files(&config, observer)?;
    let opened = open(&config, &texts, observer, interrupt)?;
    for warning in opened.tokenizer.warnings() {
        observer.event(&Event::Note(warning.clone()));
    }
    let vocabulary = MaskVocabulary::of(&opened.tokenizer).map_err(|e| masking_error(&e))?;
    let masking = config.masking.masking(&config.objective);
    if let Err(mut problems) = masking.check(corpus::has_words(&opened.tokenizer)) {
        return Err(masking_error(&problems.swap_remove(0)));
    }
    let settings = sequence_settings(&config, &opened.tokenizer);
    settings
        .check()
        .map_err(|mut problems| sequence_error(problems.swap_remove(0)))?;
    let (corpus, temporary) = open_corpus(
        &config,
        policy,
        &texts,
        &opened.tokenizer,
        observer,
        interrupt,
    )?;
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
        stages: stages(t, &settings, Length::Steps(u64::MAX)),
        masking,
        vocabulary,
        seed: config.seed,
    };
    // The first pass says how many updates an epoch has.
    let first = source.pass(0, 0)?;
    let updates = first.batches().div_ceil(source.stages[0].accumulation);
    let length = match (t.steps, t.budget, t.epochs) {
        (Some(steps), _, _) => Length::Steps(steps),
        (None, Some(budget), _) => Length::Seconds(budget.seconds),
        (None, None, epochs) => {
            let steps = (epochs.unwrap_or(1.0) * updates as f64).ceil();
            Length::Steps((steps as u64).max(1))
        }
    };
    source.stages = stages(t, &settings, length);
    let validation = source.validation(t.evaluate_sequences)?;
    let facts = Facts {
        updates,
        sequences: first.sequences(),
        tokens: first.tokens(),
        validation: validation.iter().map(|batch| batch.batch.len()).sum(),
        length,
    };
    drop(first);
    let files: Vec<(PathBuf, String)> = source
        .corpus
        .manifest()
        .sources
        .iter()
        .map(|record| (PathBuf::from(&record.path), record.sha256.clone()))
        .collect();
    let mut data: Vec<String> = files.iter().map(|(_, hash)| hash.clone()).collect();
    data.push(format!(
        "{}{}",
        resume::TOKENIZER,
        source.corpus.manifest().tokenizer
    ));
    data.push(format!(
        "{} documents, {} sentences, {} tokens",
        source.corpus.documents(),
        source.corpus.sentences(),
        source.corpus.tokens()
    ));
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
        data,
        device: devices.training(),
    };
    let (run, parameters) = builder.build(opened, &mut lines)?;
    lines.push(("device".into(), devices.describe()));
    lines.extend(devices::precision_line(&devices, config.precision));
    lines.push(("length".into(), facts.describe(&config)));
    let steps = match length {
        Length::Steps(steps) => steps,
        Length::Seconds(_) => 0,
    };
    Ok(PreparedPretraining {
        summary: Summary {
            lines,
            train_rows: facts.sequences,
            valid_rows: facts.validation,
            parameters,
            steps,
            tokens_per_epoch: facts.tokens,
        },
        config,
        policy,
        directory,
        devices,
        files,
        command: Vec::new(),
        profile: false,
        run,
        _temporary: temporary,
    })
}

/// What the first pass says of the run.
struct Facts {
    updates: usize,
    sequences: usize,
    tokens: u64,
    validation: usize,
    length: Length,
}

impl Facts {
    fn describe(&self, config: &PretrainConfig) -> String {
        let t = &config.training;
        let batch = match t.gradient_accumulation {
            1 => format!("{} sequences", t.batch_size),
            k => format!("{} × {k} sequences", t.batch_size),
        };
        let stages = match t.stages.len() {
            0 | 1 => String::new(),
            n => format!(", in {n} stages"),
        };
        match self.length {
            Length::Steps(steps) => format!(
                "{steps} steps of {batch}{stages}; a pass over the corpus has {}",
                self.updates
            ),
            Length::Seconds(seconds) => format!(
                "{seconds} seconds, in steps of {batch}{stages}; a pass over the corpus has {}",
                self.updates
            ),
        }
    }
}

fn describe_corpus(
    config: &PretrainConfig,
    source: &Source,
    facts: &Facts,
) -> Vec<(String, String)> {
    let corpus = &source.corpus;
    let o = &config.objective;
    let parts = [
        ("masked words", o.mlm),
        ("next sentence", o.next_sentence),
        ("sentence order", o.sentence_order),
        ("replaced tokens", o.rtd),
    ];
    let parts: Vec<String> = parts
        .iter()
        .filter(|(_, weight)| *weight > 0.0)
        .map(|(name, weight)| format!("{weight} × {name}"))
        .collect();
    let valid = match facts.validation {
        0 => "none: nothing is held out".to_owned(),
        n => format!(
            "{n} sequences of {} held-out documents",
            source.held_out.len()
        ),
    };
    [
        ("objective", parts.join(" + ")),
        (
            "corpus",
            format!(
                "{} documents, {} sentences, {} tokens in {}",
                corpus.documents(),
                corpus.sentences(),
                corpus.tokens(),
                match corpus.manifest().sources.len() {
                    1 => "a file".to_owned(),
                    n => format!("{n} files"),
                }
            ),
        ),
        (
            "a pass",
            format!(
                "{} sequences, {} tokens, {:.1} a sequence",
                facts.sequences,
                facts.tokens,
                facts.tokens as f64 / facts.sequences.max(1) as f64
            ),
        ),
        ("validation", valid),
    ]
    .map(|(name, text)| (name.to_owned(), text))
    .into()
}

/// Everything that a task and its model are made of.
struct Builder<'a> {
    config: &'a PretrainConfig,
    directory: &'a RunDirectory,
    policy: DirectoryPolicy,
    source: Source,
    validation: Vec<source::MaskedBatch>,
    data: Vec<String>,
    device: Device,
}

type Lines = Vec<(String, String)>;

/// Says what a model's folder did not give, and what it gave in vain.
fn report(what: &str, loaded: &LoadReport, lines: &mut Lines) {
    for (how, names) in [
        ("fresh weights", &loaded.fresh),
        ("not used", &loaded.unused),
    ] {
        if !names.is_empty() {
            lines.push((format!("{what}{how}"), shorten(names)));
        }
    }
}

/// The two models on the same embeddings, or on `one` encoder.
fn pair(discriminator: DiscriminatorModel, generator: MlmModel, one: bool) -> Electra {
    if one {
        Electra::tied(discriminator, generator.head)
    } else {
        Electra::new(discriminator, generator)
    }
}

impl Builder<'_> {
    fn build(self, opened: Opened, lines: &mut Lines) -> Result<(Box<dyn Run>, usize), TrainError> {
        let o = &self.config.objective;
        let encoder = opened.encoder.clone();
        if o.rtd > 0.0 {
            let (model, generator) = self.electra(&opened, lines)?;
            let learn = ReplacedTokens::new(
                encoder,
                generator,
                &self.config.generator,
                o,
                self.config.seed,
            );
            self.ready(learn, model, opened, lines)
        } else if o.next_sentence > 0.0 || o.sentence_order > 0.0 {
            let model: PretrainingModel = self.single(&opened, lines)?;
            let (name, weight) = if o.next_sentence > 0.0 {
                ("next_sentence_loss", o.next_sentence)
            } else {
                ("sentence_order_loss", o.sentence_order)
            };
            let learn = SegmentPairs::new(encoder, o.mlm, name, weight);
            self.ready(learn, model, opened, lines)
        } else {
            let model: MlmModel = self.single(&opened, lines)?;
            let learn = MaskedLm::new(encoder, o.mlm);
            self.ready(learn, model, opened, lines)
        }
    }

    /// The model of a folder, its head with it where it has one, or a fresh one.
    fn single<H: bertkit_model::Head>(
        &self,
        opened: &Opened,
        lines: &mut Lines,
    ) -> Result<Model<H>, TrainError> {
        let seed = self.config.seed;
        let Some(folder) = &opened.folder else {
            return Ok(Model::fresh(&opened.encoder, 0, &self.device, seed));
        };
        let (model, loaded) = load(folder, &opened.encoder, &self.device, seed)?;
        report("", &loaded, lines);
        Ok(model)
    }

    /// Discriminator and generator, and the generator's configuration.
    fn electra(
        &self,
        opened: &Opened,
        lines: &mut Lines,
    ) -> Result<(Electra, EncoderConfig), TrainError> {
        let (g, seed) = (&self.config.generator, self.config.seed);
        let discriminator: DiscriminatorModel = self.single(opened, lines)?;
        // A run of ours has the generator beside the model.
        let beside = self
            .config
            .model
            .path
            .as_deref()
            .map(|path| path.join(HELPER));
        let path = g
            .path
            .clone()
            .or_else(|| beside.filter(|path| path.join("config.json").is_file()));
        let one = g.tied == Tied::All;
        let Some(path) = path else {
            let config = if one {
                opened.encoder.clone()
            } else {
                opened.encoder.generator(g.size, g.layers)
            };
            config
                .check(Path::new("generator"))
                .map_err(ModelError::from)?;
            let what = if one {
                "the model itself, under a head of its own with fresh weights".into()
            } else {
                sizes(&config, "fresh weights")
            };
            lines.push(("generator".into(), what));
            let fresh = MlmModel::fresh(&config, 0, &self.device, seed.wrapping_add(1));
            return Ok((pair(discriminator, fresh, one), config));
        };
        let folder = ModelFolder::open(&path)?;
        let (e, own) = (&opened.encoder, &folder.config);
        let same = own.family == Family::Electra
            && (own.vocab_size, own.embedding_size) == (e.vocab_size, e.embedding_size)
            && own.tie_word_embeddings;
        if one && own.hidden_size != e.hidden_size {
            return Err(setting(
                format!(
                    "`generator.tied` is all, but the generator in `{}` is {} wide and the model {}",
                    path.display(),
                    own.hidden_size,
                    e.hidden_size
                ),
                "set it to \"embeddings\", or name a generator as wide as the model with `generator.path`",
            ));
        }
        if !same {
            return Err(setting(
                format!(
                    "the generator in `{}` does not share the embeddings of the model: it is a {} of {} words, {} wide, expected electra, {} and {}",
                    path.display(),
                    own.family,
                    own.vocab_size,
                    own.embedding_size,
                    e.vocab_size,
                    e.embedding_size
                ),
                "take both from the same pretraining, or leave `generator.path` out for a fresh one",
            ));
        }
        let config = if one {
            e.clone()
        } else {
            EncoderConfig {
                hidden_dropout: e.hidden_dropout,
                attention_dropout: e.attention_dropout,
                ..own.clone()
            }
        };
        let (generator, loaded) = load::<bertkit_model::heads::MlmHead>(
            &folder,
            &config,
            &self.device,
            seed.wrapping_add(1),
        )?;
        let what = if one {
            format!(
                "the model itself, under a head of its own from {}",
                path.display()
            )
        } else {
            sizes(&config, &format!("from {}", path.display()))
        };
        lines.push(("generator".into(), what));
        report("generator's ", &loaded, lines);
        Ok((pair(discriminator, generator, one), config))
    }

    fn ready<L: Learn + 'static>(
        self,
        learn: L,
        model: L::Model,
        opened: Opened,
        lines: &mut Lines,
    ) -> Result<(Box<dyn Run>, usize), TrainError>
    where
        L::Model: 'static,
    {
        let config = self.config;
        let source = match &config.model.path {
            Some(path) => format!("from {}", path.display()),
            None => "fresh weights".into(),
        };
        let parameters = model.num_params();
        let text = format!(
            "{}; {parameters} parameters",
            sizes(&opened.encoder, &source)
        );
        lines.push(("model".into(), text));
        let task = PretrainTask {
            learn,
            source: self.source,
            validation: self.validation,
            tokenizer: opened.tokenizer,
            layers: opened.encoder.num_hidden_layers,
            layer_decay: config.optimizer.layer_decay,
            probe: Probe::new(&config.probe, &config.device, config.precision),
        };
        let mut ready = TrainableRun {
            model,
            optimizer: AdamW::new(&config.optimizer),
            progress: Progress {
                data: self.data,
                ..Progress::default()
            },
            task,
        };
        if self.policy == DirectoryPolicy::Resume {
            let data = &ready.progress.data;
            let (model, taken_up) = resume::restore(
                self.directory,
                &ready.task,
                ready.model,
                &config.optimizer,
                data,
            )?;
            ready.model = model;
            if let Some((optimizer, progress)) = taken_up {
                (ready.optimizer, ready.progress) = (optimizer, progress);
            }
        }
        Ok((Box::new(ready), parameters))
    }
}

fn load<H: bertkit_model::Head>(
    folder: &ModelFolder,
    config: &EncoderConfig,
    device: &Device,
    seed: u64,
) -> Result<(Model<H>, LoadReport), TrainError> {
    let loaded = Model::load_as(
        config,
        &folder.checkpoint,
        0,
        device,
        HeadPolicy::Fresh(seed),
    );
    Ok(loaded.map_err(ModelError::from)?)
}

/// A model's sizes as a sentence.
fn sizes(config: &EncoderConfig, source: &str) -> String {
    format!(
        "{} of {} layers, {} wide, {source}",
        config.family, config.num_hidden_layers, config.hidden_size
    )
}

/// A run goes on under the settings it began with; device, directory and shards may be others.
fn compare_with_started(
    config: &PretrainConfig,
    directory: &RunDirectory,
) -> Result<(), TrainError> {
    let path = directory.path().join("config.toml");
    let started = PretrainConfig::resolve_unchecked(Some(&path), &[])?;
    let relevant = |config: &PretrainConfig| {
        let mut config = config.clone();
        config.output = None;
        config.device = String::new();
        config.corpus.shards = None;
        config.training.recompute = false;
        config.training.micro_batch = None;
        config.to_toml()
    };
    check_resumable(directory, &relevant(&started), &relevant(config))
}

impl PreparedPretraining {
    /// What is known before the first step. Under a budget in time `steps` is 0.
    pub fn summary(&self) -> &Summary {
        &self.summary
    }

    /// The resolved configuration.
    pub fn config(&self) -> &PretrainConfig {
        &self.config
    }

    /// The command line, for `environment.json`.
    #[must_use]
    pub fn with_command(self, command: Vec<String>) -> Self {
        Self { command, ..self }
    }

    /// The rows of the largest batch, if `training.micro_batch` is `auto` and yet to be settled.
    ///
    /// # Errors
    /// The settings do not fit the data.
    pub fn rows_to_settle(&self) -> Result<Option<usize>, TrainError> {
        match self.config.training.micro_batch {
            Some(MicroBatch::Auto) => self.run.most_rows().map(Some),
            _ => Ok(None),
        }
    }

    /// With so many rows as micro-batch.
    #[must_use]
    pub fn with_micro_batch(mut self, rows: usize) -> Self {
        self.config.training.micro_batch = Some(MicroBatch::Rows(rows));
        self
    }

    /// Two updates on the micro-batches that need the most memory, on a copy of the model: a trial, for a process of its
    /// own, since a device whose memory was full may not be of use any more.
    ///
    /// # Errors
    /// The loss is no number. What a device has no memory for is a panic of Burn's.
    pub fn try_largest(&self) -> Result<(), TrainError> {
        self.run.try_largest(&self.frame()?)
    }

    /// Whether the time of each part of an update is measured: see [`Profile`].
    #[must_use]
    pub fn with_profile(self, profile: bool) -> Self {
        Self { profile, ..self }
    }

    fn frame(&self) -> Result<Frame, TrainError> {
        let (c, t) = (&self.config, &self.config.training);
        let length = match t.budget {
            Some(budget) => Length::Seconds(budget.seconds),
            None => Length::Steps(self.summary.steps),
        };
        let a_sequence =
            self.summary.tokens_per_epoch as f64 / self.summary.train_rows.max(1) as f64;
        Ok(Frame {
            loop_config: LoopConfig {
                seed: c.seed,
                micro_batch: t.micro_batch.and_then(MicroBatch::rows),
                epochs: None,
                after_epoch: false,
                evaluate_steps: t.evaluate_steps,
                early_stopping: 0,
                checkpoint_steps: t.checkpoint_steps,
                keep_checkpoints: t.keep_checkpoints,
            },
            placement: self
                .devices
                .placement(c.precision, t.recompute, self.profile)?,
            schedule: Schedule::new(&c.schedule, c.optimizer.learning_rate, length),
            length,
            parameters: self.summary.parameters,
            precision: c.precision,
            optimizer: c.optimizer.clone(),
            tokens_per_update: a_sequence * (t.batch_size * t.gradient_accumulation) as f64,
        })
    }

    /// Expected time and memory, from two timed steps on a copy of the model (after one that warms up).
    ///
    /// # Errors
    /// The loss is no number from the start.
    pub fn estimate(&self) -> Result<Estimate, TrainError> {
        setup::settled(self.config.training.micro_batch)?;
        self.run.estimate(&self.frame()?)
    }

    /// Trains to the end and writes the model.
    ///
    /// Setting `interrupt` stops the run behind the present step, with a checkpoint.
    ///
    /// # Errors
    /// Something cannot be written, the loss is no number any more, or the run was interrupted. What
    /// was complete before stays.
    pub fn train(
        self,
        observer: &mut dyn Observer,
        interrupt: &AtomicBool,
    ) -> Result<PretrainOutcome, TrainError> {
        setup::settled(self.config.training.micro_batch)?;
        let frame = self.frame()?;
        let files = self.files.iter();
        let files = files.map(|(path, hash)| (path.as_path(), hash.as_str()));
        let setup = RunSetup {
            command: "pretrain",
            policy: self.policy,
            environment: environment::environment(
                &self.devices,
                self.config.precision,
                self.config.seed,
                files,
                &self.command,
            ),
            config: self.config.to_toml(),
            directory: self.directory,
            summary: self.summary,
        };
        let finished = self.run.train(setup, &frame, observer, interrupt)?;
        let generator = finished.model.with_file_name(HELPER);
        Ok(PretrainOutcome {
            model: finished.model,
            generator: Some(generator).filter(|path| path.is_dir()),
            steps: finished.steps,
            seconds: finished.seconds,
            evaluation: finished.best,
            profile: finished.profile,
        })
    }
}
