//! `bertkit bench`: measures the speed of encoders on this machine.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use bertkit_model::{EncoderConfig, Family, Precision, is_cpu};
use bertkit_training::TrainError;
use bertkit_training::bench::{BenchModel, BenchOptions, Measurement, Work, bench};
use bertkit_training::config::flag::finite;
use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use crate::error::CliError;
use crate::format::{bytes, count};
use crate::process;
use crate::reading::{MachineFlags, ProductFlags};
use crate::render;

const EXAMPLES: &str = "\
Examples:
  bertkit bench
  bertkit bench --size base --lengths 128 --batch 8 --work all --steps 10
  bertkit bench --model models/minilm --lengths 8,61,33,20 --work train --dropout 0
  bertkit bench --config configs/models/mini.toml --lengths 128 --batch 32 --work mlm --json
  bertkit bench --device cuda --precision bf16 --size base --lengths 128 --batch 32 --steps 20

forward is what `predict` and `eval` do: token ids to a classifier's logits. train is a step of
`finetune`: forward pass, loss, backward pass, clipping, AdamW. mlm is a step of masked language
modelling, with the head at 15 % of the tokens. gemm is the matrix products of the linear layers in
the step of train and nothing else, on the CPU: what no other code around them can save.

Tokens are random and count without padding, of which there is none. A folder's weights are read,
other weights are random; neither changes the time. Memory is the largest resident memory of the
process on the CPU, and what was reserved of a GPU's own memory there.";

/// Measure how fast encoders compute on this machine
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct BenchArgs {
    /// A model folder in Hugging Face's layout; may be repeated
    #[arg(long, value_name = "DIR", help_heading = "Model")]
    model: Vec<PathBuf>,
    /// A configuration with the sizes of an encoder, as in configs/models; may be repeated
    #[arg(long, value_name = "FILE", help_heading = "Model")]
    config: Vec<PathBuf>,
    /// A well-known size; may be repeated [default: all of these, without --model and --config]
    #[arg(long, value_enum, value_name = "SIZE", help_heading = "Model")]
    size: Vec<Size>,
    /// Dropout in training [default: as in the model]
    #[arg(long, value_name = "RATE", value_parser = rate, help_heading = "Model")]
    dropout: Option<f64>,
    /// Tokens of every sequence of a batch, or of each, divided by commas; may be repeated
    /// [default: 32, 128 and 512]
    #[arg(long, value_name = "N|N,N,…", help_heading = "Work")]
    lengths: Vec<Lengths>,
    /// Sequences of a batch whose lengths are equal [default: as many as make 1,024 tokens]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    #[arg(help_heading = "Work")]
    batch: Option<u32>,
    /// What is timed; may be repeated [default: forward and train]
    #[arg(long, value_enum, value_name = "WORK", help_heading = "Work")]
    work: Vec<WorkFlag>,
    /// Compute layers again in the backward pass, as finetune does for less memory
    #[arg(long, help_heading = "Work")]
    recompute: bool,
    /// Steps before the clock starts
    #[arg(
        long,
        value_name = "N",
        default_value_t = 1,
        help_heading = "Measurement"
    )]
    warmup: u32,
    /// Timed steps [default: 10, or as many as there is time for]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    #[arg(help_heading = "Measurement")]
    steps: Option<u32>,
    /// After so many seconds no further step of a measurement begins [default: 1, or no limit with
    /// --steps]
    #[arg(long, value_name = "SECONDS", value_parser = seconds, help_heading = "Measurement")]
    seconds: Option<f64>,
    /// Print one JSON object a measurement, with the seconds of every step
    #[arg(long, help_heading = "Output")]
    json: bool,
    #[command(flatten)]
    products: ProductFlags,
    #[command(flatten)]
    machine: MachineFlags,
}

/// Encoders that are often used, over 30,522 words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Size {
    /// 2 layers, 128 wide
    Tiny,
    /// 4 layers, 256 wide
    Mini,
    /// 4 layers, 512 wide
    Small,
    /// 6 layers, 384 wide
    Minilm,
    /// 12 layers, 768 wide
    Base,
}

impl Size {
    fn encoder(self) -> EncoderConfig {
        let (layers, width, heads) = match self {
            Self::Tiny => (2, 128, 2),
            Self::Mini => (4, 256, 4),
            Self::Small => (4, 512, 8),
            Self::Minilm => (6, 384, 12),
            Self::Base => (12, 768, 12),
        };
        EncoderConfig::new(Family::default(), 30_522, width, layers, heads, 4 * width)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum WorkFlag {
    /// A forward pass
    Forward,
    /// A step of fine-tuning
    Train,
    /// A step of masked language modelling
    Mlm,
    /// The matrix products of a step of fine-tuning
    Gemm,
    /// Each of these
    All,
}

/// Number of tokens of each sequence in a batch: one number for all, or one for each.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Lengths(Vec<usize>);

impl FromStr for Lengths {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let lengths: Result<Vec<usize>, _> =
            text.split(',').map(|part| part.trim().parse()).collect();
        match lengths {
            Ok(lengths) if !lengths.contains(&0) => Ok(Self(lengths)),
            _ => Err("expected a number of tokens, or several divided by commas".into()),
        }
    }
}

impl Lengths {
    /// Number of tokens of each sequence.
    fn batch(&self, sequences: Option<u32>) -> Vec<usize> {
        const TOKENS: usize = 1024;
        match self.0[..] {
            [length] => {
                let n = sequences.map_or_else(|| (TOKENS / length).max(1), |n| n as usize);
                // Capped: more only needs to be large enough for the check of the batch size to reject it.
                vec![length; n.min(1 << 21)]
            }
            _ => self.0.clone(),
        }
    }
}

/// Parses a number from 0 to below 1.
fn rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if (0.0..1.0).contains(&number) => Ok(number),
        _ => Err("expected a number from 0 to below 1".into()),
    }
}

/// Parses a number of seconds, at least 0.
fn seconds(text: &str) -> Result<f64, String> {
    match finite(text) {
        Ok(number) if number >= 0.0 => Ok(number),
        _ => Err("expected a number of seconds".into()),
    }
}

/// Runs the measurements.
///
/// # Errors
/// An unusable model or batch.
pub fn run(args: &BenchArgs) -> Result<(), CliError> {
    process::use_threads(args.machine.threads)?;
    process::leave_on_interrupt()?;
    if let (Some(_), Some(several)) = (args.batch, args.lengths.iter().find(|l| l.0.len() > 1)) {
        return Err(CliError::usage(
            format!(
                "--lengths already says that a batch has {} sequences",
                several.0.len()
            ),
            "leave --batch out, or give one length",
        ));
    }
    let device = args
        .machine
        .chosen(true)
        .resolve()
        .map_err(TrainError::from)?;
    let cpu = is_cpu(&device.device);
    let models = models(args)?;
    let works = works(&args.work, cpu);
    let lengths = if args.lengths.is_empty() {
        vec![Lengths(vec![32]), Lengths(vec![128]), Lengths(vec![512])]
    } else {
        args.lengths.clone()
    };
    let seconds = args.seconds.or(args.steps.is_none().then_some(1.0));
    let mut knows_memory = true;
    for (number, (name, model)) in models.iter().enumerate() {
        for (at, length) in lengths.iter().enumerate() {
            for (turn, &work) in works.iter().enumerate() {
                let first = (number, at, turn) == (0, 0, 0);
                if !first {
                    knows_memory &= process::forget_peak_memory();
                }
                let options = BenchOptions {
                    work,
                    lengths: length.batch(args.batch),
                    warmup: args.warmup as usize,
                    steps: args.steps.unwrap_or(10) as usize,
                    limit: seconds.map(|s| Duration::try_from_secs_f64(s).unwrap_or_default()),
                    precision: args.products.precision,
                    recompute: args.recompute,
                };
                let mut found = bench(model, &options, &device)?;
                if cpu && !knows_memory {
                    found.peak_memory = None;
                }
                if first && !args.json {
                    render::stdout(&heading(
                        &device.name,
                        args.products.precision,
                        args.warmup,
                        works.contains(&Work::Gemm),
                    ))?;
                }
                let line = if args.json {
                    let dropout = model.config().hidden_dropout;
                    json(name, &options, dropout, &device.name, &found).to_string()
                } else {
                    row(name, &options, &found)
                };
                render::stdout(&format!("{line}\n"))?;
            }
        }
    }
    Ok(())
}

/// The requested models with their names.
fn models(args: &BenchArgs) -> Result<Vec<(String, BenchModel)>, CliError> {
    let mut models = Vec::new();
    for folder in &args.model {
        models.push((name(folder, folder.file_name()), BenchModel::open(folder)?));
    }
    for file in &args.config {
        models.push((name(file, file.file_stem()), BenchModel::from_file(file)?));
    }
    let sizes = if models.is_empty() && args.size.is_empty() {
        Size::value_variants()
    } else {
        &args.size
    };
    for size in sizes {
        let value = size.to_possible_value();
        let name = value.map_or_else(String::new, |value| value.get_name().to_owned());
        models.push((name, BenchModel::Fresh(Box::new(size.encoder()))));
    }
    if let Some(rate) = args.dropout {
        let set = |(name, model): (String, BenchModel)| (name, model.with_dropout(rate));
        models = models.into_iter().map(set).collect();
    }
    Ok(models)
}

fn name(path: &Path, last: Option<&std::ffi::OsStr>) -> String {
    last.map_or_else(
        || path.display().to_string(),
        |last| last.to_string_lossy().into_owned(),
    )
}

fn works(flags: &[WorkFlag], cpu: bool) -> Vec<Work> {
    let mut works = Vec::new();
    for flag in flags {
        match flag {
            WorkFlag::Forward => works.push(Work::Forward),
            WorkFlag::Train => works.push(Work::Train),
            WorkFlag::Mlm => works.push(Work::Mlm),
            WorkFlag::Gemm => works.push(Work::Gemm),
            WorkFlag::All => works.extend(Work::ALL.iter().filter(|w| cpu || **w != Work::Gemm)),
        }
    }
    if works.is_empty() {
        works = vec![Work::Forward, Work::Train];
    }
    works
}

fn heading(device: &str, precision: Precision, warmup: u32, products: bool) -> String {
    let mut machine = device.to_owned();
    if device == "cpu" {
        let threads = rayon::current_num_threads();
        machine += &format!(", {threads} thread{}", if threads == 1 { "" } else { "s" });
    }
    let mut text =
        format!("{machine}; {precision}; the median of the steps behind {warmup} of warm-up\n\n");
    text += &columns([
        "model",
        "work",
        "batch",
        "steps",
        "ms a step",
        "lowest",
        "tokens/s",
        "sequences/s",
        "memory",
    ]);
    if products {
        text += "  GFLOP/s";
    }
    text + "\n"
}

/// One line of the table: text left-aligned, numbers right-aligned.
fn columns(cells: [&str; 9]) -> String {
    let [
        model,
        work,
        batch,
        steps,
        median,
        lowest,
        tokens,
        sequences,
        memory,
    ] = cells;
    format!(
        "{model:<14} {work:<8} {batch:<16} {steps:>5} {median:>10} {lowest:>10} {tokens:>10} \
         {sequences:>11} {memory:>10}"
    )
}

fn row(name: &str, options: &BenchOptions, found: &Measurement) -> String {
    let median = found.median();
    let lowest = found.seconds.iter().copied().fold(f64::INFINITY, f64::min);
    let a_second = |n: usize| match n as f64 / median {
        few if few < 10.0 => format!("{few:.1}"),
        many => count(many.round() as u64),
    };
    let lengths = &options.lengths;
    let (least, most) = lengths
        .iter()
        .fold((usize::MAX, 0), |(a, b), &n| (a.min(n), b.max(n)));
    let batch = if least == most {
        format!("{} × {most}", lengths.len())
    } else {
        format!("{} × {least} to {most}", lengths.len())
    };
    let ms = |seconds: f64| format!("{:.1}", seconds * 1e3);
    let mut line = columns([
        name,
        options.work.name(),
        &batch,
        &found.seconds.len().to_string(),
        &ms(median),
        &ms(lowest),
        &a_second(found.tokens),
        &a_second(found.sequences),
        &found.peak_memory.map_or_else(|| "unknown".into(), bytes),
    ]);
    if let Some(operations) = found.operations {
        line += &format!(" {:>8.0}", operations / median / 1e9);
    }
    line
}

fn json(
    name: &str,
    options: &BenchOptions,
    dropout: f64,
    device: &str,
    found: &Measurement,
) -> Value {
    let median = found.median();
    json!({
        "model": name,
        "work": options.work.name(),
        "device": device,
        "threads": rayon::current_num_threads(),
        "dtype": options.precision.name(),
        "recompute": options.recompute,
        "dropout": if options.work == Work::Forward { 0.0 } else { dropout },
        "lengths": options.lengths,
        "sequences": found.sequences,
        "tokens": found.tokens,
        "parameters": found.parameters,
        "warmup": found.warmup,
        "seconds": found.seconds,
        "median_seconds": median,
        "tokens_per_second": found.tokens as f64 / median,
        "sequences_per_second": found.sequences as f64 / median,
        "peak_memory_bytes": found.peak_memory,
        "operations": found.operations,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn one_length_is_that_of_every_sequence_and_several_are_one_each() {
        let lengths = |text: &str| text.parse::<Lengths>().unwrap();
        assert_eq!(lengths("128").batch(Some(3)), [128, 128, 128]);
        assert_eq!(lengths("512").batch(None), [512, 512]);
        assert_eq!(lengths("4096").batch(None), [4096]);
        assert_eq!(lengths("8, 61,33").batch(None), [8, 61, 33]);
        for text in ["", "0", "8,,9", "x", "-1"] {
            assert!(text.parse::<Lengths>().is_err(), "{text}");
        }
    }

    #[test]
    fn all_work_leaves_the_products_out_where_they_cannot_be_timed() {
        assert_eq!(works(&[WorkFlag::All], true), Work::ALL);
        assert!(!works(&[WorkFlag::All], false).contains(&Work::Gemm));
        assert_eq!(works(&[], true), [Work::Forward, Work::Train]);
    }

    #[test]
    fn a_row_has_the_rates_of_its_median_step() {
        let options = BenchOptions {
            work: Work::Gemm,
            lengths: vec![10, 30],
            warmup: 1,
            steps: 3,
            limit: None,
            precision: Precision::F32,
            recompute: false,
        };
        let found = Measurement {
            seconds: vec![0.3, 0.02, 0.01],
            warmup: 1,
            sequences: 2,
            tokens: 40,
            parameters: 0,
            operations: Some(4e9),
            peak_memory: Some(3 << 20),
        };
        let line = row("mini", &options, &found);
        let cells: Vec<&str> = line.split_whitespace().collect();
        let expected = [
            "mini", "gemm", "2", "×", "10", "to", "30", "3", "20.0", "10.0", "2,000", "100", "3.0",
            "MiB", "200",
        ];
        assert_eq!(cells, expected);
        let object = json("mini", &options, 0.1, "cpu", &found);
        assert_eq!(object["median_seconds"], 0.02);
        assert_eq!(object["seconds"][0], 0.3);
    }
}
