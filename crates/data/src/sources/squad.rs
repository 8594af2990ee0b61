//! SQuAD 1.1 and 2.0, and BioASQ in SQuAD's format.
//!
//! Rajpurkar et al. 2016 (SQuAD 1.1) and 2018 (2.0); Yoon et al. 2019 for BioASQ in this format.

use serde_json::Value;

use super::json::{self, JsonFile};
use super::spec::{DocumentFormat, FormatSpec};
use crate::error::DataError;
use crate::qa::Questions;
use crate::qa::builder::QuestionsBuilder;

pub(super) const SPEC: FormatSpec = FormatSpec {
    name: "squad",
    extensions: &[json::EXTENSION],
    selectable: false,
    document: Some(DocumentFormat {
        sniff: |document| document.get("data").is_some(),
        questions: read,
        table: None,
    }),
    ..FormatSpec::EMPTY
};

/// Reads the questions of a document. A question without the key `answers` is not labelled; if no question of the file has
/// an answer and none is marked as impossible, none is labelled.
///
/// # Errors
/// A value that is missing or of the wrong type; with `strict`, an answer that is not in its text.
pub(super) fn read(document: &Value, name: &str, strict: bool) -> Result<Questions, DataError> {
    let file = JsonFile { name };
    let mut builder = QuestionsBuilder::new(name, strict);
    let mut marked = false;
    for (d, document) in file.array(document, "data", "")? {
        let title = document.get("title").and_then(Value::as_str);
        for (p, paragraph) in file.array(document, "paragraphs", &d)? {
            let context = file.text(paragraph, "context", &p)?;
            builder.context(context.into());
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
                            // Some files use -1 for an unknown position.
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
                            true => builder.empty_answer(&id),
                            false => given.push((text.clone(), start)),
                        }
                    }
                }
                builder.add(
                    id,
                    question,
                    labelled.then_some(given),
                    title.map(str::to_string),
                    None,
                )?;
            }
        }
    }
    let mut questions = builder.finish()?;
    if !marked && questions.repairs.answers == 0 {
        for question in &mut questions.items {
            (question.labelled, question.impossible) = (false, false);
        }
    }
    Ok(questions)
}
