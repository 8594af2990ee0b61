//! `bertkit corpus stats`: the table, and bad input.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use crate::harness::{self, Run};

const TEXT: &str =
    "The cat sat.\nA dog ran away!\n\nThe cat sat.\nA dog ran away!\n\nThe \u{2603} is here.\n";

/// `bertkit corpus stats` with the tokenizer of [`folder`].
fn arguments<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&["corpus", "stats", "--tokenizer", "tok"], more].concat()
}

fn stats(folder: &TempDir, more: &[&str]) -> Run {
    harness::bertkit(folder.path(), &arguments(more))
}

#[track_caller]
fn refused(folder: &TempDir, more: &[&str], part: &str) {
    harness::refused(folder.path(), &arguments(more), part);
}

/// A folder with a tokenizer and a text.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let tokens = "[PAD] [UNK] [CLS] [SEP] [MASK] the cat sat a dog ran away is here . !";
    write(&folder, "tok/vocab.txt", tokens.replace(' ', "\n"));
    write(&folder, "text.txt", TEXT);
    folder
}

fn write(folder: &TempDir, name: &str, content: impl AsRef<[u8]>) {
    let path = folder.path().join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

#[test]
fn the_table_counts_what_is_there() {
    let folder = folder();
    let run = stats(&folder, &["--corpus", "text.txt", "--drop-duplicates"]);
    assert_eq!((run.code, run.err.as_str()), (Some(0), ""));
    for line in [
        "files                      1\n",
        "documents                  2   left out: 1 duplicate\n",
        "sentences                  3\n",
        "tokens                    14   1.00 a word\n",
        "unknown              7.143 %   such as `\u{2603}`\n",
        "vocabulary                16   12 occur\n",
        "sentences                2             3              14  text.txt\n",
    ] {
        assert!(run.out.contains(line), "`{line}` in:\n{}", run.out);
    }
    let names: Vec<_> = fs::read_dir(folder.path()).unwrap().collect();
    assert_eq!(names.len(), 2, "nothing is left: {names:?}");
}

#[test]
fn shards_are_kept_on_request_and_taken_again() {
    let folder = folder();
    let arguments = ["--corpus", "text.txt", "--shards", "runs/shards", "--json"];
    let first = stats(&folder, &arguments);
    assert_eq!((first.code, first.err.as_str()), (Some(0), ""));
    let second = stats(&folder, &arguments);
    assert_eq!(second.out, first.out);
    assert_eq!(second.err, "note: already tokenised in `runs/shards`\n");
    write(&folder, "text.txt", TEXT.to_uppercase());
    let third = stats(&folder, &arguments);
    assert_eq!(third.err, "note: tokenised anew: `text.txt` has changed\n");
    let quiet = stats(&folder, &[&arguments[..], &["--quiet"]].concat());
    assert_eq!((quiet.code, quiet.err.as_str()), (Some(0), ""));
    assert!(quiet.out.starts_with("{\"documents\":3,"), "{}", quiet.out);
}

#[test]
fn damaged_shards_are_named() {
    let folder = folder();
    let arguments = ["--corpus", "text.txt", "--shards", "shards"];
    assert_eq!(stats(&folder, &arguments).code, Some(0));
    let path = folder.path().join("shards/shard-00000.bin");
    let mut content = fs::read(&path).unwrap();
    content[3] ^= 4;
    fs::write(&path, content).unwrap();
    refused(
        &folder,
        &arguments,
        "`shards/shard-00000.bin` of the tokenised corpus is damaged",
    );
    write(&folder, "mine/thesis.txt", "x");
    let arguments = ["--corpus", "text.txt", "--shards", "mine"];
    refused(&folder, &arguments, "found `thesis.txt`");
    assert!(folder.path().join("mine/thesis.txt").exists());
}

#[test]
fn texts_that_cannot_be_used_are_named() {
    let folder = folder();
    for (name, content, part) in [
        ("empty.txt", &b"\n \n"[..], "the corpus is empty"),
        ("words.txt", b"cat\ndog\nsat\n", "longer than a word"),
        (
            "binary.txt",
            b"the cat sat here\0 and a dog ran away",
            "holds a NUL byte",
        ),
        ("latin.txt", b"the caf\xe9 is here", "not UTF-8"),
        (
            "cut.txt.gz",
            b"\x1f\x8b\x08\0\0\0\0\0\0\x03",
            "could not unpack `cut.txt.gz`",
        ),
        (
            "text.jsonl",
            b"{\"body\": \"the cat\"}\n",
            "no column `text`",
        ),
        ("open.csv", b"text\n\"the cat\n", "never closed"),
        ("pictures/cat.png", b"\x89PNG", "found `cat.png`"),
    ] {
        write(&folder, name, content);
        let path = match Path::new(name).parent() {
            Some(parent) if parent != Path::new("") => "pictures",
            _ => name,
        };
        refused(&folder, &["--corpus", path], part);
    }
    refused(&folder, &["--corpus", "none.txt"], "does not exist");
    refused(&folder, &["--corpus", "*.none"], "no file is called like");
}
