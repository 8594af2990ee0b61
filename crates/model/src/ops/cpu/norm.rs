//! LayerNorm in one operation.

use super::kernels::{self, Mask, Normalised};
use super::tensor::{Contiguous, Float, ids, register, rows_of, tensor};
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension};
use burn::tensor::Tensor;
use burn_dispatch::backends::flex::FlexTensor;
use std::sync::Arc;

/// The parameters of LayerNorm, and the dropout mask of the same operation.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NormSettings {
    pub epsilon: f32,
    pub mask: Option<Mask>,
}

/// The gradients of a residual connection followed by LayerNorm.
pub(crate) struct NormGradients<B: Backend> {
    /// Of the normalised sum, and so of the residual.
    pub sum: Float<B>,
    /// Of the input of dropout.
    pub x: Float<B>,
    pub bias: Float<B>,
    pub gamma: Float<B>,
    pub beta: Float<B>,
}

/// The kernels on a backend's tensors.
pub(crate) trait NormKernels: Backend {
    /// What the backward pass reads.
    type Normalised: Clone + Send + Sync + std::fmt::Debug + 'static;

    fn k_norm(
        x: &Float<Self>,
        scale: [&Float<Self>; 2],
        settings: NormSettings,
    ) -> (Float<Self>, Self::Normalised);
    fn k_norm_backward(
        dy: &Float<Self>,
        normalised: &Self::Normalised,
        gamma: &Float<Self>,
        settings: NormSettings,
    ) -> NormGradients<Self>;
}

impl NormKernels for Flex {
    type Normalised = Arc<Normalised>;

    fn k_norm(
        x: &FlexTensor,
        scale: [&FlexTensor; 2],
        settings: NormSettings,
    ) -> (FlexTensor, Self::Normalised) {
        let (x, scale) = (Contiguous::of(x), scale.map(Contiguous::of));
        let (y, normalised) = kernels::norm(
            x.values().to_vec(),
            scale.each_ref().map(Contiguous::values),
            settings.epsilon,
        );
        (rows_of(y, x.width()), Arc::new(normalised))
    }

    fn k_norm_backward(
        dy: &FlexTensor,
        normalised: &Self::Normalised,
        gamma: &FlexTensor,
        settings: NormSettings,
    ) -> NormGradients<Self> {
        let (dy, gamma) = (Contiguous::of(dy), Contiguous::of(gamma));
        let h = gamma.width();
        let gradients =
            kernels::norm_backward(dy.values(), normalised, gamma.values(), settings.mask);
        let sum = rows_of(gradients.sum, h);
        NormGradients {
            x: gradients.x.map_or_else(|| sum.clone(), |x| rows_of(x, h)),
            sum,
            bias: tensor(gradients.bias, [h]),
            gamma: tensor(gradients.gamma, [h]),
            beta: tensor(gradients.beta, [h]),
        }
    }
}

/// The operation, dispatched to the run-time device.
#[backend_extension(Autodiff, Flex)]
pub(crate) trait NormOps: Backend {
    fn fused_norm(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        settings: NormSettings,
    ) -> FloatTensor<Self>;
}

impl NormOps for Flex {
    fn fused_norm(
        x: FlexTensor,
        gamma: FlexTensor,
        beta: FlexTensor,
        settings: NormSettings,
    ) -> FlexTensor {
        Self::k_norm(&x, [&gamma, &beta], settings).0
    }
}

impl<B: NormKernels, C: CheckpointStrategy> NormOps for Autodiff<B, C> {
    fn fused_norm(
        x: Float<Self>,
        gamma: Float<Self>,
        beta: Float<Self>,
        settings: NormSettings,
    ) -> Float<Self> {
        #[derive(Debug)]
        struct Node;
        impl<B: NormKernels> Backward<B, 3> for Node {
            type State = (B::Normalised, Float<B>, NormSettings);
            fn backward(
                self,
                ops: Ops<Self::State, 3>,
                gradients: &mut Gradients,
                _: &mut Checkpointer,
            ) {
                let dy = gradients.consume::<B>(&ops.node);
                let (normalised, gamma, settings) = ops.state;
                let d = B::k_norm_backward(&dy, &normalised, &gamma, settings);
                register::<B, 3>(gradients, ids!(ops.parents), [d.sum, d.gamma, d.beta]);
            }
        }
        let ((x, nx), (gamma, ng), (beta, nb)) =
            (x.into_parts(), gamma.into_parts(), beta.into_parts());
        let (y, normalised) = B::k_norm(&x, [&gamma, &beta], settings);
        match Node.prepare::<C>([nx, ng, nb]).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish((normalised, gamma, settings), y),
            OpsKind::UnTracked(prepared) => prepared.finish(y),
        }
    }
}

/// LayerNorm in one operation.
pub(crate) fn norm(
    x: Tensor<2>,
    gamma: Tensor<1>,
    beta: Tensor<1>,
    settings: NormSettings,
) -> Tensor<2> {
    Tensor::from_dispatch(Dispatch::fused_norm(
        x.into_dispatch(),
        gamma.into_dispatch(),
        beta.into_dispatch(),
        settings,
    ))
}
