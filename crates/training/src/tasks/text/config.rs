//! How texts longer than the model's input are split into sections and pooled.

use bertkit_data::documents::Chunking;
use bertkit_data::windows::Stride;
use bertkit_model::heads::Pooling;
use serde::{Deserialize, Serialize};

use crate::config::flag::flag;
use crate::config::range::at_least;
use crate::config::setting::{plain_values, settings};
use crate::tasks::settings::TaskSettings;

settings! {
    /// How a document is split into sections, and their features pooled.
    pub struct DocumentsConfig {
        /// The pooling over sections.
        pool: Pool = Pool::Max => {
            .flag(flag("Task", "pool", "Read texts longer than [data.max_length] in sections, and answer by this of their \
                    features: the largest of each, their mean, a mean with learnt weights, or the first section's")
                .value("POOL").default("texts are cut; with [data.group_by], max").rank(-2))
        },
        /// Where documents are split.
        sections: SectionBreaks = SectionBreaks::Windows => {
            .flag(flag("Task", "sections", "Where [task.documents.pool] divides: into windows of [data.max_length], or at \
                    line breaks too").value("SECTIONS").rank(-2))
        },
        /// Tokens that neighbouring windows share.
        overlap: usize = 0 => {
            .flag(flag("Task", "section-overlap", "Of [task.documents.pool], tokens that neighbouring windows share")
                .value("TOKENS").rank(-2))
        },
        /// Most tokens that go through the model together, unless one section is longer; bounds the memory.
        piece_tokens: usize = 512 => {
            .range(at_least(1.0))
            .flag(flag("Task", "piece-tokens", "Of [task.documents.pool], tokens of sections that are in memory together")
                .value("TOKENS").rank(-2))
        },
    }
}

impl DocumentsConfig {
    /// How texts are split.
    pub fn policy(&self) -> Chunking {
        let stride = Stride::Overlap(self.overlap);
        match self.sections {
            SectionBreaks::Windows => Chunking::Windows(stride),
            SectionBreaks::Lines => Chunking::Lines(stride),
        }
    }
}

/// The pooling over the features of a document's sections.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pool {
    /// The maximum of each feature.
    #[default]
    Max,
    /// The mean.
    Mean,
    /// A mean with learned weights.
    Attention,
    /// The features of the first section.
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

/// Where documents are split.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SectionBreaks {
    /// Into windows of the longest input.
    #[default]
    Windows,
    /// At line breaks, and lines longer than the longest input into windows.
    Lines,
}

plain_values!(Pool, SectionBreaks);

/// The settings of texts with labels: those that all tasks share.
pub(crate) const SETTINGS: TaskSettings = TaskSettings {
    name: "classification",
    about: "texts",
    table: None,
    own: &[],
    unused: &[],
    max_length: None,
};
