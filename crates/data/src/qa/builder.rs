//! Collects the questions of a file and checks the positions of their answers.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use super::question::{Answer, AnswerRepairs, Question, Questions};
use crate::characters::Characters;
use crate::error::{DataError, QuestionError};
use crate::place::Place;

/// Questions under construction.
pub(crate) struct QuestionsBuilder<'a> {
    name: &'a str,
    strict: bool,
    contexts: HashMap<Arc<str>, Arc<Characters>>,
    context: Arc<str>,
    characters: Arc<Characters>,
    items: Vec<Question>,
    repairs: AnswerRepairs,
}

impl<'a> QuestionsBuilder<'a> {
    pub(crate) fn new(name: &'a str, strict: bool) -> Self {
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

    /// Sets the context of the following questions; equal contexts are stored once.
    pub(crate) fn context(&mut self, context: Arc<str>) {
        if let Some((known, characters)) = self.contexts.get_key_value(&context) {
            (self.context, self.characters) = (known.clone(), characters.clone());
            return;
        }
        self.characters = Arc::new(Characters::new(&context));
        self.contexts
            .insert(context.clone(), self.characters.clone());
        self.context = context;
    }

    /// Counts an answer whose text is empty.
    pub(crate) fn empty_answer(&mut self, question: &str) {
        self.repairs.empty.push(question.into());
    }

    /// Adds a question. `given` holds its answers and their start positions: empty if the text contains no answer, `None`
    /// if the question is not labelled.
    pub(crate) fn add(
        &mut self,
        id: String,
        question: &str,
        given: Option<Vec<(String, Option<usize>)>>,
        title: Option<String>,
        place: Option<Place>,
    ) -> Result<(), DataError> {
        let labelled = given.is_some();
        let given = given.unwrap_or_default();
        let impossible = labelled && given.is_empty();
        let mut answers = Vec::with_capacity(given.len());
        for (text, start) in given {
            let start = self.locate(&id, &text, start, place)?;
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
            line: place.map(|place| place.number),
        });
        Ok(())
    }

    /// The start of an answer, in characters.
    fn locate(
        &mut self,
        id: &str,
        text: &str,
        start: Option<usize>,
        place: Option<Place>,
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
            true => Err(DataError::Question(QuestionError::AnswerNotFound {
                path: self.name.into(),
                question: id.into(),
                place,
                answer: text.into(),
                occurrences: context.matches(text).count(),
            })),
        }
    }

    pub(crate) fn finish(mut self) -> Result<Questions, DataError> {
        if self.items.is_empty() {
            return Err(DataError::Question(QuestionError::NoQuestions {
                path: self.name.into(),
            }));
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
            bioasq: Vec::new(),
        })
    }
}
