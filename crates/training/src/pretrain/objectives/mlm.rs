//! Masked language modelling: what was behind the masks (Devlin et al. 2019, §3.1).

use std::path::Path;

use bertkit_model::heads::MlmHead;
use bertkit_model::weights::to_vec;
use bertkit_model::{Context, EncoderConfig, MlmModel, Naming};
use burn::module::Param;
use burn::tensor::Tensor;
use rayon::prelude::*;

use super::{Learn, Mean};
use crate::engine::task::LossTerm;
use crate::error::TrainError;
use crate::pretrain::source::MaskedBatch;

/// Logits that are on the host at a time.
const LOGITS: usize = 4 << 20;

/// The loss of nothing: 0, on the graph of some hidden rows.
pub(super) fn nothing(hidden: Tensor<2>) -> Tensor<1> {
    hidden.sum() * 0.0
}

/// What a masked-LM head says of rows whose words are known.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct MlmScores {
    loss: Mean,
    right: Mean,
}

impl MlmScores {
    /// Adds rows `[m, h]` on a device without autodiff.
    pub fn add(
        &mut self,
        head: &MlmHead,
        hidden: Tensor<2>,
        words: &Param<Tensor<2>>,
        targets: &[u32],
        context: Context<'_>,
    ) {
        let [_, h] = hidden.dims();
        let v = head.bias.dims()[0];
        let block = (LOGITS / v).max(1);
        for (i, targets) in targets.chunks(block).enumerate() {
            let first = i * block;
            let rows = hidden.clone().slice([first..first + targets.len(), 0..h]);
            let logits = to_vec(head.forward(rows, words, context));
            let scored: Vec<(f64, bool)> = logits
                .par_chunks(v)
                .zip(targets)
                .map(|(row, &target)| score(row, target as usize))
                .collect();
            for (loss, right) in scored {
                self.loss.add(loss, 1);
                self.right.add(f64::from(u8::from(right)), 1);
            }
        }
    }

    pub fn loss(&self) -> Option<f64> {
        self.loss.value()
    }

    pub fn accuracy(&self) -> Option<f64> {
        self.right.value()
    }

    /// `e` to the mean loss.
    pub fn perplexity(&self) -> Option<f64> {
        self.loss().map(f64::exp)
    }
}

/// `−log p(target)`, and whether the target is the likeliest word (the first of equals).
pub(crate) fn score(logits: &[f32], target: usize) -> (f64, bool) {
    let mut best = 0;
    for (i, &logit) in logits.iter().enumerate() {
        if logit > logits[best] {
            best = i;
        }
    }
    let top = f64::from(logits[best]);
    let sum: f64 = logits.iter().map(|&x| (f64::from(x) - top).exp()).sum();
    (sum.ln() + top - f64::from(logits[target]), best == target)
}

/// Masked words alone.
#[derive(Debug)]
pub(crate) struct MaskedLm {
    config: EncoderConfig,
    terms: [LossTerm; 1],
}

impl MaskedLm {
    /// Of an encoder with that configuration.
    pub fn new(config: EncoderConfig, weight: f64) -> Self {
        Self {
            config,
            terms: [LossTerm {
                name: "mlm_loss",
                factor: weight,
            }],
        }
    }
}

impl Learn for MaskedLm {
    type Model = MlmModel;

    fn terms(&self) -> &[LossTerm] {
        &self.terms
    }

    fn counts(&self, batch: &MaskedBatch) -> Vec<f64> {
        vec![batch.rows.len() as f64]
    }

    fn sums(
        &self,
        model: &MlmModel,
        batch: &MaskedBatch,
        _micro_batch: u64,
        context: Context<'_>,
    ) -> Vec<Tensor<1>> {
        if batch.rows.is_empty() {
            return vec![nothing(model.encoder.forward_first(&batch.batch, context))];
        }
        let hidden = model
            .encoder
            .forward_rows(&batch.batch, &batch.rows, context);
        let words = &model.encoder.embeddings.word;
        vec![
            model
                .head
                .loss(hidden, words, batch.targets.clone(), context),
        ]
    }

    fn metrics(
        &self,
        model: &MlmModel,
        batches: &[MaskedBatch],
        context: Context<'_>,
    ) -> Vec<(String, Option<f64>)> {
        let mut scores = MlmScores::default();
        for batch in batches.iter().filter(|batch| !batch.rows.is_empty()) {
            let hidden = model
                .encoder
                .forward_rows(&batch.batch, &batch.rows, context);
            let words = &model.encoder.embeddings.word;
            scores.add(&model.head, hidden, words, &batch.targets, context);
        }
        vec![
            ("loss".into(), scores.loss()),
            ("mlm_accuracy".into(), scores.accuracy()),
            ("perplexity".into(), scores.perplexity()),
        ]
    }

    fn naming(&self) -> Naming {
        MlmModel::naming(self.config.family)
    }

    fn save(&self, model: &MlmModel, folder: &Path) -> Result<(), TrainError> {
        Ok(model.save(&self.config, folder)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_score_is_the_negative_log_of_the_softmax() {
        let (loss, right) = score(&[1.0, 3.0, 2.0], 2);
        let expected = (1.0_f64.exp() + 3.0_f64.exp() + 2.0_f64.exp()).ln() - 2.0;
        assert!((loss - expected).abs() < 1e-12 && !right);
        assert!(score(&[-1e30, 5.0], 1) == (0.0, true));
    }
}
