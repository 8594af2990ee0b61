//! Common parts of the evaluations of all tasks: perturbed repetitions, and the files that are written.

use std::path::{Path, PathBuf};

use bertkit_data::perturb::Perturbation;
use bertkit_evaluation::{
    BootstrapOptions, Comparison, ComparisonOptions, Metric, Predictions, compare,
};
use serde::Serialize;
use serde_json::{Value, json};

use crate::error::{TrainError, setting};
use crate::run::evaluations::write_evaluation_files;

/// The effect of a perturbation of the texts.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Perturbed {
    /// The changes.
    pub perturbation: Perturbation,
    /// Number of rows whose text changed.
    pub changed: usize,
    /// The predictions for the original texts (`a`) compared with those for the perturbed ones (`b`).
    pub comparison: Comparison,
}

/// The bootstrap of an evaluation on `rows` rows, with their groups.
///
/// # Errors
/// The options are invalid for these rows.
pub(crate) fn bootstrap_with(
    options: &BootstrapOptions,
    groups: Option<Vec<usize>>,
    rows: usize,
) -> Result<BootstrapOptions, TrainError> {
    let bootstrap = BootstrapOptions {
        groups,
        ..options.clone()
    };
    bootstrap.check(rows).map_err(|e| {
        setting(
            e.to_string(),
            "look at [option.bootstrap], [option.confidence] and [option.group]",
        )
    })?;
    Ok(bootstrap)
}

/// Compares predictions for the same rows in every metric of the task.
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

/// Evaluates again under each perturbation. `answer_again` receives the number of the pass, from 1, and the perturbation; it
/// returns the number of rows that changed, and the new predictions.
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

/// Adds perturbations and notes to a report, if there are any.
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

/// The name of an evaluation: the given one, or that of its file.
pub(crate) fn name_of(given: Option<&str>, data: &Path) -> String {
    let stem = || Some(data.file_stem()?.to_string_lossy().into_owned());
    let given = given.map(str::to_owned);
    given.or_else(stem).unwrap_or_else(|| "data".into())
}

/// Writes a report and its rows to a run directory; returns the paths.
pub(crate) fn write_evaluation(
    run: &Path,
    name: &str,
    report: &serde_json::Value,
    rows: &[impl Serialize],
) -> Result<(PathBuf, PathBuf), TrainError> {
    let rows_name = format!("{name}.predictions.jsonl");
    let mut lines = String::new();
    for row in rows {
        lines += &serde_json::to_string(row).map_err(|e| TrainError::Write {
            path: run.join("eval").join(&rows_name),
            source: e.into(),
        })?;
        lines.push('\n');
    }
    let report = (format!("{name}.json"), format!("{report:#}\n"));
    let [rows, report] = write_evaluation_files(run, [(rows_name, lines), report])?;
    Ok((report, rows))
}
