//! Any objective as a task of the training loop.

use std::ops::Range;
use std::path::{Path, PathBuf};

use bertkit_data::tokenizer::TextTokenizer;
use bertkit_model::{Context, Naming};

use super::objectives::Learn;
use super::probe::Probe;
use super::source::{MaskedBatch, Pass, Source};
use crate::engine::param_groups::{ParamGroup, param_group};
use crate::engine::task::{LossSums, LossTerm, Task, Validation};
use crate::error::TrainError;
use crate::run::directory::RunDirectory;
use crate::run::setup::Export;
use crate::tasks::batches::attended;

/// Pretraining.
#[derive(Debug)]
pub(crate) struct PretrainTask<L> {
    pub learn: L,
    pub source: Source,
    /// Held-out sequences, masked once and for all.
    pub validation: Vec<MaskedBatch>,
    /// Saved beside the weights.
    pub tokenizer: TextTokenizer,
    /// Layers of the encoder that is kept.
    pub layers: usize,
    /// Layer-wise decay of the learning rate.
    pub layer_decay: f64,
    pub probe: Option<Probe>,
}

impl<L: Learn> PretrainTask<L> {
    fn save(&self, model: &L::Model, folder: &Path) -> Result<(), TrainError> {
        self.learn.save(model, folder)?;
        Ok(self.tokenizer.save(folder)?)
    }
}

impl<L: Learn> Task for PretrainTask<L> {
    type Model = L::Model;
    type Epoch = Pass;
    type Batch = MaskedBatch;

    fn stage(&self, step: u64, share: f64) -> usize {
        self.source.stage(step, share)
    }

    fn accumulation(&self, stage: usize) -> usize {
        self.source.stages[stage].accumulation
    }

    fn epoch(&self, stage: usize, number: u64) -> Result<Pass, TrainError> {
        self.source.pass(stage, number)
    }

    fn batches(&self, epoch: &Pass) -> usize {
        epoch.batches()
    }

    fn rows(&self, epoch: &Pass, number: usize) -> usize {
        epoch.rows(number)
    }

    fn batch(&self, epoch: &Pass, number: usize, rows: Range<usize>) -> MaskedBatch {
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
            batches.first().map_or(0, |batch| batch.pass)
        )
    }

    fn terms(&self) -> &[LossTerm] {
        self.learn.terms()
    }

    fn weights(&self, batch: &MaskedBatch) -> Vec<f64> {
        self.learn.counts(batch)
    }

    fn loss(
        &self,
        model: &L::Model,
        batch: &MaskedBatch,
        micro_batch: u64,
        context: Context<'_>,
    ) -> LossSums {
        self.learn.sums(model, batch, micro_batch, context).into()
    }

    fn param_group(&self, path: &str) -> ParamGroup {
        let path = path.strip_prefix("discriminator.").unwrap_or(path);
        param_group(path, self.layers, self.layer_decay, false, 0)
    }

    fn naming(&self) -> Naming {
        self.learn.naming()
    }

    fn validation_rows(&self) -> usize {
        self.validation.iter().map(|batch| batch.batch.len()).sum()
    }

    /// Nothing is chosen: the last weights of a schedule are the ones that it ends at.
    fn validate(&self, model: &L::Model, context: Context<'_>) -> Result<Validation, TrainError> {
        Ok(Validation {
            metrics: self.learn.metrics(model, &self.validation, context),
            score: None,
        })
    }

    fn probes(&self, step: u64, last: bool) -> bool {
        self.probe
            .as_ref()
            .is_some_and(|probe| probe.is_due(step, last))
    }

    fn probe(
        &self,
        model: &L::Model,
        folder: &Path,
    ) -> Result<Vec<(String, Option<f64>)>, TrainError> {
        match &self.probe {
            Some(probe) => probe.run(folder, |folder| self.save(model, folder)),
            None => Ok(Vec::new()),
        }
    }
}

impl<L: Learn> Export for PretrainTask<L> {
    fn export(
        &mut self,
        model: L::Model,
        directory: &RunDirectory,
        _context: Context<'_>,
    ) -> Result<PathBuf, TrainError> {
        // The model last: it shows that the run is finished.
        let mut helps = false;
        let helper = directory.replace_folder(HELPER, |folder| {
            helps = self.learn.save_helper(&model, folder)?;
            Ok(self.tokenizer.save(folder)?)
        })?;
        if !helps {
            std::fs::remove_dir_all(&helper).map_err(|source| TrainError::Write {
                path: helper,
                source,
            })?;
        }
        directory.replace_folder("model", |folder| self.save(&model, folder))
    }
}

/// The folder of the model that helped to train the one that is kept.
pub(crate) const HELPER: &str = "generator";
