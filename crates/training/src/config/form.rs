//! The form of a type's values, determined from how the type is deserialized.

use std::cell::RefCell;
use std::fmt;

use serde::de::{self, DeserializeOwned, Deserializer, Expected, Visitor};

/// The form of values.
#[derive(Debug, Clone, PartialEq)]
pub enum Form {
    /// An integer.
    Whole,
    /// A number.
    Number,
    /// True or false.
    Bool,
    /// Text.
    Text,
    /// A path.
    Path,
    /// One of these words.
    Words(&'static [&'static str]),
    /// A list.
    List,
    /// A table.
    Table,
    /// As described.
    Described(String),
}

impl Form {
    /// The form of the values of `T`.
    pub fn of<T: DeserializeOwned>() -> Self {
        let found = RefCell::new(None);
        match (T::deserialize(Probe(&found)), found.take()) {
            (_, Some(form)) => form,
            (Err(error), None) => Self::Described(error.0),
            (Ok(_), None) => Self::Described("a value".into()),
        }
    }
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole => f.write_str("a whole number"),
            Self::Number => f.write_str("a number"),
            Self::Bool => f.write_str("true or false"),
            Self::Text => f.write_str("text"),
            Self::Path => f.write_str("a path"),
            Self::Words(words) => f.write_str(&words.join(", ")),
            Self::List => f.write_str("a list"),
            Self::Table => f.write_str("a table"),
            Self::Described(text) => f.write_str(text.trim_start_matches("expected ")),
        }
    }
}

/// A deserializer without data that records what is requested from it.
struct Probe<'a>(&'a RefCell<Option<Form>>);

/// The error that stops deserialization, with what the type expected.
#[derive(Debug)]
struct NoValue(String);

impl fmt::Display for NoValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NoValue {}

impl de::Error for NoValue {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

impl Probe<'_> {
    fn found<T>(self, form: Form) -> Result<T, NoValue> {
        self.0.replace(Some(form));
        Err(NoValue(String::new()))
    }
}

/// Methods for types whose values all have one form.
macro_rules! note {
    ($($method:ident => $form:expr),* $(,)?) => {
        $(fn $method<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, NoValue> {
            self.found($form)
        })*
    };
}

impl<'de> Deserializer<'de> for Probe<'_> {
    type Error = NoValue;

    /// For a type that accepts several forms: no value is offered, and its error describes all of them.
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, NoValue> {
        visitor.visit_unit()
    }

    note! {
        deserialize_bool => Form::Bool,
        deserialize_i8 => Form::Whole,
        deserialize_i16 => Form::Whole,
        deserialize_i32 => Form::Whole,
        deserialize_i64 => Form::Whole,
        deserialize_u8 => Form::Whole,
        deserialize_u16 => Form::Whole,
        deserialize_u32 => Form::Whole,
        deserialize_u64 => Form::Whole,
        deserialize_f32 => Form::Number,
        deserialize_f64 => Form::Number,
        deserialize_char => Form::Text,
        deserialize_str => Form::Text,
        deserialize_bytes => Form::Text,
        deserialize_byte_buf => Form::Text,
        deserialize_unit => Form::Table,
        deserialize_seq => Form::List,
        deserialize_map => Form::Table,
        deserialize_identifier => Form::Text,
        deserialize_ignored_any => Form::Text,
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, NoValue> {
        let expected = (&visitor as &dyn Expected).to_string();
        self.found(if expected.contains("path") {
            Form::Path
        } else {
            Form::Text
        })
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, NoValue> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, NoValue> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _visitor: V,
    ) -> Result<V::Value, NoValue> {
        self.found(Form::Table)
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        _len: usize,
        _visitor: V,
    ) -> Result<V::Value, NoValue> {
        self.found(Form::List)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _len: usize,
        _visitor: V,
    ) -> Result<V::Value, NoValue> {
        self.found(Form::List)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        _visitor: V,
    ) -> Result<V::Value, NoValue> {
        self.found(Form::Table)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        variants: &'static [&'static str],
        _visitor: V,
    ) -> Result<V::Value, NoValue> {
        self.found(Form::Words(variants))
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::config::{MicroBatch, OptimizerConfig, Sampler};

    #[test]
    fn forms_are_found_by_type() {
        assert_eq!(Form::of::<Option<f64>>(), Form::Number);
        assert_eq!(Form::of::<usize>(), Form::Whole);
        assert_eq!(Form::of::<Option<PathBuf>>(), Form::Path);
        assert_eq!(Form::of::<String>(), Form::Text);
        assert_eq!(Form::of::<Vec<u64>>(), Form::List);
        assert_eq!(Form::of::<OptimizerConfig>(), Form::Table);
        assert_eq!(Form::of::<Sampler>(), Form::Words(&["shuffle", "balanced"]));
        assert_eq!(
            Form::of::<MicroBatch>().to_string(),
            "a number of rows, or `auto`"
        );
    }
}
