//! The settings of a fine-tuning run beyond the shared header, and the rules between them.

use std::path::PathBuf;

use bertkit_data::alignment::LabelledTokens;
use bertkit_data::formats::tagged::TagLevel;
use bertkit_data::relations::MarkStyle;
use bertkit_model::Precision;
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use super::data::{DataConfig, FileFormat, FoldConfig};
use super::documents::DocumentsConfig;
use super::error::RunConfigError;
use super::model::{ModelConfig, TokenizerConfig};
use super::optimizer::{OptimizerConfig, ScheduleConfig, check_optimizer};
use super::overriding::{Override, Source, resolve};
use super::questions::QuestionConfig;
use super::run::{RunConfig, RunKind, full_header, run_file};
use super::tagging::{NerConfig, TagHead};
use super::task::{ClassWeights, LossConfig, TaskConfig, Threshold};
use super::training::{MicroBatch, Sampler, TrainingConfig};
use crate::tasks::kind::TaskKind;
use crate::tasks::multiple_choice::config::ChoiceConfig;

/// More epochs than this are a slip of the finger.
const MOST_EPOCHS: usize = 100_000;

/// The settings of a fine-tuning run beyond the header.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Finetune {
    /// What is read.
    pub data: DataConfig,
    /// What is predicted.
    pub task: TaskConfig,
    /// The training loop.
    pub training: TrainingConfig,
}

run_file! {
    Finetune in FinetuneFile:
    header {}
    tokenizer { data: DataConfig, task: TaskConfig, training: TrainingConfig }
    optimizer schedule {}
}

impl RunKind for Finetune {
    type File = FinetuneFile;

    const CHOICE: &'static str = "task.loss";

    fn read(source: Source<'_>, overrides: &[Override]) -> Result<RunConfig<Self>, RunConfigError> {
        let mut config: RunConfig<Self> = resolve(source, overrides, Table::new())?;
        if config.task.kind == Some(TaskKind::Ner) {
            config.task.ner.get_or_insert_default();
        }
        if config.task.kind == Some(TaskKind::Qa) {
            // Windows of texts are longer than most texts that have classes.
            let length = QuestionConfig::MAX_LENGTH as i64;
            let data = Table::from_iter([("max_length".into(), Value::Integer(length))]);
            let defaults = Table::from_iter([("data".into(), Value::Table(data))]);
            config = resolve(source, overrides, defaults)?;
            config.task.qa.get_or_insert_default();
        }
        let d = &mut config.data;
        if d.format == Some(FileFormat::Relations) && d.text == DataConfig::default().text {
            d.text = "sentence".into();
        }
        if config.data.group_by.is_some() {
            config.task.documents.get_or_insert_default();
        }
        Ok(config)
    }

    fn rules(config: &RunConfig<Self>, need: &mut dyn FnMut(bool, String)) {
        let (m, d, t, o, s) = (
            &config.model,
            &config.data,
            &config.training,
            &config.optimizer,
            &config.schedule,
        );
        need(
            d.train.is_some(),
            "`data.train` is missing: give the training file with --train FILE".into(),
        );
        need(
            config.output.is_some(),
            "`output` is missing: give the run directory with --output DIR".into(),
        );
        need(
            m.path.is_some() || m.fresh.is_some(),
            "there is no model: give a folder with --model DIR, or sizes with --config configs/models/tiny.toml".into(),
        );
        need(
            m.path.is_none() || m.fresh.is_none(),
            "`model.path` and `model.fresh` exclude each other: load a model, or start a fresh one"
                .into(),
        );
        need(
            (0.0..=0.9).contains(&d.valid_fraction),
            format!(
                "`data.valid_fraction` is {}, expected 0 to 0.9",
                d.valid_fraction
            ),
        );
        need(
            d.max_length >= 4,
            format!("`data.max_length` is {}, expected 4 or more", d.max_length),
        );
        need(
            d.label_separator.as_deref() != Some(""),
            "`data.label_separator` is empty, expected one or more characters".into(),
        );
        need(
            (1..=MOST_EPOCHS).contains(&t.epochs),
            format!(
                "`training.epochs` is {}, expected 1 to {MOST_EPOCHS}",
                t.epochs
            ),
        );
        need(
            t.max_steps != Some(0),
            "`training.max_steps` is 0, expected 1 or more".into(),
        );
        need(
            t.batch_size >= 1,
            "`training.batch_size` is 0, expected 1 or more".into(),
        );
        need(
            t.batch_tokens != Some(0),
            "`training.batch_tokens` is 0, expected 1 or more".into(),
        );
        need(
            t.gradient_accumulation >= 1,
            "`training.gradient_accumulation` is 0, expected 1 or more".into(),
        );
        need(
            t.evaluate_steps != Some(0),
            "`training.evaluate_steps` is 0, expected 1 or more".into(),
        );
        need(
            t.checkpoint_steps >= 1,
            "`training.checkpoint_steps` is 0, expected 1 or more".into(),
        );
        need(
            t.keep_checkpoints >= 1,
            "`training.keep_checkpoints` is 0, expected 1 or more".into(),
        );
        need(
            t.sampler != Sampler::Balanced || t.batch_tokens.is_none(),
            "`training.batch_tokens` cannot be combined with the balanced sampler: give `training.batch_size`".into(),
        );
        need(
            t.sampler != Sampler::Balanced || !t.bucket_by_length,
            "`training.bucket_by_length` cannot be combined with the balanced sampler: leave one of them out".into(),
        );
        check_optimizer(o, s, need);
        if let Threshold::At(at) = config.task.threshold {
            need(
                (0.0..=1.0).contains(&at),
                format!("`task.threshold` is {at}, expected 0 to 1, or f1"),
            );
        }
        match &config.task.loss {
            LossConfig::CrossEntropy { label_smoothing } => need(
                (0.0..1.0).contains(label_smoothing),
                format!(
                    "`task.loss.cross-entropy.label_smoothing` is {label_smoothing}, expected 0 to below 1"
                ),
            ),
            LossConfig::Focal { gamma } => {
                need(
                    *gamma >= 0.0 && gamma.is_finite(),
                    format!("`task.loss.focal.gamma` is {gamma}, expected 0 or more"),
                );
            }
        }
        if let ClassWeights::Given(weights) = &config.task.class_weights {
            for (class, weight) in weights {
                need(
                    *weight >= 0.0 && weight.is_finite(),
                    format!("the weight of class `{class}` is {weight}, expected 0 or more"),
                );
            }
        }
        if let Some(fold) = d.fold {
            need(
                fold.of >= 2 && (1..=fold.of).contains(&fold.number),
                format!(
                    "`data.fold` is {} of {}, expected 2 folds or more and one of them, from 1",
                    fold.number, fold.of
                ),
            );
        }
        check_tags(d, &config.task, need);
        check_questions(d, t, &config.task, need);
        if let Some(documents) = &config.task.documents {
            need(
                d.text_pair.is_none(),
                "`data.text_pair` cannot be divided into sections: leave it out, or leave `task.documents` and `--pool` out".into(),
            );
            need(
                documents.piece_tokens > 0,
                "`task.documents.piece_tokens` is 0, expected 1 or more".into(),
            );
        }
        need(
            d.group_by.is_none() || d.group.is_none(),
            "`data.group` has no meaning beside `data.group_by`, whose rows are one document and stay together anyway: leave it out".into(),
        );
        let fresh = m.fresh.as_ref();
        for (name, rate) in [
            ("fresh.hidden_dropout", fresh.map(|f| f.hidden_dropout)),
            (
                "fresh.attention_dropout",
                fresh.map(|f| f.attention_dropout),
            ),
            ("hidden_dropout", m.hidden_dropout),
            ("attention_dropout", m.attention_dropout),
            ("classifier_dropout", m.classifier_dropout),
        ] {
            if let Some(rate) = rate {
                need(
                    (0.0..1.0).contains(&rate),
                    format!("`model.{name}` is {rate}, expected 0 to below 1"),
                );
            }
        }
    }

    fn full() -> RunConfig<Self> {
        let kind = Self {
            data: DataConfig {
                train: Some("x".into()),
                valid: Some("x".into()),
                text_pair: Some("x".into()),
                group: Some("x".into()),
                group_by: Some("x".into()),
                entities: Some(MarkStyle::Markers),
                label_separator: Some("x".into()),
                format: Some(FileFormat::Csv),
                delimiter: Some("x".into()),
                quote: Some("x".into()),
                escape: Some("x".into()),
                word_column: Some("x".into()),
                tag_column: Some("x".into()),
                sentence_column: Some("x".into()),
                level: Some(TagLevel::Outer),
                type_name: Some("x".into()),
                fold: Some(FoldConfig::default()),
                ..Default::default()
            },
            task: TaskConfig {
                kind: Some(TaskKind::Classification),
                positive: Some("x".into()),
                ner: Some(NerConfig {
                    overlap: Some(1),
                    ..Default::default()
                }),
                documents: Some(DocumentsConfig::default()),
                qa: Some(QuestionConfig {
                    answer: Some("x".into()),
                    start: Some("x".into()),
                    id: Some("x".into()),
                    null_threshold: Some(0.0),
                    ..Default::default()
                }),
                choice: Some(ChoiceConfig {
                    context: Some("x".into()),
                    answers: vec!["x".into()],
                    ..Default::default()
                }),
                averaged: vec!["x".into()],
                ..Default::default()
            },
            training: TrainingConfig {
                max_steps: Some(1),
                batch_tokens: Some(1),
                evaluate_steps: Some(1),
                micro_batch: Some(MicroBatch::Auto),
                best_metric: Some("x".into()),
                ..Default::default()
            },
        };
        RunConfig {
            kind,
            ..full_header()
        }
    }

    fn more_keys() -> Vec<String> {
        vec!["task.loss.focal.gamma".into()]
    }

    fn free_key(key: &str) -> bool {
        key.starts_with("task.class_weights.")
    }
}

/// Checks that settings of tagged words, and those of texts and labels, are there for such a task alone.
fn check_tags(d: &DataConfig, task: &TaskConfig, need: &mut dyn FnMut(bool, String)) {
    let of_tags = [
        ("data.word_column", d.word_column.is_some()),
        ("data.tag_column", d.tag_column.is_some()),
        ("data.sentence_column", d.sentence_column.is_some()),
        ("data.level", d.level.is_some()),
        ("data.type_name", d.type_name.is_some()),
        ("task.ner", task.ner.is_some()),
    ];
    let defaults = (DataConfig::default(), TaskConfig::default());
    let of_texts = [
        ("data.text", d.text != defaults.0.text),
        ("data.text_pair", d.text_pair.is_some()),
        ("data.label", d.label != defaults.0.label),
        ("data.label_separator", d.label_separator.is_some()),
        ("data.group_by", d.group_by.is_some()),
        ("data.entities", d.entities.is_some()),
        ("data.format", d.format == Some(FileFormat::Relations)),
        ("task.averaged", !task.averaged.is_empty()),
        ("task.documents", task.documents.is_some()),
        ("data.quote", d.quote.is_some()),
        ("data.escape", d.escape.is_some()),
        ("data.header", d.header != defaults.0.header),
        ("data.missing", d.missing != defaults.0.missing),
        ("task.positive", task.positive.is_some()),
        ("task.threshold", task.threshold != defaults.1.threshold),
        ("task.calibrate", task.calibrate != defaults.1.calibrate),
        (
            "task.class_weights",
            task.class_weights != defaults.1.class_weights,
        ),
    ];
    let tags = task.kind == Some(TaskKind::Ner);
    for (key, given) in if tags { &of_texts[..] } else { &of_tags[..] } {
        let why = match tags {
            true => "has no meaning for `--task ner`: leave it out",
            false => "is about tagged words: add `--task ner`, or leave it out",
        };
        need(!given, format!("`{key}` {why}"));
    }
    if let Some(ner) = &task.ner {
        let loss = task.loss == LossConfig::default();
        need(
            loss || ner.head == TagHead::Linear,
            "`task.loss` cannot be chosen with `--head crf`, which has a loss of its own: leave it out".into(),
        );
        need(
            ner.head == TagHead::Linear || ner.label == LabelledTokens::First,
            "`task.ner.label` must be `first` with `--head crf`, whose sequence is that of the words".into(),
        );
        need(
            ner.crf_rate > 0.0 && ner.crf_rate.is_finite(),
            format!(
                "`task.ner.crf_rate` is {}, expected more than 0",
                ner.crf_rate
            ),
        );
    }
}

/// Checks that settings of questions are there for such a task alone, and those of texts and labels are not.
fn check_questions(
    d: &DataConfig,
    t: &TrainingConfig,
    task: &TaskConfig,
    need: &mut dyn FnMut(bool, String),
) {
    need(
        task.kind == Some(TaskKind::MultipleChoice) || task.choice.is_none(),
        "`task.choice` is about multiple choice: add `--task multiple-choice`, or leave it out"
            .into(),
    );
    let asks = task.kind == Some(TaskKind::Qa);
    need(
        asks || task.qa.is_none(),
        "`task.qa` is about questions: add `--task qa`, or leave it out".into(),
    );
    let Some(qa) = task.qa.as_ref().filter(|_| asks) else {
        return;
    };
    let (data, defaults) = (DataConfig::default(), TaskConfig::default());
    for (key, given) in [
        ("data.text", d.text != data.text),
        ("data.text_pair", d.text_pair.is_some()),
        ("data.label", d.label != data.label),
        ("data.label_separator", d.label_separator.is_some()),
        ("data.group", d.group.is_some()),
        ("task.positive", task.positive.is_some()),
        ("task.threshold", task.threshold != defaults.threshold),
        ("task.calibrate", task.calibrate != defaults.calibrate),
        (
            "task.class_weights",
            task.class_weights != defaults.class_weights,
        ),
        ("task.loss", task.loss != defaults.loss),
        ("training.sampler", t.sampler != Sampler::Shuffle),
    ] {
        let why = "has no meaning for `--task qa`: leave it out";
        need(!given, format!("`{key}` {why}"));
    }
    for (key, value) in [
        ("stride", qa.stride),
        ("max_question_length", qa.max_question_length),
        ("max_answer_length", qa.max_answer_length),
        ("n_best", qa.n_best),
    ] {
        need(
            value > 0,
            format!("`task.qa.{key}` is 0, expected 1 or more"),
        );
    }
    need(
        qa.null_threshold.is_none_or(f64::is_finite),
        "`task.qa.null_threshold` is no finite number".into(),
    );
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use bertkit_evaluation::ThresholdObjective;

    use super::*;
    use crate::config::FinetuneConfig;

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
            "unknown key `optimizer.learning_rte` in --set"
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
            "--train",
            "--output",
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
