//! The optimizer and the learning-rate schedule.

use serde::{Deserialize, Serialize};
use toml::Value;

use super::flag::{Lookup, finite, flag, fraction};
use super::range::{at_least, more_than};
use super::setting::{plain_values, settings};

settings! {
    /// AdamW (Loshchilov & Hutter 2019).
    pub struct OptimizerConfig {
        /// The highest learning rate of the schedule.
        learning_rate: f64 = 5e-5 => {
            .range(more_than(0.0).less_than(1.0))
            .flag(flag("Optimizer", "learning-rate", "Highest learning rate of the schedule").value("RATE"))
        },
        /// Decay rate of the first moment.
        beta1: f64 = 0.9 => { .range(at_least(0.0).less_than(1.0)) },
        /// Decay rate of the second moment.
        beta2: f64 = 0.999 => { .range(at_least(0.0).less_than(1.0)) },
        /// Added to the root of the second moment.
        epsilon: f64 = 1e-8 => { .range(more_than(0.0)) },
        /// Decoupled weight decay; not applied to biases and LayerNorm.
        weight_decay: f64 = 0.01 => {
            .range(at_least(0.0))
            .flag(flag("Optimizer", "weight-decay", "Decoupled weight decay; not for biases and LayerNorm").value("RATE"))
        },
        /// Gradients are clipped to this norm over all parameters; 0 turns clipping off.
        max_grad_norm: f64 = 1.0 => {
            .range(at_least(0.0))
            .flag(flag("Optimizer", "max-grad-norm", "Scale longer gradients down to this length; 0 never scales").value("LENGTH"))
        },
        /// Layer-wise learning-rate decay, from the head downwards; 1 is none.
        layer_decay: f64 = 1.0 => {
            .range(more_than(0.0).at_most(1.0))
            .flag(flag("Optimizer", "layer-decay", "Factor of the learning rate from each layer to the one below; 1 is none").value("FACTOR").only("finetune"))
        },
        /// Whether the moments are corrected for their start at 0. `google-research/bert` and
        /// `google-research/electra` do not correct them, so that their first updates are larger.
        bias_correction: bool = true,
    }
}

settings! {
    /// The learning-rate schedule.
    pub struct ScheduleConfig {
        /// The shape of the decay after the warm-up.
        kind: ScheduleKind = ScheduleKind::Linear => {
            .flag(flag("Optimizer", "schedule", "What the learning rate does after the warm-up").value("SCHEDULE").only("finetune").words(&["linear", "cosine", "constant"]))
            .flag(flag("Optimizer", "schedule", "What the learning rate does after the warm-up; bert and electra are those of \
                    their published code").value("SCHEDULE").only("pretrain"))
        },
        /// Linear warm-up over this share of all updates.
        warmup: f64 = 0.1 => {
            .range(at_least(0.0).at_most(1.0))
            .flag(flag("Optimizer", "warmup", "Warm-up: a share of all updates, or, from 1, a number of updates").value("SHARE|STEPS")
                .with(warmup).key(warmup_key).replaces(&["schedule.warmup_steps"]))
        },
        /// Linear warm-up over this many updates, instead of a share.
        warmup_steps: Option<u64>,
        /// Where the warm-up begins, as a share of the highest learning rate.
        warmup_start: f64 = 0.0 => { .range(at_least(0.0).at_most(1.0)) },
        /// The power of a polynomial schedule; no other kind has one.
        power: f64 = 1.0 => { .range(more_than(0.0)) },
        /// Where the decay ends, as a share of the highest learning rate; 0 if not given.
        floor: Option<f64> => {
            .range(at_least(0.0).at_most(1.0))
            .flag(flag("Optimizer", "schedule-floor", "Share of the highest learning rate to decay to")
                .value("SHARE").with(fraction).default("0"))
        },
    }
}

/// The shape of the learning-rate decay after the warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ScheduleKind {
    /// Linear to 0; with `warmup = 0.5` it makes a triangle.
    Linear,
    /// Half a cosine to 0.
    Cosine,
    /// No decay.
    Constant,
    /// To 0 as a power of the remaining updates.
    Polynomial,
    /// As `google-research/bert`: linear decay from the first update on, so that the rate steps down where the warm-up
    /// ends.
    Bert,
    /// As `google-research/electra`: decay from the first update on, multiplied by the warm-up.
    Electra,
}

plain_values!(ScheduleKind);

impl ScheduleConfig {
    /// The factors of warm-up and decay at `t`, by which the highest learning rate is multiplied. `t` of `end` updates
    /// (or shares of the time) have passed, `warmup` of them are the warm-up, and the decay takes `least` of them or
    /// more.
    ///
    /// With `t` of `T` passed and a warm-up of `w`:
    ///
    /// | | below w | after w |
    /// |---|---|---|
    /// | linear | t/w | (T − t)/(T − w) |
    /// | cosine | t/w | (1 + cos π(t − w)/(T − w))/2 |
    /// | constant | t/w | 1 |
    /// | polynomial | t/w | ((T − t)/(T − w))^power |
    /// | bert | t/w | 1 − t/T: the rate steps down where the warm-up ends |
    /// | electra | (t/w)(1 − t/T) | 1 − t/T |
    ///
    /// With a `warmup_start` of s, t/w is s + (1 − s)t/w; with a `floor` of f, the other factor d is f + (1 − f)d.
    ///
    /// Linear, cosine and constant are those of transformers (`get_linear_schedule_with_warmup` and its like); `bert` is
    /// `create_optimizer` of `google-research/bert`, `electra` that of `google-research/electra`.
    pub(crate) fn factors(&self, t: f64, end: f64, warmup: f64, least: f64) -> (f64, f64) {
        let rising = t < warmup;
        let rise = match rising {
            true => self.warmup_start + (1.0 - self.warmup_start) * t / warmup,
            false => 1.0,
        };
        // A warm-up that fills the whole run leaves nothing to decay over.
        let span = (end - warmup).max(least);
        let left = 1.0 - t / end;
        let after = |decay: f64| if rising { 1.0 } else { decay };
        let decay = match self.kind {
            ScheduleKind::Constant => 1.0,
            ScheduleKind::Linear => after((end - t) / span),
            ScheduleKind::Polynomial => after(((end - t) / span).max(0.0).powf(self.power)),
            ScheduleKind::Cosine => {
                after(0.5 * (1.0 + (std::f64::consts::PI * ((t - warmup) / span)).cos()))
            }
            ScheduleKind::Bert => after(left),
            ScheduleKind::Electra => left,
        };
        let floor = self.floor.unwrap_or(0.0);
        (rise, floor + (1.0 - floor) * decay.max(0.0))
    }

    /// The rules between its settings.
    pub(super) fn rules(&self, need: &mut dyn FnMut(bool, String)) {
        need(
            self.power == 1.0 || self.kind == ScheduleKind::Polynomial,
            "`schedule.power` is for `schedule.kind = \"polynomial\"`: leave it out".into(),
        );
    }
}

/// A share of the updates below 1, or a whole number of updates.
fn warmup(text: &str) -> Result<Value, String> {
    match finite(text)? {
        share if (0.0..1.0).contains(&share) => Ok(Value::Float(share)),
        steps if steps.fract() == 0.0 && (1.0..=f64::from(u32::MAX)).contains(&steps) => {
            Ok(Value::Integer(steps as i64)) // exact: whole, and within the range
        }
        _ => Err("expected a share below 1, or a whole number of updates".into()),
    }
}

fn warmup_key(value: &Value, _: Lookup<'_>) -> &'static str {
    match value.is_integer() {
        true => "schedule.warmup_steps",
        false => "schedule.warmup",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rates of `get_lr` of nanoGPT's train.py with learning_rate 6e-4, min_lr 6e-5, warmup_iters 2000 and
    /// lr_decay_iters 600000.
    #[test]
    fn a_cosine_with_a_floor_is_that_of_nanogpt() {
        let config = ScheduleConfig {
            kind: ScheduleKind::Cosine,
            floor: Some(0.1),
            ..ScheduleConfig::default()
        };
        for (step, expected) in [
            (2_000, 0.0006),
            (100_000, 0.000_564_999_918_224_015_7),
            (300_000, 0.000_331_418_438_318_932_6),
            (599_999, 6.000_000_000_372_59e-5),
        ] {
            let (warmup, decay) = config.factors(f64::from(step), 600_000.0, 2_000.0, 1.0);
            assert!((6e-4 * warmup * decay - expected).abs() < 1e-18, "{step}");
        }
    }

    #[test]
    fn without_a_floor_the_decay_ends_at_zero() {
        let config = ScheduleConfig::default();
        assert_eq!(config.factors(10.0, 10.0, 0.0, 1.0), (1.0, 0.0));
        assert_eq!(config.factors(5.0, 10.0, 0.0, 1.0), (1.0, 0.5));
    }

    #[test]
    fn a_warmup_from_one_is_a_number_of_updates() {
        assert_eq!(warmup("0.06"), Ok(Value::Float(0.06)));
        assert_eq!(warmup("0"), Ok(Value::Float(0.0)));
        assert_eq!(warmup("100"), Ok(Value::Integer(100)));
        for text in ["1.5", "-1", "nan", "x"] {
            assert!(warmup(text).is_err(), "{text}");
        }
    }
}
