//! Metrics with bootstrap intervals, in agreement with scikit-learn and SciPy.
//!
//! Convert the outputs of a model to one of the kinds of [`Predictions`], pass it to [`evaluate`], and print
//! [`Report::table`] or write the [`Report`] as JSON. [`score`] computes a single [`Metric`], to choose a checkpoint;
//! [`best_threshold`] chooses the decision threshold of a binary classifier.
//!
//! [`compare`] tests the difference between two models, [`calibration`] measures calibration and [`fit_temperature`]
//! improves it, [`coverage`] shows what abstaining gains, and [`across_runs`] and [`pool`] summarise several runs.
//!
//! A metric that the data do not define (the area under the curve of one class, the correlation with a constant) is
//! [`Undefined`] with a reason, never a number. This crate depends on neither tensors nor models; all arithmetic is
//! `f64`.
//!
//! ```
//! use bertkit_evaluation::{BootstrapOptions, ClassPredictions, Metric, Predictions, evaluate, score};
//!
//! let probabilities = vec![0.9, 0.1, 0.6, 0.4, 0.3, 0.7, 0.6, 0.4, 0.8, 0.2, 0.1, 0.9];
//! let predictions = Predictions::Classes(ClassPredictions::from_probabilities(
//!     vec!["healthy".into(), "ill".into()],
//!     vec![0, 0, 1, 1, 0, 1],
//!     probabilities,
//!     Some(1),
//! ));
//! assert_eq!(score(&predictions, Metric::Recall), Ok(2.0 / 3.0));
//!
//! let report = evaluate(&predictions, &BootstrapOptions::default());
//! let f1 = report.metric(Metric::F1).expect("F1 is a metric of binary predictions");
//! assert_eq!(f1.value, Some(0.8));
//! assert!(f1.low <= f1.value && f1.value <= f1.high);
//! println!("{}", report.table());
//! ```
#![cfg_attr(not(test), deny(clippy::wildcard_enum_match_arm))]

mod calibration;
mod coverage;
mod distributions;
mod evaluate;
mod folds;
mod metric;
mod metrics;
mod predictions;
mod report;
mod significance;
mod statistics;
mod threshold;
mod undefined;

pub use calibration::{
    CALIBRATION_BINS, Calibration, Decomposition, ProbabilityKind, ReliabilityBin,
    apply_temperature, calibration, fit_temperature,
};
pub use coverage::{Coverage, CoverageLevel, coverage};
pub use evaluate::{evaluate, score};
pub use folds::{RunsEstimate, across_runs, across_values, pool};
pub use metric::{Metric, UnknownMetric};
pub use metrics::{
    AnswerScore, Candidate, NoAnswerThreshold, PooledAnswers, best_no_answer_threshold,
    pool_snippets, pool_snippets_above,
};
pub use predictions::{
    Answer, AnswerPredictions, ChoicePredictions, ClassPredictions, EntityPredictions, EntitySpan,
    EvaluationError, FactoidPredictions, ListAnswer, ListPredictions, MultiLabelPredictions,
    PoolError, Predictions, RankedAnswers, ScorePredictions, SpanPredictions, TaskKind,
};
pub use report::{
    AnswerReport, BootstrapSummary, ClassReport, ConfusionMatrix, EntityReport, Estimate, Report,
    UNSEEN,
};
pub use significance::{
    Comparison, ComparisonError, ComparisonOptions, Difference, McNemar, compare, mcnemar,
};
pub use statistics::{BootstrapOptions, MeanAndSd, mean_and_sd};
pub use threshold::{ThresholdObjective, UnknownObjective, best_threshold};
pub use undefined::Undefined;
