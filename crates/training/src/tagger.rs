//! A trained tagger of words, ready to answer.

use std::path::{Path, PathBuf};

use bertkit_data::tagging::TagSet;
use bertkit_data::tagging::alignment::{LabelledTokens, tag_windows};
use bertkit_data::tagging::{TaggedSentence, TextSpan};
use bertkit_data::tokenizer::TextTokenizer;
use bertkit_model::heads::Crf;
use bertkit_model::{DeviceSpec, HeadPolicy, ModelError, ModelFolder, Precision, TokenModel};
use serde::{Deserialize, Serialize};

use crate::config::TagHead;
use crate::error::TrainError;
use crate::prepare::{model_folder, open_tokenizer};
use crate::run::devices::Inference;
use crate::tasks::{TagColumns, TagInfo, TagTaskName, TaskInfo, decode, word_logits};

/// What a folder's model answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answers {
    /// Something about a whole text, or a pair of texts: for a [`Predictor`](crate::Predictor).
    Texts,
    /// A tag for each word: for a [`Tagger`].
    Tags,
    /// Where in a text a question is answered: for an [`Answerer`](crate::Answerer).
    Questions,
}

impl Answers {
    /// What the model of a run directory or of a model folder answers, as its description says, or, without one, its
    /// class; texts where neither says anything, so that a [`Predictor`](crate::Predictor) may say what is wrong.
    pub fn of(path: &Path) -> Self {
        #[derive(Deserialize)]
        struct Described {
            task: Option<String>,
        }
        #[derive(Deserialize)]
        struct Class {
            #[serde(default)]
            architectures: Vec<String>,
        }
        let folder = model_folder(path);
        let read = |name: &str| std::fs::read_to_string(folder.join(name)).ok();
        if let Some(text) = read(TaskInfo::FILE) {
            let described: Option<Described> = serde_json::from_str(&text).ok();
            let task = described.and_then(|described| described.task);
            return match task.as_deref() {
                Some("ner") => Self::Tags,
                Some("qa") => Self::Questions,
                _ => Self::Texts,
            };
        }
        let class: Option<Class> = read("config.json").and_then(|t| serde_json::from_str(&t).ok());
        let name = class.and_then(|class| class.architectures.into_iter().next());
        match name {
            Some(name) if name.ends_with("ForTokenClassification") => Self::Tags,
            Some(name) if name.ends_with("ForQuestionAnswering") => Self::Questions,
            _ => Self::Texts,
        }
    }
}

/// A tagger of words with its tokenizer.
#[derive(Debug)]
pub struct Tagger {
    model: TokenModel,
    tokenizer: TextTokenizer,
    info: TagInfo,
    notes: Vec<String>,
    run: Option<PathBuf>,
    inference: Inference,
}

/// The tags of sentences.
#[derive(Debug, Clone, PartialEq)]
pub struct TaggedWords {
    /// The tag of each word of each sentence, as indices into [`TagInfo::tags`].
    pub tags: Vec<Vec<usize>>,
    /// How likely each of them was, from 0 to 1; `None` for words without a token of their own to say so.
    pub scores: Vec<Vec<Option<f64>>>,
    /// How many sentences were longer than a window.
    pub cut_sentences: usize,
}

/// An entity in a text.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FoundEntity {
    /// Where it is, what it is, and its text.
    #[serde(flatten)]
    pub span: TextSpan,
    /// How likely its tags were, on average, from 0 to 1.
    pub score: Option<f64>,
}

impl Tagger {
    /// Opens a run directory that a fine-tuning run with `task.kind = "ner"` has finished, or a model folder in Hugging Face's layout whose
    /// class labels tokens and whose `id2label` has the names of tags.
    ///
    /// # Errors
    /// There is no such model, or it cannot be read.
    pub fn open(path: &Path, device: DeviceSpec) -> Result<Self, TrainError> {
        let folder = model_folder(path);
        let opened = ModelFolder::open(&folder)?;
        let inference = Inference::on(device)?;
        let device = inference.device.device.clone();
        let rows = opened.checkpoint.classifier_outputs();
        let mut notes = Vec::new();
        let described = folder.join(TaskInfo::FILE);
        let info: TagInfo = if described.is_file() {
            let text = std::fs::read_to_string(&described).map_err(|source| TrainError::Read {
                path: described.clone(),
                source,
            })?;
            serde_json::from_str(&text).map_err(|e| TrainError::Setting {
                message: format!("`{}` cannot be read: {e}", described.display()),
                hint: "train again, or remove that file to use the model as transformers would"
                    .into(),
            })?
        } else {
            let (labels, note) = opened.config.resolve_labels(rows);
            notes.extend(note);
            notes.push(format!(
                "`{}` was not trained by bertkit: its tags are those of its config.json",
                folder.display()
            ));
            // Longer windows than 512 tokens are slow, and hardly a sentence needs them.
            let max_length = opened.config.max_length().min(512);
            let tags = TagSet::from_names(labels)?;
            TagInfo {
                task: TagTaskName::Ner,
                scheme: tags.scheme(),
                head: TagHead::Linear,
                label: LabelledTokens::First,
                overlap: max_length / 4,
                max_length,
                columns: TagColumns::default(),
                tags,
            }
        };
        let outputs = info.tags.len();
        if let Some(found) = rows.filter(|&found| found != outputs) {
            return Err(TrainError::Setting {
                message: format!(
                    "the head in `{}` has {found} outputs, but there are {outputs} tags",
                    folder.display()
                ),
                hint: format!(
                    "`{}` and the weights do not belong together",
                    TaskInfo::FILE
                ),
            });
        }
        let tokenizer = open_tokenizer(&folder, &opened.config)?;
        notes.extend(tokenizer.warnings().iter().cloned());
        let (mut model, _) = TokenModel::load(&opened, outputs, &device, HeadPolicy::Required)
            .map_err(ModelError::from)?;
        if info.head == TagHead::Crf {
            model.head.crf =
                Crf::read(&opened.checkpoint, outputs, &device).map_err(ModelError::from)?;
            if model.head.crf.is_none() {
                return Err(TrainError::Setting {
                    message: format!(
                        "`{}` says that tags are chosen by a CRF, but the weights have none",
                        described.display()
                    ),
                    hint: format!("take weights and `{}` from the same folder", TaskInfo::FILE),
                });
            }
        }
        let run = folder != path;
        Ok(Self {
            model,
            tokenizer,
            info,
            notes,
            run: run.then(|| path.into()),
            inference,
        })
    }

    /// Multiplies matrices in that precision from now on; in f32 if it is not said.
    ///
    /// # Errors
    /// The device does not have it.
    pub fn in_precision(mut self, precision: Precision) -> Result<Self, TrainError> {
        self.inference.set(precision)?;
        Ok(self)
    }

    /// What the tags are.
    pub fn info(&self) -> &TagInfo {
        &self.info
    }

    /// What the user should know about the folder.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The run directory, if one was opened.
    pub fn run_directory(&self) -> Option<&Path> {
        self.run.as_deref()
    }

    /// Tags the words of sentences. Long sentences are read in windows, and each word has the tag of the window where it
    /// has most context. `progress` hears how many windows are done, and how many there are.
    ///
    /// # Errors
    /// A text cannot be tokenised, or the model's numbers are none.
    pub fn tag(
        &self,
        sentences: &[TaggedSentence],
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<TaggedWords, TrainError> {
        // In portions, so that memory follows the portion and not the file.
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

    /// The entities in a text: words are found as [`TaggedSentence::from_text`] finds them.
    ///
    /// # Errors
    /// As [`Self::tag`].
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
