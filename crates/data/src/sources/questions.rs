//! Question files: JSON documents in SQuAD's and BioASQ's formats, and tables with one question per row.

use std::io::Read;
use std::path::Path;

use super::format::Format;
use super::json;
use super::options::ReadOptions;
use super::read::read_table;
use super::stream;
use crate::columns::Column;
use crate::error::{DataError, FileError, TableError, short};
use crate::qa::Questions;
use crate::qa::builder::QuestionsBuilder;
use crate::table::{Cell, Row, Table};

/// Options for reading questions.
///
/// Columns apply to tables only; a column that is `None` is found by its usual name, if the table has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuestionOptions {
    /// Options for tables. A file that ends in `.json` or `.json.gz` is read as a JSON document unless a format is set
    /// here.
    pub read: ReadOptions,
    /// The question; `question` by default.
    pub question: Column,
    /// The text that holds the answer; `context` by default.
    pub context: Column,
    /// The answer, or a list of accepted answers; usually `answer` or `answers`. An empty answer means that the text
    /// contains no answer.
    pub answer: Option<Column>,
    /// Start of the answer, in characters from 0; usually `start` or `answer_start`. A list if the answer is a list.
    pub start: Option<Column>,
    /// The id of the question; usually `id`. Without it, questions are numbered from 1.
    pub id: Option<Column>,
    /// Whether an answer that is not in its text is an error. Otherwise it is counted and not used for training.
    pub strict: bool,
}

impl Default for QuestionOptions {
    fn default() -> Self {
        Self {
            read: ReadOptions::default(),
            question: "question".into(),
            context: "context".into(),
            answer: None,
            start: None,
            id: None,
            strict: false,
        }
    }
}

/// Reads questions, their texts and, if present, their answers.
///
/// An answer with a wrong or missing position is located if it occurs exactly once in the text; otherwise it has no
/// position. In SQuAD files, a question without the key `answers` is not labelled; if no question of the file has an
/// answer and none is marked as impossible, none is labelled.
///
/// # Errors
/// As [`read_table`]; a file that is not in SQuAD's format, reported with the place in the document; an empty question or
/// text; no questions; with `strict`, an answer without a position.
pub fn read_questions(path: &Path, options: &QuestionOptions) -> Result<Questions, DataError> {
    let name = path.display().to_string();
    let lower = name.to_ascii_lowercase();
    if options.read.format.is_none() && (lower.ends_with(".json") || lower.ends_with(".json.gz")) {
        let mut document = String::new();
        let (mut text, _) = stream::open(path)?;
        text.read_to_string(&mut document)
            .map_err(|error| stream::data_error(error, &name))?;
        return read_document(&document, &name, options.strict);
    }
    questions_of_table(&read_table(path, &options.read)?, options)
}

/// Reads questions from a JSON document in SQuAD's or BioASQ's format; `name` is used in messages. See
/// [`read_questions`].
///
/// # Errors
/// As [`read_questions`].
pub fn read_document(document: &str, name: &str, strict: bool) -> Result<Questions, DataError> {
    let document = json::document(document, name)?;
    Format::questions_of_document(&document)(&document, name, strict)
}

/// Reads questions from a table with one question per row. See [`read_questions`].
///
/// # Errors
/// As [`read_questions`].
pub fn questions_of_table(
    table: &Table,
    options: &QuestionOptions,
) -> Result<Questions, DataError> {
    let usual = |column: &Option<Column>, names: &[&str]| match column {
        Some(column) => table.column(column).map(Some),
        None => Ok(names
            .iter()
            .find_map(|name| table.columns.iter().position(|column| column == name))),
    };
    let question = table.column(&options.question)?;
    let context = table.column(&options.context)?;
    let answer = usual(&options.answer, &["answer", "answers"])?;
    let start = usual(&options.start, &["start", "answer_start"])?;
    let id = usual(&options.id, &["id"])?;
    let title = usual(&None, &["title"])?;

    let mut builder = QuestionsBuilder::new(&table.name, options.strict);
    for (number, row) in (1..).zip(&table.rows) {
        let text = |at: usize, part: &'static str| {
            let cell = &row.cells[at];
            if let Cell::List(_) = cell {
                return Err(DataError::Table(TableError::ListForText {
                    path: table.name.clone(),
                    place: table.place(row),
                    column: table.columns[at].clone(),
                }));
            }
            let text = cell.to_text().filter(|text| !text.trim().is_empty());
            text.ok_or_else(|| {
                DataError::Table(TableError::Missing {
                    path: table.name.clone(),
                    place: table.place(row),
                    part,
                    column: table.columns[at].clone(),
                })
            })
        };
        builder.context(text(context, "context")?.as_ref().into());
        let given = match answer {
            None => None,
            Some(at) => Some(answers(table, row, at, start)?),
        };
        let named = |at: usize| {
            let text = row.cells[at].to_text()?;
            Some(text.trim().to_string()).filter(|text| !text.is_empty())
        };
        builder.add(
            id.and_then(named).unwrap_or_else(|| number.to_string()),
            &text(question, "question")?,
            given,
            title.and_then(named),
            Some(table.place(row)),
        )?;
    }
    builder.finish()
}

/// The answers of a row and their start positions.
fn answers(
    table: &Table,
    row: &Row,
    at: usize,
    start: Option<usize>,
) -> Result<Vec<(String, Option<usize>)>, DataError> {
    let elements = |at: usize| match &row.cells[at] {
        Cell::List(texts) => texts.clone(),
        cell => cell
            .to_text()
            .into_iter()
            .map(|text| text.into_owned())
            .collect(),
    };
    let wrong = |at: usize, expected, found| {
        DataError::File(FileError::Unexpected {
            path: table.name.clone(),
            at: format!("column `{}` {}", table.columns[at], table.place(row).at()),
            expected,
            found,
        })
    };
    let texts = elements(at);
    let starts = match start {
        None => vec![None; texts.len()],
        Some(at) => {
            let mut starts = Vec::new();
            for cell in elements(at) {
                let cell = cell.trim();
                starts.push(match cell {
                    "" | "-1" => None,
                    _ => Some(cell.parse::<usize>().map_err(|_| {
                        let found = format!("`{}`", short(cell));
                        wrong(at, "a position in characters from 0", found)
                    })?),
                });
            }
            if starts.is_empty() {
                starts.resize(texts.len(), None);
            }
            if starts.len() != texts.len() {
                let found = format!("a list of {} for {} answers", starts.len(), texts.len());
                return Err(wrong(at, "one position for each answer", found));
            }
            starts
        }
    };
    let given = texts.into_iter().zip(starts);
    Ok(given.filter(|(text, _)| !text.trim().is_empty()).collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::Arc;

    use super::*;
    use crate::qa::Question;
    use crate::sources::read_table_from;

    fn squad(qas: &str) -> Result<Questions, DataError> {
        let document = format!(
            r#"{{"version": "v2.0", "data": [{{"title": "T", "paragraphs": [{{"context": "Zoë saw 語 and 語 in Bern.", "qas": [{qas}]}}]}}]}}"#
        );
        read_document(&document, "q.json", false)
    }

    fn one(answers: &str) -> Questions {
        squad(&format!(
            r#"{{"id": "a", "question": "Who?", "answers": [{answers}]}}"#
        ))
        .unwrap()
    }

    #[test]
    fn positions_count_characters_and_are_checked() {
        let read = one(r#"{"text": "Bern", "answer_start": 19}"#);
        assert_eq!(read.items[0].answers[0].start, Some(19));
        assert_eq!((read.repairs.exact, read.repairs.summary()), (1, None));
        assert_eq!(read.items[0].title.as_deref(), Some("T"));
    }

    #[test]
    fn a_wrong_position_is_repaired_if_there_is_one_place_and_counted_otherwise() {
        let read = squad(
            r#"{"id": 7, "question": "Where?", "answers": [{"text": "Bern", "answer_start": 3}]},
               {"id": "b", "question": "What?", "answers": [{"text": "語", "answer_start": 900}, {"text": "Zoë"}]},
               {"id": "c", "question": "What?", "answers": [{"text": "Basel", "answer_start": 0}]}"#,
        )
        .unwrap();
        let starts: Vec<_> = read
            .items
            .iter()
            .map(|item| item.answers[0].start)
            .collect();
        assert_eq!(starts, [Some(19), None, None]);
        assert_eq!(read.items[1].answers[1].start, Some(0));
        assert_eq!(read.repairs.found, 1);
        assert_eq!(
            read.repairs.summary().unwrap(),
            "3 of 4 answers are not where the file says: 1 moved to the only place where the text holds them; 1 in several \
             places of the text, so not trained on (question `b`); 1 not in the text, so not trained on (question `c`)"
        );
    }

    #[test]
    fn an_answer_that_is_not_in_the_text_names_file_and_question() {
        let document = r#"{"data": [{"paragraphs": [{"context": "abc", "qas": [{"id": "q1", "question": "?", "answers": [{"text": "x", "answer_start": 0}]}]}]}]}"#;
        let error = read_document(document, "q.json", true).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the answer `x` to question `q1` in `q.json` is not in its context"
        );
    }

    #[test]
    fn impossible_questions_have_no_answers() {
        let read = squad(
            r#"{"id": "a", "question": "?", "is_impossible": true, "answers": [], "plausible_answers": [{"text": "Bern", "answer_start": 1}]},
               {"id": "b", "question": "?", "is_impossible": false, "answers": [{"text": "Zoë", "answer_start": 0}]},
               {"id": "b", "question": "?", "answers": []},
               {"id": "d", "question": "?"}"#,
        )
        .unwrap();
        let state = |item: &Question| (item.impossible, item.labelled);
        let states: Vec<_> = read.items.iter().map(state).collect();
        assert_eq!(
            states,
            [(true, true), (false, true), (true, true), (false, false)]
        );
        assert_eq!(
            read.repairs.summary().unwrap(),
            "several questions have the same id: `b`"
        );
        let open = squad(r#"{"id": "a", "question": "?", "answers": []}"#).unwrap();
        assert_eq!(state(&open.items[0]), (false, false));
    }

    #[test]
    fn what_is_missing_is_named_with_its_place() {
        let message = |qas: &str| squad(qas).unwrap_err().to_string();
        assert_eq!(
            message(r#"{"id": "a", "question": "?", "answers": [{"answer_start": 1}]}"#),
            "`data[0].paragraphs[0].qas[0].answers[0].text` of `q.json` is missing, expected a text"
        );
        assert_eq!(
            message(r#"{"question": "?"}"#),
            "`data[0].paragraphs[0].qas[0].id` of `q.json` is missing, expected a text"
        );
        assert_eq!(
            message(r#"{"id": "a", "question": " "}"#),
            "`data[0].paragraphs[0].qas[0].question` of `q.json` is empty, expected a text"
        );
        assert_eq!(
            message(
                r#"{"id": "a", "question": "?", "answers": [{"text": "a", "answer_start": "x"}]}"#
            ),
            "`data[0].paragraphs[0].qas[0].answers[0].answer_start` of `q.json` is `\"x\"`, expected a position in characters \
             from 0"
        );
        assert_eq!(message(""), "`q.json` holds no questions");
        let error = read_document("[1]", "q.json", false).unwrap_err();
        assert_eq!(
            error.to_string(),
            "`data` of `q.json` is missing, expected a list"
        );
        let error = read_document("{\"data\":\n [}", "q.json", false).unwrap_err();
        assert_eq!(
            error.to_string(),
            "`q.json` is not JSON: expected value (line 2, column 3)"
        );
    }

    fn table(format: Format, text: &str) -> Result<Questions, DataError> {
        let options = QuestionOptions {
            read: ReadOptions {
                format: Some(format),
                ..ReadOptions::default()
            },
            ..QuestionOptions::default()
        };
        questions_of_table(
            &read_table_from(text.as_bytes(), "t", &options.read)?,
            &options,
        )
    }

    #[test]
    fn tables_hold_questions_with_and_without_answers_and_positions() {
        let read = table(
            Format::Csv,
            "id,question,context,answer,start\nx,Who?,Zoë ran,ran,4\ny,Why?,Zoë ran,,\nz,How?,no no,no,\n",
        )
        .unwrap();
        assert_eq!(read.items[0].answers[0].start, Some(4));
        assert!(Arc::ptr_eq(&read.items[0].context, &read.items[1].context));
        assert!(read.items[1].impossible);
        assert_eq!(read.items[2].answers[0].start, None);
        assert_eq!(read.repairs.ambiguous, ["z"]);

        let read = table(Format::Csv, "question,context\nWho?,abc\n").unwrap();
        assert!(!read.items[0].labelled && !read.items[0].impossible);
        assert_eq!(
            (read.items[0].id.as_str(), read.items[0].line),
            ("1", Some(2))
        );

        let lines =
            r#"{"question": "q", "context": "a b", "answers": ["a", "b"], "answer_start": [0, 2]}"#;
        let read = table(Format::Jsonl, lines).unwrap();
        assert_eq!(read.items[0].answers[1].start, Some(2));
    }

    #[test]
    fn broken_rows_are_named_with_their_line() {
        let message = |text: &str| table(Format::Csv, text).unwrap_err().to_string();
        assert_eq!(
            message("question,context,answer,start\nq,abc,a,x\n"),
            "column `start` on line 2 of `t` is `x`, expected a position in characters from 0"
        );
        assert_eq!(
            message("question,context\nq,abc\nq,\n"),
            "line 3 of `t` has no context (column `context`)"
        );
    }

    #[test]
    fn real_files_hold_what_their_authors_say() {
        let Some(dir) = std::env::var_os("BERTKIT_DATA_DIR") else {
            #[allow(clippy::print_stderr)]
            {
                eprintln!("skipped: BERTKIT_DATA_DIR is not set");
            }
            return;
        };
        let read = |file: &str| {
            let path = Path::new(&dir).join("qa").join(file);
            read_questions(&path, &QuestionOptions::default()).unwrap()
        };
        let covid = read("covid_qa/200423_covidQA.json");
        assert_eq!((covid.items.len(), covid.repairs.exact), (1380, 1146));
        assert_eq!(
            covid.repairs.moved.len() + covid.repairs.ambiguous.len(),
            234
        );
        assert_eq!(covid.repairs.absent.len(), 0);
        let xquad = read("xquad/xquad.en.json");
        assert_eq!((xquad.items.len(), xquad.repairs.summary()), (1190, None));
        let tunisian = read("trcd_tunisian/train.json");
        assert_eq!((tunisian.items.len(), tunisian.repairs.exact), (456, 454));
        assert_eq!(
            tunisian.repairs.summary().unwrap(),
            "2 answers are empty, taken as no answer (questions `202`, `203`)"
        );
    }
}
