//! `bertkit crossval`: folds, seeds, resuming, and data that cannot be divided.

use std::fs;
use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

use crate::harness::{Run, bertkit, command, finish, refused, signal, stdout_of, tiny};

/// Twenty-four rows of two classes and six speakers, and one row without a label.
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
    let text = stdout_of(path, &arguments(&config, &more));
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
    // The four rows of a speaker are held out by the same fold, and are drawn together.
    for speaker in rows.chunks(4) {
        assert!(speaker.iter().all(|row| row["run"] == speaker[0]["run"]));
    }
    let all: Value =
        serde_json::from_str(&fs::read_to_string(path.join("runs/crossval.json")).unwrap())
            .unwrap();
    assert_eq!(all["runs"].as_array().unwrap().len(), 3);
    assert_eq!(all["pooled"][0]["report"]["rows"], 24);
    assert_eq!(all["pooled"][0]["report"]["bootstrap"]["groups"], 6);
    // The training rows of a run are not evaluated by it.
    let summary = fs::read_to_string(path.join("runs/fold-1/config.toml")).unwrap();
    assert!(summary.contains("[data.fold]"), "{summary}");
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
    let whole = stdout_of(path, &arguments(&config, &more));
    refused(path, &arguments(&config, &more), "not empty");
    // As if it had been stopped before the last run.
    fs::remove_dir_all(path.join("runs/fold-2-seed-43")).unwrap();
    let result = fs::read(path.join("runs/crossval.json")).unwrap();
    fs::remove_file(path.join("runs/crossval.json")).unwrap();
    let kept = path.join("runs/fold-1-seed-42/model/model.safetensors");
    let before = fs::metadata(&kept).unwrap().modified().unwrap();
    let resume = ["crossval", "--resume", "--output", "runs", "--quiet"];
    let again = stdout_of(path, &resume);
    assert_eq!(whole, again);
    assert_eq!(fs::read(path.join("runs/crossval.json")).unwrap(), result);
    assert_eq!(fs::metadata(&kept).unwrap().modified().unwrap(), before);
    let other = [&resume[..], &["--folds", "3"]].concat();
    refused(path, &other, "`folds` was 2 and is 3 now");
    refused(
        path,
        &[&resume[..], &["--only", "fold-9"]].concat(),
        "fold-2-seed-43",
    );
    // Each run in a child process, two at a time, gives the same numbers.
    let aside = [&more[..6], &["--output", "aside", "--parallel", "2"]].concat();
    assert_eq!(whole, stdout_of(path, &arguments(&config, &aside)));
}

/// Starts a command and ends it as soon as the run `run` has begun: by a kill or, with `interrupt`, by a signal it handles.
fn cut_short(folder: &Path, run: &str, arguments: &[&str], interrupt: bool) -> Run {
    let mut child = command(folder, arguments).spawn().unwrap();
    let begun = || folder.join(run).join("metrics.jsonl").is_file();
    while !begun() && child.try_wait().unwrap().is_none() {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    if interrupt {
        signal("INT", &child);
    } else {
        child.kill().unwrap();
    }
    finish(child)
}

#[test]
fn runs_that_were_cut_short_go_on_to_the_same_numbers() {
    let folder = folder();
    let path = folder.path();
    let config = tiny();
    let more = [
        "--train",
        "rows.csv",
        "--folds",
        "3",
        "--set",
        "training.epochs=20",
    ];
    let with = |output| arguments(&config, &[&more[..], &["--output", output]].concat());
    let whole = stdout_of(path, &with("whole"));
    let resume = |output, more: &[&str]| {
        let base = ["crossval", "--resume", "--output", output, "--quiet"];
        stdout_of(path, &[&base[..], more].concat())
    };
    cut_short(path, "killed/fold-1", &with("killed"), false);
    assert_eq!(whole, resume("killed", &[]));
    if cfg!(target_os = "linux") {
        let parallel = ["--parallel", "2"];
        let arguments = [&with("stopped")[..], &parallel].concat();
        let Run { code, err, .. } = cut_short(path, "stopped/fold-1", &arguments, true);
        // On a busy machine it may have finished.
        if code != Some(0) {
            assert_eq!(code, Some(130), "{err}");
            assert!(
                err.contains("of 3 runs done") && err.contains("hint: go on with"),
                "{err}"
            );
        }
        assert_eq!(whole, resume("stopped", &parallel));
    }
}

#[test]
fn questions_are_divided_by_their_texts() {
    let folder = folder();
    let path = folder.path();
    let config = tiny();
    let mut table = String::from("question,context,answer,start\n");
    for text in 0..6 {
        let context = format!("the boat {text} is red and large");
        let at = |answer: &str| context.find(answer).unwrap();
        table += &format!("what colour ?,{context},red,{}\n", at("red"));
        table += &format!("what size ?,{context},large,{}\n", at("large"));
        table += &format!("what age ?,{context},,\n");
    }
    fs::write(path.join("questions.csv"), table).unwrap();
    let more = [
        "--task",
        "qa",
        "--train",
        "questions.csv",
        "--folds",
        "3",
        "--output",
        "runs",
        "--json",
    ];
    let all: Value = serde_json::from_str(&stdout_of(path, &arguments(&config, &more))).unwrap();
    let pooled = &all["pooled"][0]["report"];
    assert_eq!(
        (&pooled["rows"], &pooled["bootstrap"]["groups"]),
        (&18.into(), &6.into())
    );
    // The folds have equally many questions, so the mean over folds is the mean over all.
    for metric in ["exact_match", "f1"] {
        let mean = all["across"][metric]["mean"].as_f64().unwrap();
        let whole = pooled["metrics"][metric]["value"].as_f64().unwrap();
        assert!((mean - whole).abs() < 1e-12, "{metric}: {mean} {whole}");
    }
}

#[test]
fn a_class_rarer_than_the_folds_is_told_and_known_to_every_run() {
    let folder = folder();
    let path = folder.path();
    let config = tiny();
    let table = fs::read_to_string(path.join("rows.csv")).unwrap() + "25,s9,what is it,unsure\n";
    fs::write(path.join("rows.csv"), table).unwrap();
    let more = ["--train", "rows.csv", "--folds", "2", "--output", "runs"];
    let loud: Vec<&str> = arguments(&config, &more);
    let loud: Vec<&str> = loud.into_iter().filter(|flag| *flag != "--quiet").collect();
    let Run { code, out, err } = bertkit(path, &loud);
    assert_eq!(code, Some(0), "{err}");
    let told = "class `unsure` has 1 row, but there are 2 folds";
    assert_eq!(err.matches(told).count(), 1, "{err}");
    assert!(out.contains("unsure") && out.contains("25 rows"), "{out}");
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
    let all: Value = serde_json::from_str(&stdout_of(path, &arguments(&config, &more))).unwrap();
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
    let all: Value = serde_json::from_str(&stdout_of(path, &arguments(&config, &more))).unwrap();
    assert_eq!(all["runs"][0]["report"]["task"], "entities");
    let rows = fs::read_to_string(path.join("names/predictions.jsonl")).unwrap();
    let first: Value = serde_json::from_str(rows.lines().next().unwrap()).unwrap();
    assert_eq!((rows.lines().count(), &first["line"]), (12, &1.into()));
    let documents: String = (0..4)
        .map(|n| format!("-DOCSTART- O\n\nAnn\tB-PER\nsaw\tO\n\nhere\tO\nis{n}\tO\n\n"))
        .collect();
    fs::write(path.join("documents.conll"), documents).unwrap();
    let more = [
        "--task",
        "ner",
        "--train",
        "documents.conll",
        "--group",
        "document",
        "--folds",
        "2",
        "--output",
        "documents",
        "--json",
    ];
    let all: Value = serde_json::from_str(&stdout_of(path, &arguments(&config, &more))).unwrap();
    assert_eq!(all["pooled"][0]["report"]["bootstrap"]["groups"], 4);
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
    refused(path, &with(&[]), "nothing to measure on");
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
    refused(
        path,
        &with(&["--folds", "3", "--parallel", "2", "--max-memory", "1M"]),
        "more than the 1.0 MiB",
    );
    // An error of the first run is reported before anything is written.
    refused(
        path,
        &with(&["--folds", "3", "--positive", "maybe"]),
        "maybe",
    );
    assert!(!path.join("out").exists());
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
