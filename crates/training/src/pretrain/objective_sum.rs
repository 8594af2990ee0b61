//! The weighted sum of a run's objectives on their common model.

use std::path::Path;

use bertkit_model::{Context, Naming};
use burn::tensor::Tensor;

use super::batch::MaskedBatch;
use super::descriptor::LossSettings;
use super::loss::{Loss, Report};
use super::model::PretrainModel;
use super::objective_list::ObjectiveList;
use crate::engine::task::LossTerm;
use crate::error::TrainError;

/// The objectives of a run on a model.
#[derive(Debug)]
pub(crate) struct ObjectiveSum<M: PretrainModel> {
    config: M::Config,
    /// Keys the dropout of a generator.
    seed: u64,
    terms: Vec<LossTerm>,
    losses: Vec<Box<dyn Loss<M>>>,
}

impl<M: PretrainModel> ObjectiveSum<M> {
    /// The losses of the objectives on this kind of model; `None` if it lacks a head for one of them.
    pub fn losses(
        objectives: &ObjectiveList,
        settings: &LossSettings,
    ) -> Option<Vec<Box<dyn Loss<M>>>> {
        let losses = objectives
            .active()
            .map(|(objective, _)| M::loss_of(objective, settings));
        losses.collect()
    }

    /// The sum of these losses, on a model with these sizes.
    pub fn new(
        objectives: &ObjectiveList,
        losses: Vec<Box<dyn Loss<M>>>,
        config: M::Config,
        seed: u64,
    ) -> Self {
        let terms = objectives.active().map(|(objective, factor)| LossTerm {
            name: objective.loss_name(),
            factor,
        });
        Self {
            config,
            seed,
            terms: terms.collect(),
            losses,
        }
    }

    /// The terms of the loss.
    pub fn terms(&self) -> &[LossTerm] {
        &self.terms
    }

    /// The number of items of each term in a batch.
    pub fn items(&self, batch: &MaskedBatch) -> Vec<f64> {
        self.losses.iter().map(|loss| loss.items(batch)).collect()
    }

    /// The sum of each term over its items, `[1]` each. All random draws are functions of the seed and
    /// of `micro_batch`.
    pub fn sums(
        &self,
        model: &M,
        batch: &MaskedBatch,
        micro_batch: u64,
        context: Context<'_>,
    ) -> Vec<Tensor<1>> {
        let forward = model.forward(batch, self.seed, micro_batch, context);
        self.losses.iter().map(|loss| loss.sum(&forward)).collect()
    }

    /// Metrics on held-out sequences: the loss, the metrics and diagnostics of each objective and, if there are
    /// several, the loss of each.
    pub fn metrics(
        &self,
        model: &M,
        batches: &[MaskedBatch],
        context: Context<'_>,
    ) -> Vec<(String, Option<f64>)> {
        let mut scores: Vec<_> = self.losses.iter().map(|loss| loss.scores()).collect();
        for batch in batches {
            let forward = model.forward(batch, self.seed, 0, context);
            scores.iter_mut().for_each(|scores| scores.add(&forward));
        }
        let reports: Vec<Report> = scores.into_iter().map(|scores| scores.report()).collect();
        let losses = || self.terms.iter().zip(&reports);
        let total = match reports.as_slice() {
            // The perplexity is that of this loss, regardless of its weight.
            [only] => only.loss,
            _ => losses()
                .map(|(term, report)| report.loss.map(|loss| term.factor * loss))
                .sum(),
        };
        let mut metrics = vec![("loss".to_owned(), total)];
        metrics.extend(reports.iter().flat_map(|report| report.metrics.clone()));
        metrics.extend(reports.iter().flat_map(|report| report.diagnostics.clone()));
        if reports.len() > 1 {
            metrics.extend(losses().map(|(term, report)| (term.name.to_owned(), report.loss)));
        }
        metrics
    }

    /// The names of the parameters in checkpoints.
    pub fn naming(&self) -> Naming {
        M::naming(&self.config)
    }

    /// Writes the model in the format of transformers.
    pub fn save(&self, model: &M, folder: &Path) -> Result<(), TrainError> {
        model.save(&self.config, folder)
    }

    /// Writes the generator, if there is one; returns whether there is.
    pub fn save_generator(&self, model: &M, folder: &Path) -> Result<bool, TrainError> {
        model.save_generator(&self.config, folder)
    }
}
