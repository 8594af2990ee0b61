//! Every fused operation against its composed form: results and gradients, over random shapes.
#![allow(clippy::unwrap_used, missing_docs)]

use bertkit_model::ops::{
    AttentionPlan, EmbeddingIds, LayerNorm, Linear, attention, embed, fused_calls, masked_lm,
};
use bertkit_model::weights::to_vec;
use bertkit_model::{Activation, Context, Initializer, Sequences, TrainingPass};
use burn::module::{Param, ParamId};
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

/// As [`numbers`], with a deviation of at least 1 in every row: the gradient of LayerNorm is divided by
/// it, and its rounding with it.
fn spread(shape: [usize; 2], seed: u64, device: &Device) -> Tensor<2> {
    let x = numbers(shape, seed, device) * 0.3;
    let signs: Vec<f32> = (0..shape[0] * shape[1])
        .map(|i| {
            if (i % shape[1]).is_multiple_of(2) {
                3.0
            } else {
                -3.0
            }
        })
        .collect();
    let sum = x + Tensor::from_data(TensorData::new(signs, shape), device);
    Tensor::from_data(sum.into_data(), device)
}

/// A parameter of a layer, as an input whose gradient is compared too.
fn vector(x: &Tensor<2>) -> Tensor<1> {
    let [_, n] = x.dims();
    x.clone().reshape([n])
}

/// A layer of these weights (`[out, in]` and `[1, out]`).
fn layer(w: &Tensor<2>, b: &Tensor<2>) -> Linear {
    Linear {
        weight: Param::initialized(ParamId::new(), w.clone()),
        bias: Param::initialized(ParamId::new(), vector(b)),
    }
}

/// LayerNorm of this scale and shift (`[1, h]` each).
fn norm_of(gamma: &Tensor<2>, beta: &Tensor<2>) -> LayerNorm {
    LayerNorm {
        weight: Param::initialized(ParamId::new(), vector(gamma)),
        bias: Param::initialized(ParamId::new(), vector(beta)),
        epsilon: 1e-5,
    }
}

/// The result of `f` and the gradients of its inputs under a loss that weighs every element differently.
fn run(
    inputs: &[Tensor<2>],
    context: Context<'_>,
    f: impl Fn(&[Tensor<2>], Context<'_>) -> Tensor<2>,
) -> Vec<Vec<f32>> {
    let inputs: Vec<Tensor<2>> = inputs
        .iter()
        .map(|x| Tensor::from_data(x.clone().into_data(), &x.device()).require_grad())
        .collect();
    let y = f(&inputs, context);
    let weights = numbers(y.dims(), 99, &y.device());
    let gradients = (y.clone() * weights).sum().backward();
    let mut all = vec![to_vec(y)];
    all.extend(inputs.iter().map(|x| to_vec(x.grad(&gradients).unwrap())));
    all
}

fn compare(inputs: &[Tensor<2>], f: impl Fn(&[Tensor<2>], Context<'_>) -> Tensor<2>) {
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
    f: impl Fn(&[Tensor<2>], Context<'_>) -> Tensor<2>,
) -> (Vec<Vec<f32>>, Vec<Vec<f32>>) {
    let before = fused_calls();
    let context = Context::default();
    let fused = run(inputs, context, &f);
    assert!(fused_calls() > before, "the fused form did not run");
    (fused, run(inputs, context.with_composed_operations(), &f))
}

/// Rows of a small set of widths: those of vectors, one less, one more, and any.
fn widths() -> impl Strategy<Value = usize> {
    prop_oneof![1_usize..70, Just(16), Just(31), Just(64), Just(128)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn linear_agrees(rows in 1_usize..140, inputs in widths(), outputs in widths(), seed: u64) {
        let device = Device::flex().autodiff();
        let inputs = [
            numbers([rows, inputs], seed, &device),
            numbers([outputs, inputs], seed ^ 1, &device),
            numbers([1, outputs], seed ^ 2, &device),
        ];
        compare(&inputs, |x, context| layer(&x[1], &x[2]).forward(x[0].clone(), context));
    }

    #[test]
    fn linear_with_gelu_agrees(rows in 1_usize..140, inputs in widths(), outputs in widths(), seed: u64) {
        let device = Device::flex().autodiff();
        let inputs = [
            numbers([rows, inputs], seed, &device) * 0.3,
            numbers([outputs, inputs], seed ^ 1, &device) * 0.3,
            numbers([1, outputs], seed ^ 2, &device),
        ];
        compare(&inputs, |x, context| {
            layer(&x[1], &x[2]).forward_activated(x[0].clone(), Activation::Gelu, context)
        });
    }

    #[test]
    fn norm_alone_agrees(rows in 1_usize..140, width in 2_usize..70, seed: u64) {
        let device = Device::flex().autodiff();
        let inputs = [
            spread([rows, width], seed, &device),
            numbers([1, width], seed ^ 2, &device),
            numbers([1, width], seed ^ 3, &device),
        ];
        compare(&inputs, |x, context| norm_of(&x[1], &x[2]).forward(x[0].clone(), context));
    }

    #[test]
    fn linear_dropout_residual_and_norm_agree(
        rows in 1_usize..140,
        inputs in widths(),
        width in 2_usize..70,
        rate in 0.0..0.6_f64,
        seed: u64,
    ) {
        let device = Device::flex().autodiff();
        let inputs = [
            numbers([rows, inputs], seed, &device) * (0.2 / (inputs as f64).sqrt()),
            numbers([width, inputs], seed ^ 1, &device) * 0.3,
            numbers([1, width], seed ^ 2, &device) * 0.1,
            spread([rows, width], seed ^ 3, &device),
            numbers([1, width], seed ^ 4, &device),
            numbers([1, width], seed ^ 5, &device),
        ];
        compare(&inputs, |x, context| {
            let pass = TrainingPass::new(seed, 3);
            let context = context.training(&pass);
            let norm = norm_of(&x[4], &x[5]);
            layer(&x[1], &x[2]).forward_into_norm(x[0].clone(), x[3].clone(), &norm, rate, context)
        });
    }

    #[test]
    fn embeddings_agree(
        tokens in 1_usize..90,
        width in 2_usize..70,
        types in 0_usize..3,
        rate in 0.0..0.6_f64,
        seed: u64,
    ) {
        let device = Device::flex().autodiff();
        let (words, positions) = (23, 40);
        let ids = |n: usize, salt: u64| -> Vec<u32> {
            (0..tokens as u64).map(|i| (((i + salt).wrapping_mul(seed | 1) >> 7) % n.max(1) as u64) as u32).collect()
        };
        let ids = EmbeddingIds { words: ids(words, 0), positions: ids(positions, 5), types: ids(types, 9) };
        let mut inputs = vec![
            spread([words, width], seed, &device),
            numbers([positions, width], seed ^ 1, &device) * 0.05,
            numbers([1, width], seed ^ 4, &device),
            numbers([1, width], seed ^ 5, &device),
        ];
        if types > 0 {
            inputs.push(numbers([types, width], seed ^ 2, &device) * 0.05);
        }
        compare(&inputs, |x, context| {
            let pass = TrainingPass::new(seed, 3);
            let context = context.training(&pass);
            let norm = norm_of(&x[2], &x[3]);
            let table = x.get(4).cloned();
            embed(x[0].clone(), x[1].clone(), table, ids.clone(), &norm, rate, context)
        });
    }

    #[test]
    fn masked_lm_agrees(rows in 0_usize..60, width in 1_usize..70, words in 1_usize..300, seed: u64) {
        let device = Device::flex().autodiff();
        let targets: Vec<u32> = (0..rows as u64).map(|i| ((i.wrapping_mul(seed | 1) >> 9) % words as u64) as u32).collect();
        let inputs = [
            numbers([rows, width], seed, &device),
            numbers([words, width], seed ^ 1, &device) * 0.3,
            numbers([1, words], seed ^ 2, &device),
        ];
        prop_assume!(rows > 0);
        compare(&inputs, |x, context| {
            let loss = masked_lm(x[0].clone(), x[1].clone(), vector(&x[2]), targets.clone(), context);
            loss.reshape([1, 1]) * 0.5
        });
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
        compare(&[qkv], |x, context| {
            let pass = TrainingPass::new(seed, 3);
            let context = context.training(&pass);
            let plan = AttentionPlan::new(&sequences, &device, context);
            attention(x[0].clone(), &plan, heads, rate, context)
        });
    }
}

/// A vocabulary so large that the rows are taken in several blocks.
#[test]
fn masked_lm_agrees_over_blocks_of_rows() {
    let device = Device::flex().autodiff();
    let (rows, words, width) = (45, 400_000, 3);
    let targets: Vec<u32> = (0..rows as u32).map(|i| i * 8000 + 7).collect();
    let inputs = [
        numbers([rows, width], 3, &device),
        numbers([words, width], 4, &device) * 0.3,
        numbers([1, words], 5, &device),
    ];
    compare(&inputs, |x, context| {
        let loss = masked_lm(
            x[0].clone(),
            x[1].clone(),
            vector(&x[2]),
            targets.clone(),
            context,
        );
        loss.reshape([1, 1]) * 0.1
    });
}

/// Central differences in the direction of the gradient, in f32 and so only roughly.
#[test]
fn gradients_agree_with_finite_differences() {
    let device = Device::flex().autodiff();
    let sequences = Sequences::from_lengths(&[5, 3]);
    let f = |x: &[Tensor<2>], context: Context<'_>| {
        let pass = TrainingPass::new(1, 1);
        let context = context.training(&pass);
        let plan = AttentionPlan::new(&sequences, &device, context);
        attention(x[0].clone(), &plan, 2, 0.2, context)
    };
    let x = numbers([8, 24], 7, &device);
    let all = run(std::slice::from_ref(&x), Context::default(), f);
    let gradient = Tensor::<2>::from_data(TensorData::new(all[1].clone(), [8, 24]), &device);
    let step = 1e-2;
    let value = |sign: f64| {
        let y = f(
            &[x.clone() + gradient.clone() * (sign * step)],
            Context::default(),
        );
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
    let words = numbers([3000, 64], 8, &device);
    let bias = numbers([1, 3000], 9, &device);
    let targets: Vec<u32> = (0..sequences.tokens() as u32).map(|i| i * 7).collect();
    let all = || {
        run(
            &[qkv.clone(), words.clone()],
            Context::default(),
            |x, context| {
                let pass = TrainingPass::new(1, 1);
                let context = context.training(&pass);
                let plan = AttentionPlan::new(&sequences, &device, context);
                let ids = EmbeddingIds {
                    words: targets.clone(),
                    positions: sequences.positions(0),
                    types: Vec::new(),
                };
                let rows = embed(x[1].clone(), x[1].clone(), None, ids, &norm, 0.1, context);
                let mixed = attention(x[0].clone(), &plan, 4, 0.1, context) + rows;
                let wide = layer.forward_activated(mixed.clone(), Activation::Gelu, context);
                let hidden = layer.forward_into_norm(wide, mixed, &norm, 0.1, context);
                let loss = masked_lm(
                    hidden.clone(),
                    x[1].clone(),
                    vector(&bias),
                    targets.clone(),
                    context,
                );
                hidden * loss.reshape([1, 1])
            },
        )
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
