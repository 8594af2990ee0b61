//! The configuration of a run: one TOML file that, run again, repeats the run.
//!
//! The file is parsed alone, so that errors carry line and caret; then each override is applied, so that errors name
//! it; then everything is checked at once, so that all problems are reported together.

mod data;
mod documents;
mod error;
mod finetune;
mod model;
mod optimizer;
mod overriding;
pub mod pretrain;
mod questions;
mod run;
mod tagging;
mod task;
mod training;

pub use data::{DataConfig, FileFormat, FoldConfig};
pub use documents::{DocumentsConfig, Pool, SectionBreaks};
pub use error::RunConfigError;
pub use finetune::Finetune;
pub use model::{FreshModel, ModelConfig, TokenizerConfig, TokenizerKind};
pub use optimizer::{OptimizerConfig, ScheduleConfig, ScheduleKind};
pub use overriding::{Override, Source};
pub use pretrain::Pretrain;
pub use questions::{QuestionConfig, QuestionHead};
pub use run::{RunConfig, RunKind};
pub use tagging::{NerConfig, TagHead};
pub use task::{Calibrate, ClassWeights, LossConfig, NamedWeights, TaskConfig, Threshold};
pub use training::{MicroBatch, Sampler, TrainingConfig};

/// The configuration of a fine-tuning run.
pub type FinetuneConfig = RunConfig<Finetune>;

/// The configuration of a pretraining run.
pub type PretrainConfig = RunConfig<Pretrain>;
