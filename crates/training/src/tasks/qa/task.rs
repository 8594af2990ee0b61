//! Extractive question answering as a task: windows, scores, loss and decoding.

use std::ops::Range;
use std::path::PathBuf;

use bertkit_data::batches::{BatchPolicy, plan};
use bertkit_data::qa::Question;
use bertkit_data::qa::{
    DecodeOptions, FeatureOptions, Features, Prediction, SpanScore, WindowScores,
};
use bertkit_data::tokenizer::TextTokenizer;
use bertkit_evaluation::{
    Answer, AnswerPredictions, AnswerScore, Metric, Predictions, best_no_answer_threshold,
};
use bertkit_model::heads::{ProposedSpan, SpanTarget};
use bertkit_model::weights::to_vec;
use bertkit_model::{Batch, Context, EncoderConfig, Naming, SpanModel};
use burn::tensor::{Tensor, TensorData};
use rayon::prelude::*;

use super::info::QuestionInfo;
use crate::config::TrainingConfig;
use crate::engine::param_groups::{ParamGroup, param_group};
use crate::engine::task::{LossSums, LossTerm, Task, Validation};
use crate::error::TrainError;
use crate::run::directory::RunDirectory;
use crate::run::finetune::FinetuneTask;
use crate::run::selection;
use crate::run::setup::Export;
use crate::run::trained::save;
use crate::tasks::batches::{attended, inference_batches, to_batch};

/// Questions as windows of tokens.
#[derive(Debug, Clone)]
pub struct QuestionRows {
    /// The questions.
    pub questions: Vec<Question>,
    /// Their windows.
    pub features: Features,
    /// The windows with a target: the answer, or the first token if the window does not contain it.
    pub windows: Vec<usize>,
    /// Number of tokens of each of these.
    pub lengths: Vec<usize>,
}

impl QuestionRows {
    /// Splits questions into windows.
    ///
    /// # Errors
    /// As for [`Features::new`].
    pub fn new(
        questions: Vec<Question>,
        tokenizer: &TextTokenizer,
        options: &FeatureOptions,
    ) -> Result<Self, TrainError> {
        let features = Features::new(&questions, tokenizer, options)?;
        let all = features.windows().iter().enumerate();
        let windows: Vec<usize> = all
            .filter_map(|(at, window)| window.target.map(|_| at))
            .collect();
        let lengths = features.lengths();
        let lengths = windows.iter().map(|&window| lengths[window]).collect();
        Ok(Self {
            questions,
            features,
            windows,
            lengths,
        })
    }

    /// Start and end tokens of some windows that have a target.
    fn targets(&self, windows: &[usize]) -> (Vec<usize>, Vec<usize>) {
        let all = self.features.windows();
        let target = |&window: &usize| all[window].target.unwrap_or_default();
        windows.iter().map(target).unzip()
    }

    /// The same, and whether the question has an answer at all.
    fn span_targets(&self, windows: &[usize]) -> Vec<SpanTarget> {
        let (starts, ends) = self.targets(windows);
        let all = self.features.windows();
        let each = windows.iter().zip(starts).zip(ends);
        each.map(|((&window, start), end)| SpanTarget {
            start,
            end,
            impossible: self.questions[all[window].question].impossible,
        })
        .collect()
    }

    /// The loss of a head that scores ends given starts, summed over the windows that have a target.
    fn joint_loss(&self, model: &SpanModel, context: Context<'_>) -> f64 {
        let batches = inference_batches(&self.lengths).into_iter().map(|places| {
            let windows: Vec<usize> = places.iter().map(|&place| self.windows[place]).collect();
            let batch = to_batch(self.features.pack(&windows));
            let texts = texts(&self.features, &windows);
            let targets = self.span_targets(&windows);
            let loss = model.joint_loss(&batch, &texts, &targets, context);
            to_vec(loss).into_iter().map(f64::from).sum::<f64>()
        });
        batches.sum()
    }
}

/// The scores of a window.
#[derive(Debug, Clone)]
pub(crate) enum Scored {
    /// The scores of its tokens as start and as end.
    Tokens(Vec<f32>, Vec<f32>),
    /// Scores of whole answers, the score of "no answer", and whether that score is log-odds.
    Spans(Vec<SpanScore>, f32, bool),
}

impl Scored {
    /// Whether all scores are finite.
    pub fn is_finite(&self) -> bool {
        match self {
            Self::Tokens(start, end) => start.iter().chain(end).all(|score| score.is_finite()),
            Self::Spans(spans, null, _) => {
                let each = spans.iter().flat_map(|s| [s.start_score, s.end_score]);
                null.is_finite() && each.into_iter().all(f32::is_finite)
            }
        }
    }

    fn of_window(&self) -> WindowScores<'_> {
        match self {
            Self::Tokens(start, end) => WindowScores::Tokens { start, end },
            Self::Spans(spans, null, odds) => WindowScores::Spans {
                spans,
                null: *null,
                odds: *odds,
            },
        }
    }
}

fn span_score(span: ProposedSpan) -> SpanScore {
    SpanScore {
        start: span.start,
        end: span.end,
        start_score: span.start_score,
        end_score: span.end_score,
    }
}

/// The position of the first text token in the inputs of windows.
fn texts(features: &Features, windows: &[usize]) -> Vec<usize> {
    let first = |&window: &usize| features.context_positions(window).start;
    windows.iter().map(first).collect()
}

/// The scores of each window; if ends are scored given starts, of the `beam` best starts. `progress` receives the number of
/// windows done.
pub(crate) fn scores(
    model: &SpanModel,
    features: &Features,
    beam: usize,
    context: Context<'_>,
    progress: &mut dyn FnMut(usize),
) -> Vec<Scored> {
    let mut scores = vec![Scored::Tokens(Vec::new(), Vec::new()); features.windows().len()];
    let mut done = 0;
    for windows in inference_batches(&features.lengths()) {
        let packed = features.pack(&windows);
        let lengths = packed.lengths.clone();
        let batch = to_batch(packed);
        if let Some(joint) = &model.head.joint {
            let odds = joint.answerable.is_some();
            let found = model.joint_scores(&batch, &texts(features, &windows), beam, context);
            for (&window, found) in windows.iter().zip(found) {
                let spans = found.spans.into_iter().map(span_score).collect();
                scores[window] = Scored::Spans(spans, found.null, odds);
            }
        } else {
            let (start, end) = model.forward(&batch, context);
            let (starts, ends) = (to_vec(start), to_vec(end));
            let mut at = 0;
            for (&window, length) in windows.iter().zip(lengths) {
                let tokens = at..at + length;
                let own = (starts[tokens.clone()].to_vec(), ends[tokens].to_vec());
                scores[window] = Scored::Tokens(own.0, own.1);
                at += length;
            }
        }
        done += windows.len();
        progress(done);
    }
    scores
}

/// The best answers to each question.
pub(crate) fn decode(
    questions: &[Question],
    features: &Features,
    scores: &[Scored],
    options: &DecodeOptions,
) -> Vec<Prediction> {
    let answer = |(index, question): (usize, &Question)| {
        let of_question: Vec<WindowScores<'_>> = scores[features.of_question(index)]
            .iter()
            .map(Scored::of_window)
            .collect();
        features.decode(question, index, &of_question, options)
    };
    questions.par_iter().enumerate().map(answer).collect()
}

/// The score of "no answer" minus that of the best answer, clamped to finite numbers.
pub(crate) fn no_answer_score(prediction: &Prediction) -> f64 {
    prediction
        .score_difference()
        .clamp(f64::from(f32::MIN), f64::from(f32::MAX))
}

/// Answers with the truth; with a threshold, questions may have no answer.
pub(crate) fn predictions(
    questions: &[Question],
    answers: &[Prediction],
    threshold: Option<f64>,
) -> AnswerPredictions {
    let answer = |(question, prediction): (&Question, &Prediction)| Answer {
        gold: question.answers.iter().map(|a| a.text.clone()).collect(),
        predicted: prediction.text(None).into(),
        no_answer_score: Some(no_answer_score(prediction)),
    };
    AnswerPredictions {
        questions: questions.iter().zip(answers).map(answer).collect(),
        may_be_unanswerable: threshold.is_some() || questions.iter().any(|q| q.answers.is_empty()),
        no_answer_threshold: threshold,
    }
}

/// The cross-entropy of one token in each window, summed over windows, and its gradient with respect to the scores.
///
/// The rows of a window are consecutive; `targets` are relative to its first row.
fn cross_entropy(scores: &[f32], lengths: &[usize], targets: &[usize]) -> (f64, Vec<f32>) {
    let mut gradient = Vec::with_capacity(scores.len());
    let (mut loss, mut at) = (0.0, 0);
    for (&length, &target) in lengths.iter().zip(targets) {
        let window = &scores[at..at + length];
        let top = window.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let power = |score: f32| f64::from(score - top).exp();
        let sum: f64 = window.iter().map(|&score| power(score)).sum();
        loss += sum.ln() - f64::from(window[target] - top);
        let first = gradient.len();
        gradient.extend(window.iter().map(|&score| (power(score) / sum) as f32));
        gradient[first + target] -= 1.0;
        at += length;
    }
    (loss, gradient)
}

/// The same as a tensor, `[1]`, for the backward pass: linear in the scores, with value and gradient of the loss.
fn cross_entropy_of(scores: Tensor<1>, lengths: &[usize], targets: &[usize]) -> Tensor<1> {
    let values = to_vec(scores.clone());
    let (loss, gradient) = cross_entropy(&values, lengths, targets);
    let products = values.iter().zip(&gradient);
    let linear: f64 = products.map(|(&v, &g)| f64::from(v) * f64::from(g)).sum();
    let shape = [gradient.len()];
    let gradient = Tensor::from_data(TensorData::new(gradient, shape), &scores.device());
    (scores * gradient).sum() + (loss - linear)
}

/// Extractive question answering, as a [`Task`].
#[derive(Debug)]
pub struct QuestionTask {
    /// The description written next to the weights.
    pub info: QuestionInfo,
    /// The configuration of the encoder, for the exported folder.
    pub model_config: EncoderConfig,
    /// Saved next to the weights.
    pub tokenizer: TextTokenizer,
    /// Training questions.
    pub train: QuestionRows,
    /// Validation questions; empty if there are none.
    pub valid: QuestionRows,
    /// Whether the threshold for "no answer" is chosen on the validation questions.
    pub choose_threshold: bool,
    /// The metric that selects the best weights; `None` is the validation loss.
    pub best_metric: Option<Metric>,
    /// The seed of the window order.
    pub seed: u64,
    /// Batch sizes and frozen parts.
    pub training: TrainingConfig,
    /// Layer-wise decay of the learning rate.
    pub layer_decay: f64,
}

/// Some training windows, packed.
#[derive(Debug)]
pub struct WindowsBatch {
    windows: Vec<usize>,
    lengths: Vec<usize>,
    batch: Batch,
}

impl QuestionTask {
    /// The best answers to the validation questions, and the mean loss of their windows.
    fn answers(&self, model: &SpanModel, context: Context<'_>) -> (Vec<Prediction>, f64) {
        let rows = &self.valid;
        let scores = scores(
            model,
            &rows.features,
            self.info.settings.n_best,
            context,
            &mut |_| {},
        );
        let (starts, ends) = rows.targets(&rows.windows);
        let mut sum = match model.head.joint {
            Some(_) => rows.joint_loss(model, context),
            None => 0.0,
        };
        for ((&window, start), end) in rows.windows.iter().zip(starts).zip(ends) {
            let Scored::Tokens(start_scores, end_scores) = &scores[window] else {
                continue;
            };
            for (scores, target) in [(start_scores, start), (end_scores, end)] {
                sum += cross_entropy(scores, &[scores.len()], &[target]).0 / 2.0;
            }
        }
        let options = self.info.decoding();
        let answers = decode(&rows.questions, &rows.features, &scores, &options);
        (answers, sum / rows.windows.len() as f64)
    }

    /// The validation answers with the truth, decided at the threshold with the best F1 if one is to be chosen.
    fn decided(&self, answers: &[Prediction]) -> AnswerPredictions {
        let threshold = self.info.settings.null_threshold;
        let mut decided = predictions(&self.valid.questions, answers, threshold);
        if self.choose_threshold {
            let best = best_no_answer_threshold(&decided, AnswerScore::F1);
            decided.no_answer_threshold = best.ok().map(|best| best.threshold).or(threshold);
        }
        decided
    }

    /// Chooses the threshold for "no answer" on the validation questions.
    fn settle_threshold(&mut self, model: &SpanModel, context: Context<'_>) {
        if !self.choose_threshold || self.valid.questions.is_empty() {
            return;
        }
        let (answers, _) = self.answers(model, context);
        self.info.settings.null_threshold = self.decided(&answers).no_answer_threshold;
        self.info.null_threshold_origin = format!(
            "chosen for the highest F1 on {} validation questions",
            self.valid.questions.len()
        );
    }
}

impl Task for QuestionTask {
    type Model = SpanModel;
    type Epoch = Vec<Vec<usize>>;
    type Batch = WindowsBatch;

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

    fn batch(&self, epoch: &Vec<Vec<usize>>, number: usize, rows: Range<usize>) -> WindowsBatch {
        let places = epoch[number][rows].iter();
        let windows: Vec<usize> = places.map(|&place| self.train.windows[place]).collect();
        let packed = self.train.features.pack(&windows);
        WindowsBatch {
            windows,
            lengths: packed.lengths.clone(),
            batch: to_batch(packed),
        }
    }

    fn tokens(&self, batch: &WindowsBatch) -> usize {
        batch.batch.tokens()
    }

    fn attended(&self, batch: &WindowsBatch) -> usize {
        attended(&batch.batch)
    }

    fn describe(&self, batches: &[WindowsBatch]) -> String {
        const SHOWN: usize = 8;
        let windows = batches.iter().flat_map(|batch| &batch.windows);
        let all = self.train.features.windows();
        let mut questions: Vec<usize> = windows.map(|&window| all[window].question).collect();
        questions.sort_unstable();
        questions.dedup();
        let named = questions.iter().take(SHOWN);
        let named: Vec<&str> = named
            .map(|&question| self.train.questions[question].id.as_str())
            .collect();
        let more = match questions.len().saturating_sub(SHOWN) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let named = named.join("`, `");
        format!("windows of the questions `{named}`{more} of the training file")
    }

    fn terms(&self) -> &[LossTerm] {
        &[LossTerm {
            name: "loss",
            factor: 1.0,
        }]
    }

    fn weights(&self, batch: &WindowsBatch) -> Vec<f64> {
        vec![batch.windows.len() as f64]
    }

    /// The mean of the cross-entropies of start and end over each window's tokens (Devlin et al. 2019, §4.2) or, if ends are
    /// scored given starts, the loss of ELECTRA's head.
    fn loss(
        &self,
        model: &SpanModel,
        batch: &WindowsBatch,
        _micro_batch: u64,
        context: Context<'_>,
    ) -> LossSums {
        if model.head.joint.is_some() {
            let texts = texts(&self.train.features, &batch.windows);
            let targets = self.train.span_targets(&batch.windows);
            return vec![model.joint_loss(&batch.batch, &texts, &targets, context)].into();
        }
        let (start, end) = model.forward(&batch.batch, context);
        let (starts, ends) = self.train.targets(&batch.windows);
        let lengths = &batch.lengths;
        let sum = cross_entropy_of(start, lengths, &starts) + cross_entropy_of(end, lengths, &ends);
        vec![sum / 2.0].into()
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
        SpanModel::naming(&self.model_config)
    }

    fn validation_rows(&self) -> usize {
        self.valid.questions.len()
    }

    fn validate(&self, model: &SpanModel, context: Context<'_>) -> Result<Validation, TrainError> {
        let (answers, loss) = self.answers(model, context);
        let predictions = Predictions::Answers(self.decided(&answers));
        Ok(selection::validation(&predictions, loss, self.best_metric))
    }
}

impl Export for QuestionTask {
    fn export(
        &mut self,
        model: SpanModel,
        directory: &RunDirectory,
        context: Context<'_>,
    ) -> Result<PathBuf, TrainError> {
        self.settle_threshold(&model, context);
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

impl FinetuneTask for QuestionTask {
    fn threshold(&self) -> Option<(f64, String)> {
        let at = self.info.settings.null_threshold?;
        Some((at, self.info.null_threshold_origin.clone()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use burn::tensor::activation::log_softmax;
    use burn::tensor::{Device, Int};

    #[test]
    fn the_loss_and_its_gradient_are_those_of_a_softmax_over_each_window() {
        let device = Device::flex().autodiff();
        let values: Vec<f32> = (0..15).map(|i| ((i * 7) % 11) as f32 / 3.0 - 1.5).collect();
        let targets = [4, 0, 2];
        let leaf = || {
            Tensor::<1>::from_data(TensorData::new(values.clone(), [15]), &device).require_grad()
        };
        let ours = leaf();
        let loss = cross_entropy_of(ours.clone(), &[5, 5, 5], &targets);
        let theirs = leaf();
        let labels = TensorData::new(targets.map(|t| t as i32).to_vec(), [3, 1]);
        let labels: Tensor<2, Int> = Tensor::from_data(labels, &device);
        let rows = log_softmax(theirs.clone().reshape([3, 5]), 1);
        let expected = rows.gather(1, labels).sum().neg();
        let near = |a: Vec<f32>, b: Vec<f32>| {
            let far = a
                .iter()
                .zip(&b)
                .map(|(a, b)| (a - b).abs())
                .fold(0.0, f32::max);
            assert!(a.len() == b.len() && far < 1e-6, "{a:?} {b:?}");
        };
        near(to_vec(loss.clone()), to_vec(expected.clone()));
        let (ours, theirs) = (
            ours.grad(&loss.backward()).unwrap(),
            theirs.grad(&expected.backward()).unwrap(),
        );
        near(to_vec(ours), to_vec(theirs));
    }

    #[test]
    fn windows_of_other_lengths_do_not_see_each_other() {
        let (loss, gradient) = cross_entropy(&[0.0, 0.0, 90.0, 1.0, 1.0], &[2, 3], &[1, 0]);
        assert!((loss - 2f64.ln()).abs() < 1e-12);
        assert_eq!(gradient[..2], [0.5, -0.5]);
        assert_eq!(gradient[2], 0.0);
    }
}
