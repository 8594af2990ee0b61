//! Pretraining of a discriminator with a generator (Clark et al. 2020, §3).

use std::borrow::Cow;
use std::path::Path;

use bertkit_model::heads::MlmHead;
use bertkit_model::{
    Architecture, Context, DiscriminatorModel, DropoutStream, Electra, EncoderConfig, MlmModel,
    ModelError, ModelFolder, Naming,
};

use super::load::{Loader, sizes};
use crate::config::pretrain::Tied;
use crate::error::{TrainError, setting};
use crate::pretrain::batch::MaskedBatch;
use crate::pretrain::descriptor::{Descriptor, LossSettings};
use crate::pretrain::loss::{Forward, Loss};
use crate::pretrain::model::PretrainModel;
use crate::pretrain::task::GENERATOR_DIR;

/// Separates the generator's dropout from the discriminator's.
const GENERATOR_DROPOUT: u64 = 0x6765_6e65_7261_746f;

/// The sizes of both models.
#[derive(Debug)]
pub(crate) struct ElectraConfig {
    pub discriminator: EncoderConfig,
    pub generator: EncoderConfig,
}

impl PretrainModel for Electra {
    type Config = ElectraConfig;

    fn loss_of(objective: &dyn Descriptor, settings: &LossSettings) -> Option<Box<dyn Loss<Self>>> {
        objective.on_electra(settings)
    }

    fn forward<'a>(
        &'a self,
        batch: &'a MaskedBatch,
        seed: u64,
        micro_batch: u64,
        context: Context<'a>,
    ) -> Forward<'a, Self> {
        let generator = self.generator();
        let (masked, first) = if batch.rows.is_empty() {
            let encoder = &self.discriminator.encoder;
            (None, Some(encoder.forward_first(&batch.batch, context)))
        } else {
            let own = DropoutStream::new(seed ^ GENERATOR_DROPOUT, micro_batch);
            let encoder = &generator.encoder;
            let context = context.with_dropout(&own);
            let masked = encoder.forward_rows(&batch.batch, &batch.rows, context);
            (Some(masked), None)
        };
        Forward {
            model: self,
            batch,
            context,
            decoder: (
                Cow::Owned(generator.head),
                Cow::Owned(generator.encoder.embeddings.word),
            ),
            masked,
            first,
        }
    }

    fn naming(config: &ElectraConfig) -> Naming {
        Self::naming(&config.discriminator)
    }

    fn save(&self, config: &ElectraConfig, folder: &Path) -> Result<(), TrainError> {
        Ok(self.discriminator.save(&config.discriminator, folder)?)
    }

    fn save_generator(&self, config: &ElectraConfig, folder: &Path) -> Result<bool, TrainError> {
        self.generator().save(&config.generator, folder)?;
        Ok(true)
    }
}

impl Loader<'_> {
    /// Discriminator and generator, and their sizes.
    ///
    /// # Errors
    /// A folder cannot be read, or the generator does not share the embeddings of the discriminator.
    pub(super) fn electra(&mut self) -> Result<(Electra, ElectraConfig), TrainError> {
        let discriminator: DiscriminatorModel = self.single()?;
        // Our run directories have the generator next to the model.
        let sibling = self.config.model.path.as_deref();
        let sibling = sibling.map(|path| path.join(GENERATOR_DIR));
        let given = self.config.generator.path.clone();
        let path = given.or_else(|| sibling.filter(|path| path.join("config.json").is_file()));
        let (generator, config) = match path {
            Some(path) => self.stored_generator(&path)?,
            None => self.fresh_generator()?,
        };
        let model = if self.shares_encoder() {
            Electra::tied(discriminator, generator.head)
        } else {
            Electra::new(discriminator, generator)
        };
        let config = ElectraConfig {
            discriminator: self.opened.encoder.clone(),
            generator: config,
        };
        Ok((model, config))
    }

    fn shares_encoder(&self) -> bool {
        self.config.generator.tied == Tied::All
    }

    fn generator_seed(&self) -> u64 {
        self.config.seed.wrapping_add(1)
    }

    fn fresh_generator(&mut self) -> Result<(MlmModel, EncoderConfig), TrainError> {
        let (g, encoder) = (&self.config.generator, &self.opened.encoder);
        let shared = self.shares_encoder();
        let config = if shared {
            encoder.clone()
        } else {
            encoder.generator(g.size, g.layers)
        };
        config
            .check(Path::new("generator"))
            .map_err(ModelError::from)?;
        let text = if shared {
            "the model itself, under a head of its own with fresh weights".into()
        } else {
            sizes(&config, "fresh weights")
        };
        self.lines.push(("generator".into(), text));
        let fresh = MlmModel::fresh(&config, 0, &self.device, self.generator_seed());
        Ok((fresh, config))
    }

    fn stored_generator(&mut self, path: &Path) -> Result<(MlmModel, EncoderConfig), TrainError> {
        let folder = ModelFolder::open(path)?;
        let shared = self.shares_encoder();
        check_generator(path, &folder.config, &self.opened.encoder, shared)?;
        let encoder = &self.opened.encoder;
        let config = if shared {
            encoder.clone()
        } else {
            EncoderConfig {
                hidden_dropout: encoder.hidden_dropout,
                attention_dropout: encoder.attention_dropout,
                ..folder.config.clone()
            }
        };
        let (generator, report) = self.load::<MlmHead>(&folder, &config, self.generator_seed())?;
        let text = if shared {
            format!(
                "the model itself, under a head of its own from {}",
                path.display()
            )
        } else {
            sizes(&config, &format!("from {}", path.display()))
        };
        self.lines.push(("generator".into(), text));
        self.report("generator's ", &report);
        Ok((generator, config))
    }
}

/// Checks that a stored generator fits the embeddings of the discriminator.
fn check_generator(
    path: &Path,
    generator: &EncoderConfig,
    discriminator: &EncoderConfig,
    shared: bool,
) -> Result<(), TrainError> {
    if shared && generator.hidden_size != discriminator.hidden_size {
        return Err(setting(
            format!(
                "`generator.tied` is all, but the generator in `{}` is {} wide and the model {}",
                path.display(),
                generator.hidden_size,
                discriminator.hidden_size
            ),
            "set it to \"embeddings\", or name a generator as wide as the model with `generator.path`",
        ));
    }
    let table = |config: &EncoderConfig| (config.vocab_size, config.embedding_size);
    let fits = generator.family.has_head(Architecture::Discriminator)
        && table(generator) == table(discriminator)
        && generator.tie_word_embeddings;
    if fits {
        return Ok(());
    }
    Err(setting(
        format!(
            "the generator in `{}` does not share the embeddings of the model: it is a {} of {} words, {} wide, expected electra, {} and {}",
            path.display(),
            generator.family,
            generator.vocab_size,
            generator.embedding_size,
            discriminator.vocab_size,
            discriminator.embedding_size
        ),
        "take both from the same pretraining, or leave `generator.path` out for a fresh one",
    ))
}
