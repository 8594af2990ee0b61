//! The models that pretraining trains: an encoder, and the heads that its objectives read.

use std::fmt::Debug;
use std::path::Path;

use bertkit_model::{Context, Naming};
use burn::module::Module;

use super::batch::MaskedBatch;
use super::descriptor::{Descriptor, LossSettings};
use super::loss::{Forward, Loss};
use crate::error::TrainError;

/// A model that objectives train: an encoder with the heads that they read.
pub(crate) trait PretrainModel: Module + Sized {
    /// The sizes of the model.
    type Config: Debug + Sync;

    /// The loss of an objective on this kind of model, if it has the head for it.
    fn loss_of(objective: &dyn Descriptor, settings: &LossSettings) -> Option<Box<dyn Loss<Self>>>;

    /// Runs the encoder that fills masks. `seed` and `micro_batch` key the dropout of a generator.
    fn forward<'a>(
        &'a self,
        batch: &'a MaskedBatch,
        seed: u64,
        micro_batch: u64,
        context: Context<'a>,
    ) -> Forward<'a, Self>;

    /// The names of the parameters in checkpoints.
    fn naming(config: &Self::Config) -> Naming;

    /// Writes the model in the format of transformers.
    fn save(&self, config: &Self::Config, folder: &Path) -> Result<(), TrainError>;

    /// Writes the generator, if there is one; returns whether there is.
    fn save_generator(&self, _config: &Self::Config, _folder: &Path) -> Result<bool, TrainError> {
        Ok(false)
    }
}
