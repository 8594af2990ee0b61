//! The outputs of a text model, and how they are converted to predictions.

use bertkit_data::documents::Chunking;
use bertkit_data::labels::LabelKind;
use bertkit_data::relations::MarkStyle;
use bertkit_evaluation::{ProbabilityKind, apply_temperature};
use serde::{Deserialize, Serialize};

use crate::config::Pool;
use crate::run::tables::Reading;

/// The outputs of a trained model, and how they are read; `bertkit.json` in the model's folder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskInfo {
    /// Classes, several labels, or a number.
    pub kind: LabelKind,
    /// Class names in the order of the outputs; empty for a number.
    pub classes: Vec<String>,
    /// The positive one of two classes.
    pub positive: Option<usize>,
    /// The thresholds of probabilities: one for two classes, one per class for several labels.
    pub thresholds: Vec<f64>,
    /// How the thresholds were chosen, as a sentence.
    pub threshold_origin: String,
    /// The temperature: logits are divided by it; 1 if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// Longest input in tokens.
    pub max_length: usize,
    /// The column that held the text in training.
    pub text: String,
    /// The column that held the second text.
    pub text_pair: Option<String>,
    /// The column that held the label.
    pub label: String,
    /// The separator of several labels in a cell.
    pub label_separator: Option<String>,
    /// Whether the training file's first row named its columns.
    pub header: bool,
    /// How texts longer than the model's input are split into sections and pooled; if not given, they are truncated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub documents: Option<DocumentInfo>,
    /// How the target entities of texts are marked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entities: Option<MarkStyle>,
    /// Whether files hold sentences and labels with or without a header, as in BioBERT.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub relations: bool,
    /// The classes that averages are computed over; all if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub averaged: Vec<String>,
}

/// How documents are split and pooled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DocumentInfo {
    /// How the features of the sections are pooled.
    pub pool: Pool,
    /// Where documents are split.
    pub sections: Chunking,
    /// Document column: rows that share a value form one document.
    pub group_by: Option<String>,
}

impl TaskInfo {
    /// How tables are read for this model.
    pub fn reading(&self) -> Reading {
        Reading {
            relations: self.relations,
            entities: self.entities,
        }
    }

    /// The number of outputs of the head.
    pub fn outputs(&self) -> usize {
        self.classes.len().max(1)
    }

    /// The outputs of the head as predictions, row by row: probabilities of the classes, calibrated if
    /// the model is, or the number itself.
    pub fn answers(&self, logits: &[f32]) -> Vec<f64> {
        let mut answers = probabilities(self.kind, logits, self.outputs());
        if let Some(temperature) = self.temperature {
            match self.kind {
                LabelKind::Classification => {
                    let kind = ProbabilityKind::Exclusive(self.outputs());
                    apply_temperature(&mut answers, kind, temperature);
                }
                LabelKind::MultiLabel => {
                    apply_temperature(&mut answers, ProbabilityKind::Independent, temperature);
                }
                LabelKind::Regression => {}
            }
        }
        answers
    }
}

/// The outputs of the head as probabilities of the classes, or as the number itself, row by row.
fn probabilities(kind: LabelKind, logits: &[f32], outputs: usize) -> Vec<f64> {
    match kind {
        LabelKind::Regression => logits.iter().map(|&x| f64::from(x)).collect(),
        LabelKind::MultiLabel => logits
            .iter()
            .map(|&x| 1.0 / (1.0 + (-f64::from(x)).exp()))
            .collect(),
        LabelKind::Classification => logits
            .chunks(outputs)
            .flat_map(|row| {
                let top = row.iter().copied().fold(f32::MIN, f32::max);
                let powers: Vec<f64> = row.iter().map(|&x| f64::from(x - top).exp()).collect();
                let sum: f64 = powers.iter().sum();
                powers.into_iter().map(move |p| p / sum)
            })
            .collect(),
    }
}

/// A model's prediction for one text.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Answer {
    /// The class, several classes joined by the separator, or the number.
    pub prediction: String,
    /// One per class; empty for a number.
    pub probabilities: Vec<f64>,
    /// Whether the text was longer than the model's input.
    pub truncated: bool,
}

/// The prediction from one row of probabilities.
pub fn decide(info: &TaskInfo, row: &[f64], truncated: bool) -> Answer {
    let prediction = match info.kind {
        LabelKind::Regression => {
            return Answer {
                prediction: row[0].to_string(),
                probabilities: Vec::new(),
                truncated,
            };
        }
        LabelKind::MultiLabel => {
            let separator = info.label_separator.as_deref().unwrap_or("|");
            let named: Vec<&str> = (0..row.len())
                .filter(|&c| row[c] >= info.thresholds[c])
                .map(|c| info.classes[c].as_str())
                .collect();
            named.join(separator)
        }
        LabelKind::Classification => {
            let class = match (info.positive, info.thresholds.first()) {
                (Some(positive), Some(&threshold)) if row.len() == 2 => {
                    if row[positive] >= threshold {
                        positive
                    } else {
                        1 - positive
                    }
                }
                _ => (1..row.len()).fold(0, |best, c| if row[c] > row[best] { c } else { best }),
            };
            info.classes[class].clone()
        }
    };
    Answer {
        prediction,
        probabilities: row.to_vec(),
        truncated,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(kind: LabelKind) -> TaskInfo {
        TaskInfo {
            kind,
            classes: vec!["a".into(), "b".into()],
            positive: Some(1),
            thresholds: vec![0.7, 0.2],
            threshold_origin: String::new(),
            temperature: None,
            max_length: 8,
            text: "text".into(),
            text_pair: None,
            label: "label".into(),
            label_separator: Some(";".into()),
            header: true,
            documents: None,
            entities: None,
            relations: false,
            averaged: Vec::new(),
        }
    }

    #[test]
    fn probabilities_add_up_to_one_and_survive_large_logits() {
        let p = probabilities(LabelKind::Classification, &[1000.0, 1000.0, -1e30, 5.0], 2);
        assert_eq!(p, [0.5, 0.5, 0.0, 1.0]);
        assert_eq!(probabilities(LabelKind::MultiLabel, &[0.0], 1), [0.5]);
    }

    #[test]
    fn a_temperature_divides_the_logits_of_probabilities() {
        let close = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-12);
        for kind in [
            LabelKind::Classification,
            LabelKind::MultiLabel,
            LabelKind::Regression,
        ] {
            let mut info = info(kind);
            let plain = info.answers(&[0.5, -1.0, 3.0, 2.0]);
            info.temperature = Some(2.0);
            let scaled = info.answers(&[1.0, -2.0, 6.0, 4.0]);
            assert_eq!(close(&plain, &scaled), kind != LabelKind::Regression);
        }
    }

    #[test]
    fn a_threshold_moves_the_decision_between_two_classes() {
        let one = info(LabelKind::Classification);
        assert_eq!(decide(&one, &[0.4, 0.6], false).prediction, "a");
        assert_eq!(decide(&one, &[0.3, 0.7], false).prediction, "b");
        let several = info(LabelKind::MultiLabel);
        assert_eq!(decide(&several, &[0.8, 0.3], false).prediction, "a;b");
        assert_eq!(decide(&several, &[0.6, 0.1], false).prediction, "");
    }
}
