//! One transformer layer.

use burn::module::Module;
use burn::tensor::{Int, Tensor};

use crate::config::{Activation, EncoderConfig};
use crate::context::Context;
use crate::initialize::Initializer;
use crate::ops::{AttentionPlan, LayerNorm, Linear, attention};

/// One transformer layer (Vaswani et al. 2017, §3.1), normalised after each block as in BERT.
#[derive(Module, Debug)]
pub struct Layer {
    /// Query, key and value in one product: `[3 h, h]`.
    pub qkv: Linear,
    /// Projects the concatenated heads.
    pub attention_output: Linear,
    /// After the attention block.
    pub attention_norm: LayerNorm,
    /// `h` to the feed-forward width.
    pub intermediate: Linear,
    /// Back to `h`.
    pub output: Linear,
    /// After the feed-forward block.
    pub output_norm: LayerNorm,
    #[module(skip)]
    settings: LayerSettings,
}

#[derive(Debug, Clone, Copy)]
struct LayerSettings {
    heads: usize,
    activation: Activation,
    hidden_dropout: f64,
    attention_dropout: f64,
}

impl Layer {
    pub(super) fn new(config: &EncoderConfig, init: &mut Initializer) -> Self {
        let (h, f, eps) = (
            config.hidden_size,
            config.intermediate_size,
            config.layer_norm_eps,
        );
        Self {
            qkv: Linear::new(h, 3 * h, init),
            attention_output: Linear::new(h, h, init),
            attention_norm: LayerNorm::new(h, eps, init),
            intermediate: Linear::new(h, f, init),
            output: Linear::new(f, h, init),
            output_norm: LayerNorm::new(h, eps, init),
            settings: LayerSettings {
                heads: config.num_attention_heads,
                activation: config.hidden_act,
                hidden_dropout: config.hidden_dropout,
                attention_dropout: config.attention_dropout,
            },
        }
    }

    /// `[tokens, h]` to the same shape or, with `rows`, to those rows alone, `[rows, h]`: after
    /// attention, each row is computed independently of the others.
    pub(super) fn forward(
        &self,
        hidden: Tensor<2>,
        plan: &AttentionPlan,
        rows: Option<&Tensor<1, Int>>,
        context: Context<'_>,
    ) -> Tensor<2> {
        let s = &self.settings;
        let qkv = self.qkv.forward(hidden.clone(), context);
        let mixed = attention(qkv, plan, s.heads, s.attention_dropout, context);
        let (mixed, hidden) = match rows {
            Some(rows) => (
                mixed.select(0, rows.clone()),
                hidden.select(0, rows.clone()),
            ),
            None => (mixed, hidden),
        };
        let hidden = self.attention_output.forward_into_norm(
            mixed,
            hidden,
            &self.attention_norm,
            s.hidden_dropout,
            context,
        );
        let wide = self
            .intermediate
            .forward_activated(hidden.clone(), s.activation, context);
        self.output
            .forward_into_norm(wide, hidden, &self.output_norm, s.hidden_dropout, context)
    }
}
