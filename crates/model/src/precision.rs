//! The precision of matrix products.
//!
//! Weights, LayerNorm, softmax, losses and the accumulation inside a product are always f32; the
//! precision only determines how the factors of a product are rounded.

use std::str::FromStr;

use burn::backend::{Backend, DTypeUsage, Dispatch};
use burn::tensor::{DType, Device, FloatDType};
use serde::{Deserialize, Serialize};

use crate::device::{is_cpu, is_cuda};

/// How the factors of matrix products are rounded, as the user names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// Not rounded: 24 significant bits.
    #[default]
    F32,
    /// 11 significant bits: what NVIDIA's tensor cores read of an f32.
    Tf32,
    /// 8 significant bits with the range of f32.
    Bf16,
    /// 11 significant bits with a range up to 65,504: training scales its loss.
    F16,
}

/// The name of an unknown precision.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a precision, expected f32, tf32, bf16 or f16")]
pub struct ParsePrecisionError(String);

impl Precision {
    /// The name in settings.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Tf32 => "tf32",
            Self::Bf16 => "bf16",
            Self::F16 => "f16",
        }
    }
}

impl FromStr for Precision {
    type Err = ParsePrecisionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::F32, Self::Tf32, Self::Bf16, Self::F16]
            .into_iter()
            .find(|precision| precision.name() == text)
            .ok_or_else(|| ParsePrecisionError(text.into()))
    }
}

impl std::fmt::Display for Precision {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// A precision that a device does not support.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("this device cannot multiply in {precision}: {reason}")]
pub struct PrecisionError {
    /// The requested precision.
    pub precision: Precision,
    /// What the device lacks.
    pub reason: &'static str,
}

/// How a device computes matrix products in a [`Precision`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MatmulPrecision {
    /// The device's own f32 product.
    #[default]
    Native,
    /// Three products of the leading 8 bits of each factor and the remainders. If the device rounds
    /// the factors of an f32 product to TF32, the error is about 2⁻¹⁸.
    Split,
    /// Factors rounded to this type, accumulated in f32, the result rounded to the type.
    Rounded(FloatDType),
}

impl Precision {
    /// How `device` computes products in this precision. Queries the device and computes nothing.
    ///
    /// # Errors
    /// The device does not support it.
    pub fn on(self, device: &Device) -> Result<MatmulPrecision, PrecisionError> {
        let refuse = |reason| {
            Err(PrecisionError {
                precision: self,
                reason,
            })
        };
        let typed = |dtype: FloatDType| {
            if is_cpu(device) || device.clone().inner().supports_dtype(dtype) {
                Ok(MatmulPrecision::Rounded(dtype))
            } else {
                refuse("its driver has no arithmetic for that type")
            }
        };
        match self {
            Self::F32 if has_tf32(device) => Ok(MatmulPrecision::Split),
            Self::F32 => Ok(MatmulPrecision::Native),
            Self::Tf32 if has_tf32(device) => Ok(MatmulPrecision::Native),
            Self::Tf32 => refuse("TF32 is a mode of NVIDIA's tensor cores, from Ampere on"),
            Self::Bf16 => typed(FloatDType::BF16),
            Self::F16 => typed(FloatDType::F16),
        }
    }
}

/// Whether Burn may use tensor cores, and so TF32, for f32 products. Its autotuner uses them
/// if they measure faster, with no way to turn them off. Devices have them together with
/// accelerated bf16.
fn has_tf32(device: &Device) -> bool {
    let device = device.clone().inner();
    is_cuda(&device)
        && Dispatch::dtype_usage(device.as_dispatch(), DType::BF16)
            .contains(DTypeUsage::Accelerated)
}
