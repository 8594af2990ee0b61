//! What a model said and what was true: the input of every metric.

use std::collections::HashSet;
use std::fmt;

use serde::{Deserialize, Serialize};

mod answers;
mod entities;

pub use answers::{
    Answer, AnswerPredictions, FactoidPredictions, ListAnswer, ListPredictions, RankedAnswers,
};
pub use entities::{EntityPredictions, EntitySpan, SpanPredictions};

/// The kind of task, which decides the metrics that apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskKind {
    /// One of two classes, of which one is named positive.
    Binary,
    /// One class out of several, or out of two of which neither is named positive.
    Multiclass,
    /// Any subset of the classes.
    Multilabel,
    /// One number.
    Regression,
    /// Named entities, given as the tags of words.
    Entities,
    /// Named entities, given as spans.
    Spans,
    /// One answer a question.
    Answers,
    /// One answer a question, or none.
    AnswersOrNone,
    /// A ranking of answers a question.
    Factoid,
    /// A list of answers a question.
    Lists,
}

impl TaskKind {
    /// Every kind.
    pub const ALL: &'static [TaskKind] = &[
        Self::Binary,
        Self::Multiclass,
        Self::Multilabel,
        Self::Regression,
        Self::Entities,
        Self::Spans,
        Self::Answers,
        Self::AnswersOrNone,
        Self::Factoid,
        Self::Lists,
    ];

    /// The name in reports, in snake case.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Binary => "binary",
            Self::Multiclass => "multiclass",
            Self::Multilabel => "multilabel",
            Self::Regression => "regression",
            Self::Entities => "entities",
            Self::Spans => "spans",
            Self::Answers => "answers",
            Self::AnswersOrNone => "answers_or_none",
            Self::Factoid => "factoid",
            Self::Lists => "lists",
        }
    }

    /// What a row is called.
    pub(crate) const fn row_noun(self) -> &'static str {
        match self {
            Self::Binary | Self::Multiclass | Self::Multilabel | Self::Regression => "row",
            Self::Entities => "sentence",
            Self::Spans => "text",
            Self::Answers | Self::AnswersOrNone | Self::Factoid | Self::Lists => "question",
        }
    }
}

impl fmt::Display for TaskKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// One class per row.
///
/// A label of `classes.len()` or more means *a class the model never saw*. Such a row is always wrong: it counts in
/// accuracy, as a false positive of the class predicted, and as one more class of the truth (all such rows together)
/// in Matthews' and Cohen's coefficients and the confusion matrix. It is a row of no known class, so it changes no
/// recall, balanced accuracy included, and the metrics of probabilities (log loss, Brier, areas under curves) leave
/// it out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ClassPredictions {
    /// The names of the classes the model knows, each once.
    pub classes: Vec<String>,
    /// The true class of each row, an index into `classes`, or beyond it for a class the model never saw.
    pub labels: Vec<usize>,
    /// The class decided for each row; apart from the largest probability, for a tuned threshold may decide.
    pub predicted: Vec<usize>,
    /// `[rows, classes]`, row after row; empty where the model gives none.
    pub probabilities: Vec<f64>,
    /// Which of two classes is the positive one; `None` treats two classes like more. No effect on other counts.
    pub positive: Option<usize>,
    /// The classes that `micro`, `macro` and `weighted` averages are over, each once, as scikit-learn's `labels`;
    /// `None` for all of them. ChemProt leaves out the class of no relation, for instance. No effect on other metrics.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub averaged: Option<Vec<usize>>,
}

impl ClassPredictions {
    /// Decides each row for its most probable class, the first of equals.
    ///
    /// `probabilities` is `[rows, classes]`, row after row.
    pub fn from_probabilities(
        classes: Vec<String>,
        labels: Vec<usize>,
        probabilities: Vec<f64>,
        positive: Option<usize>,
    ) -> Self {
        let predicted = probabilities
            .chunks(classes.len().max(1))
            .map(most_probable)
            .collect();
        Self {
            classes,
            labels,
            predicted,
            probabilities,
            positive,
            averaged: None,
        }
    }

    /// Decides each row of a binary task for the positive class where its probability reaches `threshold`.
    ///
    /// # Panics
    /// If there are not two classes, one of them positive, with probabilities for each row.
    pub fn decide_at(&mut self, threshold: f64) {
        let (2, Some(positive)) = (self.classes.len(), self.positive) else {
            panic!("a threshold needs two classes, one of them positive");
        };
        assert_eq!(
            self.probabilities.len(),
            self.labels.len() * 2,
            "a threshold needs two probabilities a row"
        );
        self.predicted = self
            .probabilities
            .chunks(2)
            .map(|p| {
                if p[positive] >= threshold {
                    positive
                } else {
                    1 - positive
                }
            })
            .collect();
    }

    /// Binary for two classes of which one is positive, else multiclass.
    pub fn task(&self) -> TaskKind {
        match (self.classes.len(), self.positive) {
            (2, Some(_)) => TaskKind::Binary,
            _ => TaskKind::Multiclass,
        }
    }
}

/// The first of the largest; `NaN` never wins.
fn most_probable(row: &[f64]) -> usize {
    let mut best = 0;
    for (class, &probability) in row.iter().enumerate() {
        if probability > row[best] || row[best].is_nan() && !probability.is_nan() {
            best = class;
        }
    }
    best
}

/// Any subset of the classes per row.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MultiLabelPredictions {
    /// The names of the labels, each once.
    pub classes: Vec<String>,
    /// `[rows, classes]`, row after row: true where the row has the label.
    pub labels: Vec<bool>,
    /// `[rows, classes]`, row after row: larger is more certain; need not be probabilities.
    pub scores: Vec<f64>,
    /// One per class: a row gets the label where its score is at least this.
    pub thresholds: Vec<f64>,
}

impl MultiLabelPredictions {
    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.labels.len() / self.classes.len().max(1)
    }
}

/// One number per row.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ScorePredictions {
    /// The true number of each row.
    pub targets: Vec<f64>,
    /// The number predicted for each row.
    pub predictions: Vec<f64>,
}

/// The predictions of a model on one data set, with the truth.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Predictions {
    /// One class per row.
    Classes(ClassPredictions),
    /// Any subset of the classes per row.
    MultiLabel(MultiLabelPredictions),
    /// One number per row.
    Scores(ScorePredictions),
    /// The tags of the words of a sentence per row.
    Entities(EntityPredictions),
    /// The entities of a text per row.
    Spans(SpanPredictions),
    /// An answer to a question per row.
    Answers(AnswerPredictions),
    /// Ranked answers to a question per row.
    Factoid(FactoidPredictions),
    /// A list of answers to a question per row.
    Lists(ListPredictions),
}

impl Predictions {
    /// Number of rows.
    pub fn rows(&self) -> usize {
        match self {
            Self::Classes(p) => p.labels.len(),
            Self::MultiLabel(p) => p.rows(),
            Self::Scores(p) => p.targets.len(),
            Self::Entities(p) => p.gold.len(),
            Self::Spans(p) => p.gold.len(),
            Self::Answers(p) => p.questions.len(),
            Self::Factoid(p) => p.questions.len(),
            Self::Lists(p) => p.questions.len(),
        }
    }

    /// The kind of task.
    pub fn task(&self) -> TaskKind {
        match self {
            Self::Classes(p) => p.task(),
            Self::MultiLabel(_) => TaskKind::Multilabel,
            Self::Scores(_) => TaskKind::Regression,
            Self::Entities(_) => TaskKind::Entities,
            Self::Spans(_) => TaskKind::Spans,
            Self::Answers(p) if p.may_be_unanswerable => TaskKind::AnswersOrNone,
            Self::Answers(_) => TaskKind::Answers,
            Self::Factoid(_) => TaskKind::Factoid,
            Self::Lists(_) => TaskKind::Lists,
        }
    }

    /// Whether the parts fit together; [`evaluate`](crate::evaluate) and [`score`](crate::score) panic if not.
    ///
    /// Numbers that are not finite pass: they come from models that diverged, and leave metrics undefined.
    ///
    /// # Errors
    /// [`EvaluationError`], with the first part that does not fit.
    pub fn check(&self) -> Result<(), EvaluationError> {
        let count = |what, expected, found| {
            if expected == found {
                Ok(())
            } else {
                Err(EvaluationError::Count {
                    what,
                    expected,
                    found,
                })
            }
        };
        match self {
            Self::Classes(p) => {
                let (rows, classes) = (p.labels.len(), p.classes.len());
                distinct(&p.classes)?;
                count("predicted classes", rows, p.predicted.len())?;
                if !p.probabilities.is_empty() {
                    count("probabilities", rows * classes, p.probabilities.len())?;
                }
                let known = |what, index: usize| {
                    if index < classes {
                        Ok(())
                    } else {
                        Err(EvaluationError::Class {
                            what,
                            index,
                            classes,
                        })
                    }
                };
                p.positive
                    .map_or(Ok(()), |positive| known("positive class", positive))?;
                if let Some(averaged) = &p.averaged {
                    averaged
                        .iter()
                        .try_for_each(|&class| known("averaged class", class))?;
                    let names: Vec<_> = averaged.iter().map(|&c| p.classes[c].clone()).collect();
                    distinct(&names)?;
                    if averaged.is_empty() {
                        return Err(EvaluationError::NothingAveraged);
                    }
                }
                p.predicted
                    .iter()
                    .try_for_each(|&class| known("predicted class", class))
            }
            Self::MultiLabel(p) => {
                distinct(&p.classes)?;
                count("labels", p.rows() * p.classes.len(), p.labels.len())?;
                count("scores", p.labels.len(), p.scores.len())?;
                count("thresholds", p.classes.len(), p.thresholds.len())
            }
            Self::Scores(p) => count("predictions", p.targets.len(), p.predictions.len()),
            Self::Entities(p) => p.check(),
            Self::Spans(p) => p.check(),
            Self::Answers(p) => p.check(),
            Self::Factoid(_) | Self::Lists(_) => Ok(()),
        }
    }
}

fn distinct(classes: &[String]) -> Result<(), EvaluationError> {
    let mut seen = HashSet::new();
    match classes.iter().find(|class| !seen.insert(class.as_str())) {
        Some(class) => Err(EvaluationError::DuplicateClass {
            class: class.clone(),
        }),
        None => Ok(()),
    }
}

/// Why predictions or options cannot be evaluated at all.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum EvaluationError {
    /// Two parts that belong together differ in length.
    #[error("expected {expected} {what}, found {found}")]
    Count {
        /// What was counted.
        what: &'static str,
        /// The number that fits the other parts.
        expected: usize,
        /// The number there is.
        found: usize,
    },
    /// An index is beyond the classes.
    #[error("{what} is `{index}`, but there are {classes} classes")]
    Class {
        /// What the index stands for.
        what: &'static str,
        /// The index.
        index: usize,
        /// The number of classes.
        classes: usize,
    },
    /// A class is listed twice.
    #[error("class `{class}` is listed twice")]
    DuplicateClass {
        /// Its name.
        class: String,
    },
    /// Averages are to be over no class at all.
    #[error("the classes to average over are none")]
    NothingAveraged,
    /// A sentence has more or fewer predicted tags than true ones.
    #[error("row {row}: expected {expected} predicted tags, found {found}")]
    Tags {
        /// The first such sentence, counted from 0.
        row: usize,
        /// The number of true tags.
        expected: usize,
        /// The number of predicted tags.
        found: usize,
    },
    /// A tag is an empty text.
    #[error("row {row}: a tag of word {word} is empty")]
    EmptyTag {
        /// The sentence, counted from 0.
        row: usize,
        /// The word within it, counted from 0.
        word: usize,
    },
    /// A question has no true answer where each is to have one.
    #[error("row {row}: the question has no true answer")]
    NoAnswer {
        /// The first such question, counted from 0.
        row: usize,
    },
    /// The confidence of an interval is not between 0 and 1.
    #[error("confidence is `{confidence}`, expected a number between 0 and 1, both excluded")]
    Confidence {
        /// The confidence given.
        confidence: f64,
    },
}

impl EvaluationError {
    /// What the user can do about it, if known.
    #[expect(clippy::wildcard_enum_match_arm, reason = "most errors have no hint")]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Confidence { confidence } if (1.0..100.0).contains(confidence) => {
                Some("give the confidence as a fraction, such as 0.95 for 95%")
            }
            Self::NoAnswer { .. } => {
                Some("score questions without an answer by the rules of SQuAD 2.0")
            }
            Self::EmptyTag { .. } => Some("write `O` for a word outside of entities"),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.into()).collect()
    }

    fn binary() -> ClassPredictions {
        ClassPredictions::from_probabilities(
            names(&["a", "b"]),
            vec![0, 1, 1],
            vec![0.5, 0.5, 0.2, 0.8, f64::NAN, 0.1],
            Some(1),
        )
    }

    #[test]
    fn the_first_of_equal_probabilities_wins_and_nan_never_does() {
        assert_eq!(binary().predicted, [0, 1, 1]);
    }

    #[test]
    fn a_row_at_the_threshold_is_positive() {
        let mut p = binary();
        p.decide_at(0.5);
        assert_eq!(p.predicted, [1, 1, 0]);
        p.positive = Some(0);
        p.decide_at(0.2);
        assert_eq!(p.predicted, [0, 0, 1]);
    }

    #[test]
    fn two_classes_without_a_positive_one_are_multiclass() {
        let mut p = binary();
        assert_eq!(p.task(), TaskKind::Binary);
        p.positive = None;
        assert_eq!(p.task(), TaskKind::Multiclass);
    }

    #[test]
    fn check_names_the_part_that_does_not_fit() {
        let message = |change: fn(&mut ClassPredictions)| {
            let mut p = binary();
            change(&mut p);
            Predictions::Classes(p)
                .check()
                .map_err(|error| error.to_string())
        };
        assert_eq!(message(|_| {}), Ok(()));
        assert_eq!(message(|p| p.labels[0] = 9), Ok(()));
        assert_eq!(message(|p| p.probabilities.clear()), Ok(()));
        let failed = |change| message(change).expect_err("the change breaks it");
        assert_eq!(
            failed(|p| p.predicted.truncate(2)),
            "expected 3 predicted classes, found 2"
        );
        assert_eq!(
            failed(|p| p.probabilities.truncate(5)),
            "expected 6 probabilities, found 5"
        );
        assert_eq!(
            failed(|p| p.predicted[0] = 2),
            "predicted class is `2`, but there are 2 classes"
        );
        assert_eq!(
            failed(|p| p.positive = Some(2)),
            "positive class is `2`, but there are 2 classes"
        );
        assert_eq!(
            failed(|p| p.classes[1] = "a".into()),
            "class `a` is listed twice"
        );

        let labels = MultiLabelPredictions {
            classes: names(&["a", "b"]),
            labels: vec![true; 4],
            scores: vec![0.0; 4],
            thresholds: vec![0.5],
        };
        let error = Predictions::MultiLabel(labels)
            .check()
            .expect_err("a threshold is missing");
        assert_eq!(error.to_string(), "expected 2 thresholds, found 1");
        let scores = ScorePredictions {
            targets: vec![1.0],
            predictions: vec![],
        };
        let error = Predictions::Scores(scores)
            .check()
            .expect_err("a prediction is missing");
        assert_eq!(error.to_string(), "expected 1 predictions, found 0");
    }
}
