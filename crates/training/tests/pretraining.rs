//! Whole pretraining runs on a few documents: what a user can rely on whatever the objective.
#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use bertkit_data::tokenizer::{TokenizerFamily, TrainOptions, train_tokenizer};
use bertkit_model::Checkpoint;
use bertkit_training::pretrain::{PreparedPretraining, PretrainConfig, PretrainOutcome, prepare};
use bertkit_training::{
    DirectoryPolicy, Event, FinetuneConfig, MetricLine, Observer, Override, Silent, TrainError,
};
use tempfile::TempDir;

/// A corpus, a tokenizer and room for runs.
struct Bench {
    folder: TempDir,
    settings: Vec<String>,
}

/// Sentences in which a word says what the next ones are: there is something to learn.
fn documents() -> Vec<Vec<String>> {
    let animals = [
        ("cat", "grey", "sleeps", "house"),
        ("horse", "brown", "runs", "field"),
        ("fish", "silver", "swims", "river"),
        ("bird", "white", "sings", "tree"),
        ("bear", "black", "hunts", "forest"),
    ];
    (0..40)
        .map(|document| {
            (0..6)
                .map(|sentence| {
                    let (name, colour, does, place) =
                        animals[(document * 7 + sentence * 3 + document * sentence) % 5];
                    match sentence % 2 {
                        0 => format!("the {colour} {name} {does} in the {place} ."),
                        _ => format!("in the {place} a {colour} {name} {does} ."),
                    }
                })
                .collect()
        })
        .collect()
}

const SMALL: [&str; 14] = [
    "device=cpu",
    "model.fresh.num_hidden_layers=2",
    "model.fresh.hidden_size=32",
    "model.fresh.num_attention_heads=2",
    "model.fresh.intermediate_size=64",
    "model.fresh.max_position_embeddings=64",
    "sequences.max_length=32",
    "training.batch_size=8",
    "training.steps=12",
    "training.checkpoint_steps=5",
    "training.evaluate_steps=4",
    "corpus.held_out=0.1",
    "optimizer.learning_rate=2e-3",
    "schedule.warmup=0.1",
];

impl Bench {
    fn new(family: TokenizerFamily, more: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let documents = documents();
        let text: Vec<String> = documents.iter().map(|d| d.join("\n")).collect();
        std::fs::write(folder.path().join("corpus.txt"), text.join("\n\n")).unwrap();
        let options = TrainOptions {
            family,
            vocab_size: Some(200),
            ..TrainOptions::default()
        };
        let sentences = documents.iter().flatten().map(String::as_str);
        let tokenizer = train_tokenizer(sentences, &options).unwrap();
        std::fs::create_dir(folder.path().join("tok")).unwrap();
        tokenizer.save(&folder.path().join("tok")).unwrap();
        let mut settings: Vec<String> = SMALL.iter().map(|&s| s.into()).collect();
        let path = |name: &str| folder.path().join(name).display().to_string();
        settings.push(format!("corpus.paths=[\"{}\"]", path("corpus.txt")));
        settings.push(format!("corpus.shards={}", path("shards")));
        settings.push(format!("tokenizer.path={}", path("tok")));
        settings.extend(more.iter().map(|&s| s.into()));
        Self { folder, settings }
    }

    fn path(&self, run: &str) -> PathBuf {
        self.folder.path().join(run)
    }

    fn config(&self, run: &str, more: &[&str]) -> PretrainConfig {
        let output = format!("output={}", self.path(run).display());
        let sets: Vec<Override> = self
            .settings
            .iter()
            .map(String::as_str)
            .chain([output.as_str()])
            .chain(more.iter().copied())
            .map(|text| Override::parse(text).unwrap())
            .collect();
        PretrainConfig::resolve(None, &sets).unwrap()
    }

    fn prepare(&self, run: &str, more: &[&str], policy: DirectoryPolicy) -> PreparedPretraining {
        let never = AtomicBool::new(false);
        prepare(self.config(run, more), policy, &mut Silent, &never).unwrap()
    }

    fn train(&self, run: &str, more: &[&str]) -> PretrainOutcome {
        let prepared = self.prepare(run, more, DirectoryPolicy::New);
        prepared
            .train(&mut Silent, &AtomicBool::new(false))
            .unwrap()
    }

    fn metrics(&self, run: &str, split: &str, name: &str) -> Vec<MetricLine> {
        let text = std::fs::read_to_string(self.path(run).join("metrics.jsonl")).unwrap();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .filter(|line: &MetricLine| line.split == split && line.name == name)
            .collect()
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

const NO_DROPOUT: [&str; 2] = ["model.hidden_dropout=0", "model.attention_dropout=0"];

/// What a model reaches that knows how often each word comes, and nothing of its neighbours.
fn unigram_entropy() -> f64 {
    let documents = documents();
    let words: Vec<&str> = documents
        .iter()
        .flatten()
        .flat_map(|sentence| sentence.split(' '))
        .collect();
    let mut counts: HashMap<&str, f64> = HashMap::new();
    words
        .iter()
        .for_each(|&word| *counts.entry(word).or_default() += 1.0);
    let n = words.len() as f64;
    counts
        .values()
        .map(|count| -count / n * (count / n).ln())
        .sum()
}

#[test]
fn masked_words_are_learnt_from_their_neighbours() {
    let bench = Bench::new(TokenizerFamily::Bert, &NO_DROPOUT);
    bench.train(
        "run",
        &["training.steps=250", "training.evaluate_steps=250"],
    );
    let last = |name: &str| {
        bench
            .metrics("run", "valid", name)
            .pop()
            .unwrap()
            .value
            .unwrap()
    };
    let (loss, entropy) = (last("loss"), unigram_entropy());
    assert!(entropy > 2.0 && loss < 0.6 * entropy, "{loss} {entropy}");
    assert!(last("mlm_accuracy") > 0.5);
    assert!((last("perplexity") - loss.exp()).abs() < 1e-9);
}

#[test]
fn replaced_tokens_are_told_from_those_that_were_there() {
    let more = [
        &NO_DROPOUT[..],
        &[
            "objective=rtd",
            "masking.rate=0.25",
            "sequences.packing=across",
        ],
    ]
    .concat();
    let bench = Bench::new(TokenizerFamily::Electra, &more);
    let outcome = bench.train("run", &["training.steps=250", "training.evaluate_steps=50"]);
    let found = |name: &str| bench.metrics("run", "valid", name);
    let auc = found("rtd_auc");
    let (first, last) = (auc[0].value.unwrap(), auc.last().unwrap().value.unwrap());
    assert!(last > 0.8 && last > first, "{first} {last}");
    for name in [
        "rtd_precision",
        "rtd_recall",
        "generator_accuracy",
        "replaced_share",
    ] {
        assert!(
            found(name).iter().all(|line| line.value.is_some()),
            "{name}"
        );
    }
    // The sum of both losses, 50 times the discriminator's, is what was minimised.
    let train = |name: &str| bench.metrics("run", "train", name)[7].value.unwrap();
    let sum = train("mlm_loss") + 50.0 * train("rtd_loss");
    assert!((train("loss") - sum).abs() < 1e-9);
    // Both models are saved, on the same embeddings.
    let name = "electra.embeddings.word_embeddings.weight";
    let read = |folder: &Path| Checkpoint::open(folder).unwrap().read(name).unwrap();
    assert_eq!(read(&outcome.model), read(&outcome.generator.unwrap()));
}

#[test]
fn pairs_of_segments_are_learnt_beside_masked_words() {
    for (objective, name) in [("mlm+nsp", "next_sentence"), ("mlm+sop", "sentence_order")] {
        let bench = Bench::new(TokenizerFamily::Bert, &[&format!("objective={objective}")]);
        let outcome = bench.train("run", &["training.steps=6"]);
        for name in ["mlm_accuracy", "perplexity", &format!("{name}_accuracy")] {
            let value = bench.metrics("run", "valid", name)[0].value;
            assert!(value.is_some_and(f64::is_finite), "{name}");
        }
        let config = std::fs::read_to_string(outcome.model.join("config.json")).unwrap();
        assert!(config.contains("BertForPreTraining"), "{config}");
    }
}

#[test]
fn an_albert_learns_masked_words_and_sentence_order_with_shared_layers() {
    let more = [
        "model.fresh.family=albert",
        "model.fresh.embedding_size=16",
        "objective=mlm+sop",
        "training.recompute=true",
    ];
    let bench = Bench::new(TokenizerFamily::Bert, &more);
    let outcome = bench.train("run", &["training.steps=3"]);
    let config = std::fs::read_to_string(outcome.model.join("config.json")).unwrap();
    assert!(config.contains("AlbertForPreTraining"), "{config}");
}

#[test]
fn every_family_is_pretrained_with_masks() {
    for (family, class) in [
        (TokenizerFamily::Roberta, "RobertaForMaskedLM"),
        (TokenizerFamily::Distilbert, "DistilBertForMaskedLM"),
        (TokenizerFamily::Electra, "ElectraForMaskedLM"),
    ] {
        let name = format!("{family:?}").to_lowercase();
        let bench = Bench::new(family, &[&format!("model.fresh.family={name}")]);
        let outcome = bench.train("run", &["training.steps=3"]);
        let config = std::fs::read_to_string(outcome.model.join("config.json")).unwrap();
        assert!(config.contains(class), "{config}");
    }
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
fn an_interrupted_run_goes_on_to_the_same_weights_in_the_middle_of_a_pass() {
    let stages = "training.stages=[{steps=7, max_length=16, batch_size=4}, {steps=5, gradient_accumulation=2}]";
    for (family, objective) in [
        (TokenizerFamily::Bert, "mlm"),
        (TokenizerFamily::Electra, "rtd"),
    ] {
        let objective = format!("objective={objective}");
        let bench = Bench::new(family, &[&objective, "training.batch_size=6", stages]);
        let whole = bench.train("whole", &[]);
        assert_eq!(whole.steps, 12);
        for stop in [2, 7, 9] {
            let run = format!("stopped-{stop}");
            let flag = AtomicBool::new(false);
            let error = bench
                .prepare(&run, &[], DirectoryPolicy::New)
                .train(&mut StopAfter(stop, &flag), &flag)
                .unwrap_err();
            assert!(matches!(error, TrainError::Interrupted { step, .. } if step == stop));
            assert!(
                error
                    .hint()
                    .unwrap()
                    .contains("bertkit pretrain [option.resume]")
            );
            let outcome = bench
                .prepare(&run, &[], DirectoryPolicy::Resume)
                .train(&mut Silent, &AtomicBool::new(false))
                .unwrap();
            assert!(
                weights(&outcome.model) == weights(&whole.model),
                "stopped at {stop}"
            );
            let generators = (outcome.generator, &whole.generator);
            if let (Some(ours), Some(theirs)) = generators {
                assert!(
                    weights(&ours) == weights(theirs),
                    "generator, stopped at {stop}"
                );
            }
        }
    }
}

#[test]
fn accumulating_micro_batches_equals_one_large_batch() {
    for (family, objective) in [
        (TokenizerFamily::Bert, "mlm"),
        (TokenizerFamily::Bert, "mlm+nsp"),
        (TokenizerFamily::Electra, "rtd"),
    ] {
        let objective = format!("objective={objective}");
        let bench = Bench::new(
            family,
            &[&NO_DROPOUT[..], &[objective.as_str(), "training.steps=3"]].concat(),
        );
        let whole = bench.train("whole", &["training.batch_size=12"]).model;
        let parts = ["training.batch_size=4", "training.gradient_accumulation=3"];
        let parts = bench.train("parts", &parts).model;
        let difference = largest_difference(&whole, &parts);
        assert!(
            difference < 5e-5,
            "{objective}: weights differ by {difference}"
        );
        let other = bench.train("other", &["training.batch_size=4"]).model;
        assert!(largest_difference(&whole, &other) > 1e-4);
        for (run, more) in [
            ("micro", "training.micro_batch=5"),
            ("two", "device=cpu,cpu"),
        ] {
            let model = bench.train(run, &["training.batch_size=12", more]).model;
            let difference = largest_difference(&whole, &model);
            assert!(
                difference < 5e-5,
                "{objective}, {run}: weights differ by {difference}"
            );
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_weights_on_any_number_of_threads() {
    let bench = Bench::new(
        TokenizerFamily::Electra,
        &["objective=rtd", "training.steps=4"],
    );
    let on = |threads: usize, run: &str, more: &[&str]| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        weights(&pool.install(|| bench.train(run, more)).model)
    };
    let one = on(1, "one", &[]);
    assert!(one == on(3, "three", &[]));
    assert!(one != on(1, "other", &["seed=7"]));
}

#[test]
fn a_stage_begins_at_its_step_with_its_own_lengths_and_batches() {
    struct Tokens(Vec<u64>);
    impl Observer for Tokens {
        fn event(&mut self, event: &Event) {
            if let Event::Step(step) = event {
                self.0.push(step.step_tokens);
            }
        }
    }
    let stages =
        "training.stages=[{share=0.75, max_length=12, batch_size=2}, {share=0.25, batch_size=3}]";
    let bench = Bench::new(TokenizerFamily::Bert, &["sequences.packing=blocks", stages]);
    let mut tokens = Tokens(Vec::new());
    bench
        .prepare("run", &[], DirectoryPolicy::New)
        .train(&mut tokens, &AtomicBool::new(false))
        .unwrap();
    assert_eq!(tokens.0.len(), 12);
    assert!(tokens.0[..9].iter().all(|&n| n <= 24), "{:?}", tokens.0);
    assert!(
        tokens.0[9..].iter().all(|&n| (80..=96).contains(&n)),
        "{:?}",
        tokens.0
    );
}

#[test]
fn a_budget_in_time_ends_run_and_schedule_together() {
    let bench = Bench::new(TokenizerFamily::Bert, &[]);
    let sets: Vec<String> = bench
        .settings
        .iter()
        .filter(|set| !set.starts_with("training.steps"))
        .cloned()
        .collect();
    let bench = Bench {
        settings: sets,
        ..bench
    };
    let outcome = bench.train("run", &["training.budget=1s", "schedule.warmup=0.5"]);
    let rates: Vec<f64> = bench
        .metrics("run", "train", "loss")
        .iter()
        .map(|line| line.lr)
        .collect();
    assert_eq!(rates.len() as u64, outcome.steps);
    assert_eq!(rates[0], 0.0);
    // Up to the peak and down again, whatever the machine.
    let peak = rates.iter().copied().fold(0.0, f64::max);
    assert!(peak <= 2e-3 && *rates.last().unwrap() <= peak);
    assert!(bench.path("run/model/config.json").is_file());
}

#[test]
fn a_run_can_be_continued_fine_tuned_and_probed() {
    let bench = Bench::new(
        TokenizerFamily::Electra,
        &["objective=rtd", "training.steps=4"],
    );
    let rows: Vec<String> = documents()
        .iter()
        .flatten()
        .map(|text| {
            format!(
                "{text},{}\n",
                if text.contains("cat") { "cat" } else { "other" }
            )
        })
        .collect();
    let table = bench.path("rows.csv");
    std::fs::write(&table, format!("text,label\n{}", rows[..60].concat())).unwrap();
    let plain = bench.train("plain", &[]);
    // The probe fine-tunes a copy, and changes nothing of the run.
    let data = format!("probe.data={}", table.display());
    let probe = [
        data.as_str(),
        "probe.steps=[2]",
        "probe.every=4",
        "probe.epochs=1",
    ];
    let probed = bench.train("probed", &probe);
    assert!(weights(&plain.model) == weights(&probed.model));
    let scores = bench.metrics("probed", "probe", "f1");
    assert_eq!(
        scores.iter().map(|line| line.step).collect::<Vec<_>>(),
        [2, 4]
    );
    assert!(!bench.path("probed/.probe.tmp").exists());

    // Continued from the run's directory: both models, and nothing starts fresh.
    let settings: Vec<String> = bench
        .settings
        .iter()
        .filter(|set| !set.starts_with("model.fresh"))
        .cloned()
        .collect();
    let bench = Bench { settings, ..bench };
    let from = format!("model.path={}", bench.path("plain").display());
    let prepared = bench.prepare("more", &[&from], DirectoryPolicy::New);
    let lines = &prepared.summary().lines;
    assert!(
        lines.iter().all(|(name, _)| name != "fresh weights"),
        "{lines:?}"
    );
    let generator = lines.iter().find(|(name, _)| name == "generator").unwrap();
    assert!(generator.1.contains("from"), "{lines:?}");
    prepared
        .train(&mut Silent, &AtomicBool::new(false))
        .unwrap();

    // Fine-tuning takes the run's directory, too.
    let sets = [
        format!("data.train={}", table.display()),
        format!("output={}", bench.path("tuned").display()),
        from,
        "device=cpu".into(),
        "training.epochs=1".into(),
        "data.max_length=32".into(),
    ];
    let sets: Vec<Override> = sets.iter().map(|s| Override::parse(s).unwrap()).collect();
    let config = FinetuneConfig::resolve(None, &sets).unwrap();
    let run = bertkit_training::prepare(config, DirectoryPolicy::New, &mut Silent).unwrap();
    run.train(&mut Silent, &AtomicBool::new(false)).unwrap();
}

#[test]
fn masked_models_go_on_with_their_head() {
    let bench = Bench::new(TokenizerFamily::Bert, &["training.steps=2"]);
    bench.train("first", &[]);
    let settings: Vec<String> = bench
        .settings
        .iter()
        .filter(|set| !set.starts_with("model.fresh"))
        .cloned()
        .collect();
    let bench = Bench { settings, ..bench };
    let from = format!("model.path={}", bench.path("first").display());
    let fresh = |more: &[&str]| {
        let more = [&[from.as_str()], more].concat();
        let prepared = bench.prepare("dry", &more, DirectoryPolicy::DryRun);
        let mut lines = prepared.summary().lines.clone().into_iter();
        lines
            .find(|(name, _)| name == "fresh weights")
            .map(|(_, text)| text)
    };
    assert_eq!(fresh(&[]), None);
    let said = fresh(&["objective=mlm+nsp"]).unwrap();
    assert!(
        said.contains("seq_relationship") && said.contains("pooler"),
        "{said}"
    );
    assert!(!bench.path("dry").exists());
}

#[test]
fn what_does_not_fit_is_told_before_anything_is_trained() {
    let bench = Bench::new(TokenizerFamily::Bert, &[]);
    let never = AtomicBool::new(false);
    let error = |more: &[&str]| {
        let config = bench.config("run", more);
        let error = prepare(config, DirectoryPolicy::New, &mut Silent, &never).unwrap_err();
        assert_eq!(error.exit_code(), 2, "{error}");
        assert!(error.hint().is_some(), "{error}");
        error.to_string()
    };
    let text = error(&["sequences.max_length=65"]);
    assert!(
        text.contains("65 tokens") && text.contains("positions for 64"),
        "{text}"
    );
    let text = error(&["model.fresh.family=roberta", "objective=mlm+nsp"]);
    assert!(text.contains("head of BERT"), "{text}");
    let text = error(&["model.fresh.family=roberta", "objective=rtd"]);
    assert!(text.contains("makes an electra"), "{text}");
    let text = error(&["generator.size=0.01", "objective=rtd"]);
    assert!(text.contains("hidden_size"), "{text}");
    assert!(!bench.path("run/model").exists());
}

#[test]
fn a_dry_run_leaves_nothing_behind() {
    let bench = Bench::new(TokenizerFamily::Bert, &[]);
    let settings: Vec<String> = bench
        .settings
        .iter()
        .filter(|set| !set.starts_with("corpus.shards"))
        .cloned()
        .collect();
    let bench = Bench { settings, ..bench };
    let names = || {
        let entries = std::fs::read_dir(bench.folder.path()).unwrap();
        entries.map(|e| e.unwrap().file_name()).collect::<Vec<_>>()
    };
    let before = names();
    let prepared = bench.prepare("run", &[], DirectoryPolicy::DryRun);
    let estimate = prepared.estimate().unwrap();
    assert!(estimate.tokens_per_second > 0.0 && estimate.seconds > 0.0);
    drop(prepared);
    assert_eq!(names(), before);
    // A run leaves its shards in its own directory, and another attempt finds them there.
    bench.train("run", &["training.steps=1"]);
    assert!(bench.path("run/shards").is_dir());
}
