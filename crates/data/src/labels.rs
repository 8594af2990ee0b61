//! Converts labels to targets: task inference, classes, and labels outside the classes.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::{Deserialize, Serialize};

use crate::columns;
use crate::error::{DataError, LabelError, list, short};
use crate::examples::Examples;

/// The kind of labels in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LabelKind {
    /// One of two or more classes.
    Classification,
    /// Any number of labels.
    MultiLabel,
    /// A number.
    Regression,
}

/// The task inferred from labels, with the reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inference {
    /// The task.
    pub kind: LabelKind,
    /// The reason, for display: ``two classes: `ham`, `spam` ``.
    pub reason: String,
}

/// Above this many distinct integers, labels may be measurements; see [`infer_task`].
const MOST_INTEGER_CLASSES: usize = 20;

/// Infers the task from label cells.
///
/// - With a separator: multi-label.
/// - All cells are numbers, and some are not integers: regression.
/// - All cells are integers with more than 20 distinct values and fewer than 10 rows per value on average: regression,
///   because measurements and counts look like this, and so few rows per class are hardly enough to learn from.
/// - Otherwise: classification. Integers are then classes, and `1.0` is the same class as `1`.
///
/// Numbers with leading zeros, such as `007`, are codes and therefore classes; `nan` and `inf` are not numbers.
///
/// # Errors
/// [`LabelError::NoLabels`] without labels; [`LabelError::OneLabel`] if all cells are the same.
pub fn infer_task(labels: &[&str], separator: Option<&str>) -> Result<Inference, DataError> {
    if let Some(separator) = separator {
        let set = LabelSet::from_multi_labels(labels, separator)?;
        let count = set.len();
        let reason = format!(
            "cells hold any number of {count} labels: {}",
            list(set.names(), 10)
        );
        return Ok(Inference {
            kind: LabelKind::MultiLabel,
            reason,
        });
    }
    let set = LabelSet::from_labels(labels)?;
    let rows = labels.len();
    let numbers: Option<Vec<f64>> = labels.iter().map(|label| plain_number(label)).collect();
    if let Some(numbers) = numbers {
        let low = numbers.iter().copied().fold(f64::INFINITY, f64::min);
        let high = numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let because = if let Some(fraction) = numbers.iter().find(|number| number.fract() != 0.0) {
            Some(format!(
                "all labels are numbers, and some are not whole, such as {fraction}"
            ))
        } else if set.len() > MOST_INTEGER_CLASSES && set.len() * 10 > rows {
            Some(format!(
                "all labels are numbers: {} different ones on {rows} rows",
                set.len()
            ))
        } else {
            None
        };
        if let Some(because) = because {
            let reason = format!("{because} (from {low} to {high})");
            return Ok(Inference {
                kind: LabelKind::Regression,
                reason,
            });
        }
    }
    let mut reason = match set.len() {
        2 => format!("two classes: {}", list(set.names(), 10)),
        count => format!("{count} classes: {}", list(set.names(), 10)),
    };
    if set.len() > MOST_INTEGER_CLASSES && set.len() * 2 > rows {
        reason.push_str("; most rows have a label of their own: is this the label column?");
    }
    Ok(Inference {
        kind: LabelKind::Classification,
        reason,
    })
}

/// The numeric value of a label, unless it is written like a code (`007`) or is not finite.
fn plain_number(label: &str) -> Option<f64> {
    let label = label.trim();
    let digits = label.trim_start_matches(['-', '+']);
    if !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return None; // `inf`, `nan` and words
    }
    if digits.len() > 1 && digits.starts_with('0') && digits.as_bytes()[1].is_ascii_digit() {
        return None;
    }
    label
        .parse::<f64>()
        .ok()
        .filter(|number| number.is_finite())
}

/// The integer value of a label: 1 for `1`, `1.0` and `+1`.
fn whole_number(label: &str) -> Option<i64> {
    const EXACT: f64 = 9_007_199_254_740_992.0; // 2^53: beyond it, not every whole number is an f64
    plain_number(label)
        .filter(|number| number.fract() == 0.0 && number.abs() <= EXACT)
        .map(|number| number as i64)
}

/// The classes of a task, in order: a class's index is its position.
///
/// If all labels are integers, they are sorted numerically and written without a decimal point, and `1.0` is the same
/// class as `1`; otherwise they are sorted by Unicode code points. Serialises as the list of names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct LabelSet {
    names: Vec<String>,
    positions: HashMap<String, usize>,
    whole_numbers: bool,
}

impl TryFrom<Vec<String>> for LabelSet {
    type Error = DataError;

    fn try_from(names: Vec<String>) -> Result<Self, DataError> {
        Self::new(names)
    }
}

impl From<LabelSet> for Vec<String> {
    fn from(set: LabelSet) -> Self {
        set.names
    }
}

impl LabelSet {
    /// Classes in the order given.
    ///
    /// # Errors
    /// No names, an empty name, or a duplicate name.
    pub fn new(names: Vec<String>) -> Result<Self, DataError> {
        if names.is_empty() {
            return Err(DataError::Label(LabelError::NoLabels));
        }
        let mut positions = HashMap::with_capacity(names.len());
        for (at, name) in names.iter().enumerate() {
            if name.trim().is_empty() {
                return Err(DataError::Label(LabelError::UnnamedClass {
                    position: at + 1,
                }));
            }
            if positions.insert(name.clone(), at).is_some() {
                return Err(DataError::Label(LabelError::DuplicateClass {
                    name: name.clone(),
                }));
            }
        }
        let whole_numbers = names
            .iter()
            .all(|name| whole_number(name).is_some_and(|n| n.to_string() == *name));
        Ok(Self {
            names,
            positions,
            whole_numbers,
        })
    }

    /// The classes of a classification task, from its label cells.
    ///
    /// # Errors
    /// [`LabelError::NoLabels`] without cells; [`LabelError::OneLabel`] if all are the same.
    pub fn from_labels(labels: &[&str]) -> Result<Self, DataError> {
        let distinct: BTreeSet<&str> = labels.iter().map(|label| label.trim()).collect();
        let set = Self::new(ordered(distinct))?;
        match set.names.as_slice() {
            [label] => Err(DataError::Label(LabelError::OneLabel {
                label: label.clone(),
                rows: labels.len(),
            })),
            _ => Ok(set),
        }
    }

    /// The labels of a multi-label task, from its label cells; one label is enough, because rows may lack it.
    ///
    /// # Errors
    /// [`LabelError::NoLabels`] if no cell holds one.
    pub fn from_multi_labels(labels: &[&str], separator: &str) -> Result<Self, DataError> {
        Self::new(ordered(
            labels
                .iter()
                .flat_map(|cell| split_labels(cell, separator))
                .collect(),
        ))
    }

    /// The names, in order.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Number of classes; never 0.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Index of the class with this label, if it exists.
    pub fn index(&self, label: &str) -> Option<usize> {
        let label = label.trim();
        self.positions.get(label).copied().or_else(|| {
            let number = whole_number(label).filter(|_| self.whole_numbers)?;
            self.positions.get(&number.to_string()).copied()
        })
    }

    /// The class with the name most similar to `label`, for messages.
    pub fn nearest(&self, label: &str) -> Option<String> {
        columns::nearest(label, &self.names)
    }
}

fn ordered(distinct: BTreeSet<&str>) -> Vec<String> {
    let numbers: Option<BTreeSet<i64>> = distinct.iter().map(|label| whole_number(label)).collect();
    match numbers {
        Some(numbers) => numbers
            .into_iter()
            .map(|number| number.to_string())
            .collect(),
        None => distinct.into_iter().map(str::to_string).collect(),
    }
}

/// The distinct labels of a cell, split and trimmed, in order of first appearance.
pub fn split_labels<'a>(cell: &'a str, separator: &str) -> Vec<&'a str> {
    let parts: Vec<&str> = if separator.is_empty() {
        vec![cell]
    } else {
        cell.split(separator).collect()
    };
    let mut labels = Vec::new();
    for label in parts.into_iter().map(str::trim) {
        if !label.is_empty() && !labels.contains(&label) {
            labels.push(label);
        }
    }
    labels
}

/// Labels of a file that are not among the classes: each either counts as a wrong prediction or is an error.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UnseenLabels {
    /// For each such label, the number of occurrences and the line of the first one, sorted by label.
    pub labels: BTreeMap<String, (usize, u64)>,
    /// Number of rows with such a label.
    pub rows: usize,
}

impl UnseenLabels {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// A one-line summary: ``3 rows have a label that training never saw: `x` (2), `y` (1)``.
    pub fn summary(&self) -> Option<String> {
        const SHOWN: usize = 10;
        if self.is_empty() {
            return None;
        }
        let list = self
            .labels
            .iter()
            .take(SHOWN)
            .map(|(label, (count, _))| format!("`{}` ({count})", short(label)));
        let mut list = list.collect::<Vec<_>>().join(", ");
        if self.labels.len() > SHOWN {
            list.push_str(&format!(" and {} more", self.labels.len() - SHOWN));
        }
        let rows = match self.rows {
            1 => "1 row has".to_string(),
            rows => format!("{rows} rows have"),
        };
        Some(format!("{rows} a label that training never saw: {list}"))
    }

    fn add(&mut self, label: &str, line: u64) {
        self.labels.entry(label.to_string()).or_insert((0, line)).0 += 1;
    }
}

impl Examples {
    /// The class of each row; `None` if the row has no label, or one that is not among `classes`.
    pub fn classes(&self, classes: &LabelSet) -> (Vec<Option<usize>>, UnseenLabels) {
        let mut unseen = UnseenLabels::default();
        let mut target = |label: &str, line| {
            let index = classes.index(label);
            if index.is_none() {
                unseen.add(label, line);
                unseen.rows += 1;
            }
            index
        };
        let targets = self
            .rows
            .iter()
            .map(|row| {
                row.label
                    .as_deref()
                    .and_then(|label| target(label, row.line))
            })
            .collect();
        (targets, unseen)
    }

    /// The labels of each row, as ascending indices without duplicates; labels that are not among `classes` are left out
    /// and reported.
    pub fn label_sets(&self, classes: &LabelSet) -> (Vec<Vec<usize>>, UnseenLabels) {
        let mut unseen = UnseenLabels::default();
        let separator = self.label_separator.as_deref().unwrap_or_default();
        let mut targets = Vec::with_capacity(self.rows.len());
        for row in &self.rows {
            let mut set = BTreeSet::new();
            let mut complete = true;
            for label in split_labels(row.label.as_deref().unwrap_or_default(), separator) {
                match classes.index(label) {
                    Some(index) => {
                        set.insert(index);
                    }
                    None => {
                        unseen.add(label, row.line);
                        complete = false;
                    }
                }
            }
            unseen.rows += usize::from(!complete);
            targets.push(set.into_iter().collect());
        }
        (targets, unseen)
    }

    /// The numeric label of each row; `None` if the row has no label.
    ///
    /// # Errors
    /// [`LabelError::NotANumber`] for the first label that is not a finite number, with its line.
    pub fn numbers(&self) -> Result<Vec<Option<f64>>, DataError> {
        let number = |label: &str, row| {
            let parsed = label
                .trim()
                .parse::<f64>()
                .ok()
                .filter(|number| number.is_finite());
            parsed.ok_or_else(|| {
                DataError::Label(LabelError::NotANumber {
                    path: self.name.clone(),
                    place: self.place(row),
                    found: label.to_string(),
                })
            })
        };
        self.rows
            .iter()
            .map(|row| {
                row.label
                    .as_deref()
                    .map(|label| number(label, row))
                    .transpose()
            })
            .collect()
    }
}

/// Index of the positive class; `None` unless there are exactly two classes.
///
/// Chosen by name, ignoring case: the class called `1`, `true`, `yes`, `positive`, `pos` or `spam`; else the other class
/// if one is called `0`, `false`, `no`, `negative`, `neg`, `ham`, `none`, `normal` or `control`; else the second. This is
/// a heuristic: let the user override it.
pub fn positive_class(names: &[String]) -> Option<usize> {
    const POSITIVE: [&str; 6] = ["1", "true", "yes", "positive", "pos", "spam"];
    const NEGATIVE: [&str; 9] = [
        "0", "false", "no", "negative", "neg", "ham", "none", "normal", "control",
    ];
    let [first, second] = names else { return None };
    let (first, second) = (first.to_lowercase(), second.to_lowercase());
    let is = |list: &[&str], name: &str| list.contains(&name);
    Some(match (is(&POSITIVE, &first), is(&POSITIVE, &second)) {
        (true, false) => 0,
        (false, true) => 1,
        _ if is(&NEGATIVE, &second) && !is(&NEGATIVE, &first) => 0,
        _ => 1,
    })
}

/// Weights that give every class the same total: `rows / (classes × count)`, as scikit-learn's `class_weight="balanced"`.
///
/// `classes` counts only classes that occur; a class that does not occur has weight 0.
pub fn balanced_weights(counts: &[usize]) -> Vec<f64> {
    let rows: usize = counts.iter().sum();
    let classes = counts.iter().filter(|&&count| count > 0).count();
    let weight = |&count: &usize| match count {
        0 => 0.0,
        count => rows as f64 / (classes as f64 * count as f64),
    };
    counts.iter().map(weight).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::examples::{MissingPolicy, Selection};
    use crate::sources::{Format, ReadOptions, read_table_from};

    fn kind(labels: &[&str]) -> LabelKind {
        infer_task(labels, None).unwrap().kind
    }

    fn examples(cells: &[&str], separator: Option<&str>) -> Examples {
        let text = cells.iter().fold("text,label\n".to_string(), |text, cell| {
            text + "some text,\"" + cell + "\"\n"
        });
        let options = ReadOptions {
            format: Some(Format::Csv),
            ..Default::default()
        };
        let table = read_table_from(text.as_bytes(), "t", &options).unwrap();
        let mut selection = Selection::new("text", "label");
        selection.label_separator = separator.map(str::to_string);
        Examples::labelled(&table, &selection, MissingPolicy::Refuse).unwrap()
    }

    #[test]
    fn words_codes_and_few_whole_numbers_are_classes() {
        assert_eq!(kind(&["ham", "spam", "ham"]), LabelKind::Classification);
        assert_eq!(kind(&["1", "2", "3", "4", "5"]), LabelKind::Classification);
        assert_eq!(kind(&["0.0", "1.0"]), LabelKind::Classification);
        assert_eq!(kind(&["nan", "inf"]), LabelKind::Classification);
        let codes: Vec<String> = (0..100).map(|n| format!("{n:03}")).collect();
        assert_eq!(
            kind(&codes.iter().map(String::as_str).collect::<Vec<_>>()),
            LabelKind::Classification
        );
    }

    #[test]
    fn fractions_and_many_whole_numbers_are_regression() {
        assert_eq!(kind(&["0.5", "1", "1"]), LabelKind::Regression);
        assert_eq!(kind(&["1e-3", "-2"]), LabelKind::Regression);
        let ages: Vec<String> = (20..60).map(|n| n.to_string()).collect();
        let ages: Vec<&str> = ages.iter().map(String::as_str).collect();
        assert_eq!(kind(&ages), LabelKind::Regression);
        let often: Vec<&str> = ages.iter().cycle().take(800).copied().collect();
        assert_eq!(kind(&often), LabelKind::Classification);
    }

    #[test]
    fn the_reason_names_the_classes() {
        let inference = infer_task(&["spam", "ham"], None).unwrap();
        assert_eq!(inference.reason, "two classes: `ham`, `spam`");
        let inference = infer_task(&["a;b", ""], Some(";")).unwrap();
        assert_eq!(inference.kind, LabelKind::MultiLabel);
        assert_eq!(
            inference.reason,
            "cells hold any number of 2 labels: `a`, `b`"
        );
    }

    #[test]
    fn one_label_everywhere_is_refused() {
        assert!(matches!(
            infer_task(&["a", "a"], None),
            Err(DataError::Label(LabelError::OneLabel { rows: 2, .. }))
        ));
        assert!(matches!(
            infer_task(&["1", "1.0"], None),
            Err(DataError::Label(LabelError::OneLabel { .. }))
        ));
        assert!(matches!(
            infer_task(&[], None),
            Err(DataError::Label(LabelError::NoLabels))
        ));
        assert!(matches!(
            infer_task(&["", ";"], Some(";")),
            Err(DataError::Label(LabelError::NoLabels))
        ));
    }

    #[test]
    fn whole_numbers_are_ordered_as_numbers_and_spelt_one_way() {
        let set = LabelSet::from_labels(&["10", "2.0", "-1", "2"]).unwrap();
        assert_eq!(set.names(), ["-1", "2", "10"]);
        assert_eq!(set.index("10.0"), Some(2));
        assert_eq!(set.index("2"), Some(1));
        assert_eq!(set.index("two"), None);
        let words = LabelSet::from_labels(&["b", "1", "a"]).unwrap();
        assert_eq!(words.names(), ["1", "a", "b"]);
        assert_eq!(words.index("1.0"), None);
    }

    #[test]
    fn a_label_set_survives_json() {
        let set = LabelSet::from_labels(&["ham", "spam"]).unwrap();
        let json = serde_json::to_string(&set).unwrap();
        assert_eq!(json, r#"["ham","spam"]"#);
        assert_eq!(serde_json::from_str::<LabelSet>(&json).unwrap(), set);
        assert!(serde_json::from_str::<LabelSet>(r#"["a","a"]"#).is_err());
    }

    #[test]
    fn labels_that_training_never_saw_are_counted() {
        let set = LabelSet::from_labels(&["ham", "spam"]).unwrap();
        let (classes, unseen) = examples(&["spam", "eggs", "ham", "eggs"], None).classes(&set);
        assert_eq!(classes, [Some(1), None, Some(0), None]);
        assert_eq!(unseen.labels["eggs"], (2, 3));
        assert_eq!(
            unseen.summary().unwrap(),
            "2 rows have a label that training never saw: `eggs` (2)"
        );
    }

    #[test]
    fn label_sets_are_split_trimmed_and_unique() {
        let examples = examples(&["b; a ;b", "", "c;x"], Some(";"));
        let set = LabelSet::new(vec!["a".into(), "b".into(), "c".into()]).unwrap();
        let (sets, unseen) = examples.label_sets(&set);
        assert_eq!(sets, [vec![0, 1], vec![], vec![2]]);
        assert_eq!((unseen.rows, unseen.labels.len()), (1, 1));
    }

    #[test]
    fn a_label_that_is_no_number_is_named_with_its_line() {
        assert_eq!(
            examples(&["1", "007"], None).numbers().unwrap(),
            [Some(1.0), Some(7.0)]
        );
        let error = examples(&["1", "much"], None).numbers().unwrap_err();
        assert_eq!(
            error.to_string(),
            "the label on line 3 of `t` is `much`, expected a number"
        );
        assert!(examples(&["1", "nan"], None).numbers().is_err());
    }

    #[test]
    fn the_positive_class_goes_by_convention_then_by_order() {
        let positive = |a: &str, b: &str| positive_class(&[a.into(), b.into()]).unwrap();
        assert_eq!(positive("0", "1"), 1);
        assert_eq!(positive("Negative", "Positive"), 1);
        assert_eq!(positive("dementia", "control"), 0);
        assert_eq!(positive("SPAM", "eggs"), 0);
        assert_eq!(positive("cats", "dogs"), 1);
        assert_eq!(positive_class(&["a".into()]), None);
    }

    #[test]
    fn balanced_weights_give_each_class_the_same_total() {
        // sklearn.utils.class_weight.compute_class_weight("balanced", …) of 6 and 2 rows
        assert_eq!(balanced_weights(&[6, 2]), [8.0 / 12.0, 2.0]);
        assert_eq!(balanced_weights(&[6, 0, 2]), [8.0 / 12.0, 0.0, 2.0]);
    }
}
