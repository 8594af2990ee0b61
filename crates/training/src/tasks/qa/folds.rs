//! The questions that a fold holds out.

use std::borrow::Cow;

use bertkit_data::DataError;
use bertkit_data::qa::Question;
use bertkit_data::splits::Split;

use crate::config::FoldConfig;
use crate::tasks::folds::divide;

/// Splits questions by whole texts, with all their questions.
pub(crate) fn of_questions(fold: FoldConfig, questions: &[Question]) -> Result<Split, DataError> {
    let texts: Vec<Cow<'_, str>> = questions.iter().map(|q| Cow::from(&*q.context)).collect();
    divide(fold, questions.len(), None, Some(&texts))
}
