//! Every operation of the encoder in its fused and its composed form, on the CPU in f32: the forward
//! pass alone, and with the backward pass (and the sum that this starts from).
//!
//! The sizes are those of MiniLM: rows of 384, 12 heads, feed-forward 1536. A uniform batch has 16
//! sequences of 128 tokens, a packed one 16 of 8 to 64.
//!
//! ```sh
//! cargo bench -p bertkit -p bertkit-model --bench operations -- attention
//! ```
#![allow(missing_docs)]

use std::fmt;

use bertkit_model::ops::{
    AttentionPlan, EmbeddingIds, LayerNorm, Linear, attention, dropout, embed, fused_calls,
    masked_lm,
};
use bertkit_model::{Activation, Context, Initializer, Sequences, TrainingPass};
use burn::tensor::{Device, Tensor, TensorData};
use divan::Bencher;

const H: usize = 384;
const WIDE: usize = 1536;
const HEADS: usize = 12;
const WORDS: usize = 30_522;
const ROWS: usize = 16 * 128;
const RATE: f64 = 0.1;
const PACKED: [usize; 16] = [8, 61, 33, 20, 47, 12, 64, 29, 38, 16, 55, 24, 41, 9, 50, 22];

/// An operation with its inputs made, ready to be run.
type Operation = Box<dyn Fn() -> Tensor<2>>;

/// Numbers from −1 to 1.
fn numbers(shape: [usize; 2], device: &Device) -> Tensor<2> {
    let values: Vec<f32> = (0..shape[0] * shape[1])
        .map(|i| {
            let bits = (i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
            bits as f32 / (1 << 23) as f32 - 1.0
        })
        .collect();
    Tensor::from_data(TensorData::new(values, shape), device)
}

/// Numbers that the backward pass goes to, where there is one.
fn input(shape: [usize; 2], device: &Device) -> Tensor<2> {
    let numbers = numbers(shape, device);
    if device.is_autodiff() {
        numbers.require_grad()
    } else {
        numbers
    }
}

fn weights(device: &Device) -> Initializer {
    Initializer::new(device, 1, 0.02)
}

fn words(n: usize) -> Vec<u32> {
    (0..n as u64)
        .map(|i| ((i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33) % WORDS as u64) as u32)
        .collect()
}

/// A form of an operation, and which passes are timed.
#[derive(Clone, Copy)]
struct Run {
    composed: bool,
    backward: bool,
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.composed { "composed" } else { "fused" })?;
        f.write_str(if self.backward {
            ", forward and backward"
        } else {
            ", forward"
        })
    }
}

const fn run(composed: bool, backward: bool) -> Run {
    Run { composed, backward }
}

const RUNS: [Run; 4] = [
    run(false, false),
    run(false, true),
    run(true, false),
    run(true, true),
];

fn main() {
    divan::main();
}

/// Times the operation that `make` gives for a device.
fn time(bencher: Bencher<'_, '_>, run: Run, make: impl Fn(&Device, Context<'static>) -> Operation) {
    let context = match run.composed {
        true => Context::default().with_composed_operations(),
        false => Context::default(),
    };
    let before = fused_calls();
    if run.backward {
        let operation = make(&Device::flex().autodiff(), context);
        bencher.bench_local(|| operation().sum().backward());
    } else {
        let operation = make(&Device::flex(), context);
        bencher.bench_local(operation);
    }
    assert_eq!(
        fused_calls() > before,
        !run.composed,
        "another form ran than was to be timed"
    );
}

#[divan::bench(name = "linear 2048 × 384 to 1152, f32, cpu", args = RUNS, sample_count = 20, max_time = 3)]
fn linear(bencher: Bencher<'_, '_>, run: Run) {
    time(bencher, run, |device, context| {
        let layer = Linear::new(H, 3 * H, &mut weights(device));
        let x = input([ROWS, H], device);
        Box::new(move || layer.forward(x.clone(), context))
    });
}

#[divan::bench(name = "linear and GELU 2048 × 384 to 1536, f32, cpu", args = RUNS, sample_count = 20, max_time = 3)]
fn linear_gelu(bencher: Bencher<'_, '_>, run: Run) {
    time(bencher, run, |device, context| {
        let layer = Linear::new(H, WIDE, &mut weights(device));
        let x = input([ROWS, H], device);
        Box::new(move || layer.forward_activated(x.clone(), Activation::Gelu, context))
    });
}

#[divan::bench(name = "linear, dropout, residual and LayerNorm 2048 × 1536 to 384, f32, cpu", args = RUNS, sample_count = 20, max_time = 3)]
fn linear_norm(bencher: Bencher<'_, '_>, run: Run) {
    time(bencher, run, |device, context| {
        let mut init = weights(device);
        let layer = Linear::new(WIDE, H, &mut init);
        let norm = LayerNorm::new(H, 1e-12, &mut init);
        let (x, residual) = (input([ROWS, WIDE], device), input([ROWS, H], device));
        Box::new(move || {
            let pass = TrainingPass::new(1, 0);
            layer.forward_into_norm(
                x.clone(),
                residual.clone(),
                &norm,
                RATE,
                context.training(&pass),
            )
        })
    });
}

#[divan::bench(name = "LayerNorm 2048 × 384, f32, cpu", args = RUNS, sample_count = 20, max_time = 3)]
fn norm(bencher: Bencher<'_, '_>, run: Run) {
    time(bencher, run, |device, context| {
        let norm = LayerNorm::new(H, 1e-12, &mut weights(device));
        let x = input([ROWS, H], device);
        Box::new(move || norm.forward(x.clone(), context))
    });
}

fn attend(bencher: Bencher<'_, '_>, run: Run, lengths: &[usize], rate: f64) {
    time(bencher, run, |device, context| {
        let sequences = Sequences::from_lengths(lengths);
        let plan = AttentionPlan::new(&sequences, device, context);
        let qkv = input([sequences.tokens(), 3 * H], device);
        Box::new(move || {
            let pass = TrainingPass::new(1, 0);
            attention(qkv.clone(), &plan, HEADS, rate, context.training(&pass))
        })
    });
}

#[divan::bench(name = "attention 16 × 128 tokens, 12 heads of 32, dropout 0, f32, cpu", args = RUNS, sample_count = 20, max_time = 3)]
fn attention_uniform_plain(bencher: Bencher<'_, '_>, run: Run) {
    attend(bencher, run, &[128; 16], 0.0);
}

#[divan::bench(name = "attention 16 × 128 tokens, 12 heads of 32, dropout 0.1, f32, cpu", args = RUNS, sample_count = 20, max_time = 3)]
fn attention_uniform(bencher: Bencher<'_, '_>, run: Run) {
    attend(bencher, run, &[128; 16], RATE);
}

#[divan::bench(name = "attention 16 sequences of 8 to 64 tokens, 12 heads of 32, dropout 0.1, f32, cpu", args = RUNS, sample_count = 20, max_time = 3)]
fn attention_packed(bencher: Bencher<'_, '_>, run: Run) {
    attend(bencher, run, &PACKED, RATE);
}

#[divan::bench(name = "embeddings 2048 × 384 of 30522 words, dropout 0.1, f32, cpu", args = RUNS, sample_count = 20, max_time = 3)]
fn embeddings(bencher: Bencher<'_, '_>, run: Run) {
    time(bencher, run, |device, context| {
        let mut init = weights(device);
        let (word, position) = (init.normal([WORDS, H]), init.normal([512, H]));
        let token_type = init.normal([2, H]);
        let norm = LayerNorm::new(H, 1e-12, &mut init);
        let ids = EmbeddingIds {
            words: words(ROWS),
            positions: (0..ROWS as u32).map(|row| row % 128).collect(),
            types: vec![0; ROWS],
        };
        Box::new(move || {
            let pass = TrainingPass::new(1, 0);
            embed(
                word.val(),
                position.val(),
                Some(token_type.val()),
                ids.clone(),
                &norm,
                RATE,
                context.training(&pass),
            )
        })
    });
}

/// Alone, dropout has one form; in the encoder it is part of the operations around it.
#[divan::bench(name = "dropout 2048 × 384, f32, cpu", sample_count = 20, max_time = 3)]
fn mask(bencher: Bencher<'_, '_>) {
    let x = numbers([ROWS, H], &Device::flex());
    bencher.bench_local(|| {
        let pass = TrainingPass::new(1, 0);
        dropout(x.clone(), RATE, Context::default().training(&pass))
    });
}

/// 15 % of 32 × 128 tokens, over BERT-mini's words.
#[divan::bench(name = "masked-LM loss 608 × 256 over 30522 words, f32, cpu", args = RUNS, sample_count = 20, max_time = 3)]
fn vocabulary_loss(bencher: Bencher<'_, '_>, run: Run) {
    let (rows, width) = (608, 256);
    time(bencher, run, |device, context| {
        let mut init = weights(device);
        let (table, bias) = (init.normal([WORDS, width]), init.zeros([WORDS]));
        let hidden = input([rows, width], device);
        Box::new(move || {
            masked_lm(
                hidden.clone(),
                table.val(),
                bias.val(),
                words(rows),
                context,
            )
            .unsqueeze()
        })
    });
}
