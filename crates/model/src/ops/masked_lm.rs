//! The cross-entropy over a whole vocabulary.

use burn::tensor::activation::log_softmax;
use burn::tensor::{Int, Tensor, TensorData};

use super::{cpu, matmul};
use crate::context::Context;

/// `−Σ log softmax(hidden tableᵀ + bias)[target]`, summed over rows: `hidden` `[m, e]`, `table`
/// `[v, e]`, `bias` `[v]`, `targets` `[m]` to `[1]`.
///
/// The fused form computes the logits of one block of rows at a time, never all `[m, v]`.
///
/// # Panics
/// If a target is not in the vocabulary.
pub fn masked_lm(
    hidden: Tensor<2>,
    table: Tensor<2>,
    bias: Tensor<1>,
    targets: Vec<u32>,
    context: Context<'_>,
) -> Tensor<1> {
    if cpu::applies_with_matmul(&hidden, context) {
        return cpu::masked_lm(hidden, table, bias, targets);
    }
    let (m, device) = (targets.len(), hidden.device());
    let targets: Vec<i32> = targets.into_iter().map(|id| id as i32).collect();
    let targets: Tensor<2, Int> = Tensor::from_data(TensorData::new(targets, [m, 1]), &device);
    let logits = matmul(hidden, table.transpose(), context) + bias.unsqueeze();
    -log_softmax(logits, 1).gather(1, targets).sum()
}
