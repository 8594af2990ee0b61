//! Real checkpoints reproduce what transformers computed with them (`expected.json` beside each).
//!
//! They are too large for the repository: `BERTKIT_MODELS_DIR` names a folder with them; without
//! it these tests say what they left out.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

use std::path::{Path, PathBuf};

use bertkit_model::heads::{MlmHead, PretrainingHead, SpanHead, TokenHead};
use bertkit_model::weights::to_vec;
use bertkit_model::{Batch, Context, Head, HeadPolicy, Model, ModelFolder};
use burn::tensor::{Device, Int, Tensor};
use serde_json::Value;

/// The first row of each sequence.
fn first_tokens(hidden: Tensor<2>, batch: &Batch) -> Tensor<2> {
    let rows: Vec<i32> = batch
        .sequences
        .first_rows()
        .into_iter()
        .map(|row| row as i32)
        .collect();
    let rows: Tensor<1, Int> = Tensor::from_ints(rows.as_slice(), &hidden.device());
    hidden.select(0, rows)
}

fn folder(name: &str) -> Option<PathBuf> {
    let found = std::env::var_os("BERTKIT_MODELS_DIR")
        .map(|dir| Path::new(&dir).join(name))
        .filter(|p| p.is_dir());
    if found.is_none() {
        println!("left out: no checkpoint {name} (set BERTKIT_MODELS_DIR to test it)");
    }
    found
}

fn cases(folder: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(folder.join("expected.json")).unwrap();
    let value: Value = serde_json::from_str(&text).unwrap();
    // The last entry sums up a measurement on a data set, and is no case.
    value["cases"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|case| case["input_ids"].is_array())
        .cloned()
        .collect()
}

fn load<H: Head>(folder: &Path, outputs: usize) -> Model<H> {
    let opened = ModelFolder::open(folder).unwrap();
    Model::load(&opened, outputs, &Device::flex(), HeadPolicy::Required)
        .unwrap()
        .0
}

fn batch(case: &Value) -> Batch {
    let ids: Vec<u32> = case["input_ids"]
        .as_array()
        .unwrap()
        .iter()
        .map(|v| v.as_u64().unwrap() as u32)
        .collect();
    let types = match case["token_type_ids"].as_array() {
        Some(types) => types.iter().map(|v| v.as_u64().unwrap() as u8).collect(),
        None => vec![0; ids.len()],
    };
    let n = ids.len();
    Batch::new(ids, types, &[n])
}

fn floats(value: &Value) -> Vec<f32> {
    value
        .as_array()
        .unwrap()
        .iter()
        .map(|v| v.as_f64().unwrap() as f32)
        .collect()
}

/// The recorded numbers have 5 decimals and are as large as 20.
fn near(what: &str, ours: &[f32], expected: &[f32]) {
    let worst = ours
        .iter()
        .zip(expected)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f32::max);
    assert!(worst < 2e-4, "{what} differs by {worst}");
}

fn check_mlm(case: &Value, logits: &[f32], vocabulary: usize) {
    let at = case["mask_pos"].as_u64().unwrap() as usize * vocabulary;
    let row = &logits[at..at + vocabulary];
    let key = if case["mask_logits_first16"].is_null() {
        "logits_first16"
    } else {
        "mask_logits_first16"
    };
    near("logits at the mask", row, &floats(&case[key]));
    if let Some(top) = case["top5"].as_array() {
        let mut order: Vec<usize> = (0..vocabulary).collect();
        order.sort_by(|&a, &b| row[b].total_cmp(&row[a]));
        let top: Vec<usize> = top.iter().map(|v| v.as_u64().unwrap() as usize).collect();
        assert_eq!(order[..5], top);
    }
}

#[test]
fn a_pretrained_bert_without_model_type_agrees_from_safetensors_and_from_an_old_pickle() {
    let Some(folder) = folder("rxnfp-bert-pretrained") else {
        return;
    };
    let pickled = tempfile::tempdir().unwrap();
    for name in ["config.json", "pytorch_model.bin"] {
        std::fs::copy(folder.join(name), pickled.path().join(name)).unwrap();
    }
    for source in [folder.as_path(), pickled.path()] {
        let model = load::<PretrainingHead>(source, 0);
        for case in cases(&folder) {
            let batch = batch(&case);
            let hidden = model.encoder.forward(&batch, Context::default());
            let words = model.head.mlm.forward(
                hidden.clone(),
                &model.encoder.embeddings.word,
                Context::default(),
            );
            check_mlm(&case, &to_vec(words), 591);
            if !case["nsp_logits"].is_null() {
                let context = Context::default();
                let pooled = model.encoder.pool(first_tokens(hidden, &batch), context);
                let next = model.head.next_sentence(pooled, context);
                near("next sentence", &to_vec(next), &floats(&case["nsp_logits"]));
            }
        }
    }
}

#[test]
fn a_roberta_with_its_position_offset_agrees() {
    let Some(folder) = folder("sapiens-vh-roberta-mlm") else {
        return;
    };
    let model = load::<MlmHead>(&folder, 0);
    let bias = to_vec(model.head.bias.val());
    for case in cases(&folder) {
        let logits = to_vec(model.forward(&batch(&case), Context::default()));
        // Position 0 of the sequence stands behind <s>.
        let at = (case["masked"].as_u64().unwrap() as usize + 1) * 25;
        // transformers 4.46, which recorded these numbers, lost `lm_head.bias` on loading a RoBERTa
        // whose file lacks the tied `lm_head.decoder.bias`; transformers 5 adds it, as we do.
        let without_bias: Vec<f32> = logits[at..at + 25]
            .iter()
            .zip(&bias)
            .map(|(l, b)| l - b)
            .collect();
        near(
            "logits at the mask",
            &without_bias,
            &floats(&case["logits"]),
        );
    }
}

#[test]
fn a_bert_with_gamma_and_beta_names_agrees() {
    let Some(folder) = folder("splade-tiny-bert-mlm") else {
        return;
    };
    let model = load::<MlmHead>(&folder, 0);
    for case in cases(&folder) {
        let logits = to_vec(model.forward(&batch(&case), Context::default()));
        near(
            "logits at [CLS]",
            &logits,
            &floats(&case["cls_logits_first16"]),
        );
        if !case["mask_pos"].is_null() {
            check_mlm(&case, &logits, 30522);
        }
    }
}

#[test]
fn a_tagger_and_a_question_answerer_agree() {
    if let Some(folder) = folder("derived-bert-tiny-ncbi-ner") {
        let model = load::<TokenHead>(&folder, 3);
        for case in cases(&folder) {
            let logits = to_vec(model.forward(&batch(&case), Context::default()));
            let expected: Vec<f32> = case["logits"]
                .as_array()
                .unwrap()
                .iter()
                .flat_map(floats)
                .collect();
            near("tag logits", &logits, &expected);
        }
    }
    if let Some(folder) = folder("derived-bert-tiny-xquad-qa") {
        let model = load::<SpanHead>(&folder, 0);
        for case in cases(&folder) {
            let hidden = model.encoder.forward(&batch(&case), Context::default());
            let (start, end) = model.head.forward(hidden, Context::default());
            near(
                "start logits",
                &to_vec(start),
                &floats(&case["start_logits"]),
            );
            near("end logits", &to_vec(end), &floats(&case["end_logits"]));
        }
    }
}

#[test]
fn an_albert_with_shared_layers_agrees() {
    let Some(folder) = folder("rxnmapper-albert-mlm") else {
        return;
    };
    let pickled = tempfile::tempdir().unwrap();
    for name in ["config.json", "pytorch_model.bin"] {
        std::fs::copy(folder.join(name), pickled.path().join(name)).unwrap();
    }
    for source in [folder.as_path(), pickled.path()] {
        let model = load::<MlmHead>(source, 0);
        for case in cases(&folder) {
            let logits = to_vec(model.forward(&batch(&case), Context::default()));
            check_mlm(&case, &logits, 591);
        }
    }
}
