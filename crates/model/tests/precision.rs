//! Products in a lower precision: near those of f32, with weights and gradients in f32.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use bertkit_model::ops::{AttentionPlan, Linear, attention, masked_lm};
use bertkit_model::{Context, Initializer, MatmulPrecision, Precision, Sequences, TrainingPass};
use burn::tensor::{DType, Device, FloatDType, Tensor, TensorData};

fn numbers<const D: usize>(shape: [usize; D], seed: u64, device: &Device) -> Tensor<D> {
    let n: usize = shape.iter().product();
    let values: Vec<f32> = (0..n as u64)
        .map(|i| ((i * 7919 + seed * 104_729) % 1999) as f32 / 999.5 - 1.0)
        .collect();
    Tensor::from_data(TensorData::new(values, shape), device)
}

fn values<const D: usize>(x: Tensor<D>) -> Vec<f32> {
    assert_eq!(x.dtype(), DType::F32);
    x.into_data().try_into_vec().unwrap()
}

/// The largest difference, in units of the largest number.
fn distance(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    let largest = b.iter().fold(0.0_f32, |m, x| m.max(x.abs()));
    let off = a
        .iter()
        .zip(b)
        .fold(0.0_f32, |m, (x, y)| m.max((x - y).abs()));
    off / largest
}

/// A layer's worth of operations, with gradients of inputs and weights.
fn block(precision: MatmulPrecision) -> Vec<Vec<f32>> {
    let device = Device::flex().autodiff();
    let x = numbers([9, 16], 1, &device).require_grad();
    let layer = Linear::new(16, 48, &mut Initializer::new(&device, 1, 0.3));
    let table = numbers([11, 16], 2, &device).require_grad();
    let bias = numbers([11], 3, &device).require_grad();
    let sequences = Sequences::from_lengths(&[4, 2, 3]);
    let pass = TrainingPass::new(3, 1);
    let context = Context::default()
        .with_matmul_precision(precision)
        .training(&pass);
    let plan = AttentionPlan::new(&sequences, &device, context);
    let mixed = attention(layer.forward(x.clone(), context), &plan, 2, 0.1, context);
    let loss = masked_lm(
        mixed,
        table.clone(),
        bias.clone(),
        vec![1, 2, 3, 4, 5, 6, 7, 8, 9],
        context,
    );
    let gradients = loss.backward();
    vec![
        values(loss),
        values(x.grad(&gradients).unwrap()),
        values(layer.weight.val().grad(&gradients).unwrap()),
        values(table.grad(&gradients).unwrap()),
        values(bias.grad(&gradients).unwrap()),
    ]
}

#[test]
fn losses_and_gradients_are_near_those_of_f32() {
    let exact = block(MatmulPrecision::Native);
    for (precision, tolerance) in [
        (MatmulPrecision::Rounded(FloatDType::BF16), 2e-2),
        (MatmulPrecision::Rounded(FloatDType::F16), 3e-3),
        (MatmulPrecision::Split, 2e-5),
    ] {
        for (i, (found, exact)) in block(precision).iter().zip(&exact).enumerate() {
            let off = distance(found, exact);
            assert!(off < tolerance, "{precision:?}, output {i}: {off}");
            if precision != MatmulPrecision::Split {
                assert!(
                    off > 0.0 || i == 0,
                    "{precision:?}, output {i} was not rounded"
                );
            }
        }
    }
}

#[test]
fn a_rounded_product_sums_up_in_f32() {
    // 1 + 1023 · 2⁻⁹ in bf16 would stop growing at 1; the sum in f32 is rounded once, at the end.
    let device = Device::flex();
    let n = 1024;
    let mut row = vec![2.0_f32.powi(-9); n];
    row[0] = 1.0;
    let a = Tensor::<2>::from_data(TensorData::new(row, [1, n]), &device);
    let layer = Linear::from_values(vec![1.0; n], vec![0.0], n, &device);
    let bf16 = MatmulPrecision::Rounded(FloatDType::BF16);
    let y = layer.forward(a, Context::default().with_matmul_precision(bf16));
    assert_eq!(values(y), [3.0]);
}

#[test]
fn the_cpu_has_all_but_tf32() {
    let device = Device::flex();
    assert_eq!(Precision::F32.on(&device), Ok(MatmulPrecision::Native));
    for (precision, dtype) in [
        (Precision::Bf16, FloatDType::BF16),
        (Precision::F16, FloatDType::F16),
    ] {
        assert_eq!(
            precision.on(&device.clone().autodiff()),
            Ok(MatmulPrecision::Rounded(dtype))
        );
    }
    let refused = Precision::Tf32.on(&device).unwrap_err().to_string();
    assert!(refused.contains("tensor cores"), "{refused}");
    for name in ["f32", "tf32", "bf16", "f16"] {
        assert_eq!(name.parse::<Precision>().unwrap().to_string(), name);
    }
    assert!("fp16".parse::<Precision>().is_err());
}
