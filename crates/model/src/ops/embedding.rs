//! The bottom of the encoder: embedding look-ups, summed and normalised.

use std::sync::Arc;

use burn::tensor::{Device, Int, Tensor, TensorData, module};

use super::cpu::kernels::Ids;
use super::cpu::{self, Lookup, NormSettings};
use super::{LayerNorm, dropout};
use crate::context::Context;

/// The rows of the tables that are summed for each token.
#[derive(Debug, Clone)]
pub struct EmbeddingIds {
    /// Token ids, `[tokens]`.
    pub words: Vec<u32>,
    /// Positions, `[tokens]`.
    pub positions: Vec<u32>,
    /// Token types, `[tokens]`; ignored if there is no such table.
    pub types: Vec<u32>,
}

/// `dropout(LayerNorm(word + position + type))`: tables `[rows, e]` to `[tokens, e]`.
///
/// # Panics
/// If an id is not a row of its table.
pub fn embed(
    word: Tensor<2>,
    position: Tensor<2>,
    token_type: Option<Tensor<2>>,
    ids: EmbeddingIds,
    norm: &LayerNorm,
    rate: f64,
    context: Context<'_>,
) -> Tensor<2> {
    let device = word.device();
    if cpu::applies(&word, context) {
        let [_, e] = word.dims();
        let settings = NormSettings {
            epsilon: norm.epsilon as f32,
            mask: context.mask(rate),
        };
        let ids = Arc::new(Ids {
            words: ids.words,
            positions: ids.positions,
            types: ids.types,
        });
        // The kernel treats a table without rows as absent.
        let token_type = token_type.unwrap_or_else(|| Tensor::zeros([0, e], &device));
        return cpu::embed(
            [word, position, token_type],
            [norm.weight.val(), norm.bias.val()],
            Lookup { ids, settings },
        );
    }
    let mut sum = lookup(word, ids.words, &device) + lookup(position, ids.positions, &device);
    if let Some(table) = token_type {
        sum = sum + lookup(table, ids.types, &device);
    }
    dropout(norm.forward(sum, context), rate, context)
}

/// The rows of `table` (`[n, e]`) at `ids`: `[tokens, e]`. Gradients of equal ids are summed.
fn lookup(table: Tensor<2>, ids: Vec<u32>, device: &Device) -> Tensor<2> {
    let ([_, e], tokens) = (table.dims(), ids.len());
    let ids: Vec<i32> = ids.into_iter().map(|id| id as i32).collect();
    let ids: Tensor<2, Int> = Tensor::from_data(TensorData::new(ids, [1, tokens]), device);
    module::embedding(table, ids).reshape([tokens, e])
}
