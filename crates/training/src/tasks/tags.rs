//! One tag a word: named entities.

use std::ops::Range;
use std::path::{Path, PathBuf};

use bertkit_data::DataError;
use bertkit_data::batches::{BatchPolicy, PackedBatch, plan};
use bertkit_data::columns::Column;
use bertkit_data::sources::tagged::{TagLevel, TagPolicy, TaggedOptions};
use bertkit_data::sources::{Format, parse_delimiter};
use bertkit_data::tagging::TaggedSentence;
use bertkit_data::tagging::alignment::{
    LabelledTokens, TagWindow, TagWindowOptions, TagWindows, tag_windows,
};
use bertkit_data::tagging::{DEFAULT_TYPE, Scheme, TagSet};
use bertkit_data::tokenizer::TextTokenizer;
use bertkit_evaluation::{EntityPredictions, Metric, Predictions};
use bertkit_model::heads::Crf;
use bertkit_model::losses::ClassLoss;
use bertkit_model::weights::to_vec;
use bertkit_model::{Batch, Context, EncoderConfig, Naming, TokenModel};
use burn::tensor::{Device, Int, Tensor, TensorData};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::crf::{Chain, Likelihood, Scores, first_best};
use super::{FineTuned, attended, inference_batches};
use crate::config::{DataConfig, LossConfig, TagHead, TrainingConfig};
use crate::engine::param_groups::{ParamGroup, param_group};
use crate::engine::task::{LossSums, LossTerm, Task, Validation};
use crate::error::TrainError;
use crate::run::directory::{RunDirectory, write_atomically};
use crate::run::setup::Export;

/// Says in `bertkit.json` that words are tagged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TagTaskName {
    /// Named entities.
    Ner,
}

/// How a tagger's words are tagged, and how its files were read; `bertkit.json` in the model's folder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TagInfo {
    /// What tells these files from those of other tasks.
    pub task: TagTaskName,
    /// The tags, by output.
    pub tags: TagSet,
    /// Their scheme.
    pub scheme: Scheme,
    /// What chooses the tags of a sentence.
    pub head: TagHead,
    /// Which tokens of a word were trained to give its tag.
    pub label: LabelledTokens,
    /// Tokens that neighbouring windows of a long sentence share, at least.
    pub overlap: usize,
    /// Longest window in tokens.
    pub max_length: usize,
    /// How the training file was read.
    pub columns: TagColumns,
}

/// Where words and tags stand in a file; what is not said finds out by itself.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TagColumns {
    /// The format.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<Format>,
    /// The character between the fields of CSV, or its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delimiter: Option<String>,
    /// The column of the words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub word: Option<String>,
    /// The column of the tags.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// The column of the ids of sentences, in CSV.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sentence: Option<String>,
    /// Outer entities or those within.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub level: Option<TagLevel>,
    /// The type of entities whose tags are bare letters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub type_name: Option<String>,
}

impl From<&DataConfig> for TagColumns {
    fn from(data: &DataConfig) -> Self {
        Self {
            format: data.format,
            delimiter: data.delimiter.clone(),
            word: data.word_column.clone(),
            tag: data.tag_column.clone(),
            sentence: data.sentence_column.clone(),
            level: data.level,
            type_name: data.type_name.clone(),
        }
    }
}

impl TagColumns {
    /// These where they say something, otherwise `others`. Another format has other columns.
    #[must_use]
    pub fn or(self, others: &Self) -> Self {
        if self.format.is_some() && self.format != others.format {
            return Self {
                type_name: self.type_name.or_else(|| others.type_name.clone()),
                ..self
            };
        }
        Self {
            format: self.format.or(others.format),
            delimiter: self.delimiter.or_else(|| others.delimiter.clone()),
            word: self.word.or_else(|| others.word.clone()),
            tag: self.tag.or_else(|| others.tag.clone()),
            sentence: self.sentence.or_else(|| others.sentence.clone()),
            level: self.level.or(others.level),
            type_name: self.type_name.or_else(|| others.type_name.clone()),
        }
    }

    /// The options for reading a file.
    ///
    /// # Errors
    /// The delimiter is none.
    pub fn options(&self, tags: TagPolicy) -> Result<TaggedOptions, DataError> {
        let column = |name: &Option<String>| name.as_deref().map(Column::from);
        let delimiter = self.delimiter.as_deref().map(parse_delimiter).transpose()?;
        Ok(TaggedOptions {
            format: self.format,
            word: column(&self.word),
            tag: column(&self.tag),
            sentence: column(&self.sentence),
            delimiter,
            tags,
            level: self.level.unwrap_or_default(),
            entity_type: self
                .type_name
                .clone()
                .unwrap_or_else(|| DEFAULT_TYPE.into()),
            ..TaggedOptions::default()
        })
    }
}

impl TagInfo {
    /// The name of a tag, with its type even where the model's tags are bare letters.
    fn full_name(&self, tag: usize) -> String {
        let name = &self.tags.names()[tag];
        match (name.len(), self.tags.types()) {
            (1, [kind]) if tag != self.tags.outside() => format!("{name}-{kind}"),
            _ => name.clone(),
        }
    }

    /// The tags of sentences as their scores read them: truth in BIO, predictions in BIO as the model gave them, broken
    /// or not; those of other schemes by the entities that they mark.
    ///
    /// # Panics
    /// If there are not as many tags as words.
    pub fn predictions(
        &self,
        sentences: &[TaggedSentence],
        tags: &[Vec<usize>],
    ) -> EntityPredictions {
        let predicted = |(sentence, tags): (&TaggedSentence, &Vec<usize>)| match self.scheme {
            Scheme::Bio => tags.iter().map(|&tag| self.full_name(tag)).collect(),
            _ => Scheme::Bio.tags(&self.tags.entities(tags), sentence.len()),
        };
        let gold = |sentence: &TaggedSentence| {
            let outside = || vec!["O".to_owned(); sentence.len()];
            sentence.tags(Scheme::Bio).unwrap_or_else(outside)
        };
        EntityPredictions {
            gold: sentences.iter().map(gold).collect(),
            predicted: sentences.iter().zip(tags).map(predicted).collect(),
        }
    }

    /// How sentences are cut.
    pub(crate) fn windows(&self) -> TagWindowOptions {
        TagWindowOptions {
            max_length: self.max_length,
            overlap: self.overlap,
            labelled: self.label,
        }
    }
}

/// Sentences and the windows that the model reads of them.
#[derive(Debug)]
pub(crate) struct TaggedRows {
    pub sentences: Vec<TaggedSentence>,
    pub windows: TagWindows,
}

impl TaggedRows {
    /// Cuts sentences into windows. Those without a target stay: they are not learnt from, but tagged.
    pub fn new(
        sentences: Vec<TaggedSentence>,
        info: &TagInfo,
        tokenizer: &TextTokenizer,
    ) -> Result<Self, TrainError> {
        let windows = tag_windows(&sentences, Some(&info.tags), tokenizer, &info.windows())?;
        Ok(Self { sentences, windows })
    }
}

/// Tags, and how likely each was.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Decoded {
    /// One for each word that begins in each window.
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
    let packed = PackedBatch::pack(&encodings, &all);
    let types = packed.token_type_ids.iter().map(|&t| t as u8).collect();
    Batch::new(packed.input_ids, types, &packed.lengths)
}

/// The logits of the first token of each word that begins in each window, `[words, tags]` each. `progress` hears how
/// many windows are done.
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
    /// The packed rows that are read: those with a target, or, for a CRF, the first of each word.
    rows: Vec<usize>,
    /// What they should give, if it is known.
    targets: Vec<Option<usize>>,
    /// The part of `rows` that each window has.
    parts: Vec<Range<usize>>,
}

/// One tag a word, as a [`Task`].
#[derive(Debug)]
pub struct TagTask {
    /// What the tags are.
    pub(crate) info: TagInfo,
    /// The encoder's configuration, with labels, for the folder that is exported.
    pub(crate) model_config: EncoderConfig,
    /// Saved beside the weights.
    pub(crate) tokenizer: TextTokenizer,
    /// Sentences to learn from.
    pub(crate) train: TaggedRows,
    /// The windows of `train` that have a target.
    pub(crate) learnt: Vec<usize>,
    /// Sentences to choose by; none if there are none.
    pub(crate) valid: TaggedRows,
    /// What is minimised, without a CRF.
    pub(crate) loss: LossConfig,
    /// How many times faster than the rest a CRF is learnt.
    pub(crate) crf_rate: f64,
    /// What chooses the best weights; `None` is the validation loss.
    pub(crate) best_metric: Option<Metric>,
    /// Decides the order of windows.
    pub(crate) seed: u64,
    /// Batches and frozen parts.
    pub(crate) training: TrainingConfig,
    /// Layer-wise decay of the learning rate.
    pub(crate) layer_decay: f64,
}

impl TagTask {
    /// Tokens of the windows that are learnt from.
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

    /// The loss of a CRF, summed over the windows: likelihoods and their derivatives are found on the host, and enter
    /// the graph as a sum of products that has the same value and the same derivatives.
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

    /// Mean loss on the first tokens of the validation words whose tag is known, from logits already computed.
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
            self.model_config.num_hidden_layers,
            self.layer_decay,
            self.training.freeze_embeddings,
            self.training.freeze_layers,
        )
    }

    fn naming(&self) -> Naming {
        TokenModel::naming(self.model_config.family)
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
        Ok(Validation::new(&predictions, loss, self.best_metric))
    }
}

impl Export for TagTask {
    fn export(
        &mut self,
        model: TokenModel,
        directory: &RunDirectory,
        _context: Context<'_>,
    ) -> Result<PathBuf, TrainError> {
        directory.replace_folder("model", |folder| self.save(&model, folder))
    }
}

impl FineTuned for TagTask {}

impl TagTask {
    fn save(&self, model: &TokenModel, folder: &Path) -> Result<(), TrainError> {
        model.save(&self.model_config, folder)?;
        self.tokenizer.save(folder)?;
        let path = folder.join(super::TaskInfo::FILE);
        let text = serde_json::to_string_pretty(&self.info).map_err(|e| TrainError::Write {
            path: path.clone(),
            source: e.into(),
        })?;
        write_atomically(&path, (text + "\n").as_bytes())
    }
}
