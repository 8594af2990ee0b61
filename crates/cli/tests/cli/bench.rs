//! `bertkit bench`.

use serde_json::Value;
use snapbox::{assert_data_eq, file, str};

use crate::harness::{self, Run};

/// Runs `bertkit bench` in the repository.
fn bench(arguments: &[&str]) -> Run {
    harness::bertkit(&harness::root(), &[&["bench"], arguments].concat())
}

#[test]
fn the_help_is_a_page_one_can_read() {
    let run = bench(&["--help"]);
    assert_eq!(run.code, Some(0));
    assert_data_eq!(run.out, file!["snapshots/bench.txt"].raw());
}

#[test]
fn each_measurement_is_one_json_object_with_every_step() {
    let tiny = ["--config", "configs/models/tiny.toml", "--device", "cpu"];
    let what = ["--lengths", "5,3", "--work", "all", "--dropout", "0.2"];
    let how = ["--warmup", "1", "--steps", "2", "--threads", "1", "--json"];
    let Run { code, out, err } = bench(&[&tiny[..], &what, &how].concat());
    assert_eq!(code, Some(0), "{err}");
    let found: Vec<Value> = out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let works: Vec<&str> = found.iter().map(|m| m["work"].as_str().unwrap()).collect();
    assert_eq!(works, ["forward", "train", "mlm", "gemm"]);
    for measurement in &found {
        assert_eq!(measurement["model"], "tiny");
        assert_eq!(measurement["tokens"], 8);
        assert_eq!(measurement["threads"], 1);
        assert_eq!(measurement["seconds"].as_array().unwrap().len(), 2);
        assert!(measurement["median_seconds"].as_f64().unwrap() > 0.0);
    }
    assert_eq!(found[0]["dropout"], 0.0);
    assert_eq!(found[1]["dropout"], 0.2);
    // The classifier has two classes.
    assert_eq!(found[1]["parameters"], 4_385_920 + 2 * 129);
}

#[test]
fn a_table_has_a_row_for_each_length() {
    let Run { code, out, err } = bench(&[
        "--size",
        "tiny",
        "--lengths",
        "4",
        "--lengths",
        "6",
        "--batch",
        "2",
        "--work",
        "forward",
        "--steps",
        "1",
        "--device",
        "cpu",
    ]);
    assert_eq!(code, Some(0), "{err}");
    let rows: Vec<&str> = out.lines().skip(3).collect();
    assert_eq!(rows.len(), 2, "{out}");
    assert!(
        rows[0].contains("2 × 4") && rows[1].contains("2 × 6"),
        "{out}"
    );
}

#[test]
fn what_cannot_be_timed_is_refused() {
    let Run { code, err, .. } = bench(&["--size", "tiny", "--lengths", "600", "--device", "cpu"]);
    assert_eq!(code, Some(2));
    assert_data_eq!(
        err,
        str![[r#"
error: a sequence of 600 tokens is longer than the 512 that the model has positions for

hint: give shorter --lengths

"#]]
    );
    let Run { code, err, .. } = bench(&["--lengths", "4,5", "--batch", "2"]);
    assert_eq!(code, Some(2));
    assert!(err.contains("leave --batch out"), "{err}");
    for wrong in [
        ["--lengths", "0"],
        ["--seconds=-1", "--json"],
        ["--dropout", "1"],
        ["--work", "sleep"],
    ] {
        assert_eq!(bench(&wrong).code, Some(2), "{wrong:?}");
    }
    let Run { code, err, .. } = bench(&["--config", "no.toml"]);
    assert_eq!(code, Some(2));
    assert!(err.contains("no.toml"), "{err}");
}
