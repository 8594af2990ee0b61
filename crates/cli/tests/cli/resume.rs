//! A run killed at any moment resumes to the same final weights.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::harness::{command, finish};

/// A short run into `run`.
fn finetune(folder: &Path, run: &str, more: &[&str]) -> Command {
    let mut arguments = vec!["finetune", "--train", "train.csv", "--output", run];
    arguments.extend(["--device", "cpu", "--quiet", "--epochs", "4"]);
    arguments.extend(["--batch-size", "4", "--valid-fraction", "0.2"]);
    arguments.extend(["--checkpoint-steps", "3", "--learning-rate", "1e-3"]);
    for setting in [
        "tokenizer.vocab_size=300",
        "model.fresh.num_hidden_layers=2",
        "model.fresh.hidden_size=64",
        "model.fresh.num_attention_heads=2",
        "model.fresh.intermediate_size=128",
    ] {
        arguments.extend(["--set", setting]);
    }
    arguments.extend(more);
    command(folder, &arguments)
}

/// Runs to the end.
#[track_caller]
fn completes(folder: &Path, run: &str, more: &[&str]) {
    let run = finish(finetune(folder, run, more).spawn().unwrap());
    assert_eq!(run.code, Some(0), "{}", run.err);
}

fn train_csv(folder: &Path) {
    let words = [
        "sun", "rain", "wind", "snow", "cloud", "storm", "light", "dark",
    ];
    let mut text = String::from("text,label\n");
    for row in 0..60_usize {
        let line: Vec<&str> = (0..3 + row % 9)
            .map(|i| words[(row * 7 + i * (1 + row % 3)) % 8])
            .collect();
        text.push_str(&format!(
            "{},{}\n",
            line.join(" "),
            if line.contains(&"sun") { "a" } else { "b" }
        ));
    }
    std::fs::write(folder.join("train.csv"), text).unwrap();
}

#[test]
fn a_run_killed_at_any_moment_resumes_to_the_same_weights() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    train_csv(folder);
    let started = Instant::now();
    completes(folder, "whole", &[]);
    let mut length = started.elapsed();
    let weights =
        |run: &str| std::fs::read(folder.join(run).join("model/model.safetensors")).unwrap();
    let expected = weights("whole");

    let mut killed = 0;
    // If runs end before they are killed because the first one was slowed down, kill the next ones earlier.
    let shares = [0.1, 0.35, 0.5, 0.65, 0.8, 0.95];
    for (attempt, share) in shares.into_iter().cycle().take(30).enumerate() {
        if killed == shares.len() {
            break;
        }
        let run = format!("killed-{attempt}");
        let mut child = finetune(folder, &run, &[]).spawn().unwrap();
        std::thread::sleep(length.mul_f64(share));
        // SIGKILL on Unix: the process cannot handle it.
        child.kill().unwrap();
        let status = child.wait().unwrap();
        if status.success() {
            length = length.mul_f64(0.8);
            continue;
        }
        killed += 1;
        // Killed once more while resuming, then left to finish. A kill before the first file leaves nothing to resume.
        let begun = |run: &str| folder.join(run).join("config.toml").exists();
        if begun(&run) && !folder.join(&run).join("model").exists() {
            let mut child = finetune(folder, &run, &["--resume"]).spawn().unwrap();
            std::thread::sleep(Duration::from_millis(30) + length.mul_f64(0.1));
            child.kill().unwrap();
            child.wait().unwrap();
        }
        if !folder.join(&run).join("model").exists() {
            let how = if begun(&run) {
                "--resume"
            } else {
                "--overwrite"
            };
            completes(folder, &run, &[how]);
        }
        assert!(
            weights(&run) == expected,
            "{run}: other weights than those of the whole run"
        );
        let leftovers: Vec<_> = std::fs::read_dir(folder.join(&run))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .filter(|name| name.ends_with(".tmp"))
            .collect();
        assert!(leftovers.is_empty(), "{leftovers:?}");
    }
    assert!(
        killed >= 3,
        "only {killed} runs were killed before they ended"
    );
}
