//! What an evaluation found, to be kept as JSON and shown as text.

mod ordered_map;
pub(crate) mod table;

use serde::{Deserialize, Serialize};

use crate::metric::Metric;
use crate::predictions::TaskKind;

/// The label of the row of a confusion matrix that holds the classes the model never saw.
pub const UNSEEN: &str = "unseen";

/// Every metric of a task on one data set. Serialises to the JSON of a run directory, and reads back from it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The kind of task.
    pub task: TaskKind,
    /// Number of rows evaluated.
    pub rows: usize,
    /// The classes the model knows, or the types of entities that truth or predictions have (as seqeval reads them by
    /// default); empty for other tasks.
    pub classes: Vec<String>,
    /// The positive class of a binary task.
    pub positive: Option<String>,
    /// The classes that averages are over, where they are not all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub averaged: Option<Vec<String>>,
    /// The metrics, the most telling first; a map in JSON.
    #[serde(with = "ordered_map")]
    pub metrics: Vec<(Metric, Estimate)>,
    /// Precision, recall and F1 of each class, by name, in the order of `classes`; a map in JSON.
    #[serde(with = "ordered_map")]
    pub per_class: Vec<(String, ClassReport)>,
    /// How often each class was taken for each, for tasks of one class per row.
    pub confusion_matrix: Option<ConfusionMatrix>,
    /// What is told of entities given as tags alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entities: Option<EntityReport>,
    /// What is told of answers alone, where questions may have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answers: Option<AnswerReport>,
    /// How the intervals were found; `None` if there are none.
    pub bootstrap: Option<BootstrapSummary>,
}

impl Report {
    /// The estimate of a metric, if it is one of the task's.
    pub fn metric(&self, metric: Metric) -> Option<&Estimate> {
        self.metrics
            .iter()
            .find(|(found, _)| *found == metric)
            .map(|(_, estimate)| estimate)
    }

    /// The report as plain text for a terminal: metrics with intervals, classes, and the confusion matrix of at most
    /// 12 classes. Lines end in `\n`; no colour.
    pub fn table(&self) -> String {
        table::render(self)
    }
}

/// A value with its interval, or why there is none.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The value; `None` where undefined.
    pub value: Option<f64>,
    /// Lower end of the interval.
    pub low: Option<f64>,
    /// Upper end of the interval.
    pub high: Option<f64>,
    /// Why there is no value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undefined: Option<String>,
    /// Number of resamples without a value, which the interval leaves out.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub undefined_resamples: usize,
    /// Why a value has no interval although intervals were asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval_undefined: Option<String>,
}

fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// How well one class is found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ClassReport {
    /// Share of the rows predicted to be of the class that are.
    pub precision: Estimate,
    /// Share of the rows of the class that are predicted so.
    pub recall: Estimate,
    /// Harmonic mean of both.
    pub f1: Estimate,
    /// Number of rows of the class.
    pub support: usize,
}

/// How often each class was taken for each.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfusionMatrix {
    /// The true class of each row: the classes, then [`UNSEEN`] if there are rows of classes the model never saw.
    pub labels: Vec<String>,
    /// `[labels, classes]`: the true class down, the predicted class across.
    pub rows: Vec<Vec<u64>>,
}

/// Entities by the two other ways of reading them off tags; [`Report::per_class`] has the first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EntityReport {
    /// Number of words.
    pub words: usize,
    /// By type, of entities that keep to IOB2 as in seqeval's strict mode; empty if tags are not of IOB2.
    #[serde(with = "ordered_map")]
    pub strict: Vec<(String, ClassReport)>,
    /// By type, of entities as the script conlleval reads them.
    #[serde(with = "ordered_map")]
    pub conlleval: Vec<(String, ClassReport)>,
}

/// Questions that may have no answer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AnswerReport {
    /// Number of questions with an answer.
    pub with_answer: usize,
    /// Number of questions without one.
    pub without_answer: usize,
    /// The threshold for no answer that decided, if one did.
    pub threshold: Option<f64>,
    /// The threshold for no answer that would give these questions their best F1; `None` without scores.
    pub best_f1_threshold: Option<f64>,
    /// The threshold for no answer that would give these questions their best exact match; `None` without scores.
    pub best_exact_match_threshold: Option<f64>,
}

/// How intervals were found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BootstrapSummary {
    /// Number of resamples.
    pub resamples: usize,
    /// The share of resamples that an interval holds.
    pub confidence: f64,
    /// The seed of the resamples.
    pub seed: u64,
    /// Whether rows were drawn within each true class.
    pub stratified: bool,
    /// Number of groups, where whole groups were drawn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub groups: Option<usize>,
}

#[cfg(test)]
mod tests;
