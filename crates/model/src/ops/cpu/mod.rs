//! The fused operations of the CPU, in f32: one file each with its backend operation and its node of the
//! autodiff graph. The arithmetic on slices is in `kernels`, which builds without the tensor library so that
//! it can be run under sanitizers.
//!
//! In each file, the trait `…Kernels` has the kernels on a backend's tensors, and `…Ops` is the entry point, which
//! Burn's macro dispatches to the run-time device. Under autodiff an operation is one node that keeps only
//! what its backward pass reads.

mod applies;
mod attention;
mod embed;
pub(super) mod kernels;
mod linear;
mod linear_gelu;
mod linear_norm;
mod masked_lm;
mod norm;
mod tensor;

pub use applies::fused_calls;
pub(super) use applies::{applies, applies_with_matmul};
pub(super) use attention::{AttentionShape, attention};
pub(super) use embed::{Lookup, embed};
pub(super) use linear::linear;
pub(super) use linear_gelu::linear_gelu;
pub(super) use linear_norm::linear_norm;
pub(super) use masked_lm::masked_lm;
pub(super) use norm::{NormSettings, norm};
