//! An encoder with a head, and its model folder.

use std::path::Path;

use burn::module::{Module, ModuleDisplay};
use burn::tensor::{Device, Tensor};

use crate::architecture::Architecture;
use crate::batch::Batch;
use crate::config_error::ConfigError;
use crate::context::Context;
use crate::encoder::Encoder;
use crate::families::EncoderConfig;
use crate::heads::{
    ChoiceHead, DiscriminatorHead, JointScores, MlmHead, PretrainingHead, SequenceHead, SpanHead,
    SpanTarget, TokenHead,
};
use crate::initialize::Initializer;
use crate::naming::Naming;
use crate::weights::{self, Checkpoint, HeadPolicy, LoadReport, WeightsError};

/// An encoder with a head.
#[derive(Module, Debug)]
pub struct Model<H: Module> {
    /// The encoder.
    pub encoder: Encoder,
    /// The head.
    pub head: H,
}

/// One answer per sequence.
pub type SequenceModel = Model<SequenceHead>;
/// Masked words.
pub type MlmModel = Model<MlmHead>;
/// Masked words and next sentence.
pub type PretrainingModel = Model<PretrainingHead>;
/// Replaced tokens.
pub type DiscriminatorModel = Model<DiscriminatorHead>;
/// One score per choice.
pub type ChoiceModel = Model<ChoiceHead>;
/// One tag per token.
pub type TokenModel = Model<TokenHead>;
/// Start and end of an answer.
pub type SpanModel = Model<SpanHead>;

/// An error in reading a model folder.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// In the configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// In the weights.
    #[error(transparent)]
    Weights(#[from] WeightsError),
}

impl ModelError {
    /// What the user can do about it, if known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Config(error) => error.hint(),
            Self::Weights(error) => error.hint(),
        }
    }
}

/// An opened model folder: its configuration, and its weights ready to be read.
#[derive(Debug)]
pub struct ModelFolder {
    /// The content of `config.json`.
    pub config: EncoderConfig,
    /// The weights.
    pub checkpoint: Checkpoint,
}

impl ModelFolder {
    /// Opens `config.json` and the weights beside it.
    ///
    /// # Errors
    /// Either cannot be read; see [`EncoderConfig::read`] and [`Checkpoint::open`].
    pub fn open(folder: &Path) -> Result<Self, ModelError> {
        let path = folder.join("config.json");
        // The configuration is read first: a folder without one is the commonest mistake.
        if !path.exists() {
            EncoderConfig::read(&path, || None)?;
        }
        let mut checkpoint = None;
        let config = EncoderConfig::read(&path, || {
            let opened = Checkpoint::open(folder).ok()?;
            let family = opened.guess_family();
            checkpoint = Some(opened);
            family
        })?;
        let checkpoint = match checkpoint {
            Some(opened) => opened,
            None => Checkpoint::open(folder)?,
        };
        Ok(Self { config, checkpoint })
    }
}

/// The masked-LM decoder is the word embedding unless the configuration unties them *and* the
/// checkpoint has a separate decoder.
fn settle_ties(
    mut config: EncoderConfig,
    checkpoint: &Checkpoint,
    naming: Naming,
) -> EncoderConfig {
    let decoder = naming.parts("head.decoder").pop().unwrap_or_default();
    if !config.tie_word_embeddings && checkpoint.shape(&decoder).is_none() {
        config.tie_word_embeddings = true;
    }
    config
}

/// Heads that know their architecture and how to initialise themselves.
pub trait Head: Module + ModuleDisplay + Sized {
    /// The class in transformers that has this head.
    const ARCHITECTURE: Architecture;

    /// Fresh weights; `outputs` is used by heads with a configurable number of outputs.
    fn fresh(config: &EncoderConfig, outputs: usize, init: &mut Initializer) -> Self;
}

macro_rules! head {
    ($head:ty, $architecture:ident, |$config:ident, $outputs:ident, $init:ident| $fresh:expr) => {
        impl Head for $head {
            const ARCHITECTURE: Architecture = Architecture::$architecture;

            fn fresh($config: &EncoderConfig, $outputs: usize, $init: &mut Initializer) -> Self {
                $fresh
            }
        }
    };
}

head!(MlmHead, MaskedLm, |config, _outputs, init| Self::new(
    config, init
));
head!(PretrainingHead, Pretraining, |config, _outputs, init| {
    Self::new(config, init)
});
head!(
    DiscriminatorHead,
    Discriminator,
    |config, _outputs, init| Self::new(config, init)
);
head!(SequenceHead, Sequence, |config, outputs, init| Self::new(
    config, outputs, init
));
head!(ChoiceHead, Choice, |config, _outputs, init| Self::new(
    config, init
));
head!(TokenHead, Token, |config, outputs, init| Self::new(
    config, outputs, init
));
head!(SpanHead, Span, |config, _outputs, init| Self::new(
    config, init
));

impl<H: Head> Model<H> {
    /// Fresh weights throughout, a function of `seed` alone.
    pub fn fresh(config: &EncoderConfig, outputs: usize, device: &Device, seed: u64) -> Self {
        let mut init = Initializer::new(device, seed, config.initializer_range);
        Self::build(config, outputs, &mut init)
    }

    /// A model whose matrices are placeholders, to be replaced before it is used.
    pub fn placeholder(config: &EncoderConfig, outputs: usize, device: &Device) -> Self {
        Self::build(config, outputs, &mut Initializer::placeholders(device))
    }

    fn build(config: &EncoderConfig, outputs: usize, init: &mut Initializer) -> Self {
        let pooler = config.family.has_pooler(H::ARCHITECTURE);
        Self {
            encoder: Encoder::new(&config.spec(), pooler, init),
            head: H::fresh(config, outputs, init),
        }
    }

    /// The names of this model's parameters in a checkpoint.
    pub fn naming(config: &EncoderConfig) -> Naming {
        Naming::new(config, H::ARCHITECTURE)
    }

    /// Reads the weights of an opened folder.
    ///
    /// # Errors
    /// A tensor is missing, or its shape differs from `config.json`; see [`weights::load`].
    pub fn load(
        folder: &ModelFolder,
        outputs: usize,
        device: &Device,
        policy: HeadPolicy,
    ) -> Result<(Self, LoadReport), WeightsError> {
        Self::load_as(&folder.config, &folder.checkpoint, outputs, device, policy)
    }

    /// Reads weights into the model that a configuration describes: that of the folder, or one with
    /// different dropout.
    ///
    /// # Errors
    /// As for [`Self::load`].
    pub fn load_as(
        config: &EncoderConfig,
        checkpoint: &Checkpoint,
        outputs: usize,
        device: &Device,
        policy: HeadPolicy,
    ) -> Result<(Self, LoadReport), WeightsError> {
        let naming = Self::naming(config);
        let config = settle_ties(config.clone(), checkpoint, naming);
        let empty = Self::placeholder(&config, outputs, device);
        let range = config.initializer_range;
        weights::load(empty, checkpoint, naming, policy, range)
    }

    /// Writes `config.json` and `model.safetensors`, as transformers reads them.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn save(&self, config: &EncoderConfig, folder: &Path) -> Result<(), ModelError> {
        let mut config = config.clone();
        config.architectures = vec![config.class_name(H::ARCHITECTURE)];
        let naming = Self::naming(&config);
        weights::save(self, &folder.join("model.safetensors"), naming)?;
        config.write(&folder.join("config.json"))?;
        Ok(())
    }
}

impl SequenceModel {
    /// A packed batch to logits, `[batch, outputs]`.
    pub fn forward(&self, batch: &Batch, context: Context<'_>) -> Tensor<2> {
        self.head.forward(self.features(batch, context), context)
    }

    /// A packed batch to the input of the head, `[batch, h]`.
    pub fn features(&self, batch: &Batch, context: Context<'_>) -> Tensor<2> {
        let first = self.encoder.forward_first(batch, context);
        self.encoder.pool(first, context)
    }
}

impl ChoiceModel {
    /// A packed batch, each sequence a question with one of its answers, to logits, `[sequences]`.
    pub fn forward(&self, batch: &Batch, context: Context<'_>) -> Tensor<1> {
        let first = self.encoder.forward_first(batch, context);
        self.head
            .forward(self.encoder.pool(first, context), context)
    }
}

impl MlmModel {
    /// A packed batch to logits of every row, `[tokens, vocabulary]`.
    pub fn forward(&self, batch: &Batch, context: Context<'_>) -> Tensor<2> {
        let hidden = self.encoder.forward(batch, context);
        self.head
            .forward(hidden, &self.encoder.embeddings.word, context)
    }
}

impl TokenModel {
    /// A packed batch to logits of every row, `[tokens, tags]`.
    pub fn forward(&self, batch: &Batch, context: Context<'_>) -> Tensor<2> {
        self.head
            .forward(self.encoder.forward(batch, context), context)
    }

    /// The logits of the given rows, `[rows, tags]`.
    pub fn forward_rows(&self, batch: &Batch, rows: &[usize], context: Context<'_>) -> Tensor<2> {
        self.head
            .forward(self.encoder.forward_rows(batch, rows, context), context)
    }
}

impl SpanModel {
    /// A packed batch to start and end logits of every row, `[tokens]` each.
    pub fn forward(&self, batch: &Batch, context: Context<'_>) -> (Tensor<1>, Tensor<1>) {
        self.head
            .forward(self.encoder.forward(batch, context), context)
    }

    /// The loss of a packed batch of windows if ends are scored given starts, `[1]`: see [`SpanHead::joint_loss`].
    ///
    /// # Panics
    /// As for [`SpanHead::joint_loss`].
    pub fn joint_loss(
        &self,
        batch: &Batch,
        texts: &[usize],
        targets: &[SpanTarget],
        context: Context<'_>,
    ) -> Tensor<1> {
        let hidden = self.encoder.forward(batch, context);
        self.head
            .joint_loss(hidden, &batch.sequences, texts, targets, context)
    }

    /// The candidate answers if ends are scored given starts: see [`SpanHead::joint_scores`].
    ///
    /// # Panics
    /// As for [`SpanHead::joint_scores`].
    pub fn joint_scores(
        &self,
        batch: &Batch,
        texts: &[usize],
        beam: usize,
        context: Context<'_>,
    ) -> Vec<JointScores> {
        let hidden = self.encoder.forward(batch, context);
        self.head
            .joint_scores(hidden, &batch.sequences, texts, beam, context)
    }
}
