//! The effect of abstaining when the model is unsure.

use serde::{Deserialize, Serialize};

use crate::predictions::{ClassPredictions, Predictions};
use crate::report::table::{Table, number};
use crate::undefined::Undefined;

/// The confidence levels of [`Coverage`].
const LEVELS: [f64; 8] = [0.0, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99];

/// Accuracy and coverage if the model answers only above some confidence.
///
/// The confidence of a row is the probability of the predicted class. Rows of unseen classes count as wrong.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Coverage {
    /// One entry per confidence from 0 to 0.99.
    pub levels: Vec<CoverageLevel>,
    /// The area under the risk-coverage curve (Geifman & El-Yaniv 2017): the error rate of the `k` most confident rows,
    /// averaged over all `k`. From 0 to 1, lower is better; ties are in random order.
    pub risk_area: f64,
}

/// Coverage and accuracy at one confidence.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct CoverageLevel {
    /// The minimum confidence of an answer.
    pub confidence: f64,
    /// Rows answered.
    pub rows: usize,
    /// Their share of all rows.
    pub coverage: f64,
    /// Their accuracy; `None` without rows.
    pub accuracy: Option<f64>,
}

/// Computes coverage for predictions of one class per row.
///
/// # Errors
/// [`Undefined`] for other tasks, without rows, or without finite probabilities.
///
/// # Panics
/// If [`Predictions::check`] fails.
pub fn coverage(predictions: &Predictions) -> Result<Coverage, Undefined> {
    if let Err(error) = predictions.check() {
        panic!("{error}");
    }
    let Predictions::Classes(p) = predictions else {
        return Err(Undefined::NoProbabilities);
    };
    let mut answers = answers(p)?;
    answers.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
    let total = answers.len();
    let level = |confidence: f64| {
        let rows = answers.partition_point(|answer| answer.0 >= confidence);
        let right = answers[..rows].iter().filter(|answer| answer.1).count();
        CoverageLevel {
            confidence,
            rows,
            coverage: rows as f64 / total as f64,
            accuracy: (rows > 0).then(|| right as f64 / rows as f64),
        }
    };
    let (mut area, mut above, mut wrong) = (0.0, 0, 0.0);
    for tied in answers.chunk_by(|a, b| a.0 == b.0) {
        let wrong_here = tied.iter().filter(|answer| !answer.1).count() as f64;
        for place in 1..=tied.len() {
            let expected = wrong + wrong_here * place as f64 / tied.len() as f64;
            area += expected / (above + place) as f64;
        }
        (above, wrong) = (above + tied.len(), wrong + wrong_here);
    }
    Ok(Coverage {
        levels: LEVELS.map(level).to_vec(),
        risk_area: area / total as f64,
    })
}

/// The confidence of each row, and whether it is right.
fn answers(p: &ClassPredictions) -> Result<Vec<(f64, bool)>, Undefined> {
    if p.labels.is_empty() {
        return Err(Undefined::NoRows);
    }
    if p.probabilities.is_empty() {
        return Err(Undefined::NoProbabilities);
    }
    let rows = p.probabilities.chunks(p.classes.len().max(1));
    let decided = rows.zip(&p.predicted).zip(&p.labels);
    let answers: Vec<(f64, bool)> = decided
        .map(|((row, &predicted), &label)| (row[predicted], label == predicted))
        .collect();
    match answers.iter().position(|answer| !answer.0.is_finite()) {
        Some(row) => Err(Undefined::NotFinite {
            what: "probability",
            row,
        }),
        None => Ok(answers),
    }
}

impl Coverage {
    /// The levels as plain text for a terminal, without those that answer the same rows as the previous one. Lines end
    /// in `\n`; no colour.
    pub fn table(&self) -> String {
        let mut text = format!(
            "abstention: area under the risk-coverage curve {}\n",
            number(Some(self.risk_area))
        );
        let mut table = Table::new(&["confidence from", "rows", "coverage", "accuracy"]);
        let mut last = None;
        for level in &self.levels {
            if last.replace(level.rows) == Some(level.rows) {
                continue;
            }
            table.row(vec![
                format!("{:.2}", level.confidence),
                level.rows.to_string(),
                number(Some(level.coverage)),
                level
                    .accuracy
                    .map_or_else(|| "none".to_owned(), |a| number(Some(a))),
            ]);
        }
        text += &table.render(&[false, true, true, true]);
        text
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn classes(labels: Vec<usize>, positive: &[f64]) -> Predictions {
        Predictions::Classes(ClassPredictions::from_probabilities(
            vec!["n".into(), "y".into()],
            labels,
            positive.iter().flat_map(|&p| [1.0 - p, p]).collect(),
            Some(1),
        ))
    }

    #[test]
    fn fewer_answers_are_surer_ones() {
        let found = coverage(&classes(
            vec![1, 0, 0, 1, 3],
            &[0.97, 0.125, 0.75, 0.55, 0.6],
        ))
        .unwrap();
        let rows: Vec<usize> = found.levels.iter().map(|level| level.rows).collect();
        assert_eq!(rows, [5, 5, 4, 3, 2, 1, 1, 0]);
        assert_eq!(found.levels[3].accuracy, Some(2.0 / 3.0));
        assert_eq!(found.levels[3].coverage, 0.6);
        assert_eq!(found.levels[7].accuracy, None);
        // Errors among the most confident: 0/1, 0/2, 1/3, 2/4, 2/5.
        let area = (1.0 / 3.0 + 0.5 + 0.4) / 5.0;
        assert!((found.risk_area - area).abs() < 1e-12);
        assert_eq!(found.table().lines().count(), 8);
    }

    #[test]
    fn equally_sure_rows_are_taken_in_any_order() {
        let one = coverage(&classes(vec![1, 0], &[0.75, 0.75])).unwrap();
        let other = coverage(&classes(vec![0, 1], &[0.75, 0.75])).unwrap();
        assert_eq!((one.risk_area, other.risk_area), (0.5, 0.5));
    }

    #[test]
    fn without_rows_or_probabilities_there_is_no_table() {
        assert_eq!(coverage(&classes(vec![], &[])), Err(Undefined::NoRows));
        let Predictions::Classes(mut p) = classes(vec![1], &[0.5]) else {
            panic!("made of classes");
        };
        p.probabilities.clear();
        assert_eq!(
            coverage(&Predictions::Classes(p)),
            Err(Undefined::NoProbabilities)
        );
    }
}
