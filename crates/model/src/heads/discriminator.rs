//! Detection of replaced tokens.

use burn::module::Module;
use burn::tensor::Tensor;

use crate::context::Context;
use crate::families::EncoderConfig;
use crate::initialize::Initializer;
use crate::ops::Linear;
use crate::spec::Activation;

/// Dense, nonlinearity, one logit per token: positive = replaced (Clark et al. 2020, §3.1).
#[derive(Module, Debug)]
pub struct DiscriminatorHead {
    /// `h` to `h`.
    pub dense: Linear,
    /// `h` to 1.
    pub prediction: Linear,
    #[module(skip)]
    activation: Activation,
}

impl DiscriminatorHead {
    /// Fresh weights.
    pub fn new(config: &EncoderConfig, init: &mut Initializer) -> Self {
        let h = config.hidden_size;
        Self {
            dense: Linear::new(h, h, init),
            prediction: Linear::new(h, 1, init),
            activation: config.hidden_act,
        }
    }

    /// `[rows, h]` to logits `[rows]`.
    pub fn forward(&self, hidden: Tensor<2>, context: Context<'_>) -> Tensor<1> {
        let hidden = self
            .dense
            .forward_activated(hidden, self.activation, context);
        self.prediction.forward(hidden, context).squeeze_dim(1)
    }
}
