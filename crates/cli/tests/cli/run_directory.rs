//! What resuming, killed processes, two processes at once and damaged files do to a run directory.

use std::fs;
use std::path::Path;
use std::process::Child;
use std::time::{Duration, Instant};

use super::harness::{Run, bertkit, command, finish, one_error, refused, succeeds};

const TINY: [&str; 16] = [
    "--device",
    "cpu",
    "--quiet",
    "--batch-size",
    "4",
    "--set",
    "tokenizer.vocab_size=300",
    "--set",
    "model.fresh.num_hidden_layers=1",
    "--set",
    "model.fresh.hidden_size=32",
    "--set",
    "model.fresh.num_attention_heads=2",
    "--set",
    "model.fresh.intermediate_size=64",
    "--learning-rate=1e-3",
];

fn train_csv(folder: &Path) {
    let mut text = String::from("text,label\n");
    for row in 0..60 {
        let (word, label) = if row % 2 == 0 {
            ("sun", "a")
        } else {
            ("rain", "b")
        };
        text += &format!("{word} {row} light,{label}\n");
    }
    fs::write(folder.join("train.csv"), text).unwrap();
}

fn arguments<'a>(command: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let data = [command, "--train", "train.csv", "--output", "run"];
    [&data[..], &TINY[..], more].concat()
}

fn finetune(folder: &Path, more: &[&str]) -> Run {
    bertkit(folder, &arguments("finetune", more))
}

/// A run that does not end on its own, once it has written a checkpoint.
fn endless(folder: &Path) -> Child {
    let more = ["--epochs", "100000", "--checkpoint-steps", "5"];
    let child = command(folder, &arguments("finetune", &more))
        .spawn()
        .unwrap();
    wait_for(&folder.join("run/checkpoints/latest"));
    child
}

#[track_caller]
fn wait_for(path: &Path) {
    let started = Instant::now();
    while !path.exists() {
        assert!(started.elapsed() < Duration::from_secs(120), "no {path:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn kill(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

/// A killed run with a checkpoint.
fn killed(folder: &Path) {
    train_csv(folder);
    kill(endless(folder));
}

fn newest_checkpoint(folder: &Path) -> std::path::PathBuf {
    let checkpoints = folder.join("run/checkpoints");
    let latest = fs::read_to_string(checkpoints.join("latest")).unwrap();
    checkpoints.join(latest.trim())
}

const RESUME: [&str; 3] = ["--resume", "--output", "run"];

#[test]
fn a_second_process_is_refused_with_the_id_of_the_first() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    train_csv(folder);
    let first = endless(folder);
    let config = fs::read_to_string(folder.join("run/config.toml")).unwrap();
    let in_use = format!("in use by another process (process id {})", first.id());
    for more in [&["--overwrite"][..], &["--epochs", "1"], &["--resume"]] {
        one_error(&finetune(folder, more), 2, &in_use);
    }
    refused(folder, &[&["finetune"], &RESUME[..]].concat(), &in_use);
    assert_eq!(
        fs::read_to_string(folder.join("run/config.toml")).unwrap(),
        config
    );
    assert!(newest_checkpoint(folder).is_dir());
    // The lock of a killed process does not block the next one.
    kill(first);
    assert!(folder.join("run/.lock").exists());
    let overwritten = finetune(folder, &["--epochs", "1", "--overwrite"]);
    assert_eq!(overwritten.code, Some(0), "{}", overwritten.err);
    assert!(!folder.join("run/.lock").exists());
}

#[test]
fn an_edited_configuration_is_noticed_when_resuming() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    killed(folder);
    let path = folder.join("run/config.toml");
    let config = fs::read_to_string(&path).unwrap();
    assert!(config.contains("learning_rate = 0.001"), "{config}");
    fs::write(
        &path,
        config.replace("learning_rate = 0.001", "learning_rate = 0.002"),
    )
    .unwrap();
    let resume = [&["finetune"], &RESUME[..]].concat();
    refused(folder, &resume, "its `config.toml` has been edited");
}

#[test]
fn a_flipped_bit_in_a_checkpoint_is_one_error() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    killed(folder);
    let checkpoint = newest_checkpoint(folder);
    let resume = [&["finetune"], &RESUME[..]].concat();
    for file in ["model.safetensors", "optimizer.safetensors"] {
        let path = checkpoint.join(file);
        let whole = fs::read(&path).unwrap();
        let mut flipped = whole.clone();
        let last = flipped.len() - 3;
        flipped[last] ^= 1;
        fs::write(&path, flipped).unwrap();
        let run = bertkit(folder, &resume);
        one_error(
            &run,
            1,
            &format!("`{file}` has changed since it was written"),
        );
        fs::write(&path, whole).unwrap();
    }
}

#[test]
fn a_flipped_bit_in_a_model_is_one_error() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    train_csv(folder);
    assert_eq!(finetune(folder, &["--epochs", "1"]).code, Some(0));
    let predict = ["predict", "run", "--text", "sun", "--device", "cpu"];
    succeeds(folder, &predict);
    let path = folder.join("run/model/model.safetensors");
    let mut weights = fs::read(&path).unwrap();
    let last = weights.len() - 3;
    weights[last] ^= 1;
    fs::write(&path, weights).unwrap();
    let run = bertkit(folder, &predict);
    one_error(&run, 1, "has changed since it was written");
    // Without the record, as in a folder of an earlier version, nothing is compared.
    let environment = folder.join("run/environment.json");
    let mut value: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(&environment).unwrap()).unwrap();
    value.as_object_mut().unwrap().remove("model");
    fs::write(&environment, value.to_string()).unwrap();
    succeeds(folder, &predict);
}

#[test]
fn a_run_killed_after_its_model_was_written_is_finished_by_resuming() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    train_csv(folder);
    assert_eq!(finetune(folder, &["--epochs", "1"]).code, Some(0));
    let left = folder.join("run/checkpoints/step-00000005");
    fs::create_dir_all(&left).unwrap();
    fs::write(folder.join("run/checkpoints/latest"), "step-00000005\n").unwrap();
    let resume = [&["finetune"], &RESUME[..]].concat();
    let out = succeeds(folder, &resume).out;
    assert!(out.contains("run/model"), "{out}");
    assert!(!folder.join("run/checkpoints").exists());
    refused(folder, &resume, "the run is finished");
}

#[test]
fn a_run_killed_before_its_first_file_is_no_dead_end() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    train_csv(folder);
    let leave = |names: &[&str]| {
        fs::create_dir_all(folder.join("run/checkpoints")).unwrap();
        for name in names {
            fs::write(folder.join("run").join(name), "4711").unwrap();
        }
    };
    leave(&[".lock", ".config.toml.4711-0.tmp"]);
    let run = finetune(folder, &["--epochs", "1"]);
    assert_eq!(run.code, Some(0), "{}", run.err);
    fs::remove_dir_all(folder.join("run")).unwrap();
    // A file that no run left: the hint names what works.
    leave(&["notes.txt"]);
    let run = finetune(folder, &["--epochs", "1"]);
    one_error(&run, 2, "is not empty");
    assert!(!run.err.contains("--resume"), "{}", run.err);
    let run = finetune(folder, &["--epochs", "1", "--overwrite"]);
    assert_eq!(run.code, Some(0), "{}", run.err);
    fs::remove_dir_all(folder.join("run")).unwrap();
    // A cross-validation.
    fs::create_dir_all(folder.join("run")).unwrap();
    fs::write(folder.join("run/.runs.toml.4711-0.tmp"), "seed").unwrap();
    let more = ["--epochs", "1", "--folds", "2", "--bootstrap", "10"];
    let run = bertkit(folder, &arguments("crossval", &more));
    assert_eq!(run.code, Some(0), "{}", run.err);
    assert!(!folder.join("run/.runs.toml.4711-0.tmp").exists());
}

#[test]
fn evaluations_at_once_leave_the_files_of_one_of_them() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    train_csv(folder);
    assert_eq!(finetune(folder, &["--epochs", "1"]).code, Some(0));
    let eval = [
        "eval",
        "run",
        "--data",
        "train.csv",
        "--device",
        "cpu",
        "--bootstrap",
        "10",
    ];
    let children: Vec<Child> = (0..4)
        .map(|_| command(folder, &eval).spawn().unwrap())
        .collect();
    for child in children {
        let run = finish(child);
        assert_eq!(run.code, Some(0), "{}", run.err);
    }
    let mut names: Vec<_> = fs::read_dir(folder.join("run/eval"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["train.json", "train.predictions.jsonl"]);
}

/// The end of a command whose output nobody can take.
#[cfg(target_os = "linux")]
fn with_stdout(folder: &Path, arguments: &[&str], stdout: fs::File) -> Run {
    finish(command(folder, arguments).stdout(stdout).spawn().unwrap())
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_device_is_an_error_for_help_and_a_closed_pipe_is_none_for_predictions() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let full = || fs::File::options().write(true).open("/dev/full").unwrap();
    let run = with_stdout(folder, &["--help"], full());
    assert_eq!(run.code, Some(1), "{}", run.err);
    train_csv(folder);
    assert_eq!(finetune(folder, &["--epochs", "1"]).code, Some(0));
    let mut rows = String::from("text\n");
    for row in 0..5000 {
        rows += &format!("sun {row}\n");
    }
    fs::write(folder.join("many.csv"), rows).unwrap();
    let predict = ["predict", "run", "--input", "many.csv", "--device", "cpu"];
    let mut child = command(folder, &predict).spawn().unwrap();
    drop(child.stdout.take());
    let run = finish(child);
    assert_eq!(
        (run.code, run.err.contains("error:")),
        (Some(0), false),
        "{}",
        run.err
    );
}

#[cfg(target_os = "linux")]
#[test]
fn an_output_that_is_not_utf8_and_a_damaged_file_of_ours_are_refused() {
    use std::os::unix::ffi::OsStrExt;
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    train_csv(folder);
    let name = std::ffi::OsStr::from_bytes(b"run-\xff");
    let mut refused = command(folder, &["finetune", "--train", "train.csv", "--output"]);
    let run = finish(refused.arg(name).spawn().unwrap());
    assert_eq!(run.code, Some(2), "{}", run.err);
    assert!(run.err.contains("invalid UTF-8"), "{}", run.err);
    assert_eq!(fs::read_dir(folder).unwrap().count(), 1);
    assert_eq!(finetune(folder, &["--epochs", "1"]).code, Some(0));
    fs::write(
        folder.join("run/model/bertkit.json"),
        b"{\"kind\": \"\xff\"}",
    )
    .unwrap();
    let predict = ["predict", "run", "--text", "sun", "--device", "cpu"];
    one_error(&bertkit(folder, &predict), 2, "bertkit.json");
}

#[test]
fn resuming_with_the_wrong_command_names_the_right_one() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    train_csv(folder);
    assert_eq!(finetune(folder, &["--epochs", "1"]).code, Some(0));
    let resume = [&["crossval"], &RESUME[..]].concat();
    let err = refused(folder, &resume, "is a run of `bertkit finetune`");
    assert!(
        err.contains("bertkit finetune --resume --output run"),
        "{err}"
    );
    fs::create_dir(folder.join("folds")).unwrap();
    fs::write(folder.join("folds/crossval.toml"), "").unwrap();
    let resume = ["finetune", "--resume", "--output", "folds"];
    refused(folder, &resume, "holds runs of `bertkit crossval`");
}
