//! Converts token scores to answers, as `postprocess_qa_predictions` of transformers does.

use std::cmp::Ordering;

use crate::characters::Characters;

/// Settings for finding answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecodeOptions {
    /// Number of starts and ends to consider per window, and maximum number of answers to return.
    pub n_best: usize,
    /// Maximum number of tokens in an answer.
    pub max_answer_length: usize,
    /// Whether "no answer" is a possible answer (SQuAD 2.0).
    pub impossible: bool,
    /// Whether an answer may begin only at a token that has its maximum context in the window, as in BERT's
    /// `run_squad.py`; `run_qa.py` does not require this.
    pub max_context: bool,
}

impl Default for DecodeOptions {
    /// The 20 best answers of up to 30 tokens; every question has an answer, which may be in any window.
    fn default() -> Self {
        Self {
            n_best: 20,
            max_answer_length: 30,
            impossible: false,
            max_context: false,
        }
    }
}

/// An answer scored as a whole by a head, as positions of its first and last token in the input.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SpanScore {
    /// First token.
    pub start: usize,
    /// Last token.
    pub end: usize,
    /// Score of the start; the answer's score is the sum of this and the score of the end.
    pub start_score: f32,
    /// Score of the end.
    pub end_score: f32,
}

/// The model's scores for one window.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum WindowScores<'a> {
    /// A start score and an end score for each token of the input; the sum of the first token's scores is the score of
    /// "no answer".
    Tokens {
        /// One per token.
        start: &'a [f32],
        /// One per token.
        end: &'a [f32],
    },
    /// Answers proposed by a head that scores ends given starts, such as ELECTRA's.
    Spans {
        /// The answers.
        spans: &'a [SpanScore],
        /// The score of "no answer".
        null: f32,
        /// Whether that score is the log odds that there is no answer, rather than a score comparable to those of the
        /// answers.
        odds: bool,
    },
}

/// A possible answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// Its text, a slice of the context; empty for "no answer".
    pub text: String,
    /// Start in the context, in characters.
    pub start: usize,
    /// End in the context, in characters, exclusive.
    pub end: usize,
    /// Sum of start and end score.
    pub score: f64,
    /// Score of its first token as a start.
    pub start_score: f64,
    /// Score of its last token as an end.
    pub end_score: f64,
    /// Its probability among the returned answers: a softmax over their scores.
    pub probability: f64,
}

impl Candidate {
    /// Whether it is "no answer".
    pub fn is_null(&self) -> bool {
        self.text.is_empty()
    }
}

/// The answers to a question.
#[derive(Debug, Clone, PartialEq)]
pub struct Prediction {
    /// The best answers in descending order; "no answer" may follow in addition to the requested number.
    pub n_best: Vec<Candidate>,
    /// Score of "no answer": the minimum over all windows, since one window that contains the answer is enough. If the
    /// head returns log odds, this is the best answer's score plus the log odds.
    pub null_score: f64,
}

impl Prediction {
    /// The best answer other than "no answer"; `None` if no window has an answer of an allowed length.
    pub fn best(&self) -> Option<&Candidate> {
        self.n_best.iter().find(|candidate| !candidate.is_null())
    }

    /// The score of "no answer" minus that of the best answer; infinite without an answer.
    pub fn score_difference(&self) -> f64 {
        match self.best() {
            Some(best) => self.null_score - best.score,
            None => f64::INFINITY,
        }
    }

    /// The text of the best answer; empty if there is none or if [`Prediction::score_difference`] is above the threshold.
    /// Without a threshold, every question is answered.
    pub fn text(&self, threshold: Option<f64>) -> &str {
        match self.best() {
            Some(best) if threshold.is_none_or(|most| self.score_difference() <= most) => {
                &best.text
            }
            _ => "",
        }
    }
}

/// The inputs of [`decode`] for a window.
pub(super) struct Scored<'a> {
    pub(super) scores: WindowScores<'a>,
    /// Position of the first token of the text, and the byte ranges of all tokens of the text.
    pub(super) first: usize,
    pub(super) spans: &'a [(u32, u32)],
    /// Whether each of these tokens has its maximum context in this window; `None` means all do.
    pub(super) max_context: Option<&'a [bool]>,
}

/// An answer as a byte range.
#[derive(Clone, Copy)]
struct Found {
    from: u32,
    to: u32,
    start: f32,
    end: f32,
}

impl Found {
    fn score(&self) -> f64 {
        f64::from(self.start) + f64::from(self.end)
    }

    fn is_null(&self) -> bool {
        (self.from, self.to) == (0, 0)
    }
}

pub(super) fn decode(context: &str, windows: &[Scored<'_>], options: &DecodeOptions) -> Prediction {
    let mut found = Vec::new();
    let mut null: Option<Found> = None;
    let odds = windows
        .iter()
        .any(|window| matches!(window.scores, WindowScores::Spans { odds: true, .. }));
    for window in windows {
        let (start, end) = window.collect(options, &mut found);
        let nothing = Found {
            from: 0,
            to: 0,
            start,
            end,
        };
        if null.is_none_or(|least| nothing.score() < least.score()) {
            null = Some(nothing);
        }
    }
    if odds {
        let scores = found.iter().map(Found::score);
        let highest = scores.fold(f64::NEG_INFINITY, f64::max);
        // If there is no answer, the log odds are used unchanged.
        let beside = if highest.is_finite() {
            highest as f32
        } else {
            0.0
        };
        if let Some(nothing) = &mut null {
            nothing.end = beside;
        }
    }
    let null_score = null.map_or(f64::NEG_INFINITY, |null| null.score());
    found.extend(null.filter(|_| options.impossible));
    found.sort_by(|a, b| b.score().total_cmp(&a.score()));
    let kept = found.len().min(options.n_best);
    let dropped = found.split_off(kept);
    if options.impossible && !found.iter().any(Found::is_null) {
        found.extend(dropped.into_iter().find(Found::is_null));
    }

    let highest = found
        .iter()
        .map(Found::score)
        .fold(f64::NEG_INFINITY, f64::max);
    let total: f64 = found
        .iter()
        .map(|found| (found.score() - highest).exp())
        .sum();
    let characters = Characters::new(match found.is_empty() {
        true => "",
        false => context,
    });
    let n_best = found
        .iter()
        .map(|found| Candidate {
            text: context
                .get(found.from as usize..found.to as usize)
                .unwrap_or_default()
                .to_string(),
            start: characters.character(found.from as usize),
            end: characters.character(found.to as usize),
            score: found.score(),
            start_score: f64::from(found.start),
            end_score: f64::from(found.end),
            probability: (found.score() - highest).exp() / total,
        })
        .collect();
    Prediction { n_best, null_score }
}

impl Scored<'_> {
    /// Adds the window's answers; returns the start and end score of "no answer".
    fn collect(&self, options: &DecodeOptions, found: &mut Vec<Found>) -> (f32, f32) {
        match self.scores {
            WindowScores::Tokens { start, end } => {
                let tokens = self.first + self.spans.len();
                assert!(
                    start.len() == end.len() && start.len() >= tokens,
                    "a score for every token"
                );
                let ends = best(end, options.n_best);
                for from in best(start, options.n_best) {
                    for &to in &ends {
                        self.add(from, to, start[from], end[to], options, found);
                    }
                }
                (start[0], end[0])
            }
            WindowScores::Spans { spans, null, .. } => {
                for span in spans {
                    let (start, end) = (span.start_score, span.end_score);
                    self.add(span.start, span.end, start, end, options, found);
                }
                (null, 0.0)
            }
        }
    }

    fn add(
        &self,
        from: usize,
        to: usize,
        start: f32,
        end: f32,
        options: &DecodeOptions,
        found: &mut Vec<Found>,
    ) {
        if to < from || to - from >= options.max_answer_length {
            return;
        }
        let inside = |at: usize| {
            at.checked_sub(self.first)
                .filter(|&at| at < self.spans.len())
        };
        let (Some(from), Some(to)) = (inside(from), inside(to)) else {
            return;
        };
        if self.max_context.is_some_and(|most| !most[from]) {
            return;
        }
        let (from, to) = (self.spans[from].0, self.spans[to].1);
        if to > from {
            found.push(Found {
                from,
                to,
                start,
                end,
            });
        }
    }
}

/// Positions of the highest scores in descending order; of equal scores, the later position first, as in a reversed
/// `numpy.argsort`.
fn best(scores: &[f32], count: usize) -> Vec<usize> {
    let descending =
        |a: &usize, b: &usize| -> Ordering { scores[*b].total_cmp(&scores[*a]).then(b.cmp(a)) };
    let mut order: Vec<usize> = (0..scores.len()).collect();
    if count < order.len() {
        order.select_nth_unstable_by(count, descending);
        order.truncate(count);
    }
    order.sort_unstable_by(descending);
    order
}
