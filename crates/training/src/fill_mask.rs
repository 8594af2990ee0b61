//! Masked tokens: predictions of a masked language model, and its accuracy.

use std::path::Path;

use bertkit_data::tokenizer::{Encoding, TextTokenizer, TokenizerSpec};
use bertkit_model::weights::to_vec;
use bertkit_model::{DeviceSpec, HeadPolicy, MlmModel, ModelError, ModelFolder, Precision};
use rayon::prelude::*;
use serde::Serialize;

use crate::error::{TrainError, setting};
use crate::pretrain::objectives::masked_score;
use crate::run::devices::Inference;
use crate::run::model::{check_tokenizer, model_folder, tokenizer_family};
use crate::tasks::batches::{inference_batches, pack};

/// An encoder with a masked-LM head, and its tokenizer.
#[derive(Debug)]
pub struct MaskFiller {
    model: MlmModel,
    tokenizer: TextTokenizer,
    max_length: usize,
    mask: u32,
    inference: Inference,
}

/// A candidate for a mask.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Candidate {
    /// Its spelling in the vocabulary.
    pub token: String,
    /// Its id.
    pub id: u32,
    /// Softmax of the logits.
    pub probability: f64,
}

/// Which tokens are masked to measure accuracy: one at a time, at fixed positions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MaskEvery {
    /// The first position, counted from 0 at the token that starts an input.
    pub first: usize,
    /// The step between positions.
    pub every: usize,
}

/// Masked-token accuracy.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct MaskedScore {
    /// Number of masked tokens.
    pub masked: usize,
    /// Number of these that the model ranks first.
    pub right: usize,
    /// `right / masked`; `None` if nothing was masked.
    pub accuracy: Option<f64>,
    /// 95 % interval of the accuracy, from the variation between texts: the ratio estimator of cluster
    /// samples (Cochran 1977, *Sampling Techniques*, section 2.11), clipped to `[0, 1]`. `None` for fewer than two
    /// texts.
    pub interval: Option<(f64, f64)>,
    /// Mean of −log p of the masked tokens, in nats.
    pub loss: Option<f64>,
    /// Number of texts longer than the model's input.
    pub truncated: usize,
}

impl MaskFiller {
    /// Opens a run directory of `pretrain`, or a model folder with a masked-LM head. `tokenizer`
    /// replaces that of the folder.
    ///
    /// # Errors
    /// There is no model, it has no masked-LM head, or its tokenizer cannot be read or has no mask token.
    pub fn open(
        path: &Path,
        tokenizer: Option<&TokenizerSpec>,
        device: DeviceSpec,
    ) -> Result<Self, TrainError> {
        let folder = model_folder(path);
        let opened = ModelFolder::open(&folder)?;
        let class = opened.config.architectures.first();
        if let Some(class) = class.filter(|class| !has_masked_head(class)) {
            return Err(setting(
                format!(
                    "the model in `{}` has no head for masked tokens (it is a `{class}`)",
                    path.display()
                ),
                "give a run of `bertkit pretrain [option.objective=mlm]`, or a `...ForMaskedLM` folder; of replaced-token detection it is the folder generator/ of the run",
            ));
        }
        let family = tokenizer_family(opened.config.family);
        let tokenizer = match tokenizer {
            Some(spec) => spec.load(Some(&folder), family)?,
            None => TextTokenizer::from_dir(&folder, family)?,
        };
        check_tokenizer(&tokenizer, &folder, &opened.config)?;
        let mask = tokenizer.mask_id().ok_or_else(|| {
            setting(
                format!("the tokenizer of `{}` has no mask token", path.display()),
                "only a model that was pretrained on masked tokens can fill them in",
            )
        })?;
        let inference = Inference::on(device)?;
        let device = inference.device.device.clone();
        let (model, _) =
            MlmModel::load(&opened, 0, &device, HeadPolicy::Required).map_err(ModelError::from)?;
        Ok(Self {
            model,
            tokenizer,
            max_length: opened.config.max_length(),
            mask,
            inference,
        })
    }

    /// Sets the matmul precision; f32 is the default.
    ///
    /// # Errors
    /// The device does not support it.
    pub fn in_precision(mut self, precision: Precision) -> Result<Self, TrainError> {
        self.inference.set(precision)?;
        Ok(self)
    }

    /// The mask token as spelled in the vocabulary.
    pub fn mask_token(&self) -> String {
        self.tokenizer.token(self.mask).unwrap_or_default()
    }

    /// Logits of the vocabulary at one row of each encoding.
    fn logits(&self, encodings: &[Encoding], places: &[usize]) -> Vec<Vec<f32>> {
        let lengths: Vec<usize> = encodings.iter().map(Encoding::len).collect();
        let mut logits = vec![Vec::new(); encodings.len()];
        for chosen in inference_batches(&lengths) {
            let batch = pack(encodings, &chosen);
            let mut start = 0;
            let mut rows = Vec::with_capacity(chosen.len());
            for &at in &chosen {
                rows.push(start + places[at]);
                start += lengths[at];
            }
            let (encoder, head) = (&self.model.encoder, &self.model.head);
            let context = self.inference.context;
            let hidden = encoder.forward_rows(&batch, &rows, context);
            let values = to_vec(head.forward(hidden, &encoder.embeddings.word, context));
            let width = values.len() / chosen.len();
            for (&at, row) in chosen.iter().zip(values.chunks(width)) {
                logits[at] = row.to_vec();
            }
        }
        logits
    }

    /// The most probable tokens for each mask of a text, in the order of the masks.
    ///
    /// # Errors
    /// The text has no mask within the model's input length.
    pub fn fill(&self, text: &str, top: usize) -> Result<Vec<Vec<Candidate>>, TrainError> {
        let encoding = self.tokenizer.encode(text, None, self.max_length)?;
        let places: Vec<usize> = (0..encoding.len())
            .filter(|&at| encoding.ids[at] == self.mask)
            .collect();
        if places.is_empty() {
            return Err(setting(
                format!("there is no {} in `{text}`", self.mask_token()),
                format!(
                    "write {} where the model is to say what stands there",
                    self.mask_token()
                ),
            ));
        }
        let copies = vec![encoding; places.len()];
        let logits = self.logits(&copies, &places);
        Ok(logits.iter().map(|row| self.candidates(row, top)).collect())
    }

    fn candidates(&self, logits: &[f32], top: usize) -> Vec<Candidate> {
        // The embedding may have more rows than the vocabulary has tokens.
        let mut order: Vec<usize> = (0..logits.len().min(self.tokenizer.vocab_size())).collect();
        // Ties are ordered by id.
        order.sort_by(|&a, &b| logits[b].total_cmp(&logits[a]).then(a.cmp(&b)));
        let best = order.first().map_or(0.0, |&id| f64::from(logits[id]));
        let sum: f64 = logits.iter().map(|&x| (f64::from(x) - best).exp()).sum();
        order
            .into_iter()
            .take(top)
            .map(|id| Candidate {
                token: self.tokenizer.token(id as u32).unwrap_or_default(),
                id: id as u32,
                probability: (f64::from(logits[id]) - best).exp() / sum,
            })
            .collect()
    }

    /// Masks tokens of texts one at a time, and counts how often the model ranks the original first. The
    /// special tokens at both ends are never masked. `progress` receives the number of texts done.
    ///
    /// # Errors
    /// A text cannot be tokenised, or `every` is 0.
    pub fn score(
        &self,
        texts: &[&str],
        places: MaskEvery,
        progress: &mut dyn FnMut(usize),
    ) -> Result<MaskedScore, TrainError> {
        if places.every == 0 {
            return Err(setting(
                "every 0th token cannot be masked",
                "give [option.every=1] to mask each token in turn",
            ));
        }
        // Per text: number of masked tokens, number of correct predictions.
        let mut counts = Vec::with_capacity(texts.len());
        let (mut loss, mut truncated) = (0.0, 0);
        for (done, text) in texts.iter().enumerate() {
            let encoding = self.tokenizer.encode(text, None, self.max_length)?;
            truncated += usize::from(encoding.truncated);
            let chosen: Vec<usize> = (places.first.max(1)..encoding.len().saturating_sub(1))
                .step_by(places.every)
                .collect();
            let copies: Vec<Encoding> = chosen
                .iter()
                .map(|&at| {
                    let mut copy = encoding.clone();
                    copy.ids[at] = self.mask;
                    copy
                })
                .collect();
            let scored: Vec<(f64, bool)> = self
                .logits(&copies, &chosen)
                .par_iter()
                .zip(&chosen)
                .map(|(row, &at)| masked_score(row, encoding.ids[at] as usize))
                .collect();
            loss += scored.iter().map(|(loss, _)| loss).sum::<f64>();
            counts.push((
                scored.len() as f64,
                scored.iter().filter(|(_, right)| *right).count() as f64,
            ));
            progress(done + 1);
        }
        let masked: f64 = counts.iter().map(|(masked, _)| masked).sum();
        let right: f64 = counts.iter().map(|(_, right)| right).sum();
        let mean = |sum: f64| (masked > 0.0).then(|| sum / masked);
        Ok(MaskedScore {
            masked: masked as usize,
            right: right as usize,
            accuracy: mean(right),
            interval: mean(right).and_then(|accuracy| interval(&counts, accuracy)),
            loss: mean(loss),
            truncated,
        })
    }
}

/// Whether that class of transformers has a masked-LM head.
fn has_masked_head(class: &str) -> bool {
    class.ends_with("ForMaskedLM")
        || class.ends_with("ForPreTraining") && class != "ElectraForPreTraining"
}

/// The interval from the masked and correct counts of each text; needs at least two texts.
fn interval(counts: &[(f64, f64)], accuracy: f64) -> Option<(f64, f64)> {
    /// The 97.5 % quantile of the normal distribution.
    const QUANTILE: f64 = 1.959_963_984_540_054;
    let texts: Vec<_> = counts.iter().filter(|(masked, _)| *masked > 0.0).collect();
    let n = texts.len() as f64;
    if n < 2.0 {
        return None;
    }
    let masked: f64 = texts.iter().map(|(masked, _)| masked).sum();
    let spread: f64 = texts
        .iter()
        .map(|(masked, right)| (right - accuracy * masked).powi(2))
        .sum();
    let error = (n / (n - 1.0) * spread).sqrt() / masked;
    let half = QUANTILE * error;
    Some(((accuracy - half).max(0.0), (accuracy + half).min(1.0)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn an_interval_needs_two_texts_and_knows_how_they_differ() {
        assert_eq!(interval(&[(10.0, 9.0)], 0.9), None);
        assert_eq!(interval(&[(10.0, 9.0), (0.0, 0.0)], 0.9), None);
        // For texts of equal length, the standard error of the mean of their accuracies.
        let (low, high) = interval(&[(10.0, 9.0), (10.0, 7.0), (10.0, 8.0)], 0.8).unwrap();
        let error = 0.1 / 3.0_f64.sqrt();
        assert!((0.8 - low - 1.959_963_984_540_054 * error).abs() < 1e-12);
        assert!((low + high - 1.6).abs() < 1e-12);
    }
}
