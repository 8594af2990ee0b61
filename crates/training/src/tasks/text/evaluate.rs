//! Evaluation of a trained model on a labelled file.

use std::path::PathBuf;

use bertkit_data::columns::Column;
use bertkit_data::documents::documents;
use bertkit_data::examples::{Examples, MissingPolicy, RawExample, Selection};
use bertkit_data::labels::{LabelKind, LabelSet};
use bertkit_data::perturb::Perturbation;
use bertkit_data::sources::ReadOptions;
use bertkit_evaluation::{
    BootstrapOptions, CALIBRATION_BINS, Calibration, Coverage, Report, calibration, coverage,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::documents::gather;
use super::folds::of_rows;
use super::info::{TaskInfo, decide};
use super::predict::{Outputs, Predictor};
use super::rows::Targets;
use crate::config::FoldConfig;
use crate::error::{TrainError, setting};
use crate::run::tables::read_options;
use crate::tasks::descriptor::UnseenData;
use crate::tasks::evaluation::{
    Perturbed, add_findings, bootstrap_with, measure_again, name_of, write_evaluation,
};
use crate::tasks::folds;

/// What to evaluate on, and how.
#[derive(Debug, Clone)]
pub struct EvalOptions {
    /// The labelled file.
    pub data: PathBuf,
    /// How it is read.
    pub read: ReadOptions,
    /// Column with the text; that of training if not given.
    pub text: Option<String>,
    /// Column with the second text; that of training if not given.
    pub text_pair: Option<String>,
    /// Column with the label; that of training if not given.
    pub label: Option<String>,
    /// Group column: rows that share a value are resampled together.
    pub group: Option<String>,
    /// The separator of several labels in a cell; that of training if not given.
    pub label_separator: Option<String>,
    /// How rows without a text or label are treated.
    pub missing: MissingPolicy,
    /// Whether labels not seen in training are an error instead of being scored as wrong.
    pub strict: bool,
    /// Resamples, confidence and seed of the intervals; groups come from `group`.
    pub bootstrap: BootstrapOptions,
    /// A threshold that replaces the model's.
    pub threshold: Option<f64>,
    /// Perturbations of the texts; the model is evaluated again under each. The seed is that of `bootstrap`.
    pub perturbations: Vec<Perturbation>,
    /// The name of the files under `eval/`; the data file's stem if not given.
    pub name: Option<String>,
    /// Evaluates only the rows that this fold of the file holds out; by whole groups if there is a `group`.
    pub fold: Option<FoldConfig>,
}

/// The prediction for one row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RowResult {
    /// Line of the file.
    pub line: u64,
    /// The truth, as in the file.
    pub label: String,
    /// The model's prediction.
    pub prediction: String,
    /// One per class; empty for a number.
    pub probabilities: Vec<f64>,
    /// Its group, if groups are resampled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
}

/// An evaluation.
#[derive(Debug, Clone)]
pub struct Evaluation {
    /// Metrics with intervals.
    pub report: Report,
    /// The threshold that was used, and how it was chosen.
    pub threshold: Option<(f64, String)>,
    /// One threshold per label, for several labels.
    pub thresholds: Vec<f64>,
    /// The separator of several labels in a cell.
    pub label_separator: Option<String>,
    /// Calibration of the probabilities; `None` if there are none.
    pub calibration: Option<Calibration>,
    /// Accuracy with abstention; `None` unless each row has one class.
    pub coverage: Option<Coverage>,
    /// The effect of each perturbation.
    pub perturbed: Vec<Perturbed>,
    /// Notes for the user.
    pub notes: Vec<String>,
    /// The result of each row, in the order of the file.
    pub rows: Vec<RowResult>,
    /// Where report and rows were written, if a run directory was evaluated.
    pub written: Option<(PathBuf, PathBuf)>,
}

/// Evaluates a model on a labelled file. `progress` receives rows done and rows in total, perturbed repetitions included.
///
/// If a run directory was opened, the reports are written there: `eval/NAME.json` and
/// `eval/NAME.predictions.jsonl`.
///
/// # Errors
/// The file cannot be used, labels are unseen under `strict`, or a report cannot be written.
pub fn evaluate(
    predictor: &Predictor,
    options: &EvalOptions,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Evaluation, TrainError> {
    let mut info = predictor.info().clone();
    let mut notes = Vec::new();
    if let Some(at) = options.threshold {
        set_threshold(&mut info, at)?;
    }
    let mut examples = read(options, &info)?;
    notes.extend(examples.dropped_summary());
    let mut inputs = Inputs::of(&mut examples, &info)?;
    let (mut targets, unseen) = truth(&info, &examples)?;
    if let Some(fold) = options.fold {
        let split = of_rows(fold, &examples, &targets, options.group.is_some())?;
        targets = targets.select(&split.held_out, info.classes.len());
        inputs = inputs.choose(&split.held_out);
        examples.rows = folds::choose(examples.rows, &split.held_out);
    }
    if let Some(unseen) = unseen {
        if options.strict {
            return Err(setting(
                unseen,
                "correct those labels, or leave [option.strict] out to score them as wrong",
            ));
        }
        notes.push(format!("{unseen}; scored as wrong"));
    }
    let total = examples.rows.len();
    let passes = 1 + options.perturbations.len();
    let outputs = inputs.outputs(predictor, &mut |done| progress(done, passes * total))?;
    let cut = outputs.truncated.iter().filter(|&&t| t).count();
    if cut > 0 {
        notes.push(format!(
            "{cut} of {total} texts were cut at {} tokens",
            info.max_length
        ));
    }
    let rows = results(options, &info, &examples, &outputs);
    let predictions = targets.clone().with_answers(&info, outputs.values);
    predictions.check().map_err(|e| {
        setting(
            e.to_string(),
            "the model gave no usable numbers: train it again with a lower learning rate",
        )
    })?;
    let groups = group_numbers(options, &examples);
    let bootstrap = bootstrap_with(&options.bootstrap, groups, total)?;
    let report = bertkit_evaluation::evaluate(&predictions, &bootstrap);
    let answer_again = |pass: usize, perturbation: &Perturbation| {
        let (changed, inputs) = inputs.perturbed(perturbation, bootstrap.seed);
        let outputs = inputs.outputs(predictor, &mut |done| {
            progress(pass * total + done, passes * total)
        })?;
        Ok((changed, targets.clone().with_answers(&info, outputs.values)))
    };
    let perturbed = measure_again(
        &options.perturbations,
        &predictions,
        &bootstrap,
        answer_again,
    )?;
    let threshold = info
        .thresholds
        .first()
        .map(|&at| (at, info.threshold_origin.clone()));
    let several = info.kind == LabelKind::MultiLabel;
    let mut evaluation = Evaluation {
        report,
        threshold,
        thresholds: if several {
            info.thresholds.clone()
        } else {
            Vec::new()
        },
        label_separator: examples.label_separator.clone().filter(|_| several),
        // Without probabilities there is neither.
        calibration: calibration(&predictions, CALIBRATION_BINS).ok(),
        coverage: coverage(&predictions).ok(),
        perturbed,
        notes,
        rows,
        written: None,
    };
    if let Some(run) = predictor.run_directory() {
        let name = name_of(options.name.as_deref(), &options.data);
        let written = write_evaluation(run, &name, &evaluation.to_json(), &evaluation.rows)?;
        evaluation.written = Some(written);
    }
    Ok(evaluation)
}

/// Evaluates a finished run on data that it was not trained on.
///
/// # Errors
/// As for [`evaluate`], or the model cannot be opened.
pub(crate) fn evaluate_unseen(
    unseen: &UnseenData<'_>,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<(), TrainError> {
    let config = &unseen.config.data;
    let options = EvalOptions {
        data: unseen.data.into(),
        read: read_options(config)?,
        text: None,
        text_pair: None,
        label: None,
        group: config.group.clone().filter(|_| unseen.is_grouped()),
        label_separator: None,
        missing: config.missing,
        strict: false,
        bootstrap: unseen.bootstrap.clone(),
        threshold: None,
        perturbations: Vec::new(),
        name: Some(unseen.name.into()),
        fold: config.fold,
    };
    let predictor = Predictor::open(unseen.run, unseen.device)?;
    evaluate(&predictor, &options, progress).map(drop)
}

/// The prediction for each row.
fn results(
    options: &EvalOptions,
    info: &TaskInfo,
    examples: &Examples,
    outputs: &Outputs,
) -> Vec<RowResult> {
    // Documents of several rows are identified by their groups.
    let by_group = info.documents.as_ref().and_then(|d| d.group_by.as_ref());
    let grouped = options.group.is_some() || by_group.is_some();
    let values = outputs.values.chunks(outputs.width);
    let rows = examples.rows.iter().zip(values).zip(&outputs.truncated);
    let result = |((row, values), &truncated): ((&RawExample, &[f64]), &bool)| {
        let answer = decide(info, values, truncated);
        RowResult {
            line: row.line,
            label: row.label.clone().unwrap_or_default(),
            prediction: answer.prediction,
            probabilities: answer.probabilities,
            group: grouped.then(|| row.group.clone().unwrap_or_default()),
        }
    };
    rows.map(result).collect()
}

/// The inputs of an evaluation.
enum Inputs {
    /// Texts, or pairs of texts.
    Texts(Vec<(String, Option<String>)>),
    /// Documents of several texts each.
    Documents(Vec<Vec<String>>),
}

impl Inputs {
    /// Takes the texts out of rows. For documents, their first rows remain.
    fn of(examples: &mut Examples, info: &TaskInfo) -> Result<Self, TrainError> {
        let Some(settings) = &info.documents else {
            let take = |row: &mut RawExample| (std::mem::take(&mut row.text), row.text_pair.take());
            return Ok(Self::Texts(examples.rows.iter_mut().map(take).collect()));
        };
        let found = documents(examples, settings.group_by.is_some())?;
        Ok(Self::Documents(gather(examples, &found)))
    }

    /// The inputs of some rows.
    fn choose(self, rows: &[usize]) -> Self {
        match self {
            Self::Texts(texts) => Self::Texts(folds::choose(texts, rows)),
            Self::Documents(documents) => Self::Documents(folds::choose(documents, rows)),
        }
    }

    fn outputs(
        &self,
        predictor: &Predictor,
        progress: &mut dyn FnMut(usize),
    ) -> Result<Outputs, TrainError> {
        match self {
            Self::Texts(texts) => {
                let texts: Vec<(&str, Option<&str>)> = texts
                    .iter()
                    .map(|(text, pair)| (text.as_str(), pair.as_deref()))
                    .collect();
                predictor.outputs(&texts, progress)
            }
            Self::Documents(documents) => predictor.document_outputs(documents, progress),
        }
    }

    /// The number of rows that a perturbation changes, and the changed texts. Each text of a row is changed independently.
    fn perturbed(&self, perturbation: &Perturbation, seed: u64) -> (usize, Self) {
        match self {
            Self::Texts(texts) => {
                let change = |(row, (text, pair)): (usize, &(String, Option<String>))| {
                    let number = 2 * row as u64;
                    let pair = pair.as_ref();
                    let pair = pair.map(|pair| perturbation.apply(pair, seed, number + 1));
                    (perturbation.apply(text, seed, number), pair)
                };
                let changed: Vec<_> = texts.iter().enumerate().map(change).collect();
                let differ = texts.iter().zip(&changed).filter(|(old, new)| old != new);
                (differ.count(), Self::Texts(changed))
            }
            Self::Documents(documents) => {
                let mut number = 0;
                let change = |texts: &Vec<String>| -> Vec<String> {
                    let each = texts.iter().map(|text| {
                        number += 1;
                        perturbation.apply(text, seed, number)
                    });
                    each.collect()
                };
                let changed: Vec<_> = documents.iter().map(change).collect();
                let differ = documents
                    .iter()
                    .zip(&changed)
                    .filter(|(old, new)| old != new);
                (differ.count(), Self::Documents(changed))
            }
        }
    }
}

fn set_threshold(info: &mut TaskInfo, at: f64) -> Result<(), TrainError> {
    if !(0.0..=1.0).contains(&at) {
        return Err(setting(
            format!("the threshold is {at}, expected 0 to 1"),
            "give one with [option.threshold=0.5]",
        ));
    }
    if info.thresholds.is_empty() {
        return Err(setting(
            "a threshold decides between two classes, or for each of several labels; this model has neither",
            "leave [task.threshold] out",
        ));
    }
    info.thresholds
        .iter_mut()
        .for_each(|threshold| *threshold = at);
    info.threshold_origin = "as asked for".into();
    Ok(())
}

fn read(options: &EvalOptions, info: &TaskInfo) -> Result<Examples, TrainError> {
    let by_group = info.documents.as_ref().and_then(|d| d.group_by.as_ref());
    if let (Some(by), Some(_)) = (by_group, &options.group) {
        return Err(setting(
            format!(
                "the rows that share a `{by}` are one document for this model, and resampled together anyway"
            ),
            "leave [option.group] out",
        ));
    }
    let column =
        |given: &Option<String>, trained: &str| Column::from(given.as_deref().unwrap_or(trained));
    let (reading, text) = (info.reading(), column(&options.text, &info.text));
    let table = reading.table(&options.data, &options.read)?;
    let table = reading.marked(&table, &text)?.unwrap_or(table);
    let pair = options.text_pair.as_ref().or(info.text_pair.as_ref());
    let selection = Selection {
        text: column(&options.text, &info.text),
        text_pair: pair.map(|name| Column::from(name.as_str())),
        label: Some(column(&options.label, &info.label)),
        group: options
            .group
            .as_ref()
            .or(by_group)
            .map(|name| Column::from(name.as_str())),
        label_separator: options
            .label_separator
            .clone()
            .or_else(|| info.label_separator.clone()),
    };
    Ok(Examples::labelled(&table, &selection, options.missing)?)
}

/// The truth of each row, and a note about labels not seen in training.
fn truth(info: &TaskInfo, examples: &Examples) -> Result<(Targets, Option<String>), TrainError> {
    match info.kind {
        LabelKind::Regression => {
            let numbers = examples.numbers()?;
            Ok((
                Targets::Scores(numbers.into_iter().map(|n| n.unwrap_or(f64::NAN)).collect()),
                None,
            ))
        }
        LabelKind::Classification => {
            let set = LabelSet::new(info.classes.clone())?;
            let (classes, unseen) = examples.classes(&set);
            let beyond = info.classes.len();
            Ok((
                Targets::Classes(classes.into_iter().map(|c| c.unwrap_or(beyond)).collect()),
                unseen.summary(),
            ))
        }
        LabelKind::MultiLabel => {
            let set = LabelSet::new(info.classes.clone())?;
            if examples.label_separator.is_none() {
                return Err(setting(
                    "the model gives several labels, but nothing says what separates them in a cell",
                    "give it with [option.label-separator]",
                ));
            }
            let (sets, unseen) = examples.label_sets(&set);
            let width = info.classes.len();
            let mut flat = vec![false; sets.len() * width];
            for (row, labels) in sets.iter().enumerate() {
                labels
                    .iter()
                    .for_each(|&label| flat[row * width + label] = true);
            }
            Ok((Targets::Sets(flat), unseen.summary()))
        }
    }
}

/// A group number for each row; equal groups have equal numbers.
fn group_numbers(options: &EvalOptions, examples: &Examples) -> Option<Vec<usize>> {
    options.group.as_ref()?;
    let mut numbers = std::collections::HashMap::new();
    let groups = examples.rows.iter().map(|row| {
        let next = numbers.len();
        *numbers
            .entry(row.group.as_deref().unwrap_or_default())
            .or_insert(next)
    });
    Some(groups.collect())
}

impl Evaluation {
    /// The report as JSON, with thresholds, perturbations and notes.
    pub fn to_json(&self) -> Value {
        let mut value = json!(self.report);
        if let (Some(object), Some((at, origin))) = (value.as_object_mut(), &self.threshold) {
            object.insert("threshold".into(), json!({"value": at, "origin": origin}));
        }
        if let Some(object) = value.as_object_mut() {
            if !self.thresholds.is_empty() {
                object.insert("thresholds".into(), json!(self.thresholds));
            }
            if let Some(separator) = &self.label_separator {
                object.insert("label_separator".into(), json!(separator));
            }
            if let Some(calibration) = &self.calibration {
                object.insert("calibration".into(), json!(calibration));
            }
            if let Some(coverage) = &self.coverage {
                object.insert("coverage".into(), json!(coverage));
            }
        }
        add_findings(&mut value, &self.perturbed, &self.notes);
        value
    }
}
