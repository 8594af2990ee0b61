//! Files that are one JSON document.

use serde_json::Value;

use crate::error::{DataError, FileError, QuestionError, short};

/// The extension of such files.
pub(super) const EXTENSION: &str = "json";

/// Parses a text as one JSON document; `name` is used in messages.
pub(super) fn document(text: &str, name: &str) -> Result<Value, DataError> {
    if text.trim().is_empty() {
        return Err(DataError::File(FileError::Empty { path: name.into() }));
    }
    serde_json::from_str(text).map_err(|error| {
        let message = error.to_string();
        DataError::Question(QuestionError::JsonDocument {
            path: name.into(),
            line: error.line(),
            column: error.column(),
            message: match message.rfind(" at line ") {
                Some(at) => message[..at].to_string(),
                None => message,
            },
        })
    })
}

/// Looks up values in a JSON file; errors state where in the document they are missing or wrong.
pub(super) struct JsonFile<'a> {
    pub(super) name: &'a str,
}

impl JsonFile<'_> {
    /// The elements of the array at `key`, each with its place in the document.
    pub(super) fn array<'v>(
        &self,
        value: &'v Value,
        key: &str,
        at: &str,
    ) -> Result<Vec<(String, &'v Value)>, DataError> {
        let place = match at {
            "" => key.to_string(),
            at => format!("{at}.{key}"),
        };
        match value.get(key) {
            Some(Value::Array(elements)) => Ok((0..)
                .zip(elements)
                .map(|(index, element): (usize, _)| (format!("{place}[{index}]"), element))
                .collect()),
            other => Err(self.wrong(at, key, "a list", other.unwrap_or(&Value::Null))),
        }
    }

    /// The text at `key`, which must not be blank.
    pub(super) fn text<'v>(
        &self,
        value: &'v Value,
        key: &str,
        at: &str,
    ) -> Result<&'v str, DataError> {
        match value.get(key) {
            Some(Value::String(text)) if !text.trim().is_empty() => Ok(text),
            other => Err(self.wrong(at, key, "a text", other.unwrap_or(&Value::Null))),
        }
    }

    /// The error for an unexpected value.
    pub(super) fn wrong(
        &self,
        at: &str,
        key: &str,
        expected: &'static str,
        found: &Value,
    ) -> DataError {
        let dot = if at.is_empty() { "" } else { "." };
        DataError::File(FileError::Unexpected {
            path: self.name.into(),
            at: format!("`{at}{dot}{key}`"),
            expected,
            found: match found {
                Value::Null => "missing".into(),
                Value::Array(_) => "a list".into(),
                Value::Object(_) => "an object".into(),
                Value::String(text) if text.trim().is_empty() => "empty".into(),
                other => format!("`{}`", short(&other.to_string())),
            },
        })
    }
}
