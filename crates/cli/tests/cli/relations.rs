//! Relations between entities: BioBERT's files, anonymised entities, and markers missing from the vocabulary.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::harness::{golden_model, refused, stdout_of, tiny};

fn learn(folder: &Path, more: &[&str]) -> String {
    let tiny = tiny();
    let mut arguments = vec![
        "finetune",
        "--quiet",
        "--device",
        "cpu",
        "--valid-fraction",
        "0",
    ];
    if !more.contains(&"--model") {
        arguments.extend(["--config", &tiny]);
        for setting in [
            "model.fresh.hidden_size=32",
            "model.fresh.intermediate_size=64",
            "model.fresh.hidden_dropout=0.0",
            "tokenizer.vocab_size=120",
        ] {
            arguments.extend(["--set", setting]);
        }
    }
    arguments.extend([
        "--set",
        "training.epochs=30",
        "--set",
        "optimizer.learning_rate=5e-3",
    ]);
    arguments.extend(["--set", "training.batch_size=4"]);
    arguments.extend(more);
    stdout_of(folder, &arguments)
}

fn metric(folder: &Path, arguments: &[&str], name: &str) -> f64 {
    let more = ["--json", "--quiet", "--bootstrap", "0"];
    let text = stdout_of(folder, &[&["eval"], arguments, &more].concat());
    let report: Value = serde_json::from_str(&text).unwrap();
    report["metrics"][name]["value"].as_f64().unwrap()
}

#[test]
fn files_of_relations_are_read_with_and_without_a_header() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let sentence = |row: usize| match row % 2 {
        0 => format!("@GENE$ causes @DISEASE$ in {row} cases"),
        _ => format!("@GENE$ is seen without @DISEASE$ in {row} cases"),
    };
    let label = |row: usize| (row + 1) % 2;
    let train: String = (0..16)
        .map(|row| format!("{}\t{}\n", sentence(row), label(row)))
        .collect();
    let test: String = (0..8)
        .map(|row| format!("{row}\t{}\t{}\n", sentence(row), label(row)))
        .collect();
    fs::write(path.join("train.tsv"), train).unwrap();
    fs::write(
        path.join("test.tsv"),
        format!("index\tsentence\tlabel\n{test}"),
    )
    .unwrap();
    learn(
        path,
        &[
            "--train",
            "train.tsv",
            "--format",
            "relations",
            "--output",
            "run",
        ],
    );
    for name in ["f1", "precision", "recall", "specificity"] {
        assert_eq!(
            metric(path, &["run", "--data", "test.tsv"], name),
            1.0,
            "{name}"
        );
        assert_eq!(
            metric(path, &["run", "--data", "train.tsv"], name),
            1.0,
            "{name}"
        );
    }
    let table = stdout_of(path, &["predict", "run", "--input", "test.tsv", "--quiet"]);
    assert!(
        table.starts_with("index,sentence,label,prediction,"),
        "{table}"
    );
    refused(
        path,
        &["predict", "run", "--input", "test.tsv", "--format", "conll"],
        "conll",
    );
}

#[test]
fn entities_are_marked_by_columns_or_tags_and_their_markers_join_the_vocabulary() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    // A model with a vocabulary of 97 words and no markers.
    golden_model(&path.join("model"), "bert-sequence-3");
    // Only the position of the first entity distinguishes the labels.
    let mut table = String::from("text,start1,end1,start2,end2,label\n");
    for row in 0..16 {
        let places = [
            ("0,2,9,11", "up"),
            ("9,11,0,2", "down"),
            ("0,2,3,5", "near"),
            ("9,11,3,5", "far"),
        ];
        let (places, label) = places[row % 4];
        table += &format!("w1 w2 w{} w4,{places},{label}\n", row / 4 + 5);
    }
    fs::write(path.join("train.csv"), table).unwrap();
    let mut train = vec![
        "--train",
        "train.csv",
        "--output",
        "run",
        "--model",
        "model",
    ];
    train.extend(["--entities", "markers", "--average-over", "up,down"]);
    for setting in [
        "training.epochs=120",
        "model.hidden_dropout=0.0",
        "model.attention_dropout=0.0",
        "model.classifier_dropout=0.0",
    ] {
        train.extend(["--set", setting]);
    }
    learn(path, &train);
    let config = fs::read_to_string(path.join("run/model/config.json")).unwrap();
    let config: Value = serde_json::from_str(&config).unwrap();
    assert_eq!(config["vocab_size"], 101);
    assert_eq!(
        metric(path, &["run", "--data", "train.csv"], "f1_micro"),
        1.0
    );
    let answers = stdout_of(
        path,
        &[
            "predict",
            "run",
            "--quiet",
            "--text",
            "<e1>w1</e1> w2 w6 <e2>w4</e2>",
            "--text",
            "<e2>w1</e2> w2 w6 <e1>w4</e1>",
        ],
    );
    let answers: Vec<&str> = answers
        .lines()
        .map(|line| line.split('\t').next().unwrap())
        .collect();
    assert_eq!(answers, ["up", "down"]);
    refused(
        path,
        &["predict", "run", "--text", "<e1>w1 w2"],
        "cannot be marked",
    );
    fs::write(
        path.join("outside.csv"),
        "text,start1,end1,label\nw1,0,9,up\nw2,0,2,down\n",
    )
    .unwrap();
    refused(path, &["eval", "run", "--data", "outside.csv"], "line 2");
    let wrong = [
        "finetune",
        "--model",
        "model",
        "--train",
        "train.csv",
        "--output",
        "x",
        "--average-over",
        "sideways",
    ];
    refused(path, &wrong, "sideways");
}
