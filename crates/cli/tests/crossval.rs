//! `bertkit crossval`: folds, seeds, resuming, and what cannot be divided.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// Exit code, standard output and standard error.
fn bertkit(folder: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_bertkit"))
        .args(arguments)
        .current_dir(folder)
        .env_remove("RUST_BACKTRACE")
        .env_remove("COLUMNS")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    (
        output.status.code(),
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

#[track_caller]
fn succeeds(folder: &Path, arguments: &[&str]) -> String {
    let (code, out, err) = bertkit(folder, arguments);
    assert_eq!(code, Some(0), "{err}");
    out
}

#[track_caller]
fn refused(folder: &Path, arguments: &[&str], part: &str) {
    let (code, out, err) = bertkit(folder, arguments);
    assert_eq!((code, out.as_str()), (Some(2), ""), "{err}");
    assert!(
        err.contains("\nhint: ") || err.contains("'--help'"),
        "{err}"
    );
    assert!(err.contains(part), "expected `{part}`: {err}");
}

/// Twenty-four rows of two classes and six speakers; one row more has no label.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut table = String::from("id,speaker,text,label\n");
    for row in 0..24 {
        let (word, label) = [("good", "yes"), ("bad", "no")][row % 2];
        table += &format!(
            "{row},s{},\"{word}, it is {}\",{label}\n",
            row / 4,
            ["so", "here", "now"][row % 3]
        );
    }
    fs::write(folder.path().join("rows.csv"), table + "24,s9,nothing,\n").unwrap();
    folder
}

fn tiny() -> String {
    let path: PathBuf =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs/models/tiny.toml");
    path.to_str().unwrap().to_owned()
}

fn arguments<'a>(config: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let mut arguments = vec!["crossval", "--config", config, "--device", "cpu", "--quiet"];
    for setting in [
        "training.epochs=8",
        "optimizer.learning_rate=5e-3",
        "training.batch_size=4",
        "model.fresh.hidden_size=16",
        "model.fresh.intermediate_size=32",
        "tokenizer.vocab_size=60",
    ] {
        arguments.extend(["--set", setting]);
    }
    arguments.extend(["--valid-fraction", "0", "--bootstrap", "20"]);
    arguments.extend(more);
    arguments
}

#[test]
fn every_row_is_held_out_once_and_groups_stay_whole() {
    let folder = folder();
    let path = folder.path();
    let config = tiny();
    let more = [
        "--train", "rows.csv", "--group", "speaker", "--folds", "3", "--output", "runs",
    ];
    let text = succeeds(path, &arguments(&config, &more));
    for part in ["fold-1", "fold-3", "mean", "sd", "interval", "all rows"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let rows = fs::read_to_string(path.join("runs/predictions.jsonl")).unwrap();
    let rows: Vec<Value> = rows
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let lines: Vec<u64> = rows
        .iter()
        .map(|row| row["line"].as_u64().unwrap())
        .collect();
    assert_eq!(lines, (2..26).collect::<Vec<_>>());
    // The four rows of a speaker are held out by one fold.
    for speaker in rows.chunks(4) {
        assert!(speaker.iter().all(|row| row["fold"] == speaker[0]["fold"]));
    }
    let all: Value =
        serde_json::from_str(&fs::read_to_string(path.join("runs/crossval.json")).unwrap())
            .unwrap();
    assert_eq!(all["runs"].as_array().unwrap().len(), 3);
    assert_eq!(all["pooled"][0]["rows"], 24);
    let mean = all["across"]["accuracy"]["mean"].as_f64().unwrap();
    let each = all["runs"].as_array().unwrap().iter();
    let sum: f64 = each
        .map(|run| {
            run["report"]["metrics"]["accuracy"]["value"]
                .as_f64()
                .unwrap()
        })
        .sum();
    assert!((mean - sum / 3.0).abs() < 1e-12);
}

#[test]
fn finished_runs_are_left_alone_and_the_rest_is_made() {
    let folder = folder();
    let path = folder.path();
    let config = tiny();
    let more = [
        "--train", "rows.csv", "--folds", "2", "--seeds", "2", "--output", "runs",
    ];
    let whole = succeeds(path, &arguments(&config, &more));
    refused(path, &arguments(&config, &more), "not empty");
    // As if it had been stopped before the last run.
    fs::remove_dir_all(path.join("runs/fold-2-seed-43")).unwrap();
    fs::remove_file(path.join("runs/crossval.json")).unwrap();
    let kept = path.join("runs/fold-1-seed-42/model/model.safetensors");
    let before = fs::metadata(&kept).unwrap().modified().unwrap();
    let again = succeeds(
        path,
        &arguments(&config, &[&more[..], &["--resume"]].concat()),
    );
    assert_eq!(whole, again);
    assert_eq!(fs::metadata(&kept).unwrap().modified().unwrap(), before);
}

#[test]
fn seeds_repeat_a_run_on_one_split_for_every_task() {
    let folder = folder();
    let path = folder.path();
    let config = tiny();
    let table = fs::read_to_string(path.join("rows.csv")).unwrap();
    fs::write(path.join("test.csv"), table).unwrap();
    let more = [
        "--train", "rows.csv", "--test", "test.csv", "--seeds", "2", "--output", "runs", "--json",
    ];
    let all: Value = serde_json::from_str(&succeeds(path, &arguments(&config, &more))).unwrap();
    assert_eq!(all["runs"][1]["name"], "seed-43");
    assert_eq!(all["across"]["f1"]["count"], 2);
    assert!(path.join("runs/seed-42/model/config.json").is_file());
    let words: String = (0..12)
        .map(|n| format!("Ann\tB-PER\nsaw\tO\nplace{n}\tO\n\n"))
        .collect();
    fs::write(path.join("words.conll"), words).unwrap();
    let more = [
        "--task",
        "ner",
        "--train",
        "words.conll",
        "--folds",
        "2",
        "--output",
        "names",
        "--json",
    ];
    let all: Value = serde_json::from_str(&succeeds(path, &arguments(&config, &more))).unwrap();
    assert_eq!(all["runs"][0]["report"]["task"], "entities");
    let rows = fs::read_to_string(path.join("names/predictions.jsonl")).unwrap();
    let first: Value = serde_json::from_str(rows.lines().next().unwrap()).unwrap();
    assert_eq!((rows.lines().count(), &first["line"]), (12, &1.into()));
}

#[test]
fn what_cannot_be_divided_is_refused() {
    let folder = folder();
    let path = folder.path();
    let config = tiny();
    let with = |more: &[&'static str]| {
        let base = ["--train", "rows.csv", "--output", "out"];
        arguments(&config, &[&base[..], more].concat())
    };
    refused(path, &with(&["--folds", "30"]), "24");
    refused(path, &with(&["--folds", "7", "--group", "speaker"]), "6");
    refused(path, &with(&["--folds", "1"]), "--folds");
    refused(path, &with(&[]), "nothing to evaluate on");
    refused(
        path,
        &with(&["--folds", "3", "--test", "rows.csv"]),
        "--test",
    );
    refused(
        path,
        &with(&["--folds", "3", "--group", "person"]),
        "person",
    );
    fs::create_dir(path.join("full")).unwrap();
    fs::write(path.join("full/mine.txt"), "x").unwrap();
    let more = [
        "--train",
        "rows.csv",
        "--folds",
        "3",
        "--output",
        "full",
        "--overwrite",
    ];
    refused(path, &arguments(&config, &more), "holds no runs");
    assert!(path.join("full/mine.txt").is_file());
}
