//! The names of the metrics, what they apply to and which way is better.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::predictions::TaskKind;

/// Declares [`Metric`], its names and [`Metric::ALL`] from one table.
macro_rules! metrics {
    ($($(#[$doc:meta])+ $variant:ident => $name:literal,)+) => {
        /// A named number that sums up predictions.
        ///
        /// It prints, parses and serialises under its name, such as `roc_auc_ovr_macro`. Unless a line below says
        /// otherwise the definition is scikit-learn's, and a ratio with nothing below the line (the precision of a
        /// class that is never predicted) is 0, which is scikit-learn's `zero_division=0`.
        ///
        /// `micro` pools the counts of all classes, `macro` is the plain mean over classes, `weighted` the mean
        /// weighted by the rows of each class, and `samples` the mean over rows.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "&'static str")]
        pub enum Metric {
            $($(#[$doc])+ $variant,)+
        }

        impl Metric {
            /// Every metric, in the order of the enum.
            pub const ALL: &'static [Metric] = &[$(Metric::$variant),+];

            /// The name in snake case, as in configurations and reports.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Metric::$variant => $name,)+
                }
            }
        }
    };
}

metrics! {
    /// F1 of the positive class: harmonic mean of its precision and recall. Of answers: the same of the words of the
    /// answer given and of the true one that fits best, its mean over questions (Rajpurkar et al. 2016, §6.1). Where
    /// both consist of articles and punctuation alone it is 1, as in the script of SQuAD 2.0; that of 1.1 gives 0.
    F1 => "f1",
    /// Share of the rows predicted positive that are positive.
    Precision => "precision",
    /// Share of the positive rows that are predicted positive (sensitivity).
    Recall => "recall",
    /// Share of the rows of the other class that are predicted so: its recall.
    Specificity => "specificity",
    /// Area under the receiver operating characteristic: the chance that a positive row scores above a negative one,
    /// ties counting half.
    RocAuc => "roc_auc",
    /// Area under the precision-recall steps: the mean of the precision at each positive row, not interpolated.
    /// With one class only it is undefined, where scikit-learn warns and gives a number.
    AveragePrecision => "average_precision",
    /// Share of rows predicted correctly; of entities, the share of words with exactly the true tag.
    Accuracy => "accuracy",
    /// Mean recall over the classes that have rows.
    BalancedAccuracy => "balanced_accuracy",
    /// Matthews correlation coefficient, for any number of classes (Gorodkin 2004); 0 where truth or prediction is
    /// one class throughout.
    Mcc => "mcc",
    /// Cohen's kappa: agreement beyond chance, unweighted.
    CohenKappa => "cohen_kappa",
    /// F1 of the pooled counts. Of entities given as tags, those that seqeval reads off them by default, and so are
    /// the other metrics of entities without a suffix.
    F1Micro => "f1_micro",
    /// Mean F1 over classes.
    F1Macro => "f1_macro",
    /// Mean F1 over classes, weighted by their rows.
    F1Weighted => "f1_weighted",
    /// Mean F1 over rows (multi-label), or over list questions (BioASQ).
    F1Samples => "f1_samples",
    /// Precision of the pooled counts.
    PrecisionMicro => "precision_micro",
    /// Mean precision over classes.
    PrecisionMacro => "precision_macro",
    /// Mean precision over classes, weighted by their rows.
    PrecisionWeighted => "precision_weighted",
    /// Mean precision over rows (multi-label), or over list questions (BioASQ).
    PrecisionSamples => "precision_samples",
    /// Recall of the pooled counts.
    RecallMicro => "recall_micro",
    /// Mean recall over classes.
    RecallMacro => "recall_macro",
    /// Mean recall over classes, weighted by their rows.
    RecallWeighted => "recall_weighted",
    /// Mean recall over rows (multi-label), or over list questions (BioASQ).
    RecallSamples => "recall_samples",
    /// Mean ROC AUC of each class against the rest; undefined unless every class has rows.
    RocAucOvrMacro => "roc_auc_ovr_macro",
    /// ROC AUC of each class against the rest, weighted by rows; undefined unless every class has rows.
    RocAucOvrWeighted => "roc_auc_ovr_weighted",
    /// Mean ROC AUC over pairs of classes (Hand & Till 2001); undefined unless every class has rows.
    RocAucOvoMacro => "roc_auc_ovo_macro",
    /// ROC AUC over pairs of classes, weighted by the rows of the pair; undefined unless every class has rows.
    RocAucOvoWeighted => "roc_auc_ovo_weighted",
    /// ROC AUC of all pairs of row and label pooled (multi-label).
    RocAucMicro => "roc_auc_micro",
    /// Mean ROC AUC over labels; undefined where a label is on no row or on every row.
    RocAucMacro => "roc_auc_macro",
    /// ROC AUC over labels weighted by their rows; a label on no row is left out, a label on every row leaves it
    /// undefined, and so does the absence of all labels (there scikit-learn gives 0).
    RocAucWeighted => "roc_auc_weighted",
    /// Average precision of all pairs of row and label pooled (multi-label); undefined where no row has any label
    /// (there scikit-learn gives 0).
    AveragePrecisionMicro => "average_precision_micro",
    /// Mean average precision over labels, a label on no row counting 0 as in scikit-learn; undefined where no row
    /// has any label.
    AveragePrecisionMacro => "average_precision_macro",
    /// Average precision over labels, weighted by their rows; undefined where no row has any label.
    AveragePrecisionWeighted => "average_precision_weighted",
    /// Share of rows with exactly the true set of labels.
    SubsetAccuracy => "subset_accuracy",
    /// Share of wrong pairs of row and label; lower is better.
    HammingLoss => "hamming_loss",
    /// Mean negative logarithm (nats) of the true class's probability, clipped to `[ε, 1 - ε]` with the `ε` of `f64`,
    /// not normalised; lower is better.
    LogLoss => "log_loss",
    /// Mean over rows of the squared distance between the probabilities of all classes and the truth (Brier 1950):
    /// from 0 to 2, twice the one-column form that is common for two classes; lower is better.
    Brier => "brier",
    /// Pearson's linear correlation; undefined where targets or predictions are constant.
    Pearson => "pearson",
    /// Spearman's rank correlation, tied values sharing their mean rank; undefined where either side is constant.
    Spearman => "spearman",
    /// Coefficient of determination; undefined for constant targets (there scikit-learn gives 0 or 1).
    R2 => "r2",
    /// Mean squared error; lower is better.
    Mse => "mse",
    /// Mean absolute error; lower is better.
    Mae => "mae",
    /// F1 of entities that keep to IOB2, as in seqeval's strict mode: each starts with `B`;
    /// pooled over types.
    F1MicroStrict => "f1_micro_strict",
    /// Precision of the same entities, pooled over types.
    PrecisionMicroStrict => "precision_micro_strict",
    /// Recall of the same entities, pooled over types.
    RecallMicroStrict => "recall_micro_strict",
    /// F1 of the same entities, mean over types.
    F1MacroStrict => "f1_macro_strict",
    /// Precision of the same entities, mean over types.
    PrecisionMacroStrict => "precision_macro_strict",
    /// Recall of the same entities, mean over types.
    RecallMacroStrict => "recall_macro_strict",
    /// F1 of the same entities, mean over types weighted by their true entities.
    F1WeightedStrict => "f1_weighted_strict",
    /// Precision of the same entities, mean over types weighted by their true entities.
    PrecisionWeightedStrict => "precision_weighted_strict",
    /// Recall of the same entities, mean over types weighted by their true entities.
    RecallWeightedStrict => "recall_weighted_strict",
    /// F1 of entities as `conlleval` of the CoNLL shared tasks reads them off the tags;
    /// pooled over types.
    F1MicroConlleval => "f1_micro_conlleval",
    /// Precision of the same entities, pooled over types.
    PrecisionMicroConlleval => "precision_micro_conlleval",
    /// Recall of the same entities, pooled over types.
    RecallMicroConlleval => "recall_micro_conlleval",
    /// F1 of the same entities, mean over types.
    F1MacroConlleval => "f1_macro_conlleval",
    /// Precision of the same entities, mean over types.
    PrecisionMacroConlleval => "precision_macro_conlleval",
    /// Recall of the same entities, mean over types.
    RecallMacroConlleval => "recall_macro_conlleval",
    /// F1 of the same entities, mean over types weighted by their true entities.
    F1WeightedConlleval => "f1_weighted_conlleval",
    /// Precision of the same entities, mean over types weighted by their true entities.
    PrecisionWeightedConlleval => "precision_weighted_conlleval",
    /// Recall of the same entities, mean over types weighted by their true entities.
    RecallWeightedConlleval => "recall_weighted_conlleval",
    /// Share of questions whose answer equals a true one, but for case, punctuation, articles and white space
    /// (Rajpurkar et al. 2016, §6.1).
    ExactMatch => "exact_match",
    /// F1 of answers, its mean over the questions that have one (`HasAns_f1`).
    F1HasAnswer => "f1_has_answer",
    /// Exact match over the questions that have an answer (`HasAns_exact`).
    ExactMatchHasAnswer => "exact_match_has_answer",
    /// F1 over the questions without an answer (`NoAns_f1`), which is 1 for no answer and else 0.
    F1NoAnswer => "f1_no_answer",
    /// Exact match over the questions without an answer (`NoAns_exact`).
    ExactMatchNoAnswer => "exact_match_no_answer",
    /// F1 of answers at the threshold for no answer that serves it best on these very questions: an upper bound
    /// (Rajpurkar et al. 2018, §5.1).
    BestF1 => "best_f1",
    /// Exact match at the threshold for no answer that serves it best on these very questions: an upper bound.
    BestExactMatch => "best_exact_match",
    /// Mean over factoid questions of 1 over the rank of the first right answer, 0 where none of the first five is
    /// right (Tsatsaronis et al. 2015).
    Mrr => "mrr",
    /// Share of factoid questions whose first answer is right.
    StrictAccuracy => "strict_accuracy",
    /// Share of factoid questions with a right answer among the first five.
    LenientAccuracy => "lenient_accuracy",
}

/// Every metric of a task, the ones to look at first in front.
const BINARY: &[Metric] = &[
    Metric::F1,
    Metric::RocAuc,
    Metric::Accuracy,
    Metric::Precision,
    Metric::Recall,
    Metric::Specificity,
    Metric::AveragePrecision,
    Metric::BalancedAccuracy,
    Metric::Mcc,
    Metric::CohenKappa,
    Metric::LogLoss,
    Metric::Brier,
    Metric::F1Macro,
    Metric::PrecisionMacro,
    Metric::RecallMacro,
    Metric::F1Weighted,
    Metric::PrecisionWeighted,
    Metric::RecallWeighted,
    Metric::F1Micro,
    Metric::PrecisionMicro,
    Metric::RecallMicro,
];
const MULTICLASS: &[Metric] = &[
    Metric::F1Macro,
    Metric::Accuracy,
    Metric::BalancedAccuracy,
    Metric::Mcc,
    Metric::CohenKappa,
    Metric::RocAucOvrMacro,
    Metric::RocAucOvoMacro,
    Metric::LogLoss,
    Metric::Brier,
    Metric::PrecisionMacro,
    Metric::RecallMacro,
    Metric::F1Weighted,
    Metric::PrecisionWeighted,
    Metric::RecallWeighted,
    Metric::F1Micro,
    Metric::PrecisionMicro,
    Metric::RecallMicro,
    Metric::RocAucOvrWeighted,
    Metric::RocAucOvoWeighted,
];
const MULTILABEL: &[Metric] = &[
    Metric::F1Micro,
    Metric::F1Macro,
    Metric::RocAucMacro,
    Metric::AveragePrecisionMacro,
    Metric::SubsetAccuracy,
    Metric::HammingLoss,
    Metric::PrecisionMicro,
    Metric::RecallMicro,
    Metric::PrecisionMacro,
    Metric::RecallMacro,
    Metric::F1Weighted,
    Metric::PrecisionWeighted,
    Metric::RecallWeighted,
    Metric::F1Samples,
    Metric::PrecisionSamples,
    Metric::RecallSamples,
    Metric::RocAucMicro,
    Metric::RocAucWeighted,
    Metric::AveragePrecisionMicro,
    Metric::AveragePrecisionWeighted,
];
const REGRESSION: &[Metric] = &[
    Metric::Pearson,
    Metric::Spearman,
    Metric::R2,
    Metric::Mse,
    Metric::Mae,
];
const ENTITIES: &[Metric] = &[
    Metric::F1Micro,
    Metric::PrecisionMicro,
    Metric::RecallMicro,
    Metric::F1Macro,
    Metric::PrecisionMacro,
    Metric::RecallMacro,
    Metric::F1Weighted,
    Metric::PrecisionWeighted,
    Metric::RecallWeighted,
    Metric::F1MicroStrict,
    Metric::PrecisionMicroStrict,
    Metric::RecallMicroStrict,
    Metric::F1MacroStrict,
    Metric::PrecisionMacroStrict,
    Metric::RecallMacroStrict,
    Metric::F1WeightedStrict,
    Metric::PrecisionWeightedStrict,
    Metric::RecallWeightedStrict,
    Metric::F1MicroConlleval,
    Metric::PrecisionMicroConlleval,
    Metric::RecallMicroConlleval,
    Metric::F1MacroConlleval,
    Metric::PrecisionMacroConlleval,
    Metric::RecallMacroConlleval,
    Metric::F1WeightedConlleval,
    Metric::PrecisionWeightedConlleval,
    Metric::RecallWeightedConlleval,
    Metric::Accuracy,
];
const SPANS: &[Metric] = &[
    Metric::F1Micro,
    Metric::PrecisionMicro,
    Metric::RecallMicro,
    Metric::F1Macro,
    Metric::PrecisionMacro,
    Metric::RecallMacro,
    Metric::F1Weighted,
    Metric::PrecisionWeighted,
    Metric::RecallWeighted,
];
const ANSWERS: &[Metric] = &[Metric::F1, Metric::ExactMatch];
const ANSWERS_OR_NONE: &[Metric] = &[
    Metric::F1,
    Metric::ExactMatch,
    Metric::F1HasAnswer,
    Metric::ExactMatchHasAnswer,
    Metric::F1NoAnswer,
    Metric::ExactMatchNoAnswer,
    Metric::BestF1,
    Metric::BestExactMatch,
];
const FACTOID: &[Metric] = &[Metric::Mrr, Metric::StrictAccuracy, Metric::LenientAccuracy];
const LISTS: &[Metric] = &[
    Metric::F1Samples,
    Metric::PrecisionSamples,
    Metric::RecallSamples,
];

impl Metric {
    /// The metrics of a task in the order of its report: the most telling first.
    pub const fn for_task(task: TaskKind) -> &'static [Metric] {
        match task {
            TaskKind::Binary => BINARY,
            TaskKind::Multiclass => MULTICLASS,
            TaskKind::Multilabel => MULTILABEL,
            TaskKind::Regression => REGRESSION,
            TaskKind::Entities => ENTITIES,
            TaskKind::Spans => SPANS,
            TaskKind::Answers => ANSWERS,
            TaskKind::AnswersOrNone => ANSWERS_OR_NONE,
            TaskKind::Factoid => FACTOID,
            TaskKind::Lists => LISTS,
        }
    }

    /// Whether the metric is computed for `task`.
    pub fn applies_to(self, task: TaskKind) -> bool {
        Self::for_task(task).contains(&self)
    }

    /// The tasks the metric is computed for, at least one.
    pub fn tasks(self) -> impl Iterator<Item = TaskKind> {
        TaskKind::ALL
            .iter()
            .copied()
            .filter(move |&task| self.applies_to(task))
    }

    /// True where a larger value is a better one; false for errors and losses.
    pub const fn higher_is_better(self) -> bool {
        !matches!(
            self,
            Self::HammingLoss | Self::LogLoss | Self::Brier | Self::Mse | Self::Mae
        )
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Metric {
    type Err = UnknownMetric;

    /// Reads a name such as `f1_macro`.
    ///
    /// # Errors
    /// [`UnknownMetric`], which carries the nearest name.
    fn from_str(name: &str) -> Result<Self, UnknownMetric> {
        Self::ALL
            .iter()
            .copied()
            .find(|metric| metric.name() == name)
            .ok_or_else(|| UnknownMetric::new(name))
    }
}

impl TryFrom<String> for Metric {
    type Error = UnknownMetric;

    fn try_from(name: String) -> Result<Self, UnknownMetric> {
        name.parse()
    }
}

impl From<Metric> for &'static str {
    fn from(metric: Metric) -> Self {
        metric.name()
    }
}

/// A name that is no metric's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown metric `{name}`; {}", self.advice())]
pub struct UnknownMetric {
    /// The name as given.
    pub name: String,
    /// The metric that was probably meant, if one is near.
    pub nearest: Option<Metric>,
}

impl UnknownMetric {
    fn new(name: &str) -> Self {
        let distance =
            |metric: &Metric| strsim::damerau_levenshtein(&name.to_lowercase(), metric.name());
        let nearest = Metric::ALL.iter().copied().min_by_key(distance);
        // A third of the letters wrong is a slip; more is another word.
        let nearest = nearest.filter(|metric| distance(metric) * 3 <= metric.name().len());
        Self {
            name: name.to_owned(),
            nearest,
        }
    }

    fn advice(&self) -> String {
        match self.nearest {
            Some(metric) => format!("did you mean `{metric}`?"),
            None => {
                let names: Vec<_> = Metric::ALL.iter().map(|metric| metric.name()).collect();
                format!("the metrics are {}", names.join(", "))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_metric_reads_back_from_its_name_and_belongs_to_a_task() {
        let mut names = HashSet::new();
        for &metric in Metric::ALL {
            assert_eq!(metric.to_string().parse(), Ok(metric));
            let json = serde_json::to_string(&metric).unwrap();
            assert_eq!(json, format!("\"{metric}\""));
            assert_eq!(serde_json::from_str::<Metric>(&json).unwrap(), metric);
            assert!(
                metric.tasks().next().is_some(),
                "{metric} belongs to no task"
            );
            assert!(names.insert(metric.name()));
        }
    }

    #[test]
    fn no_task_lists_a_metric_twice() {
        for &task in TaskKind::ALL {
            let listed = Metric::for_task(task);
            assert_eq!(listed.iter().collect::<HashSet<_>>().len(), listed.len());
        }
    }

    #[test]
    fn a_slip_names_the_nearest_metric() {
        let error = "f1_marco".parse::<Metric>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "unknown metric `f1_marco`; did you mean `f1_macro`?"
        );
        assert_eq!(
            "ROC_AUC".parse::<Metric>().unwrap_err().nearest,
            Some(Metric::RocAuc)
        );
    }

    #[test]
    fn another_word_lists_every_metric() {
        let message = "happiness".parse::<Metric>().unwrap_err().to_string();
        for metric in Metric::ALL {
            assert!(message.contains(metric.name()), "{message}");
        }
    }

    #[test]
    fn errors_and_losses_are_better_when_lower() {
        let lower: Vec<_> = Metric::ALL
            .iter()
            .filter(|m| !m.higher_is_better())
            .map(|m| m.name())
            .collect();
        assert_eq!(lower, ["hamming_loss", "log_loss", "brier", "mse", "mae"]);
    }
}
