//! Reading labelled texts, and splitting them into training and validation rows.

use std::path::Path;

use bertkit_data::columns::Column;
use bertkit_data::documents::{Chunks, documents};
use bertkit_data::examples::{Examples, Selection};
use bertkit_data::splits;
use bertkit_data::tokenizer::TextTokenizer;

use super::documents::gather;
use super::folds::of_rows;
use super::labels::Labels;
use super::rows::{Rows, Targets};
use crate::config::{DataConfig, FinetuneConfig};
use crate::engine::observer::{Event, Observer};
use crate::error::TrainError;
use crate::run::context::RunContext;
use crate::run::tables::{Reading, read_options};
use bertkit_data::sources::Format;

pub(super) fn selection(data: &DataConfig, group: bool) -> Selection {
    let column = |name: &String| Column::from(name.as_str());
    Selection {
        text: column(&data.text),
        text_pair: data.text_pair.as_ref().map(column),
        label: Some(column(&data.label)),
        group: data.group.as_ref().filter(|_| group).map(column),
        label_separator: data.label_separator.clone(),
    }
}

/// The usable rows of a file; the number of skipped rows is reported to the observer.
pub(super) fn read_examples(
    path: &Path,
    data: &DataConfig,
    group: bool,
    observer: &mut dyn Observer,
) -> Result<Examples, TrainError> {
    let reading = Reading {
        relations: data.format == Some(Format::Relations),
        entities: data.entities,
    };
    let table = reading.table(path, &read_options(data)?)?;
    let text = Column::from(data.text.as_str());
    let table = reading.marked(&table, &text)?.unwrap_or(table);
    let examples = Examples::labelled(&table, &selection(data, group), data.missing)?;
    if let Some(dropped) = examples.dropped_summary() {
        observer.event(&Event::Note(format!("{}: {dropped}", path.display())));
    }
    Ok(examples)
}

/// The rows of a file, or its documents.
pub(super) struct Inputs {
    /// The rows; for documents, the first row of each, with its label and line.
    pub examples: Examples,
    /// The texts of each document.
    pub documents: Option<Vec<Vec<String>>>,
}

pub(super) fn read_inputs(
    path: &Path,
    config: &FinetuneConfig,
    group: bool,
    observer: &mut dyn Observer,
) -> Result<Inputs, TrainError> {
    if config.task.documents.is_none() {
        return Ok(Inputs {
            examples: read_examples(path, &config.data, group, observer)?,
            documents: None,
        });
    }
    let grouped = config.data.group_by.is_some();
    let mut data = config.data.clone();
    if grouped {
        data.group.clone_from(&data.group_by);
    }
    let mut examples = read_examples(path, &data, group || grouped, observer)?;
    let found = documents(&examples, grouped)?;
    let documents = gather(&mut examples, &found);
    Ok(Inputs {
        examples,
        documents: Some(documents),
    })
}

/// Splits the rows outside the held-out fold into training and validation rows.
pub(super) fn split(
    config: &FinetuneConfig,
    examples: &Examples,
    targets: &Targets,
    rows: Vec<usize>,
) -> Result<(Vec<usize>, Vec<usize>), TrainError> {
    let fraction = config.data.valid_fraction;
    if config.data.valid.is_some() || fraction == 0.0 {
        return Ok((rows, Vec::new()));
    }
    let split = if config.data.group.is_some() {
        let group = |&row: &usize| examples.rows[row].group.as_deref().unwrap_or_default();
        let groups: Vec<&str> = rows.iter().map(group).collect();
        let classes = classes_at(targets, &rows);
        splits::grouped(&groups, classes.as_deref(), fraction, config.seed)?
    } else if let Some(classes) = classes_at(targets, &rows) {
        splits::stratified(&classes, fraction, config.seed)?
    } else {
        splits::random(rows.len(), fraction, config.seed)?
    };
    let those = |places: Vec<usize>| places.into_iter().map(|at| rows[at]).collect();
    Ok((those(split.train), those(split.held_out)))
}

/// The class of each of some rows, if each has exactly one.
pub(super) fn classes_at(targets: &Targets, rows: &[usize]) -> Option<Vec<usize>> {
    match targets {
        Targets::Classes(classes) => Some(rows.iter().map(|&row| classes[row]).collect()),
        _ => None,
    }
}

/// The rows outside the held-out fold; all rows without a fold. Classes that are too rare are reported to the observer.
pub(super) fn fold_rows(
    context: &mut RunContext,
    labels: &Labels,
    examples: &Examples,
    targets: &Targets,
    observer: &mut dyn Observer,
) -> Result<Vec<usize>, TrainError> {
    let all = examples.rows.len();
    let data = &context.config.data;
    let Some(fold) = data.fold else {
        return Ok((0..all).collect());
    };
    let split = of_rows(fold, examples, targets, data.group.is_some())?;
    context
        .lines
        .push(fold.line(split.held_out.len(), all, "rows"));
    let (Targets::Classes(classes), Some(set)) = (targets, &labels.classes) else {
        return Ok(split.train);
    };
    for (class, name) in set.names().iter().enumerate() {
        let count = classes.iter().filter(|&&c| c == class).count();
        if count < fold.of {
            observer.event(&Event::Note(format!(
                "class `{name}` has {count} row{}, but there are {} folds: some hold out none of it",
                if count == 1 { "" } else { "s" },
                fold.of
            )));
        }
        if !split.train.iter().any(|&row| classes[row] == class) {
            observer.event(&Event::Note(format!(
                "fold {} holds out all rows of class `{name}`: its run cannot learn it",
                fold.number
            )));
        }
    }
    Ok(split.train)
}

impl Inputs {
    /// The texts of some rows, second texts included.
    pub fn texts<'a>(&'a self, rows: &'a [usize]) -> impl Iterator<Item = &'a str> {
        rows.iter().flat_map(move |&row| {
            let texts = match &self.documents {
                Some(documents) => documents[row].as_slice(),
                None => std::slice::from_ref(&self.examples.rows[row].text),
            };
            let pair = self.examples.rows[row].text_pair.as_deref();
            texts.iter().map(String::as_str).chain(pair)
        })
    }

    /// Token ids of some rows, with their targets.
    ///
    /// # Errors
    /// A text cannot be tokenised.
    pub fn encode(
        &self,
        rows: &[usize],
        targets: Targets,
        tokenizer: &TextTokenizer,
        max_length: usize,
        config: &FinetuneConfig,
        observer: &mut dyn Observer,
    ) -> Result<Rows, TrainError> {
        let examples = &self.examples;
        let lines = rows.iter().map(|&row| examples.rows[row].line).collect();
        if let (Some(documents), Some(settings)) = (&self.documents, &config.task.documents) {
            let texts = |row: &usize| documents[*row].iter().map(String::as_str).collect();
            let texts: Vec<Vec<&str>> = rows.iter().map(texts).collect();
            let name = |at: usize| match &examples.rows[rows[at]] {
                row if config.data.group_by.is_some() => row.group.clone().unwrap_or_default(),
                row => examples.place(row).to_string(),
            };
            let chunks = Chunks::new(&texts, name, tokenizer, settings.policy(), max_length)?;
            if let Some(empty) = chunks.empty_summary() {
                observer.event(&Event::Note(format!("{}: {empty}", examples.name)));
            }
            return Ok(Rows::of_documents(chunks, lines, targets));
        }
        let texts: Vec<(&str, Option<&str>)> = rows
            .iter()
            .map(|&row| {
                (
                    examples.rows[row].text.as_str(),
                    examples.rows[row].text_pair.as_deref(),
                )
            })
            .collect();
        let encodings = tokenizer.encode_batch(&texts, max_length)?;
        Ok(Rows::new(encodings, lines, targets))
    }
}
