//! Predictions with the truth: the input of all metrics. One file per kind.

pub(crate) mod answers;
pub(crate) mod choices;
pub(crate) mod classes;
pub(crate) mod entities;
mod error;
pub(crate) mod factoid;
pub(crate) mod kind;
pub(crate) mod lists;
pub(crate) mod multilabel;
pub(crate) mod scores;
pub(crate) mod set;
pub(crate) mod spans;

use serde::{Deserialize, Serialize};

pub use answers::{Answer, AnswerPredictions};
pub use choices::ChoicePredictions;
pub use classes::ClassPredictions;
pub use entities::EntityPredictions;
pub use error::{EvaluationError, PoolError};
pub use factoid::{FactoidPredictions, RankedAnswers};
pub use kind::TaskKind;
pub use lists::{ListAnswer, ListPredictions};
pub use multilabel::MultiLabelPredictions;
pub use scores::ScorePredictions;
use set::{Pool, PredictionSet};

pub use spans::{EntitySpan, SpanPredictions};

/// Declares [`Predictions`] and its kind-dependent code from one table.
macro_rules! predictions {
    ($($(#[$doc:meta])+ $variant:ident($predictions:ty),)+) => {
        /// The predictions of a model on one data set, with the truth.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        #[non_exhaustive]
        pub enum Predictions {
            $($(#[$doc])+ $variant($predictions),)+
        }

        impl Predictions {
            /// The predictions as a trait object.
            pub(crate) fn set(&self) -> &dyn PredictionSet {
                match self {
                    $(Self::$variant(predictions) => predictions,)+
                }
            }

            /// Concatenates the rows of parts of one kind; `self` is the first part.
            pub(crate) fn pool(&self, parts: &[&Self]) -> Result<Self, PoolError> {
                match self {
                    $(Self::$variant(_) => {
                        let parts = parts.iter().map(|&part| match part {
                            Self::$variant(part) => Ok(part),
                            part => Err(PoolError::Tasks {
                                first: self.task(),
                                other: part.task(),
                            }),
                        });
                        let parts = parts.collect::<Result<Vec<_>, _>>()?;
                        <$predictions>::pool(&parts).map(Self::$variant)
                    })+
                }
            }
        }
    };
}

predictions! {
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
    /// One of several answers per row.
    Choices(ChoicePredictions),
}

impl Predictions {
    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.set().rows()
    }

    /// The kind.
    pub fn task(&self) -> TaskKind {
        self.set().kind()
    }

    /// Checks that the parts are consistent; [`evaluate`](crate::evaluate) and [`score`](crate::score) panic if they are
    /// not.
    ///
    /// Numbers that are not finite are accepted: they come from models that diverged, and make metrics undefined.
    ///
    /// # Errors
    /// [`EvaluationError`] for the first inconsistent part.
    pub fn check(&self) -> Result<(), EvaluationError> {
        self.set().check()
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
