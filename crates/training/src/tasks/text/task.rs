//! One prediction per text or pair of texts: classes, several labels, or a number.

use std::ops::Range;
use std::path::PathBuf;

use bertkit_data::batches::{BatchPolicy, balanced, plan};
use bertkit_data::labels::LabelKind;
use bertkit_data::tokenizer::TextTokenizer;
use bertkit_evaluation::{Metric, best_threshold, fit_temperature};
use bertkit_model::losses::{ClassLoss, binary_cross_entropy, binary_focal, squared_error};
use bertkit_model::weights::to_vec;
use bertkit_model::{Batch, Context, DropoutStream, EncoderConfig, Naming, SequenceModel};
use burn::module::{Module, Param};
use burn::tensor::{Int, Tensor, TensorData};

use super::documents::document_logits;
use super::info::{DocumentInfo, TaskInfo};
use super::rows::{Rows, Targets};
use crate::config::{Calibrate, LossConfig, Sampler, Threshold, TrainingConfig};
use crate::engine::param_groups::{ParamGroup, param_group};
use crate::engine::task::{LossSums, LossTerm, Task, Validation};
use crate::error::TrainError;
use crate::run::directory::RunDirectory;
use crate::run::finetune::FinetuneTask;
use crate::run::selection;
use crate::run::setup::Export;
use crate::run::trained::save;
use crate::tasks::batches::{attended, inference_batches, pack};

/// Classes, several labels or a number, as a [`Task`].
#[derive(Debug)]
pub struct SequenceTask {
    /// The description written next to the weights.
    pub info: TaskInfo,
    /// The configuration of the encoder, with labels, for the exported folder.
    pub model_config: EncoderConfig,
    /// Saved next to the weights.
    pub tokenizer: TextTokenizer,
    /// Training rows.
    pub train: Rows,
    /// Validation rows; empty if there are none.
    pub valid: Rows,
    /// The weight of each class in the loss; empty if all are equal.
    pub class_weights: Vec<f32>,
    /// The loss.
    pub loss: LossConfig,
    /// How the threshold is chosen.
    pub threshold: Threshold,
    /// How probabilities are calibrated.
    pub calibrate: Calibrate,
    /// The metric that selects the best weights; `None` is the validation loss.
    pub best_metric: Option<Metric>,
    /// Mean and standard deviation of the training targets of a regression: training standardises them,
    /// and the exported head predicts in the units of the file.
    pub scale: (f64, f64),
    /// The seed of the row order.
    pub seed: u64,
    /// Batch sizes and frozen parts.
    pub training: TrainingConfig,
    /// Layer-wise decay of the learning rate.
    pub layer_decay: f64,
    /// Maximum tokens of document sections per forward pass.
    pub piece_tokens: usize,
}

/// Some training rows, packed.
#[derive(Debug)]
pub struct RowsBatch {
    rows: Vec<usize>,
    /// The batches of the forward passes: one, except for documents, whose sections are in order.
    pieces: Vec<Batch>,
    /// The sections of each document, counted across `pieces`.
    documents: Vec<Range<usize>>,
}

impl SequenceTask {
    fn logits(&self, model: &SequenceModel, rows: &Rows, context: Context<'_>) -> Vec<f32> {
        if let Some(documents) = &self.info.documents {
            let (sections, ranges) = (&rows.encodings, &rows.ranges);
            let pool = documents.pool;
            return document_logits(model, sections, ranges, pool, context, &mut |_| {});
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
        if self.info.kind == LabelKind::Regression {
            let (mean, deviation) = self.scale;
            answers.iter_mut().for_each(|x| *x = *x * deviation + mean);
        }
        answers
    }

    /// Loss of each item, summed; `chosen` are indices into `rows`.
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
                // As `pos_weight` of BCEWithLogitsLoss: a class weight applies to its positive cells.
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
            // Divided by the sum of the weights, as in PyTorch's weighted mean.
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

    /// `answers` are the predictions for the validation rows.
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
                let each = if self.info.kind == LabelKind::MultiLabel {
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
        // Pieces go through the model one at a time.
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

    /// Sections of documents that do not fit into one forward pass are encoded piece by piece without a graph,
    /// and the loss is computed on their features: [`Self::second_pass`] then encodes the pieces again.
    fn loss(
        &self,
        model: &SequenceModel,
        batch: &RowsBatch,
        _micro_batch: u64,
        context: Context<'_>,
    ) -> LossSums {
        let (logits, features) = match &self.info.documents {
            None => (model.forward(&batch.pieces[0], context), None),
            Some(documents) if batch.pieces.len() == 1 => {
                let part = Part::of(context, 1);
                let features = model.features(&batch.pieces[0], part.context(context));
                let logits = self.document_logits(model, features, batch, documents, context);
                (logits, None)
            }
            Some(documents) => {
                let features = detached_features(model, batch, context);
                let leaf = features.clone();
                let logits = self.document_logits(model, features, batch, documents, context);
                (logits, Some(leaf))
            }
        };
        LossSums {
            sums: vec![self.summed_loss(logits, &self.train, &batch.rows)],
            features,
        }
    }

    /// Encodes each piece again and multiplies its features by their gradients, with the dropout of the first pass: by the chain
    /// rule, these are the gradients of one pass, in the memory of one piece. Pieces whose gradient is zero are skipped.
    fn second_pass<'a>(
        &'a self,
        model: &'a SequenceModel,
        batch: &'a RowsBatch,
        context: Context<'a>,
        gradient: Vec<f32>,
    ) -> Box<dyn Iterator<Item = Tensor<1>> + 'a> {
        let device = model.head.classifier.device();
        let sections: usize = batch.pieces.iter().map(Batch::len).sum();
        let width = gradient.len() / sections;
        let mut first = 0;
        let pieces = batch.pieces.iter().enumerate();
        Box::new(pieces.filter_map(move |(number, piece)| {
            let count = piece.len();
            let part = &gradient[first * width..(first + count) * width];
            first += count;
            if part.iter().all(|&x| x == 0.0) {
                return None;
            }
            let part = Tensor::from_data(TensorData::new(part.to_vec(), [count, width]), &device);
            let dropout = Part::of(context, number + 1);
            let features = model.features(piece, dropout.context(context));
            Some((features * part).sum())
        }))
    }

    fn param_group(&self, path: &str) -> ParamGroup {
        param_group(
            path,
            &self.model_config.spec().layer_depths(),
            self.layer_decay,
            self.training.freeze_embeddings,
            self.training.freeze_layers,
        )
    }

    fn naming(&self) -> Naming {
        SequenceModel::naming(&self.model_config)
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
        Ok(selection::validation(&predictions, loss, self.best_metric))
    }
}

impl Export for SequenceTask {
    fn export(
        &mut self,
        model: SequenceModel,
        directory: &RunDirectory,
        context: Context<'_>,
    ) -> Result<PathBuf, TrainError> {
        self.settle_decisions(&model, context);
        let model = if self.info.kind == LabelKind::Regression {
            unscale(model, self.scale)
        } else {
            model
        };
        directory.replace_folder("model", |folder| {
            save(
                &model,
                &self.model_config,
                &self.tokenizer,
                &self.info,
                folder,
            )
        })
    }
}

impl FinetuneTask for SequenceTask {
    fn threshold(&self) -> Option<(f64, String)> {
        let info = &self.info;
        let at = *info.thresholds.first()?;
        Some((at, info.threshold_origin.clone()))
    }

    fn temperature(&self) -> Option<f64> {
        self.info.temperature
    }
}

/// The features of all sections of a batch as a leaf, `[sections, h]`, computed piece by piece without a graph.
fn detached_features(model: &SequenceModel, batch: &RowsBatch, context: Context<'_>) -> Tensor<2> {
    let (plain, mut values) = (model.valid(), Vec::new());
    for (number, piece) in batch.pieces.iter().enumerate() {
        let part = Part::of(context, number + 1);
        let features = plain.features(piece, part.context(context));
        values.extend(to_vec(features));
    }
    let device = model.head.classifier.device();
    let sections: usize = batch.pieces.iter().map(Batch::len).sum();
    let width = values.len() / sections;
    Tensor::from_data(TensorData::new(values, [sections, width]), &device).require_grad()
}

/// Folds the mean and deviation of the targets into the last layer, so that it predicts in their units.
fn unscale(mut model: SequenceModel, (mean, deviation): (f64, f64)) -> SequenceModel {
    let classifier = &mut model.head.classifier;
    classifier.weight = Param::from_tensor(classifier.weight.val() * deviation);
    classifier.bias = Param::from_tensor(classifier.bias.val() * deviation + mean);
    model
}
