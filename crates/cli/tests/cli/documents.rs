//! Texts longer than the model's input, rows that form one document, and biological sequences.

use std::fs;
use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

use crate::harness::{refused, stdout_of, tiny};

/// Eight patients with three notes; only the last words of the longest note determine the label.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut notes = String::from("patient,note,label\n");
    let mut documents = String::from("text,label\n");
    for patient in 0..8 {
        let (end, label) = [("well", "home"), ("worse", "ward")][patient % 2];
        let filler = ["rest", "food", "walk", "sleep"][patient / 2];
        let long = format!("{filler} ").repeat(20) + end;
        notes += &format!(
            "p{patient},{filler} seen,{label}\np{patient},{long},{label}\np{patient},came in,{label}\n"
        );
        documents += &format!("{long},{label}\n");
    }
    fs::write(folder.path().join("notes.csv"), notes).unwrap();
    fs::write(folder.path().join("documents.csv"), documents).unwrap();
    folder
}

fn learning<'a>(config: &'a str, output: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let mut arguments = vec!["finetune", "--config", config];
    for setting in [
        "training.epochs=40",
        "optimizer.learning_rate=5e-3",
        "training.batch_size=4",
        "model.fresh.hidden_size=32",
        "model.fresh.intermediate_size=64",
        "model.fresh.hidden_dropout=0.0",
        "model.fresh.attention_dropout=0.0",
        "tokenizer.vocab_size=120",
    ] {
        arguments.extend(["--set", setting]);
    }
    arguments.extend(["--valid-fraction", "0", "--max-length", "8"]);
    arguments.extend(["--device", "cpu", "--output", output, "--quiet"]);
    arguments.extend(more);
    arguments
}

fn learn(folder: &Path, output: &str, more: &[&str]) -> String {
    stdout_of(folder, &learning(&tiny(), output, more))
}

fn accuracy(folder: &Path, arguments: &[&str]) -> (f64, Value) {
    let more = ["--json", "--quiet", "--bootstrap", "20"];
    let text = stdout_of(folder, &[&["eval"], arguments, &more].concat());
    let report: Value = serde_json::from_str(&text).unwrap();
    (
        report["metrics"]["accuracy"]["value"].as_f64().unwrap(),
        report,
    )
}

fn probabilities(folder: &Path, run: &str) -> Vec<f64> {
    let table = stdout_of(
        folder,
        &["predict", run, "--input", "documents.csv", "--quiet"],
    );
    let last = |line: &str| line.rsplit(',').next().unwrap().parse().unwrap();
    table.lines().skip(1).map(last).collect()
}

#[test]
fn what_stands_behind_the_longest_input_is_learnt_from_sections() {
    let folder = folder();
    let path = folder.path();
    let train = ["--train", "documents.csv"];
    for pool in ["max", "mean", "attention"] {
        learn(path, pool, &[&train[..], &["--pool", pool]].concat());
        assert_eq!(
            accuracy(path, &[pool, "--data", "documents.csv"]).0,
            1.0,
            "{pool}"
        );
        // The model folder alone predicts like the run.
        let model = format!("{pool}/model");
        assert_eq!(probabilities(path, pool), probabilities(path, &model));
    }
    // The first section does not contain the words that determine the label.
    learn(
        path,
        "first",
        &[
            &train[..],
            &["--pool", "first", "--set", "training.epochs=5"],
        ]
        .concat(),
    );
    let found = probabilities(path, "first");
    assert_eq!(found[0], found[1], "the first sections are the same");
}

#[test]
fn gradients_in_two_passes_are_those_of_one() {
    let folder = folder();
    let path = folder.path();
    for pool in ["max", "attention"] {
        let with = |output: &str, tokens: &str| {
            let more = [
                "--train",
                "documents.csv",
                "--pool",
                pool,
                "--piece-tokens",
                tokens,
            ];
            let short = ["--set", "training.epochs=5", "--section-overlap", "2"];
            learn(path, output, &[&more[..], &short].concat());
            probabilities(path, output)
        };
        let (one, two) = (format!("{pool}-one"), format!("{pool}-two"));
        let (whole, pieces) = (with(&one, "100000"), with(&two, "16"));
        for (whole, piece) in whole.iter().zip(&pieces) {
            assert!((whole - piece).abs() < 1e-4, "{pool}: {whole} and {piece}");
        }
    }
}

#[test]
fn rows_of_a_group_are_one_document_in_training_evaluation_and_prediction() {
    let folder = folder();
    let path = folder.path();
    let more = [
        "--train",
        "notes.csv",
        "--text",
        "note",
        "--group-by",
        "patient",
        "--sections",
        "lines",
    ];
    learn(path, "run", &more);
    let (accuracy, report) = accuracy(path, &["run", "--data", "notes.csv"]);
    assert_eq!((accuracy, &report["rows"]), (1.0, &8.into()));
    let rows = fs::read_to_string(path.join("run/eval/notes.predictions.jsonl")).unwrap();
    let first: Value = serde_json::from_str(rows.lines().next().unwrap()).unwrap();
    assert_eq!((&first["line"], &first["group"]), (&2.into(), &"p0".into()));
    let table = stdout_of(path, &["predict", "run", "--input", "notes.csv", "--quiet"]);
    let answers: Vec<&str> = table
        .lines()
        .skip(1)
        .map(|line| line.split(',').nth(3).unwrap())
        .collect();
    assert_eq!(answers.len(), 24);
    assert_eq!(
        answers[..6],
        ["home", "home", "home", "ward", "ward", "ward"]
    );
}

#[test]
fn documents_that_cannot_be_are_refused() {
    let folder = folder();
    let path = folder.path();
    let config = tiny();
    let with = |more: &[&'static str]| {
        [&["finetune", "--config", &config, "--output", "out"], more].concat()
    };
    let notes = ["--train", "notes.csv", "--text", "note"];
    refused(
        path,
        &with(&[&notes[..], &["--group-by", "patient", "--group", "patient"]].concat()),
        "data.group_by",
    );
    refused(
        path,
        &with(&[&notes[..], &["--group-by", "person"]].concat()),
        "person",
    );
    refused(
        path,
        &with(&[&notes[..], &["--pool", "max", "--text-pair", "patient"]].concat()),
        "data.text_pair",
    );
    refused(
        path,
        &with(&[&notes[..], &["--pool", "max", "--section-overlap", "400"]].concat()),
        "share 400 tokens",
    );
    fs::write(
        path.join("mixed.csv"),
        "patient,text,label\np,a,1\np,b,0\nq,c,0\n",
    )
    .unwrap();
    refused(
        path,
        &with(&["--train", "mixed.csv", "--group-by", "patient"]),
        "line 2 of `mixed.csv`",
    );
    assert!(!path.join("out").exists());
}

#[test]
fn sequences_of_nucleotides_are_learnt_from_fasta_files() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let record = |number: usize, motif: &str| {
        format!(">s{number} x\n{}\n{motif}\n", "ACGT".repeat(6 + number % 3))
    };
    let file = |motif: &str| {
        (0..8)
            .map(|number| record(number, motif))
            .collect::<String>()
    };
    fs::write(path.join("coding.fa"), file("GGGGGG")).unwrap();
    fs::write(path.join("long.fa"), file("TTTTTT")).unwrap();
    let data = "lncRNA=long.fa,mRNA=coding.fa";
    let more = [
        "--train",
        data,
        "--tokenizer",
        "kmer:3",
        "--pool",
        "max",
        "--positive",
        "lncRNA",
    ];
    learn(path, "run", &more);
    let (accuracy, report) = accuracy(path, &["run", "--data", data, "--name", "all"]);
    assert_eq!((accuracy, &report["rows"]), (1.0, &16.into()));
    let table = stdout_of(path, &["predict", "run", "--input", "long.fa", "--quiet"]);
    assert!(
        table.lines().skip(1).all(|line| line.contains(",lncRNA,")),
        "{table}"
    );
    fs::write(path.join("broken.fa"), ">a\nAC1T\n").unwrap();
    let config = tiny();
    let broken = [
        "finetune",
        "--config",
        &config,
        "--output",
        "out",
        "--train",
        "a=broken.fa,b=long.fa",
    ];
    refused(path, &broken, "line 2");
}
