//! Tensors to tensors: BERT-family encoders and their heads, with weights in Hugging Face's layout.
//!
//! Start at [`Encoder`]: embeddings → layers → pooler. Its layers work on packed rows
//! `[tokens, hidden]`; a [`Sequences`] value has the rows of each sequence, and only attention
//! reads it. Nothing is computed for padding.
//!
//! ```
//! use bertkit_model::{Batch, Context, DeviceSpec, EncoderConfig, Family, SequenceModel};
//!
//! let device = DeviceSpec::Cpu.resolve().expect("the CPU is always there").device;
//! let config = EncoderConfig::new(Family::Bert, 100, 32, 2, 4, 64);
//! let model = SequenceModel::fresh(&config, 3, &device, 42);
//! let batch = Batch::new(vec![2, 7, 3, 2, 8, 9, 3], vec![0; 7], &[3, 4]);
//! assert_eq!(model.forward(&batch, Context::default()).dims(), [2, 3]);
//! ```

mod architecture;
mod batch;
mod config;
mod config_error;
mod context;
mod device;
mod dropout_stream;
mod electra;
mod encoder;
mod families;
pub mod heads;
mod initialize;
pub mod losses;
mod model;
mod naming;
pub mod ops;
mod precision;
mod sequences;
mod spec;
mod tape;
pub mod vectors;
pub mod weights;

pub use architecture::Architecture;
pub use batch::Batch;
pub use config_error::ConfigError;
pub use context::{Context, TrainingPass};
pub use device::{
    DeviceError, DeviceInfo, DeviceKind, DeviceList, DeviceSpec, ParseDeviceError, ResolvedDevice,
    automatic, devices, has_nccl, is_cpu, is_cuda, missing_backends,
};
pub use dropout_stream::DropoutStream;
pub use electra::{Electra, Generator};
pub use encoder::{Block, Embeddings, Encoder};
pub use families::{
    EncoderConfig, Family, FamilyDescriptor, ModelType, ProblemType, TokenizerStyle,
};
pub use initialize::Initializer;
pub use model::{
    ChoiceModel, DiscriminatorModel, Head, MlmModel, Model, ModelError, ModelFolder,
    PretrainingModel, SequenceModel, SpanModel, TokenModel,
};
pub use naming::Naming;
pub use precision::{MatmulPrecision, ParsePrecisionError, Precision, PrecisionError};
pub use sequences::Sequences;
pub use spec::{
    Activation, BlockSpec, EmbeddingSpec, EncoderSpec, LayerDepths, MlpSpec, NormPlacement,
    Positions,
};
pub use weights::{Checkpoint, HeadPolicy, LoadReport, WeightsError};
