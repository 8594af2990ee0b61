//! Parity with `torch.optim.AdamW`, `clip_grad_norm_` and transformers' linear schedule: 12 updates.
//!
//! `BERTKIT_GOLDEN_DIR` names another folder of cases.
#![allow(clippy::unwrap_used, missing_docs)]

use std::path::{Path, PathBuf};

use bertkit_model::heads::SequenceHead;
use bertkit_model::losses::ClassLoss;
use bertkit_model::weights::{to_vec, visit};
use bertkit_model::{Batch, Context, HeadPolicy, LayerDepths, Model, ModelFolder, SequenceModel};
use bertkit_training::config::{OptimizerConfig, ScheduleConfig, ScheduleKind};
use bertkit_training::{AdamW, GradientSum, Length, Schedule, param_group};
use burn::tensor::{Device, Int, Tensor, TensorData};
use safetensors::SafeTensors;

fn folder() -> PathBuf {
    let cases = std::env::var_os("BERTKIT_GOLDEN_DIR").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../model/tests/golden/cases"),
        PathBuf::from,
    );
    cases.join("optimizer")
}

// Long because it replays one recorded trace from start to end.
#[test]
fn golden_optimizer_trace_agrees_in_rates_losses_norms_and_final_weights() {
    let folder = folder();
    let about: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(folder.join("case.json")).unwrap()).unwrap();
    let bytes = std::fs::read(folder.join("io.safetensors")).unwrap();
    let recorded = SafeTensors::deserialize(&bytes).unwrap();
    let ints = |name: &str| -> Vec<i64> {
        let tensor = recorded.tensor(name).unwrap();
        tensor
            .data()
            .chunks_exact(8)
            .map(|b| i64::from_le_bytes(b.try_into().unwrap()))
            .collect()
    };
    let number = |path: &str| about.pointer(path).unwrap().as_f64().unwrap();

    let device = Device::flex().autodiff();
    let opened = ModelFolder::open(&folder).unwrap();
    let (mut model, _) = SequenceModel::load(&opened, 3, &device, HeadPolicy::Required).unwrap();
    let steps = about["steps"].as_array().unwrap();
    let config = OptimizerConfig {
        learning_rate: number("/optimizer/lr"),
        beta1: number("/optimizer/betas/0"),
        beta2: number("/optimizer/betas/1"),
        epsilon: number("/optimizer/eps"),
        weight_decay: number("/optimizer/weight_decay"),
        max_grad_norm: number("/optimizer/clip_grad_norm"),
        layer_decay: 1.0,
        bias_correction: true,
    };
    let schedule = ScheduleConfig {
        kind: ScheduleKind::Linear,
        warmup: 0.0,
        warmup_steps: Some(number("/optimizer/warmup_steps") as u64),
        ..ScheduleConfig::default()
    };
    let schedule = Schedule::new(
        &schedule,
        config.learning_rate,
        Length::Steps(steps.len() as u64),
    );
    let mut optimizer = AdamW::new(&config);
    let tolerance = number("/tolerance/loss");

    for (i, step) in steps.iter().enumerate() {
        let ids = ints(&format!("step{i}.input_ids"));
        let mask = ints(&format!("step{i}.attention_mask"));
        let types = ints(&format!("step{i}.token_type_ids"));
        let labels = ints(&format!("step{i}.labels"));
        let length = ids.len() / labels.len();
        let kept: Vec<usize> = (0..ids.len()).filter(|&c| mask[c] == 1).collect();
        let lengths: Vec<usize> = mask
            .chunks(length)
            .map(|row| row.iter().filter(|&&m| m == 1).count())
            .collect();
        let batch = Batch::new(
            kept.iter().map(|&c| ids[c] as u32).collect(),
            kept.iter().map(|&c| types[c] as u8).collect(),
            &lengths,
        );
        let n = labels.len();
        let labels: Vec<i32> = labels.iter().map(|&l| l as i32).collect();
        let labels: Tensor<1, Int> = Tensor::from_data(TensorData::new(labels, [n]), &device);
        let weights = Tensor::ones([n], &device);
        let logits = model.forward(&batch, Context::default());
        let loss = ClassLoss::CROSS_ENTROPY
            .per_row(logits, labels, weights)
            .mean();

        let near = |what: &str, ours: f64, golden: f64, tolerance: f64| {
            assert!(
                (ours - golden).abs() <= tolerance,
                "{what} of step {i}: {ours}, golden {golden}"
            );
        };
        near(
            "loss",
            f64::from(to_vec(loss.clone())[0]),
            step["loss"].as_f64().unwrap(),
            tolerance,
        );
        let rate = schedule.rate(i as u64, 0.0);
        near("rate", rate, step["lr"].as_f64().unwrap(), 1e-12);
        let mut gradients = GradientSum::default();
        gradients.add(&model, loss.backward());
        let (moved, norm) = optimizer.step(model, gradients, rate, |path| {
            param_group(path, &LayerDepths::unshared(2), 1.0, false, 0)
        });
        model = moved;
        near(
            "norm",
            norm,
            step["grad_norm_before_clipping"].as_f64().unwrap(),
            1e-4,
        );
    }

    let naming = Model::<SequenceHead>::naming(&opened.config);
    let tolerance = number("/tolerance/final") as f32;
    let mut compared = 0;
    visit(&model, |path, _, values| {
        let parts = naming.parts(path);
        for (part, ours) in parts.iter().zip(values.chunks(values.len() / parts.len())) {
            let name = naming.full_name(part);
            let golden = recorded.tensor(&format!("final.{name}")).unwrap();
            let golden = golden
                .data()
                .chunks_exact(4)
                .map(|b| f32::from_le_bytes(b.try_into().unwrap()));
            let worst = ours
                .iter()
                .zip(golden)
                .map(|(a, b)| (a - b).abs())
                .fold(0.0, f32::max);
            assert!(worst <= tolerance, "{name} differs by {worst:e}");
            compared += 1;
        }
    });
    let all = recorded
        .names()
        .into_iter()
        .filter(|name| name.starts_with("final."))
        .count();
    assert_eq!(compared, all);
}
