//! ELECTRA's generator.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::config::range::more_than;
use crate::config::setting::{plain_values, settings};

settings! {
    /// The size of ELECTRA's generator, and how it is sampled (Clark et al. 2020, §3.2).
    pub struct GeneratorConfig {
        /// A folder with a generator to continue from; the one beside the model if there is one.
        path: Option<PathBuf>,
        /// What it shares with the discriminator.
        tied: Tied = Tied::Embeddings,
        /// Its width, as a share of the discriminator's.
        size: f64 = 0.25 => { .range(more_than(0.0).at_most(2.0)) },
        /// Its layers, as a share of the discriminator's.
        layers: f64 = 1.0 => { .range(more_than(0.0).at_most(2.0)) },
        /// The sampling temperature.
        temperature: f64 = 1.0 => { .range(more_than(0.0)) },
        /// Whether the original token is never sampled.
        disallow_correct: bool = false,
    }
}

/// Weights that generator and discriminator share (Clark et al. 2020, §3.2, "Weight Sharing").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tied {
    /// Words, positions, token types and their LayerNorm.
    Embeddings,
    /// The whole encoder. Since it also learns masked language modelling, it leaves the state in which every token is
    /// predicted as original; a fresh discriminator may stay in it.
    All,
}

plain_values!(Tied);
