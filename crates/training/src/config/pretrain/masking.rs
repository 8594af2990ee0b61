//! How tokens are masked.

use bertkit_data::pretraining::masking::{MaskUnit, Masking};

use crate::config::flag::{flag, fraction};
use crate::config::setting::{Setting, SettingValue, settings};

settings! {
    /// How tokens are masked; what is not given is what the objective's published code does.
    pub struct MaskingConfig {
        /// The share of tokens to predict.
        rate: Option<f64> => {
            .flag(flag("Objective", "mask-rate", "Share of the tokens to predict").value("SHARE").with(fraction))
        },
        /// The share of these that become the mask token.
        mask_share: Option<f64>,
        /// The share that become a random token; the rest stays.
        random_share: Option<f64>,
        /// Whether a random token can be a special one.
        random_special: Option<bool>,
        /// Whether a token can be drawn several times, so that fewer are masked, as in ELECTRA's published code.
        with_replacement: Option<bool>,
        /// Most predictions in the longest sequence.
        max_predictions: Option<usize>,
        /// token, whole-word, or span with `probability` and `longest`.
        unit: Option<MaskUnit> => {
            .choice()
            .flag(flag("Objective", "whole-word", "Mask all tokens of a word or none").switch_to("whole-word"))
        },
    }
}

impl SettingValue for MaskUnit {
    fn parts() -> Vec<Setting> {
        let span = vec![
            Setting::new::<f64>(
                "probability",
                "Parameter of the geometric distribution of the lengths.",
            ),
            Setting::new::<usize>("longest", "Longest span in words."),
        ];
        vec![Setting::table(
            "span",
            "Spans of words (Joshi et al. 2020).",
            span,
        )]
    }
}

impl MaskingConfig {
    /// The given settings, and the rest of `base`.
    pub(crate) fn over(&self, base: &Masking) -> Masking {
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
