//! A linear layer, dropout, the residual connection and LayerNorm in one operation.

use super::kernels::{self, Before};
use super::linear::{LinearKernels, register_product};
use super::norm::{NormKernels, NormSettings};
use super::tensor::{Contiguous, Float, ids, register, rows_of};
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension};
use burn::tensor::Tensor;
use burn_dispatch::backends::flex::FlexTensor;
use std::sync::Arc;

/// The kernels on a backend's tensors.
pub(crate) trait LinearNormKernels: LinearKernels + NormKernels {
    fn k_linear_norm(
        linear: [&Float<Self>; 3],
        residual: &Float<Self>,
        scale: [&Float<Self>; 2],
        settings: NormSettings,
    ) -> (Float<Self>, Self::Normalised);
}

impl LinearNormKernels for Flex {
    fn k_linear_norm(
        [x, w, b]: [&FlexTensor; 3],
        residual: &FlexTensor,
        scale: [&FlexTensor; 2],
        settings: NormSettings,
    ) -> (FlexTensor, Self::Normalised) {
        let (x, w, b) = (Contiguous::of(x), Contiguous::of(w), Contiguous::of(b));
        let (residual, scale) = (Contiguous::of(residual), scale.map(Contiguous::of));
        let before = Before {
            bias: Some(b.values()),
            mask: settings.mask,
            residual: Some(residual.values()),
        };
        let (y, normalised) = kernels::linear_norm(
            x.values(),
            w.values(),
            x.width(),
            before,
            scale.each_ref().map(Contiguous::values),
            settings.epsilon,
        );
        (rows_of(y, b.width()), Arc::new(normalised))
    }
}

/// The operation, dispatched to the run-time device.
#[backend_extension(Autodiff, Flex)]
pub(crate) trait LinearNormOps: Backend {
    fn fused_linear_norm(
        x: FloatTensor<Self>,
        w: FloatTensor<Self>,
        b: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        settings: NormSettings,
    ) -> FloatTensor<Self>;
}

impl LinearNormOps for Flex {
    fn fused_linear_norm(
        x: FlexTensor,
        w: FlexTensor,
        b: FlexTensor,
        residual: FlexTensor,
        gamma: FlexTensor,
        beta: FlexTensor,
        settings: NormSettings,
    ) -> FlexTensor {
        Self::k_linear_norm([&x, &w, &b], &residual, [&gamma, &beta], settings).0
    }
}

impl<B: LinearNormKernels, C: CheckpointStrategy> LinearNormOps for Autodiff<B, C> {
    fn fused_linear_norm(
        x: Float<Self>,
        w: Float<Self>,
        b: Float<Self>,
        residual: Float<Self>,
        gamma: Float<Self>,
        beta: Float<Self>,
        settings: NormSettings,
    ) -> Float<Self> {
        #[derive(Debug)]
        struct Node;
        impl<B: LinearNormKernels> Backward<B, 6> for Node {
            type State = (B::Normalised, [Float<B>; 3], NormSettings);
            fn backward(
                self,
                ops: Ops<Self::State, 6>,
                gradients: &mut Gradients,
                _: &mut Checkpointer,
            ) {
                let dy = gradients.consume::<B>(&ops.node);
                let (normalised, [x, w, gamma], settings) = ops.state;
                let [nx, nw, nb, nr, ng, nbeta] = ids!(ops.parents);
                let d = B::k_norm_backward(&dy, &normalised, &gamma, settings);
                drop((dy, normalised));
                register::<B, 4>(
                    gradients,
                    [nb, nr, ng, nbeta],
                    [d.bias, d.sum, d.gamma, d.beta],
                );
                register_product::<B>(gradients, [nx, nw], &d.x, [&x, &w]);
            }
        }
        let ((x, nx), (w, nw), (b, nb)) = (x.into_parts(), w.into_parts(), b.into_parts());
        let (residual, nr) = residual.into_parts();
        let ((gamma, ng), (beta, nbeta)) = (gamma.into_parts(), beta.into_parts());
        let (y, normalised) = B::k_linear_norm([&x, &w, &b], &residual, [&gamma, &beta], settings);
        match Node
            .prepare::<C>([nx, nw, nb, nr, ng, nbeta])
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(prepared) => prepared.finish((normalised, [x, w, gamma], settings), y),
            OpsKind::UnTracked(prepared) => prepared.finish(y),
        }
    }
}

/// `LayerNorm(residual + mask · (x Wᵀ + b))` in one operation.
pub(crate) fn linear_norm(
    x: Tensor<2>,
    (w, b): (Tensor<2>, Tensor<1>),
    residual: Tensor<2>,
    (gamma, beta): (Tensor<1>, Tensor<1>),
    settings: NormSettings,
) -> Tensor<2> {
    Tensor::from_dispatch(Dispatch::fused_linear_norm(
        x.into_dispatch(),
        w.into_dispatch(),
        b.into_dispatch(),
        residual.into_dispatch(),
        gamma.into_dispatch(),
        beta.into_dispatch(),
        settings,
    ))
}
