//! `bertkit predict` for question-answering models.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bertkit_data::qa::Prediction;
use bertkit_data::qa::Question;
use bertkit_data::sources::questions::{QuestionOptions, questions_of_table, read_questions};
use bertkit_data::sources::{ReadOptions, read_table, read_table_from};
use bertkit_data::table::Table;
use bertkit_training::{QuestionAnswerer, proposals, write_atomically};
use serde_json::{Map, Value, json};

use super::PredictArgs;
use super::input::one_line;
use super::output::{Target, folder_of, note_left_out, with_columns};
use crate::error::CliError;
use crate::format::plural;
use crate::process;
use crate::progress::{Display, RowProgress};
use crate::render;

/// Runs the prediction.
pub(super) fn run(args: &PredictArgs) -> Result<(), CliError> {
    let source = Source::choose(args)?;
    process::use_threads(args.machine.threads)?;
    process::leave_on_interrupt()?;
    let mut answerer = QuestionAnswerer::open(&args.run, args.machine.chosen(args.quiet))?
        .in_precision(args.products.precision)?;
    if let Some(threshold) = args.null_threshold {
        answerer.set_null_threshold(threshold);
    }
    if !args.quiet {
        answerer.notes().iter().for_each(|note| render::note(note));
    }
    match source {
        Source::Texts => texts(args, &answerer),
        Source::File(input, output) => file(args, &answerer, &input, &output),
    }
}

/// The questions to answer.
enum Source {
    Texts,
    File(PathBuf, Output),
}

/// The output for answers to the questions of a file.
enum Output {
    /// The best answers to each question, by id, as JSON.
    Best(PathBuf),
    /// A table of questions and answers.
    Table(Target),
}

impl Source {
    fn choose(args: &PredictArgs) -> Result<Self, CliError> {
        let of_texts = [
            ("--text", !args.text.is_empty()),
            ("--text-pair", !args.text_pair.is_empty()),
            ("--text-column", args.text_column.is_some()),
            ("--text-pair-column", args.text_pair_column.is_some()),
        ];
        if let Some((flag, _)) = of_texts.iter().find(|(_, given)| *given) {
            return Err(CliError::usage(
                format!("{flag} is about texts, but this model answers questions about them"),
                "give --question TEXT and --context TEXT, or a file with --input FILE",
            ));
        }
        if let Some(input) = &args.input {
            let json = |path: &&PathBuf| path.extension() == Some(OsStr::new("json"));
            let output = match args.output.as_ref().filter(json) {
                Some(path) if args.output_format.is_none() => {
                    let folder = folder_of(path);
                    if !folder.is_dir() || path.is_dir() {
                        return Err(CliError::usage(
                            format!("the output `{}` cannot be written", path.display()),
                            "name a file in a folder that exists",
                        ));
                    }
                    Output::Best(path.clone())
                }
                _ => Output::Table(Target::choose(args)?),
            };
            return Ok(Self::File(input.clone(), output));
        }
        let (asked, told) = (args.question.len(), args.context.len());
        if asked == 0 {
            return Err(CliError::usage(
                "there is nothing to answer",
                "give --question TEXT and --context TEXT, or a file with --input FILE",
            ));
        }
        if told != 1 && told != asked {
            return Err(CliError::usage(
                format!("--question is given {asked} times, but --context {told}"),
                "give one --context for all questions, or one for each, in the same order",
            ));
        }
        Ok(Self::Texts)
    }
}

/// Answers the questions given with --question.
fn texts(args: &PredictArgs, answerer: &QuestionAnswerer) -> Result<(), CliError> {
    let contexts: Vec<Arc<str>> = args
        .context
        .iter()
        .map(|text| text.as_str().into())
        .collect();
    let mut questions = Vec::with_capacity(args.question.len());
    for (number, question) in args.question.iter().enumerate() {
        let context = &contexts[number.min(contexts.len() - 1)];
        if question.trim().is_empty() || context.trim().is_empty() {
            return Err(CliError::usage(
                "a question or its text is empty",
                "give both: --question TEXT --context TEXT",
            ));
        }
        questions.push(Question {
            id: (number + 1).to_string(),
            question: question.clone(),
            context: context.clone(),
            answers: Vec::new(),
            impossible: false,
            labelled: false,
            title: None,
            line: None,
        });
    }
    let answers = answerer.answer(&questions, &mut |_| {})?;
    let threshold = answerer.info().settings.null_threshold;
    let mut out = String::new();
    for (question, prediction) in questions.iter().zip(&answers) {
        let answer = Answer::of(prediction, threshold);
        if args.json {
            out += &answer.json(question, prediction).to_string();
        } else {
            let start = answer.start.map_or_else(String::new, |at| at.to_string());
            let fields = [
                one_line(answer.text),
                format!("{:.4}", answer.score),
                start,
                one_line(&question.question),
            ];
            out += &fields.join("\t");
        }
        out.push('\n');
    }
    render::stdout(&out)
}

/// An answer to output.
struct Answer<'a> {
    text: &'a str,
    /// Its probability among the candidate answers.
    score: f64,
    /// Start in the text, in characters.
    start: Option<usize>,
    end: Option<usize>,
}

impl<'a> Answer<'a> {
    fn of(prediction: &'a Prediction, threshold: Option<f64>) -> Self {
        let text = prediction.text(threshold);
        let given = match text.is_empty() {
            true => prediction.n_best.iter().find(|answer| answer.is_null()),
            false => prediction.best(),
        };
        let place = given.filter(|answer| !answer.is_null());
        Self {
            text,
            score: given.map_or(0.0, |answer| answer.probability),
            start: place.map(|answer| answer.start),
            end: place.map(|answer| answer.end),
        }
    }

    fn json(&self, question: &Question, prediction: &Prediction) -> Value {
        json!({
            "question": question.question,
            "answer": self.text,
            "score": self.score,
            "start": self.start,
            "end": self.end,
            "n_best": proposals(prediction),
        })
    }
}

/// Answers the questions of a file.
fn file(
    args: &PredictArgs,
    answerer: &QuestionAnswerer,
    input: &Path,
    output: &Output,
) -> Result<(), CliError> {
    let read = args.read.options(args.header || answerer.info().header)?;
    let options = options(args, answerer, read);
    let name = input.to_string_lossy().to_ascii_lowercase();
    let squad = name.ends_with(".json") || name.ends_with(".json.gz");
    let (table, questions) = match (name.as_str(), squad && args.read.format.is_none()) {
        (_, true) => (None, read_questions(input, &options)?.items),
        (name, false) => {
            let table = match name {
                "-" => read_table_from(io::stdin().lock(), "standard input", &options.read)?,
                _ => read_table(input, &options.read)?,
            };
            let questions = questions_of_table(&table, &options)?.items;
            (Some(table), questions)
        }
    };
    let mut progress = RowProgress::new(Display::choose(args.quiet));
    let total = questions.len();
    let answers = answerer.answer(&questions, &mut |done| progress.done(done, total))?;
    drop(progress);
    let written = match output {
        Output::Best(path) => {
            best(path, &questions, &answers)?;
            Some(path)
        }
        Output::Table(target) => {
            if let Some(table) = &table {
                note_left_out(table, args.quiet);
            }
            let (columns, rows, replaced) = beside(table, answerer, &questions, &answers);
            if !replaced.is_empty() && !args.quiet {
                let names: Vec<_> = replaced.iter().map(|name| format!("`{name}`")).collect();
                let names = names.join(", ");
                render::note(&format!("the table's own {names} replaced by new ones"));
            }
            target.write(&columns, rows)?;
            target.path.as_ref()
        }
    };
    if let (Some(path), false) = (written, args.quiet) {
        let questions = plural(total as u64, "question");
        let path = path.display();
        render::note(&format!("wrote the answers to {questions} to `{path}`"));
    }
    Ok(())
}

/// Options for reading questions: as in training, unless columns are given. Gold answers are ignored.
fn options(args: &PredictArgs, answerer: &QuestionAnswerer, read: ReadOptions) -> QuestionOptions {
    let settings = &answerer.info().settings;
    let column = |given: &Option<String>, trained: &str| given.as_deref().unwrap_or(trained).into();
    QuestionOptions {
        read,
        question: column(&args.question_column, &settings.question),
        context: column(&args.context_column, &settings.context),
        answer: None,
        start: None,
        id: settings.id.as_deref().map(Into::into),
        strict: false,
    }
}

/// Writes the best answers to each question, by id.
fn best(path: &Path, questions: &[Question], answers: &[Prediction]) -> Result<(), CliError> {
    let by_id: Map<String, Value> = questions
        .iter()
        .zip(answers)
        .map(|(question, answer)| (question.id.clone(), json!(proposals(answer))))
        .collect();
    let text = format!("{:#}\n", Value::Object(by_id));
    let path = match fs::metadata(path) {
        // Pipes and devices cannot be replaced.
        Ok(found) if !found.is_file() => {
            return fs::write(path, text).map_err(|source| CliError::Write {
                path: path.into(),
                source,
            });
        }
        Ok(_) => fs::canonicalize(path).unwrap_or_else(|_| path.into()),
        Err(_) => path.into(),
    };
    Ok(write_atomically(&path, text.as_bytes())?)
}

/// Adds answers to the table, or to ids and questions; also returns the names of columns that they replace.
fn beside(
    table: Option<Table>,
    answerer: &QuestionAnswerer,
    questions: &[Question],
    answers: &[Prediction],
) -> (Vec<String>, Vec<Vec<Value>>, Vec<String>) {
    let threshold = answerer.info().settings.null_threshold;
    let added = ["answer", "score", "start"].map(String::from);
    let values = answers.iter().map(|prediction| {
        let answer = Answer::of(prediction, threshold);
        vec![json!(answer.text), json!(answer.score), json!(answer.start)]
    });
    match table {
        Some(table) => with_columns(table, added.to_vec(), values),
        None => {
            let columns = ["id", "question"].map(String::from).into_iter();
            let own = questions
                .iter()
                .map(|q| vec![json!(q.id), json!(q.question)]);
            let rows = own.zip(values).map(|(own, new)| [own, new].concat());
            (columns.chain(added).collect(), rows.collect(), Vec::new())
        }
    }
}
