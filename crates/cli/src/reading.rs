//! Flags shared by several commands: reading tables, and devices.

use bertkit_data::DataError;
use bertkit_data::examples::MissingPolicy;
use bertkit_data::sources::tagged::TagLevel;
use bertkit_data::sources::{Format, ReadOptions, parse_delimiter};
use bertkit_model::{DeviceSpec, Precision, automatic, devices};
use bertkit_training::TagColumns;
use clap::{ArgMatches, Args, Command, FromArgMatches, ValueEnum};
use toml::Value;

use crate::error::CliError;
use crate::render;
use crate::settings::{argument_of, value_of};

/// Declares flags of settings for commands that are not runs. Names, parsers and help are taken from the setting that
/// each flag refers to.
macro_rules! setting_flags {
    (
        $(#[doc = $doc:literal])+
        pub struct $name:ident $(under $heading:literal)? {
            $($(#[doc = $about:literal])+ $field:ident: $type:ty = $key:literal),* $(,)?
        }
    ) => {
        $(#[doc = $doc])+
        #[derive(Debug, Clone, Default)]
        pub struct $name {
            $($(#[doc = $about])+ pub $field: $type,)*
        }

        impl Args for $name {
            fn augment_args(command: Command) -> Command {
                let arguments = [$(argument_of($key)),*].into_iter().flatten();
                $(let arguments = arguments.map(|argument| argument.help_heading($heading));)?
                command.args(arguments)
            }

            fn augment_args_for_update(command: Command) -> Command {
                Self::augment_args(command)
            }
        }

        impl FromArgMatches for $name {
            fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
                Ok(Self {
                    $($field: FlagValue::of(value_of(matches, $key)),)*
                })
            }

            fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
                *self = Self::from_arg_matches(matches)?;
                Ok(())
            }
        }
    };
}

/// A type that the value of a flag is converted to.
trait FlagValue {
    /// The converted value, if the flag is given.
    fn of(value: Option<Value>) -> Self;
}

impl FlagValue for Option<String> {
    fn of(value: Option<Value>) -> Self {
        value.and_then(|value| value.as_str().map(str::to_owned))
    }
}

impl FlagValue for bool {
    /// Whether the flag is given, regardless of its value.
    fn of(value: Option<Value>) -> Self {
        value.is_some()
    }
}

setting_flags! {
    /// How a table is read.
    pub struct ReadFlags {
        /// The format.
        format: Option<String> = "data.format",
        /// The character between fields, or its name.
        delimiter: Option<String> = "data.delimiter",
        /// The quotation mark, or `none`.
        quote: Option<String> = "data.quote",
        /// The escape character.
        escape: Option<String> = "data.escape",
        /// Whether the first row is data.
        no_header: bool = "data.header",
    }
}

impl ReadFlags {
    /// Returns an error for a format that text models do not read; `of_model` is whether the model was trained on
    /// relation files.
    ///
    /// # Errors
    /// The format is that of tagged words, or of relations.
    pub fn check_format(&self, of_model: bool) -> Result<(), CliError> {
        match self.requested()? {
            Some(Format::Relations) if !of_model => Err(CliError::usage(
                "--format relations is for models that were trained on such files",
                "leave it out, or train with bertkit finetune --format relations",
            )),
            Some(format) if format != Format::Relations && format.spec().table.is_none() => {
                let name = self.format.as_deref().unwrap_or_default();
                Err(CliError::usage(
                    format!("--format {name} is for models that tag words"),
                    "leave it out, or train with bertkit finetune --task ner",
                ))
            }
            _ => Ok(()),
        }
    }

    /// The format given with --format.
    fn requested(&self) -> Result<Option<Format>, DataError> {
        self.format.as_deref().map(str::parse).transpose()
    }

    /// The options for reading; without --no-header, `header` determines whether there is a header.
    ///
    /// # Errors
    /// An unknown format or an invalid delimiter; the parsers of the flags reject both.
    pub fn options(&self, header: bool) -> Result<ReadOptions, DataError> {
        // The model determines whether files contain relations, and in which format.
        let format = self
            .requested()?
            .filter(|&format| format != Format::Relations);
        let delimiter = self.delimiter.as_deref().map(parse_delimiter).transpose()?;
        let (quote, quoting) = match self.quote.as_deref() {
            None => (None, None),
            Some("none") => (None, Some(false)),
            Some(mark) => (mark.bytes().next(), Some(true)),
        };
        Ok(ReadOptions {
            format,
            delimiter,
            quote,
            quoting,
            escape: self.escape.as_deref().and_then(|mark| mark.bytes().next()),
            header: header && !self.no_header,
            ..ReadOptions::default()
        })
    }
}

setting_flags! {
    /// The columns of a file of tagged words.
    pub struct TagFlags {
        /// Column with the word.
        word_column: Option<String> = "data.word_column",
        /// Column with the tag.
        tag_column: Option<String> = "data.tag_column",
        /// The outer or the inner entities.
        level: Option<String> = "data.level",
        /// The type of entities whose tags are bare letters.
        type_name: Option<String> = "data.type_name",
        /// Column with the id of the sentence.
        sentence_column: Option<String> = "data.sentence_column",
    }
}

impl TagFlags {
    /// The columns of words and tags given by these flags and the reading flags.
    ///
    /// # Errors
    /// A reading flag that does not apply to files of words.
    pub fn columns(&self, read: &ReadFlags) -> Result<TagColumns, CliError> {
        let format = read.requested()?;
        let of_tables = [
            ("--format relations", format == Some(Format::Relations)),
            ("--quote", read.quote.is_some()),
            ("--escape", read.escape.is_some()),
            ("--no-header", read.no_header),
        ];
        if let Some((flag, _)) = of_tables.iter().find(|(_, given)| *given) {
            return Err(CliError::usage(
                format!("{flag} has no meaning for files of words"),
                "leave it out",
            ));
        }
        let level = match self.level.as_deref() {
            None => None,
            Some("inner") => Some(TagLevel::Inner),
            Some(_) => Some(TagLevel::Outer),
        };
        Ok(TagColumns {
            format,
            delimiter: read.delimiter.clone(),
            word: self.word_column.clone(),
            tag: self.tag_column.clone(),
            sentence: self.sentence_column.clone(),
            level,
            type_name: self.type_name.clone(),
        })
    }

    /// Returns an error if one of these flags is given for a model that does not tag words.
    ///
    /// # Errors
    /// One of them is given.
    pub fn refuse(&self) -> Result<(), CliError> {
        let flags = [
            ("--word-column", self.word_column.is_some()),
            ("--tag-column", self.tag_column.is_some()),
            ("--level", self.level.is_some()),
            ("--type-name", self.type_name.is_some()),
            ("--sentence-column", self.sentence_column.is_some()),
        ];
        match flags.iter().find(|(_, given)| *given) {
            None => Ok(()),
            Some((flag, _)) => Err(CliError::usage(
                format!("{flag} is about tagged words, but this model tags none"),
                "leave it out, or train a model with bertkit finetune --task ner",
            )),
        }
    }
}

setting_flags! {
    /// The columns of a table of questions.
    pub struct QuestionFlags under "Questions" {
        /// Column with the question.
        question: Option<String> = "task.qa.question",
        /// Column with the text.
        context: Option<String> = "task.qa.context",
        /// Column with the answer.
        answer: Option<String> = "task.qa.answer",
        /// Column with the start of the answer.
        start: Option<String> = "task.qa.start",
        /// Column with the name of the question.
        id: Option<String> = "task.qa.id",
    }
}

impl QuestionFlags {
    /// One of the given flags.
    pub fn given(&self) -> Option<&'static str> {
        let flags = [
            ("--question", &self.question),
            ("--context", &self.context),
            ("--answer", &self.answer),
            ("--start", &self.start),
            ("--id", &self.id),
        ];
        let given = flags.iter().find(|(_, column)| column.is_some());
        given.map(|(flag, _)| *flag)
    }
}

/// Returns an error if a question flag is given.
///
/// # Errors
/// A question flag was given.
pub fn refuse_question(given: Option<&'static str>) -> Result<(), CliError> {
    match given {
        None => Ok(()),
        Some(flag) => Err(CliError::usage(
            format!("{flag} is about questions, but this model answers none"),
            "leave it out, or train a model with bertkit finetune --task qa",
        )),
    }
}

/// How a trained model multiplies.
#[derive(Debug, Clone, Args)]
pub struct ProductFlags {
    /// Factors of matrix products: f32, tf32, bf16 or f16; the rest is f32
    #[arg(long, default_value = "f32", help_heading = "Output")]
    pub precision: Precision,
}

/// What a trained model runs on.
#[derive(Debug, Clone, Args)]
pub struct MachineFlags {
    /// auto, cpu, wgpu, wgpu:N, cuda or cuda:N
    #[arg(long, default_value = "auto", help_heading = "Output")]
    pub device: DeviceSpec,
    /// Threads on the CPU [default: one for each core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    #[arg(help_heading = "Output")]
    pub threads: Option<u16>,
}

impl MachineFlags {
    /// The device to use. Prints a note if `auto` selects a GPU, unless `quiet`.
    pub fn chosen(&self, quiet: bool) -> DeviceSpec {
        if self.device != DeviceSpec::Auto {
            return self.device;
        }
        let found = devices();
        let chosen = automatic(&found);
        let name = chosen.to_string();
        if let Some(card) = found.iter().find(|d| d.name() == name && name != "cpu")
            && !quiet
        {
            render::note(&format!(
                "computing on {name}, {}; --device cpu takes the CPU",
                card.product
            ));
        }
        chosen
    }
}

/// What becomes of rows that lack a text or a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Missing {
    /// They are left out, and counted.
    Drop,
    /// The file is refused.
    Refuse,
}

impl From<Missing> for MissingPolicy {
    fn from(missing: Missing) -> Self {
        match missing {
            Missing::Drop => Self::Drop,
            Missing::Refuse => Self::Refuse,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn reading_flags_become_options() {
        let flags = ReadFlags {
            format: Some("tsv".into()),
            delimiter: Some("pipe".into()),
            quote: Some("'".into()),
            escape: Some("\\".into()),
            no_header: true,
        };
        let options = flags.options(true).unwrap();
        assert_eq!(options.format, Some(Format::Tsv));
        assert_eq!(options.delimiter, Some(b'|'));
        assert_eq!((options.quote, options.quoting), (Some(b'\''), Some(true)));
        assert!(!options.header);
        let none = ReadFlags {
            quote: Some("none".into()),
            ..ReadFlags::default()
        };
        assert_eq!(none.options(true).unwrap().quoting, Some(false));
        assert_eq!(
            ReadFlags::default().options(true).unwrap(),
            ReadOptions::default()
        );
        assert!(!ReadFlags::default().options(false).unwrap().header);
    }
}
