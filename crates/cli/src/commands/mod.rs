//! The commands, one per file, each with its flags and a `run`.

mod bench;
mod compare;
mod corpus;
mod crossval;
mod devices;
mod eval;
mod fill_mask;
mod finetune;
mod predict;
mod pretrain;
mod tokenizer;

use clap::{Parser, Subcommand};

use crate::error::CliError;

const EXAMPLE: &str = "\
From plain text and a table of texts and labels to predictions:
  bertkit tokenizer train corpus --vocab-size 8000 --output tok
  bertkit pretrain --corpus corpus --tokenizer tok --config configs/models/tiny.toml --output runs/lm
  bertkit finetune --model runs/lm --train train.csv --output runs/first
  bertkit eval runs/first --data test.csv
  bertkit predict runs/first --text \"the picture is sharp and it was easy to set up\"

`finetune` starts from a run of `pretrain`, from a model folder in Hugging Face's layout, or, with
--config configs/models/tiny.toml, from random weights. What it makes, runs/first/model, loads in
transformers too.

Read on: `bertkit pretrain --help`, `bertkit finetune --help`, and README.md for a worked example.";

/// Pretrain and fine-tune BERT-family encoders on your texts, measure how good they are, and predict.
#[derive(Debug, Parser)]
#[command(name = "bertkit", version, after_help = EXAMPLE, max_term_width = 100)]
#[command(arg_required_else_help = true, disable_help_subcommand = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Pretrain(Box<pretrain::PretrainArgs>),
    Finetune(Box<finetune::FinetuneArgs>),
    Crossval(Box<crossval::CrossvalArgs>),
    Eval(Box<eval::EvalArgs>),
    Compare(compare::CompareArgs),
    Predict(Box<predict::PredictArgs>),
    FillMask(Box<fill_mask::FillMaskArgs>),
    Devices(devices::DevicesArgs),
    Bench(Box<bench::BenchArgs>),
    Tokenizer(tokenizer::TokenizerArgs),
    Corpus(corpus::CorpusArgs),
}

impl Cli {
    /// Runs the command.
    ///
    /// # Errors
    /// The error that stopped the command; [`crate::render::report`] prints it and returns the exit code.
    pub fn run(self) -> Result<(), CliError> {
        match self.command {
            Command::Pretrain(args) => pretrain::run(&args),
            Command::Finetune(args) => finetune::run(&args),
            Command::Crossval(args) => crossval::run(&args),
            Command::Eval(args) => eval::run(&args),
            Command::Compare(args) => compare::run(&args),
            Command::Predict(args) => predict::run(&args),
            Command::FillMask(args) => fill_mask::run(&args),
            Command::Devices(args) => devices::run(&args),
            Command::Bench(args) => bench::run(&args),
            Command::Tokenizer(args) => tokenizer::run(&args),
            Command::Corpus(args) => corpus::run(&args),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_commands_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_flag_has_a_help_text() {
        for command in Cli::command().get_subcommands() {
            for argument in command.get_arguments() {
                assert!(
                    argument.get_help().is_some(),
                    "{} {}",
                    command.get_name(),
                    argument
                );
            }
        }
    }
}
