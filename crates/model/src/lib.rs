//! Tensors to tensors: BERT-family encoders and their heads, with weights in Hugging Face's layout.
//!
//! Start at [`Encoder`]: embeddings → layers → pooler. Its layers work on packed rows
//! `[tokens, hidden]`; a [`Sequences`] value says where each sequence lies, and attention alone
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

mod batch;
mod config;
mod context;
mod device;
mod dropout_stream;
mod electra;
mod encoder;
pub mod heads;
mod initialize;
pub mod losses;
mod mapped;
mod model;
mod names;
pub mod ops;
mod precision;
mod sequences;
mod tape;
pub mod weights;

pub use batch::Batch;
pub use config::{Activation, ConfigError, EncoderConfig, Family, ProblemType};
pub use context::{Context, TrainingPass};
pub use device::{
    DeviceError, DeviceInfo, DeviceKind, DeviceList, DeviceSpec, ParseDeviceError, ResolvedDevice,
    automatic, devices, has_nccl, is_cpu, is_cuda, missing_backends,
};
pub use dropout_stream::DropoutStream;
pub use electra::{Electra, Generator};
pub use encoder::{Embeddings, Encoder, Layer};
pub use initialize::Initializer;
pub use model::{
    ChoiceModel, DiscriminatorModel, Head, MlmModel, Model, ModelError, ModelFolder,
    PretrainingModel, SequenceModel, SpanModel, TokenModel,
};
pub use names::{Architecture, Naming};
pub use precision::{MatmulPrecision, ParsePrecisionError, Precision, PrecisionError};
pub use sequences::Sequences;
pub use weights::{Checkpoint, HeadPolicy, LoadReport, WeightsError};
