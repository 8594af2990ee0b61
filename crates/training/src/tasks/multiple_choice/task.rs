//! Multiple choice as a [`Task`].

use std::ops::Range;
use std::path::PathBuf;

use bertkit_data::batches::{BatchPolicy, plan};
use bertkit_data::tokenizer::{Encoding, TextTokenizer};
use bertkit_evaluation::{ChoicePredictions, Metric, Predictions};
use bertkit_model::weights::to_vec;
use bertkit_model::{Batch, ChoiceModel, Context, EncoderConfig, Naming};
use burn::tensor::activation::log_softmax;
use burn::tensor::{Bool, Int, Tensor, TensorData};

use super::info::ChoiceInfo;
use super::rows::{EncodedRows, probabilities};
use crate::config::TrainingConfig;
use crate::engine::param_groups::{ParamGroup, param_group};
use crate::engine::task::{LossSums, LossTerm, Task, Validation};
use crate::error::TrainError;
use crate::run::directory::RunDirectory;
use crate::run::finetune::FinetuneTask;
use crate::run::selection;
use crate::run::setup::Export;
use crate::run::trained::save;
use crate::tasks::batches::{attended, inference_batches, pack};

/// Multiple choice.
#[derive(Debug)]
pub(crate) struct ChoiceTask {
    /// The description written next to the weights.
    pub info: ChoiceInfo,
    /// The configuration of the encoder, for the exported folder.
    pub model_config: EncoderConfig,
    /// Saved next to the weights.
    pub tokenizer: TextTokenizer,
    /// Training rows.
    pub train: EncodedRows,
    /// The correct answer of each training row, among its answers.
    pub train_labels: Vec<usize>,
    /// Validation rows; empty if there are none.
    pub valid: EncodedRows,
    /// The correct answer of each validation row.
    pub valid_labels: Vec<usize>,
    /// The metric that selects the best weights; `None` is the validation loss.
    pub best_metric: Option<Metric>,
    /// The seed of the row order.
    pub seed: u64,
    /// Batch sizes and frozen parts.
    pub training: TrainingConfig,
    /// Layer-wise decay of the learning rate.
    pub layer_decay: f64,
}

/// Some training rows, packed.
#[derive(Debug)]
pub(crate) struct ChoiceBatch {
    rows: Vec<usize>,
    /// All answers of the rows, row after row.
    batch: Batch,
}

/// The logits of all answers, computed in batches of similar length. `progress` receives the number of answers done.
pub(crate) fn choice_logits(
    model: &ChoiceModel,
    encodings: &[Encoding],
    context: Context<'_>,
    progress: &mut dyn FnMut(usize),
) -> Vec<f32> {
    let lengths: Vec<usize> = encodings.iter().map(Encoding::len).collect();
    let mut logits = vec![0.0; encodings.len()];
    let mut done = 0;
    for chosen in inference_batches(&lengths) {
        let values = to_vec(model.forward(&pack(encodings, &chosen), context));
        for (&at, value) in chosen.iter().zip(values) {
            logits[at] = value;
        }
        done += chosen.len();
        progress(done);
    }
    logits
}

/// The cross-entropy of each row's correct answer under a softmax over the row, summed, `[1]`. `logits` are those of all
/// answers; `counts` has the number of answers of each row.
fn cross_entropy(logits: Tensor<1>, counts: &[usize], labels: &[usize]) -> Tensor<1> {
    let device = logits.device();
    let (rows, width) = (counts.len(), counts.iter().copied().max().unwrap_or(1));
    let (mut places, mut absent) = (Vec::new(), Vec::new());
    let mut first = 0;
    for &count in counts {
        // Cells beyond a row's answers repeat its first one, and are masked.
        places.extend((0..width).map(|at| (first + if at < count { at } else { 0 }) as i32));
        absent.extend((0..width).map(|at| at >= count));
        first += count;
    }
    let places: Tensor<1, Int> =
        Tensor::from_data(TensorData::new(places, [rows * width]), &device);
    let absent: Tensor<2, Bool> =
        Tensor::from_data(TensorData::new(absent, [rows, width]), &device);
    let table = logits.select(0, places).reshape([rows, width]); // [rows, width]
    let table = table.mask_fill(absent, f32::MIN);
    let labels: Vec<i32> = labels.iter().map(|&label| label as i32).collect();
    let labels: Tensor<2, Int> = Tensor::from_data(TensorData::new(labels, [rows, 1]), &device);
    log_softmax(table, 1).gather(1, labels).sum().neg()
}

impl Task for ChoiceTask {
    type Model = ChoiceModel;
    type Epoch = Vec<Vec<usize>>;
    type Batch = ChoiceBatch;

    fn accumulation(&self, _stage: usize) -> usize {
        self.training.gradient_accumulation
    }

    fn epoch(&self, _stage: usize, number: u64) -> Result<Vec<Vec<usize>>, TrainError> {
        let t = &self.training;
        let policy = t
            .batch_tokens
            .map_or(BatchPolicy::Rows(t.batch_size), BatchPolicy::Tokens);
        let order = Some((self.seed, number));
        Ok(plan(&self.train.lengths, policy, t.bucket_by_length, order))
    }

    fn batches(&self, epoch: &Vec<Vec<usize>>) -> usize {
        epoch.len()
    }

    fn rows(&self, epoch: &Vec<Vec<usize>>, number: usize) -> usize {
        epoch[number].len()
    }

    fn batch(&self, epoch: &Vec<Vec<usize>>, number: usize, rows: Range<usize>) -> ChoiceBatch {
        let rows = epoch[number][rows].to_vec();
        let ranges = rows.iter().map(|&row| self.train.ranges[row].clone());
        let answers: Vec<usize> = ranges.flatten().collect();
        ChoiceBatch {
            batch: pack(&self.train.encodings, &answers),
            rows,
        }
    }

    fn tokens(&self, batch: &ChoiceBatch) -> usize {
        batch.batch.tokens()
    }

    fn attended(&self, batch: &ChoiceBatch) -> usize {
        attended(&batch.batch)
    }

    fn describe(&self, batches: &[ChoiceBatch]) -> String {
        const SHOWN: usize = 32;
        let rows = batches.iter().flat_map(|batch| &batch.rows);
        let mut lines: Vec<u64> = rows.map(|&row| self.train.lines[row]).collect();
        lines.sort_unstable();
        let shown: Vec<String> = lines.iter().take(SHOWN).map(u64::to_string).collect();
        let more = match lines.len().saturating_sub(SHOWN) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        format!(
            "the rows from lines {}{more} of the training file",
            shown.join(", ")
        )
    }

    fn terms(&self) -> &[LossTerm] {
        &[LossTerm {
            name: "loss",
            factor: 1.0,
        }]
    }

    fn weights(&self, batch: &ChoiceBatch) -> Vec<f64> {
        vec![batch.rows.len() as f64]
    }

    fn loss(
        &self,
        model: &ChoiceModel,
        batch: &ChoiceBatch,
        _micro_batch: u64,
        context: Context<'_>,
    ) -> LossSums {
        let logits = model.forward(&batch.batch, context);
        let rows = batch.rows.iter();
        let (counts, labels): (Vec<usize>, Vec<usize>) = rows
            .map(|&row| (self.train.ranges[row].len(), self.train_labels[row]))
            .unzip();
        vec![cross_entropy(logits, &counts, &labels)].into()
    }

    fn param_group(&self, path: &str) -> ParamGroup {
        param_group(
            path,
            &self.model_config.spec().layer_depths(),
            self.layer_decay,
            self.training.freeze_embeddings,
            self.training.freeze_layers,
        )
    }

    fn naming(&self) -> Naming {
        ChoiceModel::naming(&self.model_config)
    }

    fn validation_rows(&self) -> usize {
        self.valid.len()
    }

    fn validate(
        &self,
        model: &ChoiceModel,
        context: Context<'_>,
    ) -> Result<Validation, TrainError> {
        let logits = choice_logits(model, &self.valid.encodings, context, &mut |_| {});
        let probabilities = probabilities(&self.valid, &logits);
        let rows = probabilities.iter().zip(&self.valid_labels);
        let sum: f64 = rows.map(|(row, &label)| -row[label].ln()).sum();
        let loss = sum / self.valid.len() as f64;
        let predictions = Predictions::Choices(ChoicePredictions {
            labels: self.valid_labels.clone(),
            probabilities,
        });
        Ok(selection::validation(&predictions, loss, self.best_metric))
    }
}

impl Export for ChoiceTask {
    fn export(
        &mut self,
        model: ChoiceModel,
        directory: &RunDirectory,
        _context: Context<'_>,
    ) -> Result<PathBuf, TrainError> {
        directory.replace_folder("model", |folder| {
            save(
                &model,
                &self.model_config,
                &self.tokenizer,
                &self.info,
                folder,
            )
        })
    }
}

impl FinetuneTask for ChoiceTask {}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn the_softmax_of_a_row_is_over_its_own_answers() {
        let logits = vec![1.0_f32, 2.0, 0.5, -1.0, 3.0];
        let tensor = Tensor::from_data(TensorData::new(logits, [5]), &Device::flex());
        let loss = to_vec(cross_entropy(tensor, &[2, 3], &[1, 2]))[0];
        let row = |scores: &[f64], label: usize| {
            let sum: f64 = scores.iter().map(|x| x.exp()).sum();
            sum.ln() - scores[label]
        };
        let expected = row(&[1.0, 2.0], 1) + row(&[0.5, -1.0, 3.0], 2);
        assert!(
            (f64::from(loss) - expected).abs() < 1e-5,
            "{loss} {expected}"
        );
    }
}
