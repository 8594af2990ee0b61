//! ELECTRA's generator.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The sizes of ELECTRA's generator, and how it is sampled (Clark et al. 2020, §3.2).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GeneratorConfig {
    /// A folder with a generator to continue from; the one beside the model if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
    /// What it shares with the discriminator.
    pub tied: Tied,
    /// Its width, as a share of the discriminator's.
    pub size: f64,
    /// Its layers, as a share of the discriminator's.
    pub layers: f64,
    /// Divides the logits before sampling.
    pub temperature: f64,
    /// Whether the token that was there is never sampled.
    pub disallow_correct: bool,
}

impl Default for GeneratorConfig {
    fn default() -> Self {
        Self {
            path: None,
            tied: Tied::Embeddings,
            size: 0.25,
            layers: 1.0,
            temperature: 1.0,
            disallow_correct: false,
        }
    }
}

/// Which weights generator and discriminator have in common (Clark et al. 2020, §3.2, "Weight
/// Sharing").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tied {
    /// Words, positions, token types and their LayerNorm.
    Embeddings,
    /// The encoder as a whole. It is taught to fill masks too, and so leaves the state in which
    /// every token is called original, which a fresh discriminator may stay in: the generator is
    /// ahead of it.
    All,
}
