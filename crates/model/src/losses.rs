//! Training losses. Each returns one value per row, so that the caller can divide by the
//! true number of labelled items in all micro-batches of a step.

use burn::tensor::activation::{log_sigmoid, log_softmax};
use burn::tensor::{Int, Tensor};

/// A loss between a distribution over classes and the label. All values are `[n]` for logits `[n, c]`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ClassLoss {
    /// `−log p(label)`; with smoothing ε the target is `1 − ε` on the label plus `ε / c` on every class (Szegedy et al. 2016, §7).
    CrossEntropy {
        /// ε.
        label_smoothing: f64,
    },
    /// `−(1 − p(label))^γ log p(label)` (Lin et al. 2017, eq. 4).
    Focal {
        /// γ.
        gamma: f64,
    },
}

impl ClassLoss {
    /// Plain cross-entropy.
    pub const CROSS_ENTROPY: Self = Self::CrossEntropy {
        label_smoothing: 0.0,
    };

    /// The loss of each row, times the weight of its label: logits `[n, c]`, labels `[n]`, weights
    /// `[n]` to `[n]`.
    ///
    /// Class weights scale a row's loss; with label smoothing, PyTorch weights each smoothed class
    /// by its own weight instead, which is the same if all weights are 1.
    pub fn per_row(
        self,
        logits: Tensor<2>,
        labels: Tensor<1, Int>,
        weights: Tensor<1>,
    ) -> Tensor<1> {
        let [_, c] = logits.dims();
        let log_p = log_softmax(logits, 1);
        let label = log_p
            .clone()
            .gather(1, labels.unsqueeze_dim(1))
            .squeeze_dim::<1>(1);
        let loss = match self {
            Self::CrossEntropy {
                label_smoothing: 0.0,
            } => -label,
            Self::CrossEntropy { label_smoothing } => {
                let uniform = log_p.sum_dim(1).squeeze_dim::<1>(1) * (label_smoothing / c as f64);
                -(label * (1.0 - label_smoothing) + uniform)
            }
            Self::Focal { gamma } => {
                // 1 − p is kept above 0, where a power below 1 has no finite derivative.
                let miss = (label.clone().exp() * -1.0 + 1.0).clamp_min(1e-7);
                -(miss.powf_scalar(gamma) * label)
            }
        };
        loss * weights
    }
}

/// Binary cross-entropy of each cell: logits and targets `[n, c]` to `[n, c]`.
pub fn binary_cross_entropy(logits: Tensor<2>, targets: Tensor<2>) -> Tensor<2> {
    let positive = log_sigmoid(logits.clone());
    let negative = log_sigmoid(-logits);
    -(targets.clone() * positive + (targets * -1.0 + 1.0) * negative)
}

/// Focal form of [`binary_cross_entropy`] (Lin et al. 2017, eq. 4), `[n, c]` to `[n, c]`.
pub fn binary_focal(logits: Tensor<2>, targets: Tensor<2>, gamma: f64) -> Tensor<2> {
    let loss = binary_cross_entropy(logits, targets);
    let miss = ((-loss.clone()).exp() * -1.0 + 1.0).clamp_min(1e-7);
    miss.powf_scalar(gamma) * loss
}

/// Squared error of each cell, `[n, c]` to `[n, c]`.
pub fn squared_error(predictions: Tensor<2>, targets: Tensor<2>) -> Tensor<2> {
    let difference = predictions - targets;
    difference.clone() * difference
}
