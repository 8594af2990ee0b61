//! The flags that stand for a key of the configuration, and how they become one.
//!
//! Those of `finetune` are here, those of `pretrain` in [`pretraining`].

pub mod pretraining;

use std::path::PathBuf;

use bertkit_evaluation::ThresholdObjective;
use bertkit_model::DeviceList;
use bertkit_training::config::ScheduleConfig;
use bertkit_training::{FinetuneConfig, MicroBatch, Override, TaskKind};
use clap::Args;
use toml::{Table, Value};

use crate::reading::{Missing, QuestionFlags, ReadFlags, TagFlags, finite, share};

/// Every flag of `finetune` that stands for a key of the configuration.
#[derive(Debug, Clone, Default, Args)]
pub struct Settings {
    #[command(flatten)]
    data: DataFlags,
    #[command(flatten)]
    model: ModelFlags,
    #[command(flatten)]
    task: TaskFlags,
    #[command(flatten)]
    asking: AskingFlags,
    #[command(flatten)]
    training: TrainingFlags,
    #[command(flatten)]
    optimizer: OptimizerFlags,
}

#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Data")]
struct DataFlags {
    /// Labelled rows to learn from: CSV, TSV or JSON Lines; or sequences, LABEL=FILE.fa,LABEL=FILE.fa
    #[arg(long, value_name = "FILE")]
    train: Option<PathBuf>,
    /// Labelled rows to choose by: best weights, threshold, early stop
    #[arg(long, value_name = "FILE")]
    valid: Option<PathBuf>,
    /// Share of the training rows held out where there is no --valid; 0 holds out none
    /// [default: 0.1]
    #[arg(long, value_name = "SHARE", value_parser = share)]
    valid_fraction: Option<f64>,
    /// Column with the text: its name, or its number from 1 [default: text]
    #[arg(long, value_name = "COLUMN")]
    text: Option<String>,
    /// Column with the second text, for tasks about pairs
    #[arg(long, value_name = "COLUMN")]
    text_pair: Option<String>,
    /// Column with the label [default: label]
    #[arg(long, value_name = "COLUMN")]
    label: Option<String>,
    /// Column whose equal values stay on one side of the split: a speaker, a document
    #[arg(long, value_name = "COLUMN")]
    group: Option<String>,
    /// Column whose equal values make rows one document, such as patient_id; read in sections, as
    /// --pool says
    #[arg(long, value_name = "COLUMN")]
    group_by: Option<String>,
    /// Show in texts the entities that they are about, given by the columns start1, end1, type1,
    /// start2, … or by tags <e1>…</e1>: by @TYPE$ in their place, or by markers around them
    #[arg(long, value_parser = ["anonymised", "markers"])]
    entities: Option<String>,
    /// What separates several labels in one cell; makes it a multi-label task
    #[arg(long, value_name = "TEXT")]
    label_separator: Option<String>,
    #[command(flatten)]
    read: ReadFlags,
    /// What happens to rows without a text or a label: left out and counted, or the file is
    /// refused [default: drop]
    #[arg(
        long,
        value_enum,
        hide_possible_values = true,
        value_name = "drop|refuse"
    )]
    missing: Option<Missing>,
    /// Longest input in tokens, special tokens included; longer texts are cut, those of
    /// questions into windows [default: 128, of questions 384]
    #[arg(long, value_name = "TOKENS")]
    max_length: Option<u32>,
    #[command(flatten)]
    tags: TagFlags,
}

#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Model")]
struct ModelFlags {
    /// Model folder in Hugging Face's layout to start from; without one, --config gives the sizes
    /// of a fresh model
    #[arg(long, value_name = "DIR")]
    model: Option<PathBuf>,
    /// A folder with a tokenizer, or a rule: char, kmer:K, kmer:K:stride=S, regex:FILE
    /// [default: the model's; trained on the training text for a fresh one]
    #[arg(long, value_name = "DIR")]
    tokenizer: Option<PathBuf>,
    /// Leave the embeddings as they are
    #[arg(long)]
    freeze_embeddings: bool,
    /// Leave the lowest N layers as they are [default: 0]
    #[arg(long, value_name = "N")]
    freeze_layers: Option<u32>,
}

#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Task")]
struct TaskFlags {
    /// What is learnt: from texts, told by the labels if not given; from tagged words, ner;
    /// from questions about texts, qa; or, from questions with several answers, multiple-choice
    #[arg(long, value_parser = ["classification", "multi-label", "regression", "ner", "qa", "multiple-choice"])]
    task: Option<String>,
    /// Of ner, what chooses the tags: each word by itself, or a CRF over the sentence; of qa, what
    /// chooses an answer's end: each token by itself, or, as in ELECTRA, jointly with the start
    /// [default: linear]
    #[arg(long, value_parser = ["linear", "crf", "joint"])]
    head: Option<String>,
    /// Of ner, tokens that neighbouring windows of a long sentence share, at least
    /// [default: a quarter of --max-length]
    #[arg(long, value_name = "TOKENS")]
    overlap: Option<u32>,
    /// Read texts longer than --max-length in sections, and answer by this of their features: the
    /// largest of each, their mean, a mean with learnt weights, or the first section's
    /// [default: texts are cut; with --group-by, max]
    #[arg(long, value_parser = ["max", "mean", "attention", "first"])]
    pool: Option<String>,
    /// Where --pool divides: into windows of --max-length, or at line breaks too
    /// [default: windows]
    #[arg(long, value_parser = ["windows", "lines"])]
    sections: Option<String>,
    /// Of --pool, tokens that neighbouring windows share [default: 0]
    #[arg(long, value_name = "TOKENS")]
    section_overlap: Option<u32>,
    /// Of --pool, tokens of sections that are in memory together [default: 512]
    #[arg(long, value_name = "TOKENS")]
    piece_tokens: Option<u32>,
    /// Classes over which averages are taken, divided by commas, such as those of ChemProt that
    /// count [default: all]
    #[arg(long, value_name = "CLASSES", value_delimiter = ',')]
    average_over: Option<Vec<String>>,
    /// The positive class of two [default: told by the names]
    #[arg(long, value_name = "LABEL")]
    positive: Option<String>,
    /// Where a probability counts as positive: a number, or what a threshold chosen on the
    /// validation rows maximises: f1, balanced_accuracy, mcc, accuracy; or, such as cost:1,5, what a
    /// false positive and a false negative cost [default: 0.5]
    #[arg(long, value_name = "NUMBER|METRIC", value_parser = threshold)]
    threshold: Option<Threshold>,
    /// Correct probabilities that are too sure or not sure enough, by a factor fitted on the
    /// validation rows [default: none]
    #[arg(long, value_parser = ["none", "temperature"])]
    calibrate: Option<String>,
    /// How much each class counts in the loss: none, balanced, or for each, such as "spam=2,ham=1"
    /// [default: none]
    #[arg(long, value_name = "WEIGHTS", value_parser = class_weights)]
    class_weights: Option<ClassWeights>,
    /// What is minimised [default: cross-entropy]
    #[arg(long, value_parser = ["cross-entropy", "focal"])]
    loss: Option<String>,
    /// How fast easy rows lose weight; implies the focal loss [default: 2]
    #[arg(long, value_name = "GAMMA", value_parser = finite, conflicts_with = "label_smoothing")]
    focal_gamma: Option<f64>,
    /// Share of the target spread over all classes; implies the cross-entropy loss [default: 0]
    #[arg(long, value_name = "SHARE", value_parser = share)]
    label_smoothing: Option<f64>,
}

#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Questions")]
struct AskingFlags {
    #[command(flatten)]
    columns: QuestionFlags,
    /// From the start of a window of a text to that of the next, in tokens [default: 128]
    #[arg(long, value_name = "TOKENS")]
    stride: Option<u32>,
    /// Tokens of a question at most; what is more is cut off [default: 64]
    #[arg(long, value_name = "TOKENS")]
    max_question_length: Option<u32>,
    /// Tokens of an answer at most [default: 30]
    #[arg(long, value_name = "TOKENS")]
    max_answer_length: Option<u32>,
    /// Starts and ends that are looked at in a window, and answers that are kept [default: 20]
    #[arg(long, value_name = "N")]
    n_best: Option<u32>,
    /// A question has no answer if that scores by more than this above the best one
    /// [default: what gives the highest F1 on the validation questions, if some have none]
    #[arg(long, value_name = "NUMBER", value_parser = finite, allow_negative_numbers = true)]
    null_threshold: Option<f64>,
}

#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Training")]
struct TrainingFlags {
    /// Passes over the training rows [default: 3]
    #[arg(long, value_name = "N")]
    epochs: Option<u32>,
    /// Stop after this many optimizer updates, whatever --epochs says
    #[arg(long, value_name = "N")]
    max_steps: Option<u32>,
    /// Rows in a batch [default: 16]
    #[arg(long, value_name = "ROWS", conflicts_with = "batch_tokens")]
    batch_size: Option<u32>,
    /// Tokens in a batch, instead of rows
    #[arg(long, value_name = "TOKENS")]
    batch_tokens: Option<u32>,
    /// Batches in an update [default: 1]
    #[arg(long, value_name = "N")]
    gradient_accumulation: Option<u32>,
    /// Rows that go through the model at once, a batch in parts: less memory, the same gradients. auto
    /// tries how many fit [default: the whole batch]
    #[arg(long, value_name = "ROWS")]
    micro_batch: Option<MicroBatch>,
    /// Let layers keep their input alone for the backward pass, and compute the rest again: less
    /// memory, about a third more time, the same weights
    #[arg(long)]
    recompute: bool,
    /// Order of rows: drawn anew each epoch, or every class equally often in each batch
    /// [default: shuffle]
    #[arg(long, value_parser = ["shuffle", "balanced"])]
    sampler: Option<String>,
    /// Batch rows of like length together: less padding on devices that pad, which the CPU does not
    #[arg(long)]
    bucket_by_length: bool,
    /// Evaluate every N updates too [default: after every epoch]
    #[arg(long, value_name = "N")]
    evaluate_steps: Option<u32>,
    /// Validation metric that decides which weights are kept, such as f1 [default: the task's]
    #[arg(long, value_name = "METRIC")]
    best_metric: Option<String>,
    /// Stop after N evaluations without a better one; 0 never stops early [default: 0]
    #[arg(long, value_name = "N")]
    early_stopping: Option<u32>,
    /// Write a checkpoint every N updates, besides after every epoch [default: 500]
    #[arg(long, value_name = "N")]
    checkpoint_steps: Option<u32>,
    /// Decides fresh weights, the order of rows, dropout and splits [default: 42]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(0..=i64::MAX as u64))]
    seed: Option<u64>,
    /// auto, cpu, wgpu, wgpu:N, cuda or cuda:N; several GPUs of one kind share each batch:
    /// cuda:0,cuda:1 [default: auto]
    #[arg(long, value_name = "DEVICES")]
    device: Option<DeviceList>,
    /// What the factors of matrix products are rounded to; weights, sums, LayerNorm, softmax and loss
    /// are f32. f16 scales the loss; tf32 is for NVIDIA GPUs; a CPU only imitates [default: f32]
    #[arg(long, value_parser = ["f32", "tf32", "bf16", "f16"])]
    precision: Option<String>,
}

#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Optimizer")]
struct OptimizerFlags {
    /// Highest learning rate of the schedule [default: 5e-5]
    #[arg(long, value_name = "RATE", value_parser = finite)]
    learning_rate: Option<f64>,
    /// Decoupled weight decay; not for biases and LayerNorm [default: 0.01]
    #[arg(long, value_name = "RATE", value_parser = finite)]
    weight_decay: Option<f64>,
    /// Scale longer gradients down to this length; 0 never scales [default: 1]
    #[arg(long, value_name = "LENGTH", value_parser = finite)]
    max_grad_norm: Option<f64>,
    /// Factor of the learning rate from each layer to the one below; 1 is none [default: 1]
    #[arg(long, value_name = "FACTOR", value_parser = finite)]
    layer_decay: Option<f64>,
    /// What the learning rate does after the warm-up [default: linear]
    #[arg(long, value_parser = ["linear", "cosine", "constant"])]
    schedule: Option<String>,
    /// Warm-up: a share of all updates, or, from 1, a number of updates [default: 0.1]
    #[arg(long, value_name = "SHARE|STEPS", value_parser = warmup)]
    warmup: Option<Warmup>,
}

#[derive(Debug, Clone, PartialEq)]
enum Threshold {
    At(f64),
    Best(ThresholdObjective),
}

fn threshold(text: &str) -> Result<Threshold, String> {
    match text.parse() {
        Ok(objective) => Ok(Threshold::Best(objective)),
        Err(_) => share(text).map(Threshold::At).map_err(|_| {
            "expected a number from 0 to 1, `f1`, `balanced_accuracy`, `mcc`, `accuracy`, or costs such as `cost:1,5`".into()
        }),
    }
}

#[derive(Debug, Clone, PartialEq)]
enum ClassWeights {
    Named(String),
    Given(Table),
}

fn class_weights(text: &str) -> Result<ClassWeights, String> {
    if matches!(text, "none" | "balanced") {
        return Ok(ClassWeights::Named(text.into()));
    }
    let mut weights = Table::new();
    for part in text.split(',') {
        // A class may hold `=` itself: the last one counts.
        let pair = part
            .rsplit_once('=')
            .map(|(class, weight)| (class.trim(), finite(weight.trim())));
        let Some((class, Ok(weight))) = pair else {
            return Err(format!(
                "`{part}` is not class=weight; expected `none`, `balanced`, or such as \"spam=2,ham=1\""
            ));
        };
        if weights.insert(class.into(), Value::Float(weight)).is_some() {
            return Err(format!("the class `{class}` is given twice"));
        }
    }
    Ok(ClassWeights::Given(weights))
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Warmup {
    Share(f64),
    Steps(u32),
}

fn warmup(text: &str) -> Result<Warmup, String> {
    let error = || "expected a share below 1, or a whole number of updates".to_owned();
    match finite(text)? {
        share if (0.0..1.0).contains(&share) => Ok(Warmup::Share(share)),
        steps if steps.fract() == 0.0 && (1.0..=f64::from(u32::MAX)).contains(&steps) => {
            Ok(Warmup::Steps(steps as u32)) // exact: whole, and within the range
        }
        _ => Err(error()),
    }
}

impl Settings {
    /// The overrides that the given flags stand for, in the order of the help.
    ///
    /// `base` is what they are laid over. Where it holds a setting that would win over a flag (such
    /// as `training.batch_tokens` over `--batch-size`), that setting is taken away first.
    pub fn overrides(&self, base: &FinetuneConfig) -> Vec<Override> {
        let mut list = Overrides(Vec::new());
        self.data.add(&mut list);
        self.model.add(&mut list, base);
        self.task.add(&mut list, base);
        self.asking.add(&mut list);
        self.training.add(&mut list, base);
        self.optimizer.add(&mut list, base);
        list.0
    }
}

impl DataFlags {
    fn add(&self, list: &mut Overrides) {
        list.path("data.train", "--train", &self.train);
        list.path("data.valid", "--valid", &self.valid);
        list.put(
            "data.valid_fraction",
            "--valid-fraction",
            self.valid_fraction,
        );
        list.text("data.text", "--text", &self.text);
        list.text("data.text_pair", "--text-pair", &self.text_pair);
        list.text("data.label", "--label", &self.label);
        list.text("data.group", "--group", &self.group);
        list.text("data.group_by", "--group-by", &self.group_by);
        list.text("data.entities", "--entities", &self.entities);
        list.text(
            "data.label_separator",
            "--label-separator",
            &self.label_separator,
        );
        list.text("data.format", "--format", &self.read.format);
        list.text("data.delimiter", "--delimiter", &self.read.delimiter);
        list.text("data.quote", "--quote", &self.read.quote);
        list.text("data.escape", "--escape", &self.read.escape);
        list.put(
            "data.header",
            "--no-header",
            self.read.no_header.then_some(false),
        );
        list.put("data.missing", "--missing", self.missing.map(Missing::name));
        list.put("data.max_length", "--max-length", self.max_length);
        let tags = &self.tags;
        list.text("data.word_column", "--word-column", &tags.word_column);
        list.text("data.tag_column", "--tag-column", &tags.tag_column);
        list.text("data.level", "--level", &tags.level);
        list.text("data.type_name", "--type-name", &tags.type_name);
        let sentence = &tags.sentence_column;
        list.text("data.sentence_column", "--sentence-column", sentence);
    }
}

impl ModelFlags {
    fn add(&self, list: &mut Overrides, base: &FinetuneConfig) {
        if self.model.is_some() && base.model.fresh.is_some() {
            list.section_changed("model", "--model", Table::try_from(&base.model), |model| {
                model.remove("fresh");
            });
        }
        list.path("model.path", "--model", &self.model);
        list.path("tokenizer.path", "--tokenizer", &self.tokenizer);
        let freeze = self.freeze_embeddings.then_some(true);
        list.put("training.freeze_embeddings", "--freeze-embeddings", freeze);
        list.put(
            "training.freeze_layers",
            "--freeze-layers",
            self.freeze_layers,
        );
    }
}

impl TaskFlags {
    fn add(&self, list: &mut Overrides, base: &FinetuneConfig) {
        list.text("task.kind", "--task", &self.task);
        let asks = match self.task.as_deref() {
            Some(task) => task == "qa",
            None => base.task.kind == Some(TaskKind::Qa),
        };
        let key = match self.head.as_deref() {
            Some("joint") => "task.qa.head",
            Some("linear") if asks => "task.qa.head",
            _ => "task.ner.head",
        };
        list.text(key, "--head", &self.head);
        list.put("task.ner.overlap", "--overlap", self.overlap);
        let averaged = self.average_over.as_ref().map(|classes| {
            let classes = classes.iter().map(|class| Value::String(class.clone()));
            Value::Array(classes.collect())
        });
        list.put("task.averaged", "--average-over", averaged);
        list.text("task.documents.pool", "--pool", &self.pool);
        list.text("task.documents.sections", "--sections", &self.sections);
        let overlap = self.section_overlap;
        list.put("task.documents.overlap", "--section-overlap", overlap);
        let piece = self.piece_tokens;
        list.put("task.documents.piece_tokens", "--piece-tokens", piece);
        list.text("task.positive", "--positive", &self.positive);
        let threshold = self.threshold.as_ref().map(|threshold| match threshold {
            Threshold::At(number) => Value::Float(*number),
            Threshold::Best(objective) => Value::String(objective.to_string()),
        });
        list.put("task.threshold", "--threshold", threshold);
        list.text("task.calibrate", "--calibrate", &self.calibrate);
        let weights = self.class_weights.as_ref().map(|weights| match weights {
            ClassWeights::Named(name) => Value::String(name.clone()),
            ClassWeights::Given(weights) => Value::Table(weights.clone()),
        });
        list.put("task.class_weights", "--class-weights", weights);
        let loss = self.loss.as_ref().map(|loss| {
            Value::Table(Table::from_iter([(
                loss.clone(),
                Value::Table(Table::new()),
            )]))
        });
        list.put("task.loss", "--loss", loss);
        list.put("task.loss.focal.gamma", "--focal-gamma", self.focal_gamma);
        let smoothing = "task.loss.cross-entropy.label_smoothing";
        list.put(smoothing, "--label-smoothing", self.label_smoothing);
    }

    /// A flag of the one loss beside the name of the other, if there is such a contradiction.
    fn contradiction(&self) -> Option<(&'static str, &'static str)> {
        match self.loss.as_deref() {
            Some("cross-entropy") if self.focal_gamma.is_some() => {
                Some(("--focal-gamma", "--loss cross-entropy"))
            }
            Some("focal") if self.label_smoothing.is_some() => {
                Some(("--label-smoothing", "--loss focal"))
            }
            _ => None,
        }
    }
}

impl AskingFlags {
    fn add(&self, list: &mut Overrides) {
        let columns = &self.columns;
        list.text("task.qa.question", "--question", &columns.question);
        list.text("task.qa.context", "--context", &columns.context);
        list.text("task.qa.answer", "--answer", &columns.answer);
        list.text("task.qa.start", "--start", &columns.start);
        list.text("task.qa.id", "--id", &columns.id);
        list.put("task.qa.stride", "--stride", self.stride);
        let (question, answer) = (self.max_question_length, self.max_answer_length);
        list.put(
            "task.qa.max_question_length",
            "--max-question-length",
            question,
        );
        list.put("task.qa.max_answer_length", "--max-answer-length", answer);
        list.put("task.qa.n_best", "--n-best", self.n_best);
        let threshold = self.null_threshold;
        list.put("task.qa.null_threshold", "--null-threshold", threshold);
    }
}

impl Settings {
    /// Two flags that contradict each other, if there are such.
    pub fn contradiction(&self) -> Option<(&'static str, &'static str)> {
        self.task.contradiction()
    }
}

impl TrainingFlags {
    fn add(&self, list: &mut Overrides, base: &FinetuneConfig) {
        list.put("training.epochs", "--epochs", self.epochs);
        list.put("training.max_steps", "--max-steps", self.max_steps);
        if self.batch_size.is_some() && base.training.batch_tokens.is_some() {
            let section = Table::try_from(&base.training);
            list.section_changed("training", "--batch-size", section, |training| {
                training.remove("batch_tokens");
            });
        }
        list.put("training.batch_size", "--batch-size", self.batch_size);
        list.put("training.batch_tokens", "--batch-tokens", self.batch_tokens);
        let bucket = self.bucket_by_length.then_some(true);
        list.put("training.bucket_by_length", "--bucket-by-length", bucket);
        let accumulation = self.gradient_accumulation;
        list.put(
            "training.gradient_accumulation",
            "--gradient-accumulation",
            accumulation,
        );
        list.text("training.sampler", "--sampler", &self.sampler);
        list.put(
            "training.evaluate_steps",
            "--evaluate-steps",
            self.evaluate_steps,
        );
        list.text("training.best_metric", "--best-metric", &self.best_metric);
        list.put(
            "training.early_stopping",
            "--early-stopping",
            self.early_stopping,
        );
        list.put(
            "training.checkpoint_steps",
            "--checkpoint-steps",
            self.checkpoint_steps,
        );
        list.micro_batch(self.micro_batch);
        list.seed(self.seed);
        list.device(self.device.clone());
        let recompute = self.recompute.then_some(true);
        list.put("training.recompute", "--recompute", recompute);
        list.text("precision", "--precision", &self.precision);
    }
}

impl OptimizerFlags {
    fn add(&self, list: &mut Overrides, base: &FinetuneConfig) {
        list.rates(self.learning_rate, self.weight_decay, self.max_grad_norm);
        list.put("optimizer.layer_decay", "--layer-decay", self.layer_decay);
        list.text("schedule.kind", "--schedule", &self.schedule);
        list.warmup(self.warmup, &base.schedule);
    }
}

/// Overrides, collected in order.
struct Overrides(Vec<Override>);

impl Overrides {
    fn put(&mut self, key: &str, flag: &str, value: Option<impl Into<Value>>) {
        self.0
            .extend(value.map(|value| Override::flag(key, value, flag)));
    }

    fn text(&mut self, key: &str, flag: &str, value: &Option<String>) {
        self.put(key, flag, value.as_deref());
    }

    fn path(&mut self, key: &str, flag: &str, value: &Option<PathBuf>) {
        self.put(
            key,
            flag,
            value
                .as_ref()
                .map(|path| path.to_string_lossy().into_owned()),
        );
    }

    fn seed(&mut self, seed: Option<u64>) {
        // The flag's range ends where TOML's integers do.
        let seed = seed.map(|seed| Value::Integer(seed.cast_signed()));
        self.put("seed", "--seed", seed);
    }

    fn micro_batch(&mut self, micro_batch: Option<MicroBatch>) {
        let value = micro_batch.map(|value| match value {
            MicroBatch::Auto => Value::from("auto"),
            MicroBatch::Rows(rows) => Value::Integer(rows.min(i64::MAX as usize) as i64),
        });
        self.put("training.micro_batch", "--micro-batch", value);
    }

    fn device(&mut self, device: Option<DeviceList>) {
        let device = device.map(|device| device.to_string());
        self.put("device", "--device", device);
    }

    fn rates(&mut self, learning: Option<f64>, decay: Option<f64>, norm: Option<f64>) {
        self.put("optimizer.learning_rate", "--learning-rate", learning);
        self.put("optimizer.weight_decay", "--weight-decay", decay);
        self.put("optimizer.max_grad_norm", "--max-grad-norm", norm);
    }

    fn warmup(&mut self, warmup: Option<Warmup>, base: &ScheduleConfig) {
        match warmup {
            None => {}
            Some(Warmup::Share(share)) => {
                if base.warmup_steps.is_some() {
                    self.section_changed(
                        "schedule",
                        "--warmup",
                        Table::try_from(base),
                        |section| {
                            section.remove("warmup_steps");
                        },
                    );
                }
                self.put("schedule.warmup", "--warmup", Some(share));
            }
            Some(Warmup::Steps(steps)) => {
                self.put("schedule.warmup_steps", "--warmup", Some(steps));
            }
        }
    }

    /// Lays a section over itself as `change` leaves it: without keys that would win over a flag. It
    /// stands before every flag: what other flags have set in the section stays. Once a section.
    fn section_changed(
        &mut self,
        name: &str,
        flag: &str,
        section: Result<Table, toml::ser::Error>,
        change: impl FnOnce(&mut Table),
    ) {
        // Sections of a configuration always have a form in TOML.
        if let Ok(mut section) = section {
            change(&mut section);
            self.0.insert(0, Override::flag(name, section, flag));
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use bertkit_training::config::{self, LossConfig, NamedWeights};
    use clap::{CommandFactory, Parser};

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        settings: Settings,
    }

    /// Each flag with its key and a value that is not the default.
    const FLAGS: &[(&str, &str, &str)] = &[
        ("train", "data.train", "a.csv"),
        ("valid", "data.valid", "b.csv"),
        ("valid-fraction", "data.valid_fraction", "0.2"),
        ("text", "data.text", "2"),
        ("text-pair", "data.text_pair", "question"),
        ("label", "data.label", "class"),
        ("group", "data.group", "speaker"),
        ("label-separator", "data.label_separator", ";"),
        ("format", "data.format", "tsv"),
        ("delimiter", "data.delimiter", "pipe"),
        ("quote", "data.quote", "none"),
        ("escape", "data.escape", "\\"),
        ("missing", "data.missing", "refuse"),
        ("max-length", "data.max_length", "64"),
        ("word-column", "data.word_column", "2"),
        ("tag-column", "data.tag_column", "3"),
        ("level", "data.level", "inner"),
        ("type-name", "data.type_name", "Disease"),
        ("sentence-column", "data.sentence_column", "sent_id"),
        ("model", "model.path", "models/a"),
        ("tokenizer", "tokenizer.path", "models/b"),
        ("freeze-layers", "training.freeze_layers", "2"),
        ("task", "task.kind", "multi-label"),
        ("head", "task.ner.head", "crf"),
        ("overlap", "task.ner.overlap", "16"),
        ("question", "task.qa.question", "q"),
        ("context", "task.qa.context", "passage"),
        ("answer", "task.qa.answer", "gold"),
        ("start", "task.qa.start", "at"),
        ("id", "task.qa.id", "name"),
        ("stride", "task.qa.stride", "64"),
        ("max-question-length", "task.qa.max_question_length", "32"),
        ("max-answer-length", "task.qa.max_answer_length", "15"),
        ("n-best", "task.qa.n_best", "10"),
        ("null-threshold", "task.qa.null_threshold", "-1.5"),
        ("group-by", "data.group_by", "patient"),
        ("entities", "data.entities", "markers"),
        ("pool", "task.documents.pool", "mean"),
        ("sections", "task.documents.sections", "lines"),
        ("section-overlap", "task.documents.overlap", "8"),
        ("piece-tokens", "task.documents.piece_tokens", "256"),
        ("positive", "task.positive", "spam"),
        ("threshold", "task.threshold", "0.25"),
        ("calibrate", "task.calibrate", "temperature"),
        ("class-weights", "task.class_weights", "balanced"),
        ("focal-gamma", "task.loss.focal.gamma", "1.5"),
        (
            "label-smoothing",
            "task.loss.cross-entropy.label_smoothing",
            "0.05",
        ),
        ("epochs", "training.epochs", "7"),
        ("max-steps", "training.max_steps", "9"),
        ("batch-size", "training.batch_size", "8"),
        ("batch-tokens", "training.batch_tokens", "2048"),
        ("micro-batch", "training.micro_batch", "4"),
        (
            "gradient-accumulation",
            "training.gradient_accumulation",
            "2",
        ),
        ("sampler", "training.sampler", "balanced"),
        ("evaluate-steps", "training.evaluate_steps", "20"),
        ("best-metric", "training.best_metric", "mcc"),
        ("early-stopping", "training.early_stopping", "3"),
        ("checkpoint-steps", "training.checkpoint_steps", "50"),
        ("seed", "seed", "7"),
        ("device", "device", "cpu"),
        ("precision", "precision", "bf16"),
        ("learning-rate", "optimizer.learning_rate", "0.001"),
        ("weight-decay", "optimizer.weight_decay", "0.02"),
        ("max-grad-norm", "optimizer.max_grad_norm", "0.5"),
        ("layer-decay", "optimizer.layer_decay", "0.9"),
        ("schedule", "schedule.kind", "cosine"),
        ("warmup", "schedule.warmup", "0.2"),
    ];

    fn settings(arguments: &[&str]) -> Settings {
        Line::try_parse_from([&["bertkit"], arguments].concat())
            .unwrap()
            .settings
    }

    fn resolved(arguments: &[&str]) -> FinetuneConfig {
        let overrides = settings(arguments).overrides(&FinetuneConfig::default());
        FinetuneConfig::resolve_unchecked(None, &overrides).unwrap()
    }

    /// The value of a key in a configuration's TOML.
    pub(super) fn value_at(config: &str, key: &str) -> Option<Value> {
        let mut value = Value::Table(config.parse().unwrap());
        for part in key.split('.') {
            value = value.get(part)?.clone();
        }
        Some(value)
    }

    pub(super) fn shown(value: &Value) -> String {
        value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned)
    }

    /// What is wrong with the default that a flag's help tells, if it tells one.
    pub(super) fn told_default(
        command: &clap::Command,
        flag: &str,
        value: Option<Value>,
    ) -> Option<String> {
        let argument = command
            .get_arguments()
            .find(|a| a.get_long() == Some(flag))?;
        let help = argument.get_help()?.to_string();
        let (_, told) = help.rsplit_once("[default: ")?;
        let (told, value) = (told.trim_end_matches(']'), value?);
        let number = value
            .as_float()
            .or_else(|| value.as_integer().map(|n| n as f64));
        let same = match number {
            // A condition may follow.
            Some(number) => told.split(',').next()?.parse() == Ok(number),
            None => {
                told == shown(&value)
                    || ["after", "the", "what"]
                        .iter()
                        .any(|word| told.starts_with(word))
            }
        };
        (!same).then(|| format!("--{flag}: told {told}, found {value}"))
    }

    #[test]
    fn every_flag_sets_its_key() {
        for (flag, key, value) in FLAGS {
            let config = resolved(&[&format!("--{flag}"), value]);
            assert_eq!(
                shown(&value_at(&config.to_toml(), key).unwrap()),
                *value,
                "{flag}"
            );
        }
        assert!(!resolved(&["--no-header"]).data.header);
        assert_eq!(
            resolved(&["--average-over", "a,b"]).task.averaged,
            ["a", "b"]
        );
        assert!(resolved(&["--bucket-by-length"]).training.bucket_by_length);
        assert!(resolved(&["--recompute"]).training.recompute);
        assert!(
            resolved(&["--freeze-embeddings"])
                .training
                .freeze_embeddings
        );
    }

    #[test]
    fn every_flag_is_tested() {
        let others = [
            "loss",
            "no-header",
            "freeze-embeddings",
            "bucket-by-length",
            "recompute",
            "average-over",
            "help",
        ];
        for argument in Line::command().get_arguments() {
            let name = argument.get_long().unwrap();
            let known = FLAGS.iter().any(|(flag, ..)| *flag == name) || others.contains(&name);
            assert!(known, "{name}");
        }
    }

    #[test]
    fn the_defaults_in_the_help_are_the_defaults() {
        let defaults = FinetuneConfig::default();
        let command = Line::command();
        for (flag, key, _) in FLAGS {
            if let Some(wrong) = told_default(&command, flag, value_at(&defaults.to_toml(), key)) {
                panic!("{wrong}");
            }
        }
        assert_eq!(
            resolved(&["--focal-gamma", "2"]),
            resolved(&["--loss", "focal"])
        );
    }

    #[test]
    fn no_flag_changes_nothing() {
        assert!(
            settings(&[])
                .overrides(&FinetuneConfig::default())
                .is_empty()
        );
    }

    #[test]
    fn the_loss_is_chosen_by_name_and_shaped_by_its_own_flag() {
        assert_eq!(
            resolved(&["--loss", "focal"]).task.loss,
            LossConfig::Focal { gamma: 2.0 }
        );
        let shaped = resolved(&["--loss", "cross-entropy", "--label-smoothing", "0.1"]);
        assert_eq!(
            shaped.task.loss,
            LossConfig::CrossEntropy {
                label_smoothing: 0.1
            }
        );
        let wrong = settings(&["--loss", "focal", "--label-smoothing", "0.1"]);
        assert_eq!(
            wrong.contradiction(),
            Some(("--label-smoothing", "--loss focal"))
        );
        let wrong = settings(&["--loss", "cross-entropy", "--focal-gamma", "1"]);
        assert_eq!(
            wrong.contradiction(),
            Some(("--focal-gamma", "--loss cross-entropy"))
        );
        assert_eq!(
            settings(&["--loss", "focal", "--focal-gamma", "1"]).contradiction(),
            None
        );
        let both = ["bertkit", "--focal-gamma", "1", "--label-smoothing", "0.1"];
        assert!(Line::try_parse_from(both).is_err());
    }

    #[test]
    fn class_weights_are_named_or_given_for_each_class() {
        let given = resolved(&["--class-weights", "spam=2, a=b=0.5"])
            .kind
            .task
            .class_weights;
        let expected = [("a=b".to_owned(), 0.5), ("spam".to_owned(), 2.0)];
        assert_eq!(given, config::ClassWeights::Given(expected.into()));
        let named = resolved(&["--class-weights", "balanced"])
            .kind
            .task
            .class_weights;
        assert_eq!(named, config::ClassWeights::Named(NamedWeights::Balanced));
        for text in ["spam", "spam=x", "spam=1,spam=2", ""] {
            assert!(class_weights(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_threshold_is_a_number_or_what_it_maximises() {
        let best = resolved(&["--threshold", "balanced_accuracy"])
            .task
            .threshold;
        assert_eq!(
            best,
            config::Threshold::Best(ThresholdObjective::BalancedAccuracy)
        );
        assert_eq!(
            resolved(&["--threshold", "1"]).task.threshold,
            config::Threshold::At(1.0)
        );
        assert_eq!(
            resolved(&["--threshold", "cost:1,5"]).task.threshold,
            config::Threshold::Best(ThresholdObjective::Cost {
                false_positive: 1.0,
                false_negative: 5.0
            })
        );
        for text in ["2", "f2", "cost:1", "cost:0,0"] {
            assert!(threshold(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_warmup_from_one_is_a_number_of_updates() {
        assert_eq!(warmup("0.06"), Ok(Warmup::Share(0.06)));
        assert_eq!(warmup("0"), Ok(Warmup::Share(0.0)));
        assert_eq!(warmup("100"), Ok(Warmup::Steps(100)));
        for text in ["1.5", "-1", "nan", "x"] {
            assert!(warmup(text).is_err(), "{text}");
        }
        assert_eq!(
            resolved(&["--warmup", "100"]).schedule.warmup_steps,
            Some(100)
        );
    }

    #[test]
    fn a_flag_takes_away_what_would_win_over_it() {
        let mut base = FinetuneConfig::default();
        base.schedule.warmup_steps = Some(50);
        base.training.batch_tokens = Some(4096);
        base.training.epochs = 9;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.toml");
        std::fs::write(&path, base.to_toml()).unwrap();
        let arguments = [
            "--max-steps",
            "3",
            "--batch-size",
            "4",
            "--warmup",
            "0.3",
            "--schedule",
            "cosine",
        ];
        let overrides = settings(&arguments).overrides(&base);
        let config = FinetuneConfig::resolve_unchecked(Some(&path), &overrides).unwrap();
        assert_eq!(
            (config.training.batch_size, config.training.batch_tokens),
            (4, None)
        );
        assert_eq!(
            (config.training.epochs, config.training.max_steps),
            (9, Some(3))
        );
        assert_eq!(
            (config.schedule.warmup, config.schedule.warmup_steps),
            (0.3, None)
        );
        assert_eq!(config.schedule.kind, config::ScheduleKind::Cosine);

        let sizes = "[model.fresh]\nnum_hidden_layers = 2\nhidden_size = 8\n\
                     num_attention_heads = 2\nintermediate_size = 16\n";
        std::fs::write(&path, sizes).unwrap();
        let base = FinetuneConfig::resolve_unchecked(Some(&path), &[]).unwrap();
        let overrides = settings(&["--model", "models/a"]).overrides(&base);
        let model = FinetuneConfig::resolve_unchecked(Some(&path), &overrides)
            .unwrap()
            .model;
        assert_eq!((model.path, model.fresh), (Some("models/a".into()), None));
    }
}
