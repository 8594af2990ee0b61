//! `bertkit crossval`: the same run on folds of a file, from several seeds, or both.

use std::path::PathBuf;

use bertkit_evaluation::BootstrapOptions;
use bertkit_training::{
    Crossval, CrossvalOptions, DirectoryPolicy, Observer, Override, RunConfig, TrainError, crossval,
};
use clap::Args;

use super::eval::confidence;
use crate::overrides::Settings;
use crate::process;
use crate::progress::{Display, Progress};
use crate::render::{self, CliError};

const EXAMPLES: &str = "\
Examples:
  Five folds, stratified by class, no patient on both sides:
    bertkit crossval --folds 5 --model models/minilm --train notes.csv --group patient \\
        --output runs/folds
  The same split from five seeds:
    bertkit crossval --seeds 5 --model models/minilm --train train.csv --test test.csv \\
        --output runs/seeds
  Go on after an interruption, with the same flags:
    bertkit crossval --folds 5 … --output runs/folds --resume

Each run has a directory of its own below --output (fold-1, seed-43, fold-1-seed-43), evaluated on
what it has not seen; crossval.json has all scores, and predictions.jsonl each row's answer by the
run that had not seen it. Intervals over runs are t intervals of their mean; over folds they are
too narrow, since the folds' training rows are mostly the same.";

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
    /// Divide the training file into so many folds, each held out once: stratified by class where
    /// there are classes, and by whole groups with --group or --group-by
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u16).range(2..))]
    folds: Option<u16>,
    /// Runs from so many seeds, that of --seed and those behind it
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    seeds: u16,
    /// Labelled rows that every run is evaluated on, where there are no --folds
    #[arg(long, value_name = "FILE")]
    test: Option<PathBuf>,
    /// Resamples for the intervals of each run; 0 computes none
    #[arg(long, value_name = "N", default_value_t = 1000)]
    bootstrap: u32,
    /// The share of resamples, or of runs, that an interval is for
    #[arg(long, value_name = "SHARE", default_value_t = 0.95, value_parser = confidence)]
    confidence: f64,
    #[command(flatten)]
    settings: Settings,
    /// The directory of all runs; must be new or empty, unless --resume or --overwrite
    #[arg(long, value_name = "DIR", help_heading = "Output")]
    output: Option<PathBuf>,
    /// Leave finished runs alone, and go on with an interrupted one
    #[arg(long, conflicts_with = "overwrite", help_heading = "Output")]
    resume: bool,
    /// Replace what is in the directory
    #[arg(long, help_heading = "Output")]
    overwrite: bool,
    /// Print the result as one JSON object
    #[arg(long, help_heading = "Output")]
    json: bool,
    /// No progress and no notes: only errors, and the result
    #[arg(long, short, help_heading = "Output")]
    quiet: bool,
    /// Threads on the CPU [default: one for each core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    #[arg(help_heading = "Output")]
    threads: Option<u16>,
}

/// Does all runs.
///
/// # Errors
/// Contradicting flags, and whatever stops a run.
pub fn run(args: &CrossvalArgs) -> Result<(), CliError> {
    let config = resolve(args)?;
    process::use_threads(args.threads)?;
    let options = CrossvalOptions {
        folds: args.folds.map(usize::from),
        seeds: args.seeds.into(),
        test: args.test.clone(),
        policy: match (args.resume, args.overwrite) {
            (true, _) => DirectoryPolicy::Resume,
            (_, true) => DirectoryPolicy::Overwrite,
            _ => DirectoryPolicy::New,
        },
        bootstrap: BootstrapOptions {
            resamples: args.bootstrap as usize,
            confidence: args.confidence,
            ..BootstrapOptions::default()
        },
    };
    let interrupt = process::stop_on_interrupt()?;
    let quiet = args.quiet;
    let mut watch = |name: &str| -> Box<dyn Observer> {
        if !quiet {
            render::note(&format!("run {name}"));
        }
        Box::new(Progress::new(Display::choose(quiet)))
    };
    process::training_begins();
    let found = crossval(&config, &options, &mut watch, interrupt)?;
    if args.json {
        let text = std::fs::read_to_string(&found.written).map_err(|source| CliError::Write {
            path: found.written.clone(),
            source,
        })?;
        return render::stdout(&text);
    }
    render::stdout(&as_text(&found))
}

/// The configuration that file and flags make together.
fn resolve(args: &CrossvalArgs) -> Result<RunConfig, CliError> {
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
    let file = args.config.as_deref();
    let base = RunConfig::resolve_unchecked(file, &[]).map_err(TrainError::from)?;
    let mut overrides = args.settings.overrides(&base);
    if let Some(output) = &args.output {
        let path = output.to_string_lossy().into_owned();
        overrides.push(Override::flag("output", path, "--output"));
    }
    overrides.extend(sets);
    Ok(RunConfig::resolve(file, &overrides).map_err(TrainError::from)?)
}

fn as_text(found: &Crossval) -> String {
    // Metrics that are shown; the file has all.
    const SHOWN: usize = 6;
    let shown: Vec<_> = found.across.iter().take(SHOWN).collect();
    let cell = |value: Option<f64>| value.map_or_else(|| "undefined".into(), |v| format!("{v:.4}"));
    let names = found.runs.iter().map(|run| run.name.len());
    let width = names.max().unwrap_or(0).max("interval".len());
    let mut text = format!("{:width$}", "run");
    for (metric, _) in &shown {
        text += &format!("  {:>16}", metric.to_string());
    }
    text.push('\n');
    for run in &found.runs {
        text += &format!("{:width$}", run.name);
        for (metric, _) in &shown {
            let value = run.report.metrics.iter().find(|(name, _)| name == metric);
            text += &format!(
                "  {:>16}",
                cell(value.and_then(|(_, estimate)| estimate.value))
            );
        }
        text.push('\n');
    }
    let mut line = |name: &str, of: &dyn Fn(&bertkit_evaluation::RunsEstimate) -> String| {
        text += &format!("{name:width$}");
        for (_, estimate) in &shown {
            text += &format!("  {:>16}", of(estimate));
        }
        text.push('\n');
    };
    line("mean", &|e| format!("{:.4}", e.mean));
    line("sd", &|e| cell(e.sd));
    line("interval", &|e| match (e.low, e.high) {
        (Some(low), Some(high)) => format!("[{low:.4}, {high:.4}]"),
        _ => "one run".into(),
    });
    for report in &found.pooled {
        text += &format!(
            "\nall rows, each by the run that had not seen it\n{}",
            report.table()
        );
    }
    text + &format!("\nkept as {}\n", found.written.display())
}
