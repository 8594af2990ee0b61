//! Whole runs on a few rows: what a user can rely on whatever the task.
#![allow(clippy::unwrap_used, missing_docs)]

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use bertkit_model::{Checkpoint, DeviceSpec};
use bertkit_training::{
    DirectoryPolicy, Event, FinetuneConfig, Observer, Override, Predictor, Silent, TrainError,
    prepare,
};
use tempfile::TempDir;

/// A labelled file and room for runs.
struct Bench {
    folder: TempDir,
    settings: Vec<String>,
}

const SIZES: [&str; 7] = [
    "device=cpu",
    "model.fresh.num_hidden_layers=2",
    "model.fresh.hidden_size=32",
    "model.fresh.num_attention_heads=2",
    "model.fresh.intermediate_size=64",
    "model.fresh.max_position_embeddings=32",
    "schedule.warmup=0",
];

impl Bench {
    fn new(csv: &str, settings: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("train.csv"), csv).unwrap();
        let mut all: Vec<String> = SIZES.iter().map(|&s| s.into()).collect();
        all.push(format!(
            "data.train={}",
            folder.path().join("train.csv").display()
        ));
        all.extend(settings.iter().map(|&s| s.into()));
        Self {
            folder,
            settings: all,
        }
    }

    fn path(&self, run: &str) -> PathBuf {
        self.folder.path().join(run)
    }

    fn config(&self, run: &str, more: &[&str]) -> FinetuneConfig {
        let output = format!("output={}", self.path(run).display());
        let settings = self
            .settings
            .iter()
            .map(String::as_str)
            .chain([output.as_str()])
            .chain(more.iter().copied());
        let settings: Vec<Override> = settings.map(|s| Override::parse(s).unwrap()).collect();
        FinetuneConfig::resolve(None, &settings).unwrap()
    }

    fn train(&self, run: &str, more: &[&str]) -> PathBuf {
        let prepared = prepare(self.config(run, more), DirectoryPolicy::New, &mut Silent).unwrap();
        prepared
            .train(&mut Silent, &AtomicBool::new(false))
            .unwrap()
            .model
    }
}

fn weights(model: &Path) -> Vec<u8> {
    std::fs::read(model.join("model.safetensors")).unwrap()
}

fn largest_difference(a: &Path, b: &Path) -> f32 {
    let (a, b) = (Checkpoint::open(a).unwrap(), Checkpoint::open(b).unwrap());
    let mut worst = 0.0_f32;
    for name in a.names() {
        for (x, y) in a.read(name).unwrap().iter().zip(b.read(name).unwrap()) {
            worst = worst.max((x - y).abs());
        }
    }
    worst
}

const ROWS: [(&str, &str); 8] = [
    ("the sun is warm and bright", "good"),
    ("a lovely quiet evening", "good"),
    ("it broke on the first day", "bad"),
    ("nobody answered my letters", "bad"),
    ("warm light, lovely sound", "good"),
    ("the first letters broke", "bad"),
    ("bright and quiet sun", "good"),
    ("my day broke, nobody came", "bad"),
];

fn csv(label: impl Fn(usize) -> String) -> String {
    let rows = ROWS
        .iter()
        .enumerate()
        .map(|(i, (text, _))| format!("\"{text}\",\"{}\"\n", label(i)));
    format!("text,label\n{}", rows.collect::<String>())
}

fn classes() -> String {
    csv(|i| ROWS[i].1.into())
}

const OVERFIT: [&str; 9] = [
    "data.valid_fraction=0",
    "training.epochs=60",
    "training.batch_size=4",
    "optimizer.learning_rate=3e-3",
    "model.hidden_dropout=0",
    "model.attention_dropout=0",
    "model.classifier_dropout=0",
    "tokenizer.min_frequency=1",
    "tokenizer.vocab_size=500",
];

/// Overfits the rows, loads what was saved, and hands the answers over.
fn overfit(csv: &str, more: &[&str]) -> Vec<String> {
    let settings: Vec<&str> = OVERFIT.iter().chain(more).copied().collect();
    let bench = Bench::new(csv, &settings);
    let model = bench.train("run", &[]);
    let predictor = Predictor::open(&bench.path("run"), DeviceSpec::Cpu).unwrap();
    let texts: Vec<(String, Option<String>)> = ROWS
        .iter()
        .map(|(text, _)| (text.to_string(), None))
        .collect();
    let answers = predictor.predict(&texts, &mut |_| {}).unwrap();
    let again = Predictor::open(&model, DeviceSpec::Cpu)
        .unwrap()
        .predict(&texts, &mut |_| {})
        .unwrap();
    assert_eq!(answers, again);
    // A text alone and a text among others get the same answer: nothing leaks between packed rows.
    let alone = predictor.predict(&texts[2..3], &mut |_| {}).unwrap();
    for (a, b) in alone[0].probabilities.iter().zip(&answers[2].probabilities) {
        assert!((a - b).abs() < 1e-5);
    }
    answers
        .into_iter()
        .map(|answer| answer.prediction)
        .collect()
}

#[test]
fn two_classes_are_overfitted_saved_and_loaded() {
    let expected: Vec<&str> = ROWS.iter().map(|(_, label)| *label).collect();
    assert_eq!(overfit(&classes(), &[]), expected);
}

#[test]
fn every_family_learns() {
    let expected: Vec<&str> = ROWS.iter().map(|(_, label)| *label).collect();
    for family in ["roberta", "electra", "distilbert", "albert"] {
        let family = format!("model.fresh.family={family}");
        assert_eq!(overfit(&classes(), &[&family]), expected, "{family}");
    }
}

#[test]
fn focal_loss_class_weights_and_the_balanced_sampler_learn() {
    let expected: Vec<&str> = ROWS.iter().map(|(_, label)| *label).collect();
    let more = [
        "task.loss.focal.gamma=2",
        "task.class_weights=balanced",
        "training.sampler=balanced",
    ];
    assert_eq!(overfit(&classes(), &more), expected);
    let more = [
        "task.loss.cross-entropy.label_smoothing=0.1",
        "task.class_weights.bad=2.0",
        "training.batch_tokens=40",
    ];
    assert_eq!(overfit(&classes(), &more), expected);
}

#[test]
fn several_labels_are_overfitted() {
    let label = |i: usize| {
        [
            "warm",
            "warm|quiet",
            "",
            "quiet",
            "warm",
            "",
            "warm|quiet",
            "",
        ][i]
            .to_owned()
    };
    let answers = overfit(&csv(label), &["data.label_separator=|"]);
    let expected: Vec<String> = (0..8)
        .map(|i| {
            if i == 1 || i == 6 {
                "quiet|warm".into()
            } else {
                label(i)
            }
        })
        .collect();
    assert_eq!(answers, expected);
}

#[test]
fn numbers_of_any_size_are_overfitted() {
    let label = |i: usize| format!("{}", 1000.5 + 250.0 * i as f64);
    let answers = overfit(&csv(label), &[]);
    for (i, answer) in answers.iter().enumerate() {
        let off = (answer.parse::<f64>().unwrap() - (1000.5 + 250.0 * i as f64)).abs();
        assert!(off < 150.0, "row {i}: {answer}");
    }
}

const SHORT: [&str; 6] = [
    "data.valid_fraction=0.25",
    "training.epochs=3",
    "training.batch_size=2",
    "optimizer.learning_rate=1e-3",
    "tokenizer.min_frequency=1",
    "training.checkpoint_steps=2",
];

#[test]
fn the_same_seed_gives_the_same_weights_bit_for_bit() {
    let bench = Bench::new(&classes(), &SHORT);
    let first = weights(&bench.train("a", &[]));
    assert!(first == weights(&bench.train("b", &[])));
    assert!(first != weights(&bench.train("c", &["seed=7"])));
}

#[test]
fn computing_layers_again_gives_the_same_weights_bit_for_bit() {
    let bench = Bench::new(&classes(), &SHORT);
    let more = [
        "training.freeze_embeddings=true",
        "training.freeze_layers=1",
    ];
    for more in [&[][..], &more[..], &["task.documents.pool=mean"][..]] {
        let name = more.len().to_string() + more.first().unwrap_or(&"");
        let again: Vec<&str> = more
            .iter()
            .copied()
            .chain(["training.recompute=true"])
            .collect();
        let plain = weights(&bench.train(&format!("plain-{name}"), more));
        assert!(
            plain == weights(&bench.train(&format!("again-{name}"), &again)),
            "{more:?}"
        );
    }
}

#[test]
fn accumulating_micro_batches_equals_one_large_batch() {
    let plain = [
        "data.valid_fraction=0",
        "training.epochs=2",
        "training.bucket_by_length=false",
        "model.hidden_dropout=0",
        "model.attention_dropout=0",
        "model.classifier_dropout=0",
        "optimizer.learning_rate=1e-3",
        "task.class_weights=balanced",
        "tokenizer.min_frequency=1",
    ];
    let bench = Bench::new(
        &csv(|i| {
            if i < 3 {
                "rare".into()
            } else {
                "common".into()
            }
        }),
        &plain,
    );
    let whole = bench.train("whole", &["training.batch_size=6"]);
    let parts = bench.train(
        "parts",
        &["training.batch_size=2", "training.gradient_accumulation=3"],
    );
    let difference = largest_difference(&whole, &parts);
    assert!(difference < 2e-5, "weights differ by {difference}");
    let wrong = bench.train("wrong", &["training.batch_size=2"]);
    assert!(largest_difference(&whole, &wrong) > 1e-4);

    // The same batch in micro-batches, of which the last is smaller, and on several devices.
    for (run, more) in [
        ("micro", &["training.micro_batch=4"][..]),
        ("two", &["device=cpu,cpu"]),
        (
            "four",
            &["device=cpu,cpu,cpu,cpu", "training.micro_batch=1"],
        ),
    ] {
        let more = [&["training.batch_size=6"], more].concat();
        let difference = largest_difference(&whole, &bench.train(run, &more));
        assert!(difference < 2e-5, "{run}: weights differ by {difference}");
    }
}

#[test]
fn several_devices_give_the_weights_of_one_with_as_many_micro_batches() {
    // With dropout, whose numbers are those of the micro-batches.
    let bench = Bench::new(&classes(), &SHORT);
    for more in [&[][..], &["training.freeze_layers=1"], &["precision=f16"]] {
        let name = format!("{more:?}");
        let train =
            |run: &str, own: &[&str]| bench.train(&format!("{run}{name}"), &[more, own].concat());
        let one = train("one", &["training.micro_batch=1"]);
        let two = train("two", &["training.micro_batch=1", "device=cpu,cpu"]);
        let difference = largest_difference(&one, &two);
        assert!(difference < 2e-6, "{name}: weights differ by {difference}");
        let again = train("again", &["training.micro_batch=1", "device=cpu,cpu"]);
        assert!(weights(&two) == weights(&again), "{name}");
    }
}

#[test]
fn a_run_on_several_devices_goes_on_to_the_same_weights() {
    let bench = Bench::new(&classes(), &SHORT);
    let two = ["device=cpu,cpu"];
    let expected = weights(&bench.train("whole", &two));
    let flag = AtomicBool::new(false);
    let config = || bench.config("stopped", &two);
    let prepared = prepare(config(), DirectoryPolicy::New, &mut Silent).unwrap();
    prepared.train(&mut StopAfter(3, &flag), &flag).unwrap_err();
    let prepared = prepare(config(), DirectoryPolicy::Resume, &mut Silent).unwrap();
    let outcome = prepared.train(&mut Silent, &AtomicBool::new(false));
    assert!(weights(&outcome.unwrap().model) == expected);
}

#[test]
fn a_micro_batch_is_found_before_training_and_tried_on_the_largest_batch() {
    let bench = Bench::new(&classes(), &SHORT);
    let config = bench.config("run", &["training.micro_batch=auto"]);
    let prepared = prepare(config.clone(), DirectoryPolicy::New, &mut Silent).unwrap();
    let rows = prepared.rows_to_settle().unwrap();
    assert_eq!(rows, Some(config.training.batch_size));
    let error = prepared.train(&mut Silent, &AtomicBool::new(false));
    assert!(error.unwrap_err().to_string().contains("by trials"));
    let prepared = prepare(config, DirectoryPolicy::New, &mut Silent).unwrap();
    let prepared = prepared.with_micro_batch(3);
    prepared.try_largest().unwrap();
    assert_eq!(prepared.rows_to_settle().unwrap(), None);
    let outcome = prepared
        .train(&mut Silent, &AtomicBool::new(false))
        .unwrap();
    let plain = bench.train("plain", &["training.micro_batch=3"]);
    assert!(weights(&outcome.model) == weights(&plain));
    let written = std::fs::read_to_string(bench.path("run/config.toml")).unwrap();
    assert!(written.contains("micro_batch = 3"), "{written}");
}

#[test]
fn a_profile_counts_every_update_but_the_first_and_changes_nothing() {
    let bench = Bench::new(&classes(), &SHORT);
    let plain = weights(&bench.train("plain", &["device=cpu,cpu"]));
    let config = bench.config("run", &["device=cpu,cpu"]);
    let prepared = prepare(config, DirectoryPolicy::New, &mut Silent).unwrap();
    let outcome = prepared
        .with_profile(true)
        .train(&mut Silent, &AtomicBool::new(false));
    let outcome = outcome.unwrap();
    assert!(weights(&outcome.model) == plain);
    let profile = outcome.profile.unwrap();
    assert_eq!(profile.updates, outcome.steps - 1);
    for phase in [
        profile.forward,
        profile.backward,
        profile.exchange,
        profile.update,
    ] {
        assert!(phase.seconds() > 0.0, "{profile:?}");
    }
    assert!(profile.seconds() + profile.first_update <= outcome.seconds + profile.between + 0.1);
}

/// Asks the run to stop after so many updates.
struct StopAfter<'a>(u64, &'a AtomicBool);

impl Observer for StopAfter<'_> {
    fn event(&mut self, event: &Event) {
        if let Event::Step(step) = event
            && step.step >= self.0
        {
            self.1.store(true, Ordering::Relaxed);
        }
    }
}

#[test]
fn an_interrupted_run_goes_on_to_the_same_weights() {
    let bench = Bench::new(&classes(), &SHORT);
    let expected = weights(&bench.train("whole", &[]));
    for stop in [1, 3, 4, 7] {
        let run = format!("stopped-{stop}");
        let flag = AtomicBool::new(false);
        let prepared = prepare(bench.config(&run, &[]), DirectoryPolicy::New, &mut Silent).unwrap();
        let error = prepared
            .train(&mut StopAfter(stop, &flag), &flag)
            .unwrap_err();
        assert!(matches!(error, TrainError::Interrupted { step, .. } if step == stop));
        assert_eq!(error.exit_code(), 130);
        let prepared = prepare(
            bench.config(&run, &[]),
            DirectoryPolicy::Resume,
            &mut Silent,
        )
        .unwrap();
        let outcome = prepared
            .train(&mut Silent, &AtomicBool::new(false))
            .unwrap();
        assert!(weights(&outcome.model) == expected, "stopped at {stop}");
        let lines = std::fs::read_to_string(bench.path(&run).join("metrics.jsonl")).unwrap();
        let whole = std::fs::read_to_string(bench.path("whole/metrics.jsonl")).unwrap();
        assert_eq!(lines.lines().count(), whole.lines().count());
    }
}

#[test]
fn an_interrupted_run_of_multiple_choice_goes_on_to_the_same_weights() {
    let rows = (0..8).map(|i| {
        format!(
            "which,{0} tea,{1} rain,{2}\n",
            ["good", "bad"][i % 2],
            ["bad", "good"][i % 2],
            i % 2
        )
    });
    let table = format!(
        "question,answer_a,answer_b,label\n{}",
        rows.collect::<String>()
    );
    let kind = ["task.kind=multiple-choice"];
    let bench = Bench::new(&table, &[&SHORT[..], &kind].concat());
    let expected = weights(&bench.train("whole", &[]));
    let flag = AtomicBool::new(false);
    let prepared = prepare(bench.config("run", &[]), DirectoryPolicy::New, &mut Silent).unwrap();
    prepared.train(&mut StopAfter(3, &flag), &flag).unwrap_err();
    let config = bench.config("run", &[]);
    let prepared = prepare(config, DirectoryPolicy::Resume, &mut Silent).unwrap();
    let flag = AtomicBool::new(false);
    let outcome = prepared.train(&mut Silent, &flag).unwrap();
    assert!(weights(&outcome.model) == expected);
}

#[test]
fn a_run_is_only_resumed_under_its_own_settings_and_data() {
    let bench = Bench::new(&classes(), &SHORT);
    let flag = AtomicBool::new(false);
    let prepared = prepare(bench.config("run", &[]), DirectoryPolicy::New, &mut Silent).unwrap();
    prepared.train(&mut StopAfter(2, &flag), &flag).unwrap_err();
    let error = prepare(
        bench.config("run", &["seed=7"]),
        DirectoryPolicy::Resume,
        &mut Silent,
    )
    .unwrap_err();
    assert!(
        error.to_string().contains("`seed` was 42 and is 7 now"),
        "{error}"
    );
    std::fs::write(bench.path("train.csv"), classes() + "one more row,good\n").unwrap();
    let error = prepare(
        bench.config("run", &[]),
        DirectoryPolicy::Resume,
        &mut Silent,
    )
    .unwrap_err();
    assert!(
        error.to_string().contains("data files have changed"),
        "{error}"
    );
}

#[test]
fn the_best_weights_are_kept_and_a_stalled_run_stops_early() {
    struct Log(Vec<Event>);
    impl Observer for Log {
        fn event(&mut self, event: &Event) {
            self.0.push(event.clone());
        }
    }
    let more = [
        "training.epochs=40",
        "training.early_stopping=3",
        "optimizer.learning_rate=5e-3",
    ];
    let settings: Vec<&str> = SHORT.iter().chain(&more).copied().collect();
    let bench = Bench::new(&classes(), &settings);
    let mut log = Log(Vec::new());
    let prepared = prepare(bench.config("run", &[]), DirectoryPolicy::New, &mut log).unwrap();
    let outcome = prepared.train(&mut log, &AtomicBool::new(false)).unwrap();
    let evaluations: Vec<_> = log
        .0
        .iter()
        .filter_map(|event| match event {
            Event::Evaluated(report) => Some(report.clone()),
            _ => None,
        })
        .collect();
    assert!(
        log.0
            .iter()
            .any(|event| matches!(event, Event::StoppedEarly(_)))
    );
    let best = evaluations.iter().rfind(|report| report.is_best).unwrap();
    assert_eq!(outcome.best.as_ref(), Some(best));
    assert_eq!(evaluations.last().unwrap().step, outcome.steps);
    assert!(outcome.steps > best.step);
    // The exported weights are those of the best evaluation: the threshold's rows give its score.
    assert!(!bench.path("run/checkpoints").exists());
}

#[test]
fn frozen_parts_do_not_move() {
    let bench = Bench::new(&classes(), &SHORT);
    let first = bench.train(
        "start",
        &["training.max_steps=1", "optimizer.learning_rate=1e-12"],
    );
    let more = [
        "training.freeze_embeddings=true",
        "training.freeze_layers=1",
        "optimizer.learning_rate=1e-2",
    ];
    let frozen = bench.train("frozen", &more);
    let (a, b) = (
        Checkpoint::open(&first).unwrap(),
        Checkpoint::open(&frozen).unwrap(),
    );
    for name in a.names() {
        let same = a
            .read(name)
            .unwrap()
            .iter()
            .zip(b.read(name).unwrap())
            .all(|(x, y)| (x - y).abs() < 1e-9);
        let should = name.contains("embeddings") || name.contains("layer.0.");
        assert_eq!(same, should, "{name}");
    }
}

#[test]
fn a_threshold_is_chosen_on_the_validation_rows() {
    let mut settings = SHORT.to_vec();
    settings.push("task.threshold=f1");
    let bench = Bench::new(&classes(), &settings);
    bench.train("run", &[]);
    let predictor = Predictor::open(&bench.path("run"), DeviceSpec::Cpu).unwrap();
    assert_eq!(
        predictor.info().threshold_origin,
        "chosen for the best f1 on 2 validation rows"
    );
}

#[test]
fn products_in_bf16_and_f16_learn_and_save_f32() {
    let expected: Vec<&str> = ROWS.iter().map(|(_, label)| *label).collect();
    for precision in ["precision=bf16", "precision=f16"] {
        assert_eq!(overfit(&classes(), &[precision]), expected, "{precision}");
    }
    let bench = Bench::new(&classes(), &SHORT);
    let exact = bench.train("f32", &[]);
    for precision in ["bf16", "f16"] {
        let model = bench.train(precision, &[&format!("precision={precision}")]);
        let file = weights(&model);
        let header = String::from_utf8_lossy(&file[8..file.len().min(4096)]).into_owned();
        assert!(
            header.contains("F32") && !header.contains("F16"),
            "{header}"
        );
        // Near the weights of f32, and not they.
        let off = largest_difference(&exact, &model);
        assert!(off > 0.0 && off < 1.5e-2, "{precision}: {off}");
        let environment = bench.path(precision).join("environment.json");
        let environment = std::fs::read_to_string(environment).unwrap();
        assert!(environment.contains(&format!("\"precision\": \"{precision}\"")));
    }
}

#[test]
fn in_f16_the_scale_of_the_loss_is_kept_by_a_checkpoint() {
    // Rows that count this much make gradients of a finite loss too large for the first scales.
    let bench = Bench::new(&classes(), &SHORT);
    let more = ["precision=f16", "model.fresh.initializer_range=1.0"];
    let expected = weights(&bench.train("whole", &more));
    let lines = |run: &str| -> Vec<String> {
        std::fs::read_to_string(bench.path(run).join("metrics.jsonl"))
            .unwrap()
            .lines()
            .filter(|line| line.contains("\"loss_scale\""))
            .map(|line| line.split(",\"seconds\"").next().unwrap().to_owned())
            .collect()
    };
    let scale_of = |line: &str| -> f64 {
        let value = line.split("\"value\":").nth(1).unwrap();
        value.split(',').next().unwrap().parse().unwrap()
    };
    let whole = lines("whole");
    assert_eq!(whole.len(), 9);
    let skipped = whole
        .windows(2)
        .filter(|w| scale_of(&w[0]) > scale_of(&w[1]));
    assert!(skipped.count() > 1, "{whole:?}");
    let flag = AtomicBool::new(false);
    prepare(
        bench.config("stopped", &more),
        DirectoryPolicy::New,
        &mut Silent,
    )
    .unwrap()
    .train(&mut StopAfter(4, &flag), &flag)
    .unwrap_err();
    let resumed = prepare(
        bench.config("stopped", &more),
        DirectoryPolicy::Resume,
        &mut Silent,
    )
    .unwrap()
    .train(&mut Silent, &AtomicBool::new(false))
    .unwrap();
    assert!(weights(&resumed.model) == expected);
    assert_eq!(lines("stopped"), whole);
}

#[test]
fn a_precision_that_the_device_lacks_is_refused_before_data_are_read() {
    let bench = Bench::new(&classes(), &SHORT);
    let config = bench.config("run", &["precision=tf32", "data.train=absent.csv"]);
    let error = prepare(config, DirectoryPolicy::New, &mut Silent)
        .err()
        .unwrap();
    assert_eq!(error.exit_code(), 2);
    assert!(error.to_string().contains("tf32"), "{error}");
}

#[test]
fn an_overflowing_loss_stops_the_run_and_names_the_batch() {
    for precision in ["precision=f32", "precision=f16"] {
        overflows(precision);
    }
}

fn overflows(precision: &str) {
    let bench = Bench::new(&classes(), &SHORT);
    let flag = AtomicBool::new(false);
    // Weighing a class by nearly the largest f32 makes the summed loss overflow.
    let more = ["task.class_weights.bad=3e38", precision];
    let prepared = prepare(
        bench.config("run", &more),
        DirectoryPolicy::New,
        &mut Silent,
    )
    .unwrap();
    let error = prepared.train(&mut Silent, &flag).unwrap_err();
    assert!(
        matches!(&error, TrainError::NotFinite { what, .. } if what == "loss"),
        "{error}"
    );
    assert_eq!(error.exit_code(), 1);
    assert!(error.to_string().contains("rows from lines"), "{error}");
    assert!(!bench.path("run/model").exists());
}
