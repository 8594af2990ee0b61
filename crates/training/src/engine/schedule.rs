//! The learning rate of each update.

use crate::config::ScheduleConfig;

/// The condition that ends a run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Length {
    /// This many optimizer updates.
    Steps(u64),
    /// This many seconds.
    Seconds(f64),
}

/// A schedule over a run of known length.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    config: ScheduleConfig,
    peak: f64,
    /// The end of the warm-up: an update, or a share of the time budget.
    warmup: f64,
    length: Length,
}

impl Schedule {
    /// The schedule of the whole run. Over steps, a warm-up given as a share is rounded up, as in
    /// `TrainingArguments.get_warmup_steps` of transformers. Over seconds it is a share of them, and a warm-up in steps is
    /// ignored.
    pub fn new(config: &ScheduleConfig, peak: f64, length: Length) -> Self {
        let warmup = match length {
            Length::Steps(steps) => config
                .warmup_steps
                .map_or_else(|| (config.warmup * steps as f64).ceil(), |n| n as f64),
            Length::Seconds(_) => config.warmup,
        };
        Self {
            config: config.clone(),
            peak,
            warmup,
            length,
        }
    }

    /// The learning rate of update `step`, counted from 0, after `elapsed` seconds (used only with a time
    /// budget): the peak times the factors of `ScheduleConfig::factors`.
    pub fn rate(&self, step: u64, elapsed: f64) -> f64 {
        let (t, end, least) = match self.length {
            Length::Steps(steps) => (step as f64, steps as f64, 1.0),
            Length::Seconds(seconds) => ((elapsed / seconds).min(1.0), 1.0, f64::MIN_POSITIVE),
        };
        let (warmup, decay) = self.config.factors(t, end, self.warmup, least);
        self.peak * warmup * decay
    }

    /// The completed share of the run, 0 to 1.
    pub fn share(&self, step: u64, elapsed: f64) -> f64 {
        let share = match self.length {
            Length::Steps(steps) => step as f64 / steps.max(1) as f64,
            Length::Seconds(seconds) => elapsed / seconds,
        };
        share.min(1.0)
    }

    /// Whether the run has ended.
    pub fn is_over(&self, step: u64, elapsed: f64) -> bool {
        match self.length {
            Length::Steps(steps) => step >= steps,
            Length::Seconds(seconds) => elapsed >= seconds,
        }
    }

    /// Updates of the whole run; with a time budget, an estimate at the current pace.
    pub fn expected_steps(&self, step: u64, elapsed: f64) -> u64 {
        match self.length {
            Length::Steps(steps) => steps,
            Length::Seconds(_) => {
                let share = self.share(step, elapsed).max(f64::MIN_POSITIVE);
                // The cast saturates for floats that are too large.
                ((step as f64 / share) as u64).max(step)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ScheduleKind;

    fn schedule(
        kind: ScheduleKind,
        warmup_steps: Option<u64>,
        warmup: f64,
        steps: u64,
    ) -> Schedule {
        let config = ScheduleConfig {
            kind,
            warmup,
            warmup_steps,
            ..ScheduleConfig::default()
        };
        Schedule::new(&config, 1.0, Length::Steps(steps))
    }

    fn rates(schedule: &Schedule, steps: u64) -> Vec<f64> {
        (0..steps).map(|step| schedule.rate(step, 0.0)).collect()
    }

    fn near(ours: &[f64], expected: &[f64]) {
        assert_eq!(ours.len(), expected.len());
        for (a, b) in ours.iter().zip(expected) {
            assert!((a - b).abs() < 1e-12, "{ours:?} {expected:?}");
        }
    }

    #[test]
    fn berts_rate_steps_down_where_the_warmup_ends() {
        // The last update of the warm-up has 3/4 of the peak; the next has 1 − 4/10 of it, not all.
        let s = schedule(ScheduleKind::Bert, Some(4), 0.0, 10);
        let expected = [0.0, 0.25, 0.5, 0.75, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1];
        near(&rates(&s, 10), &expected);
        // 10,000 of 1,000,000 updates, 1e-4: 9.999e-5 and then 9.9e-5.
        let s = schedule(ScheduleKind::Bert, Some(10_000), 0.0, 1_000_000);
        near(&[s.rate(9_999, 0.0), s.rate(10_000, 0.0)], &[0.9999, 0.99]);
    }

    #[test]
    fn electras_rate_is_the_decay_times_the_warmup() {
        let s = schedule(ScheduleKind::Electra, Some(4), 0.0, 10);
        let expected = [0.0, 0.225, 0.4, 0.525, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1];
        near(&rates(&s, 10), &expected);
    }

    #[test]
    fn a_polynomial_of_power_two_falls_by_squares() {
        let config = ScheduleConfig {
            kind: ScheduleKind::Polynomial,
            warmup: 0.0,
            warmup_steps: Some(2),
            power: 2.0,
            ..ScheduleConfig::default()
        };
        let s = Schedule::new(&config, 1.0, Length::Steps(6));
        near(&rates(&s, 7), &[0.0, 0.5, 1.0, 0.5625, 0.25, 0.0625, 0.0]);
    }

    #[test]
    fn under_a_budget_in_time_the_schedule_ends_when_the_time_does() {
        let config = ScheduleConfig {
            kind: ScheduleKind::Linear,
            warmup: 0.5,
            ..ScheduleConfig::default()
        };
        // With a warm-up share of one half, the triangular schedule.
        let s = Schedule::new(&config, 1.0, Length::Seconds(200.0));
        let at = |elapsed| s.rate(7, elapsed);
        near(
            &[
                at(0.0),
                at(50.0),
                at(100.0),
                at(150.0),
                at(200.0),
                at(300.0),
            ],
            &[0.0, 0.5, 1.0, 0.5, 0.0, 0.0],
        );
        assert!(!s.is_over(1_000_000, 199.9) && s.is_over(0, 200.0));
        assert_eq!(s.expected_steps(30, 50.0), 120);
    }

    #[test]
    fn linear_rises_over_the_warmup_and_falls_to_zero() {
        let s = schedule(ScheduleKind::Linear, Some(2), 0.0, 6);
        assert_eq!(rates(&s, 7), [0.0, 0.5, 1.0, 0.75, 0.5, 0.25, 0.0]);
    }

    #[test]
    fn cosine_is_at_half_height_halfway_and_constant_stays() {
        let s = schedule(ScheduleKind::Cosine, None, 0.0, 10);
        assert_eq!(s.rate(0, 0.0), 1.0);
        assert!((s.rate(5, 0.0) - 0.5).abs() < 1e-12);
        assert!(s.rate(10, 0.0).abs() < 1e-12);
        assert_eq!(
            schedule(ScheduleKind::Constant, Some(1), 0.0, 3).rate(2, 0.0),
            1.0
        );
    }

    #[test]
    fn a_share_of_warmup_is_rounded_up() {
        let s = schedule(ScheduleKind::Linear, None, 0.1, 75);
        assert_eq!((s.rate(7, 0.0), s.rate(8, 0.0)), (7.0 / 8.0, 1.0));
    }
}
