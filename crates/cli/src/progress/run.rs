//! Progress of a training run.

use std::time::Instant;

use bertkit_training::{EvaluationReport, Event, Observer, StepReport, Summary};
use indicatif::ProgressBar;

use super::pace::{Pace, step_line};
use super::{BETWEEN_LINES, Display, style};
use crate::format::{count, plural};
use crate::render;

/// Number of metrics in a line, besides the loss.
pub const SHOWN_METRICS: usize = 4;

/// Number of pretraining metrics in a line: enough for all but the terms of the loss.
pub const SHOWN_OF_PRETRAINING: usize = 6;

/// Shows the progress of a run.
pub struct Progress {
    display: Display,
    /// The noun for an input.
    item: &'static str,
    shown_metrics: usize,
    bar: Option<ProgressBar>,
    last_line: Option<Instant>,
    last_busy: Instant,
    pace: Pace,
}

impl Progress {
    /// Shows a fine-tuning run.
    pub fn new(display: Display) -> Self {
        Self {
            display,
            item: "row",
            shown_metrics: SHOWN_METRICS,
            bar: None,
            last_line: None,
            last_busy: Instant::now(),
            pace: Pace::default(),
        }
    }

    /// Shows a pretraining run.
    pub fn of_pretraining(display: Display) -> Self {
        let mut progress = Self::new(display);
        progress.item = "sequence";
        progress.shown_metrics = SHOWN_OF_PRETRAINING;
        progress
    }

    /// Prints a line, above the bar if there is one.
    fn line(&self, text: &str) {
        match (&self.bar, self.display) {
            (_, Display::Quiet) => {}
            (Some(bar), _) => bar.suspend(|| render::stderr(&format!("{text}\n"))),
            (None, _) => render::stderr(&format!("{text}\n")),
        }
    }

    fn started(&mut self, summary: &Summary, from_step: u64) {
        for line in summary_lines(summary) {
            self.line(&line);
        }
        if from_step > 0 {
            self.line(&format!("continuing after step {}", count(from_step)));
        }
        self.pace = Pace::new(from_step == 0);
        if let Some(spinner) = self.bar.take() {
            spinner.finish_and_clear();
        }
        if self.display == Display::Bar {
            let bar = ProgressBar::new(summary.steps).with_position(from_step);
            bar.set_style(style("{bar:16} step {pos}/{len}  {wide_msg}"));
            bar.tick();
            self.bar = Some(bar);
        }
    }

    fn step(&mut self, report: &StepReport) {
        self.pace.update(report);
        if let Some(bar) = &self.bar {
            bar.set_message(self.pace.shown(report));
            // With a time budget, the estimated number of steps changes with each step.
            bar.set_length(report.steps);
            bar.set_position(report.step);
            return;
        }
        if self.is_line_due() || report.step == report.steps {
            self.last_line = Some(Instant::now());
            self.line(&step_line(report, &self.pace));
        }
    }

    fn is_line_due(&self) -> bool {
        self.last_line
            .is_none_or(|last| last.elapsed() >= BETWEEN_LINES)
    }

    /// Reports slow work before the first step or between steps.
    fn busy(&mut self, what: &str) {
        if self.display == Display::Bar {
            let bar = self.bar.get_or_insert_with(|| {
                let spinner = ProgressBar::new_spinner();
                spinner.set_style(style("{spinner} {wide_msg}"));
                spinner
            });
            bar.set_message(what.to_owned());
            bar.tick();
        } else if self.last_busy.elapsed() >= BETWEEN_LINES {
            self.last_busy = Instant::now();
            self.line(what);
        }
    }
}

impl Observer for Progress {
    fn event(&mut self, event: &Event) {
        if self.display == Display::Quiet {
            return;
        }
        match event {
            Event::Note(text) => match &self.bar {
                Some(bar) => bar.suspend(|| render::note(text)),
                None => render::note(text),
            },
            Event::Started { summary, from_step } => self.started(summary, *from_step),
            Event::Step(report) => self.step(report),
            Event::Evaluating { rows } => {
                if let Some(bar) = &self.bar {
                    bar.set_message(format!("evaluating {}", plural(*rows as u64, self.item)));
                }
            }
            Event::Evaluated(report) => self.line(&evaluation_line(report, self.shown_metrics)),
            Event::Busy(what) => self.busy(what),
            Event::Probed(report) => self.line(&format!(
                "step {}  probe: {}",
                count(report.step),
                metrics(&report.metrics, self.shown_metrics)
            )),
            Event::Checkpoint(path) => {
                if let Some(bar) = &self.bar {
                    bar.set_message(format!("wrote {}", path.display()));
                }
            }
            Event::StoppedEarly(reason) => self.line(&format!("stopped early: {reason}")),
            Event::Finished { .. } => {
                if let Some(bar) = self.bar.take() {
                    bar.finish_and_clear();
                }
            }
        }
    }
}

impl Drop for Progress {
    /// Removes the bar when a run ends in an error.
    fn drop(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

/// The lines of a summary, aligned.
pub fn summary_lines(summary: &Summary) -> Vec<String> {
    let names = summary.lines.iter().map(|(name, _)| name.chars().count());
    let width = names.max().unwrap_or(0);
    let line = |(name, text): &(String, String)| format!("{name:<width$}  {text}");
    summary.lines.iter().map(line).collect()
}

fn evaluation_line(report: &EvaluationReport, shown: usize) -> String {
    let best = if report.is_best {
        "  (best so far)"
    } else {
        ""
    };
    format!(
        "step {}  epoch {:.2}  validation: {}{best}",
        count(report.step),
        report.epoch,
        metrics(&report.metrics, shown)
    )
}

/// `f1 0.8123  roc_auc undefined  loss 0.4021`: the first `shown` metrics and the loss.
///
/// The run directory has all of them.
pub fn metrics(metrics: &[(String, Option<f64>)], shown: usize) -> String {
    let (first, rest) = metrics.split_at(metrics.len().min(shown));
    let loss = rest.iter().filter(|(name, _)| name == "loss");
    let shown = first.iter().chain(loss).map(|(name, value)| match value {
        Some(value) => format!("{name} {value:.4}"),
        None => format!("{name} undefined"),
    });
    shown.collect::<Vec<_>>().join("  ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evaluations_show_what_chooses_the_undefined_and_the_loss() {
        let named = |name: &str, value| (name.to_owned(), value);
        let report = EvaluationReport {
            step: 1200,
            epoch: 2.0,
            metrics: vec![
                named("f1", Some(0.81234)),
                named("roc_auc", None),
                named("accuracy", Some(0.75)),
                named("precision", Some(0.5)),
                named("recall", Some(1.0)),
                named("loss", Some(0.25)),
            ],
            is_best: true,
        };
        assert_eq!(
            evaluation_line(&report, SHOWN_METRICS),
            "step 1,200  epoch 2.00  validation: f1 0.8123  roc_auc undefined  accuracy 0.7500  \
             precision 0.5000  loss 0.2500  (best so far)"
        );
    }

    #[test]
    fn summaries_are_aligned() {
        let line = |name: &str, text: &str| (name.to_owned(), text.to_owned());
        let summary = Summary {
            lines: vec![line("data", "900 rows"), line("device", "cpu")],
            train_rows: 900,
            valid_rows: 100,
            parameters: 4_385_920,
            steps: 171,
            tokens_per_epoch: 40_000,
        };
        assert_eq!(summary_lines(&summary), ["data    900 rows", "device  cpu"]);
    }
}
