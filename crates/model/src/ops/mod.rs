//! The operations that make up the encoder.
//!
//! Each has a composed form in plain Burn operations, which defines it and runs on every backend, and
//! most have a fused form for the CPU (`cpu`). The device and the context decide which one runs.

mod activation;
mod attention;
mod cpu;
mod dropout;
mod embedding;
mod layer_norm;
mod linear;
mod masked_lm;
mod matmul;
mod products;

pub use activation::activate;
pub use attention::{AttentionPlan, attention};
pub use cpu::fused_calls;
pub(crate) use cpu::kernels::{Mask, mix};
pub use dropout::dropout;
pub use embedding::{EmbeddingIds, embed};
pub use layer_norm::LayerNorm;
pub use linear::Linear;
pub use masked_lm::masked_lm;
pub(crate) use matmul::matmul;
pub use products::LinearProducts;
