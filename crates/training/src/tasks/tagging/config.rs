//! How words are tagged (`task.kind = "ner"`).

use bertkit_data::tagging::Scheme;
use bertkit_data::tagging::alignment::LabelledTokens;
use serde::{Deserialize, Serialize};
use toml::Value;

use crate::config::flag::{Lookup, flag};
use crate::config::range::more_than;
use crate::config::setting::{plain_values, settings};
use crate::tasks::settings::TaskSettings;

settings! {
    /// How words are tagged.
    pub struct NerConfig {
        /// What chooses the tags of a sentence.
        head: TagHead = TagHead::Linear => {
            .flag(flag("Task", "head", "Of ner, what chooses the tags: each word by itself, or a CRF over the sentence; of \
                    qa, what chooses an answer's end: each token by itself, or, as in ELECTRA, jointly with the start")
                .value("HEAD").words(&["linear", "crf", "joint"]).key(head_key).rank(-2))
        },
        /// Which tokens of a word carry its tag in training; with a CRF, the first.
        label: LabelledTokens = LabelledTokens::First,
        /// The tagging scheme that is learned, whatever the file's.
        scheme: Scheme = Scheme::Bio,
        /// Fewest tokens that neighbouring windows of a long sentence share; a quarter of `data.max_length` if not
        /// given.
        overlap: Option<usize> => {
            .flag(flag("Task", "overlap", "Of ner, tokens that neighbouring windows of a long sentence share, at least")
                .value("TOKENS").default("a quarter of [data.max_length]").rank(-2))
        },
        /// How many times faster than the rest the transition scores of a CRF are learned.
        crf_rate: f64 = 100.0 => { .range(more_than(0.0)) },
    }
}

/// What chooses the tags of a sentence.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TagHead {
    /// A linear layer, each word by itself (Devlin et al. 2019, §5.3).
    #[default]
    Linear,
    /// All words together, by a linear-chain conditional random field (Lafferty et al. 2001).
    Crf,
}

plain_values!(TagHead, LabelledTokens, Scheme);

/// The key of the QA head if the name or the task says so, else that of the NER head.
fn head_key(value: &Value, lookup: Lookup<'_>) -> &'static str {
    let task = lookup("task.kind");
    let asks = task.as_ref().and_then(Value::as_str) == Some("qa");
    match value.as_str() {
        Some("joint") => "task.qa.head",
        Some("linear") if asks => "task.qa.head",
        _ => "task.ner.head",
    }
}

/// The settings of tagged words.
pub(crate) const SETTINGS: TaskSettings = TaskSettings {
    name: "ner",
    about: "tagged words",
    table: Some("ner"),
    own: &[
        "data.word_column",
        "data.tag_column",
        "data.sentence_column",
        "data.level",
        "data.type_name",
    ],
    unused: &[
        "data.text",
        "data.text_pair",
        "data.label",
        "data.label_separator",
        "data.group_by",
        "data.entities",
        "task.averaged",
        "task.documents",
        "data.quote",
        "data.escape",
        "data.header",
        "data.missing",
        "task.positive",
        "task.threshold",
        "task.calibrate",
        "task.class_weights",
    ],
    max_length: None,
};
