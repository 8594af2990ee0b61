//! Pretraining as a task of the training loop.

use std::ops::Range;
use std::path::{Path, PathBuf};

use bertkit_data::tokenizer::TextTokenizer;
use bertkit_model::{Context, LayerDepths, Naming};

use super::batch::MaskedBatch;
use super::model::PretrainModel;
use super::objective_sum::ObjectiveSum;
use super::probe::Probe;
use super::source::{Epoch, Source};
use crate::engine::param_groups::{ParamGroup, param_group};
use crate::engine::task::{LossSums, LossTerm, Task, Validation};
use crate::error::TrainError;
use crate::run::directory::RunDirectory;
use crate::run::setup::Export;
use crate::tasks::batches::attended;

/// The folder in a run directory that holds the generator.
pub(crate) const GENERATOR_DIR: &str = "generator";

/// The batches and objectives of a run.
#[derive(Debug)]
pub(crate) struct PretrainTask<M: PretrainModel> {
    pub objectives: ObjectiveSum<M>,
    pub source: Source,
    /// Held-out sequences, with fixed masks.
    pub validation: Vec<MaskedBatch>,
    /// Saved next to the weights.
    pub tokenizer: TextTokenizer,
    /// Layers of the encoder that is kept.
    pub layers: LayerDepths,
    /// Layer-wise decay of the learning rate.
    pub layer_decay: f64,
    pub probe: Option<Probe>,
}

impl<M: PretrainModel> PretrainTask<M> {
    fn save(&self, model: &M, folder: &Path) -> Result<(), TrainError> {
        self.objectives.save(model, folder)?;
        Ok(self.tokenizer.save(folder)?)
    }
}

impl<M: PretrainModel> Task for PretrainTask<M> {
    type Model = M;
    type Epoch = Epoch;
    type Batch = MaskedBatch;

    fn stage(&self, step: u64, share: f64) -> usize {
        self.source.stage(step, share)
    }

    fn accumulation(&self, stage: usize) -> usize {
        self.source.stages[stage].accumulation
    }

    fn epoch(&self, stage: usize, number: u64) -> Result<Epoch, TrainError> {
        self.source.epoch(stage, number)
    }

    fn batches(&self, epoch: &Epoch) -> usize {
        epoch.batches()
    }

    fn rows(&self, epoch: &Epoch, number: usize) -> usize {
        epoch.rows(number)
    }

    fn batch(&self, epoch: &Epoch, number: usize, rows: Range<usize>) -> MaskedBatch {
        self.source.batch(epoch, number, rows)
    }

    fn tokens(&self, batch: &MaskedBatch) -> usize {
        batch.batch.tokens()
    }

    fn attended(&self, batch: &MaskedBatch) -> usize {
        attended(&batch.batch)
    }

    fn describe(&self, batches: &[MaskedBatch]) -> String {
        const SHOWN: usize = 32;
        let numbers: Vec<u64> = batches.iter().flat_map(|b| b.numbers.clone()).collect();
        let shown: Vec<String> = numbers.iter().take(SHOWN).map(u64::to_string).collect();
        let more = match numbers.len().saturating_sub(SHOWN) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        format!(
            "the sequences {}{more} of pass {} over the corpus",
            shown.join(", "),
            batches.first().map_or(0, |batch| batch.epoch)
        )
    }

    fn terms(&self) -> &[LossTerm] {
        self.objectives.terms()
    }

    fn weights(&self, batch: &MaskedBatch) -> Vec<f64> {
        self.objectives.items(batch)
    }

    fn loss(
        &self,
        model: &M,
        batch: &MaskedBatch,
        micro_batch: u64,
        context: Context<'_>,
    ) -> LossSums {
        self.objectives
            .sums(model, batch, micro_batch, context)
            .into()
    }

    fn param_group(&self, path: &str) -> ParamGroup {
        let path = path.strip_prefix("discriminator.").unwrap_or(path);
        param_group(path, &self.layers, self.layer_decay, false, 0)
    }

    fn naming(&self) -> Naming {
        self.objectives.naming()
    }

    fn validation_rows(&self) -> usize {
        self.validation.iter().map(|batch| batch.batch.len()).sum()
    }

    /// No score: the run keeps the last weights, at which its schedule ends.
    fn validate(&self, model: &M, context: Context<'_>) -> Result<Validation, TrainError> {
        Ok(Validation {
            metrics: self.objectives.metrics(model, &self.validation, context),
            score: None,
        })
    }

    fn probes(&self, step: u64, last: bool) -> bool {
        self.probe
            .as_ref()
            .is_some_and(|probe| probe.is_due(step, last))
    }

    fn probe(&self, model: &M, folder: &Path) -> Result<Vec<(String, Option<f64>)>, TrainError> {
        match &self.probe {
            Some(probe) => probe.run(folder, |folder| self.save(model, folder)),
            None => Ok(Vec::new()),
        }
    }
}

impl<M: PretrainModel> Export for PretrainTask<M> {
    fn export(
        &mut self,
        model: M,
        directory: &RunDirectory,
        _context: Context<'_>,
    ) -> Result<PathBuf, TrainError> {
        // The model last: its folder marks the run as finished.
        let mut exists = false;
        let generator = directory.replace_folder(GENERATOR_DIR, |folder| {
            exists = self.objectives.save_generator(&model, folder)?;
            Ok(self.tokenizer.save(folder)?)
        })?;
        if !exists {
            std::fs::remove_dir_all(&generator).map_err(|source| TrainError::Write {
                path: generator,
                source,
            })?;
        }
        directory.replace_folder("model", |folder| self.save(&model, folder))
    }
}
