//! Multiple-choice tables: rows of a question with its answers.

use std::collections::HashMap;
use std::path::Path;

use bertkit_data::columns::Column;
use bertkit_data::examples::{Examples, MissingPolicy, Selection};
use bertkit_data::place::Place;
use bertkit_data::table::{Cell, Row, Table};

use super::config::{ChoiceConfig, names_answer};
use super::info::LabelStyle;
use crate::error::{TrainError, setting};

/// A question with its answers.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ChoiceRow {
    /// Line of the file.
    pub line: u64,
    /// The question.
    pub question: String,
    /// The text that the question is about.
    pub context: Option<String>,
    /// The text in each answer column; empty if the row has fewer answers.
    pub answers: Vec<String>,
    /// The label as written in the file.
    pub label: Option<String>,
    /// The group, if groups are read.
    pub group: Option<String>,
}

impl ChoiceRow {
    /// The indices of the non-empty answers.
    pub fn choices(&self) -> impl Iterator<Item = usize> {
        let filled = |at: &usize| !self.answers[*at].trim().is_empty();
        (0..self.answers.len()).filter(filled)
    }

    /// The pairs of texts that the model reads, one for each non-empty answer: the context, if there is one, with
    /// question and answer; otherwise the question with the answer.
    pub fn texts(&self) -> Vec<(String, String)> {
        let text = |at: usize| match &self.context {
            Some(context) => {
                let answer = format!("{} {}", self.question, self.answers[at]);
                (context.clone(), answer)
            }
            None => (self.question.clone(), self.answers[at].clone()),
        };
        self.choices().map(text).collect()
    }
}

/// Which columns of a table are read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reading<'a> {
    /// Question, context and answers.
    pub columns: &'a ChoiceConfig,
    /// The label; `None` for tables to predict.
    pub label: Option<&'a str>,
    /// The group.
    pub group: Option<&'a str>,
    /// How rows without a question or label are treated.
    pub missing: MissingPolicy,
}

impl Reading<'_> {
    /// The rows of a table, and a note about those that were skipped.
    ///
    /// # Errors
    /// A column is missing, a cell holds a list, or a row has fewer than two answers.
    pub fn rows(&self, table: &Table) -> Result<(Vec<ChoiceRow>, Option<String>), TrainError> {
        let column = |name: &str| Column::from(name);
        let selection = Selection {
            text: column(&self.columns.question),
            text_pair: self.columns.context.as_deref().map(column),
            label: self.label.map(column),
            group: self.group.map(column),
            label_separator: None,
        };
        let examples = match self.label {
            Some(_) => Examples::labelled(table, &selection, self.missing)?,
            None => Examples::unlabelled(table, &selection)?,
        };
        let dropped = examples.dropped_summary();
        let answers = self.columns.answers.iter();
        let places = answers
            .map(|name| Ok(table.column(&column(name))?))
            .collect::<Result<Vec<usize>, TrainError>>()?;
        let place = |number: u64| Place {
            unit: table.unit,
            number,
        };
        let by_line: HashMap<u64, &Row> = table.rows.iter().map(|row| (row.line, row)).collect();
        let row = |example: bertkit_data::examples::RawExample| {
            let cells = by_line.get(&example.line).map(|row| &row.cells);
            let answer = |&at: &usize| match cells.and_then(|cells| cells.get(at)) {
                Some(Cell::List(_)) => Err(setting(
                    format!(
                        "{} of `{}` has a list in the answer column `{}`",
                        place(example.line),
                        table.name,
                        table.columns[at]
                    ),
                    "give each answer a column of its own",
                )),
                cell => Ok(cell
                    .and_then(Cell::to_text)
                    .unwrap_or_default()
                    .into_owned()),
            };
            let row = ChoiceRow {
                line: example.line,
                answers: places.iter().map(answer).collect::<Result<_, _>>()?,
                question: example.text,
                context: example.text_pair,
                label: example.label,
                group: example.group,
            };
            match row.choices().count() {
                0 | 1 => Err(setting(
                    format!(
                        "{} of `{}` has fewer than two answers",
                        place(row.line),
                        table.name
                    ),
                    "give each row two answers or more, or leave it out; other answers may be empty",
                )),
                _ => Ok(row),
            }
        };
        let rows = examples.rows.into_iter().map(row);
        Ok((rows.collect::<Result<_, _>>()?, dropped))
    }
}

/// The settings with the answer columns resolved.
///
/// # Errors
/// There are fewer than two answer columns.
pub(crate) fn resolve_columns(
    columns: &ChoiceConfig,
    table: &Table,
) -> Result<ChoiceConfig, TrainError> {
    let mut columns = columns.clone();
    if columns.answers.is_empty() {
        let named = table.columns.iter().filter(|name| names_answer(name));
        columns.answers = named.cloned().collect();
    }
    if columns.answers.len() < 2 {
        return Err(setting(
            format!(
                "`{}` has {} columns of answers, expected two or more; its columns are `{}`",
                table.name,
                columns.answers.len(),
                table.columns.join("`, `")
            ),
            "name them in [task.choice.answers]",
        ));
    }
    Ok(columns)
}

/// How the labels of a file name the correct answer: the first style that fits all rows or, if none does, the one that fits
/// most. Numbers count from 1 if none is 0.
pub(crate) fn label_style(rows: &[ChoiceRow]) -> LabelStyle {
    let label = |row: &ChoiceRow| row.label.clone().unwrap_or_default();
    let zero = rows.iter().any(|row| label(row).trim() == "0");
    let fits = |style: LabelStyle| {
        let fitting = |row: &&ChoiceRow| style.index(&label(row), &row.answers).is_some();
        rows.iter().filter(fitting).count()
    };
    let mut best = (LabelStyle::Text, 0);
    for style in LabelStyle::ALL {
        let possible = match style {
            LabelStyle::FromZero => zero,
            LabelStyle::FromOne => !zero,
            LabelStyle::Text | LabelStyle::Letter => true,
        };
        let count = if possible { fits(style) } else { 0 };
        if count > best.1 {
            best = (style, count);
        }
    }
    best.0
}

/// The correct answer of each row, from 0.
///
/// # Errors
/// A label is not one of the row's answers.
pub(crate) fn labels(
    rows: &[ChoiceRow],
    style: LabelStyle,
    file: &Path,
) -> Result<Vec<usize>, TrainError> {
    let index = |row: &ChoiceRow| {
        let label = row.label.as_deref().unwrap_or_default();
        style.index(label, &row.answers).ok_or_else(|| {
            setting(
                format!(
                    "line {} of `{}` has the label `{label}`, which is none of its answers: expected {}",
                    row.line,
                    file.display(),
                    style.describe(row.answers.len())
                ),
                "correct the label, or name its column with [data.label]",
            )
        })
    };
    rows.iter().map(index).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use bertkit_data::sources::{Format, ReadOptions, read_table_from};

    fn table(text: &str) -> Table {
        let options = ReadOptions {
            format: Some(Format::Csv),
            ..ReadOptions::default()
        };
        read_table_from(text.as_bytes(), "t.csv", &options).unwrap()
    }

    fn rows(text: &str) -> Result<Vec<ChoiceRow>, TrainError> {
        let table = table(text);
        let columns = resolve_columns(&ChoiceConfig::default(), &table)?;
        let reading = Reading {
            columns: &columns,
            label: Some("label"),
            group: None,
            missing: MissingPolicy::Drop,
        };
        reading.rows(&table).map(|(rows, _)| rows)
    }

    #[test]
    fn the_style_of_labels_is_that_of_all_rows() {
        let style = |labels: [&str; 2]| {
            let [a, b] = labels;
            let text = format!("question,answer_a,answer_b,label\nq,red,blue,{a}\nq,no,yes,{b}\n");
            label_style(&rows(&text).unwrap())
        };
        assert_eq!(style(["0", "1"]), LabelStyle::FromZero);
        assert_eq!(style(["1", "1"]), LabelStyle::FromOne);
        assert_eq!(style(["A", "b"]), LabelStyle::Letter);
        assert_eq!(style(["red", "yes"]), LabelStyle::Text);
    }

    #[test]
    fn empty_answers_are_left_out_and_one_answer_is_too_few() {
        let text = "question,answer_a,answer_b,answer_c,label\nq,red,,blue,2\n";
        let found = rows(text).unwrap();
        assert_eq!(found[0].choices().collect::<Vec<_>>(), [0, 2]);
        assert_eq!(found[0].texts()[1], ("q".into(), "blue".into()));
        let error = labels(&found, LabelStyle::FromOne, Path::new("t.csv")).unwrap_err();
        let expected = "line 2 of `t.csv` has the label `2`, which is none of its answers: expected a number from 1 to 3";
        assert_eq!(error.to_string(), expected);
        let error = rows("question,answer_a,answer_b,label\nq,red,,0\n").unwrap_err();
        assert!(
            error.to_string().contains("fewer than two answers"),
            "{error}"
        );
        let error = rows("question,first,second,label\nq,red,blue,0\n").unwrap_err();
        assert!(
            error.to_string().contains("0 columns of answers"),
            "{error}"
        );
    }
}
