//! `bertkit crossval`: the same run on folds of a file, from several seeds, or both.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use bertkit_evaluation::{Metric, RunsEstimate};
use bertkit_training::config::Finetune;
use bertkit_training::{
    Crossval, CrossvalOptions, CrossvalReport, CrossvalRun, DirectoryPolicy, FinetuneConfig,
    FinetuneRun, MicroBatch, Override, RunState, TrainError, prepare,
};
use clap::Args;
use serde_json::{Value, json};

use super::eval::confidence;
use crate::error::CliError;
use crate::format::{bytes, duration, plural};
use crate::micro_batch;
use crate::process;
use crate::progress::{Display, Progress, RowProgress, SHOWN_METRICS, metrics};
use crate::render;
use crate::settings::SettingFlags;
use crate::writing::{OutputFlags, comments};

const EXAMPLES: &str = "\
Examples:
  Five folds, stratified by class, no patient on both sides:
    bertkit crossval --folds 5 --model models/minilm --train notes.csv --group patient \\
        --output runs/folds
  The same rows learnt from five seeds:
    bertkit crossval --seeds 5 --model models/minilm --train train.csv --test test.csv \\
        --output runs/seeds
  Both, two runs at a time if their memory allows:
    bertkit crossval --folds 5 --seeds 3 --parallel 2 --max-memory 6G … --output runs/both
  Go on after an interruption:
    bertkit crossval --resume --output runs/folds

Each run has a directory of its own below --output (fold-1, seed-43, fold-1-seed-43) and is measured
on what it has not seen, eval/held_out.json or eval/test.json; crossval.json has all scores, and
predictions.jsonl each row's answer by the run that had not seen it. Of --valid-fraction, rows to
choose by are taken from those that a run learns from. Intervals over runs are Student's, of their
mean; over folds they are too narrow, since the folds' training rows are mostly the same (Bengio &
Grandvalet 2004). Over all rows together, ROC AUC and average precision compare scores of different
models, and fall below the mean over folds, which is then the one to quote (Forman & Scholz 2010).";

/// Repeat a run on folds of its data, or from several seeds
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct CrossvalArgs {
    /// Configuration in TOML, as for finetune; every flag below overrides it
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Set any key of the configuration, such as optimizer.beta2=0.98; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    #[command(flatten)]
    runs: RunFlags,
    #[command(flatten)]
    settings: SettingFlags<Finetune>,
    #[command(flatten)]
    output: OutputFlags,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Runs")]
struct RunFlags {
    /// Divide the training file into so many folds, each held out once: stratified by class where
    /// there are classes, by whole groups with --group or --group-by; of questions, whole texts
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u16).range(2..))]
    folds: Option<u16>,
    /// Runs from so many seeds, that of --seed and those behind it [default: 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    seeds: Option<u16>,
    /// Labelled rows that every run is measured on, where there are no --folds
    #[arg(long, value_name = "FILE")]
    test: Option<PathBuf>,
    /// Make this run alone, such as fold-2; may be repeated. What all say together is told by
    /// --resume once all are there
    #[arg(long, value_name = "RUN")]
    only: Vec<String>,
    /// So many runs at a time, each in a process of its own with its share of the threads
    /// [default: 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    parallel: Option<u16>,
    /// Of --parallel, as many at a time as need no more memory than this together, by two trial
    /// steps: 800M, 6G
    #[arg(long, value_name = "BYTES", value_parser = memory, requires = "parallel")]
    max_memory: Option<u64>,
    /// Resamples for the intervals of each evaluation; 0 computes none [default: 1000]
    #[arg(long, value_name = "N")]
    bootstrap: Option<u32>,
    /// The share of resamples, or of runs, that an interval is for [default: 0.95]
    #[arg(long, value_name = "SHARE", value_parser = confidence)]
    confidence: Option<f64>,
}

/// Executes all runs.
///
/// # Errors
/// Conflicting flags, or an error of a run.
pub fn run(args: &CrossvalArgs) -> Result<(), CliError> {
    let flags = &args.output;
    let (mut config, options) = resolve(args)?;
    process::use_threads(flags.threads)?;
    if let Some(rows) = flags.try_micro_batch {
        config.training.micro_batch = Some(MicroBatch::Rows(rows));
        return Ok(first(config, options)?.try_largest()?);
    }
    if config.training.micro_batch == Some(MicroBatch::Auto) {
        if args.runs.parallel.is_some_and(|runs| runs > 1) {
            return Err(CliError::usage(
                "how much memory is left for a micro-batch is unknown where runs share it",
                "give a number with --micro-batch, or leave --parallel out",
            ));
        }
        let first = first(config.clone(), options.clone())?;
        if let Some(rows) = first.rows_to_settle()? {
            drop(first);
            let most = micro_batch::find(rows, flags.quiet, &|| false)?;
            config.training.micro_batch = Some(MicroBatch::Rows(most));
        }
    }
    if flags.dry_run {
        process::leave_on_interrupt()?;
        let all = Crossval::new(config, options, DirectoryPolicy::DryRun)?;
        return dry_run(&all, flags);
    }
    let interrupt = process::stop_on_interrupt()?;
    let policy = flags.policy();
    let all = Crossval::new(config, options, policy)?;
    let wanted = wanted(&all, &args.runs.only)?;
    let slots = slots(args, &all, &wanted)?;
    let _lock = all.begin(policy)?;
    process::training_begins();
    let made = match slots {
        1 => one_by_one(&all, &wanted, flags.quiet, interrupt),
        slots => side_by_side(&all, &wanted, slots, flags, interrupt),
    };
    made.map_err(|error| match error {
        CliError::Train(TrainError::Interrupted { .. }) => interrupted(&all),
        error => error,
    })?;
    if !args.runs.only.is_empty() {
        return Ok(());
    }
    let found = all.summarise()?;
    if flags.json {
        return render::stdout(&format!("{}\n", json!(found)));
    }
    render::stdout(&as_text(&found))?;
    if !flags.quiet {
        render::note(&format!("kept as `{}`", all.result().display()));
    }
    Ok(())
}

/// Prepares the first run, for a trial.
fn first(config: FinetuneConfig, options: CrossvalOptions) -> Result<FinetuneRun, TrainError> {
    let all = Crossval::new(config, options, DirectoryPolicy::DryRun)?;
    let config = all.runs().first().map(|run| run.config.clone());
    prepare(
        config.unwrap_or_default(),
        DirectoryPolicy::DryRun,
        &mut bertkit_training::Silent,
    )
}

/// The configuration shared by all runs, and the cross-validation options: flags override the base configuration.
fn resolve(args: &CrossvalArgs) -> Result<(FinetuneConfig, CrossvalOptions), CliError> {
    if let Some((flag, other)) = args.settings.contradiction() {
        return Err(CliError::usage(
            format!("{flag} cannot be used with {other}"),
            format!("leave one of them out; {flag} alone implies its own loss"),
        ));
    }
    let mut sets = Vec::new();
    for text in &args.set {
        sets.push(Override::parse(text).map_err(TrainError::from)?);
    }
    let output = args.output.directory();
    let (mut file, mut options) = (args.config.clone(), CrossvalOptions::default());
    if args.output.resume {
        let root = output.as_ref().and_then(|set| set.value.as_str());
        let Some(root) = root else {
            return Err(CliError::usage(
                "--resume does not say which runs to continue",
                "name their directory with --output DIR",
            ));
        };
        let (begun, shared) = Crossval::begun(root.as_ref())?;
        options = begun;
        file = file.or(Some(shared));
    }
    let base = FinetuneConfig::resolve_unchecked(file.as_deref(), &[]).map_err(TrainError::from)?;
    let mut overrides = args.settings.overrides(&base);
    overrides.extend(output);
    overrides.extend(sets);
    let config = FinetuneConfig::resolve(file.as_deref(), &overrides).map_err(TrainError::from)?;
    let runs = &args.runs;
    options.folds = runs.folds.map(usize::from).or(options.folds);
    options.seeds = runs.seeds.map_or(options.seeds, u64::from);
    options.test = runs.test.clone().or(options.test);
    options.resamples = runs.bootstrap.map_or(options.resamples, |n| n as usize);
    options.confidence = runs.confidence.unwrap_or(options.confidence);
    Ok((config, options))
}

/// The requested runs that are not finished yet.
fn wanted<'a>(all: &'a Crossval, only: &[String]) -> Result<Vec<&'a CrossvalRun>, CliError> {
    let names: Vec<&str> = all.runs().iter().map(|run| run.name.as_str()).collect();
    if let Some(unknown) = only.iter().find(|name| !names.contains(&name.as_str())) {
        return Err(CliError::usage(
            format!("there is no run `{unknown}`"),
            format!("there are {}", names.join(", ")),
        ));
    }
    let asked = |run: &&CrossvalRun| only.is_empty() || only.contains(&run.name);
    let runs = all.runs().iter().filter(asked);
    Ok(runs
        .filter(|run| all.state(run) < RunState::Finished)
        .collect())
}

/// The number of parallel runs. The first run is prepared before anything is written, so that errors in data, model or
/// settings are reported once.
fn slots(args: &CrossvalArgs, all: &Crossval, wanted: &[&CrossvalRun]) -> Result<usize, CliError> {
    let asked = args
        .runs
        .parallel
        .map_or(1, usize::from)
        .min(wanted.len())
        .max(1);
    let untrained = wanted.iter().find(|run| all.state(run) < RunState::Trained);
    let Some(run) = untrained.filter(|_| !args.output.resume || args.runs.max_memory.is_some())
    else {
        return Ok(asked);
    };
    // With parallel runs, notes are printed only here.
    let mut progress = Progress::new(Display::choose(args.output.quiet || asked == 1));
    let mut prepared = prepare(run.config.clone(), DirectoryPolicy::DryRun, &mut progress)?;
    let Some(most) = args.runs.max_memory else {
        return Ok(asked);
    };
    let needed = prepared.estimate()?.memory_bytes;
    drop(prepared);
    process::forget_peak_memory();
    match (most / needed.max(1)) as usize {
        0 => Err(CliError::usage(
            format!(
                "a run needs about {}, more than the {} of --max-memory",
                bytes(needed),
                bytes(most)
            ),
            "allow more, or lower --batch-size or --max-length",
        )),
        fit if fit < asked => {
            if !args.output.quiet {
                let runs = plural(fit as u64, "run");
                let text = format!("{runs} at a time: each needs about {}", bytes(needed));
                render::note(&text);
            }
            Ok(fit)
        }
        _ => Ok(asked),
    }
}

fn interrupted(all: &Crossval) -> CliError {
    let done = |run: &&CrossvalRun| all.state(run) == RunState::Finished;
    CliError::Interrupted {
        done: all.runs().iter().filter(done).count(),
        runs: all.runs().len(),
        resume: format!(
            "go on with `bertkit crossval --resume --output {}`",
            all.root().display()
        ),
    }
}

/// Executes runs sequentially in this process.
fn one_by_one(
    all: &Crossval,
    wanted: &[&CrossvalRun],
    quiet: bool,
    interrupt: &AtomicBool,
) -> Result<(), CliError> {
    let command: Vec<String> = std::env::args_os()
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    for (number, &run) in wanted.iter().enumerate() {
        if interrupt.load(Ordering::SeqCst) {
            return Err(interrupted(all));
        }
        let begun = Instant::now();
        if !quiet {
            render::note(&format!(
                "run {} of {}: {}",
                number + 1,
                wanted.len(),
                run.name
            ));
        }
        // Print notes that are the same for all runs only once.
        let display = match Display::choose(quiet) {
            Display::Lines if number > 0 => Display::Quiet,
            display => display,
        };
        if all.state(run) < RunState::Trained {
            let mut progress = Progress::new(display);
            let prepared = all.prepare(run, &mut progress)?;
            let prepared = prepared.with_command(command.clone());
            prepared.train(&mut progress, interrupt)?;
        }
        let mut progress = RowProgress::new(display);
        all.evaluate(run, &mut |done, total| progress.done(done, total))?;
        drop(progress);
        tell(all, run, begun, quiet)?;
    }
    Ok(())
}

/// Prints a line about a finished run.
fn tell(all: &Crossval, run: &CrossvalRun, begun: Instant, quiet: bool) -> Result<(), CliError> {
    if quiet {
        return Ok(());
    }
    let found = all.report(run)?.metrics.into_iter();
    let found: Vec<_> = found
        .map(|(metric, estimate)| (metric.to_string(), estimate.value))
        .collect();
    let seconds = begun.elapsed().as_secs_f64();
    let found = metrics(&found, SHOWN_METRICS);
    render::stderr(&format!("{}  {found}  ({})\n", run.name, duration(seconds)));
    Ok(())
}

/// Executes up to this many runs at a time, each in its own process. The first failure interrupts the others, which can
/// be resumed later.
fn side_by_side(
    all: &Crossval,
    wanted: &[&CrossvalRun],
    slots: usize,
    flags: &OutputFlags,
    interrupt: &AtomicBool,
) -> Result<(), CliError> {
    let cores = rayon::current_num_threads();
    let threads = (cores / slots).max(1);
    let queue = Mutex::new(wanted.iter());
    let failed = AtomicBool::new(false);
    let first = Mutex::new(None);
    let stop = || interrupt.load(Ordering::SeqCst) || failed.load(Ordering::SeqCst);
    let work = || {
        while !stop() {
            let next = queue.lock().unwrap_or_else(PoisonError::into_inner).next();
            let Some(run) = next else { return };
            let begun = Instant::now();
            let made = in_process(all, run, threads, &stop);
            if let Err(error) = made.and_then(|()| tell(all, run, begun, flags.quiet)) {
                failed.store(true, Ordering::SeqCst);
                let mut first = first.lock().unwrap_or_else(PoisonError::into_inner);
                first.get_or_insert(error);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..slots {
            scope.spawn(work);
        }
    });
    if interrupt.load(Ordering::SeqCst) {
        return Err(interrupted(all));
    }
    let first = first.into_inner().unwrap_or_else(PoisonError::into_inner);
    first.map_or(Ok(()), Err)
}

/// Executes a run in a child process, and interrupts it once when it has to stop.
fn in_process(
    all: &Crossval,
    run: &CrossvalRun,
    threads: usize,
    stop: &dyn Fn() -> bool,
) -> Result<(), CliError> {
    let threads = threads.to_string();
    let root = all.root();
    let mut arguments: Vec<&OsStr> = ["crossval", "--resume", "--quiet", "--output"]
        .map(OsStr::new)
        .to_vec();
    arguments.push(root.as_ref());
    let rest = ["--only", &run.name, "--device", &run.config.device];
    arguments.extend(rest.map(OsStr::new));
    arguments.extend(["--threads", &threads].map(OsStr::new));
    let (status, text) =
        process::run_again(arguments, stop).map_err(|source| CliError::Process {
            run: run.name.clone(),
            source,
        })?;
    match status.success() {
        true => Ok(()),
        false => Err(ended(run, status, &text)),
    }
}

/// The error of a run in a child process, with the child's message.
fn ended(run: &CrossvalRun, status: ExitStatus, text: &str) -> CliError {
    let (message, hint) = match status.code() {
        None => (
            format!("its process was ended from outside ({status})"),
            "memory may have run out: make fewer runs at a time, and go on with --resume".into(),
        ),
        Some(_) => {
            let (message, hint) = render::parts_of(text);
            let usual = || "look at its directory, and go on with --resume".into();
            (message, hint.unwrap_or_else(usual))
        }
    };
    CliError::Run {
        run: run.name.clone(),
        message,
        hint,
        code: status
            .code()
            .and_then(|code| u8::try_from(code).ok())
            .unwrap_or(1),
    }
}

fn dry_run(all: &Crossval, flags: &OutputFlags) -> Result<(), CliError> {
    let Some(first) = all.runs().first() else {
        return Ok(());
    };
    let mut progress = Progress::new(Display::choose(flags.quiet));
    let config = first.config.clone();
    let mut prepared = prepare(config, DirectoryPolicy::DryRun, &mut progress)?;
    let estimate = prepared.estimate()?;
    let names: Vec<&str> = all.runs().iter().map(|run| run.name.as_str()).collect();
    if flags.json {
        let value: Value = json!({
            "config": first.config,
            "runs": names,
            "summary": prepared.summary(),
            "estimate": estimate,
        });
        return render::stdout(&format!("{value}\n"));
    }
    let text = first.config.to_toml() + &comments(prepared.summary(), &estimate);
    render::stdout(&format!(
        "{text}# runs    {}, the first of which is this: {}\n",
        names.len(),
        names.join(", ")
    ))
}

fn as_text(found: &CrossvalReport) -> String {
    // Number of metrics in the table; the file has all of them.
    const SHOWN: usize = 6;
    let shown = &found.across[..SHOWN.min(found.across.len())];
    let cell = |value: Option<f64>| value.map_or_else(|| "undefined".into(), |v| format!("{v:.4}"));
    let names = found.runs.iter().map(|run| run.name.len());
    let width = names.max().unwrap_or(0).max("interval".len());
    let mut text = String::new();
    let mut line = |name: &str, cells: Vec<String>| {
        text += &format!("{name:width$}");
        cells
            .iter()
            .for_each(|cell| text += &format!("  {cell:>16}"));
        text.push('\n');
    };
    let of_all = |of: &dyn Fn(&RunsEstimate) -> String| -> Vec<String> {
        shown.iter().map(|(_, estimate)| of(estimate)).collect()
    };
    line(
        "run",
        shown.iter().map(|(metric, _)| metric.to_string()).collect(),
    );
    for run in &found.runs {
        let value = |&(metric, _): &_| cell(run.report.metric(metric).and_then(|e| e.value));
        line(&run.name, shown.iter().map(value).collect());
    }
    line("mean", of_all(&|e| format!("{:.4}", e.mean)));
    line(
        "sd",
        of_all(&|e| {
            e.sd.map_or_else(|| "one run".into(), |sd| format!("{sd:.4}"))
        }),
    );
    line(
        "interval",
        of_all(&|e| match (e.low, e.high) {
            (Some(low), Some(high)) => format!("[{low:.4}, {high:.4}]"),
            _ => "one run".into(),
        }),
    );
    let share = format!("{}%", (found.confidence * 1e6).round() / 1e4);
    text += &format!(
        "\n{share} intervals of the mean of {} runs: Student's",
        found.runs.len()
    );
    if !found.pooled.is_empty() {
        text += "; too narrow over folds, whose training rows are mostly the same";
    }
    text.push('\n');
    for pooled in &found.pooled {
        let ranked = [Metric::RocAuc, Metric::AveragePrecision];
        let ranks = ranked
            .iter()
            .any(|&metric| pooled.report.metric(metric).is_some());
        let seed = match found.pooled.len() {
            1 => String::new(),
            _ => format!(", seed {}", pooled.seed),
        };
        text += &format!(
            "\nall rows, each by the run that had not seen it{seed}\n{}",
            pooled.report.table()
        );
        if ranks {
            text += "\nROC AUC and average precision rank scores of different models here: quote their mean over folds\n";
        }
    }
    text
}

/// A size in bytes, or with a unit of 1024: `800M`, `6G`, `1.5GiB`.
fn memory(text: &str) -> Result<u64, String> {
    let expected = || "expected a size such as 800M or 6G".to_owned();
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let number: f64 = number.parse().map_err(|_| expected())?;
    let power = match unit.trim().to_ascii_uppercase().as_str() {
        "" | "B" => 0,
        "K" | "KB" | "KIB" => 1,
        "M" | "MB" | "MIB" => 2,
        "G" | "GB" | "GIB" => 3,
        "T" | "TB" | "TIB" => 4,
        _ => return Err(expected()),
    };
    match number * 1024_f64.powi(power) {
        bytes if bytes >= 1.0 => Ok(bytes as u64), // saturates
        _ => Err(expected()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn sizes_have_units_of_1024() {
        assert_eq!(memory("800M"), Ok(800 << 20));
        assert_eq!(memory("1.5GiB"), Ok(3 << 29));
        assert_eq!(memory("4096"), Ok(4096));
        for text in ["", "G", "-1G", "6X", "0", "1.2.3M"] {
            assert!(memory(text).is_err(), "{text}");
        }
    }
}
