//! `bertkit eval` for text models.

use bertkit_data::DataError;
use bertkit_data::error::LabelError;
use bertkit_training::{EvalOptions, Evaluation, Predictor, TrainError, evaluate};

use super::{EvalArgs, keep, perturbed};
use crate::error::CliError;
use crate::process;
use crate::progress::{Display, RowProgress};
use crate::render;

/// Runs the evaluation.
pub(super) fn run(args: &EvalArgs) -> Result<(), CliError> {
    process::use_threads(args.machine.threads)?;
    process::leave_on_interrupt()?;
    let predictor = Predictor::open(&args.run, args.machine.chosen(args.quiet))?
        .in_precision(args.products.precision)?;
    args.read.check_format(predictor.info().relations)?;
    let options = options(args, predictor.info().header)?;
    let mut progress = RowProgress::new(Display::choose(args.quiet));
    let evaluation = evaluate(&predictor, &options, &mut |done, total| {
        progress.done(done, total)
    })
    .map_err(in_terms_of_eval)?;
    drop(progress);
    if !args.quiet {
        predictor
            .notes()
            .iter()
            .chain(&evaluation.notes)
            .for_each(|note| render::note(note));
    }
    if args.json {
        render::stdout(&format!("{}\n", evaluation.to_json()))?;
    } else {
        render::stdout(&as_text(&evaluation))?;
    }
    keep(args, &evaluation.written);
    Ok(())
}

/// Adapts the hint of an error that would be different for training.
fn in_terms_of_eval(error: TrainError) -> CliError {
    match error {
        TrainError::Data(source @ DataError::Label(LabelError::NotANumber { .. })) => {
            CliError::Hinted {
                source: Box::new(source),
                hint:
                    "this model gives numbers: correct the label, or name their column with --label"
                        .into(),
            }
        }
        other => other.into(),
    }
}

/// `trained_header` states whether the training file had a header.
fn options(args: &EvalArgs, trained_header: bool) -> Result<EvalOptions, CliError> {
    Ok(EvalOptions {
        data: args.data.clone(),
        read: args.read.options(args.header || trained_header)?,
        text: args.text.clone(),
        text_pair: args.text_pair.clone(),
        label: args.label.clone(),
        group: args.group.clone(),
        label_separator: args.label_separator.clone(),
        missing: args.missing.into(),
        strict: args.strict,
        bootstrap: args.bootstrap(),
        threshold: args.threshold,
        perturbations: args.perturb.clone(),
        name: args.name.clone(),
        fold: None,
    })
}

fn as_text(evaluation: &Evaluation) -> String {
    let mut text = evaluation.report.table();
    if let Some(calibration) = &evaluation.calibration {
        text += &format!("\n{}", calibration.summary());
    }
    if let Some(coverage) = &evaluation.coverage {
        text += &format!("\n{}", coverage.table());
    }
    text += &perturbed(&evaluation.perturbed, "texts");
    if let Some((threshold, origin)) = &evaluation.threshold {
        text += &format!("\nthreshold {threshold:.4}: {origin}\n");
    }
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use bertkit_evaluation::{BootstrapOptions, ClassPredictions, Predictions};

    fn evaluation() -> Evaluation {
        let predictions = Predictions::Classes(ClassPredictions::from_probabilities(
            vec!["ham".into(), "spam".into()],
            vec![0, 1],
            vec![0.9, 0.1, 0.2, 0.8],
            Some(1),
        ));
        Evaluation {
            report: bertkit_evaluation::evaluate(&predictions, &BootstrapOptions::none()),
            threshold: Some((0.5, "given".into())),
            thresholds: Vec::new(),
            label_separator: None,
            calibration: bertkit_evaluation::calibration(&predictions, 15).ok(),
            coverage: bertkit_evaluation::coverage(&predictions).ok(),
            perturbed: Vec::new(),
            notes: Vec::new(),
            rows: Vec::new(),
            written: None,
        }
    }

    #[test]
    fn the_report_as_text_ends_with_the_threshold() {
        let text = as_text(&evaluation());
        assert!(text.ends_with("\nthreshold 0.5000: given\n"));
        assert!(text.contains("\ncalibration: expected error ") && text.contains("\nabstention: "));
    }
}
