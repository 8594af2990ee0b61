//! How good a trained model is on a labelled file.

use std::path::{Path, PathBuf};

use bertkit_data::columns::Column;
use bertkit_data::documents::documents;
use bertkit_data::examples::{Examples, MissingPolicy, RawExample, Selection};
use bertkit_data::labels::{LabelSet, TaskKind};
use bertkit_data::perturb::Perturbation;
use bertkit_data::sources::ReadOptions;
use bertkit_evaluation::{
    BootstrapOptions, CALIBRATION_BINS, Calibration, Comparison, ComparisonOptions, Coverage,
    Metric, Predictions, Report, calibration, compare, coverage,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::config::FoldConfig;
use crate::error::TrainError;
use crate::folds;
use crate::predictor::{Outputs, Predictor};
use crate::prepare::gather;
use crate::run::directory::write_atomically;
use crate::tasks::{Targets, TaskInfo, decide};

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
    /// Column whose equal values are resampled together.
    pub group: Option<String>,
    /// What separates several labels in a cell; as in training if not given.
    pub label_separator: Option<String>,
    /// What happens to rows without text or label.
    pub missing: MissingPolicy,
    /// Whether labels that training never saw are refused instead of scored as wrong.
    pub strict: bool,
    /// Resamples, confidence and seed of the intervals; groups come from `group`.
    pub bootstrap: BootstrapOptions,
    /// A threshold instead of the model's.
    pub threshold: Option<f64>,
    /// Changes to the texts; the model is measured again under each. The seed is that of `bootstrap`.
    pub perturbations: Vec<Perturbation>,
    /// The name of the files under `eval/`; the data file's stem if not given.
    pub name: Option<String>,
    /// Measures on the rows alone that this fold of the file holds out; by whole groups if there is a `group`.
    pub fold: Option<FoldConfig>,
}

/// What the model said to one row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RowResult {
    /// Where the row stands in its file.
    pub line: u64,
    /// The truth, as in the file.
    pub label: String,
    /// The model's answer.
    pub prediction: String,
    /// One a class; empty for a number.
    pub probabilities: Vec<f64>,
    /// What it is resampled with, if groups are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
}

/// What changes to the texts do to a model.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Perturbed {
    /// The changes.
    pub perturbation: Perturbation,
    /// Rows whose text they changed.
    pub changed: usize,
    /// The answers to the original texts (`a`) beside those to the changed ones (`b`).
    pub comparison: Comparison,
}

/// An evaluation.
#[derive(Debug, Clone)]
pub struct Evaluation {
    /// Metrics with intervals.
    pub report: Report,
    /// The threshold that decided, and how it was chosen.
    pub threshold: Option<(f64, String)>,
    /// One threshold a label, for several labels.
    pub thresholds: Vec<f64>,
    /// What separates several labels in a cell.
    pub label_separator: Option<String>,
    /// Whether probabilities mean what they say; `None` without any.
    pub calibration: Option<Calibration>,
    /// What abstaining gains; `None` but for one class a row.
    pub coverage: Option<Coverage>,
    /// What each of the changes does that were asked for.
    pub perturbed: Vec<Perturbed>,
    /// What the user should know.
    pub notes: Vec<String>,
    /// Row by row, in the order of the file.
    pub rows: Vec<RowResult>,
    /// Where report and rows were written, if a run directory was evaluated.
    pub written: Option<(PathBuf, PathBuf)>,
}

fn setting(message: String, hint: &str) -> TrainError {
    TrainError::Setting {
        message,
        hint: hint.into(),
    }
}

/// Evaluates a model on a labelled file. `progress` hears rows done and rows in all; those of changed texts count too.
///
/// Reports are written below the run directory, if one was opened: `eval/NAME.json` and
/// `eval/NAME.predictions.jsonl`.
///
/// # Errors
/// The file cannot be used, labels are unseen under `strict`, or a report cannot be written.
pub fn evaluate(
    predictor: &Predictor,
    options: &EvalOptions,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Evaluation, TrainError> {
    let mut info = predictor.task().clone();
    let mut notes = Vec::new();
    if let Some(at) = options.threshold {
        set_threshold(&mut info, at)?;
    }
    let mut examples = read(options, &info)?;
    notes.extend(examples.dropped_summary());
    let mut inputs = Inputs::of(&mut examples, &info)?;
    let (mut targets, unseen) = truth(&info, &examples)?;
    if let Some(fold) = options.fold {
        let split = folds::of_rows(fold, &examples, &targets, options.group.is_some())?;
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
    // Documents of several rows are told apart by their groups.
    let by_group = info.documents.as_ref().and_then(|d| d.group_by.as_ref());
    let grouped = options.group.is_some() || by_group.is_some();
    let rows = examples
        .rows
        .iter()
        .zip(outputs.values.chunks(outputs.width))
        .zip(&outputs.truncated)
        .map(|((row, values), &truncated)| {
            let answer = decide(&info, values, truncated);
            RowResult {
                line: row.line,
                label: row.label.clone().unwrap_or_default(),
                prediction: answer.prediction,
                probabilities: answer.probabilities,
                group: grouped.then(|| row.group.clone().unwrap_or_default()),
            }
        })
        .collect();
    let predictions = targets.clone().with_answers(&info, outputs.values);
    predictions.check().map_err(|e| {
        setting(
            e.to_string(),
            "the model gave no usable numbers: train it again with a lower learning rate",
        )
    })?;
    let bootstrap = BootstrapOptions {
        groups: group_numbers(options, &examples),
        ..options.bootstrap.clone()
    };
    bootstrap.check(examples.rows.len()).map_err(|e| {
        setting(
            e.to_string(),
            "look at [option.bootstrap], [option.confidence] and [option.group]",
        )
    })?;
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
    let several = info.kind == TaskKind::MultiLabel;
    let mut evaluation = Evaluation {
        report,
        threshold,
        thresholds: if several {
            info.thresholds.clone()
        } else {
            Vec::new()
        },
        label_separator: examples.label_separator.clone().filter(|_| several),
        // What has no probabilities has neither.
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

/// What a model is asked about.
enum Inputs {
    /// Texts, or pairs of texts.
    Texts(Vec<(String, Option<String>)>),
    /// Documents of some texts each.
    Documents(Vec<Vec<String>>),
}

impl Inputs {
    /// Takes the texts out of rows. Of documents, their first rows are left.
    fn of(examples: &mut Examples, info: &TaskInfo) -> Result<Self, TrainError> {
        let Some(settings) = &info.documents else {
            let take = |row: &mut RawExample| (std::mem::take(&mut row.text), row.text_pair.take());
            return Ok(Self::Texts(examples.rows.iter_mut().map(take).collect()));
        };
        let found = documents(examples, settings.group_by.is_some())?;
        Ok(Self::Documents(gather(examples, &found)))
    }

    /// Those of some rows.
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

    /// How many rows a change reaches, and the changed texts. All texts of a row are changed, each in its own way.
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

/// Answers to the same rows side by side, in every metric of the task.
fn beside(
    original: &Predictions,
    again: &Predictions,
    bootstrap: &BootstrapOptions,
) -> Result<Comparison, TrainError> {
    let options = ComparisonOptions {
        bootstrap: bootstrap.clone(),
        permutations: bootstrap.resamples,
    };
    let metrics = Metric::for_task(original.task());
    compare(original, again, metrics, &options).map_err(|e| {
        setting(
            e.to_string(),
            "the model gave no usable numbers to the changed texts: leave [option.perturb] out",
        )
    })
}

/// Measures again under each change. `answer_again` hears the number of the pass, from 1, and the change; it says how many
/// rows the change reached, and what the model answers then.
pub(crate) fn measure_again(
    perturbations: &[Perturbation],
    original: &Predictions,
    bootstrap: &BootstrapOptions,
    mut answer_again: impl FnMut(usize, &Perturbation) -> Result<(usize, Predictions), TrainError>,
) -> Result<Vec<Perturbed>, TrainError> {
    let numbered = perturbations.iter().enumerate();
    let each = numbered.map(|(number, perturbation)| {
        let (changed, again) = answer_again(number + 1, perturbation)?;
        Ok(Perturbed {
            perturbation: perturbation.clone(),
            changed,
            comparison: beside(original, &again, bootstrap)?,
        })
    });
    each.collect()
}

/// Adds to a report what changes do and what the user should know, where there is any of it.
pub(crate) fn add_findings(report: &mut Value, perturbed: &[Perturbed], notes: &[String]) {
    let Some(object) = report.as_object_mut() else {
        return;
    };
    if !perturbed.is_empty() {
        object.insert("perturbed".into(), json!(perturbed));
    }
    if !notes.is_empty() {
        object.insert("notes".into(), json!(notes));
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
            "a threshold decides between two classes, or for each of several labels; this model has neither".into(),
            "leave [option.threshold] out",
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

/// The truth of each row, and a sentence about labels that training never saw.
fn truth(info: &TaskInfo, examples: &Examples) -> Result<(Targets, Option<String>), TrainError> {
    match info.kind {
        TaskKind::Regression => {
            let numbers = examples.numbers()?;
            Ok((
                Targets::Scores(numbers.into_iter().map(|n| n.unwrap_or(f64::NAN)).collect()),
                None,
            ))
        }
        TaskKind::Classification => {
            let set = LabelSet::new(info.classes.clone())?;
            let (classes, unseen) = examples.classes(&set);
            let beyond = info.classes.len();
            Ok((
                Targets::Classes(classes.into_iter().map(|c| c.unwrap_or(beyond)).collect()),
                unseen.summary(),
            ))
        }
        TaskKind::MultiLabel => {
            let set = LabelSet::new(info.classes.clone())?;
            if examples.label_separator.is_none() {
                return Err(setting(
                    "the model gives several labels, but nothing says what separates them in a cell".into(),
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

/// A number for each row's group, equal for equal groups.
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

/// The name of an evaluation: as asked for, or that of its file.
pub(crate) fn name_of(given: Option<&str>, data: &Path) -> String {
    let stem = || Some(data.file_stem()?.to_string_lossy().into_owned());
    let given = given.map(str::to_owned);
    given.or_else(stem).unwrap_or_else(|| "data".into())
}

/// Keeps a report and its rows below a run directory; gives back where.
pub(crate) fn write_evaluation(
    run: &Path,
    name: &str,
    report: &serde_json::Value,
    rows: &[impl Serialize],
) -> Result<(PathBuf, PathBuf), TrainError> {
    let folder = run.join("eval");
    let failed = |path: &Path, source: std::io::Error| TrainError::Write {
        path: path.into(),
        source,
    };
    std::fs::create_dir_all(&folder).map_err(|e| failed(&folder, e))?;
    let (json_path, rows_path) = (
        folder.join(format!("{name}.json")),
        folder.join(format!("{name}.predictions.jsonl")),
    );
    let mut lines = String::new();
    for row in rows {
        lines.push_str(&serde_json::to_string(row).map_err(|e| failed(&rows_path, e.into()))?);
        lines.push('\n');
    }
    let report = format!("{report:#}\n");
    let written = write_atomically(&rows_path, lines.as_bytes()).and_then(|()| {
        // Rows without their report would be half of it.
        write_atomically(&json_path, report.as_bytes()).inspect_err(|_| {
            let _ = std::fs::remove_file(&rows_path);
        })
    });
    if let Err(error) = written {
        // Goes only if it is empty.
        let _ = std::fs::remove_dir(&folder);
        return Err(error);
    }
    Ok((json_path, rows_path))
}

impl Evaluation {
    /// The report as JSON, with the threshold, and what the user should know.
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
