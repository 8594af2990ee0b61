//! The configuration of a run: a header that all runs share, and the settings of one kind of run.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};

use bertkit_model::{Family, Precision};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use toml::{Table, Value};

use super::error::RunConfigError;
use super::finetune::Finetune;
use super::model::{FreshModel, ModelConfig, TokenizerConfig};
use super::optimizer::{OptimizerConfig, ScheduleConfig};
use super::overriding::{Override, Source, collect_keys, resolve};

/// Everything that decides a run of kind `K`.
///
/// The settings of the kind are fields of [`Self::kind`]; since the configuration dereferences to it, they are reached
/// as `config.data` just like those of the header, `config.seed`. In TOML all of them lie side by side, in the order of
/// [`RunKind::File`].
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(into = "K::File", bound = "K: RunKind")]
pub struct RunConfig<K: RunKind = Finetune> {
    /// Seed of everything random: fresh weights, the order of rows, dropout, masks and splits.
    pub seed: u64,
    /// `auto`, `cpu`, `wgpu`, `wgpu:N`, `cuda` or `cuda:N`, or several GPUs: `cuda:0,cuda:1`.
    pub device: String,
    /// Matmul precision: `f32`, `tf32`, `bf16` or `f16`; everything else is computed in f32.
    pub precision: Precision,
    /// The run directory.
    pub output: Option<PathBuf>,
    /// Where the encoder comes from.
    pub model: ModelConfig,
    /// The tokenizer, or the one to train where none is given.
    pub tokenizer: TokenizerConfig,
    /// The optimizer.
    pub optimizer: OptimizerConfig,
    /// The learning-rate schedule.
    pub schedule: ScheduleConfig,
    /// The settings of this kind of run.
    pub kind: K,
}

impl<K: RunKind> Default for RunConfig<K> {
    fn default() -> Self {
        let mut config = Self {
            seed: 42,
            device: "auto".into(),
            precision: Precision::default(),
            output: None,
            model: ModelConfig::default(),
            tokenizer: TokenizerConfig::default(),
            optimizer: OptimizerConfig::default(),
            schedule: ScheduleConfig::default(),
            kind: K::default(),
        };
        K::change_defaults(&mut config);
        config
    }
}

/// By the layout of the kind's file.
impl<'de, K: RunKind> Deserialize<'de> for RunConfig<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        K::File::deserialize(deserializer).map(Into::into)
    }
}

impl<K: RunKind> Deref for RunConfig<K> {
    type Target = K;

    fn deref(&self) -> &K {
        &self.kind
    }
}

impl<K: RunKind> DerefMut for RunConfig<K> {
    fn deref_mut(&mut self) -> &mut K {
        &mut self.kind
    }
}

/// A kind of run: its settings beyond the header, and what follows from them.
pub trait RunKind: fmt::Debug + Clone + PartialEq + Default {
    /// The layout of the TOML file: the settings of header and kind in the order in which they are written.
    type File: Serialize
        + DeserializeOwned
        + Default
        + From<RunConfig<Self>>
        + Into<RunConfig<Self>>;

    /// The setting that is a choice between tables, of which an override leaves one.
    const CHOICE: &'static str;

    /// Changes what this kind starts from in the header.
    fn change_defaults(_config: &mut RunConfig<Self>) {}

    /// Reads a source with overrides, and fills in what follows from other settings.
    ///
    /// # Errors
    /// The file cannot be read or parsed, or an override does not fit.
    fn read(source: Source<'_>, overrides: &[Override]) -> Result<RunConfig<Self>, RunConfigError> {
        resolve(source, overrides, Table::new())
    }

    /// The rules between settings that no single value shows; `need` takes what must hold, and the problem otherwise.
    fn rules(config: &RunConfig<Self>, need: &mut dyn FnMut(bool, String));

    /// A configuration that has every optional setting, from which the keys are listed.
    fn full() -> RunConfig<Self>;

    /// Keys that exist beside those of [`Self::full`].
    fn more_keys() -> Vec<String> {
        Vec::new()
    }

    /// Whether users may make up this key, such as the name of a class.
    fn free_key(_key: &str) -> bool {
        false
    }

    /// The table that a name in its place stands for, so that an override of one of its keys changes that key alone.
    fn spelled_out(_key: &str, _name: &Value) -> Option<Table> {
        None
    }
}

impl<K: RunKind> RunConfig<K> {
    /// Reads the file (if any), applies the overrides in order, and checks the result.
    ///
    /// # Errors
    /// The file cannot be read or parsed, an override does not fit, or settings contradict each other.
    pub fn resolve(file: Option<&Path>, overrides: &[Override]) -> Result<Self, RunConfigError> {
        let config = Self::resolve_unchecked(file, overrides)?;
        config.check()?;
        Ok(config)
    }

    /// As [`Self::resolve`], without the check of ranges and of rules between settings.
    ///
    /// # Errors
    /// The file cannot be read or parsed, or an override does not fit.
    pub fn resolve_unchecked(
        file: Option<&Path>,
        overrides: &[Override],
    ) -> Result<Self, RunConfigError> {
        K::read(file.map_or(Source::Nothing, Source::File), overrides)
    }

    /// The TOML file that repeats this run.
    ///
    /// # Panics
    /// Never: every value of a configuration has a form in TOML.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("a configuration has a form in TOML")
    }

    /// Checks ranges, and the rules between settings.
    ///
    /// # Errors
    /// All problems at once.
    pub fn check(&self) -> Result<(), RunConfigError> {
        let mut problems = Vec::new();
        let mut need = |ok: bool, text: String| {
            if !ok {
                problems.push(text);
            }
        };
        K::rules(self, &mut need);
        if let Err(error) = self.device.parse::<bertkit_model::DeviceList>() {
            need(false, error.to_string());
        }
        if problems.is_empty() {
            Ok(())
        } else {
            Err(RunConfigError::Problems { problems })
        }
    }

    /// Every key that exists, such as `data.text`.
    pub fn keys() -> Vec<String> {
        let mut keys = Vec::new();
        if let Ok(table) = Table::try_from(K::full()) {
            collect_keys("", &table, &mut keys);
        }
        keys.extend(K::more_keys());
        keys
    }

    /// Whether a key exists.
    pub(crate) fn knows(key: &str) -> bool {
        K::free_key(key) || Self::keys().iter().any(|known| known == key)
    }
}

/// A header that has every optional setting.
pub(super) fn full_header<K: RunKind>() -> RunConfig<K> {
    let path = || Some(PathBuf::from("x"));
    let mut full = RunConfig {
        output: path(),
        model: ModelConfig {
            path: path(),
            fresh: Some(FreshModel {
                family: Family::Bert,
                num_hidden_layers: 1,
                hidden_size: 1,
                num_attention_heads: 1,
                intermediate_size: 1,
                max_position_embeddings: 1,
                embedding_size: Some(1),
                initializer_range: Some(0.02),
                hidden_dropout: 0.0,
                attention_dropout: 0.0,
            }),
            hidden_dropout: Some(0.0),
            attention_dropout: Some(0.0),
            classifier_dropout: Some(0.0),
        },
        ..RunConfig::default()
    };
    full.tokenizer.path = path();
    full.schedule.warmup_steps = Some(1);
    full
}

/// Declares the layout of a kind's TOML file, with the conversions from and to [`RunConfig`].
///
/// The header's settings have their place between those of the kind: `seed` to `model` first, `tokenizer` after the
/// first group, `optimizer` and `schedule` after the second.
macro_rules! run_file {
    (
        $kind:ident in $file:ident:
        header { $($a:ident: $at:ty),* }
        tokenizer { $($b:ident: $bt:ty),* }
        optimizer schedule { $($c:ident: $ct:ty),* }
    ) => {
        #[doc = concat!("The TOML file of a [`", stringify!($kind), "`] run.")]
        #[derive(Debug, Serialize, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct $file {
            seed: u64,
            device: String,
            precision: Precision,
            #[serde(skip_serializing_if = "Option::is_none")]
            output: Option<PathBuf>,
            model: ModelConfig,
            $($a: $at,)*
            tokenizer: TokenizerConfig,
            $($b: $bt,)*
            optimizer: OptimizerConfig,
            schedule: ScheduleConfig,
            $($c: $ct,)*
        }

        impl Default for $file {
            fn default() -> Self {
                RunConfig::<$kind>::default().into()
            }
        }

        impl From<RunConfig<$kind>> for $file {
            fn from(config: RunConfig<$kind>) -> Self {
                let RunConfig {
                    seed, device, precision, output, model, tokenizer, optimizer, schedule, kind,
                } = config;
                let $kind { $($a,)* $($b,)* $($c,)* } = kind;
                Self {
                    seed, device, precision, output, model, tokenizer, optimizer, schedule,
                    $($a,)* $($b,)* $($c,)*
                }
            }
        }

        impl From<$file> for RunConfig<$kind> {
            fn from(file: $file) -> Self {
                let $file {
                    seed, device, precision, output, model, tokenizer, optimizer, schedule,
                    $($a,)* $($b,)* $($c,)*
                } = file;
                let kind = $kind { $($a,)* $($b,)* $($c,)* };
                Self {
                    seed, device, precision, output, model, tokenizer, optimizer, schedule, kind,
                }
            }
        }
    };
}
pub(super) use run_file;
