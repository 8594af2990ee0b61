//! BioASQ's own question files (Tsatsaronis et al. 2015): `questions`, each with a type, snippets and exact answers.
//!
//! Factoid and list questions are answered from texts, like those in SQuAD files. Yes/no questions are classified
//! together with their snippets: their table has one row per snippet.

use std::collections::HashSet;

use serde_json::Value;

use super::encoding::line_at;
use super::json::{self, JsonFile};
use super::spec::{DocumentFormat, FormatSpec};
use crate::error::{DataError, QuestionError};
use crate::qa::builder::QuestionsBuilder;
use crate::qa::{BioasqQuestion, QuestionType, Questions};
use crate::table::{Cell, Row, Table};

pub(super) const SPEC: FormatSpec = FormatSpec {
    name: "bioasq",
    extensions: &[json::EXTENSION],
    selectable: false,
    document: Some(DocumentFormat {
        sniff: |document| document.get("questions").is_some(),
        questions: read,
        table: Some(yes_no),
    }),
    ..FormatSpec::EMPTY
};

/// The snippets of factoid and list questions as contexts. The id of each is the question's id, `_` and a number (`001`
/// is the first). A snippet that contains a name of the answer, ignoring case, is labelled with the first one found;
/// other snippets are not labelled.
pub(super) fn read(document: &Value, name: &str, strict: bool) -> Result<Questions, DataError> {
    let file = JsonFile { name };
    let mut builder = QuestionsBuilder::new(name, strict);
    let mut asked = Vec::new();
    let mut ids = HashSet::new();
    for (at, item) in file.array(document, "questions", "")? {
        let id = file.text(item, "id", &at)?;
        if !ids.insert(id) {
            return Err(file.wrong(&at, "id", "an id of its own", &item["id"]));
        }
        let body = file.text(item, "body", &at)?;
        let kind = match item["type"].as_str() {
            Some("factoid") => QuestionType::Factoid,
            Some("list") => QuestionType::List,
            Some("yesno") => QuestionType::YesNo,
            Some("summary") => QuestionType::Summary,
            _ => {
                let expected = "factoid, list, yesno or summary";
                return Err(file.wrong(&at, "type", expected, &item["type"]));
            }
        };
        let gold = match kind {
            QuestionType::Factoid | QuestionType::List => answers(&file, item, kind, &at)?,
            QuestionType::YesNo | QuestionType::Summary => Vec::new(),
        };
        if matches!(kind, QuestionType::Factoid | QuestionType::List) {
            for (number, (at, snippet)) in (1..).zip(file.array(item, "snippets", &at)?) {
                let text = file.text(snippet, "text", &at)?;
                builder.context(text.into());
                let given = gold.iter().flatten().filter_map(|name| find(text, name));
                let given = given.min_by_key(|(_, start)| *start);
                let given = given.map(|(found, start)| vec![(found, Some(start))]);
                builder.add(format!("{id}_{number:03}"), body, given, None, None)?;
            }
        }
        asked.push(BioasqQuestion {
            id: id.into(),
            kind,
            body: body.into(),
            gold,
        });
    }
    if asked.is_empty() {
        return Err(DataError::Question(QuestionError::NoQuestions {
            path: name.into(),
        }));
    }
    let mut questions = match asked
        .iter()
        .any(|asked| matches!(asked.kind, QuestionType::Factoid | QuestionType::List))
    {
        true => builder.finish()?,
        false => {
            return Err(file.wrong(
                "",
                "questions",
                "some of type factoid or list, whose answers stand in texts",
                &Value::String("all of type yesno or summary".into()),
            ));
        }
    };
    questions.bioasq = asked;
    Ok(questions)
}

/// The yes/no questions as a table: one row per snippet, with the columns `id`, `question`, `snippet`, `text` (question
/// and snippet) and `answer`. A question without snippets has one row with a missing snippet. The line of a row is the
/// line of its question's id.
///
/// # Errors
/// The document is not in BioASQ's form, or has no yes/no question.
fn yes_no(text: &str, document: &Value, name: &str) -> Result<Table, DataError> {
    let file = JsonFile { name };
    let mut rows = Vec::new();
    let mut place = 0;
    for (at, item) in file.array(document, "questions", "")? {
        if item["type"].as_str() != Some("yesno") {
            continue;
        }
        let id = file.text(item, "id", &at)?;
        let body = file.text(item, "body", &at)?;
        let answer = match &item["exact_answer"] {
            Value::Null => Cell::Missing,
            given => match given.as_str().map(|answer| answer.trim().to_lowercase()) {
                Some(answer) if matches!(answer.as_str(), "yes" | "no") => Cell::Text(answer),
                _ => return Err(file.wrong(&at, "exact_answer", "yes or no", given)),
            },
        };
        // Ids appear in the file in the order of the questions.
        place += text[place..].find(id).unwrap_or(0);
        let line = line_at(text.as_bytes(), place);
        let mut row = |snippet: Option<&str>| {
            let cell = |text: &str| Cell::Text(text.into());
            let (snippet, text) = match snippet {
                Some(snippet) => (cell(snippet), format!("{body} {snippet}")),
                None => (Cell::Missing, body.into()),
            };
            let cells = vec![cell(id), cell(body), snippet, cell(&text), answer.clone()];
            rows.push(Row { line, cells });
        };
        let snippets = match item.get("snippets") {
            None => Vec::new(),
            Some(_) => file.array(item, "snippets", &at)?,
        };
        if snippets.is_empty() {
            row(None);
        }
        for (at, snippet) in snippets {
            row(Some(file.text(snippet, "text", &at)?));
        }
    }
    if rows.is_empty() {
        let found = Value::String("none of that type".into());
        return Err(file.wrong("", "questions", "some of type yesno, to classify", &found));
    }
    Ok(Table {
        name: name.into(),
        columns: ["id", "question", "snippet", "text", "answer"]
            .map(String::from)
            .into(),
        rows,
        ..Table::default()
    })
}

/// The names of each answer. Accepts a list of lists; a list or a string for a single thing, or for things with one name
/// each.
fn answers(
    file: &JsonFile<'_>,
    item: &Value,
    kind: QuestionType,
    at: &str,
) -> Result<Vec<Vec<String>>, DataError> {
    let wrong = |found: &Value| {
        let expected = "a text, a list of texts or a list of lists of texts";
        file.wrong(at, "exact_answer", expected, found)
    };
    let given = match &item["exact_answer"] {
        Value::Null => return Ok(Vec::new()),
        Value::String(name) => return Ok(vec![vec![name.trim().into()]]),
        Value::Array(given) => given,
        other => return Err(wrong(other)),
    };
    let mut things: Vec<Vec<String>> = Vec::new();
    for thing in given {
        things.push(match thing {
            Value::String(name) => vec![name.trim().into()],
            Value::Array(names) => names
                .iter()
                .map(|name| name.as_str().map(|name| name.trim().to_owned()))
                .collect::<Option<_>>()
                .ok_or_else(|| wrong(thing))?,
            other => return Err(wrong(other)),
        });
    }
    for names in &mut things {
        names.retain(|name| !name.is_empty());
    }
    things.retain(|names| !names.is_empty());
    Ok(match kind {
        // All strings are names of the same thing.
        QuestionType::Factoid if !things.is_empty() => vec![things.concat()],
        _ => things,
    })
}

/// A name as spelled in a text, and the character at which it begins. Searches for an exact match first, then ignores
/// case.
fn find(text: &str, name: &str) -> Option<(String, usize)> {
    if let Some(byte) = text.find(name) {
        return Some((name.into(), text[..byte].chars().count()));
    }
    let letters: Vec<char> = text.chars().collect();
    let wanted: Vec<char> = name.chars().collect();
    let same = |a: &char, b: &char| a.to_lowercase().eq(b.to_lowercase());
    let start = letters
        .windows(wanted.len().max(1))
        .position(|part| part.iter().zip(&wanted).all(|(a, b)| same(a, b)))?;
    let found = letters[start..].iter().take(wanted.len()).collect();
    Some((found, start))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use crate::error::{DataError, FileError};
    use crate::qa::QuestionType;
    use crate::sources::questions::read_document;
    use crate::sources::{ReadOptions, read_table};
    use crate::table::Cell;

    const FILE: &str = r#"{"questions": [
        {"id": "0123456789abcdef01234567", "type": "factoid", "body": "Which gene?", "exact_answer": ["TEL", "ETV6"],
         "snippets": [{"text": "Ah, etv6 it is."}, {"text": "Nothing."}]},
        {"id": "1123456789abcdef01234567", "type": "list", "body": "Which?", "exact_answer": [["IL-2", "il2"], ["TNF"]],
         "snippets": [{"text": "TNF and IL-2"}]},
        {"id": "2123456789abcdef01234567", "type": "yesno", "body": "Is it?", "exact_answer": "yes", "snippets": []}]}"#;

    #[test]
    fn snippets_are_texts_and_their_answers_are_found_in_any_case() {
        let read = read_document(FILE, "b.json", false).unwrap();
        let ids: Vec<_> = read.items.iter().map(|q| q.id.as_str()).collect();
        assert_eq!(ids[1], "0123456789abcdef01234567_002");
        let first = &read.items[0].answers[0];
        assert_eq!((first.text.as_str(), first.start), ("etv6", Some(4)));
        assert!(!read.items[1].labelled && !read.items[1].impossible);
        assert_eq!(read.items[2].answers[0].text, "TNF");
        assert_eq!(read.repairs.summary(), None);
        assert_eq!(read.bioasq[0].gold, [["TEL", "ETV6"]]);
        assert_eq!(read.bioasq[1].gold.len(), 2);
        assert_eq!(read.bioasq[2].kind, QuestionType::YesNo);
    }

    #[test]
    fn questions_for_yes_or_no_are_rows_of_a_table() {
        let path = tempfile::tempdir().unwrap();
        let path = path.path().join("b.json");
        let table = |text: &str| {
            std::fs::write(&path, text).unwrap();
            read_table(&path, &ReadOptions::default())
        };
        let file = FILE.replace(
            r#""yes", "snippets": []"#,
            r#""Yes", "snippets": [{"text": "It is."}, {"text": "Or not."}]"#,
        );
        let read = table(&file).unwrap();
        assert_eq!(
            read.columns,
            ["id", "question", "snippet", "text", "answer"]
        );
        assert_eq!(read.rows[0].cells[3], Cell::Text("Is it? It is.".into()));
        let cells: Vec<_> = read.rows.iter().map(|row| row.cells[2].clone()).collect();
        assert_eq!(cells, ["It is.", "Or not."].map(|t| Cell::Text(t.into())));
        assert_eq!(
            (read.rows[1].line, &read.rows[1].cells[4]),
            (6, &Cell::Text("yes".into()))
        );
        // A question without snippets also has a row.
        assert_eq!(table(FILE).unwrap().rows[0].cells[2], Cell::Missing);
        let wrong = |text: &str| table(text).unwrap_err().to_string();
        let text = wrong(&FILE.replace("\"yes\"", "\"maybe\""));
        assert!(text.contains("`questions[2].exact_answer`"), "{text}");
        let text = wrong(&FILE.replace("yesno", "summary"));
        assert!(text.contains("some of type yesno"), "{text}");
        // Other JSON documents are not tables.
        assert!(matches!(
            table("{}"),
            Err(DataError::File(FileError::UnknownFormat { .. }))
        ));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        let message = |from: &str, to: &str| {
            let file = FILE.replacen(from, to, 1);
            read_document(&file, "b.json", false)
                .unwrap_err()
                .to_string()
        };
        assert_eq!(
            message("\"list\"", "\"essay\""),
            "`questions[1].type` of `b.json` is `\"essay\"`, expected factoid, list, yesno or summary"
        );
        let text = message("{\"text\": \"Nothing.\"}", "{\"text\": \" \"}");
        assert!(text.contains("`questions[0].snippets[1].text`"), "{text}");
        let text = message("[\"TNF\"]", "7");
        assert!(text.contains("`questions[1].exact_answer`"), "{text}");
        let text = message("2123456789", "1123456789");
        assert!(text.contains("`questions[2].id`"), "{text}");
    }
}
