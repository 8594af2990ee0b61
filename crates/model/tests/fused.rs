//! Every fused operation against its composed form: results and gradients, over random shapes.
#![allow(clippy::unwrap_used, missing_docs)]

use bertkit_model::ops::{
    AttentionPlan, LayerNorm, Linear, add_dropout_norm, attention, dropout, fused_calls, gelu,
    with_composed,
};
use bertkit_model::weights::to_vec;
use bertkit_model::{DropoutStream, Initializer, Mode, Sequences};
use burn::tensor::{Device, Tensor, TensorData};
use proptest::prelude::*;

/// A tensor of numbers from about −3 to 3, a function of the seed.
fn numbers(shape: [usize; 2], seed: u64, device: &Device) -> Tensor<2> {
    let values: Vec<f32> = (0..shape[0] * shape[1])
        .map(|i| {
            let x = (i as u64 + 1)
                .wrapping_mul(seed | 1)
                .wrapping_mul(0x9e37_79b9_7f4a_7c15)
                >> 40;
            (x as f32 / (1 << 24) as f32 - 0.5) * 6.0
        })
        .collect();
    Tensor::from_data(TensorData::new(values, shape), device)
}

/// The result of `f` and the gradients of its inputs under a loss that weighs every element differently.
fn run(inputs: &[Tensor<2>], f: impl Fn(&[Tensor<2>]) -> Tensor<2>) -> Vec<Vec<f32>> {
    let inputs: Vec<Tensor<2>> = inputs.iter().map(|x| x.clone().require_grad()).collect();
    let y = f(&inputs);
    let weights = numbers(y.dims(), 99, &y.device());
    let gradients = (y.clone() * weights).sum().backward();
    let mut all = vec![to_vec(y)];
    all.extend(inputs.iter().map(|x| to_vec(x.grad(&gradients).unwrap())));
    all
}

fn compare(inputs: &[Tensor<2>], f: impl Fn(&[Tensor<2>]) -> Tensor<2>) {
    let (fused, composed) = both(inputs, f);
    for (i, (a, b)) in fused.iter().zip(&composed).enumerate() {
        let scale = b.iter().map(|x| x.abs()).fold(1.0, f32::max);
        let worst = a
            .iter()
            .zip(b)
            .map(|(a, b)| (a - b).abs())
            .fold(0.0, f32::max);
        assert!(
            worst <= 2e-5 * scale,
            "output {i} differs by {worst} of {scale}"
        );
        assert_eq!(a.len(), b.len());
    }
}

/// The results and gradients of the fused form, which must have run, and of the composed one.
fn both(
    inputs: &[Tensor<2>],
    f: impl Fn(&[Tensor<2>]) -> Tensor<2>,
) -> (Vec<Vec<f32>>, Vec<Vec<f32>>) {
    let before = fused_calls();
    let fused = run(inputs, &f);
    assert!(fused_calls() > before, "the fused form did not run");
    (fused, with_composed(|| run(inputs, &f)))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn linear_agrees(rows in 1_usize..40, inputs in 1_usize..70, outputs in 1_usize..70, seed: u64) {
        let device = Device::flex().autodiff();
        let layer = Linear::new(inputs, outputs, &mut Initializer::new(&device, seed, 0.5));
        compare(&[numbers([rows, inputs], seed, &device)], |x| layer.forward(x[0].clone()));
    }

    #[test]
    fn gelu_agrees(rows in 1_usize..30, width in 1_usize..70, seed: u64) {
        let device = Device::flex().autodiff();
        compare(&[numbers([rows, width], seed, &device)], |x| gelu(x[0].clone()));
    }

    #[test]
    fn dropout_residual_and_norm_agree(rows in 1_usize..140, width in 2_usize..70, rate in 0.0..0.6_f64, seed: u64) {
        let device = Device::flex().autodiff();
        let norm = LayerNorm::new(width, 1e-5, &mut Initializer::new(&device, seed, 0.5));
        let inputs = [numbers([rows, width], seed, &device), numbers([rows, width], seed ^ 5, &device)];
        let (fused, composed) = both(&inputs, |x| {
            let stream = DropoutStream::new(seed, 3);
            add_dropout_norm(x[0].clone(), x[1].clone(), &norm, rate, Mode::Training(&stream))
        });
        // Gradients are differences of numbers of up to 3, divided by the row's deviation: so is their
        // rounding, and rows of nearly equal values are held to that.
        let stream = DropoutStream::new(seed, 3);
        let sum = inputs[1].clone() + dropout(inputs[0].clone(), rate, Mode::Training(&stream));
        let sum = to_vec(sum);
        for (row, values) in sum.chunks(width).enumerate() {
            let mean = values.iter().sum::<f32>() / width as f32;
            let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f32>() / width as f32;
            let tolerance = 2e-5 * (3.0 / (variance + 1e-5).sqrt()).max(1.0);
            for (a, b) in fused.iter().zip(&composed) {
                for at in row * width..(row + 1) * width {
                    prop_assert!((a[at] - b[at]).abs() <= tolerance, "row {row}: {} {}, allowed {tolerance}", a[at], b[at]);
                }
            }
        }
    }

    #[test]
    fn attention_agrees(
        lengths in prop::collection::vec(0_usize..20, 1..6),
        heads in 1_usize..5,
        d in prop_oneof![1_usize..20, Just(64), Just(128)],
        rate in 0.0..0.6_f64,
        seed: u64,
    ) {
        prop_assume!(lengths.iter().sum::<usize>() > 0);
        let device = Device::flex().autodiff();
        let sequences = Sequences::from_lengths(&lengths);
        let qkv = numbers([sequences.tokens(), 3 * heads * d], seed, &device) * 0.5;
        let qkv = Tensor::from_data(qkv.into_data(), &device);
        compare(&[qkv], |x| {
            let stream = DropoutStream::new(seed, 3);
            let plan = AttentionPlan::new(&sequences, &device);
            attention(x[0].clone(), &plan, heads, rate, Mode::Training(&stream))
        });
    }
}

/// Central differences in the direction of the gradient, in f32 and so only roughly.
#[test]
fn gradients_agree_with_finite_differences() {
    let device = Device::flex().autodiff();
    let sequences = Sequences::from_lengths(&[5, 3]);
    let f = |x: &[Tensor<2>]| {
        let stream = DropoutStream::new(1, 1);
        let plan = AttentionPlan::new(&sequences, &device);
        attention(gelu(x[0].clone()), &plan, 2, 0.2, Mode::Training(&stream))
    };
    let x = numbers([8, 24], 7, &device);
    let all = run(std::slice::from_ref(&x), f);
    let gradient = Tensor::<2>::from_data(TensorData::new(all[1].clone(), [8, 24]), &device);
    let step = 1e-2;
    let value = |sign: f64| {
        let y = f(&[x.clone() + gradient.clone() * (sign * step)]);
        let weights = numbers(y.dims(), 99, &device);
        f64::from(to_vec((y * weights).sum())[0])
    };
    let slope = (value(1.0) - value(-1.0)) / (2.0 * step);
    let exact: f64 = all[1].iter().map(|&g| f64::from(g) * f64::from(g)).sum();
    assert!((slope - exact).abs() < 0.02 * exact, "{slope} {exact}");
}

#[test]
fn results_do_not_depend_on_the_number_of_threads() {
    let device = Device::flex().autodiff();
    let sequences = Sequences::from_lengths(&[90, 3, 40, 128]);
    let qkv = numbers([sequences.tokens(), 3 * 64], 3, &device);
    let norm = LayerNorm::new(64, 1e-12, &mut Initializer::new(&device, 1, 0.5));
    let layer = Linear::new(64, 64, &mut Initializer::new(&device, 1, 0.5));
    let all = || {
        run(std::slice::from_ref(&qkv), |x| {
            let stream = DropoutStream::new(1, 1);
            let mode = Mode::Training(&stream);
            let plan = AttentionPlan::new(&sequences, &device);
            let context = attention(x[0].clone(), &plan, 4, 0.1, mode);
            add_dropout_norm(
                gelu(layer.forward(context.clone())),
                context,
                &norm,
                0.1,
                mode,
            )
        })
    };
    let with = |threads| {
        rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap()
            .install(all)
    };
    let one = with(1);
    assert!(one == with(2) && one == with(5));
}
