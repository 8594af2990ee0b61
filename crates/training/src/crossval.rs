//! Repeated runs: on folds of a file, with several seeds, or both.
//!
//! No data are copied: the configuration of a run names the fold that it holds out, and so does its evaluation. What
//! the runs share, and their summary, is written next to their directories.

use std::fs;
use std::path::{Path, PathBuf};

use bertkit_evaluation::{
    BootstrapOptions, Metric, Predictions, Report, RunsEstimate, across_runs, pool,
};
use bertkit_model::{DeviceList, DeviceSpec};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::config::{FinetuneConfig, FoldConfig};
use crate::engine::observer::Observer;
use crate::error::{TrainError, setting};
use crate::prepare::prepare;
use crate::run::directory::{DirectoryPolicy, RunDirectory};
use crate::run::files::{sha256, write_atomically};
use crate::run::finetune::FinetuneRun;
use crate::run::lock::DirectoryLock;
use crate::run::resume::{differences, finish_interrupted};
use crate::run::tables::files_of;
use crate::tasks::stored::StoredEvaluation;
use crate::tasks::{UnseenData, of_kind, task_of_model};

/// The names of evaluations: on the held-out fold, and on a test file.
const HELD_OUT: &str = "held_out";
const TEST: &str = "test";

/// The options of the runs, and the data files that they read.
const PLAN: &str = "crossval.toml";
/// The configuration that all runs share.
const SHARED: &str = "runs.toml";
/// The summary of the runs.
const RESULT: &str = "crossval.json";
/// The prediction for each row, by the run that held it out.
const ROWS: &str = "predictions.jsonl";

/// The options of the runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CrossvalOptions {
    /// The number of folds of the training file; `None` trains on all of it and evaluates on `test`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub folds: Option<usize>,
    /// Number of seeds, consecutive from that of the configuration. All use the same folds.
    pub seeds: u64,
    /// The file that every run is evaluated on, if there are no folds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test: Option<PathBuf>,
    /// Bootstrap resamples for the intervals of each evaluation; 0 computes none.
    pub resamples: usize,
    /// The confidence level of the intervals.
    pub confidence: f64,
}

impl Default for CrossvalOptions {
    /// One seed and no folds; 95% intervals from 1,000 resamples.
    fn default() -> Self {
        let BootstrapOptions {
            resamples,
            confidence,
            ..
        } = BootstrapOptions::default();
        Self {
            folds: None,
            seeds: 1,
            test: None,
            resamples,
            confidence,
        }
    }
}

/// A file that runs read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct DataFile {
    path: PathBuf,
    sha256: String,
}

/// The content of `crossval.toml`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Plan {
    options: CrossvalOptions,
    data: Vec<DataFile>,
}

/// One run.
#[derive(Debug, Clone, PartialEq)]
pub struct CrossvalRun {
    /// Its directory, relative to the common one: `fold-2`, `seed-43`, `fold-2-seed-43`.
    pub name: String,
    /// All of its settings.
    pub config: FinetuneConfig,
}

/// The state of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RunState {
    /// Nothing to resume from.
    New,
    /// Training has started.
    Begun,
    /// Trained, but not evaluated.
    Trained,
    /// Evaluated.
    Finished,
}

/// Several runs of one configuration in a common directory.
#[derive(Debug, Clone)]
pub struct Crossval {
    root: PathBuf,
    config: FinetuneConfig,
    plan: Plan,
    runs: Vec<CrossvalRun>,
}

/// The report of a run.
#[derive(Debug, Clone, Serialize)]
pub struct RunReport {
    /// Its directory, relative to the common one.
    pub name: String,
    /// Its fold, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fold: Option<usize>,
    /// Its seed.
    pub seed: u64,
    /// The evaluation on data that it was not trained on.
    pub report: Report,
}

/// All rows, each predicted by the run of one seed that held it out.
#[derive(Debug, Clone, Serialize)]
pub struct PooledReport {
    /// The seed of the runs.
    pub seed: u64,
    /// The evaluation on all rows.
    pub report: Report,
}

/// The summary of runs, written as `crossval.json`.
#[derive(Debug, Clone, Serialize)]
pub struct CrossvalReport {
    /// The confidence level of the intervals.
    pub confidence: f64,
    /// The report of each run.
    pub runs: Vec<RunReport>,
    /// Each metric over the runs: mean, standard deviation, and Student's interval of the mean; a map in JSON. Over folds the
    /// interval is too narrow, because most of their training rows are shared (Bengio & Grandvalet 2004); even more so over
    /// several seeds of each fold.
    #[serde(serialize_with = "as_map")]
    pub across: Vec<(Metric, RunsEstimate)>,
    /// With folds, an evaluation on all rows per seed. Ranking metrics such as ROC AUC here compare scores of different
    /// models; their mean over folds is more meaningful (Forman & Scholz 2010).
    pub pooled: Vec<PooledReport>,
}

fn as_map<S: serde::Serializer>(
    across: &[(Metric, RunsEstimate)],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(across.iter().map(|(metric, estimate)| (metric, estimate)))
}

fn read(path: &Path) -> Result<String, TrainError> {
    fs::read_to_string(path).map_err(|source| TrainError::Read {
        path: path.into(),
        source,
    })
}

fn parse_plan(root: &Path) -> Result<Plan, TrainError> {
    let path = root.join(PLAN);
    toml::from_str(&read(&path)?).map_err(|e| {
        setting(
            format!("`{}` cannot be used: {}", path.display(), e.message()),
            "start anew with [option.overwrite]",
        )
    })
}

/// Whether a directory contains runs of one configuration.
fn is_ours(root: &Path) -> bool {
    let shared = root.join(SHARED);
    root.join(PLAN).is_file() || FinetuneConfig::resolve_unchecked(Some(&shared), &[]).is_ok()
}

/// Whether a directory's name is that of a run.
fn is_run(name: &str) -> bool {
    let number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let seed = |text: &str| text.strip_prefix("seed-").is_some_and(number);
    let Some(fold) = name.strip_prefix("fold-") else {
        return seed(name);
    };
    match fold.split_once('-') {
        None => number(fold),
        Some((fold, rest)) => number(fold) && seed(rest),
    }
}

impl Crossval {
    /// The options that the runs in a directory were started with, and the file with their common configuration.
    ///
    /// # Errors
    /// There are no runs, or their options cannot be read.
    pub fn begun(root: &Path) -> Result<(CrossvalOptions, PathBuf), TrainError> {
        if !root.join(PLAN).is_file() && root.join("config.toml").is_file() {
            let config = root.join("config.toml");
            let command = match FinetuneConfig::resolve_unchecked(Some(&config), &[]) {
                Ok(_) => "finetune",
                Err(_) => "pretrain",
            };
            return Err(setting(
                format!("`{}` is a run of `bertkit {command}`", root.display()),
                format!(
                    "continue it with `bertkit {command} [option.resume] [output] {}`",
                    root.display()
                ),
            ));
        }
        if !root.join(PLAN).is_file() {
            return Err(TrainError::NothingToResume { path: root.into() });
        }
        Ok((parse_plan(root)?.options, root.join(SHARED)))
    }

    /// Plans the runs of a configuration in its `output`. Nothing is written.
    ///
    /// # Errors
    /// The options are inconsistent, a file cannot be read, or the directory does not fit the policy; when resuming, the
    /// options, settings or data differ from those that the runs were started with.
    pub fn new(
        config: FinetuneConfig,
        options: CrossvalOptions,
        policy: DirectoryPolicy,
    ) -> Result<Self, TrainError> {
        config.check()?;
        check(&config, &options)?;
        let root = config.output.clone().unwrap_or_default();
        let named = [&config.data.train, &config.data.valid, &options.test];
        let data = named
            .into_iter()
            .flatten()
            .flat_map(|path| files_of(path))
            .map(|path| {
                Ok(DataFile {
                    sha256: sha256(&path)?,
                    path,
                })
            })
            .collect::<Result<Vec<_>, TrainError>>()?;
        let runs = runs(&config, &options, &root);
        let all = Self {
            root,
            config,
            plan: Plan { options, data },
            runs,
        };
        if policy != DirectoryPolicy::DryRun {
            DirectoryLock::check_free(&all.root)?;
        }
        match policy {
            DirectoryPolicy::Resume => all.check_resumable()?,
            DirectoryPolicy::Overwrite => all.check_ours()?,
            DirectoryPolicy::New => all.check_new()?,
            DirectoryPolicy::DryRun => {}
        }
        Ok(all)
    }

    fn check_new(&self) -> Result<(), TrainError> {
        match RunDirectory::open(&self.root).check_content(DirectoryPolicy::New) {
            Err(TrainError::NotEmpty { path, .. }) => Err(TrainError::NotEmpty {
                resumable: path.join(PLAN).is_file(),
                path,
            }),
            checked => checked,
        }
    }

    fn check_resumable(&self) -> Result<(), TrainError> {
        let mismatch = |reason: String| TrainError::ResumeMismatch {
            path: self.root.clone(),
            reason,
        };
        let (_, shared) = Self::begun(&self.root)?;
        let before = parse_plan(&self.root)?;
        let text = |options: &CrossvalOptions| {
            toml::to_string(options).expect("options have a form in TOML")
        };
        let (old, new) = (text(&before.options), text(&self.plan.options));
        if let Some(changed) = differences(&old, &new) {
            return Err(mismatch(changed));
        }
        let old = FinetuneConfig::resolve_unchecked(Some(&shared), &[])?;
        let (old, new) = (relevant(&old), relevant(&self.config));
        if let Some(changed) = differences(&old, &new) {
            return Err(mismatch(changed));
        }
        if before.data != self.plan.data {
            return Err(mismatch(
                "the data files have changed since the runs began".into(),
            ));
        }
        Ok(())
    }

    /// Refuses to replace anything not written by a cross-validation.
    fn check_ours(&self) -> Result<(), TrainError> {
        match self.check_new() {
            Err(TrainError::NotEmpty { .. }) if is_ours(&self.root) => Ok(()),
            Err(TrainError::NotEmpty { path, .. }) => Err(setting(
                format!("`{}` holds no runs of cross-validation", path.display()),
                "it is not replaced; name another directory with [output]",
            )),
            checked => checked,
        }
    }

    /// Creates the directory and writes what the runs share. With [`DirectoryPolicy::Overwrite`] earlier runs are removed;
    /// other files stay.
    ///
    /// Keep the lock while runs are in progress: processes that resume share the directory, and none can replace it.
    ///
    /// # Errors
    /// Another process writes to the directory, or it cannot be written.
    pub fn begin(&self, policy: DirectoryPolicy) -> Result<Option<DirectoryLock>, TrainError> {
        match policy {
            DirectoryPolicy::DryRun => Ok(None),
            DirectoryPolicy::Resume => DirectoryLock::shared(&self.root).map(Some),
            DirectoryPolicy::New | DirectoryPolicy::Overwrite => {
                let lock = DirectoryLock::exclusive(&self.root)?;
                if policy == DirectoryPolicy::New {
                    // Other runs may have started and ended since the first check.
                    self.check_new()?;
                }
                self.write_shared(policy)?;
                lock.share().map(Some)
            }
        }
    }

    fn write_shared(&self, policy: DirectoryPolicy) -> Result<(), TrainError> {
        RunDirectory::open(&self.root).sweep()?;
        let failed = |path: &Path| {
            let path = path.to_path_buf();
            move |source| TrainError::Write { path, source }
        };
        if policy == DirectoryPolicy::Overwrite {
            for entry in fs::read_dir(&self.root).into_iter().flatten().flatten() {
                let path = entry.path();
                if path.is_dir() && entry.file_name().to_str().is_some_and(is_run) {
                    fs::remove_dir_all(&path).map_err(failed(&path))?;
                }
            }
            // The files that identify the directory are removed last, so that an interrupted removal can be repeated.
            for name in [RESULT, ROWS, SHARED, PLAN] {
                let path = self.root.join(name);
                match fs::remove_file(&path) {
                    Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                        return Err(failed(&path)(e));
                    }
                    _ => {}
                }
            }
        }
        write_atomically(&self.root.join(SHARED), self.config.to_toml().as_bytes())?;
        let plan = toml::to_string(&self.plan).expect("a plan has a form in TOML");
        write_atomically(&self.root.join(PLAN), plan.as_bytes())
    }

    /// The runs: all folds of the first seed, then those of the next.
    pub fn runs(&self) -> &[CrossvalRun] {
        &self.runs
    }

    /// The common directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The path of the summary that [`Self::summarise`] writes.
    pub fn result(&self) -> PathBuf {
        self.root.join(RESULT)
    }

    fn folder(&self, run: &CrossvalRun) -> PathBuf {
        self.root.join(&run.name)
    }

    fn evaluation(&self) -> &'static str {
        match self.plan.options.folds {
            Some(_) => HELD_OUT,
            None => TEST,
        }
    }

    /// The state of a run.
    pub fn state(&self, run: &CrossvalRun) -> RunState {
        let folder = self.folder(run);
        let trained = folder.join("model").is_dir();
        let report = folder
            .join("eval")
            .join(format!("{}.json", self.evaluation()));
        match (trained, report.is_file()) {
            (true, true) => RunState::Finished,
            (true, false) => RunState::Trained,
            _ if folder.join("config.toml").is_file() => RunState::Begun,
            _ => RunState::New,
        }
    }

    /// Prepares the training of a run; a run that was started before is resumed.
    ///
    /// # Errors
    /// As for [`prepare`](crate::prepare()).
    pub fn prepare(
        &self,
        run: &CrossvalRun,
        observer: &mut dyn Observer,
    ) -> Result<FinetuneRun, TrainError> {
        let policy = match self.state(run) {
            RunState::New if self.folder(run).is_dir() => DirectoryPolicy::Overwrite,
            RunState::New => DirectoryPolicy::New,
            _ => DirectoryPolicy::Resume,
        };
        prepare(run.config.clone(), policy, observer)
    }

    /// Evaluates a trained run on data that it was not trained on, and writes the evaluation to its directory. `progress`
    /// receives the number of rows done and in total.
    ///
    /// # Errors
    /// The data cannot be used, or the evaluation cannot be written.
    pub fn evaluate(
        &self,
        run: &CrossvalRun,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<(), TrainError> {
        let folder = self.folder(run);
        finish_interrupted(&folder)?;
        let test = self.plan.options.test.as_ref();
        let data = test.or(run.config.data.train.as_ref());
        let devices: Option<DeviceList> = run.config.device.parse().ok();
        let unseen = UnseenData {
            run: &folder,
            // Already validated by `FinetuneConfig::check`.
            device: devices.map_or(DeviceSpec::Auto, |devices| devices.first()),
            config: &run.config,
            data: data.map_or(Path::new(""), PathBuf::as_path),
            bootstrap: self.bootstrap(None),
            name: self.evaluation(),
        };
        (task_of_model(&folder).evaluate_unseen)(&unseen, progress)
    }

    fn bootstrap(&self, groups: Option<Vec<usize>>) -> BootstrapOptions {
        BootstrapOptions {
            resamples: self.plan.options.resamples,
            confidence: self.plan.options.confidence,
            groups,
            ..BootstrapOptions::default()
        }
    }

    /// The report of a finished run.
    ///
    /// # Errors
    /// The run is not finished, or its evaluation cannot be read.
    pub fn report(&self, run: &CrossvalRun) -> Result<Report, TrainError> {
        let folder = self.folder(run).join("eval");
        let path = folder.join(format!("{}.json", self.evaluation()));
        serde_json::from_str(&read(&path)?).map_err(|e| {
            setting(
                format!("`{}` cannot be read: {e}", path.display()),
                "remove it and go on with [option.resume]: the run is then measured again",
            )
        })
    }

    /// Summarises all finished runs. The summary is written to `crossval.json`; with folds, the rows are written to
    /// `predictions.jsonl`, per seed and in the order of the file.
    ///
    /// # Errors
    /// A run is not finished, or a file cannot be read or written.
    pub fn summarise(&self) -> Result<CrossvalReport, TrainError> {
        let reports = self.runs.iter().map(|run| self.report(run));
        let reports = reports.collect::<Result<Vec<_>, _>>()?;
        let confidence = self.plan.options.confidence;
        let across = across_runs(&reports, confidence);
        let runs = self.runs.iter().zip(reports);
        let runs = runs.map(|(run, report)| RunReport {
            name: run.name.clone(),
            fold: run.config.data.fold.map(|fold| fold.number),
            seed: run.config.seed,
            report,
        });
        let mut found = CrossvalReport {
            confidence,
            runs: runs.collect(),
            across,
            pooled: Vec::new(),
        };
        if let Some(folds) = self.plan.options.folds {
            let mut lines = String::new();
            for runs in self.runs.chunks(folds) {
                found.pooled.push(self.pool(runs)?);
                for row in self.rows(runs)? {
                    lines += &row.to_string();
                    lines.push('\n');
                }
            }
            write_atomically(&self.root.join(ROWS), lines.as_bytes())?;
        }
        let text = format!("{:#}\n", json!(found));
        write_atomically(&self.result(), text.as_bytes())?;
        Ok(found)
    }

    /// Pools the predictions of all folds of a seed.
    fn pool(&self, runs: &[CrossvalRun]) -> Result<PooledReport, TrainError> {
        let mut parts = Vec::with_capacity(runs.len());
        // A group is in one fold only, so group numbers are made distinct across folds.
        let mut groups: Option<Vec<usize>> = Some(Vec::new());
        for run in runs {
            let stored = StoredEvaluation::read(&self.folder(run), HELD_OUT)?;
            groups = match (groups, stored.groups()) {
                (Some(mut all), Some(own)) => {
                    let from = all.iter().max().map_or(0, |last| last + 1);
                    all.extend(own.into_iter().map(|group| from + group));
                    Some(all)
                }
                _ => None,
            };
            parts.push(stored.predictions);
        }
        // If some questions have no answer, this holds for all folds, even if one holds out none of them.
        let of_answers =
            |part: &Predictions| matches!(part, Predictions::Answers(p) if p.may_be_unanswerable);
        if parts.iter().any(of_answers) {
            for part in &mut parts {
                if let Predictions::Answers(answers) = part {
                    answers.may_be_unanswerable = true;
                }
            }
        }
        let grouped =
            self.config.data.group.is_some() || of_kind(self.config.task.kind).always_grouped;
        let all = pool(&parts.iter().collect::<Vec<_>>()).map_err(|e| {
            setting(
                format!("the folds cannot be taken together: {e}"),
                "start anew with [option.overwrite]",
            )
        })?;
        let bootstrap = self.bootstrap(groups.filter(|_| grouped));
        Ok(PooledReport {
            seed: runs.first().map_or(self.config.seed, |run| run.config.seed),
            report: bertkit_evaluation::evaluate(&all, &bootstrap),
        })
    }

    /// The rows that runs held out, with the name of the run, in the order of the file; questions without a line number are
    /// ordered by fold.
    fn rows(&self, runs: &[CrossvalRun]) -> Result<Vec<Value>, TrainError> {
        let mut rows: Vec<(u64, Value)> = Vec::new();
        for run in runs {
            let folder = self.folder(run).join("eval");
            let path = folder.join(format!("{HELD_OUT}.{ROWS}"));
            for text in read(&path)?.lines() {
                let own: Map<String, Value> = serde_json::from_str(text).map_err(|e| {
                    setting(
                        format!("`{}` cannot be read: {e}", path.display()),
                        "remove it and its report, and go on with [option.resume]",
                    )
                })?;
                let line = own.get("line").and_then(Value::as_u64).unwrap_or(u64::MAX);
                let mut row = Map::new();
                row.insert("run".into(), run.name.clone().into());
                row.extend(own);
                rows.push((line, row.into()));
            }
        }
        rows.sort_by_key(|(line, _)| *line);
        Ok(rows.into_iter().map(|(_, row)| row).collect())
    }
}

/// The settings that must stay the same between runs: all but the device, the directory and the micro-batch.
fn relevant(config: &FinetuneConfig) -> String {
    let mut config = config.clone();
    config.output = None;
    config.device = String::new();
    config.training.micro_batch = None;
    config.to_toml()
}

fn check(config: &FinetuneConfig, options: &CrossvalOptions) -> Result<(), TrainError> {
    if config.data.fold.is_some() {
        return Err(setting(
            "`data.fold` is set for each run in turn",
            "leave it out, or make that run alone with `bertkit finetune`",
        ));
    }
    if options.seeds == 0 || config.seed.checked_add(options.seeds).is_none() {
        return Err(setting(
            format!(
                "{} seeds from {} on cannot be run",
                options.seeds, config.seed
            ),
            "ask for one or more with [option.seeds], and begin lower with [seed]",
        ));
    }
    match (options.folds, &options.test) {
        (None, None) => Err(setting(
            "there is nothing to measure on",
            "divide the training file with [option.folds=5], or name another with [option.test=FILE]",
        )),
        (Some(_), Some(_)) => Err(setting(
            "with folds, every row is held out once: there is no other file to measure on",
            "leave [option.test] out, or leave [option.folds] out",
        )),
        (Some(folds), None) if folds < 2 => Err(bertkit_data::DataError::Split(
            bertkit_data::error::SplitError::FoldCount { found: folds },
        )
        .into()),
        _ => Ok(()),
    }
}

fn runs(config: &FinetuneConfig, options: &CrossvalOptions, root: &Path) -> Vec<CrossvalRun> {
    let run = |fold: Option<FoldConfig>, seed: u64| {
        let name = match (fold, options.seeds) {
            (Some(fold), 1) => format!("fold-{}", fold.number),
            (Some(fold), _) => format!("fold-{}-seed-{seed}", fold.number),
            (None, _) => format!("seed-{seed}"),
        };
        let mut config = config.clone();
        config.seed = seed;
        config.output = Some(root.join(&name));
        config.data.fold = fold;
        CrossvalRun { name, config }
    };
    let seeds = config.seed..config.seed + options.seeds;
    let Some(of) = options.folds else {
        return seeds.map(|seed| run(None, seed)).collect();
    };
    let fold = |number| FoldConfig {
        number,
        of,
        seed: config.seed,
    };
    seeds
        .flat_map(|seed| (1..=of).map(move |number| (number, seed)))
        .map(|(number, seed)| run(Some(fold(number)), seed))
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn config(root: &Path) -> FinetuneConfig {
        let train = root.join("train.csv");
        fs::write(&train, "text,label\na,x\nb,y\n").unwrap();
        let mut config = FinetuneConfig {
            output: Some(root.join("runs")),
            ..FinetuneConfig::default()
        };
        config.data.train = Some(train);
        config.model.path = Some("m".into());
        config
    }

    fn folds(count: usize, seeds: u64) -> CrossvalOptions {
        CrossvalOptions {
            folds: Some(count),
            seeds,
            ..CrossvalOptions::default()
        }
    }

    #[test]
    fn every_fold_is_run_from_every_seed_on_the_same_folds() {
        let folder = tempfile::tempdir().unwrap();
        let all = Crossval::new(config(folder.path()), folds(2, 2), DirectoryPolicy::New).unwrap();
        let names: Vec<&str> = all.runs().iter().map(|run| run.name.as_str()).collect();
        assert_eq!(
            names,
            [
                "fold-1-seed-42",
                "fold-2-seed-42",
                "fold-1-seed-43",
                "fold-2-seed-43"
            ]
        );
        let last = &all.runs()[3].config;
        let fold = last.data.fold.unwrap();
        assert_eq!((last.seed, fold.seed, fold.number, fold.of), (43, 42, 2, 2));
        assert!(names.iter().all(|name| is_run(name)));
        for other in ["fold", "fold-", "fold-1-", "seed-x", "data", "fold-1-seed-"] {
            assert!(!is_run(other), "{other}");
        }
    }

    #[test]
    fn resuming_needs_the_same_options_settings_and_data() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        let begun = config(path);
        let new = |config: &FinetuneConfig, options, policy| {
            Crossval::new(config.clone(), options, policy)
        };
        let resume =
            |config: &FinetuneConfig, options| new(config, options, DirectoryPolicy::Resume);
        assert!(matches!(
            resume(&begun, folds(2, 1)),
            Err(TrainError::NothingToResume { .. })
        ));
        let all = new(&begun, folds(2, 1), DirectoryPolicy::New).unwrap();
        all.begin(DirectoryPolicy::New).unwrap();
        let (options, shared) = Crossval::begun(all.root()).unwrap();
        assert_eq!(options, folds(2, 1));
        assert_eq!(FinetuneConfig::resolve(Some(&shared), &[]).unwrap(), begun);
        let elsewhere = FinetuneConfig {
            device: "cpu".into(),
            ..begun.clone()
        };
        assert!(resume(&elsewhere, folds(2, 1)).is_ok());
        let reason = |found: Result<Crossval, TrainError>| found.unwrap_err().to_string();
        assert!(reason(resume(&begun, folds(3, 1))).contains("`folds` was 2 and is 3 now"));
        let other = FinetuneConfig {
            seed: 7,
            ..begun.clone()
        };
        assert!(reason(resume(&other, folds(2, 1))).contains("`seed` was 42 and is 7 now"));
        fs::write(path.join("train.csv"), "text,label\na,x\nb,z\n").unwrap();
        assert!(reason(resume(&begun, folds(2, 1))).contains("data files have changed"));
    }

    #[test]
    fn overwriting_takes_runs_away_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let config = config(folder.path());
        let root = config.output.clone().unwrap();
        let overwrite = DirectoryPolicy::Overwrite;
        fs::create_dir_all(root.join("data")).unwrap();
        fs::write(root.join("data/thesis.txt"), "x").unwrap();
        let refused = Crossval::new(config.clone(), folds(2, 1), overwrite).unwrap_err();
        assert!(refused.to_string().contains("holds no runs"), "{refused}");
        fs::rename(root.join("data"), folder.path().join("data")).unwrap();
        let all = Crossval::new(config.clone(), folds(2, 1), overwrite).unwrap();
        all.begin(overwrite).unwrap();
        fs::rename(folder.path().join("data"), root.join("data")).unwrap();
        fs::create_dir(root.join("fold-1")).unwrap();
        let all = Crossval::new(config, folds(3, 1), overwrite).unwrap();
        all.begin(overwrite).unwrap();
        assert!(root.join("data/thesis.txt").is_file() && !root.join("fold-1").exists());
        assert_eq!(Crossval::begun(&root).unwrap().0, folds(3, 1));
    }
}
