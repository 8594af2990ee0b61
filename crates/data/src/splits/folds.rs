//! Cross-validation folds.

use std::collections::BTreeMap;

use super::split::Split;
use crate::error::{DataError, SplitError};
use crate::random::{KeyedPurpose, Random};

/// Splits all rows into `k` folds: split `i` holds out fold `i`, so every row is held out exactly once.
///
/// - Without labels and groups, fold sizes differ by at most one row.
/// - With `labels`, the class of each row, fold sizes differ by at most one row, both in total and within every class.
/// - With `groups`, the name of each row's group, groups are kept whole: starting with the largest, each is assigned to
///   the fold with the fewest rows.
/// - With both, groups are assigned in order of decreasing class imbalance, each to the fold where it leaves the classes
///   spread most evenly, that is, with the least sum over the classes of the variance of the fraction of the class in
///   each fold (Pedregosa et al. 2011, scikit-learn's `StratifiedGroupKFold`); ties go to the fold with the fewest rows.
///
/// No fold is empty. The seed determines the order of ties.
///
/// # Errors
/// Fewer than 2 folds; fewer rows, or groups, than folds.
///
/// # Panics
/// If the number of labels or groups differs from the number of rows.
pub fn folds<S: AsRef<str>>(
    rows: usize,
    labels: Option<&[usize]>,
    groups: Option<&[S]>,
    k: usize,
    seed: u64,
) -> Result<Vec<Split>, DataError> {
    if k < 2 {
        return Err(DataError::Split(SplitError::FoldCount { found: k }));
    }
    if let Some(labels) = labels {
        assert_eq!(labels.len(), rows, "one label for each row");
    }
    let too_few = |what, found| {
        DataError::Split(SplitError::TooFewForFolds {
            what,
            found,
            folds: k,
        })
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

/// The fold of each row: rows are assigned round-robin, class by class, each class continuing where the last one ended.
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

/// The fold of each group, given its rows; sorts the groups into the order in which they are assigned.
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
        // The last groups are reserved for empty folds.
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
