//! Replaced-token detection: a generator fills the masks, and a discriminator predicts for every token
//! whether it was replaced (Clark et al. 2020, §3).

use bertkit_data::pretraining::masking::Masking;
use bertkit_data::pretraining::sequences::Packing;
use bertkit_evaluation::{ClassPredictions, Metric, Predictions, score};
use bertkit_model::losses::binary_cross_entropy;
use bertkit_model::weights::to_vec;
use bertkit_model::{Architecture, Batch, Context, Electra, Family, FamilyDescriptor};
use burn::module::Module;
use burn::tensor::{Tensor, TensorData};

use super::sampling::Sampling;
use crate::pretrain::batch::MaskedBatch;
use crate::pretrain::descriptor::{Descriptor, FamilyMismatch, LossSettings, Pairs};
use crate::pretrain::loss::{Forward, Loss, Mean, Report, Scores};

/// Which tokens were replaced by the generator.
pub(super) struct ReplacedTokens;

impl Descriptor for ReplacedTokens {
    fn key(&self) -> &'static str {
        "rtd"
    }

    fn weight_doc(&self) -> &'static str {
        "Weight of replaced-token detection (Clark et al. 2020, §3.1)."
    }

    fn short(&self) -> &'static str {
        "rtd"
    }

    fn published_weight(&self) -> f64 {
        50.0
    }

    fn includes_masked_lm(&self) -> bool {
        true
    }

    fn title(&self) -> &'static str {
        "replaced tokens"
    }

    fn help(&self) -> &'static str {
        "which tokens were replaced (rtd, ELECTRA)"
    }

    fn loss_name(&self) -> &'static str {
        "rtd_loss"
    }

    fn packing(&self) -> Option<Packing> {
        Some(Packing::Electra)
    }

    fn pairs(&self) -> Pairs {
        Pairs::Unsupported("replaced-token detection")
    }

    /// The shares of ELECTRA. Drawing positions with replacement is left to the recipes.
    fn masking(&self) -> Option<Masking> {
        Some(Masking {
            mask_share: 0.85,
            random_share: 0.0,
            ..Masking::bert()
        })
    }

    /// The encoders of BERT and ELECTRA are the same; configurations with sizes name BERT.
    fn fresh_family(&self, family: Family) -> Family {
        if family == Family::default() {
            Family::with_replaced_tokens()
        } else {
            family
        }
    }

    fn check_family(&self, family: &FamilyDescriptor) -> Result<(), FamilyMismatch> {
        if family.has_head(Architecture::Discriminator) {
            return Ok(());
        }
        Err(FamilyMismatch {
            message: format!(
                "replaced-token detection makes an electra, but the model is a {family}"
            ),
            hint: "start from an electra, or from fresh weights with `model.fresh.family = \"electra\"`"
                .into(),
        })
    }

    fn on_electra(&self, settings: &LossSettings) -> Option<Box<dyn Loss<Electra>>> {
        Some(Box::new(ReplacedTokenLoss {
            sampling: Sampling {
                temperature: settings.temperature,
                disallow_correct: settings.disallow_correct,
            },
        }))
    }
}

/// The mean binary cross-entropy of all tokens.
#[derive(Debug)]
struct ReplacedTokenLoss {
    sampling: Sampling,
}

/// The discriminator's input.
struct Corrupted {
    batch: Batch,
    /// 1 for each token that was replaced by another one.
    replaced: Vec<f32>,
}

/// Puts sampled tokens into the masked positions. A sampled token that equals the original is not a
/// replacement.
fn corrupt(masked: &MaskedBatch, sampled: &[u32]) -> Corrupted {
    let mut batch = masked.batch.clone();
    let mut replaced = vec![0.0; batch.tokens()];
    for ((&row, &original), &token) in masked.rows.iter().zip(&masked.targets).zip(sampled) {
        batch.input_ids[row] = token;
        replaced[row] = f32::from(u8::from(token != original));
    }
    Corrupted { batch, replaced }
}

/// The discriminator's loss, summed over all tokens, `[CLS]` and `[SEP]` included, and its logits.
fn discriminate(
    model: &Electra,
    corrupted: &Corrupted,
    context: Context<'_>,
) -> (Tensor<1>, Tensor<1>) {
    let hidden = model
        .discriminator
        .encoder
        .forward(&corrupted.batch, context);
    let logits = model.discriminator.head.forward(hidden, context);
    let n = corrupted.replaced.len();
    let targets = TensorData::new(corrupted.replaced.clone(), [n, 1]);
    let targets = Tensor::from_data(targets, &logits.device());
    let loss = binary_cross_entropy(logits.clone().unsqueeze_dim(1), targets);
    (loss.sum(), logits)
}

/// The discriminator's loss on given samples.
pub(super) fn sum_on_samples(
    model: &Electra,
    batch: &MaskedBatch,
    sampled: &[u32],
    context: Context<'_>,
) -> Tensor<1> {
    discriminate(model, &corrupt(batch, sampled), context).0
}

impl Loss<Electra> for ReplacedTokenLoss {
    fn items(&self, batch: &MaskedBatch) -> f64 {
        batch.batch.tokens() as f64
    }

    fn sum(&self, forward: &Forward<'_, Electra>) -> Tensor<1> {
        let batch = forward.batch;
        let sampled = match &forward.masked {
            // Sampling is not differentiated.
            Some(hidden) => self.sampling.draw(
                &forward.decoder.0.valid(),
                hidden.clone().inner(),
                &forward.decoder.1.valid(),
                &batch.targets,
                &batch.keys,
                forward.context,
            ),
            None => Vec::new(),
        };
        sum_on_samples(forward.model, batch, &sampled, forward.context)
    }

    fn scores(&self) -> Box<dyn Scores<Electra> + '_> {
        Box::new(ReplacedTokenScores {
            sampling: self.sampling,
            loss: Mean::default(),
            replaced: Mean::default(),
            labels: Vec::new(),
            probabilities: Vec::new(),
        })
    }
}

struct ReplacedTokenScores {
    sampling: Sampling,
    loss: Mean,
    /// The share of replaced tokens.
    replaced: Mean,
    labels: Vec<usize>,
    /// Probabilities of `original` and `replaced` for each token.
    probabilities: Vec<f64>,
}

impl Scores<Electra> for ReplacedTokenScores {
    fn add(&mut self, forward: &Forward<'_, Electra>) {
        let batch = forward.batch;
        let (head, words) = &forward.decoder;
        let sampled = match &forward.masked {
            Some(hidden) => self.sampling.draw(
                head,
                hidden.clone(),
                words,
                &batch.targets,
                &batch.keys,
                forward.context,
            ),
            None => Vec::new(),
        };
        let corrupted = corrupt(batch, &sampled);
        let (sum, logits) = discriminate(forward.model, &corrupted, forward.context);
        let n = corrupted.replaced.len();
        self.loss.add(f64::from(to_vec(sum)[0]), n);
        let replaced = corrupted.replaced.iter().map(|&r| f64::from(r)).sum();
        self.replaced.add(replaced, n);
        let labels = corrupted.replaced.iter().map(|&r| usize::from(r == 1.0));
        self.labels.extend(labels);
        for logit in to_vec(logits) {
            let p = 1.0 / (1.0 + (-f64::from(logit)).exp());
            self.probabilities.extend([1.0 - p, p]);
        }
    }

    fn report(self: Box<Self>) -> Report {
        let predictions = Predictions::Classes(ClassPredictions::from_probabilities(
            vec!["original".into(), "replaced".into()],
            self.labels,
            self.probabilities,
            Some(1),
        ));
        let of = |metric| score(&predictions, metric).ok();
        Report {
            loss: self.loss.value(),
            metrics: vec![
                ("rtd_auc".into(), of(Metric::RocAuc)),
                ("rtd_precision".into(), of(Metric::Precision)),
                ("rtd_recall".into(), of(Metric::Recall)),
            ],
            diagnostics: vec![("replaced_share".into(), self.replaced.value())],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_correct_guess_is_no_replacement_and_the_rest_is_as_before_masking() {
        // 9 is [MASK]; the second masked token was kept.
        let masked = MaskedBatch {
            batch: Batch::new(vec![2, 9, 6, 9, 3], vec![0; 5], &[5]),
            rows: vec![1, 2, 3],
            targets: vec![5, 6, 7],
            keys: vec![0, 1, 2],
            labels: Vec::new(),
            epoch: 0,
            numbers: vec![0],
        };
        let corrupted = corrupt(&masked, &[5, 8, 4]);
        assert_eq!(corrupted.batch.input_ids, [2, 5, 8, 4, 3]);
        assert_eq!(corrupted.replaced, [0.0, 0.0, 1.0, 1.0, 0.0]);
    }
}
