//! `bertkit fill-mask`: predicts masked tokens, or measures the accuracy on masked tokens.

use std::path::PathBuf;

use bertkit_data::columns::Column;
use bertkit_data::examples::{Examples, Selection};
use bertkit_data::sources::read_table;
use bertkit_data::tokenizer::TokenizerSpec;
use bertkit_training::{Candidate, MaskEvery, MaskFiller, MaskedScore};
use clap::Args;
use serde_json::json;

use crate::error::CliError;
use crate::format::{count, plural};
use crate::process;
use crate::progress::{Display, RowProgress};
use crate::reading::{MachineFlags, ProductFlags, ReadFlags};
use crate::render;

const EXAMPLES: &str = "\
Examples:
  bertkit fill-mask runs/mlm --text \"the battery is [MASK] .\"
  bertkit fill-mask runs/mlm --data held_out.csv --text-column text
  bertkit fill-mask models/rxnfp --tokenizer regex:smiles.txt --data reactions.tsv \\
      --text-column rxn --rows 40 --first 5 --every 17

With --data, single tokens are masked in turn and the model is asked for them: its accuracy, and the
mean of -log p. Compare two models on the same rows with the same --first and --every.";

/// Ask a pretrained model what stands behind a mask, or how often it knows
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct FillMaskArgs {
    /// A run directory of `pretrain`, or a model folder with a masked-LM head
    model: PathBuf,
    /// A text with one mask or several, spelled as the tokenizer does, such as `[MASK]`; may be
    /// repeated
    #[arg(long, value_name = "TEXT", help_heading = "Texts")]
    #[arg(allow_hyphen_values = true, required_unless_present = "data")]
    text: Vec<String>,
    /// How many tokens are listed for each mask
    #[arg(long, value_name = "N", default_value_t = 5, help_heading = "Texts")]
    #[arg(value_parser = clap::value_parser!(u16).range(1..))]
    top: u16,
    /// A table of texts to mask tokens of: CSV, TSV, JSON Lines or Parquet
    #[arg(long, value_name = "FILE", help_heading = "Table", conflicts_with_all = ["text", "top"])]
    data: Option<PathBuf>,
    /// Column with the text: its name, or its number from 1
    #[arg(long, value_name = "COLUMN", default_value = "text")]
    #[arg(help_heading = "Table", requires = "data")]
    text_column: String,
    /// Only the first N rows
    #[arg(long, value_name = "N", help_heading = "Table", requires = "data")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    rows: Option<u32>,
    /// The first token that is masked; the one that starts the input is number 0 and never masked
    #[arg(long, value_name = "N", default_value_t = 1, help_heading = "Table")]
    #[arg(requires = "data", value_parser = clap::value_parser!(u32).range(1..))]
    first: u32,
    /// From one masked token to the next
    #[arg(long, value_name = "N", default_value_t = 7, help_heading = "Table")]
    #[arg(requires = "data", value_parser = clap::value_parser!(u32).range(1..))]
    every: u32,
    #[command(flatten, next_help_heading = "Table")]
    read: ReadFlags,
    /// A folder with a tokenizer, or a rule: char, kmer:K, kmer:K:stride=S, regex:FILE [default: the
    /// model's]
    #[arg(long, value_name = "DIR", help_heading = "Model")]
    tokenizer: Option<TokenizerSpec>,
    /// Print JSON: an object for each mask, or one with the score
    #[arg(long, help_heading = "Output")]
    json: bool,
    /// No progress and no notes: only errors, and the result
    #[arg(long, short, help_heading = "Output")]
    quiet: bool,
    #[command(flatten)]
    products: ProductFlags,
    #[command(flatten)]
    machine: MachineFlags,
}

/// Runs the command.
///
/// # Errors
/// A model or texts that cannot be used.
pub fn run(args: &FillMaskArgs) -> Result<(), CliError> {
    process::use_threads(args.machine.threads)?;
    process::leave_on_interrupt()?;
    let filler = MaskFiller::open(
        &args.model,
        args.tokenizer.as_ref(),
        args.machine.chosen(args.quiet),
    )?
    .in_precision(args.products.precision)?;
    let Some(data) = &args.data else {
        for text in &args.text {
            let masks = filler.fill(text, usize::from(args.top))?;
            render::stdout(&filled(text, &masks, args.json))?;
        }
        return Ok(());
    };
    let table = read_table(data, &args.read.options(true)?)?;
    let selection = Selection {
        label: None,
        ..Selection::new(Column::from(args.text_column.as_str()), "")
    };
    let examples = Examples::unlabelled(&table, &selection)?;
    let most = args.rows.map_or(usize::MAX, |rows| rows as usize);
    let texts: Vec<&str> = examples
        .rows
        .iter()
        .take(most)
        .map(|row| row.text.as_str())
        .collect();
    let places = MaskEvery {
        first: args.first as usize,
        every: args.every as usize,
    };
    let mut progress = RowProgress::new(Display::choose(args.quiet));
    let score = filler.score(&texts, places, &mut |done| progress.done(done, texts.len()))?;
    drop(progress);
    if score.truncated > 0 && !args.quiet {
        let cut = plural(score.truncated as u64, "text");
        render::note(&format!("cut to what the model reads: {cut}"));
    }
    if score.masked == 0 {
        return Err(CliError::usage(
            format!(
                "no text of `{}` has a token number {}",
                data.display(),
                args.first
            ),
            "mask earlier tokens with --first 1, or look at the column with --text-column",
        ));
    }
    render::stdout(&scored(&score, texts.len(), args.json))
}

fn filled(text: &str, masks: &[Vec<Candidate>], as_json: bool) -> String {
    if as_json {
        let lines = masks.iter().enumerate().map(|(mask, candidates)| {
            json!({"text": text, "mask": mask + 1, "candidates": candidates}).to_string() + "\n"
        });
        return lines.collect();
    }
    let mut out = format!("{text}\n");
    for (mask, candidates) in masks.iter().enumerate() {
        if masks.len() > 1 {
            out += &format!("mask {}\n", mask + 1);
        }
        for candidate in candidates {
            out += &format!("{:.4}\t{}\n", candidate.probability, candidate.token);
        }
    }
    out
}

fn scored(score: &MaskedScore, texts: usize, as_json: bool) -> String {
    if as_json {
        return format!("{}\n", json!(score));
    }
    let interval = score
        .interval
        .map_or_else(String::new, |(low, high)| format!(" [{low:.4}, {high:.4}]"));
    format!(
        "right     {} of {} masked tokens, in {}\naccuracy  {:.4}{interval}\nloss      {:.4}\n",
        count(score.right as u64),
        count(score.masked as u64),
        plural(texts as u64, "text"),
        score.accuracy.unwrap_or(f64::NAN),
        score.loss.unwrap_or(f64::NAN),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(token: &str, probability: f64) -> Candidate {
        Candidate {
            token: token.into(),
            id: 7,
            probability,
        }
    }

    #[test]
    fn candidates_are_lines_and_masks_are_numbered_where_there_are_several() {
        let one = vec![vec![candidate("good", 0.5), candidate("bad", 0.25)]];
        assert_eq!(
            filled("it is [MASK]", &one, false),
            "it is [MASK]\n0.5000\tgood\n0.2500\tbad\n"
        );
        let two = [one.clone(), one].concat();
        assert!(filled("[MASK] [MASK]", &two, false).contains("mask 2\n0.5000\tgood\n"));
        assert_eq!(filled("[MASK] [MASK]", &two, true).lines().count(), 2);
    }

    #[test]
    fn a_score_tells_what_it_counts() {
        let score = MaskedScore {
            masked: 450,
            right: 410,
            accuracy: Some(410.0 / 450.0),
            interval: Some((0.88, 0.94)),
            loss: Some(0.3),
            truncated: 0,
        };
        assert_eq!(
            scored(&score, 40, false),
            "right     410 of 450 masked tokens, in 40 texts\n\
             accuracy  0.9111 [0.8800, 0.9400]\nloss      0.3000\n"
        );
        assert!(scored(&score, 40, true).contains("\"right\":410"));
    }
}
