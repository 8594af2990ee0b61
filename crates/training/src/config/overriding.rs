//! Reading a configuration file and applying overrides to it.

use std::path::Path;

use toml::{Table, Value};

use super::error::RunConfigError;
use super::run::{RunConfig, RunKind};

/// One setting from the command line, laid over the file.
#[derive(Debug, Clone, PartialEq)]
pub struct Override {
    /// The key's path, `data.text`.
    pub key: String,
    /// The new value.
    pub value: Value,
    /// How errors call it: `--text`, `--set`.
    pub origin: String,
}

impl Override {
    /// A flag's value for a key.
    pub fn flag(key: &str, value: impl Into<Value>, origin: &str) -> Self {
        Self {
            key: key.into(),
            value: value.into(),
            origin: origin.into(),
        }
    }

    /// Parses the text behind `--set`: `key=value`, the value in TOML or else taken as a string.
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
            origin: "--set".into(),
        })
    }
}

/// What lies below the overrides.
#[derive(Debug, Clone, Copy)]
pub enum Source<'a> {
    /// The defaults alone.
    Nothing,
    /// A TOML file.
    File(&'a Path),
    /// The text of a TOML file.
    Text {
        /// What errors call it.
        name: &'a Path,
        /// The text.
        text: &'a str,
    },
}

/// Reads the source over a table of defaults, and applies the overrides in order.
pub(super) fn resolve<K: RunKind>(
    source: Source<'_>,
    overrides: &[Override],
    mut table: Table,
) -> Result<RunConfig<K>, RunConfigError> {
    match source {
        Source::Nothing => {}
        Source::File(path) => {
            let read = |source| RunConfigError::Read {
                path: path.into(),
                source,
            };
            let text = std::fs::read_to_string(path).map_err(read)?;
            lay_text::<K>(&mut table, path, &text)?;
        }
        Source::Text { name, text } => lay_text::<K>(&mut table, name, text)?,
    }
    for set in overrides {
        apply::<K>(&mut table, set)?;
    }
    table
        .try_into()
        .map_err(|e: toml::de::Error| RunConfigError::Problems {
            problems: vec![plain(e.to_string().trim_end()).replace('\n', " ")],
        })
}

/// Lays the tables of a text over others, once it has been parsed alone: so errors have line and caret.
fn lay_text<K: RunKind>(table: &mut Table, name: &Path, text: &str) -> Result<(), RunConfigError> {
    let parse = |e: toml::de::Error| RunConfigError::Parse {
        path: name.into(),
        message: plain(e.to_string().trim_end()),
    };
    toml::from_str::<K::File>(text).map_err(parse)?;
    lay(table, text.parse::<Table>().map_err(parse)?);
    Ok(())
}

/// Lays one table over another; tables within are laid over each other in turn.
fn lay(below: &mut Table, above: Table) {
    for (key, value) in above {
        match (below.get_mut(&key), value) {
            (Some(Value::Table(below)), Value::Table(above)) => lay(below, above),
            (_, value) => {
                below.insert(key, value);
            }
        }
    }
}

/// The keys of a table and of the tables in it.
pub(super) fn collect_keys(prefix: &str, table: &Table, keys: &mut Vec<String>) {
    for (key, value) in table {
        let path = if prefix.is_empty() {
            key.clone()
        } else {
            format!("{prefix}.{key}")
        };
        match value {
            Value::Table(inner) => {
                keys.push(path.clone());
                collect_keys(&path, inner, keys);
            }
            _ => keys.push(path),
        }
    }
}

/// Sets one key.
fn apply<K: RunKind>(table: &mut Table, set: &Override) -> Result<(), RunConfigError> {
    if !RunConfig::<K>::knows(&set.key) {
        let nearest = RunConfig::<K>::keys()
            .into_iter()
            .map(|key| (strsim::normalized_damerau_levenshtein(&key, &set.key), key))
            .max_by(|a, b| a.0.total_cmp(&b.0))
            .filter(|(likeness, _)| *likeness > 0.5)
            .map(|(_, key)| key);
        return Err(RunConfigError::UnknownKey {
            key: set.key.clone(),
            origin: set.origin.clone(),
            nearest,
        });
    }
    let sound = table.clone().try_into::<K::File>().is_ok();
    let mut path: Vec<&str> = set.key.split('.').collect();
    let leaf = path.pop().unwrap_or_default();
    // A choice between tables (one loss or the other) is replaced, not mixed.
    let choice = K::CHOICE;
    if let Some(chosen) = set
        .key
        .strip_prefix(choice)
        .and_then(|k| k.strip_prefix('.'))
    {
        let mut options = Some(&mut *table);
        for part in choice.split('.') {
            options = options
                .and_then(|table| table.get_mut(part))
                .and_then(Value::as_table_mut);
        }
        if let Some(options) = options {
            let chosen = chosen.split('.').next().unwrap_or_default();
            options.retain(|kind, _| kind == chosen);
        }
    }
    let mut place = &mut *table;
    for part in path {
        let entry = place
            .entry(part)
            .or_insert_with(|| Value::Table(Table::new()));
        if !entry.is_table() {
            *entry = Value::Table(K::spelled_out(part, entry).unwrap_or_default());
        }
        match entry {
            Value::Table(inner) => place = inner,
            _ => return Ok(()),
        }
    }
    place.insert(leaf.into(), set.value.clone());
    match table.clone().try_into::<K::File>() {
        // A partial `model.fresh` is completed by later overrides: it is judged at the end.
        Err(e) if sound && !e.message().starts_with("missing field") => {
            Err(RunConfigError::SetValue {
                key: set.key.clone(),
                value: set
                    .value
                    .as_str()
                    .map_or_else(|| set.value.to_string(), str::to_owned),
                origin: set.origin.clone(),
                reason: plain(e.message()),
            })
        }
        _ => Ok(()),
    }
}

/// The parser's message, with the types of Rust in words.
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
