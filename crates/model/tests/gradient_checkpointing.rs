//! Gradient checkpointing gives the gradients of one graph, bit for bit on the CPU.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;

use bertkit_model::ops::fused_calls;
use bertkit_model::{Batch, Context, EncoderConfig, Family, MlmModel, Precision, TrainingPass};
use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Gradients, Tensor};

#[derive(Default)]
struct Sums {
    path: Vec<String>,
    found: Option<Gradients>,
    sums: BTreeMap<String, Vec<f32>>,
}

impl ModuleVisitor for Sums {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.into());
    }
    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let Some(gradient) = param.val().grad_remove(self.found.as_mut().unwrap()) else {
            return;
        };
        let values: Vec<f32> = gradient.into_data().try_into_vec().unwrap();
        let sum = self
            .sums
            .entry(self.path.join("."))
            .or_insert_with(|| vec![0.0; values.len()]);
        sum.iter_mut().zip(values).for_each(|(sum, x)| *sum += x);
    }
}

fn gradients(
    family: Family,
    checkpointing: bool,
    precision: Precision,
    chosen: bool,
) -> BTreeMap<String, Vec<f32>> {
    let device = Device::flex().autodiff();
    let mut config = EncoderConfig::new(family, 40, 16, 3, 2, 32);
    config.initializer_range = 0.2;
    let model = MlmModel::fresh(&config, 0, &device, 1);
    let ids: Vec<u32> = (0..9).map(|i| (i * 7 + 3) % 40).collect();
    let batch = Batch::new(ids, vec![0; 9], &[4, 2, 3]);
    let pass = TrainingPass::new(5, 2);
    let context = Context::default()
        .with_matmul_precision(precision.on(&device).unwrap())
        .with_gradient_checkpointing(checkpointing)
        .training(&pass);
    let mut sums = Sums::default();
    let hidden = if chosen {
        model.encoder.forward_rows(&batch, &[1, 4, 7], context)
    } else {
        model.encoder.forward(&batch, context)
    };
    let [rows, _] = hidden.dims();
    let targets = (0..rows as u32).collect();
    let loss = model
        .head
        .loss(hidden, &model.encoder.embeddings.word, targets, context);
    context.backward(loss, |found| {
        sums.found = Some(found);
        model.visit(&mut sums);
    });
    sums.sums
}

/// Calls `check` with the gradients of one graph and of checkpointed blocks, by path.
fn compare(family: Family, least: usize, check: impl Fn(&str, &[f32], &[f32])) {
    for precision in [Precision::F32, Precision::Bf16] {
        for chosen in [false, true] {
            let before = fused_calls();
            let whole = gradients(family, false, precision, chosen);
            let once = fused_calls() - before;
            let again = gradients(family, true, precision, chosen);
            assert!(
                fused_calls() - before > 2 * once,
                "nothing was computed again"
            );
            assert_eq!(
                whole.keys().collect::<Vec<_>>(),
                again.keys().collect::<Vec<_>>()
            );
            assert!(whole.len() > least, "{}", whole.len());
            for (path, gradient) in &whole {
                check(path, gradient, &again[path]);
            }
        }
    }
}

#[test]
fn gradients_are_those_of_one_graph_bit_for_bit() {
    compare(Family::Bert, 30, |path, whole, again| {
        assert!(whole == again, "{path}");
    });
}

/// Each block adds its part to the gradients of shared weights, in another order than one graph does.
#[test]
fn gradients_of_shared_blocks_are_summed_over_their_uses() {
    compare(Family::Albert, 15, |path, whole, again| {
        let largest = whole.iter().fold(0.0_f32, |most, x| most.max(x.abs()));
        for (a, b) in whole.iter().zip(again) {
            assert!((a - b).abs() <= 1e-5 * largest, "{path}: {a} and {b}");
        }
    });
}
