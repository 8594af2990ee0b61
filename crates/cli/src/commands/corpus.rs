//! `bertkit corpus`: statistics of a pretraining corpus.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use bertkit_data::pretraining::corpus::{
    self, Corpus, CorpusOptions, Lengths, Manifest, Origin, QUANTILES, SourceRecord, Statistics,
};
use bertkit_data::tokenizer::{TokenizerFamily, TokenizerSpec};
use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use super::tokenizer::FormatName;
use crate::error::CliError;
use crate::format::{bytes, count, plural};
use crate::process;
use crate::progress::Display;
use crate::render;

const STATS_EXAMPLES: &str = "\
Examples:
  bertkit corpus stats --corpus books --tokenizer tok
  bertkit corpus stats --corpus news.jsonl.gz --field body --tokenizer tok --drop-duplicates
  bertkit corpus stats --corpus 'wiki/*' --tokenizer tok --shards runs/shards --json

`bertkit pretrain` takes tokenised texts over with the same --corpus, --tokenizer and --shards.";

/// Number of files in the table.
const FILES_SHOWN: usize = 10;

/// Length of the longest bar of a histogram, in characters.
const BAR: u64 = 40;

/// Time between two lines of progress without a bar.
const BETWEEN_LINES: Duration = Duration::from_secs(10);

/// Look at the texts to pretrain on
#[derive(Debug, Args)]
#[command(arg_required_else_help = true, disable_help_subcommand = true)]
pub struct CorpusArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Stats(StatsArgs),
}

/// Count documents, sentences and tokens, and how long they are
#[derive(Debug, Args)]
#[command(after_help = STATS_EXAMPLES)]
struct StatsArgs {
    /// Text files, folders of them, or patterns such as `books/**/*.txt`; also packed (.gz, .zst)
    #[arg(long, value_name = "PATHS", num_args = 1.., required = true, help_heading = "Text")]
    corpus: Vec<PathBuf>,
    /// How documents lie in the files
    #[arg(long, value_enum, default_value_t = FormatName::Auto, help_heading = "Text")]
    format: FormatName,
    /// Field of JSON Lines, or column of CSV, with the text
    #[arg(long, default_value = "text", help_heading = "Text")]
    field: String,
    /// End sentences at line breaks alone; else also where `.`, `!` or `?` seems to end one, unless a
    /// line is a sentence
    #[arg(long, help_heading = "Text")]
    no_split_sentences: bool,
    /// Leave out documents whose text came before
    #[arg(long, help_heading = "Text")]
    drop_duplicates: bool,

    /// A folder with a tokenizer, or a rule: char, kmer:K, kmer:K:stride=S, regex:FILE
    #[arg(long, value_name = "DIR", help_heading = "Tokens")]
    tokenizer: TokenizerSpec,
    /// Vocabulary of a rule: a vocab.txt, or a folder with one
    #[arg(long, value_name = "FILE", help_heading = "Tokens")]
    vocabulary: Option<PathBuf>,
    /// Folder to keep the tokenised texts in, or to take them from [default: they are not kept]
    #[arg(long, value_name = "DIR", help_heading = "Tokens")]
    shards: Option<PathBuf>,

    /// Print one JSON object
    #[arg(long, help_heading = "Output")]
    json: bool,
    /// No progress and no notes: only errors, and the table
    #[arg(long, short, help_heading = "Output")]
    quiet: bool,
    /// Threads on the CPU [default: one for each core]
    #[arg(long, value_name = "N", help_heading = "Output")]
    #[arg(value_parser = clap::value_parser!(u16).range(1..))]
    threads: Option<u16>,
}

/// Runs the command.
///
/// # Errors
/// A text or tokenizer that cannot be used, or a folder that cannot be written.
pub fn run(args: &CorpusArgs) -> Result<(), CliError> {
    match &args.command {
        Command::Stats(args) => stats(args),
    }
}

fn stats(args: &StatsArgs) -> Result<(), CliError> {
    process::use_threads(args.threads)?;
    process::leave_on_interrupt()?;
    let note = |text: &str| {
        if !args.quiet {
            render::note(text);
        }
    };
    let tokenizer = args
        .tokenizer
        .load(args.vocabulary.as_deref(), TokenizerFamily::default())?;
    tokenizer
        .warnings()
        .iter()
        .for_each(|warning| note(warning));
    let found = corpus::find(&args.corpus)?;
    if !found.passed_over.is_empty() {
        let others = plural(found.passed_over.len() as u64, "file");
        note(&format!(
            "left out {others} of the folders that by name hold no text, such as `{}`",
            found.passed_over[0].display()
        ));
    }

    // The folder must exist until the end: the statistics are read from it.
    let mut scratch = None;
    let shards = match &args.shards {
        Some(shards) => {
            process::remove_on_interrupt(Some(&being_written(shards)));
            shards.clone()
        }
        None => {
            let folder = tempfile::tempdir().map_err(|source| CliError::Write {
                path: std::env::temp_dir(),
                source,
            })?;
            process::remove_on_interrupt(Some(folder.path()));
            let shards = folder.path().join("shards");
            scratch = Some(folder);
            shards
        }
    };
    let options = CorpusOptions {
        format: args.format.into(),
        field: args.field.clone(),
        split_sentences: !args.no_split_sentences,
        drop_duplicates: args.drop_duplicates,
    };
    let mut progress = TextProgress::new(Display::choose(args.quiet));
    let prepared = corpus::prepare(
        &found.files,
        &options,
        &tokenizer,
        &shards,
        &mut |done| progress.done(done),
        &AtomicBool::new(false),
    )?;
    drop(progress);
    match &prepared.origin {
        Origin::Built {
            because: Some(because),
        } => note(&format!("tokenised anew: {because}")),
        Origin::Reused => note(&format!("already tokenised in `{}`", shards.display())),
        Origin::Built { because: None } => {}
    }
    let corpus = prepared.corpus;
    let statistics = Statistics::of(&corpus);
    if args.json {
        render::stdout(&format!("{}\n", as_json(&corpus, &statistics)))?;
    } else {
        render::stdout(&as_text(&corpus, &statistics))?;
    }
    process::remove_on_interrupt(None);
    drop(scratch);
    Ok(())
}

/// The temporary folder that is renamed to `shards` when complete.
fn being_written(shards: &Path) -> PathBuf {
    let name = shards.file_name().unwrap_or_default().to_string_lossy();
    shards.with_file_name(format!(".{name}.tmp"))
}

/// Progress in bytes of the files.
struct TextProgress {
    display: Display,
    bar: Option<ProgressBar>,
    last_line: Instant,
}

impl TextProgress {
    fn new(display: Display) -> Self {
        Self {
            display,
            bar: None,
            last_line: Instant::now(),
        }
    }

    fn done(&mut self, done: corpus::Progress) {
        match self.display {
            Display::Quiet => {}
            Display::Bar => {
                let bar = self.bar.get_or_insert_with(|| {
                    let bar = ProgressBar::new(done.total_bytes);
                    let template =
                        "{bar:24} {bytes}/{total_bytes}  {bytes_per_sec}  {eta} left  {msg}";
                    // An invalid template would leave the default style.
                    if let Ok(style) = ProgressStyle::with_template(template) {
                        bar.set_style(style);
                    }
                    bar
                });
                bar.set_position(done.bytes);
                bar.set_message(plural(done.tokens, "token"));
            }
            Display::Lines if self.last_line.elapsed() >= BETWEEN_LINES => {
                self.last_line = Instant::now();
                render::stderr(&format!(
                    "{} of {}  {}  {}\n",
                    bytes(done.bytes),
                    bytes(done.total_bytes),
                    plural(done.documents, "document"),
                    plural(done.tokens, "token")
                ));
            }
            Display::Lines => {}
        }
    }
}

impl Drop for TextProgress {
    fn drop(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

fn as_text(corpus: &Corpus, statistics: &Statistics) -> String {
    let manifest = corpus.manifest();
    let mut text = String::new();
    let mut line = |name: &str, number: String, remark: String| {
        let remark = if remark.is_empty() {
            remark
        } else {
            format!("   {remark}")
        };
        text += &format!("{name:<12}{number:>16}{remark}\n");
    };
    line("files", count(manifest.sources.len() as u64), String::new());
    line("documents", count(statistics.documents), left_out(manifest));
    line("sentences", count(statistics.sentences), String::new());
    let fertility = statistics
        .tokens_per_word
        .map(|ratio| format!("{ratio:.2} a word"));
    line(
        "tokens",
        count(statistics.tokens),
        fertility.unwrap_or_default(),
    );
    line(
        "unknown",
        format!("{:.3} %", statistics.unknown_rate * 100.0),
        unknown(manifest),
    );
    line(
        "vocabulary",
        count(manifest.vocab_size as u64),
        format!("{} occur", count(statistics.distinct_tokens)),
    );

    text += &format!("\n{:<18}{:>9}", "tokens", "mean");
    for share in QUANTILES {
        text += &match share {
            0 => format!("{:>9}", "least"),
            100 => format!("{:>9}", "most"),
            share => format!("{:>9}", format!("{share} %")),
        };
    }
    text.push('\n');
    let kinds = [
        ("a document", &statistics.document_tokens),
        ("a sentence", &statistics.sentence_tokens),
    ];
    for (name, lengths) in kinds {
        text += &format!("{name:<18}{:>9.1}", lengths.mean);
        for quantile in lengths.quantiles {
            text += &format!("{:>9}", count(quantile));
        }
        text.push('\n');
    }
    for (name, lengths) in kinds {
        text += &format!("\n{:<18}{:>12}\n", format!("tokens {name}"), "number");
        text += &histogram(lengths);
    }

    text += &format!(
        "\n{:<12}{:>14}{:>14}{:>16}  file\n",
        "format", "documents", "sentences", "tokens"
    );
    for source in manifest.sources.iter().take(FILES_SHOWN) {
        text += &format!(
            "{:<12}{:>14}{:>14}{:>16}  {}\n",
            source.format.name(),
            count(source.documents),
            count(source.sentences),
            count(source.tokens),
            source.path
        );
    }
    if let Some(more) = manifest.sources.len().checked_sub(FILES_SHOWN + 1) {
        text += &format!("… and {} more\n", count(more as u64 + 1));
    }
    text
}

/// The numbers of documents left out, by reason.
fn left_out(manifest: &Manifest) -> String {
    let mut parts = Vec::new();
    if manifest.duplicates > 0 {
        parts.push(plural(manifest.duplicates, "duplicate"));
    }
    if manifest.empty > 0 {
        parts.push(format!("{} without text", count(manifest.empty)));
    }
    match parts.is_empty() {
        true => String::new(),
        false => format!("left out: {}", parts.join(", ")),
    }
}

/// The most frequent unknown pieces.
fn unknown(manifest: &Manifest) -> String {
    let pieces: Vec<String> = manifest
        .unknown_pieces
        .iter()
        .take(5)
        .map(|(piece, _)| format!("`{}`", piece.escape_debug()))
        .collect();
    match pieces.is_empty() {
        true => String::new(),
        false => format!("such as {}", pieces.join(", ")),
    }
}

fn histogram(lengths: &Lengths) -> String {
    let most = lengths.histogram.iter().map(|&(_, number)| number).max();
    let most = most.unwrap_or(0).max(1);
    let mut text = String::new();
    for &(bound, number) in &lengths.histogram {
        let range = match bound / 2 {
            1 => "1".to_owned(),
            first => format!("{} to {}", count(first), count(bound - 1)),
        };
        // Rounded up, so that every non-empty bin is visible.
        let bar = (number * BAR).div_ceil(most) as usize;
        let line = format!("{range:>18}{:>12}  {}", count(number), "#".repeat(bar));
        text += line.trim_end();
        text.push('\n');
    }
    text
}

fn as_json(corpus: &Corpus, statistics: &Statistics) -> Value {
    let manifest = corpus.manifest();
    let lengths = |lengths: &Lengths| {
        let quantiles: serde_json::Map<String, Value> = QUANTILES
            .iter()
            .zip(lengths.quantiles)
            .map(|(share, length)| (share.to_string(), length.into()))
            .collect();
        let histogram: Vec<Value> = lengths
            .histogram
            .iter()
            .map(|&(bound, number)| json!({"below": bound, "number": number}))
            .collect();
        json!({"mean": lengths.mean, "quantiles": quantiles, "histogram": histogram})
    };
    let source = |source: &SourceRecord| {
        json!({
            "path": source.path,
            "bytes": source.bytes,
            "sha256": source.sha256,
            "format": source.format,
            "documents": source.documents,
            "sentences": source.sentences,
            "tokens": source.tokens,
        })
    };
    json!({
        "documents": statistics.documents,
        "sentences": statistics.sentences,
        "tokens": statistics.tokens,
        "tokens_per_word": statistics.tokens_per_word,
        "unknown_rate": statistics.unknown_rate,
        "unknown_pieces": manifest.unknown_pieces,
        "vocab_size": manifest.vocab_size,
        "distinct_tokens": statistics.distinct_tokens,
        "duplicates": manifest.duplicates,
        "empty": manifest.empty,
        "document_tokens": lengths(&statistics.document_tokens),
        "sentence_tokens": lengths(&statistics.sentence_tokens),
        "sources": manifest.sources.iter().map(source).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_shows_every_length_there_is() {
        let token = |id| (id, true);
        let corpus = Corpus::from_tokens(
            &[
                vec![vec![token(1)]],
                vec![vec![token(2); 5], vec![token(1); 2]],
            ],
            true,
        );
        let text = as_text(&corpus, &Statistics::of(&corpus));
        for part in [
            "documents                  2\n",
            "tokens                     8   1.00 a word\n",
            "unknown              0.000 %\n",
            "vocabulary                 3",
            "                 1           1  ########################################\n",
            "            2 to 3           0\n",
            "            4 to 7           1  ########################################\n",
        ] {
            assert!(text.contains(part), "`{part}` in:\n{text}");
        }
    }

    #[test]
    fn the_folder_being_written_lies_beside_the_shards() {
        assert_eq!(
            being_written(Path::new("runs/shards")),
            Path::new("runs/.shards.tmp")
        );
    }
}
