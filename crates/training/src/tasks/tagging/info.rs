//! How a tagger's words are tagged, and how its files are read.

use bertkit_data::DataError;
use bertkit_data::columns::Column;
use bertkit_data::sources::parse_delimiter;
use bertkit_data::sources::tagged::{TagLevel, TagPolicy, TaggedOptions};
use bertkit_data::tagging::TaggedSentence;
use bertkit_data::tagging::alignment::{LabelledTokens, TagWindowOptions};
use bertkit_data::tagging::{DEFAULT_TYPE, Scheme, TagSet};
use bertkit_evaluation::EntityPredictions;
use serde::{Deserialize, Serialize};

use crate::config::{DataConfig, TagHead};
use crate::tasks::kind::TaskKind;
use bertkit_data::sources::Format;

/// How a tagger's words are tagged, and how its files were read; `bertkit.json` in the model's folder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TagInfo {
    /// [`TaskKind::Ner`].
    pub task: TaskKind,
    /// The tags, in the order of the outputs.
    pub tags: TagSet,
    /// Their scheme.
    pub scheme: Scheme,
    /// How the tags of a sentence are chosen.
    pub head: TagHead,
    /// Which tokens of a word carried its tag in training.
    pub label: LabelledTokens,
    /// The minimum number of tokens that neighbouring windows of a long sentence share.
    pub overlap: usize,
    /// Longest window in tokens.
    pub max_length: usize,
    /// How the training file was read.
    pub columns: TagColumns,
}

/// The columns of words and tags in a file; unset values are inferred.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TagColumns {
    /// The format.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<Format>,
    /// The character between the fields of CSV, or its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delimiter: Option<String>,
    /// The column of the words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub word: Option<String>,
    /// The column of the tags.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// The column of the ids of sentences, in CSV.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sentence: Option<String>,
    /// Whether outer or inner entities are read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub level: Option<TagLevel>,
    /// The type of entities whose tags are bare letters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub type_name: Option<String>,
}

impl From<&DataConfig> for TagColumns {
    fn from(data: &DataConfig) -> Self {
        Self {
            format: data.format,
            delimiter: data.delimiter.clone(),
            word: data.word_column.clone(),
            tag: data.tag_column.clone(),
            sentence: data.sentence_column.clone(),
            level: data.level,
            type_name: data.type_name.clone(),
        }
    }
}

impl TagColumns {
    /// These settings, with missing ones taken from `others`; columns of another format are not used.
    #[must_use]
    pub fn or(self, others: &Self) -> Self {
        if self.format.is_some() && self.format != others.format {
            return Self {
                type_name: self.type_name.or_else(|| others.type_name.clone()),
                ..self
            };
        }
        Self {
            format: self.format.or(others.format),
            delimiter: self.delimiter.or_else(|| others.delimiter.clone()),
            word: self.word.or_else(|| others.word.clone()),
            tag: self.tag.or_else(|| others.tag.clone()),
            sentence: self.sentence.or_else(|| others.sentence.clone()),
            level: self.level.or(others.level),
            type_name: self.type_name.or_else(|| others.type_name.clone()),
        }
    }

    /// The options for reading a file.
    ///
    /// # Errors
    /// The delimiter is invalid.
    pub fn options(&self, tags: TagPolicy) -> Result<TaggedOptions, DataError> {
        let column = |name: &Option<String>| name.as_deref().map(Column::from);
        let delimiter = self.delimiter.as_deref().map(parse_delimiter).transpose()?;
        Ok(TaggedOptions {
            format: self.format,
            word: column(&self.word),
            tag: column(&self.tag),
            sentence: column(&self.sentence),
            delimiter,
            tags,
            level: self.level.unwrap_or_default(),
            entity_type: self
                .type_name
                .clone()
                .unwrap_or_else(|| DEFAULT_TYPE.into()),
            ..TaggedOptions::default()
        })
    }
}

impl TagInfo {
    /// The full name of a tag, including its type even if the model's tags are bare letters.
    fn full_name(&self, tag: usize) -> String {
        let name = &self.tags.names()[tag];
        match (name.len(), self.tags.types()) {
            (1, [kind]) if tag != self.tags.outside() => format!("{name}-{kind}"),
            _ => name.clone(),
        }
    }

    /// The tags of sentences in the form that metrics read: truth in BIO, predictions in BIO as the model gave them, valid
    /// or not; predictions in other schemes are converted through the entities that they mark.
    ///
    /// # Panics
    /// If the numbers of tags and words differ.
    pub fn predictions(
        &self,
        sentences: &[TaggedSentence],
        tags: &[Vec<usize>],
    ) -> EntityPredictions {
        let predicted = |(sentence, tags): (&TaggedSentence, &Vec<usize>)| match self.scheme {
            Scheme::Bio => tags.iter().map(|&tag| self.full_name(tag)).collect(),
            _ => Scheme::Bio.tags(&self.tags.entities(tags), sentence.len()),
        };
        let gold = |sentence: &TaggedSentence| {
            let outside = || vec!["O".to_owned(); sentence.len()];
            sentence.tags(Scheme::Bio).unwrap_or_else(outside)
        };
        EntityPredictions {
            gold: sentences.iter().map(gold).collect(),
            predicted: sentences.iter().zip(tags).map(predicted).collect(),
        }
    }

    /// How sentences are split into windows.
    pub(crate) fn windows(&self) -> TagWindowOptions {
        TagWindowOptions {
            max_length: self.max_length,
            overlap: self.overlap,
            labelled: self.label,
        }
    }
}
