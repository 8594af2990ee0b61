//! The settings of a fine-tuning run beyond the shared header, and the rules between them.

use toml::{Table, Value};

use super::data::DataConfig;
use super::error::RunConfigError;
use super::overriding::{Override, Source, at};
use super::run::{RunConfig, RunKind, resolve, run_file};
use super::setting::settings;
use super::task::{LossConfig, TaskConfig};
use super::training::{Sampler, TrainingConfig};
use crate::tasks::kind::TaskKind;
use crate::tasks::settings::TaskSettings;
use crate::tasks::tagging::config::TagHead;
use bertkit_data::sources::Format;
use bertkit_data::tagging::alignment::LabelledTokens;

settings! {
    /// The settings of a fine-tuning run beyond the header.
    pub struct Finetune {
        /// What is read, and how.
        data: DataConfig,
        /// What is predicted, and how.
        task: TaskConfig,
        /// The training loop.
        training: TrainingConfig,
    }
}

/// The configuration of a fine-tuning run.
pub type FinetuneConfig = RunConfig<Finetune>;

run_file! {
    Finetune in FinetuneFile:
    header {}
    tokenizer { data: DataConfig, task: TaskConfig, training: TrainingConfig }
    optimizer schedule {}
}

impl RunKind for Finetune {
    type File = FinetuneFile;

    const NAME: &'static str = "finetune";

    const HEADINGS: &'static [&'static str] = &[
        "Data",
        "Model",
        "Task",
        "Questions",
        "Training",
        "Optimizer",
    ];

    fn read(source: Source<'_>, overrides: &[Override]) -> Result<RunConfig<Self>, RunConfigError> {
        let mut config: RunConfig<Self> = resolve(source, overrides, Table::new())?;
        if let Some(kind) = config.task.kind {
            config = resolve(source, overrides, defaults(kind))?;
        }
        let data = &mut config.data;
        if data.format == Some(Format::Relations) && data.text == DataConfig::default().text {
            data.text = "sentence".into();
        }
        if config.data.group_by.is_some() {
            config.task.documents.get_or_insert_default();
        }
        Ok(config)
    }

    fn rules(config: &RunConfig<Self>, need: &mut dyn FnMut(bool, String)) {
        let (data, task, training) = (&config.data, &config.task, &config.training);
        need(
            data.train.is_some(),
            "`data.train` is missing: give the training file with [data.train=FILE]".into(),
        );
        config.header_rules(
            "there is no model: give a folder with [model.path=DIR], or sizes with [option.config=configs/models/tiny.toml]",
            need,
        );
        let balanced = training.sampler == Sampler::Balanced;
        need(
            !balanced || training.batch_tokens.is_none(),
            "`training.batch_tokens` cannot be combined with the balanced sampler: give `training.batch_size`".into(),
        );
        need(
            !balanced || !training.bucket_by_length,
            "`training.bucket_by_length` cannot be combined with the balanced sampler: leave one of them out".into(),
        );
        if let Some(fold) = data.fold {
            need(
                fold.of >= 2 && (1..=fold.of).contains(&fold.number),
                format!(
                    "`data.fold` is {} of {}, expected 2 folds or more and one of them, from 1",
                    fold.number, fold.of
                ),
            );
        }
        need(
            task.documents.is_none() || data.text_pair.is_none(),
            "`data.text_pair` cannot be divided into sections: leave it out, or leave `task.documents` and `[task.documents.pool]` out".into(),
        );
        need(
            data.group_by.is_none() || data.group.is_none(),
            "`data.group` has no meaning beside `data.group_by`, whose rows are one document and stay together anyway: leave it out".into(),
        );
        tagging_rules(task, need);
        task_rules(config, need);
    }
}

/// The defaults of a task that differ from those of other tasks.
fn defaults(kind: TaskKind) -> Table {
    let TaskSettings {
        table, max_length, ..
    } = kind.settings();
    let (mut data, mut task) = (Table::new(), Table::new());
    if let Some(length) = max_length {
        data.insert("max_length".into(), Value::Integer(*length as i64));
    }
    if let Some(table) = table {
        task.insert((*table).into(), Value::Table(Table::new()));
    }
    Table::from_iter([
        ("data".into(), Value::Table(data)),
        ("task".into(), Value::Table(task)),
    ])
}

/// The rules between the settings of tagged words.
fn tagging_rules(task: &TaskConfig, need: &mut dyn FnMut(bool, String)) {
    let Some(ner) = task.ner.as_ref().filter(|ner| ner.head == TagHead::Crf) else {
        return;
    };
    need(
        task.loss == LossConfig::default(),
        "`task.loss` cannot be chosen with `[task.ner.head=crf]`, which has a loss of its own: leave it out"
            .into(),
    );
    need(
        ner.label == LabelledTokens::First,
        "`task.ner.label` must be `first` with `[task.ner.head=crf]`, whose sequence is that of the words"
            .into(),
    );
}

/// Each task has its own settings and no others.
fn task_rules(config: &RunConfig<Finetune>, need: &mut dyn FnMut(bool, String)) {
    let tables = [config, &RunConfig::default()].map(|config| Table::try_from(config).ok());
    let given = |key: &str| {
        let [value, default] = tables
            .each_ref()
            .map(|t| t.as_ref().and_then(|t| at(t, key)));
        value != default
    };
    let task = config.task.kind.map(TaskKind::settings);
    for other in TaskKind::ALL.iter().map(|kind| kind.settings()) {
        let chosen = task.is_some_and(|task| task.name == other.name);
        let (name, about) = (other.name, other.about);
        let table = other.table.map(|table| format!("task.{table}"));
        let own = other.own.iter().map(|&key| key.to_owned()).chain(table);
        for key in own.filter(|_| !chosen) {
            need(
                !given(&key),
                format!("`{key}` is about {about}: add `[task.kind={name}]`, or leave it out"),
            );
        }
        for key in other.unused.iter().filter(|_| chosen) {
            need(
                !given(key),
                format!("`{key}` has no meaning for `[task.kind={name}]`: leave it out"),
            );
        }
    }
    let words = config.task.kind == Some(TaskKind::Ner);
    need(
        !words || config.data.format != Some(Format::Relations),
        "`data.format` has no meaning for `[task.kind=ner]`: leave it out".into(),
    );
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::path::PathBuf;

    use bertkit_evaluation::ThresholdObjective;

    use super::*;
    use crate::config::Threshold;

    fn write(text: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.toml");
        std::fs::write(&path, text).unwrap();
        (folder, path)
    }

    #[test]
    fn the_resolved_file_repeats_the_run() {
        let sets = [
            "data.train=a.csv",
            "output=runs/a",
            "model.path=m",
            "task.threshold=f1",
            "task.class_weights.spam=2.5",
            "task.loss.focal.gamma=1.5",
            "schedule.kind=cosine",
        ];
        let sets: Vec<_> = sets.iter().map(|s| Override::parse(s).unwrap()).collect();
        let config = FinetuneConfig::resolve(None, &sets).unwrap();
        assert_eq!(
            config.task.threshold,
            Threshold::Best(ThresholdObjective::F1)
        );
        assert_eq!(config.task.loss, LossConfig::Focal { gamma: 1.5 });
        let (_folder, path) = write(&config.to_toml());
        assert_eq!(FinetuneConfig::resolve(Some(&path), &[]).unwrap(), config);
        let defaults = FinetuneConfig::default();
        let (_folder, path) = write(&defaults.to_toml());
        assert_eq!(
            FinetuneConfig::resolve_unchecked(Some(&path), &[]).unwrap(),
            defaults
        );
    }

    #[test]
    fn an_unknown_override_names_the_nearest_key() {
        let set = Override::parse("optimizer.learning_rte=3e-5").unwrap();
        let error = FinetuneConfig::resolve(None, &[set]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "unknown key `optimizer.learning_rte` in [option.set]"
        );
        assert_eq!(
            error.hint().unwrap(),
            "did you mean `optimizer.learning_rate`?"
        );
    }

    #[test]
    fn a_typo_in_the_file_is_shown_with_its_line() {
        let (_folder, path) = write("seed = 1\n[optimizer]\nlearning_rte = 1\n");
        let error = FinetuneConfig::resolve(Some(&path), &[])
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("line 3") && error.contains('^') && error.contains("learning_rate"),
            "{error}"
        );
    }

    #[test]
    fn all_problems_are_told_at_once() {
        let sets = [
            "training.epochs=0",
            "optimizer.learning_rate=7",
            "device=gpu",
        ];
        let sets: Vec<_> = sets.iter().map(|s| Override::parse(s).unwrap()).collect();
        let error = FinetuneConfig::resolve(None, &sets)
            .unwrap_err()
            .to_string();
        for part in [
            "epochs",
            "learning_rate",
            "[data.train=FILE]",
            "[output=DIR]",
            "no model",
            "gpu",
        ] {
            assert!(error.contains(part), "{part}: {error}");
        }
    }

    #[test]
    fn a_value_of_the_wrong_type_names_its_flag() {
        let set = Override::flag("training.epochs", "three", "--epochs");
        let error = FinetuneConfig::resolve(None, &[set])
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("--epochs") && error.contains("three"),
            "{error}"
        );
    }
}
