//! The encoder: embeddings → layers → pooler, on packed rows.

use burn::module::Module;
use burn::tensor::Tensor;

use crate::batch::Batch;
use crate::config::{Activation, EncoderConfig};
use crate::embeddings::Embeddings;
use crate::initialize::Initializer;
use crate::ops::{AttentionPlan, LayerNorm, Linear, Mode, activate, add_dropout_norm, attention};

/// One transformer layer (Vaswani et al. 2017, §3.1), normalised after each block as in BERT.
#[derive(Module, Debug)]
pub struct Layer {
    /// Query, key and value in one product: `[3 h, h]`.
    pub qkv: Linear,
    /// Mixes the heads' contexts.
    pub attention_output: Linear,
    /// Behind the attention block.
    pub attention_norm: LayerNorm,
    /// `h` to the feed-forward width.
    pub intermediate: Linear,
    /// Back to `h`.
    pub output: Linear,
    /// Behind the feed-forward block.
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
    fn new(config: &EncoderConfig, init: &mut Initializer) -> Self {
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

    /// `[tokens, h]` to the same shape.
    fn forward(&self, hidden: Tensor<2>, plan: &AttentionPlan, mode: Mode<'_>) -> Tensor<2> {
        let s = &self.settings;
        let qkv = self.qkv.forward(hidden.clone());
        let context = attention(qkv, plan, s.heads, s.attention_dropout, mode);
        let mixed = self.attention_output.forward(context);
        let hidden = add_dropout_norm(mixed, hidden, &self.attention_norm, s.hidden_dropout, mode);
        let wide = activate(self.intermediate.forward(hidden.clone()), s.activation);
        let narrow = self.output.forward(wide);
        add_dropout_norm(narrow, hidden, &self.output_norm, s.hidden_dropout, mode)
    }
}

/// A BERT-family encoder.
#[derive(Module, Debug)]
pub struct Encoder {
    /// Ids to rows.
    pub embeddings: Embeddings,
    /// From the bottom to the top.
    pub layers: Vec<Layer>,
    /// `tanh(W h[CLS] + b)`, where the architecture has one.
    pub pooler: Option<Linear>,
}

impl Encoder {
    /// Fresh weights. `pooler` says whether the architecture reads the pooled first token.
    pub fn new(config: &EncoderConfig, pooler: bool, init: &mut Initializer) -> Self {
        let h = config.hidden_size;
        Self {
            embeddings: Embeddings::new(config, init),
            layers: (0..config.num_hidden_layers)
                .map(|_| Layer::new(config, init))
                .collect(),
            pooler: pooler.then(|| Linear::new(h, h, init)),
        }
    }

    /// A packed batch to the top layer's rows, `[tokens, h]`.
    pub fn forward(&self, batch: &Batch, mode: Mode<'_>) -> Tensor<2> {
        self.run(batch, mode, |_| {})
    }

    /// As [`Self::forward`], with the rows below the first layer and behind each one.
    pub fn hidden_states(&self, batch: &Batch, mode: Mode<'_>) -> Vec<Tensor<2>> {
        let mut states = Vec::with_capacity(self.layers.len() + 1);
        self.run(batch, mode, |hidden| states.push(hidden.clone()));
        states
    }

    fn run(&self, batch: &Batch, mode: Mode<'_>, mut see: impl FnMut(&Tensor<2>)) -> Tensor<2> {
        let mut hidden = self.embeddings.forward(batch, mode);
        see(&hidden);
        let plan = AttentionPlan::new(&batch.sequences, &hidden.device());
        for layer in &self.layers {
            hidden = layer.forward(hidden, &plan, mode);
            see(&hidden);
        }
        hidden
    }

    /// The first row of each sequence: `[tokens, h]` to `[batch, h]`.
    pub fn first_tokens(hidden: Tensor<2>, batch: &Batch) -> Tensor<2> {
        let rows = batch.sequences.first_rows(&hidden.device());
        hidden.select(0, rows)
    }

    /// The pooled first token of each sequence, `[batch, h]`; without a pooler, the bare one.
    pub fn pool(&self, hidden: Tensor<2>, batch: &Batch) -> Tensor<2> {
        let first = Self::first_tokens(hidden, batch);
        match &self.pooler {
            Some(pooler) => pooler.forward(first).tanh(),
            None => first,
        }
    }
}
