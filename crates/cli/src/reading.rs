//! The flags and small parsers that several commands share: how a table is read, what a model runs on.

use bertkit_data::DataError;
use bertkit_data::examples::MissingPolicy;
use bertkit_data::formats::tagged::TagLevel;
use bertkit_data::formats::{Format, ReadOptions, parse_delimiter};
use bertkit_model::{DeviceSpec, Precision, automatic, devices};
use bertkit_training::TagColumns;
use bertkit_training::config::FileFormat;
use clap::{Args, ValueEnum};

use crate::error::CliError;
use crate::render;

/// How a table is read.
#[derive(Debug, Clone, Default, Args)]
pub struct ReadFlags {
    /// Format of the file [default: by its extension]
    #[arg(long, value_parser = ["csv", "tsv", "jsonl", "conll", "iob2", "relations"])]
    pub format: Option<String>,
    /// The character between fields, or its name: comma, tab, semicolon, pipe, space
    #[arg(long, value_name = "CHAR", value_parser = delimiter)]
    pub delimiter: Option<String>,
    /// The quotation mark around fields; `none` takes quotes as plain characters
    #[arg(long, value_name = "CHAR", value_parser = quote)]
    pub quote: Option<String>,
    /// The character that takes the meaning from a quotation mark behind it, such as \\
    #[arg(long, value_name = "CHAR", value_parser = escape)]
    pub escape: Option<String>,
    /// The first row is data: columns are called 1, 2, 3, …
    #[arg(long)]
    pub no_header: bool,
}

impl ReadFlags {
    /// Refuses a format that a model of texts does not read; `of_model` is whether it was trained on files of relations.
    ///
    /// # Errors
    /// The format is that of words, or of relations.
    pub fn check_format(&self, of_model: bool) -> Result<(), CliError> {
        match self.format.as_deref() {
            Some("relations") if !of_model => Err(CliError::usage(
                "--format relations is for models that were trained on such files",
                "leave it out, or train with bertkit finetune --format relations",
            )),
            Some(format @ ("conll" | "iob2")) => Err(CliError::usage(
                format!("--format {format} is for models that tag words"),
                "leave it out, or train with bertkit finetune --task ner",
            )),
            _ => Ok(()),
        }
    }

    /// The options for reading; without --no-header, `header` says whether there is one.
    ///
    /// # Errors
    /// A format or a delimiter that is none; the parsers of the flags let none through.
    pub fn options(&self, header: bool) -> Result<ReadOptions, DataError> {
        // Which files hold relations, and how, a model knows.
        let format = self
            .format
            .as_deref()
            .filter(|&format| format != "relations");
        let format = format.map(str::parse::<Format>).transpose()?;
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

/// Where tagged words stand in a file.
#[derive(Debug, Clone, Default, Args)]
pub struct TagFlags {
    /// Of tagged words, the column with the word: its number from 1, or its name
    #[arg(long, value_name = "COLUMN")]
    pub word_column: Option<String>,
    /// Of tagged words, the column with the tag [default: the last one]
    #[arg(long, value_name = "COLUMN")]
    pub tag_column: Option<String>,
    /// Of tagged words with two columns of tags, the outer entities or those within
    #[arg(long, value_parser = ["outer", "inner"])]
    pub level: Option<String>,
    /// Of tagged words, the type of entities whose tags are bare letters
    #[arg(long, value_name = "NAME")]
    pub type_name: Option<String>,
    /// Of tagged words in CSV, the column whose change begins a new sentence
    #[arg(long, value_name = "COLUMN")]
    pub sentence_column: Option<String>,
}

impl TagFlags {
    /// Where words and tags stand, as these flags and those about reading say.
    ///
    /// # Errors
    /// A flag about reading that files of words have no use for.
    pub fn columns(&self, read: &ReadFlags) -> Result<TagColumns, CliError> {
        let of_tables = [
            (
                "--format relations",
                read.format.as_deref() == Some("relations"),
            ),
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
        let format = match read.format.as_deref() {
            None => None,
            Some("conll" | "iob2") => Some(FileFormat::Conll),
            Some("tsv") => Some(FileFormat::Tsv),
            Some("csv") => Some(FileFormat::Csv),
            Some(_) => Some(FileFormat::Jsonl),
        };
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

    /// Refuses these flags where no words are tagged.
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

/// Where questions stand in a table.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Questions")]
pub struct QuestionFlags {
    /// Of a table of questions, the column with the question [default: question]
    #[arg(long, value_name = "COLUMN")]
    pub question: Option<String>,
    /// Of a table of questions, the column with the text [default: context]
    #[arg(long, value_name = "COLUMN")]
    pub context: Option<String>,
    /// Of a table of questions, the column with the answer, empty where there is none
    /// [default: answer or answers]
    #[arg(long, value_name = "COLUMN")]
    pub answer: Option<String>,
    /// Of a table of questions, the column with the character at which the answer begins, from 0
    /// [default: start or answer_start]
    #[arg(long, value_name = "COLUMN")]
    pub start: Option<String>,
    /// Of a table of questions, the column with a name for each [default: id]
    #[arg(long, value_name = "COLUMN")]
    pub id: Option<String>,
}

impl QuestionFlags {
    /// One of the flags that are given.
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

/// Refuses a flag that is about questions.
///
/// # Errors
/// There is such a flag.
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
    /// The device to use. Where `auto` takes a graphics card, that is said, unless it is to be quiet.
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

impl Missing {
    /// The name of the flag's value, which is the configuration's.
    pub fn name(self) -> &'static str {
        match self {
            Self::Drop => "drop",
            Self::Refuse => "refuse",
        }
    }
}

impl From<Missing> for MissingPolicy {
    fn from(missing: Missing) -> Self {
        match missing {
            Missing::Drop => Self::Drop,
            Missing::Refuse => Self::Refuse,
        }
    }
}

/// A delimiter by name or character.
fn delimiter(text: &str) -> Result<String, DataError> {
    parse_delimiter(text).map(|_| text.to_owned())
}

/// One ASCII character, or `none`.
fn quote(text: &str) -> Result<String, String> {
    match text.as_bytes() {
        b"none" => Ok(text.into()),
        [byte] if byte.is_ascii_graphic() => Ok(text.into()),
        _ => Err("expected one ASCII character, or `none`".into()),
    }
}

/// One ASCII character.
fn escape(text: &str) -> Result<String, String> {
    match text.as_bytes() {
        [byte] if byte.is_ascii_graphic() => Ok(text.into()),
        _ => Err("expected one ASCII character".into()),
    }
}

/// A number that is neither infinite nor `NaN`.
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

    #[test]
    fn numbers_out_of_range_are_refused() {
        assert_eq!(share("0.25"), Ok(0.25));
        for text in ["1.5", "-0.1", "nan", "x"] {
            assert!(share(text).is_err(), "{text}");
        }
        assert!(finite("inf").is_err() && finite("nan").is_err() && finite("3e-5").is_ok());
        assert!(quote("ab").is_err() && quote("").is_err() && quote("none").is_ok());
    }
}
