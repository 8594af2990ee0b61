//! Calibration, abstention and tests of differences beside torchmetrics, SciPy and NumPy.
//!
//! `golden/make_calibration.py` makes `golden/calibration.json`; `BERTKIT_CALIBRATION_JSON` names another file of the
//! same shape, for instance one made with another seed. torchmetrics computes in single precision.
#![allow(clippy::unwrap_used)]

use std::path::PathBuf;

use bertkit_evaluation::{
    CALIBRATION_BINS, ClassPredictions, ComparisonOptions, Metric, Predictions, calibration,
    compare, coverage, fit_temperature,
};
use serde_json::Value;

const SINGLE_PRECISION: f64 = 2e-6;

fn cases(section: &str) -> Vec<Value> {
    let own = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/calibration.json");
    let path = std::env::var_os("BERTKIT_CALIBRATION_JSON").map_or(own, PathBuf::from);
    let text = std::fs::read_to_string(&path).unwrap();
    let cases = serde_json::from_str::<Value>(&text).unwrap()[section].take();
    let cases = cases.as_array().unwrap().clone();
    assert!(!cases.is_empty());
    cases
}

fn predictions(case: &Value, probabilities: &str) -> Predictions {
    let labels = case["labels"].as_array().unwrap().iter();
    let rows = case[probabilities].as_array().unwrap();
    let classes = rows[0].as_array().unwrap().len();
    let numbers = rows.iter().flat_map(|row| row.as_array().unwrap());
    Predictions::Classes(ClassPredictions::from_probabilities(
        (0..classes).map(|class| format!("class {class}")).collect(),
        labels
            .map(|label| label.as_u64().unwrap() as usize)
            .collect(),
        numbers.map(|number| number.as_f64().unwrap()).collect(),
        (classes == 2).then_some(1),
    ))
}

#[track_caller]
fn close(what: &str, found: f64, expected: &Value, tolerance: f64) {
    let expected = expected.as_f64().unwrap();
    assert!(
        (found - expected).abs() <= tolerance,
        "{what} is {found}, expected {expected}"
    );
}

#[test]
fn calibration_and_abstention_are_those_of_others() {
    for case in cases("calibration") {
        let predictions = predictions(&case, "probabilities");
        let found = calibration(&predictions, CALIBRATION_BINS).unwrap();
        close(
            "expected error",
            found.expected_error,
            &case["expected_error"],
            SINGLE_PRECISION,
        );
        close(
            "maximum error",
            found.maximum_error,
            &case["maximum_error"],
            SINGLE_PRECISION,
        );
        close(
            "by mass",
            found.expected_error_equal_mass,
            &case["equal_mass"],
            1e-12,
        );
        close(
            "risk area",
            coverage(&predictions).unwrap().risk_area,
            &case["risk_area"],
            1e-12,
        );
        // A minimum is found from its values to the root of what these are known to.
        let temperature = fit_temperature(&predictions).unwrap();
        close(
            "temperature",
            temperature,
            &case["temperature"],
            1e-5 * temperature.max(1.0),
        );
    }
}

#[test]
fn p_values_are_those_of_scipy() {
    for case in cases("differences") {
        let (a, b) = (predictions(&case, "a"), predictions(&case, "b"));
        let options = ComparisonOptions {
            permutations: 1 << 14,
            ..ComparisonOptions::default()
        };
        let metrics = [Metric::Accuracy, Metric::LogLoss];
        let found = compare(&a, &b, &metrics, &options).unwrap();
        assert!(found.exact);
        for row in &found.metrics {
            let expected = &case["tests"][row.metric.name()];
            close(
                "difference",
                row.difference.unwrap(),
                &expected["difference"],
                1e-11,
            );
            close("p", row.p_permutation.unwrap(), &expected["p"], 1e-12);
        }
        let test = found.mcnemar.unwrap();
        assert_eq!(
            [test.only_a, test.only_b],
            [0, 1].map(|side| case["only"][side].as_u64().unwrap())
        );
        close("p of McNemar", test.p_exact, &case["mcnemar"], 1e-12);
    }
}
