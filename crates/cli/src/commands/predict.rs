//! `bertkit predict`: a model and texts to predictions.

mod questions;
mod tags;

use std::fs::{self, File};
use std::io::{self, BufRead, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};

use bertkit_data::DataError;
use bertkit_data::documents::documents;
use bertkit_data::error::{FileError, TableError};
use bertkit_data::examples::{Examples, Selection};
use bertkit_data::labels::TaskKind;
use bertkit_data::sources::{Format, read_table_from, write_table};
use bertkit_data::table::Table;
use bertkit_training::config::flag::finite;
use bertkit_training::{Answer, Answers, Predictor, TaskInfo};
use clap::Args;
use clap::builder::PossibleValuesParser;
use serde_json::{Map, Value, json};

use crate::error::CliError;
use crate::format::{count, plural};
use crate::process;
use crate::progress::{Display, RowProgress};
use crate::reading::{MachineFlags, ProductFlags, ReadFlags, TagFlags, refuse_question};
use crate::render;

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

/// Lines that are predicted together: enough to fill batches, few enough to answer soon.
const LINES_AT_ONCE: usize = 1024;

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

/// Predicts.
///
/// # Errors
/// Nothing to predict, a model or data that cannot be used, and what stops the prediction.
pub fn run(args: &PredictArgs) -> Result<(), CliError> {
    let of_questions = [
        ("--question", !args.question.is_empty()),
        ("--question-column", args.question_column.is_some()),
        ("--context-column", args.context_column.is_some()),
        ("--null-threshold", args.null_threshold.is_some()),
    ];
    let flag = of_questions.iter().find(|(_, given)| *given);
    let flag = flag.map(|(flag, _)| *flag);
    match Answers::of(&args.run) {
        Answers::Questions => {
            args.tags.refuse()?;
            return questions::run(args);
        }
        Answers::Tags => {
            refuse_question(flag)?;
            return tags::run(args);
        }
        Answers::Texts => {
            args.tags.refuse()?;
            refuse_question(flag)?;
        }
    }
    // What is wrong with the command line is told before the model is loaded.
    let source = Source::choose(args)?;
    process::use_threads(args.machine.threads)?;
    process::leave_on_interrupt()?;
    let predictor = Predictor::open(&args.run, args.machine.chosen(args.quiet))?
        .in_precision(args.products.precision)?;
    if !args.quiet {
        predictor.notes().iter().for_each(|note| render::note(note));
    }
    let cut = match source {
        Source::Texts => texts(args, &predictor)?,
        Source::Lines => lines(args, &predictor, io::stdin().lock())?,
        Source::Table(input, target) => {
            args.read.check_format(predictor.task().relations)?;
            let options = args.read.options(args.header || predictor.task().header)?;
            let reading = predictor.task().reading();
            let table = match input.to_str() {
                Some("-") => read_table_from(io::stdin().lock(), "standard input", &options)?,
                _ => reading.table(&input, &options)?,
            };
            predict_table(args, &predictor, table, &target)?
        }
    };
    if cut > 0 && !args.quiet {
        let limit = count(predictor.task().max_length as u64);
        let texts = plural(cut as u64, "text");
        render::note(&format!(
            "cut to the model's limit of {limit} tokens: {texts}"
        ));
    }
    Ok(())
}

/// What is predicted.
enum Source {
    Texts,
    Lines,
    Table(PathBuf, Target),
}

impl Source {
    fn choose(args: &PredictArgs) -> Result<Self, CliError> {
        if let Some(input) = &args.input {
            return Ok(Self::Table(input.clone(), Target::choose(args)?));
        }
        of_table(args)?;
        if args.text.is_empty() {
            return piped().map(|()| Self::Lines);
        }
        let (found, expected) = (args.text_pair.len(), args.text.len());
        if found != 0 && found != expected {
            return Err(CliError::usage(
                format!("--text is given {expected} times, but --text-pair {found}"),
                "give one --text-pair for each --text, in the same order",
            ));
        }
        Ok(Self::Texts)
    }
}

/// Refuses flags about a table where there is none.
fn of_table(args: &PredictArgs) -> Result<(), CliError> {
    let flags = [
        ("--output", args.output.is_some()),
        ("--output-format", args.output_format.is_some()),
        ("--text-column", args.text_column.is_some()),
        ("--text-pair-column", args.text_pair_column.is_some()),
        ("--header", args.header),
    ];
    let read = &args.read;
    let how = read.format.is_some()
        || read.delimiter.is_some()
        || read.quote.is_some()
        || read.escape.is_some()
        || read.no_header;
    let problem = match flags.iter().find(|(_, given)| *given) {
        Some((flag, _)) => format!("{flag} is about a table, but there is none"),
        None if how => "--format, --delimiter, --quote, --escape and --no-header say how a table is read, but there is none".into(),
        None => return Ok(()),
    };
    Err(CliError::usage(
        problem,
        "name the table with --input FILE; `-` is standard input",
    ))
}

/// Refuses to wait for texts that nobody pipes in.
fn piped() -> Result<(), CliError> {
    match io::stdin().is_terminal() {
        false => Ok(()),
        true => Err(CliError::usage(
            "there is nothing to predict",
            "give --text TEXT or --input FILE, or pipe texts in, one a line",
        )),
    }
}

/// Predicts what --text says; returns how many texts were cut.
fn texts(args: &PredictArgs, predictor: &Predictor) -> Result<usize, CliError> {
    let pairs = args
        .text_pair
        .iter()
        .cloned()
        .map(Some)
        .chain(std::iter::repeat(None));
    let reading = predictor.task().reading();
    let marked = args.text.iter().map(|text| reading.marked_text(text));
    let marked = marked.collect::<Result<Vec<_>, _>>()?;
    let texts: Vec<_> = marked.into_iter().zip(pairs).collect();
    if predictor.task().text_pair.is_some() && args.text_pair.is_empty() {
        return Err(CliError::usage(
            "this model was trained on pairs of texts, but there is no second text",
            "give it with --text-pair TEXT",
        ));
    }
    let answers = predictor.predict(&texts, &mut |_| {})?;
    show(args, predictor.task(), &texts, &answers)?;
    Ok(cut(&answers))
}

/// Predicts standard input, one text a line; returns how many texts were cut.
fn lines(
    args: &PredictArgs,
    predictor: &Predictor,
    mut reader: impl BufRead,
) -> Result<usize, CliError> {
    let pairs = predictor.task().text_pair.is_some();
    let mut shortened = 0;
    let mut number = 0;
    loop {
        let texts = read_lines(&mut reader, &mut number, pairs)?;
        if number == 0 && !args.quiet {
            render::note("standard input is empty: there was nothing to predict");
        }
        if texts.is_empty() {
            return Ok(shortened);
        }
        let answers = predictor.predict(&texts, &mut |_| {})?;
        show(args, predictor.task(), &texts, &answers)?;
        shortened += cut(&answers);
    }
}

/// The next lines as texts, or as pairs divided by a tab; none at the end. `number` counts lines.
fn read_lines(
    reader: &mut impl BufRead,
    number: &mut u64,
    pairs: bool,
) -> Result<Vec<(String, Option<String>)>, CliError> {
    let mut texts = Vec::new();
    while texts.len() < LINES_AT_ONCE {
        let mut bytes = Vec::new();
        let read = reader.read_until(b'\n', &mut bytes);
        if read.map_err(|source| CliError::Stdin { source })? == 0 {
            break;
        }
        *number += 1;
        let line = *number;
        let text = String::from_utf8(bytes).map_err(|_| CliError::Line {
            line,
            problem: "is not UTF-8".into(),
            hint: "convert the text first, for example with iconv -t UTF-8".into(),
        })?;
        let text = text.strip_suffix('\n').unwrap_or(&text);
        let text = text.strip_suffix('\r').unwrap_or(text);
        let text = if line == 1 {
            text.trim_start_matches('\u{feff}')
        } else {
            text
        };
        texts.push(match (pairs, text.split_once('\t')) {
            (false, _) => (text.to_owned(), None),
            (true, Some((first, second))) => (first.to_owned(), Some(second.to_owned())),
            (true, None) => {
                return Err(CliError::Line {
                    line,
                    problem: "holds one text, but this model was trained on pairs".into(),
                    hint: "divide the two texts by a tab, or give a table with --input FILE".into(),
                });
            }
        });
    }
    Ok(texts)
}

/// Prints answers, a line each.
fn show(
    args: &PredictArgs,
    task: &TaskInfo,
    texts: &[(String, Option<String>)],
    answers: &[Answer],
) -> Result<(), CliError> {
    let mut out = String::new();
    for ((text, pair), answer) in texts.iter().zip(answers) {
        if args.json {
            out += &answer_json(task, text, pair.as_deref(), answer).to_string();
        } else {
            out += &answer_line(task, text, pair.as_deref(), answer);
        }
        out.push('\n');
    }
    render::stdout(&out)
}

fn answer_json(task: &TaskInfo, text: &str, pair: Option<&str>, answer: &Answer) -> Value {
    let mut object = Map::new();
    object.insert("text".into(), text.into());
    if let Some(pair) = pair {
        object.insert("text_pair".into(), pair.into());
    }
    object.insert("prediction".into(), prediction(task, answer));
    if task.kind != TaskKind::Regression {
        let named = task
            .classes
            .iter()
            .cloned()
            .zip(answer.probabilities.iter().map(|p| json!(p)));
        object.insert("probabilities".into(), named.collect::<Map<_, _>>().into());
    }
    object.insert("truncated".into(), answer.truncated.into());
    object.into()
}

/// `spam<TAB>0.9731<TAB>you have won`; of a regression, the number and the text.
fn answer_line(task: &TaskInfo, text: &str, pair: Option<&str>, answer: &Answer) -> String {
    let mut fields = vec![one_line(&answer.prediction)];
    match task.kind {
        TaskKind::Regression => {}
        TaskKind::Classification => {
            fields.push(probability(task, answer, &answer.prediction).unwrap_or_default());
        }
        TaskKind::MultiLabel => {
            let separator = task.label_separator.as_deref().unwrap_or("|");
            let labels = answer.prediction.split(separator);
            let each: Vec<_> = labels
                .filter_map(|label| probability(task, answer, label))
                .collect();
            fields.push(each.join(separator));
        }
    }
    fields.push(one_line(text));
    fields.extend(pair.map(one_line));
    fields.join("\t")
}

fn probability(task: &TaskInfo, answer: &Answer, class: &str) -> Option<String> {
    let at = task.classes.iter().position(|name| name == class)?;
    answer
        .probabilities
        .get(at)
        .map(|probability| format!("{probability:.4}"))
}

/// The text with each tab, line break and other control character as a space.
fn one_line(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

/// The class or the classes, or the number of a regression.
fn prediction(task: &TaskInfo, answer: &Answer) -> Value {
    match (task.kind, answer.prediction.parse::<f64>()) {
        (TaskKind::Regression, Ok(number)) => json!(number),
        _ => answer.prediction.clone().into(),
    }
}

fn cut(answers: &[Answer]) -> usize {
    answers.iter().filter(|answer| answer.truncated).count()
}

/// Where a table goes, and how.
struct Target {
    format: Format,
    /// Standard output if there is none.
    path: Option<PathBuf>,
}

impl Target {
    fn choose(args: &PredictArgs) -> Result<Self, CliError> {
        let asked = args
            .output_format
            .as_deref()
            .map(str::parse::<Format>)
            .transpose()?;
        let asked = asked.or(args.json.then_some(Format::Jsonl));
        let Some(path) = &args.output else {
            return Ok(Self {
                format: asked.unwrap_or(Format::Csv),
                path: None,
            });
        };
        writable(path)?;
        let format = match asked {
            Some(format) => format,
            None => Format::of_output(path).map_err(|source| CliError::Hinted {
                source: source.into(),
                hint: "say the format of the output with --output-format csv, tsv or jsonl".into(),
            })?,
        };
        Ok(Self {
            format,
            path: Some(path.clone()),
        })
    }

    fn write(&self, columns: &[String], rows: Vec<Vec<Value>>) -> Result<(), CliError> {
        let Some(path) = &self.path else {
            let mut out = BufWriter::new(io::stdout().lock());
            let written = write_rows(&mut out, self.format, columns, rows);
            return written.map_err(|source| CliError::Stdout { source });
        };
        replace_file(path, |out| write_rows(out, self.format, columns, rows))
    }
}

/// Refuses a path that no file can have.
fn writable(path: &Path) -> Result<(), CliError> {
    if path.is_dir() {
        return Err(CliError::usage(
            format!(
                "the output `{}` is a directory, expected a file",
                path.display()
            ),
            "name a file in it, such as predicted.csv",
        ));
    }
    let folder = folder_of(path);
    if !folder.is_dir() {
        return Err(CliError::usage(
            format!("the output's folder `{}` does not exist", folder.display()),
            "make it first, or write to another",
        ));
    }
    Ok(())
}

/// Fills a file that is there when it is full, and not before.
fn replace_file(
    path: &Path,
    fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), CliError> {
    let failed = |source| CliError::Write {
        path: path.into(),
        source,
    };
    // A pipe or a device cannot be replaced; through a link, its target is.
    let path = match fs::metadata(path) {
        Ok(found) if !found.is_file() => {
            let mut out = BufWriter::new(File::create(path).map_err(failed)?);
            return fill(&mut out).and_then(|()| out.flush()).map_err(failed);
        }
        Ok(_) => fs::canonicalize(path).map_err(failed)?,
        Err(_) => path.into(),
    };
    let file = temporary(&folder_of(&path)).map_err(failed)?;
    process::remove_on_interrupt(Some(file.path()));
    let mut out = BufWriter::new(file.as_file());
    let filled = fill(&mut out)
        .and_then(|()| out.flush())
        .and_then(|()| file.as_file().sync_all());
    drop(out);
    let written = filled.and_then(|()| file.persist(&path).map_err(|error| error.error));
    process::remove_on_interrupt(None);
    written.map(|_| ()).map_err(failed)
}

/// A file for the output to grow in, with the permissions that a new file gets.
fn temporary(folder: &Path) -> io::Result<tempfile::NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".bertkit-");
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(folder)
}

fn write_rows(
    out: &mut (impl Write + ?Sized),
    format: Format,
    columns: &[String],
    rows: Vec<Vec<Value>>,
) -> io::Result<()> {
    write_table(&mut *out, format, columns, rows).map_err(|error| match error {
        DataError::File(FileError::Write { source }) => source,
        other => io::Error::other(other),
    })?;
    out.flush()
}

fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.into(),
        _ => ".".into(),
    }
}

/// Predicts a table; returns how many texts were cut.
fn predict_table(
    args: &PredictArgs,
    predictor: &Predictor,
    table: Table,
    target: &Target,
) -> Result<usize, CliError> {
    let task = predictor.task();
    let text = args.text_column.as_deref().unwrap_or(&task.text);
    let marked = task.reading().marked(&table, &text.into())?;
    let examples = examples(args, task, marked.as_ref().unwrap_or(&table))?;
    let mut progress = RowProgress::new(Display::choose(args.quiet));
    let grouped = task
        .documents
        .as_ref()
        .is_some_and(|d| d.group_by.is_some());
    let answers = if grouped {
        by_document(predictor, &examples, &mut progress)?
    } else {
        let rows = examples.rows.into_iter();
        let texts: Vec<_> = rows.map(|row| (row.text, row.text_pair)).collect();
        predictor.predict(&texts, &mut |done| progress.done(done, texts.len()))?
    };
    drop(progress);
    note_left_out(&table, args.quiet);
    let (columns, rows, replaced) = joined(table, task, &answers);
    if !replaced.is_empty() && !args.quiet {
        let names: Vec<_> = replaced.iter().map(|name| format!("`{name}`")).collect();
        render::note(&format!(
            "the table's own {} replaced by new ones",
            names.join(", ")
        ));
    }
    target.write(&columns, rows)?;
    if let (Some(path), false) = (&target.path, args.quiet) {
        let rows = plural(answers.len() as u64, "row");
        render::note(&format!("wrote {rows} to `{}`", path.display()));
    }
    Ok(cut(&answers))
}

/// Answers to rows that are documents together: each row has that of its document.
fn by_document(
    predictor: &Predictor,
    examples: &Examples,
    progress: &mut RowProgress,
) -> Result<Vec<Answer>, CliError> {
    let found = documents(examples, true)?;
    let text = |&row: &usize| examples.rows[row].text.clone();
    let texts: Vec<Vec<String>> = found
        .iter()
        .map(|document| document.rows.iter().map(text).collect())
        .collect();
    let total = texts.len();
    let answers = predictor.predict_documents(&texts, &mut |done| progress.done(done, total))?;
    let mut places = vec![0; examples.rows.len()];
    for (number, document) in found.iter().enumerate() {
        document.rows.iter().for_each(|&row| places[row] = number);
    }
    Ok(places.iter().map(|&at| answers[at].clone()).collect())
}

/// The texts of the table's rows.
fn examples(args: &PredictArgs, task: &TaskInfo, table: &Table) -> Result<Examples, CliError> {
    let text = args.text_column.as_deref().unwrap_or(&task.text);
    let pair = args
        .text_pair_column
        .as_deref()
        .or(task.text_pair.as_deref());
    let selection = Selection {
        text: text.into(),
        text_pair: pair.map(Into::into),
        label: None,
        group: task
            .documents
            .as_ref()
            .and_then(|documents| documents.group_by.as_deref())
            .map(Into::into),
        label_separator: None,
    };
    Examples::unlabelled(table, &selection).map_err(|source| {
        let flag = match &source {
            DataError::Table(TableError::UnknownColumn {
                other_delimiter: Some(_),
                ..
            }) => None,
            DataError::Table(TableError::UnknownColumn { column, .. }) if column == text => {
                args.text_column.is_none().then_some("--text-column")
            }
            DataError::Table(TableError::UnknownColumn { .. }) => args
                .text_pair_column
                .is_none()
                .then_some("--text-pair-column"),
            _ => None,
        };
        match flag {
            Some(flag) => CliError::Hinted {
                source: source.into(),
                hint: format!(
                    "the model learnt from a column of that name: name yours with {flag}"
                ),
            },
            None => source.into(),
        }
    })
}

/// The table with its predictions, and the columns that these replace.
fn joined(
    table: Table,
    task: &TaskInfo,
    answers: &[Answer],
) -> (Vec<String>, Vec<Vec<Value>>, Vec<String>) {
    let mut added = vec!["prediction".to_owned()];
    if task.kind != TaskKind::Regression {
        added.extend(
            task.classes
                .iter()
                .map(|class| format!("probability_{class}")),
        );
    }
    let values = answers.iter().map(|answer| {
        let mut values = vec![prediction(task, answer)];
        let probabilities = answer.probabilities.iter();
        values.extend(probabilities.map(|probability| json!(probability)));
        values
    });
    with_columns(table, added, values)
}

/// Reports the columns of the input that an output cannot have.
fn note_left_out(table: &Table, quiet: bool) {
    if table.unsupported.is_empty() || quiet {
        return;
    }
    let columns = table.unsupported.iter();
    let columns: Vec<_> = columns
        .map(|column| format!("`{}` ({})", column.name, column.kind))
        .collect();
    render::note(&format!(
        "left out of the output, for their types: {}",
        columns.join(", ")
    ));
}

/// The table with columns added, and those of its own that they replace.
fn with_columns(
    table: Table,
    added: Vec<String>,
    values: impl Iterator<Item = Vec<Value>>,
) -> (Vec<String>, Vec<Vec<Value>>, Vec<String>) {
    let kept: Vec<bool> = table
        .columns
        .iter()
        .map(|column| !added.contains(column))
        .collect();
    let (mut columns, mut replaced) = (Vec::new(), Vec::new());
    for (column, keep) in table.columns.into_iter().zip(&kept) {
        if *keep {
            columns.push(column)
        } else {
            replaced.push(column)
        }
    }
    columns.extend(added);
    let rows = table.rows.into_iter().zip(values).map(|(row, new)| {
        let own = row.cells.into_iter().zip(&kept).filter(|(_, keep)| **keep);
        own.map(|(cell, _)| cell.into_json()).chain(new).collect()
    });
    (columns, rows.collect(), replaced)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use bertkit_data::sources::ReadOptions;

    fn task(kind: TaskKind) -> TaskInfo {
        TaskInfo {
            kind,
            classes: vec!["ham".into(), "spam".into()],
            positive: Some(1),
            thresholds: vec![0.5],
            threshold_origin: "given".into(),
            temperature: None,
            max_length: 128,
            text: "text".into(),
            text_pair: None,
            label: "label".into(),
            label_separator: None,
            header: true,
            documents: None,
            entities: None,
            relations: false,
            averaged: Vec::new(),
        }
    }

    fn answer(prediction: &str, probabilities: &[f64]) -> Answer {
        Answer {
            prediction: prediction.into(),
            probabilities: probabilities.into(),
            truncated: false,
        }
    }

    #[test]
    fn an_answer_is_one_line_whatever_the_text_holds() {
        let spam = answer("spam", &[0.25, 0.75]);
        let line = answer_line(
            &task(TaskKind::Classification),
            "a\tb\nc\u{1b}[2J",
            None,
            &spam,
        );
        assert_eq!(line, "spam\t0.7500\ta b c [2J");
        let both = answer("ham|spam", &[0.6, 0.75]);
        let line = answer_line(&task(TaskKind::MultiLabel), "a", Some("b"), &both);
        assert_eq!(line, "ham|spam\t0.6000|0.7500\ta\tb");
        let none = answer_line(
            &task(TaskKind::MultiLabel),
            "a",
            None,
            &answer("", &[0.1, 0.2]),
        );
        assert_eq!(none, "\t\ta");
        let number = answer_line(&task(TaskKind::Regression), "a", None, &answer("2.5", &[]));
        assert_eq!(number, "2.5\ta");
    }

    #[test]
    fn an_answer_in_json_names_its_probabilities() {
        let spam = answer("spam", &[0.25, 0.75]);
        let value = answer_json(&task(TaskKind::Classification), "a", None, &spam);
        assert_eq!(
            value.to_string(),
            r#"{"text":"a","prediction":"spam","probabilities":{"ham":0.25,"spam":0.75},"truncated":false}"#
        );
        let number = answer_json(
            &task(TaskKind::Regression),
            "a",
            Some("b"),
            &answer("2.5", &[]),
        );
        assert_eq!(
            number.to_string(),
            r#"{"text":"a","text_pair":"b","prediction":2.5,"truncated":false}"#
        );
    }

    fn table(text: &str) -> Table {
        let options = ReadOptions {
            format: Some(Format::Csv),
            ..ReadOptions::default()
        };
        read_table_from(text.as_bytes(), "t.csv", &options).unwrap()
    }

    #[test]
    fn a_table_keeps_its_columns_and_replaces_old_predictions() {
        let table = table("id,prediction,text\n1,old,\"a,b\"\n2,old,\n");
        let answers = [answer("spam", &[0.25, 0.75]), answer("ham", &[0.75, 0.25])];
        let (columns, rows, replaced) = joined(table, &task(TaskKind::Classification), &answers);
        assert_eq!(
            columns,
            [
                "id",
                "text",
                "prediction",
                "probability_ham",
                "probability_spam"
            ]
        );
        assert_eq!(replaced, ["prediction"]);
        let mut out = Vec::new();
        write_rows(&mut out, Format::Csv, &columns, rows).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "id,text,prediction,probability_ham,probability_spam\n\
             1,\"a,b\",spam,0.25,0.75\n2,,ham,0.75,0.25\n"
        );
    }

    #[test]
    fn an_output_replaces_a_file_at_once_and_leaves_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.jsonl");
        fs::write(&path, "before").unwrap();
        let target = Target {
            format: Format::Jsonl,
            path: Some(path.clone()),
        };
        target.write(&["a".into()], vec![vec![json!(1)]]).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "{\"a\":1}\n");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn an_output_through_a_link_replaces_its_target_and_devices_stay() {
        let folder = tempfile::tempdir().unwrap();
        let (path, link) = (
            folder.path().join("out.csv"),
            folder.path().join("link.csv"),
        );
        fs::write(&path, "before").unwrap();
        std::os::unix::fs::symlink(&path, &link).unwrap();
        let write = |path: &Path| {
            let target = Target {
                format: Format::Csv,
                path: Some(path.into()),
            };
            target.write(&["a".into()], vec![vec![json!(1)]]).unwrap();
        };
        write(&link);
        assert!(link.is_symlink());
        assert_eq!(fs::read_to_string(&path).unwrap(), "a\n1\n");
        write(Path::new("/dev/null"));
        assert!(!fs::metadata("/dev/null").unwrap().is_file());
    }

    #[test]
    fn lines_are_texts_without_their_ends() {
        let mut number = 0;
        let mut input: &[u8] = "\u{feff}one\r\n\ntwo\tx".as_bytes();
        let texts = read_lines(&mut input, &mut number, false).unwrap();
        let texts: Vec<_> = texts.iter().map(|(text, _)| text.as_str()).collect();
        assert_eq!((texts, number), (vec!["one", "", "two\tx"], 3));
        assert!(
            read_lines(&mut input, &mut number, false)
                .unwrap()
                .is_empty()
        );
    }

    #[test]
    fn lines_of_pairs_are_divided_by_a_tab() {
        let read = |text: &str| read_lines(&mut text.as_bytes(), &mut 0, true);
        assert_eq!(read("a\tb\n").unwrap(), [("a".into(), Some("b".into()))]);
        let error = read("a\tb\nc\n").unwrap_err();
        assert!(error.to_string().contains("line 2"), "{error}");
        assert!(read_lines(&mut &b"\xff\n"[..], &mut 0, false).is_err());
    }
}
