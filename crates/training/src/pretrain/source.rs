//! Masked batches of a tokenized corpus, built on the host.

use std::ops::Range;

use bertkit_data::pretraining::corpus::Corpus;
use bertkit_data::pretraining::masking::{MaskVocabulary, Masking};
use bertkit_data::pretraining::sequences::{EpochPlan, SequenceError, SequenceSettings};
use bertkit_data::tokenizer::TextTokenizer;
use bertkit_model::Batch;

use super::batch::{MaskedBatch, mix};
use super::stages::{End, Stage};
use crate::config::PretrainConfig;
use crate::error::TrainError;

/// A tokenized corpus, and everything that determines its batches.
#[derive(Debug)]
pub(crate) struct Source {
    pub corpus: Corpus,
    /// Documents to train on.
    pub training: Vec<u32>,
    /// Documents to validate on.
    pub held_out: Vec<u32>,
    /// At least one.
    pub stages: Vec<Stage>,
    pub masking: Masking,
    pub vocabulary: MaskVocabulary,
    pub seed: u64,
}

/// The order of one epoch.
#[derive(Debug)]
pub(crate) struct Epoch {
    plan: EpochPlan,
    batch_size: usize,
    number: u64,
}

impl Epoch {
    /// Number of batches.
    pub fn batches(&self) -> usize {
        self.plan.len().div_ceil(self.batch_size)
    }

    /// Number of sequences in batch `number`.
    pub fn rows(&self, number: usize) -> usize {
        let first = number * self.batch_size;
        self.batch_size.min(self.plan.len().saturating_sub(first))
    }

    /// Number of sequences.
    pub fn sequences(&self) -> usize {
        self.plan.len()
    }

    /// Number of tokens, special tokens included.
    pub fn tokens(&self) -> u64 {
        (0..self.plan.len())
            .map(|i| self.plan.length(i) as u64)
            .sum()
    }
}

pub(crate) fn sequence_error(error: SequenceError) -> TrainError {
    TrainError::Setting {
        message: error.to_string(),
        hint: error.hint().unwrap_or_default(),
    }
}

impl Source {
    /// The stage after `step` updates, at this share of the run.
    pub fn stage(&self, step: u64, share: f64) -> usize {
        let over = |stage: &&Stage| match stage.end {
            End::Step(end) => step >= end,
            End::Share(end) => share >= end,
        };
        let done = self.stages.iter().take_while(over).count();
        done.min(self.stages.len() - 1)
    }

    /// The order of an epoch.
    ///
    /// # Errors
    /// The settings do not fit the corpus.
    pub fn epoch(&self, stage: usize, number: u64) -> Result<Epoch, TrainError> {
        let stage = &self.stages[stage];
        let plan = EpochPlan::new(
            &self.corpus,
            &self.training,
            &stage.settings,
            self.seed,
            number,
        )
        .map_err(sequence_error)?;
        Ok(Epoch {
            plan,
            batch_size: stage.batch_size,
            number,
        })
    }

    /// The micro-batch of these sequences of batch `number`.
    pub fn batch(&self, epoch: &Epoch, number: usize, rows: Range<usize>) -> MaskedBatch {
        let first = number * epoch.batch_size;
        let range = first + rows.start..first + rows.end;
        self.masked(&epoch.plan, range, self.seed, epoch.number)
    }

    /// Batches to validate on: at most `most` held-out sequences of the last stage, always with the same
    /// masks.
    pub fn validation(&self, most: usize) -> Result<Vec<MaskedBatch>, TrainError> {
        /// Tokens per batch.
        const TOKENS: usize = 2048;
        if self.held_out.is_empty() {
            return Ok(Vec::new());
        }
        let settings = &self.stages[self.stages.len() - 1].settings;
        // Different from the training epochs of this seed and of similar seeds.
        let seed = self.seed ^ 0x7661_6c69_6461_7465;
        let plan = EpochPlan::new(&self.corpus, &self.held_out, settings, seed, 0)
            .map_err(sequence_error)?;
        let count = plan.len().min(most);
        let (mut batches, mut first, mut tokens) = (Vec::new(), 0, 0);
        for i in 0..count {
            tokens += plan.length(i);
            if tokens >= TOKENS || i + 1 == count {
                batches.push(self.masked(&plan, first..i + 1, seed, 0));
                (first, tokens) = (i + 1, 0);
            }
        }
        Ok(batches)
    }

    /// Builds and masks the sequences of a plan.
    fn masked(&self, plan: &EpochPlan, range: Range<usize>, seed: u64, epoch: u64) -> MaskedBatch {
        let tokens: usize = range.clone().map(|i| plan.length(i)).sum();
        let mut input_ids = Vec::with_capacity(tokens);
        let mut types = Vec::with_capacity(tokens);
        let mut lengths = Vec::with_capacity(range.len());
        let (mut rows, mut targets, mut keys) = (Vec::new(), Vec::new(), Vec::new());
        let (mut labels, mut numbers) = (Vec::new(), Vec::new());
        for i in range {
            let sequence = plan.sequence(&self.corpus, i);
            let number = plan.number(i);
            let masked = self
                .masking
                .mask(&sequence, &self.vocabulary, seed, plan.pass(), number);
            let start = input_ids.len();
            rows.extend(masked.positions.iter().map(|&p| start + p as usize));
            targets.extend(masked.targets);
            let key = mix(mix(seed ^ mix(epoch)) ^ number);
            keys.extend(masked.positions.iter().map(|&p| mix(key ^ u64::from(p))));
            input_ids.extend(masked.input_ids);
            // Token types are 0 and 1.
            types.extend(sequence.type_ids.iter().map(|&t| t as u8));
            lengths.push(sequence.ids.len());
            labels.extend(sequence.label);
            numbers.push(number);
        }
        MaskedBatch {
            batch: Batch::new(input_ids, types, &lengths),
            rows,
            targets,
            keys,
            labels,
            epoch,
            numbers,
        }
    }
}

/// How sequences are built, according to a configuration.
pub(crate) fn sequence_settings(
    config: &PretrainConfig,
    tokenizer: &TextTokenizer,
) -> SequenceSettings {
    let s = &config.sequences;
    // A resolved configuration has a packing.
    let packing = s.packing.unwrap_or_else(|| config.objective.packing());
    let defaults = SequenceSettings::new(packing, s.max_length, tokenizer);
    SequenceSettings {
        short_probability: s.short_probability.unwrap_or(defaults.short_probability),
        static_passes: s.static_passes,
        ..defaults
    }
}
