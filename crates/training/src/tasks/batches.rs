//! Batches of encoded texts for the encoder.

use bertkit_data::batches::{BatchPolicy, PackedBatch, plan};
use bertkit_data::tokenizer::Encoding;
use bertkit_model::Batch;

/// Encoded rows, packed for the encoder.
pub(crate) fn pack(encodings: &[Encoding], rows: &[usize]) -> Batch {
    to_batch(PackedBatch::pack(encodings, rows))
}

/// Packed token ids as the encoder reads them.
pub(crate) fn to_batch(packed: PackedBatch) -> Batch {
    // Token types are 0 and 1.
    let types = packed.token_type_ids.iter().map(|&t| t as u8).collect();
    Batch::new(packed.input_ids, types, &packed.lengths)
}

/// Batches for inference: rows of similar length together, about 2,048 tokens each.
pub fn inference_batches(lengths: &[usize]) -> Vec<Vec<usize>> {
    const TOKENS: usize = 2048;
    plan(lengths, BatchPolicy::Tokens(TOKENS), true, None)
}

/// Rows times the square of the longest: the size of attention on a device that pads.
pub(crate) fn attended(batch: &Batch) -> usize {
    batch.len() * batch.sequences.longest().pow(2)
}
