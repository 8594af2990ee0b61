//! Prediction and evaluation with a multiple-choice model.

use std::collections::HashMap;
use std::path::Path;

use bertkit_data::examples::MissingPolicy;
use bertkit_data::perturb::Perturbation;
use bertkit_data::sources::read_table;
use bertkit_data::table::Table;
use bertkit_evaluation::{BootstrapOptions, ChoicePredictions, Predictions};
use bertkit_model::heads::ChoiceHead;
use bertkit_model::{DeviceSpec, Precision};
use serde_json::{Value, json};

use super::config::ChoiceConfig;
use super::data::{ChoiceRow, Reading, labels, resolve_columns};
use super::info::{ChoiceInfo, LabelStyle};
use super::prepare::groups;
use super::rows::{EncodedRows, probabilities};
use super::stored::ChoiceResult;
use super::task::choice_logits;
use crate::error::{TrainError, setting};
use crate::run::tables::read_options;
use crate::run::trained::{OpenedFolder, TrainedModel};
use crate::tasks::descriptor::UnseenData;
use crate::tasks::evaluation::{measure_again, name_of, write_evaluation};
use crate::tasks::folds;
use crate::tasks::kind::TaskKind;
use crate::tasks::rows::{RowEvalOptions, RowEvaluation, RowModel, RowPredictions};

/// Rows processed at a time: bounds the memory, whatever the size of the file.
const PORTION: usize = 2048;

/// A multiple-choice model with its tokenizer.
type ChoiceModel = TrainedModel<ChoiceHead, ChoiceInfo>;

/// Opens a run directory that `finetune` has finished, or a model folder in Hugging Face's layout whose class is a
/// `*ForMultipleChoice`.
///
/// # Errors
/// There is no such model, or it cannot be read.
pub(crate) fn open(path: &Path, device: DeviceSpec) -> Result<Box<dyn RowModel>, TrainError> {
    let mut opened = OpenedFolder::open(path, device)?;
    let info: ChoiceInfo = match opened.description()? {
        Some(info) => info,
        None => {
            opened.notes.push(format!(
                "`{}` was not trained by bertkit: columns are found by their names, and labels are numbers from 0",
                opened.folder.display()
            ));
            ChoiceInfo {
                task: TaskKind::MultipleChoice,
                max_length: opened.files.config.max_length().min(512),
                columns: ChoiceConfig::default(),
                label: "label".into(),
                labels: LabelStyle::FromZero,
                header: true,
            }
        }
    };
    opened.check_outputs(1, "multiple choice has 1")?;
    let tokenizer = opened.tokenizer()?;
    let model = opened.model::<ChoiceHead>(1)?;
    Ok(Box::new(opened.trained(model, tokenizer, info)))
}

/// Evaluates a finished run on data that it was not trained on.
///
/// # Errors
/// As for [`RowModel::evaluate`], or the model cannot be opened.
pub(crate) fn evaluate_unseen(
    unseen: &UnseenData<'_>,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<(), TrainError> {
    let config = &unseen.config.data;
    let options = RowEvalOptions {
        data: unseen.data.into(),
        read: read_options(config)?,
        label: None,
        group: config.group.clone().filter(|_| unseen.is_grouped()),
        missing: config.missing,
        bootstrap: unseen.bootstrap.clone(),
        perturbations: Vec::new(),
        name: Some(unseen.name.into()),
        fold: config.fold,
    };
    let model = open(unseen.run, unseen.device)?;
    model.evaluate(&options, progress).map(drop)
}

impl ChoiceModel {
    /// The probability of each row's answers, by column; 0 for an empty answer. Also the number of truncated rows.
    fn probabilities(
        &self,
        rows: &[ChoiceRow],
        progress: &mut dyn FnMut(usize),
    ) -> Result<(Vec<Vec<f64>>, usize), TrainError> {
        let (mut found, mut truncated) = (Vec::with_capacity(rows.len()), 0);
        for portion in rows.chunks(PORTION) {
            let encoded = EncodedRows::new(portion, &self.tokenizer, self.info.max_length)?;
            let (before, answers) = (found.len(), encoded.encodings.len().max(1));
            let mut tell = |done: usize| progress(before + portion.len() * done / answers);
            let context = self.inference.context;
            let logits = choice_logits(&self.model, &encoded.encodings, context, &mut tell);
            let shares = probabilities(&encoded, &logits);
            for ((row, shares), places) in portion.iter().zip(shares).zip(&encoded.places) {
                if shares.iter().any(|share| !share.is_finite()) {
                    return Err(setting(
                        format!("the model's scores for line {} are not finite", row.line),
                        "its weights are damaged, or training diverged: use other weights, or train again with a lower learning rate",
                    ));
                }
                let mut wide = vec![0.0; row.answers.len()];
                for (&place, share) in places.iter().zip(shares) {
                    wide[place] = share;
                }
                found.push(wide);
            }
            truncated += encoded.truncated();
        }
        Ok((found, truncated))
    }
}

impl RowModel for ChoiceModel {
    fn notes(&self) -> &[String] {
        self.notes()
    }

    fn header(&self) -> bool {
        self.info.header
    }

    fn set_precision(&mut self, precision: Precision) -> Result<(), TrainError> {
        self.inference.set(precision)
    }

    /// Adds the text of the chosen answer, its column, and a probability for each answer column, empty for an empty
    /// answer.
    fn predict(
        &self,
        table: &Table,
        progress: &mut dyn FnMut(usize),
    ) -> Result<RowPredictions, TrainError> {
        let columns = resolve_columns(&self.info.columns, table)?;
        let reading = Reading {
            columns: &columns,
            label: None,
            group: None,
            missing: MissingPolicy::Drop,
        };
        let (rows, _) = reading.rows(table)?;
        let (probabilities, truncated) = self.probabilities(&rows, progress)?;
        let names = columns.answers.iter();
        let mut added = vec!["prediction".to_owned(), "prediction_column".to_owned()];
        added.extend(names.clone().map(|name| format!("probability_{name}")));
        let predictions = ChoicePredictions {
            labels: Vec::new(),
            probabilities,
        };
        let values = rows.iter().enumerate().map(|(number, row)| {
            let chosen = predictions.predicted(number);
            let shares = predictions.probabilities[number].iter().enumerate();
            let shares = shares.map(|(at, share)| match row.answers[at].trim().is_empty() {
                true => Value::Null,
                false => json!(share),
            });
            let answer = [json!(row.answers[chosen]), json!(columns.answers[chosen])];
            answer.into_iter().chain(shares).collect()
        });
        Ok(RowPredictions {
            columns: added,
            rows: values.collect(),
            truncated,
            max_length: self.info.max_length,
        })
    }

    fn evaluate(
        &self,
        options: &RowEvalOptions,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<RowEvaluation, TrainError> {
        let table = read_table(&options.data, &options.read)?;
        let columns = resolve_columns(&self.info.columns, &table)?;
        let reading = Reading {
            columns: &columns,
            label: Some(options.label.as_deref().unwrap_or(&self.info.label)),
            group: options.group.as_deref(),
            missing: options.missing,
        };
        let (mut rows, dropped) = reading.rows(&table)?;
        let mut notes: Vec<String> = dropped.into_iter().collect();
        let mut labels = labels(&rows, self.info.labels, &options.data)?;
        if let Some(fold) = options.fold {
            let groups = groups(&rows, options.group.is_some());
            let split = folds::divide(fold, rows.len(), None, groups.as_deref())?;
            labels = folds::choose(labels, &split.held_out);
            rows = folds::choose(rows, &split.held_out);
        }
        let (total, passes) = (rows.len(), 1 + options.perturbations.len());
        let (probabilities, truncated) =
            self.probabilities(&rows, &mut |done| progress(done, passes * total))?;
        if truncated > 0 {
            let limit = self.info.max_length;
            notes.push(format!(
                "{truncated} of {total} rows were cut at {limit} tokens"
            ));
        }
        let predictions = ChoicePredictions {
            labels,
            probabilities,
        };
        let results: Vec<ChoiceResult> = results(&rows, &predictions);
        let labels = predictions.labels.clone();
        let predictions = Predictions::Choices(predictions);
        let bootstrap = BootstrapOptions {
            groups: options.group.as_ref().map(|_| group_numbers(&rows)),
            ..options.bootstrap.clone()
        };
        bootstrap.check(total).map_err(|e| {
            setting(
                e.to_string(),
                "look at [option.bootstrap], [option.confidence] and [option.group]",
            )
        })?;
        let report = bertkit_evaluation::evaluate(&predictions, &bootstrap);
        let again = |pass: usize, perturbation: &Perturbation| {
            let (changed, others) = perturb(perturbation, bootstrap.seed, &rows);
            let (probabilities, _) = self.probabilities(&others, &mut |done| {
                progress(pass * total + done, passes * total);
            })?;
            let labels = labels.clone();
            let predictions = ChoicePredictions {
                labels,
                probabilities,
            };
            Ok((changed, Predictions::Choices(predictions)))
        };
        let perturbed = measure_again(&options.perturbations, &predictions, &bootstrap, again)?;
        let mut evaluation = RowEvaluation {
            report,
            perturbed,
            notes,
            written: None,
        };
        if let Some(run) = self.run_directory() {
            let name = name_of(options.name.as_deref(), &options.data);
            let written = write_evaluation(run, &name, &evaluation.to_json(), &results)?;
            evaluation.written = Some(written);
        }
        Ok(evaluation)
    }
}

/// The output for each row.
fn results(rows: &[ChoiceRow], predictions: &ChoicePredictions) -> Vec<ChoiceResult> {
    let result = |(number, row): (usize, &ChoiceRow)| {
        let prediction = predictions.predicted(number);
        ChoiceResult {
            line: row.line,
            label: predictions.labels[number],
            prediction,
            answer: row.answers[prediction].clone(),
            probabilities: predictions.probabilities[number].clone(),
            group: row.group.clone(),
        }
    };
    rows.iter().enumerate().map(result).collect()
}

/// A group number for each row; rows with equal groups have equal numbers.
fn group_numbers(rows: &[ChoiceRow]) -> Vec<usize> {
    let mut numbers = HashMap::new();
    let number = |row: &ChoiceRow| {
        let next = numbers.len();
        *numbers.entry(row.group.clone()).or_insert(next)
    };
    rows.iter().map(number).collect()
}

/// The number of rows that a perturbation changes, and the changed rows: each text is changed independently, and empty
/// answers stay empty.
fn perturb(perturbation: &Perturbation, seed: u64, rows: &[ChoiceRow]) -> (usize, Vec<ChoiceRow>) {
    let mut number = 0;
    let mut change = |text: &str| {
        number += 1;
        match text.trim().is_empty() {
            true => text.to_owned(),
            false => perturbation.apply(text, seed, number),
        }
    };
    let changed: Vec<ChoiceRow> = rows
        .iter()
        .map(|row| ChoiceRow {
            question: change(&row.question),
            context: row.context.as_deref().map(&mut change),
            answers: row.answers.iter().map(|answer| change(answer)).collect(),
            ..row.clone()
        })
        .collect();
    let differ = rows.iter().zip(&changed).filter(|(old, new)| old != new);
    (differ.count(), changed)
}
