//! Prediction with a model that finds answers in texts.

use std::path::Path;

use bertkit_data::qa::Question;
use bertkit_data::qa::{Features, Prediction};
use bertkit_model::heads::{JointSpan, SpanHead};
use bertkit_model::{DeviceSpec, Initializer, ModelError};

use super::info::QuestionInfo;
use super::task::{decode, scores};
use crate::config::{QuestionConfig, QuestionHead};
use crate::error::{TrainError, setting};
use crate::run::trained::{OpenedFolder, TrainedModel};

/// Questions answered at a time, which bounds the memory.
const PORTION: usize = 128;

/// A question-answering model with its tokenizer.
pub type QuestionAnswerer = TrainedModel<SpanHead, QuestionInfo>;

impl QuestionAnswerer {
    /// Opens a run directory that a fine-tuning run with `task.kind = "qa"` has finished, or a model folder in Hugging Face's
    /// layout with a question-answering class.
    ///
    /// # Errors
    /// There is no such model, or it cannot be read.
    pub fn open(path: &Path, device: DeviceSpec) -> Result<Self, TrainError> {
        let mut opened = OpenedFolder::open(path, device)?;
        let checkpoint = &opened.files.checkpoint;
        if checkpoint.shape("qa_outputs.weight").is_none() {
            return Err(setting(
                format!(
                    "the model in `{}` has no head that finds answers",
                    path.display()
                ),
                format!(
                    "give it such a head first: bertkit finetune [task.kind=qa] [model.path] {} [data.train=FILE] [output=DIR]",
                    path.display()
                ),
            ));
        }
        let longest = opened.files.config.max_length();
        let info: QuestionInfo = match opened.description()? {
            Some(info) => info,
            None => {
                opened.notes.push(format!(
                    "`{}` was not trained by bertkit: windows are those of BERT's run_squad.py, and every question is answered",
                    opened.folder.display()
                ));
                QuestionInfo::new(
                    longest.min(QuestionConfig::MAX_LENGTH),
                    QuestionConfig::default(),
                    true,
                )
            }
        };
        if info.max_length > longest {
            return Err(setting(
                format!(
                    "`{}` speaks of inputs of {} tokens, but the model has positions for {longest}",
                    opened.description_path().display(),
                    info.max_length
                ),
                "the file and the weights do not belong together",
            ));
        }
        let tokenizer = opened.tokenizer()?;
        let mut model = opened.model::<SpanHead>(0)?;
        if info.settings.head == QuestionHead::Joint {
            let init = Initializer::placeholders(&opened.device());
            let h = opened.files.config.hidden_size;
            model.head.joint =
                JointSpan::read(&opened.files.checkpoint, h, &init).map_err(ModelError::from)?;
            if model.head.joint.is_none() {
                return Err(opened.lacks_weights(
                    "ends are scored after starts, but the weights have nothing for it",
                ));
            }
        }
        Ok(opened.trained(model, tokenizer, info))
    }

    /// Sets the threshold: a question is answered unless "no answer" scores more than this above the best answer.
    pub fn set_null_threshold(&mut self, threshold: f64) {
        self.info.settings.null_threshold = Some(threshold);
        self.info.null_threshold_origin = "as asked for".into();
    }

    /// The best answers to each question; [`Prediction::text`] at the threshold of [`Self::info`] gives the final one.
    /// `progress` receives the number of questions done.
    ///
    /// # Errors
    /// A question leaves no room for its text, or a score is not finite.
    pub fn answer(
        &self,
        questions: &[Question],
        progress: &mut dyn FnMut(usize),
    ) -> Result<Vec<Prediction>, TrainError> {
        let (windows, decoding) = (self.info.features(), self.info.decoding());
        let mut answers = Vec::with_capacity(questions.len());
        for portion in questions.chunks(PORTION) {
            let features = Features::new(portion, &self.tokenizer, &windows)?;
            let (before, all) = (answers.len(), features.windows().len());
            let beam = self.info.settings.n_best;
            // Progress in questions, estimated from the windows done.
            let mut tell = |done| progress(before + portion.len() * done / (all + 1));
            let context = self.inference.context;
            let found = scores(&self.model, &features, beam, context, &mut tell);
            let broken = found.iter().position(|scores| !scores.is_finite());
            if let Some(window) = broken {
                let id = &portion[features.windows()[window].question].id;
                return Err(setting(
                    format!("the model's scores for question `{id}` are no numbers"),
                    "its weights are damaged, or its training ran away: take other weights, or train again with a lower learning rate",
                ));
            }
            answers.extend(decode(portion, &features, &found, &decoding));
            progress(answers.len());
        }
        Ok(answers)
    }
}
