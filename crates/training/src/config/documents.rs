//! How texts longer than the model's input are split into sections and pooled.

use bertkit_data::documents::Sections;
use bertkit_data::questions::Stride;
use bertkit_model::heads::Pooling;
use serde::{Deserialize, Serialize};

/// How a document is read in sections.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DocumentsConfig {
    /// What a document has of its sections.
    pub pool: Pool,
    /// Where it is divided.
    pub sections: SectionBreaks,
    /// Tokens that neighbouring windows share.
    pub overlap: usize,
    /// Tokens that go through the model together, at most, unless one section is longer: what bounds the memory.
    pub piece_tokens: usize,
}

impl Default for DocumentsConfig {
    fn default() -> Self {
        Self {
            pool: Pool::Max,
            sections: SectionBreaks::Windows,
            overlap: 0,
            piece_tokens: 512,
        }
    }
}

impl DocumentsConfig {
    /// How texts are divided.
    pub fn policy(&self) -> Sections {
        let stride = Stride::Overlap(self.overlap);
        match self.sections {
            SectionBreaks::Windows => Sections::Windows(stride),
            SectionBreaks::Lines => Sections::Lines(stride),
        }
    }
}

/// What a document has of its sections.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pool {
    /// Of each feature, the largest.
    #[default]
    Max,
    /// The mean.
    Mean,
    /// A mean with learnt weights.
    Attention,
    /// The first section.
    First,
}

impl From<Pool> for Pooling {
    fn from(pool: Pool) -> Self {
        match pool {
            Pool::Max => Self::Max,
            Pool::Mean => Self::Mean,
            Pool::Attention => Self::Attention,
            Pool::First => Self::First,
        }
    }
}

/// Where documents are divided.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SectionBreaks {
    /// Wherever a section is as long as the longest input.
    #[default]
    Windows,
    /// At line breaks, and where a line is longer than the longest input.
    Lines,
}
