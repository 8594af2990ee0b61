//! The flag of the command line that stands for a setting, as the setting declares it.
//!
//! The library knows no command line: it declares what a flag is called, how its text is read and what its help says,
//! and the command line builds its arguments from that. A help text names other settings as `[data.valid]`,
//! and options of the command that are no settings as `[option.resume]`; whoever shows it puts the flags there.

use toml::Value;

use super::form::Form;

/// Looks up the value that a key has under the flags so far and the configuration below them.
pub type Lookup<'a> = &'a dyn Fn(&str) -> Option<Value>;

/// A flag.
#[derive(Debug, Clone)]
pub struct Flag {
    /// Its name, without dashes.
    pub name: &'static str,
    /// What the help calls its value.
    pub value_name: Option<&'static str>,
    /// What the help says, without the default.
    pub help: &'static str,
    /// The heading of the help under which it stands.
    pub heading: &'static str,
    /// Its place under the heading among settings in the order of the file: lower ranks come first.
    pub rank: i8,
    /// How its text is read; as its type says if not given.
    pub parse: Option<Parse>,
    /// The only kind of run that has it.
    pub only: Option<&'static str>,
    /// What the help gives as the default in place of the setting's.
    pub default: Option<&'static str>,
    /// Flags that it cannot be combined with.
    pub conflicts: &'static [&'static str],
    /// Keys that would win over it, and that it therefore removes. `stages[].steps` is a key of each item of a list.
    pub replaces: &'static [&'static str],
    /// A flag and the value of it that this one implies.
    pub implies: Option<(&'static str, &'static str)>,
    /// Whether it takes several values, one after the other.
    pub several: bool,
    /// The character between several values in one text.
    pub delimiter: Option<char>,
    /// Whether a value may begin with a minus sign.
    pub negative: bool,
    /// Whether the help leaves out the possible values.
    pub values_hidden: bool,
    /// The key that a value sets, where that depends on it.
    pub key: Option<fn(&Value, Lookup<'_>) -> &'static str>,
}

/// How the text of a flag becomes a value.
#[derive(Debug, Clone, Copy)]
pub enum Parse {
    /// A whole number that fits into 32 bits.
    Count,
    /// A whole number, as large as TOML has them.
    Seed,
    /// Any text.
    Text,
    /// A path.
    Path,
    /// One of these words.
    Words(&'static [&'static str]),
    /// One of these words, which becomes a table with that key alone.
    Tables(&'static [&'static str]),
    /// There is no text: the flag sets this.
    Switch(Switch),
    /// By a function.
    With(fn(&str) -> Result<Value, String>),
}

/// What a flag without a text sets.
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

/// A flag under this heading of the help, of this name without dashes, with this help.
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
    /// Names its value in the help.
    #[must_use]
    pub fn value(mut self, name: &'static str) -> Self {
        self.value_name = Some(name);
        self
    }

    /// Moves it under its heading: before the others with a lower rank than 0, after them with a higher one.
    #[must_use]
    pub fn rank(mut self, rank: i8) -> Self {
        self.rank = rank;
        self
    }

    /// Reads its text so.
    #[must_use]
    pub fn parse(mut self, parse: Parse) -> Self {
        self.parse = Some(parse);
        self
    }

    /// Reads its text with a function.
    #[must_use]
    pub fn with(self, parse: fn(&str) -> Result<Value, String>) -> Self {
        self.parse(Parse::With(parse))
    }

    /// Allows these words.
    #[must_use]
    pub fn words(self, words: &'static [&'static str]) -> Self {
        self.parse(Parse::Words(words))
    }

    /// Takes no text, and sets true or false.
    #[must_use]
    pub fn switch(self, to: bool) -> Self {
        self.parse(Parse::Switch(Switch::Bool(to)))
    }

    /// Takes no text, and sets a word.
    #[must_use]
    pub fn switch_to(self, word: &'static str) -> Self {
        self.parse(Parse::Switch(Switch::Word(word)))
    }

    /// Belongs to one kind of run alone.
    #[must_use]
    pub fn only(mut self, kind: &'static str) -> Self {
        self.only = Some(kind);
        self
    }

    /// Describes the default in the help.
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

    /// Removes these keys.
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

    /// Takes several values in one text, divided by this.
    #[must_use]
    pub fn divided_by(mut self, delimiter: char) -> Self {
        self.delimiter = Some(delimiter);
        self
    }

    /// Takes values that begin with a minus sign.
    #[must_use]
    pub fn negative(mut self) -> Self {
        self.negative = true;
        self
    }

    /// Leaves the possible values out of the help.
    #[must_use]
    pub fn hide_values(mut self) -> Self {
        self.values_hidden = true;
        self
    }

    /// How the text is read where the setting's values have this form.
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

    /// Chooses the key that is set.
    #[must_use]
    pub fn key(mut self, key: fn(&Value, Lookup<'_>) -> &'static str) -> Self {
        self.key = Some(key);
        self
    }
}

/// A number that is neither infinite nor NaN.
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

/// A value of a type that reads itself from text.
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
