//! Tokenizes questions and their texts into windows.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use rayon::prelude::*;

use super::decoding::{self, DecodeOptions, Prediction, WindowScores};
use super::question::Question;
use crate::batches::PackedBatch;
use crate::characters::Characters;
use crate::tokenizer::{Encoding, LocatedTokens, Reader, Template, TextTokenizer, TokenizerError};
use crate::windows::{self, Stride};

/// Settings for converting questions and texts to inputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FeatureOptions {
    /// Maximum number of tokens of an input: question, part of the text and special tokens.
    pub max_length: usize,
    /// Maximum number of tokens of the question; longer questions are truncated.
    pub max_question_length: usize,
    /// Distance between the windows of a text.
    pub stride: Stride,
}

impl Default for FeatureOptions {
    /// As in BERT's `run_squad.py`: 384 tokens, at most 64 of them from the question, a window every 128 tokens.
    fn default() -> Self {
        Self {
            max_length: 384,
            max_question_length: 64,
            stride: Stride::Step(128),
        }
    }
}

/// A question and a part of its text: one input of the model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// Index of the question.
    pub question: usize,
    /// Range of the text's tokens that the window contains.
    pub tokens: Range<usize>,
    /// Positions of the first and last token of the answer in the input; both 0, the first token, if the window does not
    /// contain the whole answer or there is none. `None` if there is no target: the question is not labelled, or the
    /// position of its answer is unknown. If there are several answers, the first one with a known position is used.
    pub target: Option<(usize, usize)>,
}

/// Questions as inputs of a model: the windows of all their texts.
///
/// The tokens of a text are stored once, however many questions and windows refer to it; inputs are assembled on demand.
#[derive(Debug, Clone)]
pub struct Features {
    template: Template,
    /// Token ids of each question.
    questions: Vec<Vec<u32>>,
    /// Index of the text of each question.
    context_of: Vec<usize>,
    pub(super) contexts: Vec<LocatedTokens>,
    windows: Vec<Window>,
    /// Windows of each question.
    ranges: Vec<Range<usize>>,
    shortened: usize,
}

impl Features {
    /// Tokenizes questions and texts on all cores and cuts them into windows.
    ///
    /// White space before a question is dropped, as in `run_qa.py`.
    ///
    /// # Errors
    /// [`TokenizerError::MaxLength`] if the question leaves no room for the text; [`TokenizerError::Overlap`] if it
    /// leaves less room than the overlap of windows; [`TokenizerError::Encode`].
    pub fn new(
        questions: &[Question],
        tokenizer: &TextTokenizer,
        options: &FeatureOptions,
    ) -> Result<Self, TokenizerError> {
        let template = tokenizer.template(true)?;
        let mut known: HashMap<*const u8, usize> = HashMap::new();
        let mut texts: Vec<&Arc<str>> = Vec::new();
        let context_of: Vec<usize> = questions
            .iter()
            .map(|question| {
                *known.entry(question.context.as_ptr()).or_insert_with(|| {
                    texts.push(&question.context);
                    texts.len() - 1
                })
            })
            .collect();
        let contexts = texts
            .par_iter()
            .map_init(
                || Reader::new(tokenizer),
                |reader, text| reader.locate(text),
            )
            .collect::<Result<Vec<_>, _>>()?;
        let characters: Vec<Characters> =
            texts.par_iter().map(|text| Characters::new(text)).collect();
        let mut ids = questions
            .par_iter()
            .map_init(
                || Reader::new(tokenizer),
                |reader, question| reader.ids(question.question.trim_start()),
            )
            .collect::<Result<Vec<_>, _>>()?;
        let mut shortened = 0;
        for ids in &mut ids {
            shortened += usize::from(ids.len() > options.max_question_length);
            ids.truncate(options.max_question_length);
        }

        let per_question = questions
            .par_iter()
            .enumerate()
            .map(|(at, question)| {
                let context = &contexts[context_of[at]];
                let taken = template.len() + ids[at].len();
                let room = options
                    .max_length
                    .checked_sub(taken)
                    .filter(|&room| room > 0);
                let room = room.ok_or(TokenizerError::MaxLength {
                    max_length: options.max_length,
                    special: taken,
                })?;
                let answer = answer(question, &characters[context_of[at]]);
                let first = template.second_at(ids[at].len());
                let windows = options.stride.windows(context.ids.len(), room)?;
                Ok(windows
                    .into_iter()
                    .map(|tokens| Window {
                        question: at,
                        target: answer.as_ref().map(|answer| match answer {
                            None => (0, 0),
                            Some(answer) => target(&context.spans, &tokens, answer, first),
                        }),
                        tokens,
                    })
                    .collect::<Vec<_>>())
            })
            .collect::<Result<Vec<_>, TokenizerError>>()?;
        let mut ranges = Vec::with_capacity(questions.len());
        let mut windows = Vec::with_capacity(per_question.iter().map(Vec::len).sum());
        for of_question in per_question {
            ranges.push(windows.len()..windows.len() + of_question.len());
            windows.extend(of_question);
        }
        Ok(Self {
            template,
            questions: ids,
            context_of,
            contexts,
            windows,
            ranges,
            shortened,
        })
    }

    /// All windows, question by question.
    pub fn windows(&self) -> &[Window] {
        &self.windows
    }

    /// The windows of a question, given its index.
    pub fn of_question(&self, question: usize) -> Range<usize> {
        self.ranges[question].clone()
    }

    /// Number of questions truncated to their maximum length.
    pub fn shortened(&self) -> usize {
        self.shortened
    }

    /// Number of tokens of each window's input, special tokens included.
    pub fn lengths(&self) -> Vec<usize> {
        let length = |window: &Window| {
            self.template.len() + self.questions[window.question].len() + window.tokens.len()
        };
        self.windows.iter().map(length).collect()
    }

    /// The input of a window.
    pub fn encoding(&self, window: usize) -> Encoding {
        let (question, context) = self.ids(window);
        self.template.encoding(question, context)
    }

    /// Packs the inputs of the given windows, in that order.
    pub fn pack(&self, windows: &[usize]) -> PackedBatch {
        let mut batch = PackedBatch {
            rows: windows.to_vec(),
            ..PackedBatch::default()
        };
        for &window in windows {
            let (question, context) = self.ids(window);
            let before = batch.input_ids.len();
            self.template.put(
                question,
                context,
                &mut batch.input_ids,
                &mut batch.token_type_ids,
            );
            batch.lengths.push(batch.input_ids.len() - before);
        }
        batch
    }

    /// Positions of the text's tokens in a window's input.
    pub fn context_positions(&self, window: usize) -> Range<usize> {
        let window = &self.windows[window];
        let first = self
            .template
            .second_at(self.questions[window.question].len());
        first..first + window.tokens.len()
    }

    /// Byte ranges of a window's text tokens, in order. Tokens of the question are not included, so the
    /// first is that of [`Features::context_positions`].
    pub fn spans(&self, window: usize) -> &[(u32, u32)] {
        let window = &self.windows[window];
        let context = &self.contexts[self.context_of[window.question]];
        &context.spans[window.tokens.clone()]
    }

    /// For each window of a question, whether each of its text tokens has more context there than in any other window
    /// (`token_is_max_context` in BERT's `run_squad.py`).
    pub fn max_context(&self, question: usize) -> Vec<Vec<bool>> {
        let windows = &self.windows[self.of_question(question)];
        let tokens: Vec<Range<usize>> = windows.iter().map(|w| w.tokens.clone()).collect();
        let owners = windows::owners(&tokens);
        let owned = |(at, tokens): (usize, &Range<usize>)| {
            tokens.clone().map(|token| owners[token] == at).collect()
        };
        tokens.iter().enumerate().map(owned).collect()
    }

    /// The best answers to a question; `scores` holds the scores of its windows, in order.
    ///
    /// # Panics
    /// If the number of scores differs from the number of windows, or from the number of tokens of a window.
    pub fn decode(
        &self,
        question: &Question,
        index: usize,
        scores: &[WindowScores<'_>],
        options: &DecodeOptions,
    ) -> Prediction {
        let range = self.of_question(index);
        assert_eq!(range.len(), scores.len(), "scores for every window");
        let max_context = match options.max_context && range.len() > 1 {
            true => self.max_context(index),
            false => Vec::new(),
        };
        let windows: Vec<decoding::Scored<'_>> = range
            .zip(scores)
            .enumerate()
            .map(|(at, (window, &scores))| decoding::Scored {
                scores,
                first: self.context_positions(window).start,
                spans: self.spans(window),
                max_context: max_context.get(at).map(Vec::as_slice),
            })
            .collect();
        decoding::decode(&question.context, &windows, options)
    }

    fn ids(&self, window: usize) -> (&[u32], &[u32]) {
        let window = &self.windows[window];
        let context = &self.contexts[self.context_of[window.question]];
        (
            &self.questions[window.question],
            &context.ids[window.tokens.clone()],
        )
    }
}

/// Byte range of the target answer: `Some(None)` if the question has no answer, `None` if it has no target.
fn answer(question: &Question, characters: &Characters) -> Option<Option<Range<usize>>> {
    if question.impossible {
        return Some(None);
    }
    let place = question.answers.iter().find_map(|answer| {
        let start = characters.byte(answer.start?)?;
        Some(start..start + answer.text.len())
    });
    place.map(Some)
}

/// Positions of the first and last token of an answer in the input, as in `run_qa.py`: the last token that does not begin
/// after the start of the answer, and the first that does not end before its end.
fn target(
    spans: &[(u32, u32)],
    tokens: &Range<usize>,
    answer: &Range<usize>,
    first: usize,
) -> (usize, usize) {
    let spans = &spans[tokens.clone()];
    let (start, end) = (answer.start as u32, answer.end as u32);
    match (spans.first(), spans.last()) {
        (Some(low), Some(high)) if low.0 <= start && high.1 >= end => {}
        _ => return (0, 0),
    }
    let from = spans.partition_point(|span| span.0 <= start) - 1;
    let to = spans.partition_point(|span| span.1 < end);
    match from <= to {
        true => (first + from, first + to),
        // The answer is white space between two tokens.
        false => (0, 0),
    }
}
