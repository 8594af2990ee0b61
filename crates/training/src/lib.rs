//! Tasks, the training loop, run directories, evaluation and prediction.
//!
//! [`prepare()`] turns a [`FinetuneConfig`] into a [`Prepared`] run without writing anything;
//! [`Prepared::train`] trains it; a [`Predictor`] answers, and [`evaluate`] says how well.
//!
//! ```no_run
//! use std::path::Path;
//! use std::sync::atomic::AtomicBool;
//!
//! use bertkit_training::{DirectoryPolicy, FinetuneConfig, Override, Predictor, Silent, prepare};
//!
//! # fn main() -> Result<(), bertkit_training::TrainError> {
//! let settings = ["data.train=train.csv", "model.path=models/minilm", "output=runs/first"];
//! let settings = settings.iter().map(|s| Override::parse(s)).collect::<Result<Vec<_>, _>>()?;
//! let config = FinetuneConfig::resolve(None, &settings)?;
//! let run = prepare(config, DirectoryPolicy::New, &mut Silent)?;
//! run.train(&mut Silent, &AtomicBool::new(false))?;
//!
//! let predictor = Predictor::open(Path::new("runs/first"), "cpu".parse().unwrap_or_default())?;
//! let answers = predictor.predict(&[("what a film".into(), None)], &mut |_| {})?;
//! println!("{}", answers[0].prediction);
//! # Ok(())
//! # }
//! ```

pub mod bench;
mod bioasq;
mod checkpoint;
pub mod config;
mod crossval;
mod error;
mod evaluation;
mod fill_mask;
mod folds;
mod launch;
mod observer;
mod optimizer;
mod predictor;
mod prepare;
pub mod pretrain;
mod profile;
mod questions;
mod run_dir;
mod scaling;
mod schedule;
mod stored;
mod tag_evaluation;
mod tagger;
pub mod tasks;
mod team;
mod trainer;
mod update;

pub use config::{FinetuneConfig, MicroBatch, Override, RunConfig, RunConfigError};
pub use crossval::{
    Crossval, CrossvalOptions, CrossvalReport, CrossvalRun, PooledReport, RunReport, RunState,
};
pub use error::TrainError;
pub use evaluation::{EvalOptions, Evaluation, Perturbed, RowResult, evaluate};
pub use fill_mask::{Candidate, MaskEvery, MaskFiller, MaskedScore};
pub use observer::{
    Estimate, EvaluationReport, Event, Observer, ProbeReport, Silent, StepReport, Summary,
};
pub use optimizer::{AdamW, GradientSum, ParameterRule, rule as parameter_rule};
pub use predictor::{Outputs, Predictor};
pub use prepare::{Outcome, Prepared, Reading, prepare, read_options};
pub use profile::{Phase, Profile};
pub use questions::{
    Answerer, Proposal, QuestionEvalOptions, QuestionEvaluation, QuestionGroup, QuestionResult,
    evaluate_questions, proposals,
};
pub use run_dir::{DirectoryPolicy, MetricLine, RunDirectory, write_atomically};
pub use schedule::{Length, Schedule};
pub use stored::{StoredEvaluation, StoredRow, stored_evaluations};
pub use tag_evaluation::{TagEvalOptions, TagEvaluation, TagRow, evaluate_tags};
pub use tagger::{Answers, FoundEntity, TaggedWords, Tagger};
pub use tasks::{Answer, QuestionInfo, TaskInfo};
