//! Prediction with a trained tagger of words.

use std::path::Path;

use bertkit_data::tagging::TagSet;
use bertkit_data::tagging::alignment::{LabelledTokens, tag_windows};
use bertkit_data::tagging::{TaggedSentence, TextSpan};
use bertkit_model::heads::{Crf, TokenHead};
use bertkit_model::{DeviceSpec, ModelError};
use serde::Serialize;

use super::info::{TagColumns, TagInfo};
use super::task::{decode, word_logits};
use crate::config::TagHead;
use crate::error::TrainError;
use crate::run::trained::{OpenedFolder, TrainedModel};
use crate::tasks::kind::TaskKind;

/// A tagger of words with its tokenizer.
pub type Tagger = TrainedModel<TokenHead, TagInfo>;

/// The tags of sentences.
#[derive(Debug, Clone, PartialEq)]
pub struct TaggedWords {
    /// The tag of each word of each sentence, as indices into [`TagInfo::tags`].
    pub tags: Vec<Vec<usize>>,
    /// The probability of each tag; `None` for words without a token.
    pub scores: Vec<Vec<Option<f64>>>,
    /// Number of sentences longer than a window.
    pub cut_sentences: usize,
}

/// An entity in a text.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FoundEntity {
    /// Its position, type and text.
    #[serde(flatten)]
    pub span: TextSpan,
    /// The mean probability of its tags.
    pub score: Option<f64>,
}

impl Tagger {
    /// Opens a run directory that a fine-tuning run with `task.kind = "ner"` has finished, or a model folder in Hugging Face's
    /// layout with a token-classification class and tag names in `id2label`.
    ///
    /// # Errors
    /// There is no such model, or it cannot be read.
    pub fn open(path: &Path, device: DeviceSpec) -> Result<Self, TrainError> {
        let mut opened = OpenedFolder::open(path, device)?;
        let info: TagInfo = match opened.description()? {
            Some(info) => info,
            None => {
                let rows = opened.files.checkpoint.classifier_outputs();
                let (labels, note) = opened.files.config.resolve_labels(rows);
                opened.notes.extend(note);
                opened.notes.push(format!(
                    "`{}` was not trained by bertkit: its tags are those of its config.json",
                    opened.folder.display()
                ));
                // Windows longer than 512 tokens are slow, and few sentences need them.
                let max_length = opened.files.config.max_length().min(512);
                let tags = TagSet::from_names(labels)?;
                TagInfo {
                    task: TaskKind::Ner,
                    scheme: tags.scheme(),
                    head: TagHead::Linear,
                    label: LabelledTokens::First,
                    overlap: max_length / 4,
                    max_length,
                    columns: TagColumns::default(),
                    tags,
                }
            }
        };
        let outputs = info.tags.len();
        opened.check_outputs(outputs, &format!("there are {outputs} tags"))?;
        let tokenizer = opened.tokenizer()?;
        let mut model = opened.model::<TokenHead>(outputs)?;
        if info.head == TagHead::Crf {
            model.head.crf = Crf::read(&opened.files.checkpoint, outputs, &opened.device())
                .map_err(ModelError::from)?;
            if model.head.crf.is_none() {
                return Err(
                    opened.lacks_weights("tags are chosen by a CRF, but the weights have none")
                );
            }
        }
        Ok(opened.trained(model, tokenizer, info))
    }

    /// Tags the words of sentences. Long sentences are split into windows, and each word is tagged in the window where it
    /// has the most context. `progress` receives windows done and windows in total.
    ///
    /// # Errors
    /// A text cannot be tokenised, or a score is not finite.
    pub fn tag(
        &self,
        sentences: &[TaggedSentence],
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<TaggedWords, TrainError> {
        // Processed in portions, to bound the memory whatever the size of the file.
        const PORTION: usize = 8192;
        let mut all = TaggedWords {
            tags: Vec::with_capacity(sentences.len()),
            scores: Vec::with_capacity(sentences.len()),
            cut_sentences: 0,
        };
        let mut before = 0;
        for portion in sentences.chunks(PORTION) {
            let windows = tag_windows(portion, None, &self.tokenizer, &self.info.windows())?;
            let count = windows.windows.len();
            let rest = sentences.len() - all.tags.len() - portion.len();
            let mut tell = |done| progress(before + done, before + count + rest);
            let context = self.inference.context;
            let logits = word_logits(&self.model, &windows.windows, context, &mut tell);
            before += count;
            if let Some(at) = logits
                .iter()
                .position(|row| row.iter().any(|x| !x.is_finite()))
            {
                let line = portion[windows.windows[at].sentence].line;
                return Err(TrainError::Setting {
                    message: format!("the model's answer to the sentence on line {line} is no number"),
                    hint: "its weights are damaged, or its training ran away: take other weights, or train again with a lower learning rate".into(),
                });
            }
            let decoded = decode(&self.model, &self.info.tags, &windows.windows, &logits);
            all.tags
                .extend(windows.merge(&self.info.tags, &decoded.tags));
            all.scores.extend(windows.by_word(&decoded.probabilities));
            all.cut_sentences += windows.cut_sentences;
        }
        Ok(all)
    }

    /// The entities in a text, whose words are found as in [`TaggedSentence::from_text`].
    ///
    /// # Errors
    /// As for [`Self::tag`].
    pub fn entities(&self, texts: &[String]) -> Result<Vec<Vec<FoundEntity>>, TrainError> {
        let sentences: Vec<_> = texts
            .iter()
            .map(|text| TaggedSentence::from_text(text.as_str()))
            .collect();
        let found = self.tag(&sentences, &mut |_, _| {})?;
        let words = found.tags.iter().zip(&found.scores);
        let entities = sentences
            .iter()
            .zip(words)
            .map(|(sentence, (tags, scores))| {
                let entities = self.info.tags.entities(tags);
                let spans = sentence.spans(&entities).into_iter().zip(&entities);
                let entity = |(span, entity): (TextSpan, &bertkit_data::tagging::Entity)| {
                    let known: Vec<f64> = scores[entity.start..entity.end]
                        .iter()
                        .copied()
                        .flatten()
                        .collect();
                    FoundEntity {
                        span,
                        score: (!known.is_empty())
                            .then(|| known.iter().sum::<f64>() / known.len() as f64),
                    }
                };
                spans.map(entity).collect()
            });
        Ok(entities.collect())
    }
}
