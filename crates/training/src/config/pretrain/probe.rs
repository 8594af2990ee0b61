//! Fine-tuning of a copy of the encoder during pretraining, to measure what the weights are worth.

use std::path::PathBuf;

use crate::config::flag::{Parse, flag};
use crate::config::range::{at_least, more_than};
use crate::config::setting::settings;

settings! {
    /// Fine-tuning of a copy of the encoder, on labelled rows, at chosen updates.
    pub struct ProbeConfig {
        /// Labelled rows; without them there is no probe.
        data: Option<PathBuf> => {
            .flag(flag("Probe", "probe", "Labelled rows (CSV, TSV, JSON Lines or Parquet): a copy of the model is fine-tuned on \
                    them, and its score told").value("FILE"))
        },
        /// Column with the text.
        text: String = "text".into() => {
            .flag(flag("Probe", "probe-text", "Column with the text").value("COLUMN"))
        },
        /// Column with the second text of a pair.
        text_pair: Option<String>,
        /// Column with the label.
        label: String = "label".into() => {
            .flag(flag("Probe", "probe-label", "Column with the label").value("COLUMN"))
        },
        /// The share of the rows that is held out for the score.
        valid_fraction: f64 = 0.2 => { .range(more_than(0.0).at_most(0.9)) },
        /// Probes after these updates.
        steps: Vec<u64> => {
            .flag(flag("Probe", "probe-steps", "Probe after these updates, such as 1000,2000").value("N,…")
                .parse(Parse::Count).divided_by(',').default("at the end"))
        },
        /// Probes every so many updates. With neither, at the end.
        every: Option<u64> => {
            .range(at_least(1.0))
            .flag(flag("Probe", "probe-every", "Probe every N updates").value("N"))
        },
        /// The score is the mean over these seeds.
        seeds: Vec<u64> = vec![1],
        /// Epochs over the rows.
        epochs: usize = 3 => { .range(at_least(1.0)) },
        /// Rows per batch.
        batch_size: usize = 16 => { .range(at_least(1.0)) },
        /// The highest learning rate of a linear schedule.
        learning_rate: f64 = 1e-4 => { .range(more_than(0.0).less_than(1.0)) },
        /// Longest input in tokens.
        max_length: usize = 64 => { .range(at_least(4.0)) },
    }
}
