//! Pretraining of one encoder: with a masked-LM head, or with BERT's heads for masks and pairs.

use std::borrow::Cow;
use std::path::Path;

use bertkit_model::{Context, EncoderConfig, MlmModel, Naming, PretrainingModel};

use crate::error::TrainError;
use crate::pretrain::batch::MaskedBatch;
use crate::pretrain::descriptor::{Descriptor, LossSettings};
use crate::pretrain::loss::{Forward, Loss};
use crate::pretrain::model::PretrainModel;

impl PretrainModel for MlmModel {
    type Config = EncoderConfig;

    fn loss_of(objective: &dyn Descriptor, settings: &LossSettings) -> Option<Box<dyn Loss<Self>>> {
        objective.on_masked_lm(settings)
    }

    fn forward<'a>(
        &'a self,
        batch: &'a MaskedBatch,
        _seed: u64,
        _micro_batch: u64,
        context: Context<'a>,
    ) -> Forward<'a, Self> {
        let encoder = &self.encoder;
        let (masked, first) = if batch.rows.is_empty() {
            (None, Some(encoder.forward_first(&batch.batch, context)))
        } else {
            let masked = encoder.forward_rows(&batch.batch, &batch.rows, context);
            (Some(masked), None)
        };
        Forward {
            model: self,
            batch,
            context,
            decoder: (
                Cow::Borrowed(&self.head),
                Cow::Borrowed(&encoder.embeddings.word),
            ),
            masked,
            first,
        }
    }

    fn naming(config: &EncoderConfig) -> Naming {
        Self::naming(config)
    }

    fn save(&self, config: &EncoderConfig, folder: &Path) -> Result<(), TrainError> {
        Ok(self.save(config, folder)?)
    }
}

impl PretrainModel for PretrainingModel {
    type Config = EncoderConfig;

    fn loss_of(objective: &dyn Descriptor, settings: &LossSettings) -> Option<Box<dyn Loss<Self>>> {
        objective.on_pretraining(settings)
    }

    fn forward<'a>(
        &'a self,
        batch: &'a MaskedBatch,
        _seed: u64,
        _micro_batch: u64,
        context: Context<'a>,
    ) -> Forward<'a, Self> {
        let (m, b) = (batch.rows.len(), batch.batch.len());
        let first = batch.batch.sequences.first_rows();
        let rows: Vec<usize> = batch.rows.iter().copied().chain(first).collect();
        let hidden = self.encoder.forward_rows(&batch.batch, &rows, context);
        let [_, h] = hidden.dims();
        let first = hidden.clone().slice([m..m + b, 0..h]);
        Forward {
            model: self,
            batch,
            context,
            decoder: (
                Cow::Borrowed(&self.head.mlm),
                Cow::Borrowed(&self.encoder.embeddings.word),
            ),
            masked: (m > 0).then(|| hidden.slice([0..m, 0..h])),
            first: Some(first),
        }
    }

    fn naming(config: &EncoderConfig) -> Naming {
        Self::naming(config)
    }

    fn save(&self, config: &EncoderConfig, folder: &Path) -> Result<(), TrainError> {
        Ok(self.save(config, folder)?)
    }
}
