//! A process that is killed at any moment goes on, once resumed, to the same final weights.
#![allow(clippy::unwrap_used, missing_docs)]

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

fn bertkit(folder: &Path, run: &str, more: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bertkit"));
    command
        .current_dir(folder)
        .args([
            "finetune",
            "--train",
            "train.csv",
            "--output",
            run,
            "--device",
            "cpu",
            "--quiet",
        ])
        .args([
            "--epochs",
            "4",
            "--batch-size",
            "4",
            "--valid-fraction",
            "0.2",
            "--checkpoint-steps",
            "3",
        ])
        .args([
            "--learning-rate",
            "1e-3",
            "--set",
            "tokenizer.vocab_size=300",
        ])
        .args([
            "--set",
            "model.fresh.num_hidden_layers=2",
            "--set",
            "model.fresh.hidden_size=64",
        ])
        .args([
            "--set",
            "model.fresh.num_attention_heads=2",
            "--set",
            "model.fresh.intermediate_size=128",
        ])
        .args(more)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    command
}

fn finish(child: Child) -> String {
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{stderr}");
    stderr
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
    finish(bertkit(folder, "whole", &[]).spawn().unwrap());
    let mut length = started.elapsed();
    let weights =
        |run: &str| std::fs::read(folder.join(run).join("model/model.safetensors")).unwrap();
    let expected = weights("whole");

    let mut killed = 0;
    // A machine that was busy during the first run lets others end before they are killed: they count shorter then.
    let shares = [0.1, 0.35, 0.5, 0.65, 0.8, 0.95];
    for (attempt, share) in shares.into_iter().cycle().take(30).enumerate() {
        if killed == shares.len() {
            break;
        }
        let run = format!("killed-{attempt}");
        let mut child = bertkit(folder, &run, &[]).spawn().unwrap();
        std::thread::sleep(length.mul_f64(share));
        // SIGKILL on Unix: the process has no say in it.
        child.kill().unwrap();
        let status = child.wait().unwrap();
        if status.success() {
            length = length.mul_f64(0.8);
            continue;
        }
        killed += 1;
        // Killed once more on the way, then left to finish. A kill before the first file leaves nothing to resume.
        let begun = |run: &str| folder.join(run).join("config.toml").exists();
        if begun(&run) && !folder.join(&run).join("model").exists() {
            let mut child = bertkit(folder, &run, &["--resume"]).spawn().unwrap();
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
            finish(bertkit(folder, &run, &[how]).spawn().unwrap());
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
