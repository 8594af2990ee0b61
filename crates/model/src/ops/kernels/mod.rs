//! The arithmetic of the fused operations on the CPU: slices in, slices out.
//!
//! Elementwise loops are compiled once per instruction set (AVX-512, AVX2 with FMA, NEON, plain) and
//! chosen at run time by `pulp`; matrix products come from `gemm`, which chooses likewise. Work is
//! cut into pieces of fixed size, so that results do not depend on the number of threads.

mod activation;
mod attention;
mod cross_entropy;
mod mask;
mod math;
mod memory;
mod norm;
mod products;

pub(crate) use activation::{bias_gelu, bias_gelu_backward, bias_gelu_in_place};
pub(crate) use attention::{attention, attention_backward, mask_row};
pub(crate) use cross_entropy::masked_lm;
pub(crate) use mask::{Mask, mix};
pub(crate) use norm::{
    Ids, Normalised, Tables, add_norm, add_norm_backward, embed_norm, embed_norm_backward, scatter,
    sum_rows,
};
pub(crate) use products::{linear, product, product_input, product_weight, scale};

/// Elements that one thread takes at a time.
const PIECE: usize = 1 << 14;
/// Rows whose partial sums are added up together in reductions over rows.
const ROWS: usize = 64;
