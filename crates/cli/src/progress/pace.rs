//! Loss, speed and remaining time of a run, averaged over the last steps.

use bertkit_training::StepReport;

use crate::format::{count, duration};

/// Weight per step of the exponential moving average: it covers about the last 20 steps.
const SMOOTHING: f64 = 0.95;

/// Loss, speed and remaining time, averaged over the last steps.
#[derive(Debug, Default)]
pub(super) struct Pace {
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
    /// `from_start`: whether the run starts at step 0 and not at a checkpoint.
    pub fn new(from_start: bool) -> Self {
        Self {
            from_start,
            ..Self::default()
        }
    }

    pub fn update(&mut self, report: &StepReport) {
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
    pub fn shown(&self, report: &StepReport) -> String {
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

/// The line of a step.
pub(super) fn step_line(report: &StepReport, pace: &Pace) -> String {
    format!(
        "step {}/{}  epoch {:.2}  {}",
        count(report.step),
        count(report.steps),
        report.epoch,
        pace.shown(report)
    )
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
}
