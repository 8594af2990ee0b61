//! Flags for the settings of runs, built from the declarations of the settings.
//!
//! This module knows no particular setting: a flag's name, parser, help and keys are declared with the setting in
//! `bertkit_training::config`.

use std::marker::PhantomData;
use std::sync::OnceLock;

use bertkit_training::config::flag::{Flag, Parse};
use bertkit_training::config::{Finetune, Override, RunConfig, RunKind, Setting};
use clap::builder::{
    NonEmptyStringValueParser, PossibleValuesParser, StringValueParser, TypedValueParser,
    ValueParser,
};
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};
use toml::{Table, Value};

use crate::placeholders::with_flags;

/// The flags for the settings of a kind of run, except the run directory's.
#[derive(Debug, Clone)]
pub struct SettingFlags<K> {
    given: Vec<Given>,
    kind: PhantomData<K>,
}

/// A given flag.
#[derive(Debug, Clone)]
struct Given {
    key: String,
    flag: Flag,
    value: Value,
}

impl<K: RunKind> SettingFlags<K> {
    /// The overrides for the given flags, in the order of the help.
    ///
    /// `base` is the configuration they are applied to: the key that a flag sets may depend on it.
    pub fn overrides(&self, base: &RunConfig<K>) -> Vec<Override> {
        let below = Table::try_from(base).unwrap_or_default();
        let mut list: Vec<Override> = Vec::new();
        for given in &self.given {
            let lookup = |key: &str| {
                let set = list.iter().rev().find(|set| set.key == key);
                set.map(|set| set.value.clone())
                    .or_else(|| at(&below, key).cloned())
            };
            let key = match given.flag.key {
                Some(key) => key(&given.value, &lookup),
                None => &given.key,
            };
            let origin = format!("--{}", given.flag.name);
            let mut set = Override::flag(key, given.value.clone(), &origin);
            set.replaces = given.flag.replaces.iter().map(|&key| key.into()).collect();
            list.push(set);
        }
        list
    }

    /// A flag that implies a value of another flag, and that other flag if it is given with a different value.
    pub fn contradiction(&self) -> Option<(String, String)> {
        for given in &self.given {
            let Some((name, implied)) = given.flag.implies else {
                continue;
            };
            let other = self.given.iter().find(|other| other.flag.name == name);
            if let Some(value) = other.and_then(|other| word(&other.value))
                && value != implied
            {
                return Some((
                    format!("--{}", given.flag.name),
                    format!("--{name} {value}"),
                ));
            }
        }
        None
    }
}

/// Looks up a key in nested tables.
fn at<'a>(table: &'a Table, key: &str) -> Option<&'a Value> {
    match key.split_once('.') {
        None => table.get(key),
        Some((first, rest)) => at(table.get(first)?.as_table()?, rest),
    }
}

/// The word given as a flag's value; the parser may have converted it to a table with that single key.
fn word(value: &Value) -> Option<&str> {
    match value {
        Value::String(word) => Some(word),
        Value::Table(table) if table.len() == 1 => table.keys().next().map(String::as_str),
        _ => None,
    }
}

/// The flags of a kind of run with their settings, in the order of the help.
fn flags<K: RunKind>() -> Vec<(Setting, Flag)> {
    let mut flags: Vec<(usize, Setting, Flag)> = Vec::new();
    for setting in RunConfig::<K>::settings() {
        let Some(flag) = setting.flags.first().cloned() else {
            continue;
        };
        let heading = K::HEADINGS.iter().position(|&name| name == flag.heading);
        if let Some(heading) = heading {
            flags.push((heading, setting, flag));
        }
    }
    flags.sort_by_key(|(heading, _, flag)| (*heading, flag.rank));
    flags
        .into_iter()
        .map(|(_, setting, flag)| (setting, flag))
        .collect()
}

/// The argument of a flag, without a help heading.
fn argument(setting: &Setting, flag: &Flag) -> Arg {
    let parse = flag.parse_for(&setting.form);
    let arg = Arg::new(flag.name)
        .long(flag.name)
        .help(help(setting, flag, parse))
        .conflicts_with_all(flag.conflicts.iter().copied());
    let arg = match parse {
        Parse::Switch(_) => return arg.action(ArgAction::SetTrue),
        _ => arg.value_parser(parser(parse)),
    };
    let arg = match flag.value_name {
        Some(name) => arg.value_name(name),
        None => arg,
    };
    let arg = arg
        .allow_negative_numbers(flag.negative)
        .hide_possible_values(flag.values_hidden);
    match (flag.several, flag.delimiter) {
        (true, _) => arg.action(ArgAction::Append).num_args(1..),
        (false, Some(delimiter)) => arg.action(ArgAction::Append).value_delimiter(delimiter),
        (false, None) => arg.action(ArgAction::Set),
    }
}

/// The help with the default.
fn help(setting: &Setting, flag: &Flag, parse: Parse) -> String {
    let default = match (flag.default, parse) {
        (Some(text), _) => Some(text.into()),
        (None, Parse::Switch(_)) => None,
        (None, _) => setting.default_text(),
    };
    match default {
        Some(default) => with_flags(&format!("{} [default: {default}]", flag.help)),
        None => with_flags(flag.help),
    }
}

/// The clap parser for the value of a flag.
fn parser(parse: Parse) -> ValueParser {
    match parse {
        Parse::Count => clap::value_parser!(u32)
            .map(|n| Value::Integer(n.into()))
            .into(),
        Parse::Seed => clap::value_parser!(u64)
            .range(0..=i64::MAX as u64)
            .map(|n: u64| Value::Integer(n.cast_signed()))
            .into(),
        Parse::Text => StringValueParser::new().map(Value::String).into(),
        // A path is written to `config.toml`, which is UTF-8.
        Parse::Path => NonEmptyStringValueParser::new().map(Value::String).into(),
        Parse::Words(words) => PossibleValuesParser::new(words.iter().copied())
            .map(Value::String)
            .into(),
        Parse::Tables(words) => PossibleValuesParser::new(words.iter().copied())
            .map(|word| Value::Table(Table::from_iter([(word, Value::Table(Table::new()))])))
            .into(),
        Parse::With(parse) => parse.into(),
        Parse::Switch(_) => ValueParser::bool(),
    }
}

/// The value of a flag, if it is given.
fn value(matches: &ArgMatches, setting: &Setting, flag: &Flag) -> Option<Value> {
    if matches.value_source(flag.name) != Some(ValueSource::CommandLine) {
        return None;
    }
    if let Parse::Switch(switch) = flag.parse_for(&setting.form) {
        return Some(switch.into());
    }
    if flag.several || flag.delimiter.is_some() {
        let values = matches.get_many::<Value>(flag.name)?;
        return Some(Value::Array(values.cloned().collect()));
    }
    matches.get_one::<Value>(flag.name).cloned()
}

impl<K: RunKind> FromArgMatches for SettingFlags<K> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let given = |(setting, flag): (Setting, Flag)| {
            let value = value(matches, &setting, &flag)?;
            let key = setting.key;
            Some(Given { key, flag, value })
        };
        Ok(Self {
            given: flags::<K>().into_iter().filter_map(given).collect(),
            kind: PhantomData,
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl<K: RunKind> Args for SettingFlags<K> {
    fn augment_args(command: Command) -> Command {
        let argument =
            |(setting, flag): (Setting, Flag)| argument(&setting, &flag).help_heading(flag.heading);
        command.args(flags::<K>().into_iter().map(argument))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

/// The flag of the run directory, which all runs have, among the other options about output.
#[derive(Debug, Clone, Default)]
pub struct DirectoryFlag {
    /// The directory, if one is given.
    pub path: Option<String>,
}

impl DirectoryFlag {
    const KEY: &'static str = "output";

    /// The override that the flag stands for.
    pub fn set(&self) -> Option<Override> {
        let path = self.path.clone()?;
        Some(Override::flag(Self::KEY, path, "--output"))
    }
}

impl FromArgMatches for DirectoryFlag {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let path = value_of(matches, Self::KEY).and_then(|value| value.as_str().map(str::to_owned));
        Ok(Self { path })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for DirectoryFlag {
    fn augment_args(command: Command) -> Command {
        command.args(argument_of(Self::KEY))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

/// The setting of a fine-tuning run with this key, and its flag.
fn of_key(key: &str) -> Option<(&'static Setting, &'static Flag)> {
    static SETTINGS: OnceLock<Vec<Setting>> = OnceLock::new();
    let settings = SETTINGS.get_or_init(RunConfig::<Finetune>::settings);
    let setting = settings.iter().find(|setting| setting.key == key)?;
    Some((setting, setting.flags.first()?))
}

/// The argument of a setting for a command that is not a run, under the command's own heading.
pub fn argument_of(key: &str) -> Option<Arg> {
    of_key(key).map(|(setting, flag)| argument(setting, flag))
}

/// The value of a setting's flag, if it is given.
pub fn value_of(matches: &ArgMatches, key: &str) -> Option<Value> {
    of_key(key).and_then(|(setting, flag)| value(matches, setting, flag))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::path::PathBuf;

    use bertkit_evaluation::ThresholdObjective;
    use bertkit_training::config::{
        self, ClassWeights, FinetuneConfig, LossConfig, NamedWeights, Pretrain, PretrainConfig,
        Threshold,
    };
    use bertkit_training::pretrain::Objective;
    use clap::{CommandFactory, Parser};

    use super::*;

    #[derive(Debug, Parser)]
    struct Line<K: RunKind + Send + Sync + 'static> {
        #[command(flatten)]
        settings: SettingFlags<K>,
    }

    /// Each flag with its key and a value that is not the default.
    const OF_FINETUNE: &[(&str, &str, &str)] = &[
        ("train", "data.train", "a.csv"),
        ("valid", "data.valid", "b.csv"),
        ("valid-fraction", "data.valid_fraction", "0.2"),
        ("text", "data.text", "2"),
        ("text-pair", "data.text_pair", "question"),
        ("label", "data.label", "class"),
        ("group", "data.group", "speaker"),
        ("label-separator", "data.label_separator", ";"),
        ("format", "data.format", "tsv"),
        ("delimiter", "data.delimiter", "pipe"),
        ("quote", "data.quote", "none"),
        ("escape", "data.escape", "\\"),
        ("missing", "data.missing", "refuse"),
        ("max-length", "data.max_length", "64"),
        ("word-column", "data.word_column", "2"),
        ("tag-column", "data.tag_column", "3"),
        ("level", "data.level", "inner"),
        ("type-name", "data.type_name", "Disease"),
        ("sentence-column", "data.sentence_column", "sent_id"),
        ("model", "model.path", "models/a"),
        ("tokenizer", "tokenizer.path", "models/b"),
        ("freeze-layers", "training.freeze_layers", "2"),
        ("task", "task.kind", "multi-label"),
        ("head", "task.ner.head", "crf"),
        ("overlap", "task.ner.overlap", "16"),
        ("question", "task.qa.question", "q"),
        ("context", "task.qa.context", "passage"),
        ("answer", "task.qa.answer", "gold"),
        ("start", "task.qa.start", "at"),
        ("id", "task.qa.id", "name"),
        ("stride", "task.qa.stride", "64"),
        ("max-question-length", "task.qa.max_question_length", "32"),
        ("max-answer-length", "task.qa.max_answer_length", "15"),
        ("n-best", "task.qa.n_best", "10"),
        ("null-threshold", "task.qa.null_threshold", "-1.5"),
        ("group-by", "data.group_by", "patient"),
        ("entities", "data.entities", "markers"),
        ("pool", "task.documents.pool", "mean"),
        ("sections", "task.documents.sections", "lines"),
        ("section-overlap", "task.documents.overlap", "8"),
        ("piece-tokens", "task.documents.piece_tokens", "256"),
        ("positive", "task.positive", "spam"),
        ("threshold", "task.threshold", "0.25"),
        ("calibrate", "task.calibrate", "temperature"),
        ("class-weights", "task.class_weights", "balanced"),
        ("focal-gamma", "task.loss.focal.gamma", "1.5"),
        (
            "label-smoothing",
            "task.loss.cross-entropy.label_smoothing",
            "0.05",
        ),
        ("epochs", "training.epochs", "7"),
        ("max-steps", "training.max_steps", "9"),
        ("batch-size", "training.batch_size", "8"),
        ("batch-tokens", "training.batch_tokens", "2048"),
        ("micro-batch", "training.micro_batch", "4"),
        (
            "gradient-accumulation",
            "training.gradient_accumulation",
            "2",
        ),
        ("sampler", "training.sampler", "balanced"),
        ("evaluate-steps", "training.evaluate_steps", "20"),
        ("best-metric", "training.best_metric", "mcc"),
        ("early-stopping", "training.early_stopping", "3"),
        ("checkpoint-steps", "training.checkpoint_steps", "50"),
        ("seed", "seed", "7"),
        ("device", "device", "cpu"),
        ("precision", "precision", "bf16"),
        ("learning-rate", "optimizer.learning_rate", "0.001"),
        ("weight-decay", "optimizer.weight_decay", "0.02"),
        ("max-grad-norm", "optimizer.max_grad_norm", "0.5"),
        ("layer-decay", "optimizer.layer_decay", "0.9"),
        ("schedule", "schedule.kind", "cosine"),
        ("warmup", "schedule.warmup", "0.2"),
    ];

    /// Each flag with its key and a value that is not the default.
    const OF_PRETRAIN: &[(&str, &str, &str)] = &[
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

    fn settings<K: RunKind + Send + Sync + 'static>(arguments: &[&str]) -> SettingFlags<K> {
        Line::try_parse_from([&["bertkit"], arguments].concat())
            .unwrap()
            .settings
    }

    fn resolved<K: RunKind + Send + Sync + 'static>(arguments: &[&str]) -> RunConfig<K> {
        let overrides = settings::<K>(arguments).overrides(&RunConfig::default());
        RunConfig::resolve_unchecked(None, &overrides).unwrap()
    }

    fn finetune(arguments: &[&str]) -> FinetuneConfig {
        resolved(arguments)
    }

    fn pretrain(arguments: &[&str]) -> PretrainConfig {
        resolved(arguments)
    }

    fn text_of(value: &Value) -> String {
        value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned)
    }

    fn every_flag_sets_its_key<K: RunKind + Send + Sync + 'static>(flags: &[(&str, &str, &str)]) {
        for (flag, key, value) in flags {
            let config: RunConfig<K> = resolved(&[&format!("--{flag}"), value]);
            let table: Table = config.to_toml().parse().unwrap();
            assert_eq!(text_of(at(&table, key).unwrap()), *value, "{flag}");
        }
        // For flags that are not listed, one of these values is valid and changes the configuration.
        let values: [&[&str]; 9] = [
            &[],
            &["0.25"],
            &["7"],
            &["a,b"],
            &["f32"],
            &["cpu"],
            &["focal"],
            &["rtd"],
            &["10,20"],
        ];
        for argument in Line::<K>::command().get_arguments() {
            let name = argument.get_long().unwrap();
            let listed = flags.iter().any(|(flag, ..)| *flag == name);
            let flag = format!("--{name}");
            let changes = |values: &&[&str]| {
                let line = [&["bertkit", flag.as_str()], *values].concat();
                let line = Line::<K>::try_parse_from(line).ok();
                let sets = line.map(|line| line.settings.overrides(&RunConfig::default()));
                let config = sets.map(|sets| RunConfig::<K>::resolve_unchecked(None, &sets));
                config.is_some_and(|config| config.unwrap() != resolved(&[]))
            };
            assert!(
                listed || name == "help" || values.iter().any(changes),
                "{name}"
            );
        }
        assert!(
            settings::<K>(&[])
                .overrides(&RunConfig::default())
                .is_empty()
        );
    }

    #[test]
    fn every_flag_of_a_run_sets_its_key() {
        every_flag_sets_its_key::<Finetune>(OF_FINETUNE);
        every_flag_sets_its_key::<Pretrain>(OF_PRETRAIN);
    }

    #[test]
    fn switches_and_lists_set_their_keys() {
        let config = finetune(&["--no-header", "--average-over", "a,b", "--bucket-by-length"]);
        assert!(!config.data.header && config.training.bucket_by_length);
        assert_eq!(config.task.averaged, ["a", "b"]);
        let config = finetune(&["--recompute", "--freeze-embeddings"]);
        assert!(config.training.recompute && config.training.freeze_embeddings);

        let text = ["--no-split-sentences", "--drop-duplicates", "--whole-word"];
        let several = ["--corpus", "a", "b/*", "--corpus", "c"];
        let more = [
            "--probe-steps",
            "10,20",
            "--objective",
            "rtd",
            "--recompute",
        ];
        let config = pretrain(&[&text[..], &several, &more].concat());
        assert!(!config.corpus.split_sentences && config.corpus.drop_duplicates);
        assert!(config.training.recompute);
        assert!(config.to_toml().contains("unit = \"whole-word\""));
        let paths: Vec<PathBuf> = ["a", "b/*", "c"].map(PathBuf::from).into();
        assert_eq!(config.corpus.paths, paths);
        assert_eq!(config.probe.steps, [10, 20]);
        let weight = config.objective.weight(Objective::ReplacedTokens);
        assert_eq!(weight, 50.0);
    }

    #[test]
    fn the_default_of_a_flag_is_that_of_its_key() {
        assert_eq!(
            finetune(&["--focal-gamma", "2"]),
            finetune(&["--loss", "focal"])
        );
        assert_eq!(pretrain(&["--objective", "mlm"]), pretrain(&[]));
        let flags = flags::<Finetune>();
        let (setting, flag) = flags
            .iter()
            .find(|(_, flag)| flag.name == "max-length")
            .unwrap();
        let told = flag.default.unwrap();
        assert!(told.starts_with(&setting.default.as_ref().unwrap().to_string()));
        assert!(told.contains(&config::QuestionConfig::MAX_LENGTH.to_string()));
    }

    #[test]
    fn the_loss_is_chosen_by_name_and_shaped_by_its_own_flag() {
        assert_eq!(
            finetune(&["--loss", "focal"]).task.loss,
            LossConfig::Focal { gamma: 2.0 }
        );
        let shaped = finetune(&["--loss", "cross-entropy", "--label-smoothing", "0.1"]);
        assert_eq!(
            shaped.task.loss,
            LossConfig::CrossEntropy {
                label_smoothing: 0.1
            }
        );
        let wrong = settings::<Finetune>(&["--loss", "focal", "--label-smoothing", "0.1"]);
        assert_eq!(
            wrong.contradiction(),
            Some(("--label-smoothing".into(), "--loss focal".into()))
        );
        let wrong = settings::<Finetune>(&["--loss", "cross-entropy", "--focal-gamma", "1"]);
        assert_eq!(
            wrong.contradiction(),
            Some(("--focal-gamma".into(), "--loss cross-entropy".into()))
        );
        assert_eq!(
            settings::<Finetune>(&["--loss", "focal", "--focal-gamma", "1"]).contradiction(),
            None
        );
        let both = ["bertkit", "--focal-gamma", "1", "--label-smoothing", "0.1"];
        assert!(Line::<Finetune>::try_parse_from(both).is_err());
    }

    #[test]
    fn class_weights_are_named_or_given_for_each_class() {
        let given = finetune(&["--class-weights", "spam=2, a=b=0.5"])
            .kind
            .task
            .class_weights;
        let expected = [("a=b".to_owned(), 0.5), ("spam".to_owned(), 2.0)];
        assert_eq!(given, ClassWeights::Given(expected.into()));
        let named = finetune(&["--class-weights", "balanced"])
            .kind
            .task
            .class_weights;
        assert_eq!(named, ClassWeights::Named(NamedWeights::Balanced));
        let wrong = ["bertkit", "--class-weights", "spam=1,spam=2"];
        assert!(Line::<Finetune>::try_parse_from(wrong).is_err());
    }

    #[test]
    fn a_threshold_is_a_number_or_what_it_maximises() {
        let best = finetune(&["--threshold", "balanced_accuracy"])
            .task
            .threshold;
        assert_eq!(best, Threshold::Best(ThresholdObjective::BalancedAccuracy));
        assert_eq!(
            finetune(&["--threshold", "1"]).task.threshold,
            Threshold::At(1.0)
        );
        assert_eq!(
            finetune(&["--threshold", "cost:1,5"]).task.threshold,
            Threshold::Best(ThresholdObjective::Cost {
                false_positive: 1.0,
                false_negative: 5.0
            })
        );
    }

    #[test]
    fn a_warmup_from_one_is_a_number_of_updates() {
        assert_eq!(
            finetune(&["--warmup", "100"]).schedule.warmup_steps,
            Some(100)
        );
    }

    #[test]
    fn a_flag_takes_away_what_would_win_over_it() {
        let mut base = FinetuneConfig::default();
        base.schedule.warmup_steps = Some(50);
        base.training.batch_tokens = Some(4096);
        base.training.epochs = 9;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.toml");
        std::fs::write(&path, base.to_toml()).unwrap();
        let arguments = [
            "--max-steps",
            "3",
            "--batch-size",
            "4",
            "--warmup",
            "0.3",
            "--schedule",
            "cosine",
        ];
        let overrides = settings::<Finetune>(&arguments).overrides(&base);
        let config = FinetuneConfig::resolve_unchecked(Some(&path), &overrides).unwrap();
        assert_eq!(
            (config.training.batch_size, config.training.batch_tokens),
            (4, None)
        );
        assert_eq!(
            (config.training.epochs, config.training.max_steps),
            (9, Some(3))
        );
        assert_eq!(
            (config.schedule.warmup, config.schedule.warmup_steps),
            (0.3, None)
        );
        assert_eq!(config.schedule.kind, config::ScheduleKind::Cosine);

        let sizes = "[model.fresh]\nnum_hidden_layers = 2\nhidden_size = 8\n\
                     num_attention_heads = 2\nintermediate_size = 16\n";
        std::fs::write(&path, sizes).unwrap();
        let base = FinetuneConfig::resolve_unchecked(Some(&path), &[]).unwrap();
        let overrides = settings::<Finetune>(&["--model", "models/a"]).overrides(&base);
        let model = FinetuneConfig::resolve_unchecked(Some(&path), &overrides)
            .unwrap()
            .model;
        assert_eq!((model.path, model.fresh), (Some("models/a".into()), None));
    }

    const SIZES: &str = "[model.fresh]\nnum_hidden_layers = 2\nhidden_size = 8\n\
                         num_attention_heads = 2\nintermediate_size = 16\n";

    #[test]
    fn a_flag_of_pretraining_takes_away_what_would_win_over_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.toml");
        let text = "[training]\nepochs = 4\nbatch_size = 9\n[schedule]\nwarmup_steps = 5\n";
        std::fs::write(&path, text).unwrap();
        let with = |arguments: &[&str]| {
            let base = PretrainConfig::resolve_unchecked(Some(&path), &[]).unwrap();
            let overrides = settings::<Pretrain>(arguments).overrides(&base);
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
            assert!(Line::<Pretrain>::try_parse_from([&["bertkit"], &pair[..]].concat()).is_err());
        }
    }
}
