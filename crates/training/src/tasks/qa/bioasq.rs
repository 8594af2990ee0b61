//! Metrics of answers to BioASQ's factoid and list questions, pooled over the snippets of each.

use std::collections::HashMap;

use bertkit_data::qa::{BioasqQuestion, QuestionType};
use bertkit_evaluation::{
    Candidate, FactoidPredictions, ListAnswer, ListPredictions, PooledAnswers, Predictions,
    RankedAnswers, pool_snippets, pool_snippets_above,
};

use super::results::{Proposal, QuestionResult};

/// The predictions for a file's questions of one type, and the rows to write. `rows` are those of the snippets.
///
/// Questions without a snippet are included, unanswered. For list questions, all answers whose probability, summed over
/// snippets, exceeds `threshold` are given, or else the best one.
pub(crate) fn pooled(
    asked: &[&BioasqQuestion],
    kind: QuestionType,
    threshold: f64,
    rows: &[QuestionResult],
) -> (Predictions, Vec<QuestionResult>) {
    let candidate = |proposal: &Proposal| Candidate {
        text: proposal.text.clone(),
        probability: proposal.probability,
    };
    let candidates: Vec<Vec<Candidate>> = rows
        .iter()
        .map(|row| row.n_best.iter().map(candidate).collect())
        .collect();
    // The id of a question is the prefix of its snippets' ids, up to the last `_`.
    let id = |row: &'_ QuestionResult| -> usize { row.id.rfind('_').unwrap_or(row.id.len()) };
    let snippets = rows
        .iter()
        .zip(&candidates)
        .map(|(row, answers)| (&row.id[..id(row)], answers.as_slice()));
    let found = match kind {
        QuestionType::List => pool_snippets_above(snippets, threshold),
        _ => pool_snippets(snippets),
    };
    let mut found: HashMap<String, PooledAnswers> = found
        .into_iter()
        .map(|answers| (answers.question.clone(), answers))
        .collect();
    let results: Vec<QuestionResult> = asked
        .iter()
        .map(|asked| {
            let ranked = found.remove(&asked.id).map(|answers| answers.ranked);
            let ranked = ranked.unwrap_or_default();
            let texts: Vec<&str> = ranked.iter().map(|answer| answer.text.as_str()).collect();
            QuestionResult {
                id: asked.id.clone(),
                line: None,
                question: asked.body.clone(),
                answers: asked.gold.concat(),
                prediction: match kind {
                    QuestionType::List => texts.join("; "),
                    _ => texts.first().map_or_else(String::new, ToString::to_string),
                },
                no_answer_score: None,
                n_best: ranked
                    .into_iter()
                    .map(|answer| Proposal {
                        text: answer.text,
                        probability: answer.probability,
                        start: None,
                    })
                    .collect(),
                group: None,
            }
        })
        .collect();
    let given = |result: &QuestionResult| -> Vec<String> {
        result.n_best.iter().map(|p| p.text.clone()).collect()
    };
    let both = asked.iter().zip(&results);
    let predictions = match kind {
        QuestionType::List => Predictions::Lists(ListPredictions {
            questions: both
                .map(|(asked, result)| ListAnswer {
                    gold: asked.gold.clone(),
                    predicted: given(result),
                })
                .collect(),
        }),
        _ => Predictions::Factoid(FactoidPredictions {
            questions: both
                .map(|(asked, result)| RankedAnswers {
                    gold: asked.gold.concat(),
                    ranked: given(result),
                })
                .collect(),
        }),
    };
    (predictions, results)
}
