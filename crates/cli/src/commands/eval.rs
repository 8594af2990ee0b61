//! `bertkit eval`: evaluates a model on labelled texts, with intervals.

mod qa;
mod rows;
mod tagging;
mod text;

use std::path::PathBuf;

use bertkit_data::perturb::Perturbation;
use bertkit_data::qa::QuestionType;
use bertkit_evaluation::BootstrapOptions;
use bertkit_training::config::flag::{finite, share};
use bertkit_training::{Perturbed, TaskInput, task_of_model};
use clap::{Args, ValueEnum};

use crate::error::CliError;
use crate::reading::{
    MachineFlags, Missing, ProductFlags, QuestionFlags, ReadFlags, TagFlags, refuse_question,
};
use crate::render;

const EXAMPLES: &str = "\
Examples:
  bertkit eval runs/spam --data test.csv
  bertkit eval runs/spam --data test.csv --json > report.json
  bertkit eval models/some-classifier --data test.tsv --text body --label kind --device cpu
  bertkit eval runs/names --data test.conll --group document
  bertkit eval runs/answers --data dev-v2.0.json --group context
  bertkit eval runs/laws --data test.csv --perturb typos:0.05 --perturb accents,case:lower

--perturb changes the texts by the seed and measures again, side by side with the original:
  typos:RATE                              letters swapped, left out, added or taken for neighbours
  case, case:upper, case:lower            words in other letters, each at random or as said
  accents                                 letters without their marks
  script, script:latin, script:cyrillic   Serbian in its other script, or in this one
A rate behind a colon is the share of letters (typos, 0.05 if not given) or of words (others, 1).
Of questions about texts, the question is changed and its text is not: that holds the answer.

Given a run directory, the report and each row's prediction are also kept there, in
eval/NAME.json and eval/NAME.predictions.jsonl; of questions also eval/NAME.predictions.json,
the answers by id as SQuAD's own script takes them.";

/// The types of BioASQ's questions whose answers stand in texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum TypeOfQuestion {
    Factoid,
    List,
}

impl From<TypeOfQuestion> for QuestionType {
    fn from(kind: TypeOfQuestion) -> Self {
        match kind {
            TypeOfQuestion::Factoid => Self::Factoid,
            TypeOfQuestion::List => Self::List,
        }
    }
}

/// Measure how good a model is on labelled texts
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct EvalArgs {
    /// A run directory, or a model folder in Hugging Face's layout
    run: PathBuf,
    /// Labelled rows, which training must not have seen
    #[arg(long, value_name = "FILE", help_heading = "Data")]
    data: PathBuf,
    /// Column with the text: its name, or its number from 1 [default: as in training]
    #[arg(long, value_name = "COLUMN", help_heading = "Data")]
    text: Option<String>,
    /// Column with the second text, for tasks about pairs [default: as in training]
    #[arg(long, value_name = "COLUMN", help_heading = "Data")]
    text_pair: Option<String>,
    /// Column with the label [default: as in training]
    #[arg(long, value_name = "COLUMN", help_heading = "Data")]
    label: Option<String>,
    /// Column whose equal values belong together: the bootstrap draws whole groups; of tagged
    /// words, document; of questions, context or title
    #[arg(long, value_name = "COLUMN", help_heading = "Data")]
    group: Option<String>,
    /// What separates several labels in one cell [default: as in training]
    #[arg(long, value_name = "TEXT", help_heading = "Data")]
    label_separator: Option<String>,
    #[command(flatten, next_help_heading = "Data")]
    read: ReadFlags,
    /// The first row names the columns [default: as in training]
    #[arg(long, help_heading = "Data", conflicts_with = "no-header")]
    header: bool,
    /// What happens to rows without a text or a label: left out and counted, or the file is refused
    #[arg(long, value_enum, default_value = "drop", hide_possible_values = true)]
    #[arg(value_name = "drop|refuse", help_heading = "Data")]
    missing: Missing,
    /// Refuse labels, or types of entities, that training never saw, instead of counting them as
    /// errors; of questions, refuse answers that their text does not hold
    #[arg(long, help_heading = "Data")]
    strict: bool,
    #[command(flatten, next_help_heading = "Tagged words")]
    tags: TagFlags,
    #[command(flatten)]
    questions: QuestionFlags,
    /// Take the answers of all texts of a question together, by the first 24 characters of its id,
    /// and rank them: BioASQ's factoid questions
    #[arg(long, help_heading = "Questions")]
    pool_snippets: bool,
    /// Of a file of BioASQ's own, which questions are scored, over all snippets of each: factoid by
    /// rank, list by what belongs in it [default: told by the file, if it has one of them alone]
    #[arg(long, value_name = "TYPE", value_enum, help_heading = "Questions")]
    question_type: Option<TypeOfQuestion>,
    /// Of BioASQ's lists, the probability, summed over snippets, above which an answer belongs in
    /// them [default: 0.42]
    #[arg(long, value_name = "NUMBER", value_parser = finite, help_heading = "Questions")]
    list_threshold: Option<f64>,
    /// A question has no answer if that scores by more than this above the best one
    /// [default: as training chose]
    #[arg(long, value_name = "NUMBER", value_parser = finite, help_heading = "Questions")]
    #[arg(allow_negative_numbers = true)]
    null_threshold: Option<f64>,
    /// Where a probability counts as positive [default: as training chose]
    #[arg(long, value_name = "NUMBER", value_parser = share, help_heading = "Metrics")]
    threshold: Option<f64>,
    /// Measure again on texts changed so: see below; may be given several times
    #[arg(long, value_name = "CHANGES", help_heading = "Metrics")]
    perturb: Vec<Perturbation>,
    /// Resamples for the intervals; 0 computes none
    #[arg(
        long,
        value_name = "N",
        default_value_t = 1000,
        help_heading = "Metrics"
    )]
    bootstrap: u32,
    /// The share of resamples that an interval holds
    #[arg(
        long,
        value_name = "SHARE",
        default_value_t = 0.95,
        help_heading = "Metrics"
    )]
    #[arg(value_parser = confidence)]
    confidence: f64,
    /// Decides the resamples, and what --perturb changes
    #[arg(long, value_name = "N", default_value_t = 0, help_heading = "Metrics")]
    seed: u64,
    /// Name of the report in the run directory [default: by the file]
    #[arg(long, value_parser = name, help_heading = "Output")]
    name: Option<String>,
    /// Print the report as one JSON object
    #[arg(long, help_heading = "Output")]
    json: bool,
    /// No progress and no notes: only errors, and the report
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
/// An unusable model or data, or an error of the evaluation.
pub fn run(args: &EvalArgs) -> Result<(), CliError> {
    let of_questions = [
        ("--pool-snippets", args.pool_snippets),
        ("--question-type", args.question_type.is_some()),
        ("--list-threshold", args.list_threshold.is_some()),
        ("--null-threshold", args.null_threshold.is_some()),
    ];
    let flag = of_questions.iter().find(|(_, given)| *given);
    let flag = args.questions.given().or(flag.map(|(flag, _)| *flag));
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

impl EvalArgs {
    /// Resamples, confidence and seed of the intervals.
    fn bootstrap(&self) -> BootstrapOptions {
        BootstrapOptions {
            resamples: self.bootstrap as usize,
            confidence: self.confidence,
            seed: self.seed,
            ..BootstrapOptions::default()
        }
    }
}

/// Reports where the report and the rows were written.
fn keep(args: &EvalArgs, written: &Option<(PathBuf, PathBuf)>) {
    if let (Some((report, rows)), false) = (written, args.quiet) {
        render::note(&format!(
            "kept as `{}` and `{}`",
            report.display(),
            rows.display()
        ));
    }
}

/// The metrics on perturbed inputs, one table per perturbation; `items` is the noun for the inputs.
fn perturbed(each: &[Perturbed], items: &str) -> String {
    // Number of metrics shown; the report has all of them.
    const SHOWN: usize = 3;
    let mut text = String::new();
    for perturbed in each {
        let mut shown = perturbed.comparison.clone();
        shown.metrics.truncate(SHOWN);
        text += &format!(
            "\nperturbed by {}: {} of {} {items} changed\n{}",
            perturbed.perturbation,
            perturbed.changed,
            shown.rows,
            shown.table("original", "perturbed")
        );
    }
    text
}

/// Parses a number strictly between 0 and 1.
pub(super) fn confidence(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if number > 0.0 && number < 1.0 => Ok(number),
        _ => Err("expected a number between 0 and 1, such as 0.95".into()),
    }
}

/// Parses a file name that is not a path.
fn name(text: &str) -> Result<String, String> {
    let path = text.contains(['/', '\\', '\0']);
    if text.is_empty() || text.starts_with('.') || path {
        return Err("expected a plain name: no path, and no dot in front".into());
    }
    Ok(text.into())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn names_of_reports_are_no_paths() {
        assert_eq!(name("test-2").unwrap(), "test-2");
        for text in ["", "a/b", "..", ".hidden"] {
            assert!(name(text).is_err(), "{text}");
        }
        assert!(confidence("1").is_err() && confidence("95").is_err() && confidence("0.9").is_ok());
    }
}
