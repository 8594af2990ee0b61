//! The arithmetic of the fused operations on the CPU: slices in, slices out.
//!
//! Elementwise loops are compiled once per instruction set (AVX-512, AVX2 with FMA, NEON, scalar) and
//! selected at run time by `pulp`; matrix products come from `gemm`, which does the same. Work is
//! split into pieces of fixed size, so that results do not depend on the number of threads.

mod activation;
mod attention;
mod cross_entropy;
mod mask;
mod math;
mod memory;
mod norm;
mod products;

pub(crate) use activation::{gelu_backward, linear_gelu, linear_gelu_kept};
pub(crate) use attention::{attention, attention_backward, mask_row};
pub(crate) use cross_entropy::masked_lm;
pub(crate) use mask::{Mask, mix};
pub(crate) use norm::{
    Before, Ids, Normalised, Tables, embed_norm, embed_norm_backward, linear_norm, norm,
    norm_backward, scatter, sum_rows,
};
pub(crate) use products::{linear, product_input, product_weight, scale};

/// Rows per partial sum in reductions over rows.
const ROWS: usize = 32;
