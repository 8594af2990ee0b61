//! The configuration of a run: a header common to all runs, and the settings of one kind of run.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};

use bertkit_model::{DeviceList, Precision};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use toml::{Table, Value};

use super::error::RunConfigError;
use super::flag::{Parse, flag};
use super::model::{ModelConfig, TokenizerConfig};
use super::optimizer::{OptimizerConfig, ScheduleConfig};
use super::overriding::{self, Override, Source, at};
use super::range::Range;
use super::setting::{Setting, SettingValue, join, settings};

/// Declares the header: [`RunConfig`] with its default, its descriptions and the check of its ranges.
macro_rules! header {
    ($(
        $(#[doc = $doc:literal])+
        $field:ident: $type:ty $(= $default:expr)? $(=> { $($spec:tt)* })?
    ),* $(,)?) => {
        /// The complete configuration of a run of kind `K`.
        ///
        /// The settings of the kind are fields of [`Self::kind`]; because the configuration dereferences to it, they are
        /// accessed as `config.data`, like those of the header (`config.seed`). In TOML all of them are at the same level,
        /// in the order of [`RunKind::File`].
        #[derive(Debug, Clone, PartialEq, Serialize)]
        #[serde(into = "K::File", bound = "K: RunKind")]
        pub struct RunConfig<K: RunKind> {
            $($(#[doc = $doc])+ pub $field: $type,)*
            /// The settings of this kind of run.
            pub kind: K,
        }

        impl<K: RunKind> Default for RunConfig<K> {
            fn default() -> Self {
                let mut config = Self {
                    $($field: settings!(@default $($default)?),)*
                    kind: K::default(),
                };
                K::change_defaults(&mut config);
                config
            }
        }

        impl<K: RunKind> SettingValue for RunConfig<K> {
            fn parts() -> Vec<Setting> {
                let mut parts = vec![
                    $(Setting::new::<$type>(stringify!($field), concat!($($doc, "\n"),+)) $($($spec)*)?,)*
                ];
                parts.extend(K::parts());
                parts
            }

            fn check(&self, key: &str, _range: Option<Range>, problems: &mut Vec<String>) {
                let mut parts = Self::parts().into_iter();
                $(if let Some(part) = parts.next() {
                    SettingValue::check(&self.$field, &join(key, &part.key), part.range, problems);
                })*
                SettingValue::check(&self.kind, key, None, problems);
            }
        }
    };
}

header! {
    /// Seed of everything random: fresh weights, the order of rows, dropout, masks and splits.
    seed: u64 = 42 => {
        .flag(flag("Training", "seed", "Decides fresh weights, the order of rows, dropout and splits")
            .value("N").parse(Parse::Seed).only("finetune").rank(1))
        .flag(flag("Training", "seed", "Decides fresh weights, sequences and their order, masks, dropout and what is held \
                out").value("N").parse(Parse::Seed).only("pretrain").rank(1))
    },
    /// `auto`, `cpu`, `wgpu`, `wgpu:N`, `cuda` or `cuda:N`, or several GPUs: `cuda:0,cuda:1`.
    device: String = "auto".into() => {
        .flag(flag("Training", "device", "auto, cpu, wgpu, wgpu:N, cuda or cuda:N; several GPUs of one kind share each \
                batch: cuda:0,cuda:1").value("DEVICES").with(device).rank(1))
    },
    /// Matmul precision: `f32`, `tf32`, `bf16` or `f16`; everything else is computed in f32.
    precision: Precision = Precision::default() => {
        .flag(flag("Training", "precision", "What the factors of matrix products are rounded to; weights, sums, LayerNorm, \
                softmax and loss are f32. f16 scales the loss; tf32 is for NVIDIA GPUs; a CPU only imitates")
            .value("PRECISION").rank(1))
    },
    /// The run directory.
    output: Option<PathBuf> => {
        .flag(flag(OUTPUT_HEADING, "output", "The run directory; must be new or empty, unless [option.resume] or \
                [option.overwrite]").value("DIR"))
    },
    /// Where the encoder comes from.
    model: ModelConfig,
    /// The tokenizer, or the one to train where none is given.
    tokenizer: TokenizerConfig,
    /// The optimizer.
    optimizer: OptimizerConfig,
    /// The learning-rate schedule.
    schedule: ScheduleConfig,
}

/// The heading of flags about outputs; commands add their own options to it.
pub const OUTPUT_HEADING: &str = "Output";

/// Uses the layout of the kind's file.
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

/// A kind of run: its settings beyond the header, and the rules between them.
pub trait RunKind: SettingValue + fmt::Debug + Clone + PartialEq + Default {
    /// The layout of the TOML file: the settings of header and kind in the order in which they are written.
    type File: Serialize
        + DeserializeOwned
        + Default
        + From<RunConfig<Self>>
        + Into<RunConfig<Self>>;

    /// The name of the kind and of its command; flags may be restricted to one kind.
    const NAME: &'static str;

    /// The headings of the help, in order.
    const HEADINGS: &'static [&'static str];

    /// Changes the header's defaults for this kind.
    fn change_defaults(_config: &mut RunConfig<Self>) {}

    /// Reads a source with overrides, and fills in settings that depend on others.
    ///
    /// # Errors
    /// The file cannot be read or parsed, or an override does not fit.
    fn read(source: Source<'_>, overrides: &[Override]) -> Result<RunConfig<Self>, RunConfigError> {
        resolve(source, overrides, Table::new())
    }

    /// The rules between settings: calls `need` with each condition and the error message if it fails.
    fn rules(config: &RunConfig<Self>, need: &mut dyn FnMut(bool, String));
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

    /// The TOML file from which this run can be repeated.
    ///
    /// # Panics
    /// Never: every value of a configuration has a form in TOML.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("a configuration has a form in TOML")
    }

    /// Checks the rules between settings, and the range of each.
    ///
    /// # Errors
    /// All problems at once.
    pub fn check(&self) -> Result<(), RunConfigError> {
        let mut problems = Vec::new();
        K::rules(self, &mut |ok: bool, text: String| {
            if !ok {
                problems.push(text);
            }
        });
        SettingValue::check(self, "", None, &mut problems);
        if let Err(error) = self.device.parse::<DeviceList>() {
            problems.push(error.to_string());
        }
        if problems.is_empty() {
            Ok(())
        } else {
            Err(RunConfigError::Problems { problems })
        }
    }

    /// The rules of the header; `no_model` is the error message if neither a folder nor sizes are given.
    pub(super) fn header_rules(&self, no_model: &str, need: &mut dyn FnMut(bool, String)) {
        let model = &self.model;
        need(
            self.output.is_some(),
            "`output` is missing: give the run directory with [output=DIR]".into(),
        );
        need(
            model.path.is_some() || model.fresh.is_some(),
            no_model.into(),
        );
        need(
            model.path.is_none() || model.fresh.is_none(),
            "`model.path` and `model.fresh` exclude each other: load a model, or start a fresh one"
                .into(),
        );
        self.schedule.rules(need);
    }

    /// Every setting and table of settings, with its key from the root and its default in this kind of run.
    pub fn settings() -> Vec<Setting> {
        let mut settings = Self::list();
        let config = K::read(Source::Nothing, &[]).ok();
        let defaults = config.and_then(|config| Table::try_from(config).ok());
        for setting in &mut settings {
            let default = defaults.as_ref().and_then(|table| at(table, &setting.key));
            setting.default = default.cloned().or(setting.default.take());
            setting
                .flags
                .retain(|flag| flag.only.is_none_or(|kind| kind == K::NAME));
        }
        settings
    }

    /// Every setting, with its key from the root.
    pub(super) fn list() -> Vec<Setting> {
        let mut all = Vec::new();
        for part in Self::parts() {
            part.list("", &mut all);
        }
        all
    }
}

/// Merges a source into a table of defaults, and applies the overrides in order.
///
/// # Errors
/// The file cannot be read or parsed, or an override does not fit.
pub(super) fn resolve<K: RunKind>(
    source: Source<'_>,
    overrides: &[Override],
    defaults: Table,
) -> Result<RunConfig<K>, RunConfigError> {
    let settings = RunConfig::<K>::list();
    overriding::resolve::<K::File>(source, overrides, defaults, &settings).map(Into::into)
}

fn device(text: &str) -> Result<Value, String> {
    let devices = text.parse::<DeviceList>().map_err(|e| e.to_string())?;
    Ok(Value::String(devices.to_string()))
}

/// Declares the layout of a kind's TOML file, with the conversions from and to [`RunConfig`].
///
/// The header's settings are placed between those of the kind: `seed` to `model` first, `tokenizer` after the
/// first group, `optimizer` and `schedule` after the second.
macro_rules! run_file {
    (
        $kind:ident in $file:ident:
        header { $($a:ident: $at:ty),* }
        tokenizer { $($b:ident: $bt:ty),* }
        optimizer schedule { $($c:ident: $ct:ty),* }
    ) => {
        #[doc = concat!("The TOML file of a [`", stringify!($kind), "`] run.")]
        #[derive(Debug, ::serde::Serialize, ::serde::Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct $file {
            seed: u64,
            device: String,
            precision: ::bertkit_model::Precision,
            #[serde(skip_serializing_if = "Option::is_none")]
            output: Option<::std::path::PathBuf>,
            model: $crate::config::ModelConfig,
            $($a: $at,)*
            tokenizer: $crate::config::TokenizerConfig,
            $($b: $bt,)*
            optimizer: $crate::config::OptimizerConfig,
            schedule: $crate::config::ScheduleConfig,
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
