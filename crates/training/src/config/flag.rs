//! The command-line flag of a setting, declared with the setting.
//!
//! The library does not depend on a command line: it declares a flag's name, how its text is parsed and its help text,
//! and the command line builds its arguments from that. Help texts refer to other settings as `[data.valid]`
//! and to options of the command that are not settings as `[option.resume]`; the caller replaces these with flags.

use toml::Value;

use super::form::Form;

/// Looks up the value of a key, given the preceding flags and the configuration.
pub type Lookup<'a> = &'a dyn Fn(&str) -> Option<Value>;

/// A flag.
#[derive(Debug, Clone)]
pub struct Flag {
    /// Its name, without dashes.
    pub name: &'static str,
    /// The name of its value in the help.
    pub value_name: Option<&'static str>,
    /// The help text, without the default.
    pub help: &'static str,
    /// The heading of its group in the help.
    pub heading: &'static str,
    /// Its order within the group: lower ranks come first, equal ranks are in the order of the file.
    pub rank: i8,
    /// How its text is parsed; inferred from the type if not given.
    pub parse: Option<Parse>,
    /// The only kind of run that has it.
    pub only: Option<&'static str>,
    /// The default shown in the help, if not that of the setting.
    pub default: Option<&'static str>,
    /// Flags that it cannot be combined with.
    pub conflicts: &'static [&'static str],
    /// Keys that would take precedence over it, and are therefore removed. `stages[].steps` is a key of each item of a list.
    pub replaces: &'static [&'static str],
    /// Another flag and its value, which this flag implies.
    pub implies: Option<(&'static str, &'static str)>,
    /// Whether it takes several values in a row.
    pub several: bool,
    /// The character between several values in one text.
    pub delimiter: Option<char>,
    /// Whether a value may begin with a minus sign.
    pub negative: bool,
    /// Whether the help leaves out the possible values.
    pub values_hidden: bool,
    /// The key that is set, if it depends on the value.
    pub key: Option<fn(&Value, Lookup<'_>) -> &'static str>,
}

/// How the text of a flag is converted to a value.
#[derive(Debug, Clone, Copy)]
pub enum Parse {
    /// An integer that fits into 32 bits.
    Count,
    /// An integer in the range of TOML.
    Seed,
    /// Any text.
    Text,
    /// A path.
    Path,
    /// One of these words.
    Words(&'static [&'static str]),
    /// One of these words, which becomes a table with that single key.
    Tables(&'static [&'static str]),
    /// A flag without a text, which sets this value.
    Switch(Switch),
    /// Parsed by a function.
    With(fn(&str) -> Result<Value, String>),
}

/// The value of a flag without a text.
#[derive(Debug, Clone, Copy)]
pub enum Switch {
    /// True or false.
    Bool(bool),
    /// A word.
    Word(&'static str),
}

impl From<Switch> for Value {
    fn from(switch: Switch) -> Self {
        match switch {
            Switch::Bool(on) => Self::Boolean(on),
            Switch::Word(word) => Self::String(word.into()),
        }
    }
}

/// A flag with this heading, this name without dashes, and this help text.
pub fn flag(heading: &'static str, name: &'static str, help: &'static str) -> Flag {
    Flag {
        name,
        value_name: None,
        help,
        heading,
        rank: 0,
        parse: None,
        only: None,
        default: None,
        conflicts: &[],
        replaces: &[],
        implies: None,
        several: false,
        delimiter: None,
        negative: false,
        values_hidden: false,
        key: None,
    }
}

impl Flag {
    /// Sets the name of its value in the help.
    #[must_use]
    pub fn value(mut self, name: &'static str) -> Self {
        self.value_name = Some(name);
        self
    }

    /// Sets its rank within the group: before the others below 0, after them above 0.
    #[must_use]
    pub fn rank(mut self, rank: i8) -> Self {
        self.rank = rank;
        self
    }

    /// Sets how its text is parsed.
    #[must_use]
    pub fn parse(mut self, parse: Parse) -> Self {
        self.parse = Some(parse);
        self
    }

    /// Parses its text with a function.
    #[must_use]
    pub fn with(self, parse: fn(&str) -> Result<Value, String>) -> Self {
        self.parse(Parse::With(parse))
    }

    /// Restricts it to these words.
    #[must_use]
    pub fn words(self, words: &'static [&'static str]) -> Self {
        self.parse(Parse::Words(words))
    }

    /// Makes it a switch that sets true or false.
    #[must_use]
    pub fn switch(self, to: bool) -> Self {
        self.parse(Parse::Switch(Switch::Bool(to)))
    }

    /// Makes it a switch that sets a word.
    #[must_use]
    pub fn switch_to(self, word: &'static str) -> Self {
        self.parse(Parse::Switch(Switch::Word(word)))
    }

    /// Restricts it to one kind of run.
    #[must_use]
    pub fn only(mut self, kind: &'static str) -> Self {
        self.only = Some(kind);
        self
    }

    /// Sets the default shown in the help.
    #[must_use]
    pub fn default(mut self, text: &'static str) -> Self {
        self.default = Some(text);
        self
    }

    /// Cannot be combined with these flags.
    #[must_use]
    pub fn conflicts(mut self, flags: &'static [&'static str]) -> Self {
        self.conflicts = flags;
        self
    }

    /// Sets the keys that it removes.
    #[must_use]
    pub fn replaces(mut self, keys: &'static [&'static str]) -> Self {
        self.replaces = keys;
        self
    }

    /// Implies a value of another flag.
    #[must_use]
    pub fn implies(mut self, flag: &'static str, value: &'static str) -> Self {
        self.implies = Some((flag, value));
        self
    }

    /// Takes several values.
    #[must_use]
    pub fn several(mut self) -> Self {
        self.several = true;
        self
    }

    /// Takes several values in one text, separated by this character.
    #[must_use]
    pub fn divided_by(mut self, delimiter: char) -> Self {
        self.delimiter = Some(delimiter);
        self
    }

    /// Allows values that begin with a minus sign.
    #[must_use]
    pub fn negative(mut self) -> Self {
        self.negative = true;
        self
    }

    /// Hides the possible values in the help.
    #[must_use]
    pub fn hide_values(mut self) -> Self {
        self.values_hidden = true;
        self
    }

    /// How the text is parsed, given the form of the setting's values.
    pub fn parse_for(&self, form: &Form) -> Parse {
        match (self.parse, form) {
            (Some(parse), _) => parse,
            (None, Form::Whole) => Parse::Count,
            (None, Form::Number) => Parse::With(number),
            (None, Form::Bool) => Parse::Switch(Switch::Bool(true)),
            (None, Form::Path) => Parse::Path,
            (None, Form::Words(words)) => Parse::Words(words),
            (None, Form::Text | Form::List | Form::Table | Form::Described(_)) => Parse::Text,
        }
    }

    /// Sets the function that selects the key.
    #[must_use]
    pub fn key(mut self, key: fn(&Value, Lookup<'_>) -> &'static str) -> Self {
        self.key = Some(key);
        self
    }
}

/// A finite number.
///
/// # Errors
/// Anything else.
pub fn finite(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() => Ok(number),
        _ => Err("expected a number".into()),
    }
}

/// A number from 0 to 1.
///
/// # Errors
/// Anything else.
pub fn share(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if (0.0..=1.0).contains(&number) => Ok(number),
        _ => Err("expected a number from 0 to 1".into()),
    }
}

/// As [`finite`], for a flag.
pub(super) fn number(text: &str) -> Result<Value, String> {
    finite(text).map(Value::Float)
}

/// As [`share`], for a flag.
pub(super) fn fraction(text: &str) -> Result<Value, String> {
    share(text).map(Value::Float)
}

/// A value parsed from text by its type.
pub(super) fn parsed<T>(text: &str) -> Result<Value, String>
where
    T: std::str::FromStr<Err: std::fmt::Display> + serde::Serialize,
{
    let value = text.parse::<T>().map_err(|e| e.to_string())?;
    Value::try_from(value).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_out_of_range_are_refused() {
        assert_eq!(share("0.25"), Ok(0.25));
        for text in ["1.5", "-0.1", "nan", "x"] {
            assert!(share(text).is_err(), "{text}");
        }
        assert!(finite("inf").is_err() && finite("nan").is_err() && finite("3e-5").is_ok());
    }
}
