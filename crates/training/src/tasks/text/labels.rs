//! Labels to targets, and the settings that depend on them: class weights, threshold, calibration, loss.

use bertkit_data::examples::Examples;
use bertkit_data::labels::{LabelKind, LabelSet, balanced_weights, infer_task, positive_class};
use bertkit_evaluation::TaskKind as PredictionKind;

use super::rows::Targets;
use crate::config::{Calibrate, ClassWeights, FinetuneConfig, LossConfig, NamedWeights, Threshold};
use crate::error::{TrainError, setting};
use crate::run::selection::check_validation;
use crate::tasks::kind::TaskKind;

/// The labels of the training file.
pub(super) struct Labels {
    /// Classes, several labels or numbers.
    pub kind: LabelKind,
    /// How the kind was determined, for the user.
    pub reason: String,
    /// The classes; `None` for numbers.
    pub classes: Option<LabelSet>,
    /// The positive one of two classes.
    pub positive: Option<usize>,
}

pub(super) fn infer_labels(
    config: &FinetuneConfig,
    examples: &Examples,
) -> Result<Labels, TrainError> {
    let separator = examples.label_separator.as_deref();
    let labels = examples.labels();
    let inferred = infer_task(&labels, separator)?;
    let (kind, reason) = match config.task.kind.and_then(TaskKind::labels) {
        None => (
            inferred.kind,
            format!("inferred from the labels: {}", inferred.reason),
        ),
        Some(kind) if kind == inferred.kind => (kind, inferred.reason),
        Some(LabelKind::MultiLabel) => {
            return Err(setting(
                "a multi-label task needs to know what separates the labels of a cell",
                "give it with [data.label_separator], for example [data.label_separator=\";\"]",
            ));
        }
        Some(kind) => (
            kind,
            format!(
                "as asked for, where the labels look like this: {}",
                inferred.reason
            ),
        ),
    };
    let classes = match kind {
        LabelKind::Regression => None,
        LabelKind::Classification => Some(LabelSet::from_labels(&labels)?),
        LabelKind::MultiLabel => Some(LabelSet::from_multi_labels(
            &labels,
            separator.unwrap_or_default(),
        )?),
    };
    let positive = match (&classes, &config.task.positive) {
        (Some(set), Some(name)) if kind == LabelKind::Classification && set.len() == 2 => {
            Some(set.index(name).ok_or_else(|| {
                setting(
                    format!(
                        "`{name}` is none of the two classes `{}`",
                        set.names().join("`, `")
                    ),
                    "give one of them with [task.positive]",
                )
            })?)
        }
        (_, Some(name)) => {
            return Err(setting(
                format!("there is no positive class `{name}`: the task does not have two classes"),
                "leave [task.positive] out",
            ));
        }
        (Some(set), None) if kind == LabelKind::Classification && set.len() == 2 => {
            Some(positive_class(set.names()).unwrap_or(1))
        }
        _ => None,
    };
    Ok(Labels {
        kind,
        reason,
        classes,
        positive,
    })
}

/// The targets of the rows, and which rows have one: a label not seen in training has none.
pub(super) fn targets(
    labels: &Labels,
    examples: &Examples,
) -> Result<(Targets, Vec<usize>, Option<String>), TrainError> {
    let all = || (0..examples.rows.len()).collect();
    match (&labels.classes, labels.kind) {
        (Some(set), LabelKind::Classification) => {
            let (classes, unseen) = examples.classes(set);
            let (rows, known) = classes
                .into_iter()
                .enumerate()
                .filter_map(|(i, c)| c.map(|c| (i, c)))
                .unzip();
            Ok((Targets::Classes(known), rows, unseen.summary()))
        }
        (Some(set), _) => {
            let (sets, unseen) = examples.label_sets(set);
            let mut flat = vec![false; sets.len() * set.len()];
            for (row, labels) in sets.iter().enumerate() {
                labels
                    .iter()
                    .for_each(|&label| flat[row * set.len() + label] = true);
            }
            Ok((Targets::Sets(flat), all(), unseen.summary()))
        }
        (None, _) => {
            let numbers = examples.numbers()?;
            Ok((
                Targets::Scores(numbers.into_iter().map(|n| n.unwrap_or(0.0)).collect()),
                all(),
                None,
            ))
        }
    }
}

pub(super) fn mean_and_deviation(scores: &[f64]) -> Result<(f64, f64), TrainError> {
    let n = scores.len() as f64;
    let mean = scores.iter().sum::<f64>() / n;
    let deviation = (scores.iter().map(|s| (s - mean).powi(2)).sum::<f64>() / n).sqrt();
    if deviation.is_normal() && deviation.is_finite() {
        Ok((mean, deviation))
    } else {
        Err(setting(
            format!("all training rows have the same number, {mean}: there is nothing to learn"),
            "look at the label column, or name another one with [data.label]",
        ))
    }
}

pub(super) fn class_weights(
    config: &FinetuneConfig,
    labels: &Labels,
    targets: &Targets,
) -> Result<Vec<f32>, TrainError> {
    let Some(set) = &labels.classes else {
        return match config.task.class_weights {
            ClassWeights::Named(NamedWeights::None) => Ok(Vec::new()),
            _ => Err(setting(
                "class weights need classes, but the task is a regression",
                "leave [task.class_weights] out",
            )),
        };
    };
    let k = set.len();
    let weights: Vec<f64> = match (&config.task.class_weights, targets) {
        (ClassWeights::Named(NamedWeights::None), _) => return Ok(Vec::new()),
        (ClassWeights::Named(NamedWeights::Balanced), Targets::Classes(labels)) => {
            let mut counts = vec![0; k];
            labels.iter().for_each(|&label| counts[label] += 1);
            balanced_weights(&counts)
        }
        (ClassWeights::Named(NamedWeights::Balanced), Targets::Sets(sets)) => {
            // Negative over positive cells: the usual value of `pos_weight` in PyTorch.
            let rows = sets.len() / k;
            let count = |c: usize| (0..rows).filter(|row| sets[row * k + c]).count();
            (0..k)
                .map(|c| (rows - count(c)) as f64 / count(c).max(1) as f64)
                .collect()
        }
        (ClassWeights::Given(given), _) => {
            let mut weights = vec![1.0; k];
            for (name, weight) in given {
                let class = set.index(name).ok_or_else(|| {
                    setting(
                        format!(
                            "a weight is given for the class `{name}`, but the classes are `{}`",
                            set.names().join("`, `")
                        ),
                        set.nearest(name)
                            .map_or("name one of the classes".into(), |near| {
                                format!("did you mean `{near}`?")
                            }),
                    )
                })?;
                weights[class] = *weight;
            }
            if weights.iter().all(|&weight| weight == 0.0) {
                return Err(setting(
                    "every class has the weight 0: there is nothing to learn",
                    "give at least one class a weight with [task.class_weights]",
                ));
            }
            weights
        }
        _ => return Ok(Vec::new()),
    };
    Ok(weights.into_iter().map(|w| w as f32).collect())
}

pub(super) fn threshold_sentence(at: f64) -> String {
    if at == 0.5 {
        "0.5, as nothing else was asked for".into()
    } else {
        "as asked for".into()
    }
}

/// Refuses settings that have no effect on this task or these data.
pub(super) fn check_loss(
    config: &FinetuneConfig,
    kind: LabelKind,
    valid_rows: usize,
) -> Result<(), TrainError> {
    check_validation(config, valid_rows)?;
    match (kind, &config.task.loss) {
        (LabelKind::Regression, LossConfig::Focal { .. }) => Err(setting(
            "the focal loss needs classes, but the task is a regression",
            "leave [task.loss=focal] and [task.loss.focal.gamma] out",
        )),
        (LabelKind::Regression, LossConfig::CrossEntropy { label_smoothing })
            if *label_smoothing > 0.0 =>
        {
            Err(setting(
                "label smoothing needs classes, but the task is a regression",
                "leave [task.loss.cross-entropy.label_smoothing] out",
            ))
        }
        _ => Ok(()),
    }
}

pub(super) fn check_threshold(
    config: &FinetuneConfig,
    task: PredictionKind,
    valid_rows: usize,
) -> Result<(), TrainError> {
    let decides = matches!(task, PredictionKind::Binary | PredictionKind::Multilabel);
    match config.task.threshold {
        Threshold::At(0.5) => Ok(()),
        _ if !decides => Err(setting(
            format!(
                "a threshold decides between two classes, or for each of several labels; this task is {task}"
            ),
            "leave [task.threshold] out",
        )),
        Threshold::Best(_) if valid_rows == 0 => Err(setting(
            "a threshold is chosen on validation rows, and there are none",
            "give some with [data.valid=FILE] or [data.valid_fraction=0.1]",
        )),
        _ => Ok(()),
    }
}

pub(super) fn check_calibration(
    config: &FinetuneConfig,
    kind: LabelKind,
    valid_rows: usize,
) -> Result<(), TrainError> {
    match config.task.calibrate {
        Calibrate::None => Ok(()),
        Calibrate::Temperature if kind == LabelKind::Regression => Err(setting(
            "a temperature corrects probabilities, and a regression gives numbers",
            "leave [task.calibrate] out",
        )),
        Calibrate::Temperature if valid_rows == 0 => Err(setting(
            "a temperature is fitted on validation rows, and there are none",
            "give some with [data.valid=FILE] or [data.valid_fraction=0.1]",
        )),
        Calibrate::Temperature => Ok(()),
    }
}

impl Labels {
    /// The kind of predictions of a model with these labels.
    pub fn predictions(&self) -> PredictionKind {
        match (self.kind, self.positive) {
            (LabelKind::Regression, _) => PredictionKind::Regression,
            (LabelKind::MultiLabel, _) => PredictionKind::Multilabel,
            (LabelKind::Classification, Some(_)) => PredictionKind::Binary,
            (LabelKind::Classification, None) => PredictionKind::Multiclass,
        }
    }

    /// The number of outputs of the head.
    pub fn outputs(&self) -> usize {
        self.classes.as_ref().map_or(1, LabelSet::len)
    }

    /// The names of the classes; empty for numbers.
    pub fn names(&self) -> Vec<String> {
        self.classes
            .as_ref()
            .map_or_else(Vec::new, |set| set.names().to_vec())
    }
}

/// Refuses averages over classes that the task does not have.
pub(super) fn check_averaged(config: &FinetuneConfig, labels: &Labels) -> Result<(), TrainError> {
    for name in &config.task.averaged {
        let known = labels
            .classes
            .as_ref()
            .filter(|set| set.index(name).is_some());
        if labels.kind != LabelKind::Classification || known.is_none() {
            return Err(setting(
                format!("averages are to be taken over `{name}`, which is no class of this task"),
                "name classes with [task.averaged], divided by commas, or leave it out",
            ));
        }
    }
    Ok(())
}

/// The initial thresholds, and how they were chosen.
pub(super) fn thresholds(config: &FinetuneConfig, labels: &Labels) -> (Vec<f64>, String) {
    let count = match (labels.kind, labels.positive) {
        (LabelKind::Classification, Some(_)) => 1,
        (LabelKind::Classification, None) | (LabelKind::Regression, _) => 0,
        (LabelKind::MultiLabel, _) => labels.outputs(),
    };
    match (count, config.task.threshold) {
        (0, _) => (Vec::new(), String::new()),
        (count, Threshold::At(at)) => (vec![at; count], threshold_sentence(at)),
        (count, Threshold::Best(_)) => (vec![0.5; count], String::new()),
    }
}
