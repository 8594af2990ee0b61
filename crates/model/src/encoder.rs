//! The encoder: embeddings → layers → pooler, on packed rows.

use burn::module::Module;
use burn::tensor::{Int, Tensor};

use crate::batch::Batch;
use crate::config::{Activation, EncoderConfig};
use crate::embeddings::Embeddings;
use crate::initialize::Initializer;
use crate::ops::{AttentionPlan, LayerNorm, Linear, Mode, attention};
use crate::recompute;
use crate::sequences::index;

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

    /// `[tokens, h]` to the same shape, or to the rows that are read, `[rows, h]`: behind attention
    /// every row goes its own way.
    pub(crate) fn forward(
        &self,
        hidden: Tensor<2>,
        plan: &AttentionPlan,
        rows: Option<&Tensor<1, Int>>,
        mode: Mode<'_>,
    ) -> Tensor<2> {
        let s = &self.settings;
        let qkv = self.qkv.forward(hidden.clone());
        let context = attention(qkv, plan, s.heads, s.attention_dropout, mode);
        let (context, hidden) = match rows {
            Some(rows) => (
                context.select(0, rows.clone()),
                hidden.select(0, rows.clone()),
            ),
            None => (context, hidden),
        };
        let hidden = self.attention_output.forward_into_norm(
            context,
            hidden,
            &self.attention_norm,
            s.hidden_dropout,
            mode,
        );
        let wide = self
            .intermediate
            .forward_activated(hidden.clone(), s.activation);
        self.output
            .forward_into_norm(wide, hidden, &self.output_norm, s.hidden_dropout, mode)
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
        self.run(batch, None, mode, |_| {})
    }

    /// The rows of [`Self::forward`] at the places `rows` names, `[rows, h]`.
    ///
    /// The top layer computes no others behind its attention, where the rows part. With dropout the
    /// masks of that layer are those of as many rows.
    pub fn forward_rows(&self, batch: &Batch, rows: &[usize], mode: Mode<'_>) -> Tensor<2> {
        let rows = rows.iter().map(|&row| row as i32).collect();
        let rows = index(rows, &self.embeddings.word.device());
        self.run(batch, Some(&rows), mode, |_| {})
    }

    /// The first row of each sequence behind the top layer, `[batch, h]`.
    ///
    /// # Panics
    /// A sequence is empty: it has no first token.
    pub fn forward_first(&self, batch: &Batch, mode: Mode<'_>) -> Tensor<2> {
        self.forward_rows(batch, &batch.sequences.first_rows(), mode)
    }

    /// As [`Self::forward`], with the rows below the first layer and behind each one.
    pub fn hidden_states(&self, batch: &Batch, mode: Mode<'_>) -> Vec<Tensor<2>> {
        let mut states = Vec::with_capacity(self.layers.len() + 1);
        self.run(batch, None, mode, |hidden| states.push(hidden.clone()));
        states
    }

    fn run(
        &self,
        batch: &Batch,
        rows: Option<&Tensor<1, Int>>,
        mode: Mode<'_>,
        mut see: impl FnMut(&Tensor<2>),
    ) -> Tensor<2> {
        let mut hidden = self.embeddings.forward(batch, mode);
        see(&hidden);
        if let Some(stream) = recompute::applies(&hidden, mode)
            && !self.layers.is_empty()
        {
            let learns = self.embeddings.word.val().is_require_grad();
            let (layers, sequences) = (&self.layers, &batch.sequences);
            return recompute::forward(layers, hidden, learns, sequences, rows, stream, see);
        }
        let plan = AttentionPlan::new(&batch.sequences, &hidden.device());
        let top = self.layers.len().wrapping_sub(1);
        for (i, layer) in self.layers.iter().enumerate() {
            hidden = layer.forward(hidden, &plan, rows.filter(|_| i == top), mode);
            see(&hidden);
        }
        match rows {
            Some(rows) if self.layers.is_empty() => hidden.select(0, rows.clone()),
            _ => hidden,
        }
    }

    /// What stands for each sequence, given its first row: the pooled one, `[batch, h]`, or without
    /// a pooler the row itself.
    pub fn pool(&self, first: Tensor<2>) -> Tensor<2> {
        match &self.pooler {
            Some(pooler) => pooler.forward(first).tanh(),
            None => first,
        }
    }
}
