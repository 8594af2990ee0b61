//! The reference of the settings: meaning, allowed values and default of each.

use std::fmt;

use serde::Serialize;

use super::run::{RunConfig, RunKind};
use super::setting::Setting;

/// The reference entry of a setting.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Entry {
    /// The key, such as `optimizer.learning_rate`.
    pub key: String,
    /// What it means.
    pub doc: String,
    /// The form of its values.
    pub form: String,
    /// The allowed range, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub range: Option<String>,
    /// The default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
    /// The flag of the command line, without dashes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flag: Option<&'static str>,
}

impl From<&Setting> for Entry {
    fn from(setting: &Setting) -> Self {
        Self {
            key: setting.key.clone(),
            doc: setting.doc.clone(),
            form: setting.form.to_string(),
            range: setting.range.map(|range| range.to_string()),
            default: setting.default_text(),
            flag: setting.flags.first().map(|flag| flag.name),
        }
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.key, self.form)?;
        if let Some(range) = &self.range {
            write!(f, ", {range}")?;
        }
        if let Some(default) = &self.default {
            write!(f, " (default {default})")?;
        }
        write!(f, "\n  {}", self.doc)
    }
}

/// Every setting of a kind of run, in the order of the file.
pub fn reference<K: RunKind>() -> Vec<Entry> {
    RunConfig::<K>::settings().iter().map(Entry::from).collect()
}

/// The entries of a key and of the keys below it; empty if there is no such key.
pub fn explain<K: RunKind>(key: &str) -> Vec<Entry> {
    let below = |entry: &Entry| {
        let rest = entry.key.strip_prefix(key);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    reference::<K>().into_iter().filter(below).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Finetune, Pretrain};

    #[test]
    fn a_key_is_explained() {
        let entries = explain::<Finetune>("optimizer.learning_rate");
        assert_eq!(
            entries.iter().map(Entry::to_string).collect::<Vec<_>>(),
            [
                "optimizer.learning_rate: a number, more than 0 and less than 1 (default 5e-5)\n  The highest learning rate of the schedule."
            ]
        );
        let rate = &explain::<Pretrain>("optimizer.learning_rate")[0];
        assert_eq!(rate.default.as_deref(), Some("5e-4"));
        assert!(explain::<Pretrain>("optimizer").len() > 5);
        assert!(explain::<Finetune>("optimizer.rate").is_empty());
    }

    #[test]
    fn every_setting_is_documented() {
        for entry in reference::<Finetune>()
            .into_iter()
            .chain(reference::<Pretrain>())
        {
            assert!(entry.doc.ends_with('.'), "{}: {}", entry.key, entry.doc);
            assert!(!entry.form.is_empty(), "{}", entry.key);
        }
    }
}
