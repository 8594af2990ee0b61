//! `bertkit tokenizer`: trains a tokenizer, or shows the tokens of a text.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bertkit_data::pretraining::corpus::{CorpusFormat, CorpusOptions, find, read_sentences};
use bertkit_data::tokenizer::{
    FrequentWords, Normalization, TokenizerError, TokenizerFamily, TokenizerSpec, TokenizerTrainer,
    TokenizerType, TrainOptions, Trained, Transliteration, UnicodeForm,
};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand, ValueEnum};
use indicatif::ProgressBar;

use crate::error::CliError;
use crate::format::{bytes, count, duration, plural};
use crate::process;
use crate::progress::Display;
use crate::render;

const TRAIN_EXAMPLES: &str = "\
Examples:
  bertkit tokenizer train corpus/*.txt --vocab-size 8000 --output tok
  bertkit tokenizer train corpus --type byte-bpe --output tok
  bertkit tokenizer train vesti.jsonl.gz --transliterate serbian --cased --output tok
  bertkit tokenizer train --type kmer:6 --output tok-dna

The folder loads with --tokenizer here and with AutoTokenizer.from_pretrained in transformers; for
overlapping k-mers, transformers needs text that has been cut: `ACG CGT GTA`.";

const SHOW_EXAMPLES: &str = "\
Examples:
  bertkit tokenizer show tok \"a text, and what becomes of it\"
  bertkit tokenizer show regex:smiles.txt --vocabulary models/rxnfp \"CCO.Cl>>CCCl\"

Each line is an id, a tab and a token.";

/// Number of split frequent words in the summary.
const SPLIT_WORDS_SHOWN: usize = 10;

/// Bytes of text that are counted per batch.
const BATCH_BYTES: usize = 4 << 20;

/// The files that `--overwrite` may replace.
const TOKENIZER_FILES: [&str; 7] = [
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
];

/// Train a tokenizer, or see what one does
#[derive(Debug, Args)]
#[command(arg_required_else_help = true, disable_help_subcommand = true)]
pub struct TokenizerArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Train(Box<TrainArgs>),
    Show(ShowArgs),
}

/// Train a tokenizer on text
#[derive(Debug, Args)]
#[command(after_help = TRAIN_EXAMPLES)]
struct TrainArgs {
    /// Text files, folders of them, or patterns such as `books/**/*.txt`; also packed (.gz, .zst)
    paths: Vec<PathBuf>,
    /// wordpiece, bpe, byte-bpe, unigram, char, kmer:K, kmer:K:stride=S, kmer:K:alphabet=LETTERS, or
    /// regex:FILE, for a pattern whose matches are tokens
    #[arg(long = "type", value_name = "TYPE", default_value = "wordpiece")]
    kind: TokenizerType,
    /// Folder to write
    #[arg(long, short, value_name = "DIR")]
    output: PathBuf,
    /// Replace the tokenizer that is in the folder
    #[arg(long)]
    overwrite: bool,

    /// Tokens, special tokens included; an error if the text does not support as many [default: as
    /// many as the text supports, at most 30522 (wordpiece), 32000 (bpe, unigram), 50265 (byte-bpe)]
    #[arg(long, value_name = "N", help_heading = "Vocabulary")]
    vocab_size: Option<usize>,
    /// How often pieces must occur together to become one, or a token of its own must occur
    /// [default: 2; of char and regex 1]
    #[arg(long, value_name = "N", help_heading = "Vocabulary")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    min_frequency: Option<u64>,
    /// Whose special tokens: `[PAD] [UNK] [CLS] [SEP] [MASK]` as ids 0 to 4, or RoBERTa's `<s> <pad>
    /// </s> <unk>` as 0 to 3 and `<mask>` last [default: roberta for byte-bpe, else bert]
    #[arg(long, value_parser = family(), help_heading = "Vocabulary")]
    family: Option<TokenizerFamily>,
    /// The longest input of the model, in tokens
    #[arg(
        long,
        value_name = "N",
        default_value_t = 512,
        help_heading = "Vocabulary"
    )]
    #[arg(value_parser = clap::value_parser!(u32).range(3..))]
    max_length: u32,
    /// How many of the most frequent words are looked for among the tokens
    #[arg(
        long,
        value_name = "N",
        default_value_t = 1000,
        help_heading = "Vocabulary"
    )]
    check_words: usize,

    /// Lower-case the text; wordpiece also strips accents then [default for wordpiece]
    #[arg(long, help_heading = "Normalisation", conflicts_with = "cased")]
    lowercase: bool,
    /// Keep upper and lower case [default for other types]
    #[arg(long, help_heading = "Normalisation")]
    cased: bool,
    /// Strip accents
    #[arg(long, help_heading = "Normalisation", conflicts_with = "keep_accents")]
    strip_accents: bool,
    /// Keep accents
    #[arg(long, help_heading = "Normalisation")]
    keep_accents: bool,
    /// Unicode form of the text [default: nfkc for unigram, else none]
    #[arg(long, value_enum, value_name = "FORM", help_heading = "Normalisation")]
    normalization: Option<FormName>,
    /// Bring the text to Latin letters: Serbian Cyrillic
    #[arg(
        long,
        value_enum,
        value_name = "LANGUAGE",
        help_heading = "Normalisation"
    )]
    transliterate: Option<Script>,

    /// What is a document: what blank lines divide (sentences), a line, a field of JSON Lines, or a
    /// column of CSV; auto goes by the extension and the blank lines
    #[arg(long, value_enum, default_value_t = FormatName::Auto, help_heading = "Text")]
    format: FormatName,
    /// Field of JSON Lines, or column of CSV, with the text
    #[arg(long, default_value = "text", help_heading = "Text")]
    field: String,
    /// Memory for training, about; of a longer text a random sample is counted
    #[arg(long, value_name = "SIZE", default_value = "1GB", value_parser = memory, help_heading = "Text")]
    max_memory: u64,
    /// Decides which part of a longer text is in the sample
    #[arg(long, value_name = "N", default_value_t = 0, help_heading = "Text")]
    seed: u64,

    /// No progress and no notes: only errors, and the summary
    #[arg(long, short, help_heading = "Output")]
    quiet: bool,
    /// Threads on the CPU [default: one for each core]
    #[arg(long, value_name = "N", help_heading = "Output")]
    #[arg(value_parser = clap::value_parser!(u16).range(1..))]
    threads: Option<u16>,
}

/// Show the tokens and ids of texts
#[derive(Debug, Args)]
#[command(after_help = SHOW_EXAMPLES)]
struct ShowArgs {
    /// A folder with a tokenizer, or a rule: char, kmer:K, kmer:K:stride=S, regex:FILE
    tokenizer: TokenizerSpec,
    /// The texts; behind `--` they may begin with a hyphen
    #[arg(required = true)]
    text: Vec<String>,
    /// Folder of the model whose `vocab.txt` the rule goes with
    #[arg(long, value_name = "DIR")]
    vocabulary: Option<PathBuf>,
    /// The family of the model
    #[arg(long, value_parser = family(), default_value = TokenizerFamily::default().name())]
    family: TokenizerFamily,
}

/// Parses the name of a family.
fn family() -> impl TypedValueParser<Value = TokenizerFamily> {
    let names = PossibleValuesParser::new(TokenizerFamily::ALL.map(TokenizerFamily::name));
    names.map(|name| TokenizerFamily::from_name(&name).unwrap_or_default())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FormName {
    None,
    Nfc,
    Nfd,
    Nfkc,
    Nfkd,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Script {
    Serbian,
}

/// How documents lie in text files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FormatName {
    Auto,
    Sentences,
    Lines,
    Jsonl,
    Csv,
}

impl From<FormatName> for CorpusFormat {
    fn from(name: FormatName) -> Self {
        match name {
            FormatName::Auto => Self::Auto,
            FormatName::Sentences => Self::Sentences,
            FormatName::Lines => Self::Lines,
            FormatName::Jsonl => Self::Jsonl,
            FormatName::Csv => Self::Csv,
        }
    }
}

/// Runs the command.
///
/// # Errors
/// A tokenizer or text that cannot be used, or a folder that cannot be written.
pub fn run(args: &TokenizerArgs) -> Result<(), CliError> {
    match &args.command {
        Command::Train(args) => train(args),
        Command::Show(args) => show(args),
    }
}

fn show(args: &ShowArgs) -> Result<(), CliError> {
    if let (TokenizerSpec::Dir(_), Some(_)) = (&args.tokenizer, &args.vocabulary) {
        return Err(CliError::usage(
            "a folder has its own vocabulary",
            "leave out --vocabulary; it is for rules such as `char` and `regex:FILE`",
        ));
    }
    let tokenizer = args
        .tokenizer
        .load(args.vocabulary.as_deref(), args.family)?;
    for warning in tokenizer.warnings() {
        render::note(warning);
    }
    for (at, text) in args.text.iter().enumerate() {
        let encoding = tokenizer.encode(text, None, usize::MAX)?;
        let mut lines = String::from(if at > 0 { "\n" } else { "" });
        for &id in &encoding.ids {
            let token = tokenizer.token(id).unwrap_or_default();
            lines += &format!("{id}\t{token}\n");
        }
        render::stdout(&lines)?;
        let dropped = tokenizer.dropped(text)? as u64;
        if dropped > 0 {
            render::note(&format!(
                "{} of the text {} in no token",
                plural(dropped, "character"),
                if dropped == 1 { "is" } else { "are" }
            ));
        }
    }
    Ok(())
}

fn train(args: &TrainArgs) -> Result<(), CliError> {
    // Check the command line before reading any text.
    let options = options(args)?;
    let target = Target::new(&args.output, args.overwrite)?;
    let mut trainer = TokenizerTrainer::new(&options)?;
    process::use_threads(args.threads)?;
    process::leave_on_interrupt()?;

    let mut work = Work::new(Display::choose(args.quiet));
    if !args.paths.is_empty() {
        read(args, &mut trainer, &mut work)?;
    }
    let wanted = options.vocab_size;
    let trained = trainer.train(&mut |tokens| {
        work.tell(|| match wanted {
            Some(wanted) => format!(
                "{} tokens, {} wanted",
                count(tokens as u64),
                count(wanted as u64)
            ),
            None => format!("{} tokens", count(tokens as u64)),
        });
    })?;
    work.finish();
    check_size(&trained, &options, args)?;
    let frequent = trained.frequent_words(args.check_words)?;
    target.write(&trained)?;
    report(&trained, &frequent, args, work.started.elapsed())
}

fn options(args: &TrainArgs) -> Result<TrainOptions, CliError> {
    let kind = &args.kind;
    let kmers = matches!(kind, TokenizerType::Kmer(_));
    if kmers {
        let normalizing = args.lowercase
            || args.cased
            || args.strip_accents
            || args.keep_accents
            || args.normalization.is_some()
            || args.transliterate.is_some();
        if normalizing {
            return Err(CliError::usage(
                format!("{kind} has its own rules for letters"),
                "leave out the flags of normalisation; letters are read in upper case, unless \
                 `:alphabet=` has lower case",
            ));
        }
        if args.vocab_size.is_some() || args.min_frequency.is_some() {
            return Err(CliError::usage(
                format!("the vocabulary of {kind} is every piece that its alphabet allows"),
                "leave out --vocab-size and --min-frequency, or choose another K",
            ));
        }
    } else if args.paths.is_empty() {
        return Err(CliError::usage(
            format!("there is no text to train {kind} on"),
            "name files or folders: bertkit tokenizer train corpus/*.txt --output tok",
        ));
    }
    let wordpiece = *kind == TokenizerType::Wordpiece;
    let form = match args.normalization {
        Some(FormName::None) => None,
        Some(FormName::Nfc) => Some(UnicodeForm::Nfc),
        Some(FormName::Nfd) => Some(UnicodeForm::Nfd),
        Some(FormName::Nfkc) => Some(UnicodeForm::Nfkc),
        Some(FormName::Nfkd) => Some(UnicodeForm::Nfkd),
        None => (*kind == TokenizerType::Unigram).then_some(UnicodeForm::Nfkc),
    };
    let strip_accents = match (args.strip_accents, args.keep_accents) {
        (true, _) => Some(true),
        (_, true) => Some(false),
        _ => None,
    };
    Ok(TrainOptions {
        kind: kind.clone(),
        family: args.family.unwrap_or_else(|| kind.usual_family()),
        vocab_size: args.vocab_size,
        normalization: Normalization {
            lowercase: args.lowercase || (wordpiece && !args.cased),
            strip_accents,
            form,
            transliteration: args
                .transliterate
                .map(|Script::Serbian| Transliteration::Serbian),
        },
        min_frequency: args
            .min_frequency
            .unwrap_or(if kind.learns_words() { 2 } else { 1 }),
        max_length: args.max_length as usize,
        max_memory: args.max_memory,
        seed: args.seed,
    })
}

/// Counts the words of the files.
fn read(args: &TrainArgs, trainer: &mut TokenizerTrainer, work: &mut Work) -> Result<(), CliError> {
    let found = find(&args.paths)?;
    if let Some(first) = found.passed_over.first()
        && !args.quiet
    {
        let files = found.passed_over.len() as u64;
        render::note(&format!(
            "passed over {}, such as `{}`: not named as text",
            plural(files, "file"),
            first.display()
        ));
    }
    let size = |path: &PathBuf| fs::metadata(path).map_or(0, |metadata| metadata.len());
    let total: u64 = found.files.iter().map(size).sum();
    let options = CorpusOptions {
        format: args.format.into(),
        field: args.field.clone(),
        split_sentences: false,
        drop_duplicates: false,
    };
    let mut batch = Batch::default();
    read_sentences(&found.files, &options, &mut |sentence, read| {
        batch.text.push_str(sentence);
        batch.ends.push(batch.text.len());
        if batch.text.len() >= BATCH_BYTES {
            batch.count(trainer)?;
            work.tell(|| format!("read {} of {}", bytes(read), bytes(total)));
        }
        Ok::<(), CliError>(())
    })?;
    batch.count(trainer)
}

/// Concatenated sentences.
#[derive(Default)]
struct Batch {
    text: String,
    ends: Vec<usize>,
}

impl Batch {
    fn count(&mut self, trainer: &mut TokenizerTrainer) -> Result<(), CliError> {
        let mut start = 0;
        let sentences: Vec<&str> = self
            .ends
            .iter()
            .map(|&end| {
                let sentence = &self.text[start..end];
                start = end;
                sentence
            })
            .collect();
        trainer.add(&sentences)?;
        self.text.clear();
        self.ends.clear();
        Ok(())
    }
}

/// Rejects a vocabulary smaller than requested, because the model would be smaller than its author thinks.
fn check_size(trained: &Trained, options: &TrainOptions, args: &TrainArgs) -> Result<(), CliError> {
    let size = trained.tokenizer.vocab_size();
    match options.vocab_size {
        Some(wanted) if size < wanted => {
            let mut hint = format!("ask for fewer with --vocab-size {size}, or give more text");
            if options.min_frequency > 1 {
                hint += &format!(
                    "; pieces must occur {} times together (--min-frequency)",
                    options.min_frequency
                );
            }
            Err(CliError::usage(
                format!(
                    "the text supports a vocabulary of {} for {}, fewer than {}",
                    plural(size as u64, "token"),
                    args.kind,
                    count(wanted as u64)
                ),
                hint,
            ))
        }
        _ => Ok(()),
    }
}

fn report(
    trained: &Trained,
    frequent: &FrequentWords,
    args: &TrainArgs,
    elapsed: Duration,
) -> Result<(), CliError> {
    let sample = trained.sample;
    if sample.is_partial() && !args.quiet {
        render::note(&format!(
            "the text is more than fits into {} of memory: a random sample of {:.1}% of it was \
             counted (--max-memory, --seed)",
            bytes(args.max_memory),
            100.0 * sample.kept as f64 / sample.read as f64
        ));
    }
    let mut lines = format!(
        "tokenizer       {}, {}\n",
        args.kind,
        plural(trained.tokenizer.vocab_size() as u64, "token")
    );
    let usage = trained.usage()?;
    if usage.words > 0 {
        let noun = match &args.kind {
            TokenizerType::Char => "character",
            TokenizerType::Kmer(_) => "piece",
            TokenizerType::Regex(_) => "match",
            _ => "word",
        };
        let words = match (noun, usage.words) {
            ("match", number) if number != 1 => format!("{} matches", count(number)),
            (noun, number) => plural(number, noun),
        };
        lines += &format!(
            "text            {}, {words}; {:.3} tokens each, {:.3}% unknown\n",
            plural(sample.kept, "line"),
            usage.tokens as f64 / usage.words as f64,
            100.0 * usage.unknown as f64 / usage.tokens.max(1) as f64,
        );
    }
    if args.kind.learns_words() && frequent.checked > 0 {
        lines += &format!("frequent words  {}\n", frequent_line(frequent));
    }
    lines += &format!(
        "written         {} in {}\n",
        args.output.display(),
        duration(elapsed.as_secs_f64())
    );
    render::stdout(&lines)?;
    if frequent.expected && !frequent.split.is_empty() && !args.quiet {
        let split = frequent.split.len() as u64;
        render::note(&format!(
            "a vocabulary of this size should hold each of the {} most frequent words, and {} {} \
             in pieces: check the text and the normalisation",
            count(frequent.checked as u64),
            count(split),
            if split == 1 { "is" } else { "are" }
        ));
    }
    Ok(())
}

fn frequent_line(frequent: &FrequentWords) -> String {
    let mut line = format!(
        "{} of the {} most frequent words {} whole tokens",
        count(frequent.whole as u64),
        count(frequent.checked as u64),
        if frequent.whole == 1 { "is" } else { "are" }
    );
    if !frequent.split.is_empty() {
        let shown = frequent.split.iter().take(SPLIT_WORDS_SHOWN);
        let shown: Vec<String> = shown
            .map(|split| {
                format!(
                    "{} ({}, {})",
                    split.word,
                    split.tokens.join(" "),
                    count(split.count)
                )
            })
            .collect();
        line += &format!("; split: {}", shown.join(", "));
        if frequent.split.len() > SPLIT_WORDS_SHOWN {
            line += ", …";
        }
    }
    line
}

/// The output folder of a tokenizer.
struct Target {
    path: PathBuf,
    temporary: PathBuf,
    replaces: bool,
}

impl Target {
    /// # Errors
    /// The folder is not empty and not a tokenizer that may be replaced.
    fn new(path: &Path, overwrite: bool) -> Result<Self, CliError> {
        let shown = path.display();
        let name = path.file_name().ok_or_else(|| {
            CliError::usage(
                format!("`{shown}` is no name for a new folder"),
                "give --output the name of a folder that is to be made",
            )
        })?;
        let mut temporary = std::ffi::OsString::from(".");
        temporary.push(name);
        temporary.push(".tmp");
        let replaces = match fs::read_dir(path) {
            Ok(entries) => {
                let names: Vec<String> = entries
                    .flatten()
                    .map(|entry| entry.file_name().to_string_lossy().into_owned())
                    .collect();
                let foreign = names
                    .iter()
                    .find(|name| !TOKENIZER_FILES.contains(&name.as_str()));
                match foreign {
                    Some(foreign) => {
                        return Err(CliError::usage(
                            format!("`{shown}` holds `{foreign}`, which is no part of a tokenizer"),
                            "choose another folder with --output",
                        ));
                    }
                    None if !names.is_empty() && !overwrite => {
                        return Err(CliError::usage(
                            format!("`{shown}` holds a tokenizer already"),
                            "choose another folder with --output, or replace it with --overwrite",
                        ));
                    }
                    None => true,
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(_) => {
                return Err(CliError::usage(
                    format!("`{shown}` is not a folder that can be read"),
                    "choose another folder with --output",
                ));
            }
        };
        Ok(Self {
            temporary: path.with_file_name(temporary),
            path: path.into(),
            replaces,
        })
    }

    /// Writes to a temporary folder beside the target and renames it: an incomplete tokenizer is never visible.
    fn write(&self, trained: &Trained) -> Result<(), CliError> {
        let failed = |path: &Path| {
            let path = path.to_path_buf();
            move |source| CliError::Write { path, source }
        };
        if self.temporary.exists() {
            fs::remove_dir_all(&self.temporary).map_err(failed(&self.temporary))?;
        }
        let written = trained
            .tokenizer
            .save(&self.temporary)
            .map_err(CliError::from)
            .and_then(|()| {
                if self.replaces {
                    fs::remove_dir_all(&self.path).map_err(failed(&self.path))?;
                }
                fs::rename(&self.temporary, &self.path).map_err(failed(&self.path))
            });
        if written.is_err() {
            // Report the error itself; the next run removes the temporary folder.
            let _ = fs::remove_dir_all(&self.temporary);
        }
        written
    }
}

/// Progress on standard error.
struct Work {
    display: Display,
    bar: Option<ProgressBar>,
    started: Instant,
    last: Instant,
}

impl Work {
    fn new(display: Display) -> Self {
        let now = Instant::now();
        Self {
            display,
            bar: (display == Display::Bar).then(ProgressBar::new_spinner),
            started: now,
            last: now,
        }
    }

    /// Reports progress, rate-limited.
    fn tell(&mut self, text: impl FnOnce() -> String) {
        let between = match self.display {
            Display::Quiet => return,
            Display::Bar => Duration::from_millis(100),
            Display::Lines => Duration::from_secs(10),
        };
        if self.last.elapsed() < between {
            return;
        }
        self.last = Instant::now();
        match &self.bar {
            Some(bar) => {
                bar.set_message(text());
                bar.tick();
            }
            None => render::stderr(&format!("{}\n", text())),
        }
    }

    fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// Parses a size in bytes: `500MB`, `1.5GB`, `2GiB`.
fn memory(text: &str) -> Result<u64, String> {
    let split = text
        .find(|letter: char| letter.is_ascii_alphabetic())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let unit = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1.0,
        "k" | "kb" => 1e3,
        "m" | "mb" => 1e6,
        "g" | "gb" => 1e9,
        "kib" => 1024.0,
        "mib" => 1024.0 * 1024.0,
        "gib" => 1024.0 * 1024.0 * 1024.0,
        _ => return Err("expected a size such as 500MB or 2GB".into()),
    };
    match number.trim().parse::<f64>() {
        Ok(number) if number.is_finite() && number * unit >= 1e6 => Ok((number * unit) as u64),
        Ok(number) if number.is_finite() => Err("expected at least 1MB".into()),
        _ => Err("expected a size such as 500MB or 2GB".into()),
    }
}

impl From<TokenizerError> for CliError {
    fn from(error: TokenizerError) -> Self {
        Self::Train(error.into())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn sizes_have_units() {
        assert_eq!(memory("500MB"), Ok(500_000_000));
        assert_eq!(memory("1.5gb"), Ok(1_500_000_000));
        assert_eq!(memory("2GiB"), Ok(2 << 30));
        assert_eq!(memory("3000000"), Ok(3_000_000));
        for wrong in ["", "GB", "-1GB", "1TB", "12", "nan", "inf"] {
            assert!(memory(wrong).is_err(), "{wrong}");
        }
    }
}
