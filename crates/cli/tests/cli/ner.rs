//! Named entities: training, evaluation, prediction, and bad input.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;

use crate::harness::{Run, bertkit, bertkit_reading, command, refused, stdout_of, tiny};

/// Eight sentences of two documents, with two types of entities.
const SENTENCES: &str = "\
-DOCSTART- O

Marie\tB-PER
Curie\tI-PER
lived\tO
in\tO
Paris\tB-LOC
.\tO

Ann\tB-PER
went\tO
to\tO
New\tB-LOC
York\tI-LOC

the\tO
rain\tO
falls\tO

Berlin\tB-LOC
is\tO
large\tO

-DOCSTART- O

I\tO
know\tO
Ann\tB-PER
Smith\tI-PER

Rome\tB-LOC
and\tO
Oslo\tB-LOC
are\tO
far\tO

nobody\tO
answers\tO

Bob\tB-PER
saw\tO
Marie\tB-PER
";

fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("train.conll"), SENTENCES).unwrap();
    folder
}

/// Trains a small fresh tagger until it knows all eight sentences.
fn learn(folder: &Path, output: &str, more: &[&str]) -> String {
    stdout_of(folder, &learning(&tiny(), output, more))
}

fn learning<'a>(config: &'a str, output: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let mut arguments = vec!["finetune", "--task", "ner", "--config", config];
    for setting in [
        "training.epochs=30",
        "optimizer.learning_rate=5e-3",
        "training.batch_size=4",
        "model.fresh.hidden_size=32",
        "model.fresh.intermediate_size=64",
        "model.fresh.hidden_dropout=0.0",
        "tokenizer.vocab_size=120",
    ] {
        arguments.extend(["--set", setting]);
    }
    arguments.extend(["--train", "train.conll", "--valid-fraction", "0"]);
    arguments.extend(["--device", "cpu", "--output", output, "--quiet"]);
    arguments.extend(more);
    arguments
}

fn f1(folder: &Path, run: &str, more: &[&str]) -> f64 {
    let arguments = [
        "eval",
        run,
        "--data",
        "train.conll",
        "--json",
        "--quiet",
        "--bootstrap",
        "0",
    ];
    let report: Value =
        serde_json::from_str(&stdout_of(folder, &[&arguments, more].concat())).unwrap();
    report["metrics"]["f1_micro"]["value"].as_f64().unwrap()
}

#[test]
fn eight_sentences_are_learnt_kept_and_tagged_again_as_they_were() {
    let folder = folder();
    let path = folder.path();
    for (output, more) in [
        ("linear", &[][..]),
        ("crf", &["--head", "crf"]),
        (
            "windows",
            &[
                "--max-length",
                "8",
                "--overlap",
                "3",
                "--set",
                "task.ner.label=all",
            ],
        ),
    ] {
        learn(path, output, more);
        assert_eq!(f1(path, output, &[]), 1.0, "{output}");
        // The model folder alone predicts like the run.
        let tag =
            |run: &str| stdout_of(path, &["predict", run, "--input", "train.conll", "--quiet"]);
        let tagged = tag(output);
        assert_eq!(tagged, tag(&format!("{output}/model")), "{output}");
        let words = tagged.lines().filter(|line| line.contains('\t'));
        for line in words {
            let cells: Vec<&str> = line.split('\t').collect();
            assert_eq!((cells.len(), cells[1]), (3, cells[2]), "{output}: {line}");
        }
        assert_eq!(tagged.lines().count(), SENTENCES.lines().count());
    }
}

#[test]
fn entities_of_a_text_have_characters_types_and_scores() {
    let folder = folder();
    let path = folder.path();
    learn(path, "run", &[]);
    let out = stdout_of(
        path,
        &[
            "predict",
            "run",
            "--text",
            "Marie Curie lived in Paris .",
            "--text",
            "Ann went to New York",
            "--quiet",
        ],
    );
    let lines: Vec<Vec<&str>> = out.lines().map(|line| line.split('\t').collect()).collect();
    let without_score: Vec<Vec<&str>> = lines
        .iter()
        .map(|line| [&line[..4], &line[5..]].concat())
        .collect();
    assert!(
        without_score.contains(&vec!["1", "0", "11", "PER", "Marie Curie"]),
        "{out}"
    );
    assert!(
        without_score.contains(&vec!["2", "12", "20", "LOC", "New York"]),
        "{out}"
    );
    assert!(
        lines
            .iter()
            .all(|line| (0.0..=1.0).contains(&line[4].parse::<f64>().unwrap()))
    );

    let Run { code, out, err } = bertkit_reading(
        path,
        &["predict", "run", "--json"],
        "Ann went to New York\n\n",
    );
    assert_eq!(code, Some(0), "{err}");
    let answers: Vec<Value> = out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(
        (
            answers.len(),
            answers[1]["entities"].as_array().unwrap().len()
        ),
        (2, 0)
    );
    let texts = answers[0]["entities"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entity| entity["text"].as_str());
    assert_eq!(texts.collect::<Vec<_>>(), [Some("Ann"), Some("New York")]);

    // A table of texts gets a column of entities in JSON.
    fs::write(
        path.join("notes.csv"),
        "id,note\n1,Bob saw Marie\n2,the rain\n",
    )
    .unwrap();
    stdout_of(
        path,
        &[
            "predict",
            "run",
            "--input",
            "notes.csv",
            "--text-column",
            "note",
            "--output",
            "found.csv",
        ],
    );
    let found = fs::read_to_string(path.join("found.csv")).unwrap();
    let rows: Vec<&str> = found.lines().collect();
    assert_eq!((rows[0], rows[2]), ("id,note,entities", "2,the rain,[]"));
    assert!(rows[1].contains("\"\"label\"\":\"\"PER\"\""), "{found}");
}

#[test]
fn a_file_comes_back_in_its_own_form_with_what_was_found() {
    let folder = folder();
    let path = folder.path();
    learn(path, "run", &[]);
    let spans = "{\"id\": 7, \"text\": \"Bob saw Marie\"}\n";
    fs::write(path.join("texts.jsonl"), spans).unwrap();
    let line = stdout_of(
        path,
        &[
            "predict",
            "run",
            "--input",
            "texts.jsonl",
            "--quiet",
            "--format",
            "jsonl",
        ],
    );
    let value: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(
        (&value["id"], &value["predicted"][0]["label"]),
        (&7.into(), &"PER".into()),
        "{line}"
    );
    let words = "sentence,word\n1,Bob\n1,saw\n1,Marie\n2,Berlin\n2,is\n2,large\n";
    fs::write(path.join("words.csv"), words).unwrap();
    stdout_of(
        path,
        &[
            "predict",
            "run",
            "--input",
            "words.csv",
            "--format",
            "csv",
            "--output",
            "tagged.csv",
        ],
    );
    let tagged = fs::read_to_string(path.join("tagged.csv")).unwrap();
    assert_eq!(
        tagged,
        "sentence,word,predicted\n1,Bob,B-PER\n1,saw,O\n1,Marie,B-PER\n2,Berlin,B-LOC\n2,is,O\n2,large,O\n"
    );
}

#[test]
fn three_ways_to_score_stand_side_by_side_with_intervals_by_sentence_or_document() {
    let folder = folder();
    let path = folder.path();
    learn(path, "run", &["--set", "training.epochs=2"]);
    let arguments = [
        "eval",
        "run",
        "--data",
        "train.conll",
        "--quiet",
        "--bootstrap",
        "50",
    ];
    let text = stdout_of(path, &arguments);
    for part in ["seqeval", "strict", "conlleval", "PER", "LOC"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let by_document = [
        &arguments[..],
        &["--group", "document", "--json", "--perturb", "case:upper"],
    ]
    .concat();
    let report: Value = serde_json::from_str(&stdout_of(path, &by_document)).unwrap();
    assert_eq!(report["rows"], 8);
    assert_eq!(report["perturbed"][0]["comparison"]["groups"], 2);
    // The saved predictions are enough to compare two runs.
    stdout_of(path, &["eval", "run/model", "--data", "train.conll"]);
    learn(
        path,
        "other",
        &["--set", "training.epochs=4", "--seed", "7"],
    );
    for run in ["run", "other"] {
        stdout_of(path, &["eval", run, "--data", "train.conll", "--quiet"]);
    }
    let compared = stdout_of(path, &["compare", "run", "other"]);
    assert!(compared.contains("f1_micro"), "{compared}");
}

#[test]
fn a_run_goes_on_where_it_was_interrupted() {
    let folder = folder();
    let path = folder.path();
    let more = ["--head", "crf", "--checkpoint-steps", "1"];
    learn(path, "whole", &more);
    let config = tiny();
    let mut child = command(path, &learning(&config, "parts", &more))
        .spawn()
        .unwrap();
    let checkpoints = path.join("parts/checkpoints");
    let begun = || fs::read_dir(&checkpoints).is_ok_and(|mut all| all.next().is_some());
    while !begun() && child.try_wait().unwrap().is_none() {
        std::thread::yield_now();
    }
    // It may have ended by now, which changes nothing.
    let _ = child.kill();
    child.wait().unwrap();
    let model = path.join("parts/model/model.safetensors");
    if !model.exists() {
        stdout_of(
            path,
            &["finetune", "--resume", "--output", "parts", "--quiet"],
        );
    }
    let whole = fs::read(path.join("whole/model/model.safetensors")).unwrap();
    assert_eq!(fs::read(model).unwrap(), whole);
}

#[test]
fn bad_files_of_words_are_refused_with_file_and_line() {
    let folder = folder();
    let path = folder.path();
    let config = tiny();
    let config = config.as_str();
    let files = [
        ("empty.conll", "", "is empty"),
        ("broken.conll", "Ann\tB-PER\nsaw\nMarie\tB-PER\n", "line 2"),
        ("untagged.conll", "Ann\nsaw\nMarie\n", "tag"),
        ("no-entity.conll", "Ann\tO\nsaw\tO\n", "no entities"),
        ("strange.conll", "Ann\tX-PER\n", "line 1"),
    ];
    for (name, text, part) in files {
        fs::write(path.join(name), text).unwrap();
        let arguments = [
            "finetune", "--task", "ner", "--config", config, "--train", name, "--output", "out",
        ];
        refused(path, &arguments, part);
        assert!(!path.join("out").exists(), "{name}");
    }
    let with = |more: &[&'static str]| {
        let base = [
            "finetune",
            "--config",
            config,
            "--train",
            "train.conll",
            "--output",
            "out",
        ];
        [&base[..], more].concat()
    };
    refused(
        path,
        &with(&["--task", "ner", "--threshold", "f1"]),
        "task.threshold",
    );
    refused(
        path,
        &with(&["--task", "ner", "--sampler", "balanced"]),
        "balanced sampler",
    );
    refused(
        path,
        &with(&["--task", "ner", "--head", "crf", "--loss", "focal"]),
        "crf",
    );
    refused(path, &with(&["--head", "crf"]), "tagged words");
    refused(
        path,
        &with(&["--task", "ner", "--group", "speaker"]),
        "speaker",
    );
}

#[test]
fn what_training_never_saw_is_told_and_scored_as_missed_or_refused() {
    let folder = folder();
    let path = folder.path();
    learn(path, "run", &[]);
    fs::write(
        path.join("new.conll"),
        "Marie\tB-PER\nlikes\tO\nRust\tB-LANG\n",
    )
    .unwrap();
    let Run { code, err, .. } = bertkit(
        path,
        &["eval", "run", "--data", "new.conll", "--bootstrap", "0"],
    );
    assert_eq!(code, Some(0), "{err}");
    assert!(
        err.contains("LANG") && err.contains("scored as missed"),
        "{err}"
    );
    refused(
        path,
        &["eval", "run", "--data", "new.conll", "--strict"],
        "LANG",
    );
    refused(
        path,
        &["eval", "run", "--data", "train.conll", "--threshold", "0.5"],
        "--threshold",
    );
    refused(
        path,
        &["eval", "run", "--data", "train.conll", "--group", "speaker"],
        "speaker",
    );
    refused(
        path,
        &["eval", "run", "--data", "new.conll", "--group", "document"],
        "documents",
    );
    refused(
        path,
        &["predict", "run", "--text", "a", "--text-pair", "b"],
        "--text-pair",
    );
    refused(
        path,
        &["predict", "run", "--input", "missing.conll"],
        "missing.conll",
    );
    refused(
        path,
        &[
            "predict",
            "run",
            "--input",
            "train.conll",
            "--output",
            "no/such/x",
        ],
        "no/such",
    );
    // A model for another task cannot read words.
    fs::remove_file(path.join("run/model/bertkit.json")).unwrap();
    let config = fs::read_to_string(path.join("run/model/config.json")).unwrap();
    fs::write(
        path.join("run/model/config.json"),
        config.replace("ForTokenClassification", "ForSequenceClassification"),
    )
    .unwrap();
    refused(
        path,
        &["eval", "run", "--data", "train.conll", "--word-column", "1"],
        "--word-column",
    );
}

/// Compares a real checkpoint with the predictions of transformers, word by word. `BERTKIT_MODELS_DIR` and
/// `BERTKIT_DATA_DIR` name the folders of checkpoints and data, which are too large for the repository.
#[test]
fn a_checkpoint_tags_ncbi_disease_as_transformers_did() {
    let of = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let (Some(models), Some(data)) = (of("BERTKIT_MODELS_DIR"), of("BERTKIT_DATA_DIR")) else {
        println!(
            "left out: no checkpoint and no NCBI-disease (set BERTKIT_MODELS_DIR and BERTKIT_DATA_DIR to test it)"
        );
        return;
    };
    let model = models.join("derived-bert-tiny-ncbi-ner");
    let test = data.join("ner/ncbi_disease/test.tsv");
    let (model, test) = (model.to_str().unwrap(), test.to_str().unwrap());
    let tagged = stdout_of(
        Path::new("."),
        &["predict", model, "--input", test, "--quiet"],
    );
    let expected = fs::read_to_string(Path::new(model).join("ncbi_test.pred.txt")).unwrap();
    let (mut ours, mut theirs) = (sentences(&tagged), sentences(&expected));
    assert_eq!((ours.len(), theirs.len()), (940, 940));
    for (ours, theirs) in ours.iter_mut().zip(&mut theirs) {
        // The reference truncated sentences at 128 tokens; bertkit tags all words.
        ours.truncate(theirs.len());
        assert_eq!(ours, theirs);
    }
}

/// Word and first letter of the last column, by sentence.
fn sentences(text: &str) -> Vec<Vec<(String, char)>> {
    let mut all = vec![Vec::new()];
    for line in text.lines() {
        let cells: Vec<&str> = line.split_whitespace().collect();
        match (
            cells.first(),
            cells.last().and_then(|tag| tag.chars().next()),
        ) {
            (Some(word), Some(tag)) => all.last_mut().unwrap().push(((*word).to_owned(), tag)),
            _ => all.push(Vec::new()),
        }
    }
    all.retain(|sentence| !sentence.is_empty());
    all
}
