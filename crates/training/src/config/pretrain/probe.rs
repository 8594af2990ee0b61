//! Fine-tuning of a copy of the encoder during pretraining, to measure what the weights are worth.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// A fine-tuning of a copy of the encoder, on labelled rows, at chosen updates.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ProbeConfig {
    /// Labelled rows; without them nothing is probed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<PathBuf>,
    /// Column with the text.
    pub text: String,
    /// Column with the second text of a pair.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text_pair: Option<String>,
    /// Column with the label.
    pub label: String,
    /// The share of the rows that is scored, and not learnt from.
    pub valid_fraction: f64,
    /// Probes behind these updates.
    pub steps: Vec<u64>,
    /// Probes every so many updates. With neither, at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub every: Option<u64>,
    /// The mean over these seeds is told.
    pub seeds: Vec<u64>,
    /// Passes over the rows.
    pub epochs: usize,
    /// Rows a batch.
    pub batch_size: usize,
    /// The highest rate of a linear schedule.
    pub learning_rate: f64,
    /// Longest input in tokens.
    pub max_length: usize,
}

impl Default for ProbeConfig {
    fn default() -> Self {
        Self {
            data: None,
            text: "text".into(),
            text_pair: None,
            label: "label".into(),
            valid_fraction: 0.2,
            steps: Vec::new(),
            every: None,
            seeds: vec![1],
            epochs: 3,
            batch_size: 16,
            learning_rate: 1e-4,
            max_length: 64,
        }
    }
}
