//! The configuration of a run: one TOML file, from which the run can be repeated.
//!
//! The file is parsed first, so that errors have line and caret; then each override is applied, so that errors name
//! it; then everything is checked together, so that all problems are reported at once.
//!
//! Each setting is declared in one place, with the `settings!` macro of `setting.rs`: key, type, default, range, flag and
//! documentation.

mod data;
mod error;
mod finetune;
pub mod flag;
mod form;
mod model;
mod optimizer;
mod overriding;
pub mod pretrain;
pub(crate) mod range;
mod reference;
mod run;
pub(crate) mod setting;
mod task;
mod training;

pub use crate::tasks::qa::config::{QuestionConfig, QuestionHead};
pub use crate::tasks::tagging::config::{NerConfig, TagHead};
pub use crate::tasks::text::config::{DocumentsConfig, Pool, SectionBreaks};
pub use data::{DataConfig, FoldConfig};
pub use error::RunConfigError;
pub use finetune::{Finetune, FinetuneConfig};
pub use form::Form;
pub use model::{FreshModel, ModelConfig, TokenizerConfig, TokenizerKind};
pub use optimizer::{OptimizerConfig, ScheduleConfig, ScheduleKind};
pub use overriding::{Override, Source};
pub use pretrain::{Pretrain, PretrainConfig};
pub use range::Range;
pub use reference::{Entry, explain, reference};
pub use run::{OUTPUT_HEADING, RunConfig, RunKind};
pub use setting::{ListItem, Setting, SettingValue};
pub use task::{Calibrate, ClassWeights, LossConfig, NamedWeights, TaskConfig, Threshold};
pub use training::{MicroBatch, Sampler, TrainingConfig};
