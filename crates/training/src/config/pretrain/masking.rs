//! How tokens are masked.

use bertkit_data::pretraining::masking::{MaskUnit, Masking};
use serde::{Deserialize, Serialize};

use super::objective::Objective;

/// How tokens are hidden; what is not given is what the objective's published code does.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MaskingConfig {
    /// The share of tokens to predict.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<f64>,
    /// The share of these that become the mask token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mask_share: Option<f64>,
    /// The share that become a random token; the rest stays.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub random_share: Option<f64>,
    /// Whether a random token can be a special one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub random_special: Option<bool>,
    /// Whether a token can be drawn several times, so that fewer are masked, as in ELECTRA's
    /// published code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub with_replacement: Option<bool>,
    /// Predictions of the longest sequence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_predictions: Option<usize>,
    /// token, whole-word, or span with `probability` and `longest`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<MaskUnit>,
}

impl MaskingConfig {
    /// With the objective's defaults filled in.
    pub(crate) fn masking(&self, objective: &Objective) -> Masking {
        let base = if objective.rtd > 0.0 {
            Masking {
                mask_share: 0.85,
                random_share: 0.0,
                ..Masking::bert()
            }
        } else {
            Masking::bert()
        };
        Masking {
            rate: self.rate.unwrap_or(base.rate),
            mask_share: self.mask_share.unwrap_or(base.mask_share),
            random_share: self.random_share.unwrap_or(base.random_share),
            random_special: self.random_special.unwrap_or(base.random_special),
            with_replacement: self.with_replacement.unwrap_or(base.with_replacement),
            max_predictions: self.max_predictions,
            unit: self.unit.unwrap_or(base.unit),
        }
    }
}
