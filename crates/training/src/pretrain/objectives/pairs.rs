//! Loss and metrics of labelled pairs of segments, on the pair head of `BertForPreTraining`.

use bertkit_model::losses::ClassLoss;
use bertkit_model::weights::to_vec;
use bertkit_model::{Architecture, Family, FamilyDescriptor, PretrainingModel};
use burn::tensor::{Int, Tensor, TensorData};

use crate::pretrain::batch::MaskedBatch;
use crate::pretrain::descriptor::FamilyMismatch;
use crate::pretrain::loss::{Forward, Loss, Mean, Report, Scores};

/// Checks that a family has a head for pairs.
pub(super) fn check_family(family: &FamilyDescriptor) -> Result<(), FamilyMismatch> {
    if family.has_head(Architecture::Pretraining) {
        return Ok(());
    }
    Err(FamilyMismatch {
        message: format!("pairs of segments need the head of BERT, but the model is a {family}"),
        hint: format!(
            "use a model of the family {}, or `[objective=mlm]`",
            Family::with_head(Architecture::Pretraining)
        ),
    })
}

/// The mean cross-entropy of the pair labels.
#[derive(Debug)]
pub(super) struct PairLoss {
    /// The name of the accuracy.
    pub accuracy: &'static str,
}

/// `[b, 2]`, the logits of each pair.
fn logits(forward: &Forward<'_, PretrainingModel>) -> Tensor<2> {
    let first = forward.first.clone();
    let first = first.expect("the forward pass of this model computes first rows");
    let model = forward.model;
    let pooled = model.encoder.pool(first, forward.context);
    model.head.next_sentence(pooled, forward.context)
}

impl Loss<PretrainingModel> for PairLoss {
    fn items(&self, batch: &MaskedBatch) -> f64 {
        batch.labels.len() as f64
    }

    fn sum(&self, forward: &Forward<'_, PretrainingModel>) -> Tensor<1> {
        let logits = logits(forward);
        let device = logits.device();
        let labels = &forward.batch.labels;
        let n = labels.len();
        let labels: Vec<i32> = labels.iter().map(|&label| label as i32).collect();
        let labels: Tensor<1, Int> = Tensor::from_data(TensorData::new(labels, [n]), &device);
        let weights = Tensor::ones([n], &device);
        ClassLoss::CROSS_ENTROPY
            .per_row(logits, labels, weights)
            .sum()
    }

    fn scores(&self) -> Box<dyn Scores<PretrainingModel> + '_> {
        Box::new(PairScores {
            name: self.accuracy,
            loss: Mean::default(),
            accuracy: Mean::default(),
        })
    }
}

struct PairScores {
    name: &'static str,
    loss: Mean,
    accuracy: Mean,
}

impl Scores<PretrainingModel> for PairScores {
    fn add(&mut self, forward: &Forward<'_, PretrainingModel>) {
        let logits = to_vec(logits(forward));
        for (logits, &label) in logits.chunks(2).zip(&forward.batch.labels) {
            // log(1 + e^(other − own)), without overflow.
            let label = label as usize;
            let margin = f64::from(logits[1 - label]) - f64::from(logits[label]);
            let loss = margin.max(0.0) + (-margin.abs()).exp().ln_1p();
            self.loss.add(loss, 1);
            self.accuracy.add(f64::from(u8::from(margin < 0.0)), 1);
        }
    }

    fn report(self: Box<Self>) -> Report {
        Report {
            loss: self.loss.value(),
            metrics: vec![(self.name.into(), self.accuracy.value())],
            ..Report::default()
        }
    }
}
