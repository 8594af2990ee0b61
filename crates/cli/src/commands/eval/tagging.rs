//! `bertkit eval` for tagging models.

use bertkit_training::{TagEvalOptions, TagEvaluation, Tagger, evaluate_tags};

use super::{EvalArgs, keep, perturbed};
use crate::error::CliError;
use crate::process;
use crate::progress::{Display, RowProgress};
use crate::render;

/// Runs the evaluation.
pub(super) fn run(args: &EvalArgs) -> Result<(), CliError> {
    let by_document = check(args)?;
    let columns = args.tags.columns(&args.read)?;
    process::use_threads(args.machine.threads)?;
    process::leave_on_interrupt()?;
    let tagger = Tagger::open(&args.run, args.machine.chosen(args.quiet))?
        .in_precision(args.products.precision)?;
    let options = TagEvalOptions {
        data: args.data.clone(),
        columns,
        by_document,
        strict: args.strict,
        bootstrap: args.bootstrap(),
        perturbations: args.perturb.clone(),
        name: args.name.clone(),
        fold: None,
    };
    let mut progress = RowProgress::new(Display::choose(args.quiet));
    let evaluation = evaluate_tags(&tagger, &options, &mut |done, total| {
        progress.done(done, total)
    })?;
    drop(progress);
    if !args.quiet {
        let notes = tagger.notes().iter().chain(&evaluation.notes);
        notes.for_each(|note| render::note(note));
    }
    if args.json {
        render::stdout(&format!("{}\n", evaluation.to_json()))?;
    } else {
        render::stdout(&as_text(&evaluation))?;
    }
    keep(args, &evaluation.written);
    Ok(())
}

fn as_text(evaluation: &TagEvaluation) -> String {
    evaluation.report.table() + &perturbed(&evaluation.perturbed, "sentences")
}

/// Whether whole documents are resampled; returns an error for flags that apply to texts only.
fn check(args: &EvalArgs) -> Result<bool, CliError> {
    let of_texts = [
        ("--text", args.text.is_some()),
        ("--text-pair", args.text_pair.is_some()),
        ("--label", args.label.is_some()),
        ("--label-separator", args.label_separator.is_some()),
        ("--header", args.header),
        ("--threshold", args.threshold.is_some()),
    ];
    if let Some((flag, _)) = of_texts.iter().find(|(_, given)| *given) {
        return Err(CliError::usage(
            format!("{flag} is about texts with a label each, but this model tags words"),
            "leave it out; columns are named with --word-column and --tag-column",
        ));
    }
    match args.group.as_deref() {
        None => Ok(false),
        Some("document") => Ok(true),
        Some(other) => Err(CliError::usage(
            format!("`{other}` is nothing that tagged sentences are grouped by"),
            "use --group document, or leave it out",
        )),
    }
}
