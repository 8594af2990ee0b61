//! The registry of metrics: name, direction, formula and tasks of each.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::metrics::answers::{AnswerFormula, AnswerScore, Questions};
use crate::metrics::choices::ChoiceFormula;
use crate::metrics::class::ClassFormula;
use crate::metrics::counts::{Average, Score};
use crate::metrics::entities::EntityFormula;
use crate::metrics::factoid::FactoidFormula;
use crate::metrics::multilabel::LabelFormula;
use crate::metrics::regression::ScoreFormula;
use crate::metrics::scheme::Scheme;
use crate::predictions::kind::TaskKind;

/// The description of a metric: its name, its direction, and its formula for each kind of predictions that it applies to.
#[derive(Clone, Copy)]
pub(crate) struct Description {
    name: &'static str,
    higher_is_better: bool,
    /// From one class per row.
    pub classes: Option<ClassFormula>,
    /// From any subset of the classes per row.
    pub labels: Option<LabelFormula>,
    /// From one number per row.
    pub numbers: Option<ScoreFormula>,
    /// From entities, given as tags or as spans.
    pub entities: Option<EntityFormula>,
    /// From one answer per question.
    pub answers: Option<AnswerFormula>,
    /// From a ranking of answers per question.
    pub factoid: Option<FactoidFormula>,
    /// From a list of answers per question: the mean of a score.
    pub lists: Option<Score>,
    /// From one of several answers per row.
    pub choices: Option<ChoiceFormula>,
}

/// Declares a builder method per kind of predictions.
macro_rules! formulas {
    ($($kind:ident: $formula:ty,)+) => {
        impl Description {
            $(
                const fn $kind(mut self, formula: $formula) -> Self {
                    self.$kind = Some(formula);
                    self
                }
            )+
        }
    };
}

formulas! {
    classes: ClassFormula,
    labels: LabelFormula,
    numbers: ScoreFormula,
    entities: EntityFormula,
    answers: AnswerFormula,
    factoid: FactoidFormula,
    lists: Score,
    choices: ChoiceFormula,
}

/// A metric of which a larger value is better.
const fn higher(name: &'static str) -> Description {
    Description {
        name,
        higher_is_better: true,
        classes: None,
        labels: None,
        numbers: None,
        entities: None,
        answers: None,
        factoid: None,
        lists: None,
        choices: None,
    }
}

/// A metric of which a smaller value is better.
const fn lower(name: &'static str) -> Description {
    let mut description = higher(name);
    description.higher_is_better = false;
    description
}

/// A score of the positive class.
const fn positive(name: &'static str, score: Score) -> Description {
    higher(name).classes(ClassFormula::Positive(score))
}

/// A score averaged over classes, labels or entity types.
const fn averaged(name: &'static str, score: Score, average: Average) -> Description {
    higher(name)
        .classes(ClassFormula::Averaged(score, average))
        .labels(LabelFormula::Averaged(score, average))
        .entities(EntityFormula::Averaged(Scheme::Default, score, average))
}

/// A score averaged over the entity types of a scheme.
const fn entities(
    name: &'static str,
    scheme: Scheme,
    score: Score,
    average: Average,
) -> Description {
    higher(name).entities(EntityFormula::Averaged(scheme, score, average))
}

/// A score averaged over rows or list questions.
const fn samples(name: &'static str, score: Score) -> Description {
    higher(name)
        .labels(LabelFormula::Samples(score))
        .lists(score)
}

/// A score averaged over some of the questions.
const fn answers(name: &'static str, score: AnswerScore, questions: Questions) -> Description {
    higher(name).answers(AnswerFormula::Mean(score, questions))
}

/// Declares [`Metric`], [`Metric::ALL`] and the registry [`Metric::description`] from one table.
macro_rules! metrics {
    ($($(#[$doc:meta])+ $variant:ident => $description:expr,)+) => {
        /// A named number that summarises predictions.
        ///
        /// It is displayed, parsed and serialised by its name, such as `roc_auc_ovr_macro`. Unless documented otherwise,
        /// the definition is scikit-learn's, and a ratio with denominator 0 (the precision of a class that is never
        /// predicted) is 0, as with `zero_division=0`.
        ///
        /// `micro` pools the counts of all classes, `macro` is the mean over classes, `weighted` the mean weighted by the
        /// rows of each class, and `samples` the mean over rows.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "&'static str")]
        pub enum Metric {
            $($(#[$doc])+ $variant,)+
        }

        impl Metric {
            /// Every metric, in the order of the enum.
            pub const ALL: &'static [Metric] = &[$(Metric::$variant),+];

            /// The registry.
            pub(crate) const fn description(self) -> Description {
                match self {
                    $(Metric::$variant => $description,)+
                }
            }
        }
    };
}

metrics! {
    /// F1 of the positive class: the harmonic mean of its precision and recall. For answers: the mean over questions of
    /// the F1 of the words of the predicted answer and of the true answer that it fits best (Rajpurkar et al. 2016, §6.1).
    /// If both consist only of articles and punctuation it is 1, as in the script of SQuAD 2.0; that of 1.1 gives 0.
    F1 => positive("f1", Score::F1)
        .answers(AnswerFormula::Mean(AnswerScore::F1, Questions::All)),
    /// Share of the rows predicted positive that are positive.
    Precision => positive("precision", Score::Precision),
    /// Share of the positive rows that are predicted positive (sensitivity).
    Recall => positive("recall", Score::Recall),
    /// Recall of the negative class.
    Specificity => higher("specificity").classes(ClassFormula::Specificity),
    /// Area under the receiver operating characteristic: the probability that a positive row scores above a negative one,
    /// ties counting half.
    RocAuc => higher("roc_auc").classes(ClassFormula::RocAuc),
    /// Area under the precision-recall steps: the mean of the precision at each positive row, not interpolated.
    /// Undefined if there is only one class, where scikit-learn warns and returns a number.
    AveragePrecision => higher("average_precision").classes(ClassFormula::AveragePrecision),
    /// Share of rows predicted correctly; for entities, the share of words with the true tag.
    Accuracy => higher("accuracy")
        .classes(ClassFormula::Accuracy)
        .choices(ChoiceFormula::Accuracy)
        .entities(EntityFormula::TagAccuracy),
    /// Mean recall over the classes that have rows.
    BalancedAccuracy => higher("balanced_accuracy").classes(ClassFormula::BalancedAccuracy),
    /// Matthews correlation coefficient, for any number of classes (Gorodkin 2004); 0 if truth or prediction is constant.
    Mcc => higher("mcc").classes(ClassFormula::Mcc),
    /// Cohen's kappa: agreement beyond chance, unweighted.
    CohenKappa => higher("cohen_kappa").classes(ClassFormula::CohenKappa),
    /// F1 of the pooled counts. For tagged entities, this and the other metrics without a suffix count the entities that
    /// seqeval reads by default.
    F1Micro => averaged("f1_micro", Score::F1, Average::Micro),
    /// Mean F1 over classes.
    F1Macro => averaged("f1_macro", Score::F1, Average::Macro),
    /// Mean F1 over classes, weighted by their rows.
    F1Weighted => averaged("f1_weighted", Score::F1, Average::Weighted),
    /// Mean F1 over rows (multi-label), or over list questions (BioASQ).
    F1Samples => samples("f1_samples", Score::F1),
    /// Precision of the pooled counts.
    PrecisionMicro => averaged("precision_micro", Score::Precision, Average::Micro),
    /// Mean precision over classes.
    PrecisionMacro => averaged("precision_macro", Score::Precision, Average::Macro),
    /// Mean precision over classes, weighted by their rows.
    PrecisionWeighted => averaged("precision_weighted", Score::Precision, Average::Weighted),
    /// Mean precision over rows (multi-label), or over list questions (BioASQ).
    PrecisionSamples => samples("precision_samples", Score::Precision),
    /// Recall of the pooled counts.
    RecallMicro => averaged("recall_micro", Score::Recall, Average::Micro),
    /// Mean recall over classes.
    RecallMacro => averaged("recall_macro", Score::Recall, Average::Macro),
    /// Mean recall over classes, weighted by their rows.
    RecallWeighted => averaged("recall_weighted", Score::Recall, Average::Weighted),
    /// Mean recall over rows (multi-label), or over list questions (BioASQ).
    RecallSamples => samples("recall_samples", Score::Recall),
    /// Mean ROC AUC of each class against the rest; undefined unless every class has rows.
    RocAucOvrMacro => higher("roc_auc_ovr_macro").classes(ClassFormula::RocAucOvrMacro),
    /// ROC AUC of each class against the rest, weighted by rows; undefined unless every class has rows.
    RocAucOvrWeighted => higher("roc_auc_ovr_weighted").classes(ClassFormula::RocAucOvrWeighted),
    /// Mean ROC AUC over pairs of classes (Hand & Till 2001); undefined unless every class has rows.
    RocAucOvoMacro => higher("roc_auc_ovo_macro").classes(ClassFormula::RocAucOvoMacro),
    /// ROC AUC over pairs of classes, weighted by the rows of the pair; undefined unless every class has rows.
    RocAucOvoWeighted => higher("roc_auc_ovo_weighted").classes(ClassFormula::RocAucOvoWeighted),
    /// ROC AUC of all pairs of row and label pooled (multi-label).
    RocAucMicro => higher("roc_auc_micro").labels(LabelFormula::RocAuc(Average::Micro)),
    /// Mean ROC AUC over labels; undefined if a label is on no row or on every row.
    RocAucMacro => higher("roc_auc_macro").labels(LabelFormula::RocAuc(Average::Macro)),
    /// ROC AUC over labels weighted by their rows. A label without rows is left out. Undefined if a label is on every row,
    /// or if no row has any label (scikit-learn gives 0 there).
    RocAucWeighted => higher("roc_auc_weighted").labels(LabelFormula::RocAuc(Average::Weighted)),
    /// Average precision of all pairs of row and label pooled (multi-label); undefined if no row has any label
    /// (scikit-learn gives 0 there).
    AveragePrecisionMicro => higher("average_precision_micro")
        .labels(LabelFormula::AveragePrecision(Average::Micro)),
    /// Mean average precision over labels; a label on no row counts as 0, as in scikit-learn. Undefined if no row has any
    /// label.
    AveragePrecisionMacro => higher("average_precision_macro")
        .labels(LabelFormula::AveragePrecision(Average::Macro)),
    /// Average precision over labels, weighted by their rows; undefined if no row has any label.
    AveragePrecisionWeighted => higher("average_precision_weighted")
        .labels(LabelFormula::AveragePrecision(Average::Weighted)),
    /// Share of rows with exactly the true set of labels.
    SubsetAccuracy => higher("subset_accuracy").labels(LabelFormula::SubsetAccuracy),
    /// Share of wrong pairs of row and label; lower is better.
    HammingLoss => lower("hamming_loss").labels(LabelFormula::HammingLoss),
    /// Mean negative logarithm (nats) of the true class's probability, clipped to `[ε, 1 - ε]` with the `ε` of `f64`,
    /// not normalised; lower is better.
    LogLoss => lower("log_loss")
        .classes(ClassFormula::LogLoss)
        .choices(ChoiceFormula::LogLoss),
    /// Mean over rows of the squared distance between the probabilities of all classes and the truth (Brier 1950):
    /// from 0 to 2, twice the one-column form that is common for two classes; lower is better.
    Brier => lower("brier").classes(ClassFormula::Brier),
    /// Pearson's linear correlation; undefined if targets or predictions are constant.
    Pearson => higher("pearson").numbers(ScoreFormula::Pearson),
    /// Spearman's rank correlation; tied values share their mean rank. Undefined if targets or predictions are constant.
    Spearman => higher("spearman").numbers(ScoreFormula::Spearman),
    /// Coefficient of determination; undefined for constant targets (scikit-learn gives 0 or 1 there).
    R2 => higher("r2").numbers(ScoreFormula::R2),
    /// Mean squared error; lower is better.
    Mse => lower("mse").numbers(ScoreFormula::Mse),
    /// Mean absolute error; lower is better.
    Mae => lower("mae").numbers(ScoreFormula::Mae),
    /// F1 of the entities of seqeval's strict mode with IOB2, where each starts with `B`; pooled over types.
    F1MicroStrict => entities("f1_micro_strict", Scheme::Strict, Score::F1, Average::Micro),
    /// Precision of the same entities, pooled over types.
    PrecisionMicroStrict => entities("precision_micro_strict", Scheme::Strict, Score::Precision, Average::Micro),
    /// Recall of the same entities, pooled over types.
    RecallMicroStrict => entities("recall_micro_strict", Scheme::Strict, Score::Recall, Average::Micro),
    /// F1 of the same entities, mean over types.
    F1MacroStrict => entities("f1_macro_strict", Scheme::Strict, Score::F1, Average::Macro),
    /// Precision of the same entities, mean over types.
    PrecisionMacroStrict => entities("precision_macro_strict", Scheme::Strict, Score::Precision, Average::Macro),
    /// Recall of the same entities, mean over types.
    RecallMacroStrict => entities("recall_macro_strict", Scheme::Strict, Score::Recall, Average::Macro),
    /// F1 of the same entities, mean over types weighted by their true entities.
    F1WeightedStrict => entities("f1_weighted_strict", Scheme::Strict, Score::F1, Average::Weighted),
    /// Precision of the same entities, mean over types weighted by their true entities.
    PrecisionWeightedStrict => entities("precision_weighted_strict", Scheme::Strict, Score::Precision, Average::Weighted),
    /// Recall of the same entities, mean over types weighted by their true entities.
    RecallWeightedStrict => entities("recall_weighted_strict", Scheme::Strict, Score::Recall, Average::Weighted),
    /// F1 of the entities that `conlleval` of the CoNLL shared tasks reads; pooled over types.
    F1MicroConlleval => entities("f1_micro_conlleval", Scheme::Conlleval, Score::F1, Average::Micro),
    /// Precision of the same entities, pooled over types.
    PrecisionMicroConlleval => entities("precision_micro_conlleval", Scheme::Conlleval, Score::Precision, Average::Micro),
    /// Recall of the same entities, pooled over types.
    RecallMicroConlleval => entities("recall_micro_conlleval", Scheme::Conlleval, Score::Recall, Average::Micro),
    /// F1 of the same entities, mean over types.
    F1MacroConlleval => entities("f1_macro_conlleval", Scheme::Conlleval, Score::F1, Average::Macro),
    /// Precision of the same entities, mean over types.
    PrecisionMacroConlleval => entities("precision_macro_conlleval", Scheme::Conlleval, Score::Precision, Average::Macro),
    /// Recall of the same entities, mean over types.
    RecallMacroConlleval => entities("recall_macro_conlleval", Scheme::Conlleval, Score::Recall, Average::Macro),
    /// F1 of the same entities, mean over types weighted by their true entities.
    F1WeightedConlleval => entities("f1_weighted_conlleval", Scheme::Conlleval, Score::F1, Average::Weighted),
    /// Precision of the same entities, mean over types weighted by their true entities.
    PrecisionWeightedConlleval => entities("precision_weighted_conlleval", Scheme::Conlleval, Score::Precision, Average::Weighted),
    /// Recall of the same entities, mean over types weighted by their true entities.
    RecallWeightedConlleval => entities("recall_weighted_conlleval", Scheme::Conlleval, Score::Recall, Average::Weighted),
    /// Share of questions whose answer equals a true one, ignoring case, punctuation, articles and white space
    /// (Rajpurkar et al. 2016, §6.1).
    ExactMatch => answers("exact_match", AnswerScore::ExactMatch, Questions::All),
    /// Mean F1 over the questions that have an answer (`HasAns_f1`).
    F1HasAnswer => answers("f1_has_answer", AnswerScore::F1, Questions::WithAnswer),
    /// Exact match over the questions that have an answer (`HasAns_exact`).
    ExactMatchHasAnswer => answers("exact_match_has_answer", AnswerScore::ExactMatch, Questions::WithAnswer),
    /// Mean F1 over the questions without an answer (`NoAns_f1`): 1 if none is given, else 0.
    F1NoAnswer => answers("f1_no_answer", AnswerScore::F1, Questions::WithoutAnswer),
    /// Exact match over the questions without an answer (`NoAns_exact`).
    ExactMatchNoAnswer => answers("exact_match_no_answer", AnswerScore::ExactMatch, Questions::WithoutAnswer),
    /// F1 at the threshold for no answer that maximises it on these same questions: an upper bound
    /// (Rajpurkar et al. 2018, §5.1).
    BestF1 => higher("best_f1").answers(AnswerFormula::Best(AnswerScore::F1)),
    /// Exact match at the threshold for no answer that maximises it on these same questions: an upper bound.
    BestExactMatch => higher("best_exact_match").answers(AnswerFormula::Best(AnswerScore::ExactMatch)),
    /// Mean reciprocal rank over factoid questions: 1 over the rank of the first right answer, 0 if none of the first five
    /// is right (Tsatsaronis et al. 2015).
    Mrr => higher("mrr").factoid(FactoidFormula::ReciprocalRank),
    /// Share of factoid questions whose first answer is right.
    StrictAccuracy => higher("strict_accuracy").factoid(FactoidFormula::StrictAccuracy),
    /// Share of factoid questions with a right answer among the first five.
    LenientAccuracy => higher("lenient_accuracy").factoid(FactoidFormula::LenientAccuracy),
}

/// The metrics of each task, the most informative first.
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
const CHOICES: &[Metric] = &[Metric::Accuracy, Metric::LogLoss];

impl Metric {
    /// The metrics of a task in the order of its report: the most informative first.
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
            TaskKind::Choices => CHOICES,
        }
    }

    /// The metric that selects the best weights of a task by default: the first of its metrics, except R² for regression.
    pub const fn default_for(task: TaskKind) -> Metric {
        match matches!(task, TaskKind::Regression) {
            true => Metric::R2,
            false => Self::for_task(task)[0],
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

    /// Whether a larger value is better; false for errors and losses.
    pub const fn higher_is_better(self) -> bool {
        self.description().higher_is_better
    }

    /// The name in snake case, as in configurations and reports.
    pub const fn name(self) -> &'static str {
        self.description().name
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

/// An unknown metric name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown metric `{name}`; {}", self.advice())]
pub struct UnknownMetric {
    /// The given name.
    pub name: String,
    /// The metric with the most similar name, if any is similar enough.
    pub nearest: Option<Metric>,
}

impl UnknownMetric {
    fn new(name: &str) -> Self {
        let distance =
            |metric: &Metric| strsim::damerau_levenshtein(&name.to_lowercase(), metric.name());
        let nearest = Metric::ALL.iter().copied().min_by_key(distance);
        // Up to a third of the letters may differ.
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

    /// Whether a metric has a formula for the predictions of a task.
    fn has_formula(metric: Metric, task: TaskKind) -> bool {
        let of = metric.description();
        match task {
            TaskKind::Binary | TaskKind::Multiclass => of.classes.is_some(),
            TaskKind::Multilabel => of.labels.is_some(),
            TaskKind::Regression => of.numbers.is_some(),
            TaskKind::Entities | TaskKind::Spans => of.entities.is_some(),
            TaskKind::Answers | TaskKind::AnswersOrNone => of.answers.is_some(),
            TaskKind::Factoid => of.factoid.is_some(),
            TaskKind::Lists => of.lists.is_some(),
            TaskKind::Choices => of.choices.is_some(),
        }
    }

    #[test]
    fn every_metric_of_a_task_has_a_formula_for_it() {
        for &task in TaskKind::ALL {
            for &metric in Metric::for_task(task) {
                assert!(has_formula(metric, task), "{metric} of {task}");
            }
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
