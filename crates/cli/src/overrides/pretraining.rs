//! The flags of `pretrain`.

use std::path::PathBuf;

use bertkit_data::tokenizer::TokenizerSpec;
use bertkit_model::DeviceList;
use bertkit_training::config::pretrain::{Budget, Objective};
use bertkit_training::pretrain::PretrainConfig;
use bertkit_training::{MicroBatch, Override};
use clap::Args;
use toml::{Table, Value};

use super::{Overrides, Warmup, warmup};
use crate::reading::{finite, share};

/// Every flag of `pretrain` that stands for a key of the configuration.
#[derive(Debug, Clone, Default, Args)]
pub struct PretrainSettings {
    #[command(flatten)]
    text: TextFlags,
    #[command(flatten)]
    model: ModelFlags,
    #[command(flatten)]
    objective: ObjectiveFlags,
    #[command(flatten)]
    training: TrainingFlags,
    #[command(flatten)]
    optimizer: OptimizerFlags,
    #[command(flatten)]
    probe: ProbeFlags,
}

#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Text")]
struct TextFlags {
    /// Text files, folders of them, or patterns such as `books/**/*.txt`; also packed (.gz, .zst)
    #[arg(long, value_name = "PATHS", num_args = 1..)]
    corpus: Vec<PathBuf>,
    /// How documents lie in the files [default: auto]
    #[arg(long, value_parser = ["auto", "sentences", "lines", "jsonl", "csv"])]
    format: Option<String>,
    /// Field of JSON Lines, or column of CSV, with the text [default: text]
    #[arg(long, value_name = "FIELD")]
    field: Option<String>,
    /// End sentences at line breaks alone; else also where `.`, `!` or `?` seems to end one, unless a
    /// line is a sentence
    #[arg(long)]
    no_split_sentences: bool,
    /// Leave out documents whose text came before
    #[arg(long)]
    drop_duplicates: bool,
    /// Share of the text, in whole documents, that is validated on; 0 holds out none [default: 0.05]
    #[arg(long, value_name = "SHARE", value_parser = share)]
    held_out: Option<f64>,
    /// Folder to keep the tokenised text in, or to take it from [default: shards in the run directory]
    #[arg(long, value_name = "DIR")]
    shards: Option<PathBuf>,
}

#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Model")]
struct ModelFlags {
    /// Model folder, or directory of a run, to continue from; without one, --config gives the sizes of
    /// a fresh model
    #[arg(long, value_name = "DIR")]
    model: Option<PathBuf>,
    /// A folder with a tokenizer, or a rule: char, kmer:K, kmer:K:stride=S, regex:FILE
    /// [default: the model's; trained on the text for a fresh one]
    #[arg(long, value_name = "DIR")]
    tokenizer: Option<TokenizerSpec>,
    /// Tokens at most, where a tokenizer is trained on the text [default: 8000]
    #[arg(long, value_name = "N", conflicts_with_all = ["tokenizer", "model"])]
    vocab_size: Option<u32>,
}

#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Objective")]
struct ObjectiveFlags {
    /// What is learnt: masked words (mlm), beside them which segments follow each other (mlm+nsp) or
    /// are in order (mlm+sop), or which tokens were replaced (rtd, ELECTRA) [default: mlm]
    #[arg(long, value_name = "mlm|mlm+nsp|mlm+sop|rtd", value_parser = objective)]
    objective: Option<String>,
    /// What a sequence is made of [default: what the objective asks for]
    #[arg(long, value_parser = ["across", "within", "blocks", "next-sentence", "sentence-order", "electra"])]
    packing: Option<String>,
    /// Longest sequence in tokens, special tokens included [default: 128]
    #[arg(long, value_name = "TOKENS")]
    max_length: Option<u32>,
    /// Share of the tokens to predict [default: 0.15]
    #[arg(long, value_name = "SHARE", value_parser = share)]
    mask_rate: Option<f64>,
    /// Mask all tokens of a word or none
    #[arg(long)]
    whole_word: bool,
}

#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Training")]
struct TrainingFlags {
    /// Stop after this many optimizer updates
    #[arg(long, value_name = "N", conflicts_with_all = ["budget", "epochs"])]
    steps: Option<u32>,
    /// Stop after this time, such as 30m or 1h30m; the schedule ends with it
    #[arg(long, value_name = "TIME", conflicts_with = "epochs")]
    budget: Option<Budget>,
    /// Stop after so many passes over the text [default: 1, without --steps and --budget]
    #[arg(long, value_name = "N", value_parser = finite)]
    epochs: Option<f64>,
    /// Sequences in a batch [default: 32]
    #[arg(long, value_name = "SEQUENCES")]
    batch_size: Option<u32>,
    /// Batches in an update [default: 1]
    #[arg(long, value_name = "N")]
    gradient_accumulation: Option<u32>,
    /// Sequences that go through the model at once, a batch in parts: less memory, the same gradients.
    /// auto tries how many fit [default: the whole batch]
    #[arg(long, value_name = "SEQUENCES")]
    micro_batch: Option<MicroBatch>,
    /// Let layers keep their input alone for the backward pass, and compute the rest again: less
    /// memory, about a third more time, the same weights
    #[arg(long)]
    recompute: bool,
    /// Validate every N updates too [default: at the end]
    #[arg(long, value_name = "N")]
    evaluate_steps: Option<u32>,
    /// Write a checkpoint every N updates [default: 1000]
    #[arg(long, value_name = "N")]
    checkpoint_steps: Option<u32>,
    /// How many checkpoints are kept [default: 1]
    #[arg(long, value_name = "N")]
    keep_checkpoints: Option<u32>,
    /// Decides fresh weights, sequences and their order, masks, dropout and what is held out
    /// [default: 42]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(0..=i64::MAX as u64))]
    seed: Option<u64>,
    /// auto, cpu, wgpu, wgpu:N, cuda or cuda:N; several GPUs of one kind share each batch:
    /// cuda:0,cuda:1 [default: auto]
    #[arg(long, value_name = "DEVICES")]
    device: Option<DeviceList>,
    /// What the factors of matrix products are rounded to; weights, sums, LayerNorm, softmax and loss
    /// are f32. f16 scales the loss; tf32 is for NVIDIA GPUs; a CPU only imitates [default: f32]
    #[arg(long, value_parser = ["f32", "tf32", "bf16", "f16"])]
    precision: Option<String>,
}

#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Optimizer")]
struct OptimizerFlags {
    /// Highest learning rate of the schedule [default: 5e-4]
    #[arg(long, value_name = "RATE", value_parser = finite)]
    learning_rate: Option<f64>,
    /// Decoupled weight decay; not for biases and LayerNorm [default: 0.01]
    #[arg(long, value_name = "RATE", value_parser = finite)]
    weight_decay: Option<f64>,
    /// Scale longer gradients down to this length; 0 never scales [default: 1]
    #[arg(long, value_name = "LENGTH", value_parser = finite)]
    max_grad_norm: Option<f64>,
    /// What the learning rate does after the warm-up; bert and electra are those of their published
    /// code [default: linear]
    #[arg(long, value_parser = ["linear", "cosine", "constant", "polynomial", "bert", "electra"])]
    schedule: Option<String>,
    /// Warm-up: a share of all updates, or, from 1, a number of updates [default: 0.1]
    #[arg(long, value_name = "SHARE|STEPS", value_parser = warmup)]
    warmup: Option<Warmup>,
}

#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Probe")]
struct ProbeFlags {
    /// Labelled rows (CSV, TSV or JSON Lines): a copy of the model is fine-tuned on them, and its
    /// score told
    #[arg(long, value_name = "FILE")]
    probe: Option<PathBuf>,
    /// Column with the text [default: text]
    #[arg(long, value_name = "COLUMN")]
    probe_text: Option<String>,
    /// Column with the label [default: label]
    #[arg(long, value_name = "COLUMN")]
    probe_label: Option<String>,
    /// Probe after these updates, such as 1000,2000 [default: at the end]
    #[arg(long, value_name = "N,…", value_delimiter = ',')]
    probe_steps: Vec<u32>,
    /// Probe every N updates
    #[arg(long, value_name = "N")]
    probe_every: Option<u32>,
}

fn objective(text: &str) -> Result<String, String> {
    text.parse::<Objective>().map(|_| text.to_owned())
}

impl PretrainSettings {
    /// The overrides that the given flags stand for, in the order of the help.
    ///
    /// `base` is what they are laid over. Where it holds a setting that would win over a flag (such
    /// as the lengths of `training.stages` over `--max-length`), that setting is taken away first.
    pub fn overrides(&self, base: &PretrainConfig) -> Vec<Override> {
        let mut list = Overrides(Vec::new());
        self.make_way(&mut list, base);
        self.text.add(&mut list);
        self.model.add(&mut list, base);
        self.objective.add(&mut list);
        self.training.add(&mut list);
        self.optimizer.add(&mut list, base);
        self.probe.add(&mut list);
        list.0
    }

    /// Takes away what would win over a flag in `training`.
    fn make_way(&self, list: &mut Overrides, base: &PretrainConfig) {
        let (t, b) = (&self.training, &base.training);
        let ends = [
            ("steps", "--steps", t.steps.is_some()),
            ("budget", "--budget", t.budget.is_some()),
            ("epochs", "--epochs", t.epochs.is_some()),
        ];
        let end = ends.iter().find(|(.., given)| *given);
        let staged = [
            (
                "max_length",
                "--max-length",
                self.objective.max_length.is_some(),
            ),
            ("batch_size", "--batch-size", t.batch_size.is_some()),
            (
                "gradient_accumulation",
                "--gradient-accumulation",
                t.gradient_accumulation.is_some(),
            ),
        ];
        let staged = staged.iter().filter(|(.., given)| *given);
        let staged: Vec<_> = staged.filter(|_| !b.stages.is_empty()).collect();
        let Some((_, flag, _)) = end.or(staged.first().copied()) else {
            return;
        };
        list.section_changed("training", flag, Table::try_from(b), |training| {
            if end.is_some() {
                for (key, ..) in ends {
                    training.remove(key);
                }
            }
            let stages = training.get_mut("stages").and_then(Value::as_array_mut);
            let stages = stages.into_iter().flatten().filter_map(Value::as_table_mut);
            for stage in stages {
                for (key, ..) in &staged {
                    stage.remove(*key);
                }
            }
        });
    }
}

impl TextFlags {
    fn add(&self, list: &mut Overrides) {
        let paths = self.corpus.iter();
        let paths: Vec<Value> = paths
            .map(|path| path.to_string_lossy().into_owned().into())
            .collect();
        let paths = Some(paths).filter(|paths| !paths.is_empty());
        list.put("corpus.paths", "--corpus", paths);
        list.text("corpus.format", "--format", &self.format);
        list.text("corpus.field", "--field", &self.field);
        list.put(
            "corpus.split_sentences",
            "--no-split-sentences",
            self.no_split_sentences.then_some(false),
        );
        list.put(
            "corpus.drop_duplicates",
            "--drop-duplicates",
            self.drop_duplicates.then_some(true),
        );
        list.put("corpus.held_out", "--held-out", self.held_out);
        list.path("corpus.shards", "--shards", &self.shards);
    }
}

impl ModelFlags {
    fn add(&self, list: &mut Overrides, base: &PretrainConfig) {
        if self.model.is_some() && base.model.fresh.is_some() {
            list.section_changed("model", "--model", Table::try_from(&base.model), |model| {
                model.remove("fresh");
            });
        }
        list.path("model.path", "--model", &self.model);
        let tokenizer = self.tokenizer.as_ref().map(TokenizerSpec::to_string);
        list.put("tokenizer.path", "--tokenizer", tokenizer);
        list.put("tokenizer.vocab_size", "--vocab-size", self.vocab_size);
    }
}

impl ObjectiveFlags {
    fn add(&self, list: &mut Overrides) {
        list.text("objective", "--objective", &self.objective);
        list.text("sequences.packing", "--packing", &self.packing);
        list.put("sequences.max_length", "--max-length", self.max_length);
        list.put("masking.rate", "--mask-rate", self.mask_rate);
        let unit = self.whole_word.then_some("whole-word");
        list.put("masking.unit", "--whole-word", unit);
    }
}

impl TrainingFlags {
    fn add(&self, list: &mut Overrides) {
        list.put("training.steps", "--steps", self.steps);
        let budget = self.budget.map(String::from);
        list.put("training.budget", "--budget", budget);
        list.put("training.epochs", "--epochs", self.epochs);
        for (name, value) in [
            ("batch-size", self.batch_size),
            ("gradient-accumulation", self.gradient_accumulation),
            ("evaluate-steps", self.evaluate_steps),
            ("checkpoint-steps", self.checkpoint_steps),
            ("keep-checkpoints", self.keep_checkpoints),
        ] {
            let key = format!("training.{}", name.replace('-', "_"));
            list.put(&key, &format!("--{name}"), value);
        }
        list.micro_batch(self.micro_batch);
        list.seed(self.seed);
        list.device(self.device.clone());
        let recompute = self.recompute.then_some(true);
        list.put("training.recompute", "--recompute", recompute);
        list.text("precision", "--precision", &self.precision);
    }
}

impl OptimizerFlags {
    fn add(&self, list: &mut Overrides, base: &PretrainConfig) {
        list.rates(self.learning_rate, self.weight_decay, self.max_grad_norm);
        list.text("schedule.kind", "--schedule", &self.schedule);
        list.warmup(self.warmup, &base.schedule);
    }
}

impl ProbeFlags {
    fn add(&self, list: &mut Overrides) {
        list.path("probe.data", "--probe", &self.probe);
        list.text("probe.text", "--probe-text", &self.probe_text);
        list.text("probe.label", "--probe-label", &self.probe_label);
        let steps: Vec<Value> = self.probe_steps.iter().map(|&step| step.into()).collect();
        let steps = Some(steps).filter(|steps| !steps.is_empty());
        list.put("probe.steps", "--probe-steps", steps);
        list.put("probe.every", "--probe-every", self.probe_every);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::tests::{shown, told_default, value_at};
    use super::*;
    use clap::{CommandFactory, Parser};

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        settings: PretrainSettings,
    }

    /// Each flag with its key and a value that is not the default.
    const FLAGS: &[(&str, &str, &str)] = &[
        ("format", "corpus.format", "lines"),
        ("field", "corpus.field", "body"),
        ("held-out", "corpus.held_out", "0.1"),
        ("shards", "corpus.shards", "kept"),
        ("model", "model.path", "models/a"),
        ("tokenizer", "tokenizer.path", "kmer:6"),
        ("vocab-size", "tokenizer.vocab_size", "300"),
        ("packing", "sequences.packing", "within"),
        ("max-length", "sequences.max_length", "64"),
        ("mask-rate", "masking.rate", "0.3"),
        ("steps", "training.steps", "9"),
        ("budget", "training.budget", "90s"),
        ("epochs", "training.epochs", "2.5"),
        ("batch-size", "training.batch_size", "8"),
        ("micro-batch", "training.micro_batch", "4"),
        (
            "gradient-accumulation",
            "training.gradient_accumulation",
            "2",
        ),
        ("evaluate-steps", "training.evaluate_steps", "20"),
        ("checkpoint-steps", "training.checkpoint_steps", "50"),
        ("keep-checkpoints", "training.keep_checkpoints", "3"),
        ("seed", "seed", "7"),
        ("device", "device", "cpu"),
        ("precision", "precision", "bf16"),
        ("learning-rate", "optimizer.learning_rate", "0.001"),
        ("weight-decay", "optimizer.weight_decay", "0.02"),
        ("max-grad-norm", "optimizer.max_grad_norm", "0.5"),
        ("schedule", "schedule.kind", "bert"),
        ("warmup", "schedule.warmup", "0.2"),
        ("probe", "probe.data", "rows.csv"),
        ("probe-text", "probe.text", "body"),
        ("probe-label", "probe.label", "class"),
        ("probe-every", "probe.every", "100"),
    ];

    fn settings(arguments: &[&str]) -> PretrainSettings {
        Line::try_parse_from([&["bertkit"], arguments].concat())
            .unwrap()
            .settings
    }

    fn resolved(arguments: &[&str]) -> PretrainConfig {
        let overrides = settings(arguments).overrides(&PretrainConfig::default());
        PretrainConfig::resolve_unchecked(None, &overrides).unwrap()
    }

    #[test]
    fn every_flag_sets_its_key() {
        for (flag, key, value) in FLAGS {
            let config = resolved(&[&format!("--{flag}"), value]);
            assert_eq!(
                shown(&value_at(&config.to_toml(), key).unwrap()),
                *value,
                "{flag}"
            );
        }
        let text = ["--no-split-sentences", "--drop-duplicates", "--whole-word"];
        let several = ["--corpus", "a", "b/*", "--corpus", "c"];
        let more = ["--probe-steps", "10,20", "--objective", "rtd"];
        assert!(resolved(&["--recompute"]).training.recompute);
        let config = resolved(&[&text[..], &several, &more].concat());
        assert!(!config.corpus.split_sentences && config.corpus.drop_duplicates);
        assert_eq!(
            shown(&value_at(&config.to_toml(), "masking.unit").unwrap()),
            "whole-word"
        );
        let paths: Vec<PathBuf> = ["a", "b/*", "c"].map(PathBuf::from).into();
        assert_eq!(config.corpus.paths, paths);
        assert_eq!(config.probe.steps, [10, 20]);
        assert_eq!(config.objective.rtd, 50.0);
    }

    #[test]
    fn every_flag_is_tested() {
        let others = [
            "corpus",
            "no-split-sentences",
            "drop-duplicates",
            "objective",
            "whole-word",
            "probe-steps",
            "recompute",
            "help",
        ];
        for argument in Line::command().get_arguments() {
            let name = argument.get_long().unwrap();
            let known = FLAGS.iter().any(|(flag, ..)| *flag == name) || others.contains(&name);
            assert!(known, "{name}");
        }
    }

    #[test]
    fn the_defaults_in_the_help_are_the_defaults() {
        let command = Line::command();
        let defaults = PretrainConfig::resolve_unchecked(None, &[]).unwrap();
        for (flag, key, _) in FLAGS {
            if let Some(wrong) = told_default(&command, flag, value_at(&defaults.to_toml(), key)) {
                panic!("{wrong}");
            }
        }
        assert_eq!(resolved(&["--objective", "mlm"]), resolved(&[]));
    }

    #[test]
    fn no_flag_changes_nothing() {
        let mut base = PretrainConfig::default();
        assert!(settings(&[]).overrides(&base).is_empty());
        base.schedule.warmup_steps = Some(3);
        base.training.steps = Some(9);
        assert!(settings(&[]).overrides(&base).is_empty());
    }

    const SIZES: &str = "[model.fresh]\nnum_hidden_layers = 2\nhidden_size = 8\n\
                         num_attention_heads = 2\nintermediate_size = 16\n";

    #[test]
    fn a_flag_takes_away_what_would_win_over_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.toml");
        let text = "[training]\nepochs = 4\nbatch_size = 9\n[schedule]\nwarmup_steps = 5\n";
        std::fs::write(&path, text).unwrap();
        let with = |arguments: &[&str]| {
            let base = PretrainConfig::resolve_unchecked(Some(&path), &[]).unwrap();
            let overrides = settings(arguments).overrides(&base);
            PretrainConfig::resolve_unchecked(Some(&path), &overrides).unwrap()
        };
        let config = with(&["--budget", "1m", "--warmup", "0.3"]);
        let t = &config.training;
        assert_eq!((t.epochs, t.budget.map(|b| b.seconds)), (None, Some(60.0)));
        assert_eq!(t.batch_size, 9);
        let warmup = (config.schedule.warmup, config.schedule.warmup_steps);
        assert_eq!(warmup, (0.3, None));

        std::fs::write(&path, SIZES).unwrap();
        let model = with(&["--model", "models/a"]).model;
        assert_eq!((model.path, model.fresh), (Some("models/a".into()), None));

        let stages = "{share = 0.9, max_length = 32, batch_size = 4}, {share = 0.1}";
        let text = format!("[training]\nsteps = 10\nstages = [{stages}]\n");
        std::fs::write(&path, text).unwrap();
        let config = with(&["--max-length", "16", "--steps", "20"]);
        let first = &config.training.stages[0];
        assert_eq!((first.max_length, first.batch_size), (None, Some(4)));
        assert_eq!(config.training.steps, Some(20));
        let first = &with(&["--batch-size", "2"]).training.stages[0];
        assert_eq!((first.max_length, first.batch_size), (Some(32), None));
    }

    #[test]
    fn a_run_has_one_end() {
        for pair in [
            ["--steps", "3", "--epochs", "1"],
            ["--steps", "3", "--budget", "1m"],
            ["--budget", "1m", "--epochs", "1"],
        ] {
            assert!(Line::try_parse_from([&["bertkit"], &pair[..]].concat()).is_err());
        }
    }
}
