//! The rows of each sequence in a packed batch.

use burn::tensor::{Bool, Device, Int, Tensor, TensorData};

/// The layout of a packed batch: concatenated sequences, without padding.
///
/// The encoder's layers work on rows `[tokens, hidden]`; only attention reads this value. On
/// backends without a packed attention kernel it also provides the indices that gather the rows into
/// a padded `[batch, width]` and scatter them back.
#[derive(Debug, Clone)]
pub struct Sequences {
    offsets: Vec<usize>,
    longest: usize,
}

impl Sequences {
    /// From the length of each sequence, in tokens, in the order of their rows.
    pub fn from_lengths(lengths: &[usize]) -> Self {
        let mut offsets = Vec::with_capacity(lengths.len() + 1);
        let mut total = 0;
        offsets.push(0);
        for length in lengths {
            total += length;
            offsets.push(total);
        }
        Self {
            offsets,
            longest: lengths.iter().copied().max().unwrap_or(0),
        }
    }

    /// The number of sequences.
    pub fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Whether there is no sequence at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The total number of rows.
    pub fn tokens(&self) -> usize {
        self.offsets[self.offsets.len() - 1]
    }

    /// The length of the longest sequence, in tokens.
    pub fn longest(&self) -> usize {
        self.longest
    }

    /// The first row of each sequence, then the total number of rows.
    pub fn offsets(&self) -> &[usize] {
        &self.offsets
    }

    /// The length of sequence `i`, in tokens.
    pub fn length(&self, i: usize) -> usize {
        self.offsets[i + 1] - self.offsets[i]
    }

    /// Whether all sequences have the same length, so that gathering is a reshape.
    pub fn is_uniform(&self) -> bool {
        (0..self.len()).all(|i| self.length(i) == self.longest)
    }

    /// The position of each row within its sequence, counted from `first`: `[tokens]`.
    pub fn positions(&self, first: usize) -> Vec<u32> {
        (0..self.len())
            .flat_map(|i| (0..self.length(i)).map(move |t| (first + t) as u32))
            .collect()
    }

    /// The row of each sequence's first token: `[batch]`, for heads that read `[CLS]`.
    ///
    /// # Panics
    /// A sequence is empty: it has no first token.
    pub fn first_rows(&self) -> Vec<usize> {
        assert!(
            (0..self.len()).all(|i| self.length(i) > 0),
            "a sequence without tokens has no first row"
        );
        self.offsets[..self.len()].to_vec()
    }

    /// For each cell of `[batch, width]`, the row that belongs there (row 0 for padding); `width` must be at least the longest
    /// length.
    pub(crate) fn gather_rows(&self, width: usize, device: &Device) -> Tensor<1, Int> {
        let rows = (0..self.len()).flat_map(|i| {
            let (start, length) = (self.offsets[i], self.length(i));
            (0..width).map(move |t| if t < length { (start + t) as i32 } else { 0 })
        });
        index(rows.collect(), device)
    }

    /// For each row, its cell in `[batch * width]`.
    pub(crate) fn scatter_cells(&self, width: usize, device: &Device) -> Tensor<1, Int> {
        let cells =
            (0..self.len()).flat_map(|i| (0..self.length(i)).map(move |t| (i * width + t) as i32));
        index(cells.collect(), device)
    }

    /// `[batch, width]`, true where a cell holds no token.
    pub(crate) fn padding(&self, width: usize, device: &Device) -> Tensor<2, Bool> {
        let cells: Vec<bool> = (0..self.len())
            .flat_map(|i| (0..width).map(move |t| t >= self.length(i)))
            .collect();
        Tensor::from_data(TensorData::new(cells, [self.len(), width]), device)
    }
}

/// A vector of row numbers on the device.
pub(crate) fn index(rows: Vec<i32>, device: &Device) -> Tensor<1, Int> {
    let n = rows.len();
    Tensor::from_data(TensorData::new(rows, [n]), device)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_positions_and_longest_follow_the_lengths() {
        let sequences = Sequences::from_lengths(&[3, 1, 2]);
        assert_eq!(sequences.offsets(), [0, 3, 4, 6]);
        assert_eq!(
            (sequences.tokens(), sequences.longest(), sequences.len()),
            (6, 3, 3)
        );
        assert_eq!(sequences.positions(2), [2, 3, 4, 2, 2, 3]);
        assert!(!sequences.is_uniform());
        assert!(Sequences::from_lengths(&[2, 2]).is_uniform());
    }
}
