//! The description of a setting, and [`settings!`], which declares settings.
//!
//! A declaration has the key, the type, the default, the documentation, the allowed range and the command-line flag.
//! From it the macro generates the struct field with its serialization, the default, the range check, the
//! list of keys, the flags with their help, and the reference. `docs/design/settings.md` explains why it is a macro.

use std::path::PathBuf;

use serde::Serialize;
use serde::de::DeserializeOwned;
use toml::{Table, Value};

use super::flag::Flag;
use super::form::Form;
use super::range::Range;

/// A setting, or a table of settings.
#[derive(Debug, Clone)]
pub struct Setting {
    /// The key: relative to its table as declared, full once listed.
    pub key: String,
    /// What it means.
    pub doc: String,
    /// The form of its values.
    pub form: Form,
    /// The default, if there is one.
    pub default: Option<Value>,
    /// The allowed range of numbers.
    pub range: Option<Range>,
    /// The flags that set it: at most one per kind of run.
    pub flags: Vec<Flag>,
    /// Its settings, if it is a table.
    pub parts: Vec<Setting>,
    /// Whether it is a choice between its parts, of which an override keeps one.
    pub choice: bool,
    /// Whether its keys are chosen by the user, such as class names.
    pub free_keys: bool,
    /// Expands a name given instead of a table.
    pub spelled_out: Option<fn(&Value) -> Option<Table>>,
}

impl Setting {
    /// A setting with values of type `T`.
    pub fn new<T: SettingValue>(key: &str, doc: &str) -> Self {
        Self {
            key: key.into(),
            doc: doc
                .lines()
                .map(str::trim)
                .collect::<Vec<_>>()
                .join(" ")
                .trim()
                .into(),
            form: Form::of::<T>(),
            default: None,
            range: None,
            flags: Vec::new(),
            parts: T::parts(),
            choice: false,
            free_keys: false,
            spelled_out: None,
        }
    }

    /// Restricts it to these numbers.
    #[must_use]
    pub fn range(mut self, range: Range) -> Self {
        self.range = Some(range);
        self
    }

    /// Adds a flag.
    #[must_use]
    pub fn flag(mut self, flag: Flag) -> Self {
        self.flags.push(flag);
        self
    }

    /// Sets the default, if that of the struct does not show it.
    #[must_use]
    pub fn default(mut self, value: impl Into<Value>) -> Self {
        self.default = Some(value.into());
        self
    }

    /// Makes it a choice between its parts, of which an override keeps one.
    #[must_use]
    pub fn choice(mut self) -> Self {
        self.choice = true;
        self
    }

    /// Allows arbitrary keys below this one.
    #[must_use]
    pub fn free_keys(mut self) -> Self {
        self.free_keys = true;
        self
    }

    /// Sets the expansion of a name to a table, so that an override of one key changes only that key.
    #[must_use]
    pub fn spelled_out(mut self, table: fn(&Value) -> Option<Table>) -> Self {
        self.spelled_out = Some(table);
        self
    }

    /// A table that has no type of its own, such as a variant of an enum.
    pub(super) fn table(key: &str, doc: &str, parts: Vec<Setting>) -> Self {
        Self {
            form: Form::Table,
            parts,
            ..Self::new::<bool>(key, doc)
        }
    }

    /// The default as users write it, if it is a single value.
    pub fn default_text(&self) -> Option<String> {
        match self.default.as_ref()? {
            Value::Float(number) if *number != 0.0 && number.abs() < 1e-3 => {
                Some(format!("{number:e}"))
            }
            Value::Float(number) => Some(number.to_string()),
            Value::String(text) => Some(text.clone()),
            // A variant of an enum with fields.
            Value::Table(table) if self.choice && table.len() == 1 => table.keys().next().cloned(),
            Value::Table(_) => None,
            Value::Array(items) if items.is_empty() => None,
            value => Some(value.to_string()),
        }
    }

    /// Lists this setting and all settings in it, with full keys, in the order of the file.
    pub(super) fn list(mut self, above: &str, into: &mut Vec<Setting>) {
        self.key = join(above, &self.key);
        let parts = std::mem::take(&mut self.parts);
        let key = self.key.clone();
        into.push(self);
        for part in parts {
            part.list(&key, into);
        }
    }
}

/// The key of a part of another key.
pub(crate) fn join(above: &str, key: &str) -> String {
    match above {
        "" => key.into(),
        above => format!("{above}.{key}"),
    }
}

/// A type of settings. The defaults of the methods are for plain values.
pub trait SettingValue: Serialize + DeserializeOwned {
    /// Its settings, if it is a table.
    fn parts() -> Vec<Setting> {
        Vec::new()
    }

    /// Whether it is omitted when the configuration is written.
    fn is_unset(&self) -> bool {
        false
    }

    /// Adds the problems of values out of range, including those of its parts.
    fn check(&self, _key: &str, _range: Option<Range>, _problems: &mut Vec<String>) {}
}

/// Types without a range.
macro_rules! plain_values {
    ($($type:ty),* $(,)?) => {
        $(impl $crate::config::setting::SettingValue for $type {})*
    };
}
pub(crate) use plain_values;

plain_values!(bool, PathBuf);

/// Numbers: the range applies to their value.
macro_rules! numbers {
    ($($type:ty),*) => {
        $(impl SettingValue for $type {
            fn check(&self, key: &str, range: Option<Range>, problems: &mut Vec<String>) {
                // Integers up to 2^53 are exact, and no range has a larger bound.
                problems.extend(range.and_then(|range| range.problem(key, *self as f64, self)));
            }
        })*
    };
}

numbers!(f64, usize, u64, u32);

impl SettingValue for String {
    /// The range applies to the length in bytes.
    fn check(&self, key: &str, range: Option<Range>, problems: &mut Vec<String>) {
        if self.is_empty()
            && let Some(range) = range
        {
            problems.push(format!("`{key}` is empty, expected {range}"));
        }
    }
}

impl<T: SettingValue> SettingValue for Option<T> {
    fn parts() -> Vec<Setting> {
        T::parts()
    }

    fn is_unset(&self) -> bool {
        self.is_none()
    }

    fn check(&self, key: &str, range: Option<Range>, problems: &mut Vec<String>) {
        if let Some(value) = self {
            value.check(key, range, problems);
        }
    }
}

/// How lists of a type are written in a configuration.
pub trait ListItem: SettingValue {
    /// Whether an empty list is omitted.
    const EMPTY_IS_UNSET: bool;
}

impl ListItem for PathBuf {
    const EMPTY_IS_UNSET: bool = false;
}

impl ListItem for u64 {
    const EMPTY_IS_UNSET: bool = false;
}

impl ListItem for String {
    const EMPTY_IS_UNSET: bool = true;
}

impl<T: ListItem> SettingValue for Vec<T> {
    fn is_unset(&self) -> bool {
        T::EMPTY_IS_UNSET && self.is_empty()
    }

    fn check(&self, key: &str, range: Option<Range>, problems: &mut Vec<String>) {
        for (at, item) in self.iter().enumerate() {
            item.check(&format!("{key}[{at}]"), range, problems);
        }
    }
}

/// Declares a table of settings: a struct of which each field is a setting.
///
/// ```text
/// settings! {
///     /// AdamW (Loshchilov & Hutter 2019).
///     pub struct OptimizerConfig {
///         /// Weight decay, decoupled; not applied to biases and LayerNorm.
///         weight_decay: f64 = 0.01 => {
///             .range(at_least(0.0))
///             .flag(flag("weight-decay").value("RATE").under("Optimizer").help("Decoupled weight decay"))
///         },
///     }
/// }
/// ```
///
/// Each field has its documentation; its name, and its key if different (`kind as "type"`); the type, a
/// [`SettingValue`]; the default, that of the type if not given; and calls of [`Setting`]'s methods. Attributes of serde
/// may precede the name. With `without default` after the name of the struct, its fields have no `=` and must be given,
/// except those with a default for serde.
macro_rules! settings {
    (
        $(#[doc = $about:literal])+
        $(#[derive($($more:ident),+)])?
        pub struct $name:ident {
            $(
                $(#[doc = $doc:literal])+
                $field:ident $(as $key:literal)? : $type:ty $(= $default:expr)? $(=> { $($spec:tt)* })?
            ),* $(,)?
        }
    ) => {
        $(#[doc = $about])+
        #[derive(Debug, Clone, PartialEq, ::serde::Serialize, ::serde::Deserialize)]
        $(#[derive($($more),+)])?
        #[serde(deny_unknown_fields, default)]
        pub struct $name {
            $(
                $(#[doc = $doc])+
                $(#[serde(rename = $key)])?
                #[serde(skip_serializing_if = "crate::config::setting::SettingValue::is_unset")]
                pub $field: $type,
            )*
        }

        impl Default for $name {
            fn default() -> Self {
                Self {
                    $($field: $crate::config::setting::settings!(@default $($default)?),)*
                }
            }
        }

        $crate::config::setting::settings! {
            @describe $name, toml::Table::try_from($name::default()).unwrap_or_default();
            $($field, [$($key)?], $type, concat!($($doc, "\n"),+), [$($($spec)*)?];)*
        }
    };
    (
        $(#[doc = $about:literal])+
        pub struct $name:ident without default {
            $(
                $(#[doc = $doc:literal])+
                $(#[serde($($serde:tt)+)])?
                $field:ident: $type:ty $(=> { $($spec:tt)* })?
            ),* $(,)?
        }
    ) => {
        $(#[doc = $about])+
        #[derive(Debug, Clone, PartialEq, ::serde::Serialize, ::serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            $(
                $(#[doc = $doc])+
                $(#[serde($($serde)+)])?
                #[serde(skip_serializing_if = "crate::config::setting::SettingValue::is_unset")]
                pub $field: $type,
            )*
        }

        $crate::config::setting::settings! {
            @describe $name, toml::Table::new();
            $($field, [], $type, concat!($($doc, "\n"),+), [$($($spec)*)?];)*
        }
    };
    (
        @describe $name:ident, $defaults:expr;
        $($field:ident, [$($key:literal)?], $type:ty, $doc:expr, [$($spec:tt)*];)*
    ) => {
        impl $crate::config::setting::SettingValue for $name {
            fn parts() -> Vec<$crate::config::setting::Setting> {
                let defaults = $defaults;
                let with_default = |mut setting: $crate::config::setting::Setting| {
                    let default = defaults.get(&setting.key).cloned();
                    setting.default = default.or(setting.default);
                    setting
                };
                vec![$(with_default(
                    $crate::config::setting::Setting::new::<$type>(
                        $crate::config::setting::settings!(@key $field $($key)?),
                        $doc,
                    ) $($spec)*
                ),)*]
            }

            fn check(
                &self,
                key: &str,
                _range: Option<$crate::config::range::Range>,
                problems: &mut Vec<String>,
            ) {
                let mut parts = Self::parts().into_iter();
                $(if let Some(part) = parts.next() {
                    let key = $crate::config::setting::join(key, &part.key);
                    $crate::config::setting::SettingValue::check(
                        &self.$field, &key, part.range, problems,
                    );
                })*
            }
        }
    };
    (@default) => { Default::default() };
    (@default $default:expr) => { $default };
    (@key $field:ident) => { stringify!($field) };
    (@key $field:ident $key:literal) => { $key };
}
pub(crate) use settings;
