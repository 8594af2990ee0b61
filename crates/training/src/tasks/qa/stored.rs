//! Stored evaluations of question answering.

use bertkit_evaluation::{Answer, AnswerPredictions, Predictions, TaskKind as PredictionKind};
use serde::Deserialize;

use super::results::QuestionResult;
use crate::error::TrainError;
use crate::tasks::stored::{StoredEvaluation, StoredFiles, StoredRow};

/// The score above which a question has no answer.
#[derive(Debug, Deserialize)]
struct NullThreshold {
    value: f64,
}

/// Reads the answers to questions.
///
/// # Errors
/// A line is not a row, or the questions were pooled over snippets, in which case the rows lack the truth.
pub(crate) fn read(files: &StoredFiles) -> Result<StoredEvaluation, TrainError> {
    if matches!(
        files.report.task,
        PredictionKind::Factoid | PredictionKind::Lists
    ) {
        return Err(files.incomplete());
    }
    let rows: Vec<QuestionResult> = files.rows()?;
    let numbered = rows.iter().enumerate();
    let stored_rows = numbered.map(|(at, row)| question(at, row)).collect();
    let threshold: Option<NullThreshold> = files.field("null_threshold")?;
    let may_be_unanswerable = files.report.task == PredictionKind::AnswersOrNone;
    let answers = AnswerPredictions {
        questions: answers(rows),
        may_be_unanswerable,
        no_answer_threshold: threshold.map(|at| at.value),
    };
    Ok(StoredEvaluation {
        rows: stored_rows,
        predictions: Predictions::Answers(answers),
    })
}

/// A question with its true answers; its index replaces a missing line.
fn question(at: usize, row: &QuestionResult) -> StoredRow {
    StoredRow {
        line: row.line.unwrap_or(at as u64 + 1),
        truth: format!("{}: {}", row.id, row.answers.join(" | ")),
        group: row.group.map(|group| group.to_string()),
    }
}

/// The answers to questions; for an unanswered question, the best answer below the threshold.
fn answers(rows: Vec<QuestionResult>) -> Vec<Answer> {
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
    rows.into_iter().map(answer).collect()
}
