//! Hold-out of whole groups.

use std::collections::BTreeMap;

use super::split::{Split, check};
use crate::error::DataError;
use crate::random::{Purpose, Random};

/// Holds out whole groups, close to `fraction` of the rows and, with `labels`, of every class.
///
/// `groups` names the group of each row, `labels` its class. Groups are added in random order while that brings the
/// held-out part closer to the target, then moved or swapped one at a time while that reduces the error; the best of
/// several such attempts is returned. The error is the squared error of the fraction of rows plus the mean squared error
/// of the fractions of the classes.
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

/// The target of a grouped split.
struct Goal {
    fraction: f64,
    /// Number of rows of each class, over all groups.
    totals: Vec<f64>,
    /// For each group, its classes and the number of rows of each.
    groups: Vec<Vec<(usize, f64)>>,
}

/// Number of held-out rows of each class, and the resulting errors, updated incrementally.
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

    /// Change of the error if the rows of `moves` change sides.
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
        /// Swaps are tried only up to this number of groups; trying all pairs takes too long beyond it.
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
            // Every group is too large: hold out the one with the least error.
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
