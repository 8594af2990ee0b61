//! Groups rows into batches and concatenates their token ids.

use serde::{Deserialize, Serialize};

use crate::error::{DataError, LabelError};
use crate::random::{Purpose, Random};
use crate::tokenizer::Encoding;

/// Size limit of a batch; 0 is treated as 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BatchPolicy {
    /// Number of rows; the last batch may be smaller.
    Rows(usize),
    /// Maximum number of tokens, special tokens included. A row longer than that forms its own batch.
    Tokens(usize),
}

/// Batches in which every row appears once, as row indices.
///
/// `lengths` is the number of tokens of each row. With `shuffle`, a `(seed, epoch)`, the order of rows is random and
/// depends only on these two values. With `bucketed`, rows of similar length share a batch: pools of up to 50 batches of
/// shuffled rows (at most a quarter of all batches) are sorted by length and cut into batches, and the batches are
/// shuffled so that training does not proceed in order of length. Without `shuffle`, `bucketed` puts the longest rows
/// first, so that a batch too large for memory fails immediately; the caller has to restore the order of the results.
///
/// Rows are packed, so the token budget includes no padding.
pub fn plan(
    lengths: &[usize],
    policy: BatchPolicy,
    bucketed: bool,
    shuffle: Option<(u64, u64)>,
) -> Vec<Vec<usize>> {
    const POOL_BATCHES: usize = 50;
    let mut order: Vec<usize> = (0..lengths.len()).collect();
    let Some((seed, epoch)) = shuffle else {
        if bucketed {
            order.sort_by_key(|&row| std::cmp::Reverse(lengths[row]));
        }
        return cut(&order, lengths, policy);
    };
    let mut random = Random::new(seed, Purpose::Batches, epoch);
    random.shuffle(&mut order);
    if !bucketed {
        return cut(&order, lengths, policy);
    }
    let batches = cut(&order, lengths, policy).len();
    let pool = (batches / 4).clamp(1, POOL_BATCHES);
    let pool_policy = match policy {
        BatchPolicy::Rows(rows) => BatchPolicy::Rows(rows.max(1).saturating_mul(pool)),
        BatchPolicy::Tokens(tokens) => BatchPolicy::Tokens(tokens.max(1).saturating_mul(pool)),
    };
    let mut batches = Vec::with_capacity(batches);
    for mut rows in cut(&order, lengths, pool_policy) {
        rows.sort_by_key(|&row| lengths[row]);
        batches.extend(cut(&rows, lengths, policy));
    }
    random.shuffle(&mut batches);
    batches
}

/// Cuts `order` into batches as large as `policy` allows.
fn cut(order: &[usize], lengths: &[usize], policy: BatchPolicy) -> Vec<Vec<usize>> {
    let budget = match policy {
        BatchPolicy::Rows(rows) => return order.chunks(rows.max(1)).map(<[_]>::to_vec).collect(),
        BatchPolicy::Tokens(tokens) => tokens.max(1),
    };
    let mut batches = Vec::new();
    let mut batch = Vec::new();
    let mut tokens = 0;
    for &row in order {
        if !batch.is_empty() && tokens + lengths[row] > budget {
            batches.push(std::mem::take(&mut batch));
            tokens = 0;
        }
        batch.push(row);
        tokens += lengths[row];
    }
    if !batch.is_empty() {
        batches.push(batch);
    }
    batches
}

/// Batches with the same number of rows of every class, as row indices; `labels` is the class of each row.
///
/// A batch has `rows / classes` rows of each class, rounded down, in random order. The epoch ends once every row of the
/// largest class has been used; smaller classes are repeated, reshuffled each time, and the last batch is filled up in
/// the same way for all classes. The result depends only on the seed and the epoch.
///
/// # Errors
/// [`LabelError::BatchTooSmall`] if `rows` is less than the number of classes that occur.
pub fn balanced(
    labels: &[usize],
    rows: usize,
    seed: u64,
    epoch: u64,
) -> Result<Vec<Vec<usize>>, DataError> {
    let mut classes: std::collections::BTreeMap<usize, Vec<usize>> = Default::default();
    for (row, &label) in labels.iter().enumerate() {
        classes.entry(label).or_default().push(row);
    }
    if classes.is_empty() {
        return Ok(Vec::new());
    }
    let each = rows / classes.len();
    if each == 0 {
        return Err(DataError::Label(LabelError::BatchTooSmall {
            rows,
            classes: classes.len(),
        }));
    }
    let largest = classes.values().map(Vec::len).max().unwrap_or(0);
    let count = largest.div_ceil(each);
    let mut random = Random::new(seed, Purpose::Batches, epoch);
    let mut batches = vec![Vec::with_capacity(each * classes.len()); count];
    for members in classes.values_mut() {
        let mut next = members.len();
        for batch in &mut batches {
            for _ in 0..each {
                if next == members.len() {
                    random.shuffle(members);
                    next = 0;
                }
                batch.push(members[next]);
                next += 1;
            }
        }
    }
    batches.iter_mut().for_each(|batch| random.shuffle(batch));
    Ok(batches)
}

/// The concatenated rows of a batch, without padding: `t` tokens in `b` rows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PackedBatch {
    /// `[t]`: token ids of all rows.
    pub input_ids: Vec<u32>,
    /// `[t]`: 0 for the first text and its special tokens; 1 for the second text if the family uses token types.
    pub token_type_ids: Vec<u32>,
    /// `[b]`: number of tokens of each row; the sum is `t`.
    pub lengths: Vec<usize>,
    /// `[b]`: index of each row in the encodings it was packed from.
    pub rows: Vec<usize>,
}

impl PackedBatch {
    /// Packs the encodings of `rows`, in that order.
    ///
    /// # Panics
    /// If a row is not an index of `encodings`.
    pub fn pack(encodings: &[Encoding], rows: &[usize]) -> Self {
        let tokens = rows.iter().map(|&row| encodings[row].ids.len()).sum();
        let mut batch = Self {
            input_ids: Vec::with_capacity(tokens),
            token_type_ids: Vec::with_capacity(tokens),
            lengths: Vec::with_capacity(rows.len()),
            rows: rows.to_vec(),
        };
        for &row in rows {
            let encoding = &encodings[row];
            batch.input_ids.extend_from_slice(&encoding.ids);
            batch.token_type_ids.extend_from_slice(&encoding.type_ids);
            batch.lengths.push(encoding.ids.len());
        }
        batch
    }

    /// Number of tokens of all rows, `t`.
    pub fn tokens(&self) -> usize {
        self.input_ids.len()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    fn policies() -> impl Strategy<Value = BatchPolicy> {
        prop_oneof![
            (1usize..40).prop_map(BatchPolicy::Rows),
            (1usize..300).prop_map(BatchPolicy::Tokens),
        ]
    }

    proptest! {
        #[test]
        fn every_row_is_in_one_batch_and_no_batch_is_too_large(
            lengths in prop::collection::vec(1usize..100, 0..400),
            policy in policies(),
            bucketed: bool,
            shuffle in prop::option::of((any::<u64>(), any::<u64>())),
        ) {
            let batches = plan(&lengths, policy, bucketed, shuffle);
            let mut all = batches.concat();
            all.sort_unstable();
            prop_assert_eq!(all, (0..lengths.len()).collect::<Vec<_>>());
            for batch in &batches {
                prop_assert!(!batch.is_empty());
                match policy {
                    BatchPolicy::Rows(rows) => prop_assert!(batch.len() <= rows),
                    BatchPolicy::Tokens(budget) => {
                        let tokens: usize = batch.iter().map(|&row| lengths[row]).sum();
                        prop_assert!(tokens <= budget || batch.len() == 1);
                    }
                }
            }
            prop_assert_eq!(batches, plan(&lengths, policy, bucketed, shuffle));
        }

        #[test]
        fn balanced_batches_hold_equally_many_of_every_class(
            labels in prop::collection::vec(0usize..4, 1..200), rows in 4usize..40, seed: u64, epoch: u64,
        ) {
            let batches = balanced(&labels, rows, seed, epoch).unwrap();
            let present: std::collections::BTreeSet<usize> = labels.iter().copied().collect();
            let each = rows / present.len();
            for batch in &batches {
                prop_assert_eq!(batch.len(), each * present.len());
                for &class in &present {
                    let count = batch.iter().filter(|&&row| labels[row] == class).count();
                    prop_assert_eq!(count, each);
                }
            }
            let seen: std::collections::BTreeSet<usize> = batches.concat().into_iter().collect();
            prop_assert_eq!(seen.len(), labels.len());
            prop_assert_eq!(batches, balanced(&labels, rows, seed, epoch).unwrap());
        }
    }

    #[test]
    fn epochs_and_seeds_give_different_batches() {
        let lengths: Vec<usize> = (0..100).map(|row| row % 7 + 1).collect();
        let batches = |seed, epoch| plan(&lengths, BatchPolicy::Rows(8), true, Some((seed, epoch)));
        assert_ne!(batches(1, 0), batches(1, 1));
        assert_ne!(batches(1, 0), batches(2, 0));
        let labels: Vec<usize> = (0..100).map(|row| usize::from(row % 5 == 0)).collect();
        assert_ne!(
            balanced(&labels, 8, 1, 0).unwrap(),
            balanced(&labels, 8, 1, 1).unwrap()
        );
    }

    #[test]
    fn buckets_hold_similar_lengths_and_their_order_tells_nothing() {
        let lengths: Vec<usize> = (0..4000).map(|row| row * 31 % 97 + 1).collect();
        let batches = plan(&lengths, BatchPolicy::Rows(16), true, Some((3, 0)));
        let spread = |batch: &Vec<usize>| {
            let (low, high) = batch.iter().fold((usize::MAX, 0), |(low, high), &row| {
                (low.min(lengths[row]), high.max(lengths[row]))
            });
            high - low
        };
        let mean = batches.iter().map(spread).sum::<usize>() as f64 / batches.len() as f64;
        assert!(mean < 6.0, "mean spread {mean}");
        let half = |batches: &[Vec<usize>]| {
            let rows = batches.concat();
            rows.iter().map(|&row| lengths[row]).sum::<usize>() as f64 / rows.len() as f64
        };
        let (first, second) = batches.split_at(batches.len() / 2);
        assert!((half(first) - half(second)).abs() < 10.0);
    }

    #[test]
    fn without_shuffling_the_longest_come_first() {
        let batches = plan(&[3, 9, 5, 9], BatchPolicy::Rows(2), true, None);
        assert_eq!(batches, [[1, 3], [2, 0]]);
        let batches = plan(&[3, 9, 5, 9], BatchPolicy::Tokens(12), false, None);
        assert_eq!(batches, [vec![0, 1], vec![2], vec![3]]);
        assert!(plan(&[], BatchPolicy::Rows(2), true, None).is_empty());
    }

    #[test]
    fn a_batch_smaller_than_the_classes_is_refused() {
        assert!(matches!(
            balanced(&[0, 1, 2], 2, 0, 0),
            Err(DataError::Label(LabelError::BatchTooSmall {
                rows: 2,
                classes: 3
            }))
        ));
    }

    #[test]
    fn packing_puts_rows_side_by_side() {
        let encoding = |ids: &[u32], type_ids: &[u32]| Encoding {
            ids: ids.to_vec(),
            type_ids: type_ids.to_vec(),
            truncated: false,
        };
        let encodings = [
            encoding(&[2, 7, 3], &[0, 0, 0]),
            encoding(&[2, 3, 8, 3], &[0, 0, 1, 1]),
        ];
        let batch = PackedBatch::pack(&encodings, &[1, 0]);
        assert_eq!(batch.input_ids, [2, 3, 8, 3, 2, 7, 3]);
        assert_eq!(batch.token_type_ids, [0, 0, 1, 1, 0, 0, 0]);
        assert_eq!(
            (batch.lengths.as_slice(), batch.rows.as_slice()),
            (&[4, 3][..], &[1, 0][..])
        );
        assert_eq!(batch.tokens(), 7);
    }
}
