//! Benchmarks of a model on this machine: forward passes, training steps, and only the matrix
//! products of a training step.
//!
//! Inputs are random and differ from step to step, so that over time every word of the vocabulary
//! occurs. A step has the same parts as in a run: dropout, backward pass, clipping,
//! AdamW.

use std::path::Path;
use std::time::{Duration, Instant};

use bertkit_model::losses::ClassLoss;
use bertkit_model::ops::LinearProducts;
use bertkit_model::weights::to_vec;
use bertkit_model::{
    Batch, Context, EncoderConfig, Head, HeadPolicy, LayerDepths, MlmModel, Model, ModelError,
    ModelFolder, Precision, ResolvedDevice, SequenceModel, TrainingPass, is_cpu,
};
use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::config::FinetuneConfig;
use crate::engine::optimizer::{AdamW, GradientSum};
use crate::engine::param_groups::param_group;
use crate::engine::profile::peak_memory;
use crate::error::TrainError;
use crate::run::devices::context;
use crate::run::model::fresh_config;

/// Number of classes of the benchmarked head.
const CLASSES: usize = 2;
/// Ids below this one are special tokens in the vocabularies of every family.
const FIRST_WORD: u32 = 5;
/// The largest batch, in tokens.
const MOST_TOKENS: usize = 1 << 20;
/// Seed of inputs, weights and dropout.
const SEED: u64 = 42;

/// What is benchmarked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// Token ids to the logits of a sequence classifier, without dropout.
    Forward,
    /// A step of fine-tuning a sequence classifier: forward pass, loss, backward pass, clipping by
    /// the global norm, AdamW.
    Train,
    /// A step of masked language modelling, with the head applied to only 15 % of the tokens.
    Mlm,
    /// Only the matrix products of the linear layers in the step of [`Self::Train`].
    Gemm,
}

impl Work {
    /// All kinds.
    pub const ALL: [Self; 4] = [Self::Forward, Self::Train, Self::Mlm, Self::Gemm];

    /// Its name on the command line and in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Forward => "forward",
            Self::Train => "train",
            Self::Mlm => "mlm",
            Self::Gemm => "gemm",
        }
    }
}

/// The benchmarked model.
#[derive(Debug)]
pub enum BenchModel {
    /// Random weights of these sizes.
    Fresh(Box<EncoderConfig>),
    /// The weights of a model folder.
    Folder(Box<ModelFolder>),
}

impl BenchModel {
    /// A model folder in Hugging Face's layout.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn open(folder: &Path) -> Result<Self, TrainError> {
        Ok(Self::Folder(Box::new(ModelFolder::open(folder)?)))
    }

    /// The sizes in a configuration of `bertkit finetune`, with the largest vocabulary that its tokenizer
    /// may have.
    ///
    /// # Errors
    /// The file cannot be read, has no sizes, or they are inconsistent.
    pub fn from_file(path: &Path) -> Result<Self, TrainError> {
        let config = FinetuneConfig::resolve_unchecked(Some(path), &[])?;
        let Some(fresh) = &config.model.fresh else {
            return Err(setting(
                format!("`{}` has no table `model.fresh`", path.display()),
                "give one with the sizes of an encoder, such as configs/models/mini.toml",
            ));
        };
        let padding = fresh.family.descriptor().pad_token_id();
        let config = fresh_config(fresh, config.tokenizer.vocab_size, padding)?;
        Ok(Self::Fresh(Box::new(config)))
    }

    /// The configuration of the encoder.
    pub fn config(&self) -> &EncoderConfig {
        match self {
            Self::Fresh(config) => config,
            Self::Folder(folder) => &folder.config,
        }
    }

    /// The same with another rate for every dropout.
    #[must_use]
    pub fn with_dropout(mut self, rate: f64) -> Self {
        let config = match &mut self {
            Self::Fresh(config) => config,
            Self::Folder(folder) => &mut folder.config,
        };
        config.hidden_dropout = rate;
        config.attention_dropout = rate;
        config.classifier_dropout = rate;
        self
    }

    /// The model with a head, on a device.
    fn build<H: Head>(&self, device: &Device) -> Result<Model<H>, TrainError> {
        match self {
            Self::Fresh(config) => Ok(quick(config, device)),
            Self::Folder(folder) => {
                // The folder may have another head; for timing, any head will do.
                let policy = HeadPolicy::Discard(SEED);
                let loaded = Model::load(folder, CLASSES, device, policy);
                Ok(loaded.map_err(ModelError::from)?.0)
            }
        }
    }
}

/// The settings of a benchmark.
#[derive(Debug, Clone, PartialEq)]
pub struct BenchOptions {
    /// What is benchmarked.
    pub work: Work,
    /// Tokens of each sequence of a batch.
    pub lengths: Vec<usize>,
    /// Untimed steps before the timed ones.
    pub warmup: usize,
    /// Timed steps.
    pub steps: usize,
    /// No step starts after this time, warm-up included; at least one step is timed.
    pub limit: Option<Duration>,
    /// The matmul precision, as in a run (without the loss scale of f16).
    pub precision: Precision,
    /// Whether to use gradient checkpointing, as in a run.
    pub recompute: bool,
}

/// The result of a benchmark.
#[derive(Debug, Clone, PartialEq)]
pub struct Measurement {
    /// Seconds of each timed step.
    pub seconds: Vec<f64>,
    /// Number of untimed steps.
    pub warmup: usize,
    /// Sequences per step.
    pub sequences: usize,
    /// Tokens per step.
    pub tokens: usize,
    /// Number of weights of encoder and head; 0 for [`Work::Gemm`].
    pub parameters: usize,
    /// Floating-point operations of the matrix products; only for [`Work::Gemm`].
    pub operations: Option<f64>,
    /// Bytes. On the CPU, the peak resident memory of this process, if the system reports it; on another device, the memory
    /// reserved on it at the end, none of which is released during the benchmark.
    pub peak_memory: Option<u64>,
}

impl Measurement {
    /// The median; the mean of the two middle values if their number is even.
    pub fn median(&self) -> f64 {
        let mut sorted = self.seconds.clone();
        sorted.sort_by(f64::total_cmp);
        let n = sorted.len();
        if n == 0 {
            f64::NAN
        } else {
            (sorted[(n - 1) / 2] + sorted[n / 2]) / 2.0
        }
    }
}

fn setting(message: impl Into<String>, hint: impl Into<String>) -> TrainError {
    TrainError::Setting {
        message: message.into(),
        hint: hint.into(),
    }
}

/// Runs a benchmark.
///
/// # Errors
/// The batch does not fit the model, the model cannot be loaded, the device lacks the precision, or the loss is not finite.
pub fn bench(
    model: &BenchModel,
    options: &BenchOptions,
    device: &ResolvedDevice,
) -> Result<Measurement, TrainError> {
    check(model.config(), options)?;
    let context =
        context(device, options.precision)?.with_gradient_checkpointing(options.recompute);
    if !is_cpu(&device.device) {
        // Release memory reserved by an earlier benchmark.
        device.device.memory_cleanup();
    }
    measure(model, options, device, context)
}

fn measure(
    model: &BenchModel,
    options: &BenchOptions,
    device: &ResolvedDevice,
    context: Context<'static>,
) -> Result<Measurement, TrainError> {
    let inputs = Inputs {
        lengths: &options.lengths,
        vocabulary: model.config().vocab_size,
    };
    let layers = model.config().spec().layer_depths();
    let plain = &device.device;
    let (parameters, operations, (seconds, warmup)) = match options.work {
        Work::Forward => {
            let model: SequenceModel = model.build(plain)?;
            let timed = time(options, |step| {
                // Reading the logits waits for an asynchronous device.
                to_vec(model.forward(&inputs.batch(step), context));
                Ok(())
            })?;
            (model.num_params(), None, timed)
        }
        Work::Train => {
            let model: SequenceModel = model.build(&plain.clone().autodiff())?;
            let parameters = model.num_params();
            let timed = train(options, model, &layers, context, |model, step, context| {
                let logits = model.forward(&inputs.batch(step), context);
                let classes: Vec<u32> = inputs.classes(step);
                class_loss(logits, &classes)
            })?;
            (parameters, None, timed)
        }
        Work::Mlm => {
            let model: MlmModel = model.build(&plain.clone().autodiff())?;
            let parameters = model.num_params();
            let timed = train(options, model, &layers, context, |model, step, context| {
                let batch = inputs.batch(step);
                let masked = inputs.masked(step);
                let targets: Vec<u32> = masked.iter().map(|&row| batch.input_ids[row]).collect();
                let hidden = model.encoder.forward(&batch, context);
                let rows = integers(masked.iter().map(|&row| row as u32), &hidden.device());
                let hidden = hidden.select(0, rows);
                let words = &model.encoder.embeddings.word;
                model.head.loss(hidden, words, targets, context) / masked.len() as f64
            })?;
            (parameters, None, timed)
        }
        Work::Gemm => {
            if !is_cpu(plain) {
                return Err(setting(
                    "the matrix products alone are timed on the CPU only",
                    "add [device=cpu]",
                ));
            }
            if options.precision != Precision::F32 {
                return Err(setting(
                    "the matrix products alone are timed in f32 only",
                    "leave [option.precision] out",
                ));
            }
            let layers = linear_products(model.config(), &options.lengths);
            let once =
                |(product, times): &(LinearProducts, usize)| product.operations() * *times as f64;
            let operations = layers.iter().map(once).sum();
            let timed = time(options, |_| {
                for (product, times) in &layers {
                    (0..*times).for_each(|_| product.run());
                }
                Ok(())
            })?;
            (0, Some(operations), timed)
        }
    };
    Ok(Measurement {
        seconds,
        warmup,
        sequences: options.lengths.len(),
        tokens: options.lengths.iter().sum(),
        parameters,
        operations,
        peak_memory: match is_cpu(plain) {
            true => peak_memory(),
            false => plain.memory_pool_usage().map(|pool| pool.bytes_reserved),
        },
    })
}

fn check(config: &EncoderConfig, options: &BenchOptions) -> Result<(), TrainError> {
    if options.lengths.is_empty() || options.lengths.contains(&0) || options.steps == 0 {
        return Err(setting(
            "there is nothing to time",
            "give lengths of at least one token, and at least one step",
        ));
    }
    let longest = options.lengths.iter().copied().max().unwrap_or(0);
    if longest > config.max_length() {
        return Err(setting(
            format!(
                "a sequence of {longest} tokens is longer than the {} that the model has positions for",
                config.max_length()
            ),
            "give shorter [option.lengths]",
        ));
    }
    let tokens = options
        .lengths
        .iter()
        .fold(0_usize, |sum, &length| sum.saturating_add(length));
    if tokens > MOST_TOKENS {
        return Err(setting(
            format!(
                "a batch of {tokens} tokens is more than the {MOST_TOKENS} that are timed at most"
            ),
            "give a smaller [option.batch], or shorter [option.lengths]",
        ));
    }
    if config.vocab_size <= FIRST_WORD as usize {
        return Err(setting(
            format!(
                "a vocabulary of {} words has none but special tokens",
                config.vocab_size
            ),
            "give a larger one",
        ));
    }
    Ok(())
}

/// Seconds of each step after the warm-up, and the number of warm-up steps.
fn time(
    options: &BenchOptions,
    mut step: impl FnMut(usize) -> Result<(), TrainError>,
) -> Result<(Vec<f64>, usize), TrainError> {
    let began = Instant::now();
    let late = || options.limit.is_some_and(|limit| began.elapsed() >= limit);
    let mut warmup = 0;
    while warmup < options.warmup && (warmup == 0 || !late()) {
        step(warmup)?;
        warmup += 1;
    }
    let mut seconds = Vec::with_capacity(options.steps);
    while seconds.len() < options.steps && (seconds.is_empty() || !late()) {
        let started = Instant::now();
        step(warmup + seconds.len())?;
        seconds.push(started.elapsed().as_secs_f64());
    }
    Ok((seconds, warmup))
}

/// Times optimizer updates as in a run.
fn train<M: Module>(
    options: &BenchOptions,
    model: M,
    layers: &LayerDepths,
    context: Context<'_>,
    loss: impl Fn(&M, usize, Context<'_>) -> Tensor<1>,
) -> Result<(Vec<f64>, usize), TrainError> {
    let config = FinetuneConfig::default().optimizer;
    let mut optimizer = AdamW::new(&config);
    let mut kept = Some(model);
    time(options, |step| {
        let Some(model) = kept.take() else {
            return Ok(());
        };
        let pass = TrainingPass::new(SEED, step as u64);
        let context = context.training(&pass);
        let loss = loss(&model, step, context);
        let value = loss.clone().inner();
        let mut gradients = GradientSum::default();
        context.backward(loss, |found| gradients.add(&model, found));
        // As in a run: everything that the host needs is read once, after the backward pass.
        let (gradients, value) = gradients.measured(vec![value]);
        let (value, norm) = (value[0], gradients.norm);
        let model = optimizer.step_by(model, gradients, config.learning_rate, |path| {
            param_group(path, layers, 1.0, false, 0)
        });
        if !value.is_finite() || !norm.is_finite() {
            return Err(setting(
                format!("the loss is {value} and the gradient norm {norm} at step {step}"),
                "time a model whose weights are numbers",
            ));
        }
        kept = Some(model);
        Ok(())
    })
}

/// Mean cross-entropy, `[1]`: logits `[n, c]`.
fn class_loss(logits: Tensor<2>, labels: &[u32]) -> Tensor<1> {
    let (device, n) = (logits.device(), labels.len());
    let labels = integers(labels.iter().copied(), &device);
    let weights = Tensor::ones([n], &device);
    ClassLoss::CROSS_ENTROPY
        .per_row(logits, labels, weights)
        .sum()
        / n as f64
}

fn integers(values: impl Iterator<Item = u32>, device: &Device) -> Tensor<1, Int> {
    let values: Vec<i32> = values.map(|value| value as i32).collect();
    let n = values.len();
    Tensor::from_data(TensorData::new(values, [n]), device)
}

/// The products of each linear layer of a sequence classifier, with their counts.
fn linear_products(config: &EncoderConfig, lengths: &[usize]) -> Vec<(LinearProducts, usize)> {
    let (h, f, e) = (
        config.hidden_size,
        config.intermediate_size,
        config.embedding_size,
    );
    let (n, b, layers) = (
        lengths.iter().sum(),
        lengths.len(),
        config.spec().blocks.len(),
    );
    let mut all = vec![
        (LinearProducts::new(n, h, 3 * h), layers),
        (LinearProducts::new(n, h, h), layers),
        (LinearProducts::new(n, h, f), layers),
        (LinearProducts::new(n, f, h), layers),
        // The pooler, or the dense layer of the head in families that have one.
        (LinearProducts::new(b, h, h), 1),
    ];
    if config.spec().embeddings.projection {
        all.push((LinearProducts::new(n, e, h), 1));
    }
    all
}

/// Numbered batches of random tokens: a function of the lengths and the vocabulary.
struct Inputs<'a> {
    lengths: &'a [usize],
    vocabulary: usize,
}

impl Inputs<'_> {
    /// Number `place` of stream `stream` of step `step`.
    fn number(stream: u64, step: usize, place: usize) -> u64 {
        mix(mix(mix(SEED ^ stream) ^ step as u64) ^ place as u64)
    }

    /// Tokens drawn uniformly.
    fn batch(&self, step: usize) -> Batch {
        let tokens = self.lengths.iter().sum();
        let words = self.vocabulary as u64 - u64::from(FIRST_WORD);
        let ids = (0..tokens).map(|t| FIRST_WORD + (Self::number(0, step, t) % words) as u32);
        Batch::new(ids.collect(), vec![0; tokens], self.lengths)
    }

    /// The class of each sequence.
    fn classes(&self, step: usize) -> Vec<u32> {
        (0..self.lengths.len())
            .map(|s| (Self::number(1, step, s) % CLASSES as u64) as u32)
            .collect()
    }

    /// Rows of 15 % of the tokens of each sequence, at least one, in ascending order.
    fn masked(&self, step: usize) -> Vec<usize> {
        let mut rows = Vec::new();
        let mut first = 0;
        for &length in self.lengths {
            let mut places: Vec<usize> = (first..first + length).collect();
            places.sort_by_key(|&place| Self::number(2, step, place));
            places.truncate((length * 15 / 100).max(1));
            places.sort_unstable();
            rows.extend(places);
            first += length;
        }
        rows
    }
}

/// The finalizer of SplitMix64 (Steele, Lea & Flood 2014) over a golden-ratio step.
const fn mix(x: u64) -> u64 {
    let z = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A model with weights that are fast to draw: uniform, with the standard deviation of fresh weights.
/// They serve only to compute with ordinary numbers.
fn quick<H: Head>(config: &EncoderConfig, device: &Device) -> Model<H> {
    struct Draw {
        half_width: f32,
        drawn: u64,
    }
    impl ModuleMapper for Draw {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            if D != 2 {
                return param;
            }
            self.drawn += 1;
            let stream = mix(self.drawn);
            let scale = self.half_width / (1_u64 << 23) as f32;
            let param = param.map(|tensor| {
                let shape = tensor.shape();
                let values: Vec<f32> = (0..shape.num_elements() as u64)
                    .map(|i| ((mix(stream ^ i) >> 40) as f32) * scale - self.half_width)
                    .collect();
                let device = tensor.device();
                Tensor::from_data(TensorData::new(values, shape), &device)
            });
            param.set_require_grad(true)
        }
    }
    Model::placeholder(config, CLASSES, device).map(&mut Draw {
        half_width: (config.initializer_range * 3.0_f64.sqrt()) as f32,
        drawn: 0,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use bertkit_model::Family;

    fn options(work: Work) -> BenchOptions {
        BenchOptions {
            work,
            lengths: vec![3, 9, 5],
            warmup: 1,
            steps: 2,
            limit: None,
            precision: Precision::F32,
            recompute: false,
        }
    }

    fn model() -> BenchModel {
        BenchModel::Fresh(Box::new(EncoderConfig::new(
            Family::default(),
            50,
            16,
            2,
            2,
            32,
        )))
    }

    fn cpu() -> ResolvedDevice {
        bertkit_model::DeviceSpec::Cpu.resolve().unwrap()
    }

    #[test]
    fn every_kind_of_work_times_as_many_steps_as_asked_for() {
        for work in Work::ALL {
            let found = bench(&model(), &options(work), &cpu()).unwrap();
            assert_eq!((found.seconds.len(), found.warmup), (2, 1), "{work:?}");
            assert_eq!((found.sequences, found.tokens), (3, 17));
            assert!(found.seconds.iter().all(|&s| s > 0.0) && found.median() > 0.0);
            assert_eq!(found.operations.is_some(), work == Work::Gemm);
        }
    }

    #[test]
    fn a_step_is_timed_in_another_precision_and_with_layers_computed_again() {
        for work in [Work::Forward, Work::Train, Work::Mlm] {
            let options = BenchOptions {
                precision: Precision::Bf16,
                recompute: true,
                ..options(work)
            };
            assert_eq!(bench(&model(), &options, &cpu()).unwrap().seconds.len(), 2);
        }
        for (work, precision, named) in [
            (Work::Gemm, Precision::Bf16, "[option.precision]"),
            (Work::Train, Precision::Tf32, "[precision=f32]"),
        ] {
            let options = BenchOptions {
                precision,
                ..options(work)
            };
            let error = bench(&model(), &options, &cpu()).unwrap_err();
            assert!(error.hint().unwrap().contains(named), "{error}");
        }
    }

    #[test]
    fn a_limit_leaves_one_step() {
        let options = BenchOptions {
            limit: Some(Duration::ZERO),
            warmup: 5,
            steps: 5,
            ..options(Work::Forward)
        };
        let found = bench(&model(), &options, &cpu()).unwrap();
        assert_eq!((found.warmup, found.seconds.len()), (1, 1));
    }

    #[test]
    fn batches_differ_from_step_to_step_and_mask_a_share_of_each_sequence() {
        let inputs = Inputs {
            lengths: &[40, 1, 7],
            vocabulary: 30,
        };
        assert_eq!(inputs.batch(3).input_ids, inputs.batch(3).input_ids);
        assert_ne!(inputs.batch(3).input_ids, inputs.batch(4).input_ids);
        assert!(
            inputs
                .batch(0)
                .input_ids
                .iter()
                .all(|&id| (5..30).contains(&id))
        );
        let masked = inputs.masked(0);
        assert_eq!(masked.len(), 6 + 1 + 1);
        assert_eq!(masked.iter().filter(|&&row| row < 40).count(), 6);
        assert_eq!(masked[6], 40);
    }

    #[test]
    fn a_sequence_without_a_position_is_refused() {
        let options = BenchOptions {
            lengths: vec![513],
            ..options(Work::Forward)
        };
        let error = bench(&model(), &options, &cpu()).unwrap_err();
        assert!(error.to_string().contains("513 tokens"), "{error}");
        assert!(error.hint().unwrap().contains("[option.lengths]"));
    }

    #[test]
    fn the_median_lies_in_the_middle() {
        let mut found = bench(&model(), &options(Work::Gemm), &cpu()).unwrap();
        found.seconds = vec![9.0, 1.0, 2.0];
        assert_eq!(found.median(), 2.0);
        found.seconds.push(4.0);
        assert_eq!(found.median(), 3.0);
    }
}
