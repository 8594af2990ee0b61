//! How words are tagged (`task.kind = "ner"`).

use bertkit_data::alignment::LabelledTokens;
use bertkit_data::tagging::Scheme;
use serde::{Deserialize, Serialize};

/// How words are tagged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NerConfig {
    /// What chooses the tags of a sentence.
    pub head: TagHead,
    /// Which tokens of a word are trained to give its tag; with a CRF, the first.
    pub label: LabelledTokens,
    /// The scheme of the tags that are learnt, whatever the file's.
    pub scheme: Scheme,
    /// Tokens that neighbouring windows of a long sentence share, at least; a quarter of
    /// `data.max_length` if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overlap: Option<usize>,
    /// How many times faster than the rest the scores of a CRF are learnt.
    pub crf_rate: f64,
}

impl Default for NerConfig {
    fn default() -> Self {
        Self {
            head: TagHead::Linear,
            label: LabelledTokens::First,
            scheme: Scheme::Bio,
            overlap: None,
            crf_rate: 100.0,
        }
    }
}

/// What chooses the tags of a sentence.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TagHead {
    /// Each word by itself (Devlin et al. 2019, §5.3).
    #[default]
    Linear,
    /// All words together, by a linear-chain conditional random field (Lafferty et al. 2001).
    Crf,
}
