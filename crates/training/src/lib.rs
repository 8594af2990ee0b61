//! Tasks, the training loop, run directories, evaluation and prediction.
//!
//! [`prepare()`] turns a [`FinetuneConfig`] into a [`FinetuneRun`] without writing anything; [`FinetuneRun::train`] trains it;
//! a [`Predictor`] predicts, and [`evaluate`] evaluates it.
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
pub mod config;
mod crossval;
mod engine;
mod error;
mod fill_mask;
mod prepare;
pub mod pretrain;
mod run;
mod stored;
mod tasks;

pub use config::{FinetuneConfig, MicroBatch, Override, RunConfig, RunConfigError, RunKind};
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
pub use fill_mask::{Candidate, MaskEvery, MaskFiller, MaskedScore};
pub use prepare::prepare;
pub use run::directory::{DirectoryPolicy, RunDirectory};
pub use run::files::write_atomically;
pub use run::finetune::{FinetuneOutcome, FinetuneRun};
pub use run::resume::finish_interrupted;
pub use run::tables::{Reading, read_options};
pub use run::trained::TrainedModel;
pub use stored::stored_evaluations;
pub use tasks::evaluation::Perturbed;
pub use tasks::qa::evaluate::{
    QuestionEvalOptions, QuestionEvaluation, QuestionGroup, evaluate_questions,
};
pub use tasks::qa::info::QuestionInfo;
pub use tasks::qa::predict::QuestionAnswerer;
pub use tasks::qa::results::{Proposal, QuestionResult, proposals};
pub use tasks::rows::{OpenRowModel, RowEvalOptions, RowEvaluation, RowModel, RowPredictions};
pub use tasks::stored::{StoredEvaluation, StoredRow};
pub use tasks::tagging::evaluate::{TagEvalOptions, TagEvaluation, TagRow, evaluate_tags};
pub use tasks::tagging::info::{TagColumns, TagInfo};
pub use tasks::tagging::predict::{FoundEntity, TaggedWords, Tagger};
pub use tasks::text::evaluate::{EvalOptions, Evaluation, RowResult, evaluate};
pub use tasks::text::info::{Answer, TaskInfo};
pub use tasks::text::predict::{Outputs, Predictor};
pub use tasks::{TaskDescriptor, TaskInput, TaskKind, task_of_model};
