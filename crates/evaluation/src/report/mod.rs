//! The report of an evaluation, as JSON and as text.

mod ordered_map;
pub(crate) mod table;

use serde::{Deserialize, Serialize};

use crate::metric::Metric;
use crate::predictions::kind::TaskKind;

/// The row label in a confusion matrix for all classes not seen in training.
pub const UNSEEN: &str = "unseen";

/// Every metric of a task on one data set. Serialises to the JSON of a run directory, and back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The kind of task.
    pub task: TaskKind,
    /// Number of rows evaluated.
    pub rows: usize,
    /// The classes of the model, or the entity types of truth and predictions (as seqeval reads them by default); empty
    /// for other tasks.
    pub classes: Vec<String>,
    /// The positive class of a binary task.
    pub positive: Option<String>,
    /// The averaged classes, unless all are averaged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub averaged: Option<Vec<String>>,
    /// The metrics, the most informative first; a map in JSON.
    #[serde(with = "ordered_map")]
    pub metrics: Vec<(Metric, Estimate)>,
    /// Precision, recall and F1 of each class, by name, in the order of `classes`; a map in JSON.
    #[serde(with = "ordered_map")]
    pub per_class: Vec<(String, ClassReport)>,
    /// The confusion matrix, for one class per row.
    pub confusion_matrix: Option<ConfusionMatrix>,
    /// For entities given as tags.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entities: Option<EntityReport>,
    /// For answers, if questions may have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answers: Option<AnswerReport>,
    /// How the intervals were computed; `None` without intervals.
    pub bootstrap: Option<BootstrapSummary>,
}

impl Report {
    /// The estimate of a metric, if it applies to the task.
    pub fn metric(&self, metric: Metric) -> Option<&Estimate> {
        self.metrics
            .iter()
            .find(|(found, _)| *found == metric)
            .map(|(_, estimate)| estimate)
    }

    /// The report as plain text for a terminal: metrics with intervals, classes, and the confusion matrix of at most 12
    /// classes. Lines end in `\n`; no colour.
    pub fn table(&self) -> String {
        table::render(self)
    }
}

/// A value with its interval, or the reason why it is undefined.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The value; `None` if undefined.
    pub value: Option<f64>,
    /// Lower end of the interval.
    pub low: Option<f64>,
    /// Upper end of the interval.
    pub high: Option<f64>,
    /// The reason why the value is undefined.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undefined: Option<String>,
    /// Number of resamples on which the metric is undefined; the interval leaves them out.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub undefined_resamples: usize,
    /// The reason why a value has no interval although intervals were requested.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval_undefined: Option<String>,
}

fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// Precision, recall and F1 of one class.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ClassReport {
    /// Share of the rows predicted as the class that belong to it.
    pub precision: Estimate,
    /// Share of the rows of the class that are predicted as it.
    pub recall: Estimate,
    /// Harmonic mean of precision and recall.
    pub f1: Estimate,
    /// Number of rows of the class.
    pub support: usize,
}

/// How often each true class is predicted as each class.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfusionMatrix {
    /// The true classes: those of the model, then [`UNSEEN`] if there are rows of other classes.
    pub labels: Vec<String>,
    /// `[labels, classes]`: the true class down, the predicted class across.
    pub rows: Vec<Vec<u64>>,
}

/// Entities under the two other tagging schemes; [`Report::per_class`] has the default one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EntityReport {
    /// Number of words.
    pub words: usize,
    /// By type, in seqeval's strict mode with IOB2; empty if the tags are not IOB2.
    #[serde(with = "ordered_map")]
    pub strict: Vec<(String, ClassReport)>,
    /// By type, as conlleval reads them.
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
    /// The threshold for no answer that was applied, if any.
    pub threshold: Option<f64>,
    /// The threshold for no answer with the best F1 on these questions; `None` without scores.
    pub best_f1_threshold: Option<f64>,
    /// The threshold for no answer with the best exact match on these questions; `None` without scores.
    pub best_exact_match_threshold: Option<f64>,
}

/// How the intervals were computed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BootstrapSummary {
    /// Number of resamples.
    pub resamples: usize,
    /// The confidence level of the intervals.
    pub confidence: f64,
    /// The seed of the resamples.
    pub seed: u64,
    /// Whether rows were drawn within each true class.
    pub stratified: bool,
    /// Number of groups, if whole groups were drawn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub groups: Option<usize>,
}

#[cfg(test)]
mod tests;
