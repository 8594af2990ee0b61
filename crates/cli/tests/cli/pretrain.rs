//! `bertkit pretrain`: training, output, resuming after interruptions, and bad input.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use safetensors::SafeTensors;
use serde_json::Value;
use snapbox::{assert_data_eq, file, str};
use tempfile::TempDir;

use crate::harness::{command, finish, names, refused, signal, succeeds};

/// Texts in which the animal determines the place, `repeats` times.
fn texts(repeats: usize) -> String {
    let animals = [("cat", "garden"), ("dog", "forest"), ("fox", "river")];
    let mut text = String::new();
    for n in 0..repeats {
        for (i, verb) in ["sees", "hears", "likes"].iter().enumerate() {
            let (animal, place) = animals[(n + i * (1 + n % 2)) % 3];
            text += &format!("the {animal} {verb} a bird in the {place} .\n");
        }
        text.push('\n');
    }
    text
}

/// A folder with texts in `corpus`, a tokenizer in `tok`, sizes in `model.toml`, and labelled rows.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    fs::create_dir(path.join("corpus")).unwrap();
    fs::write(path.join("corpus/a.txt"), texts(60)).unwrap();
    fs::write(path.join("model.toml"), MODEL).unwrap();
    let mut rows = String::from("text,label\n");
    for n in 0..30 {
        let (animal, label) = [("cat", "tame"), ("fox", "wild")][n % 2];
        rows += &format!("the {animal} hears a bird {n} .,{label}\n");
    }
    fs::write(path.join("rows.csv"), rows).unwrap();
    let train = ["tokenizer", "train", "corpus", "--output", "tok", "--quiet"];
    succeeds(path, &train);
    folder
}

const MODEL: &str = "\
[model.fresh]
num_hidden_layers = 2
hidden_size = 32
num_attention_heads = 2
intermediate_size = 64
max_position_embeddings = 48
";

/// The arguments of a short run into `run`.
fn arguments<'a>(run: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let mut arguments = vec!["pretrain", "--output", run];
    for (flag, value) in [
        ("--corpus", "corpus"),
        ("--tokenizer", "tok"),
        ("--config", "model.toml"),
        ("--steps", "12"),
        ("--batch-size", "4"),
        ("--max-length", "24"),
        ("--held-out", "0.1"),
        ("--device", "cpu"),
        ("--threads", "1"),
    ] {
        if !more.contains(&flag) {
            arguments.extend([flag, value]);
        }
    }
    arguments.extend(more);
    arguments
}

fn weights(run: &Path) -> Vec<u8> {
    fs::read(run.join("model/model.safetensors")).unwrap()
}

/// The values of a metric in `metrics.jsonl`.
fn metric(run: &Path, split: &str, name: &str) -> Vec<f64> {
    let text = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    let lines = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let named = lines.filter(|line| line["split"] == split && line["name"] == name);
    named.map(|line| line["value"].as_f64().unwrap()).collect()
}

#[test]
fn the_help_is_a_page_one_can_read() {
    let page = succeeds(Path::new("."), &["pretrain", "--help"]).out;
    assert_data_eq!(page, file!["snapshots/pretrain.txt"].raw());
    let page = succeeds(Path::new("."), &["fill-mask", "--help"]).out;
    assert_data_eq!(page, file!["snapshots/fill-mask.txt"].raw());
}

#[test]
fn masked_words_are_learnt_and_the_result_is_told_shown_and_fine_tuned() {
    let folder = folder();
    let path = folder.path();
    let more = [
        "--steps",
        "150",
        "--batch-size",
        "16",
        "--learning-rate",
        "5e-3",
    ];
    let evaluations = ["--evaluate-steps", "50"];
    let probe = ["--probe", "rows.csv", "--probe-steps", "100"];
    let run = succeeds(
        path,
        &arguments("runs/a", &[&more[..], &evaluations, &probe].concat()),
    );
    assert_data_eq!(
        run.out,
        str![[r#"
model      runs/a/model
trained    150 steps in [..]
reached    loss [..]  mlm_accuracy [..]  perplexity [..]  (held-out text, step 150)
next       bertkit finetune --model runs/a --train FILE --output DIR

"#]]
    );
    for part in [
        "objective   1 × masked words\n",
        "corpus      60 documents, 180 sentences, 1620 tokens in a file\n",
        "tokenizer   ",
        "step 50  epoch ",
        "validation: loss ",
        "step 100  probe: f1 ",
        " tokens/s  rate ",
    ] {
        assert!(run.err.contains(part), "`{part}`: {}", run.err);
    }
    let directory = path.join("runs/a");
    let losses = metric(&directory, "train", "loss");
    assert_eq!(losses.len(), 150);
    // Words that follow from the sentence are learnt; the verb is one of three, and the animal is unknown if the place
    // is masked too.
    let accuracy = metric(&directory, "valid", "mlm_accuracy");
    assert!(losses[0] > 3.0 && accuracy.len() == 3 && accuracy[2] > 0.5);
    let last = losses[140..].iter().sum::<f64>() / 10.0;
    assert!(last < 1.5, "{last}");
    let left = [
        "config.toml",
        "environment.json",
        "metrics.jsonl",
        "model",
        "shards",
    ];
    assert_eq!(names(&directory), left);

    // The run directory is a model for all other commands, and for further pretraining.
    let tune = ["finetune", "--model", "runs/a", "--train", "rows.csv"];
    let tune = [&tune[..], &["--output", "runs/b", "--device", "cpu"]].concat();
    succeeds(
        path,
        &[&tune[..], &["--epochs", "1", "--max-length", "24"]].concat(),
    );
    let more = ["--model", "runs/a", "--corpus", "corpus/*.txt", "corpus"];
    let more = [
        &more[..],
        &["--steps", "2", "--max-length", "24", "--device", "cpu"],
    ]
    .concat();
    let run = succeeds(
        path,
        &[&["pretrain", "--output", "runs/c"], &more[..]].concat(),
    );
    assert!(!run.err.contains("fresh weights"), "{}", run.err);
    assert!(metric(&path.join("runs/c"), "train", "loss")[0] < 1.5);

    masks_are_filled(path);
}

/// The run `runs/a` predicts masked tokens and measures its accuracy; a model without such a head is refused.
fn masks_are_filled(path: &Path) {
    let ask = ["fill-mask", "runs/a", "--device", "cpu"];
    let text = ["--text", "the [MASK] sees a bird in the [MASK] ."];
    let run = succeeds(path, &[&ask[..], &text, &["--top", "2", "--json"]].concat());
    let masks: Vec<Value> = run
        .out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(masks.len(), 2);
    for mask in &masks {
        let chances = mask["candidates"].as_array().unwrap().iter();
        let chances: Vec<f64> = chances
            .map(|c| c["probability"].as_f64().unwrap())
            .collect();
        assert!(chances.len() == 2 && chances[0] >= chances[1] && chances[0] < 1.0);
    }
    let rows = ["--data", "rows.csv", "--rows", "10", "--every", "3"];
    let run = succeeds(path, &[&ask[..], &rows, &["--json", "--quiet"]].concat());
    let score: Value = serde_json::from_str(&run.out).unwrap();
    let (masked, right) = (score["masked"].as_u64(), score["right"].as_u64());
    assert!(
        masked >= Some(20) && right > Some(0) && right <= masked,
        "{score}"
    );
    let late = ["--data", "rows.csv", "--first", "40"];
    refused(path, &[&ask[..], &late].concat(), "has a token number 40");
    let none = ["--text", "no mask here"];
    refused(path, &[&ask[..], &none].concat(), "there is no [MASK] in");
    let tuned = ["fill-mask", "runs/b", "--text", "[MASK]"];
    refused(path, &tuned, "has no head for masked tokens");
    refused(path, &["fill-mask", "runs/a"], "--text");
}

#[test]
fn replaced_tokens_leave_two_models_and_numbers_of_both() {
    let folder = folder();
    let path = folder.path();
    let run = succeeds(
        path,
        &arguments("rtd", &["--objective", "rtd", "--json", "--quiet"]),
    );
    assert_eq!(run.err, "");
    let result: Value = serde_json::from_str(&run.out).unwrap();
    assert_eq!(
        (&result["model"], &result["generator"]),
        (&"rtd/model".into(), &"rtd/generator".into())
    );
    let numbers = &result["evaluation"]["metrics"];
    for name in [
        "loss",
        "rtd_auc",
        "rtd_precision",
        "rtd_recall",
        "generator_accuracy",
    ] {
        assert!(numbers.get(name).is_some(), "{name}: {numbers}");
    }
    let tune = ["finetune", "--model", "rtd", "--train", "rows.csv"];
    let tune = [&tune[..], &["--output", "tuned", "--device", "cpu"]].concat();
    succeeds(
        path,
        &[&tune[..], &["--epochs", "1", "--max-length", "24"]].concat(),
    );
    let directory = path.join("tuned");
    assert!(directory.join("model/model.safetensors").exists());
}

/// The tensors of the encoder by name.
fn encoder_of(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let bytes = fs::read(folder.join("model.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let mut all: Vec<_> = tensors
        .iter()
        .filter(|(name, _)| name.starts_with("electra."))
        .map(|(name, tensor)| (name.to_owned(), tensor.data().to_vec()))
        .collect();
    all.sort();
    assert!(all.len() > 20, "{}", all.len());
    all
}

#[test]
fn a_tied_generator_is_the_model_under_another_head() {
    let folder = folder();
    let path = folder.path();
    let sizes = ["--set", "generator.size=1.0", "--set", "generator.tied=all"];
    let tied = [&["--objective", "rtd", "--quiet"][..], &sizes].concat();
    succeeds(path, &arguments("tied", &tied));
    let [model, generator] = ["model", "generator"].map(|part| path.join("tied").join(part));
    assert!(encoder_of(&model) == encoder_of(&generator));
    let ask = ["fill-mask", "tied/generator", "--text", "[MASK] dog"];
    succeeds(path, &ask);

    // Continuing loads the generator's head from the folder beside the model; untied, the two encoders differ.
    let go_on = [
        "--model",
        "tied",
        "--corpus",
        "corpus",
        "--max-length",
        "24",
        "--steps",
        "2",
    ];
    let go_on = [&["pretrain", "--objective", "rtd"][..], &go_on].concat();
    let again = [&go_on[..], &sizes, &["--output", "again"]].concat();
    let run = succeeds(path, &again);
    assert!(
        run.err.contains("head of its own from tied/generator"),
        "{}",
        run.err
    );
    assert!(encoder_of(&path.join("again/model")) == encoder_of(&path.join("again/generator")));
    succeeds(path, &[&go_on[..], &["--output", "apart"]].concat());
    assert!(encoder_of(&path.join("apart/model")) != encoder_of(&path.join("apart/generator")));
}

#[test]
fn the_same_seed_gives_the_same_bytes_with_or_without_a_tokenizer() {
    let folder = folder();
    let path = folder.path();
    for run in ["a", "b"] {
        succeeds(path, &arguments(run, &["--quiet"]));
    }
    succeeds(path, &arguments("c", &["--quiet", "--seed", "7"]));
    succeeds(path, &arguments("threads", &["--quiet", "--threads", "2"]));
    let a = weights(&path.join("a"));
    assert!(a == weights(&path.join("b")));
    assert!(a == weights(&path.join("threads")));
    assert!(a != weights(&path.join("c")));

    // Without `--tokenizer`, one is trained on the text.
    let least = ["--corpus", "corpus", "--config", "model.toml"];
    let short = ["--max-length", "24", "--steps", "3", "--device", "cpu"];
    let own = |run| [&["pretrain", "--output", run][..], &least, &short].concat();
    let run = succeeds(path, &own("own"));
    assert!(run.err.contains(", trained on the corpus\n"), "{}", run.err);
    succeeds(path, &own("again"));
    assert!(weights(&path.join("own")) == weights(&path.join("again")));
    assert!(path.join("own/model/tokenizer.json").exists());
}

#[test]
fn a_dry_run_prints_a_configuration_and_leaves_nothing_behind() {
    let folder = folder();
    let path = folder.path();
    let before = names(path);
    let dry = arguments(
        "new/run",
        &["--dry-run", "--whole-word", "--schedule", "bert"],
    );
    let run = succeeds(path, &dry);
    assert!(run.out.contains("unit = \"whole-word\"\n"), "{}", run.out);
    for part in ["# corpus ", "# memory  about ", "# time    about "] {
        assert!(run.out.contains(part), "{part}: {}", run.out);
    }
    assert_eq!(names(path), before);

    // The output is the configuration of the same run.
    let direct = ["--whole-word", "--schedule", "bert", "--quiet"];
    let direct = arguments("direct", &direct);
    succeeds(path, &direct);
    fs::write(path.join("run.toml"), run.out).unwrap();
    let file = ["pretrain", "--config", "run.toml", "--output", "new/run"];
    succeeds(path, &file);
    assert!(weights(&path.join("direct")) == weights(&path.join("new/run")));
}

#[test]
fn a_run_killed_at_any_moment_resumes_to_the_same_weights() {
    let folder = folder();
    let path = folder.path();
    // Epochs of 12 updates, so that checkpoints fall within them.
    let settings = [
        "--quiet",
        "--steps",
        "150",
        "--checkpoint-steps",
        "7",
        "--objective",
        "rtd",
    ];
    let spawn = |run: &str, how: &[&str]| {
        let arguments = arguments(run, &[&settings[..], how].concat());
        command(path, &arguments).spawn().unwrap()
    };
    let started = Instant::now();
    let whole = finish(spawn("whole", &[]));
    assert_eq!(whole.code, Some(0), "{}", whole.err);
    let mut length = started.elapsed();
    let expected = weights(&path.join("whole"));

    for share in [0.05, 0.3, 0.5, 0.7, 0.9] {
        let run = format!("killed-{share}");
        let directory = path.join(&run);
        // If the machine has become faster and the run ends before the kill, try again with an earlier kill.
        let killed = (0..5).any(|_| {
            let _ = fs::remove_dir_all(&directory);
            let mut child = spawn(&run, &[]);
            std::thread::sleep(length.mul_f64(share));
            // SIGKILL on Unix: the process cannot handle it.
            child.kill().unwrap();
            let killed = !child.wait().unwrap().success();
            if !killed {
                length = length.mul_f64(0.6);
            }
            killed
        });
        assert!(killed, "{run} was done before it could be killed");
        let begun = || directory.join("config.toml").exists();
        if begun() && !directory.join("model").exists() {
            let mut child = spawn(&run, &["--resume"]);
            std::thread::sleep(Duration::from_millis(20) + length.mul_f64(0.1));
            child.kill().unwrap();
            child.wait().unwrap();
        }
        if !directory.join("model").exists() {
            // Killed before the first step: tokenised text, complete or not, does not block the next run.
            let how: &[&str] = if begun() { &["--resume"] } else { &[] };
            let run = finish(spawn(&run, how));
            assert_eq!(run.code, Some(0), "{}", run.err);
        }
        assert!(
            weights(&directory) == expected,
            "{run}: other weights than those of the whole run"
        );
        let names = names(&directory);
        assert!(
            !names.iter().any(|name| name.ends_with(".tmp")),
            "{names:?}"
        );
    }
}

/// Waits until a file has this many lines.
#[cfg(unix)]
fn wait_for_lines(file: &Path, lines: usize) {
    while fs::read_to_string(file).unwrap_or_default().lines().count() < lines {
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[cfg(unix)]
#[test]
fn an_interrupted_run_writes_a_checkpoint_and_says_how_to_go_on() {
    let folder = folder();
    let path = folder.path();
    let settings = ["--steps", "150", "--packing", "within"];
    succeeds(path, &arguments("whole", &settings));
    let child = command(path, &arguments("stopped", &settings))
        .spawn()
        .unwrap();
    wait_for_lines(&path.join("stopped/metrics.jsonl"), 25);
    signal("INT", &child);
    let run = finish(child);
    assert_eq!((run.code, run.out.as_str()), (Some(130), ""), "{}", run.err);
    for part in [
        "note: finishing this step and writing a checkpoint",
        "error: interrupted at step ",
        "hint: continue with `bertkit pretrain --resume --output stopped`",
    ] {
        assert!(run.err.contains(part), "`{part}`: {}", run.err);
    }
    let run = succeeds(path, &["pretrain", "--resume", "--output", "stopped"]);
    assert!(run.err.contains("continuing after step "), "{}", run.err);
    assert!(weights(&path.join("whole")) == weights(&path.join("stopped")));
    assert_eq!(
        metric(&path.join("whole"), "train", "loss"),
        metric(&path.join("stopped"), "train", "loss")
    );
}

#[cfg(unix)]
#[test]
fn interrupting_the_tokenising_leaves_nothing() {
    let folder = folder();
    let path = folder.path();
    fs::create_dir(path.join("large")).unwrap();
    // Enough text for several batches, between which interruptions are checked.
    fs::write(path.join("large/a.txt"), texts(150_000)).unwrap();
    let before = names(path);
    let child = command(path, &arguments("runs/a", &["--corpus", "large"]))
        .spawn()
        .unwrap();
    while !path.join("runs/a/.shards.tmp").exists() {
        std::thread::sleep(Duration::from_millis(1));
    }
    signal("INT", &child);
    let run = finish(child);
    assert_eq!((run.code, run.out.as_str()), (Some(130), ""), "{}", run.err);
    assert!(run.err.contains("error: interrupted"), "{}", run.err);
    assert_eq!(names(path), before);
}

#[test]
fn texts_that_cannot_be_learnt_from_are_refused_and_nothing_is_written() {
    let folder = folder();
    let path = folder.path();
    let write = |name: &str, content: &[u8]| {
        let file = path.join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, content).unwrap();
    };
    write("empty/a.txt", b" \n\n");
    write("words/a.txt", "cat\ndog\n".repeat(40).as_bytes());
    write("binary/a.txt", texts(9).as_bytes());
    write(
        "binary/b.txt",
        b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x03\0\x3e",
    );
    write("pictures/a.png", b"\x89PNG");
    write("few/a.txt", b"the cat sees a bird .\n");
    let before = names(path);
    for (corpus, part) in [
        ("missing", "`missing` does not exist"),
        ("no*.txt", "no*.txt"),
        ("empty", "the corpus is empty"),
        ("words", "longer than a word"),
        ("binary", "`binary/b.txt`"),
        ("pictures", "`pictures`"),
    ] {
        refused(path, &arguments("runs/a", &["--corpus", corpus]), part);
        assert_eq!(names(path), before, "{corpus}");
    }
    let none = ["pretrain", "--tokenizer", "tok", "--output", "runs/a"];
    let error = refused(path, &none, "--corpus PATH");
    assert!(error.contains("--model DIR"), "{error}");
    // One document is enough to train on; then none is held out.
    let run = succeeds(path, &arguments("runs/a", &["--corpus", "few"]));
    assert!(
        run.err.contains("note: the corpus is a single document"),
        "{}",
        run.err
    );
}

#[test]
fn settings_that_do_not_fit_are_refused_before_any_text_is_read() {
    let folder = folder();
    let path = folder.path();
    fs::create_dir(path.join("unmasked")).unwrap();
    let vocabulary = "[PAD]\n[UNK]\n[CLS]\n[SEP]\nthe\ncat\n";
    fs::write(path.join("unmasked/vocab.txt"), vocabulary).unwrap();
    let kmers = ["tokenizer", "train", "--type", "kmer:2", "--output", "dna"];
    succeeds(path, &[&kmers[..], &["--quiet"]].concat());
    let before = names(path);
    for (more, part) in [
        (&["--tokenizer", "unmasked"][..], "has no mask token"),
        (&["--tokenizer", "nowhere"], "nowhere"),
        (&["--tokenizer", "char"], "`char` needs a vocabulary"),
        (&["--tokenizer", "kmer:x"], "`x` is not a number of letters"),
        (
            &["--tokenizer", "dna", "--whole-word"],
            "whole words cannot be masked",
        ),
        (
            &["--tokenizer", "tok", "--vocab-size", "9"],
            "cannot be used with",
        ),
        (&["--objective", "mml"], "`mlm+nsp`"),
        (&["--objective", "sop"], "`objective.mlm` is 0"),
        (
            &["--objective", "mlm+nsp", "--packing", "across"],
            "`sequences.packing` does not give the pairs",
        ),
        (&["--max-length", "4"], "expected 8 or more"),
        (&["--max-length", "49"], "positions for 48"),
        (&["--mask-rate", "0"], "`rate` is 0"),
        (&["--budget", "soon"], "`30m`, `1h30m` or `90s`"),
        (&["--epochs", "-1", "--steps", "2"], "unexpected argument"),
        (&["--steps", "0"], "`training.steps` is 0"),
        (&["--learning-rate", "2"], "`optimizer.learning_rate` is 2"),
        (&["--device", "tpu"], "`tpu` is not a device"),
        (
            &["--set", "training.stpes=3"],
            "did you mean `training.steps`?",
        ),
        (&["--set", "masking.unit=words"], "masking.unit"),
        (&["--set", "generator.size=0.5"], "`--objective rtd`"),
        (
            &["--objective", "rtd", "--set", "generator.tied=all"],
            "`generator.size` is 0.25 and `generator.layers` 1",
        ),
        (&["--probe-every", "3"], "--probe FILE"),
        (&["--recipe", "electra-small"], "cannot be used with"),
    ] {
        refused(path, &arguments("runs/a", more), part);
        assert_eq!(names(path), before, "{more:?}");
    }
    let recipe = ["pretrain", "--recipe", "electra-smal", "--corpus", "corpus"];
    refused(path, &recipe, "'electra-small'");
    fs::write(path.join("typo.toml"), "[training]\nstep = 3\n").unwrap();
    let typo = arguments("runs/a", &["--config", "typo.toml"]);
    let error = refused(path, &typo, "line 2");
    assert!(error.contains("`steps`"), "{error}");
    let wanted = ["--vocab-size", "8000", "--output", "other"];
    let train = [&["tokenizer", "train", "corpus"][..], &wanted].concat();
    refused(path, &train, "fewer than 8,000");
    assert!(!path.join("runs").exists());
}

#[test]
fn a_run_directory_is_only_taken_for_what_it_is() {
    let folder = folder();
    let path = folder.path();
    succeeds(path, &arguments("run", &["--quiet"]));
    refused(path, &arguments("run", &[]), "`run` is not empty");
    let resume = ["pretrain", "--resume", "--output", "run"];
    refused(path, &resume, "the run is finished");
    refused(path, &["pretrain", "--resume"], "--output DIR");
    let nowhere = ["pretrain", "--resume", "--output", "nowhere"];
    refused(path, &nowhere, "no checkpoint to resume from");
    let tune = ["finetune", "--resume", "--output", "run"];
    let error = refused(path, &tune, "`run` is a run of `bertkit pretrain`");
    assert!(error.contains("`bertkit pretrain --resume --output run`"));
    // The tokenised text is kept and reused.
    let modified = |name: &str| {
        let file = fs::metadata(path.join(name)).unwrap();
        file.modified().unwrap()
    };
    let before = modified("run/shards/manifest.json");
    succeeds(path, &arguments("run", &["--overwrite", "--quiet"]));
    assert_eq!(modified("run/shards/manifest.json"), before);
}

#[cfg(unix)]
#[test]
fn a_run_is_not_resumed_with_other_text_tokenizer_or_settings() {
    let folder = folder();
    let path = folder.path();
    let child = command(path, &arguments("run", &["--steps", "100000"]))
        .spawn()
        .unwrap();
    wait_for_lines(&path.join("run/metrics.jsonl"), 5);
    signal("INT", &child);
    assert_eq!(finish(child).code, Some(130));
    let resume = ["pretrain", "--resume", "--output", "run"];
    let with = |more: &[&'static str]| [&resume[..], more].concat();
    let part = "`training.batch_size` was 4 and is 8 now";
    refused(path, &with(&["--batch-size", "8"]), part);
    succeeds(
        path,
        &[
            "tokenizer",
            "train",
            "corpus",
            "--cased",
            "--output",
            "other",
            "--quiet",
        ],
    );
    let part = "`tokenizer.path` was \"tok\" and is \"other\" now";
    refused(path, &with(&["--tokenizer", "other"]), part);

    // Another tokenizer under the same name: the ids of two words are swapped.
    let vocabulary = fs::read_to_string(path.join("tok/tokenizer.json")).unwrap();
    let swapped = vocabulary
        .replace("\"cat\"", "\"...\"")
        .replace("\"dog\"", "\"cat\"")
        .replace("\"...\"", "\"dog\"");
    assert_ne!(swapped, vocabulary);
    fs::write(path.join("tok/tokenizer.json"), swapped).unwrap();
    refused(path, &resume, "the tokenizer has changed");
    fs::write(path.join("tok/tokenizer.json"), vocabulary).unwrap();

    fs::write(path.join("corpus/b.txt"), texts(3)).unwrap();
    refused(path, &resume, "the data files have changed");
    fs::remove_file(path.join("corpus/b.txt")).unwrap();
    let checkpoints = names(&path.join("run/checkpoints"));
    let child = command(path, &resume).spawn().unwrap();
    let newest = path.join("run/metrics.jsonl");
    let lines = fs::read_to_string(&newest).unwrap().lines().count();
    wait_for_lines(&newest, lines + 4);
    signal("INT", &child);
    assert_eq!(finish(child).code, Some(130));
    assert_ne!(names(&path.join("run/checkpoints")), checkpoints);
}

#[test]
fn damaged_shards_are_told_and_a_missing_manifest_too() {
    let folder = folder();
    let path = folder.path();
    succeeds(path, &arguments("first", &["--shards", "kept", "--quiet"]));
    let shard = names(&path.join("kept"))
        .into_iter()
        .find(|name| name != "manifest.json" && name != "lock")
        .unwrap();
    let shard = path.join("kept").join(shard);
    let mut bytes = fs::read(&shard).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x10;
    fs::write(&shard, &bytes).unwrap();
    let again = arguments("second", &["--shards", "kept"]);
    let error = refused(path, &again, "damaged");
    assert!(error.contains("hint: remove `kept`"), "{error}");
    assert!(!path.join("second").exists());
    fs::remove_dir_all(path.join("kept")).unwrap();
    succeeds(path, &again);
    assert!(weights(&path.join("first")) == weights(&path.join("second")));
    let foreign = arguments("third", &["--shards", "corpus"]);
    refused(path, &foreign, "`corpus`");
    assert!(!path.join("third").exists());
}
