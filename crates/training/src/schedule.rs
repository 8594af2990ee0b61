//! The learning rate of each update.

use crate::config::{ScheduleConfig, ScheduleKind};

/// A schedule over a known number of updates.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    kind: ScheduleKind,
    peak: f64,
    warmup: u64,
    steps: u64,
}

impl Schedule {
    /// `steps` is the number of optimizer updates of the whole run. A warm-up given as a share is
    /// rounded up, as `TrainingArguments.get_warmup_steps` of transformers does.
    pub fn new(config: &ScheduleConfig, peak: f64, steps: u64) -> Self {
        let warmup = config
            .warmup_steps
            .unwrap_or_else(|| (config.warmup * steps as f64).ceil() as u64);
        Self {
            kind: config.kind,
            peak,
            warmup,
            steps,
        }
    }

    /// The rate of update `step`, counted from 0 (`get_linear_schedule_with_warmup`,
    /// `get_cosine_schedule_with_warmup` and `get_constant_schedule_with_warmup` of transformers).
    pub fn rate(&self, step: u64) -> f64 {
        if step < self.warmup {
            return self.peak * step as f64 / self.warmup.max(1) as f64;
        }
        let span = self.steps.saturating_sub(self.warmup).max(1) as f64;
        let factor = match self.kind {
            ScheduleKind::Constant => 1.0,
            ScheduleKind::Linear => (self.steps.saturating_sub(step)) as f64 / span,
            ScheduleKind::Cosine => {
                let progress = (step - self.warmup) as f64 / span;
                0.5 * (1.0 + (std::f64::consts::PI * progress).cos())
            }
        };
        self.peak * factor.max(0.0)
    }

    /// Updates of the whole run.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Updates of the warm-up.
    pub fn warmup_steps(&self) -> u64 {
        self.warmup
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(
        kind: ScheduleKind,
        warmup_steps: Option<u64>,
        warmup: f64,
        steps: u64,
    ) -> Schedule {
        Schedule::new(
            &ScheduleConfig {
                kind,
                warmup,
                warmup_steps,
            },
            1.0,
            steps,
        )
    }

    #[test]
    fn linear_rises_over_the_warmup_and_falls_to_zero() {
        let s = schedule(ScheduleKind::Linear, Some(2), 0.0, 6);
        let rates: Vec<f64> = (0..7).map(|step| s.rate(step)).collect();
        assert_eq!(rates, [0.0, 0.5, 1.0, 0.75, 0.5, 0.25, 0.0]);
    }

    #[test]
    fn cosine_is_at_half_height_halfway_and_constant_stays() {
        let s = schedule(ScheduleKind::Cosine, None, 0.0, 10);
        assert_eq!(s.rate(0), 1.0);
        assert!((s.rate(5) - 0.5).abs() < 1e-12);
        assert!(s.rate(10).abs() < 1e-12);
        assert_eq!(
            schedule(ScheduleKind::Constant, Some(1), 0.0, 3).rate(2),
            1.0
        );
    }

    #[test]
    fn a_share_of_warmup_is_rounded_up() {
        assert_eq!(
            schedule(ScheduleKind::Linear, None, 0.1, 75).warmup_steps(),
            8
        );
    }
}
