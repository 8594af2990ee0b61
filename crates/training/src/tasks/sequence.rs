//! One answer a text, or a pair of texts: classes, several labels, or a number.

use std::ops::Range;
use std::path::PathBuf;

use bertkit_data::batches::{BatchPolicy, PackedBatch, balanced, plan};
use bertkit_data::documents::{Chunking, Chunks};
use bertkit_data::labels::TaskKind;
use bertkit_data::relations::MarkStyle;
use bertkit_data::tokenizer::{Encoding, TextTokenizer};
use bertkit_evaluation::{
    ClassPredictions, Metric, MultiLabelPredictions, Predictions, ProbabilityKind,
    ScorePredictions, apply_temperature, best_threshold, fit_temperature,
};
use bertkit_model::losses::{ClassLoss, binary_cross_entropy, binary_focal, squared_error};
use bertkit_model::weights::to_vec;
use bertkit_model::{Batch, Context, DropoutStream, EncoderConfig, Naming, SequenceModel};
use burn::module::{Module, Param};
use burn::tensor::{Int, Tensor, TensorData};
use serde::{Deserialize, Serialize};

use super::{FineTuned, attended};
use crate::config::{Calibrate, LossConfig, Pool, Sampler, Threshold, TrainingConfig};
use crate::engine::optimizer::GradientSum;
use crate::engine::param_groups::{ParamGroup, param_group};
use crate::engine::task::{LossTerm, Task, Validation, Weigh};
use crate::error::TrainError;
use crate::prepare::Reading;
use crate::run::directory::{RunDirectory, write_atomically};

/// What a trained model answers, and how its answers are read; `bertkit.json` in the model's folder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskInfo {
    /// Classes, several labels, or a number.
    pub kind: TaskKind,
    /// Names of the classes, by output; empty for a number.
    pub classes: Vec<String>,
    /// The positive one of two classes.
    pub positive: Option<usize>,
    /// Where a probability counts: one for two classes, one a class for several labels.
    pub thresholds: Vec<f64>,
    /// How the thresholds came about, as a sentence.
    pub threshold_origin: String,
    /// What logits are divided by before they become probabilities; 1 if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// Longest input in tokens.
    pub max_length: usize,
    /// The column that held the text in training.
    pub text: String,
    /// The column that held the second text.
    pub text_pair: Option<String>,
    /// The column that held the label.
    pub label: String,
    /// What separated several labels in a cell.
    pub label_separator: Option<String>,
    /// Whether the training file's first row named its columns.
    pub header: bool,
    /// How texts longer than the model reads are divided and put together; without it they are cut.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub documents: Option<DocumentInfo>,
    /// How texts show the entities that they are about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entities: Option<MarkStyle>,
    /// Whether files hold sentences and labels with or without a header, as BioBERT's.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub relations: bool,
    /// The classes whose averages are taken; all if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub averaged: Vec<String>,
}

/// How a document is read in sections.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DocumentInfo {
    /// What a document has of its sections.
    pub pool: Pool,
    /// Where it is divided.
    pub sections: Chunking,
    /// The column whose equal values made rows one document.
    pub group_by: Option<String>,
}

impl TaskInfo {
    /// How tables are read for this model.
    pub fn reading(&self) -> Reading {
        Reading {
            relations: self.relations,
            entities: self.entities,
        }
    }

    /// The file beside the weights.
    pub const FILE: &'static str = "bertkit.json";

    /// The number of outputs of the head.
    pub fn outputs(&self) -> usize {
        self.classes.len().max(1)
    }

    /// The numbers of a head as answers, row after row: probabilities of the classes, calibrated if
    /// the model is, or the number itself.
    pub fn answers(&self, logits: &[f32]) -> Vec<f64> {
        let mut answers = probabilities(self.kind, logits, self.outputs());
        if let Some(temperature) = self.temperature {
            match self.kind {
                TaskKind::Classification => {
                    let kind = ProbabilityKind::Exclusive(self.outputs());
                    apply_temperature(&mut answers, kind, temperature);
                }
                TaskKind::MultiLabel => {
                    apply_temperature(&mut answers, ProbabilityKind::Independent, temperature);
                }
                TaskKind::Regression => {}
            }
        }
        answers
    }
}

/// What is to be learnt about each row.
#[derive(Debug, Clone, PartialEq)]
pub enum Targets {
    /// One class a row.
    Classes(Vec<usize>),
    /// `[rows, classes]`, row after row.
    Sets(Vec<bool>),
    /// One number a row.
    Scores(Vec<f64>),
}

impl Targets {
    /// Those of some rows; `classes` is the width of label sets.
    pub fn select(&self, rows: &[usize], classes: usize) -> Self {
        match self {
            Self::Classes(all) => Self::Classes(rows.iter().map(|&r| all[r]).collect()),
            Self::Sets(all) => Self::Sets(
                rows.iter()
                    .flat_map(|&r| all[r * classes..(r + 1) * classes].to_vec())
                    .collect(),
            ),
            Self::Scores(all) => Self::Scores(rows.iter().map(|&r| all[r]).collect()),
        }
    }

    /// These with what a model said of the same rows: class probabilities, row after row, or numbers.
    pub fn with_answers(self, info: &TaskInfo, answers: Vec<f64>) -> Predictions {
        match self {
            Self::Classes(labels) => {
                let mut predictions = ClassPredictions::from_probabilities(
                    info.classes.clone(),
                    labels,
                    answers,
                    info.positive,
                );
                if info.positive.is_some()
                    && let Some(&threshold) = info.thresholds.first()
                {
                    predictions.decide_at(threshold);
                }
                if !info.averaged.is_empty() {
                    let chosen = |name: &String| info.averaged.contains(name);
                    let classes = info.classes.iter().enumerate();
                    let classes = classes.filter(|(_, name)| chosen(name));
                    predictions.averaged = Some(classes.map(|(class, _)| class).collect());
                }
                Predictions::Classes(predictions)
            }
            Self::Sets(labels) => Predictions::MultiLabel(MultiLabelPredictions {
                classes: info.classes.clone(),
                labels,
                scores: answers,
                thresholds: info.thresholds.clone(),
            }),
            Self::Scores(targets) => Predictions::Scores(ScorePredictions {
                targets,
                predictions: answers,
            }),
        }
    }
}

/// Token ids and targets of a file's rows.
#[derive(Debug, Clone)]
pub struct Rows {
    /// Token ids of each row; of documents, of all their sections.
    pub encodings: Vec<Encoding>,
    /// Which of them each row has.
    pub ranges: Vec<Range<usize>>,
    /// Tokens of each row.
    pub lengths: Vec<usize>,
    /// Where each row stands in its file.
    pub lines: Vec<u64>,
    /// What is to be learnt.
    pub targets: Targets,
}

impl Rows {
    /// From encodings, lines and targets of the same rows.
    pub fn new(encodings: Vec<Encoding>, lines: Vec<u64>, targets: Targets) -> Self {
        Self {
            lengths: encodings.iter().map(Encoding::len).collect(),
            ranges: (0..encodings.len()).map(|row| row..row + 1).collect(),
            encodings,
            lines,
            targets,
        }
    }

    /// Documents, with lines and targets of the same.
    pub fn of_documents(chunks: Chunks, lines: Vec<u64>, targets: Targets) -> Self {
        Self {
            lengths: chunks.lengths(),
            ranges: (0..chunks.len())
                .map(|document| chunks.of(document))
                .collect(),
            encodings: chunks.encodings,
            lines,
            targets,
        }
    }

    /// The number of rows.
    pub fn len(&self) -> usize {
        self.ranges.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }
}

/// Encoded rows, packed for the encoder.
pub(crate) fn pack(encodings: &[Encoding], rows: &[usize]) -> Batch {
    let packed = PackedBatch::pack(encodings, rows);
    // Token types are 0 and 1.
    let types = packed.token_type_ids.iter().map(|&t| t as u8).collect();
    Batch::new(packed.input_ids, types, &packed.lengths)
}

/// Batches for inference: rows of like length together, about so many tokens each.
pub fn inference_batches(lengths: &[usize]) -> Vec<Vec<usize>> {
    const TOKENS: usize = 2048;
    plan(lengths, BatchPolicy::Tokens(TOKENS), true, None)
}

/// Logits of documents, `[documents, outputs]` row after row: sections go through the encoder in batches, and their
/// features are put together. `progress` hears how many sections are done.
pub(crate) fn document_logits(
    model: &SequenceModel,
    sections: &[Encoding],
    documents: &[Range<usize>],
    pool: Pool,
    context: Context<'_>,
    progress: &mut dyn FnMut(usize),
) -> Vec<f32> {
    // Documents whose features lie on the device together.
    const TOGETHER: usize = 64;
    let lengths: Vec<usize> = sections.iter().map(Encoding::len).collect();
    let mut features: Vec<f32> = Vec::new();
    let (mut width, mut done) = (0, 0);
    for batch in inference_batches(&lengths) {
        let found = model.features(&pack(sections, &batch), context);
        [_, width] = found.dims();
        features.resize(sections.len() * width, 0.0);
        for (&section, row) in batch.iter().zip(to_vec(found).chunks(width)) {
            features[section * width..(section + 1) * width].copy_from_slice(row);
        }
        done += batch.len();
        progress(done);
    }
    let device = model.head.classifier.device();
    let mut logits = Vec::new();
    for documents in documents.chunks(TOGETHER) {
        let (Some(first), Some(last)) = (documents.first(), documents.last()) else {
            break;
        };
        let part = features[first.start * width..last.end * width].to_vec();
        let shape = [last.end - first.start, width];
        let part = Tensor::from_data(TensorData::new(part, shape), &device);
        let within = |range: &Range<usize>| range.start - first.start..range.end - first.start;
        let documents: Vec<_> = documents.iter().map(within).collect();
        let pooled = model.head.pool(part, &documents, pool.into(), context);
        logits.extend(to_vec(model.head.forward(pooled, context)));
    }
    logits
}

/// What the head's outputs say: probabilities of the classes, or the number itself. Row after row.
fn probabilities(kind: TaskKind, logits: &[f32], outputs: usize) -> Vec<f64> {
    match kind {
        TaskKind::Regression => logits.iter().map(|&x| f64::from(x)).collect(),
        TaskKind::MultiLabel => logits
            .iter()
            .map(|&x| 1.0 / (1.0 + (-f64::from(x)).exp()))
            .collect(),
        TaskKind::Classification => logits
            .chunks(outputs)
            .flat_map(|row| {
                let top = row.iter().copied().fold(f32::MIN, f32::max);
                let powers: Vec<f64> = row.iter().map(|&x| f64::from(x - top).exp()).collect();
                let sum: f64 = powers.iter().sum();
                powers.into_iter().map(move |p| p / sum)
            })
            .collect(),
    }
}

/// A model's answer to one text.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Answer {
    /// The class; several joined by the separator; or the number.
    pub prediction: String,
    /// One a class; empty for a number.
    pub probabilities: Vec<f64>,
    /// Whether the text was longer than the model reads.
    pub truncated: bool,
}

/// The answer that one row of probabilities leads to.
pub fn decide(info: &TaskInfo, row: &[f64], truncated: bool) -> Answer {
    let prediction = match info.kind {
        TaskKind::Regression => {
            return Answer {
                prediction: row[0].to_string(),
                probabilities: Vec::new(),
                truncated,
            };
        }
        TaskKind::MultiLabel => {
            let separator = info.label_separator.as_deref().unwrap_or("|");
            let named: Vec<&str> = (0..row.len())
                .filter(|&c| row[c] >= info.thresholds[c])
                .map(|c| info.classes[c].as_str())
                .collect();
            named.join(separator)
        }
        TaskKind::Classification => {
            let class = match (info.positive, info.thresholds.first()) {
                (Some(positive), Some(&threshold)) if row.len() == 2 => {
                    if row[positive] >= threshold {
                        positive
                    } else {
                        1 - positive
                    }
                }
                _ => (1..row.len()).fold(0, |best, c| if row[c] > row[best] { c } else { best }),
            };
            info.classes[class].clone()
        }
    };
    Answer {
        prediction,
        probabilities: row.to_vec(),
        truncated,
    }
}

/// Classes, several labels or a number, as a [`Task`].
#[derive(Debug)]
pub struct SequenceTask {
    /// What the answers mean.
    pub info: TaskInfo,
    /// The encoder's configuration, with labels, for the folder that is exported.
    pub model_config: EncoderConfig,
    /// Saved beside the weights.
    pub tokenizer: TextTokenizer,
    /// Rows to learn from.
    pub train: Rows,
    /// Rows to choose by; empty if there are none.
    pub valid: Rows,
    /// How much each class counts in the loss; empty if all the same.
    pub class_weights: Vec<f32>,
    /// What is minimised.
    pub loss: LossConfig,
    /// How the threshold is settled.
    pub threshold: Threshold,
    /// How probabilities are corrected.
    pub calibrate: Calibrate,
    /// What chooses the best weights; `None` is the validation loss.
    pub best_metric: Option<Metric>,
    /// Mean and standard deviation of the training targets of a regression: it is learnt in their
    /// units, and the exported head answers in the file's.
    pub scale: (f64, f64),
    /// Decides the order of rows.
    pub seed: u64,
    /// How rows are put into batches, and what is frozen.
    pub training: TrainingConfig,
    /// Layer-wise decay of the learning rate.
    pub layer_decay: f64,
    /// Tokens of documents that go through the model together.
    pub piece_tokens: usize,
}

/// Some training rows, packed.
#[derive(Debug)]
pub struct RowsBatch {
    rows: Vec<usize>,
    /// What goes through the encoder together; one but for documents, whose sections are in their order.
    pieces: Vec<Batch>,
    /// The sections of each document, counted through all pieces.
    documents: Vec<Range<usize>>,
}

impl SequenceTask {
    fn logits(&self, model: &SequenceModel, rows: &Rows, context: Context<'_>) -> Vec<f32> {
        if let Some(documents) = &self.info.documents {
            let (sections, ranges) = (&rows.encodings, &rows.ranges);
            return document_logits(
                model,
                sections,
                ranges,
                documents.pool,
                context,
                &mut |_| {},
            );
        }
        let outputs = self.info.outputs();
        let mut logits = vec![0.0; rows.len() * outputs];
        for batch in inference_batches(&rows.lengths) {
            let values = to_vec(model.forward(&pack(&rows.encodings, &batch), context));
            for (&row, values) in batch.iter().zip(values.chunks(outputs)) {
                logits[row * outputs..(row + 1) * outputs].copy_from_slice(values);
            }
        }
        logits
    }

    fn answers(&self, logits: &[f32]) -> Vec<f64> {
        let mut answers = self.info.answers(logits);
        if self.info.kind == TaskKind::Regression {
            let (mean, deviation) = self.scale;
            answers.iter_mut().for_each(|x| *x = *x * deviation + mean);
        }
        answers
    }

    /// Loss of each item, summed; rows are those of `rows`.
    fn summed_loss(&self, logits: Tensor<2>, rows: &Rows, chosen: &[usize]) -> Tensor<1> {
        let device = logits.device();
        let [n, outputs] = logits.dims();
        let floats = |values: Vec<f32>| -> Tensor<2> {
            Tensor::from_data(TensorData::new(values, [n, outputs]), &device)
        };
        match &rows.targets {
            Targets::Classes(labels) => {
                let labels: Vec<i32> = chosen.iter().map(|&row| labels[row] as i32).collect();
                let weights: Vec<f32> = labels
                    .iter()
                    .map(|&l| self.class_weight(l as usize))
                    .collect();
                let labels: Tensor<1, Int> =
                    Tensor::from_data(TensorData::new(labels, [n]), &device);
                let weights = Tensor::from_data(TensorData::new(weights, [n]), &device);
                let loss = match self.loss {
                    LossConfig::CrossEntropy { label_smoothing } => {
                        ClassLoss::CrossEntropy { label_smoothing }
                    }
                    LossConfig::Focal { gamma } => ClassLoss::Focal { gamma },
                };
                loss.per_row(logits, labels, weights).sum()
            }
            Targets::Sets(sets) => {
                let smoothing = match self.loss {
                    LossConfig::CrossEntropy { label_smoothing } => label_smoothing as f32,
                    LossConfig::Focal { .. } => 0.0,
                };
                let cells = || {
                    chosen
                        .iter()
                        .flat_map(|&row| sets[row * outputs..(row + 1) * outputs].iter())
                };
                let targets = cells()
                    .map(|&t| f32::from(t) * (1.0 - smoothing) + smoothing / 2.0)
                    .collect();
                let cell_loss = match self.loss {
                    LossConfig::CrossEntropy { .. } => {
                        binary_cross_entropy(logits, floats(targets))
                    }
                    LossConfig::Focal { gamma } => binary_focal(logits, floats(targets), gamma),
                };
                // As `pos_weight` of BCEWithLogitsLoss: a class's weight is that of its positive cells.
                let weights = cells()
                    .enumerate()
                    .map(|(cell, &t)| {
                        if t {
                            self.class_weight(cell % outputs)
                        } else {
                            1.0
                        }
                    })
                    .collect();
                (cell_loss * floats(weights)).sum()
            }
            Targets::Scores(scores) => {
                let (mean, deviation) = self.scale;
                let targets = chosen
                    .iter()
                    .map(|&row| ((scores[row] - mean) / deviation) as f32)
                    .collect();
                squared_error(logits, floats(targets)).sum()
            }
        }
    }

    fn class_weight(&self, class: usize) -> f32 {
        self.class_weights.get(class).copied().unwrap_or(1.0)
    }

    fn weight_of(&self, rows: &Rows, chosen: &[usize]) -> f64 {
        match &rows.targets {
            // Divided by the sum of the weights, as PyTorch's weighted mean is.
            Targets::Classes(labels) => chosen
                .iter()
                .map(|&row| f64::from(self.class_weight(labels[row])))
                .sum(),
            Targets::Sets(_) => (chosen.len() * self.info.outputs()) as f64,
            Targets::Scores(_) => chosen.len() as f64,
        }
    }

    /// Mean loss on the validation rows, from logits already computed.
    fn validation_loss(&self, logits: &[f32]) -> f64 {
        let outputs = self.info.outputs();
        let device = burn::tensor::Device::flex();
        let all: Vec<usize> = (0..self.valid.len()).collect();
        let logits = Tensor::from_data(
            TensorData::new(logits.to_vec(), [all.len(), outputs]),
            &device,
        );
        let sum = to_vec(self.summed_loss(logits, &self.valid, &all))[0];
        f64::from(sum) / self.weight_of(&self.valid, &all)
    }

    /// Fits the temperature and chooses the threshold, on the validation rows.
    fn settle_decisions(&mut self, model: &SequenceModel, context: Context<'_>) {
        let fits = self.calibrate == Calibrate::Temperature;
        if !fits && matches!(self.threshold, Threshold::At(_)) {
            return;
        }
        let logits = self.logits(model, &self.valid, context);
        if fits {
            let answers = self.answers(&logits);
            let predictions = self.valid.targets.clone().with_answers(&self.info, answers);
            self.info.temperature = fit_temperature(&predictions);
        }
        self.settle_threshold(self.answers(&logits));
    }

    /// `answers` are those to the validation rows.
    fn settle_threshold(&mut self, answers: Vec<f64>) {
        let Threshold::Best(objective) = self.threshold else {
            return;
        };
        let chosen = match (&self.valid.targets, self.info.positive) {
            (Targets::Classes(labels), Some(positive)) => {
                let truth: Vec<bool> = labels.iter().map(|&l| l == positive).collect();
                let scores: Vec<f64> = answers.chunks(2).map(|row| row[positive]).collect();
                best_threshold(&truth, &scores, objective).map(|t| vec![t])
            }
            (Targets::Sets(sets), _) => {
                let outputs = self.info.outputs();
                let column = |c: usize| (0..sets.len() / outputs).map(move |row| row * outputs + c);
                let chosen = (0..outputs).map(|c| {
                    let truth: Vec<bool> = column(c).map(|cell| sets[cell]).collect();
                    let scores: Vec<f64> = column(c).map(|cell| answers[cell]).collect();
                    best_threshold(&truth, &scores, objective).unwrap_or(0.5)
                });
                Some(chosen.collect())
            }
            _ => None,
        };
        match chosen {
            Some(thresholds) => {
                let each = if self.info.kind == TaskKind::MultiLabel {
                    let named = self.info.classes.iter().zip(&thresholds);
                    let named: Vec<String> = named
                        .map(|(class, at)| format!("{class} {at:.4}"))
                        .collect();
                    format!(", for each label: {}", named.join(", "))
                } else {
                    String::new()
                };
                self.info.thresholds = thresholds;
                self.info.threshold_origin = format!(
                    "chosen for {} on {} validation rows{each}",
                    objective.aim(),
                    self.valid.len()
                );
            }
            None => {
                self.info.threshold_origin =
                    "the validation rows have one class only, so that no threshold could be chosen"
                        .into();
            }
        }
    }
}

/// The dropout of a part of a forward pass.
struct Part(Option<DropoutStream>);

impl Part {
    fn of(context: Context<'_>, number: usize) -> Self {
        Self(context.dropout_part(number as u64))
    }

    fn context<'a>(&'a self, context: Context<'a>) -> Context<'a> {
        match &self.0 {
            Some(stream) => context.with_dropout(stream),
            None => context,
        }
    }
}

impl SequenceTask {
    /// Features of all sections of a batch to logits of its documents.
    fn document_logits(
        &self,
        model: &SequenceModel,
        features: Tensor<2>,
        batch: &RowsBatch,
        documents: &DocumentInfo,
        context: Context<'_>,
    ) -> Tensor<2> {
        let pool = documents.pool.into();
        let pooled = model.head.pool(features, &batch.documents, pool, context);
        let part = Part::of(context, 0);
        model.head.forward(pooled, part.context(context))
    }
}

impl Task for SequenceTask {
    type Model = SequenceModel;
    type Epoch = Vec<Vec<usize>>;
    type Batch = RowsBatch;

    fn accumulation(&self, _stage: usize) -> usize {
        self.training.gradient_accumulation
    }

    fn epoch(&self, _stage: usize, number: u64) -> Result<Vec<Vec<usize>>, TrainError> {
        let t = &self.training;
        match (t.sampler, &self.train.targets) {
            (Sampler::Balanced, Targets::Classes(classes)) => {
                Ok(balanced(classes, t.batch_size, self.seed, number)?)
            }
            (Sampler::Balanced, _) => Err(TrainError::Setting {
                message: "the balanced sampler needs one class a row".into(),
                hint: "use `[training.sampler=shuffle]` for this task".into(),
            }),
            (Sampler::Shuffle, _) => {
                let policy = t
                    .batch_tokens
                    .map_or(BatchPolicy::Rows(t.batch_size), BatchPolicy::Tokens);
                Ok(plan(
                    &self.train.lengths,
                    policy,
                    t.bucket_by_length,
                    Some((self.seed, number)),
                ))
            }
        }
    }

    fn batches(&self, epoch: &Vec<Vec<usize>>) -> usize {
        epoch.len()
    }

    fn rows(&self, epoch: &Vec<Vec<usize>>, number: usize) -> usize {
        epoch[number].len()
    }

    fn batch(&self, epoch: &Vec<Vec<usize>>, number: usize, rows: Range<usize>) -> RowsBatch {
        let rows = epoch[number][rows].to_vec();
        let encodings = &self.train.encodings;
        if self.info.documents.is_none() {
            let pieces = vec![pack(encodings, &rows)];
            return RowsBatch {
                rows,
                pieces,
                documents: Vec::new(),
            };
        }
        let ranges = || rows.iter().map(|&row| self.train.ranges[row].clone());
        let sections: Vec<usize> = ranges().flatten().collect();
        let lengths: Vec<usize> = sections.iter().map(|&at| encodings[at].len()).collect();
        let pieces = plan(
            &lengths,
            BatchPolicy::Tokens(self.piece_tokens),
            false,
            None,
        );
        let piece = |piece: Vec<usize>| {
            let chosen: Vec<usize> = piece.into_iter().map(|at| sections[at]).collect();
            pack(encodings, &chosen)
        };
        let mut first = 0;
        let documents = ranges().map(|range| {
            let start = first;
            first += range.len();
            start..first
        });
        RowsBatch {
            documents: documents.collect(),
            pieces: pieces.into_iter().map(piece).collect(),
            rows,
        }
    }

    fn tokens(&self, batch: &RowsBatch) -> usize {
        batch.pieces.iter().map(Batch::tokens).sum()
    }

    fn attended(&self, batch: &RowsBatch) -> usize {
        // Pieces go through the model one by one.
        batch.pieces.iter().map(attended).max().unwrap_or(0)
    }

    fn describe(&self, batches: &[RowsBatch]) -> String {
        const SHOWN: usize = 32;
        let rows = batches.iter().flat_map(|batch| &batch.rows);
        let mut lines: Vec<u64> = rows.map(|&row| self.train.lines[row]).collect();
        lines.sort_unstable();
        let shown: Vec<String> = lines.iter().take(SHOWN).map(u64::to_string).collect();
        let more = match lines.len().saturating_sub(SHOWN) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        format!(
            "the rows from lines {}{more} of the training file",
            shown.join(", ")
        )
    }

    fn terms(&self) -> &[LossTerm] {
        &[LossTerm {
            name: "loss",
            factor: 1.0,
        }]
    }

    fn weights(&self, batch: &RowsBatch) -> Vec<f64> {
        vec![self.weight_of(&self.train, &batch.rows)]
    }

    fn loss(
        &self,
        model: &SequenceModel,
        batch: &RowsBatch,
        _micro_batch: u64,
        context: Context<'_>,
    ) -> Vec<Tensor<1>> {
        let logits = match &self.info.documents {
            None => model.forward(&batch.pieces[0], context),
            Some(documents) => {
                let pieces = batch.pieces.iter().enumerate();
                let features = pieces.map(|(number, piece)| {
                    let part = Part::of(context, number + 1);
                    model.features(piece, part.context(context))
                });
                let features = Tensor::cat(features.collect(), 0);
                self.document_logits(model, features, batch, documents, context)
            }
        };
        vec![self.summed_loss(logits, &self.train, &batch.rows)]
    }

    /// Where the sections of documents are more than go through the model together, gradients are found in two passes, so
    /// that memory is that of one piece: features of all sections without a graph; then the loss, back to the features;
    /// then each piece again, its features times their gradients. Dropout is that of the first pass again.
    fn learn(
        &self,
        model: &SequenceModel,
        batch: &RowsBatch,
        micro_batch: u64,
        context: Context<'_>,
        weigh: &mut Weigh<'_>,
        gradients: &mut GradientSum,
    ) {
        let documents = match &self.info.documents {
            Some(documents) if batch.pieces.len() > 1 => documents,
            _ => {
                if let Some(loss) = weigh(self.loss(model, batch, micro_batch, context)) {
                    context.backward(loss, |found| gradients.add(model, found));
                }
                return;
            }
        };
        let (plain, mut values, mut counts) = (model.valid(), Vec::new(), Vec::new());
        for (number, piece) in batch.pieces.iter().enumerate() {
            let part = Part::of(context, number + 1);
            let features = plain.features(piece, part.context(context));
            counts.push(features.dims()[0]);
            values.extend(to_vec(features));
        }
        drop(plain);
        let device = model.head.classifier.device();
        let sections: usize = counts.iter().sum();
        let width = values.len() / sections;
        let features: Tensor<2> =
            Tensor::from_data(TensorData::new(values, [sections, width]), &device).require_grad();
        let logits = self.document_logits(model, features.clone(), batch, documents, context);
        let sums = vec![self.summed_loss(logits, &self.train, &batch.rows)];
        let Some(loss) = weigh(sums) else {
            return;
        };
        let found = loss.backward();
        let by_features = features.grad(&found).map(to_vec).unwrap_or_default();
        gradients.add(model, found);
        let mut first = 0;
        for ((number, piece), count) in batch.pieces.iter().enumerate().zip(counts) {
            let part = &by_features[first * width..(first + count) * width];
            first += count;
            // Sections that took no part (of others, or behind the first) are not gone through again.
            if part.iter().all(|&x| x == 0.0) {
                continue;
            }
            let part = Tensor::from_data(TensorData::new(part.to_vec(), [count, width]), &device);
            let dropout = Part::of(context, number + 1);
            let features = model.features(piece, dropout.context(context));
            context.backward((features * part).sum(), |found| gradients.add(model, found));
        }
    }

    fn param_group(&self, path: &str) -> ParamGroup {
        param_group(
            path,
            self.model_config.num_hidden_layers,
            self.layer_decay,
            self.training.freeze_embeddings,
            self.training.freeze_layers,
        )
    }

    fn naming(&self) -> Naming {
        SequenceModel::naming(self.model_config.family)
    }

    fn validation_rows(&self) -> usize {
        self.valid.len()
    }

    fn validate(
        &self,
        model: &SequenceModel,
        context: Context<'_>,
    ) -> Result<Validation, TrainError> {
        let logits = self.logits(model, &self.valid, context);
        let loss = self.validation_loss(&logits);
        let predictions = self
            .valid
            .targets
            .clone()
            .with_answers(&self.info, self.answers(&logits));
        Ok(Validation::new(&predictions, loss, self.best_metric))
    }

    fn export(
        &mut self,
        model: SequenceModel,
        directory: &RunDirectory,
        context: Context<'_>,
    ) -> Result<PathBuf, TrainError> {
        self.settle_decisions(&model, context);
        let model = if self.info.kind == TaskKind::Regression {
            unscale(model, self.scale)
        } else {
            model
        };
        directory.replace_folder("model", |folder| {
            model.save(&self.model_config, folder)?;
            self.tokenizer.save(folder)?;
            let mut text =
                serde_json::to_string_pretty(&self.info).map_err(|e| TrainError::Write {
                    path: PathBuf::from(folder),
                    source: e.into(),
                })?;
            text.push('\n');
            write_atomically(&folder.join(TaskInfo::FILE), text.as_bytes())
        })
    }
}

impl FineTuned for SequenceTask {
    fn threshold(&self) -> Option<(f64, String)> {
        let info = &self.info;
        let at = *info.thresholds.first()?;
        Some((at, info.threshold_origin.clone()))
    }

    fn temperature(&self) -> Option<f64> {
        self.info.temperature
    }
}

/// Folds the targets' mean and deviation into the last layer, so that it answers in their units.
fn unscale(mut model: SequenceModel, (mean, deviation): (f64, f64)) -> SequenceModel {
    let classifier = &mut model.head.classifier;
    classifier.weight = Param::from_tensor(classifier.weight.val() * deviation);
    classifier.bias = Param::from_tensor(classifier.bias.val() * deviation + mean);
    model
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(kind: TaskKind) -> TaskInfo {
        TaskInfo {
            kind,
            classes: vec!["a".into(), "b".into()],
            positive: Some(1),
            thresholds: vec![0.7, 0.2],
            threshold_origin: String::new(),
            temperature: None,
            max_length: 8,
            text: "text".into(),
            text_pair: None,
            label: "label".into(),
            label_separator: Some(";".into()),
            header: true,
            documents: None,
            entities: None,
            relations: false,
            averaged: Vec::new(),
        }
    }

    #[test]
    fn probabilities_add_up_to_one_and_survive_large_logits() {
        let p = probabilities(TaskKind::Classification, &[1000.0, 1000.0, -1e30, 5.0], 2);
        assert_eq!(p, [0.5, 0.5, 0.0, 1.0]);
        assert_eq!(probabilities(TaskKind::MultiLabel, &[0.0], 1), [0.5]);
    }

    #[test]
    fn a_temperature_divides_the_logits_of_probabilities() {
        let close = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-12);
        for kind in [
            TaskKind::Classification,
            TaskKind::MultiLabel,
            TaskKind::Regression,
        ] {
            let mut info = info(kind);
            let plain = info.answers(&[0.5, -1.0, 3.0, 2.0]);
            info.temperature = Some(2.0);
            let scaled = info.answers(&[1.0, -2.0, 6.0, 4.0]);
            assert_eq!(close(&plain, &scaled), kind != TaskKind::Regression);
        }
    }

    #[test]
    fn a_threshold_moves_the_decision_between_two_classes() {
        let one = info(TaskKind::Classification);
        assert_eq!(decide(&one, &[0.4, 0.6], false).prediction, "a");
        assert_eq!(decide(&one, &[0.3, 0.7], false).prediction, "b");
        let several = info(TaskKind::MultiLabel);
        assert_eq!(decide(&several, &[0.8, 0.3], false).prediction, "a;b");
        assert_eq!(decide(&several, &[0.6, 0.1], false).prediction, "");
    }
}
