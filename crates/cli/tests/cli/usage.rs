//! Help, usage errors with hints, and the configurations that come with bertkit.

use std::fs;
use std::path::{Path, PathBuf};

use bertkit_training::pretrain::PretrainConfig;
use bertkit_training::{FinetuneConfig, Override};
use snapbox::{IntoData, assert_data_eq, file, str};
use tempfile::TempDir;

use crate::harness::{self, bertkit, root, tiny};

/// A folder with a small labelled table.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut table = String::from("text,label\n");
    for row in 0..20 {
        let (word, label) = [("good", "yes"), ("bad", "no")][row % 2];
        table += &format!("a {word} film number {row},{label}\n");
    }
    fs::write(folder.path().join("train.csv"), table).unwrap();
    folder
}

/// The standard error of a command that ends in one error.
#[track_caller]
fn refused(folder: &Path, arguments: &[&str]) -> String {
    harness::refused(folder, arguments, "error: ")
}

#[test]
fn the_help_is_a_page_one_can_read() {
    let here = Path::new(".");
    let page = |arguments: &[&str]| {
        let run = bertkit(here, arguments);
        assert_eq!((run.code, run.err.as_str()), (Some(0), ""));
        run.out
    };
    assert_data_eq!(page(&["--help"]), file!["snapshots/help.txt"].raw());
    assert_data_eq!(
        page(&["finetune", "--help"]),
        file!["snapshots/finetune.txt"].raw()
    );
    assert_data_eq!(page(&["eval", "--help"]), file!["snapshots/eval.txt"].raw());
    assert_data_eq!(
        page(&["crossval", "--help"]),
        file!["snapshots/crossval.txt"].raw()
    );
    assert_data_eq!(
        page(&["predict", "--help"]),
        file!["snapshots/predict.txt"].raw()
    );
    assert_data_eq!(
        page(&["corpus", "stats", "--help"]),
        file!["snapshots/corpus-stats.txt"].raw()
    );
}

#[test]
fn the_version_is_the_packages() {
    let run = bertkit(Path::new("."), &["--version"]);
    assert_eq!(run.out, format!("bertkit {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn no_command_shows_the_help_and_is_a_usage_error() {
    let run = bertkit(Path::new("."), &[]);
    assert_eq!((run.code, run.out.as_str()), (Some(2), ""), "{}", run.err);
    assert!(run.err.contains("Commands:"), "{}", run.err);
}

#[test]
fn an_unknown_override_names_the_nearest_key() {
    let error = refused(
        Path::new("."),
        &["finetune", "--set", "optimizer.learning_rte=3e-5"],
    );
    assert_data_eq!(
        error,
        str![[r#"
error: unknown key `optimizer.learning_rte` in --set

hint: did you mean `optimizer.learning_rate`?

"#]]
        .raw()
    );
}

#[test]
fn all_that_is_missing_is_told_at_once() {
    let error = refused(Path::new("."), &["finetune", "--epochs", "0"]);
    assert!(
        error.starts_with("error: 4 settings need a change:\n"),
        "{error}"
    );
    for part in [
        "--train FILE",
        "--output DIR",
        "--model DIR",
        "`training.epochs` is 0",
    ] {
        assert!(error.contains(part), "{part}: {error}");
    }
}

#[test]
fn a_missing_configuration_is_told_with_its_cause() {
    assert_data_eq!(
        refused(&root(), &["finetune", "--config", "no-such.toml"]),
        str![[r#"
error: could not read the configuration `no-such.toml`
caused by: No such file or directory (os error 2)

hint: give the path of a TOML file, such as configs/models/tiny.toml

"#]]
        .raw()
    );
}

#[test]
fn a_typo_in_a_configuration_is_shown_in_its_line() {
    let folder = folder();
    fs::write(folder.path().join("run.toml"), "[training]\nepoch = 3\n").unwrap();
    let error = refused(folder.path(), &["finetune", "--config", "run.toml"]);
    for part in ["run.toml", "line 2", "^^^^^", "`epochs`"] {
        assert!(error.contains(part), "{part}: {error}");
    }
}

#[test]
fn values_that_no_flag_takes_are_refused() {
    let here = Path::new(".");
    for (arguments, part) in [
        (["finetune", "--warmup", "1.5"], "a share below 1"),
        (["finetune", "--threshold", "f2"], "`balanced_accuracy`"),
        (
            ["finetune", "--class-weights", "spam"],
            "is not class=weight",
        ),
        (["finetune", "--delimiter", "tabs"], "`semicolon`"),
        (["finetune", "--device", "gpu"], "cuda:N"),
        (["finetune", "--learning-rate", "nan"], "expected a number"),
        (["finetune", "--threads", "0"], "1.."),
        (["eval", "--confidence", "95"], "between 0 and 1"),
        (["eval", "--name", "../x"], "a plain name"),
    ] {
        let error = refused(here, &arguments);
        assert!(
            error.contains(arguments[1]) && error.contains(part),
            "{arguments:?}: {error}"
        );
    }
}

#[test]
fn contradicting_flags_are_refused() {
    let here = Path::new(".");
    let both = refused(here, &["finetune", "--resume", "--overwrite"]);
    assert!(both.contains("cannot be used with"), "{both}");
    let sizes = refused(
        here,
        &["finetune", "--batch-size", "4", "--batch-tokens", "99"],
    );
    assert!(sizes.contains("cannot be used with"), "{sizes}");
    let loss = ["finetune", "--loss", "focal", "--label-smoothing", "0.1"];
    assert_data_eq!(
        refused(here, &loss),
        str![[r#"
error: --label-smoothing cannot be used with --loss focal

hint: leave one of them out; --label-smoothing alone implies its own loss

"#]]
        .raw()
    );
}

#[test]
fn resume_without_a_run_says_what_is_missing() {
    let folder = folder();
    let error = refused(folder.path(), &["finetune", "--resume"]);
    assert!(
        error.contains("hint: name its directory with --output DIR"),
        "{error}"
    );
    assert_data_eq!(
        refused(
            folder.path(),
            &["finetune", "--resume", "--output", "runs/a"]
        ),
        str![[r#"
error: there is no checkpoint to resume from in `runs/a`

hint: start the run without --resume

"#]]
        .raw()
    );
}

/// Fine-tunes a fresh tiny model on a table with this text, and expects an error.
#[track_caller]
fn table_refused(name: &str, text: &str, more: &[&str]) -> String {
    let folder = folder();
    fs::write(folder.path().join(name), text).unwrap();
    let tiny = tiny();
    let arguments = [
        "finetune", "--config", &tiny, "--train", name, "--output", "out",
    ];
    let error = refused(folder.path(), &[&arguments, more].concat());
    assert!(
        !folder.path().join("out").exists(),
        "nothing is written before the data are read"
    );
    error
}

#[test]
fn a_table_that_cannot_be_used_is_refused_with_a_hint() {
    for (name, text, parts) in [
        ("a.csv", "", ["`a.csv` is empty", ""]),
        (
            "a.csv",
            "text,label\n",
            ["holds a header and no rows", "--no-header"],
        ),
        (
            "a.csv",
            "txt,label\nx,y\nz,w\n",
            ["no column `text`", "did you mean `txt`?"],
        ),
        (
            "a.csv",
            "text;label\nx;y\nz;w\n",
            ["no column `text`", "--delimiter semicolon"],
        ),
        (
            "a.csv",
            "text,label\nx,y,z\n",
            ["line 2", "3 fields, expected 2"],
        ),
        (
            "a.csv",
            "text,label\nx,\"y\n",
            ["never closed", "--quote none"],
        ),
        (
            "a.csv",
            "text,label\nx,y\nz,y\n",
            ["all 2 rows have the label `y`", "label column"],
        ),
        (
            "a.txt",
            "text,label\nx,y\n",
            ["could not tell the format", "--format csv"],
        ),
        ("a.jsonl", "{\"text\": 1\n", ["line 1", "is not JSON"]),
    ] {
        let error = table_refused(name, text, &[]);
        for part in parts {
            assert!(error.contains(part), "{part}: {error}");
        }
    }
    let missing = table_refused("a.csv", "text,label\nx,y\n,w\n", &["--missing", "refuse"]);
    assert!(
        missing.contains("line 3") && missing.contains("--missing drop"),
        "{missing}"
    );
    let number = "text,label\nx,1\ny,high\n";
    let number = table_refused("a.csv", number, &["--task", "regression"]);
    assert!(
        number.contains("`high`") && number.contains("--task classification"),
        "{number}"
    );
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let folder = folder();
    let tiny = tiny();
    let arguments = [
        "finetune", "--config", &tiny, "--train", "no.csv", "--output", "out",
    ];
    let error = refused(folder.path(), &arguments);
    assert!(
        error.starts_with("error: `no.csv` does not exist\n"),
        "{error}"
    );
}

#[test]
fn a_run_directory_with_something_in_it_is_left_alone() {
    let folder = folder();
    fs::create_dir(folder.path().join("out")).unwrap();
    fs::write(folder.path().join("out/mine"), "mine").unwrap();
    let tiny = tiny();
    let arguments = [
        "finetune",
        "--config",
        &tiny,
        "--train",
        "train.csv",
        "--output",
        "out",
    ];
    assert_data_eq!(
        refused(folder.path(), &arguments),
        str![[r#"
error: the run directory `out` is not empty

hint: replace what is there with --overwrite, or name another directory

"#]]
        .raw()
    );
    assert_eq!(
        fs::read_to_string(folder.path().join("out/mine")).unwrap(),
        "mine"
    );
}

#[test]
fn a_model_that_is_none_is_refused_by_every_command() {
    let folder = folder();
    for command in [
        &["eval", "nothing", "--data", "train.csv"][..],
        &["predict", "nothing", "--text", "a"],
        &[
            "finetune",
            "--model",
            "nothing",
            "--train",
            "train.csv",
            "--output",
            "out",
        ],
    ] {
        let error = refused(folder.path(), command);
        assert!(
            error.contains("`nothing") && error.contains("\nhint: "),
            "{error}"
        );
    }
}

#[test]
fn predict_refuses_what_it_could_not_write_before_it_begins() {
    let folder = folder();
    let path = folder.path();
    fs::create_dir(path.join("sub")).unwrap();
    let predict = |more: &[&str]| {
        refused(
            path,
            &[&["predict", "nothing", "--input", "train.csv"], more].concat(),
        )
    };
    let error = predict(&["--output", "sub"]);
    assert!(
        error.contains("`sub` is a directory, expected a file"),
        "{error}"
    );
    let error = predict(&["--output", "no/out.csv"]);
    assert!(error.contains("`no` does not exist"), "{error}");
    let error = predict(&["--output", "out.txt"]);
    assert!(error.contains("--output-format"), "{error}");
    let error = refused(
        path,
        &["predict", "nothing", "--text", "a", "--input", "train.csv"],
    );
    assert!(error.contains("cannot be used with"), "{error}");
    let error = refused(
        path,
        &["predict", "nothing", "--text", "a", "--format", "csv"],
    );
    assert!(error.contains("--input FILE"), "{error}");
}

/// Whether this is a pretraining configuration.
fn pretrains(path: &Path) -> bool {
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    path.starts_with(root().join("configs/pretrain")) || name.ends_with("-pretrain")
}

/// Every configuration that comes with bertkit.
fn configurations() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().join("configs")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path
                .extension()
                .is_some_and(|extension| extension == "toml")
            {
                found.push(path);
            }
        }
    }
    assert!(!found.is_empty(), "there are no configurations");
    found.sort();
    found
}

#[test]
fn every_configuration_resolves() {
    for path in configurations() {
        let output = Override::flag("output", "out", "--output");
        let model = if pretrains(&path) {
            let config = PretrainConfig::resolve_unchecked(Some(&path), &[output]);
            config.map(|config| config.model)
        } else {
            let train = Override::flag("data.train", "train.csv", "--train");
            FinetuneConfig::resolve(Some(&path), &[train, output]).map(|config| config.model)
        };
        let model = model.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        if let Some(fresh) = model.fresh {
            assert_eq!(
                fresh.hidden_size % fresh.num_attention_heads,
                0,
                "{}",
                path.display()
            );
        }
    }
}

#[test]
fn small_configurations_run_dry_and_write_nothing() {
    let mut seen = 0;
    for path in configurations().into_iter().filter(|path| !pretrains(path)) {
        let config = FinetuneConfig::resolve_unchecked(Some(&path), &[]).unwrap();
        // Initialising larger models would take too long.
        let small = |fresh: &bertkit_training::config::FreshModel| {
            fresh.num_hidden_layers <= 2 && fresh.hidden_size <= 128
        };
        if !config.model.fresh.as_ref().is_some_and(small) {
            continue;
        }
        seen += 1;
        let folder = folder();
        let path = path.to_str().unwrap();
        let arguments = [
            "finetune",
            "--config",
            path,
            "--train",
            "train.csv",
            "--output",
            "out",
        ];
        let dry = ["--max-length", "16", "--device", "cpu", "--dry-run"];
        let run = bertkit(folder.path(), &[&arguments[..], &dry].concat());
        assert_eq!(run.code, Some(0), "{path}: {}", run.err);
        assert!(run.out.contains("# memory  about "), "{}", run.out);
        assert_eq!(
            fs::read_dir(folder.path()).unwrap().count(),
            1,
            "only train.csv"
        );

        // The entire output is the configuration of the same run.
        fs::write(folder.path().join("again.toml"), &run.out).unwrap();
        let again = FinetuneConfig::resolve(Some(&folder.path().join("again.toml")), &[]).unwrap();
        assert_eq!((again.data.max_length, again.device.as_str()), (16, "cpu"));
        assert_eq!(again.model, config.model);
    }
    assert!(seen > 0, "no configuration is small enough to run");
}
