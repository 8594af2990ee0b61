//! Reading a configuration file and applying overrides to it.

use std::path::Path;

use serde::de::DeserializeOwned;
use toml::{Table, Value};

use super::error::RunConfigError;
use super::setting::{Setting, join};

/// A new value for a setting, applied after the file is read.
#[derive(Debug, Clone, PartialEq)]
pub struct Override {
    /// The key, such as `data.text`.
    pub key: String,
    /// The new value.
    pub value: Value,
    /// Its origin for error messages, such as the name of a flag.
    pub origin: String,
    /// Keys that would take precedence over it, and are removed first. `stages[].steps` is a key of each item of a list.
    pub replaces: Vec<String>,
}

impl Override {
    /// An override from a flag.
    pub fn flag(key: &str, value: impl Into<Value>, origin: &str) -> Self {
        Self {
            key: key.into(),
            value: value.into(),
            origin: origin.into(),
            replaces: Vec::new(),
        }
    }

    /// Parses `key=value`; the value is TOML, or a string if it does not parse.
    ///
    /// # Errors
    /// There is no `=`.
    pub fn parse(text: &str) -> Result<Self, RunConfigError> {
        let (key, value) = text
            .split_once('=')
            .ok_or_else(|| RunConfigError::SetForm { text: text.into() })?;
        let (key, value) = (key.trim(), value.trim());
        let parsed = format!("x = {value}")
            .parse::<Table>()
            .ok()
            .and_then(|mut t| t.remove("x"));
        let value = parsed.unwrap_or_else(|| Value::String(value.into()));
        Ok(Self {
            key: key.into(),
            value,
            origin: "[option.set]".into(),
            replaces: Vec::new(),
        })
    }
}

/// The source of the settings that overrides are applied to.
#[derive(Debug, Clone, Copy)]
pub enum Source<'a> {
    /// Only the defaults.
    Nothing,
    /// A TOML file.
    File(&'a Path),
    /// The text of a TOML file.
    Text {
        /// Its name in error messages.
        name: &'a Path,
        /// The text.
        text: &'a str,
    },
}

/// Merges the source into a table of defaults, and applies the overrides in order. `F` is the layout of the file, and
/// `settings` are the known keys.
pub(super) fn resolve<F: DeserializeOwned>(
    source: Source<'_>,
    overrides: &[Override],
    mut table: Table,
    settings: &[Setting],
) -> Result<F, RunConfigError> {
    match source {
        Source::Nothing => {}
        Source::File(path) => {
            let read = |source| RunConfigError::Read {
                path: path.into(),
                source,
            };
            let text = std::fs::read_to_string(path).map_err(read)?;
            merge_text::<F>(&mut table, path, &text)?;
        }
        Source::Text { name, text } => merge_text::<F>(&mut table, name, text)?,
    }
    for set in overrides {
        apply::<F>(&mut table, set, settings)?;
    }
    table
        .try_into()
        .map_err(|e: toml::de::Error| RunConfigError::Problems {
            problems: vec![plain(e.to_string().trim_end()).replace('\n', " ")],
        })
}

/// Merges a TOML text into a table. The text is first parsed separately, so that errors have line and caret.
fn merge_text<F: DeserializeOwned>(
    table: &mut Table,
    name: &Path,
    text: &str,
) -> Result<(), RunConfigError> {
    let parse = |e: toml::de::Error| RunConfigError::Parse {
        path: name.into(),
        message: plain(e.to_string().trim_end()),
    };
    toml::from_str::<F>(text).map_err(parse)?;
    merge(table, text.parse::<Table>().map_err(parse)?);
    Ok(())
}

/// Merges one table into another, recursively; values of `above` take precedence.
fn merge(below: &mut Table, above: Table) {
    for (key, value) in above {
        match (below.get_mut(&key), value) {
            (Some(Value::Table(below)), Value::Table(above)) => merge(below, above),
            (_, value) => {
                below.insert(key, value);
            }
        }
    }
}

/// The value of a key in a table of tables.
pub(super) fn at<'a>(table: &'a Table, key: &str) -> Option<&'a Value> {
    match key.split_once('.') {
        None => table.get(key),
        Some((first, rest)) => at(table.get(first)?.as_table()?, rest),
    }
}

/// Removes a key; `stages[].steps` from each item of a list.
fn remove(table: &mut Table, key: &str) {
    let Some((first, rest)) = key.split_once('.') else {
        table.remove(key);
        return;
    };
    match (
        first.strip_suffix("[]"),
        table.get_mut(first.trim_end_matches("[]")),
    ) {
        (None, Some(Value::Table(inner))) => remove(inner, rest),
        (Some(_), Some(Value::Array(items))) => {
            for item in items.iter_mut().filter_map(Value::as_table_mut) {
                remove(item, rest);
            }
        }
        _ => {}
    }
}

/// The existing key closest to an unknown one.
fn nearest(settings: &[Setting], key: &str) -> Option<String> {
    let near = settings
        .iter()
        .map(|known| {
            (
                strsim::normalized_damerau_levenshtein(&known.key, key),
                known,
            )
        })
        .max_by(|a, b| a.0.total_cmp(&b.0));
    let (_, known) = near.filter(|(likeness, _)| *likeness > 0.5)?;
    Some(known.key.clone())
}

/// Applies one override.
fn apply<F: DeserializeOwned>(
    table: &mut Table,
    set: &Override,
    settings: &[Setting],
) -> Result<(), RunConfigError> {
    let below = |above: &Setting| {
        let rest = set.key.strip_prefix(&above.key)?;
        rest.strip_prefix('.')
    };
    let known = |known: &Setting| known.key == set.key || known.free_keys && below(known).is_some();
    if !settings.iter().any(known) {
        return Err(RunConfigError::UnknownKey {
            key: set.key.clone(),
            origin: set.origin.clone(),
            nearest: nearest(settings, &set.key),
        });
    }
    let sound = table.clone().try_into::<F>().is_ok();
    for key in &set.replaces {
        remove(table, key);
    }
    // A choice between tables (one loss or the other) is replaced, not mixed.
    for choice in settings.iter().filter(|setting| setting.choice) {
        if let Some(chosen) = below(choice)
            && let Some(options) = at_mut(table, &choice.key).and_then(Value::as_table_mut)
        {
            let chosen = chosen.split('.').next().unwrap_or_default();
            options.retain(|option, _| option == chosen);
        }
    }
    let (mut place, mut path) = (&mut *table, String::new());
    let mut parts = set.key.split('.').peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            place.insert(part.into(), set.value.clone());
            break;
        }
        path = join(&path, part);
        let entry = place
            .entry(part)
            .or_insert_with(|| Value::Table(Table::new()));
        if !entry.is_table() {
            let setting = settings.iter().find(|setting| setting.key == path);
            let table = setting.and_then(|setting| setting.spelled_out?(entry));
            *entry = Value::Table(table.unwrap_or_default());
        }
        match entry {
            Value::Table(inner) => place = inner,
            _ => return Ok(()),
        }
    }
    match table.clone().try_into::<F>() {
        // A partial `model.fresh` may be completed by later overrides; it is checked at the end.
        Err(e) if sound && !e.message().starts_with("missing field") => {
            let value = set.value.as_str();
            Err(RunConfigError::SetValue {
                key: set.key.clone(),
                value: value.map_or_else(|| set.value.to_string(), str::to_owned),
                origin: set.origin.clone(),
                reason: plain(e.message()),
            })
        }
        _ => Ok(()),
    }
}

/// As [`at`], but mutable.
fn at_mut<'a>(table: &'a mut Table, key: &str) -> Option<&'a mut Value> {
    match key.split_once('.') {
        None => table.get_mut(key),
        Some((first, rest)) => at_mut(table.get_mut(first)?.as_table_mut()?, rest),
    }
}

/// The parser's message, with Rust type names replaced by plain words.
fn plain(message: &str) -> String {
    const WORDS: [(&str, &str); 6] = [
        ("expected usize", "expected a whole number, 0 or more"),
        ("expected u64", "expected a whole number, 0 or more"),
        ("expected u32", "expected a whole number, 0 or more"),
        ("expected f64", "expected a number"),
        ("expected a boolean", "expected true or false"),
        ("expected i64", "expected a whole number"),
    ];
    let mut text = message.to_owned();
    for (rust, words) in WORDS {
        text = text.replace(rust, words);
    }
    if let Some((before, after)) = text.split_once("expected struct ") {
        let rest = after.trim_start_matches(|c: char| c.is_ascii_alphanumeric());
        text = format!("{before}expected a table{rest}");
    }
    text
}
