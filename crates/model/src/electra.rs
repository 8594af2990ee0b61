//! ELECTRA's pretraining pair: a small generator fills masks, and a discriminator tells what it
//! replaced (Clark et al. 2020, §3).

use burn::module::Module;
use burn::tensor::Device;

use crate::config::EncoderConfig;
use crate::encoder::{Encoder, Layer};
use crate::heads::MlmHead;
use crate::model::{DiscriminatorModel, MlmModel};
use crate::names::{Architecture, Naming};
use crate::ops::Linear;

/// What the generator has of its own: all of it but the embeddings, or its head alone.
#[derive(Module, Debug)]
pub struct Generator {
    /// From the width of the embeddings to that of the layers, where they differ.
    pub projection: Option<Linear>,
    /// From the bottom to the top; none where the layers are the discriminator's.
    pub layers: Vec<Layer>,
    /// Back to the vocabulary; the decoder is the word embedding that both models read.
    pub head: MlmHead,
}

/// Discriminator and generator on the same embeddings: words, positions, token types and their
/// LayerNorm exist once (Clark et al. 2020, §3.2, and the scope `electra/embeddings` of the
/// published code).
#[derive(Module, Debug)]
pub struct Electra {
    /// The model that is kept.
    pub discriminator: DiscriminatorModel,
    /// The one that makes its task.
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

    /// Puts two models on the embeddings of the discriminator.
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
                head: generator.head,
            },
        }
    }

    /// One encoder for both: of the generator, its head alone is its own (Clark et al. 2020, §3.2,
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
        let (projection, layers) = (None, Vec::new());
        Self {
            discriminator,
            generator: Generator {
                projection,
                layers,
                head,
            },
        }
    }

    /// The generator with what it shares: a view of the same parameters, so that gradients add up.
    pub fn generator(&self) -> MlmModel {
        let shared = &self.discriminator.encoder;
        let mut embeddings = shared.embeddings.clone();
        let layers = if self.generator.layers.is_empty() {
            shared.layers.clone()
        } else {
            embeddings.projection = self.generator.projection.clone();
            self.generator.layers.clone()
        };
        MlmModel {
            encoder: Encoder {
                embeddings,
                layers,
                pooler: None,
            },
            head: self.generator.head.clone(),
        }
    }

    /// How the parameters are called in a checkpoint of both models.
    pub fn naming(config: &EncoderConfig) -> Naming {
        Naming {
            family: config.family,
            architecture: Architecture::GeneratorAndDiscriminator,
        }
    }
}

impl EncoderConfig {
    /// The generator of an ELECTRA whose discriminator this is: `size` of its width and `layers` of
    /// its layers, a head for each 64 of the width, the feed-forward block four times as wide
    /// (`google-research/electra`, `get_generator_config`).
    ///
    /// The sizes still have to be checked: [`Self::check`].
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
    use crate::config::Family;

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
