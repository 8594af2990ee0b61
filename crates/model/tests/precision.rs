//! Products in a lower precision: near those of f32, with weights and gradients in f32.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use bertkit_model::ops::{AttentionPlan, Linear, attention, masked_lm};
use bertkit_model::{
    DropoutStream, Initializer, Mode, Precision, Products, Sequences, with_products,
};
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
fn block(way: Products) -> Vec<Vec<f32>> {
    let device = Device::flex().autodiff();
    with_products(way, || {
        let x = numbers([9, 16], 1, &device).require_grad();
        let layer = Linear::new(16, 48, &mut Initializer::new(&device, 1, 0.3));
        let table = numbers([11, 16], 2, &device).require_grad();
        let bias = numbers([11], 3, &device).require_grad();
        let sequences = Sequences::from_lengths(&[4, 2, 3]);
        let plan = AttentionPlan::new(&sequences, &device);
        let stream = DropoutStream::new(3, 1);
        let mode = Mode::Training(&stream);
        let context = attention(layer.forward(x.clone()), &plan, 2, 0.1, mode);
        let loss = masked_lm(
            context,
            table.clone(),
            bias.clone(),
            vec![1, 2, 3, 4, 5, 6, 7, 8, 9],
        );
        let gradients = loss.backward();
        vec![
            values(loss),
            values(x.grad(&gradients).unwrap()),
            values(layer.weight.val().grad(&gradients).unwrap()),
            values(table.grad(&gradients).unwrap()),
            values(bias.grad(&gradients).unwrap()),
        ]
    })
}

#[test]
fn losses_and_gradients_are_near_those_of_f32() {
    let exact = block(Products::Plain);
    for (way, tolerance) in [
        (Products::Rounded(FloatDType::BF16), 2e-2),
        (Products::Rounded(FloatDType::F16), 3e-3),
        (Products::Split, 2e-5),
    ] {
        for (i, (found, exact)) in block(way).iter().zip(&exact).enumerate() {
            let off = distance(found, exact);
            assert!(off < tolerance, "{way:?}, output {i}: {off}");
            if way != Products::Split {
                assert!(off > 0.0 || i == 0, "{way:?}, output {i} was not rounded");
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
    let y = with_products(Products::Rounded(FloatDType::BF16), || layer.forward(a));
    assert_eq!(values(y), [3.0]);
}

#[test]
fn the_way_ends_with_its_scope_also_by_a_panic() {
    let device = Device::flex();
    let layer = Linear::new(8, 8, &mut Initializer::new(&device, 1, 0.3));
    let x = numbers([2, 8], 1, &device);
    let before = values(layer.forward(x.clone()));
    let bf16 = Products::Rounded(FloatDType::BF16);
    let _ = std::panic::catch_unwind(|| with_products(bf16, || panic!("on purpose")));
    assert_eq!(values(layer.forward(x)), before);
}

#[test]
fn the_cpu_has_all_but_tf32() {
    let device = Device::flex();
    assert_eq!(Precision::F32.on(&device), Ok(Products::Plain));
    for (precision, dtype) in [
        (Precision::Bf16, FloatDType::BF16),
        (Precision::F16, FloatDType::F16),
    ] {
        assert_eq!(
            precision.on(&device.clone().autodiff()),
            Ok(Products::Rounded(dtype))
        );
    }
    let refused = Precision::Tf32.on(&device).unwrap_err().to_string();
    assert!(refused.contains("tensor cores"), "{refused}");
    for name in ["f32", "tf32", "bf16", "f16"] {
        assert_eq!(name.parse::<Precision>().unwrap().to_string(), name);
    }
    assert!("fp16".parse::<Precision>().is_err());
}
