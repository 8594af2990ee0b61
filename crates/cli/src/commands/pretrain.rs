//! `bertkit pretrain`: pretrains an encoder on plain text.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use bertkit_training::config::Pretrain;
use bertkit_training::pretrain::{
    PreparedPretraining, PretrainConfig, PretrainOutcome, prepare, recipes,
};
use bertkit_training::{Override, RunConfigError, Silent, TrainError};
use clap::Args;
use clap::builder::PossibleValuesParser;
use serde_json::{Map, Value, json};

use crate::error::CliError;
use crate::format::{count, duration, plural};
use crate::micro_batch;
use crate::process;
use crate::progress::{Display, Progress, SHOWN_OF_PRETRAINING, metrics};
use crate::render;
use crate::settings::SettingFlags;
use crate::writing::{Kind, OutputFlags, comments, profile_table};

const EXAMPLES: &str = "\
Examples:
  Masked words, a fresh small model:
    bertkit tokenizer train corpus --vocab-size 8000 --output tok
    bertkit pretrain --corpus corpus --tokenizer tok --config configs/models/small.toml \\
        --steps 20000 --output runs/mlm
  Replaced tokens, with the settings of ELECTRA-Small, in half an hour:
    bertkit pretrain --corpus corpus --tokenizer tok --recipe electra-small --budget 30m \\
        --output runs/rtd
  Go on with a model, on texts of another kind:
    bertkit pretrain --corpus notes --model models/bert --steps 5000 --output runs/notes
  Look before: settings, text, memory and time, and nothing is written:
    bertkit pretrain --corpus corpus --recipe electra-small --output runs/rtd --dry-run
  Go on after an interruption:
    bertkit pretrain --resume --output runs/mlm

Each flag stands for a key of the configuration; --dry-run prints them all. The run directory holds
the complete configuration, the tokenised text, the metrics, checkpoints and, under model/, the
encoder: `bertkit finetune --model runs/mlm` goes on from there, and it loads in transformers.";

/// Pretrain an encoder on plain text
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct PretrainArgs {
    /// Configuration in TOML, or only a model's sizes, such as configs/models/small.toml; every flag
    /// below overrides it
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The configuration of a published system instead
    #[arg(long, value_name = "NAME", conflicts_with = "config")]
    #[arg(value_parser = PossibleValuesParser::new(recipes::names()))]
    recipe: Option<String>,
    /// Set any key of the configuration, such as generator.size=0.5; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    #[command(flatten)]
    settings: SettingFlags<Pretrain>,
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
pub fn run(args: &PretrainArgs) -> Result<(), CliError> {
    let config = resolve(args)?;
    let flags = &args.output;
    if flags.finish_interrupted(config.output.as_deref())? {
        return Ok(());
    }
    process::use_threads(flags.threads)?;
    let mut progress = Progress::of_pretraining(Display::choose(flags.quiet));
    let interrupt = process::stop_on_interrupt()?;
    process::preparation_begins();
    if let Some(rows) = flags.try_micro_batch {
        let prepared = prepare(config, flags.policy(), &mut Silent, interrupt)?;
        return Ok(prepared.with_micro_batch(rows).try_largest()?);
    }
    let prepared = prepare(config, flags.policy(), &mut progress, interrupt)?;
    stop_if_asked(interrupt)?;
    let prepared = match prepared.rows_to_settle()? {
        Some(rows) => {
            let stop = || interrupt.load(Ordering::Relaxed);
            let most = micro_batch::find(rows, flags.quiet, &stop);
            stop_if_asked(interrupt)?;
            prepared.with_micro_batch(most?)
        }
        None => prepared,
    };
    if flags.dry_run {
        let estimate = prepared.estimate()?;
        stop_if_asked(interrupt)?;
        drop(progress);
        return dry_run(&prepared, &estimate, flags.json);
    }
    let command = std::env::args_os()
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    let prepared = prepared.with_command(command).with_profile(args.profile);
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

/// Returns an error if an interruption was requested before training.
fn stop_if_asked(interrupt: &AtomicBool) -> Result<(), TrainError> {
    if interrupt.load(Ordering::Relaxed) {
        let resume = "run the command again; text that is tokenised stays so".into();
        return Err(TrainError::Interrupted { step: 0, resume });
    }
    Ok(())
}

/// The source of the settings that flags override.
enum Base {
    Nothing,
    File(PathBuf),
    Recipe(String),
}

impl Base {
    fn resolve(&self, overrides: &[Override]) -> Result<PretrainConfig, RunConfigError> {
        match self {
            Self::Nothing => PretrainConfig::resolve_unchecked(None, overrides),
            Self::File(file) => PretrainConfig::resolve_unchecked(Some(file), overrides),
            Self::Recipe(name) => PretrainConfig::resolve_recipe(name, overrides),
        }
    }
}

/// The configuration given by file or recipe and flags.
fn resolve(args: &PretrainArgs) -> Result<PretrainConfig, CliError> {
    let mut sets = Vec::new();
    for text in &args.set {
        sets.push(Override::parse(text).map_err(TrainError::from)?);
    }
    let base = match (&args.config, &args.recipe) {
        (Some(file), _) => Base::File(file.clone()),
        (None, Some(name)) => Base::Recipe(name.clone()),
        (None, None) if args.output.resume => {
            Base::File(args.output.resumed_config(&sets, Kind::Pretrain)?)
        }
        (None, None) => Base::Nothing,
    };
    // Which keys a flag must remove depends on the file; an invalid file is reported here.
    let below = base.resolve(&[]).map_err(TrainError::from)?;
    let mut overrides = args.settings.overrides(&below);
    overrides.extend(args.output.directory());
    overrides.extend(sets);
    let config = base.resolve(&overrides).map_err(TrainError::from)?;
    config.check().map_err(TrainError::from)?;
    Ok(config)
}

fn dry_run(
    prepared: &PreparedPretraining,
    estimate: &bertkit_training::Estimate,
    json: bool,
) -> Result<(), CliError> {
    if json {
        let value = json!({
            "config": prepared.config(),
            "summary": prepared.summary(),
            "estimate": estimate,
        });
        return render::stdout(&format!("{value}\n"));
    }
    let text = prepared.config().to_toml() + &comments(prepared.summary(), estimate);
    render::stdout(&text)
}

fn as_text(outcome: &PretrainOutcome, directory: &Path) -> String {
    let mut text = format!("model      {}\n", outcome.model.display());
    if let Some(generator) = &outcome.generator {
        text += &format!("generator  {}\n", generator.display());
    }
    let steps = plural(outcome.steps, "step");
    text += &format!("trained    {steps} in {}\n", duration(outcome.seconds));
    if let Some(evaluation) = &outcome.evaluation {
        text += &format!(
            "reached    {}  (held-out text, step {})\n",
            metrics(&evaluation.metrics, SHOWN_OF_PRETRAINING),
            count(evaluation.step)
        );
    }
    text += &format!(
        "next       bertkit finetune --model {} --train FILE --output DIR\n",
        directory.display()
    );
    text
}

fn as_json(outcome: &PretrainOutcome) -> Value {
    let evaluation = outcome.evaluation.as_ref().map(|evaluation| {
        let metrics: Map<_, _> = evaluation
            .metrics
            .iter()
            .map(|(name, value)| (name.clone(), json!(value)))
            .collect();
        json!({ "step": evaluation.step, "epoch": evaluation.epoch, "metrics": metrics })
    });
    let path = |path: &PathBuf| path.to_string_lossy().into_owned();
    json!({
        "model": path(&outcome.model),
        "generator": outcome.generator.as_ref().map(path),
        "steps": outcome.steps,
        "seconds": outcome.seconds,
        "evaluation": evaluation,
        "profile": outcome.profile,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use bertkit_training::EvaluationReport;
    use bertkit_training::pretrain::Objective;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        pretrain: PretrainArgs,
    }

    fn resolved(arguments: &[&str]) -> Result<PretrainConfig, CliError> {
        let line = Line::try_parse_from([&["bertkit"], arguments].concat()).unwrap();
        resolve(&line.pretrain)
    }

    fn outcome() -> PretrainOutcome {
        PretrainOutcome {
            model: "runs/a/model".into(),
            generator: Some("runs/a/generator".into()),
            steps: 1200,
            seconds: 75.0,
            evaluation: Some(EvaluationReport {
                step: 1200,
                epoch: 2.0,
                metrics: vec![("loss".into(), Some(12.5)), ("rtd_auc".into(), None)],
                is_best: false,
            }),
            profile: None,
        }
    }

    #[test]
    fn the_result_reads_well_and_says_what_comes_next() {
        assert_eq!(
            as_text(&outcome(), Path::new("runs/a")),
            "model      runs/a/model\n\
             generator  runs/a/generator\n\
             trained    1,200 steps in 1 min 15 s\n\
             reached    loss 12.5000  rtd_auc undefined  (held-out text, step 1,200)\n\
             next       bertkit finetune --model runs/a --train FILE --output DIR\n"
        );
    }

    #[test]
    fn the_result_in_json_keeps_what_is_undefined_as_null() {
        let value = as_json(&outcome());
        assert_eq!(value["evaluation"]["metrics"]["loss"], 12.5);
        assert_eq!(value["evaluation"]["metrics"]["rtd_auc"], Value::Null);
        assert_eq!(value["generator"], "runs/a/generator");
        let none = PretrainOutcome {
            generator: None,
            evaluation: None,
            ..outcome()
        };
        let value = as_json(&none);
        assert_eq!(
            (&value["evaluation"], &value["generator"]),
            (&Value::Null, &Value::Null)
        );
    }

    #[test]
    fn flags_override_a_recipe_and_set_comes_last() {
        let least = ["--corpus", "texts", "--tokenizer", "tok", "--output", "o"];
        let more = ["--recipe", "electra-small", "--steps", "9", "--seed", "3"];
        let set = ["--set", "seed=4"];
        let config = resolved(&[&least[..], &more, &set].concat()).unwrap();
        let weight = config.objective.weight(Objective::ReplacedTokens);
        assert_eq!((weight, config.seed), (50.0, 4));
        assert_eq!(config.training.steps, Some(9));
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
        let least = ["--corpus", "a", "--model", "m", "--output", &directory];
        let config = resolved(&[&least[..], &["--steps", "9"]].concat()).unwrap();
        std::fs::write(folder.path().join("config.toml"), config.to_toml()).unwrap();
        assert_eq!(resolved(&resume).unwrap(), config);
    }
}
