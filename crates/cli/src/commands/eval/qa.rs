//! `bertkit eval` for question-answering models.

use bertkit_training::{
    QuestionAnswerer, QuestionEvalOptions, QuestionEvaluation, QuestionGroup, evaluate_questions,
};

use super::{EvalArgs, perturbed};
use crate::error::CliError;
use crate::process;
use crate::progress::{Display, RowProgress};
use crate::render;

/// Runs the evaluation.
pub(super) fn run(args: &EvalArgs) -> Result<(), CliError> {
    let group = group(args)?;
    process::use_threads(args.machine.threads)?;
    process::leave_on_interrupt()?;
    let mut answerer = QuestionAnswerer::open(&args.run, args.machine.chosen(args.quiet))?
        .in_precision(args.products.precision)?;
    if let Some(threshold) = args.null_threshold {
        answerer.set_null_threshold(threshold);
    }
    let columns = args.questions.clone();
    let options = QuestionEvalOptions {
        data: args.data.clone(),
        read: args.read.options(args.header || answerer.info().header)?,
        question: columns.question,
        context: columns.context,
        answer: columns.answer,
        start: columns.start,
        id: columns.id,
        strict: args.strict,
        pool_snippets: args.pool_snippets,
        question_type: args.question_type.map(Into::into),
        list_threshold: args
            .list_threshold
            .unwrap_or(QuestionEvalOptions::LIST_THRESHOLD),
        group,
        bootstrap: args.bootstrap(),
        perturbations: args.perturb.clone(),
        name: args.name.clone(),
        fold: None,
    };
    let mut progress = RowProgress::new(Display::choose(args.quiet));
    let evaluation = evaluate_questions(&answerer, &options, &mut |done, total| {
        progress.done(done, total)
    })?;
    drop(progress);
    if !args.quiet {
        let notes = answerer.notes().iter().chain(&evaluation.notes);
        notes.for_each(|note| render::note(note));
    }
    match args.json {
        true => render::stdout(&format!("{}\n", evaluation.to_json()))?,
        false => render::stdout(&as_text(&evaluation))?,
    }
    if let (Some([report, rows, answers]), false) = (&evaluation.written, args.quiet) {
        render::note(&format!(
            "kept as `{}`, `{}` and `{}`",
            report.display(),
            rows.display(),
            answers.display()
        ));
    }
    Ok(())
}

/// The unit of resampling; returns an error for flags that apply to texts and labels only.
fn group(args: &EvalArgs) -> Result<Option<QuestionGroup>, CliError> {
    let of_labels = [
        ("--text", args.text.is_some()),
        ("--text-pair", args.text_pair.is_some()),
        ("--label", args.label.is_some()),
        ("--label-separator", args.label_separator.is_some()),
        ("--threshold", args.threshold.is_some()),
    ];
    if let Some((flag, _)) = of_labels.iter().find(|(_, given)| *given) {
        return Err(CliError::usage(
            format!("{flag} is about texts with labels, but this model answers questions"),
            "leave it out; columns of questions have --question, --context, --answer, --start and --id",
        ));
    }
    match args.group.as_deref() {
        None => Ok(None),
        Some("context") => Ok(Some(QuestionGroup::Context)),
        Some("title") => Ok(Some(QuestionGroup::Title)),
        Some(other) => Err(CliError::usage(
            format!("questions cannot be grouped by `{other}`"),
            "group them with --group context or --group title",
        )),
    }
}

fn as_text(evaluation: &QuestionEvaluation) -> String {
    let mut text = evaluation.report.table();
    if let Some((threshold, origin)) = &evaluation.null_threshold {
        text += &format!("\nno answer above a score difference of {threshold:.4}: {origin}\n");
    }
    text + &perturbed(&evaluation.perturbed, "questions")
}
