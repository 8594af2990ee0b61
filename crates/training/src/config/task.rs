//! The task: what is predicted, the loss, the threshold and the calibration.

use std::collections::BTreeMap;

use bertkit_evaluation::ThresholdObjective;
use serde::{Deserialize, Serialize};

use super::documents::DocumentsConfig;
use super::questions::QuestionConfig;
use super::tagging::NerConfig;
use crate::tasks::kind::TaskKind;
use crate::tasks::multiple_choice::config::ChoiceConfig;

/// What is learnt.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TaskConfig {
    /// classification, multi-label or regression, inferred from the labels if not given; or ner, or qa.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<TaskKind>,
    /// The positive class of two.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub positive: Option<String>,
    /// Where a probability counts as positive.
    pub threshold: Threshold,
    /// How probabilities are corrected.
    pub calibrate: Calibrate,
    /// How much each class counts in the loss.
    pub class_weights: ClassWeights,
    /// What is minimised.
    pub loss: LossConfig,
    /// The classes whose micro, macro and weighted averages are taken, such as those of ChemProt that count; all if empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub averaged: Vec<String>,
    /// How words are tagged; there with `kind = "ner"` alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ner: Option<NerConfig>,
    /// How questions are answered; there with `kind = "qa"` alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub qa: Option<QuestionConfig>,
    /// Columns of a multiple-choice table; there with `kind = "multiple-choice"` alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub choice: Option<ChoiceConfig>,
    /// How texts longer than the model reads are divided and put together; they are cut without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub documents: Option<DocumentsConfig>,
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
    /// Where the validation set says.
    Best(ThresholdObjective),
}

impl Default for Threshold {
    fn default() -> Self {
        Self::At(0.5)
    }
}

/// How probabilities that are too sure, or not sure enough, are corrected.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Calibrate {
    /// Not at all.
    #[default]
    None,
    /// By one temperature for all logits, fitted on the validation rows (Guo et al. 2017).
    Temperature,
}

/// How much each class counts in the loss.
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

/// Class weights that have a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NamedWeights {
    /// All the same.
    None,
    /// `n / (classes × count)`, as scikit-learn.
    Balanced,
}

/// What is minimised.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum LossConfig {
    /// Cross-entropy (binary cross-entropy with several labels; squared error for numbers).
    CrossEntropy {
        /// The share of the target that is spread over all classes.
        #[serde(default)]
        label_smoothing: f64,
    },
    /// Focal loss.
    Focal {
        /// How fast easy rows lose weight.
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
