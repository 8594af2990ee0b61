//! The configuration of a pretraining run.
//!
//! Settings that depend on others (how sequences are packed under an objective, how masks are drawn)
//! may be left out; [`PretrainConfig::resolve`] fills them in, so that the configuration a run
//! writes is complete.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use bertkit_data::pretraining::corpus::{CorpusFormat, CorpusOptions};
use bertkit_data::pretraining::masking::{MaskUnit, Masking};
use bertkit_data::pretraining::sequences::Packing;
use bertkit_model::{Family, Precision};
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use crate::config::{
    FreshModel, MicroBatch, ModelConfig, OptimizerConfig, Override, RunConfigError, ScheduleConfig,
    Settings, TokenizerConfig, check_optimizer, collect_keys, resolve, resolve_text,
};
use crate::pretrain::recipes::recipe;

/// Everything that decides a pretraining run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PretrainConfig {
    /// Decides fresh weights, sequences and their order, masks, dropout and what is held out.
    pub seed: u64,
    /// `auto`, `cpu`, `wgpu`, `wgpu:N`, `cuda` or `cuda:N`.
    pub device: String,
    /// How the factors of matrix products are rounded: `f32` (not at all), `tf32`, `bf16` or `f16`.
    pub precision: Precision,
    /// The run directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<PathBuf>,
    /// Where the encoder comes from: a folder to continue from, or fresh weights.
    pub model: ModelConfig,
    /// ELECTRA's generator.
    pub generator: GeneratorConfig,
    /// The tokenizer; without a path that of the model folder, or for a fresh model one that is
    /// trained on the corpus.
    pub tokenizer: TokenizerConfig,
    /// What is read.
    pub corpus: CorpusConfig,
    /// What a sequence is made of.
    pub sequences: SequencesConfig,
    /// What is hidden from the model.
    pub masking: MaskingConfig,
    /// What is learnt.
    pub objective: Objective,
    /// How long and in which portions.
    pub training: PretrainingConfig,
    /// How weights move.
    pub optimizer: OptimizerConfig,
    /// How the learning rate moves.
    pub schedule: ScheduleConfig,
    /// A fine-tuning at chosen updates, which says what the weights are worth.
    pub probe: ProbeConfig,
}

impl Default for PretrainConfig {
    fn default() -> Self {
        Self {
            seed: 42,
            device: "auto".into(),
            precision: Precision::default(),
            output: None,
            model: ModelConfig::default(),
            generator: GeneratorConfig::default(),
            tokenizer: TokenizerConfig::default(),
            corpus: CorpusConfig::default(),
            sequences: SequencesConfig::default(),
            masking: MaskingConfig::default(),
            objective: Objective::default(),
            training: PretrainingConfig::default(),
            optimizer: OptimizerConfig {
                learning_rate: 5e-4,
                epsilon: 1e-6,
                ..OptimizerConfig::default()
            },
            schedule: ScheduleConfig::default(),
            probe: ProbeConfig::default(),
        }
    }
}

/// The sizes of ELECTRA's generator, and how it is sampled (Clark et al. 2020, §3.2).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GeneratorConfig {
    /// A folder with a generator to continue from; the one beside the model if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
    /// What it shares with the discriminator.
    pub tied: Tied,
    /// Its width, as a share of the discriminator's.
    pub size: f64,
    /// Its layers, as a share of the discriminator's.
    pub layers: f64,
    /// Divides the logits before sampling.
    pub temperature: f64,
    /// Whether the token that was there is never sampled.
    pub disallow_correct: bool,
}

impl Default for GeneratorConfig {
    fn default() -> Self {
        Self {
            path: None,
            tied: Tied::Embeddings,
            size: 0.25,
            layers: 1.0,
            temperature: 1.0,
            disallow_correct: false,
        }
    }
}

/// Which weights generator and discriminator have in common (Clark et al. 2020, §3.2, "Weight
/// Sharing").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tied {
    /// Words, positions, token types and their LayerNorm.
    Embeddings,
    /// The encoder as a whole. It is taught to fill masks too, and so leaves the state in which
    /// every token is called original, which a fresh discriminator may stay in: the generator is
    /// ahead of it.
    All,
}

/// The texts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CorpusConfig {
    /// Files, folders, and patterns such as `books/**/*.txt`.
    pub paths: Vec<PathBuf>,
    /// auto, sentences, lines, jsonl or csv.
    pub format: CorpusFormat,
    /// The field or column that holds the text.
    pub field: String,
    /// Whether documents are cut into sentences where one seems to end.
    pub split_sentences: bool,
    /// Whether a document whose text came before is left out.
    pub drop_duplicates: bool,
    /// The share of the tokens, in whole documents, that is validated on; 0 is none.
    pub held_out: f64,
    /// Where the tokenised corpus is kept; `shards` in the run directory if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shards: Option<PathBuf>,
}

impl Default for CorpusConfig {
    fn default() -> Self {
        let options = CorpusOptions::default();
        Self {
            paths: Vec::new(),
            format: options.format,
            field: options.field,
            split_sentences: options.split_sentences,
            drop_duplicates: options.drop_duplicates,
            held_out: 0.05,
            shards: None,
        }
    }
}

impl CorpusConfig {
    /// How the files are read.
    pub(crate) fn options(&self) -> CorpusOptions {
        CorpusOptions {
            format: self.format,
            field: self.field.clone(),
            split_sentences: self.split_sentences,
            drop_duplicates: self.drop_duplicates,
        }
    }
}

/// What a sequence is made of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SequencesConfig {
    /// across, within, blocks, next-sentence, sentence-order or electra; what the objective asks for
    /// if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub packing: Option<Packing>,
    /// Tokens of the longest sequence, special tokens included.
    pub max_length: usize,
    /// How often a sequence aims at a shorter length; as often as in the published code if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub short_probability: Option<f64>,
    /// Sequences and masks repeat after so many epochs, as BERT's published code made them once and
    /// for all; new ones in every epoch if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub static_passes: Option<u64>,
}

impl Default for SequencesConfig {
    fn default() -> Self {
        Self {
            packing: None,
            max_length: 128,
            short_probability: None,
            static_passes: None,
        }
    }
}

/// How tokens are hidden; what is not given is what the objective's published code does.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MaskingConfig {
    /// The share of tokens to predict.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<f64>,
    /// The share of these that become the mask token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mask_share: Option<f64>,
    /// The share that become a random token; the rest stays.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub random_share: Option<f64>,
    /// Whether a random token can be a special one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub random_special: Option<bool>,
    /// Whether a token can be drawn several times, so that fewer are masked, as in ELECTRA's
    /// published code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub with_replacement: Option<bool>,
    /// Predictions of the longest sequence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_predictions: Option<usize>,
    /// token, whole-word, or span with `probability` and `longest`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<MaskUnit>,
}

impl MaskingConfig {
    /// With the objective's defaults filled in.
    pub(crate) fn masking(&self, objective: &Objective) -> Masking {
        let base = if objective.rtd > 0.0 {
            Masking {
                mask_share: 0.85,
                random_share: 0.0,
                ..Masking::bert()
            }
        } else {
            Masking::bert()
        };
        Masking {
            rate: self.rate.unwrap_or(base.rate),
            mask_share: self.mask_share.unwrap_or(base.mask_share),
            random_share: self.random_share.unwrap_or(base.random_share),
            random_special: self.random_special.unwrap_or(base.random_special),
            with_replacement: self.with_replacement.unwrap_or(base.with_replacement),
            max_predictions: self.max_predictions,
            unit: self.unit.unwrap_or(base.unit),
        }
    }
}

/// What is learnt: how much the mean of each loss counts. `mlm`, `mlm+nsp`, `mlm+sop` and `rtd` are
/// short for the weights of the published systems.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "ObjectiveForm")]
pub struct Objective {
    /// Masked words (Devlin et al. 2019, §3.1); beside `rtd`, those of the generator.
    pub mlm: f64,
    /// Whether the second segment follows the first or comes from elsewhere (the same).
    pub next_sentence: f64,
    /// Whether two segments are in their order (Lan et al. 2020, §3.1).
    pub sentence_order: f64,
    /// Which tokens a generator has replaced (Clark et al. 2020, §3.1).
    pub rtd: f64,
}

impl Objective {
    /// Masked words.
    pub const MLM: Self = Self {
        mlm: 1.0,
        next_sentence: 0.0,
        sentence_order: 0.0,
        rtd: 0.0,
    };
    const NONE: Self = Self {
        mlm: 0.0,
        ..Self::MLM
    };
    /// ELECTRA's weight of the discriminator's loss.
    const RTD: f64 = 50.0;

    /// The packing that it needs, or is best served with.
    fn packing(&self) -> Packing {
        if self.next_sentence > 0.0 {
            Packing::NextSentence
        } else if self.sentence_order > 0.0 {
            Packing::SentenceOrder
        } else if self.rtd > 0.0 {
            Packing::Electra
        } else {
            Packing::Across
        }
    }
}

impl Default for Objective {
    fn default() -> Self {
        Self::MLM
    }
}

impl FromStr for Objective {
    type Err = String;

    /// `mlm`, `nsp`, `sop` and `rtd`, joined by `+`.
    fn from_str(text: &str) -> Result<Self, String> {
        let mut objective = Self::NONE;
        for part in text.split('+') {
            match part.trim() {
                "mlm" => objective.mlm = 1.0,
                "nsp" => objective.next_sentence = 1.0,
                "sop" => objective.sentence_order = 1.0,
                "rtd" => (objective.mlm, objective.rtd) = (1.0, Self::RTD),
                other => {
                    return Err(format!(
                        "`{other}` is no objective, expected `mlm`, `mlm+nsp`, `mlm+sop`, `rtd`, or a table of weights"
                    ));
                }
            }
        }
        Ok(objective)
    }
}

/// How an objective is written.
#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "expected `mlm`, `mlm+nsp`, `mlm+sop`, `rtd`, or a table with the weights mlm, next_sentence, sentence_order and rtd"
)]
enum ObjectiveForm {
    Name(String),
    Weights(ObjectiveWeights),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ObjectiveWeights {
    mlm: f64,
    next_sentence: f64,
    sentence_order: f64,
    rtd: f64,
}

impl Default for ObjectiveWeights {
    fn default() -> Self {
        Self {
            mlm: 0.0,
            next_sentence: 0.0,
            sentence_order: 0.0,
            rtd: 0.0,
        }
    }
}

impl TryFrom<ObjectiveForm> for Objective {
    type Error = String;

    fn try_from(form: ObjectiveForm) -> Result<Self, String> {
        match form {
            ObjectiveForm::Name(name) => name.parse(),
            ObjectiveForm::Weights(w) => Ok(Self {
                mlm: w.mlm,
                next_sentence: w.next_sentence,
                sentence_order: w.sentence_order,
                rtd: w.rtd,
            }),
        }
    }
}

/// How long, and in which portions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PretrainingConfig {
    /// Optimizer updates; else `budget`, else `epochs` end the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps: Option<u64>,
    /// Time that training may take, evaluations included: `30m`, `1h30m`, or seconds. The schedule
    /// ends when the time does. A run that is resumed goes on with what is left of it; how many
    /// updates it fits in depends on the machine, so that no two such runs are the same bit for bit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget: Option<Budget>,
    /// Passes over the corpus, where nothing else ends the run; 1 if nothing is given at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epochs: Option<f64>,
    /// Sequences a batch.
    pub batch_size: usize,
    /// Batches an update.
    pub gradient_accumulation: usize,
    /// Sequences that go through the model at once: the batch in parts, with the gradients of the whole. All of it if
    /// not given. It decides memory, and which units dropout takes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub micro_batch: Option<MicroBatch>,
    /// Whether layers keep their input alone for the backward pass, and compute the rest again: less
    /// memory, more time, the same weights.
    pub recompute: bool,
    /// Parts of the run with other lengths or batches, one behind the other; one part if empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stages: Vec<StageConfig>,
    /// Validates every so many updates, besides at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evaluate_steps: Option<u64>,
    /// Validates on so many sequences at most.
    pub evaluate_sequences: usize,
    /// Writes a checkpoint every so many updates.
    pub checkpoint_steps: u64,
    /// How many checkpoints are kept.
    pub keep_checkpoints: usize,
}

impl Default for PretrainingConfig {
    fn default() -> Self {
        Self {
            steps: None,
            budget: None,
            epochs: None,
            batch_size: 32,
            gradient_accumulation: 1,
            micro_batch: None,
            recompute: false,
            stages: Vec::new(),
            evaluate_steps: None,
            evaluate_sequences: 512,
            checkpoint_steps: 1000,
            keep_checkpoints: 1,
        }
    }
}

/// A part of the run: `{ share = 0.9, max_length = 128, batch_size = 256 }`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StageConfig {
    /// Its share of the run, in updates or under a budget in time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<f64>,
    /// Its updates, instead of a share.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steps: Option<u64>,
    /// Tokens of the longest sequence; that of `sequences` if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_length: Option<usize>,
    /// Sequences a batch; that of `training` if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch_size: Option<usize>,
    /// Batches an update; as in `training` if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gradient_accumulation: Option<usize>,
}

/// A time: `90s`, `30m`, `1h30m`, `2d`, or a number of seconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "BudgetForm", into = "String")]
pub struct Budget {
    /// How long, in seconds.
    pub seconds: f64,
}

#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "expected a time such as `30m`, `1h30m` or `90s`"
)]
enum BudgetForm {
    Text(String),
    Seconds(f64),
}

impl TryFrom<BudgetForm> for Budget {
    type Error = String;

    fn try_from(form: BudgetForm) -> Result<Self, String> {
        match form {
            BudgetForm::Text(text) => text.parse(),
            BudgetForm::Seconds(seconds) => Ok(Self { seconds }),
        }
    }
}

impl FromStr for Budget {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no time, expected one such as `30m`, `1h30m` or `90s`");
        if let Ok(seconds) = text.trim().parse() {
            return Ok(Self { seconds });
        }
        let (mut seconds, mut number) = (0.0, String::new());
        for c in text.chars().filter(|c| !c.is_whitespace()) {
            let unit = match c {
                'd' => 86400.0,
                'h' => 3600.0,
                'm' => 60.0,
                's' => 1.0,
                _ => {
                    number.push(c);
                    continue;
                }
            };
            let n: f64 = number.parse().map_err(|_| wrong())?;
            seconds += n * unit;
            number.clear();
        }
        if number.is_empty() && !text.trim().is_empty() {
            Ok(Self { seconds })
        } else {
            Err(wrong())
        }
    }
}

impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}s", self.seconds)
    }
}

impl From<Budget> for String {
    fn from(budget: Budget) -> Self {
        budget.to_string()
    }
}

/// A fine-tuning of a copy of the encoder, on labelled rows, at chosen updates.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ProbeConfig {
    /// Labelled rows; without them nothing is probed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<PathBuf>,
    /// Column with the text.
    pub text: String,
    /// Column with the second text of a pair.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text_pair: Option<String>,
    /// Column with the label.
    pub label: String,
    /// The share of the rows that is scored, and not learnt from.
    pub valid_fraction: f64,
    /// Probes behind these updates.
    pub steps: Vec<u64>,
    /// Probes every so many updates. With neither, at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub every: Option<u64>,
    /// The mean over these seeds is told.
    pub seeds: Vec<u64>,
    /// Passes over the rows.
    pub epochs: usize,
    /// Rows a batch.
    pub batch_size: usize,
    /// The highest rate of a linear schedule.
    pub learning_rate: f64,
    /// Longest input in tokens.
    pub max_length: usize,
}

impl Default for ProbeConfig {
    fn default() -> Self {
        Self {
            data: None,
            text: "text".into(),
            text_pair: None,
            label: "label".into(),
            valid_fraction: 0.2,
            steps: Vec::new(),
            every: None,
            seeds: vec![1],
            epochs: 3,
            batch_size: 16,
            learning_rate: 1e-4,
            max_length: 64,
        }
    }
}

impl PretrainConfig {
    /// Reads the file (if any), lays the overrides over it in order, fills in what depends on the
    /// objective, and checks the result.
    ///
    /// # Errors
    /// The file cannot be read or parsed, an override does not fit, or settings contradict each other.
    pub fn resolve(file: Option<&Path>, overrides: &[Override]) -> Result<Self, RunConfigError> {
        let config = Self::resolve_unchecked(file, overrides)?;
        config.check()?;
        Ok(config)
    }

    /// As [`Self::resolve`], without the check across settings.
    ///
    /// # Errors
    /// The file cannot be read or parsed, or an override does not fit.
    pub fn resolve_unchecked(
        file: Option<&Path>,
        overrides: &[Override],
    ) -> Result<Self, RunConfigError> {
        let mut config: Self = resolve(file, overrides, Self::defaults())?;
        config.fill_in();
        Ok(config)
    }

    /// As [`Self::resolve_unchecked`], with a [recipe](super::recipes) in the file's place.
    ///
    /// # Errors
    /// There is no such recipe, or an override does not fit.
    pub fn resolve_recipe(name: &str, overrides: &[Override]) -> Result<Self, RunConfigError> {
        let text = recipe(name).ok_or_else(|| RunConfigError::Recipe { name: name.into() })?;
        let source = (Path::new(name), text);
        let mut config: Self = resolve_text(Some(source), overrides, Self::defaults())?;
        config.fill_in();
        Ok(config)
    }

    /// A table of which the file gives a part has the rest from here, not from a part's own defaults.
    fn defaults() -> Table {
        let mut defaults = Table::try_from(Self::default()).unwrap_or_default();
        // A name in its place would not mix with weights.
        defaults.remove("objective");
        defaults
    }

    /// Settles what depends on other settings.
    fn fill_in(&mut self) {
        let objective = self.objective;
        let m = self.masking.masking(&objective);
        self.masking = MaskingConfig {
            rate: Some(m.rate),
            mask_share: Some(m.mask_share),
            random_share: Some(m.random_share),
            random_special: Some(m.random_special),
            with_replacement: Some(m.with_replacement),
            max_predictions: m.max_predictions,
            unit: Some(m.unit),
        };
        let packing = &mut self.sequences.packing;
        packing.get_or_insert_with(|| objective.packing());
        // The encoders of BERT and of ELECTRA are the same; files with sizes name the former.
        if let Some(fresh) = &mut self.model.fresh
            && objective.rtd > 0.0
            && fresh.family == Family::Bert
        {
            fresh.family = Family::Electra;
        }
        let t = &mut self.training;
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

    /// The file that repeats this run.
    ///
    /// # Panics
    /// Never: every value of a configuration has a form in TOML.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("a configuration has a form in TOML")
    }

    /// Checks what no single value shows: ranges, and settings that exclude each other.
    ///
    /// # Errors
    /// All problems at once.
    pub fn check(&self) -> Result<(), RunConfigError> {
        let mut problems = Vec::new();
        let mut need = |ok: bool, text: String| {
            if !ok {
                problems.push(text);
            }
        };
        need(
            !self.corpus.paths.is_empty(),
            "`corpus.paths` is empty: give files or folders with --corpus PATH".into(),
        );
        need(
            self.output.is_some(),
            "`output` is missing: give the run directory with --output DIR".into(),
        );
        let held_out = self.corpus.held_out;
        need(
            (0.0..=0.5).contains(&held_out),
            format!("`corpus.held_out` is {held_out}, expected 0 to 0.5"),
        );
        self.check_model(&mut need);
        self.check_objective(&mut need);
        self.check_training(&mut need);
        check_optimizer(&self.optimizer, &self.schedule, &mut need);
        self.check_probe(&mut need);
        if let Err(error) = self.device.parse::<bertkit_model::DeviceList>() {
            need(false, error.to_string());
        }
        if problems.is_empty() {
            Ok(())
        } else {
            Err(RunConfigError::Problems { problems })
        }
    }

    fn check_model(&self, need: &mut impl FnMut(bool, String)) {
        let (m, g) = (&self.model, &self.generator);
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
            self.objective.rtd > 0.0 || *g == GeneratorConfig::default(),
            "`generator` is for replaced-token detection: use `--objective rtd`, or leave it out"
                .into(),
        );
    }

    fn check_objective(&self, need: &mut impl FnMut(bool, String)) {
        let o = &self.objective;
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
            "`objective.next_sentence` and `objective.sentence_order` need different pairs: choose one".into(),
        );
        need(
            !(pairs && o.rtd > 0.0),
            "replaced-token detection has no head for pairs: leave `next_sentence` and `sentence_order` at 0".into(),
        );
        need(
            self.sequences.max_length >= 8,
            format!(
                "`sequences.max_length` is {}, expected 8 or more",
                self.sequences.max_length
            ),
        );
        if let Some(p) = self.sequences.short_probability {
            need(
                (0.0..=1.0).contains(&p),
                format!("`sequences.short_probability` is {p}, expected 0 to 1"),
            );
        }
        need(
            self.sequences.static_passes != Some(0),
            "`sequences.static_passes` is 0, expected 1 or more".into(),
        );
        if let Some(packing) = self.sequences.packing {
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
        if let Err(found) = self.masking.masking(o).check(true) {
            for problem in found {
                need(false, format!("in `masking`: {problem}"));
            }
        }
    }

    fn check_training(&self, need: &mut impl FnMut(bool, String)) {
        let t = &self.training;
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
                self.schedule.warmup_steps.is_none(),
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
                    format!(
                        "`training.stages[{i}].share` is {share}, expected more than 0, at most 1"
                    ),
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
                "each of `training.stages` needs a share of the run, or its steps, and not both"
                    .into(),
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

    fn check_probe(&self, need: &mut impl FnMut(bool, String)) {
        let p = &self.probe;
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
}

impl Settings for PretrainConfig {
    const CHOICE: Option<&'static str> = Some("masking.unit");

    fn knows(key: &str) -> bool {
        Self::keys().iter().any(|known| known == key)
    }

    fn spelled_out(key: &str, name: &Value) -> Option<Table> {
        let named: Objective = name.as_str().filter(|_| key == "objective")?.parse().ok()?;
        Table::try_from(named).ok()
    }

    fn keys() -> Vec<String> {
        let path = || Some(PathBuf::from("x"));
        let mut full = Self {
            output: path(),
            model: ModelConfig {
                path: path(),
                fresh: Some(FreshModel {
                    family: Family::Bert,
                    num_hidden_layers: 1,
                    hidden_size: 1,
                    num_attention_heads: 1,
                    intermediate_size: 1,
                    max_position_embeddings: 1,
                    embedding_size: Some(1),
                    initializer_range: Some(0.02),
                    hidden_dropout: 0.0,
                    attention_dropout: 0.0,
                }),
                hidden_dropout: Some(0.0),
                attention_dropout: Some(0.0),
                classifier_dropout: Some(0.0),
            },
            ..Self::default()
        };
        full.generator.path = path();
        full.tokenizer.path = path();
        full.corpus.shards = path();
        full.sequences.short_probability = Some(0.0);
        full.sequences.static_passes = Some(1);
        full.fill_in();
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
        full.schedule.warmup_steps = Some(1);
        full.probe.data = path();
        full.probe.text_pair = Some("x".into());
        full.probe.every = Some(1);
        let mut keys = Vec::new();
        if let Ok(table) = Table::try_from(&full) {
            collect_keys("", &table, &mut keys);
        }
        keys
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
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
