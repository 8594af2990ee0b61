//! `bertkit predict` for text models.

use std::io::{self, BufRead};
use std::path::PathBuf;

use bertkit_data::DataError;
use bertkit_data::documents::documents;
use bertkit_data::error::TableError;
use bertkit_data::examples::{Examples, Selection};
use bertkit_data::labels::LabelKind;
use bertkit_data::sources::read_table_from;
use bertkit_data::table::Table;
use bertkit_training::{Answer, Predictor, TaskInfo};
use serde_json::{Map, Value, json};

use super::PredictArgs;
use super::input::{of_table, one_line, piped, read_lines};
use super::output::{Target, note_left_out, with_columns};
use crate::error::CliError;
use crate::format::{count, plural};
use crate::process;
use crate::progress::{Display, RowProgress};
use crate::render;

/// Runs the prediction.
pub(super) fn run(args: &PredictArgs) -> Result<(), CliError> {
    // Errors of the command line are reported before the model is loaded.
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
            args.read.check_format(predictor.info().relations)?;
            let options = args.read.options(args.header || predictor.info().header)?;
            let reading = predictor.info().reading();
            let table = match input.to_str() {
                Some("-") => read_table_from(io::stdin().lock(), "standard input", &options)?,
                _ => reading.table(&input, &options)?,
            };
            predict_table(args, &predictor, table, &target)?
        }
    };
    if cut > 0 && !args.quiet {
        let limit = count(predictor.info().max_length as u64);
        let texts = plural(cut as u64, "text");
        render::note(&format!(
            "cut to the model's limit of {limit} tokens: {texts}"
        ));
    }
    Ok(())
}

/// The input to predict.
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

/// Predicts the texts given with --text; returns the number of truncated texts.
fn texts(args: &PredictArgs, predictor: &Predictor) -> Result<usize, CliError> {
    let pairs = args
        .text_pair
        .iter()
        .cloned()
        .map(Some)
        .chain(std::iter::repeat(None));
    let reading = predictor.info().reading();
    let marked = args.text.iter().map(|text| reading.marked_text(text));
    let marked = marked.collect::<Result<Vec<_>, _>>()?;
    let texts: Vec<_> = marked.into_iter().zip(pairs).collect();
    if predictor.info().text_pair.is_some() && args.text_pair.is_empty() {
        return Err(CliError::usage(
            "this model was trained on pairs of texts, but there is no second text",
            "give it with --text-pair TEXT",
        ));
    }
    let answers = predictor.predict(&texts, &mut |_| {})?;
    show(args, predictor.info(), &texts, &answers)?;
    Ok(cut(&answers))
}

/// Predicts standard input, one text per line; returns the number of truncated texts.
fn lines(
    args: &PredictArgs,
    predictor: &Predictor,
    mut reader: impl BufRead,
) -> Result<usize, CliError> {
    let pairs = predictor.info().text_pair.is_some();
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
        show(args, predictor.info(), &texts, &answers)?;
        shortened += cut(&answers);
    }
}

/// Prints predictions, one per line.
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
    if task.kind != LabelKind::Regression {
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

/// `spam<TAB>0.9731<TAB>you have won`; for regression, the number and the text.
fn answer_line(task: &TaskInfo, text: &str, pair: Option<&str>, answer: &Answer) -> String {
    let mut fields = vec![one_line(&answer.prediction)];
    match task.kind {
        LabelKind::Regression => {}
        LabelKind::Classification => {
            fields.push(probability(task, answer, &answer.prediction).unwrap_or_default());
        }
        LabelKind::MultiLabel => {
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

/// The class or classes, or the number for regression.
fn prediction(task: &TaskInfo, answer: &Answer) -> Value {
    match (task.kind, answer.prediction.parse::<f64>()) {
        (LabelKind::Regression, Ok(number)) => json!(number),
        _ => answer.prediction.clone().into(),
    }
}

fn cut(answers: &[Answer]) -> usize {
    answers.iter().filter(|answer| answer.truncated).count()
}

/// Predicts a table; returns the number of truncated texts.
fn predict_table(
    args: &PredictArgs,
    predictor: &Predictor,
    table: Table,
    target: &Target,
) -> Result<usize, CliError> {
    let task = predictor.info();
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

/// Predictions for rows grouped into documents: each row gets the prediction of its document.
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

/// Reads the texts of the table's rows.
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

/// Adds predictions to the table; also returns the names of columns that they replace.
fn joined(
    table: Table,
    task: &TaskInfo,
    answers: &[Answer],
) -> (Vec<String>, Vec<Vec<Value>>, Vec<String>) {
    let mut added = vec!["prediction".to_owned()];
    if task.kind != LabelKind::Regression {
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::output::write_rows;
    use super::*;
    use bertkit_data::sources::{Format, ReadOptions};

    fn task(kind: LabelKind) -> TaskInfo {
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
            &task(LabelKind::Classification),
            "a\tb\nc\u{1b}[2J",
            None,
            &spam,
        );
        assert_eq!(line, "spam\t0.7500\ta b c [2J");
        let both = answer("ham|spam", &[0.6, 0.75]);
        let line = answer_line(&task(LabelKind::MultiLabel), "a", Some("b"), &both);
        assert_eq!(line, "ham|spam\t0.6000|0.7500\ta\tb");
        let none = answer_line(
            &task(LabelKind::MultiLabel),
            "a",
            None,
            &answer("", &[0.1, 0.2]),
        );
        assert_eq!(none, "\t\ta");
        let number = answer_line(&task(LabelKind::Regression), "a", None, &answer("2.5", &[]));
        assert_eq!(number, "2.5\ta");
    }

    #[test]
    fn an_answer_in_json_names_its_probabilities() {
        let spam = answer("spam", &[0.25, 0.75]);
        let value = answer_json(&task(LabelKind::Classification), "a", None, &spam);
        assert_eq!(
            value.to_string(),
            r#"{"text":"a","prediction":"spam","probabilities":{"ham":0.25,"spam":0.75},"truncated":false}"#
        );
        let number = answer_json(
            &task(LabelKind::Regression),
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
        let (columns, rows, replaced) = joined(table, &task(LabelKind::Classification), &answers);
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
}
