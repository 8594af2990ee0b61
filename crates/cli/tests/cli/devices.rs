//! Devices: listed without being started, rejected before any data is read, and trained on.

use std::fs;
use std::path::Path;

use serde_json::Value;
use snapbox::{assert_data_eq, file};

use crate::harness::{Run, bertkit, command, finish, one_error, stdout_of, succeeds};

/// The output of `bertkit devices --json`.
fn listed() -> Value {
    serde_json::from_str(&stdout_of(Path::new("."), &["devices", "--json"])).unwrap()
}

fn has(backend: &str) -> bool {
    let devices = listed();
    let mut devices = devices["devices"].as_array().unwrap().iter();
    devices.any(|device| device["backend"] == backend)
}

#[test]
fn the_help_page_is_as_documented() {
    let page = stdout_of(Path::new("."), &["devices", "--help"]);
    assert_data_eq!(page, file!["snapshots/devices.txt"].raw());
}

#[test]
fn the_cpu_is_always_listed_and_the_table_says_what_auto_takes() {
    let devices = listed();
    let first = &devices["devices"][0];
    assert_eq!(
        (&first["device"], &first["precisions"][0]),
        (&"cpu".into(), &"f32".into())
    );
    let Run {
        out: table, err, ..
    } = succeeds(Path::new("."), &["devices"]);
    assert!(table.starts_with("device  name"), "{table}");
    let auto = devices["auto"].as_str().unwrap();
    assert!(
        table.contains(&format!("--device auto takes {auto}\n")),
        "{table}"
    );
    assert!(err.is_empty(), "{err}");
}

#[test]
fn a_device_that_is_not_there_is_told_before_any_data_is_read() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("rows.csv"), "text,label\na,x\nb,y\n").unwrap();
    // The files do not exist either, but the device is checked first.
    let model = ["--model", "absent", "--output", "run"];
    let finetune = [&["finetune", "--train", "absent.csv"][..], &model].concat();
    let pretrain = [
        &["pretrain", "--corpus", "absent", "--objective", "mlm"][..],
        &model,
    ]
    .concat();
    let crossval = [
        &["crossval", "--folds", "2", "--train", "rows.csv"][..],
        &model,
    ]
    .concat();
    let bench = ["bench", "--model", "absent"];
    for device in ["wgpu:99", "cuda:99"] {
        let commands: [&[&str]; 4] = [&finetune, &pretrain, &crossval, &bench];
        for command in commands {
            let arguments = [command, &["--device", device]].concat();
            let Run { code, out, err } = bertkit(folder.path(), &arguments);
            assert_eq!((code, out.as_str()), (Some(2), ""), "{arguments:?}: {err}");
            let first = err.lines().next().unwrap();
            assert!(
                first.starts_with("error: ") && first.contains(device),
                "{arguments:?}: {err}"
            );
            assert!(
                err.contains("\nhint: ") && err.lines().count() == 3,
                "{err}"
            );
            assert!(!folder.path().join("run").exists());
        }
    }
}

#[test]
fn a_device_that_does_not_start_gives_one_error_and_no_panic() {
    if !has("wgpu") {
        println!("left out: there is no adapter of wgpu here");
        return;
    }
    // Burn's device thread rejects this number and panics.
    let arguments = [
        "bench",
        "--size",
        "tiny",
        "--lengths",
        "4",
        "--device",
        "wgpu",
    ];
    let mut broken = command(Path::new("."), &arguments);
    let broken = broken.env("CUBECL_WGPU_MAX_TASKS", "0");
    let run = finish(broken.spawn().unwrap());
    one_error(&run, 1, "is listed but does not compute");
    let err = run.err;
    assert!(err.starts_with("error: the device `wgpu:0"), "{err}");
    assert!(err.contains("\nhint: ") && !err.contains("panic"), "{err}");
}

/// A few steps from fresh weights on the first wgpu adapter, which may be a software one. The model is minimal, since
/// most of the time goes into compiling shaders.
#[test]
fn fine_tuning_on_wgpu_lowers_the_loss_and_its_model_answers_as_on_the_cpu() {
    if !has("wgpu") {
        println!("left out: there is no adapter of wgpu here");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let rows: String = (0..32)
        .map(|i| match i % 2 {
            0 => "a good and bright day,yes\n",
            _ => "the dark bad night,no\n",
        })
        .collect();
    fs::write(
        folder.path().join("rows.csv"),
        format!("text,label\n{rows}"),
    )
    .unwrap();
    let mut arguments = vec![
        "finetune", "--train", "rows.csv", "--output", "run", "--device", "wgpu",
    ];
    arguments.extend([
        "--epochs",
        "4",
        "--batch-size",
        "8",
        "--learning-rate",
        "1e-2",
    ]);
    arguments.extend(["--valid-fraction", "0", "--seed", "1"]);
    for size in [
        "tokenizer.vocab_size=60",
        "model.fresh.num_hidden_layers=1",
        "model.fresh.hidden_size=32",
        "model.fresh.num_attention_heads=2",
        "model.fresh.intermediate_size=64",
        "model.fresh.max_position_embeddings=16",
        "model.hidden_dropout=0",
        "model.attention_dropout=0",
        "model.classifier_dropout=0",
    ] {
        arguments.extend(["--set", size]);
    }
    succeeds(folder.path(), &arguments);
    let run = folder.path().join("run");
    let environment = fs::read_to_string(run.join("environment.json")).unwrap();
    assert!(
        environment.contains("\"device\": \"wgpu:0, "),
        "{environment}"
    );
    let losses_of = |run: &Path| -> Vec<f64> {
        fs::read_to_string(run.join("metrics.jsonl"))
            .unwrap()
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap())
            .filter(|line| line["split"] == "train" && line["name"] == "loss")
            .map(|line| line["value"].as_f64().unwrap())
            .collect()
    };
    let losses = losses_of(&run);
    let (first, last) = (losses[0], losses[losses.len() - 1]);
    println!("{} steps: loss {first:.4} to {last:.4}", losses.len());
    assert!(last < 0.7 * first, "{losses:?}");

    // The same batches in two halves, on two replicas on the same adapter. Shaders are compiled by now.
    let halves = arguments.iter().map(|&word| match word {
        "run" => "halves",
        "wgpu" => "wgpu:0,wgpu:0",
        word => word,
    });
    let halves: Vec<&str> = halves.chain(["--profile"]).collect();
    let out = stdout_of(folder.path(), &halves);
    assert!(out.contains("\nexchange "), "{out}");
    for (whole, halves) in losses.iter().zip(losses_of(&folder.path().join("halves"))) {
        assert!((whole - halves).abs() <= 1e-3, "{whole} and {halves}");
    }

    let predict = |device: &str| -> Vec<f64> {
        let mut arguments = vec!["predict", "run", "--device", device];
        arguments.extend(["--text", "a good day", "--text", "the bad night"]);
        let table = stdout_of(folder.path(), &arguments);
        let fields = |line: &str| line.split('\t').nth(1).unwrap().parse().unwrap();
        table.lines().map(fields).collect()
    };
    for (cpu, wgpu) in predict("cpu").into_iter().zip(predict("wgpu")) {
        assert!((cpu - wgpu).abs() <= 1e-4, "{cpu} and {wgpu}");
    }
}

#[test]
fn a_micro_batch_is_found_by_trials_and_told() {
    let folder = tempfile::tempdir().unwrap();
    let rows: String = (0..8).map(|i| format!("text {i},{}\n", i % 2)).collect();
    fs::write(
        folder.path().join("rows.csv"),
        format!("text,label\n{rows}"),
    )
    .unwrap();
    let mut common = vec!["--train", "rows.csv", "--valid-fraction", "0"];
    common.extend(["--device", "cpu,cpu", "--batch-size", "4", "--epochs", "1"]);
    common.extend(["--set", "tokenizer.vocab_size=60"]);
    for size in [
        "num_hidden_layers=1",
        "hidden_size=32",
        "num_attention_heads=2",
        "intermediate_size=64",
        "max_position_embeddings=16",
    ] {
        common.push("--set");
        common.push(Box::leak(format!("model.fresh.{size}").into_boxed_str()));
    }
    let run = |words: &[&str]| succeeds(folder.path(), &[words, &common].concat());
    let err = run(&["finetune", "--output", "run", "--micro-batch", "auto"]).err;
    let note = "note: micro-batch: all 4 rows of a batch fit into memory\n";
    assert!(err.contains(note), "{err}");
    let config = fs::read_to_string(folder.path().join("run/config.toml")).unwrap();
    assert!(config.contains("micro_batch = 4"), "{config}");

    let run = run(&[
        "crossval",
        "--folds",
        "2",
        "--output",
        "folds",
        "--micro-batch",
        "auto",
    ]);
    assert!(run.err.contains(note), "{}", run.err);
}
