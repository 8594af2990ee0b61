//! `x Wᵀ + b` in one operation.

use super::kernels;
use super::tensor::{Contiguous, Float, ids, rows_of, tensor};
use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension};
use burn::tensor::Tensor;
use burn_dispatch::backends::flex::FlexTensor;

/// The kernels on a backend's tensors.
pub(crate) trait LinearKernels: Backend {
    fn k_linear(x: &Float<Self>, w: &Float<Self>, b: &Float<Self>) -> Float<Self>;
    fn k_product_input(dy: &Float<Self>, w: &Float<Self>) -> Float<Self>;
    fn k_product_weight(dy: &Float<Self>, x: &Float<Self>) -> Float<Self>;
    fn k_sum_rows(dy: &Float<Self>) -> Float<Self>;
}

impl LinearKernels for Flex {
    fn k_linear(x: &FlexTensor, w: &FlexTensor, b: &FlexTensor) -> FlexTensor {
        let (x, w, b) = (Contiguous::of(x), Contiguous::of(w), Contiguous::of(b));
        rows_of(
            kernels::linear(x.values(), w.values(), b.values(), x.width()),
            b.width(),
        )
    }

    fn k_product_input(dy: &FlexTensor, w: &FlexTensor) -> FlexTensor {
        let (dy, w) = (Contiguous::of(dy), Contiguous::of(w));
        let inputs = w.width();
        rows_of(
            kernels::product_input(dy.values(), w.values(), inputs, dy.width()),
            inputs,
        )
    }

    fn k_product_weight(dy: &FlexTensor, x: &FlexTensor) -> FlexTensor {
        let (dy, x) = (Contiguous::of(dy), Contiguous::of(x));
        let inputs = x.width();
        rows_of(
            kernels::product_weight(dy.values(), x.values(), inputs, dy.width()),
            inputs,
        )
    }

    fn k_sum_rows(dy: &FlexTensor) -> FlexTensor {
        let dy = Contiguous::of(dy);
        tensor(kernels::sum_rows(dy.values(), dy.width()), [dy.width()])
    }
}

/// The operation, dispatched to the run-time device.
#[backend_extension(Autodiff, Flex)]
pub(crate) trait LinearOps: Backend {
    fn fused_linear(
        x: FloatTensor<Self>,
        w: FloatTensor<Self>,
        b: FloatTensor<Self>,
    ) -> FloatTensor<Self>;
}

impl LinearOps for Flex {
    fn fused_linear(x: FlexTensor, w: FlexTensor, b: FlexTensor) -> FlexTensor {
        Self::k_linear(&x, &w, &b)
    }
}

/// Registers the gradients of a product `x Wᵀ`, given that of its result.
pub(super) fn register_product<B: LinearKernels>(
    gradients: &mut Gradients,
    [nx, nw]: [Option<NodeId>; 2],
    dz: &Float<B>,
    [x, w]: [&Float<B>; 2],
) {
    if let Some(node) = nw {
        gradients.register::<B>(node, B::k_product_weight(dz, x));
    }
    if let Some(node) = nx {
        gradients.register::<B>(node, B::k_product_input(dz, w));
    }
}

impl<B: LinearKernels, C: CheckpointStrategy> LinearOps for Autodiff<B, C> {
    fn fused_linear(x: Float<Self>, w: Float<Self>, b: Float<Self>) -> Float<Self> {
        #[derive(Debug)]
        struct Node;
        impl<B: LinearKernels> Backward<B, 3> for Node {
            type State = [Float<B>; 2];
            fn backward(
                self,
                ops: Ops<Self::State, 3>,
                gradients: &mut Gradients,
                _: &mut Checkpointer,
            ) {
                let dy = gradients.consume::<B>(&ops.node);
                let [x, w] = &ops.state;
                let [nx, nw, nb] = ids!(ops.parents);
                if let Some(node) = nb {
                    gradients.register::<B>(node, B::k_sum_rows(&dy));
                }
                register_product::<B>(gradients, [nx, nw], &dy, [x, w]);
            }
        }
        let ((x, nx), (w, nw), (b, nb)) = (x.into_parts(), w.into_parts(), b.into_parts());
        let y = B::k_linear(&x, &w, &b);
        match Node.prepare::<C>([nx, nw, nb]).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish([x, w], y),
            OpsKind::UnTracked(prepared) => prepared.finish(y),
        }
    }
}

/// `x Wᵀ + b` in one operation.
pub(crate) fn linear(x: Tensor<2>, w: Tensor<2>, b: Tensor<1>) -> Tensor<2> {
    Tensor::from_dispatch(Dispatch::fused_linear(
        x.into_dispatch(),
        w.into_dispatch(),
        b.into_dispatch(),
    ))
}
