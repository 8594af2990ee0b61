//! `bertkit compare`, and what `bertkit eval` reports besides metrics.

use std::fs;
use std::path::Path;

use serde_json::Value;
use snapbox::{assert_data_eq, file};
use tempfile::TempDir;

use crate::harness::{golden_model, refused, stdout_of, tiny};

/// A run directory whose model is that of a golden case.
fn run_directory(folder: &Path, name: &str, case: &str) {
    golden_model(&folder.join(name).join("model"), case);
}

/// A table with a text of eight words, this label, and a document of three rows for each row.
fn table(rows: usize, label: impl Fn(usize) -> String) -> String {
    let mut table = String::from("text,label,document\n");
    for row in 0..rows {
        let words: Vec<String> = (0..8)
            .map(|word| format!("w{}", 1 + (row * 31 + word * 17) % 92))
            .collect();
        table += &format!("{},{},{}\n", words.join(" "), label(row), row / 3);
    }
    table
}

/// Two runs of three classes with different predictions, and a table in `test.csv`.
fn two_runs() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    run_directory(folder.path(), "a", "bert-sequence-3");
    run_directory(folder.path(), "b", "distilbert-sequence-3");
    let rows = table(30, |row| {
        format!("LABEL_{}", if row % 5 == 0 { 1 } else { 2 })
    });
    fs::write(folder.path().join("test.csv"), rows).unwrap();
    folder
}

fn evaluate(folder: &Path, run: &str, more: &[&str]) {
    let arguments = [
        "eval", run, "--data", "test.csv", "--device", "cpu", "--quiet",
    ];
    stdout_of(folder, &[&arguments, more].concat());
}

#[test]
fn the_help_is_a_page_one_can_read() {
    let page = stdout_of(Path::new("."), &["compare", "--help"]);
    assert_data_eq!(page, file!["snapshots/compare.txt"].raw());
}

#[test]
fn a_difference_is_shown_with_its_interval_and_said_plainly() {
    let folder = two_runs();
    let path = folder.path();
    evaluate(path, "a", &[]);
    evaluate(path, "b", &[]);
    let text = stdout_of(path, &["compare", "a", "b", "--metric", "accuracy"]);
    assert!(
        text.starts_with("A is a\nB is b\n30 rows of `test`; "),
        "{text}"
    );
    let arguments = [
        "compare", "a", "b", "--metric", "accuracy", "--metric", "log_loss",
    ];
    let found = stdout_of(
        path,
        &[&arguments[..], &["--json", "--permutations", "999"]].concat(),
    );
    let found: Value = serde_json::from_str(&found).unwrap();
    assert_eq!(found["task"], "multiclass");
    let comparison = &found["comparison"];
    assert_eq!(comparison["permutations"], 999);
    // The values are those of the reports of both runs.
    for (number, name) in ["accuracy", "log_loss"].into_iter().enumerate() {
        for run in ["a", "b"] {
            let report = fs::read_to_string(path.join(run).join("eval/test.json")).unwrap();
            let report: Value = serde_json::from_str(&report).unwrap();
            assert_eq!(
                comparison["metrics"][number][run],
                report["metrics"][name]["value"]
            );
        }
    }
    // One model predicts class 2 for every row, the other class 0, which has no rows.
    let accuracy = &comparison["metrics"][0];
    assert!((accuracy["difference"].as_f64().unwrap() + 0.8).abs() < 1e-12);
    assert_eq!(comparison["mcnemar"]["only_a"], 24);
    assert!(accuracy["p_permutation"].as_f64().unwrap() <= 0.001);
    assert!(
        text.contains("A is better than B in accuracy by 0.8000")
            && text.contains("more than chance"),
        "{text}"
    );
}

#[test]
fn groups_of_the_evaluation_stay_together() {
    let folder = two_runs();
    let path = folder.path();
    evaluate(path, "a", &["--group", "document"]);
    evaluate(path, "b", &[]);
    refused(path, &["compare", "a", "b"], "with the same groups");
    evaluate(path, "b", &["--group", "document"]);
    let text = stdout_of(path, &["compare", "a", "b"]);
    assert!(
        text.contains("all 1,024 permutations of 10 groups"),
        "{text}"
    );
}

#[test]
fn several_labels_and_numbers_read_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let cases = [
        ("labels", "bert-sequence-multilabel", "f1_micro"),
        ("numbers", "bert-sequence-regression", "mse"),
    ];
    for (run, case, metric) in cases {
        run_directory(path, run, case);
        let label = |row: usize| match run {
            "labels" => ["LABEL_0;LABEL_1", "LABEL_1", "LABEL_0"][row % 3].to_owned(),
            _ => format!("{}.5", row % 7),
        };
        fs::write(path.join("test.csv"), table(12, label)).unwrap();
        let more: &[&str] = match run {
            "labels" => &["--label-separator", ";"],
            _ => &[],
        };
        evaluate(path, run, more);
        let found = stdout_of(path, &["compare", run, run, "--metric", metric, "--json"]);
        let found: Value = serde_json::from_str(&found).unwrap();
        let report = fs::read_to_string(path.join(run).join("eval/test.json")).unwrap();
        let report: Value = serde_json::from_str(&report).unwrap();
        let expected = &report["metrics"][metric]["value"];
        let compared = &found["comparison"]["metrics"][0];
        assert!(expected.is_number());
        assert_eq!((&compared["a"], &compared["b"]), (expected, expected));
        assert_eq!(compared["p_permutation"], 1.0);
    }
    refused(
        path,
        &["compare", "labels", "numbers"],
        "not evaluated on the same rows",
    );
}

#[test]
fn runs_that_cannot_be_compared_are_refused() {
    let folder = two_runs();
    let path = folder.path();
    refused(path, &["compare", "a"], "RUN_B");
    refused(path, &["compare", "a", "b"], "`a` holds no evaluation");
    refused(
        path,
        &["compare", "nowhere", "b"],
        "`nowhere` does not exist",
    );
    refused(path, &["compare", "test.csv", "b"], "is a file");
    evaluate(path, "a", &[]);
    refused(path, &["compare", "a", "b"], "`b` holds no evaluation");
    evaluate(path, "b", &["--name", "other"]);
    refused(path, &["compare", "a", "b"], "no evaluation of one name");
    evaluate(path, "b", &[]);
    evaluate(path, "a", &["--name", "other"]);
    refused(path, &["compare", "a", "b"], "2 evaluations in common");
    refused(
        path,
        &["compare", "a", "b", "--name", "third"],
        "no evaluation `third`",
    );
    let compare = ["compare", "a", "b", "--name", "test"];
    let with = |more: &[&'static str]| [&compare[..], more].concat();
    refused(
        path,
        &with(&["--metric", "f1"]),
        "no metric of a multiclass task",
    );
    refused(
        path,
        &with(&["--metric", "f1_marco"]),
        "did you mean `f1_macro`?",
    );
    refused(path, &with(&["--confidence", "95"]), "between 0 and 1");

    let rows = path.join("b/eval/test.predictions.jsonl");
    let text = fs::read_to_string(&rows).unwrap();
    let change = |old: &str, new: &str| fs::write(&rows, text.replacen(old, new, 1)).unwrap();
    change("\"label\":\"LABEL_2\"", "\"label\":\"LABEL_0\"");
    refused(
        path,
        &compare,
        "line 3 has the label `LABEL_2` and `LABEL_0`",
    );
    change("\"line\":2", "\"line\":200");
    refused(path, &compare, "line 2 and line 200");
    change("\"prediction\":\"LABEL_0\"", "\"prediction\":\"LABEL_9\"");
    refused(path, &compare, "line 1: `LABEL_9` is no class");
    change("\"probabilities\":[", "\"probabilities\":[0.1,");
    refused(path, &compare, "expected 3 probabilities, found 4");
    change("{", "");
    refused(path, &compare, "line 1: ");
    fs::write(&rows, text.lines().next().unwrap()).unwrap();
    refused(
        path,
        &compare,
        "it has 1 rows, but its report was made of 30",
    );
    fs::write(&rows, &text).unwrap();
    stdout_of(path, &compare);
    fs::write(path.join("b/eval/test.json"), "{}").unwrap();
    refused(path, &compare, "test.json` cannot be used");
}

#[test]
fn changed_texts_are_measured_beside_the_original() {
    let folder = two_runs();
    let path = folder.path();
    let arguments = [
        "eval",
        "a",
        "--data",
        "test.csv",
        "--device",
        "cpu",
        "--bootstrap",
        "50",
    ];
    let changes = ["--perturb", "typos:0.3", "--perturb", "accents"];
    let text = stdout_of(path, &[&arguments[..], &changes].concat());
    assert!(
        text.contains("perturbed by accents: 0 of 30 texts changed"),
        "{text}"
    );
    assert!(text.contains("calibration: expected error") && text.contains("abstention: "));
    let report = fs::read_to_string(path.join("a/eval/test.json")).unwrap();
    let report: Value = serde_json::from_str(&report).unwrap();
    let perturbed = report["perturbed"].as_array().unwrap();
    assert_eq!(perturbed[0]["perturbation"], "typos:0.3");
    assert!(perturbed[0]["changed"].as_u64().unwrap() > 20);
    let unchanged = &perturbed[1]["comparison"]["metrics"];
    assert!(
        unchanged
            .as_array()
            .unwrap()
            .iter()
            .all(|m| m["difference"].is_null() || m["difference"] == 0.0)
    );
    assert_eq!(report["calibration"]["bins"].as_array().unwrap().len(), 15);
    assert_eq!(report["coverage"]["levels"][0]["rows"], 30);
    refused(
        path,
        &[&arguments[..], &["--perturb", "typo"]].concat(),
        "unknown change `typo`",
    );
}

#[test]
fn a_temperature_is_fitted_stored_and_applied() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    fs::write(
        path.join("test.csv"),
        table(40, |row| ["no", "yes"][row / 2 % 2].into()),
    )
    .unwrap();
    let config = tiny();
    let train = [
        &[
            "finetune", "--config", &config, "--train", "test.csv", "--valid", "test.csv",
        ][..],
        &[
            "--set",
            "tokenizer.vocab_size=60",
            "--set",
            "model.fresh.hidden_size=16",
        ],
        &[
            "--set",
            "model.fresh.intermediate_size=16",
            "--max-steps",
            "3",
            "--device",
            "cpu",
        ],
    ]
    .concat();
    let calibrated = [
        "--calibrate",
        "temperature",
        "--threshold",
        "cost:1,3",
        "--output",
        "run",
    ];
    let out = stdout_of(path, &[&train[..], &calibrated].concat());
    assert!(out.contains("calibrated temperature "), "{out}");
    assert!(out.contains("the lowest cost (1 for a false positive, 3 for a false negative)"));
    let file = path.join("run/model/bertkit.json");
    let mut info: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    let temperature = info["temperature"].as_f64().unwrap();
    let probability = || {
        let out = stdout_of(
            path,
            &[
                "predict", "run", "--text", "w1 w2 w3", "--json", "--device", "cpu",
            ],
        );
        let found: Value = serde_json::from_str(&out).unwrap();
        found["probabilities"]["yes"].as_f64().unwrap()
    };
    let logit = |p: f64| (p / (1.0 - p)).ln();
    let with = logit(probability());
    info.as_object_mut().unwrap().remove("temperature");
    fs::write(&file, info.to_string()).unwrap();
    let without = logit(probability());
    assert!(
        (with * temperature - without).abs() < 1e-6,
        "{with} {temperature} {without}"
    );
    info["temperature"] = (-1.0).into();
    fs::write(&file, info.to_string()).unwrap();
    refused(
        path,
        &["predict", "run", "--text", "w1"],
        "expected a number above 0",
    );

    let refused_with = |more: &[&str], part: &str| {
        let arguments = [
            &train[..],
            &["--calibrate", "temperature", "--output", "other"],
            more,
        ];
        refused(path, &arguments.concat(), part);
    };
    refused_with(
        &["--task", "regression", "--label", "document"],
        "a regression gives numbers",
    );
    let unvalidated: Vec<&str> = train.iter().copied().filter(|a| *a != "--valid").collect();
    let at = unvalidated.iter().rposition(|a| *a == "test.csv").unwrap();
    let unvalidated = [&unvalidated[..at], &unvalidated[at + 1..]].concat();
    let more = [
        "--calibrate",
        "temperature",
        "--output",
        "other",
        "--valid-fraction",
        "0",
    ];
    refused(
        path,
        &[&unvalidated[..], &more].concat(),
        "a temperature is fitted on validation rows",
    );
}

#[test]
fn a_precision_rounds_the_products_of_evaluation_and_prediction() {
    let folder = two_runs();
    let path = folder.path();
    let rounded = |precision: &str| {
        let text = "w1 w2 w3 w4 w5";
        let flags = ["predict", "a", "--json", "--text", text, "--device", "cpu"];
        let out = stdout_of(path, &[&flags[..], &["--precision", precision]].concat());
        let answer: Value = serde_json::from_str(&out).unwrap();
        let probabilities = answer["probabilities"].as_object().unwrap();
        let values = probabilities.values().map(|value| value.as_f64().unwrap());
        values.collect::<Vec<f64>>()
    };
    let (exact, coarse) = (rounded("f32"), rounded("bf16"));
    assert_ne!(exact, coarse);
    for (exact, coarse) in exact.iter().zip(&coarse) {
        assert!((exact - coarse).abs() < 0.02, "{exact} {coarse}");
    }
    let eval = ["eval", "a", "--data", "test.csv", "--json", "--quiet"];
    let report = |precision| {
        let flags = ["--device", "cpu", "--precision", precision];
        stdout_of(path, &[&eval[..], &flags].concat())
    };
    assert_ne!(report("f32"), report("f16"));
    let part = "cannot multiply in tf32";
    refused(
        path,
        &[&eval[..], &["--device", "cpu", "--precision", "tf32"]].concat(),
        part,
    );
}
