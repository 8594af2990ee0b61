//! Replaced-token detection: a generator fills the masks, and a discriminator says of every token
//! whether it was there (Clark et al. 2020, §3).

use std::path::Path;

use bertkit_evaluation::{ClassPredictions, Metric, Predictions, score};
use bertkit_model::losses::binary_cross_entropy;
use bertkit_model::weights::to_vec;
use bertkit_model::{Batch, Context, DropoutStream, Electra, EncoderConfig, MlmModel, Naming};
use burn::module::Module;
use burn::tensor::{Tensor, TensorData};

use super::mlm::{MlmScores, nothing};
use super::sampling::Sampling;
use super::{Learn, Mean};
use crate::config::pretrain::{GeneratorConfig, Objective};
use crate::engine::task::LossTerm;
use crate::error::TrainError;
use crate::pretrain::source::MaskedBatch;

/// Sets the generator's dropout apart from the discriminator's.
const DROPOUT: u64 = 0x6765_6e65_7261_746f;

/// Generator and discriminator, and the weights of their losses.
#[derive(Debug)]
pub(crate) struct ReplacedTokens {
    config: EncoderConfig,
    generator: EncoderConfig,
    sampling: Sampling,
    seed: u64,
    terms: [LossTerm; 2],
}

/// A batch as the discriminator sees it.
struct Corrupted {
    batch: Batch,
    /// 1 for each token that was replaced by another.
    replaced: Vec<f32>,
}

/// Puts the sampled tokens into the sequences as they were before masking. A sampled token that is
/// the one that was there is no replacement.
fn corrupt(masked: &MaskedBatch, sampled: &[u32]) -> Corrupted {
    let mut batch = masked.batch.clone();
    let mut replaced = vec![0.0; batch.tokens()];
    for ((&row, &was), &is) in masked.rows.iter().zip(&masked.targets).zip(sampled) {
        batch.input_ids[row] = is;
        replaced[row] = f32::from(u8::from(is != was));
    }
    Corrupted { batch, replaced }
}

impl ReplacedTokens {
    /// The generator's loss on its masked rows, `hidden`, and the discriminator's on what was sampled
    /// for them.
    pub(super) fn sums_of(
        model: &Electra,
        generator: &MlmModel,
        hidden: Tensor<2>,
        batch: &MaskedBatch,
        sampled: &[u32],
        context: Context<'_>,
    ) -> Vec<Tensor<1>> {
        let words = &generator.encoder.embeddings.word;
        let mlm = generator
            .head
            .loss(hidden, words, batch.targets.clone(), context);
        let (rtd, _) = Self::discriminate(model, &corrupt(batch, sampled), context);
        vec![mlm, rtd]
    }

    /// Of a discriminator and a generator with these configurations.
    pub fn new(
        config: EncoderConfig,
        generator: EncoderConfig,
        settings: &GeneratorConfig,
        objective: &Objective,
        seed: u64,
    ) -> Self {
        let terms = [("mlm_loss", objective.mlm), ("rtd_loss", objective.rtd)];
        Self {
            config,
            generator,
            sampling: Sampling {
                temperature: settings.temperature,
                disallow_correct: settings.disallow_correct,
            },
            seed,
            terms: terms.map(|(name, factor)| LossTerm { name, factor }),
        }
    }

    /// The discriminator's loss on a corrupted batch, summed over all its tokens, `[CLS]` and `[SEP]`
    /// included, and its logits.
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
}

impl Learn for ReplacedTokens {
    type Model = Electra;

    fn terms(&self) -> &[LossTerm] {
        &self.terms
    }

    fn counts(&self, batch: &MaskedBatch) -> Vec<f64> {
        vec![batch.rows.len() as f64, batch.batch.tokens() as f64]
    }

    fn sums(
        &self,
        model: &Electra,
        batch: &MaskedBatch,
        micro_batch: u64,
        context: Context<'_>,
    ) -> Vec<Tensor<1>> {
        if batch.rows.is_empty() {
            let hidden = model
                .discriminator
                .encoder
                .forward_first(&batch.batch, context);
            let (rtd, _) = Self::discriminate(model, &corrupt(batch, &[]), context);
            return vec![nothing(hidden), rtd];
        }
        let generator = model.generator();
        let own = DropoutStream::new(self.seed ^ DROPOUT, micro_batch);
        let hidden =
            generator
                .encoder
                .forward_rows(&batch.batch, &batch.rows, context.with_dropout(&own));
        // What is sampled passes no gradient on.
        let plain = generator.valid();
        let sampled = self.sampling.draw(
            &plain.head,
            hidden.clone().inner(),
            &plain.encoder.embeddings.word,
            &batch.targets,
            &batch.keys,
            context,
        );
        drop(plain);
        Self::sums_of(model, &generator, hidden, batch, &sampled, context)
    }

    fn metrics(
        &self,
        model: &Electra,
        batches: &[MaskedBatch],
        context: Context<'_>,
    ) -> Vec<(String, Option<f64>)> {
        let generator = model.generator();
        let words = &generator.encoder.embeddings.word;
        let mut guesses = MlmScores::default();
        let (mut loss, mut replaced) = (Mean::default(), Mean::default());
        let (mut labels, mut probabilities) = (Vec::new(), Vec::new());
        for batch in batches {
            let mut sampled = Vec::new();
            if !batch.rows.is_empty() {
                let hidden = generator
                    .encoder
                    .forward_rows(&batch.batch, &batch.rows, context);
                guesses.add(
                    &generator.head,
                    hidden.clone(),
                    words,
                    &batch.targets,
                    context,
                );
                let (head, targets) = (&generator.head, &batch.targets);
                sampled = self
                    .sampling
                    .draw(head, hidden, words, targets, &batch.keys, context);
            }
            let corrupted = corrupt(batch, &sampled);
            let (sum, logits) = Self::discriminate(model, &corrupted, context);
            let n = corrupted.replaced.len();
            loss.add(f64::from(to_vec(sum)[0]), n);
            replaced.add(corrupted.replaced.iter().map(|&r| f64::from(r)).sum(), n);
            labels.extend(corrupted.replaced.iter().map(|&r| usize::from(r == 1.0)));
            for logit in to_vec(logits) {
                let p = 1.0 / (1.0 + (-f64::from(logit)).exp());
                probabilities.extend([1.0 - p, p]);
            }
        }
        let names = vec!["original".into(), "replaced".into()];
        let predictions = Predictions::Classes(ClassPredictions::from_probabilities(
            names,
            labels,
            probabilities,
            Some(1),
        ));
        let of = |metric| score(&predictions, metric).ok();
        let [mlm, rtd] = self.terms;
        let parts = guesses.loss().zip(loss.value());
        vec![
            (
                "loss".into(),
                parts.map(|(g, d)| mlm.factor * g + rtd.factor * d),
            ),
            ("rtd_auc".into(), of(Metric::RocAuc)),
            ("rtd_precision".into(), of(Metric::Precision)),
            ("rtd_recall".into(), of(Metric::Recall)),
            ("generator_accuracy".into(), guesses.accuracy()),
            ("replaced_share".into(), replaced.value()),
            (mlm.name.into(), guesses.loss()),
            (rtd.name.into(), loss.value()),
        ]
    }

    fn naming(&self) -> Naming {
        Electra::naming(&self.config)
    }

    fn save(&self, model: &Electra, folder: &Path) -> Result<(), TrainError> {
        Ok(model.discriminator.save(&self.config, folder)?)
    }

    fn save_helper(&self, model: &Electra, folder: &Path) -> Result<bool, TrainError> {
        model.generator().save(&self.generator, folder)?;
        Ok(true)
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
            pass: 0,
            numbers: vec![0],
        };
        let corrupted = corrupt(&masked, &[5, 8, 4]);
        assert_eq!(corrupted.batch.input_ids, [2, 5, 8, 4, 3]);
        assert_eq!(corrupted.replaced, [0.0, 0.0, 1.0, 1.0, 0.0]);
    }
}
