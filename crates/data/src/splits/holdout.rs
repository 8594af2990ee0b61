//! Random and stratified hold-out.

use std::collections::BTreeMap;

use super::split::{Split, check};
use crate::error::{DataError, SplitError};
use crate::random::{Purpose, Random};

/// Holds out `fraction` of the rows, rounded to the nearest row, but at least one on either side.
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
/// Each class deviates by less than one row, and the total is rounded as in [`random`], except that a class of two or
/// more rows has at least one on either side; the only row of a class is used for training.
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
        return Err(DataError::Split(SplitError::SingleRowClasses));
    }

    // Largest remainders: round all down, then assign the remaining rows to the classes that lost most by rounding; the
    // shuffle breaks ties.
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
