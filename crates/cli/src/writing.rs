//! Output flags of the training commands, and their output before and after training.

use std::path::{Path, PathBuf};

use bertkit_training::pretrain::PretrainConfig;
use bertkit_training::{
    DirectoryPolicy, Estimate, FinetuneConfig, Override, Phase, Profile, Summary, TrainError,
    finish_interrupted,
};
use clap::Args;
use serde_json::json;

use crate::error::CliError;
use crate::format::{bytes, count, duration};
use crate::progress::summary_lines;
use crate::render;
use crate::settings::DirectoryFlag;

/// The run directory, and how a run tells of itself.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub struct OutputFlags {
    #[command(flatten)]
    output: DirectoryFlag,
    /// Continue from the last checkpoint in the run directory; takes its configuration from there
    /// unless --config is given
    #[arg(long, conflicts_with = "overwrite")]
    pub resume: bool,
    /// Replace what is in the run directory
    #[arg(long)]
    overwrite: bool,
    /// Print the complete configuration, what the data hold, and the memory and time it would take
    /// by two trial steps; write nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Print the result as one JSON object
    #[arg(long)]
    pub json: bool,
    /// No progress and no notes: only errors, and the result
    #[arg(long, short)]
    pub quiet: bool,
    /// Threads on the CPU [default: one for each core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub threads: Option<u16>,
    /// Try whether a micro-batch of so many rows fits into memory, and write nothing
    #[arg(long, value_name = "ROWS", hide = true)]
    pub try_micro_batch: Option<usize>,
}

impl OutputFlags {
    /// What to do with an existing run directory.
    pub fn policy(&self) -> DirectoryPolicy {
        let writes_nothing = self.dry_run || self.try_micro_batch.is_some();
        match (writes_nothing, self.resume, self.overwrite) {
            (true, ..) => DirectoryPolicy::DryRun,
            (_, true, _) => DirectoryPolicy::Resume,
            (.., true) => DirectoryPolicy::Overwrite,
            _ => DirectoryPolicy::New,
        }
    }

    /// With --resume, finishes a run that was killed after it had written its model and before it had removed its
    /// checkpoints, and prints its model. Returns whether there was one.
    ///
    /// # Errors
    /// Another process uses the directory, or a checkpoint cannot be removed.
    pub fn finish_interrupted(&self, directory: Option<&Path>) -> Result<bool, CliError> {
        let Some(directory) = directory.filter(|_| self.policy() == DirectoryPolicy::Resume) else {
            return Ok(false);
        };
        let Some(model) = finish_interrupted(directory)? else {
            return Ok(false);
        };
        if !self.quiet {
            render::note("the run had written its model; the checkpoints it left are removed");
        }
        render::stdout(&if self.json {
            format!("{}\n", json!({ "model": model.to_string_lossy() }))
        } else {
            format!("model      {}\n", model.display())
        })?;
        Ok(true)
    }

    /// The override of the key `output` that --output sets.
    pub fn directory(&self) -> Option<Override> {
        self.output.set()
    }

    /// The configuration of the run to resume; `sets` may also specify its directory.
    ///
    /// # Errors
    /// No directory is given, the directory contains no run, or it was started by another command.
    pub fn resumed_config(&self, sets: &[Override], kind: Kind) -> Result<PathBuf, CliError> {
        let set = sets
            .iter()
            .rev()
            .find(|set| set.key == "output")
            .and_then(|set| set.value.as_str());
        let directory = set.or(self.output.path.as_deref()).map(PathBuf::from);
        let directory = directory.ok_or_else(|| {
            CliError::usage(
                "--resume does not say which run to continue",
                "name its directory with --output DIR, or its configuration with --config FILE",
            )
        })?;
        let file = directory.join("config.toml");
        if directory.join("crossval.toml").is_file() {
            return Err(CliError::usage(
                format!("`{}` holds runs of `bertkit crossval`", directory.display()),
                format!(
                    "continue them with `bertkit crossval --resume --output {}`",
                    directory.display()
                ),
            ));
        }
        if !file.is_file() {
            return Err(TrainError::NothingToResume { path: directory }.into());
        }
        let other = match kind {
            Kind::Finetune => Kind::Pretrain,
            Kind::Pretrain => Kind::Finetune,
        };
        if !kind.wrote(&file) && other.wrote(&file) {
            let name = other.name();
            return Err(CliError::usage(
                format!("`{}` is a run of `bertkit {name}`", directory.display()),
                format!(
                    "continue it with `bertkit {name} --resume --output {}`",
                    directory.display()
                ),
            ));
        }
        Ok(file)
    }
}

/// The commands that train.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// `bertkit finetune`.
    Finetune,
    /// `bertkit pretrain`.
    Pretrain,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Finetune => "finetune",
            Self::Pretrain => "pretrain",
        }
    }

    /// Whether the file is a configuration of this command.
    fn wrote(self, file: &Path) -> bool {
        match self {
            Self::Finetune => FinetuneConfig::resolve_unchecked(Some(file), &[]).is_ok(),
            Self::Pretrain => PretrainConfig::resolve_unchecked(Some(file), &[]).is_ok(),
        }
    }
}

/// Summary and estimate as TOML comments, so that the output of a dry run is a valid configuration.
pub fn comments(summary: &Summary, estimate: &Estimate) -> String {
    let mut text = String::from("\n");
    for line in summary_lines(summary) {
        text += &format!("# {line}\n");
    }
    text += &format!(
        "#\n# memory  about {}\n# time    about {} at {} tokens/s, by two trial steps; evaluation not counted\n",
        bytes(estimate.memory_bytes),
        duration(estimate.seconds),
        count(estimate.tokens_per_second.round() as u64),
    );
    text
}

/// A profile as a table: milliseconds per update and shares.
pub fn profile_table(profile: &Profile) -> String {
    let updates = profile.updates.max(1) as f64;
    let all = profile.seconds().max(1e-9);
    let mut text = format!(
        "\nprofile of {} updates behind the first, which took {:.2} s\n{:22}{:>9}{:>8}{:>9}{:>9}\n",
        count(profile.updates),
        profile.first_update,
        "",
        "ms",
        "share",
        "host",
        "device"
    );
    let mut line = |name: &str, phase: Phase, divided: bool| {
        let ms = |seconds: f64| format!("{:.2}", 1e3 * seconds / updates);
        let share = 100.0 * phase.seconds() / all;
        let (host, device) = match divided {
            true => (ms(phase.host), ms(phase.device)),
            false => (String::new(), String::new()),
        };
        let row = format!(
            "{name:22}{:>9}{:>8}{host:>9}{device:>9}",
            ms(phase.seconds()),
            format!("{share:.1}%"),
        );
        text += &format!("{}\n", row.trim_end());
    };
    let whole = |host: f64| Phase { host, device: 0.0 };
    line("waiting for batches", whole(profile.batches), false);
    line("forward", profile.forward, true);
    line("backward", profile.backward, true);
    if profile.exchange.seconds() > 0.0 {
        line("exchange", profile.exchange, true);
    }
    line("update", profile.update, true);
    line("between updates", whole(profile.between), false);
    text += &format!(
        "the device was idle {:.1}% of the time at least: waiting for batches, and between updates\n",
        100.0 * profile.idle()
    );
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_dry_run_is_a_configuration_as_a_whole() {
        let summary = Summary {
            lines: vec![("data".into(), "9 rows".into())],
            train_rows: 9,
            valid_rows: 1,
            parameters: 1000,
            steps: 3,
            tokens_per_epoch: 40,
        };
        let estimate = Estimate {
            seconds: 90.0,
            tokens_per_second: 1234.5,
            memory_bytes: 3 << 30,
        };
        let text = FinetuneConfig::default().to_toml() + &comments(&summary, &estimate);
        assert!(text.contains("# memory  about 3.00 GiB"), "{text}");
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("run.toml");
        std::fs::write(&file, text).unwrap();
        let read = FinetuneConfig::resolve_unchecked(Some(&file), &[]).unwrap();
        assert_eq!(read, FinetuneConfig::default());
    }
}
