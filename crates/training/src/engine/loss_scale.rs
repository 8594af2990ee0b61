//! Dynamic loss scaling for f16.

use serde::{Deserialize, Serialize};

/// A factor of the loss that keeps gradients in the range of f16 (Micikevicius et al. 2018, §3.2): halved when a gradient
/// overflows, doubled after many updates without overflow. Always a power of two, so that it is exact.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct LossScale {
    /// The factor.
    pub scale: f64,
    /// Updates since it changed.
    good: u32,
    /// Updates that were skipped because a gradient overflowed.
    pub skipped: u64,
}

impl Default for LossScale {
    fn default() -> Self {
        Self {
            scale: 65_536.0,
            good: 0,
            skipped: 0,
        }
    }
}

impl LossScale {
    /// At this scale, an overflow is not caused by the scale.
    const FLOOR: f64 = 1.0;
    const CEILING: f64 = 16_777_216.0;
    const GROWS_AFTER: u32 = 2000;

    /// Records an update without overflow.
    pub fn fits(&mut self) {
        self.good += 1;
        if self.good >= Self::GROWS_AFTER {
            self.scale = (self.scale * 2.0).min(Self::CEILING);
            self.good = 0;
        }
    }

    /// Records a gradient that is not finite. Returns whether to skip the update; if false, the scale cannot be lowered
    /// and the run has failed.
    pub fn overflows(&mut self) -> bool {
        if self.scale <= Self::FLOOR {
            return false;
        }
        self.scale /= 2.0;
        self.good = 0;
        self.skipped += 1;
        true
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn an_overflow_halves_and_many_good_updates_double() {
        let mut scale = LossScale::default();
        assert!(scale.overflows() && scale.overflows());
        assert_eq!((scale.scale, scale.skipped), (16_384.0, 2));
        for _ in 1..LossScale::GROWS_AFTER {
            scale.fits();
        }
        assert_eq!(scale.scale, 16_384.0);
        scale.fits();
        assert_eq!(scale.scale, 32_768.0);
        // The count restarts after an overflow.
        for _ in 1..LossScale::GROWS_AFTER {
            scale.fits();
        }
        assert!(scale.overflows());
        scale.fits();
        assert_eq!(scale.scale, 16_384.0);
    }

    #[test]
    fn at_the_floor_an_overflow_is_an_error_and_the_ceiling_holds() {
        let mut scale = LossScale::default();
        assert_eq!((0..100).filter(|_| scale.overflows()).count(), 16);
        assert_eq!((scale.scale, scale.skipped), (LossScale::FLOOR, 16));
        for _ in 0..100 * LossScale::GROWS_AFTER {
            scale.fits();
        }
        assert_eq!(scale.scale, LossScale::CEILING);
    }

    #[test]
    fn it_survives_a_checkpoint() {
        let mut scale = LossScale::default();
        scale.overflows();
        scale.fits();
        let text = serde_json::to_string(&scale).unwrap();
        assert_eq!(serde_json::from_str::<LossScale>(&text).unwrap(), scale);
    }
}
