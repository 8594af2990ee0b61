//! The registry of pretraining objectives: one file each.
#![deny(clippy::wildcard_enum_match_arm)]

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod golden;
mod mlm;
mod nsp;
mod pairs;
mod rtd;
mod sampling;
mod sop;

pub(crate) use self::mlm::score as masked_score;
use super::descriptor::Descriptor;

/// A pretraining objective, in the order in which losses are summed and reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Objective {
    /// Masked language modelling (Devlin et al. 2019, §3.1); for ELECTRA, the generator's.
    MaskedLm,
    /// Next-sentence prediction (Devlin et al. 2019, §3.1).
    NextSentence,
    /// Sentence-order prediction (Lan et al. 2020, §3.1).
    SentenceOrder,
    /// Replaced-token detection (Clark et al. 2020, §3.1).
    ReplacedTokens,
}

impl Objective {
    /// Every objective.
    pub const ALL: &'static [Self] = &[
        Self::MaskedLm,
        Self::NextSentence,
        Self::SentenceOrder,
        Self::ReplacedTokens,
    ];

    /// The key of its weight in the table `objective`.
    pub fn key(self) -> &'static str {
        self.descriptor().key()
    }

    /// The documentation of its weight.
    pub fn weight_doc(self) -> &'static str {
        self.descriptor().weight_doc()
    }

    /// The descriptor.
    pub(crate) fn descriptor(self) -> &'static dyn Descriptor {
        match self {
            Self::MaskedLm => &mlm::MaskedLm,
            Self::NextSentence => &nsp::NextSentence,
            Self::SentenceOrder => &sop::SentenceOrder,
            Self::ReplacedTokens => &rtd::ReplacedTokens,
        }
    }
}
