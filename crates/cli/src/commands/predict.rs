//! `bertkit predict`: predicts with a model.

mod input;
mod output;
mod qa;
mod rows;
mod tagging;
mod text;

use std::path::PathBuf;

use bertkit_data::sources::Format;
use bertkit_training::config::flag::finite;
use bertkit_training::{TaskInput, task_of_model};
use clap::Args;
use clap::builder::PossibleValuesParser;

use crate::error::CliError;
use crate::reading::{MachineFlags, ProductFlags, ReadFlags, TagFlags, refuse_question};

const EXAMPLES: &str = "\
Examples:
  bertkit predict runs/spam --text \"you have won\" --text \"see you at nine\"
  bertkit predict runs/spam --input mail.csv --output predicted.csv
  cat lines.txt | bertkit predict runs/spam --json
  bertkit predict runs/names --text \"Marie Curie was born in Warsaw\"
  bertkit predict runs/names --input words.conll --output tagged.conll
  bertkit predict runs/answers --question \"Who wrote it?\" --context \"It was written by Ann.\"
  bertkit predict runs/answers --input questions.json --output best.json
  bertkit predict runs/names --input notes.csv --text-column note --output found.csv

For --text and piped lines, each answer is a line: prediction, probability, text, divided by tabs.
For a table, all columns stay, and `prediction` and a `probability_LABEL` for each class are added.

A model that tags words gives a line for each entity: the text's number from 1, the entity's first
character from 0 and the one behind its last, its type, its score (how likely its tags were, on
average) and the entity. A file of words (CoNLL, .iob2, JSON Lines, CSV with a word a row) comes
back with one more column, a table with --text-column with a column `entities` in JSON.

To a table of questions `answer`, `score` and `start` (in characters, from 0) are added; a file that
ends in .json is read in SQuAD's form, and to one of that ending the best answers to each are written.";

/// Predict with a model
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct PredictArgs {
    /// A run directory, or a model folder in Hugging Face's layout
    run: PathBuf,
    /// A text to predict; may be repeated
    #[arg(
        long,
        value_name = "TEXT",
        help_heading = "Texts",
        conflicts_with = "input",
        allow_hyphen_values = true
    )]
    text: Vec<String>,
    /// The second text of each --text, for models of pairs
    #[arg(long, value_name = "TEXT", help_heading = "Texts", requires = "text")]
    #[arg(allow_hyphen_values = true)]
    text_pair: Vec<String>,
    /// A question to answer; may be repeated
    #[arg(long, value_name = "TEXT", help_heading = "Questions", conflicts_with_all = ["input", "text"])]
    #[arg(allow_hyphen_values = true)]
    question: Vec<String>,
    /// The text that holds the answer: one for all questions, or one for each
    #[arg(
        long,
        value_name = "TEXT",
        help_heading = "Questions",
        requires = "question"
    )]
    #[arg(allow_hyphen_values = true)]
    context: Vec<String>,
    /// Of a table, the column with the question [default: as in training]
    #[arg(
        long,
        value_name = "COLUMN",
        help_heading = "Questions",
        requires = "input"
    )]
    question_column: Option<String>,
    /// Of a table, the column with the text [default: as in training]
    #[arg(
        long,
        value_name = "COLUMN",
        help_heading = "Questions",
        requires = "input"
    )]
    context_column: Option<String>,
    /// A question has no answer if that scores by more than this above the best one
    /// [default: as training chose]
    #[arg(long, value_name = "NUMBER", value_parser = finite, help_heading = "Questions")]
    #[arg(allow_negative_numbers = true)]
    null_threshold: Option<f64>,
    /// A table to predict: CSV, TSV, JSON Lines or Parquet; `-` is standard input. Without --text and
    /// --input, standard input is read as one text a line (for pairs: two, divided by a tab)
    #[arg(long, value_name = "FILE", help_heading = "Table")]
    input: Option<PathBuf>,
    /// Where the table goes, in the format of its extension [default: standard output, as CSV]
    #[arg(long, value_name = "FILE", help_heading = "Table", requires = "input")]
    output: Option<PathBuf>,
    /// Column with the text: its name, or its number from 1 [default: as in training]
    #[arg(
        long,
        value_name = "COLUMN",
        help_heading = "Table",
        requires = "input"
    )]
    text_column: Option<String>,
    /// Column with the second text, for models of pairs [default: as in training]
    #[arg(
        long,
        value_name = "COLUMN",
        help_heading = "Table",
        requires = "input"
    )]
    text_pair_column: Option<String>,
    #[command(flatten, next_help_heading = "Table")]
    read: ReadFlags,
    #[command(flatten, next_help_heading = "Tagged words")]
    tags: TagFlags,
    /// The first row names the columns [default: as in training]
    #[arg(
        long,
        help_heading = "Table",
        conflicts_with = "no-header",
        requires = "input"
    )]
    header: bool,
    /// Format of the result, whatever the extension says
    #[arg(long, value_parser = PossibleValuesParser::new(Format::output_names()))]
    #[arg(help_heading = "Table", requires = "input")]
    output_format: Option<String>,
    /// Print one JSON object a line
    #[arg(long, help_heading = "Output", conflicts_with_all = ["output", "output_format"])]
    json: bool,
    /// No progress and no notes: only errors, and the predictions
    #[arg(long, short, help_heading = "Output")]
    quiet: bool,
    #[command(flatten)]
    products: ProductFlags,
    #[command(flatten)]
    machine: MachineFlags,
}

/// Runs the command.
///
/// # Errors
/// No input, an unusable model or data, or an error of the prediction.
pub fn run(args: &PredictArgs) -> Result<(), CliError> {
    let of_questions = [
        ("--question", !args.question.is_empty()),
        ("--question-column", args.question_column.is_some()),
        ("--context-column", args.context_column.is_some()),
        ("--null-threshold", args.null_threshold.is_some()),
    ];
    let flag = of_questions.iter().find(|(_, given)| *given);
    let flag = flag.map(|(flag, _)| *flag);
    match task_of_model(&args.run).input {
        TaskInput::Questions => {
            args.tags.refuse()?;
            qa::run(args)
        }
        TaskInput::Words => {
            refuse_question(flag)?;
            tagging::run(args)
        }
        TaskInput::Texts => {
            args.tags.refuse()?;
            refuse_question(flag)?;
            text::run(args)
        }
        TaskInput::Rows(open) => {
            args.tags.refuse()?;
            refuse_question(flag)?;
            rows::run(args, open)
        }
    }
}
