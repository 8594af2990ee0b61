//! Recipes do what the published systems do: rates, updates, masks and sizes beside numbers of theirs,
//! by hand, or of a script that shares nothing with this code. And each of them trains.
#![allow(clippy::unwrap_used, missing_docs)]

use std::path::Path;
use std::sync::atomic::AtomicBool;

use bertkit_data::pretraining::masking::{MaskUnit, MaskVocabulary, Masking};
use bertkit_data::pretraining::sequences::{Packing, Sequence};
use bertkit_data::tokenizer::{TokenizerFamily, TokenizerType, TrainOptions, train_tokenizer};
use bertkit_model::weights::to_vec;
use bertkit_model::{Architecture, EncoderConfig, LayerDepths, PretrainingModel, TokenizerStyle};
use bertkit_training::pretrain::{Objective, PretrainConfig, PretrainOutcome, prepare, recipes};
use bertkit_training::{
    AdamW, DirectoryPolicy, GradientSum, Length, MetricLine, Override, ParamGroup, Schedule,
    Silent, param_group,
};
use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};

fn recipe(name: &str) -> PretrainConfig {
    PretrainConfig::resolve_recipe(name, &[]).unwrap()
}

/// The encoder of a recipe, over a vocabulary of that size.
fn encoder(name: &str, vocabulary: usize) -> EncoderConfig {
    let fresh = recipe(name).model.fresh.unwrap();
    let mut config = EncoderConfig::new(
        fresh.family,
        vocabulary,
        fresh.hidden_size,
        fresh.num_hidden_layers,
        fresh.num_attention_heads,
        fresh.intermediate_size,
    );
    config.max_position_embeddings = fresh.max_position_embeddings;
    config.embedding_size = fresh.embedding_size.unwrap_or(fresh.hidden_size);
    config.check(Path::new(name)).unwrap();
    config
}

#[test]
fn rates_are_those_of_the_published_schedules() {
    let schedule = |name: &str| {
        let config = recipe(name);
        let length = match (config.training.steps, config.training.budget) {
            (Some(steps), _) => Length::Steps(steps),
            (None, budget) => Length::Seconds(budget.unwrap().seconds),
        };
        Schedule::new(&config.schedule, config.optimizer.learning_rate, length)
    };
    let cases: [(&str, &[(u64, f64)]); 9] = [
        // 1e-4 · t / 10,000, and from there on 1e-4 · (1 − t / 1,000,000): a step down of a hundredth.
        (
            "bert-original",
            &[
                (0, 0.0),
                (5_000, 5e-5),
                (9_999, 9.999e-5),
                (10_000, 9.9e-5),
                (500_000, 5e-5),
                (999_999, 1e-10),
            ],
        ),
        ("bioformer-8l", &[(9_999, 9.999e-5), (10_000, 9.95e-5)]),
        ("biobert-continue", &[(9_999, 1.9998e-5), (10_000, 1.98e-5)]),
        // 5e-4 · (1 − t / 1,000,000) · min(1, t / 10,000): no step.
        (
            "electra-small",
            &[
                (0, 0.0),
                (5_000, 2.4875e-4),
                (9_999, 5e-4 * 0.990_001 * 0.9999),
                (10_000, 4.95e-4),
                (500_000, 2.5e-4),
            ],
        ),
        (
            "electra-base",
            &[
                (5_000, 1e-4 * 761.0 / 766.0),
                (10_000, 2e-4 * 756.0 / 766.0),
                (383_000, 1e-4),
                (766_000, 0.0),
            ],
        ),
        // Up over 10,000 updates, down over the other 115,000 and 90,000.
        (
            "roberta",
            &[
                (5_000, 2.5e-4),
                (10_000, 5e-4),
                (67_500, 2.5e-4),
                (125_000, 0.0),
            ],
        ),
        (
            "gottbert",
            &[
                (5_000, 2e-4),
                (10_000, 4e-4),
                (55_000, 2e-4),
                (100_000, 0.0),
            ],
        ),
        // 6,160 updates of warm-up. A third of the other 609,840 later, (1 + cos 60°) / 2; at their half, 1/2.
        (
            "tunbert",
            &[
                (3_080, 5e-5),
                (6_160, 1e-4),
                (209_440, 7.5e-5),
                (311_080, 5e-5),
                (616_000, 0.0),
            ],
        ),
        // Seconds of 24 hours: from a quarter of the peak to the peak at three quarters of the time, then to 0.
        (
            "cramming",
            &[
                (0, 2.5e-4),
                (32_400, 6.25e-4),
                (64_800, 1e-3),
                (75_600, 5e-4),
                (86_400, 0.0),
            ],
        ),
    ];
    for (name, expected) in cases {
        let schedule = schedule(name);
        for &(t, expected) in expected {
            let found = schedule.rate(t, t as f64);
            assert!(
                (found - expected).abs() <= 1e-9 * expected.max(1e-6),
                "{name} at {t}: {found} {expected}"
            );
        }
    }
}

#[derive(Module, Debug)]
struct Toy {
    weight: Param<Tensor<1>>,
    bias: Param<Tensor<1>>,
}

#[test]
fn berts_updates_are_those_of_its_published_optimizer() {
    // Printed by scripts/golden/bert_optimizer.py. The first update is at a rate of 0; the third is the first behind
    // the warm-up, at 2/3 of the peak.
    const GRADIENTS: [[f32; 3]; 6] = [
        [3.0, -4.0, 12.0],
        [0.3, 0.2, -0.1],
        [-2.0, 1.0, 2.0],
        [0.01, -0.02, 0.02],
        [0.0, 5.0, 0.0],
        [-0.4, 0.0, 0.3],
    ];
    const EXPECTED: [[f32; 3]; 6] = [
        [1.0, -0.5, 0.25],
        [0.787_390_1, -0.466_598_8, 0.125_497_3],
        [0.844_551_7, -0.578_639, -0.118_918_9],
        [0.881_020_4, -0.647_783_9, -0.286_726_4],
        [0.902_872_4, -0.760_522_5, -0.387_461_3],
        [0.935_968_7, -0.811_250_8, -0.444_727_7],
    ];
    let mut config = recipe("bert-original");
    config.optimizer.learning_rate = 0.1;
    config.schedule.warmup_steps = Some(2);
    let schedule = Schedule::new(&config.schedule, 0.1, Length::Steps(6));
    let device = Device::flex().autodiff();
    let mut toy = Toy {
        weight: Param::from_tensor(Tensor::from_floats([1.0, -0.5], &device)),
        bias: Param::from_tensor(Tensor::from_floats([0.25], &device)),
    };
    let mut optimizer = AdamW::new(&config.optimizer);
    for (update, (gradient, expected)) in GRADIENTS.iter().zip(EXPECTED).enumerate() {
        let [a, b, c] = *gradient;
        let weight = Tensor::<1>::from_floats([a, b], &device);
        let bias = Tensor::<1>::from_floats([c], &device);
        let loss = (toy.weight.val() * weight).sum() + (toy.bias.val() * bias).sum();
        let mut sum = GradientSum::default();
        sum.add(&toy, loss.backward());
        let rate = schedule.rate(update as u64, 0.0);
        let rules = |path: &str| -> ParamGroup {
            param_group(path, &LayerDepths::unshared(1), 1.0, false, 0)
        };
        (toy, _) = optimizer.step(toy, sum, rate, rules);
        let found = [to_vec(toy.weight.val()), to_vec(toy.bias.val())].concat();
        for (found, expected) in found.iter().zip(expected) {
            // In f32, where 1 − 0.999 is 1.3e-5 of itself off; with bias correction the first would differ by more than 0.1.
            assert!(
                (found - expected).abs() < 1e-5,
                "{update}: {found} {expected}"
            );
        }
    }
}

/// What the settings of a recipe mask.
fn masking(config: &PretrainConfig) -> Masking {
    let m = &config.masking;
    Masking {
        rate: m.rate.unwrap(),
        mask_share: m.mask_share.unwrap(),
        random_share: m.random_share.unwrap(),
        random_special: m.random_special.unwrap(),
        with_replacement: m.with_replacement.unwrap(),
        max_predictions: m.max_predictions,
        unit: m.unit.unwrap(),
    }
}

#[test]
fn electra_masks_fewer_positions_than_its_rate_because_some_are_drawn_again() {
    const MASK: u32 = 4;
    for (name, length, draws, generator) in [
        ("electra-small", 128, 19, 64),
        ("electra-base", 512, 77, 256),
    ] {
        let config = recipe(name);
        let o = &config.objective;
        let weights = (
            o.weight(Objective::MaskedLm),
            o.weight(Objective::ReplacedTokens),
        );
        assert_eq!(weights, (1.0, 50.0));
        assert_eq!(config.sequences.packing, Some(Packing::Electra));
        assert_eq!(config.sequences.max_length, length);
        let settings = &config.generator;
        let sizes = encoder(name, 30522).generator(settings.size, settings.layers);
        assert_eq!(
            (sizes.hidden_size, sizes.num_hidden_layers),
            (generator, 12)
        );
        assert_eq!(sizes.num_attention_heads, generator / 64);

        let special: Vec<bool> = (0..length).map(|i| i == 0 || i == length - 1).collect();
        let sequence = Sequence {
            ids: (0..length as u32).map(|id| id + 100).collect(),
            type_ids: vec![0; length],
            word_starts: vec![true; length],
            special,
            label: None,
        };
        let vocabulary = MaskVocabulary::new(1000, MASK, 0..5);
        let masking = masking(&config);
        let rounds = 2000;
        let (mut chosen, mut masks) = (0.0, 0.0);
        for index in 0..rounds {
            let masked = masking.mask(&sequence, &vocabulary, 7, 0, index);
            chosen += masked.positions.len() as f64 / rounds as f64;
            for (&position, &target) in masked.positions.iter().zip(&masked.targets) {
                let id = masked.input_ids[position as usize];
                assert!(id == MASK || id == target, "a random word");
                masks += f64::from(u8::from(id == MASK)) / rounds as f64;
            }
        }
        // Of N positions, n draws miss one with (1 − 1/N)^n, or its mask with (1 − 0.85/N)^n.
        let n = length as f64 - 2.0;
        let met = |share: f64| n * (1.0 - (1.0 - share / n).powi(draws));
        assert!(met(1.0) < f64::from(draws) - 1.0, "some are drawn again");
        assert!((chosen - met(1.0)).abs() < 0.01 * met(1.0), "{chosen}");
        assert!((masks - met(0.85)).abs() < 0.01 * met(0.85), "{masks}");
    }
}

#[test]
fn masks_and_sequences_are_those_of_the_published_systems() {
    let all: Vec<(&str, PretrainConfig)> =
        recipes::names().map(|name| (name, recipe(name))).collect();
    for (name, config) in &all {
        let masking = masking(config);
        let electra = name.starts_with("electra");
        let roberta = matches!(*name, "roberta" | "gottbert");
        assert_eq!(masking.with_replacement, electra, "{name}");
        assert_eq!(masking.random_special, !roberta, "{name}");
        let shares = (masking.mask_share, masking.random_share);
        assert_eq!(shares, if electra { (0.85, 0.0) } else { (0.8, 0.1) });
        let rate = if *name == "cramming" { 0.25 } else { 0.15 };
        assert_eq!(masking.rate, rate, "{name}");
        let words = masking.unit == MaskUnit::WholeWord;
        assert_eq!(words, name.starts_with("bioformer"), "{name}");
        let weight = |objective| config.objective.weight(objective);
        assert_eq!(weight(Objective::ReplacedTokens) > 0.0, electra, "{name}");
        // Clipping is off where the system had none.
        let unclipped = roberta || *name == "tunbert";
        assert_eq!(config.optimizer.max_grad_norm == 0.0, unclipped, "{name}");
        // What was trained with Google's code has its pairs, its data made once, and its Adam.
        let next_sentence = weight(Objective::NextSentence) > 0.0;
        let google = electra || next_sentence;
        assert_eq!(config.optimizer.bias_correction, !google, "{name}");
        let static_passes = next_sentence.then_some(10);
        assert_eq!(config.sequences.static_passes, static_passes, "{name}");
    }
}

#[test]
fn updates_have_as_many_sequences_as_published() {
    for (name, expected) in [
        ("bert-original", 256),
        ("well-read-tiny", 256),
        ("electra-small", 128),
        ("electra-base", 256),
        ("roberta", 2048),
        ("gottbert", 8192),
        ("bioformer-8l", 256),
        ("biobert-continue", 192),
        ("tunbert", 128),
        ("cramming", 8192),
    ] {
        let t = recipe(name).kind.training;
        assert_eq!(t.batch_size * t.gradient_accumulation, expected, "{name}");
        // At the end of a ramp, or throughout.
        let last = t.stages.last().map_or(expected, |stage| {
            stage.batch_size.unwrap_or(t.batch_size) * stage.gradient_accumulation.unwrap()
        });
        assert_eq!(last, expected, "{name}");
    }
    // A straight line to 8192 at 60 % of the time has half of it as its mean over that time.
    let stages = recipe("cramming").kind.training.stages;
    let ramp = &stages[..stages.len() - 1];
    let share: f64 = ramp.iter().map(|stage| stage.share.unwrap()).sum();
    let mean = ramp
        .iter()
        .map(|stage| stage.gradient_accumulation.unwrap() as f64 * 128.0)
        .sum::<f64>()
        / ramp.len() as f64;
    assert!(
        (share - 0.6).abs() < 1e-9 && (mean - 4096.0).abs() < 64.0,
        "{mean}"
    );
}

#[test]
fn encoders_have_the_published_number_of_parameters() {
    // As published, in millions: encoders, with the pooler, or ELECTRA's head.
    for (name, vocabulary, published, rounding) in [
        ("bert-original", 30522, 110.0, 1.0),
        ("well-read-tiny", 30522, 4.4, 0.05),
        ("well-read-mini", 30522, 11.2, 0.05),
        ("well-read-small", 30522, 28.8, 0.05),
        ("well-read-medium", 30522, 41.4, 0.05),
        ("electra-small", 30522, 14.0, 0.5),
        ("electra-base", 30522, 110.0, 1.5),
        ("roberta", 50265, 125.0, 0.5),
        ("bioformer-16l", 32768, 42.0, 1.0),
    ] {
        let config = encoder(name, vocabulary);
        let h = config.hidden_size;
        let parameters = if config.family.has_head(Architecture::Discriminator) {
            config.num_parameters(false) + h * h + h + h + 1
        } else {
            config.num_parameters(true)
        };
        let millions = parameters as f64 / 1e6;
        let published: f64 = published;
        assert!(
            (millions - published).abs() <= rounding,
            "{name}: {millions}"
        );
    }
    // To the last one, with both heads.
    let config = encoder("bioformer-8l", 32768);
    let model = PretrainingModel::fresh(&config, 0, &Device::flex(), 1);
    assert_eq!(model.num_params(), 42_820_610);
}

/// Sentences of a few words, in documents of several.
fn corpus() -> String {
    let nouns = ["cat", "horse", "river", "house", "field"];
    let verbs = ["sees", "likes", "leaves", "finds"];
    let documents: Vec<String> = (0..40)
        .map(|d| {
            let sentences: Vec<String> = (0..6)
                .map(|s| {
                    let noun = |k: usize| nouns[(d * 7 + s * 3 + k) % 5];
                    format!("the {} {} a {} .", noun(0), verbs[(d + s) % 4], noun(d))
                })
                .collect();
            sentences.join("\n")
        })
        .collect();
    documents.join("\n\n")
}

/// Runs a recipe with everything small; `model` is what it continues from.
fn run(folder: &Path, name: &str, model: Option<&Path>) -> PretrainOutcome {
    let mut sets = vec![
        format!("corpus.paths=[\"{}\"]", folder.join("corpus.txt").display()),
        format!("output={}", folder.join(name).display()),
        "device=cpu".into(),
        "corpus.held_out=0.1".into(),
        "sequences.max_length=16".into(),
        "training.batch_size=4".into(),
        "training.gradient_accumulation=2".into(),
        "schedule.power=1".into(),
    ];
    let config = recipe(name);
    let t = &config.training;
    // Three updates, as a warm-up begins at a rate of 0; where there are stages, over the end of one.
    if t.epochs.is_some() {
        sets.push("training.epochs=0.1".into());
    } else if t.budget.is_some() {
        sets.push("training.budget=0.5".into());
        sets.push("training.stages=[{share=0.5, gradient_accumulation=1}, {share=0.5}]".into());
    } else if t.stages.is_empty() {
        sets.push("training.steps=3".into());
    } else {
        sets.push("training.steps=3".into());
        let stages = "[{share=0.7, max_length=12, gradient_accumulation=1}, {share=0.3}]";
        sets.push(format!("training.stages={stages}"));
    }
    match (&config.model.fresh, model) {
        (Some(fresh), _) => {
            let tokenizer = if fresh.family.descriptor().tokenizer == TokenizerStyle::Roberta {
                "byte-bpe"
            } else {
                "wordpiece"
            };
            sets.push(format!(
                "tokenizer.path={}",
                folder.join(tokenizer).display()
            ));
            for (key, value) in [
                ("num_hidden_layers", 1),
                ("hidden_size", 24),
                ("num_attention_heads", 2),
                ("intermediate_size", 32),
                ("max_position_embeddings", 32),
            ] {
                sets.push(format!("model.fresh.{key}={value}"));
            }
            if fresh.embedding_size.is_some() {
                sets.push("model.fresh.embedding_size=16".into());
            }
        }
        (None, Some(model)) => sets.push(format!("model.path={}", model.display())),
        (None, None) => panic!("{name} has no model"),
    }
    let sets: Vec<Override> = sets
        .iter()
        .map(|set| Override::parse(set).unwrap())
        .collect();
    let config = PretrainConfig::resolve_recipe(name, &sets).unwrap();
    let never = AtomicBool::new(false);
    let prepared = prepare(config, DirectoryPolicy::New, &mut Silent, &never)
        .unwrap_or_else(|error| panic!("{name}: {error}"));
    let outcome = prepared.train(&mut Silent, &never);
    outcome.unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[test]
fn every_recipe_trains() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let text = corpus();
    std::fs::write(folder.join("corpus.txt"), &text).unwrap();
    for (name, kind, family) in [
        ("wordpiece", TokenizerType::Wordpiece, TokenizerFamily::Bert),
        ("byte-bpe", TokenizerType::ByteBpe, TokenizerFamily::Roberta),
    ] {
        let options = TrainOptions {
            kind,
            family,
            ..TrainOptions::default()
        };
        let tokenizer = train_tokenizer(text.lines(), &options).unwrap();
        std::fs::create_dir(folder.join(name)).unwrap();
        tokenizer.save(&folder.join(name)).unwrap();
    }
    let mut seen = 0;
    // The first is what the others continue from.
    let bert = run(folder, "bert-original", None).model;
    for name in recipes::names() {
        let outcome = if name == "bert-original" {
            None
        } else {
            Some(run(folder, name, Some(&bert)))
        };
        if let Some(outcome) = outcome {
            assert!(outcome.steps >= 2, "{name}: {} updates", outcome.steps);
            assert!(outcome.model.join("model.safetensors").is_file(), "{name}");
            assert_eq!(outcome.generator.is_some(), name.starts_with("electra"));
        }
        let metrics = std::fs::read_to_string(folder.join(name).join("metrics.jsonl")).unwrap();
        let losses: Vec<MetricLine> = metrics
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .filter(|line: &MetricLine| line.name == "loss")
            .collect();
        assert!(!losses.is_empty(), "{name}");
        for line in losses {
            let loss = line.value.unwrap();
            assert!(loss.is_finite() && loss > 0.0, "{name}: {loss}");
        }
        seen += 1;
    }
    assert_eq!(seen, 15);
}
