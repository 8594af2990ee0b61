//! The operations that the encoder is made of, each one function in plain Burn operations.
//!
//! A backend with a kernel of its own for one of them takes it here, behind the same signature;
//! the composed form stays as the meaning of the operation.

mod activation;
mod attention;
mod dropout;
mod embedding;
mod layer_norm;
mod linear;

pub use activation::{activate, gelu};
pub use attention::{AttentionPlan, attention};
pub use dropout::{DropoutStream, Mode, dropout};
pub use embedding::lookup;
pub use layer_norm::{LayerNorm, add_dropout_norm};
pub use linear::Linear;
