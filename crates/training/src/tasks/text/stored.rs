//! Stored evaluations of texts: classes, several labels, or numbers.

use bertkit_data::labels::{LabelKind, split_labels};
use bertkit_evaluation::{
    ClassPredictions, MultiLabelPredictions, Predictions, ScorePredictions,
    TaskKind as PredictionKind,
};

use super::evaluate::RowResult;
use crate::error::TrainError;
use crate::tasks::stored::{StoredEvaluation, StoredFiles, StoredRow, unusable};

impl From<&RowResult> for StoredRow {
    fn from(row: &RowResult) -> Self {
        Self {
            line: row.line,
            truth: row.label.clone(),
            group: row.group.clone(),
        }
    }
}

/// Reads the answers to texts.
///
/// # Errors
/// A line is not a row, or does not fit the report.
pub(crate) fn read(files: &StoredFiles) -> Result<StoredEvaluation, TrainError> {
    let rows: Vec<RowResult> = files.rows()?;
    let reading = Reading { files, rows: &rows };
    let predictions = match label_kind(files.report.task) {
        Some(LabelKind::Classification) => Predictions::Classes(reading.classes()?),
        Some(LabelKind::MultiLabel) => Predictions::MultiLabel(reading.labels()?),
        Some(LabelKind::Regression) => Predictions::Scores(reading.numbers()?),
        None => return Err(files.incomplete()),
    };
    Ok(StoredEvaluation {
        rows: rows.iter().map(StoredRow::from).collect(),
        predictions,
    })
}

/// Stored rows, to be converted back to predictions.
struct Reading<'a> {
    files: &'a StoredFiles,
    rows: &'a [RowResult],
}

impl Reading<'_> {
    /// The probabilities of all rows, `classes` each.
    fn probabilities(&self, classes: usize) -> Result<Vec<f64>, TrainError> {
        let counted = |(row, result): (usize, &RowResult)| match result.probabilities.len() {
            found if found == classes => Ok(result.probabilities.clone()),
            found => Err(self.files.wrong(
                row,
                format!("expected {classes} probabilities, found {found}"),
            )),
        };
        let rows = self.rows.iter().enumerate().map(counted);
        Ok(rows.collect::<Result<Vec<_>, _>>()?.concat())
    }

    fn classes(&self) -> Result<ClassPredictions, TrainError> {
        let report = &self.files.report;
        let place = |class: &str| report.classes.iter().position(|known| known == class);
        let count = report.classes.len();
        let predicted = self.rows.iter().enumerate().map(|(row, result)| {
            let unknown = || format!("`{}` is no class of the report", result.prediction);
            place(&result.prediction).ok_or_else(|| self.files.wrong(row, unknown()))
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
        let report = &self.files.report;
        let Some(separator) = self.files.field::<String>("label_separator")? else {
            return Err(unusable(
                &self.files.report_path,
                "it does not say what separates labels",
            ));
        };
        let labels = self.rows.iter().flat_map(|row| {
            let set = split_labels(&row.label, &separator);
            let has = move |class: &String| set.contains(&class.as_str());
            report.classes.iter().map(has)
        });
        Ok(MultiLabelPredictions {
            classes: report.classes.clone(),
            labels: labels.collect(),
            scores: self.probabilities(report.classes.len())?,
            thresholds: self.files.field("thresholds")?.unwrap_or_default(),
        })
    }

    fn numbers(&self) -> Result<ScorePredictions, TrainError> {
        let parsed = |row: usize, text: &str| {
            let number = text.trim().parse::<f64>();
            number.map_err(|_| self.files.wrong(row, format!("`{text}` is no number")))
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

/// The kind of labels of these predictions.
fn label_kind(predictions: PredictionKind) -> Option<LabelKind> {
    let kinds = [
        (PredictionKind::Binary, LabelKind::Classification),
        (PredictionKind::Multiclass, LabelKind::Classification),
        (PredictionKind::Multilabel, LabelKind::MultiLabel),
        (PredictionKind::Regression, LabelKind::Regression),
    ];
    let found = kinds.iter().find(|(kind, _)| *kind == predictions);
    found.map(|&(_, labels)| labels)
}
