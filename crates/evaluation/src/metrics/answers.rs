//! Answers found in a text, scored as SQuAD's scripts do (Rajpurkar et al. 2016, §6.1; 2018, §5.1).

use std::collections::HashMap;

use crate::predictions::answers::{Answer, AnswerPredictions};
use crate::predictions::set::PredictionSet;
use crate::undefined::Undefined;

use super::outcome::{Evaluator, Outcome, Value};

/// A score of one answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerScore {
    /// [`Metric::ExactMatch`](crate::Metric::ExactMatch).
    ExactMatch,
    /// [`Metric::F1`](crate::Metric::F1).
    F1,
}

/// Which questions a score is averaged over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Questions {
    All,
    WithAnswer,
    WithoutAnswer,
}

/// How a metric is computed from one answer per question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AnswerFormula {
    Mean(AnswerScore, Questions),
    /// The mean over all questions at the threshold for no answer that maximises it.
    Best(AnswerScore),
}

/// A threshold for no answer and the resulting score.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NoAnswerThreshold {
    /// A question whose score for no answer is above this is not answered.
    pub threshold: f64,
    /// The mean score at this threshold, between 0 and 1.
    pub value: f64,
}

/// The threshold for no answer with the best score; choose it on validation data.
///
/// Like `evaluate-v2.0.py`, it returns the lowest of equally good thresholds, and 0 if it is best to answer nothing.
/// There are two differences. Questions with equal scores are decided together, where the script may stop between them
/// at a value that no threshold gives. And if 0 would leave questions answered although answering none is best, as with
/// logit differences below 0, the threshold is the next number below all scores.
///
/// [`AnswerPredictions::no_answer_threshold`] is ignored.
///
/// # Errors
/// [`Undefined`] if there are no questions, one has no score for no answer, or one that is not a number.
///
/// # Panics
/// If [`Predictions::check`](crate::Predictions::check) fails.
///
/// ```
/// use bertkit_evaluation::{Answer, AnswerPredictions, AnswerScore, best_no_answer_threshold};
///
/// let answer = |gold: &[&str], score| Answer {
///     gold: gold.iter().map(|&text| text.into()).collect(),
///     predicted: "Paris".into(),
///     no_answer_score: Some(score),
/// };
/// let predictions = AnswerPredictions {
///     questions: vec![answer(&["Paris"], 0.2), answer(&[], 0.7), answer(&["Paris, France"], 0.3)],
///     may_be_unanswerable: true,
///     no_answer_threshold: None,
/// };
/// let best = best_no_answer_threshold(&predictions, AnswerScore::F1)?;
/// assert_eq!(best.threshold, 0.3);
/// # Ok::<(), bertkit_evaluation::Undefined>(())
/// ```
pub fn best_no_answer_threshold(
    predictions: &AnswerPredictions,
    score: AnswerScore,
) -> Result<NoAnswerThreshold, Undefined> {
    if let Err(error) = predictions.check() {
        panic!("{error}");
    }
    let weights = vec![1.0; predictions.questions.len()];
    AnswerEvaluator::new(predictions, vec![AnswerFormula::Best(score)]).best(score, &weights)
}

/// The scores of one answer.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Fit {
    exact_match: f64,
    f1: f64,
}

impl Fit {
    fn score(self, score: AnswerScore) -> f64 {
        match score {
            AnswerScore::ExactMatch => self.exact_match,
            AnswerScore::F1 => self.f1,
        }
    }
}

/// Answers compared with the truth once for all resamples.
pub(crate) struct AnswerEvaluator {
    formulas: Vec<AnswerFormula>,
    rows: Vec<Row>,
    /// The rows by ascending score for no answer, if a formula needs it.
    order: Result<Vec<u32>, Undefined>,
}

struct Row {
    has_answer: bool,
    answered: bool,
    /// The fit of the given answer.
    given: Fit,
    /// The fit after applying the threshold for no answer.
    decided: Fit,
    /// Read only if `order` is computed.
    no_answer_score: f64,
}

impl AnswerEvaluator {
    pub fn new(predictions: &AnswerPredictions, formulas: Vec<AnswerFormula>) -> Self {
        let threshold = predictions.no_answer_threshold;
        let rows: Vec<Row> = predictions
            .questions
            .iter()
            .map(|question| {
                let has_answer = !question.gold.is_empty();
                let given = fit(question);
                let abstains = threshold
                    .zip(question.no_answer_score)
                    .is_some_and(|(threshold, score)| score > threshold);
                let silence = f64::from(u8::from(!has_answer));
                let decided = match abstains {
                    true => Fit {
                        exact_match: silence,
                        f1: silence,
                    },
                    false => given,
                };
                Row {
                    has_answer,
                    answered: !question.predicted.is_empty(),
                    given,
                    decided,
                    no_answer_score: question.no_answer_score.unwrap_or(f64::NAN),
                }
            })
            .collect();
        let needed = |formula: &AnswerFormula| matches!(formula, AnswerFormula::Best(_));
        let order = match formulas.iter().any(needed) {
            true => order(&predictions.questions),
            false => Err(Undefined::NoAnswerScores),
        };
        Self {
            formulas,
            rows,
            order,
        }
    }

    fn value(&self, formula: AnswerFormula, weights: &[f64]) -> Value {
        match formula {
            AnswerFormula::Mean(score, questions) => self.mean(score, questions, weights),
            AnswerFormula::Best(score) => self.best(score, weights).map(|best| best.value),
        }
    }

    fn mean(&self, score: AnswerScore, questions: Questions, weights: &[f64]) -> Value {
        let (mut sum, mut total) = (0.0, 0.0);
        for (row, weight) in self.rows.iter().zip(weights) {
            let counts = match questions {
                Questions::All => true,
                Questions::WithAnswer => row.has_answer,
                Questions::WithoutAnswer => !row.has_answer,
            };
            if counts {
                sum += weight * row.decided.score(score);
                total += weight;
            }
        }
        match (total == 0.0, questions) {
            (false, _) => Ok(sum / total),
            (true, Questions::All) => Err(Undefined::NoRows),
            (true, Questions::WithAnswer) => Err(Undefined::NoQuestions { answerable: true }),
            (true, Questions::WithoutAnswer) => Err(Undefined::NoQuestions { answerable: false }),
        }
    }

    /// The best threshold for no answer. One of the formulas must be [`AnswerFormula::Best`].
    pub fn best(
        &self,
        score: AnswerScore,
        weights: &[f64],
    ) -> Result<NoAnswerThreshold, Undefined> {
        let order = self.order.as_ref().map_err(Clone::clone)?;
        let total: f64 = weights.iter().sum();
        if total == 0.0 {
            return Err(Undefined::NoRows);
        }
        let row = |place: usize| &self.rows[order[place] as usize];
        let lowest = row(0).no_answer_score;
        // Initially nothing is answered, which is right for the questions without an answer.
        let silent = self.rows.iter().zip(weights);
        let mut current: f64 = silent
            .filter(|(row, _)| !row.has_answer)
            .map(|(_, w)| w)
            .sum();
        let mut best = NoAnswerThreshold {
            threshold: if lowest > 0.0 {
                0.0
            } else {
                lowest.next_down()
            },
            value: current,
        };
        for (place, &index) in order.iter().enumerate() {
            let this = row(place);
            let change = match this.has_answer {
                true => this.given.score(score),
                false => -f64::from(u8::from(this.answered)),
            };
            current += weights[index as usize] * change;
            let last_of_equals =
                place + 1 == order.len() || row(place + 1).no_answer_score > this.no_answer_score;
            if last_of_equals && current > best.value {
                best = NoAnswerThreshold {
                    threshold: this.no_answer_score,
                    value: current,
                };
            }
        }
        best.value /= total;
        Ok(best)
    }
}

impl Evaluator for AnswerEvaluator {
    fn outcome(&self, weights: &[f64]) -> Outcome {
        if weights.iter().all(|&weight| weight == 0.0) {
            return Outcome::undefined(self.formulas.len(), &Undefined::NoRows);
        }
        let value = |&formula: &AnswerFormula| self.value(formula, weights);
        Outcome {
            metrics: self.formulas.iter().map(value).collect(),
            per_class: Ok(Vec::new()),
        }
    }
}

/// The rows by ascending score for no answer.
fn order(questions: &[Answer]) -> Result<Vec<u32>, Undefined> {
    let scores: Option<Vec<f64>> = questions.iter().map(|q| q.no_answer_score).collect();
    let scores = scores.ok_or(Undefined::NoAnswerScores)?;
    if scores.is_empty() {
        return Err(Undefined::NoRows);
    }
    if let Some(row) = scores.iter().position(|score| !score.is_finite()) {
        return Err(Undefined::NotFinite {
            what: "score for no answer",
            row,
        });
    }
    let mut order: Vec<u32> = (0..scores.len() as u32).collect();
    order.sort_by(|&a, &b| scores[a as usize].total_cmp(&scores[b as usize]));
    Ok(order)
}

/// The fit of the predicted answer to the true answer that it matches best.
fn fit(question: &Answer) -> Fit {
    let predicted = normalize(&question.predicted);
    let gold: Vec<String> = question.gold.iter().map(|gold| normalize(gold)).collect();
    let mut golds: Vec<&str> = gold.iter().map(String::as_str).collect();
    golds.retain(|gold| !gold.is_empty());
    if golds.is_empty() {
        golds.push("");
    }
    let mut best = Fit::default();
    for gold in golds {
        best.exact_match = best.exact_match.max(f64::from(u8::from(gold == predicted)));
        best.f1 = best.f1.max(overlap(gold, &predicted));
    }
    best
}

/// F1 of the shared words of two normalised texts; if one is empty, 1 if both are and else 0.
fn overlap(gold: &str, predicted: &str) -> f64 {
    if gold.is_empty() || predicted.is_empty() {
        return f64::from(u8::from(gold == predicted));
    }
    let mut left = HashMap::<&str, usize>::new();
    let (mut gold_words, mut predicted_words, mut same) = (0.0, 0.0, 0.0);
    for word in gold.split(' ') {
        *left.entry(word).or_default() += 1;
        gold_words += 1.0;
    }
    for word in predicted.split(' ') {
        predicted_words += 1.0;
        if let Some(count) = left.get_mut(word).filter(|count| **count > 0) {
            *count -= 1;
            same += 1.0;
        }
    }
    2.0 * same / (gold_words + predicted_words)
}

/// Normalises as the SQuAD scripts do: lower case, no ASCII punctuation, no English articles, single spaces.
fn normalize(text: &str) -> String {
    let lower = text.to_lowercase();
    let bare: String = lower
        .chars()
        .filter(|c| !c.is_ascii_punctuation())
        .collect();
    // An article is a whole run of letters and digits: there is none in "the東京", and one in "a–b".
    let mut without = String::with_capacity(bare.len());
    let mut rest = bare.as_str();
    while let Some(start) = rest.find(char::is_alphanumeric) {
        without.push_str(&rest[..start]);
        let run = &rest[start..];
        let end = run
            .find(|c: char| !c.is_alphanumeric())
            .unwrap_or(run.len());
        match &run[..end] {
            "a" | "an" | "the" => without.push(' '),
            word => without.push_str(word),
        }
        rest = &run[end..];
    }
    without.push_str(rest);
    // Python also splits at the four ASCII separators.
    let space = |c: char| c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c);
    let words: Vec<&str> = without
        .split(space)
        .filter(|word| !word.is_empty())
        .collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::{Metric, Predictions, score};

    fn answer(gold: &[&str], predicted: &str, no_answer_score: Option<f64>) -> Answer {
        Answer {
            gold: gold.iter().map(|&text| text.into()).collect(),
            predicted: predicted.into(),
            no_answer_score,
        }
    }

    fn answers(questions: Vec<Answer>) -> AnswerPredictions {
        AnswerPredictions {
            questions,
            may_be_unanswerable: true,
            no_answer_threshold: None,
        }
    }

    #[test]
    fn case_punctuation_articles_and_white_space_do_not_count() {
        assert_eq!(normalize("The  Cat,\tan\u{1f}ANT\u{a0}a."), "cat ant");
        assert_eq!(normalize("a–b the-end theatre"), "–b theend theatre");
        assert_eq!(normalize("the東京 東京"), "the東京 東京");
        assert_eq!(normalize("a_b “a”"), "ab “ ”");
        assert_eq!(normalize(" The "), "");
    }

    #[test]
    fn words_count_as_often_as_both_texts_have_them() {
        assert_eq!(overlap("x x y", "x y y"), 2.0 / 3.0);
        assert_eq!(overlap("x", "y"), 0.0);
        assert_eq!(overlap("", ""), 1.0);
        assert_eq!(overlap("x", ""), 0.0);
    }

    #[test]
    fn a_question_above_the_threshold_is_not_answered() {
        let mut p = answers(vec![
            answer(&["x"], "x", Some(0.9)),
            answer(&["x"], "x", Some(0.5)),
            answer(&[], "x", Some(0.6)),
            answer(&[], "", Some(0.1)),
        ]);
        let scores = |p: &AnswerPredictions| {
            let p = Predictions::Answers(p.clone());
            let metrics = [
                Metric::ExactMatch,
                Metric::ExactMatchHasAnswer,
                Metric::F1NoAnswer,
            ];
            metrics.map(|metric| score(&p, metric).unwrap())
        };
        assert_eq!(scores(&p), [0.75, 1.0, 0.5]);
        p.no_answer_threshold = Some(0.5);
        assert_eq!(scores(&p), [0.75, 0.5, 1.0]);
    }

    #[test]
    fn the_best_threshold_gives_its_value() {
        let mut p = answers(vec![
            answer(&["x"], "x", Some(0.3)),
            answer(&["x"], "x", Some(0.3)),
            answer(&[], "x", Some(0.3)),
            answer(&[], "x", Some(0.6)),
            answer(&["x y"], "x", Some(0.5)),
        ]);
        let best = best_no_answer_threshold(&p, AnswerScore::F1).unwrap();
        assert_eq!(best.threshold, 0.5);
        p.no_answer_threshold = Some(best.threshold);
        let p = Predictions::Answers(p);
        assert_eq!(score(&p, Metric::F1), Ok(best.value));
        assert_eq!(score(&p, Metric::BestF1), Ok(best.value));
    }

    #[test]
    fn answering_nothing_can_be_best_whatever_the_scores() {
        for scores in [[0.3, 0.6], [0.0, 0.2], [-2.0, 4.0]] {
            let mut p = answers(scores.map(|score| answer(&[], "x", Some(score))).to_vec());
            let best = best_no_answer_threshold(&p, AnswerScore::ExactMatch).unwrap();
            assert_eq!(best.value, 1.0);
            p.no_answer_threshold = Some(best.threshold);
            let found = score(&Predictions::Answers(p), Metric::ExactMatch);
            assert_eq!(found, Ok(1.0), "{scores:?}");
        }
    }

    #[test]
    fn without_scores_or_questions_of_a_kind_metrics_are_undefined() {
        let p = Predictions::Answers(answers(vec![answer(&["x"], "x", None)]));
        assert_eq!(score(&p, Metric::BestF1), Err(Undefined::NoAnswerScores));
        let no_answer = Undefined::NoQuestions { answerable: false };
        assert_eq!(score(&p, Metric::F1NoAnswer), Err(no_answer));
        let p = answers(vec![answer(&["x"], "x", Some(f64::NAN))]);
        let error = best_no_answer_threshold(&p, AnswerScore::F1).unwrap_err();
        assert_eq!(
            error.to_string(),
            "row 0 has a score for no answer that is not a finite number"
        );
    }

    #[test]
    fn each_question_needs_an_answer_unless_it_may_have_none() {
        let mut p = answers(vec![answer(&["x"], "x", None), answer(&[], "", None)]);
        assert_eq!(Predictions::Answers(p.clone()).check(), Ok(()));
        p.may_be_unanswerable = false;
        let error = Predictions::Answers(p).check().unwrap_err();
        assert_eq!(error.to_string(), "row 1: the question has no true answer");
        assert!(error.hint().unwrap().contains("SQuAD 2.0"));
    }
}
