//! The architecture of an encoder, independent of its family: its tensors and how they are computed.

use serde::{Deserialize, Serialize};

/// The nonlinearity between the two matrices of the feed-forward block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// `x Φ(x)` with the exact error function.
    Gelu,
    /// The tanh approximation of GELU, as in the original BERT code.
    GeluNew,
    /// `max(x, 0)`.
    Relu,
    /// Hyperbolic tangent.
    Tanh,
}

impl Activation {
    /// The activation with that name in `config.json`, if it is supported.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        match name {
            "gelu" | "gelu_python" => Some(Self::Gelu),
            "gelu_new" | "gelu_pytorch_tanh" | "gelu_fast" => Some(Self::GeluNew),
            "relu" => Some(Self::Relu),
            "tanh" => Some(Self::Tanh),
            _ => None,
        }
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Gelu => "gelu",
            Self::GeluNew => "gelu_new",
            Self::Relu => "relu",
            Self::Tanh => "tanh",
        }
    }
}

/// An encoder: embeddings, then blocks.
#[derive(Debug, Clone, PartialEq)]
pub struct EncoderSpec {
    /// Ids to rows.
    pub embeddings: EmbeddingSpec,
    /// Width of the blocks.
    pub hidden_size: usize,
    /// From the bottom to the top, one for each application of a block.
    pub blocks: Vec<BlockSpec>,
    /// Blocks that checkpoints number together: ALBERT's `inner_group_num`, 1 elsewhere.
    pub group_size: usize,
}

/// How deep in the encoder each parameter set is used, for layer-wise learning rates and freezing.
///
/// A set that several blocks share counts as the topmost of them: it is frozen only if all blocks that use it are,
/// and it has the learning rate of the topmost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerDepths {
    last_use: Vec<usize>,
    blocks: usize,
}

impl LayerDepths {
    /// For `blocks` blocks without shared parameters.
    pub fn unshared(blocks: usize) -> Self {
        Self {
            last_use: (0..blocks).collect(),
            blocks,
        }
    }

    /// The number of blocks.
    pub fn blocks(&self) -> usize {
        self.blocks
    }

    /// The topmost block that uses a parameter set, from 0; `None` if there is no such set.
    pub fn last_use(&self, set: usize) -> Option<usize> {
        self.last_use.get(set).copied()
    }
}

/// The tables at the bottom of an encoder, summed and normalised.
#[derive(Debug, Clone, PartialEq)]
pub struct EmbeddingSpec {
    /// Rows of the word embedding.
    pub vocab_size: usize,
    /// Width of the tables.
    pub width: usize,
    /// Whether a linear layer maps the tables' width to that of the blocks.
    pub projection: bool,
    /// How positions are encoded.
    pub positions: Positions,
    /// Rows of the token-type embedding; 0 where there is none.
    pub token_types: usize,
    /// Added to the variance in LayerNorm.
    pub norm_epsilon: f64,
    /// Dropout after the LayerNorm.
    pub dropout: f64,
}

/// How positions in the sequence are encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Positions {
    /// A learned row for each position, added to the word embedding.
    Learned {
        /// Rows of the table (`max_position_embeddings`).
        rows: usize,
        /// The row of the first token.
        first: usize,
    },
}

/// One transformer block (Vaswani et al. 2017, §3.1): attention, then a feed-forward block.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BlockSpec {
    /// The earlier block whose parameters this one uses.
    pub shared_with: Option<usize>,
    /// Where the block normalises.
    pub norm: NormPlacement,
    /// Added to the variance in LayerNorm.
    pub norm_epsilon: f64,
    /// Attention heads; a divisor of the width.
    pub num_heads: usize,
    /// Dropout on attention weights.
    pub attention_dropout: f64,
    /// Dropout on the output of attention, before the residual connection.
    pub attention_output_dropout: f64,
    /// The feed-forward block.
    pub mlp: MlpSpec,
}

/// Where a block normalises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NormPlacement {
    /// After each residual connection, as in the original transformer and in BERT.
    Post,
}

/// A feed-forward block: two linear layers with a nonlinearity between.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MlpSpec {
    /// Width between the two layers.
    pub width: usize,
    /// The nonlinearity.
    pub activation: Activation,
    /// Dropout on the output, before the residual connection.
    pub output_dropout: f64,
}

impl EncoderSpec {
    /// For each block, the number of its parameter set, which is its layer in the module tree.
    pub fn parameter_sets(&self) -> Vec<usize> {
        let mut sets = Vec::with_capacity(self.blocks.len());
        let mut next = 0;
        for block in &self.blocks {
            sets.push(match block.shared_with {
                Some(earlier) => sets[earlier],
                None => {
                    next += 1;
                    next - 1
                }
            });
        }
        sets
    }

    /// The depths of the blocks that use each parameter set.
    pub fn layer_depths(&self) -> LayerDepths {
        let mut last_use = Vec::new();
        for (depth, set) in self.parameter_sets().into_iter().enumerate() {
            if set == last_use.len() {
                last_use.push(depth);
            } else {
                last_use[set] = depth;
            }
        }
        LayerDepths {
            last_use,
            blocks: self.blocks.len(),
        }
    }

    /// The length of the longest sequence in tokens, as limited by the positions.
    pub fn max_length(&self) -> usize {
        match self.embeddings.positions {
            Positions::Learned { rows, first } => rows.saturating_sub(first),
        }
    }

    /// The number of weights, optionally including a pooler. Shared weights count once.
    pub fn num_parameters(&self, pooler: bool) -> usize {
        let (e, h) = (self.embeddings.width, self.hidden_size);
        let Positions::Learned { rows, .. } = self.embeddings.positions;
        let rows = self.embeddings.vocab_size + rows + self.embeddings.token_types;
        let projection = if self.embeddings.projection {
            e * h + h
        } else {
            0
        };
        let own = self.blocks.iter().filter(|b| b.shared_with.is_none());
        let blocks: usize = own
            .map(|block| {
                let f = block.mlp.width;
                4 * (h * h + h) + 2 * h * f + f + h + 4 * h
            })
            .sum();
        let pooler = if pooler { h * h + h } else { 0 };
        rows * e + 2 * e + projection + blocks + pooler
    }
}
