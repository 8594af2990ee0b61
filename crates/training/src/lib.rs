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
pub mod config;
mod crossval;
mod engine;
mod error;
mod evaluation;
mod fill_mask;
mod folds;
mod predictor;
mod prepare;
pub mod pretrain;
mod questions;
mod run;
mod stored;
mod tag_evaluation;
mod tagger;
pub mod tasks;

pub use config::{FinetuneConfig, MicroBatch, Override, RunConfig, RunConfigError};
pub use crossval::{
    Crossval, CrossvalOptions, CrossvalReport, CrossvalRun, PooledReport, RunReport, RunState,
};
pub use engine::observer::{
    Estimate, EvaluationReport, Event, Observer, ProbeReport, Silent, StepReport, Summary,
};
pub use engine::optimizer::{AdamW, GradientSum};
pub use engine::param_groups::{ParamGroup, param_group};
pub use engine::profile::{Phase, Profile};
pub use engine::schedule::{Length, Schedule};
pub use engine::store::MetricLine;
pub use error::TrainError;
pub use evaluation::{EvalOptions, Evaluation, Perturbed, RowResult, evaluate};
pub use fill_mask::{Candidate, MaskEvery, MaskFiller, MaskedScore};
pub use predictor::{Outputs, Predictor};
pub use prepare::{Outcome, Prepared, Reading, prepare, read_options};
pub use questions::{
    Answerer, Proposal, QuestionEvalOptions, QuestionEvaluation, QuestionGroup, QuestionResult,
    evaluate_questions, proposals,
};
pub use run::directory::{DirectoryPolicy, RunDirectory, write_atomically};
pub use stored::{StoredEvaluation, StoredRow, stored_evaluations};
pub use tag_evaluation::{TagEvalOptions, TagEvaluation, TagRow, evaluate_tags};
pub use tagger::{Answers, FoundEntity, TaggedWords, Tagger};
pub use tasks::{Answer, QuestionInfo, TaskInfo};
