//! A trained model, opened for prediction from a run directory or a model folder.

use std::path::{Path, PathBuf};

use bertkit_data::tokenizer::TextTokenizer;
use bertkit_model::{DeviceSpec, Head, HeadPolicy, Model, ModelError, ModelFolder, Precision};
use burn::tensor::Device;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{TrainError, setting};
use crate::run::devices::Inference;
use crate::run::environment::verify_model;
use crate::run::files::write_atomically;
use crate::run::model::{model_folder, open_tokenizer};
use bertkit_model::EncoderConfig;

/// The file next to the weights that describes a model's task.
pub(crate) const DESCRIPTION: &str = "bertkit.json";

/// A trained model with its tokenizer and the description of its task, `I`.
#[derive(Debug)]
pub struct TrainedModel<H: Head, I> {
    pub(crate) model: Model<H>,
    pub(crate) tokenizer: TextTokenizer,
    pub(crate) info: I,
    pub(crate) inference: Inference,
    notes: Vec<String>,
    run: Option<PathBuf>,
}

impl<H: Head, I> TrainedModel<H, I> {
    /// Sets the matmul precision; f32 is the default.
    ///
    /// # Errors
    /// The device does not support it.
    pub fn in_precision(mut self, precision: Precision) -> Result<Self, TrainError> {
        self.inference.set(precision)?;
        Ok(self)
    }

    /// What the model's outputs mean, and how its inputs are read.
    pub fn info(&self) -> &I {
        &self.info
    }

    /// Notes about the folder, for the user.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The run directory, if one was opened.
    pub fn run_directory(&self) -> Option<&Path> {
        self.run.as_deref()
    }
}

/// An opened model folder, from which a [`TrainedModel`] is built.
pub(crate) struct OpenedFolder {
    /// The path that was given: a run directory or a model folder.
    path: PathBuf,
    /// The model folder.
    pub folder: PathBuf,
    /// Its configuration and weights.
    pub files: ModelFolder,
    /// Notes for the user.
    pub notes: Vec<String>,
    inference: Inference,
}

impl OpenedFolder {
    /// Opens the model of a run directory, or a model folder.
    ///
    /// # Errors
    /// There is no model, it cannot be read, or the device cannot be used.
    pub fn open(path: &Path, device: DeviceSpec) -> Result<Self, TrainError> {
        let folder = model_folder(path);
        let files = ModelFolder::open(&folder)?;
        if folder != path {
            verify_model(path)?;
        }
        Ok(Self {
            path: path.into(),
            folder,
            files,
            notes: Vec::new(),
            inference: Inference::on(device)?,
        })
    }

    /// The device of the weights.
    pub fn device(&self) -> Device {
        self.inference.device.device.clone()
    }

    /// The path of the description, whether it exists or not.
    pub fn description_path(&self) -> PathBuf {
        self.folder.join(DESCRIPTION)
    }

    /// The description next to the weights; `None` if another program saved the model.
    ///
    /// # Errors
    /// It cannot be read or parsed.
    pub fn description<I: DeserializeOwned>(&self) -> Result<Option<I>, TrainError> {
        let path = self.description_path();
        if !path.is_file() {
            return Ok(None);
        }
        let text = std::fs::read_to_string(&path).map_err(|source| TrainError::Read {
            path: path.clone(),
            source,
        })?;
        serde_json::from_str(&text).map(Some).map_err(|e| {
            setting(
                format!("`{}` cannot be read: {e}", path.display()),
                "train again, or remove that file to use the model as transformers would",
            )
        })
    }

    /// The error for a part of the head that is in the description but not in the weights.
    pub fn lacks_weights(&self, what: &str) -> TrainError {
        setting(
            format!("`{}` says that {what}", self.description_path().display()),
            format!("take weights and `{DESCRIPTION}` from the same folder"),
        )
    }

    /// Refuses a head whose number of outputs is not the number of `names` (classes or tags).
    ///
    /// # Errors
    /// They differ.
    pub fn check_outputs(&self, expected: usize, names: &str) -> Result<(), TrainError> {
        match self.files.checkpoint.classifier_outputs() {
            Some(found) if found != expected => Err(setting(
                format!(
                    "the head in `{}` has {found} outputs, but {names}",
                    self.folder.display()
                ),
                format!("`{DESCRIPTION}` and the weights do not belong together"),
            )),
            _ => Ok(()),
        }
    }

    /// The tokenizer; its warnings become notes.
    ///
    /// # Errors
    /// It cannot be read, or does not fit the model.
    pub fn tokenizer(&mut self) -> Result<TextTokenizer, TrainError> {
        let tokenizer = open_tokenizer(&self.folder, &self.files.config)?;
        self.notes.extend(tokenizer.warnings().iter().cloned());
        Ok(tokenizer)
    }

    /// The model with its head; all weights must be present.
    ///
    /// # Errors
    /// The weights cannot be read or do not fit.
    pub fn model<H: Head>(&self, outputs: usize) -> Result<Model<H>, TrainError> {
        let device = self.device();
        let (model, _) = Model::load(&self.files, outputs, &device, HeadPolicy::Required)
            .map_err(ModelError::from)?;
        Ok(model)
    }

    /// The trained model, ready to predict.
    pub fn trained<H: Head, I>(
        self,
        model: Model<H>,
        tokenizer: TextTokenizer,
        info: I,
    ) -> TrainedModel<H, I> {
        let run = (self.folder != self.path).then_some(self.path);
        TrainedModel {
            model,
            tokenizer,
            info,
            inference: self.inference,
            notes: self.notes,
            run,
        }
    }
}

/// Writes a model folder: configuration, weights, tokenizer and the description of the task.
///
/// # Errors
/// A file cannot be written.
pub(crate) fn save<H: Head>(
    model: &Model<H>,
    config: &EncoderConfig,
    tokenizer: &TextTokenizer,
    info: &impl Serialize,
    folder: &Path,
) -> Result<(), TrainError> {
    model.save(config, folder)?;
    tokenizer.save(folder)?;
    let path = folder.join(DESCRIPTION);
    let text = serde_json::to_string_pretty(info).map_err(|e| TrainError::Write {
        path: path.clone(),
        source: e.into(),
    })?;
    write_atomically(&path, (text + "\n").as_bytes())
}
