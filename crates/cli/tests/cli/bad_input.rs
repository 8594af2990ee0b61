//! Bad input ends in one message that begins with `error:`, a hint, and exit code 2 (usage, configuration, data) or 1
//! (the run). No partial files are left.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use crate::harness::{
    bertkit, bertkit_reading, golden_model, names, one_error, refused, tiny, vocabulary,
};

/// `text,label` and forty rows of two classes, in words that [`golden_model`] knows.
fn table() -> String {
    let mut table = String::from("text,label\n");
    for row in 0..40 {
        let (word, label) = [("w1", "LABEL_0"), ("w2", "LABEL_1")][row % 2];
        table += &format!("{word} w3 w{},{label}\n", 4 + row % 9);
    }
    table
}

/// A folder with the table above in `train.csv`.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("train.csv"), table()).unwrap();
    folder
}

/// A folder as above, and in `model` a classifier of three classes with its tokenizer.
fn folder_with_model() -> TempDir {
    let folder = folder();
    golden_model(&folder.path().join("model"), "bert-sequence-3");
    folder
}

/// A run of two steps with a small fresh model into `out`, and more arguments.
fn training<'a>(config: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let mut arguments = vec![
        "finetune",
        "--config",
        config,
        "--set",
        "tokenizer.vocab_size=60",
        "--set",
        "model.fresh.hidden_size=16",
        "--set",
        "model.fresh.intermediate_size=16",
        "--threads",
        "1",
        "--output",
        "out",
    ];
    for (flag, value) in [
        ("--train", "train.csv"),
        ("--max-steps", "2"),
        ("--device", "cpu"),
    ] {
        if !more.contains(&flag) {
            arguments.extend([flag, value]);
        }
    }
    arguments.extend(more);
    arguments
}

#[track_caller]
fn training_refused(folder: &Path, more: &[&str], part: &str) {
    refused(folder, &training(&tiny(), more), part);
    assert!(!folder.join("out").exists());
}

#[test]
fn files_that_are_no_tables_are_refused_by_every_command() {
    let folder = folder_with_model();
    let path = folder.path();
    fs::create_dir(path.join("directory.csv")).unwrap();
    let utf16: Vec<u8> = table().encode_utf16().flat_map(u16::to_le_bytes).collect();
    let files: [(&str, Vec<u8>, &str); 12] = [
        ("empty.csv", b"".into(), "is empty"),
        (
            "header.csv",
            b"text,label\n".into(),
            "holds a header and no rows",
        ),
        (
            "few.csv",
            b"text,label\na,x\nb\n".into(),
            "line 3 of `few.csv` has 1 field",
        ),
        (
            "nul.csv",
            b"text,label\na,x\nb\0,y\n".into(),
            "line 3 of `nul.csv` holds a NUL byte (byte offset 16)",
        ),
        (
            "latin.csv",
            b"text,label\na,x\ncaf\xe9 noir,y\n".into(),
            "line 3 of `latin.csv` is not UTF-8: byte 0xe9 at byte offset 18",
        ),
        ("wide.csv", utf16, "UTF-16LE"),
        (
            "quote.csv",
            b"text,label\n\"a,x\nb,y\n".into(),
            "is never closed",
        ),
        (
            "semicolon.csv",
            b"text;label\na;x\nb;y\n".into(),
            "try --delimiter semicolon",
        ),
        (
            "other.csv",
            b"txet,label\na,x\nb,y\n".into(),
            "has no column `text`",
        ),
        ("broken.jsonl", b"{\"text\": \n".into(), "is not JSON"),
        ("broken.json", b"{\"questions\": [".into(), "is not JSON"),
        (
            "lines.json",
            b"{\"text\": 1}\n{\"text\": 2}\n".into(),
            "JSON Lines, `.jsonl`",
        ),
    ];
    let mut cases = vec![
        ("missing.csv", "`missing.csv` does not exist"),
        ("directory.csv", "is a directory"),
    ];
    for (name, content, part) in &files {
        fs::write(path.join(name), content).unwrap();
        cases.push((name, part));
    }
    let before = names(path);
    for (name, part) in cases {
        training_refused(path, &["--train", name], part);
        training_refused(path, &["--valid", name], part);
        refused(path, &["eval", "model", "--data", name], part);
        refused(path, &["predict", "model", "--input", name], part);
        let output = ["predict", "model", "--input", name, "--output", "out.csv"];
        refused(path, &output, part);
    }
    assert_eq!(names(path), before);
}

#[test]
fn tables_without_anything_to_learn_are_refused() {
    let folder = folder();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write("one.csv", "text,label\na,x\nb,x\n");
    write("each.csv", "text,label\na,x\nb,y\n");
    write("gaps.csv", "text,label\n,x\nb,\n");
    write("valid.csv", "text,label\na,unknown\nb,unknown\n");
    write("same.csv", "text,label\na,0.5\nb,0.50\n");
    let refused = |more: &[&str], part: &str| training_refused(folder.path(), more, part);
    refused(&["--train", "one.csv"], "all 2 rows have the label `x`");
    refused(&["--train", "each.csv"], "--valid-fraction 0");
    refused(
        &["--train", "gaps.csv"],
        "no text on line 2; no label on line 3",
    );
    refused(
        &["--train", "gaps.csv", "--missing", "refuse"],
        "line 2 of `gaps.csv` has no text",
    );
    refused(
        &["--valid", "valid.csv"],
        "no row of `valid.csv` has a label that training knows",
    );
    let same = [
        "--train",
        "same.csv",
        "--task",
        "regression",
        "--valid-fraction",
        "0",
    ];
    refused(&same, "the same number");
    refused(&["--label", "labels"], "did you mean `label`?");
    refused(&["--group", "patient"], "has no column `patient`");
}

#[test]
fn settings_without_effect_or_sense_are_refused() {
    let folder = folder();
    let cases: [(&[&str], &str); 23] = [
        (&["--epoch", "3"], "unexpected argument '--epoch'"),
        (&["--epochs", "three"], "invalid value 'three'"),
        (&["--epochs", "4000000000"], "expected 1 to 100000"),
        (&["--device", "tpu"], "`tpu` is not a device"),
        (&["--task", "regression"], "is `LABEL_0`, expected a number"),
        (&["--task", "multi-label"], "--label-separator"),
        (&["--positive", "spam"], "`spam` is none of the two classes"),
        (
            &["--class-weights", "LABEL_0=0,LABEL_1=0"],
            "every class has the weight 0",
        ),
        (&["--class-weights", "LABEL_9=2"], "did you mean `LABEL_"),
        (
            &["--early-stopping", "2", "--valid-fraction", "0"],
            "early stopping is decided on validation rows",
        ),
        (
            &["--best-metric", "f1", "--valid-fraction", "0"],
            "chosen on validation rows",
        ),
        (
            &["--threshold", "f1", "--valid-fraction", "0"],
            "a threshold is chosen on validation rows",
        ),
        (&["--best-metric", "r2"], "does not apply"),
        (&["--freeze-layers", "9"], "the encoder has 2 layers"),
        (
            &["--sampler", "balanced", "--batch-size", "1"],
            "cannot hold every one of 2 classes",
        ),
        (
            &["--set", "optimizer.weight_decay=inf"],
            "`optimizer.weight_decay` is inf",
        ),
        (
            &["--set", "model.fresh.hidden_dropout=1.5"],
            "`model.fresh.hidden_dropout` is 1.5",
        ),
        (
            &["--set", "model.fresh.initializer_range=0"],
            "`model.fresh.initializer_range` is 0",
        ),
        (
            &["--set", "model.fresh.hidden_size=2000000"],
            "parameters, expected fewer",
        ),
        (
            &["--set", "model.fresh.max_position_embeddings=2"],
            "positions for 2 tokens",
        ),
        (
            &["--set", "model.fresh.num_attention_heads=3"],
            "a divisor of the width 16",
        ),
        (
            &["--set", "model.fresh.family=gpt2"],
            "expected one of `bert`, `roberta`, `electra`, `distilbert`, `albert`",
        ),
        (
            &["--set", "task.threshold=often"],
            "expected a number from 0 to 1, `f1`",
        ),
    ];
    for (more, part) in cases {
        training_refused(folder.path(), more, part);
    }
    fs::write(folder.path().join("numbers.csv"), numbers()).unwrap();
    for more in [["--loss", "focal"], ["--label-smoothing", "0.1"]] {
        let more = [more[0], more[1], "--train", "numbers.csv"];
        training_refused(folder.path(), &more, "the task is a regression");
    }
}

fn numbers() -> String {
    let rows = (0..20).map(|row| format!("w{row},{}.25\n", row));
    String::from("text,label\n") + &rows.collect::<String>()
}

#[test]
fn model_folders_that_do_not_fit_together_are_refused_by_every_command() {
    type Damage = fn(&Path);
    fn edit(model: &Path, from: &str, to: &str) {
        let path = model.join("config.json");
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from));
        fs::write(path, text.replace(from, to)).unwrap();
    }
    fn cut(model: &Path, bytes: usize) {
        let path = model.join("model.safetensors");
        let content = fs::read(&path).unwrap();
        fs::write(path, &content[..bytes]).unwrap();
    }
    let damages: [(Damage, &str); 13] = [
        (
            |model| fs::remove_file(model.join("config.json")).unwrap(),
            "config.json",
        ),
        (
            |model| fs::write(model.join("config.json"), "{").unwrap(),
            "is not readable JSON",
        ),
        (
            |model| {
                edit(
                    model,
                    "\"model_type\": \"bert\"",
                    "\"model_type\": \"gpt2\"",
                )
            },
            "supported are bert, roberta, xlm-roberta, camembert, electra, distilbert and albert",
        ),
        (
            |model| {
                edit(
                    model,
                    "\"intermediate_size\": 48",
                    "\"intermediate_size\": 64",
                )
            },
            "is [48, 32] in `model/model.safetensors`, but the configuration makes it [64, 32]",
        ),
        (
            |model| edit(model, "\"vocab_size\": 97", "\"vocab_size\": 300000000"),
            "word_embeddings.weight` is [97, 32]",
        ),
        (
            |model| edit(model, "\"vocab_size\": 97", "\"vocab_size\": 4000000000"),
            "parameters, expected fewer",
        ),
        (
            |model| {
                edit(
                    model,
                    "\"num_hidden_layers\": 2",
                    "\"num_hidden_layers\": 3",
                )
            },
            "is missing from `model/model.safetensors`",
        ),
        (
            |model| fs::remove_file(model.join("model.safetensors")).unwrap(),
            "no weights in `model`",
        ),
        (|model| cut(model, 5000), "the file is damaged"),
        (|model| cut(model, 5), "5 bytes cannot hold a header"),
        (
            |model| fs::write(model.join("vocab.txt"), vocabulary(98)).unwrap(),
            "has 98 tokens, but the model's embedding has 97 rows",
        ),
        (
            |model| fs::remove_file(model.join("vocab.txt")).unwrap(),
            "holds no tokenizer",
        ),
        (
            |model| fs::write(model.join("tokenizer.json"), "{").unwrap(),
            "`model/tokenizer.json` is not JSON",
        ),
    ];
    for (damage, part) in damages {
        let folder = folder_with_model();
        let path = folder.path();
        damage(&path.join("model"));
        let finetune = ["finetune", "--model", "model", "--train", "train.csv"];
        let finetune = [&finetune[..], &["--output", "out"]].concat();
        refused(path, &finetune, part);
        // These commands look for a run or a model, and report that there is neither.
        let part = if part == "config.json" {
            "holds no trained model"
        } else {
            part
        };
        refused(path, &["eval", "model", "--data", "train.csv"], part);
        refused(path, &["predict", "model", "--text", "w1"], part);
        assert_eq!(names(path), ["model", "train.csv"]);
    }
}

#[test]
fn models_whose_head_does_not_classify_texts_are_refused_with_what_to_do() {
    for (case, part) in [
        ("bert-base-model", "has no head that classifies texts"),
        ("electra-discriminator", "has no head that classifies texts"),
    ] {
        let folder = folder();
        golden_model(&folder.path().join("model"), case);
        for arguments in [
            ["eval", "model", "--data", "train.csv"],
            ["predict", "model", "--text", "w1"],
        ] {
            let run = bertkit(folder.path(), &arguments);
            one_error(&run, 2, part);
            assert!(run.err.contains("bertkit finetune --model model"));
        }
    }
}

#[test]
fn weights_that_are_no_numbers_give_no_answers() {
    let folder = folder_with_model();
    let path = folder.path().join("model/model.safetensors");
    let mut content = fs::read(&path).unwrap();
    let header = u64::from_le_bytes(content[..8].try_into().unwrap()) as usize;
    content[8 + header..].fill(0xff);
    fs::write(&path, content).unwrap();
    let part = "the model's answer to text 1 is no number";
    refused(folder.path(), &["predict", "model", "--text", "w1"], part);
    refused(
        folder.path(),
        &["eval", "model", "--data", "train.csv"],
        part,
    );
}

#[test]
fn labels_that_training_never_saw_are_counted_and_listed_or_refused() {
    let folder = folder_with_model();
    let path = folder.path();
    let text = "text,label\nw1,LABEL_0\nw2,neutral\nw3,neutral\nw4,odd\n";
    fs::write(path.join("test.csv"), text).unwrap();
    let eval = ["eval", "model", "--data", "test.csv", "--bootstrap", "0"];
    let run = bertkit(path, &eval);
    assert_eq!(run.code, Some(0), "{}", run.err);
    let listed =
        "3 rows have a label that training never saw: `neutral` (2), `odd` (1); scored as wrong";
    assert!(run.err.contains(listed), "{}", run.err);
    let json = bertkit(path, &[&eval[..], &["--json", "--quiet"]].concat());
    let report: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    let accuracy = report["metrics"]["accuracy"]["value"].as_f64().unwrap();
    assert!(accuracy <= 0.25, "{report}");
    assert!(report["notes"].to_string().contains(listed), "{report}");
    let strict = [&eval[..], &["--strict"]].concat();
    refused(path, &strict, "`neutral` (2), `odd` (1)");
}

#[test]
fn texts_of_no_characters_and_of_a_million_are_answered() {
    let folder = folder_with_model();
    let long = "w1 ".repeat(350_000);
    let word = "x".repeat(1_000_000);
    let lines = format!("\n{long}\n{word}\n");
    let run = bertkit_reading(folder.path(), &["predict", "model", "--json"], &lines);
    assert_eq!(run.code, Some(0), "{}", run.err);
    let answers: Vec<serde_json::Value> = run
        .out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let cut: Vec<_> = answers.iter().map(|answer| &answer["truncated"]).collect();
    assert_eq!(cut, [false, true, false]);
}

#[test]
fn predict_refuses_flags_for_a_table_without_a_table() {
    let folder = folder();
    for flag in ["--output", "--output-format", "--text-column"] {
        let value = if flag == "--output-format" {
            "csv"
        } else {
            "x.csv"
        };
        let arguments = ["predict", "model", "--text", "a", flag, value];
        refused(folder.path(), &arguments, flag);
    }
    refused(
        folder.path(),
        &["predict", "nowhere", "--text", "a"],
        "`nowhere` does not exist",
    );
    refused(
        folder.path(),
        &["predict", "train.csv", "--text", "a"],
        "is a file, expected the directory of a run",
    );
}

#[test]
fn run_directories_with_files_of_others_are_left_alone() {
    let folder = folder();
    let path = folder.path();
    let config = tiny();
    let with = |more: &[&'static str]| bertkit(path, &training(&config, more));
    fs::create_dir(path.join("out")).unwrap();
    fs::write(path.join("out/thesis.txt"), "x").unwrap();
    one_error(&with(&[]), 2, "the run directory `out` is not empty");
    one_error(&with(&["--resume"]), 2, "no checkpoint to resume from");
    assert_eq!(names(&path.join("out")), ["thesis.txt"]);

    fs::create_dir(path.join("out/model")).unwrap();
    fs::write(path.join("out/model/mine"), "x").unwrap();
    one_error(&with(&["--overwrite"]), 2, "would replace its `model`");
    assert!(path.join("out/model/mine").exists());

    fs::remove_dir_all(path.join("out/model")).unwrap();
    let run = with(&["--overwrite", "--quiet"]);
    assert_eq!(run.code, Some(0), "{}", run.err);
    assert!(path.join("out/thesis.txt").exists() && path.join("out/model").is_dir());
    one_error(&with(&["--resume"]), 2, "the run is finished");
    one_error(
        &with(&["--resume", "--seed", "9"]),
        2,
        "`seed` was 42 and is 9 now",
    );
}

#[test]
fn a_file_where_the_run_directory_belongs_is_refused() {
    let folder = folder();
    fs::write(folder.path().join("file"), "x").unwrap();
    for output in ["file", "file/run"] {
        for more in [&[][..], &["--overwrite"]] {
            let mut arguments = training("", more);
            let at = arguments.iter().position(|&a| a == "out").unwrap();
            arguments[at] = output;
            let config = tiny();
            arguments[2] = &config;
            refused(folder.path(), &arguments, "`file` is a file");
        }
    }
    assert_eq!(fs::read(folder.path().join("file")).unwrap(), b"x");
}

#[test]
fn a_run_that_diverges_names_the_rows_and_keeps_no_such_weights() {
    let folder = folder();
    let config = tiny();
    let runaway = ["--learning-rate", "0.9", "--warmup", "0", "--quiet"];
    // In the first case, the loss diverges before any weight is checked.
    for (decay, checkpoint_steps, what) in [
        (
            "optimizer.weight_decay=1e30",
            "9",
            "the loss is NaN at step",
        ),
        (
            "optimizer.weight_decay=1e39",
            "1",
            "the size of a weight is",
        ),
    ] {
        let more = [
            &runaway[..],
            &["--set", decay, "--max-steps", "3", "--overwrite"],
        ]
        .concat();
        let more = [&more[..], &["--checkpoint-steps", checkpoint_steps]].concat();
        let run = bertkit(folder.path(), &training(&config, &more));
        one_error(&run, 1, what);
        assert!(run.err.contains("the rows from lines "), "{}", run.err);
        let out = folder.path().join("out");
        assert!(!out.join("model").exists());
        assert!(names(&out.join("checkpoints")).is_empty());
    }
}

#[cfg(target_os = "linux")]
mod refusing_system {
    use std::io::{BufRead, BufReader, Write};
    use std::process::{Command, Stdio};
    use std::time::{Duration, Instant};

    use super::*;
    use crate::harness::{Run, command, finish, signal};

    /// Runs bertkit with files limited to `blocks` of 512 bytes, as on a full disk.
    fn in_little_space(folder: &Path, blocks: u32, arguments: &[&str]) -> Run {
        let mut command = Command::new("sh");
        let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"");
        command.args(["-c", &script, env!("CARGO_BIN_EXE_bertkit")]);
        command.args(arguments).current_dir(folder);
        command.env_remove("RUST_BACKTRACE").stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        finish(command.spawn().unwrap())
    }

    #[test]
    fn no_space_at_the_start_leaves_nothing() {
        let folder = folder();
        let config = tiny();
        let run = in_little_space(folder.path(), 0, &training(&config, &["--quiet"]));
        one_error(&run, 1, "could not write `out/config.toml`");
        assert_eq!(names(folder.path()), ["train.csv"]);
        fs::create_dir(folder.path().join("out")).unwrap();
        let run = in_little_space(folder.path(), 0, &training(&config, &["--quiet"]));
        one_error(&run, 1, "could not write `out/config.toml`");
        assert!(names(&folder.path().join("out")).is_empty());
    }

    #[test]
    fn no_space_on_the_way_leaves_what_was_complete_and_resume_finishes() {
        let folder = folder();
        let (path, config) = (folder.path(), tiny());
        let more = ["--quiet", "--max-steps", "4", "--checkpoint-steps", "1"];
        let run = in_little_space(path, 16, &training(&config, &more));
        one_error(&run, 1, "could not write weights to `out/checkpoints/");
        let out = path.join("out");
        let left = [
            "checkpoints",
            "config.toml",
            "environment.json",
            "metrics.jsonl",
        ];
        assert_eq!(names(&out), left);
        assert!(names(&out.join("checkpoints")).is_empty());
        let run = bertkit(
            path,
            &["finetune", "--resume", "--output", "out", "--quiet"],
        );
        assert_eq!(run.code, Some(0), "{}", run.err);
        assert!(out.join("model/config.json").exists());

        let eval = [
            "eval",
            "out",
            "--data",
            "train.csv",
            "--quiet",
            "--bootstrap",
            "0",
        ];
        let run = in_little_space(path, 1, &eval);
        one_error(&run, 1, "could not write `out/eval/train.");
        assert!(!out.join("eval").exists());
    }

    #[test]
    fn predictions_that_cannot_be_written_leave_the_old_ones() {
        let folder = folder_with_model();
        let path = folder.path();
        fs::write(path.join("out.csv"), "old").unwrap();
        let predict = ["predict", "model", "--input", "train.csv", "--quiet"];
        let output = |name| [&predict[..], &["--output", name]].concat();
        let run = in_little_space(path, 1, &output("out.csv"));
        one_error(&run, 1, "could not write `out.csv`");
        assert_eq!(fs::read(path.join("out.csv")).unwrap(), b"old");
        assert_eq!(names(path), ["model", "out.csv", "train.csv"]);

        let full = [&output("/dev/full")[..], &["--output-format", "csv"]].concat();
        one_error(&bertkit(path, &full), 1, "could not write `/dev/full`");
        for arguments in [
            &predict[..],
            &["predict", "model", "--text", "w1"],
            &["eval", "model", "--data", "train.csv", "--bootstrap", "0"],
        ] {
            let full = fs::OpenOptions::new()
                .write(true)
                .open("/dev/full")
                .unwrap();
            let mut command = command(path, arguments);
            let run = finish(command.stdout(full).spawn().unwrap());
            one_error(&run, 1, "could not write to standard output");
        }
    }

    #[test]
    fn a_reader_that_goes_away_is_no_error() {
        let folder = folder_with_model();
        let mut command = command(folder.path(), &["predict", "model", "--quiet"]);
        let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
        let mut input = child.stdin.take().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        // Predictions are made 1,024 at a time: the first answers come before the input ends.
        input.write_all("w1\n".repeat(1024).as_bytes()).unwrap();
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        assert!(line.starts_with("LABEL_"), "{line}");
        drop(output);
        // The process may have ended before it reads everything.
        let _ = input.write_all("w1\n".repeat(4096).as_bytes());
        drop(input);
        let output = child.wait_with_output().unwrap();
        assert_eq!((output.status.code(), output.stderr), (Some(0), Vec::new()));
    }

    #[test]
    fn an_interruption_before_the_first_step_leaves_nothing() {
        for name in ["INT", "TERM"] {
            let folder = folder();
            let pipe = folder.path().join("pipe.csv");
            assert!(
                Command::new("mkfifo")
                    .arg(&pipe)
                    .status()
                    .unwrap()
                    .success()
            );
            let config = tiny();
            let arguments = training(&config, &["--train", "pipe.csv"]);
            let child = command(folder.path(), &arguments).spawn().unwrap();
            // Opens when the other side reads: the run is then waiting for its data.
            let writer = fs::OpenOptions::new().write(true).open(&pipe).unwrap();
            signal(name, &child);
            let run = finish(child);
            drop(writer);
            assert_eq!(run.code, Some(130), "{}", run.err);
            assert!(run.err.contains("nothing was written"), "{}", run.err);
            assert_eq!(names(folder.path()), ["pipe.csv", "train.csv"]);
        }
    }

    #[test]
    fn an_interrupted_run_leaves_a_checkpoint_that_resume_continues_under_the_same_terms() {
        let folder = folder();
        let (path, config) = (folder.path(), tiny());
        let metrics = path.join("out/metrics.jsonl");
        let more = ["--max-steps", "400", "--epochs", "500", "--quiet"];
        let child = command(path, &training(&config, &more)).spawn().unwrap();
        let started = Instant::now();
        while fs::read_to_string(&metrics).map_or(0, |text| text.lines().count()) < 4 {
            assert!(started.elapsed() < Duration::from_secs(60));
            std::thread::sleep(Duration::from_millis(2));
        }
        signal("INT", &child);
        let run = finish(child);
        assert_eq!(run.code, Some(130), "{}", run.err);
        assert!(
            run.err.contains("bertkit finetune --resume --output out"),
            "{}",
            run.err
        );
        let checkpoints = path.join("out/checkpoints");
        assert!(names(&checkpoints).contains(&"latest".to_owned()));
        assert!(
            names(&checkpoints)
                .iter()
                .all(|name| !name.starts_with('.'))
        );

        let resume = ["finetune", "--resume", "--output", "out", "--quiet"];
        let changed = [&resume[..], &["--learning-rate", "0.1"]].concat();
        refused(
            path,
            &changed,
            "`optimizer.learning_rate` was 0.00005 and is 0.1 now",
        );
        let table = fs::read_to_string(path.join("train.csv")).unwrap();
        fs::write(path.join("train.csv"), table.replace("w3", "w4")).unwrap();
        refused(path, &resume, "the data files have changed");
        fs::remove_file(path.join("train.csv")).unwrap();
        refused(path, &resume, "`train.csv` does not exist");
        fs::write(path.join("train.csv"), table).unwrap();

        let latest = fs::read_to_string(checkpoints.join("latest")).unwrap();
        let weights = checkpoints.join(latest.trim()).join("model.safetensors");
        let whole = fs::read(&weights).unwrap();
        fs::write(&weights, &whole[..whole.len() / 2]).unwrap();
        one_error(
            &bertkit(path, &resume),
            1,
            "the checkpoint `out/checkpoints/",
        );
        fs::write(&weights, whole).unwrap();
        let run = bertkit(path, &resume);
        assert_eq!(run.code, Some(0), "{}", run.err);
        assert!(path.join("out/model").is_dir() && !checkpoints.exists());
    }
}
