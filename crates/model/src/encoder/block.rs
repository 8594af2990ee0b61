//! One transformer block.

use burn::module::Module;
use burn::tensor::{Int, Tensor};

use crate::context::Context;
use crate::initialize::Initializer;
use crate::ops::{AttentionPlan, LayerNorm, Linear, attention};
use crate::spec::{BlockSpec, NormPlacement};

/// Attention and a feed-forward block, each with a residual connection (Vaswani et al. 2017, §3.1).
///
/// Shapes: `h` hidden size, `f` feed-forward width.
#[derive(Module, Debug)]
pub struct Block {
    /// Query, key and value in one product: `[3 h, h]`.
    pub qkv: Linear,
    /// Projects the concatenated heads, `[h, h]`.
    pub attention_output: Linear,
    /// Over the attention block's output and its residual.
    pub attention_norm: LayerNorm,
    /// `h` to `f`.
    pub intermediate: Linear,
    /// `f` to `h`.
    pub output: Linear,
    /// Over the feed-forward block's output and its residual.
    pub output_norm: LayerNorm,
    #[module(skip)]
    spec: BlockSpec,
}

impl Block {
    /// Fresh weights for a block of width `h`.
    pub(super) fn new(spec: &BlockSpec, h: usize, init: &mut Initializer) -> Self {
        let (f, epsilon) = (spec.mlp.width, spec.norm_epsilon);
        Self {
            qkv: Linear::new(h, 3 * h, init),
            attention_output: Linear::new(h, h, init),
            attention_norm: LayerNorm::new(h, epsilon, init),
            intermediate: Linear::new(h, f, init),
            output: Linear::new(f, h, init),
            output_norm: LayerNorm::new(h, epsilon, init),
            spec: *spec,
        }
    }

    /// `[tokens, h]` to the same shape or, with `rows`, to those rows only, `[rows, h]`: after
    /// attention, each row is computed independently of the others.
    pub(super) fn forward(
        &self,
        hidden: Tensor<2>,
        plan: &AttentionPlan,
        rows: Option<&Tensor<1, Int>>,
        context: Context<'_>,
    ) -> Tensor<2> {
        let spec = &self.spec;
        let NormPlacement::Post = spec.norm;
        let qkv = self.qkv.forward(hidden.clone(), context);
        let mixed = attention(qkv, plan, spec.num_heads, spec.attention_dropout, context);
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
            spec.attention_output_dropout,
            context,
        );
        let wide =
            self.intermediate
                .forward_activated(hidden.clone(), spec.mlp.activation, context);
        self.output.forward_into_norm(
            wide,
            hidden,
            &self.output_norm,
            spec.mlp.output_dropout,
            context,
        )
    }
}
