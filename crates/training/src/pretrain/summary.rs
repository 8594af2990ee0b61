//! The summary of a run before its first step.

use super::source::Source;
use crate::config::PretrainConfig;
use crate::engine::schedule::Length;

/// Sizes of the first epoch and of the run.
pub(super) struct Facts {
    /// Updates per epoch.
    pub updates: usize,
    /// Sequences per epoch.
    pub sequences: usize,
    /// Tokens per epoch, special tokens included.
    pub tokens: u64,
    /// Sequences to validate on.
    pub validation: usize,
    pub length: Length,
}

impl Facts {
    /// The length of the run, in a sentence.
    pub fn describe_length(&self, config: &PretrainConfig) -> String {
        let t = &config.training;
        let batch = match t.gradient_accumulation {
            1 => format!("{} sequences", t.batch_size),
            k => format!("{} × {k} sequences", t.batch_size),
        };
        let stages = match t.stages.len() {
            0 | 1 => String::new(),
            n => format!(", in {n} stages"),
        };
        match self.length {
            Length::Steps(steps) => format!(
                "{steps} steps of {batch}{stages}; a pass over the corpus has {}",
                self.updates
            ),
            Length::Seconds(seconds) => format!(
                "{seconds} seconds, in steps of {batch}{stages}; a pass over the corpus has {}",
                self.updates
            ),
        }
    }
}

/// The lines about objectives, corpus, epoch and validation.
pub(super) fn describe_corpus(
    config: &PretrainConfig,
    source: &Source,
    facts: &Facts,
) -> Vec<(String, String)> {
    let corpus = &source.corpus;
    let valid = match facts.validation {
        0 => "none: nothing is held out".to_owned(),
        n => format!(
            "{n} sequences of {} held-out documents",
            source.held_out.len()
        ),
    };
    [
        ("objective", config.objective.to_string()),
        (
            "corpus",
            format!(
                "{} documents, {} sentences, {} tokens in {}",
                corpus.documents(),
                corpus.sentences(),
                corpus.tokens(),
                match corpus.manifest().sources.len() {
                    1 => "a file".to_owned(),
                    n => format!("{n} files"),
                }
            ),
        ),
        (
            "a pass",
            format!(
                "{} sequences, {} tokens, {:.1} a sequence",
                facts.sequences,
                facts.tokens,
                facts.tokens as f64 / facts.sequences.max(1) as f64
            ),
        ),
        ("validation", valid),
    ]
    .map(|(name, text)| (name.to_owned(), text))
    .into()
}
