//! Masked language modelling: predict the masked tokens (Devlin et al. 2019, §3.1).

use bertkit_model::heads::MlmHead;
use bertkit_model::weights::to_vec;
use bertkit_model::{Context, Electra, MlmModel, PretrainingModel};
use burn::module::Param;
use burn::tensor::Tensor;
use rayon::prelude::*;

use crate::pretrain::batch::MaskedBatch;
use crate::pretrain::descriptor::{Descriptor, LossSettings};
use crate::pretrain::loss::{Forward, Loss, Mean, Report, Scores};

/// Logits that are copied to the host at a time.
const LOGITS: usize = 4 << 20;

/// Masked words; on ELECTRA, the objective of the generator.
#[derive(Debug)]
pub(super) struct MaskedLm;

impl Descriptor for MaskedLm {
    fn key(&self) -> &'static str {
        "mlm"
    }

    fn weight_doc(&self) -> &'static str {
        "Weight of masked language modelling (Devlin et al. 2019, §3.1); with `rtd`, of the generator."
    }

    fn short(&self) -> &'static str {
        "mlm"
    }

    fn includes_masked_lm(&self) -> bool {
        true
    }

    fn title(&self) -> &'static str {
        "masked words"
    }

    fn help(&self) -> &'static str {
        "masked words (mlm)"
    }

    fn loss_name(&self) -> &'static str {
        "mlm_loss"
    }

    fn on_masked_lm(&self, _: &LossSettings) -> Option<Box<dyn Loss<MlmModel>>> {
        Some(Box::new(MaskedLmLoss { report: of_model }))
    }

    fn on_pretraining(&self, _: &LossSettings) -> Option<Box<dyn Loss<PretrainingModel>>> {
        Some(Box::new(MaskedLmLoss { report: of_model }))
    }

    fn on_electra(&self, _: &LossSettings) -> Option<Box<dyn Loss<Electra>>> {
        Some(Box::new(MaskedLmLoss {
            report: of_generator,
        }))
    }
}

/// The mean cross-entropy of the masked tokens.
#[derive(Debug)]
struct MaskedLmLoss {
    /// What is reported of the accumulated scores.
    report: fn(&MaskedLmScores) -> Report,
}

impl<M> Loss<M> for MaskedLmLoss {
    fn items(&self, batch: &MaskedBatch) -> f64 {
        batch.rows.len() as f64
    }

    fn sum(&self, forward: &Forward<'_, M>) -> Tensor<1> {
        let (head, words) = &forward.decoder;
        match &forward.masked {
            Some(hidden) => head.loss(
                hidden.clone(),
                words,
                forward.batch.targets.clone(),
                forward.context,
            ),
            None => forward.zero(),
        }
    }

    fn scores(&self) -> Box<dyn Scores<M> + '_> {
        Box::new(MaskedLmScores {
            loss: Mean::default(),
            accuracy: Mean::default(),
            report: self.report,
        })
    }
}

/// Loss and accuracy on masked tokens.
struct MaskedLmScores {
    loss: Mean,
    accuracy: Mean,
    report: fn(&MaskedLmScores) -> Report,
}

impl<M> Scores<M> for MaskedLmScores {
    fn add(&mut self, forward: &Forward<'_, M>) {
        if let Some(hidden) = &forward.masked {
            let (head, words) = &forward.decoder;
            self.add_rows(head, hidden, words, &forward.batch.targets, forward.context);
        }
    }

    fn report(self: Box<Self>) -> Report {
        (self.report)(&self)
    }
}

impl MaskedLmScores {
    /// Adds rows `[m, h]`.
    fn add_rows(
        &mut self,
        head: &MlmHead,
        hidden: &Tensor<2>,
        words: &Param<Tensor<2>>,
        targets: &[u32],
        context: Context<'_>,
    ) {
        let [_, h] = hidden.dims();
        let v = head.bias.dims()[0];
        let block = (LOGITS / v).max(1);
        for (i, targets) in targets.chunks(block).enumerate() {
            let first = i * block;
            let rows = hidden.clone().slice([first..first + targets.len(), 0..h]);
            let logits = to_vec(head.forward(rows, words, context));
            let scored: Vec<(f64, bool)> = logits
                .par_chunks(v)
                .zip(targets)
                .map(|(row, &target)| score(row, target as usize))
                .collect();
            for (loss, correct) in scored {
                self.loss.add(loss, 1);
                self.accuracy.add(f64::from(u8::from(correct)), 1);
            }
        }
    }
}

/// The metrics of a model that is kept.
fn of_model(scores: &MaskedLmScores) -> Report {
    let loss = scores.loss.value();
    Report {
        loss,
        metrics: vec![
            ("mlm_accuracy".into(), scores.accuracy.value()),
            ("perplexity".into(), loss.map(f64::exp)),
        ],
        ..Report::default()
    }
}

/// The metrics of a generator.
fn of_generator(scores: &MaskedLmScores) -> Report {
    Report {
        loss: scores.loss.value(),
        diagnostics: vec![("generator_accuracy".into(), scores.accuracy.value())],
        ..Report::default()
    }
}

/// `−log p(target)`, and whether the target is the most likely token (ties go to the lowest id).
pub(crate) fn score(logits: &[f32], target: usize) -> (f64, bool) {
    let mut best = 0;
    for (i, &logit) in logits.iter().enumerate() {
        if logit > logits[best] {
            best = i;
        }
    }
    let top = f64::from(logits[best]);
    let sum: f64 = logits.iter().map(|&x| (f64::from(x) - top).exp()).sum();
    (sum.ln() + top - f64::from(logits[target]), best == target)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_score_is_the_negative_log_of_the_softmax() {
        let (loss, right) = score(&[1.0, 3.0, 2.0], 2);
        let expected = (1.0_f64.exp() + 3.0_f64.exp() + 2.0_f64.exp()).ln() - 2.0;
        assert!((loss - expected).abs() < 1e-12 && !right);
        assert!(score(&[-1e30, 5.0], 1) == (0.0, true));
    }
}
