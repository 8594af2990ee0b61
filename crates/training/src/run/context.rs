//! What a fine-tuning run has before its task reads any data: directory, devices, model folder and tokenizer.

use bertkit_data::tokenizer::{Normalization, TextTokenizer, TrainOptions, train_tokenizer};
use bertkit_model::{EncoderConfig, Head, HeadPolicy, Model, ModelError, ModelFolder};
use burn::tensor::Device;

use crate::config::FinetuneConfig;
use crate::engine::observer::{Event, Observer, Summary};
use crate::error::{TrainError, setting};
use crate::run::devices::Devices;
use crate::run::directory::{DirectoryPolicy, RunDirectory};
use crate::run::files::sha256;
use crate::run::finetune::{FinetuneRun, FinetuneTask, TrainableRun};
use crate::run::model::{fresh_config, shorten, tokenizer_family};
use crate::run::tables::files_of;

/// Fewer tokens than this leave no room for text between the special tokens.
const MIN_LENGTH: usize = 4;

/// What a run has before any data is read.
pub(crate) struct RunContext {
    pub config: FinetuneConfig,
    pub policy: DirectoryPolicy,
    pub directory: RunDirectory,
    pub devices: Devices,
    /// The model folder, unless the weights are fresh.
    pub folder: Option<ModelFolder>,
    /// The tokenizer of the configuration or of the model folder.
    pub tokenizer: Option<TextTokenizer>,
    /// Lines of the summary besides those that every run has.
    pub lines: Vec<(String, String)>,
}

/// The tokenizer of a run and the encoder that reads its token ids.
pub(crate) struct TextEncoder {
    pub tokenizer: TextTokenizer,
    pub encoder: EncoderConfig,
    /// Tokens of the longest input, special tokens included.
    pub max_length: usize,
}

impl RunContext {
    /// The tokenizer and the encoder. A tokenizer is trained on `texts` if the run has none.
    ///
    /// # Errors
    /// There is no model, its settings do not fit it, or no tokenizer can be trained.
    pub(crate) fn text_encoder<'a>(
        &mut self,
        texts: impl Iterator<Item = &'a str>,
        observer: &mut dyn Observer,
    ) -> Result<TextEncoder, TrainError> {
        let (config, lines) = (&self.config, &mut self.lines);
        let (tokenizer, mut encoder) =
            match (self.tokenizer.take(), &self.folder, &config.model.fresh) {
                (Some(tokenizer), Some(folder), _) => (tokenizer, folder.config.clone()),
                (given, _, Some(fresh)) => {
                    let tokenizer = match given {
                        Some(tokenizer) => tokenizer,
                        None => {
                            let options = TrainOptions {
                                vocab_size: Some(config.tokenizer.vocab_size),
                                normalization: Normalization {
                                    lowercase: config.tokenizer.lowercase,
                                    ..Normalization::default()
                                },
                                min_frequency: config.tokenizer.min_frequency,
                                max_length: fresh.max_position_embeddings,
                                ..TrainOptions::default()
                            };
                            let tokenizer = train_tokenizer(texts, &options)?
                                .with_family(tokenizer_family(fresh.family.descriptor()));
                            lines.push((
                                "tokenizer".into(),
                                format!(
                                    "WordPiece, {} tokens, trained on the training text",
                                    tokenizer.vocab_size()
                                ),
                            ));
                            tokenizer
                        }
                    };
                    let padding = tokenizer.pad_id().map_or(0, |id| id as usize);
                    let encoder = fresh_config(fresh, tokenizer.vocab_size(), padding)?;
                    (tokenizer, encoder)
                }
                _ => {
                    return Err(setting(
                        "there is no model",
                        "give a folder with [model.path=DIR]",
                    ));
                }
            };
        for warning in tokenizer.warnings() {
            observer.event(&Event::Note(warning.clone()));
        }
        let m = &config.model;
        encoder.hidden_dropout = m.hidden_dropout.unwrap_or(encoder.hidden_dropout);
        encoder.attention_dropout = m.attention_dropout.unwrap_or(encoder.attention_dropout);
        encoder.classifier_dropout = m.classifier_dropout.unwrap_or(encoder.classifier_dropout);
        if config.training.freeze_layers > encoder.num_hidden_layers {
            return Err(setting(
                format!(
                    "`training.freeze_layers` is {}, but the encoder has {} layers",
                    config.training.freeze_layers, encoder.num_hidden_layers
                ),
                "freeze fewer layers with [training.freeze_layers]",
            ));
        }
        let max_length = config.data.max_length.min(encoder.max_length());
        if max_length < MIN_LENGTH {
            return Err(setting(
                format!(
                    "the model has positions for {max_length} tokens, expected {MIN_LENGTH} or more"
                ),
                "two or three of them are special tokens; take a model with a larger `max_position_embeddings`",
            ));
        }
        if max_length < config.data.max_length {
            observer.event(&Event::Note(format!(
                "the model has positions for {max_length} tokens: inputs are cut there, not at {}",
                config.data.max_length
            )));
        }
        Ok(TextEncoder {
            tokenizer,
            encoder,
            max_length,
        })
    }

    /// The model that the run starts from, with a head of `outputs` outputs: loaded from the folder, or fresh.
    /// `same_head` keeps the head of the folder; a head for other classes starts fresh.
    ///
    /// # Errors
    /// The weights cannot be read or do not fit the configuration.
    pub(crate) fn model<H: Head>(
        &mut self,
        encoder: &EncoderConfig,
        outputs: usize,
        same_head: bool,
        device: &Device,
    ) -> Result<Model<H>, TrainError> {
        let seed = self.config.seed;
        let Some(folder) = &self.folder else {
            return Ok(Model::fresh(encoder, outputs, device, seed));
        };
        let policy = if same_head {
            HeadPolicy::Fresh(seed)
        } else {
            HeadPolicy::Discard(seed)
        };
        let (model, report) = Model::load_as(encoder, &folder.checkpoint, outputs, device, policy)
            .map_err(ModelError::from)?;
        if !report.fresh.is_empty() {
            self.lines
                .push(("fresh weights".into(), shorten(&report.fresh)));
        }
        if !report.unused.is_empty() {
            self.lines
                .push(("not used".into(), shorten(&report.unused)));
        }
        Ok(model)
    }

    /// Removes tensors with that prefix from the summary's unused ones: they belong to a part of the head that is loaded
    /// separately.
    pub(crate) fn mark_as_used(&mut self, prefix: &str) {
        self.lines.retain(|(name, text)| {
            name != "not used" || !text.split(", ").all(|name| name.starts_with(prefix))
        });
    }

    /// The prepared run of `task` and its model. Resumes the newest checkpoint if the policy is to resume.
    ///
    /// # Errors
    /// A data file or a checkpoint cannot be read.
    pub(crate) fn finish<T>(
        self,
        task: T,
        model: T::Model,
        summary: Summary,
    ) -> Result<FinetuneRun, TrainError>
    where
        T: FinetuneTask,
    {
        let data = self.config.data.train.iter();
        let data = data
            .chain(&self.config.data.valid)
            .flat_map(|path| files_of(path))
            .map(|path| sha256(&path))
            .collect::<Result<Vec<_>, _>>()?;
        let run = FinetuneRun::new(
            self.config,
            self.policy,
            self.directory,
            self.devices,
            Box::new(TrainableRun { task, model }),
            summary,
            data,
        );
        match self.policy {
            DirectoryPolicy::Resume => run.restore(),
            _ => Ok(run),
        }
    }
}
