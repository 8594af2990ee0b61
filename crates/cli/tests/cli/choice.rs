//! Multiple choice: training, evaluation, prediction, cross-validation, and bad input.

use std::fs;
use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

use crate::harness::{refused, stdout_of, succeeds, tiny};

/// Questions with three answers, of which the one that begins with `good` is right; some rows have two.
fn table(label: impl Fn(usize) -> String) -> String {
    const WORDS: [&str; 6] = ["tea", "rain", "bread", "stone", "light", "paper"];
    let mut text = "question,answer_a,answer_b,answer_c,label\n".to_owned();
    for row in 0..24 {
        let right = row % 3;
        let answer = |at: usize| match (at == right, row % 8 == 0 && at == 2) {
            (true, _) => format!("good {}", WORDS[(row + at) % 6]),
            (false, true) => String::new(),
            (false, false) => format!("bad {}", WORDS[(row + at) % 6]),
        };
        let answers = [0, 1, 2].map(answer).join(",");
        text += &format!("which is right,{answers},{}\n", label(right));
    }
    text
}

fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("train.csv"), table(|at| at.to_string())).unwrap();
    folder
}

fn settings<'a>(command: &'a str, config: &'a str, output: &'a str) -> Vec<&'a str> {
    let mut arguments = vec![command, "--task", "multiple-choice", "--config", config];
    for setting in [
        "training.epochs=20",
        "optimizer.learning_rate=3e-3",
        "training.batch_size=6",
        "model.fresh.hidden_size=32",
        "model.fresh.intermediate_size=64",
        "model.fresh.hidden_dropout=0.0",
        "tokenizer.vocab_size=120",
    ] {
        arguments.extend(["--set", setting]);
    }
    arguments.extend(["--train", "train.csv", "--valid-fraction", "0"]);
    arguments.extend(["--device", "cpu", "--output", output, "--quiet"]);
    arguments
}

fn metric(report: &str, name: &str) -> Value {
    let report: Value = serde_json::from_str(report).unwrap();
    report["metrics"][name].clone()
}

fn eval<'a>(run: &'a str, data: &'a str) -> Vec<&'a str> {
    vec![
        "eval", run, "--data", data, "--json", "--quiet", "--device", "cpu",
    ]
}

#[test]
fn a_table_of_questions_is_learnt_kept_evaluated_and_predicted() {
    let folder = folder();
    let path = folder.path();
    stdout_of(path, &settings("finetune", &tiny(), "run"));

    let description = fs::read_to_string(path.join("run/model/bertkit.json")).unwrap();
    let description: Value = serde_json::from_str(&description).unwrap();
    assert_eq!(description["task"], "multiple-choice");
    assert_eq!(description["labels"], "from-zero");
    let config = fs::read_to_string(path.join("run/model/config.json")).unwrap();
    assert!(config.contains("BertForMultipleChoice"), "{config}");

    let report = stdout_of(path, &eval("run", "train.csv"));
    let accuracy = metric(&report, "accuracy");
    assert_eq!(accuracy["value"], 1.0, "{report}");
    assert_eq!(
        (&accuracy["low"], &accuracy["high"]),
        (&1.0.into(), &1.0.into())
    );
    let rows = fs::read_to_string(path.join("run/eval/train.predictions.jsonl")).unwrap();
    let first: Value = serde_json::from_str(rows.lines().next().unwrap()).unwrap();
    assert_eq!(
        (&first["line"], &first["label"], &first["prediction"]),
        (&2.into(), &0.into(), &0.into())
    );
    assert_eq!(first["probabilities"][2], 0.0);

    // The same questions without their labels, and a column more.
    let unlabelled =
        "id,question,answer_a,answer_b,answer_c\n1,which is right,bad tea,good rain,\n";
    fs::write(path.join("new.csv"), unlabelled).unwrap();
    let found = stdout_of(
        path,
        &[
            "predict", "run", "--input", "new.csv", "--quiet", "--device", "cpu",
        ],
    );
    let mut lines = found.lines();
    assert_eq!(
        lines.next().unwrap(),
        "id,question,answer_a,answer_b,answer_c,prediction,prediction_column,probability_answer_a,\
         probability_answer_b,probability_answer_c"
    );
    let cells: Vec<&str> = lines.next().unwrap().split(',').collect();
    assert_eq!(
        (cells[5], cells[6], cells[9]),
        ("good rain", "answer_b", "")
    );
    let shares: Vec<f64> = cells[7..9]
        .iter()
        .map(|cell| cell.parse().unwrap())
        .collect();
    assert!(
        (shares[0] + shares[1] - 1.0).abs() < 1e-9 && shares[1] > 0.5,
        "{shares:?}"
    );

    // A second run compares with the first.
    stdout_of(path, &settings("finetune", &tiny(), "again"));
    stdout_of(path, &eval("again", "train.csv"));
    let compared = stdout_of(path, &["compare", "run", "again"]);
    assert!(compared.contains("accuracy"), "{compared}");
}

#[test]
fn folds_hold_out_each_row_once() {
    let folder = folder();
    let path = folder.path();
    let config = tiny();
    let mut arguments = settings("crossval", &config, "folds");
    arguments.extend(["--folds", "2", "--json", "--bootstrap", "50"]);
    let report: Value = serde_json::from_str(&stdout_of(path, &arguments)).unwrap();
    assert_eq!(report["runs"].as_array().unwrap().len(), 2);
    assert_eq!(report["pooled"][0]["report"]["rows"], 24);
    assert!(
        report["across"]["accuracy"]["mean"].as_f64().unwrap() > 0.5,
        "{report}"
    );
}

#[test]
fn labels_are_numbers_from_one_letters_or_texts_too() {
    let folder = folder();
    let path = folder.path();
    let dry = |label: &dyn Fn(usize) -> String| -> String {
        fs::write(path.join("train.csv"), table(label)).unwrap();
        let config = tiny();
        let mut arguments = settings("finetune", &config, "run");
        arguments.retain(|argument| *argument != "--quiet");
        arguments.push("--dry-run");
        stdout_of(path, &arguments)
    };
    let from_one = dry(&|at| (at + 1).to_string());
    assert!(from_one.contains("a number from 1 to 3"), "{from_one}");
    let letters = dry(&|at| ["a", "B", "C"][at].into());
    assert!(letters.contains("a letter from A to C"), "{letters}");
}

#[test]
fn a_model_without_description_is_read_by_its_class() {
    let folder = folder();
    let path = folder.path();
    let config = tiny();
    let mut arguments = settings("finetune", &config, "run");
    arguments.extend(["--set", "training.epochs=1"]);
    stdout_of(path, &arguments);
    fs::remove_file(path.join("run/model/bertkit.json")).unwrap();
    let run = succeeds(
        path,
        &[
            "eval",
            "run/model",
            "--data",
            "train.csv",
            "--device",
            "cpu",
        ],
    );
    assert!(
        run.err.contains("was not trained by bertkit"),
        "{}",
        run.err
    );
    assert!(run.out.starts_with("choices, 24 rows"), "{}", run.out);
}

#[test]
fn what_is_wrong_gets_one_error() {
    let folder = folder();
    let path = folder.path();
    let config = tiny();
    let train = |table: &str, part: &str| {
        fs::write(path.join("train.csv"), table).unwrap();
        refused(path, &settings("finetune", &config, "run"), part);
    };
    let good = table(|at| at.to_string());
    train(
        &good.replace("answer_", "reply_"),
        "`train.csv` has 0 columns of answers",
    );
    train(
        &good.replace("question,", "ask,"),
        "has no column `question`",
    );
    train(
        &good.replace(",2\n", ",7\n"),
        "has the label `7`, which is none of its answers",
    );
    let one = format!("{good}which is right,good tea,,,0\n");
    train(&one, "line 26 of `train.csv` has fewer than two answers");

    fs::write(path.join("train.csv"), &good).unwrap();
    let mut arguments = settings("finetune", &config, "run");
    arguments.extend(["--class-weights", "balanced"]);
    refused(
        path,
        &arguments,
        "`task.class_weights` has no meaning for `--task multiple-choice`",
    );
    assert!(!Path::new(&path.join("run")).exists());
}
