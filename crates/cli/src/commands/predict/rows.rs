//! `bertkit predict` for models that read the rows of a table.

use std::io;
use std::path::PathBuf;

use bertkit_data::sources::{read_table, read_table_from};
use bertkit_training::OpenRowModel;

use super::PredictArgs;
use super::output::{Target, note_left_out, with_columns};
use crate::error::CliError;
use crate::format::{count, plural};
use crate::process;
use crate::progress::{Display, RowProgress};
use crate::render;

/// Predicts the rows of `--input` with the model opened by `open`.
pub(super) fn run(args: &PredictArgs, open: OpenRowModel) -> Result<(), CliError> {
    let input = input(args)?;
    let target = Target::choose(args)?;
    process::use_threads(args.machine.threads)?;
    process::leave_on_interrupt()?;
    let mut model = open(&args.run, args.machine.chosen(args.quiet))?;
    model.set_precision(args.products.precision)?;
    if !args.quiet {
        model.notes().iter().for_each(|note| render::note(note));
    }
    let options = args.read.options(args.header || model.header())?;
    let table = match input.to_str() {
        Some("-") => read_table_from(io::stdin().lock(), "standard input", &options)?,
        _ => read_table(&input, &options)?,
    };
    let total = table.rows.len();
    let mut progress = RowProgress::new(Display::choose(args.quiet));
    let found = model.predict(&table, &mut |done| progress.done(done, total))?;
    drop(progress);
    note_left_out(&table, args.quiet);
    let (columns, rows, replaced) = with_columns(table, found.columns, found.rows.into_iter());
    if !replaced.is_empty() && !args.quiet {
        let names: Vec<_> = replaced.iter().map(|name| format!("`{name}`")).collect();
        let names = names.join(", ");
        render::note(&format!("the table's own {names} replaced by new ones"));
    }
    target.write(&columns, rows)?;
    if args.quiet {
        return Ok(());
    }
    if found.truncated > 0 {
        let limit = count(found.max_length as u64);
        let rows = plural(found.truncated as u64, "row");
        render::note(&format!(
            "cut to the model's limit of {limit} tokens: {rows}"
        ));
    }
    if let Some(path) = &target.path {
        let rows = plural(total as u64, "row");
        render::note(&format!("wrote {rows} to `{}`", path.display()));
    }
    Ok(())
}

/// The table to predict; returns an error for flags that do not apply to such models.
fn input(args: &PredictArgs) -> Result<PathBuf, CliError> {
    let unused = [
        ("--text", !args.text.is_empty()),
        ("--text-pair", !args.text_pair.is_empty()),
        ("--text-column", args.text_column.is_some()),
        ("--text-pair-column", args.text_pair_column.is_some()),
    ];
    if let Some((flag, _)) = unused.iter().find(|(_, given)| *given) {
        return Err(CliError::usage(
            format!("{flag} is about single texts, but this model reads the rows of a table"),
            "name the table with --input FILE; its columns are those of training",
        ));
    }
    args.read.check_format(false)?;
    args.input.clone().ok_or_else(|| {
        CliError::usage(
            "this model reads the rows of a table, but there is none",
            "name the table with --input FILE; `-` is standard input",
        )
    })
}
