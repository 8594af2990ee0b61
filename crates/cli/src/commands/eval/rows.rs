//! `bertkit eval` for models that read the rows of a table.

use bertkit_training::{OpenRowModel, RowEvalOptions};

use super::{EvalArgs, keep, perturbed};
use crate::error::CliError;
use crate::process;
use crate::progress::{Display, RowProgress};
use crate::render;

/// Evaluates the model opened by `open`.
pub(super) fn run(args: &EvalArgs, open: OpenRowModel) -> Result<(), CliError> {
    check(args)?;
    process::use_threads(args.machine.threads)?;
    process::leave_on_interrupt()?;
    let mut model = open(&args.run, args.machine.chosen(args.quiet))?;
    model.set_precision(args.products.precision)?;
    let options = RowEvalOptions {
        data: args.data.clone(),
        read: args.read.options(args.header || model.header())?,
        label: args.label.clone(),
        group: args.group.clone(),
        missing: args.missing.into(),
        bootstrap: args.bootstrap(),
        perturbations: args.perturb.clone(),
        name: args.name.clone(),
        fold: None,
    };
    let mut progress = RowProgress::new(Display::choose(args.quiet));
    let evaluation = model.evaluate(&options, &mut |done, total| progress.done(done, total))?;
    drop(progress);
    if !args.quiet {
        let notes = model.notes().iter().chain(&evaluation.notes);
        notes.for_each(|note| render::note(note));
    }
    if args.json {
        render::stdout(&format!("{}\n", evaluation.to_json()))?;
    } else {
        let text = evaluation.report.table() + &perturbed(&evaluation.perturbed, "rows");
        render::stdout(&text)?;
    }
    keep(args, &evaluation.written);
    Ok(())
}

/// Returns an error for flags that do not apply to such models.
fn check(args: &EvalArgs) -> Result<(), CliError> {
    args.read.check_format(false)?;
    let unused = [
        ("--text", args.text.is_some()),
        ("--text-pair", args.text_pair.is_some()),
        ("--label-separator", args.label_separator.is_some()),
        ("--threshold", args.threshold.is_some()),
        ("--strict", args.strict),
    ];
    match unused.iter().find(|(_, given)| *given) {
        None => Ok(()),
        Some((flag, _)) => Err(CliError::usage(
            format!(
                "{flag} has no meaning for this model, which reads the columns that it was trained on"
            ),
            "leave it out",
        )),
    }
}
