//! Question answering: training, evaluation, prediction, and bad input.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{Run, bertkit, refused, stdout_of, tiny};

const CONTEXTS: [(&str, &str, &str); 4] = [
    (
        "the red boat sailed to the island in spring",
        "red boat",
        "spring",
    ),
    (
        "a tall tree stands behind the old house",
        "tall tree",
        "old house",
    ),
    (
        "seven birds were counted near the river",
        "seven birds",
        "river",
    ),
    (
        "our small train left the station at noon",
        "small train",
        "noon",
    ),
];

/// Two questions about each of four texts in SQuAD format; with `impossible`, the second has no answer.
fn squad(impossible: bool) -> Value {
    let texts = CONTEXTS.iter().enumerate().map(|(number, (context, what, end))| {
        let answer = |text: &str| json!([{ "text": text, "answer_start": context.find(text).unwrap() }]);
        let second = match impossible {
            false => json!({ "id": format!("{number}b"), "question": "where or when ?", "answers": answer(end) }),
            true => json!({ "id": format!("{number}b"), "question": "where or when ?", "answers": [], "is_impossible": true }),
        };
        json!({ "title": format!("t{}", number / 2), "paragraphs": [{
            "context": context,
            "qas": [{ "id": format!("{number}a"), "question": "what is it ?", "answers": answer(what) }, second],
        }]})
    });
    json!({ "version": "1.1", "data": texts.collect::<Vec<_>>() })
}

fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("train.json"), squad(false).to_string()).unwrap();
    fs::write(folder.path().join("some.json"), squad(true).to_string()).unwrap();
    folder
}

/// Settings with which a few examples are learnt by heart.
const SETTINGS: [&str; 8] = [
    "training.epochs=200",
    "optimizer.learning_rate=5e-3",
    "training.batch_size=4",
    "model.fresh.hidden_size=32",
    "model.fresh.intermediate_size=64",
    "model.fresh.hidden_dropout=0.0",
    "model.fresh.attention_dropout=0.0",
    "tokenizer.vocab_size=200",
];

fn learn(folder: &Path, output: &str, more: &[&str]) -> String {
    let config = tiny();
    let mut arguments = vec!["finetune", "--task", "qa", "--config", &config];
    for setting in SETTINGS {
        arguments.extend(["--set", setting]);
    }
    arguments.extend(["--device", "cpu", "--output", output, "--quiet"]);
    arguments.extend(more);
    if !more.contains(&"--valid") {
        arguments.extend(["--valid-fraction", "0"]);
    }
    stdout_of(folder, &arguments)
}

fn report(folder: &Path, arguments: &[&str]) -> Value {
    let more = ["--json", "--quiet", "--bootstrap", "20"];
    serde_json::from_str(&stdout_of(folder, &[&["eval"], arguments, &more].concat())).unwrap()
}

fn value(report: &Value, metric: &str) -> f64 {
    report["metrics"][metric]["value"].as_f64().unwrap()
}

#[test]
fn eight_questions_are_learnt_kept_and_answered_again_as_they_were() {
    let folder = folder();
    let path = folder.path();
    for (output, more) in [
        ("whole", &[][..]),
        ("windows", &["--max-length", "14", "--stride", "3"]),
    ] {
        learn(path, output, &[&["--train", "train.json"], more].concat());
        let found = report(
            path,
            &[output, "--data", "train.json", "--group", "context"],
        );
        assert!(value(&found, "exact_match") > 0.8, "{output}: {found}");
        let best = |run: &str| {
            let out = format!("{}.json", run.replace('/', "-"));
            stdout_of(
                path,
                &[
                    "predict",
                    run,
                    "--input",
                    "train.json",
                    "--output",
                    &out,
                    "--quiet",
                ],
            );
            fs::read_to_string(path.join(out)).unwrap()
        };
        assert_eq!(best(output), best(&format!("{output}/model")));
    }
    let found = report(
        path,
        &[
            "whole",
            "--data",
            "train.json",
            "--group",
            "context",
            "--perturb",
            "case:upper",
        ],
    );
    assert_eq!(found["perturbed"][0]["changed"], 8, "{found}");
    let found = stdout_of(path, &["compare", "whole", "windows", "--name", "train"]);
    assert!(
        found.contains("8 rows of `train`") && found.contains("exact_match"),
        "{found}"
    );
    // The answers by id, in the format of the official script.
    let kept = fs::read_to_string(path.join("whole/eval/train.predictions.json")).unwrap();
    let kept: Value = serde_json::from_str(&kept).unwrap();
    assert_eq!(
        (&kept["0a"], &kept["3b"]),
        (&"red boat".into(), &"noon".into())
    );
    let (question, context) = ("what is it ?", CONTEXTS[2].0);
    let answer = stdout_of(
        path,
        &[
            "predict",
            "whole",
            "--question",
            question,
            "--context",
            context,
            "--quiet",
        ],
    );
    let cells: Vec<&str> = answer.trim_end().split('\t').collect();
    assert_eq!(
        (cells[0], cells[2], cells[3]),
        ("seven birds", "0", question)
    );
}

#[test]
fn questions_without_an_answer_are_told_by_a_threshold() {
    let folder = folder();
    let path = folder.path();
    let text = learn(
        path,
        "run",
        &["--train", "some.json", "--valid", "some.json"],
    );
    assert!(text.contains("threshold"), "{text}");
    let found = report(path, &["run", "--data", "some.json"]);
    for metric in [
        "exact_match",
        "exact_match_has_answer",
        "exact_match_no_answer",
    ] {
        assert_eq!(value(&found, metric), 1.0, "{metric}: {found}");
    }
    // At this threshold nothing has an answer.
    let none = report(
        path,
        &["run", "--data", "some.json", "--null-threshold=-1000"],
    );
    assert_eq!(value(&none, "exact_match"), 0.5);
}

#[test]
fn ends_are_learnt_after_starts_kept_and_found_again() {
    let folder = folder();
    let path = folder.path();
    let head = ["--head", "joint"];
    learn(
        path,
        "all",
        &[&["--train", "train.json"], &head[..]].concat(),
    );
    let found = report(path, &["all", "--data", "train.json"]);
    assert!(value(&found, "exact_match") > 0.8, "{found}");
    let some = [
        "--train",
        "some.json",
        "--valid",
        "some.json",
        "--max-length",
        "14",
        "--stride",
        "3",
    ];
    let text = learn(path, "some", &[&some[..], &head[..]].concat());
    assert!(text.contains("threshold"), "{text}");
    let found = report(path, &["some", "--data", "some.json"]);
    assert!(value(&found, "exact_match") > 0.8, "{found}");
    let best = |run: &str| {
        let out = format!("best-{}.json", run.replace('/', "-"));
        let asked = ["predict", run, "--input", "some.json", "--output", &out];
        stdout_of(path, &[&asked[..], &["--quiet"]].concat());
        fs::read_to_string(path.join(out)).unwrap()
    };
    assert_eq!(best("some"), best("some/model"));
    // Training continues with the saved head, including its `joint.*` weights.
    let again = [
        "finetune",
        "--task",
        "qa",
        "--model",
        "some",
        "--train",
        "some.json",
        "--valid",
        "some.json",
        "--epochs",
        "1",
        "--learning-rate",
        "1e-6",
        "--output",
        "again",
        "--device",
        "cpu",
        "--max-length",
        "14",
        "--stride",
        "3",
        "--head",
        "joint",
    ];
    let Run { code, err, .. } = bertkit(path, &again);
    assert!(code == Some(0) && !err.contains("joint."), "{err}");
    let found = report(path, &["again", "--data", "some.json"]);
    assert!(value(&found, "exact_match") > 0.8, "{found}");
    let described = path.join("some/model/bertkit.json");
    assert!(
        fs::read_to_string(&described)
            .unwrap()
            .contains("\"joint\"")
    );
    fs::copy(path.join("all/model/bertkit.json"), path.join("plain.json")).unwrap();
    learn(
        path,
        "plain",
        &["--train", "train.json", "--set", "training.epochs=1"],
    );
    fs::copy(
        path.join("plain.json"),
        path.join("plain/model/bertkit.json"),
    )
    .unwrap();
    refused(
        path,
        &["eval", "plain", "--data", "train.json"],
        "ends are scored after starts",
    );
}

/// BioASQ format: two factoid questions, a list question and a yes/no question.
fn bioasq() -> Value {
    let id = |number: usize| format!("{number}123456789abcdef01234567");
    let text = |number: usize| json!({ "text": CONTEXTS[number].0, "document": "d" });
    json!({ "questions": [
        { "id": id(0), "type": "factoid", "body": "what is it ?", "exact_answer": ["RED BOAT", "crimson boat"], "snippets": [text(0), text(0)] },
        { "id": id(1), "type": "factoid", "body": "what is it ?", "exact_answer": [["oak"]], "snippets": [text(1)] },
        { "id": id(2), "type": "list", "body": "what is it ?",
          "exact_answer": [["birds", "seven birds"], ["small train"]], "snippets": [text(2), text(3)] },
        { "id": id(3), "type": "yesno", "body": "is it ?", "exact_answer": "yes", "snippets": [text(3)] },
    ]})
}

#[test]
fn questions_of_bioasq_are_learnt_and_scored_over_their_snippets() {
    let folder = folder();
    let path = folder.path();
    fs::write(path.join("bioasq.json"), bioasq().to_string()).unwrap();
    learn(path, "run", &["--train", "bioasq.json"]);
    let with = |more: &[&str]| report(path, &[&["run", "--data", "bioasq.json"], more].concat());
    // One of two is right; the name of the other occurs in no snippet.
    let found = with(&["--question-type", "factoid"]);
    for metric in ["strict_accuracy", "lenient_accuracy", "mrr"] {
        assert_eq!(value(&found, metric), 0.5, "{metric}: {found}");
    }
    // Both items of the list are found, and nothing else.
    let found = with(&["--question-type", "list"]);
    assert_eq!(value(&found, "f1_samples"), 1.0, "{found}");
    // A threshold this high leaves the best answer.
    let found = with(&["--question-type", "list", "--list-threshold", "9"]);
    assert_eq!(value(&found, "precision_samples"), 1.0, "{found}");
    assert_eq!(value(&found, "recall_samples"), 0.5, "{found}");
    let data = ["eval", "run", "--data", "bioasq.json"];
    refused(path, &data, "2 factoid and 1 list questions");
    refused(
        path,
        &[&data[..], &["--question-type", "list", "--pool-snippets"]].concat(),
        "anyway",
    );
    let mut other = bioasq();
    other["questions"][1]["type"] = "essay".into();
    fs::write(path.join("essay.json"), other.to_string()).unwrap();
    refused(
        path,
        &["eval", "run", "--data", "essay.json"],
        "`questions[1].type`",
    );
    refused(
        path,
        &[
            "eval",
            "run",
            "--data",
            "train.json",
            "--question-type",
            "list",
        ],
        "--question-type",
    );
}

#[test]
fn questions_of_bioasq_for_yes_or_no_are_classified_over_their_snippets() {
    let folder = folder();
    let path = folder.path();
    let question = |number: usize| {
        let (word, answer) = [("works", "yes"), ("fails", "no")][number % 2];
        json!({ "id": format!("{number}123456789abcdef01234567"), "type": "yesno", "body": "does the drug work ?",
            "exact_answer": answer, "snippets": [{ "text": "it was given" }, { "text": format!("the drug {word} well") }] })
    };
    let file = json!({ "questions": (0..8).map(question).collect::<Vec<_>>() });
    fs::write(path.join("yesno.json"), file.to_string()).unwrap();
    let config = tiny();
    let columns = ["--text", "text", "--label", "answer", "--group-by", "id"];
    let mut arguments = vec!["finetune", "--config", &config, "--train", "yesno.json"];
    arguments.extend(columns);
    for setting in SETTINGS {
        arguments.extend(["--set", setting]);
    }
    arguments.extend([
        "--valid-fraction",
        "0",
        "--device",
        "cpu",
        "--output",
        "yesno",
        "--quiet",
    ]);
    stdout_of(path, &arguments);
    let found = report(path, &["yesno", "--data", "yesno.json"]);
    // One answer per question, whatever the number of snippets.
    assert_eq!(found["rows"], 8, "{found}");
    assert_eq!(value(&found, "accuracy"), 1.0, "{found}");
    let other = file.to_string().replace("\"yes\"", "\"perhaps\"");
    fs::write(path.join("perhaps.json"), other).unwrap();
    let data = ["eval", "yesno", "--data", "perhaps.json"];
    refused(path, &data, "`questions[0].exact_answer`");
}

#[test]
fn tables_of_questions_are_read_and_get_answers_beside_them() {
    let folder = folder();
    let path = folder.path();
    let mut table = String::from("q,passage,gold,at\n");
    for (context, what, _) in CONTEXTS {
        table += &format!(
            "what is it ?,{context},{what},{}\n",
            context.find(what).unwrap()
        );
    }
    fs::write(path.join("train.csv"), table).unwrap();
    let columns = [
        "--question",
        "q",
        "--context",
        "passage",
        "--answer",
        "gold",
        "--start",
        "at",
    ];
    learn(
        path,
        "run",
        &[&["--train", "train.csv"], &columns[..]].concat(),
    );
    assert_eq!(
        value(
            &report(path, &["run", "--data", "train.csv"]),
            "exact_match"
        ),
        1.0
    );
    let answers = stdout_of(path, &["predict", "run", "--input", "train.csv", "--quiet"]);
    let mut lines = answers.lines();
    assert_eq!(lines.next(), Some("q,passage,gold,at,answer,score,start"));
    assert!(
        lines.next().unwrap().contains(",red boat,4,red boat,"),
        "{answers}"
    );
}

#[test]
fn answers_that_are_elsewhere_are_put_right_or_told_of() {
    let folder = folder();
    let path = folder.path();
    let mut moved = squad(false);
    moved["data"][0]["paragraphs"][0]["qas"][0]["answers"][0]["answer_start"] = 9.into();
    fs::write(path.join("moved.json"), moved.to_string()).unwrap();
    let config = tiny();
    let run = |data: &str, more: &[&str]| {
        let base = [
            "finetune",
            "--task",
            "qa",
            "--config",
            &config,
            "--train",
            data,
            "--output",
            "out",
            "--max-steps",
            "1",
        ];
        bertkit(
            path,
            &[&base[..], &["--valid-fraction", "0", "--overwrite"], more].concat(),
        )
    };
    let Run { code, err, .. } = run("moved.json", &[]);
    assert_eq!(code, Some(0), "{err}");
    assert!(err.contains("moved.json: 1"), "{err}");
    moved["data"][0]["paragraphs"][0]["qas"][0]["answers"][0]["text"] = "blue boat".into();
    fs::write(path.join("absent.json"), moved.to_string()).unwrap();
    let Run { code, err, .. } = run("absent.json", &["--missing", "refuse"]);
    assert_eq!(code, Some(2), "{err}");
    assert!(
        err.contains("0a") && err.contains("absent.json") && err.contains("hint:"),
        "{err}"
    );
    // By default such answers are counted, and the rest is trained on.
    let Run { code, err, .. } = run("absent.json", &[]);
    assert_eq!(code, Some(0), "{err}");
    assert!(
        err.contains("absent.json: 1 of 8 answers") && err.contains("not in the text"),
        "{err}"
    );
}

#[test]
fn bad_files_of_questions_are_refused() {
    let folder = folder();
    let path = folder.path();
    let config = tiny();
    let base = [
        "finetune", "--task", "qa", "--config", &config, "--output", "out",
    ];
    let with = |more: &[&'static str]| [&base[..], more].concat();
    for (name, text, part) in [
        ("empty.json", "", "empty.json"),
        ("broken.json", "{\"data\": [", "broken.json"),
        ("other.json", "{\"rows\": []}", "other.json"),
        ("short.csv", "question,answer\na,b\n", "context"),
        (
            "record.json",
            r#"{"data": [{"paragraphs": [{"context": "a b", "qas": [{"id": "1", "question": "?", "answers": []}, {"id": "2", "answers": []}]}]}]}"#,
            "`data[0].paragraphs[0].qas[1].question`",
        ),
        (
            "blank.json",
            r#"{"data": [{"paragraphs": [{"context": " ", "qas": []}]}]}"#,
            "`data[0].paragraphs[0].context`",
        ),
        (
            "blank.csv",
            "question,context,answer\nq,abc,a\nq,,a\n",
            "line 3",
        ),
    ] {
        fs::write(path.join(name), text).unwrap();
        refused(path, &with(&["--train", name]), part);
    }
    refused(
        path,
        &with(&["--train", "train.json", "--threshold", "f1"]),
        "task.threshold",
    );
    refused(
        path,
        &with(&["--train", "train.json", "--head", "crf"]),
        "task.ner",
    );
    refused(
        path,
        &[
            "finetune",
            "--config",
            &config,
            "--head",
            "joint",
            "--train",
            "train.json",
            "--output",
            "out",
        ],
        "task.qa",
    );
    refused(
        path,
        &[
            "finetune",
            "--config",
            &config,
            "--train",
            "train.json",
            "--output",
            "out",
            "--stride",
            "9",
        ],
        "task.qa",
    );
    assert!(!path.join("out").exists());
    learn(
        path,
        "run",
        &["--train", "train.json", "--set", "training.epochs=1"],
    );
    refused(path, &["predict", "run", "--text", "x"], "--text");
    refused(path, &["predict", "run", "--question", "x"], "--context");
    refused(
        path,
        &["eval", "run", "--data", "train.json", "--group", "speaker"],
        "speaker",
    );
    refused(
        path,
        &["eval", "run", "--data", "train.json", "--label", "x"],
        "--label",
    );
    refused(
        path,
        &["eval", "run", "--data", "train.json", "--tag-column", "1"],
        "--tag-column",
    );
}

/// Compares a real checkpoint with the predictions of transformers. `BERTKIT_MODELS_DIR` and `BERTKIT_DATA_DIR` name
/// the folders of checkpoints and data, which are too large for the repository.
#[test]
fn a_checkpoint_answers_xquad_as_transformers_did() {
    let of = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let (Some(models), Some(data)) = (of("BERTKIT_MODELS_DIR"), of("BERTKIT_DATA_DIR")) else {
        println!(
            "left out: no checkpoint and no XQuAD (set BERTKIT_MODELS_DIR and BERTKIT_DATA_DIR to test it)"
        );
        return;
    };
    let model = models.join("derived-bert-tiny-xquad-qa");
    let questions = data.join("qa/xquad/xquad.en.json");
    let found = report(
        Path::new("."),
        &[
            model.to_str().unwrap(),
            "--data",
            questions.to_str().unwrap(),
        ],
    );
    assert_eq!((value(&found, "exact_match") * 1190.0).round(), 1143.0);
}
