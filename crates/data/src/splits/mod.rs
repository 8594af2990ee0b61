//! Seeded splits of rows into training and held-out parts.

mod folds;
mod grouped;
mod holdout;
mod split;

pub use self::folds::folds;
pub use self::grouped::grouped;
pub use self::holdout::{random, stratified};
pub use self::split::Split;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::error::{DataError, SplitError};

    fn assert_partition(split: &Split, rows: usize) {
        let mut all: Vec<usize> = split.train.iter().chain(&split.held_out).copied().collect();
        all.sort_unstable();
        assert_eq!(all, (0..rows).collect::<Vec<_>>());
        assert!(split.train.is_sorted() && split.held_out.is_sorted());
        assert!(!split.train.is_empty() && !split.held_out.is_empty());
    }

    proptest! {
        #[test]
        fn random_splits_are_partitions_of_the_wanted_size(
            rows in 2usize..300, fraction in 0.01..0.99f64, seed: u64,
        ) {
            let split = random(rows, fraction, seed).unwrap();
            assert_partition(&split, rows);
            let exact = fraction * rows as f64;
            let count = split.held_out.len();
            prop_assert!((count as f64 - exact).abs() <= 0.5 + 1e-9 || count == 1 || count == rows - 1);
            prop_assert_eq!(split, random(rows, fraction, seed).unwrap());
        }

        #[test]
        fn stratified_splits_keep_the_ratio_of_every_class(
            labels in prop::collection::vec(0usize..4, 10..200), fraction in 0.05..0.95f64, seed: u64,
        ) {
            let split = stratified(&labels, fraction, seed).unwrap();
            assert_partition(&split, labels.len());
            for class in 0..4 {
                let total = labels.iter().filter(|&&label| label == class).count();
                let held = split.held_out.iter().filter(|&&row| labels[row] == class).count();
                if total == 1 {
                    prop_assert_eq!(held, 0);
                } else if total > 1 {
                    prop_assert!(held >= 1 && held < total);
                    prop_assert!((held as f64 - fraction * total as f64).abs() < 1.0 + 1e-9);
                }
            }
            prop_assert_eq!(split, stratified(&labels, fraction, seed).unwrap());
        }

        #[test]
        fn no_group_is_on_both_sides(
            rows in prop::collection::vec((0usize..12, 0usize..3), 24..150), fraction in 0.05..0.95f64, seed: u64,
        ) {
            let groups: Vec<String> = rows.iter().map(|(group, _)| format!("g{group}")).collect();
            let labels: Vec<usize> = rows.iter().map(|(_, label)| *label).collect();
            prop_assume!(groups.iter().collect::<BTreeSet<_>>().len() > 1);
            let split = grouped(&groups, Some(&labels), fraction, seed).unwrap();
            assert_partition(&split, groups.len());
            let side = |rows: &[usize]| rows.iter().map(|&row| &groups[row]).collect::<BTreeSet<_>>();
            prop_assert!(side(&split.train).is_disjoint(&side(&split.held_out)));
            prop_assert_eq!(split, grouped(&groups, Some(&labels), fraction, seed).unwrap());
        }

        #[test]
        fn folds_hold_out_every_row_once_and_keep_the_ratio_of_every_class(
            labels in prop::collection::vec(0usize..4, 10..200), k in 2usize..10, seed: u64, stratify: bool,
        ) {
            let by = stratify.then_some(labels.as_slice());
            let splits = folds::<&str>(labels.len(), by, None, k, seed).unwrap();
            prop_assert_eq!(splits.len(), k);
            let spread = |count: &dyn Fn(&Split) -> usize| {
                let counts: Vec<usize> = splits.iter().map(count).collect();
                counts.iter().max().unwrap() - counts.iter().min().unwrap()
            };
            splits.iter().for_each(|split| assert_partition(split, labels.len()));
            let mut held: Vec<usize> = splits.iter().flat_map(|split| split.held_out.clone()).collect();
            held.sort_unstable();
            prop_assert_eq!(held, (0..labels.len()).collect::<Vec<_>>());
            prop_assert!(spread(&|split| split.held_out.len()) <= 1);
            for class in (0..4).filter(|_| stratify) {
                let count = |split: &Split| split.held_out.iter().filter(|&&row| labels[row] == class).count();
                prop_assert!(spread(&count) <= 1);
            }
            prop_assert_eq!(&splits, &folds::<&str>(labels.len(), by, None, k, seed).unwrap());
        }

        #[test]
        fn grouped_folds_keep_groups_whole_and_none_is_empty(
            rows in prop::collection::vec((0usize..30, 0usize..3), 40..150), k in 2usize..6, seed: u64, stratify: bool,
        ) {
            let groups: Vec<String> = rows.iter().map(|(group, _)| format!("g{group}")).collect();
            let labels: Vec<usize> = rows.iter().map(|(_, label)| *label).collect();
            prop_assume!(groups.iter().collect::<BTreeSet<_>>().len() >= k);
            let by = stratify.then_some(labels.as_slice());
            let splits = folds(rows.len(), by, Some(&groups), k, seed).unwrap();
            let mut held: Vec<usize> = Vec::new();
            for split in &splits {
                assert_partition(split, groups.len());
                let side = |rows: &[usize]| rows.iter().map(|&row| &groups[row]).collect::<BTreeSet<_>>();
                prop_assert!(side(&split.train).is_disjoint(&side(&split.held_out)));
                held.extend(&split.held_out);
            }
            held.sort_unstable();
            prop_assert_eq!(held, (0..rows.len()).collect::<Vec<_>>());
        }
    }

    #[test]
    fn grouped_folds_are_alike_in_size_and_classes() {
        let mut groups = Vec::new();
        let mut labels = Vec::new();
        for patient in 0..60usize {
            for _ in 0..1 + patient * 7 % 12 {
                groups.push(format!("patient {patient}"));
                labels.push(usize::from(patient % 3 == 0));
            }
        }
        for seed in 0..10 {
            for split in folds(groups.len(), None, Some(&groups), 5, seed).unwrap() {
                let share = split.held_out.len() as f64 / groups.len() as f64;
                assert!((share - 0.2).abs() < 0.02, "seed {seed}: {share}");
            }
            for split in folds(groups.len(), Some(&labels), Some(&groups), 5, seed).unwrap() {
                for class in 0..2 {
                    let of = |rows: &mut dyn Iterator<Item = usize>| {
                        rows.filter(|&row| labels[row] == class).count() as f64
                    };
                    let share =
                        of(&mut split.held_out.iter().copied()) / of(&mut (0..labels.len()));
                    assert!((share - 0.2).abs() < 0.05, "seed {seed}: {share}");
                }
            }
        }
    }

    #[test]
    fn too_few_rows_or_groups_for_the_folds_are_refused() {
        let message = |error: DataError| error.to_string();
        assert_eq!(
            message(folds::<&str>(5, None, None, 1, 0).unwrap_err()),
            "cross-validation in 1 fold was asked for, expected at least 2"
        );
        assert_eq!(
            message(folds::<&str>(3, None, None, 5, 0).unwrap_err()),
            "cannot divide 3 rows into 5 folds"
        );
        assert_eq!(
            message(folds(4, None, Some(&["a", "a", "b", "b"]), 3, 0).unwrap_err()),
            "cannot divide 2 groups into 3 folds"
        );
        assert_ne!(
            folds::<&str>(50, None, None, 5, 1).unwrap(),
            folds::<&str>(50, None, None, 5, 2).unwrap()
        );
    }

    #[test]
    fn grouped_splits_come_close_to_the_fraction_and_the_classes() {
        // 60 speakers with 1 to 12 rows each; two thirds of the speakers belong to class 0.
        let mut groups = Vec::new();
        let mut labels = Vec::new();
        for speaker in 0..60usize {
            for _ in 0..1 + speaker * 7 % 12 {
                groups.push(format!("speaker {speaker}"));
                labels.push(usize::from(speaker % 3 == 0));
            }
        }
        for seed in 0..20 {
            let split = grouped(&groups, Some(&labels), 0.2, seed).unwrap();
            for class in 0..2 {
                let total = labels.iter().filter(|&&label| label == class).count() as f64;
                let held = split
                    .held_out
                    .iter()
                    .filter(|&&row| labels[row] == class)
                    .count() as f64;
                assert!(
                    (held / total - 0.2).abs() < 0.02,
                    "seed {seed}: {held} of {total}"
                );
            }
        }
    }

    #[test]
    fn seeds_give_different_splits() {
        let labels: Vec<usize> = (0..100).map(|row| row % 2).collect();
        let groups: Vec<String> = (0..100).map(|row| (row / 5).to_string()).collect();
        assert_ne!(
            stratified(&labels, 0.2, 1).unwrap(),
            stratified(&labels, 0.2, 2).unwrap()
        );
        assert_ne!(random(100, 0.2, 1).unwrap(), random(100, 0.2, 2).unwrap());
        assert_ne!(
            grouped(&groups, Some(&labels), 0.2, 1).unwrap(),
            grouped(&groups, Some(&labels), 0.2, 2).unwrap()
        );
    }

    #[test]
    fn what_cannot_be_split_is_refused() {
        assert!(matches!(
            random(10, 1.0, 0),
            Err(DataError::Split(SplitError::Fraction { .. }))
        ));
        assert!(matches!(
            random(10, f64::NAN, 0),
            Err(DataError::Split(SplitError::Fraction { .. }))
        ));
        assert!(matches!(
            random(1, 0.5, 0),
            Err(DataError::Split(SplitError::TooFewToSplit { .. }))
        ));
        assert!(matches!(
            stratified(&[0, 1, 2], 0.5, 0),
            Err(DataError::Split(SplitError::SingleRowClasses))
        ));
        assert!(matches!(
            grouped(&["a", "a"], None, 0.5, 0),
            Err(DataError::Split(SplitError::TooFewToSplit { .. }))
        ));
    }

    #[test]
    fn two_unequal_groups_can_be_split() {
        let groups = ["a", "a", "a", "a", "a", "a", "a", "a", "b"];
        let split = grouped(&groups, None, 0.2, 3).unwrap();
        assert_eq!(split.held_out, [8]);
    }
}
