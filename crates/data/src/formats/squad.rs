//! Questions with a text that holds their answers: SQuAD 1.1 and 2.0, BioASQ in their form, and tables.
//!
//! Rajpurkar et al. 2016 (SQuAD 1.1) and 2018 (2.0); Yoon et al. 2019 for BioASQ in this form.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use serde_json::Value;

use super::bioasq::{self, AskedQuestion};
use super::stream;
use super::{Cell, ReadOptions, Row, Table, read_table};
use crate::characters::Characters;
use crate::columns::Column;
use crate::error::{DataError, list, short};

/// How to read questions.
///
/// Columns speak of tables alone; one that is `None` is taken by its usual name, if the table has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuestionOptions {
    /// How to read a table. A file that ends in `.json` or `.json.gz` is SQuAD's, unless a format is given here.
    pub read: ReadOptions,
    /// The question; `question` by default.
    pub question: Column,
    /// The text that holds the answer; `context` by default.
    pub context: Column,
    /// The answer, or a list of answers, any of which is right; usually `answer` or `answers`. An empty one says that the
    /// text holds no answer.
    pub answer: Option<Column>,
    /// Where the answer begins, in characters from 0; usually `start` or `answer_start`. For a list of answers a list.
    pub start: Option<Column>,
    /// A name for the question; usually `id`. Without one, questions are called by their position, from 1.
    pub id: Option<Column>,
    /// Whether an answer that is not in its text is an error. If not, it is counted, and left out of training.
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

/// An answer that people gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Its text, as the file has it.
    pub text: String,
    /// Where it begins in the context, in characters from 0. `None` if that is not known: such an answer can be scored with,
    /// but not trained on.
    pub start: Option<usize>,
}

/// A question about a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// Its name in the file; predictions are kept by it.
    pub id: String,
    /// The question.
    pub question: String,
    /// The text; questions about one text share it.
    pub context: Arc<str>,
    /// The answers, any of which is right; none if the text holds no answer, or if nobody gave one.
    pub answers: Vec<Answer>,
    /// Whether the text holds no answer (SQuAD 2.0).
    pub impossible: bool,
    /// Whether the file says what is right: an answer, or that there is none.
    pub labelled: bool,
    /// Title of the document that the text is from.
    pub title: Option<String>,
    /// Line in the file, of questions in tables.
    pub line: Option<u64>,
}

/// What was wrong with where answers lie, by ids of their questions.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AnswerRepairs {
    /// All answers of the file.
    pub answers: usize,
    /// The file says where they begin, and they do.
    pub exact: usize,
    /// The file does not say where they begin, but the text holds them once.
    pub found: usize,
    /// The file says another place than the only one where the text holds them: they were moved there.
    pub moved: Vec<String>,
    /// The text holds them several times, none of which is where the file says.
    pub ambiguous: Vec<String>,
    /// The text does not hold them.
    pub absent: Vec<String>,
    /// Their text is empty, in SQuAD's form; a question with no other answer is taken as one that the text does not answer.
    pub empty: Vec<String>,
    /// Ids that several questions have.
    pub repeated_ids: Vec<String>,
}

impl AnswerRepairs {
    /// What was found and done, in a line; `None` if nothing was wrong.
    pub fn summary(&self) -> Option<String> {
        const SHOWN: usize = 5;
        let mut parts = Vec::new();
        if !self.moved.is_empty() {
            parts.push(format!(
                "{} moved to the only place where the text holds them",
                self.moved.len()
            ));
        }
        for (ids, what) in [
            (&self.ambiguous, "in several places of the text"),
            (&self.absent, "not in the text"),
        ] {
            if !ids.is_empty() {
                let ids = (ids.len(), list(ids, SHOWN));
                parts.push(format!(
                    "{} {what}, so not trained on (question{} {})",
                    ids.0,
                    if ids.0 == 1 { "" } else { "s" },
                    ids.1
                ));
            }
        }
        let wrong = self.moved.len() + self.ambiguous.len() + self.absent.len();
        let placed = (wrong > 0).then(|| {
            format!(
                "{wrong} of {} answers are not where the file says: {}",
                self.answers,
                parts.join("; ")
            )
        });
        let empty = (!self.empty.is_empty()).then(|| {
            let count = self.empty.len();
            format!(
                "{count} answer{} empty, taken as no answer (question{} {})",
                if count == 1 { " is" } else { "s are" },
                if count == 1 { "" } else { "s" },
                list(&self.empty, SHOWN)
            )
        });
        let repeated = (!self.repeated_ids.is_empty()).then(|| {
            format!(
                "several questions have the same id: {}",
                list(&self.repeated_ids, SHOWN)
            )
        });
        let all: Vec<String> = placed.into_iter().chain(empty).chain(repeated).collect();
        (!all.is_empty()).then(|| all.join("; "))
    }
}

/// The questions of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Questions {
    /// The file, for messages.
    pub name: String,
    /// The questions, in the order of the file.
    pub items: Vec<Question>,
    /// What was wrong with the answers.
    pub repairs: AnswerRepairs,
    /// The questions as BioASQ asks them, whose snippets are the `items`; none in files of other forms.
    pub asked: Vec<AskedQuestion>,
}

/// Reads questions, their texts and, where the file has them, their answers.
///
/// An answer whose place is wrong, or not given, is put where the text holds it, if that is one place alone; otherwise it has
/// no place. In SQuAD's form a question without the key `answers` is not labelled; if no question of the file has an answer
/// and none is marked as impossible, none is labelled.
///
/// # Errors
/// As [`read_table`]; a file that is not in SQuAD's form, with the place where it is not; a question or text that is empty; no
/// questions; with `strict`, an answer that has no place.
pub fn read_questions(path: &Path, options: &QuestionOptions) -> Result<Questions, DataError> {
    let name = path.display().to_string();
    let lower = name.to_ascii_lowercase();
    if options.read.format.is_none() && (lower.ends_with(".json") || lower.ends_with(".json.gz")) {
        let mut document = String::new();
        let (mut text, _) = stream::open(path)?;
        text.read_to_string(&mut document)
            .map_err(|error| stream::data_error(error, &name))?;
        return read_squad(&document, &name, options.strict);
    }
    questions_of_table(&read_table(path, &options.read)?, options)
}

/// A text that is one JSON document; `name` is what messages call it.
pub(super) fn document(text: &str, name: &str) -> Result<Value, DataError> {
    if text.trim().is_empty() {
        return Err(DataError::Empty { path: name.into() });
    }
    serde_json::from_str(text).map_err(|error| {
        let message = error.to_string();
        DataError::JsonDocument {
            path: name.into(),
            line: error.line(),
            column: error.column(),
            message: match message.rfind(" at line ") {
                Some(at) => message[..at].to_string(),
                None => message,
            },
        }
    })
}

/// Reads questions from a document in SQuAD's form, or in [BioASQ's own](super::bioasq); `name` is what messages call it. See [`read_questions`].
///
/// # Errors
/// As [`read_questions`].
pub fn read_squad(document: &str, name: &str, strict: bool) -> Result<Questions, DataError> {
    let document = self::document(document, name)?;
    if document.get("data").is_none() && document.get("questions").is_some() {
        return bioasq::read(&document, name, strict);
    }
    let file = File { name };
    let mut reading = Reading::new(name, strict);
    let mut marked = false;
    for (d, document) in file.array(&document, "data", "")? {
        let title = document.get("title").and_then(Value::as_str);
        for (p, paragraph) in file.array(document, "paragraphs", &d)? {
            let context = file.text(paragraph, "context", &p)?;
            reading.context(context.into());
            for (q, item) in file.array(paragraph, "qas", &p)? {
                let id = match &item["id"] {
                    Value::Number(number) => number.to_string(),
                    _ => file.text(item, "id", &q)?.to_string(),
                };
                let question = file.text(item, "question", &q)?;
                let impossible = match &item["is_impossible"] {
                    Value::Null => None,
                    Value::Bool(impossible) => Some(*impossible),
                    other => {
                        return Err(file.wrong(&q, "is_impossible", "`true` or `false`", other));
                    }
                };
                marked |= impossible == Some(true);
                let mut given = Vec::new();
                let labelled = !item["answers"].is_null() || impossible == Some(true);
                if !item["answers"].is_null() && impossible != Some(true) {
                    for (a, answer) in file.array(item, "answers", &q)? {
                        let text = match &answer["text"] {
                            Value::String(text) => text,
                            other => return Err(file.wrong(&a, "text", "a text", other)),
                        };
                        let start = match &answer["answer_start"] {
                            Value::Null => None,
                            // Some files write -1 for a place that is not known.
                            Value::Number(number) if number.as_i64() == Some(-1) => None,
                            other => match other.as_u64() {
                                Some(start) => Some(start as usize),
                                None => {
                                    return Err(file.wrong(
                                        &a,
                                        "answer_start",
                                        "a position in characters from 0",
                                        other,
                                    ));
                                }
                            },
                        };
                        match text.trim().is_empty() {
                            true => reading.repairs.empty.push(id.clone()),
                            false => given.push((text.clone(), start)),
                        }
                    }
                }
                reading.add(
                    id,
                    question,
                    labelled.then_some(given),
                    title.map(str::to_string),
                    None,
                )?;
            }
        }
    }
    let mut questions = reading.finish()?;
    if !marked && questions.repairs.answers == 0 {
        for question in &mut questions.items {
            (question.labelled, question.impossible) = (false, false);
        }
    }
    Ok(questions)
}

/// Reads questions from a table, one a row. See [`read_questions`].
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

    let mut reading = Reading::new(&table.name, options.strict);
    for (number, row) in (1..).zip(&table.rows) {
        let text = |at: usize, part: &'static str| match &row.cells[at] {
            Cell::Text(text) if !text.trim().is_empty() => Ok(text.as_str()),
            Cell::List(_) => Err(DataError::ListForText {
                path: table.name.clone(),
                line: row.line,
                column: table.columns[at].clone(),
            }),
            _ => Err(DataError::Missing {
                path: table.name.clone(),
                line: row.line,
                part,
                column: table.columns[at].clone(),
            }),
        };
        reading.context(text(context, "context")?.into());
        let given = match answer {
            None => None,
            Some(at) => Some(answers(table, row, at, start)?),
        };
        let named = |at: usize| match &row.cells[at] {
            Cell::Text(text) if !text.trim().is_empty() => Some(text.trim().to_string()),
            _ => None,
        };
        reading.add(
            id.and_then(named).unwrap_or_else(|| number.to_string()),
            text(question, "question")?,
            given,
            title.and_then(named),
            Some(row.line),
        )?;
    }
    reading.finish()
}

/// The answers of a row, and where they begin.
fn answers(
    table: &Table,
    row: &Row,
    at: usize,
    start: Option<usize>,
) -> Result<Vec<(String, Option<usize>)>, DataError> {
    let elements = |at: usize| match &row.cells[at] {
        Cell::Missing => Vec::new(),
        Cell::Text(text) => vec![text.clone()],
        Cell::List(texts) => texts.clone(),
    };
    let wrong = |at: usize, expected, found| DataError::Unexpected {
        path: table.name.clone(),
        at: format!("column `{}` on line {}", table.columns[at], row.line),
        expected,
        found,
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

/// A JSON file, for messages.
pub(super) struct File<'a> {
    pub(super) name: &'a str,
}

impl File<'_> {
    /// The elements of an array, each with its place.
    pub(super) fn array<'v>(
        &self,
        value: &'v Value,
        key: &str,
        at: &str,
    ) -> Result<Vec<(String, &'v Value)>, DataError> {
        let place = match at {
            "" => key.to_string(),
            at => format!("{at}.{key}"),
        };
        match value.get(key) {
            Some(Value::Array(elements)) => Ok((0..)
                .zip(elements)
                .map(|(index, element): (usize, _)| (format!("{place}[{index}]"), element))
                .collect()),
            other => Err(self.wrong(at, key, "a list", other.unwrap_or(&Value::Null))),
        }
    }

    pub(super) fn text<'v>(
        &self,
        value: &'v Value,
        key: &str,
        at: &str,
    ) -> Result<&'v str, DataError> {
        match value.get(key) {
            Some(Value::String(text)) if !text.trim().is_empty() => Ok(text),
            other => Err(self.wrong(at, key, "a text", other.unwrap_or(&Value::Null))),
        }
    }

    pub(super) fn wrong(
        &self,
        at: &str,
        key: &str,
        expected: &'static str,
        found: &Value,
    ) -> DataError {
        let dot = if at.is_empty() { "" } else { "." };
        DataError::Unexpected {
            path: self.name.into(),
            at: format!("`{at}{dot}{key}`"),
            expected,
            found: match found {
                Value::Null => "missing".into(),
                Value::Array(_) => "a list".into(),
                Value::Object(_) => "an object".into(),
                Value::String(text) if text.trim().is_empty() => "empty".into(),
                other => format!("`{}`", short(&other.to_string())),
            },
        }
    }
}

/// Questions as they are read.
pub(super) struct Reading<'a> {
    name: &'a str,
    strict: bool,
    contexts: HashMap<Arc<str>, Arc<Characters>>,
    context: Arc<str>,
    characters: Arc<Characters>,
    items: Vec<Question>,
    repairs: AnswerRepairs,
}

impl<'a> Reading<'a> {
    pub(super) fn new(name: &'a str, strict: bool) -> Self {
        Self {
            name,
            strict,
            contexts: HashMap::new(),
            context: Arc::from(""),
            characters: Arc::new(Characters::new("")),
            items: Vec::new(),
            repairs: AnswerRepairs::default(),
        }
    }

    /// Takes the text that the next questions are about; the same text is kept once.
    pub(super) fn context(&mut self, context: Arc<str>) {
        if let Some((known, characters)) = self.contexts.get_key_value(&context) {
            (self.context, self.characters) = (known.clone(), characters.clone());
            return;
        }
        self.characters = Arc::new(Characters::new(&context));
        self.contexts
            .insert(context.clone(), self.characters.clone());
        self.context = context;
    }

    /// Adds a question; `given` are its answers and their places, empty if there is none, `None` if nobody says.
    pub(super) fn add(
        &mut self,
        id: String,
        question: &str,
        given: Option<Vec<(String, Option<usize>)>>,
        title: Option<String>,
        line: Option<u64>,
    ) -> Result<(), DataError> {
        let labelled = given.is_some();
        let given = given.unwrap_or_default();
        let impossible = labelled && given.is_empty();
        let mut answers = Vec::with_capacity(given.len());
        for (text, start) in given {
            let start = self.place(&id, &text, start, line)?;
            answers.push(Answer { text, start });
        }
        self.items.push(Question {
            id,
            question: question.into(),
            context: self.context.clone(),
            answers,
            impossible,
            labelled,
            title,
            line,
        });
        Ok(())
    }

    /// Where an answer begins, in characters.
    fn place(
        &mut self,
        id: &str,
        text: &str,
        start: Option<usize>,
        line: Option<u64>,
    ) -> Result<Option<usize>, DataError> {
        self.repairs.answers += 1;
        let context = &*self.context;
        if let Some(byte) = start.and_then(|start| self.characters.byte(start))
            && context[byte..].starts_with(text)
        {
            self.repairs.exact += 1;
            return Ok(start);
        }
        let first = context.find(text);
        let again = first.is_some_and(|first| {
            let next = first + context[first..].chars().next().map_or(1, char::len_utf8);
            context[next..].contains(text)
        });
        match (first, again) {
            (Some(byte), false) => {
                match start {
                    Some(_) => self.repairs.moved.push(id.into()),
                    None => self.repairs.found += 1,
                }
                return Ok(Some(self.characters.character(byte)));
            }
            (Some(_), true) => self.repairs.ambiguous.push(id.into()),
            (None, _) => self.repairs.absent.push(id.into()),
        }
        match self.strict {
            false => Ok(None),
            true => Err(DataError::AnswerNotFound {
                path: self.name.into(),
                question: id.into(),
                line,
                answer: text.into(),
                occurrences: context.matches(text).count(),
            }),
        }
    }

    pub(super) fn finish(mut self) -> Result<Questions, DataError> {
        if self.items.is_empty() {
            return Err(DataError::NoQuestions {
                path: self.name.into(),
            });
        }
        let mut seen = HashSet::new();
        let mut repeated = BTreeMap::new();
        for (at, question) in self.items.iter().enumerate() {
            if !seen.insert(question.id.as_str()) {
                repeated.entry(question.id.as_str()).or_insert(at);
            }
        }
        self.repairs.repeated_ids = repeated.into_keys().map(str::to_string).collect();
        Ok(Questions {
            name: self.name.into(),
            items: self.items,
            repairs: self.repairs,
            asked: Vec::new(),
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::formats::{Format, read_table_from};

    fn squad(qas: &str) -> Result<Questions, DataError> {
        let document = format!(
            r#"{{"version": "v2.0", "data": [{{"title": "T", "paragraphs": [{{"context": "Zoë saw 語 and 語 in Bern.", "qas": [{qas}]}}]}}]}}"#
        );
        read_squad(&document, "q.json", false)
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
        let error = read_squad(document, "q.json", true).unwrap_err();
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
        let error = read_squad("[1]", "q.json", false).unwrap_err();
        assert_eq!(
            error.to_string(),
            "`data` of `q.json` is missing, expected a list"
        );
        let error = read_squad("{\"data\":\n [}", "q.json", false).unwrap_err();
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
