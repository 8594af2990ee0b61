//! Reading evaluations that `bertkit eval` wrote to a run directory.

use std::path::Path;

use crate::error::TrainError;
use crate::tasks;
use crate::tasks::stored::{StoredEvaluation, StoredFiles, unusable};

/// The suffix of the file with the rows.
const ROWS: &str = ".predictions.jsonl";

/// The names of the evaluations in a run directory, in order.
///
/// # Errors
/// [`TrainError::Setting`] if there is no such directory, or it has no evaluation.
pub fn stored_evaluations(run: &Path) -> Result<Vec<String>, TrainError> {
    let none = |message: String| TrainError::Setting {
        message,
        hint: format!(
            "give a run directory, and evaluate it first: bertkit eval {} [option.data=FILE]",
            run.display()
        ),
    };
    if !run.is_dir() {
        return Err(none(match run.exists() {
            true => format!("`{}` is a file, expected a run directory", run.display()),
            false => format!("`{}` does not exist", run.display()),
        }));
    }
    let folder = run.join("eval");
    let entries = std::fs::read_dir(&folder).ok().into_iter().flatten();
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter_map(|name| Some(name.strip_suffix(ROWS)?.to_owned()))
        .collect();
    names.sort();
    match names.is_empty() {
        true => Err(none(format!("`{}` holds no evaluation", run.display()))),
        false => Ok(names),
    }
}

impl StoredEvaluation {
    /// Reads `eval/NAME.json` and `eval/NAME.predictions.jsonl` in a run directory.
    ///
    /// # Errors
    /// [`TrainError::Read`] if one of them cannot be read; [`TrainError::Setting`], with the line, if its content was not
    /// written by `bertkit eval`.
    pub fn read(run: &Path, name: &str) -> Result<Self, TrainError> {
        let folder = run.join("eval");
        let files = StoredFiles::read(
            folder.join(format!("{name}.json")),
            folder.join(format!("{name}{ROWS}")),
        )?;
        let task = tasks::of_predictions(files.report.task).ok_or_else(|| files.incomplete())?;
        let stored = (task.read_stored)(&files)?;
        let (found, expected) = (stored.rows.len(), files.report.rows);
        if found != expected {
            let what = format!("it has {found} rows, but its report was made of {expected}");
            return Err(unusable(&files.rows_path, what));
        }
        stored
            .predictions
            .check()
            .map_err(|error| unusable(&files.rows_path, error))?;
        Ok(stored)
    }
}
