//! Progress of a run on standard error: a bar on a terminal, a line every ten seconds elsewhere, nothing if quiet.

use std::time::{Duration, Instant};

use bertkit_training::{EvaluationReport, Event, Observer, StepReport, Summary};
use indicatif::{ProgressBar, ProgressStyle};

use crate::format::{count, duration, plural};
use crate::render;

/// Time between two lines where there is no bar.
const BETWEEN_LINES: Duration = Duration::from_secs(10);

/// Weight per step of the exponential moving average: it covers about the last 20 steps.
const SMOOTHING: f64 = 0.95;

/// Number of metrics in a line, besides the loss.
pub const SHOWN_METRICS: usize = 4;

/// Number of pretraining metrics in a line: enough for all but the terms of the loss.
pub const SHOWN_OF_PRETRAINING: usize = 6;

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Display {
    /// No progress.
    Quiet,
    /// Lines.
    Lines,
    /// A bar, with lines above it.
    Bar,
}

impl Display {
    /// A bar on a terminal, else lines; nothing if `quiet`.
    pub fn choose(quiet: bool) -> Self {
        match (quiet, render::stderr_is_terminal()) {
            (true, _) => Self::Quiet,
            (false, true) => Self::Bar,
            (false, false) => Self::Lines,
        }
    }
}

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
        self.pace = Pace {
            from_start: from_step == 0,
            ..Pace::default()
        };
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

/// Loss, speed and remaining time, averaged over the last steps.
#[derive(Debug, Default)]
struct Pace {
    /// Whether the first report counts from the start of the run and not from a checkpoint.
    from_start: bool,
    last_seconds: Option<f64>,
    weight: f64,
    loss: f64,
    timed: f64,
    seconds: f64,
    tokens: f64,
}

impl Pace {
    fn update(&mut self, report: &StepReport) {
        // A loss that is not a number would never leave the average; the run ends on it anyway.
        if report.loss.is_finite() {
            self.loss = SMOOTHING * self.loss + (1.0 - SMOOTHING) * report.loss;
            self.weight = SMOOTHING * self.weight + (1.0 - SMOOTHING);
        }
        let before = self.last_seconds.or(self.from_start.then_some(0.0));
        if let Some(before) = before {
            self.timed = SMOOTHING * self.timed + 1.0;
            self.seconds = SMOOTHING * self.seconds + (report.seconds - before).max(0.0);
            self.tokens = SMOOTHING * self.tokens + report.step_tokens as f64;
        }
        self.last_seconds = Some(report.seconds);
    }

    fn loss(&self) -> f64 {
        if self.weight > 0.0 {
            self.loss / self.weight
        } else {
            f64::NAN
        }
    }

    fn tokens_per_second(&self) -> Option<f64> {
        (self.seconds > 0.0).then(|| self.tokens / self.seconds)
    }

    fn seconds_left(&self, report: &StepReport) -> Option<f64> {
        let left = report.steps.saturating_sub(report.step) as f64;
        (self.timed > 0.0).then(|| left * self.seconds / self.timed)
    }

    /// `loss 0.4120  1 min 20 s left  12,345 tokens/s  rate 3.10e-5`, the most important first: a narrow terminal
    /// truncates the line.
    fn shown(&self, report: &StepReport) -> String {
        let mut text = format!("loss {:.4}", self.loss());
        if let Some(left) = self.seconds_left(report) {
            text += &format!("  {} left", duration(left));
        }
        if let Some(speed) = self.tokens_per_second() {
            text += &format!("  {} tokens/s", count(speed.round() as u64));
        }
        text + &format!("  rate {:.2e}", report.learning_rate)
    }
}

fn step_line(report: &StepReport, pace: &Pace) -> String {
    format!(
        "step {}/{}  epoch {:.2}  {}",
        count(report.step),
        count(report.steps),
        report.epoch,
        pace.shown(report)
    )
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

/// Progress over rows, for commands that only read and predict.
pub struct RowProgress {
    display: Display,
    bar: Option<ProgressBar>,
    started: Instant,
    last_line: Instant,
}

impl RowProgress {
    /// Shows nothing before the first report.
    pub fn new(display: Display) -> Self {
        let now = Instant::now();
        Self {
            display,
            bar: None,
            started: now,
            last_line: now,
        }
    }

    /// Reports that `done` of `total` rows are done.
    pub fn done(&mut self, done: usize, total: usize) {
        let (done, total) = (done as u64, total as u64);
        match self.display {
            Display::Quiet => {}
            Display::Bar => {
                let bar = self.bar.get_or_insert_with(|| {
                    let bar = ProgressBar::new(total);
                    bar.set_style(style("{bar:24} {pos}/{len} rows  {per_sec}  {eta} left"));
                    bar
                });
                bar.set_position(done);
            }
            Display::Lines if self.last_line.elapsed() >= BETWEEN_LINES => {
                self.last_line = Instant::now();
                let left = self.started.elapsed().as_secs_f64() * total.saturating_sub(done) as f64
                    / done.max(1) as f64;
                render::stderr(&format!(
                    "{} of {}  {} left\n",
                    count(done),
                    plural(total, "row"),
                    duration(left)
                ));
            }
            Display::Lines => {}
        }
    }
}

impl Drop for RowProgress {
    fn drop(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

/// A style without colour; the default style if the template is invalid, which a test excludes.
fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn report(step: u64, loss: f64, seconds: f64) -> StepReport {
        StepReport {
            step,
            steps: 100,
            epoch: step as f64 / 50.0,
            loss,
            learning_rate: 3.1e-5,
            gradient_norm: 1.0,
            tokens: step * 1000,
            step_tokens: 1000,
            seconds,
        }
    }

    #[test]
    fn a_constant_run_has_its_own_loss_and_speed() {
        let mut pace = Pace {
            from_start: true,
            ..Pace::default()
        };
        for step in 1..=20 {
            pace.update(&report(step, 0.5, step as f64 * 0.25));
        }
        assert!((pace.loss() - 0.5).abs() < 1e-12);
        assert!((pace.tokens_per_second().unwrap() - 4000.0).abs() < 1e-6);
        let shown = step_line(&report(20, 0.5, 5.0), &pace);
        assert_eq!(
            shown,
            "step 20/100  epoch 0.40  loss 0.5000  20 s left  4,000 tokens/s  rate 3.10e-5"
        );
    }

    #[test]
    fn a_resumed_run_takes_no_speed_from_before_the_checkpoint() {
        let mut pace = Pace::default();
        pace.update(&report(51, 0.5, 1000.0));
        assert_eq!(
            (
                pace.tokens_per_second(),
                pace.seconds_left(&report(51, 0.5, 0.0))
            ),
            (None, None)
        );
        pace.update(&report(52, 0.5, 1001.0));
        assert_eq!(pace.tokens_per_second(), Some(1000.0));
        assert_eq!(pace.seconds_left(&report(52, 0.5, 1001.0)), Some(48.0));
    }

    #[test]
    fn a_loss_that_is_no_number_does_not_stay() {
        let mut pace = Pace::default();
        pace.update(&report(1, f64::NAN, 1.0));
        assert!(pace.loss().is_nan());
        pace.update(&report(2, 0.5, 2.0));
        assert_eq!(pace.loss(), 0.5);
    }

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

    #[test]
    fn the_templates_of_the_bars_are_right() {
        for template in [
            "{bar:16} step {pos}/{len}  {wide_msg}",
            "{bar:24} {pos}/{len} rows  {per_sec}  {eta} left",
            "{spinner} {wide_msg}",
        ] {
            assert!(ProgressStyle::with_template(template).is_ok());
        }
    }
}
