//! `bertkit finetune`: fine-tunes a model on labelled data.

use std::path::{Path, PathBuf};

use bertkit_training::config::Finetune;
use bertkit_training::{
    FinetuneConfig, FinetuneOutcome, FinetuneRun, Override, Silent, TrainError, prepare,
};
use clap::Args;
use serde_json::{Map, Value, json};

use crate::error::CliError;
use crate::format::{count, duration};
use crate::micro_batch;
use crate::process;
use crate::progress::{Display, Progress, SHOWN_METRICS, metrics};
use crate::render;
use crate::settings::SettingFlags;
use crate::writing::{Kind, OutputFlags, comments, profile_table};

const EXAMPLES: &str = "\
Examples:
  A small model from scratch, in minutes on a CPU:
    bertkit finetune --config configs/models/tiny.toml --train train.csv --output runs/tiny \\
        --epochs 10 --learning-rate 5e-4
  A pretrained model, columns by name, a threshold chosen for F1:
    bertkit finetune --model models/minilm --train mail.tsv --text body --label kind \\
        --threshold f1 --output runs/spam
  Look before: settings, data, memory and time, and nothing is written:
    bertkit finetune --config run.toml --dry-run
  Go on after an interruption:
    bertkit finetune --resume --output runs/spam

Each flag stands for a key of the configuration; --dry-run prints them all. The run directory holds
the complete configuration, the metrics, checkpoints and, under model/, the trained model.";

/// Fine-tune a model on labelled texts
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct FinetuneArgs {
    /// Configuration in TOML; every flag below overrides it
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Set any key of the configuration, such as optimizer.beta2=0.98; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    #[command(flatten)]
    settings: SettingFlags<Finetune>,
    /// Print where the time of training went: waiting for batches, forward, backward, update
    #[arg(long, help_heading = "Output")]
    profile: bool,
    #[command(flatten)]
    output: OutputFlags,
}

/// Runs the command.
///
/// # Errors
/// Conflicting flags, or an error of the run.
pub fn run(args: &FinetuneArgs) -> Result<(), CliError> {
    let config = resolve(args)?;
    let flags = &args.output;
    if flags.finish_interrupted(config.output.as_deref())? {
        return Ok(());
    }
    process::use_threads(flags.threads)?;
    let policy = flags.policy();
    if let Some(rows) = flags.try_micro_batch {
        process::leave_on_interrupt()?;
        let prepared = prepare(config, policy, &mut Silent)?;
        return Ok(prepared.with_micro_batch(rows).try_largest()?);
    }
    let mut progress = Progress::new(Display::choose(flags.quiet));
    if flags.dry_run {
        process::leave_on_interrupt()?;
        let prepared = settle(prepare(config, policy, &mut progress)?, flags.quiet)?;
        return dry_run(prepared, flags.json);
    }
    let interrupt = process::stop_on_interrupt()?;
    let command = std::env::args_os()
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    let prepared = settle(prepare(config, policy, &mut progress)?, flags.quiet)?
        .with_command(command)
        .with_profile(args.profile);
    let directory = prepared.config().output.clone().unwrap_or_default();
    process::training_begins();
    let outcome = prepared.train(&mut progress, interrupt)?;
    drop(progress);
    if flags.json {
        render::stdout(&format!("{}\n", as_json(&outcome)))
    } else {
        let profile = outcome.profile.as_ref().map(profile_table);
        render::stdout(&(as_text(&outcome, &directory) + &profile.unwrap_or_default()))
    }
}

/// Sets the largest micro-batch that fits, if the configuration asks for it.
fn settle(prepared: FinetuneRun, quiet: bool) -> Result<FinetuneRun, CliError> {
    Ok(match prepared.rows_to_settle()? {
        Some(rows) => prepared.with_micro_batch(micro_batch::find(rows, quiet, &|| false)?),
        None => prepared,
    })
}

/// The configuration given by file and flags.
fn resolve(args: &FinetuneArgs) -> Result<FinetuneConfig, CliError> {
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
    let file = match (&args.config, args.output.resume) {
        (Some(file), _) => Some(file.clone()),
        (None, true) => Some(args.output.resumed_config(&sets, Kind::Finetune)?),
        (None, false) => None,
    };
    // Which keys a flag must remove depends on the file; an invalid file is reported here.
    let base = FinetuneConfig::resolve_unchecked(file.as_deref(), &[]).map_err(TrainError::from)?;
    let mut overrides = args.settings.overrides(&base);
    overrides.extend(args.output.directory());
    overrides.extend(sets);
    Ok(FinetuneConfig::resolve(file.as_deref(), &overrides).map_err(TrainError::from)?)
}

fn dry_run(mut prepared: FinetuneRun, json: bool) -> Result<(), CliError> {
    let estimate = prepared.estimate()?;
    if json {
        let value = json!({
            "config": prepared.config(),
            "summary": prepared.summary(),
            "estimate": estimate,
        });
        return render::stdout(&format!("{value}\n"));
    }
    let text = prepared.config().to_toml() + &comments(prepared.summary(), &estimate);
    render::stdout(&text)
}

fn as_text(outcome: &FinetuneOutcome, directory: &Path) -> String {
    let mut text = format!("model      {}\n", outcome.model.display());
    let steps = crate::format::plural(outcome.steps, "step");
    text += &format!("trained    {steps} in {}\n", duration(outcome.seconds));
    if let Some(best) = &outcome.best {
        text += &format!(
            "best       {}  (validation, step {})\n",
            metrics(&best.metrics, SHOWN_METRICS),
            count(best.step)
        );
    }
    if let Some((threshold, origin)) = &outcome.threshold {
        text += &format!("threshold  {threshold:.4}: {origin}\n");
    }
    if let Some(temperature) = outcome.temperature {
        text +=
            &format!("calibrated temperature {temperature:.4}, fitted on the validation rows\n");
    }
    text += &format!(
        "next       bertkit eval {} --data FILE\n",
        directory.display()
    );
    text
}

fn as_json(outcome: &FinetuneOutcome) -> Value {
    let best = outcome.best.as_ref().map(|best| {
        let metrics: Map<_, _> = best
            .metrics
            .iter()
            .map(|(k, v)| (k.clone(), json!(v)))
            .collect();
        json!({ "step": best.step, "epoch": best.epoch, "metrics": metrics })
    });
    let threshold = outcome
        .threshold
        .as_ref()
        .map(|(value, origin)| json!({ "value": value, "origin": origin }));
    json!({
        "model": outcome.model.to_string_lossy(),
        "steps": outcome.steps,
        "seconds": outcome.seconds,
        "best": best,
        "threshold": threshold,
        "temperature": outcome.temperature,
        "profile": outcome.profile,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use bertkit_training::EvaluationReport;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        finetune: FinetuneArgs,
    }

    fn resolved(arguments: &[&str]) -> Result<FinetuneConfig, CliError> {
        resolve(
            &Line::try_parse_from([&["bertkit"], arguments].concat())
                .unwrap()
                .finetune,
        )
    }

    fn outcome() -> FinetuneOutcome {
        FinetuneOutcome {
            model: "runs/a/model".into(),
            steps: 171,
            seconds: 75.0,
            best: Some(EvaluationReport {
                step: 114,
                epoch: 2.0,
                metrics: vec![("f1".into(), Some(0.75)), ("roc_auc".into(), None)],
                is_best: true,
            }),
            threshold: Some((0.25, "maximises f1 on the validation rows".into())),
            temperature: Some(1.5),
            profile: None,
        }
    }

    #[test]
    fn the_result_reads_well_and_says_what_comes_next() {
        assert_eq!(
            as_text(&outcome(), Path::new("runs/a")),
            "model      runs/a/model\n\
             trained    171 steps in 1 min 15 s\n\
             best       f1 0.7500  roc_auc undefined  (validation, step 114)\n\
             threshold  0.2500: maximises f1 on the validation rows\n\
             calibrated temperature 1.5000, fitted on the validation rows\n\
             next       bertkit eval runs/a --data FILE\n"
        );
    }

    #[test]
    fn the_result_in_json_keeps_what_is_undefined_as_null() {
        let value = as_json(&outcome());
        assert_eq!(value["best"]["metrics"]["f1"], 0.75);
        assert_eq!(value["best"]["metrics"]["roc_auc"], Value::Null);
        assert_eq!(value["threshold"]["value"], 0.25);
        let none = FinetuneOutcome {
            best: None,
            threshold: None,
            ..outcome()
        };
        assert_eq!(as_json(&none)["best"], Value::Null);
    }

    #[test]
    fn set_comes_last_and_flags_override_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("run.toml");
        std::fs::write(
            &file,
            "seed = 1\noutput = 'o'\n[data]\ntrain = 'a.csv'\n[model]\npath = 'm'\n",
        )
        .unwrap();
        let file = file.to_str().unwrap();
        let config = resolved(&[
            "--config", file, "--seed", "2", "--output", "p", "--set", "seed=3",
        ]);
        let config = config.unwrap();
        assert_eq!(config.data.train, Some("a.csv".into()));
        assert_eq!((config.seed, config.output), (3, Some("p".into())));
    }

    #[test]
    fn resume_takes_the_configuration_of_the_run() {
        let folder = tempfile::tempdir().unwrap();
        let directory = folder.path().to_str().unwrap().to_owned();
        let resume = ["--resume", "--output", &directory];
        let error = resolved(&resume).unwrap_err();
        assert!(
            matches!(error, CliError::Train(TrainError::NothingToResume { .. })),
            "{error}"
        );
        let mut config = FinetuneConfig {
            output: Some(directory.clone().into()),
            ..FinetuneConfig::default()
        };
        config.data.train = Some("a.csv".into());
        config.model.path = Some("m".into());
        config.training.epochs = 9;
        std::fs::write(folder.path().join("config.toml"), config.to_toml()).unwrap();
        assert_eq!(resolved(&resume).unwrap(), config);
        assert!(
            resolved(&["--resume"])
                .unwrap_err()
                .to_string()
                .contains("--resume")
        );
    }
}
