//! `bertkit tokenizer`: training, output, and bad input.

use std::fs;
use std::path::Path;

use snapbox::{assert_data_eq, file, str};
use tempfile::TempDir;

use crate::harness::{self, Run};

fn tokenizer<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
    [&["tokenizer"], arguments].concat()
}

#[track_caller]
fn succeeds(folder: &Path, arguments: &[&str]) -> Run {
    harness::succeeds(folder, &tokenizer(arguments))
}

/// Expects one error, and that no folder `tok` is left.
#[track_caller]
fn refused(folder: &Path, arguments: &[&str], part: &str) -> String {
    let error = harness::refused(folder, &tokenizer(arguments), part);
    assert!(!folder.join("tok").exists() && !folder.join(".tok.tmp").exists());
    error
}

/// A folder with a few lines of text in `corpus`, and a file that is not text.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let corpus = folder.path().join("corpus");
    fs::create_dir(&corpus).unwrap();
    let lines = "The lower tower\nа Љубав is newer.\nLow tide, new tide\n".repeat(50);
    fs::write(corpus.join("a.txt"), lines).unwrap();
    fs::write(
        corpus.join("b.jsonl"),
        "{\"text\": \"newest tower\"}\n".repeat(30),
    )
    .unwrap();
    fs::write(corpus.join("picture.png"), [0, 1, 2]).unwrap();
    folder
}

#[test]
fn the_help_is_a_page_one_can_read() {
    let page = |arguments: &[&str]| succeeds(Path::new("."), arguments).out;
    assert_data_eq!(
        page(&["train", "--help"]),
        file!["snapshots/tokenizer-train.txt"].raw()
    );
    assert_data_eq!(
        page(&["show", "--help"]),
        file!["snapshots/tokenizer-show.txt"].raw()
    );
}

#[test]
fn every_type_is_trained_saved_and_shown() {
    let folder = folder();
    let folder = folder.path();
    for (kind, size, text) in [
        ("wordpiece", Some("50"), "lower tower"),
        ("bpe", Some("50"), "lower tower"),
        ("byte-bpe", Some("275"), "lower tower"),
        ("unigram", Some("35"), "lower tower"),
        ("char", None, "low"),
        ("kmer:3", None, "ACGT"),
    ] {
        let mut arguments = vec!["train", "corpus", "--type", kind, "--output", "tok"];
        arguments.extend(["--overwrite", "--quiet", "--check-words", "5"]);
        arguments.extend(size.into_iter().flat_map(|size| ["--vocab-size", size]));
        let run = succeeds(folder, &arguments);
        assert!(
            run.out.contains(&format!("tokenizer       {kind}, ")),
            "{}",
            run.out
        );
        assert_eq!(run.err, "");
        let saved = fs::read_to_string(folder.join("tok/tokenizer_config.json")).unwrap();
        assert!(saved.contains("\"model_max_length\": 512"), "{saved}");
        let family = if kind == "byte-bpe" {
            "roberta"
        } else {
            "bert"
        };
        let shown = succeeds(folder, &["show", "tok", "--family", family, text]).out;
        assert!((3..14).contains(&shown.lines().count()), "{kind}: {shown}");
        assert!(!folder.join(".tok.tmp").exists());
    }
}

#[test]
fn the_summary_tells_what_became_of_the_text() {
    let folder = folder();
    let run = succeeds(
        folder.path(),
        &[
            "train",
            "corpus",
            "--vocab-size",
            "60",
            "--transliterate",
            "serbian",
            "--output",
            "tok",
        ],
    );
    assert_data_eq!(
        run.out,
        str![[r#"
tokenizer       wordpiece, 60 tokens
text            180 lines, 710 words; 1.085 tokens each, 0.000% unknown
frequent words  9 of the 10 most frequent words are whole tokens; split: newest (new ##e ##st, 30)
written         tok in [..]

"#]]
    );
    assert_data_eq!(
        run.err,
        str![[r#"
note: passed over 1 file, such as `corpus/picture.png`: not named as text

"#]]
    );
    let shown = succeeds(folder.path(), &["show", "tok", "Љубав!", "tower"]);
    assert_data_eq!(
        shown.out,
        str![[r#"
2	[CLS]
[..]	ljubav
1	[UNK]
3	[SEP]

2	[CLS]
[..]	tower
3	[SEP]

"#]]
    );
}

#[test]
fn a_vocabulary_beyond_the_text_is_refused_with_the_number_that_it_supports() {
    let folder = folder();
    let folder = folder.path();
    let arguments = ["train", "corpus", "--vocab-size", "8000", "--output", "tok"];
    let error = refused(folder, &arguments, "fewer than 8,000");
    let number = error.split("--vocab-size ").nth(1).unwrap();
    let number = number.split(',').next().unwrap();
    succeeds(
        folder,
        &["train", "corpus", "--vocab-size", number, "--output", "tok"],
    );
    // Without `--vocab-size`, the text determines the number.
    succeeds(
        folder,
        &["train", "corpus", "--output", "tok", "--overwrite"],
    );
}

#[test]
fn a_pattern_and_a_vocabulary_are_a_tokenizer() {
    let folder = folder();
    let folder = folder.path();
    fs::write(folder.join("smiles.txt"), "(Br|Cl|[CNO]|=|[0-9])\n").unwrap();
    fs::write(
        folder.join("vocab.txt"),
        "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nC\nCl\n=\nO\n",
    )
    .unwrap();
    let run = succeeds(
        folder,
        &["show", "regex:smiles.txt", "ClC=O N?x", "--vocabulary", "."],
    );
    assert_data_eq!(
        run.out,
        str![[r#"
2	[CLS]
6	Cl
5	C
7	=
8	O
1	[UNK]
3	[SEP]

"#]]
    );
    assert_eq!(run.err, "note: 2 characters of the text are in no token\n");
}

#[test]
fn an_output_folder_is_only_replaced_on_request_and_only_if_it_is_a_tokenizer() {
    let folder = folder();
    let folder = folder.path();
    let arguments = ["train", "--type", "kmer:2", "--output", "made"];
    succeeds(folder, &arguments);
    refused(folder, &arguments, "holds a tokenizer already");
    succeeds(folder, &[&arguments[..], &["--overwrite"]].concat());
    fs::write(folder.join("made/thesis.doc"), "years of work").unwrap();
    refused(
        folder,
        &[&arguments[..], &["--overwrite"]].concat(),
        "holds `thesis.doc`, which is no part of a tokenizer",
    );
    assert!(folder.join("made/thesis.doc").exists());
    fs::write(folder.join("file"), "").unwrap();
    refused(
        folder,
        &["train", "--type", "kmer:2", "--output", "file"],
        "is not a folder",
    );
    refused(
        folder,
        &["train", "--type", "kmer:2", "--output", ".."],
        "is no name for a new folder",
    );
}

#[test]
fn bad_input_ends_in_one_message_and_writes_nothing() {
    let folder = folder();
    let folder = folder.path();
    fs::write(folder.join("empty.txt"), " \n\n").unwrap();
    fs::write(folder.join("binary.txt"), [b'a', 0, b'b']).unwrap();
    fs::write(folder.join("pattern"), "(a\n").unwrap();
    let train = |more: &[&'static str]| [&["train", "--output", "tok"], more].concat();
    for (more, part) in [
        (&["missing.txt"][..], "`missing.txt` does not exist"),
        (&["empty.txt"], "there is no text to train a tokenizer on"),
        (&["binary.txt"], "binary.txt"),
        (&[], "there is no text to train wordpiece on"),
        (
            &["corpus", "--type", "words"],
            "`words` is not a type of tokenizer",
        ),
        (
            &["corpus", "--type", "kmer:x"],
            "`x` is not a number of letters",
        ),
        (
            &["corpus", "--type", "regex:pattern"],
            "is not a regular expression",
        ),
        (&["corpus", "--type", "regex:none"], "could not read `none`"),
        (
            &["corpus", "--vocab-size", "3"],
            "a vocabulary of 3 tokens is too small",
        ),
        (
            &["corpus", "--type", "byte-bpe", "--vocab-size", "200"],
            "expected at least 261",
        ),
        (
            &["corpus", "--max-memory", "lots"],
            "expected a size such as 500MB",
        ),
        (&["corpus", "--lowercase", "--cased"], "cannot be used with"),
        (
            &["--type", "kmer:3", "--lowercase"],
            "kmer:3 has its own rules for letters",
        ),
        (
            &["--type", "kmer:3", "--vocab-size", "99"],
            "is every piece that its alphabet allows",
        ),
        (&["corpus/b.jsonl", "--field", "body"], "body"),
    ] {
        refused(folder, &train(more), part);
    }
    refused(folder, &["show", "corpus", "text"], "holds no tokenizer");
    refused(
        folder,
        &["show", "char", "text"],
        "`char` needs a vocabulary",
    );
    refused(
        folder,
        &["show", "char", "text", "--vocabulary", "corpus"],
        "holds no tokenizer",
    );
    refused(
        folder,
        &["show", "corpus", "text", "--vocabulary", "corpus"],
        "has its own vocabulary",
    );
}

#[test]
fn a_text_beyond_the_memory_is_sampled_and_says_so() {
    let folder = folder();
    let text: String = (0..30_000).map(|n| format!("low lower w{n}\n")).collect();
    fs::write(folder.path().join("many.txt"), text).unwrap();
    let arguments = [
        "train",
        "many.txt",
        "--max-memory",
        "1MB",
        "--output",
        "tok",
    ];
    let run = succeeds(folder.path(), &arguments);
    assert!(run.err.contains("a random sample of "), "{}", run.err);
    assert!(run.err.contains("--max-memory"), "{}", run.err);
}
