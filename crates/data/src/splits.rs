//! Seeded splits: some rows to learn from, some to hold out.

use std::collections::BTreeMap;

use crate::error::DataError;
use crate::random::{Purpose, Random};

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
