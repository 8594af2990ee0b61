//! ELECTRA's pretraining pair: a small generator fills in masks, and a discriminator detects the tokens
//! that it replaced (Clark et al. 2020, §3).

use burn::module::Module;
use burn::tensor::Device;

use crate::architecture::Architecture;
use crate::encoder::{Block, Encoder};
use crate::families::EncoderConfig;
use crate::heads::MlmHead;
use crate::model::{DiscriminatorModel, MlmModel};
use crate::naming::Naming;
use crate::ops::Linear;

/// The parameters of the generator that the discriminator does not share: all but the embeddings, or
/// only the head.
#[derive(Module, Debug)]
pub struct Generator {
    /// From the width of the embeddings to that of the layers, where they differ.
    pub projection: Option<Linear>,
    /// Parameter sets of its blocks; empty if the blocks are the discriminator's.
    pub layers: Vec<Block>,
    /// Back to the vocabulary; the decoder is the word embedding that both models read.
    pub head: MlmHead,
    #[module(skip)]
    order: Vec<usize>,
}

/// Discriminator and generator on the same embeddings: words, positions, token types and their
/// LayerNorm exist once (Clark et al. 2020, §3.2, and the scope `electra/embeddings` of the
/// published code).
#[derive(Module, Debug)]
pub struct Electra {
    /// The model that is kept after pretraining.
    pub discriminator: DiscriminatorModel,
    /// The model that generates its training signal.
    pub generator: Generator,
}

impl Electra {
    /// Fresh weights throughout, a function of `seed` alone.
    pub fn fresh(
        config: &EncoderConfig,
        generator: &EncoderConfig,
        device: &Device,
        seed: u64,
    ) -> Self {
        Self::new(
            DiscriminatorModel::fresh(config, 0, device, seed),
            MlmModel::fresh(generator, 0, device, seed.wrapping_add(1)),
        )
    }

    /// Makes two models share the embeddings of the discriminator.
    ///
    /// # Panics
    /// The generator was made for embeddings of another width or for another vocabulary: see
    /// [`EncoderConfig::generator`].
    pub fn new(discriminator: DiscriminatorModel, generator: MlmModel) -> Self {
        let shared = discriminator.encoder.embeddings.word.shape();
        let own = generator.encoder.embeddings.word.shape();
        assert_eq!(shared, own, "one table of words for both models");
        Self {
            discriminator,
            generator: Generator {
                projection: generator.encoder.embeddings.projection,
                layers: generator.encoder.layers,
                order: generator.encoder.order,
                head: generator.head,
            },
        }
    }

    /// One encoder for both; the generator adds only its head (Clark et al. 2020, §3.2,
    /// "all weights tied").
    ///
    /// # Panics
    /// The head was made for embeddings of another width.
    pub fn tied(discriminator: DiscriminatorModel, head: MlmHead) -> Self {
        let [_, width] = discriminator.encoder.embeddings.word.dims();
        let [_, own] = head.dense.weight.dims();
        assert_eq!(
            own, width,
            "a head that ends at the width of the embeddings"
        );
        Self {
            discriminator,
            generator: Generator {
                projection: None,
                layers: Vec::new(),
                order: Vec::new(),
                head,
            },
        }
    }

    /// The generator with its shared parameters: a view of the same tensors, so that gradients add up.
    pub fn generator(&self) -> MlmModel {
        let shared = &self.discriminator.encoder;
        let own = &self.generator;
        let mut encoder = Encoder {
            pooler: None,
            ..shared.clone()
        };
        if !own.layers.is_empty() {
            encoder.embeddings.projection = own.projection.clone();
            encoder.layers = own.layers.clone();
            encoder.order = own.order.clone();
        }
        MlmModel {
            encoder,
            head: own.head.clone(),
        }
    }

    /// The names of the parameters in a checkpoint of both models.
    pub fn naming(config: &EncoderConfig) -> Naming {
        Naming::new(config, Architecture::GeneratorAndDiscriminator)
    }
}

impl EncoderConfig {
    /// The configuration of the generator for this discriminator: `size` times its width and `layers` times
    /// its number of layers, one head per 64 of the width, the feed-forward block four times as wide
    /// (`google-research/electra`, `get_generator_config`).
    ///
    /// The result still has to be checked: [`Self::check`].
    pub fn generator(&self, size: f64, layers: f64) -> Self {
        let hidden_size = (self.hidden_size as f64 * size) as usize;
        Self {
            hidden_size,
            num_hidden_layers: (self.num_hidden_layers as f64 * layers) as usize,
            num_attention_heads: (hidden_size / 64).max(1),
            intermediate_size: 4 * hidden_size,
            labels: None,
            num_labels: None,
            problem_type: None,
            ..self.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::families::Family;

    #[test]
    fn generators_have_the_published_sizes() {
        let sizes = |hidden, layers, heads, size| {
            let config =
                EncoderConfig::new(Family::Electra, 30522, hidden, layers, heads, 4 * hidden);
            let g = config.generator(size, 1.0);
            (
                g.hidden_size,
                g.num_hidden_layers,
                g.num_attention_heads,
                g.intermediate_size,
            )
        };
        // electra-small, -base and -large: a quarter, a third, a quarter of the width.
        assert_eq!(sizes(256, 12, 4, 0.25), (64, 12, 1, 256));
        assert_eq!(sizes(768, 12, 12, 1.0 / 3.0), (256, 12, 4, 1024));
        assert_eq!(sizes(1024, 24, 16, 0.25), (256, 24, 4, 1024));
    }
}
