//! From a configuration to a run that is ready to start: nothing is written before everything fits.
//!
//! What the tasks share is here, and all of those that answer whole texts; each other task has a file below.

mod questions;
mod tags;

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use bertkit_data::columns::Column;
use bertkit_data::documents::{Chunks, Document, documents};
use bertkit_data::examples::{Examples, RawExample, Selection};
use bertkit_data::labels::{LabelSet, TaskKind, balanced_weights, infer_task, positive_class};
use bertkit_data::relations::{MarkStyle, mark_entities, mark_table, parse_tagged};
use bertkit_data::sources::fasta::{FastaFile, is_fasta, read_fasta};
use bertkit_data::sources::{Format, ReadOptions, parse_delimiter, read_relations, read_table};
use bertkit_data::splits;
use bertkit_data::table::Table;
use bertkit_data::tokenizer::{
    Family as TokenizerFamily, Normalization, TextTokenizer, TokenizerSpec, TrainOptions,
    train_tokenizer,
};
use bertkit_evaluation::{Metric, TaskKind as MetricTask};
use bertkit_model::heads::SectionAttention;
use bertkit_model::{
    EncoderConfig, Family, Head, HeadPolicy, Initializer, Model, ModelError, ModelFolder,
    Precision, ProblemType, SequenceModel,
};
use burn::module::Module;
use burn::tensor::Device;

use crate::config::{
    Calibrate, ClassWeights, DataConfig, FinetuneConfig, FreshModel, LossConfig, MicroBatch,
    NamedWeights, OptimizerConfig, Pool, RunConfig, RunTask, Threshold, TrainingConfig,
};
use crate::engine::data_parallel::DevicePlacement;
use crate::engine::observer::{Estimate, EvaluationReport, Event, Observer, Summary};
use crate::engine::optimizer::AdamW;
use crate::engine::param_groups::freeze;
use crate::engine::profile::Profile;
use crate::engine::schedule::{Length, Schedule};
use crate::engine::task::Task;
use crate::engine::trainer::{LoopConfig, Trainer};
use crate::engine::trial;
use crate::error::TrainError;
use crate::folds;
use crate::run::checkpoint::Progress;
use crate::run::devices::{self, Devices};
use crate::run::directory::{DirectoryPolicy, RunDirectory, sha256};
use crate::run::environment;
use crate::run::resume::{self, check_resumable};
use crate::run::setup::{self, RunSetup};
use crate::tasks::{
    DocumentInfo, FineTuned, QuestionTask, Rows, SequenceTask, TagTask, Targets, TaskInfo,
};

/// A run whose data, task, tokenizer and model are settled.
#[derive(Debug)]
pub struct Prepared {
    config: RunConfig,
    policy: DirectoryPolicy,
    directory: RunDirectory,
    devices: Devices,
    learner: Learner,
    optimizer: AdamW,
    progress: Progress,
    summary: Summary,
    command: Vec<String>,
    profile: bool,
}

/// A task and the model that learns it.
#[derive(Debug)]
struct TrainableRun<T: Task> {
    task: T,
    model: T::Model,
}

/// What a run learns.
#[derive(Debug)]
enum Learner {
    /// One answer a text.
    Texts(Box<TrainableRun<SequenceTask>>),
    /// One tag a word.
    Tags(Box<TrainableRun<TagTask>>),
    /// Answers found in texts.
    Questions(Box<TrainableRun<QuestionTask>>),
}

/// The same expression for whatever is learnt.
macro_rules! each {
    ($learner:expr, $ready:ident => $what:expr) => {
        match $learner {
            Learner::Texts($ready) => $what,
            Learner::Tags($ready) => $what,
            Learner::Questions($ready) => $what,
        }
    };
}

/// What a run ended with.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// The trained model's folder.
    pub model: PathBuf,
    /// Optimizer updates done.
    pub steps: u64,
    /// Seconds of training.
    pub seconds: f64,
    /// The evaluation of the weights that were kept.
    pub best: Option<EvaluationReport>,
    /// The decision threshold of a binary or multi-label task, and how it was chosen.
    pub threshold: Option<(f64, String)>,
    /// The temperature that probabilities are scaled by, where one was asked for and could be fitted.
    pub temperature: Option<f64>,
    /// Where the time went, if that was asked.
    pub profile: Option<Profile>,
}

/// Fewer tokens than this have no room for text between the special ones.
const LEAST_LENGTH: usize = 4;

fn setting(message: impl Into<String>, hint: impl Into<String>) -> TrainError {
    TrainError::Setting {
        message: message.into(),
        hint: hint.into(),
    }
}

/// How the configuration says that files are read.
///
/// # Errors
/// The delimiter or the quotation mark is none.
pub fn read_options(data: &DataConfig) -> Result<ReadOptions, TrainError> {
    let delimiter = data.delimiter.as_deref().map(parse_delimiter).transpose()?;
    let (quote, quoting) = match data.quote.as_deref() {
        None => (None, None),
        Some("none") => (None, Some(false)),
        Some(mark) => match mark.as_bytes() {
            [byte] if byte.is_ascii() => (Some(*byte), Some(true)),
            _ => {
                return Err(setting(
                    format!(
                        "`{mark}` is no quotation mark, expected one ASCII character or `none`"
                    ),
                    "for files without quoting use `[data.quote=none]`",
                ));
            }
        },
    };
    let escape = match data.escape.as_deref().map(str::as_bytes) {
        None => None,
        Some([byte]) if byte.is_ascii() => Some(*byte),
        Some(_) => {
            return Err(setting(
                "`data.escape` is not one ASCII character",
                "give one with [data.escape], such as \\",
            ));
        }
    };
    let format = match data.format {
        None => None,
        Some(Format::Relations) => None,
        Some(format) if format.spec().table.is_some() => Some(format),
        Some(format) => {
            return Err(setting(
                format!("`{format}` is no format of tables with a text in each row"),
                "give csv, tsv or jsonl, or, for tagged words, [task.kind=ner]",
            ));
        }
    };
    Ok(ReadOptions {
        format,
        delimiter,
        quote,
        quoting,
        escape,
        header: data.header,
        ..ReadOptions::default()
    })
}

/// The files that a name of data stands for: itself, or, of FASTA files divided by commas, each of them.
pub(crate) fn files_of(path: &Path) -> Vec<PathBuf> {
    match fasta_files(path) {
        Some(files) => files.into_iter().map(|file| file.path).collect(),
        None => vec![path.into()],
    }
}

/// FASTA files, divided by commas, each with a class before `=` or not; `None` of anything else.
fn fasta_files(path: &Path) -> Option<Vec<FastaFile>> {
    if path.is_file() && !is_fasta(path) {
        return None;
    }
    let Ok(files) = path
        .to_str()?
        .split(',')
        .map(str::parse::<FastaFile>)
        .collect::<Result<Vec<_>, _>>();
    files
        .iter()
        .all(|file| is_fasta(&file.path))
        .then_some(files)
}

/// What tables of texts hold beside texts and labels.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reading {
    /// Sentences and labels, with or without a header: see [`read_relations`].
    pub relations: bool,
    /// How texts show the entities that they are about: see [`mark_table`].
    pub entities: Option<MarkStyle>,
}

impl Reading {
    /// A table, or the sequences of FASTA files, `lncRNA=a.fa,mRNA=b.fa`, with the columns `text`, `label`, `id` and
    /// `description`.
    ///
    /// # Errors
    /// A file cannot be read, or is not what its name says.
    pub fn table(self, path: &Path, options: &ReadOptions) -> Result<Table, TrainError> {
        Ok(match fasta_files(path) {
            Some(files) => read_fasta(&files)?,
            None if self.relations => read_relations(path, options)?,
            None => read_table(path, options)?,
        })
    }

    /// The table with the entities of its texts marked; `None` where they are not.
    ///
    /// # Errors
    /// There is no such column, or entities cannot be marked.
    pub fn marked(self, table: &Table, text: &Column) -> Result<Option<Table>, TrainError> {
        let marked = |style| Ok(mark_table(table, text, style)?.0);
        self.entities.map(marked).transpose()
    }

    /// A text with the entities marked that its tags `<e1>…</e1>` give.
    ///
    /// # Errors
    /// Entities cannot be marked.
    pub fn marked_text(self, text: &str) -> Result<String, TrainError> {
        let Some(style) = self.entities else {
            return Ok(text.into());
        };
        parse_tagged(text)
            .and_then(|(plain, mentions)| mark_entities(&plain, &mentions, style))
            .map_err(|e| {
                setting(
                    format!("the entities of a text cannot be marked: {e}"),
                    "write them as <e1>…</e1> and <e2>…</e2>",
                )
            })
    }
}

fn selection(data: &DataConfig, group: bool) -> Selection {
    let column = |name: &String| Column::from(name.as_str());
    Selection {
        text: column(&data.text),
        text_pair: data.text_pair.as_ref().map(column),
        label: Some(column(&data.label)),
        group: data.group.as_ref().filter(|_| group).map(column),
        label_separator: data.label_separator.clone(),
    }
}

/// A file's usable rows, and a note about those left out.
fn read_examples(
    path: &Path,
    data: &DataConfig,
    group: bool,
    observer: &mut dyn Observer,
) -> Result<Examples, TrainError> {
    let reading = Reading {
        relations: data.format == Some(Format::Relations),
        entities: data.entities,
    };
    let table = reading.table(path, &read_options(data)?)?;
    let text = Column::from(data.text.as_str());
    let table = reading.marked(&table, &text)?.unwrap_or(table);
    let examples = Examples::labelled(&table, &selection(data, group), data.missing)?;
    if let Some(dropped) = examples.dropped_summary() {
        observer.event(&Event::Note(format!("{}: {dropped}", path.display())));
    }
    Ok(examples)
}

/// What is learnt from: rows, or documents.
struct Inputs {
    /// The rows; of documents, the first row of each, which has its label and its line.
    examples: Examples,
    /// The texts of each document.
    documents: Option<Vec<Vec<String>>>,
}

fn read_inputs(
    path: &Path,
    config: &RunConfig,
    group: bool,
    observer: &mut dyn Observer,
) -> Result<Inputs, TrainError> {
    if config.task.documents.is_none() {
        return Ok(Inputs {
            examples: read_examples(path, &config.data, group, observer)?,
            documents: None,
        });
    }
    let grouped = config.data.group_by.is_some();
    let mut data = config.data.clone();
    if grouped {
        data.group.clone_from(&data.group_by);
    }
    let mut examples = read_examples(path, &data, group || grouped, observer)?;
    let found = documents(&examples, grouped)?;
    let documents = gather(&mut examples, &found);
    Ok(Inputs {
        examples,
        documents: Some(documents),
    })
}

/// The texts of documents, and in the place of all rows the first of each.
pub(crate) fn gather(examples: &mut Examples, documents: &[Document]) -> Vec<Vec<String>> {
    let mut rows: Vec<Option<RawExample>> = std::mem::take(&mut examples.rows)
        .into_iter()
        .map(Some)
        .collect();
    let mut texts = Vec::with_capacity(documents.len());
    for document in documents {
        let mut own = Vec::with_capacity(document.rows.len());
        for (number, &row) in document.rows.iter().enumerate() {
            let Some(mut row) = rows[row].take() else {
                continue;
            };
            own.push(std::mem::take(&mut row.text));
            if number == 0 {
                examples.rows.push(row);
            }
        }
        texts.push(own);
    }
    texts
}

/// Everything about the labels of the training file.
struct Settled {
    kind: TaskKind,
    reason: String,
    classes: Option<LabelSet>,
    positive: Option<usize>,
}

fn settle_task(config: &RunConfig, examples: &Examples) -> Result<Settled, TrainError> {
    let separator = examples.label_separator.as_deref();
    let labels = examples.labels();
    let inferred = infer_task(&labels, separator)?;
    let (kind, reason) = match config.task.kind.and_then(RunTask::of_labels) {
        None => (
            inferred.kind,
            format!("inferred from the labels: {}", inferred.reason),
        ),
        Some(kind) if kind == inferred.kind => (kind, inferred.reason),
        Some(TaskKind::MultiLabel) => {
            return Err(setting(
                "a multi-label task needs to know what separates the labels of a cell",
                "give it with [data.label_separator], for example [data.label_separator=\";\"]",
            ));
        }
        Some(kind) => (
            kind,
            format!(
                "as asked for, where the labels look like this: {}",
                inferred.reason
            ),
        ),
    };
    let classes = match kind {
        TaskKind::Regression => None,
        TaskKind::Classification => Some(LabelSet::from_labels(&labels)?),
        TaskKind::MultiLabel => Some(LabelSet::from_multi_labels(
            &labels,
            separator.unwrap_or_default(),
        )?),
    };
    let positive = match (&classes, &config.task.positive) {
        (Some(set), Some(name)) if kind == TaskKind::Classification && set.len() == 2 => {
            Some(set.index(name).ok_or_else(|| {
                setting(
                    format!(
                        "`{name}` is none of the two classes `{}`",
                        set.names().join("`, `")
                    ),
                    "give one of them with [task.positive]",
                )
            })?)
        }
        (_, Some(name)) => {
            return Err(setting(
                format!("there is no positive class `{name}`: the task does not have two classes"),
                "leave [task.positive] out",
            ));
        }
        (Some(set), None) if kind == TaskKind::Classification && set.len() == 2 => {
            Some(positive_class(set.names()).unwrap_or(1))
        }
        _ => None,
    };
    Ok(Settled {
        kind,
        reason,
        classes,
        positive,
    })
}

/// Targets of the rows, and which rows have one: a label that training does not know has none.
fn targets(
    settled: &Settled,
    examples: &Examples,
) -> Result<(Targets, Vec<usize>, Option<String>), TrainError> {
    let all = || (0..examples.rows.len()).collect();
    match (&settled.classes, settled.kind) {
        (Some(set), TaskKind::Classification) => {
            let (classes, unseen) = examples.classes(set);
            let (rows, known) = classes
                .into_iter()
                .enumerate()
                .filter_map(|(i, c)| c.map(|c| (i, c)))
                .unzip();
            Ok((Targets::Classes(known), rows, unseen.summary()))
        }
        (Some(set), _) => {
            let (sets, unseen) = examples.label_sets(set);
            let mut flat = vec![false; sets.len() * set.len()];
            for (row, labels) in sets.iter().enumerate() {
                labels
                    .iter()
                    .for_each(|&label| flat[row * set.len() + label] = true);
            }
            Ok((Targets::Sets(flat), all(), unseen.summary()))
        }
        (None, _) => {
            let numbers = examples.numbers()?;
            Ok((
                Targets::Scores(numbers.into_iter().map(|n| n.unwrap_or(0.0)).collect()),
                all(),
                None,
            ))
        }
    }
}

/// Rows to learn from, and rows to choose by, out of all that the fold leaves.
fn split(
    config: &RunConfig,
    examples: &Examples,
    targets: &Targets,
    rows: Vec<usize>,
) -> Result<(Vec<usize>, Vec<usize>), TrainError> {
    let fraction = config.data.valid_fraction;
    if config.data.valid.is_some() || fraction == 0.0 {
        return Ok((rows, Vec::new()));
    }
    let split = if config.data.group.is_some() {
        let group = |&row: &usize| examples.rows[row].group.as_deref().unwrap_or_default();
        let groups: Vec<&str> = rows.iter().map(group).collect();
        let classes = classes_at(targets, &rows);
        splits::grouped(&groups, classes.as_deref(), fraction, config.seed)?
    } else if let Some(classes) = classes_at(targets, &rows) {
        splits::stratified(&classes, fraction, config.seed)?
    } else {
        splits::random(rows.len(), fraction, config.seed)?
    };
    let those = |places: Vec<usize>| places.into_iter().map(|at| rows[at]).collect();
    Ok((those(split.train), those(split.held_out)))
}

/// The class of each of some rows, where each has one.
fn classes_at(targets: &Targets, rows: &[usize]) -> Option<Vec<usize>> {
    match targets {
        Targets::Classes(classes) => Some(rows.iter().map(|&row| classes[row]).collect()),
        _ => None,
    }
}

/// The rows that the fold leaves to learn from, all without one; tells of classes that are too rare for it.
fn fold_rows(
    context: &mut RunContext,
    settled: &Settled,
    examples: &Examples,
    targets: &Targets,
    observer: &mut dyn Observer,
) -> Result<Vec<usize>, TrainError> {
    let all = examples.rows.len();
    let data = &context.config.data;
    let Some(fold) = data.fold else {
        return Ok((0..all).collect());
    };
    let split = folds::of_rows(fold, examples, targets, data.group.is_some())?;
    context
        .lines
        .push(fold.line(split.held_out.len(), all, "rows"));
    let (Targets::Classes(classes), Some(set)) = (targets, &settled.classes) else {
        return Ok(split.train);
    };
    for (class, name) in set.names().iter().enumerate() {
        let count = classes.iter().filter(|&&c| c == class).count();
        if count < fold.of {
            observer.event(&Event::Note(format!(
                "class `{name}` has {count} row{}, but there are {} folds: some hold out none of it",
                if count == 1 { "" } else { "s" },
                fold.of
            )));
        }
        if !split.train.iter().any(|&row| classes[row] == class) {
            observer.event(&Event::Note(format!(
                "fold {} holds out all rows of class `{name}`: its run cannot learn it",
                fold.number
            )));
        }
    }
    Ok(split.train)
}

pub(crate) const fn tokenizer_family(family: Family) -> TokenizerFamily {
    match family {
        Family::Bert => TokenizerFamily::Bert,
        Family::Roberta => TokenizerFamily::Roberta,
        Family::Electra => TokenizerFamily::Electra,
        Family::Distilbert => TokenizerFamily::Distilbert,
    }
}

/// The model's folder, where the directory of a finished run is given in its place.
pub(crate) fn model_folder(path: &Path) -> PathBuf {
    let within = path.join("model");
    if !path.join("config.json").is_file() && within.join("config.json").is_file() {
        within
    } else {
        path.into()
    }
}

/// The tokenizer of a model folder; its ids must fit the embedding.
///
/// # Errors
/// There is none, it is damaged, or its vocabulary is larger than the embedding.
pub(crate) fn open_tokenizer(
    folder: &Path,
    config: &EncoderConfig,
) -> Result<TextTokenizer, TrainError> {
    let tokenizer = TextTokenizer::from_dir(folder, tokenizer_family(config.family))?;
    check_tokenizer(&tokenizer, folder, config)?;
    Ok(tokenizer)
}

/// The ids of a tokenizer must fit the embedding of the model that it is for; `folder` is where the
/// tokenizer or its vocabulary comes from.
pub(crate) fn check_tokenizer(
    tokenizer: &TextTokenizer,
    folder: &Path,
    config: &EncoderConfig,
) -> Result<(), TrainError> {
    if tokenizer.vocab_size() > config.vocab_size {
        return Err(setting(
            format!(
                "the tokenizer in `{}` has {} tokens, but the model's embedding has {} rows",
                folder.display(),
                tokenizer.vocab_size(),
                config.vocab_size
            ),
            "tokenizer and weights do not belong together; take both from the same checkpoint",
        ));
    }
    Ok(())
}

/// The encoder of those sizes, over a vocabulary.
///
/// # Errors
/// The sizes do not fit each other.
pub(crate) fn fresh_config(
    fresh: &FreshModel,
    vocab_size: usize,
    pad_token_id: usize,
) -> Result<EncoderConfig, TrainError> {
    let mut config = EncoderConfig::new(
        fresh.family,
        vocab_size,
        fresh.hidden_size,
        fresh.num_hidden_layers,
        fresh.num_attention_heads,
        fresh.intermediate_size,
    );
    config.max_position_embeddings = fresh.max_position_embeddings;
    config.hidden_dropout = fresh.hidden_dropout;
    config.attention_dropout = fresh.attention_dropout;
    config.classifier_dropout = fresh.hidden_dropout;
    config.pad_token_id = pad_token_id;
    if let Some(size) = fresh.embedding_size {
        if fresh.family != Family::Electra && size != fresh.hidden_size {
            return Err(setting(
                format!(
                    "`model.fresh.embedding_size` is {size}, but only electra has embeddings of a width of their own"
                ),
                "leave it out, or use family = \"electra\"",
            ));
        }
        config.embedding_size = size;
    }
    if let Some(range) = fresh.initializer_range {
        if !(range > 0.0 && range <= 1.0) {
            return Err(setting(
                format!(
                    "`model.fresh.initializer_range` is {range}, expected more than 0 and 1 at most"
                ),
                "leave it out for 0.02, or try 1 / √hidden_size for a narrow encoder",
            ));
        }
        config.initializer_range = range;
    }
    config
        .check(Path::new("model.fresh"))
        .map_err(ModelError::from)?;
    Ok(config)
}

/// Reads the data, settles the task, and brings tokenizer and model. Nothing is written.
///
/// # Errors
/// Anything that would stop the run later, as far as it can be seen now.
pub fn prepare(
    config: RunConfig,
    policy: DirectoryPolicy,
    observer: &mut dyn Observer,
) -> Result<Prepared, TrainError> {
    config.check()?;
    let devices = Devices::of(&config.device, config.precision)?;
    let output = config.output.clone().unwrap_or_default();
    let directory = RunDirectory::check(&output, policy)?;
    if policy == DirectoryPolicy::Resume {
        compare_with_started(&config, &directory)?;
    }

    // The model's configuration before the data: a wrong folder is told at once.
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
                .map_or(Family::Bert, |fresh| fresh.family);
            let spec: TokenizerSpec = path.to_string_lossy().parse()?;
            Some(spec.load(None, tokenizer_family(family))?)
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
    match context.config.task.kind {
        Some(RunTask::Ner) => tags::prepare(context, observer),
        Some(RunTask::Qa) => questions::prepare(context, observer),
        _ => prepare_texts(context, observer),
    }
}

/// What stands before any data is read.
struct RunContext {
    config: RunConfig,
    policy: DirectoryPolicy,
    directory: RunDirectory,
    devices: Devices,
    folder: Option<ModelFolder>,
    /// The tokenizer that was given, or the model's.
    tokenizer: Option<TextTokenizer>,
    /// What there is to say beside what every run says.
    lines: Vec<(String, String)>,
}

/// What turns texts into token ids, and what reads these.
struct Reader {
    tokenizer: TextTokenizer,
    encoder: EncoderConfig,
    /// Tokens of the longest input, special tokens included.
    max_length: usize,
}

impl RunContext {
    /// Settles tokenizer and encoder; `texts` are those to train a tokenizer on where there is none.
    fn reader<'a>(
        &mut self,
        texts: impl Iterator<Item = &'a str>,
        observer: &mut dyn Observer,
    ) -> Result<Reader, TrainError> {
        let (config, lines) = (&self.config, &mut self.lines);
        let (tokenizer, mut encoder) =
            match (self.tokenizer.take(), &self.folder, &config.model.fresh) {
                (Some(tokenizer), Some(folder), _) => (tokenizer, folder.config.clone()),
                (given, _, Some(fresh)) => {
                    let tokenizer = match given {
                        Some(tokenizer) => tokenizer,
                        None => {
                            let options = TrainOptions {
                                vocab_size: Some(config.tokenizer.vocab_size),
                                normalization: Normalization {
                                    lowercase: config.tokenizer.lowercase,
                                    ..Normalization::default()
                                },
                                min_frequency: config.tokenizer.min_frequency,
                                max_length: fresh.max_position_embeddings,
                                ..TrainOptions::default()
                            };
                            let tokenizer = train_tokenizer(texts, &options)?
                                .with_family(tokenizer_family(fresh.family));
                            lines.push((
                                "tokenizer".into(),
                                format!(
                                    "WordPiece, {} tokens, trained on the training text",
                                    tokenizer.vocab_size()
                                ),
                            ));
                            tokenizer
                        }
                    };
                    let padding = tokenizer.pad_id().map_or(0, |id| id as usize);
                    let encoder = fresh_config(fresh, tokenizer.vocab_size(), padding)?;
                    (tokenizer, encoder)
                }
                _ => {
                    return Err(setting(
                        "there is no model",
                        "give a folder with [model.path=DIR]",
                    ));
                }
            };
        for warning in tokenizer.warnings() {
            observer.event(&Event::Note(warning.clone()));
        }
        let m = &config.model;
        encoder.hidden_dropout = m.hidden_dropout.unwrap_or(encoder.hidden_dropout);
        encoder.attention_dropout = m.attention_dropout.unwrap_or(encoder.attention_dropout);
        encoder.classifier_dropout = m.classifier_dropout.unwrap_or(encoder.classifier_dropout);
        if config.training.freeze_layers > encoder.num_hidden_layers {
            return Err(setting(
                format!(
                    "`training.freeze_layers` is {}, but the encoder has {} layers",
                    config.training.freeze_layers, encoder.num_hidden_layers
                ),
                "freeze fewer layers with [training.freeze_layers]",
            ));
        }
        let max_length = config.data.max_length.min(encoder.max_length());
        if max_length < LEAST_LENGTH {
            return Err(setting(
                format!(
                    "the model has positions for {max_length} tokens, expected {LEAST_LENGTH} or more"
                ),
                "two or three of them are special tokens; take a model with a larger `max_position_embeddings`",
            ));
        }
        if max_length < config.data.max_length {
            observer.event(&Event::Note(format!(
                "the model has positions for {max_length} tokens: inputs are cut there, not at {}",
                config.data.max_length
            )));
        }
        Ok(Reader {
            tokenizer,
            encoder,
            max_length,
        })
    }

    /// The model of the folder with a head of so many outputs, or a fresh one; `same` is whether the folder's head
    /// answered the same question. A head for other classes answered another one.
    fn model<H: Head>(
        &mut self,
        encoder: &EncoderConfig,
        outputs: usize,
        same: bool,
        device: &Device,
    ) -> Result<Model<H>, TrainError> {
        let seed = self.config.seed;
        let Some(folder) = &self.folder else {
            return Ok(Model::fresh(encoder, outputs, device, seed));
        };
        let policy = if same {
            HeadPolicy::Fresh(seed)
        } else {
            HeadPolicy::Discard(seed)
        };
        let (model, report) = Model::load_as(encoder, &folder.checkpoint, outputs, device, policy)
            .map_err(ModelError::from)?;
        if !report.fresh.is_empty() {
            self.lines
                .push(("fresh weights".into(), shorten(&report.fresh)));
        }
        if !report.unused.is_empty() {
            self.lines
                .push(("not used".into(), shorten(&report.unused)));
        }
        Ok(model)
    }

    /// Weights of sections: those of the folder if its head answered the same question, otherwise fresh ones.
    fn attention(
        &mut self,
        encoder: &EncoderConfig,
        same: bool,
        device: &Device,
    ) -> Result<SectionAttention, TrainError> {
        let h = encoder.hidden_size;
        // Another seed than that of the rest, whose first numbers these would be.
        let seed = self.config.seed ^ 0x5ec7_1045;
        let mut init = Initializer::added(device, seed, encoder.initializer_range);
        let known = match (&self.folder, same) {
            (Some(folder), true) => SectionAttention::read(&folder.checkpoint, h, &mut init)
                .map_err(ModelError::from)?,
            _ => None,
        };
        if known.is_some() {
            // They were unused by the model without them.
            self.lines.retain(|(name, text)| {
                name != "not used"
                    || !text
                        .split(", ")
                        .all(|name| name.starts_with("section_attention."))
            });
        }
        Ok(known.unwrap_or_else(|| SectionAttention::new(h, &mut init)))
    }

    /// The run, with everything settled.
    fn ready(self, learner: Learner, summary: Summary) -> Result<Prepared, TrainError> {
        let data = self.config.data.train.iter();
        let data = data
            .chain(&self.config.data.valid)
            .flat_map(|path| files_of(path))
            .map(|path| sha256(&path))
            .collect::<Result<Vec<_>, _>>()?;
        let prepared = Prepared {
            optimizer: AdamW::new(&self.config.optimizer),
            progress: Progress {
                data,
                ..Progress::default()
            },
            config: self.config,
            policy: self.policy,
            directory: self.directory,
            devices: self.devices,
            learner,
            summary,
            command: Vec::new(),
            profile: false,
        };
        match self.policy {
            DirectoryPolicy::Resume => prepared.restore(),
            _ => Ok(prepared),
        }
    }
}

/// Classes, several labels or a number for each text, or pair of texts.
fn prepare_texts(
    mut context: RunContext,
    observer: &mut dyn Observer,
) -> Result<Prepared, TrainError> {
    let config = context.config.clone();
    let train_path = config.data.train.clone().unwrap_or_default();
    let group = config.data.fold.is_some()
        || (config.data.valid.is_none() && config.data.valid_fraction > 0.0);
    let Inputs {
        examples,
        documents,
    } = read_inputs(&train_path, &config, group, observer)?;
    let settled = settle_task(&config, &examples)?;
    let (all_targets, _, _) = targets(&settled, &examples)?;
    let rows = fold_rows(&mut context, &settled, &examples, &all_targets, observer)?;
    let (train, held_out) = split(&config, &examples, &all_targets, rows)?;

    let texts = train.iter().flat_map(|&row| {
        let texts = match &documents {
            Some(documents) => documents[row].as_slice(),
            None => std::slice::from_ref(&examples.rows[row].text),
        };
        let pair = examples.rows[row].text_pair.as_deref();
        texts.iter().map(String::as_str).chain(pair)
    });
    let Reader {
        mut tokenizer,
        mut encoder,
        max_length,
    } = context.reader(texts, observer)?;
    // Markers are tokens of their own; those that the vocabulary lacks need rows of embeddings.
    let mut more_words = 0;
    if let Some(style) = config.data.entities {
        let text = |row: &RawExample| row.text.clone();
        let texts: Vec<String> = match &documents {
            Some(documents) => documents.concat(),
            None => examples.rows.iter().map(text).collect(),
        };
        let shown =
            |tokens: &Vec<String>| tokens.iter().any(|t| texts.iter().any(|x| x.contains(t)));
        let mut entities = 2;
        while shown(
            &style
                .tokens(entities + 1)
                .split_off(style.tokens(entities).len()),
        ) {
            entities += 1;
        }
        tokenizer = tokenizer.with_added_tokens(&style.tokens(entities))?;
        more_words = tokenizer.vocab_size().saturating_sub(encoder.vocab_size);
    }

    if let Some(settings) = &config.task.documents {
        // Two or three are special tokens; that a window moves on at all is what matters.
        let room = max_length.saturating_sub(2);
        if settings.overlap >= room {
            return Err(setting(
                format!(
                    "neighbouring sections are to share {} tokens, but a section has room for {room}",
                    settings.overlap
                ),
                "lower [task.documents.overlap], or raise [data.max_length]",
            ));
        }
    }

    // Rows to ids.
    let encode = |examples: &Examples,
                  documents: Option<&Vec<Vec<String>>>,
                  rows: &[usize],
                  targets: Targets,
                  observer: &mut dyn Observer|
     -> Result<Rows, TrainError> {
        let lines = rows.iter().map(|&row| examples.rows[row].line).collect();
        if let (Some(documents), Some(settings)) = (documents, &config.task.documents) {
            let texts = |row: &usize| documents[*row].iter().map(String::as_str).collect();
            let texts: Vec<Vec<&str>> = rows.iter().map(texts).collect();
            let name = |at: usize| match &examples.rows[rows[at]] {
                row if config.data.group_by.is_some() => row.group.clone().unwrap_or_default(),
                row => examples.place(row).to_string(),
            };
            let chunks = Chunks::new(&texts, name, &tokenizer, settings.policy(), max_length)?;
            if let Some(empty) = chunks.empty_summary() {
                observer.event(&Event::Note(format!("{}: {empty}", examples.name)));
            }
            return Ok(Rows::of_documents(chunks, lines, targets));
        }
        let texts: Vec<(&str, Option<&str>)> = rows
            .iter()
            .map(|&row| {
                (
                    examples.rows[row].text.as_str(),
                    examples.rows[row].text_pair.as_deref(),
                )
            })
            .collect();
        let encodings = tokenizer.encode_batch(&texts, max_length)?;
        Ok(Rows::new(encodings, lines, targets))
    };
    let outputs = settled.classes.as_ref().map_or(1, LabelSet::len);
    let train_targets = all_targets.select(&train, outputs);
    let train_rows = encode(
        &examples,
        documents.as_ref(),
        &train,
        train_targets,
        observer,
    )?;
    let held_out_targets = all_targets.select(&held_out, outputs);
    let mut valid_rows = encode(
        &examples,
        documents.as_ref(),
        &held_out,
        held_out_targets,
        observer,
    )?;
    if let Some(path) = &config.data.valid {
        let Inputs {
            examples,
            documents,
        } = read_inputs(path, &config, false, observer)?;
        let (targets, rows, unseen) = targets(&settled, &examples)?;
        if let Some(unseen) = unseen {
            observer.event(&Event::Note(format!(
                "{}: {unseen}; left out of validation",
                path.display()
            )));
        }
        if rows.is_empty() {
            return Err(setting(
                format!(
                    "no row of `{}` has a label that training knows",
                    path.display()
                ),
                "check that both files use the same labels and columns",
            ));
        }
        // `targets` already holds the known rows only where a row can be unknown.
        valid_rows = encode(&examples, documents.as_ref(), &rows, targets, observer)?;
    }

    let scale = match &train_rows.targets {
        Targets::Scores(scores) => mean_and_deviation(scores)?,
        _ => (0.0, 1.0),
    };
    let class_weights = settle_class_weights(&config, &settled, &train_rows.targets)?;
    let metric_task = match (settled.kind, settled.positive) {
        (TaskKind::Regression, _) => MetricTask::Regression,
        (TaskKind::MultiLabel, _) => MetricTask::Multilabel,
        (TaskKind::Classification, Some(_)) => MetricTask::Binary,
        (TaskKind::Classification, None) => MetricTask::Multiclass,
    };
    for name in &config.task.averaged {
        let known = settled
            .classes
            .as_ref()
            .filter(|set| set.index(name).is_some());
        if settled.kind != TaskKind::Classification || known.is_none() {
            return Err(setting(
                format!("averages are to be taken over `{name}`, which is no class of this task"),
                "name classes with [task.averaged], divided by commas, or leave it out",
            ));
        }
    }
    let best_metric = settle_metric(&config, metric_task)?;
    check_threshold(&config, metric_task, valid_rows.len())?;
    check_calibration(&config, settled.kind, valid_rows.len())?;
    check_choices(&config, settled.kind, valid_rows.len())?;
    if config.data.group.is_some() && !group {
        observer.event(&Event::Note(
            "`data.group` is not used: no rows are held out of the training file".into(),
        ));
    }
    let (thresholds, threshold_origin) = match (metric_task, config.task.threshold) {
        (MetricTask::Binary, Threshold::At(at)) => (vec![at], threshold_sentence(at)),
        (MetricTask::Multilabel, Threshold::At(at)) => (vec![at; outputs], threshold_sentence(at)),
        (MetricTask::Binary, Threshold::Best(_)) => (vec![0.5], String::new()),
        (MetricTask::Multilabel, Threshold::Best(_)) => (vec![0.5; outputs], String::new()),
        _ => (Vec::new(), String::new()),
    };
    let classes = settled
        .classes
        .as_ref()
        .map_or_else(Vec::new, |set| set.names().to_vec());
    let old_labels = encoder.labels.take();
    encoder.labels = Some(if classes.is_empty() {
        vec!["LABEL_0".into()]
    } else {
        classes.clone()
    });
    encoder.problem_type = Some(match settled.kind {
        TaskKind::Classification => ProblemType::SingleLabelClassification,
        TaskKind::MultiLabel => ProblemType::MultiLabelClassification,
        TaskKind::Regression => ProblemType::Regression,
    });
    encoder.num_labels = None;

    // The model.
    let device = context.devices.training();
    let same = old_labels == encoder.labels;
    let mut model: SequenceModel = context.model(&encoder, outputs, same, &device)?;
    if more_words > 0 {
        // Another seed than that of the rest, whose first numbers these would be.
        let seed = config.seed ^ 0x6d61_726b;
        let mut init = Initializer::added(&device, seed, encoder.initializer_range);
        model.encoder.embeddings = model
            .encoder
            .embeddings
            .with_more_words(more_words, &mut init);
        encoder.vocab_size += more_words;
        let added = (
            "vocabulary".into(),
            format!("{more_words} tokens added, for markers"),
        );
        context.lines.push(added);
    }
    let pool = config
        .task
        .documents
        .as_ref()
        .map(|documents| documents.pool);
    if pool == Some(Pool::Attention) {
        model.head.sections = Some(context.attention(&encoder, same, &device)?);
    }

    let task = SequenceTask {
        info: TaskInfo {
            kind: settled.kind,
            classes,
            positive: settled.positive,
            thresholds,
            threshold_origin,
            temperature: None,
            max_length,
            text: config.data.text.clone(),
            text_pair: config.data.text_pair.clone(),
            label: config.data.label.clone(),
            label_separator: config.data.label_separator.clone(),
            header: config.data.header,
            documents: config.task.documents.as_ref().map(|settings| DocumentInfo {
                pool: settings.pool,
                sections: settings.policy(),
                group_by: config.data.group_by.clone(),
            }),
            entities: config.data.entities,
            relations: config.data.format == Some(Format::Relations),
            averaged: config.task.averaged.clone(),
        },
        model_config: encoder,
        tokenizer,
        train: train_rows,
        valid: valid_rows,
        class_weights,
        loss: config.task.loss.clone(),
        threshold: config.task.threshold,
        calibrate: config.task.calibrate,
        best_metric,
        scale,
        seed: config.seed,
        training: config.training.clone(),
        layer_decay: config.optimizer.layer_decay,
        piece_tokens: config
            .task
            .documents
            .as_ref()
            .map_or(usize::MAX, |settings| settings.piece_tokens),
    };
    let model = freeze(model, |path| task.param_group(path));
    let lines = std::mem::take(&mut context.lines);
    let summary = summarise(&config, &task, &model, &settled, &context.devices, lines)?;
    let learner = Learner::Texts(Box::new(TrainableRun { task, model }));
    context.ready(learner, summary)
}

fn threshold_sentence(at: f64) -> String {
    if at == 0.5 {
        "0.5, as nothing else was asked for".into()
    } else {
        "as asked for".into()
    }
}

fn mean_and_deviation(scores: &[f64]) -> Result<(f64, f64), TrainError> {
    let n = scores.len() as f64;
    let mean = scores.iter().sum::<f64>() / n;
    let deviation = (scores.iter().map(|s| (s - mean).powi(2)).sum::<f64>() / n).sqrt();
    if deviation.is_normal() && deviation.is_finite() {
        Ok((mean, deviation))
    } else {
        Err(setting(
            format!("all training rows have the same number, {mean}: there is nothing to learn"),
            "look at the label column, or name another one with [data.label]",
        ))
    }
}

fn settle_class_weights(
    config: &RunConfig,
    settled: &Settled,
    targets: &Targets,
) -> Result<Vec<f32>, TrainError> {
    let Some(set) = &settled.classes else {
        return match config.task.class_weights {
            ClassWeights::Named(NamedWeights::None) => Ok(Vec::new()),
            _ => Err(setting(
                "class weights need classes, but the task is a regression",
                "leave [task.class_weights] out",
            )),
        };
    };
    let k = set.len();
    let weights: Vec<f64> = match (&config.task.class_weights, targets) {
        (ClassWeights::Named(NamedWeights::None), _) => return Ok(Vec::new()),
        (ClassWeights::Named(NamedWeights::Balanced), Targets::Classes(labels)) => {
            let mut counts = vec![0; k];
            labels.iter().for_each(|&label| counts[label] += 1);
            balanced_weights(&counts)
        }
        (ClassWeights::Named(NamedWeights::Balanced), Targets::Sets(sets)) => {
            // Negative over positive cells, as `pos_weight` of PyTorch is usually set.
            let rows = sets.len() / k;
            let count = |c: usize| (0..rows).filter(|row| sets[row * k + c]).count();
            (0..k)
                .map(|c| (rows - count(c)) as f64 / count(c).max(1) as f64)
                .collect()
        }
        (ClassWeights::Given(given), _) => {
            let mut weights = vec![1.0; k];
            for (name, weight) in given {
                let class = set.index(name).ok_or_else(|| {
                    setting(
                        format!(
                            "a weight is given for the class `{name}`, but the classes are `{}`",
                            set.names().join("`, `")
                        ),
                        set.nearest(name)
                            .map_or("name one of the classes".into(), |near| {
                                format!("did you mean `{near}`?")
                            }),
                    )
                })?;
                weights[class] = *weight;
            }
            if weights.iter().all(|&weight| weight == 0.0) {
                return Err(setting(
                    "every class has the weight 0: there is nothing to learn",
                    "give at least one class a weight with [task.class_weights]",
                ));
            }
            weights
        }
        _ => return Ok(Vec::new()),
    };
    Ok(weights.into_iter().map(|w| w as f32).collect())
}

fn settle_metric(config: &RunConfig, task: MetricTask) -> Result<Option<Metric>, TrainError> {
    let Some(name) = config.training.best_metric.as_deref() else {
        return Ok(Some(match task {
            MetricTask::Binary => Metric::F1,
            MetricTask::Multiclass => Metric::F1Macro,
            MetricTask::Multilabel => Metric::F1Micro,
            MetricTask::Regression => Metric::R2,
            MetricTask::Entities | MetricTask::Spans => Metric::F1Micro,
            MetricTask::Answers | MetricTask::AnswersOrNone => Metric::F1,
            MetricTask::Factoid => Metric::Mrr,
            MetricTask::Lists => Metric::F1Samples,
        }));
    };
    if name == "loss" {
        return Ok(None);
    }
    let names = || {
        Metric::for_task(task)
            .iter()
            .map(Metric::to_string)
            .collect::<Vec<_>>()
            .join(", ")
    };
    let metric: Metric = name.parse().map_err(|_| {
        setting(
            format!("`{name}` is no metric"),
            format!("for this task there are loss, {}", names()),
        )
    })?;
    if !metric.applies_to(task) {
        return Err(setting(
            format!("the metric `{name}` does not apply to this task ({task})"),
            format!("for this task there are loss, {}", names()),
        ));
    }
    Ok(Some(metric))
}

/// Refuses settings that would have no effect on this task or these data.
fn check_choices(config: &RunConfig, kind: TaskKind, valid_rows: usize) -> Result<(), TrainError> {
    check_choosing(config, valid_rows)?;
    match (kind, &config.task.loss) {
        (TaskKind::Regression, LossConfig::Focal { .. }) => Err(setting(
            "the focal loss needs classes, but the task is a regression",
            "leave [task.loss=focal] and [task.loss.focal.gamma] out",
        )),
        (TaskKind::Regression, LossConfig::CrossEntropy { label_smoothing })
            if *label_smoothing > 0.0 =>
        {
            Err(setting(
                "label smoothing needs classes, but the task is a regression",
                "leave [task.loss.cross-entropy.label_smoothing] out",
            ))
        }
        _ => Ok(()),
    }
}

/// Refuses what is decided on validation rows where there are none.
fn check_choosing(config: &RunConfig, valid_rows: usize) -> Result<(), TrainError> {
    let give = "give some with [data.valid=FILE] or [data.valid_fraction=0.1]";
    if valid_rows == 0 && config.training.early_stopping > 0 {
        return Err(setting(
            "early stopping is decided on validation rows, and there are none",
            give,
        ));
    }
    if valid_rows == 0 && config.training.best_metric.is_some() {
        return Err(setting(
            "the best weights are chosen on validation rows, and there are none",
            give,
        ));
    }
    Ok(())
}

fn check_threshold(
    config: &RunConfig,
    task: MetricTask,
    valid_rows: usize,
) -> Result<(), TrainError> {
    let decides = matches!(task, MetricTask::Binary | MetricTask::Multilabel);
    match config.task.threshold {
        Threshold::At(0.5) => Ok(()),
        _ if !decides => Err(setting(
            format!(
                "a threshold decides between two classes, or for each of several labels; this task is {task}"
            ),
            "leave [task.threshold] out",
        )),
        Threshold::Best(_) if valid_rows == 0 => Err(setting(
            "a threshold is chosen on validation rows, and there are none",
            "give some with [data.valid=FILE] or [data.valid_fraction=0.1]",
        )),
        _ => Ok(()),
    }
}

fn check_calibration(
    config: &RunConfig,
    kind: TaskKind,
    valid_rows: usize,
) -> Result<(), TrainError> {
    match config.task.calibrate {
        Calibrate::None => Ok(()),
        Calibrate::Temperature if kind == TaskKind::Regression => Err(setting(
            "a temperature corrects probabilities, and a regression gives numbers",
            "leave [task.calibrate] out",
        )),
        Calibrate::Temperature if valid_rows == 0 => Err(setting(
            "a temperature is fitted on validation rows, and there are none",
            "give some with [data.valid=FILE] or [data.valid_fraction=0.1]",
        )),
        Calibrate::Temperature => Ok(()),
    }
}

/// A list of tensors as a sentence.
pub(crate) fn shorten(names: &[String]) -> String {
    const SHOWN: usize = 4;
    let mut text = names
        .iter()
        .take(SHOWN)
        .cloned()
        .collect::<Vec<_>>()
        .join(", ");
    if names.len() > SHOWN {
        text.push_str(&format!(" and {} more", names.len() - SHOWN));
    }
    text
}

fn summarise(
    config: &RunConfig,
    task: &SequenceTask,
    model: &SequenceModel,
    settled: &Settled,
    devices: &Devices,
    extra: Vec<(String, String)>,
) -> Result<Summary, TrainError> {
    let steps = total_steps(task, &config.training)?;
    let tokens: u64 = task.train.lengths.iter().map(|&n| n as u64).sum();
    let cut = task
        .train
        .encodings
        .iter()
        .filter(|encoding| encoding.truncated)
        .count();
    let sections = task.train.encodings.len();
    let mut lines: Vec<(String, String)> = Vec::new();
    let mut say = |name: &str, text: String| lines.push((name.into(), text));
    let kind = match settled.kind {
        TaskKind::Classification => "classification",
        TaskKind::MultiLabel => "multi-label classification",
        TaskKind::Regression => "regression",
    };
    say("task", format!("{kind} ({})", settled.reason));
    if let Some(positive) = settled.positive {
        say("positive class", task.info.classes[positive].clone());
    }
    let train = config
        .data
        .train
        .as_deref()
        .unwrap_or(Path::new(""))
        .display();
    say(
        "training rows",
        format!(
            "{} from {train}, {} tokens, {:.1} a row{}",
            task.train.len(),
            tokens,
            tokens as f64 / task.train.len().max(1) as f64,
            if cut > 0 {
                format!("; {cut} cut at {} tokens", task.info.max_length)
            } else if task.info.documents.is_some() {
                format!(
                    "; {sections} sections of at most {} tokens",
                    task.info.max_length
                )
            } else {
                String::new()
            }
        ),
    );
    let valid = match (&config.data.valid, task.valid.len()) {
        (_, 0) => "none: the last weights are kept, and nothing is chosen by validation".to_owned(),
        (Some(path), n) => format!("{n} from {}", path.display()),
        (None, n) => match &config.data.group {
            Some(group) => format!("{n} held out, whole groups of `{group}`"),
            None => format!("{n} held out at random, stratified where there are classes"),
        },
    };
    say("validation rows", valid);
    lines.push(model_line(config, &task.model_config, model.num_params()));
    lines.extend(extra);
    lines.extend(running_lines(config, devices, steps));
    if !task.valid.is_empty() {
        lines.push(chooser_line(task.best_metric));
    }
    Ok(Summary {
        lines,
        train_rows: task.train.len(),
        valid_rows: task.valid.len(),
        parameters: model.num_params(),
        steps,
        tokens_per_epoch: tokens,
    })
}

/// Which model is trained.
fn model_line(config: &RunConfig, encoder: &EncoderConfig, parameters: usize) -> (String, String) {
    let source = match (&config.model.path, &config.model.fresh) {
        (Some(path), _) => format!("from {}", path.display()),
        _ => "fresh weights".into(),
    };
    (
        "model".into(),
        format!(
            "{} of {} layers, {} wide, {source}; {parameters} parameters",
            encoder.family, encoder.num_hidden_layers, encoder.hidden_size,
        ),
    )
}

/// What it runs on, and how many updates there are.
fn running_lines(
    config: &RunConfig,
    devices: &Devices,
    steps: u64,
) -> impl Iterator<Item = (String, String)> + use<> {
    let t = &config.training;
    let batch = t.batch_tokens.map_or_else(
        || format!("{} rows", t.batch_size),
        |n| format!("{n} tokens"),
    );
    let accumulation = if t.gradient_accumulation > 1 {
        format!(" × {} accumulated", t.gradient_accumulation)
    } else {
        String::new()
    };
    let steps = format!(
        "{steps} of {batch}{accumulation}, {} epochs at most",
        t.epochs
    );
    std::iter::once(("device".into(), devices.describe()))
        .chain(devices::precision_line(devices, config.precision))
        .chain([("steps".into(), steps)])
}

/// What decides which weights are kept.
fn chooser_line(metric: Option<Metric>) -> (String, String) {
    let chooser = metric.map_or("loss".to_owned(), |metric| metric.to_string());
    (
        "best by".into(),
        format!("{chooser} on the validation rows"),
    )
}

/// A run goes on under the settings it began with; device and directory may be others.
fn compare_with_started(config: &RunConfig, directory: &RunDirectory) -> Result<(), TrainError> {
    let started =
        FinetuneConfig::resolve_unchecked(Some(&directory.path().join("config.toml")), &[])?;
    let relevant = |config: &RunConfig| {
        let mut config = config.clone();
        config.output = None;
        config.device = String::new();
        config.training.recompute = false;
        config.training.micro_batch = None;
        config.to_toml()
    };
    check_resumable(directory, &relevant(&started), &relevant(config))
}

impl Prepared {
    /// What is known before the first step.
    pub fn summary(&self) -> &Summary {
        &self.summary
    }

    /// The resolved configuration.
    pub fn config(&self) -> &RunConfig {
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
        if self.config.training.micro_batch != Some(MicroBatch::Auto) {
            return Ok(None);
        }
        each!(&self.learner, ready => trial::most_rows(&ready.task).map(Some))
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
        let place = self.place(false)?;
        each!(&self.learner, ready => {
            let fresh = AdamW::new(&self.config.optimizer);
            let progress = self.progress.clone();
            let steps = self.summary.steps;
            let trainer = trainer(&ready.task, &self.config, place, fresh, progress, steps);
            trial::try_largest(trainer, ready.model.clone())
        })
    }

    /// Whether the time of each part of an update is measured: see [`Profile`].
    #[must_use]
    pub fn with_profile(self, profile: bool) -> Self {
        Self { profile, ..self }
    }

    /// Where and how the run computes.
    fn place(&self, profile: bool) -> Result<DevicePlacement, TrainError> {
        let (precision, checkpointing) = (self.config.precision, self.config.training.recompute);
        self.devices.place(precision, checkpointing, profile)
    }

    /// Reads the newest checkpoint; without one the run begins anew, to the same end.
    fn restore(mut self) -> Result<Self, TrainError> {
        let (directory, optimizer) = (&self.directory, &self.config.optimizer);
        let data = &self.progress.data;
        let (learner, taken_up) = match self.learner {
            Learner::Texts(ready) => {
                let (ready, taken_up) = ready.restore(directory, optimizer, data)?;
                (Learner::Texts(Box::new(ready)), taken_up)
            }
            Learner::Tags(ready) => {
                let (ready, taken_up) = ready.restore(directory, optimizer, data)?;
                (Learner::Tags(Box::new(ready)), taken_up)
            }
            Learner::Questions(ready) => {
                let (ready, taken_up) = ready.restore(directory, optimizer, data)?;
                (Learner::Questions(Box::new(ready)), taken_up)
            }
        };
        self.learner = learner;
        if let Some((optimizer, progress)) = taken_up {
            (self.optimizer, self.progress) = (optimizer, progress);
        }
        Ok(self)
    }

    /// Expected time and memory, from two timed steps on a copy of the model (after one that warms up).
    ///
    /// # Errors
    /// The loss is no number from the start.
    pub fn estimate(&mut self) -> Result<Estimate, TrainError> {
        setup::settled(self.config.training.micro_batch)?;
        let place = self.place(false)?;
        each!(&self.learner, ready => {
            ready.estimate(&self.config, place, &self.progress, &self.summary)
        })
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
    ) -> Result<Outcome, TrainError> {
        setup::settled(self.config.training.micro_batch)?;
        let place = self.place(self.profile)?;
        let files = std::iter::once(&self.config.data.train)
            .chain(std::iter::once(&self.config.data.valid))
            .flatten()
            .map(PathBuf::as_path)
            .zip(self.progress.data.iter().map(String::as_str));
        let setup = RunSetup {
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
        let (config, state) = (self.config, (self.optimizer, self.progress));
        each!(self.learner, ready => {
            ready.train(setup, &config, place, state, observer, interrupt)
        })
    }
}

impl<T: FineTuned> TrainableRun<T> {
    /// As it stands in the newest checkpoint, with optimizer and progress; as it is, if there is none.
    fn restore(
        self,
        directory: &RunDirectory,
        optimizer: &OptimizerConfig,
        data: &[String],
    ) -> Result<(Self, Option<(AdamW, Progress)>), TrainError> {
        let (model, taken_up) =
            resume::restore(directory, &self.task, self.model, optimizer, data)?;
        let task = self.task;
        Ok((Self { task, model }, taken_up))
    }

    fn estimate(
        &self,
        config: &RunConfig,
        place: DevicePlacement,
        progress: &Progress,
        summary: &Summary,
    ) -> Result<Estimate, TrainError> {
        let t = &config.training;
        let updates = self
            .task
            .batches(&self.task.epoch(0, 0)?)
            .div_ceil(t.gradient_accumulation);
        let rows_share = match t.batch_tokens {
            Some(_) => 1.0,
            // A step limit ends the run earlier than its epochs.
            None => summary.steps as f64 / ((updates * t.epochs).max(1) as f64),
        };
        let tokens = summary.tokens_per_epoch as f64 * t.epochs as f64 * rows_share.min(1.0);
        let trainer = trainer(
            &self.task,
            config,
            place,
            AdamW::new(&config.optimizer),
            progress.clone(),
            summary.steps,
        );
        trial::estimate(trainer, self.model.clone(), summary.parameters, |rate| {
            tokens / rate
        })
    }

    fn train(
        self,
        setup: RunSetup,
        config: &RunConfig,
        place: DevicePlacement,
        (optimizer, progress): (AdamW, Progress),
        observer: &mut dyn Observer,
        interrupt: &AtomicBool,
    ) -> Result<Outcome, TrainError> {
        let steps = setup.summary.steps;
        let mut task = self.task;
        let finished = setup.run(
            &mut task,
            self.model,
            |task| trainer(task, config, place, optimizer, progress, steps),
            observer,
            interrupt,
        )?;
        Ok(Outcome {
            model: finished.model,
            steps: finished.steps,
            seconds: finished.seconds,
            best: finished.best,
            threshold: task.threshold(),
            temperature: task.temperature(),
            profile: finished.profile,
        })
    }
}

/// Optimizer updates of the whole run.
fn total_steps<T: Task>(task: &T, t: &TrainingConfig) -> Result<u64, TrainError> {
    let most = t.max_steps.unwrap_or(u64::MAX);
    let mut steps = 0;
    for epoch in 0..t.epochs as u64 {
        if steps >= most {
            break;
        }
        let batches = task.batches(&task.epoch(0, epoch)?);
        steps += batches.div_ceil(t.gradient_accumulation) as u64;
    }
    Ok(steps.min(most))
}

/// Everything of a run but its weights.
fn trainer<'a, T: Task>(
    task: &'a T,
    config: &RunConfig,
    place: DevicePlacement,
    optimizer: AdamW,
    mut progress: Progress,
    steps: u64,
) -> Trainer<'a, T> {
    let t = &config.training;
    if config.precision == Precision::F16 {
        progress.loss_scale.get_or_insert_default();
    }
    let loop_config = LoopConfig {
        command: "finetune",
        seed: config.seed,
        micro_batch: t.micro_batch.and_then(MicroBatch::rows),
        epochs: Some(t.epochs as u64),
        after_epoch: true,
        evaluate_steps: t.evaluate_steps,
        early_stopping: t.early_stopping,
        checkpoint_steps: t.checkpoint_steps,
        keep_checkpoints: t.keep_checkpoints,
    };
    let schedule = Schedule::new(
        &config.schedule,
        config.optimizer.learning_rate,
        Length::Steps(steps),
    );
    Trainer::new(task, place, loop_config, schedule, optimizer, progress)
}
