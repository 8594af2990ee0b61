//! Runs the program in a folder, without a terminal and without input, and checks how it ended.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// How a command ended.
pub struct Run {
    /// Exit code; none after a signal.
    pub code: Option<i32>,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

/// bertkit with these arguments in `folder`: no input, both outputs captured.
pub fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bertkit"));
    command.args(arguments).current_dir(folder);
    command.env_remove("RUST_BACKTRACE").env_remove("COLUMNS");
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Waits for the end of a process.
pub fn finish(child: Child) -> Run {
    let output = child.wait_with_output().unwrap();
    Run {
        code: output.status.code(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Runs bertkit to its end.
pub fn bertkit(folder: &Path, arguments: &[&str]) -> Run {
    finish(command(folder, arguments).spawn().unwrap())
}

/// Runs bertkit with `input` on standard input.
pub fn bertkit_reading(folder: &Path, arguments: &[&str], input: &str) -> Run {
    let mut command = command(folder, arguments);
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    // A command that refuses its arguments does not read.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    finish(child)
}

/// Runs bertkit and expects exit code 0.
#[track_caller]
pub fn succeeds(folder: &Path, arguments: &[&str]) -> Run {
    let run = bertkit(folder, arguments);
    assert_eq!(run.code, Some(0), "{}", run.err);
    run
}

/// What a successful run writes to standard output.
#[track_caller]
pub fn stdout_of(folder: &Path, arguments: &[&str]) -> String {
    succeeds(folder, arguments).out
}

/// Expects this exit code, one message with a hint that contains `part`, and nothing on standard output.
#[track_caller]
pub fn one_error(run: &Run, code: i32, part: &str) {
    let err = &run.err;
    assert_eq!(
        (run.code, run.out.as_str()),
        (Some(code), ""),
        "`{part}`: {err}"
    );
    let messages = err.lines().filter(|line| line.starts_with("error:"));
    assert_eq!(messages.count(), 1, "{err}");
    assert!(
        err.contains("\nhint: ") || err.contains("try '--help'"),
        "{err}"
    );
    assert!(err.contains(part), "expected `{part}`: {err}");
    assert!(
        !err.contains("panicked") && !err.contains("bug in bertkit"),
        "{err}"
    );
}

/// Runs bertkit and expects [`one_error`] with exit code 2. Returns standard error.
#[track_caller]
pub fn refused(folder: &Path, arguments: &[&str], part: &str) -> String {
    let run = bertkit(folder, arguments);
    one_error(&run, 2, part);
    run.err
}

/// Sends a signal, such as `INT`, to a running process.
pub fn signal(name: &str, child: &Child) {
    let id = child.id().to_string();
    let sent = Command::new("kill").args(["-s", name, &id]).status();
    assert!(sent.unwrap().success());
}

/// The repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The configuration of a tiny fresh model.
pub fn tiny() -> String {
    let path = root().join("configs/models/tiny.toml");
    path.to_str().unwrap().to_owned()
}

/// The names in a folder, sorted, hidden ones included.
pub fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// Writes the model of a golden case to `folder`, with a vocabulary of its 97 tokens: `w1` to `w92` and the special ones.
pub fn golden_model(folder: &Path, case: &str) {
    fs::create_dir_all(folder).unwrap();
    let case = root().join("crates/model/tests/golden/cases").join(case);
    for name in ["config.json", "model.safetensors"] {
        fs::copy(case.join(name), folder.join(name)).unwrap();
    }
    fs::write(folder.join("vocab.txt"), vocabulary(97)).unwrap();
}

/// A `vocab.txt` of this many tokens: the special ones, then `w1`, `w2` …
pub fn vocabulary(tokens: usize) -> String {
    let special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];
    let mut text = special.join("\n") + "\n";
    (1..=tokens - special.len()).for_each(|word| text += &format!("w{word}\n"));
    text
}
