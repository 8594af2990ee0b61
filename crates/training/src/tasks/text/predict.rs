//! Prediction with a text model: the interface for commands, services and bindings.

use std::path::Path;

use bertkit_data::documents::Chunks;
use bertkit_data::labels::{LabelKind, positive_class};
use bertkit_model::heads::{SectionAttention, SequenceHead};
use bertkit_model::weights::to_vec;
use bertkit_model::{DeviceSpec, Initializer, ModelError, ModelFolder, ProblemType};

use super::documents::document_logits;
use super::info::{Answer, TaskInfo, decide};
use crate::config::Pool;
use crate::error::TrainError;
use crate::run::model::model_folder;
use crate::run::trained::{OpenedFolder, TrainedModel};
use crate::tasks::batches::{inference_batches, pack};

/// A classifier or regressor with its tokenizer.
pub type Predictor = TrainedModel<SequenceHead, TaskInfo>;

/// Model outputs for some texts, one row each.
#[derive(Debug, Clone, PartialEq)]
pub struct Outputs {
    /// Probabilities of the classes, or the number, row by row.
    pub values: Vec<f64>,
    /// Values per row.
    pub width: usize,
    /// Whether each text was longer than the model's input.
    pub truncated: Vec<bool>,
}

impl Predictor {
    /// Opens a run directory that `finetune` has finished, or a model folder in Hugging Face's layout
    /// with a sequence-classification class.
    ///
    /// # Errors
    /// There is no model, or it cannot be read.
    pub fn open(path: &Path, device: DeviceSpec) -> Result<Self, TrainError> {
        if !model_folder(path).join("config.json").is_file() {
            return Err(match path.is_dir() {
                true => TrainError::NoModel { path: path.into() },
                false => missing(path),
            });
        }
        let mut opened = OpenedFolder::open(path, device)?;
        let rows = opened.files.checkpoint.classifier_outputs();
        check_head(path, &opened.files, rows)?;
        let info: TaskInfo = match opened.description()? {
            Some(info) => info,
            None => {
                let (labels, note) = opened.files.config.resolve_labels(rows);
                opened.notes.extend(note);
                opened.notes.push(format!(
                    "`{}` was not trained by bertkit: task and threshold follow its config.json",
                    opened.folder.display()
                ));
                describe(&opened.files, labels)
            }
        };
        if let Some(temperature) = info.temperature.filter(|t| !(t.is_finite() && *t > 0.0)) {
            return Err(TrainError::Setting {
                message: format!(
                    "the temperature in `{}` is {temperature}, expected a number above 0",
                    opened.description_path().display()
                ),
                hint: "correct it, or leave it out for probabilities as the model gives them"
                    .into(),
            });
        }
        let outputs = info.outputs();
        opened.check_outputs(outputs, &format!("{outputs} classes are named"))?;
        let tokenizer = opened.tokenizer()?;
        let mut model = opened.model::<SequenceHead>(outputs)?;
        let pool = info.documents.as_ref().map(|documents| documents.pool);
        if pool == Some(Pool::Attention) {
            let mut init = Initializer::placeholders(&opened.device());
            let h = opened.files.config.hidden_size;
            model.head.sections = SectionAttention::read(&opened.files.checkpoint, h, &mut init)
                .map_err(ModelError::from)?;
            if model.head.sections.is_none() {
                return Err(opened
                    .lacks_weights("sections are weighed, but the weights have nothing for it"));
            }
        }
        Ok(opened.trained(model, tokenizer, info))
    }

    /// Runs the model over texts, or pairs of texts. `progress` receives the number of rows done.
    ///
    /// # Errors
    /// A text cannot be tokenised.
    pub fn outputs(
        &self,
        texts: &[(&str, Option<&str>)],
        progress: &mut dyn FnMut(usize),
    ) -> Result<Outputs, TrainError> {
        if self.info.documents.is_some() {
            let documents: Vec<Vec<&str>> = texts.iter().map(|(text, _)| vec![*text]).collect();
            return self.document_outputs(&documents, progress);
        }
        // Tokenised in portions, to bound the memory whatever the size of the file.
        const PORTION: usize = 8192;
        let width = self.info.outputs();
        let mut values = vec![0.0; texts.len() * width];
        let mut truncated = Vec::with_capacity(texts.len());
        let mut done = 0;
        for (portion, texts) in texts.chunks(PORTION).enumerate() {
            let first = portion * PORTION;
            let encodings = self.tokenizer.encode_batch(texts, self.info.max_length)?;
            let lengths: Vec<usize> = encodings.iter().map(|e| e.len()).collect();
            for batch in inference_batches(&lengths) {
                let packed = pack(&encodings, &batch);
                let logits = to_vec(self.model.forward(&packed, self.inference.context));
                let answers = self.info.answers(&logits);
                for (&row, answer) in batch.iter().zip(answers.chunks(width)) {
                    let at = (first + row) * width;
                    values[at..at + width].copy_from_slice(answer);
                }
                done += batch.len();
                progress(done);
            }
            truncated.extend(encodings.iter().map(|encoding| encoding.truncated));
        }
        self.checked(values, truncated)
    }

    /// Runs the model over documents of several texts each. `progress` receives the number done.
    ///
    /// # Errors
    /// A text cannot be tokenised, or the model does not read documents.
    pub fn document_outputs<T: AsRef<str> + Sync>(
        &self,
        documents: &[Vec<T>],
        progress: &mut dyn FnMut(usize),
    ) -> Result<Outputs, TrainError> {
        // Processed in portions, to bound the memory whatever the size of the file.
        const PORTION: usize = 256;
        let Some(settings) = &self.info.documents else {
            return Err(TrainError::Setting {
                message: "the model reads single texts, and no documents of several".into(),
                hint: "train it with [data.group_by] or [task.documents.pool]".into(),
            });
        };
        let mut values = Vec::with_capacity(documents.len() * self.info.outputs());
        for (portion, documents) in documents.chunks(PORTION).enumerate() {
            let before = portion * PORTION;
            let chunks = Chunks::new(
                documents,
                |at| (before + at + 1).to_string(),
                &self.tokenizer,
                settings.sections,
                self.info.max_length,
            )?;
            let ranges: Vec<_> = (0..chunks.len())
                .map(|document| chunks.of(document))
                .collect();
            let sections = chunks.encodings.len();
            let mut tell = |done: usize| progress(before + done * documents.len() / sections);
            let pool = settings.pool;
            let context = self.inference.context;
            let sections = &chunks.encodings;
            let logits = document_logits(&self.model, sections, &ranges, pool, context, &mut tell);
            values.extend(self.info.answers(&logits));
        }
        self.checked(values, vec![false; documents.len()])
    }

    fn checked(&self, values: Vec<f64>, truncated: Vec<bool>) -> Result<Outputs, TrainError> {
        let width = self.info.outputs();
        if let Some(row) = values
            .chunks(width)
            .position(|row| row.iter().any(|x| !x.is_finite()))
        {
            return Err(TrainError::Setting {
                message: format!("the model's answer to text {} is no number", row + 1),
                hint: "its weights are damaged, or its training ran away: take other weights, or train again with a lower learning rate".into(),
            });
        }
        Ok(Outputs {
            values,
            width,
            truncated,
        })
    }

    /// Predicts documents of several texts each, in order. `progress` receives the number done.
    ///
    /// # Errors
    /// As for [`Self::document_outputs`].
    pub fn predict_documents(
        &self,
        documents: &[Vec<String>],
        progress: &mut dyn FnMut(usize),
    ) -> Result<Vec<Answer>, TrainError> {
        let outputs = self.document_outputs(documents, progress)?;
        let rows = outputs.values.chunks(outputs.width);
        Ok(rows.map(|row| decide(&self.info, row, false)).collect())
    }

    /// Predicts texts, or pairs of texts, in order. `progress` receives the number of rows done.
    ///
    /// # Errors
    /// A text cannot be tokenised.
    pub fn predict(
        &self,
        texts: &[(String, Option<String>)],
        progress: &mut dyn FnMut(usize),
    ) -> Result<Vec<Answer>, TrainError> {
        let texts: Vec<(&str, Option<&str>)> = texts
            .iter()
            .map(|(a, b)| (a.as_str(), b.as_deref()))
            .collect();
        let outputs = self.outputs(&texts, progress)?;
        let rows = outputs.values.chunks(outputs.width).zip(outputs.truncated);
        Ok(rows
            .map(|(row, truncated)| decide(&self.info, row, truncated))
            .collect())
    }
}

/// The error for a path without a model folder.
fn missing(path: &Path) -> TrainError {
    let what = match path.exists() {
        true => "is a file, expected the directory of a run or of a model",
        false => "does not exist",
    };
    TrainError::Setting {
        message: format!("`{}` {what}", path.display()),
        hint: "give a run directory that `bertkit finetune` has finished, or a model folder with config.json"
            .into(),
    }
}

/// Refuses a folder whose head does not classify texts; `rows` is the number of outputs of its head.
fn check_head(path: &Path, opened: &ModelFolder, rows: Option<usize>) -> Result<(), TrainError> {
    let name = opened
        .config
        .architectures
        .first()
        .map_or("", String::as_str);
    let what = if name.ends_with("ForTokenClassification") {
        format!("labels single tokens (it is a `{name}`), not whole texts")
    } else if rows.is_none() || name.ends_with("ForMultipleChoice") {
        let kind = if name.is_empty() {
            String::new()
        } else {
            format!(" (it is a `{name}`)")
        };
        format!("has no head that classifies texts{kind}")
    } else {
        return Ok(());
    };
    Err(TrainError::Setting {
        message: format!("the model in `{}` {what}", path.display()),
        hint: format!(
            "give it such a head first: bertkit finetune [model.path] {} [data.train=FILE] [output=DIR]",
            path.display()
        ),
    })
}

/// The task of a folder that was not trained by bertkit.
fn describe(opened: &ModelFolder, classes: Vec<String>) -> TaskInfo {
    let config = &opened.config;
    let kind = match config.problem_type {
        Some(ProblemType::Regression) => LabelKind::Regression,
        Some(ProblemType::MultiLabelClassification) => LabelKind::MultiLabel,
        Some(ProblemType::SingleLabelClassification) => LabelKind::Classification,
        // As transformers interprets a single output without a problem type.
        None if classes.len() == 1 => LabelKind::Regression,
        None => LabelKind::Classification,
    };
    let classes = if kind == LabelKind::Regression {
        Vec::new()
    } else {
        classes
    };
    let binary = kind == LabelKind::Classification && classes.len() == 2;
    let thresholds = match kind {
        LabelKind::MultiLabel => vec![0.5; classes.len()],
        LabelKind::Classification | LabelKind::Regression if binary => vec![0.5],
        LabelKind::Classification | LabelKind::Regression => Vec::new(),
    };
    TaskInfo {
        kind,
        positive: binary.then(|| positive_class(&classes).unwrap_or(1)),
        classes,
        thresholds,
        threshold_origin: "0.5, as the folder names none".into(),
        temperature: None,
        max_length: config.max_length().min(512),
        text: "text".into(),
        text_pair: None,
        label: "label".into(),
        label_separator: None,
        header: true,
        documents: None,
        entities: None,
        relations: false,
        averaged: Vec::new(),
    }
}
