//! Seeded splits: some rows to learn from, some to hold out.

use std::collections::BTreeMap;

use crate::error::DataError;
use crate::random::{KeyedPurpose, Purpose, Random};

/// Row indices, ascending; together they are all rows, each once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    /// Rows to learn from; never empty.
    pub train: Vec<usize>,
    /// Rows held out; never empty.
    pub held_out: Vec<usize>,
}

impl Split {
    fn new(held_out: &[bool]) -> Self {
        let side = |wanted| {
            (0..held_out.len())
                .filter(|&row| held_out[row] == wanted)
                .collect()
        };
        Self {
            train: side(false),
            held_out: side(true),
        }
    }
}

fn check(fraction: f64, what: &'static str, found: usize) -> Result<(), DataError> {
    if !(fraction > 0.0 && fraction < 1.0) {
        return Err(DataError::Fraction { found: fraction });
    }
    if found < 2 {
        return Err(DataError::TooFewToSplit { what, found });
    }
    Ok(())
}

/// Holds out `fraction` of the rows, to the nearest row, but at least one on either side.
///
/// # Errors
/// A fraction outside (0, 1); fewer than 2 rows.
pub fn random(rows: usize, fraction: f64, seed: u64) -> Result<Split, DataError> {
    check(fraction, "rows", rows)?;
    let count = ((fraction * rows as f64).round() as usize).clamp(1, rows - 1);
    let mut order: Vec<usize> = (0..rows).collect();
    Random::new(seed, Purpose::Split, 0).shuffle(&mut order);
    let mut held_out = vec![false; rows];
    order[..count].iter().for_each(|&row| held_out[row] = true);
    Ok(Split::new(&held_out))
}

/// Holds out `fraction` of the rows of every class; `labels` is the class of each row.
///
/// Each class is off by less than a row, and the total is rounded as in [`random`], except that a class of two or more
/// rows has at least one on either side; the only row of a class is trained on.
///
/// # Errors
/// A fraction outside (0, 1); no class with 2 rows.
pub fn stratified(labels: &[usize], fraction: f64, seed: u64) -> Result<Split, DataError> {
    check(fraction, "rows", labels.len())?;
    let mut classes: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (row, &label) in labels.iter().enumerate() {
        classes.entry(label).or_default().push(row);
    }
    let mut random = Random::new(seed, Purpose::Split, 0);
    let mut classes: Vec<Vec<usize>> = classes.into_values().collect();
    classes.iter_mut().for_each(|rows| random.shuffle(rows));
    if classes.iter().all(|rows| rows.len() < 2) {
        return Err(DataError::SingleRowClasses);
    }

    // Largest remainders: round all down, then give the rows still due to the classes that lost most by rounding; the
    // shuffle decides between equals.
    let exact = |class: usize| fraction * classes[class].len() as f64;
    let mut counts: Vec<usize> = (0..classes.len())
        .map(|class| exact(class) as usize)
        .collect();
    let total = (fraction * labels.len() as f64).round() as usize;
    let mut order: Vec<usize> = (0..classes.len()).collect();
    random.shuffle(&mut order);
    order.sort_by(|&a, &b| exact(b).fract().total_cmp(&exact(a).fract()));
    let due = total.saturating_sub(counts.iter().sum());
    order.iter().take(due).for_each(|&class| counts[class] += 1);

    let mut held_out = vec![false; labels.len()];
    for (rows, count) in classes.iter().zip(counts) {
        let count = if rows.len() < 2 {
            0
        } else {
            count.clamp(1, rows.len() - 1)
        };
        rows[..count].iter().for_each(|&row| held_out[row] = true);
    }
    Ok(Split::new(&held_out))
}

/// Holds out whole groups, close to `fraction` of the rows and, with `labels`, of every class.
///
/// `groups` names the group of each row, `labels` its class. Groups are added in random order while that brings the
/// held-out part closer to what is wanted, then moved or exchanged one by one while that still helps; the best of several
/// such attempts is taken. What is wanted is measured as the squared error of the fraction of rows, plus the mean squared
/// error of the fractions of the classes.
///
/// # Errors
/// A fraction outside (0, 1); fewer than 2 groups.
///
/// # Panics
/// If `groups` and `labels` differ in length.
pub fn grouped<S: AsRef<str>>(
    groups: &[S],
    labels: Option<&[usize]>,
    fraction: f64,
    seed: u64,
) -> Result<Split, DataError> {
    const ATTEMPTS: u64 = 8;
    let one_class = vec![0; groups.len()];
    let labels = labels.unwrap_or(&one_class);
    assert_eq!(groups.len(), labels.len(), "one label for each row");

    let mut members: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (row, group) in groups.iter().enumerate() {
        members.entry(group.as_ref()).or_default().push(row);
    }
    check(fraction, "groups", members.len())?;
    let members: Vec<Vec<usize>> = members.into_values().collect();
    let goal = Goal::new(&members, labels, fraction);

    let mut best: Option<(f64, Vec<bool>)> = None;
    for attempt in 0..ATTEMPTS {
        let mut order: Vec<usize> = (0..members.len()).collect();
        Random::new(seed, Purpose::Split, attempt).shuffle(&mut order);
        let (error, held) = goal.attempt(&order);
        if best
            .as_ref()
            .is_none_or(|(least, _)| error < *least - 1e-12)
        {
            best = Some((error, held));
        }
    }
    let held = best.map(|(_, held)| held).unwrap_or_default();
    let mut held_out = vec![false; groups.len()];
    for (rows, _) in members.iter().zip(&held).filter(|(_, held)| **held) {
        rows.iter().for_each(|&row| held_out[row] = true);
    }
    Ok(Split::new(&held_out))
}

/// What a grouped split should come close to.
struct Goal {
    fraction: f64,
    /// Rows of each class, over all groups.
    totals: Vec<f64>,
    /// For each group, the classes it has and its rows of each.
    groups: Vec<Vec<(usize, f64)>>,
}

/// Held-out rows of each class, and the errors that follow, kept up to date.
struct Held {
    counts: Vec<f64>,
    rows: f64,
    groups: Vec<bool>,
    size: usize,
}

impl Goal {
    fn new(members: &[Vec<usize>], labels: &[usize], fraction: f64) -> Self {
        let mut indices = BTreeMap::new();
        for &label in labels {
            let next = indices.len();
            indices.entry(label).or_insert(next);
        }
        let mut totals = vec![0.0; indices.len()];
        let groups = members
            .iter()
            .map(|rows| {
                let mut counts: BTreeMap<usize, f64> = BTreeMap::new();
                for row in rows {
                    let class = indices[&labels[*row]];
                    *counts.entry(class).or_default() += 1.0;
                    totals[class] += 1.0;
                }
                counts.into_iter().collect()
            })
            .collect();
        Self {
            fraction,
            totals,
            groups,
        }
    }

    fn rows(&self) -> f64 {
        self.totals.iter().sum()
    }

    fn error(&self, held: &Held) -> f64 {
        let square = |count: f64, total: f64| (count / total - self.fraction).powi(2);
        let classes: f64 = held
            .counts
            .iter()
            .zip(&self.totals)
            .map(|(&count, &total)| square(count, total))
            .sum();
        square(held.rows, self.rows()) + classes / self.totals.len() as f64
    }

    /// How much the error changes if the rows of `moves` change sides.
    fn change(&self, held: &Held, moves: &[usize]) -> f64 {
        let square = |count: f64, total: f64| (count / total - self.fraction).powi(2);
        let mut deltas: Vec<(usize, f64)> = Vec::new();
        let mut rows = 0.0;
        for &group in moves {
            let sign = if held.groups[group] { -1.0 } else { 1.0 };
            for &(class, count) in &self.groups[group] {
                rows += sign * count;
                match deltas.iter_mut().find(|(known, _)| *known == class) {
                    Some((_, delta)) => *delta += sign * count,
                    None => deltas.push((class, sign * count)),
                }
            }
        }
        let all = self.rows();
        let classes: f64 = deltas
            .into_iter()
            .map(|(class, delta)| {
                let (count, total) = (held.counts[class], self.totals[class]);
                square(count + delta, total) - square(count, total)
            })
            .sum();
        square(held.rows + rows, all) - square(held.rows, all) + classes / self.totals.len() as f64
    }

    fn flip(&self, held: &mut Held, group: usize) {
        let sign = if held.groups[group] { -1.0 } else { 1.0 };
        for &(class, count) in &self.groups[group] {
            held.counts[class] += sign * count;
            held.rows += sign * count;
        }
        held.groups[group] = !held.groups[group];
        if held.groups[group] {
            held.size += 1
        } else {
            held.size -= 1
        }
    }

    fn attempt(&self, order: &[usize]) -> (f64, Vec<bool>) {
        /// Exchanges are tried between this many groups at most: all pairs would take too long beyond.
        const EXCHANGED: usize = 200;
        const HELPS: f64 = -1e-12;
        let count = self.groups.len();
        let mut held = Held {
            counts: vec![0.0; self.totals.len()],
            rows: 0.0,
            groups: vec![false; count],
            size: 0,
        };
        for &group in order {
            if held.size + 1 < count && self.change(&held, &[group]) < HELPS {
                self.flip(&mut held, group);
            }
        }
        if held.size == 0 {
            // Every group is too large: the one that errs least is held out all the same.
            let least = order.iter().copied().min_by(|&a, &b| {
                self.change(&held, &[a])
                    .total_cmp(&self.change(&held, &[b]))
            });
            least
                .into_iter()
                .for_each(|group| self.flip(&mut held, group));
        }
        for _ in 0..10 {
            let mut helped = false;
            for &group in order {
                let size = if held.groups[group] {
                    held.size - 1
                } else {
                    held.size + 1
                };
                if (1..count).contains(&size) && self.change(&held, &[group]) < HELPS {
                    self.flip(&mut held, group);
                    helped = true;
                }
            }
            for (at, &a) in order.iter().take(EXCHANGED).enumerate() {
                for &b in &order[at + 1..count.min(EXCHANGED)] {
                    if held.groups[a] != held.groups[b] && self.change(&held, &[a, b]) < HELPS {
                        self.flip(&mut held, a);
                        self.flip(&mut held, b);
                        helped = true;
                    }
                }
            }
            if !helped {
                break;
            }
        }
        (self.error(&held), held.groups)
    }
}

/// Divides all rows into `k` folds: split `i` holds out fold `i`, so that every row is held out once.
///
/// - With neither labels nor groups, folds differ by a row at most.
/// - With `labels`, the class of each row, they differ by a row at most in all and in every class.
/// - With `groups`, the name of each row's group, groups stay whole: the largest first, each goes where fewest rows are.
/// - With both, each group goes, those of the most uneven classes first, where it leaves the classes spread most evenly, that
///   is, with the least sum over the classes of the variance of the fraction that a fold has of it (Pedregosa et al. 2011,
///   scikit-learn's `StratifiedGroupKFold`); of equals, where fewest rows are.
///
/// No fold is empty. The seed decides the order among equals.
///
/// # Errors
/// Fewer than 2 folds; fewer rows, or groups, than folds.
///
/// # Panics
/// If labels or groups are not as many as rows.
pub fn folds<S: AsRef<str>>(
    rows: usize,
    labels: Option<&[usize]>,
    groups: Option<&[S]>,
    k: usize,
    seed: u64,
) -> Result<Vec<Split>, DataError> {
    if k < 2 {
        return Err(DataError::FoldCount { found: k });
    }
    if let Some(labels) = labels {
        assert_eq!(labels.len(), rows, "one label for each row");
    }
    let too_few = |what, found| DataError::TooFewForFolds {
        what,
        found,
        folds: k,
    };
    let mut random = Random::keyed(seed, KeyedPurpose::Folds, k as u64, 0);
    let fold_of = match groups {
        None if rows < k => return Err(too_few("rows", rows)),
        None => deal(rows, labels, k, &mut random),
        Some(groups) => {
            assert_eq!(groups.len(), rows, "one group for each row");
            let mut members: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
            for (row, group) in groups.iter().enumerate() {
                members.entry(group.as_ref()).or_default().push(row);
            }
            let mut members: Vec<Vec<usize>> = members.into_values().collect();
            if members.len() < k {
                return Err(too_few("groups", members.len()));
            }
            random.shuffle(&mut members);
            let of_group = spread(&mut members, labels, k);
            let mut fold_of = vec![0; rows];
            for (rows, fold) in members.iter().zip(of_group) {
                rows.iter().for_each(|&row| fold_of[row] = fold);
            }
            fold_of
        }
    };
    Ok((0..k)
        .map(|fold| {
            let held_out: Vec<bool> = fold_of.iter().map(|&of| of == fold).collect();
            Split::new(&held_out)
        })
        .collect())
}

/// The fold of each row: class by class, rows are dealt out like cards, and the next class goes on where one ended.
fn deal(rows: usize, labels: Option<&[usize]>, k: usize, random: &mut Random) -> Vec<usize> {
    let mut classes: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for row in 0..rows {
        let class = labels.map_or(0, |labels| labels[row]);
        classes.entry(class).or_default().push(row);
    }
    let mut folds: Vec<usize> = (0..k).collect();
    random.shuffle(&mut folds);
    let mut fold_of = vec![0; rows];
    let mut next = 0;
    for members in classes.values_mut() {
        random.shuffle(members);
        for &mut row in members {
            fold_of[row] = folds[next % k];
            next += 1;
        }
    }
    fold_of
}

/// The fold of each group, by its rows; puts the groups into the order in which they are given out.
fn spread(groups: &mut [Vec<usize>], labels: Option<&[usize]>, k: usize) -> Vec<usize> {
    let classes: BTreeMap<usize, usize> = labels
        .into_iter()
        .flatten()
        .map(|&label| (label, 0))
        .collect();
    let classes: BTreeMap<usize, usize> = classes.into_keys().zip(0..).collect();
    let count = classes.len().max(1);
    let counts = |rows: &[usize]| {
        let mut counts = vec![0.0_f64; count];
        for &row in rows {
            counts[labels.map_or(0, |labels| classes[&labels[row]])] += 1.0;
        }
        counts
    };
    let variance = |values: &mut dyn Iterator<Item = f64>| {
        let values: Vec<f64> = values.collect();
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let square = |value: &f64| (value - mean).powi(2);
        values.iter().map(square).sum::<f64>() / values.len() as f64
    };
    let unevenness = |rows: &Vec<usize>| match labels {
        None => rows.len() as f64,
        Some(_) => variance(&mut counts(rows).into_iter()),
    };
    groups.sort_by(|a, b| unevenness(b).total_cmp(&unevenness(a)));

    let totals = counts(&groups.concat());
    let mut folds = vec![vec![0.0_f64; count]; k];
    let mut sizes = vec![0usize; k];
    let mut left = groups.len();
    let mut fold_of = Vec::with_capacity(groups.len());
    for rows in groups.iter() {
        let empty = sizes.iter().filter(|&&size| size == 0).count();
        let add = counts(rows);
        let cost = |fold: usize| -> f64 {
            (0..count)
                .map(|class| {
                    let share = |at: usize| {
                        let own = if at == fold { add[class] } else { 0.0 };
                        (folds[at][class] + own) / totals[class]
                    };
                    variance(&mut (0..k).map(share))
                })
                .sum()
        };
        // The last groups go to the folds that have none.
        let allowed = (0..k).filter(|&fold| left > empty || sizes[fold] == 0);
        let costs: Vec<(f64, usize)> = allowed
            .map(|fold| match labels {
                None => (0.0, fold),
                Some(_) => (cost(fold), fold),
            })
            .collect();
        let least = costs
            .iter()
            .map(|&(cost, _)| cost)
            .fold(f64::INFINITY, f64::min);
        let best = costs
            .into_iter()
            .filter(|&(cost, _)| cost <= least + 1e-12)
            .min_by_key(|&(_, fold)| sizes[fold]);
        let best = best.map_or(0, |(_, fold)| fold);
        sizes[best] += rows.len();
        folds[best]
            .iter_mut()
            .zip(add)
            .for_each(|(sum, add)| *sum += add);
        left -= 1;
        fold_of.push(best);
    }
    fold_of
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

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
        // 60 speakers with 1 to 12 rows each; two thirds of the speakers are of class 0.
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
            Err(DataError::Fraction { .. })
        ));
        assert!(matches!(
            random(10, f64::NAN, 0),
            Err(DataError::Fraction { .. })
        ));
        assert!(matches!(
            random(1, 0.5, 0),
            Err(DataError::TooFewToSplit { .. })
        ));
        assert!(matches!(
            stratified(&[0, 1, 2], 0.5, 0),
            Err(DataError::SingleRowClasses)
        ));
        assert!(matches!(
            grouped(&["a", "a"], None, 0.5, 0),
            Err(DataError::TooFewToSplit { .. })
        ));
    }

    #[test]
    fn two_unequal_groups_can_be_split() {
        let groups = ["a", "a", "a", "a", "a", "a", "a", "a", "b"];
        let split = grouped(&groups, None, 0.2, 3).unwrap();
        assert_eq!(split.held_out, [8]);
    }
}
