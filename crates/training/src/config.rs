//! A run's configuration: one TOML file that, run again, repeats the run.
//!
//! The file is parsed alone, so that errors carry line and caret; then each override is applied,
//! so that errors name it; then everything is checked at once, so that all problems are told
//! together.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use bertkit_data::alignment::LabelledTokens;
use bertkit_data::documents::Sections;
use bertkit_data::examples::MissingPolicy;
use bertkit_data::formats::Format;
use bertkit_data::formats::tagged::{TagLevel, TaggedFormat};
use bertkit_data::questions::Stride;
use bertkit_data::relations::MarkStyle;
use bertkit_data::tagging::Scheme;
use bertkit_evaluation::ThresholdObjective;
use bertkit_model::heads::Pooling;
use bertkit_model::{Family, Precision};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use crate::tasks::kind::TaskKind;
use crate::tasks::multiple_choice::config::ChoiceConfig;

/// Everything that decides a fine-tuning run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "snake_case")]
pub struct RunConfig {
    /// Decides fresh weights, the order of rows, dropout and splits.
    pub seed: u64,
    /// `auto`, `cpu`, `wgpu`, `wgpu:N`, `cuda` or `cuda:N`.
    pub device: String,
    /// How the factors of matrix products are rounded: `f32` (not at all), `tf32`, `bf16` or `f16`.
    pub precision: Precision,
    /// The run directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<PathBuf>,
    /// Where the encoder comes from.
    pub model: ModelConfig,
    /// The tokenizer that is trained when none is given.
    pub tokenizer: TokenizerConfig,
    /// What is read.
    pub data: DataConfig,
    /// What is learnt.
    pub task: TaskConfig,
    /// How long and in which portions.
    pub training: TrainingConfig,
    /// How weights move.
    pub optimizer: OptimizerConfig,
    /// How the learning rate moves.
    pub schedule: ScheduleConfig,
}

impl Default for RunConfig {
    fn default() -> Self {
        Self {
            seed: 42,
            device: "auto".into(),
            precision: Precision::default(),
            output: None,
            model: ModelConfig::default(),
            tokenizer: TokenizerConfig::default(),
            data: DataConfig::default(),
            task: TaskConfig::default(),
            training: TrainingConfig::default(),
            optimizer: OptimizerConfig::default(),
            schedule: ScheduleConfig::default(),
        }
    }
}

/// Where the encoder comes from: a folder, or fresh weights of given sizes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ModelConfig {
    /// A model folder in Hugging Face's layout.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
    /// Sizes of an encoder that starts from fresh weights.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fresh: Option<FreshModel>,
    /// Dropout of the hidden layers instead of the checkpoint's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hidden_dropout: Option<f64>,
    /// Dropout of the attention weights instead of the checkpoint's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attention_dropout: Option<f64>,
    /// Dropout before the head instead of the checkpoint's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub classifier_dropout: Option<f64>,
}

/// Sizes of a fresh encoder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FreshModel {
    /// bert, roberta, electra or distilbert.
    #[serde(default = "bert")]
    pub family: Family,
    /// Number of layers.
    pub num_hidden_layers: usize,
    /// Width.
    pub hidden_size: usize,
    /// Heads a layer.
    pub num_attention_heads: usize,
    /// Width of the feed-forward block.
    pub intermediate_size: usize,
    /// Rows of the position embedding.
    #[serde(default = "positions")]
    pub max_position_embeddings: usize,
    /// Width of the embeddings (ELECTRA); the layers' width if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub embedding_size: Option<usize>,
    /// Standard deviation of the fresh weights; 0.02 if not given, as in BERT. A narrow encoder leaves the level of word
    /// frequencies sooner with 1 / √width.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub initializer_range: Option<f64>,
    /// Dropout of the hidden layers.
    #[serde(default = "tenth")]
    pub hidden_dropout: f64,
    /// Dropout of the attention weights.
    #[serde(default = "tenth")]
    pub attention_dropout: f64,
}

const fn bert() -> Family {
    Family::Bert
}

const fn positions() -> usize {
    512
}

const fn tenth() -> f64 {
    0.1
}

/// The tokenizer of a fresh model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TokenizerConfig {
    /// A folder with a tokenizer, or a rule: char, kmer:K, kmer:K:stride=S, regex:FILE; without it, one is trained from the
    /// training text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
    /// What is trained.
    #[serde(rename = "type")]
    pub kind: TokenizerKind,
    /// At most this many tokens; the text decides what is reached.
    pub vocab_size: usize,
    /// Whether text is lower-cased and accents are stripped.
    pub lowercase: bool,
    /// A pair of pieces is joined if it occurs at least this often.
    pub min_frequency: u64,
}

impl Default for TokenizerConfig {
    fn default() -> Self {
        Self {
            path: None,
            kind: TokenizerKind::Wordpiece,
            vocab_size: 8000,
            lowercase: true,
            min_frequency: 2,
        }
    }
}

/// The kinds of tokenizer that fine-tuning trains on the spot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TokenizerKind {
    /// WordPiece, as BERT's.
    Wordpiece,
}

/// What is read, and how.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DataConfig {
    /// Labelled rows to learn from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub train: Option<PathBuf>,
    /// Labelled rows to choose by (best checkpoint, threshold, early stop).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub valid: Option<PathBuf>,
    /// The share of the training rows held out where no `valid` is given; 0 holds out none.
    pub valid_fraction: f64,
    /// Column with the text: its name or its number, from 1.
    pub text: String,
    /// Column with the second text of a pair.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text_pair: Option<String>,
    /// Column with the label.
    pub label: String,
    /// Column whose equal values stay on one side of the split.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Column whose equal values make rows one document: the notes of a patient.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group_by: Option<String>,
    /// How texts show the entities that they are about, given by the columns start1, end1, type1, start2, … or by tags
    /// `<e1>…</e1>`: anonymised (`@GENE$`) or markers (`[E1] … [/E1]`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entities: Option<MarkStyle>,
    /// What separates several labels in one cell; makes the task multi-label.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label_separator: Option<String>,
    /// csv, tsv, jsonl, relations (BioBERT's, with or without a header) or, for tagged words, conll; by the file's extension if
    /// not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<FileFormat>,
    /// The character between fields, or its name: comma, tab, semicolon, pipe, space.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delimiter: Option<String>,
    /// The quotation mark; `none` switches quoting off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quote: Option<String>,
    /// The character that takes the meaning from a quotation mark behind it, within quoted fields.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub escape: Option<String>,
    /// Whether the first row names the columns.
    pub header: bool,
    /// What happens to rows without text or label: drop (with a count) or refuse.
    pub missing: MissingPolicy,
    /// Longest input, in tokens, special tokens included; longer texts are cut, longer sentences of
    /// tagged words into windows.
    pub max_length: usize,
    /// Of tagged words: column with the word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub word_column: Option<String>,
    /// Of tagged words: column with the tag.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag_column: Option<String>,
    /// Of tagged words in CSV: column with the id of the sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sentence_column: Option<String>,
    /// Of tagged words: the outer entities or those within, where a file has both.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub level: Option<TagLevel>,
    /// Of tagged words: the type of entities whose tags are bare letters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub type_name: Option<String>,
    /// Which fold of the training file is held out altogether; `bertkit crossval` sets it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fold: Option<FoldConfig>,
}

/// A fold of a file: rows by class, whole groups where `data.group` names them, whole texts of questions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FoldConfig {
    /// Which one is held out, from 1.
    pub number: usize,
    /// How many there are.
    pub of: usize,
    /// Decides the folds, whatever the seed of the run.
    pub seed: u64,
}

impl FoldConfig {
    /// What a run tells of its fold.
    pub(crate) fn line(self, held_out: usize, all: usize, items: &str) -> (String, String) {
        let text = format!(
            "{} of {}: {held_out} of {all} {items} are held out, to measure on",
            self.number, self.of
        );
        ("fold".into(), text)
    }
}

impl Default for FoldConfig {
    /// The first of five.
    fn default() -> Self {
        Self {
            number: 1,
            of: 5,
            seed: 42,
        }
    }
}

/// How a file is written down, whatever it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FileFormat {
    /// Fields divided by commas.
    Csv,
    /// Fields divided by tabs.
    Tsv,
    /// One JSON object a line.
    #[serde(alias = "ndjson")]
    Jsonl,
    /// A word a line, in columns.
    #[serde(alias = "iob2")]
    Conll,
    /// Sentences and labels, with or without a header, as BioBERT's files of relations.
    Relations,
}

impl FileFormat {
    /// As a format of tables.
    pub fn table(self) -> Option<Format> {
        match self {
            Self::Csv => Some(Format::Csv),
            Self::Tsv => Some(Format::Tsv),
            Self::Jsonl => Some(Format::Jsonl),
            Self::Conll | Self::Relations => None,
        }
    }

    /// As a format of tagged words: a word a line, with tabs between columns, is `tsv` too.
    pub fn tagged(self) -> TaggedFormat {
        match self {
            Self::Csv => TaggedFormat::Csv,
            Self::Jsonl => TaggedFormat::Jsonl,
            Self::Tsv | Self::Conll | Self::Relations => TaggedFormat::Conll,
        }
    }
}

impl fmt::Display for FileFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Csv => "csv",
            Self::Tsv => "tsv",
            Self::Jsonl => "jsonl",
            Self::Conll => "conll",
            Self::Relations => "relations",
        })
    }
}

impl Default for DataConfig {
    fn default() -> Self {
        Self {
            train: None,
            valid: None,
            valid_fraction: 0.1,
            text: "text".into(),
            text_pair: None,
            label: "label".into(),
            group: None,
            group_by: None,
            entities: None,
            label_separator: None,
            format: None,
            delimiter: None,
            quote: None,
            escape: None,
            header: true,
            missing: MissingPolicy::Drop,
            max_length: 128,
            word_column: None,
            tag_column: None,
            sentence_column: None,
            level: None,
            type_name: None,
            fold: None,
        }
    }
}

/// What is learnt.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TaskConfig {
    /// classification, multi-label or regression, inferred from the labels if not given; or ner, or qa.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<TaskKind>,
    /// The positive class of two.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub positive: Option<String>,
    /// Where a probability counts as positive.
    pub threshold: Threshold,
    /// How probabilities are corrected.
    pub calibrate: Calibrate,
    /// How much each class counts in the loss.
    pub class_weights: ClassWeights,
    /// What is minimised.
    pub loss: LossConfig,
    /// The classes whose micro, macro and weighted averages are taken, such as those of ChemProt that count; all if empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub averaged: Vec<String>,
    /// How words are tagged; there with `kind = "ner"` alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ner: Option<NerConfig>,
    /// How questions are answered; there with `kind = "qa"` alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub qa: Option<QuestionConfig>,
    /// Columns of a multiple-choice table; there with `kind = "multiple-choice"` alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub choice: Option<ChoiceConfig>,
    /// How texts longer than the model reads are divided and put together; they are cut without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub documents: Option<DocumentsConfig>,
}

/// How a document is read in sections.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DocumentsConfig {
    /// What a document has of its sections.
    pub pool: Pool,
    /// Where it is divided.
    pub sections: SectionBreaks,
    /// Tokens that neighbouring windows share.
    pub overlap: usize,
    /// Tokens that go through the model together, at most, unless one section is longer: what bounds the memory.
    pub piece_tokens: usize,
}

impl Default for DocumentsConfig {
    fn default() -> Self {
        Self {
            pool: Pool::Max,
            sections: SectionBreaks::Windows,
            overlap: 0,
            piece_tokens: 512,
        }
    }
}

impl DocumentsConfig {
    /// How texts are divided.
    pub fn policy(&self) -> Sections {
        let stride = Stride::Overlap(self.overlap);
        match self.sections {
            SectionBreaks::Windows => Sections::Windows(stride),
            SectionBreaks::Lines => Sections::Lines(stride),
        }
    }
}

/// What a document has of its sections.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pool {
    /// Of each feature, the largest.
    #[default]
    Max,
    /// The mean.
    Mean,
    /// A mean with learnt weights.
    Attention,
    /// The first section.
    First,
}

impl From<Pool> for Pooling {
    fn from(pool: Pool) -> Self {
        match pool {
            Pool::Max => Self::Max,
            Pool::Mean => Self::Mean,
            Pool::Attention => Self::Attention,
            Pool::First => Self::First,
        }
    }
}

/// Where documents are divided.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SectionBreaks {
    /// Wherever a section is as long as the longest input.
    #[default]
    Windows,
    /// At line breaks, and where a line is longer than the longest input.
    Lines,
}

/// How words are tagged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NerConfig {
    /// What chooses the tags of a sentence.
    pub head: TagHead,
    /// Which tokens of a word are trained to give its tag; with a CRF, the first.
    pub label: LabelledTokens,
    /// The scheme of the tags that are learnt, whatever the file's.
    pub scheme: Scheme,
    /// Tokens that neighbouring windows of a long sentence share, at least; a quarter of
    /// `data.max_length` if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overlap: Option<usize>,
    /// How many times faster than the rest the scores of a CRF are learnt.
    pub crf_rate: f64,
}

impl Default for NerConfig {
    fn default() -> Self {
        Self {
            head: TagHead::Linear,
            label: LabelledTokens::First,
            scheme: Scheme::Bio,
            overlap: None,
            crf_rate: 100.0,
        }
    }
}

/// How questions are answered: by a part of a text, of which windows are read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct QuestionConfig {
    /// What chooses the end of an answer.
    pub head: QuestionHead,
    /// Of a table: column with the question.
    pub question: String,
    /// Of a table: column with the text.
    pub context: String,
    /// Of a table: column with the answer; `answer` or `answers` if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
    /// Of a table: column with the character at which the answer begins, from 0; `start` or
    /// `answer_start` if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start: Option<String>,
    /// Of a table: column with a name for the question; `id` if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// From the start of a window to that of the next, in tokens.
    pub stride: usize,
    /// Tokens of a question at most; what is more is cut off.
    pub max_question_length: usize,
    /// Tokens of an answer at most.
    pub max_answer_length: usize,
    /// Starts and ends that are looked at in a window, and answers that are kept.
    pub n_best: usize,
    /// A question has no answer if that scores by more than this above the best answer. If it is not
    /// given, it is chosen on the validation questions where some have none; otherwise every question
    /// is answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub null_threshold: Option<f64>,
}

impl QuestionConfig {
    /// Tokens of an input, unless told otherwise (Devlin et al. 2019).
    pub const MAX_LENGTH: usize = 384;
}

impl Default for QuestionConfig {
    /// As BERT's `run_squad.py`.
    fn default() -> Self {
        Self {
            head: QuestionHead::Linear,
            question: "question".into(),
            context: "context".into(),
            answer: None,
            start: None,
            id: None,
            stride: 128,
            max_question_length: 64,
            max_answer_length: 30,
            n_best: 20,
            null_threshold: None,
        }
    }
}

/// What chooses the end of an answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum QuestionHead {
    /// Each token by itself, as it chooses the start (Devlin et al. 2019, §4.2).
    #[default]
    Linear,
    /// Each token together with the start, as ELECTRA's authors do; and, where some questions have no answer, a classifier
    /// that tells them.
    Joint,
}

/// What chooses the tags of a sentence.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TagHead {
    /// Each word by itself (Devlin et al. 2019, §5.3).
    #[default]
    Linear,
    /// All words together, by a linear-chain conditional random field (Lafferty et al. 2001).
    Crf,
}

/// Where a probability counts as positive.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "expected a number from 0 to 1, `f1`, `balanced_accuracy`, `mcc`, `accuracy`, or costs such as `cost:1,5`"
)]
pub enum Threshold {
    /// At a number.
    At(f64),
    /// Where the validation set says.
    Best(ThresholdObjective),
}

impl Default for Threshold {
    fn default() -> Self {
        Self::At(0.5)
    }
}

/// How probabilities that are too sure, or not sure enough, are corrected.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Calibrate {
    /// Not at all.
    #[default]
    None,
    /// By one temperature for all logits, fitted on the validation rows (Guo et al. 2017).
    Temperature,
}

/// How much each class counts in the loss.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "expected `none`, `balanced`, or a table from classes to numbers"
)]
pub enum ClassWeights {
    /// `none`, or `balanced`: inversely to the class's share.
    Named(NamedWeights),
    /// Given for each class.
    Given(BTreeMap<String, f64>),
}

impl Default for ClassWeights {
    fn default() -> Self {
        Self::Named(NamedWeights::None)
    }
}

/// Class weights that have a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NamedWeights {
    /// All the same.
    None,
    /// `n / (classes × count)`, as scikit-learn.
    Balanced,
}

/// What is minimised.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum LossConfig {
    /// Cross-entropy (binary cross-entropy with several labels; squared error for numbers).
    CrossEntropy {
        /// The share of the target that is spread over all classes.
        #[serde(default)]
        label_smoothing: f64,
    },
    /// Focal loss.
    Focal {
        /// How fast easy rows lose weight.
        #[serde(default = "two")]
        gamma: f64,
    },
}

impl Default for LossConfig {
    fn default() -> Self {
        Self::CrossEntropy {
            label_smoothing: 0.0,
        }
    }
}

const fn two() -> f64 {
    2.0
}

/// How long, and in which portions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrainingConfig {
    /// Passes over the training rows.
    pub epochs: usize,
    /// Stops after this many optimizer updates, whatever `epochs` says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_steps: Option<u64>,
    /// Rows a batch.
    pub batch_size: usize,
    /// Tokens a batch, instead of rows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch_tokens: Option<usize>,
    /// Batches an update.
    pub gradient_accumulation: usize,
    /// Rows that go through the model at once: the batch in parts, with the gradients of the whole. All of it if not
    /// given. It decides memory, and which units dropout takes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub micro_batch: Option<MicroBatch>,
    /// Whether layers keep their input alone for the backward pass, and compute the rest again: less
    /// memory, more time, the same weights.
    pub recompute: bool,
    /// The order of rows.
    pub sampler: Sampler,
    /// Whether rows of like length are batched together: less padding where a device pads inside
    /// attention, at the price of batches that are less alike. The CPU pads nothing.
    pub bucket_by_length: bool,
    /// Evaluates every so many updates, besides after every epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evaluate_steps: Option<u64>,
    /// The validation metric that decides which weights are kept; the task's main one if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub best_metric: Option<String>,
    /// Stops after this many evaluations without a better one; 0 never stops early.
    pub early_stopping: u32,
    /// Writes a checkpoint every so many updates, besides after every epoch.
    pub checkpoint_steps: u64,
    /// How many checkpoints are kept, the best one not counted.
    pub keep_checkpoints: usize,
    /// Leaves the embeddings as they are.
    pub freeze_embeddings: bool,
    /// Leaves the lowest layers as they are.
    pub freeze_layers: usize,
}

impl Default for TrainingConfig {
    fn default() -> Self {
        Self {
            epochs: 3,
            max_steps: None,
            batch_size: 16,
            batch_tokens: None,
            gradient_accumulation: 1,
            micro_batch: None,
            recompute: false,
            sampler: Sampler::Shuffle,
            bucket_by_length: false,
            evaluate_steps: None,
            best_metric: None,
            early_stopping: 0,
            checkpoint_steps: 500,
            keep_checkpoints: 1,
            freeze_embeddings: false,
            freeze_layers: 0,
        }
    }
}

/// How many rows go through the model at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "MicroBatchForm", into = "MicroBatchForm")]
pub enum MicroBatch {
    /// As many as fit into the device's memory; the one who starts the run tries.
    Auto,
    /// So many at most.
    Rows(usize),
}

#[derive(Serialize, Deserialize)]
#[serde(untagged, expecting = "expected a number of rows, or `auto`")]
enum MicroBatchForm {
    Rows(usize),
    Name(String),
}

impl From<MicroBatch> for MicroBatchForm {
    fn from(value: MicroBatch) -> Self {
        match value {
            MicroBatch::Auto => Self::Name("auto".into()),
            MicroBatch::Rows(rows) => Self::Rows(rows),
        }
    }
}

impl TryFrom<MicroBatchForm> for MicroBatch {
    type Error = String;

    fn try_from(form: MicroBatchForm) -> Result<Self, String> {
        match form {
            MicroBatchForm::Rows(0) => Err("0 rows are too few for a micro-batch".into()),
            MicroBatchForm::Rows(rows) => Ok(Self::Rows(rows)),
            MicroBatchForm::Name(name) => name.parse(),
        }
    }
}

impl std::str::FromStr for MicroBatch {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match (text, text.parse::<usize>()) {
            ("auto", _) => Ok(Self::Auto),
            (_, Ok(rows @ 1..)) => Ok(Self::Rows(rows)),
            _ => Err(format!(
                "`{text}` is no micro-batch, expected a number of rows from 1, or `auto`"
            )),
        }
    }
}

impl MicroBatch {
    /// The rows, where they are settled.
    pub fn rows(self) -> Option<usize> {
        match self {
            Self::Auto => None,
            Self::Rows(rows) => Some(rows),
        }
    }
}

/// The order of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sampler {
    /// Each row once an epoch, in an order drawn anew.
    Shuffle,
    /// Each batch holds every class equally often; rows of rarer classes come round again.
    Balanced,
}

/// AdamW (Loshchilov & Hutter 2019).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OptimizerConfig {
    /// The highest rate of the schedule.
    pub learning_rate: f64,
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub epsilon: f64,
    /// Decoupled weight decay; not applied to biases and LayerNorm.
    pub weight_decay: f64,
    /// Gradients longer than this, over all parameters, are scaled down to it; 0 never scales.
    pub max_grad_norm: f64,
    /// Layer-wise decay of the learning rate, from the head downwards; 1 is none.
    pub layer_decay: f64,
    /// Whether the moments are corrected for starting at 0. `google-research/bert` and
    /// `google-research/electra` do not, so that their first updates are larger.
    pub bias_correction: bool,
}

impl Default for OptimizerConfig {
    fn default() -> Self {
        Self {
            learning_rate: 5e-5,
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            weight_decay: 0.01,
            max_grad_norm: 1.0,
            layer_decay: 1.0,
            bias_correction: true,
        }
    }
}

/// How the learning rate moves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ScheduleConfig {
    /// Behind the warm-up.
    pub kind: ScheduleKind,
    /// Linear rise over this share of all updates.
    pub warmup: f64,
    /// Linear rise over this many updates, instead of a share.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warmup_steps: Option<u64>,
    /// Where the rise begins, as a share of the highest rate.
    pub warmup_start: f64,
    /// The power of a polynomial schedule; the others have none.
    pub power: f64,
}

impl Default for ScheduleConfig {
    fn default() -> Self {
        Self {
            kind: ScheduleKind::Linear,
            warmup: 0.1,
            warmup_steps: None,
            warmup_start: 0.0,
            power: 1.0,
        }
    }
}

/// What the learning rate does behind the warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ScheduleKind {
    /// Falls to 0 in a straight line; with `warmup = 0.5` it makes a triangle.
    Linear,
    /// Falls to 0 along half a cosine.
    Cosine,
    /// Stays.
    Constant,
    /// Falls to 0 as a power of what is left.
    Polynomial,
    /// As `google-research/bert`: falls from the first update on, so that the rate steps down where
    /// the warm-up ends.
    Bert,
    /// As `google-research/electra`: falls from the first update on, and the warm-up multiplies it.
    Electra,
}

/// More passes over the data are a slip of the finger.
const MOST_EPOCHS: usize = 100_000;

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunConfigError {
    /// The file cannot be read.
    #[error("could not read the configuration `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The file is not TOML, or says something that is no setting.
    #[error("in the configuration `{}`:\n{message}", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// Line, caret and reason.
        message: String,
    },
    /// An override is not `key=value`.
    #[error("`--set {text}` is not of the form key=value")]
    SetForm {
        /// What was given.
        text: String,
    },
    /// An override names a setting that does not exist.
    #[error("unknown key `{key}` in {origin}")]
    UnknownKey {
        /// The key.
        key: String,
        /// The flag.
        origin: String,
        /// The nearest existing key.
        nearest: Option<String>,
    },
    /// An override's value does not fit.
    #[error("`{key}` cannot be `{value}` (in {origin}): {reason}")]
    SetValue {
        /// The key.
        key: String,
        /// The value.
        value: String,
        /// The flag.
        origin: String,
        /// What would fit.
        reason: String,
    },
    /// A recipe that is none of ours.
    #[error("there is no recipe `{name}`")]
    Recipe {
        /// What was asked for.
        name: String,
    },
    /// Settings that contradict each other or lie out of range: all of them.
    #[error("{}", list(problems))]
    Problems {
        /// One sentence each.
        problems: Vec<String>,
    },
}

fn list(problems: &[String]) -> String {
    match problems {
        [one] => one.clone(),
        many => {
            let lines: Vec<String> = many.iter().map(|p| format!("\n  - {p}")).collect();
            format!("{} settings need a change:{}", many.len(), lines.concat())
        }
    }
}

impl RunConfigError {
    /// What the user can do about it, if we know.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Read { .. } => {
                Some("give the path of a TOML file, such as configs/models/tiny.toml".into())
            }
            Self::SetForm { .. } => {
                Some("write, for example, --set optimizer.learning_rate=3e-5".into())
            }
            Self::UnknownKey {
                nearest: Some(nearest),
                ..
            } => Some(format!("did you mean `{nearest}`?")),
            Self::UnknownKey { .. } | Self::SetValue { .. } => {
                Some("`--dry-run` prints every key with its value".into())
            }
            Self::Parse { .. } => {
                Some("correct that line; `--dry-run` prints a complete configuration".into())
            }
            Self::Recipe { .. } => {
                let names: Vec<&str> = crate::pretrain::recipes::names().collect();
                Some(format!("there are {}", names.join(", ")))
            }
            Self::Problems { .. } => Some(
                "change it in the file of --config, by its flag, or with --set KEY=VALUE".into(),
            ),
        }
    }
}

/// One setting from the command line, laid over the file.
#[derive(Debug, Clone, PartialEq)]
pub struct Override {
    /// The key's path, `data.text`.
    pub key: String,
    /// The new value.
    pub value: Value,
    /// How errors call it: `--text`, `--set`.
    pub origin: String,
}

impl Override {
    /// A flag's value for a key.
    pub fn flag(key: &str, value: impl Into<Value>, origin: &str) -> Self {
        Self {
            key: key.into(),
            value: value.into(),
            origin: origin.into(),
        }
    }

    /// Parses the text behind `--set`: `key=value`, the value in TOML or else taken as a string.
    ///
    /// # Errors
    /// There is no `=`.
    pub fn parse(text: &str) -> Result<Self, RunConfigError> {
        let (key, value) = text
            .split_once('=')
            .ok_or_else(|| RunConfigError::SetForm { text: text.into() })?;
        let (key, value) = (key.trim(), value.trim());
        let parsed = format!("x = {value}")
            .parse::<Table>()
            .ok()
            .and_then(|mut t| t.remove("x"));
        let value = parsed.unwrap_or_else(|| Value::String(value.into()));
        Ok(Self {
            key: key.into(),
            value,
            origin: "--set".into(),
        })
    }
}

impl RunConfig {
    /// Reads the file (if any), lays the overrides over it in order, and checks the result.
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
        let mut config: Self = resolve(file, overrides, Table::new())?;
        if config.task.kind == Some(TaskKind::Ner) {
            config.task.ner.get_or_insert_default();
        }
        if config.task.kind == Some(TaskKind::Qa) {
            // Windows of texts are longer than most texts that have classes.
            let length = QuestionConfig::MAX_LENGTH as i64;
            let data = Table::from_iter([("max_length".into(), Value::Integer(length))]);
            let defaults = Table::from_iter([("data".into(), Value::Table(data))]);
            config = resolve(file, overrides, defaults)?;
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
        let (m, d, t, o, s) = (
            &self.model,
            &self.data,
            &self.training,
            &self.optimizer,
            &self.schedule,
        );
        need(
            d.train.is_some(),
            "`data.train` is missing: give the training file with --train FILE".into(),
        );
        need(
            self.output.is_some(),
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
        check_optimizer(o, s, &mut need);
        if let Threshold::At(at) = self.task.threshold {
            need(
                (0.0..=1.0).contains(&at),
                format!("`task.threshold` is {at}, expected 0 to 1, or f1"),
            );
        }
        match &self.task.loss {
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
        if let ClassWeights::Given(weights) = &self.task.class_weights {
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
        check_tags(d, &self.task, &mut need);
        check_questions(d, t, &self.task, &mut need);
        if let Some(documents) = &self.task.documents {
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
        if let Err(error) = self.device.parse::<bertkit_model::DeviceList>() {
            need(false, error.to_string());
        }
        if problems.is_empty() {
            Ok(())
        } else {
            Err(RunConfigError::Problems { problems })
        }
    }

    /// Every key that exists, `data.text` style.
    pub fn keys() -> Vec<String> {
        let full = Self {
            output: Some("x".into()),
            model: ModelConfig {
                path: Some("x".into()),
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
            tokenizer: TokenizerConfig {
                path: Some("x".into()),
                ..Default::default()
            },
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
            schedule: ScheduleConfig {
                warmup_steps: Some(1),
                ..Default::default()
            },
            ..Default::default()
        };
        let mut keys = Vec::new();
        if let Ok(table) = Table::try_from(&full) {
            collect_keys("", &table, &mut keys);
        }
        keys.push("task.loss.focal.gamma".into());
        keys
    }
}

/// Checks that settings of tagged words, and those of texts and labels, are there for such a task alone.
fn check_tags(d: &DataConfig, task: &TaskConfig, need: &mut impl FnMut(bool, String)) {
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
    need: &mut impl FnMut(bool, String),
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

/// Checks what no single value shows of optimizer and schedule.
pub(crate) fn check_optimizer(
    o: &OptimizerConfig,
    s: &ScheduleConfig,
    need: &mut impl FnMut(bool, String),
) {
    need(
        o.learning_rate > 0.0 && o.learning_rate < 1.0,
        format!(
            "`optimizer.learning_rate` is {}, expected more than 0 and less than 1",
            o.learning_rate
        ),
    );
    for (name, beta) in [("beta1", o.beta1), ("beta2", o.beta2)] {
        need(
            (0.0..1.0).contains(&beta),
            format!("`optimizer.{name}` is {beta}, expected 0 to below 1"),
        );
    }
    need(
        o.epsilon > 0.0 && o.epsilon.is_finite(),
        format!("`optimizer.epsilon` is {}, expected more than 0", o.epsilon),
    );
    need(
        o.weight_decay >= 0.0 && o.weight_decay.is_finite(),
        format!(
            "`optimizer.weight_decay` is {}, expected 0 or more",
            o.weight_decay
        ),
    );
    need(
        o.max_grad_norm >= 0.0 && o.max_grad_norm.is_finite(),
        format!(
            "`optimizer.max_grad_norm` is {}, expected 0 or more",
            o.max_grad_norm
        ),
    );
    need(
        o.layer_decay > 0.0 && o.layer_decay <= 1.0,
        format!(
            "`optimizer.layer_decay` is {}, expected more than 0, at most 1",
            o.layer_decay
        ),
    );
    need(
        (0.0..=1.0).contains(&s.warmup),
        format!("`schedule.warmup` is {}, expected 0 to 1", s.warmup),
    );
    need(
        (0.0..=1.0).contains(&s.warmup_start),
        format!(
            "`schedule.warmup_start` is {}, expected 0 to 1",
            s.warmup_start
        ),
    );
    need(
        s.power > 0.0 && s.power.is_finite(),
        format!("`schedule.power` is {}, expected more than 0", s.power),
    );
    need(
        s.power == 1.0 || s.kind == ScheduleKind::Polynomial,
        "`schedule.power` is for `schedule.kind = \"polynomial\"`: leave it out".into(),
    );
}

/// A kind of configuration: what is parsed from a file, overridden by keys, and written back.
pub(crate) trait Settings: DeserializeOwned {
    /// A choice between tables, of which an override leaves one.
    const CHOICE: Option<&'static str>;

    /// Whether a key exists.
    fn knows(key: &str) -> bool;

    /// Every key that exists, but those that users make up.
    fn keys() -> Vec<String>;

    /// The table that a name in the place of one stands for, so that an override of one of its keys
    /// changes that key alone.
    fn spelled_out(_key: &str, _name: &Value) -> Option<Table> {
        None
    }
}

impl Settings for RunConfig {
    const CHOICE: Option<&'static str> = Some("task.loss");

    fn knows(key: &str) -> bool {
        key.starts_with("task.class_weights.") || Self::keys().iter().any(|known| known == key)
    }

    fn keys() -> Vec<String> {
        Self::keys()
    }
}

/// Reads the file (if any) over a table of defaults, and lays the overrides over it in order.
pub(crate) fn resolve<C: Settings>(
    file: Option<&Path>,
    overrides: &[Override],
    table: Table,
) -> Result<C, RunConfigError> {
    let Some(path) = file else {
        return resolve_text(None, overrides, table);
    };
    let text = std::fs::read_to_string(path).map_err(|source| RunConfigError::Read {
        path: path.into(),
        source,
    })?;
    resolve_text(Some((path, &text)), overrides, table)
}

/// As [`resolve`], from a text (if any), which errors call by its path.
pub(crate) fn resolve_text<C: Settings>(
    source: Option<(&Path, &str)>,
    overrides: &[Override],
    mut table: Table,
) -> Result<C, RunConfigError> {
    if let Some((path, text)) = source {
        let parse = |e: toml::de::Error| RunConfigError::Parse {
            path: path.into(),
            message: plain(e.to_string().trim_end()),
        };
        toml::from_str::<C>(text).map_err(parse)?;
        lay(&mut table, text.parse::<Table>().map_err(parse)?);
    }
    for set in overrides {
        apply::<C>(&mut table, set)?;
    }
    table
        .try_into()
        .map_err(|e: toml::de::Error| RunConfigError::Problems {
            problems: vec![plain(e.to_string().trim_end()).replace('\n', " ")],
        })
}

/// Lays one table over another; tables within are laid over each other in turn.
fn lay(below: &mut Table, above: Table) {
    for (key, value) in above {
        match (below.get_mut(&key), value) {
            (Some(Value::Table(below)), Value::Table(above)) => lay(below, above),
            (_, value) => {
                below.insert(key, value);
            }
        }
    }
}

pub(crate) fn collect_keys(prefix: &str, table: &Table, keys: &mut Vec<String>) {
    for (key, value) in table {
        let path = if prefix.is_empty() {
            key.clone()
        } else {
            format!("{prefix}.{key}")
        };
        match value {
            Value::Table(inner) => {
                keys.push(path.clone());
                collect_keys(&path, inner, keys);
            }
            _ => keys.push(path),
        }
    }
}

fn apply<C: Settings>(table: &mut Table, set: &Override) -> Result<(), RunConfigError> {
    if !C::knows(&set.key) {
        let nearest = C::keys()
            .into_iter()
            .map(|key| (strsim::normalized_damerau_levenshtein(&key, &set.key), key))
            .max_by(|a, b| a.0.total_cmp(&b.0))
            .filter(|(likeness, _)| *likeness > 0.5)
            .map(|(_, key)| key);
        return Err(RunConfigError::UnknownKey {
            key: set.key.clone(),
            origin: set.origin.clone(),
            nearest,
        });
    }
    let sound = table.clone().try_into::<C>().is_ok();
    let mut path: Vec<&str> = set.key.split('.').collect();
    let leaf = path.pop().unwrap_or_default();
    // A choice between tables (one loss or the other) is replaced, not mixed.
    if let Some(choice) = C::CHOICE
        && let Some(chosen) = set
            .key
            .strip_prefix(choice)
            .and_then(|k| k.strip_prefix('.'))
    {
        let mut options = Some(&mut *table);
        for part in choice.split('.') {
            options = options
                .and_then(|table| table.get_mut(part))
                .and_then(Value::as_table_mut);
        }
        if let Some(options) = options {
            let chosen = chosen.split('.').next().unwrap_or_default();
            options.retain(|kind, _| kind == chosen);
        }
    }
    let mut place = &mut *table;
    for part in path {
        let entry = place
            .entry(part)
            .or_insert_with(|| Value::Table(Table::new()));
        if !entry.is_table() {
            *entry = Value::Table(C::spelled_out(part, entry).unwrap_or_default());
        }
        match entry {
            Value::Table(inner) => place = inner,
            _ => return Ok(()),
        }
    }
    place.insert(leaf.into(), set.value.clone());
    match table.clone().try_into::<C>() {
        // A partial `model.fresh` is completed by later overrides: it is judged at the end.
        Err(e) if sound && !e.message().starts_with("missing field") => {
            Err(RunConfigError::SetValue {
                key: set.key.clone(),
                value: set
                    .value
                    .as_str()
                    .map_or_else(|| set.value.to_string(), str::to_owned),
                origin: set.origin.clone(),
                reason: plain(e.message()),
            })
        }
        _ => Ok(()),
    }
}

/// What the parser says, with the types of Rust in words.
pub(crate) fn plain(message: &str) -> String {
    const WORDS: [(&str, &str); 6] = [
        ("expected usize", "expected a whole number, 0 or more"),
        ("expected u64", "expected a whole number, 0 or more"),
        ("expected u32", "expected a whole number, 0 or more"),
        ("expected f64", "expected a number"),
        ("expected a boolean", "expected true or false"),
        ("expected i64", "expected a whole number"),
    ];
    let mut text = message.to_owned();
    for (rust, words) in WORDS {
        text = text.replace(rust, words);
    }
    if let Some((before, after)) = text.split_once("expected struct ") {
        let rest = after.trim_start_matches(|c: char| c.is_ascii_alphanumeric());
        text = format!("{before}expected a table{rest}");
    }
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

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
        let config = RunConfig::resolve(None, &sets).unwrap();
        assert_eq!(
            config.task.threshold,
            Threshold::Best(ThresholdObjective::F1)
        );
        assert_eq!(config.task.loss, LossConfig::Focal { gamma: 1.5 });
        let (_folder, path) = write(&config.to_toml());
        assert_eq!(RunConfig::resolve(Some(&path), &[]).unwrap(), config);
        let defaults = RunConfig::default();
        let (_folder, path) = write(&defaults.to_toml());
        assert_eq!(
            RunConfig::resolve_unchecked(Some(&path), &[]).unwrap(),
            defaults
        );
    }

    #[test]
    fn an_unknown_override_names_the_nearest_key() {
        let set = Override::parse("optimizer.learning_rte=3e-5").unwrap();
        let error = RunConfig::resolve(None, &[set]).unwrap_err();
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
        let error = RunConfig::resolve(Some(&path), &[])
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
        let error = RunConfig::resolve(None, &sets).unwrap_err().to_string();
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
        let error = RunConfig::resolve(None, &[set]).unwrap_err().to_string();
        assert!(
            error.contains("--epochs") && error.contains("three"),
            "{error}"
        );
    }
}
