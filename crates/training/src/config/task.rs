//! The task: what is predicted, the loss, the threshold and the calibration.

use std::collections::BTreeMap;

use bertkit_evaluation::ThresholdObjective;
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use super::flag::{Parse, finite, flag, fraction, number, share};
use super::range::{Range, at_least};
use super::setting::{Setting, SettingValue, plain_values, settings};
use crate::tasks::kind::TaskKind;
use crate::tasks::multiple_choice::config::ChoiceConfig;
use crate::tasks::qa::config::QuestionConfig;
use crate::tasks::tagging::config::NerConfig;
use crate::tasks::text::config::DocumentsConfig;

settings! {
    /// What is predicted, and how.
    pub struct TaskConfig {
        /// classification, multi-label or regression, inferred from the labels if not given; or ner, or qa.
        kind: Option<TaskKind> => {
            .flag(flag("Task", "task", "What is learnt: from texts, told by the labels if not given; from tagged words, \
                    ner; from questions about texts, qa; or, from questions with several answers, multiple-choice").value("TASK").rank(-3))
        },
        /// The positive class of two.
        positive: Option<String> => {
            .flag(flag("Task", "positive", "The positive class of two").value("LABEL").default("told by the names"))
        },
        /// Where a probability counts as positive.
        threshold: Threshold = Threshold::At(0.5) => {
            .range(at_least(0.0).at_most(1.0).described("0 to 1, or f1"))
            .flag(flag("Task", "threshold", "Where a probability counts as positive: a number, or what a threshold chosen \
                    on the validation rows maximises: f1, balanced_accuracy, mcc, accuracy; or, such as cost:1,5, what \
                    a false positive and a false negative cost").value("NUMBER|METRIC").with(threshold))
        },
        /// How probabilities are calibrated.
        calibrate: Calibrate = Calibrate::None => {
            .flag(flag("Task", "calibrate", "Correct probabilities that are too sure or not sure enough, by a factor \
                    fitted on the validation rows").value("CALIBRATE"))
        },
        /// The weight of each class in the loss.
        class_weights: ClassWeights => {
            .free_keys()
            .flag(flag("Task", "class-weights", "How much each class counts in the loss: none, balanced, or for each, \
                    such as \"spam=2,ham=1\"").value("WEIGHTS").with(class_weights))
        },
        /// The loss.
        loss: LossConfig => {
            .choice()
            .flag(flag("Task", "loss", "What is minimised").value("LOSS")
                .parse(Parse::Tables(&["cross-entropy", "focal"])))
        },
        /// The classes of the micro, macro and weighted averages, such as those of ChemProt that count; all if empty.
        averaged: Vec<String> => {
            .flag(flag("Task", "average-over", "Classes over which averages are taken, divided by commas, such as those \
                    of ChemProt that count").value("CLASSES").parse(Parse::Text).divided_by(',').default("all").rank(-1))
        },
        /// How words are tagged; there with `kind = "ner"` alone.
        ner: Option<NerConfig>,
        /// How questions are answered; there with `kind = "qa"` alone.
        qa: Option<QuestionConfig>,
        /// Columns of a multiple-choice table; there with `kind = "multiple-choice"` alone.
        choice: Option<ChoiceConfig>,
        /// How texts longer than the model's input are split into sections and pooled; they are truncated without it.
        documents: Option<DocumentsConfig>,
    }
}

/// Where a probability counts as positive.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "expected a number from 0 to 1, `f1`, `balanced_accuracy`, `mcc`, `accuracy`, or costs such as `cost:1,5`"
)]
pub enum Threshold {
    /// At a number.
    At(f64),
    /// Where the objective is best on the validation set.
    Best(ThresholdObjective),
}

impl Default for Threshold {
    fn default() -> Self {
        Self::At(0.5)
    }
}

impl SettingValue for Threshold {
    fn check(&self, key: &str, range: Option<Range>, problems: &mut Vec<String>) {
        match self {
            Self::At(at) => at.check(key, range, problems),
            Self::Best(_) => {}
        }
    }
}

/// How probabilities are calibrated.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Calibrate {
    /// Not at all.
    #[default]
    None,
    /// By one temperature for all logits, fitted on the validation rows (Guo et al. 2017).
    Temperature,
}

plain_values!(TaskKind, Calibrate);

/// The weight of each class in the loss.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "expected `none`, `balanced`, or a table from classes to numbers"
)]
pub enum ClassWeights {
    /// `none`, or `balanced`: inversely to the class's share.
    Named(NamedWeights),
    /// Given for each class.
    Given(BTreeMap<String, f64>),
}

impl Default for ClassWeights {
    fn default() -> Self {
        Self::Named(NamedWeights::None)
    }
}

impl SettingValue for ClassWeights {
    fn check(&self, _key: &str, _range: Option<Range>, problems: &mut Vec<String>) {
        let Self::Given(weights) = self else {
            return;
        };
        for (class, weight) in weights {
            if !at_least(0.0).contains(*weight) {
                problems.push(format!(
                    "the weight of class `{class}` is {weight}, expected 0 or more"
                ));
            }
        }
    }
}

/// Class weights that have a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NamedWeights {
    /// All the same.
    None,
    /// `n / (classes × count)`, as scikit-learn.
    Balanced,
}

/// The loss.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum LossConfig {
    /// Cross-entropy (binary cross-entropy with several labels; squared error for numbers).
    CrossEntropy {
        /// The share of the target that is spread over all classes.
        #[serde(default)]
        label_smoothing: f64,
    },
    /// Focal loss (Lin et al. 2017).
    Focal {
        /// How fast well-classified rows lose weight.
        #[serde(default = "two")]
        gamma: f64,
    },
}

impl Default for LossConfig {
    fn default() -> Self {
        Self::CrossEntropy {
            label_smoothing: 0.0,
        }
    }
}

const fn two() -> f64 {
    2.0
}

impl SettingValue for LossConfig {
    fn parts() -> Vec<Setting> {
        let smoothing = Setting::new::<f64>(
            "label_smoothing",
            "The share of the target that is spread over all classes.",
        )
        .range(at_least(0.0).less_than(1.0))
        .default(0.0)
        .flag(
            flag(
                "Task",
                "label-smoothing",
                "Share of the target spread over all classes; implies the cross-entropy loss",
            )
            .value("SHARE")
            .with(fraction)
            .implies("loss", "cross-entropy"),
        );
        let gamma = Setting::new::<f64>("gamma", "How fast well-classified rows lose weight.")
            .range(at_least(0.0))
            .default(2.0)
            .flag(
                flag(
                    "Task",
                    "focal-gamma",
                    "How fast easy rows lose weight; implies the focal loss",
                )
                .value("GAMMA")
                .with(number)
                .conflicts(&["label-smoothing"])
                .implies("loss", "focal"),
            );
        vec![
            Setting::table("focal", "Focal loss (Lin et al. 2017).", vec![gamma]),
            Setting::table("cross-entropy", "Cross-entropy.", vec![smoothing]),
        ]
    }

    fn check(&self, key: &str, _range: Option<Range>, problems: &mut Vec<String>) {
        match self {
            Self::CrossEntropy { label_smoothing } => label_smoothing.check(
                &format!("{key}.cross-entropy.label_smoothing"),
                Some(at_least(0.0).less_than(1.0)),
                problems,
            ),
            Self::Focal { gamma } => {
                gamma.check(&format!("{key}.focal.gamma"), Some(at_least(0.0)), problems)
            }
        }
    }
}

fn threshold(text: &str) -> Result<Value, String> {
    if let Ok(objective) = text.parse::<ThresholdObjective>() {
        return Ok(Value::String(objective.to_string()));
    }
    share(text).map(Value::Float).map_err(|_| {
        "expected a number from 0 to 1, `f1`, `balanced_accuracy`, `mcc`, `accuracy`, or costs such as `cost:1,5`".into()
    })
}

fn class_weights(text: &str) -> Result<Value, String> {
    if matches!(text, "none" | "balanced") {
        return Ok(Value::String(text.into()));
    }
    let mut weights = Table::new();
    for part in text.split(',') {
        // The class name may contain `=`: split at the last one.
        let pair = part
            .rsplit_once('=')
            .map(|(class, weight)| (class.trim(), finite(weight.trim())));
        let Some((class, Ok(weight))) = pair else {
            return Err(format!(
                "`{part}` is not class=weight; expected `none`, `balanced`, or such as \"spam=2,ham=1\""
            ));
        };
        if weights.insert(class.into(), Value::Float(weight)).is_some() {
            return Err(format!("the class `{class}` is given twice"));
        }
    }
    Ok(Value::Table(weights))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn class_weights_are_named_or_given_for_each_class() {
        assert!(class_weights("spam=2, a=b=0.5").is_ok());
        for text in ["spam", "spam=x", "spam=1,spam=2", ""] {
            assert!(class_weights(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_threshold_is_a_number_or_an_objective() {
        for text in ["2", "f2", "cost:1", "cost:0,0"] {
            assert!(threshold(text).is_err(), "{text}");
        }
    }
}
