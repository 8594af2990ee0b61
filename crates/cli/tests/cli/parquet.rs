//! Parquet: training, evaluation and prediction, with the types of the columns, and files that cannot be used.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::harness::{refused, root, stdout_of, tiny};

/// A file with texts, pairs, labels, numbers, booleans, and a column of lists.
fn reviews() -> String {
    let path = root().join("crates/data/tests/golden/parquet/reviews.parquet");
    path.to_str().unwrap().to_owned()
}

/// Trains a tiny model on the file and writes its predictions for it to `out.jsonl`; gives its first row.
fn trained_and_predicted(folder: &Path, more: &[&str]) -> Value {
    let (tiny, reviews) = (tiny(), reviews());
    let mut arguments = vec!["finetune", "--quiet", "--device", "cpu", "--config", &tiny];
    arguments.extend(["--set", "training.epochs=1", "--train", &reviews]);
    arguments.extend(["--output", "run"]);
    arguments.extend(more);
    stdout_of(folder, &arguments);
    let input = ["predict", "run", "--quiet", "--device", "cpu", "--input"];
    stdout_of(
        folder,
        &[&input[..], &[&reviews, "--output", "out.jsonl"]].concat(),
    );
    let rows = fs::read_to_string(folder.join("out.jsonl")).unwrap();
    assert_eq!(rows.lines().count(), 24);
    serde_json::from_str(rows.lines().next().unwrap()).unwrap()
}

#[test]
fn classes_are_learned_and_predictions_keep_the_types_of_columns() {
    let folder = tempfile::tempdir().unwrap();
    let first = trained_and_predicted(folder.path(), &[]);
    assert_eq!(first["id"], 0);
    assert_eq!(first["score"], 0.0);
    assert_eq!(first["seen"], true);
    assert_eq!(first["text"], "a dull film a");
    assert!(first["prediction"] == "0" || first["prediction"] == "1");
    assert!(first["probability_1"].is_number());
    // The column of lists cannot be written.
    assert!(first.get("vector").is_none());
    let arguments = [
        "eval",
        "run",
        "--quiet",
        "--json",
        "--bootstrap",
        "0",
        "--data",
    ];
    let reviews = reviews();
    let report = stdout_of(folder.path(), &[&arguments[..], &[&reviews]].concat());
    let report: Value = serde_json::from_str(&report).unwrap();
    assert!(report["metrics"]["accuracy"]["value"].is_number());
}

#[test]
fn numbers_and_pairs_are_learned() {
    let folder = tempfile::tempdir().unwrap();
    let first = trained_and_predicted(folder.path(), &["--label", "score"]);
    assert!(first["prediction"].is_number(), "{first}");
    let folder = tempfile::tempdir().unwrap();
    let first = trained_and_predicted(folder.path(), &["--text-pair", "other"]);
    assert!(first["probability_0"].is_number(), "{first}");
}

#[test]
fn files_that_cannot_be_used_are_one_error_each() {
    let folder = tempfile::tempdir().unwrap();
    let tiny = tiny();
    let refused = |file: &str, more: &[&str], part: &str| {
        let mut arguments = vec!["finetune", "--device", "cpu", "--config", &tiny];
        arguments.extend(["--output", "run", "--train", file]);
        arguments.extend(more);
        refused(folder.path(), &arguments, part)
    };
    let reviews = reviews();
    refused(&reviews, &["--text", "body"], "has no column `body`");
    refused(
        &reviews,
        &["--text", "vector"],
        "is of type list, expected text",
    );
    let whole = fs::read(&reviews).unwrap();
    fs::write(folder.path().join("cut.parquet"), &whole[..whole.len() / 2]).unwrap();
    refused(
        "cut.parquet",
        &[],
        "could not read `cut.parquet` as Parquet",
    );
    fs::write(folder.path().join("empty.parquet"), "").unwrap();
    refused("empty.parquet", &[], "`empty.parquet` is empty");
    let missing = root().join("crates/data/tests/golden/parquet/none.parquet");
    let refuse = ["--missing", "refuse"];
    refused(missing.to_str().unwrap(), &refuse, "row 3 of `");
}
