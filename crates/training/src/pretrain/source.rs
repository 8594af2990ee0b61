//! The host's side of pretraining: a corpus to masked sequences, side by side.

use std::ops::Range;

use bertkit_data::pretraining::corpus::Corpus;
use bertkit_data::pretraining::masking::{MaskVocabulary, Masking};
use bertkit_data::pretraining::sequences::{EpochPlan, SequenceError, SequenceSettings};
use bertkit_model::Batch;

use crate::config::PretrainConfig;
use crate::config::pretrain::PretrainingConfig;
use crate::engine::schedule::Length;
use crate::error::TrainError;

/// Sequences of a batch, masked, and what was there.
#[derive(Debug)]
pub(crate) struct MaskedBatch {
    /// The sequences as the model sees them.
    pub batch: Batch,
    /// Rows of the batch that are to be predicted, ascending.
    pub rows: Vec<usize>,
    /// What was at these rows.
    pub targets: Vec<u32>,
    /// For each of these rows a number of its own, which decides what is drawn for it: a function of
    /// the pass, the sequence and the place in it, so that it does not depend on the batch.
    pub keys: Vec<u64>,
    /// One a sequence, where sequences have labels.
    pub labels: Vec<u32>,
    /// The pass, for messages.
    pub pass: u64,
    /// Numbers of the sequences in the pass, for messages.
    pub numbers: Vec<u64>,
}

/// A part of the run with its own lengths and batches.
#[derive(Debug)]
pub(crate) struct Stage {
    /// Where it ends: updates, or a share of the run.
    pub end: End,
    pub settings: SequenceSettings,
    pub batch_size: usize,
    pub accumulation: usize,
}

/// Where a stage ends.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum End {
    /// Behind so many updates of the run.
    Step(u64),
    /// At this share of the run's time.
    Share(f64),
}

/// The parts of a run of that length, one behind the other.
pub(crate) fn stages(
    training: &PretrainingConfig,
    settings: &SequenceSettings,
    length: Length,
) -> Vec<Stage> {
    let (mut steps, mut share) = (0, 0.0);
    let mut stages: Vec<Stage> = training
        .stages
        .iter()
        .map(|stage| {
            steps += stage.steps.unwrap_or(0);
            share += stage.share.unwrap_or(0.0);
            let end = match (length, stage.steps) {
                (_, Some(_)) => End::Step(steps),
                (Length::Steps(all), None) => End::Step((all as f64 * share).round() as u64),
                (Length::Seconds(_), None) => End::Share(share),
            };
            Stage {
                end,
                settings: SequenceSettings {
                    max_length: stage.max_length.unwrap_or(settings.max_length),
                    ..settings.clone()
                },
                batch_size: stage.batch_size.unwrap_or(training.batch_size),
                accumulation: stage
                    .gradient_accumulation
                    .unwrap_or(training.gradient_accumulation),
            }
        })
        .collect();
    if stages.is_empty() {
        stages.push(Stage {
            end: End::Share(1.0),
            settings: settings.clone(),
            batch_size: training.batch_size,
            accumulation: training.gradient_accumulation,
        });
    }
    stages
}

/// A tokenised corpus, and everything that decides the batches made of it.
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

/// The order of one pass.
#[derive(Debug)]
pub(crate) struct Pass {
    plan: EpochPlan,
    batch_size: usize,
    number: u64,
}

impl Pass {
    pub fn batches(&self) -> usize {
        self.plan.len().div_ceil(self.batch_size)
    }

    /// Sequences of a batch.
    pub fn rows(&self, number: usize) -> usize {
        let first = number * self.batch_size;
        self.batch_size.min(self.plan.len().saturating_sub(first))
    }

    pub fn sequences(&self) -> usize {
        self.plan.len()
    }

    /// Tokens of the whole pass, special tokens included.
    pub fn tokens(&self) -> u64 {
        (0..self.plan.len())
            .map(|i| self.plan.length(i) as u64)
            .sum()
    }
}

/// SplitMix64's output function (Steele et al. 2014).
pub(crate) const fn mix(x: u64) -> u64 {
    let x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

pub(crate) fn sequence_error(error: SequenceError) -> TrainError {
    TrainError::Setting {
        message: error.to_string(),
        hint: error.hint().unwrap_or_default(),
    }
}

impl Source {
    /// The stage that applies behind `step` updates, at that share of the run.
    pub fn stage(&self, step: u64, share: f64) -> usize {
        let over = |stage: &&Stage| match stage.end {
            End::Step(end) => step >= end,
            End::Share(end) => share >= end,
        };
        let done = self.stages.iter().take_while(over).count();
        done.min(self.stages.len() - 1)
    }

    pub fn pass(&self, stage: usize, number: u64) -> Result<Pass, TrainError> {
        let stage = &self.stages[stage];
        let plan = EpochPlan::new(
            &self.corpus,
            &self.training,
            &stage.settings,
            self.seed,
            number,
        )
        .map_err(sequence_error)?;
        Ok(Pass {
            plan,
            batch_size: stage.batch_size,
            number,
        })
    }

    /// These sequences of the batch with that number.
    pub fn batch(&self, pass: &Pass, number: usize, rows: Range<usize>) -> MaskedBatch {
        let first = number * pass.batch_size;
        let range = first + rows.start..first + rows.end;
        self.masked(&pass.plan, range, self.seed, pass.number)
    }

    /// Batches to validate on: held-out sequences of the last stage, at most so many, with masks that
    /// are the same every time.
    pub fn validation(&self, most: usize) -> Result<Vec<MaskedBatch>, TrainError> {
        /// Tokens that go through the model together.
        const TOKENS: usize = 2048;
        if self.held_out.is_empty() {
            return Ok(Vec::new());
        }
        let settings = &self.stages[self.stages.len() - 1].settings;
        // Far from the passes of training, and from those of another seed.
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

    fn masked(&self, plan: &EpochPlan, range: Range<usize>, seed: u64, pass: u64) -> MaskedBatch {
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
            let key = mix(mix(seed ^ mix(pass)) ^ number);
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
            pass,
            numbers,
        }
    }
}

/// How sequences are built under a configuration.
pub(crate) fn sequence_settings(
    config: &PretrainConfig,
    tokenizer: &bertkit_data::tokenizer::TextTokenizer,
) -> SequenceSettings {
    let s = &config.sequences;
    // A resolved configuration says.
    let packing = s
        .packing
        .unwrap_or(bertkit_data::pretraining::sequences::Packing::Across);
    let usual = SequenceSettings::new(packing, s.max_length, tokenizer);
    SequenceSettings {
        short_probability: s.short_probability.unwrap_or(usual.short_probability),
        static_passes: s.static_passes,
        ..usual
    }
}
