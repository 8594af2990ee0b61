//! Masked words, and what two segments have to do with each other: next sentence (Devlin et al.
//! 2019, §3.1) or sentence order (Lan et al. 2020, §3.1).

use std::path::Path;

use bertkit_model::losses::ClassLoss;
use bertkit_model::weights::to_vec;
use bertkit_model::{Context, EncoderConfig, Naming, PretrainingModel};
use burn::tensor::{Int, Tensor, TensorData};

use super::mlm::{MlmScores, nothing};
use super::{Learn, Mean};
use crate::engine::task::LossTerm;
use crate::error::TrainError;
use crate::pretrain::source::MaskedBatch;

/// Masked words and pairs of segments, on the head of `BertForPreTraining`.
#[derive(Debug)]
pub(crate) struct SegmentPairs {
    config: EncoderConfig,
    terms: [LossTerm; 2],
}

impl SegmentPairs {
    /// Of an encoder with that configuration. `name` is that of the loss of pairs.
    pub fn new(config: EncoderConfig, mlm: f64, name: &'static str, weight: f64) -> Self {
        let terms = [("mlm_loss", mlm), (name, weight)];
        Self {
            config,
            terms: terms.map(|(name, factor)| LossTerm { name, factor }),
        }
    }

    /// Hidden rows that are masked, `[m, h]`, where there are any, the first row of each sequence, and
    /// logits of pairs, `[batch, 2]`.
    fn outputs(
        model: &PretrainingModel,
        batch: &MaskedBatch,
        context: Context<'_>,
    ) -> (Option<Tensor<2>>, Tensor<2>, Tensor<2>) {
        let (m, b) = (batch.rows.len(), batch.batch.len());
        let first = batch.batch.sequences.first_rows();
        let rows: Vec<usize> = batch.rows.iter().copied().chain(first).collect();
        let hidden = model.encoder.forward_rows(&batch.batch, &rows, context);
        let [_, h] = hidden.dims();
        let first = hidden.clone().slice([m..m + b, 0..h]);
        let pooled = model.encoder.pool(first.clone(), context);
        let pairs = model.head.next_sentence(pooled, context);
        let masked = (m > 0).then(|| hidden.slice([0..m, 0..h]));
        (masked, first, pairs)
    }
}

impl Learn for SegmentPairs {
    type Model = PretrainingModel;

    fn terms(&self) -> &[LossTerm] {
        &self.terms
    }

    fn counts(&self, batch: &MaskedBatch) -> Vec<f64> {
        vec![batch.rows.len() as f64, batch.labels.len() as f64]
    }

    fn sums(
        &self,
        model: &PretrainingModel,
        batch: &MaskedBatch,
        _micro_batch: u64,
        context: Context<'_>,
    ) -> Vec<Tensor<1>> {
        let (hidden, first, pairs) = Self::outputs(model, batch, context);
        let device = pairs.device();
        let words = &model.encoder.embeddings.word;
        let n = batch.labels.len();
        let labels: Vec<i32> = batch.labels.iter().map(|&label| label as i32).collect();
        let labels: Tensor<1, Int> = Tensor::from_data(TensorData::new(labels, [n]), &device);
        let each = Tensor::ones([n], &device);
        let mlm = &model.head.mlm;
        vec![
            hidden.map_or_else(
                || nothing(first),
                |hidden| mlm.loss(hidden, words, batch.targets.clone(), context),
            ),
            ClassLoss::CROSS_ENTROPY.per_row(pairs, labels, each).sum(),
        ]
    }

    fn metrics(
        &self,
        model: &PretrainingModel,
        batches: &[MaskedBatch],
        context: Context<'_>,
    ) -> Vec<(String, Option<f64>)> {
        let mut words = MlmScores::default();
        let (mut loss, mut right) = (Mean::default(), Mean::default());
        for batch in batches {
            let (hidden, _, pairs) = Self::outputs(model, batch, context);
            if let Some(hidden) = hidden {
                let table = &model.encoder.embeddings.word;
                words.add(&model.head.mlm, hidden, table, &batch.targets, context);
            }
            for (logits, &label) in to_vec(pairs).chunks(2).zip(&batch.labels) {
                // log(1 + e^(other − own)), without overflow.
                let label = label as usize;
                let behind = f64::from(logits[1 - label]) - f64::from(logits[label]);
                loss.add(behind.max(0.0) + (-behind.abs()).exp().ln_1p(), 1);
                right.add(f64::from(u8::from(behind < 0.0)), 1);
            }
        }
        let [mlm, pair] = self.terms;
        let parts = words.loss().zip(loss.value());
        let total = parts.map(|(m, p)| mlm.factor * m + pair.factor * p);
        let accuracy = pair.name.replace("_loss", "_accuracy");
        vec![
            ("loss".into(), total),
            ("mlm_accuracy".into(), words.accuracy()),
            ("perplexity".into(), words.perplexity()),
            (accuracy, right.value()),
            (mlm.name.into(), words.loss()),
            (pair.name.into(), loss.value()),
        ]
    }

    fn naming(&self) -> Naming {
        PretrainingModel::naming(self.config.family)
    }

    fn save(&self, model: &PretrainingModel, folder: &Path) -> Result<(), TrainError> {
        Ok(model.save(&self.config, folder)?)
    }
}
