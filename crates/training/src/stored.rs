//! What `bertkit eval` kept of an evaluation, read back.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use bertkit_data::labels::split_labels;
use bertkit_evaluation::{
    Answer, AnswerPredictions, ClassPredictions, EntityPredictions, MultiLabelPredictions,
    Predictions, Report, ScorePredictions, TaskKind,
};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::error::TrainError;
use crate::evaluation::RowResult;
use crate::questions::QuestionResult;
use crate::tag_evaluation::TagRow;

/// The end of the name of the file with the rows.
const ROWS: &str = ".predictions.jsonl";

/// One row of a data file, as far as an evaluation tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRow {
    /// Where it stands in its file.
    pub line: u64,
    /// The truth: a label, the tags of a sentence, with spaces between, or a question's name and answers.
    pub truth: String,
    /// What it is resampled with, if groups are.
    pub group: Option<String>,
}

impl From<&RowResult> for StoredRow {
    fn from(row: &RowResult) -> Self {
        Self {
            line: row.line,
            truth: row.label.clone(),
            group: row.group.clone(),
        }
    }
}

impl From<&TagRow> for StoredRow {
    fn from(row: &TagRow) -> Self {
        Self {
            line: row.line,
            truth: row.gold.join(" "),
            group: row.group.clone(),
        }
    }
}

/// An evaluation as [`evaluate`](crate::evaluate), [`evaluate_tags`](crate::evaluate_tags) or
/// [`evaluate_questions`](crate::evaluate_questions) kept it below a run directory.
#[derive(Debug, Clone)]
pub struct StoredEvaluation {
    /// Row by row, in the order of the data file.
    pub rows: Vec<StoredRow>,
    /// What was said and what was true, with the decisions of then.
    pub predictions: Predictions,
}

/// The parts of `eval/NAME.json` that rows are understood by.
#[derive(Debug, Deserialize)]
struct Stored {
    #[serde(flatten)]
    report: Report,
    #[serde(default)]
    thresholds: Vec<f64>,
    label_separator: Option<String>,
    null_threshold: Option<NullThreshold>,
}

/// From which score on a question has no answer.
#[derive(Debug, Deserialize)]
struct NullThreshold {
    value: f64,
}

fn unusable(path: &Path, what: impl std::fmt::Display) -> TrainError {
    TrainError::Setting {
        message: format!("`{}` cannot be used: {what}", path.display()),
        hint: "make it anew with `bertkit eval`".into(),
    }
}

/// The names of the evaluations kept below a run directory, in order.
///
/// # Errors
/// [`TrainError::Setting`] if there is no such directory, or it holds no evaluation.
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
    /// Reads `eval/NAME.json` and `eval/NAME.predictions.jsonl` below a run directory.
    ///
    /// # Errors
    /// [`TrainError::Read`] if one of them cannot be read, [`TrainError::Setting`] if they are not what `bertkit eval`
    /// writes, with the line.
    pub fn read(run: &Path, name: &str) -> Result<Self, TrainError> {
        let folder = run.join("eval");
        let report_path = folder.join(format!("{name}.json"));
        let rows_path = folder.join(format!("{name}{ROWS}"));
        let stored: Stored = serde_json::from_str(&read(&report_path)?)
            .map_err(|error| unusable(&report_path, error))?;
        let text = read(&rows_path)?;
        let (rows, predictions): (Vec<StoredRow>, _) = if stored.report.task == TaskKind::Entities {
            let rows: Vec<TagRow> = parse(&text, &rows_path)?;
            let stored_rows = rows.iter().map(StoredRow::from).collect();
            (stored_rows, Predictions::Entities(entities(rows)))
        } else if matches!(
            stored.report.task,
            TaskKind::Answers | TaskKind::AnswersOrNone
        ) {
            let rows: Vec<QuestionResult> = parse(&text, &rows_path)?;
            let numbered = rows.iter().enumerate();
            let stored_rows = numbered.map(|(at, row)| question(at, row)).collect();
            (stored_rows, Predictions::Answers(answers(rows, &stored)))
        } else {
            let rows: Vec<RowResult> = parse(&text, &rows_path)?;
            let reading = Reading {
                stored: &stored,
                rows: &rows,
                report: &report_path,
                path: &rows_path,
            };
            let predictions = reading.predictions()?;
            (rows.iter().map(StoredRow::from).collect(), predictions)
        };
        if rows.len() != stored.report.rows {
            let (found, expected) = (rows.len(), stored.report.rows);
            let what = format!("it has {found} rows, but its report was made of {expected}");
            return Err(unusable(&rows_path, what));
        }
        predictions
            .check()
            .map_err(|error| unusable(&rows_path, error))?;
        Ok(Self { rows, predictions })
    }

    /// A number for each row's group, equal for equal groups; `None` unless each row has one.
    pub fn groups(&self) -> Option<Vec<usize>> {
        let mut numbers = HashMap::new();
        let number = |row: &StoredRow| {
            let next = numbers.len();
            Some(*numbers.entry(row.group.clone()?).or_insert(next))
        };
        self.rows.iter().map(number).collect()
    }
}

/// The rows of a file of JSON Lines.
fn parse<R: DeserializeOwned>(text: &str, path: &Path) -> Result<Vec<R>, TrainError> {
    let parsed = |(line, text): (usize, &str)| {
        serde_json::from_str(text)
            .map_err(|error| unusable(path, format!("line {}: {error}", line + 1)))
    };
    text.lines().enumerate().map(parsed).collect()
}

/// The tags of sentences.
fn entities(rows: Vec<TagRow>) -> EntityPredictions {
    let (gold, predicted) = rows
        .into_iter()
        .map(|row| (row.gold, row.predicted))
        .unzip();
    EntityPredictions { gold, predicted }
}

/// A question, with its truth; without a line of its own, its number stands for that.
fn question(at: usize, row: &QuestionResult) -> StoredRow {
    StoredRow {
        line: row.line.unwrap_or(at as u64 + 1),
        truth: format!("{}: {}", row.id, row.answers.join(" | ")),
        group: row.group.map(|group| group.to_string()),
    }
}

/// The answers to questions; where none was given, the best one that was taken back.
fn answers(rows: Vec<QuestionResult>, stored: &Stored) -> AnswerPredictions {
    let answer = |row: QuestionResult| {
        let given = Some(row.prediction).filter(|text| !text.is_empty());
        let mut texts = row.n_best.into_iter().map(|proposal| proposal.text);
        let best = || texts.find(|text| !text.is_empty());
        Answer {
            gold: row.answers,
            predicted: given.or_else(best).unwrap_or_default(),
            no_answer_score: row.no_answer_score,
        }
    };
    AnswerPredictions {
        questions: rows.into_iter().map(answer).collect(),
        may_be_unanswerable: stored.report.task == TaskKind::AnswersOrNone,
        no_answer_threshold: stored.null_threshold.as_ref().map(|at| at.value),
    }
}

fn read(path: &Path) -> Result<String, TrainError> {
    std::fs::read_to_string(path).map_err(|source| TrainError::Read {
        path: PathBuf::from(path),
        source,
    })
}

/// Rows on their way back to predictions.
struct Reading<'a> {
    stored: &'a Stored,
    rows: &'a [RowResult],
    report: &'a Path,
    path: &'a Path,
}

impl Reading<'_> {
    fn predictions(&self) -> Result<Predictions, TrainError> {
        match self.stored.report.task {
            TaskKind::Binary | TaskKind::Multiclass => self.classes().map(Predictions::Classes),
            TaskKind::Multilabel => self.labels().map(Predictions::MultiLabel),
            TaskKind::Regression => self.numbers().map(Predictions::Scores),
            task => Err(TrainError::Setting {
                message: format!(
                    "`{}` is an evaluation of a {task} task, whose rows do not hold all that its scores need",
                    self.report.display()
                ),
                hint: "compare evaluations of classes, labels, numbers, entities or single answers"
                    .into(),
            }),
        }
    }

    /// What is wrong in a row, with its line.
    fn wrong(&self, row: usize, what: impl std::fmt::Display) -> TrainError {
        unusable(self.path, format!("line {}: {what}", row + 1))
    }

    /// The probabilities of all rows, so many each.
    fn probabilities(&self, classes: usize) -> Result<Vec<f64>, TrainError> {
        let counted = |(row, result): (usize, &RowResult)| match result.probabilities.len() {
            found if found == classes => Ok(result.probabilities.clone()),
            found => Err(self.wrong(
                row,
                format!("expected {classes} probabilities, found {found}"),
            )),
        };
        let rows = self.rows.iter().enumerate().map(counted);
        Ok(rows.collect::<Result<Vec<_>, _>>()?.concat())
    }

    fn classes(&self) -> Result<ClassPredictions, TrainError> {
        let report = &self.stored.report;
        let place = |class: &str| report.classes.iter().position(|known| known == class);
        let count = report.classes.len();
        let predicted = self.rows.iter().enumerate().map(|(row, result)| {
            let unknown = || format!("`{}` is no class of the report", result.prediction);
            place(&result.prediction).ok_or_else(|| self.wrong(row, unknown()))
        });
        let labels = self
            .rows
            .iter()
            .map(|row| place(row.label.trim()).unwrap_or(count));
        let mut predictions = ClassPredictions::from_probabilities(
            report.classes.clone(),
            labels.collect(),
            self.probabilities(count)?,
            report.positive.as_deref().and_then(place),
        );
        predictions.predicted = predicted.collect::<Result<_, _>>()?;
        let averaged = report.averaged.as_ref();
        predictions.averaged =
            averaged.map(|names| names.iter().filter_map(|n| place(n)).collect());
        Ok(predictions)
    }

    fn labels(&self) -> Result<MultiLabelPredictions, TrainError> {
        let report = &self.stored.report;
        let Some(separator) = &self.stored.label_separator else {
            return Err(unusable(
                self.report,
                "it does not say what separates labels",
            ));
        };
        let labels = self.rows.iter().flat_map(|row| {
            let set = split_labels(&row.label, separator);
            let has = move |class: &String| set.contains(&class.as_str());
            report.classes.iter().map(has)
        });
        Ok(MultiLabelPredictions {
            classes: report.classes.clone(),
            labels: labels.collect(),
            scores: self.probabilities(report.classes.len())?,
            thresholds: self.stored.thresholds.clone(),
        })
    }

    fn numbers(&self) -> Result<ScorePredictions, TrainError> {
        let parsed = |row: usize, text: &str| {
            let number = text.trim().parse::<f64>();
            number.map_err(|_| self.wrong(row, format!("`{text}` is no number")))
        };
        let rows = || self.rows.iter().enumerate();
        Ok(ScorePredictions {
            targets: rows()
                .map(|(number, row)| parsed(number, &row.label))
                .collect::<Result<_, _>>()?,
            predictions: rows()
                .map(|(number, row)| parsed(number, &row.prediction))
                .collect::<Result<_, _>>()?,
        })
    }
}
