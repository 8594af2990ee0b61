//! The same run again: on folds of a file, from several seeds, or both.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use bertkit_data::formats::tagged::{TagPolicy, read_tagged};
use bertkit_data::formats::{Cell, Table};
use bertkit_data::splits::{self, Split};
use bertkit_data::tagging::Scheme;
use bertkit_evaluation::{
    BootstrapOptions, Metric, Predictions, Report, RunsEstimate, across_runs, pool,
};
use bertkit_model::DeviceSpec;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::config::{FileFormat, RunConfig, RunTask};
use crate::error::TrainError;
use crate::evaluation::{EvalOptions, evaluate};
use crate::observer::Observer;
use crate::predictor::Predictor;
use crate::prepare::{classes_of, prepare, read_labelled, read_options};
use crate::questions::{Answerer, QuestionEvalOptions, evaluate_questions};
use crate::run_dir::{DirectoryPolicy, write_atomically};
use crate::stored::StoredEvaluation;
use crate::tag_evaluation::{TagEvalOptions, evaluate_tags};
use crate::tagger::{Answers, Tagger};
use crate::tasks::TagColumns;

/// What the evaluation of each run is called.
const NAME: &str = "held_out";

/// Which runs there are.
#[derive(Debug, Clone)]
pub struct CrossvalOptions {
    /// Into so many folds the training file is divided; `None` trains on all of it and evaluates on `test`.
    pub folds: Option<usize>,
    /// Runs from so many seeds: that of the configuration and those behind it.
    pub seeds: u64,
    /// What every run is evaluated on where there are no folds.
    pub test: Option<PathBuf>,
    /// What becomes of a directory that is there.
    pub policy: DirectoryPolicy,
    /// Resamples, confidence and seed of the intervals; the confidence is also that of the intervals over runs.
    pub bootstrap: BootstrapOptions,
}

/// One run.
#[derive(Debug, Clone, Serialize)]
pub struct CrossvalRun {
    /// Its directory, below that of all.
    pub name: String,
    /// Its fold, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fold: Option<usize>,
    /// Its seed.
    pub seed: u64,
    /// How good it is on what it has not seen.
    pub report: Report,
}

/// All runs.
#[derive(Debug, Clone)]
pub struct Crossval {
    /// Run by run.
    pub runs: Vec<CrossvalRun>,
    /// Each metric over the runs: mean, standard deviation, t interval of the mean. Over folds the interval is too narrow,
    /// since their training rows are mostly the same (Bengio & Grandvalet 2004).
    pub across: Vec<(Metric, RunsEstimate)>,
    /// With folds, the answers to all rows together, seed by seed: each row by the run that had not seen it.
    pub pooled: Vec<Report>,
    /// Where all of this is kept.
    pub written: PathBuf,
}

fn setting(message: impl Into<String>, hint: impl Into<String>) -> TrainError {
    TrainError::Setting {
        message: message.into(),
        hint: hint.into(),
    }
}

fn failed(path: &Path) -> impl Fn(std::io::Error) -> TrainError + '_ {
    move |source| TrainError::Write {
        path: path.into(),
        source,
    }
}

/// What is divided into folds.
struct Items {
    /// One JSON object each.
    rows: Vec<Value>,
    /// Where they stand in their file.
    lines: Vec<u64>,
    /// The class of each, where there are classes.
    classes: Option<Vec<usize>>,
    /// The group of each, where there are groups.
    groups: Option<Vec<String>>,
}

fn items(config: &RunConfig, observer: &mut dyn Observer) -> Result<Items, TrainError> {
    match config.task.kind {
        Some(RunTask::Ner) => sentences(config),
        Some(RunTask::Qa) => Err(setting(
            "files of questions are not divided into folds",
            "give a file of its own with --test FILE, and leave --folds out",
        )),
        _ => rows(config, observer),
    }
}

fn rows(config: &RunConfig, observer: &mut dyn Observer) -> Result<Items, TrainError> {
    let (table, examples) = read_labelled(config, observer)?;
    let known: HashMap<u64, usize> = examples
        .rows
        .iter()
        .enumerate()
        .map(|(number, row)| (row.line, number))
        .collect();
    let grouped = config.data.group.is_some() || config.data.group_by.is_some();
    let classes = classes_of(config, &examples)?;
    let mut items = Items {
        rows: Vec::with_capacity(examples.rows.len()),
        lines: Vec::new(),
        classes: classes.as_ref().map(|_| Vec::new()),
        groups: grouped.then(Vec::new),
    };
    let Table { columns, rows, .. } = table;
    for row in rows {
        // Rows without text or label are nobody's.
        let Some(&number) = known.get(&row.line) else {
            continue;
        };
        if let (Some(all), Some(classes)) = (&mut items.classes, &classes) {
            all.push(classes[number]);
        }
        if let Some(groups) = &mut items.groups {
            groups.push(examples.rows[number].group.clone().unwrap_or_default());
        }
        items.lines.push(row.line);
        let value = |cell: Cell| match cell {
            Cell::Missing => Value::Null,
            Cell::Text(text) => text.into(),
            Cell::List(list) => list.into(),
        };
        let cells = row.cells.into_iter().map(value);
        items.rows.push(
            columns
                .iter()
                .cloned()
                .zip(cells)
                .collect::<Map<_, _>>()
                .into(),
        );
    }
    Ok(items)
}

fn sentences(config: &RunConfig) -> Result<Items, TrainError> {
    let path = config.data.train.clone().unwrap_or_default();
    let columns = TagColumns::from(&config.data);
    let corpus = read_tagged(&path, &columns.options(TagPolicy::Required)?)?;
    let by_document = config.data.group.is_some();
    if by_document && corpus.documents.is_empty() {
        return Err(setting(
            format!(
                "the sentences of `{}` are not divided into documents",
                path.display()
            ),
            "leave --group out: sentences are then divided one by one",
        ));
    }
    let mut items = Items {
        rows: Vec::new(),
        lines: Vec::new(),
        classes: None,
        groups: by_document.then(Vec::new),
    };
    for sentence in &corpus.sentences {
        let Some(tags) = sentence.tags(Scheme::Bio) else {
            continue;
        };
        let words: Vec<&str> = (0..sentence.len())
            .map(|word| sentence.word(word))
            .collect();
        let document = sentence.document.map(|at| corpus.documents[at].clone());
        let mut row = json!({ "tokens": words, "tags": tags });
        if let (Some(name), Some(row)) = (&document, row.as_object_mut()) {
            row.insert("document".into(), name.clone().into());
        }
        if let Some(groups) = &mut items.groups {
            groups.push(document.unwrap_or_default());
        }
        items.rows.push(row);
        items.lines.push(sentence.line);
    }
    Ok(items)
}

/// Writes rows as JSON Lines.
fn write_rows(path: &Path, items: &Items, chosen: &[usize]) -> Result<(), TrainError> {
    let mut text = String::new();
    for &row in chosen {
        text += &items.rows[row].to_string();
        text.push('\n');
    }
    write_atomically(path, text.as_bytes())
}

/// One run to be made.
struct Planned {
    name: String,
    fold: Option<usize>,
    config: RunConfig,
    data: PathBuf,
    /// Lines of the whole file that those of `data` come from.
    lines: Option<Vec<u64>>,
}

/// Trains and evaluates every run, one after the other. `watch` gives what listens to each, by its name.
///
/// Below the configuration's `output` stand the data of the folds (`data/`), a run directory for each run, and, when all are
/// done, `crossval.json` and `predictions.jsonl`. With [`DirectoryPolicy::Resume`], finished runs are left alone and an
/// interrupted one goes on.
///
/// # Errors
/// Anything that stops a run, and what cannot be divided.
pub fn crossval(
    config: &RunConfig,
    options: &CrossvalOptions,
    watch: &mut dyn FnMut(&str) -> Box<dyn Observer>,
    interrupt: &AtomicBool,
) -> Result<Crossval, TrainError> {
    config.check()?;
    let root = config.output.clone().unwrap_or_default();
    claim(&root, options.policy)?;
    let planned = plan(config, options, &root, watch)?;
    let mut runs = Vec::with_capacity(planned.len());
    for run in &planned {
        let report = carry_out(run, options, watch, interrupt)?;
        runs.push(CrossvalRun {
            name: run.name.clone(),
            fold: run.fold,
            seed: run.config.seed,
            report,
        });
    }
    let reports: Vec<Report> = runs.iter().map(|run| run.report.clone()).collect();
    let mut found = Crossval {
        across: across_runs(&reports, options.bootstrap.confidence),
        runs,
        pooled: Vec::new(),
        written: root.join("crossval.json"),
    };
    if options.folds.is_some() {
        found.pooled = pooled(&root, &planned, options)?;
    }
    let across: Map<String, Value> = found
        .across
        .iter()
        .map(|(metric, estimate)| (metric.to_string(), json!(estimate)))
        .collect();
    let value = json!({ "runs": found.runs, "across": across, "pooled": found.pooled });
    write_atomically(&found.written, format!("{value:#}\n").as_bytes())?;
    Ok(found)
}

/// Settles whether the directory of all runs may be used.
fn claim(root: &Path, policy: DirectoryPolicy) -> Result<(), TrainError> {
    let full = fs::read_dir(root).is_ok_and(|mut entries| entries.next().is_some());
    match policy {
        DirectoryPolicy::New if full => Err(setting(
            format!("`{}` is not empty", root.display()),
            "choose another with --output, go on with --resume, or replace it with --overwrite",
        )),
        DirectoryPolicy::Overwrite
            if full
                && !root.join("data").join("fold-1-train.jsonl").is_file()
                && !root.join("crossval.json").is_file() =>
        {
            Err(setting(
                format!("`{}` holds no runs of cross-validation", root.display()),
                "it is not replaced; choose another with --output",
            ))
        }
        DirectoryPolicy::Overwrite if full => fs::remove_dir_all(root).map_err(failed(root)),
        _ => Ok(()),
    }
}

fn plan(
    config: &RunConfig,
    options: &CrossvalOptions,
    root: &Path,
    watch: &mut dyn FnMut(&str) -> Box<dyn Observer>,
) -> Result<Vec<Planned>, TrainError> {
    let seeds = config.seed..config.seed + options.seeds.max(1);
    let named = |fold: Option<usize>, seed: u64| match (fold, options.seeds > 1) {
        (Some(fold), true) => format!("fold-{fold}-seed-{seed}"),
        (Some(fold), false) => format!("fold-{fold}"),
        (None, _) => format!("seed-{seed}"),
    };
    let Some(folds) = options.folds else {
        let Some(test) = &options.test else {
            return Err(setting(
                "there is nothing to evaluate on",
                "divide the training file with --folds 5, or name another with --test FILE",
            ));
        };
        let planned = seeds.map(|seed| {
            let name = named(None, seed);
            Planned {
                config: RunConfig {
                    seed,
                    output: Some(root.join(&name)),
                    ..config.clone()
                },
                name,
                fold: None,
                data: test.clone(),
                lines: None,
            }
        });
        return Ok(planned.collect());
    };
    if options.test.is_some() || config.data.valid.is_some() {
        return Err(setting(
            "with folds, every row is held out once: there is no other file to evaluate or choose on",
            "leave --test and --valid out, or leave --folds out",
        ));
    }
    let items = items(config, &mut *watch("data"))?;
    let splits: Vec<Split> = splits::folds(
        items.rows.len(),
        items.classes.as_deref(),
        items.groups.as_deref(),
        folds,
        config.seed,
    )?;
    let folder = root.join("data");
    fs::create_dir_all(&folder).map_err(failed(&folder))?;
    let mut planned = Vec::new();
    for (number, split) in splits.iter().enumerate() {
        let fold = number + 1;
        let train = folder.join(format!("fold-{fold}-train.jsonl"));
        let held_out = folder.join(format!("fold-{fold}-held-out.jsonl"));
        write_rows(&train, &items, &split.train)?;
        write_rows(&held_out, &items, &split.held_out)?;
        for seed in seeds.clone() {
            let name = named(Some(fold), seed);
            let mut own = config.clone();
            own.seed = seed;
            own.output = Some(root.join(&name));
            own.data.train = Some(train.clone());
            own.data.format = Some(FileFormat::Jsonl);
            (own.data.delimiter, own.data.quote, own.data.escape) = (None, None, None);
            own.data.header = true;
            if own.task.kind == Some(RunTask::Ner) {
                (own.data.word_column, own.data.tag_column) = (None, None);
                (own.data.sentence_column, own.data.level) = (None, None);
            }
            planned.push(Planned {
                name,
                fold: Some(fold),
                config: own,
                data: held_out.clone(),
                lines: Some(split.held_out.iter().map(|&row| items.lines[row]).collect()),
            });
        }
    }
    Ok(planned)
}

/// Trains and evaluates a run, as far as that has not been done.
fn carry_out(
    run: &Planned,
    options: &CrossvalOptions,
    watch: &mut dyn FnMut(&str) -> Box<dyn Observer>,
    interrupt: &AtomicBool,
) -> Result<Report, TrainError> {
    let directory = run.config.output.clone().unwrap_or_default();
    let kept = directory.join("eval").join(format!("{NAME}.json"));
    if let Ok(text) = fs::read_to_string(&kept) {
        return serde_json::from_str(&text).map_err(|e| {
            setting(
                format!("`{}` cannot be read: {e}", kept.display()),
                format!("remove `{}` and go on with --resume", directory.display()),
            )
        });
    }
    if !directory.join("model").join("config.json").is_file() {
        let begun = directory.join("config.toml").is_file();
        let policy = match begun {
            true => DirectoryPolicy::Resume,
            false => DirectoryPolicy::New,
        };
        let mut observer = watch(&run.name);
        let prepared = match prepare(run.config.clone(), policy, &mut *observer) {
            // It had not come to its first checkpoint.
            Err(TrainError::NothingToResume { .. }) if begun => prepare(
                run.config.clone(),
                DirectoryPolicy::Overwrite,
                &mut *observer,
            )?,
            other => other?,
        };
        prepared.train(&mut *observer, interrupt)?;
    }
    let device: DeviceSpec = run.config.device.parse().unwrap_or_default();
    let (bootstrap, name) = (options.bootstrap.clone(), Some(NAME.to_owned()));
    let (data, quiet) = (run.data.clone(), &mut |_: usize, _: usize| {});
    Ok(match Answers::of(&directory) {
        Answers::Texts => {
            let options = EvalOptions {
                data,
                read: read_options(&run.config.data)?,
                text: None,
                text_pair: None,
                label: None,
                group: None,
                label_separator: None,
                missing: run.config.data.missing,
                strict: false,
                bootstrap,
                threshold: None,
                perturbations: Vec::new(),
                name,
            };
            evaluate(&Predictor::open(&directory, device)?, &options, quiet)?.report
        }
        Answers::Tags => {
            let options = TagEvalOptions {
                data,
                columns: TagColumns::default(),
                by_document: false,
                strict: false,
                bootstrap,
                perturbations: Vec::new(),
                name,
            };
            evaluate_tags(&Tagger::open(&directory, device)?, &options, quiet)?.report
        }
        Answers::Questions => {
            let options = QuestionEvalOptions {
                data,
                read: read_options(&run.config.data)?,
                question: None,
                context: None,
                answer: None,
                start: None,
                id: None,
                strict: false,
                pool_snippets: false,
                group: None,
                bootstrap,
                name,
            };
            evaluate_questions(&Answerer::open(&directory, device)?, &options, quiet)?.report
        }
    })
}

/// Answers to all rows, each by the run that had not seen it, seed by seed; they are kept in the order of the file.
fn pooled(
    root: &Path,
    planned: &[Planned],
    options: &CrossvalOptions,
) -> Result<Vec<Report>, TrainError> {
    let mut seeds: Vec<u64> = planned.iter().map(|run| run.config.seed).collect();
    seeds.sort_unstable();
    seeds.dedup();
    let (mut reports, mut rows) = (Vec::new(), Vec::new());
    for seed in seeds {
        let mut parts: Vec<Predictions> = Vec::new();
        let mut of_seed: Vec<(u64, Value)> = Vec::new();
        for run in planned.iter().filter(|run| run.config.seed == seed) {
            let directory = run.config.output.clone().unwrap_or_default();
            parts.push(StoredEvaluation::read(&directory, NAME)?.predictions);
            let path = directory
                .join("eval")
                .join(format!("{NAME}.predictions.jsonl"));
            let text = fs::read_to_string(&path).map_err(|source| TrainError::Read {
                path: path.clone(),
                source,
            })?;
            for line in text.lines() {
                let Ok(Value::Object(mut row)) = serde_json::from_str(line) else {
                    continue;
                };
                // A row's line in the fold's file is its number there.
                let within = row.get("line").and_then(Value::as_u64).unwrap_or(1);
                let lines = run.lines.as_deref().unwrap_or_default();
                let at = lines.get(within.saturating_sub(1) as usize).copied();
                let at = at.unwrap_or(within);
                row.insert("line".into(), at.into());
                row.insert("fold".into(), run.fold.into());
                row.insert("seed".into(), seed.into());
                of_seed.push((at, row.into()));
            }
        }
        of_seed.sort_by_key(|(line, _)| *line);
        rows.extend(of_seed.into_iter().map(|(_, row)| row));
        let parts: Vec<&Predictions> = parts.iter().collect();
        // Folds may lack a class, or be of a kind that has no common answers; the runs stand for themselves then.
        if let Ok(all) = pool(&parts) {
            reports.push(bertkit_evaluation::evaluate(&all, &options.bootstrap));
        }
    }
    let text: String = rows.iter().map(|row| format!("{row}\n")).collect();
    write_atomically(&root.join("predictions.jsonl"), text.as_bytes())?;
    Ok(reports)
}
