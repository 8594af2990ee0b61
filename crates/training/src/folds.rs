//! Which rows a run's fold holds out: the same in training and in evaluation.

use std::borrow::Cow;

use bertkit_data::DataError;
use bertkit_data::examples::Examples;
use bertkit_data::qa::Question;
use bertkit_data::splits::{self, Split};
use bertkit_data::tagging::TaggedCorpus;

use crate::config::FoldConfig;
use crate::tasks::Targets;

/// Divides rows as the fold says, by class and by whole groups where these are given.
pub(crate) fn divide<S: AsRef<str>>(
    fold: FoldConfig,
    rows: usize,
    classes: Option<&[usize]>,
    groups: Option<&[S]>,
) -> Result<Split, DataError> {
    let mut folds = splits::folds(rows, classes, groups, fold.of, fold.seed)?;
    // `FinetuneConfig::check` holds it between 1 and the number of folds.
    Ok(folds.swap_remove(fold.number - 1))
}

/// Rows of a table, or documents: by class where each has one, and by whole groups if they are `grouped`.
pub(crate) fn of_rows(
    fold: FoldConfig,
    examples: &Examples,
    targets: &Targets,
    grouped: bool,
) -> Result<Split, DataError> {
    let classes = match targets {
        Targets::Classes(classes) => Some(classes.as_slice()),
        _ => None,
    };
    let rows = examples.rows.iter();
    let groups: Option<Vec<&str>> = grouped.then(|| {
        rows.map(|r| r.group.as_deref().unwrap_or_default())
            .collect()
    });
    divide(fold, examples.rows.len(), classes, groups.as_deref())
}

/// The name of each sentence's document; empty without one.
pub(crate) fn documents(corpus: &TaggedCorpus) -> Vec<&str> {
    let name = |at: Option<usize>| at.map_or("", |at| corpus.documents[at].as_str());
    let sentences = corpus.sentences.iter();
    sentences.map(|sentence| name(sentence.document)).collect()
}

/// Questions: whole texts with all their questions.
pub(crate) fn of_questions(fold: FoldConfig, questions: &[Question]) -> Result<Split, DataError> {
    let texts: Vec<Cow<'_, str>> = questions.iter().map(|q| Cow::from(&*q.context)).collect();
    divide(fold, questions.len(), None, Some(&texts))
}

/// The items at those places, which are ascending.
pub(crate) fn choose<T>(items: Vec<T>, places: &[usize]) -> Vec<T> {
    let mut places = places.iter().copied().peekable();
    let numbered = items.into_iter().enumerate();
    numbered
        .filter(|(at, _)| places.next_if_eq(at).is_some())
        .map(|(_, item)| item)
        .collect()
}
