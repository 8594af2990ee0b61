//! The registry of packings: one file each.
#![deny(clippy::wildcard_enum_match_arm)]

mod across;
mod blocks;
mod electra;
mod next_sentence;
mod pairs;
mod running_text;
mod sentence_order;
mod within;

use serde::{Deserialize, Serialize};

use super::builder::Builder;

/// How sequences are composed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Packing {
    /// Whole sentences, across document boundaries, with a separator token between documents (full-sentences of Liu et
    /// al. 2019, §4.2).
    /// A sentence that does not fit begins the next sequence; one that is longer than a whole sequence is split. Every
    /// token is in exactly one sequence. The last sequence of an epoch contains the remaining tokens.
    Across,
    /// Whole sentences of one document (doc-sentences of Liu et al. 2019, §4.2), otherwise as [`Packing::Across`]: the
    /// last sequence of every document contains the remaining tokens.
    Within,
    /// Tokens, across sentence and document boundaries, with a separator token after every document: break mode `none`
    /// of fairseq, as GottBERT was trained (Scheible et al. 2020).
    ///
    /// As in fairseq, a sequence is `<s>` and `max_length − 1` tokens of that stream, so it ends with a separator only
    /// where a document does. Every token is in exactly one sequence; the last one contains the remaining tokens.
    Blocks,
    /// Two segments of whole sentences; the second follows the first or comes from another document (Devlin et al.
    /// 2019, §3.1 and the published code).
    ///
    /// The label is 0 if the second segment follows the first and 1 if it does not. Tokens are lost when a pair is
    /// truncated, and appear twice when they are drawn as a random second segment.
    NextSentence,
    /// Two consecutive segments of whole sentences, in order or swapped (Lan et al. 2020, §3.1, and the published code).
    ///
    /// The label is 0 if they are in order and 1 if they are swapped. As in the published code, a single sentence
    /// without neighbours is paired with sentences of another document, and labelled 1.
    SentenceOrder,
    /// One or two segments of one document, without a label (Clark et al. 2020 and the published code).
    ///
    /// Tokens that do not fit are lost. As in the published code, a short sentence can go to the first segment although
    /// an earlier one went to the second.
    Electra,
}

impl Packing {
    /// All packings.
    pub const ALL: &'static [Self] = &[
        Self::Across,
        Self::Within,
        Self::Blocks,
        Self::NextSentence,
        Self::SentenceOrder,
        Self::Electra,
    ];

    /// The name in configurations.
    pub fn name(self) -> &'static str {
        self.builder().name()
    }

    /// The probability of a shorter target length in the published code.
    pub(super) fn short_probability(self) -> f64 {
        self.builder().short_probability()
    }

    /// The descriptor.
    pub(super) fn builder(self) -> &'static dyn Builder {
        match self {
            Self::Across => &across::Across,
            Self::Within => &within::Within,
            Self::Blocks => &blocks::Blocks,
            Self::NextSentence => &next_sentence::NextSentence,
            Self::SentenceOrder => &sentence_order::SentenceOrder,
            Self::Electra => &electra::Electra,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::electra::Lines;
    use super::pairs::Pair;
    use super::running_text::Chunk;

    #[test]
    fn a_sequence_of_a_plan_takes_few_bytes() {
        assert_eq!(size_of::<Chunk>(), 16);
        assert_eq!(size_of::<Pair>(), 24);
        assert_eq!(size_of::<Lines>(), 24);
    }
}
