//! Attention within each sequence of a packed batch.

use burn::tensor::activation::softmax;
use burn::tensor::{Bool, Device, Int, Tensor};

use super::cpu::kernels::{Mask, mask_row};
use super::cpu::{self, AttentionShape};
use super::dropout::apply;
use super::matmul;
use crate::context::Context;
use crate::device::is_cpu;
use crate::precision::MatmulPrecision;
use crate::sequences::Sequences;

/// On GPUs the width is rounded up to a multiple of this: rows are then read in whole words of 16 bytes, in f32 as in 16
/// bits, and fewer distinct shapes mean fewer kernels to tune and compile.
const ALIGNED: usize = 8;

/// The layout of a batch for attention, built once and used by every layer.
#[derive(Debug, Clone)]
pub struct AttentionPlan {
    sequences: Sequences,
    /// The padded width of the composed form: the length of the longest sequence, or slightly more.
    width: usize,
    /// How rows are gathered into `[batch, width]` and scattered back; `None` if that is a reshape.
    padded: Option<Padded>,
}

#[derive(Debug, Clone)]
struct Padded {
    gather: Tensor<1, Int>,
    scatter: Tensor<1, Int>,
    /// `[batch, 1, 1, width]`, true on padding.
    padding: Tensor<4, Bool>,
}

impl AttentionPlan {
    /// The plan for the sequences of one batch.
    pub fn new(sequences: &Sequences, device: &Device, context: Context<'_>) -> Self {
        let needed = !sequences.is_uniform()
            && (!is_cpu(device)
                || context.is_composed()
                || context.matmul_precision() != MatmulPrecision::Native);
        let width = match needed && !is_cpu(device) {
            true => sequences.longest().next_multiple_of(ALIGNED),
            false => sequences.longest(),
        };
        let padded = needed.then(|| Padded {
            gather: sequences.gather_rows(width, device),
            scatter: sequences.scatter_cells(width, device),
            padding: sequences
                .padding(width, device)
                .reshape([sequences.len(), 1, 1, width]),
        });
        Self {
            sequences: sequences.clone(),
            width,
            padded,
        }
    }
}

/// Mixes every token with every token of its own sequence (Vaswani et al. 2017, §3.2; Devlin et
/// al. 2019, §3): `qkv` `[tokens, 3 h]`, query, key and value side by side, to `[tokens, h]`.
///
/// Shapes: `b` sequences, `t` cells of each (see [`AttentionPlan`]), `h` hidden = `n` heads × `d` per head.
pub fn attention(
    qkv: Tensor<2>,
    plan: &AttentionPlan,
    heads: usize,
    rate: f64,
    context: Context<'_>,
) -> Tensor<2> {
    if cpu::applies_with_matmul(&qkv, context) {
        let shape = AttentionShape {
            sequences: plan.sequences.clone(),
            heads,
            mask: context.mask(rate),
        };
        return cpu::attention(qkv, shape);
    }
    let [_, width] = qkv.dims();
    let (b, t, n, h) = (plan.sequences.len(), plan.width, heads, width / 3);
    let d = h / n;
    assert!(
        plan.padded.is_some() || plan.sequences.is_uniform(),
        "the plan was made for the fused form"
    );
    let cells = match &plan.padded {
        Some(padded) => qkv.select(0, padded.gather.clone()),
        None => qkv,
    };
    // [b t, 3 h] → [3, b, n, t, d]
    let cells = cells.reshape([b, t, 3, n, d]).permute([2, 0, 3, 1, 4]);
    let part = |i: usize| cells.clone().narrow(0, i, 1).reshape([b, n, t, d]);
    let (q, k, v) = (part(0), part(1), part(2));

    let scores = matmul(q / (d as f64).sqrt(), k.transpose(), context); // [b, n, t, t]
    let scores = match &plan.padded {
        Some(padded) => scores.mask_fill(padded.padding.clone().expand([b, n, t, t]), -1e9),
        None => scores,
    };
    let weights = apply(softmax(scores, 3), rate, context, |mask| {
        weight_factors(mask, plan, n)
    });
    let mixed = matmul(weights, v, context)
        .swap_dims(1, 2)
        .reshape([b * t, h]);
    match &plan.padded {
        Some(padded) => mixed.select(0, padded.scatter.clone()),
        None => mixed,
    }
}

/// The dropout factors of attention weights, as `[batch, heads, width, width]`: each query of
/// each head uses the same mask row as in the fused form.
fn weight_factors(mask: Mask, plan: &AttentionPlan, heads: usize) -> Vec<f32> {
    let (sequences, t) = (&plan.sequences, plan.width);
    let mut factors = vec![0.0; sequences.len() * heads * t * t];
    for (row, out) in factors.chunks_mut(t.max(1)).enumerate() {
        let (block, query) = (row / t, row % t);
        let (sequence, head) = (block / heads, block % heads);
        if query < sequences.length(sequence) {
            mask.row(
                mask_row(sequences.offsets()[sequence] + query, heads, head),
                t,
                out,
            );
        }
    }
    factors
}
