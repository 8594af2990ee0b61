//! Loading the weights of a model to pretrain, or drawing fresh ones.

use bertkit_model::{EncoderConfig, Head, HeadPolicy, LoadReport, Model, ModelError, ModelFolder};
use burn::tensor::Device;

use crate::config::PretrainConfig;
use crate::error::TrainError;
use crate::pretrain::open::Opened;
use crate::run::model::shorten;

/// Loads models, and describes what was loaded.
pub(super) struct Loader<'a> {
    pub config: &'a PretrainConfig,
    pub opened: &'a Opened,
    pub device: Device,
    /// Lines of the run's summary.
    pub lines: &'a mut Vec<(String, String)>,
}

impl Loader<'_> {
    /// The model of the folder, with its head if it has one, or a fresh one.
    ///
    /// # Errors
    /// The weights cannot be read, or do not fit.
    pub fn single<H: Head>(&mut self) -> Result<Model<H>, TrainError> {
        let (opened, seed) = (self.opened, self.config.seed);
        let Some(folder) = &opened.folder else {
            return Ok(Model::fresh(&opened.encoder, 0, &self.device, seed));
        };
        let (model, report) = self.load(folder, &opened.encoder, seed)?;
        self.report("", &report);
        Ok(model)
    }

    /// The model of a folder under another configuration; a missing head is initialised.
    ///
    /// # Errors
    /// The weights cannot be read, or do not fit.
    pub fn load<H: Head>(
        &self,
        folder: &ModelFolder,
        config: &EncoderConfig,
        seed: u64,
    ) -> Result<(Model<H>, LoadReport), TrainError> {
        let policy = HeadPolicy::Fresh(seed);
        let loaded = Model::load_as(config, &folder.checkpoint, 0, &self.device, policy);
        Ok(loaded.map_err(ModelError::from)?)
    }

    /// Lists the fresh and the unused tensors.
    pub fn report(&mut self, prefix: &str, report: &LoadReport) {
        for (what, names) in [
            ("fresh weights", &report.fresh),
            ("not used", &report.unused),
        ] {
            if !names.is_empty() {
                self.lines.push((format!("{prefix}{what}"), shorten(names)));
            }
        }
    }
}

/// The sizes of a model, in a sentence.
pub(super) fn sizes(config: &EncoderConfig, source: &str) -> String {
    format!(
        "{} of {} layers, {} wide, {source}",
        config.family, config.num_hidden_layers, config.hidden_size
    )
}
