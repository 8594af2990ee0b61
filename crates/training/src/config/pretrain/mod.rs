//! The settings of a pretraining run beyond the shared header, and the rules between them.
//!
//! Settings that depend on others (how sequences are packed under an objective, how masks are drawn)
//! may be left out; [`RunKind::read`] fills them in, so that the configuration a run
//! writes is complete.

use std::path::{Path, PathBuf};

use bertkit_data::pretraining::masking::Masking;
use bertkit_model::{Family, Precision};
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

pub use self::budget::Budget;
pub use self::corpus::{CorpusConfig, SequencesConfig};
pub use self::generator::{GeneratorConfig, Tied};
pub use self::masking::MaskingConfig;
pub use self::objective::Objective;
pub use self::probe::ProbeConfig;
pub use self::training::{PretrainingConfig, StageConfig};
use super::PretrainConfig;
use super::error::RunConfigError;
use super::model::{ModelConfig, TokenizerConfig};
use super::optimizer::{OptimizerConfig, ScheduleConfig, check_optimizer};
use super::overriding::{Override, Source, resolve};
use super::run::{RunConfig, RunKind, full_header, run_file};
use super::training::MicroBatch;

mod budget;
mod corpus;
mod generator;
mod masking;
mod objective;
mod probe;
pub mod recipes;
mod training;

/// The settings of a pretraining run beyond the header.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Pretrain {
    /// ELECTRA's generator.
    pub generator: GeneratorConfig,
    /// The texts.
    pub corpus: CorpusConfig,
    /// How sequences are made of the texts.
    pub sequences: SequencesConfig,
    /// How tokens are masked.
    pub masking: MaskingConfig,
    /// The weight of each loss.
    pub objective: Objective,
    /// The training loop.
    pub training: PretrainingConfig,
    /// Fine-tuning at chosen updates, to measure what the weights are worth.
    pub probe: ProbeConfig,
}

run_file! {
    Pretrain in PretrainFile:
    header { generator: GeneratorConfig }
    tokenizer {
        corpus: CorpusConfig, sequences: SequencesConfig, masking: MaskingConfig, objective: Objective,
        training: PretrainingConfig
    }
    optimizer schedule { probe: ProbeConfig }
}

impl RunKind for Pretrain {
    type File = PretrainFile;

    const CHOICE: &'static str = "masking.unit";

    fn change_defaults(config: &mut RunConfig<Self>) {
        config.optimizer.learning_rate = 5e-4;
        config.optimizer.epsilon = 1e-6;
    }

    fn read(source: Source<'_>, overrides: &[Override]) -> Result<RunConfig<Self>, RunConfigError> {
        let mut config = resolve(source, overrides, defaults())?;
        fill_in(&mut config);
        Ok(config)
    }

    fn rules(config: &RunConfig<Self>, need: &mut dyn FnMut(bool, String)) {
        need(
            !config.corpus.paths.is_empty(),
            "`corpus.paths` is empty: give files or folders with --corpus PATH".into(),
        );
        need(
            config.output.is_some(),
            "`output` is missing: give the run directory with --output DIR".into(),
        );
        let held_out = config.corpus.held_out;
        need(
            (0.0..=0.5).contains(&held_out),
            format!("`corpus.held_out` is {held_out}, expected 0 to 0.5"),
        );
        check_model(config, need);
        check_objective(config, need);
        check_training(config, need);
        check_optimizer(&config.optimizer, &config.schedule, need);
        check_probe(&config.probe, need);
    }

    fn spelled_out(key: &str, name: &Value) -> Option<Table> {
        let named: Objective = name.as_str().filter(|_| key == "objective")?.parse().ok()?;
        Table::try_from(named).ok()
    }

    fn full() -> RunConfig<Self> {
        let path = || Some(PathBuf::from("x"));
        let mut full: RunConfig<Self> = full_header();
        full.generator.path = path();
        full.corpus.shards = path();
        full.sequences.short_probability = Some(0.0);
        full.sequences.static_passes = Some(1);
        fill_in(&mut full);
        full.masking.max_predictions = Some(1);
        full.masking.unit = Some(Masking::span().unit);
        full.training.steps = Some(1);
        full.training.budget = Some(Budget { seconds: 1.0 });
        full.training.stages = vec![StageConfig {
            share: None,
            steps: None,
            max_length: None,
            batch_size: None,
            gradient_accumulation: None,
        }];
        full.training.evaluate_steps = Some(1);
        full.training.micro_batch = Some(MicroBatch::Auto);
        full.probe.data = path();
        full.probe.text_pair = Some("x".into());
        full.probe.every = Some(1);
        full
    }
}

impl PretrainConfig {
    /// As [`Self::resolve_unchecked`], with a [recipe](recipes) in the file's place.
    ///
    /// # Errors
    /// There is no such recipe, or an override does not fit.
    pub fn resolve_recipe(name: &str, overrides: &[Override]) -> Result<Self, RunConfigError> {
        let text = recipes::recipe(name).ok_or_else(|| RunConfigError::Recipe {
            name: name.into(),
            known: recipes::names().collect(),
        })?;
        let name = Path::new(name);
        Pretrain::read(Source::Text { name, text }, overrides)
    }
}

/// A table of which the file gives a part has the rest from here, not from a part's own defaults.
fn defaults() -> Table {
    let mut defaults = Table::try_from(PretrainConfig::default()).unwrap_or_default();
    // A name in its place would not mix with weights.
    defaults.remove("objective");
    defaults
}

/// Settles what depends on other settings.
fn fill_in(config: &mut PretrainConfig) {
    let objective = config.objective;
    let m = config.masking.masking(&objective);
    config.masking = MaskingConfig {
        rate: Some(m.rate),
        mask_share: Some(m.mask_share),
        random_share: Some(m.random_share),
        random_special: Some(m.random_special),
        with_replacement: Some(m.with_replacement),
        max_predictions: m.max_predictions,
        unit: Some(m.unit),
    };
    let packing = &mut config.sequences.packing;
    packing.get_or_insert_with(|| objective.packing());
    // The encoders of BERT and of ELECTRA are the same; files with sizes name the former.
    if let Some(fresh) = &mut config.model.fresh
        && objective.rtd > 0.0
        && fresh.family == Family::Bert
    {
        fresh.family = Family::Electra;
    }
    let t = &mut config.training;
    let by_stages = t
        .stages
        .iter()
        .map(|stage| stage.steps)
        .sum::<Option<u64>>();
    match by_stages {
        Some(steps) if !t.stages.is_empty() && t.steps.is_none() => t.steps = Some(steps),
        _ => {}
    }
    if t.steps.is_none() && t.budget.is_none() && t.epochs.is_none() {
        t.epochs = Some(1.0);
    }
}

fn check_model(config: &PretrainConfig, need: &mut dyn FnMut(bool, String)) {
    let (m, g) = (&config.model, &config.generator);
    need(
        m.path.is_some() || m.fresh.is_some(),
        "there is no model: give sizes with --config configs/models/tiny.toml, or a folder to continue from with --model DIR".into(),
    );
    need(
        m.path.is_none() || m.fresh.is_none(),
        "`model.path` and `model.fresh` exclude each other: load a model, or start a fresh one"
            .into(),
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
    for (name, share) in [("size", g.size), ("layers", g.layers)] {
        need(
            share > 0.0 && share <= 2.0,
            format!("`generator.{name}` is {share}, expected more than 0, at most 2"),
        );
    }
    need(
        g.tied == Tied::Embeddings || (g.size, g.layers) == (1.0, 1.0),
        format!(
            "`generator.tied` is all, so that the generator has the size of the model, but `generator.size` is {} and `generator.layers` {}: set both to 1.0",
            g.size, g.layers
        ),
    );
    need(
        g.temperature > 0.0 && g.temperature.is_finite(),
        format!(
            "`generator.temperature` is {}, expected more than 0",
            g.temperature
        ),
    );
    need(
        config.objective.rtd > 0.0 || *g == GeneratorConfig::default(),
        "`generator` is for replaced-token detection: use `--objective rtd`, or leave it out"
            .into(),
    );
}

fn check_objective(config: &PretrainConfig, need: &mut dyn FnMut(bool, String)) {
    let o = &config.objective;
    let weights = [
        ("mlm", o.mlm),
        ("next_sentence", o.next_sentence),
        ("sentence_order", o.sentence_order),
        ("rtd", o.rtd),
    ];
    for (name, weight) in weights {
        need(
            weight >= 0.0 && weight.is_finite(),
            format!("`objective.{name}` is {weight}, expected 0 or more"),
        );
    }
    need(
        weights.iter().any(|(_, weight)| *weight > 0.0),
        "every weight of `objective` is 0: there is nothing to learn".into(),
    );
    need(
        o.mlm > 0.0,
        "`objective.mlm` is 0: the other objectives are learnt beside masked words".into(),
    );
    let pairs = o.next_sentence > 0.0 || o.sentence_order > 0.0;
    need(
        o.next_sentence == 0.0 || o.sentence_order == 0.0,
        "`objective.next_sentence` and `objective.sentence_order` need different pairs: choose one"
            .into(),
    );
    need(
        !(pairs && o.rtd > 0.0),
        "replaced-token detection has no head for pairs: leave `next_sentence` and `sentence_order` at 0".into(),
    );
    need(
        config.sequences.max_length >= 8,
        format!(
            "`sequences.max_length` is {}, expected 8 or more",
            config.sequences.max_length
        ),
    );
    if let Some(p) = config.sequences.short_probability {
        need(
            (0.0..=1.0).contains(&p),
            format!("`sequences.short_probability` is {p}, expected 0 to 1"),
        );
    }
    need(
        config.sequences.static_passes != Some(0),
        "`sequences.static_passes` is 0, expected 1 or more".into(),
    );
    if let Some(packing) = config.sequences.packing {
        let asked = o.packing();
        need(
            !pairs || packing == asked,
            format!(
                "`sequences.packing` does not give the pairs that the objective asks for: leave it out, or set it to `{}`",
                if o.next_sentence > 0.0 {
                    "next-sentence"
                } else {
                    "sentence-order"
                }
            ),
        );
    }
    // Whether whole words are possible is told by the tokenizer.
    if let Err(found) = config.masking.masking(o).check(true) {
        for problem in found {
            need(false, format!("in `masking`: {problem}"));
        }
    }
}

fn check_training(config: &PretrainConfig, need: &mut dyn FnMut(bool, String)) {
    let t = &config.training;
    let ends = [t.steps.is_some(), t.budget.is_some(), t.epochs.is_some()];
    need(
        ends.iter().filter(|&&given| given).count() <= 1,
        "`training.steps`, `training.budget` and `training.epochs` exclude each other: one of them ends the run".into(),
    );
    for (name, n) in [
        ("steps", t.steps),
        ("batch_size", Some(t.batch_size as u64)),
        (
            "gradient_accumulation",
            Some(t.gradient_accumulation as u64),
        ),
        ("evaluate_steps", t.evaluate_steps),
        ("evaluate_sequences", Some(t.evaluate_sequences as u64)),
        ("checkpoint_steps", Some(t.checkpoint_steps)),
        ("keep_checkpoints", Some(t.keep_checkpoints as u64)),
    ] {
        need(
            n != Some(0),
            format!("`training.{name}` is 0, expected 1 or more"),
        );
    }
    if let Some(budget) = t.budget {
        need(
            budget.seconds > 0.0 && budget.seconds.is_finite(),
            format!("`training.budget` is {budget}, expected more than 0"),
        );
        need(
            config.schedule.warmup_steps.is_none(),
            "`schedule.warmup_steps` cannot be combined with a budget in time: give a share with `schedule.warmup`".into(),
        );
    }
    if let Some(epochs) = t.epochs {
        need(
            epochs > 0.0 && epochs <= 1e6,
            format!("`training.epochs` is {epochs}, expected more than 0"),
        );
    }
    if t.stages.is_empty() {
        return;
    }
    for (i, stage) in t.stages.iter().enumerate() {
        let sizes = [
            ("steps", stage.steps.map(|n| n as usize)),
            ("batch_size", stage.batch_size),
            ("gradient_accumulation", stage.gradient_accumulation),
        ];
        for (name, n) in sizes {
            need(
                n != Some(0),
                format!("`training.stages[{i}].{name}` is 0, expected 1 or more"),
            );
        }
        need(
            stage.max_length.is_none_or(|n| n >= 8),
            format!("`training.stages[{i}].max_length` is less than 8"),
        );
        if let Some(share) = stage.share {
            need(
                share > 0.0 && share <= 1.0,
                format!("`training.stages[{i}].share` is {share}, expected more than 0, at most 1"),
            );
        }
    }
    need(
        t.epochs.is_none(),
        "`training.stages` are parts of a run of known length: give `training.steps` or `training.budget`".into(),
    );
    let shares: Option<f64> = t.stages.iter().map(|stage| stage.share).sum();
    let steps: Option<u64> = t.stages.iter().map(|stage| stage.steps).sum();
    let mixed = t
        .stages
        .iter()
        .any(|stage| stage.share.is_some() == stage.steps.is_some());
    match (shares, steps) {
        _ if mixed => need(
            false,
            "each of `training.stages` needs a share of the run, or its steps, and not both".into(),
        ),
        (Some(sum), None) => need(
            (sum - 1.0).abs() < 1e-6,
            format!("the shares of `training.stages` add up to {sum}, expected 1"),
        ),
        (None, Some(sum)) => {
            need(
                t.budget.is_none(),
                "under a budget in time `training.stages` have shares, not steps".into(),
            );
            need(
                t.steps.is_none_or(|steps| steps == sum),
                format!(
                    "the steps of `training.stages` add up to {sum}, but `training.steps` is {}",
                    t.steps.unwrap_or(0)
                ),
            );
        }
        _ => need(
            false,
            "`training.stages` have shares or steps, all of them the same".into(),
        ),
    }
}

fn check_probe(p: &ProbeConfig, need: &mut dyn FnMut(bool, String)) {
    if p.data.is_none() {
        need(
            *p == ProbeConfig::default(),
            "`probe` has settings, but no rows: give them with --probe FILE".into(),
        );
        return;
    }
    need(
        p.every != Some(0),
        "`probe.every` is 0, expected 1 or more".into(),
    );
    need(
        !p.seeds.is_empty(),
        "`probe.seeds` is empty, expected one or more".into(),
    );
    need(
        p.epochs >= 1 && p.batch_size >= 1,
        "`probe.epochs` and `probe.batch_size` are 1 or more".into(),
    );
    need(
        p.valid_fraction > 0.0 && p.valid_fraction <= 0.9,
        format!(
            "`probe.valid_fraction` is {}, expected more than 0, at most 0.9",
            p.valid_fraction
        ),
    );
    need(
        p.learning_rate > 0.0 && p.learning_rate < 1.0,
        format!(
            "`probe.learning_rate` is {}, expected more than 0 and less than 1",
            p.learning_rate
        ),
    );
    need(
        p.max_length >= 4,
        format!("`probe.max_length` is {}, expected 4 or more", p.max_length),
    );
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use bertkit_data::pretraining::sequences::Packing;

    use super::*;

    const LEAST: [&str; 4] = [
        "corpus.paths=[\"texts\"]",
        "output=runs/a",
        "tokenizer.path=tok",
        "model.path=m",
    ];

    fn resolved(more: &[&str]) -> Result<PretrainConfig, RunConfigError> {
        let sets: Vec<Override> = LEAST
            .iter()
            .chain(more)
            .map(|text| Override::parse(text).unwrap())
            .collect();
        PretrainConfig::resolve(None, &sets)
    }

    #[test]
    fn the_resolved_file_repeats_the_run() {
        for more in [
            &["objective=rtd", "training.budget=1h30m"][..],
            &["objective.mlm=1", "objective.sentence_order=0.5"],
            &[
                "masking.unit.span.probability=0.3",
                "masking.unit.span.longest=5",
            ],
            &[
                "training.steps=100",
                "training.stages=[{share=0.9, max_length=64}, {share=0.1}]",
            ],
        ] {
            let config = resolved(more).unwrap();
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("run.toml");
            std::fs::write(&path, config.to_toml()).unwrap();
            assert_eq!(PretrainConfig::resolve(Some(&path), &[]).unwrap(), config);
        }
    }

    #[test]
    fn objectives_have_the_masks_and_the_sequences_of_their_published_code() {
        let masks =
            |config: &PretrainConfig| (config.masking.mask_share, config.masking.random_share);
        let mlm = resolved(&[]).unwrap();
        assert_eq!(mlm.sequences.packing, Some(Packing::Across));
        assert_eq!(masks(&mlm), (Some(0.8), Some(0.1)));
        let rtd = resolved(&["objective=rtd"]).unwrap();
        assert_eq!(rtd.sequences.packing, Some(Packing::Electra));
        assert_eq!(masks(&rtd), (Some(0.85), Some(0.0)));
        assert_eq!((rtd.objective.mlm, rtd.objective.rtd), (1.0, 50.0));
        let lighter = resolved(&["objective=rtd", "objective.rtd=10"]).unwrap();
        assert_eq!((lighter.objective.mlm, lighter.objective.rtd), (1.0, 10.0));
        let nsp = resolved(&["objective=mlm+nsp"]).unwrap();
        assert_eq!(nsp.sequences.packing, Some(Packing::NextSentence));
    }

    #[test]
    fn a_part_of_a_table_keeps_the_rest_of_its_defaults() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.toml");
        std::fs::write(&path, "[optimizer]\nweight_decay = 0.1\n").unwrap();
        let config = PretrainConfig::resolve_unchecked(Some(&path), &[]).unwrap();
        assert_eq!(config.optimizer.learning_rate, 5e-4);
        assert_eq!(config.optimizer.weight_decay, 0.1);
    }

    #[test]
    fn budgets_are_read_in_days_to_seconds() {
        for (text, seconds) in [
            ("90s", 90.0),
            ("30m", 1800.0),
            ("1h30m", 5400.0),
            ("12", 12.0),
        ] {
            assert_eq!(text.parse::<Budget>().unwrap().seconds, seconds);
        }
        for text in ["", "m", "3x", "10m5", "-"] {
            assert!(text.parse::<Budget>().is_err(), "{text}");
        }
    }

    #[test]
    fn all_problems_are_told_at_once() {
        let error = resolved(&[
            "objective.rtd=50",
            "objective.next_sentence=1",
            "training.steps=10",
            "training.budget=1m",
            "masking.rate=0",
            "training.stages=[{share=0.5}, {steps=3}]",
            "probe.every=3",
            "schedule.power=2",
        ]);
        let text = error.unwrap_err().to_string();
        for part in [
            "objective.mlm",
            "no head for pairs",
            "exclude each other",
            "`rate` is 0",
            "training.stages",
            "--probe",
            "schedule.power",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }

    #[test]
    fn a_wrong_objective_names_those_that_exist() {
        let error = resolved(&["objective=mml"]).unwrap_err().to_string();
        assert!(error.contains("mlm+nsp"), "{error}");
        let error = resolved(&["objective.nsp=1"]).unwrap_err().to_string();
        assert!(error.contains("unknown key `objective.nsp`"), "{error}");
    }
}
