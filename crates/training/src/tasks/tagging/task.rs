//! Named-entity recognition as a task: windows, scores, loss and decoding.

use std::ops::Range;
use std::path::PathBuf;

use bertkit_data::batches::{BatchPolicy, plan};
use bertkit_data::tagging::TagSet;
use bertkit_data::tagging::TaggedSentence;
use bertkit_data::tagging::alignment::{TagWindow, TagWindows, tag_windows};
use bertkit_data::tokenizer::TextTokenizer;
use bertkit_evaluation::{Metric, Predictions};
use bertkit_model::heads::Crf;
use bertkit_model::losses::ClassLoss;
use bertkit_model::weights::to_vec;
use bertkit_model::{Batch, Context, EncoderConfig, Naming, TokenModel};
use burn::tensor::{Device, Int, Tensor, TensorData};
use rayon::prelude::*;

use super::crf::{Chain, Likelihood, Scores, first_best};
use super::info::TagInfo;
use crate::config::{LossConfig, TagHead, TrainingConfig};
use crate::engine::param_groups::{ParamGroup, param_group};
use crate::engine::task::{LossSums, LossTerm, Task, Validation};
use crate::error::TrainError;
use crate::run::directory::RunDirectory;
use crate::run::finetune::FinetuneTask;
use crate::run::selection;
use crate::run::setup::Export;
use crate::run::trained::save;
use crate::tasks::batches::{self, attended, inference_batches};

/// Sentences and the windows that they are split into.
#[derive(Debug)]
pub(crate) struct TaggedRows {
    pub sentences: Vec<TaggedSentence>,
    pub windows: TagWindows,
}

impl TaggedRows {
    /// Splits sentences into windows. Windows without a target are not trained on, but are tagged.
    pub fn new(
        sentences: Vec<TaggedSentence>,
        info: &TagInfo,
        tokenizer: &TextTokenizer,
    ) -> Result<Self, TrainError> {
        let windows = tag_windows(&sentences, Some(&info.tags), tokenizer, &info.windows())?;
        Ok(Self { sentences, windows })
    }
}

/// Tags and their probabilities.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Decoded {
    /// One tag for each word that begins in each window.
    pub tags: Vec<Vec<usize>>,
    pub probabilities: Vec<Vec<f64>>,
}

/// Whether each window begins and ends with its sentence.
fn borders(windows: &[TagWindow]) -> impl Fn(usize) -> (bool, bool) + Sync {
    move |at: usize| {
        let same = |other: Option<&TagWindow>| {
            other.is_some_and(|other| other.sentence == windows[at].sentence)
        };
        let before = at.checked_sub(1).and_then(|before| windows.get(before));
        (!same(before), !same(windows.get(at + 1)))
    }
}

/// Windows, packed for the encoder.
fn pack(windows: &[TagWindow], chosen: &[usize]) -> Batch {
    let encodings: Vec<_> = chosen
        .iter()
        .map(|&at| windows[at].encoding.clone())
        .collect();
    let all: Vec<usize> = (0..encodings.len()).collect();
    batches::pack(&encodings, &all)
}

/// The logits of the first token of each word that begins in each window, `[words, tags]` each. `progress` receives
/// the number of windows done.
pub(crate) fn word_logits(
    model: &TokenModel,
    windows: &[TagWindow],
    context: Context<'_>,
    progress: &mut dyn FnMut(usize),
) -> Vec<Vec<f32>> {
    let lengths: Vec<usize> = windows.iter().map(|window| window.encoding.len()).collect();
    let mut logits = vec![Vec::new(); windows.len()];
    let mut done = 0;
    for chosen in inference_batches(&lengths) {
        let mut rows = Vec::new();
        let mut first = 0;
        for &at in &chosen {
            let heads = windows[at].heads.iter();
            rows.extend(heads.map(|head| first + head.position));
            first += lengths[at];
        }
        if !rows.is_empty() {
            let batch = pack(windows, &chosen);
            let values = to_vec(model.forward_rows(&batch, &rows, context));
            let width = values.len() / rows.len();
            let mut values = values.as_slice();
            for &at in &chosen {
                let (own, rest) = values.split_at(windows[at].heads.len() * width);
                logits[at] = own.to_vec();
                values = rest;
            }
        }
        done += chosen.len();
        progress(done);
    }
    logits
}

/// The tags of the words that begin in each window.
pub(crate) fn decode(
    model: &TokenModel,
    tags: &TagSet,
    windows: &[TagWindow],
    logits: &[Vec<f32>],
) -> Decoded {
    let scores = model.head.crf.as_ref().map(Scores::new);
    let borders = borders(windows);
    let k = tags.len();
    let one = |(at, logits): (usize, &Vec<f32>)| {
        if logits.is_empty() {
            return (Vec::new(), Vec::new());
        }
        let (chosen, shares): (Vec<usize>, Vec<f64>) = match &scores {
            Some(scores) => {
                let (begins, ends) = borders(at);
                let chain = Chain {
                    logits,
                    begins,
                    ends,
                };
                let chosen = scores.best(chain, tags);
                (chosen, scores.expect(chain, |_, _| true).tags)
            }
            None => {
                let rows = logits.chunks(k);
                let best = |row: &[f32]| first_best(row.iter().map(|&x| f64::from(x)));
                let chosen = rows.clone().map(best).collect();
                (chosen, rows.flat_map(softmax).collect())
            }
        };
        let likely = chosen
            .iter()
            .zip(shares.chunks(k))
            .map(|(&tag, row)| row[tag]);
        let likely = likely.collect();
        (chosen, likely)
    };
    let (tags, probabilities) = logits.par_iter().enumerate().map(one).unzip();
    Decoded {
        tags,
        probabilities,
    }
}

fn softmax(row: &[f32]) -> Vec<f64> {
    let top = row.iter().copied().fold(f32::MIN, f32::max);
    let powers: Vec<f64> = row.iter().map(|&x| f64::from(x - top).exp()).collect();
    let sum: f64 = powers.iter().sum();
    powers.into_iter().map(|power| power / sum).collect()
}

/// One micro-batch.
#[derive(Debug)]
pub struct TagBatch {
    /// The windows, by number.
    windows: Vec<usize>,
    batch: Batch,
    /// The packed rows that are read: those with a target or, for a CRF, the first of each word.
    rows: Vec<usize>,
    /// Their target tags, if known.
    targets: Vec<Option<usize>>,
    /// The part of `rows` that belongs to each window.
    parts: Vec<Range<usize>>,
}

/// One tag per word, as a [`Task`].
#[derive(Debug)]
pub struct TagTask {
    /// The description of the tags, written next to the weights.
    pub(crate) info: TagInfo,
    /// The configuration of the encoder, with labels, for the exported folder.
    pub(crate) model_config: EncoderConfig,
    /// Saved next to the weights.
    pub(crate) tokenizer: TextTokenizer,
    /// Training sentences.
    pub(crate) train: TaggedRows,
    /// The windows of `train` that have a target.
    pub(crate) learnt: Vec<usize>,
    /// Validation sentences; empty if there are none.
    pub(crate) valid: TaggedRows,
    /// The loss, if there is no CRF.
    pub(crate) loss: LossConfig,
    /// Factor on the learning rate of the CRF.
    pub(crate) crf_rate: f64,
    /// The metric that selects the best weights; `None` is the validation loss.
    pub(crate) best_metric: Option<Metric>,
    /// The seed of the window order.
    pub(crate) seed: u64,
    /// Batch sizes and frozen parts.
    pub(crate) training: TrainingConfig,
    /// Layer-wise decay of the learning rate.
    pub(crate) layer_decay: f64,
}

impl TagTask {
    /// Total tokens of the training windows.
    pub(crate) fn train_tokens(&self) -> u64 {
        let windows = &self.train.windows.windows;
        let lengths = self
            .learnt
            .iter()
            .map(|&at| windows[at].encoding.len() as u64);
        lengths.sum()
    }

    fn collect(&self, windows: &[TagWindow], chosen: Vec<usize>) -> TagBatch {
        let mut rows = Vec::new();
        let mut targets = Vec::new();
        let mut parts = Vec::with_capacity(chosen.len());
        let mut first = 0;
        for &at in &chosen {
            let window = &windows[at];
            let from = rows.len();
            match self.info.head {
                TagHead::Crf => {
                    let places = window.heads.iter().map(|head| head.position);
                    rows.extend(places.clone().map(|place| first + place));
                    targets.extend(places.map(|place| window.targets[place]));
                }
                TagHead::Linear => {
                    let known = window.targets.iter().enumerate();
                    for (place, target) in known.filter(|(_, target)| target.is_some()) {
                        rows.push(first + place);
                        targets.push(*target);
                    }
                }
            }
            parts.push(from..rows.len());
            first += window.encoding.len();
        }
        TagBatch {
            batch: pack(windows, &chosen),
            windows: chosen,
            rows,
            targets,
            parts,
        }
    }

    /// Cross-entropy of each row, summed; logits are `[rows, tags]`.
    fn cross_entropy(&self, logits: Tensor<2>, targets: &[Option<usize>]) -> Tensor<1> {
        let device = logits.device();
        let n = targets.len();
        let labels = targets.iter().map(|t| t.unwrap_or(0) as i32).collect();
        let known = targets.iter().map(|t| f32::from(t.is_some())).collect();
        let labels: Tensor<1, Int> =
            Tensor::from_data(TensorData::new::<i32, _>(labels, [n]), &device);
        let known: Tensor<1> = Tensor::from_data(TensorData::new::<f32, _>(known, [n]), &device);
        let loss = match self.loss {
            LossConfig::CrossEntropy { label_smoothing } => {
                ClassLoss::CrossEntropy { label_smoothing }
            }
            LossConfig::Focal { gamma } => ClassLoss::Focal { gamma },
        };
        loss.per_row(logits, labels, known).sum()
    }

    /// The likelihood of each window's tags, from logits on the host.
    fn likelihoods(
        &self,
        scores: &Scores,
        windows: &[TagWindow],
        chosen: &[usize],
        logits: &[&[f32]],
        targets: &[&[Option<usize>]],
    ) -> Vec<Option<Likelihood>> {
        let borders = borders(windows);
        let one = |(i, &at): (usize, &usize)| {
            let (begins, ends) = borders(at);
            let chain = Chain {
                logits: logits[i],
                begins,
                ends,
            };
            (!logits[i].is_empty()).then(|| scores.likelihood(chain, targets[i]))
        };
        chosen.par_iter().enumerate().map(one).collect()
    }

    /// The loss of a CRF, summed over the windows: likelihoods and their derivatives are computed on the host, and enter
    /// the graph as a sum of products with the same value and the same derivatives.
    fn crf_loss(&self, crf: &Crf, logits: Tensor<2>, batch: &TagBatch) -> Tensor<1> {
        let device = logits.device();
        let [rows, k] = logits.dims();
        let values = to_vec(logits.clone());
        let parts = |part: &Range<usize>| &values[part.start * k..part.end * k];
        let values: Vec<&[f32]> = batch.parts.iter().map(parts).collect();
        let targets: Vec<&[Option<usize>]> = batch
            .parts
            .iter()
            .map(|part| &batch.targets[part.clone()])
            .collect();
        let scores = Scores::new(crf);
        let windows = &self.train.windows.windows;
        let found = self.likelihoods(&scores, windows, &batch.windows, &values, &targets);
        let (mut loss, mut by_logits) = (0.0, Vec::with_capacity(rows * k));
        let (mut by_start, mut by_end) = (vec![0.0; k], vec![0.0; k]);
        let mut by_pair = vec![0.0; k * k];
        let add = |sum: &mut [f64], more: &[f64]| {
            sum.iter_mut()
                .zip(more)
                .for_each(|(sum, more)| *sum += more);
        };
        for one in found.into_iter().flatten() {
            loss += one.loss;
            by_logits.extend(one.logits);
            add(&mut by_start, &one.start);
            add(&mut by_end, &one.end);
            add(&mut by_pair, &one.transitions);
        }
        let vector = |values: &[f64]| weights(values, [k], &device);
        let sum = (logits * weights(&by_logits, [rows, k], &device)).sum()
            + (crf.start_transitions.val() * vector(&by_start)).sum()
            + (crf.end_transitions.val() * vector(&by_end)).sum()
            + (crf.transitions.val() * weights(&by_pair, [k, k], &device)).sum();
        let value = f64::from(to_vec(sum.clone())[0]);
        sum + (loss - value)
    }

    /// Mean loss on the first tokens of the validation words with a known tag, from logits already computed.
    fn validation_loss(&self, model: &TokenModel, logits: &[Vec<f32>]) -> f64 {
        let windows = &self.valid.windows.windows;
        let targets: Vec<Vec<Option<usize>>> = windows
            .iter()
            .map(|window| {
                let heads = window.heads.iter();
                heads.map(|head| window.targets[head.position]).collect()
            })
            .collect();
        let known = targets.iter().flatten().flatten().count() as f64;
        let sum = match &model.head.crf {
            Some(crf) => {
                let all: Vec<usize> = (0..windows.len()).collect();
                let logits: Vec<&[f32]> = logits.iter().map(Vec::as_slice).collect();
                let targets: Vec<&[Option<usize>]> = targets.iter().map(Vec::as_slice).collect();
                let scores = Scores::new(crf);
                let found = self.likelihoods(&scores, windows, &all, &logits, &targets);
                found.iter().flatten().map(|one| one.loss).sum()
            }
            None => {
                let targets = targets.concat();
                let shape = [targets.len(), self.info.tags.len()];
                let logits = TensorData::new(logits.concat(), shape);
                let logits = Tensor::from_data(logits, &Device::flex());
                f64::from(to_vec(self.cross_entropy(logits, &targets))[0])
            }
        };
        sum / known
    }
}

fn weights<const D: usize>(values: &[f64], shape: [usize; D], device: &Device) -> Tensor<D> {
    let values = values.iter().map(|&value| value as f32).collect();
    Tensor::from_data(TensorData::new::<f32, _>(values, shape), device)
}

impl Task for TagTask {
    type Model = TokenModel;
    type Epoch = Vec<Vec<usize>>;
    type Batch = TagBatch;

    fn accumulation(&self, _stage: usize) -> usize {
        self.training.gradient_accumulation
    }

    fn epoch(&self, _stage: usize, number: u64) -> Result<Vec<Vec<usize>>, TrainError> {
        let t = &self.training;
        let policy = t
            .batch_tokens
            .map_or(BatchPolicy::Rows(t.batch_size), BatchPolicy::Tokens);
        let windows = &self.train.windows.windows;
        let lengths: Vec<usize> = self
            .learnt
            .iter()
            .map(|&at| windows[at].encoding.len())
            .collect();
        let order = Some((self.seed, number));
        let mut batches = plan(&lengths, policy, t.bucket_by_length, order);
        for place in batches.iter_mut().flatten() {
            *place = self.learnt[*place];
        }
        Ok(batches)
    }

    fn batches(&self, epoch: &Vec<Vec<usize>>) -> usize {
        epoch.len()
    }

    fn rows(&self, epoch: &Vec<Vec<usize>>, number: usize) -> usize {
        epoch[number].len()
    }

    fn batch(&self, epoch: &Vec<Vec<usize>>, number: usize, rows: Range<usize>) -> TagBatch {
        self.collect(&self.train.windows.windows, epoch[number][rows].to_vec())
    }

    fn tokens(&self, batch: &TagBatch) -> usize {
        batch.batch.tokens()
    }

    fn attended(&self, batch: &TagBatch) -> usize {
        attended(&batch.batch)
    }

    fn describe(&self, batches: &[TagBatch]) -> String {
        const SHOWN: usize = 32;
        let windows = &self.train.windows.windows;
        let chosen = batches.iter().flat_map(|batch| &batch.windows);
        let mut lines: Vec<u64> = chosen
            .map(|&at| self.train.sentences[windows[at].sentence].line)
            .collect();
        lines.sort_unstable();
        lines.dedup();
        let shown: Vec<String> = lines.iter().take(SHOWN).map(u64::to_string).collect();
        let more = match lines.len().saturating_sub(SHOWN) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        format!(
            "the sentences that begin on lines {}{more} of the training file",
            shown.join(", ")
        )
    }

    fn terms(&self) -> &[LossTerm] {
        &[LossTerm {
            name: "loss",
            factor: 1.0,
        }]
    }

    fn weights(&self, batch: &TagBatch) -> Vec<f64> {
        vec![batch.targets.iter().flatten().count() as f64]
    }

    fn loss(
        &self,
        model: &TokenModel,
        batch: &TagBatch,
        _micro_batch: u64,
        context: Context<'_>,
    ) -> LossSums {
        let logits = model.forward_rows(&batch.batch, &batch.rows, context);
        vec![match &model.head.crf {
            Some(crf) => self.crf_loss(crf, logits, batch),
            None => self.cross_entropy(logits, &batch.targets),
        }]
        .into()
    }

    fn param_group(&self, path: &str) -> ParamGroup {
        if path.starts_with("head.crf.") {
            return ParamGroup {
                rate_factor: self.crf_rate,
                decays: false,
            };
        }
        param_group(
            path,
            &self.model_config.spec().layer_depths(),
            self.layer_decay,
            self.training.freeze_embeddings,
            self.training.freeze_layers,
        )
    }

    fn naming(&self) -> Naming {
        TokenModel::naming(&self.model_config)
    }

    fn validation_rows(&self) -> usize {
        self.valid.sentences.len()
    }

    fn validate(&self, model: &TokenModel, context: Context<'_>) -> Result<Validation, TrainError> {
        let windows = &self.valid.windows;
        let logits = word_logits(model, &windows.windows, context, &mut |_| {});
        let loss = self.validation_loss(model, &logits);
        let decoded = decode(model, &self.info.tags, &windows.windows, &logits);
        let tags = windows.merge(&self.info.tags, &decoded.tags);
        let predictions = self.info.predictions(&self.valid.sentences, &tags);
        let predictions = Predictions::Entities(predictions);
        Ok(selection::validation(&predictions, loss, self.best_metric))
    }
}

impl Export for TagTask {
    fn export(
        &mut self,
        model: TokenModel,
        directory: &RunDirectory,
        _context: Context<'_>,
    ) -> Result<PathBuf, TrainError> {
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

impl FinetuneTask for TagTask {}
