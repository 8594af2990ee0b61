//! Weights in Hugging Face's layout: reading, with a report of missing and unused tensors, and writing.

mod checkpoint;
mod error;
mod load;
mod mapped;
mod save;
mod visit;

pub use checkpoint::Checkpoint;
pub use error::WeightsError;
pub use load::{HeadPolicy, LoadReport, load};
pub use save::{save, write_safetensors};
pub use visit::{to_vec, visit};
