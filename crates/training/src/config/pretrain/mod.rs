//! The settings of a pretraining run beyond the shared header, and the rules between them.
//!
//! Settings that depend on others (how sequences are packed under an objective, how masks are drawn) may be left out;
//! [`RunKind::read`] fills them in, so that the configuration that a run writes is complete.

mod budget;
mod corpus;
mod generator;
mod masking;
mod objective;
mod probe;
pub mod recipes;
mod training;

use std::path::Path;

use toml::Table;

pub use self::budget::Budget;
pub use self::corpus::{CorpusConfig, SequencesConfig};
pub use self::generator::{GeneratorConfig, Tied};
pub use self::masking::MaskingConfig;
pub use self::probe::ProbeConfig;
pub use self::training::{PretrainingConfig, StageConfig};
use super::error::RunConfigError;
use super::overriding::{Override, Source};
use super::run::{RunConfig, RunKind, resolve, run_file};
use super::setting::settings;
use crate::pretrain::objective_list::ObjectiveList;
use crate::pretrain::objectives::Objective;

settings! {
    /// The settings of a pretraining run beyond the header.
    pub struct Pretrain {
        /// ELECTRA's generator.
        generator: GeneratorConfig,
        /// The texts.
        corpus: CorpusConfig,
        /// How sequences are made of the texts.
        sequences: SequencesConfig,
        /// How tokens are masked.
        masking: MaskingConfig,
        /// The weight of each loss, or a short form for the weights of a published system, such as `mlm+nsp`.
        objective: ObjectiveList => {
            .spelled_out(objective::spelled_out).flag(objective::objective_flag().rank(-1))
        },
        /// The training loop.
        training: PretrainingConfig,
        /// Fine-tuning at chosen updates, to measure what the weights are worth.
        probe: ProbeConfig,
    }
}

/// The configuration of a pretraining run.
pub type PretrainConfig = RunConfig<Pretrain>;

run_file! {
    Pretrain in PretrainFile:
    header { generator: GeneratorConfig }
    tokenizer {
        corpus: CorpusConfig, sequences: SequencesConfig, masking: MaskingConfig, objective: ObjectiveList,
        training: PretrainingConfig
    }
    optimizer schedule { probe: ProbeConfig }
}

impl RunKind for Pretrain {
    type File = PretrainFile;

    const NAME: &'static str = "pretrain";

    const HEADINGS: &'static [&'static str] = &[
        "Text",
        "Model",
        "Objective",
        "Training",
        "Optimizer",
        "Probe",
    ];

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
            "`corpus.paths` is empty: give files or folders with [corpus.paths=PATH]".into(),
        );
        config.header_rules(
            "there is no model: give sizes with [option.config=configs/models/tiny.toml], or a folder to continue from with [model.path=DIR]",
            need,
        );
        generator_rules(config, need);
        objective_rules(config, need);
        end_rules(config, need);
        stage_rules(&config.training, need);
        probe_rules(&config.probe, need);
    }
}

impl PretrainConfig {
    /// As [`Self::resolve_unchecked`], with a [recipe](recipes) instead of a file.
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

/// The defaults that a file is merged into, so that a table given in part is completed from here, not from the
/// table's own defaults.
fn defaults() -> Table {
    let mut defaults = Table::try_from(PretrainConfig::default()).unwrap_or_default();
    // If the file gives a short form here, it cannot be merged with weights.
    defaults.remove("objective");
    defaults
}

/// Fills in settings that depend on others.
fn fill_in(config: &mut PretrainConfig) {
    let objectives = config.objective.clone();
    let m = config.masking.over(&objectives.masking());
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
    packing.get_or_insert_with(|| objectives.packing());
    if let Some(fresh) = &mut config.model.fresh {
        fresh.family = objectives.fresh_family(fresh.family);
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

/// The rules of ELECTRA's generator.
fn generator_rules(config: &PretrainConfig, need: &mut dyn FnMut(bool, String)) {
    let g = &config.generator;
    need(
        g.tied == Tied::Embeddings || (g.size, g.layers) == (1.0, 1.0),
        format!(
            "`generator.tied` is all, so that the generator has the size of the model, but `generator.size` is {} and `generator.layers` {}: set both to 1.0",
            g.size, g.layers
        ),
    );
    need(
        config.objective.contains(Objective::ReplacedTokens) || *g == GeneratorConfig::default(),
        "`generator` is for replaced-token detection: use `[objective=rtd]`, or leave it out"
            .into(),
    );
}

/// The rules between objectives, sequences and masks.
fn objective_rules(config: &PretrainConfig, need: &mut dyn FnMut(bool, String)) {
    for problem in config.objective.problems() {
        need(false, problem);
    }
    if let Some(packing) = config.sequences.packing {
        let needed = config.objective.packing();
        need(
            !config.objective.needs_packing() || packing == needed,
            format!(
                "`sequences.packing` does not give the pairs that the objective asks for: leave it out, or set it to `{}`",
                needed.name()
            ),
        );
    }
    // Only the tokenizer knows whether whole words can be masked.
    let masking = config.masking.over(&config.objective.masking());
    if let Err(found) = masking.check(true) {
        for problem in found {
            need(false, format!("in `masking`: {problem}"));
        }
    }
}

/// The rules for the settings that end a run.
fn end_rules(config: &PretrainConfig, need: &mut dyn FnMut(bool, String)) {
    let t = &config.training;
    let ends = [t.steps.is_some(), t.budget.is_some(), t.epochs.is_some()];
    need(
        ends.iter().filter(|&&given| given).count() <= 1,
        "`training.steps`, `training.budget` and `training.epochs` exclude each other: one of them ends the run".into(),
    );
    need(
        t.budget.is_none() || config.schedule.warmup_steps.is_none(),
        "`schedule.warmup_steps` cannot be combined with a budget in time: give a share with `schedule.warmup`".into(),
    );
}

/// The rules of the stages of a run.
fn stage_rules(t: &PretrainingConfig, need: &mut dyn FnMut(bool, String)) {
    if t.stages.is_empty() {
        return;
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

/// The rules of the probe.
fn probe_rules(p: &ProbeConfig, need: &mut dyn FnMut(bool, String)) {
    if p.data.is_none() {
        need(
            *p == ProbeConfig::default(),
            "`probe` has settings, but no rows: give them with [probe.data=FILE]".into(),
        );
    }
    need(
        !p.seeds.is_empty(),
        "`probe.seeds` is empty, expected one or more".into(),
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
        let weights = |config: &PretrainConfig| {
            let o = &config.objective;
            (
                o.weight(Objective::MaskedLm),
                o.weight(Objective::ReplacedTokens),
            )
        };
        let mlm = resolved(&[]).unwrap();
        assert_eq!(mlm.sequences.packing, Some(Packing::Across));
        assert_eq!(masks(&mlm), (Some(0.8), Some(0.1)));
        let rtd = resolved(&["objective=rtd"]).unwrap();
        assert_eq!(rtd.sequences.packing, Some(Packing::Electra));
        assert_eq!(masks(&rtd), (Some(0.85), Some(0.0)));
        assert_eq!(weights(&rtd), (1.0, 50.0));
        let lighter = resolved(&["objective=rtd", "objective.rtd=10"]).unwrap();
        assert_eq!(weights(&lighter), (1.0, 10.0));
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
            "[probe.data=FILE]",
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
