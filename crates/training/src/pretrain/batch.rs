//! Masked sequences on the host, ready for a model.

use bertkit_model::Batch;

/// The sequences of a micro-batch after masking, and the original tokens.
#[derive(Debug)]
pub(crate) struct MaskedBatch {
    /// The sequences as the model sees them.
    pub batch: Batch,
    /// Packed rows to predict, ascending.
    pub rows: Vec<usize>,
    /// The original token ids at these rows.
    pub targets: Vec<u32>,
    /// A random key for each of these rows, from which replacements are sampled: a function of the
    /// epoch, the sequence and the position, so that samples do not depend on the batch.
    pub keys: Vec<u64>,
    /// The label of each sequence, if sequences have labels.
    pub labels: Vec<u32>,
    /// The epoch, for messages.
    pub epoch: u64,
    /// The numbers of the sequences in the epoch, for messages.
    pub numbers: Vec<u64>,
}

/// SplitMix64's output function (Steele et al. 2014).
pub(crate) const fn mix(x: u64) -> u64 {
    let x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}
