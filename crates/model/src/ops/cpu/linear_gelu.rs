//! GELU of a linear layer in one operation.

use super::kernels;
use super::linear::{LinearKernels, register_product};
use super::tensor::{Contiguous, Float, ids, rows_of, tensor};
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension};
use burn::tensor::Tensor;
use burn_dispatch::backends::flex::FlexTensor;

/// The kernels on a backend's tensors.
pub(crate) trait LinearGeluKernels: LinearKernels {
    /// The result, preceded by what the backward pass reads, if it is wanted.
    fn k_linear_gelu(
        x: &Float<Self>,
        w: &Float<Self>,
        b: &Float<Self>,
        keep: bool,
    ) -> (Option<Float<Self>>, Float<Self>);
    /// Gradients with respect to the product and to the bias.
    fn k_gelu_backward(
        dy: &Float<Self>,
        z: &Float<Self>,
        b: &Float<Self>,
    ) -> (Float<Self>, Float<Self>);
}

impl LinearGeluKernels for Flex {
    fn k_linear_gelu(
        x: &FlexTensor,
        w: &FlexTensor,
        b: &FlexTensor,
        keep: bool,
    ) -> (Option<FlexTensor>, FlexTensor) {
        let (x, w, b) = (Contiguous::of(x), Contiguous::of(w), Contiguous::of(b));
        let (inputs, outputs) = (x.width(), b.width());
        if keep {
            let (z, y) = kernels::linear_gelu_kept(x.values(), w.values(), b.values(), inputs);
            (Some(rows_of(z, outputs)), rows_of(y, outputs))
        } else {
            let y = kernels::linear_gelu(x.values(), w.values(), b.values(), inputs);
            (None, rows_of(y, outputs))
        }
    }

    fn k_gelu_backward(
        dy: &FlexTensor,
        z: &FlexTensor,
        b: &FlexTensor,
    ) -> (FlexTensor, FlexTensor) {
        let (dy, z, b) = (Contiguous::of(dy), Contiguous::of(z), Contiguous::of(b));
        let (dz, db) = kernels::gelu_backward(dy.values(), z.values(), b.values());
        (rows_of(dz, b.width()), tensor(db, [b.width()]))
    }
}

/// The operation, dispatched to the run-time device.
#[backend_extension(Autodiff, Flex)]
pub(crate) trait LinearGeluOps: Backend {
    fn fused_linear_gelu(
        x: FloatTensor<Self>,
        w: FloatTensor<Self>,
        b: FloatTensor<Self>,
    ) -> FloatTensor<Self>;
}

impl LinearGeluOps for Flex {
    fn fused_linear_gelu(x: FlexTensor, w: FlexTensor, b: FlexTensor) -> FlexTensor {
        Self::k_linear_gelu(&x, &w, &b, false).1
    }
}

impl<B: LinearGeluKernels, C: CheckpointStrategy> LinearGeluOps for Autodiff<B, C> {
    fn fused_linear_gelu(x: Float<Self>, w: Float<Self>, b: Float<Self>) -> Float<Self> {
        #[derive(Debug)]
        struct Node;
        impl<B: LinearGeluKernels> Backward<B, 3> for Node {
            type State = [Float<B>; 4];
            fn backward(
                self,
                ops: Ops<Self::State, 3>,
                gradients: &mut Gradients,
                _: &mut Checkpointer,
            ) {
                let dy = gradients.consume::<B>(&ops.node);
                let [x, w, b, z] = ops.state;
                let [nx, nw, nb] = ids!(ops.parents);
                let (dz, db) = B::k_gelu_backward(&dy, &z, &b);
                drop((dy, z));
                if let Some(node) = nb {
                    gradients.register::<B>(node, db);
                }
                register_product::<B>(gradients, [nx, nw], &dz, [&x, &w]);
            }
        }
        let ((x, nx), (w, nw), (b, nb)) = (x.into_parts(), w.into_parts(), b.into_parts());
        match Node.prepare::<C>([nx, nw, nb]).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                let (z, y) = B::k_linear_gelu(&x, &w, &b, true);
                let z = z.expect("the kernel keeps it when asked to");
                prepared.finish([x, w, b, z], y)
            }
            OpsKind::UnTracked(prepared) => prepared.finish(B::k_linear_gelu(&x, &w, &b, false).1),
        }
    }
}

/// `g(x Wᵀ + b)` with `g(x) = x Φ(x)`, in one operation.
pub(crate) fn linear_gelu(x: Tensor<2>, w: Tensor<2>, b: Tensor<1>) -> Tensor<2> {
    Tensor::from_dispatch(Dispatch::fused_linear_gelu(
        x.into_dispatch(),
        w.into_dispatch(),
        b.into_dispatch(),
    ))
}
