//! Training a tokenizer on the corpus, for a fresh model without one.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use bertkit_data::DataError;
use bertkit_data::error::CorpusError;
use bertkit_data::pretraining::corpus::{CorpusOptions, read_sentences};
use bertkit_data::tokenizer::{Normalization, TextTokenizer, TokenizerTrainer, TrainOptions};

use crate::config::{FreshModel, PretrainConfig};
use crate::engine::observer::{Event, Observer};
use crate::error::TrainError;
use crate::run::model::tokenizer_family;

/// Bytes of text whose words are counted at a time.
const BATCH: usize = 4 << 20;

/// Trains the tokenizer described by the settings; deterministic for the same files.
///
/// # Errors
/// A file cannot be read; there is no text; the vocabulary is too small for the special tokens;
/// `interrupt` became true.
pub(super) fn train(
    config: &PretrainConfig,
    fresh: &FreshModel,
    files: &[PathBuf],
    observer: &mut dyn Observer,
    interrupt: &AtomicBool,
) -> Result<TextTokenizer, TrainError> {
    let family = tokenizer_family(fresh.family.descriptor());
    let options = TrainOptions {
        family,
        vocab_size: Some(config.tokenizer.vocab_size),
        normalization: Normalization {
            lowercase: config.tokenizer.lowercase,
            ..Normalization::default()
        },
        min_frequency: config.tokenizer.min_frequency,
        max_length: fresh.max_position_embeddings,
        ..TrainOptions::default()
    };
    let mut trainer = TokenizerTrainer::new(&options)?;
    let total: u64 = files
        .iter()
        .map(|file| std::fs::metadata(file).map_or(0, |metadata| metadata.len()))
        .sum();
    // Only words are counted, so sentence boundaries do not matter.
    let reading = CorpusOptions {
        split_sentences: false,
        ..config.corpus.options()
    };
    let mut batch = Batch::default();
    read_sentences(files, &reading, &mut |sentence, read| {
        batch.text.push_str(sentence);
        batch.ends.push(batch.text.len());
        if batch.text.len() >= BATCH {
            if interrupt.load(Ordering::Relaxed) {
                return Err(DataError::Corpus(CorpusError::Interrupted).into());
            }
            batch.count(&mut trainer)?;
            observer.event(&Event::Busy(format!(
                "counting words: {} % of the text",
                read * 100 / total.max(1)
            )));
        }
        Ok::<(), TrainError>(())
    })?;
    batch.count(&mut trainer)?;
    let trained = trainer.train(&mut |tokens| {
        observer.event(&Event::Busy(format!(
            "training the tokenizer: {tokens} tokens"
        )));
    })?;
    Ok(trained.tokenizer)
}

/// Concatenated sentences.
#[derive(Default)]
struct Batch {
    text: String,
    ends: Vec<usize>,
}

impl Batch {
    fn count(&mut self, trainer: &mut TokenizerTrainer) -> Result<(), TrainError> {
        let starts = std::iter::once(&0).chain(&self.ends);
        let sentences: Vec<&str> = starts
            .zip(&self.ends)
            .map(|(&start, &end)| &self.text[start..end])
            .collect();
        trainer.add(&sentences)?;
        self.text.clear();
        self.ends.clear();
        Ok(())
    }
}
