//! The optimizer and the learning-rate schedule.

use serde::{Deserialize, Serialize};

/// AdamW (Loshchilov & Hutter 2019).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OptimizerConfig {
    /// The highest rate of the schedule.
    pub learning_rate: f64,
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub epsilon: f64,
    /// Decoupled weight decay; not applied to biases and LayerNorm.
    pub weight_decay: f64,
    /// Gradients longer than this, over all parameters, are scaled down to it; 0 never scales.
    pub max_grad_norm: f64,
    /// Layer-wise decay of the learning rate, from the head downwards; 1 is none.
    pub layer_decay: f64,
    /// Whether the moments are corrected for starting at 0. `google-research/bert` and
    /// `google-research/electra` do not, so that their first updates are larger.
    pub bias_correction: bool,
}

impl Default for OptimizerConfig {
    fn default() -> Self {
        Self {
            learning_rate: 5e-5,
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            weight_decay: 0.01,
            max_grad_norm: 1.0,
            layer_decay: 1.0,
            bias_correction: true,
        }
    }
}

/// How the learning rate moves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ScheduleConfig {
    /// Behind the warm-up.
    pub kind: ScheduleKind,
    /// Linear rise over this share of all updates.
    pub warmup: f64,
    /// Linear rise over this many updates, instead of a share.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warmup_steps: Option<u64>,
    /// Where the rise begins, as a share of the highest rate.
    pub warmup_start: f64,
    /// The power of a polynomial schedule; the others have none.
    pub power: f64,
}

impl Default for ScheduleConfig {
    fn default() -> Self {
        Self {
            kind: ScheduleKind::Linear,
            warmup: 0.1,
            warmup_steps: None,
            warmup_start: 0.0,
            power: 1.0,
        }
    }
}

/// What the learning rate does behind the warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ScheduleKind {
    /// Falls to 0 in a straight line; with `warmup = 0.5` it makes a triangle.
    Linear,
    /// Falls to 0 along half a cosine.
    Cosine,
    /// Stays.
    Constant,
    /// Falls to 0 as a power of what is left.
    Polynomial,
    /// As `google-research/bert`: falls from the first update on, so that the rate steps down where
    /// the warm-up ends.
    Bert,
    /// As `google-research/electra`: falls from the first update on, and the warm-up multiplies it.
    Electra,
}

/// Checks what no single value shows of optimizer and schedule.
pub(super) fn check_optimizer(
    o: &OptimizerConfig,
    s: &ScheduleConfig,
    need: &mut dyn FnMut(bool, String),
) {
    need(
        o.learning_rate > 0.0 && o.learning_rate < 1.0,
        format!(
            "`optimizer.learning_rate` is {}, expected more than 0 and less than 1",
            o.learning_rate
        ),
    );
    for (name, beta) in [("beta1", o.beta1), ("beta2", o.beta2)] {
        need(
            (0.0..1.0).contains(&beta),
            format!("`optimizer.{name}` is {beta}, expected 0 to below 1"),
        );
    }
    need(
        o.epsilon > 0.0 && o.epsilon.is_finite(),
        format!("`optimizer.epsilon` is {}, expected more than 0", o.epsilon),
    );
    need(
        o.weight_decay >= 0.0 && o.weight_decay.is_finite(),
        format!(
            "`optimizer.weight_decay` is {}, expected 0 or more",
            o.weight_decay
        ),
    );
    need(
        o.max_grad_norm >= 0.0 && o.max_grad_norm.is_finite(),
        format!(
            "`optimizer.max_grad_norm` is {}, expected 0 or more",
            o.max_grad_norm
        ),
    );
    need(
        o.layer_decay > 0.0 && o.layer_decay <= 1.0,
        format!(
            "`optimizer.layer_decay` is {}, expected more than 0, at most 1",
            o.layer_decay
        ),
    );
    need(
        (0.0..=1.0).contains(&s.warmup),
        format!("`schedule.warmup` is {}, expected 0 to 1", s.warmup),
    );
    need(
        (0.0..=1.0).contains(&s.warmup_start),
        format!(
            "`schedule.warmup_start` is {}, expected 0 to 1",
            s.warmup_start
        ),
    );
    need(
        s.power > 0.0 && s.power.is_finite(),
        format!("`schedule.power` is {}, expected more than 0", s.power),
    );
    need(
        s.power == 1.0 || s.kind == ScheduleKind::Polynomial,
        "`schedule.power` is for `schedule.kind = \"polynomial\"`: leave it out".into(),
    );
}
