//! BioASQ questions: factoid questions, answered by a ranking, and list questions (Tsatsaronis et al. 2015).
//!
//! Its yes/no questions are [`ClassPredictions`](crate::ClassPredictions) of two classes, scored by
//! [`Metric::Accuracy`](crate::Metric::Accuracy) and [`Metric::F1Macro`](crate::Metric::F1Macro).

use std::collections::HashMap;

use crate::predictions::factoid::{FactoidPredictions, RankedAnswers};
use crate::predictions::lists::{ListAnswer, ListPredictions};
use crate::undefined::Undefined;

use super::counts::Score;
use super::outcome::{Evaluator, Outcome};

/// The number of ranked answers that count.
const RANKS: usize = 5;

/// The number of hexadecimal digits in the id of a BioASQ question.
const QUESTION_DIGITS: usize = 24;

/// The maximum number of characters of an answer.
const LONGEST_ANSWER: usize = 100;

/// An answer with its probability.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// The answer.
    pub text: String,
    /// Its probability; after pooling the sum over snippets, which may be above 1.
    pub probability: f64,
}

/// The answers to one question, pooled over its snippets.
#[derive(Clone, Debug, PartialEq)]
pub struct PooledAnswers {
    /// The id of the question.
    pub question: String,
    /// The kept answers, by descending probability.
    pub ranked: Vec<Candidate>,
}

/// Pools the answers found in several snippets for each question, as BioBERT's evaluation does (Lee et al. 2020).
///
/// Each snippet is given as its id and its n-best answers. Ids are those of BioASQ in SQuAD format: the 24 hexadecimal
/// digits of the question, then the number of the snippet. Any other id is a separate question. Empty answers and answers
/// of more than 100 characters are dropped, probabilities are summed over answers that differ only in case (spelt like the
/// most probable one), and the five best are kept. Questions are in the order of their first snippets; ties keep their
/// order.
///
/// ```
/// use bertkit_evaluation::{Candidate, pool_snippets};
///
/// let answer = |text: &str, probability| Candidate { text: text.into(), probability };
/// let snippets = [
///     ("56c1f005ef6e394741000002_001", vec![answer("ETV6", 0.4), answer("RUNX1", 0.5)]),
///     ("56c1f005ef6e394741000002_002", vec![answer("etv6", 0.3), answer("", 0.7)]),
/// ];
/// let pooled = pool_snippets(snippets.iter().map(|(id, answers)| (*id, answers.as_slice())));
/// assert_eq!(pooled[0].question, "56c1f005ef6e394741000002");
/// assert_eq!(pooled[0].ranked[0].text, "ETV6");
/// assert_eq!(pooled[0].ranked[1], answer("RUNX1", 0.5));
/// ```
pub fn pool_snippets<'a>(
    snippets: impl IntoIterator<Item = (&'a str, &'a [Candidate])>,
) -> Vec<PooledAnswers> {
    pool(snippets, |ranked| ranked.truncate(RANKS))
}

/// Like [`pool_snippets`], for list questions: keeps all pooled answers above `probability`, or the best one if there are none.
///
/// ```
/// use bertkit_evaluation::{Candidate, pool_snippets_above};
///
/// let answer = |text: &str, probability| Candidate { text: text.into(), probability };
/// let answers = [answer("IL-2", 0.5), answer("TNF", 0.45), answer("p53", 0.05)];
/// let pooled = pool_snippets_above([("56c1f005ef6e394741000002_001", &answers[..])], 0.42);
/// assert_eq!(pooled[0].ranked.len(), 2);
/// ```
pub fn pool_snippets_above<'a>(
    snippets: impl IntoIterator<Item = (&'a str, &'a [Candidate])>,
    probability: f64,
) -> Vec<PooledAnswers> {
    pool(snippets, |ranked| {
        let above = ranked
            .iter()
            .filter(|answer| answer.probability > probability);
        let kept = above.count().max(1);
        ranked.truncate(kept);
    })
}

fn pool<'a>(
    snippets: impl IntoIterator<Item = (&'a str, &'a [Candidate])>,
    keep: impl Fn(&mut Vec<Candidate>),
) -> Vec<PooledAnswers> {
    let mut places = HashMap::<&str, usize>::new();
    let mut questions = Vec::<(&str, Vec<&Candidate>)>::new();
    for (id, answers) in snippets {
        let question = question_of(id);
        let place = *places.entry(question).or_insert(questions.len());
        if place == questions.len() {
            questions.push((question, Vec::new()));
        }
        questions[place].1.extend(answers);
    }
    let pooled = questions
        .into_iter()
        .map(|(question, answers)| PooledAnswers {
            question: question.to_owned(),
            ranked: {
                let mut ranked = pool_answers(answers);
                keep(&mut ranked);
                ranked
            },
        });
    pooled.collect()
}

/// The part of a snippet's id that identifies the question.
fn question_of(id: &str) -> &str {
    id.get(..QUESTION_DIGITS)
        .filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
        .unwrap_or(id)
}

/// The answers by descending probability, those that differ only in case merged.
fn pool_answers(mut answers: Vec<&Candidate>) -> Vec<Candidate> {
    answers.sort_by(|a, b| b.probability.total_cmp(&a.probability));
    answers.retain(|a| !a.text.is_empty() && a.text.chars().count() <= LONGEST_ANSWER);
    let mut places = HashMap::<String, usize>::new();
    let mut ranked = Vec::<Candidate>::new();
    for answer in answers {
        let place = *places
            .entry(answer.text.to_lowercase())
            .or_insert(ranked.len());
        match ranked.get_mut(place) {
            Some(first) => first.probability += answer.probability,
            None => ranked.push(answer.clone()),
        }
    }
    ranked.sort_by(|a, b| b.probability.total_cmp(&a.probability));
    ranked
}

/// How a metric is computed from a ranking of answers per question: the mean over questions of one score.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FactoidFormula {
    StrictAccuracy = 0,
    LenientAccuracy = 1,
    ReciprocalRank = 2,
}

/// Means over questions of the scores of each.
pub(crate) struct QuestionEvaluator {
    /// The score that each metric is the mean of.
    columns: Vec<usize>,
    /// Three scores per question.
    rows: Vec<[f64; 3]>,
}

impl QuestionEvaluator {
    pub fn factoid(predictions: &FactoidPredictions, formulas: Vec<FactoidFormula>) -> Self {
        Self {
            columns: formulas.iter().map(|&formula| formula as usize).collect(),
            rows: predictions.questions.iter().map(rank_scores).collect(),
        }
    }

    pub fn lists(predictions: &ListPredictions, formulas: Vec<Score>) -> Self {
        Self {
            columns: formulas.iter().map(|&score| score as usize).collect(),
            rows: predictions.questions.iter().map(list_scores).collect(),
        }
    }
}

impl Evaluator for QuestionEvaluator {
    fn outcome(&self, weights: &[f64]) -> Outcome {
        let total: f64 = weights.iter().sum();
        if total == 0.0 {
            return Outcome::undefined(self.columns.len(), &Undefined::NoRows);
        }
        let value = |&column: &usize| {
            let rows = self.rows.iter().zip(weights);
            let sum: f64 = rows.map(|(row, weight)| row[column] * weight).sum();
            Ok(sum / total)
        };
        Outcome {
            metrics: self.columns.iter().map(value).collect(),
            per_class: Ok(Vec::new()),
        }
    }
}

/// Strict accuracy, lenient accuracy and reciprocal rank, in the order of [`FactoidFormula`]; answers are compared in lower case.
fn rank_scores(question: &RankedAnswers) -> [f64; 3] {
    let gold: Vec<String> = question
        .gold
        .iter()
        .map(|name| name.to_lowercase())
        .collect();
    let mut ranked = question.ranked.iter().take(RANKS);
    match ranked.position(|answer| gold.contains(&answer.to_lowercase())) {
        Some(0) => [1.0; 3],
        Some(rank) => [0.0, 1.0, 1.0 / (rank as f64 + 1.0)],
        None => [0.0; 3],
    }
}

/// Precision, recall and F1 of a list, in the order of [`Score`], as BioASQ's own program computes them: an answer is right
/// if it names something that no earlier answer named, so a second name for the same thing is wrong. Answers are compared
/// in lower case.
///
/// An answer that names two things counts for both in recall. A list without answers scores 0.
fn list_scores(question: &ListAnswer) -> [f64; 3] {
    let lower = |names: &[String]| -> Vec<String> {
        names.iter().map(|name| name.to_lowercase()).collect()
    };
    let mut missing: Vec<Vec<String>> = question.gold.iter().map(|names| lower(names)).collect();
    let mut answers = lower(&question.predicted);
    if answers.is_empty() {
        return [0.0; 3];
    }
    let mut hits = 0.0;
    for answer in &answers {
        if let Some(place) = missing.iter().position(|names| names.contains(answer)) {
            missing.remove(place);
            hits += 1.0;
        }
    }
    let precision = hits / answers.len() as f64;
    let mut missed = 0.0;
    for names in &missing {
        match answers.iter().position(|answer| names.contains(answer)) {
            Some(place) => drop(answers.remove(place)),
            None => missed += 1.0,
        }
    }
    if hits == 0.0 {
        return [0.0; 3];
    }
    let recall = hits / (hits + missed);
    [
        precision,
        recall,
        2.0 * precision * recall / (precision + recall),
    ]
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::{Metric, Predictions, score};

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.into()).collect()
    }

    #[test]
    fn the_sixth_answer_does_not_count() {
        let question = |rank: usize| {
            let mut ranked = names(&["a", "b", "c", "d", "e", "f"]);
            ranked[rank] = "Right".into();
            RankedAnswers {
                gold: names(&["other", "RIGHT"]),
                ranked,
            }
        };
        assert_eq!(rank_scores(&question(0)), [1.0; 3]);
        assert_eq!(rank_scores(&question(4)), [0.0, 1.0, 0.2]);
        assert_eq!(rank_scores(&question(5)), [0.0; 3]);
        let p = Predictions::Factoid(FactoidPredictions {
            questions: vec![question(0), question(1), question(5)],
        });
        assert_eq!(score(&p, Metric::Mrr), Ok(0.5));
        assert_eq!(score(&p, Metric::StrictAccuracy), Ok(1.0 / 3.0));
        assert_eq!(score(&p, Metric::LenientAccuracy), Ok(2.0 / 3.0));
        let none = Predictions::Factoid(FactoidPredictions::default());
        assert_eq!(score(&none, Metric::Mrr), Err(Undefined::NoRows));
    }

    #[test]
    fn a_second_name_for_one_thing_is_wrong() {
        let question = ListAnswer {
            gold: vec![names(&["IL-2", "interleukin 2"]), names(&["TNF"])],
            predicted: names(&["il-2", "Interleukin 2", "p53"]),
        };
        let [precision, recall, f1] = list_scores(&question);
        assert_eq!([precision, recall], [1.0 / 3.0, 0.5]);
        assert!((f1 - 0.4).abs() < 1e-12);
        let p = Predictions::Lists(ListPredictions {
            questions: vec![question, ListAnswer::default()],
        });
        assert_eq!(score(&p, Metric::RecallSamples), Ok(0.25));
    }

    #[test]
    fn an_answer_that_names_two_things_leaves_neither_missed() {
        let question = ListAnswer {
            gold: vec![names(&["x", "y"]), names(&["y", "z"])],
            predicted: names(&["y"]),
        };
        assert_eq!(list_scores(&question), [1.0, 1.0, 1.0]);
    }

    #[test]
    fn lists_without_hits_score_nothing() {
        let question = |gold: &[&str], predicted: &[&str]| ListAnswer {
            gold: gold.iter().map(|&name| names(&[name])).collect(),
            predicted: names(predicted),
        };
        for question in [
            question(&["x"], &[]),
            question(&["x"], &["y"]),
            question(&[], &["y"]),
        ] {
            assert_eq!(list_scores(&question), [0.0; 3]);
        }
    }

    #[test]
    fn pooling_sums_over_snippets_and_drops_what_is_empty_or_long() {
        let answer = |text: &str, probability| Candidate {
            text: text.into(),
            probability,
        };
        let long = "ä".repeat(101);
        let kept = "ä".repeat(100);
        let id = |snippet: &str| format!("0123456789abcdef01234567{snippet}");
        let (first, second) = (id("_001"), id("_002"));
        let one = [answer("Gene", 0.25), answer("", 0.9), answer(&long, 0.9)];
        let two = [
            answer("GENE", 0.5),
            answer(&kept, 0.625),
            answer("b", 0.1),
            answer("c", 0.1),
            answer("d", 0.1),
            answer("e", 0.1),
        ];
        let other = [answer("b", 0.5)];
        let pooled = pool_snippets([
            (first.as_str(), &one[..]),
            ("question 7", &other[..]),
            (second.as_str(), &two[..]),
        ]);
        assert_eq!(pooled.len(), 2);
        assert_eq!(pooled[0].question, id(""));
        let expected = [
            answer("GENE", 0.75),
            answer(&kept, 0.625),
            answer("b", 0.1),
            answer("c", 0.1),
            answer("d", 0.1),
        ];
        assert_eq!(pooled[0].ranked, expected);
        assert_eq!(pooled[1].question, "question 7");
        assert_eq!(pooled[1].ranked, other);
    }
}
